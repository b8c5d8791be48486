"""Cycles per instruction of the cores that files are counted for: from counted instructions to seconds.

Of code as ``export/c_int8/`` writes it, in memory that a cache or prefetch unit hides.
``benchmarks/latency_model.py`` gives these figures, from published results of MLPerf Tiny and Arm's tables of
cycles; a board gives its own by ``eeaug hw measure`` (``cycles_per_instruction`` of a description).
"""

from __future__ import annotations

from dataclasses import dataclass

from eeaug.hardware.target import Processor

__all__ = ["CORES", "CyclesPerInstruction", "of", "per_instruction"]


@dataclass(frozen=True)
class CyclesPerInstruction:
    """``cycles`` of a core per instruction.

    ``error``: the relative error of a time that is made of them (0.1: ±10 %), one standard deviation; ``source``:
    where both come from.
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


CORES = {
    "cortex-m0plus": CyclesPerInstruction(
        1.26, 0.25, "Arm's table of cycles (DDI 0484) for the instructions of three networks, without wait states"
    ),
    "cortex-m3": CyclesPerInstruction(
        1.56, 0.25, "Arm's table of cycles (DDI 0337) for the instructions of three networks, without wait states"
    ),
    "cortex-m4": CyclesPerInstruction(
        1.68, 0.16, "submissions to MLPerf Tiny on two boards, their kernels counted"
    ),
    "cortex-m7": CyclesPerInstruction(
        0.88, 0.06, "submissions to MLPerf Tiny on two boards, their kernels counted"
    ),
    "cortex-m33": CyclesPerInstruction(
        1.28, 0.07, "submissions to MLPerf Tiny on four boards, their kernels counted"
    ),
    # a vector instruction takes two cycles, which may overlap with those of its neighbours
    "cortex-m55": CyclesPerInstruction(1.3, 0.3, "assumed: nothing published runs on this core"),
}
TIMED = 0.05  # between networks with the same kernels on one board: 3 % median, see docs/hardware.md
DESCRIBED = 0.08  # of boards in MLPerf Tiny, as shipped profiles have them


def per_instruction(cpu: str) -> CyclesPerInstruction | None:
    """Of a core as ``cpu:`` of a hardware file names it; None for one without figures."""
    return CORES.get(cpu.partition("+")[0])


def of(processor: Processor) -> CyclesPerInstruction | None:
    """Those that its description has, else those of its core; None where neither is known."""
    known = processor.cycles_per_instruction
    if known is None:
        return None if processor.cpu is None else per_instruction(processor.cpu)
    if processor.basis == "timed":
        return CyclesPerInstruction(known, TIMED, "timed on the processor")
    return CyclesPerInstruction(known, DESCRIBED, "the hardware description")
