"""The modes of a target: every processor at every level, with weights and tensors in one memory each.

The search chooses a mode for each stage as it would choose a processor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from eeaug.hardware.target import Hardware, Level, Processor

__all__ = ["Mode", "mode_of", "modes"]


@dataclass(frozen=True)
class Mode:
    """A way to run a stage.

    Parameters
    ----------
    index : of the processor in Hardware.processors
    processor : with the rates, overheads, clock and power that it has at the level, and the memories of the stage
    level : None: the processor has one only
    nominal : whether it is the level of the processor's own clock
    choices : names of level and memories, of what the processor has several of: keys as reports have them
    """

    index: int
    processor: Processor
    level: Level | None
    nominal: bool
    choices: Mapping[str, str]

    def switch_s(self, before: Mode) -> float:
        """Seconds to change to its level after a stage in the mode ``before``."""
        if self.level is None or before.level is None or self.level.name == before.level.name:
            return 0.0
        return self.level.switch_s or 0.0


def modes(hardware: Hardware) -> tuple[Mode, ...]:
    """All modes, in the order of processors, their levels, memories of weights and memories of tensors."""
    return tuple(
        _mode(index, processor, level, flash, ram)
        for index, processor in enumerate(hardware.processors)
        for level in processor.operating_points or (None,)
        for flash in processor.flashes
        for ram in processor.rams
    )


def mode_of(hardware: Hardware, processor: str, choices: Mapping[str, str]) -> Mode:
    """The mode of a processor, by its name, with these ``choices``: as manifest and report name it."""
    return next(mode for mode in modes(hardware) if (mode.processor.name, mode.choices) == (processor, choices))


def _mode(index: int, processor: Processor, level: Level | None, flash: str, ram: str) -> Mode:
    choices = {} if level is None else {"level": level.name}
    if processor.more_flash:
        choices["weights_in"] = flash
    if processor.more_ram:
        choices["tensors_in"] = ram
    runs = processor if level is None else _at(processor, level)
    runs = replace(runs, flash=flash, ram=ram, more_flash=(), more_ram=())
    return Mode(index, runs, level, level == processor.nominal, choices)


def _at(processor: Processor, level: Level) -> Processor:
    """Times go with the period of the clock; what waits for a memory takes longer than that says."""
    assert processor.clock_hz is not None, "checked where descriptions are read"
    faster = level.clock_hz / processor.clock_hz

    def slower(overhead_s: float | None) -> float | None:
        return None if overhead_s is None else overhead_s / faster

    return replace(
        processor,
        rates_macs_per_s={k: None if r is None else r * faster for k, r in processor.rates_macs_per_s.items()},
        overhead_s_per_layer=slower(processor.overhead_s_per_layer),
        overhead_s_per_element=slower(processor.overhead_s_per_element),
        active_power_w=processor.power_w(level),
        clock_hz=level.clock_hz,
        operating_points=(),
    )
