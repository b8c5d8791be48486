"""What layers take on a processor: by counted kernels of a format, else by the rates of the description.

Seconds are instructions of the kernels (hardware.kernels) × cycles per instruction (hardware.cycles) / clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from eeaug.hardware import Processor, cycles, kernels
from eeaug.hardware.kernels import WIDTHS
from eeaug.network.kernels import Kernels

__all__ = ["COUNTED", "PROFILE", "Basis", "basis", "decisive", "seconds", "width"]

COUNTED, PROFILE = "counted kernels", "profile"


@dataclass(frozen=True)
class Basis:
    """Where the times of a processor come from: ``kind``, and ``lacks``, what a profile's are for want of."""

    processor: str
    kind: str
    format: str | None = None
    lacks: str | None = None

    @property
    def counted(self) -> bool:
        return self.kind == COUNTED


def decisive(formats: Iterable[str]) -> str | None:
    """The format that a design is for: the one with the most bytes and instructions of those that are asked for.

    Float C takes more of both than int8 C on every core, so that what it fits, both do. None: no kernels are
    counted for any of them.
    """
    asked = set(formats)
    return next((format for format in sorted(WIDTHS, key=lambda f: -WIDTHS[f]) if format in asked), None)


def width(processor: Processor, format: str | None) -> int:
    """Bytes of a weight or activation."""
    return processor.bytes_per_element if format is None else WIDTHS[format]


def basis(processor: Processor, format: str | None, parts: Sequence[Mapping[str, Kernels]]) -> Basis:
    """That of a processor for these parts of a network, all of them: blocks and heads."""
    if format is None:
        return Basis(processor.name, PROFILE)
    lacks = None
    if processor.cpu is None:
        lacks = "cpu is null"
    elif processor.clock_hz is None:
        lacks = "clock_hz is null"
    elif kernels.counted_as(format, processor.cpu) is None or cycles.of(processor) is None:
        lacks = f"nothing is counted for {processor.cpu}"
    else:
        unknown = [layer for part in parts for layer in _unknown(part, format, processor.cpu)]
        if unknown:
            more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
            lacks = f"no kernel is counted for {unknown[0]}{more}"
    return Basis(processor.name, COUNTED if lacks is None else PROFILE, format, lacks)


def seconds(processor: Processor, format: str, part: Mapping[str, Kernels]) -> float:
    """Of a part of a network on a processor whose basis is COUNTED."""
    by_core = cycles.of(processor)
    assert processor.cpu is not None and processor.clock_hz is not None and by_core is not None
    counts = [kernels.instructions(format, processor.cpu, call) for call in part[format].calls]
    return by_core.seconds(sum(count or 0.0 for count in counts), processor.clock_hz)


def _unknown(part: Mapping[str, Kernels], format: str, cpu: str) -> list[str]:
    if format not in part:
        return ["a layer whose kernels are not known"]
    lacking = [call.kernel for call in part[format].calls if kernels.instructions(format, cpu, call) is None]
    return [*part[format].unknown, *lacking]
