"""Rates, overheads and cycles per instruction of processors, of what their layers took.

A rate is the MACs of all layers of a type over their seconds; the default, of all layers with MACs. What the stages
take besides is an overhead for every element that such layers give. An estimate by these figures gives each
stage what it took, as far as its layers are like those of the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from eeaug.errors import InputError
from eeaug.export.measure.layers import TimedLayer
from eeaug.export.measure.readings import WHOLE, Printout
from eeaug.hardware import KINDS, Hardware, Processor

__all__ = ["TimedWork", "at_clock", "described"]

SAME_CLOCK = 0.01  # of it: oscillators and dividers are that exact


@dataclass(frozen=True)
class TimedWork:
    """What a processor runs: ``macs`` of each of its stages by the manifest; ``layers`` of each, where these are
    known; ``instructions`` of all stages together, where these were counted."""

    macs: Mapping[int, int]
    layers: Mapping[int, Sequence[TimedLayer]]
    instructions: float | None = None

    @property
    def is_by_layer(self) -> bool:
        """Whether the layers are all that have MACs."""
        return all(sum(layer.macs for layer in self.layers.get(k, ())) == macs for k, macs in self.macs.items())


def described(
    base: Hardware, readings: Sequence[Printout], works: Mapping[str, TimedWork], *, name: str, source: str,
    runtime: str, by_core: bool,
) -> Hardware:  # fmt: skip
    """``base`` with what these processors took; what was not measured stays as it is.

    Parameters
    ----------
    source, runtime : what descriptions say of the figures
    by_core : the cycles are those of the core, not of another counter

    Raises
    ------
    InputError : a processor is none of ``base``, or neither it nor the base says at which frequency it worked
    """
    works = {
        reading.processor: replace(works[reading.processor], layers=reading.layers)
        if reading.layers
        else works[reading.processor]
        for reading in readings
    }
    by_name = {reading.processor: reading for reading in readings}
    for processor in by_name:
        base.processor(processor)
    processors = tuple(
        _with(p, by_name[p.name], works[p.name], source, runtime, by_core) if p.name in by_name else p
        for p in base.processors
    )
    return replace(base, name=name, processors=processors)


def _with(
    processor: Processor, reading: Printout, work: TimedWork, source: str, runtime: str, by_core: bool
) -> Processor:
    clock_hz = reading.clock_hz or processor.clock_hz
    if clock_hz is None:
        raise InputError(
            f"the frequency of {processor.name} is not known: build with -DMEASURE_CLOCK_HZ=..., or give it as "
            f"clock_hz in the hardware description"
        )
    seconds = {at: count / clock_hz for at, count in reading.cycles.items()}
    total_s = sum(spent for (_, layer), spent in seconds.items() if layer == WHOLE)
    if not sum(work.macs.values()):
        raise InputError(f"{processor.name} runs no MACs, so it gives no rate")
    rates, per_element = _rates(work, seconds, total_s)
    if by_core:
        processor = at_clock(processor, clock_hz)
    cycles = _digits(total_s * clock_hz / work.instructions) if work.instructions else None
    more = f"; all else: {processor.source}" if processor.source else ""
    return replace(
        processor,
        rates_macs_per_s=rates,
        overhead_s_per_layer=None,
        overhead_s_per_element=per_element,
        cycles_per_instruction=cycles,
        basis="timed",
        runtime=runtime,
        source=f"{source}{more}",
    )


def at_clock(processor: Processor, clock_hz: float) -> Processor:
    """The processor at a clock: of its operating points, or else one at which its power is not known."""
    if processor.clock_hz is None or abs(clock_hz / processor.clock_hz - 1) < SAME_CLOCK:
        return replace(processor, clock_hz=processor.clock_hz or clock_hz)
    for level in processor.operating_points:
        if abs(clock_hz / level.clock_hz - 1) < SAME_CLOCK:
            return replace(processor, clock_hz=level.clock_hz, active_power_w=level.active_power_w)
    return replace(processor, clock_hz=clock_hz, active_power_w=None, operating_points=())


def _rates(
    work: TimedWork, seconds: Mapping[tuple[int, int], float], total_s: float
) -> tuple[dict[str, float | None], float | None]:
    """MAC/s by type, and seconds per element."""
    macs: dict[str, float] = dict.fromkeys(KINDS, 0.0)
    spent: dict[str, float] = dict.fromkeys(KINDS, 0.0)
    elements = 0
    if work.is_by_layer:
        for k, rows in work.layers.items():
            for i, layer in enumerate(rows):
                if layer.kind is not None:
                    macs[layer.kind] += layer.macs
                    spent[layer.kind] += seconds[k, i]
                    elements += layer.elements
    by_layer = sum(spent.values())
    if not by_layer or not elements:
        return {"default": _digits(sum(work.macs.values()) / total_s), **dict.fromkeys(KINDS, None)}, None
    rates = {kind: _digits(macs[kind] / spent[kind]) if spent[kind] else None for kind in KINDS}
    default = _digits(sum(macs.values()) / by_layer)
    return {"default": default, **rates}, _digits(max(0.0, total_s - by_layer) / elements)


def _digits(value: float) -> float:
    return float(f"{value:.4g}")
