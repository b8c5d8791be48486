"""Cycles per instruction of the cores that files are counted for: from counted instructions to seconds.

A time from counted instructions is ``instructions × cycles / clock``. The figures are of code as ``export/c_int8/``
writes it (inner loops of loads and multiply-adds), in memory that a cache or prefetch unit hides, as on the boards
that they come from.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CORES", "CyclesPerInstruction", "per_instruction"]


@dataclass(frozen=True)
class CyclesPerInstruction:
    """``cycles`` of a core per instruction.

    ``error``: the relative error that a time made of them has (0.1: ±10 %), as large as nine of ten networks of
    other boards and submitters had it; ``source`` says where both come from.
    """

    cycles: float
    error: float
    source: str

    def seconds(self, instructions: float, clock_hz: float) -> float:
        """What so many instructions take at a clock, in seconds."""
        return instructions * self.cycles / clock_hz

    @property
    def words(self) -> str:
        """The error as reports say it."""
        return f"±{100 * self.error:.0f} %"


_FIRST = "first estimate, MLPerf Tiny v1.2 against counted instructions"
CORES = {
    "cortex-m0plus": CyclesPerInstruction(1.25, 0.25, _FIRST),
    "cortex-m3": CyclesPerInstruction(1.2, 0.25, _FIRST),
    "cortex-m4": CyclesPerInstruction(1.2, 0.25, _FIRST),
    "cortex-m7": CyclesPerInstruction(0.7, 0.25, _FIRST),
    "cortex-m33": CyclesPerInstruction(1.05, 0.25, _FIRST),
    "cortex-m55": CyclesPerInstruction(1.3, 0.4, _FIRST),
}


def per_instruction(cpu: str) -> CyclesPerInstruction | None:
    """Of a core as ``cpu:`` of a hardware file names it; None for one without figures."""
    return CORES.get(cpu.partition("+")[0])
