"""A description made of a few facts that everybody knows of a board."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import eeaug
from eeaug.hardware.rates import rates
from eeaug.hardware.target import Hardware, Link, Memory, Processor

__all__ = ["GIVEN", "CoreFacts", "LinkFacts", "described", "names", "shared_bandwidth"]

GIVEN = "as given to eeaug hw new"
BUS_BYTES = 4  # of a Cortex-M, moved per cycle


@dataclass(frozen=True)
class CoreFacts:
    """What is known of a processor. ``cpu`` None: none that instructions were counted for.

    ``ram_bytes``, ``flash_bytes`` None: it uses those of the first processor.
    """

    cpu: str | None
    clock_hz: float
    ram_bytes: int | None
    flash_bytes: int | None
    active_power_w: float | None = None


@dataclass(frozen=True)
class LinkFacts:
    """From a processor to the next. ``bandwidth_bytes_per_s`` None: unknown; ``there`` False: there is no link."""

    bandwidth_bytes_per_s: float | None
    there: bool = True
    source: str | None = None


def shared_bandwidth(sender: CoreFacts, receiver: CoreFacts) -> LinkFacts:
    """Through RAM that both use: as fast as the slower one reads it."""
    clock_hz = min(sender.clock_hz, receiver.clock_hz)
    return LinkFacts(
        BUS_BYTES * clock_hz,
        source=f"not measured: through the shared RAM, {BUS_BYTES} bytes per cycle of the slower clock",
    )


def names(facts: Sequence[CoreFacts]) -> list[str]:
    """Of processors: what their cores are called for short, numbered where one is there twice."""
    short = [
        "cpu" if f.cpu is None else f.cpu.partition("+")[0].removeprefix("cortex-").replace("plus", "p")
        for f in facts
    ]
    count = Counter(short)
    return [name if count[name] == 1 else f"{name}-{1 + short[:i].count(name)}" for i, name in enumerate(short)]


def described(name: str, facts: Sequence[CoreFacts], links: Sequence[LinkFacts]) -> Hardware:
    """The hardware; ``links`` are from each processor to the next. What is not given is unknown."""
    processors, memories = [], []
    known = names(facts)
    for processor, f in zip(known, facts, strict=True):
        places: dict[str, str] = {}
        for place, size in (("ram", f.ram_bytes), ("flash", f.flash_bytes)):
            alone = all(getattr(other, f"{place}_bytes") is None for other in facts[1:])
            owner = known[0] if size is None else processor
            places[place] = ("sram" if place == "ram" else place) if alone else f"{owner}-{place}"
            if size is not None:
                memories.append(Memory(places[place], size, GIVEN))
        counted = rates(f.cpu, f.clock_hz)
        processors.append(
            Processor(
                processor,
                counted.by_kind,
                "int8",
                places["ram"],
                places["flash"],
                active_power_w=f.active_power_w,
                runtime=None if counted.by_kind["default"] is None else "eeaug --format c-int8",
                cpu=f.cpu,
                clock_hz=f.clock_hz,
                basis=None if counted.by_kind["default"] is None else "counted",
                source=f"{counted.source}; clock{' and power' if f.active_power_w else ''} {GIVEN}",
            )
        )
    joined = tuple(
        Link(sender, receiver, link.bandwidth_bytes_per_s, source=link.source)
        for sender, receiver, link in zip(known, known[1:], links, strict=False)
        if link.there
    )
    return Hardware(
        name=name,
        source=f"written by eeaug hw new, version {eeaug.__version__}; nothing was measured on the board",
        input_at=known[0],
        exclusive=len(facts) == 1,
        baseline=None,
        processors=tuple(processors),
        memories=tuple(memories),
        links=joined,
    )
