"""The target: processors, memories, links, and the files that describe them.

A line of code here may touch a hardware description and measured latencies, never a model.

    fields   all that a description may say, key by key
    target   processors, memories, links, and what is said of them
    profiles  files and shipped profiles, read
    modes    every processor at every level that a stage can run at
    cycles   cycles per instruction of cores
    loops    how often the loops of a C kernel run, from shapes
    kernels  instructions of C kernels on cores, from a table
    rates    what a core reaches that nothing was measured on
    new      a description made of a few facts
    idle     processors that designs leave idle, and why
    fit      rates and overheads of processors, fitted to measured latencies
"""

from __future__ import annotations

from eeaug.hardware.modes import Mode, mode_of, modes
from eeaug.hardware.profiles import read, shipped
from eeaug.hardware.target import (
    KINDS,
    Hardware,
    Level,
    Link,
    Memory,
    Processor,
    as_dict,
    dump,
    warnings,
)  # fmt: skip

__all__ = [
    "KINDS", "Hardware", "Level", "Link", "Memory", "Mode", "Processor", "as_dict", "dump", "mode_of", "modes",
    "read", "shipped", "warnings",
]  # fmt: skip
