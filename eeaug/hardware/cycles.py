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
        1.31, 0.19, "Arm's table of cycles (DDI 0484) for the instructions of three networks, without wait states"
    ),
    "cortex-m3": CyclesPerInstruction(
        1.62, 0.12, "Arm's table of cycles (DDI 0337) for the instructions of three networks, without wait states"
    ),
    "cortex-m4": CyclesPerInstruction(
        1.52, 0.18, "three submissions to MLPerf Tiny with kernels of CMSIS-NN on an STM32L4R5, these counted"
    ),
    "cortex-m7": CyclesPerInstruction(
        0.82, 0.13, "submitters to MLPerf Tiny with the same kernels on it and on a Cortex-M4"
    ),
    "cortex-m33": CyclesPerInstruction(
        1.27, 0.13, "two submissions to MLPerf Tiny with kernels of CMSIS-NN on an nRF5340, these counted"
    ),
    # a vector instruction takes two cycles, which may overlap with those of its neighbours
    "cortex-m55": CyclesPerInstruction(1.3, 0.3, "assumed: nothing published runs on this core"),
}
TIMED = 0.05  # between networks with the same kernels on one board: 3 % median, see docs/hardware.md


def per_instruction(cpu: str) -> CyclesPerInstruction | None:
    """Of a core as ``cpu:`` of a hardware file names it; None for one without figures."""
    return CORES.get(cpu.partition("+")[0])


def of(processor: Processor) -> CyclesPerInstruction | None:
    """Those that were timed on the processor itself, else those of its core; None where neither is known."""
    if processor.cycles_per_instruction is not None:
        return CyclesPerInstruction(processor.cycles_per_instruction, TIMED, "timed on the processor")
    return None if processor.cpu is None else per_instruction(processor.cpu)
