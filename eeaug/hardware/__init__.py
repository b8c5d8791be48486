"""The target: processors, memories, links, and the files that describe them.

A line of code here may touch a hardware description and measured latencies, never a model.

    fields   all that a description may say, key by key
    target   processors, memories, links; descriptions read and written
    cycles   cycles per instruction of cores
    loops    how often the loops of a C kernel run, from shapes
    kernels  instructions of C kernels on cores, from a table
    rates    what a core reaches that nothing was measured on
    new      a description made of a few facts
    idle     processors that designs leave idle, and why
    fit      rates and overheads of processors, fitted to measured latencies
"""

from __future__ import annotations

from eeaug.hardware.target import KINDS, Hardware, Link, Memory, Processor, as_dict, dump, read, shipped, warnings

__all__ = ["KINDS", "Hardware", "Link", "Memory", "Processor", "as_dict", "dump", "read", "shipped", "warnings"]
