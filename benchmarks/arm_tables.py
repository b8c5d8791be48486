"""Cycles of counted instructions by Arm's tables, without wait states of the memory.

Technical Reference Manuals of Cortex-M0+ (DDI 0484), M3 (DDI 0337) and M4 (DDI 0439), each table 3-1. On M3 and M4
a load takes 2 cycles, 1 where a load or store follows it, and a taken branch 1 + P, with P from 1 to 3: 2 is used.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Instruction", "cycles", "mix"]

REFILL = 2
CONDITIONAL = re.compile(r"b(eq|ne|cs|hs|cc|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)(\.\w)?|cbn?z")
MULTIPLE = ("push", "pop", "ldm", "stm")


@dataclass(frozen=True)
class Instruction:
    """At an address, so many times; ``taken``: how often what followed was not the next one."""

    address: int
    bytes: int
    times: int
    taken: int
    text: str

    @property
    def name(self) -> str:
        return self.text.split()[0]


def mix(path: Path) -> list[Instruction]:
    """What instruction_mix.c wrote, by address."""
    rows = (line.split("\t", 4) for line in path.read_text(encoding="utf-8").splitlines())
    return sorted((Instruction(*map(int, row[:4]), row[4]) for row in rows), key=lambda i: i.address)


def registers(text: str) -> int:
    """How many there are in the braces of a load or store of several."""
    parts = re.findall(r"r(\d+)-r(\d+)|\b(?:r\d+|lr|pc|sp|sb|sl|fp|ip)\b", text[text.index("{") :])
    return sum(int(last) - int(first) + 1 if first else 1 for first, last in parts)


def cycles(instructions: Sequence[Instruction], core: str) -> float:
    """By the tables of cortex-m0plus, cortex-m3 or cortex-m4, without wait states."""
    small = core == "cortex-m0plus"
    branch = 1 if small else REFILL
    total = 0.0
    for i, this in enumerate(instructions):
        after = instructions[i + 1] if i + 1 < len(instructions) else None
        pipelined = (
            after is not None and after.address == this.address + this.bytes and after.name[:3] in ("ldr", "str")
        )
        name, each, extra = this.name, 1, 0
        if name.startswith(MULTIPLE):
            each, extra = 1 + registers(this.text), branch + small
        elif name.startswith(("ldrd", "strd")):
            each = 3
        elif name.startswith("ldr"):
            each = 2 if small or not pipelined else 1
        elif name.startswith("str"):
            each = 2 if small else 1
        elif CONDITIONAL.fullmatch(name):
            extra = branch
        elif name.split(".")[0] in ("b", "bl", "bx", "blx"):
            each = 1 + branch + (small and name == "bl")
        elif name.startswith(("sdiv", "udiv")):
            each = 6
        elif core == "cortex-m3" and name.startswith(("umull", "smull", "umlal", "smlal")):
            each = 4
        elif core == "cortex-m3" and name.startswith(("mla", "mls")):
            each = 2
        total += this.times * each + this.taken * extra
    return total
