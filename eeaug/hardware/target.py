"""The target: processors, memories, links, and what is said of them.

Null is an honest answer in a description: what is not known stays None here, and no number is made of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import yaml

from eeaug.errors import InputError
from eeaug.hardware.fields import BYTES_PER_ELEMENT, LEVEL, LINK, MEMORY, PROCESSOR, RATES, SCHEMA_VERSION
from eeaug.support.spelling import nearest

__all__ = [
    "KINDS",
    "Hardware",
    "Level",
    "Link",
    "Memory",
    "Processor",
    "as_dict",
    "dump",
    "warnings",
]

KINDS = ("conv", "pointwise", "depthwise", "dense")  # operation types with a rate of their own
# Slower than any processor by orders of magnitude, so most likely given in millions per second.
_SLOWEST_MACS_PER_S = 1e4


@dataclass(frozen=True)
class Level:
    """A clock and voltage that a processor can work at: one of ``operating_points`` in the file.

    ``switch_s`` passes before a stage at this level if the stage before ran at a level of another name.
    """

    name: str
    clock_hz: float
    voltage_v: float | None = None
    active_power_w: float | None = None
    switch_s: float | None = None
    source: str | None = None


@dataclass(frozen=True)
class Processor:
    """One processor.

    ``rates_macs_per_s`` has the keys ``default`` and all of ``KINDS``; None is unknown. ``ram`` and
    ``flash`` name memories; two processors that name the same one share it. ``arithmetic`` is the type of
    the activations, and so the width of what is handed over. ``more_ram`` and ``more_flash``: memories besides,
    of which a stage may get one. ``remote``: a server, reached over a network. Rates, overheads and
    power are those at ``clock_hz``, which is one of ``operating_points`` if there are any.
    """

    name: str
    rates_macs_per_s: Mapping[str, float | None] = field(hash=False)
    arithmetic: str
    ram: str
    flash: str
    active_power_w: float | None = None
    sleep_power_w: float | None = None
    wakeup_s: float | None = None
    runtime: str | None = None
    source: str | None = None
    overhead_s_per_layer: float | None = None
    overhead_s_per_element: float | None = None
    cpu: str | None = None
    clock_hz: float | None = None
    cycles_per_instruction: float | None = None
    basis: str | None = None
    operating_points: tuple[Level, ...] = ()
    more_ram: tuple[str, ...] = ()
    more_flash: tuple[str, ...] = ()
    accelerator: str | None = None
    remote: bool = False

    def overhead_s(self, layers: float, elements: float) -> float:
        """Seconds that so many layers with MACs, which give so many elements, take besides their MACs."""
        return layers * (self.overhead_s_per_layer or 0.0) + elements * (self.overhead_s_per_element or 0.0)

    def rate(self, kind: str) -> float | None:
        """MAC/s for an operation type of ``KINDS``: its own rate, else the default; None if unknown."""
        rate = self.rates_macs_per_s[kind]
        return self.rates_macs_per_s["default"] if rate is None else rate

    @property
    def rams(self) -> tuple[str, ...]:
        """All memories that its tensors may live in."""
        return (self.ram, *self.more_ram)

    @property
    def flashes(self) -> tuple[str, ...]:
        """All memories that its weights may live in."""
        return (self.flash, *self.more_flash)

    @property
    def nominal(self) -> Level | None:
        """The level that rates, overheads and power are of; None: there is one only, without a name."""
        return next((level for level in self.operating_points if level.clock_hz == self.clock_hz), None)

    def power_w(self, level: Level) -> float | None:
        """Drawn at a level: as it says, else scaled from the nominal one by clock · voltage²; None if unknown.

        The dynamic power of CMOS circuits, P = activity · C · V² · f (Chandrakasan et al., Low-power CMOS digital
        design, 1992, equation 1); what leaks is scaled with it.
        """
        nominal = self.nominal
        if level.active_power_w is not None or nominal is None:
            return level.active_power_w
        known = self.active_power_w if nominal.active_power_w is None else nominal.active_power_w
        if level == nominal or known is None:
            return known
        if level.voltage_v is None or nominal.voltage_v is None:
            return None
        return known * level.clock_hz / nominal.clock_hz * (level.voltage_v / nominal.voltage_v) ** 2

    @property
    def bytes_per_element(self) -> int:
        return BYTES_PER_ELEMENT[self.arithmetic]


@dataclass(frozen=True)
class Memory:
    """A memory; bandwidth None: no stage waits for it."""

    name: str
    bytes: int
    source: str | None = None
    bandwidth_bytes_per_s: float | None = None


@dataclass(frozen=True)
class Link:
    """One direction between two processors. A bandwidth of None: what a hand-over takes is unknown.

    ``latency_p95_s``, ``bandwidth_p5_bytes_per_s``: what one hand-over in twenty is slower than.
    ``encoding``: one of fields.ENCODINGS; None: as the sender's arithmetic. ``compression``: gzip, or None.
    """

    sender: str
    receiver: str
    bandwidth_bytes_per_s: float | None
    latency_s: float = 0.0
    energy_j_per_byte: float | None = None
    source: str | None = None
    latency_p95_s: float | None = None
    bandwidth_p5_bytes_per_s: float | None = None
    encoding: str | None = None
    compression: str | None = None

    @property
    def late_s(self) -> float | None:
        """Seconds that one empty hand-over in twenty takes at least besides the mean; None: no spread is known."""
        if self.latency_p95_s is None and self.bandwidth_p5_bytes_per_s is None:
            return None
        return (self.latency_p95_s or self.latency_s) - self.latency_s


_Item = TypeVar("_Item", Processor, Memory)


@dataclass(frozen=True)
class Hardware:
    """A target. ``processors`` stand in order of use.

    ``input_at`` is the processor at which samples arrive. ``exclusive``: one processor runs at a time, so
    that working memory is needed for one (a file that does not say so means false, the safer reading).
    ``baseline`` is the processor that the whole model is compared on; None: the one with the lowest latency.
    """

    name: str
    source: str | None
    input_at: str
    exclusive: bool
    baseline: str | None
    processors: tuple[Processor, ...]
    memories: tuple[Memory, ...]
    links: tuple[Link, ...]

    def processor(self, name: str) -> Processor:
        """The processor of this name; InputError for an unknown one."""
        return self._named("processor", "processors", self.processors, name)

    def memory(self, name: str) -> Memory:
        """The memory of this name; InputError for an unknown one."""
        return self._named("memory", "memories", self.memories, name)

    def _named(self, one: str, many: str, items: tuple[_Item, ...], name: str) -> _Item:
        known = [item.name for item in items]
        if name in known:
            return items[known.index(name)]
        raise InputError(f"{self.name} has no {one} '{name}'{nearest(name, known)} ({many}: {', '.join(known)})")

    def link(self, sender: str, receiver: str) -> Link | None:
        """The link in this direction, or None."""
        return next((k for k in self.links if (k.sender, k.receiver) == (sender, receiver)), None)


def as_dict(hardware: Hardware) -> dict[str, Any]:
    """The description as plain values, with the keys of the file format in their usual order."""
    return {
        "schema_version": SCHEMA_VERSION,
        "name": hardware.name,
        "source": hardware.source,
        "input_at": hardware.input_at,
        "exclusive": hardware.exclusive,
        "baseline": hardware.baseline,
        "processors": [
            {f.key: getattr(p, f.key) for f in PROCESSOR}
            | {"rates_macs_per_s": {f.key: p.rates_macs_per_s[f.key] for f in RATES}}
            | {"ram": _one_or_all(p.rams), "flash": _one_or_all(p.flashes)}
            | {"operating_points": [{f.key: getattr(level, f.key) for f in LEVEL} for level in p.operating_points]}
            for p in hardware.processors
        ],
        "memories": [{f.key: getattr(m, f.key) for f in MEMORY} for m in hardware.memories],
        "links": [
            {"from": k.sender, "to": k.receiver} | {f.key: getattr(k, f.key) for f in LINK[2:]}
            for k in hardware.links
        ],
    }


def _one_or_all(names: tuple[str, ...]) -> str | list[str]:
    return names[0] if len(names) == 1 else list(names)


def dump(hardware: Hardware) -> str:
    """YAML that ``read`` gives back as an equal Hardware, if every text in it is one line."""
    return yaml.safe_dump(as_dict(hardware), sort_keys=False, allow_unicode=True, width=110)


def warnings(hardware: Hardware) -> tuple[str, ...]:
    """What is allowed in a description but keeps figures unknown or is probably not meant, a line each."""
    lines = []
    for i, p in enumerate(hardware.processors):
        unknown = [kind for kind in KINDS if p.rate(kind) is None]
        if unknown:
            what = "no latency" if len(unknown) == len(KINDS) else f"no latency of {', '.join(unknown)}"
            path = f"processors[{i}].rates_macs_per_s.default"
            lines.append(f"{path}: null: {what} can be estimated on {p.name}")
        for key, rate in p.rates_macs_per_s.items():
            if rate is not None and rate < _SLOWEST_MACS_PER_S:
                path = f"processors[{i}].rates_macs_per_s.{key}"
                lines.append(f"{path}: {rate:g} MAC/s is very slow; is it given in millions?")
        if p.active_power_w is None:
            lines.append(f"processors[{i}].active_power_w: null: no energy can be estimated on {p.name}")
        elif p.sleep_power_w is not None and p.sleep_power_w > p.active_power_w:
            lines.append(f"processors[{i}].sleep_power_w: more than active_power_w")
        if p.active_power_w is not None:
            for j, level in enumerate(p.operating_points):
                if p.power_w(level) is None:
                    path = f"processors[{i}].operating_points[{j}].active_power_w"
                    lines.append(f"{path}: null, and no voltages: no energy can be estimated at {level.name}")
    for i, link in enumerate(hardware.links):
        if link.bandwidth_bytes_per_s is None:
            way = f"from {link.sender} to {link.receiver}"
            path = f"links[{i}].bandwidth_bytes_per_s"
            lines.append(f"{path}: null: no latency of a hand-over {way} can be estimated")
    used = {name for p in hardware.processors for name in (*p.rams, *p.flashes)}
    for i, memory in enumerate(hardware.memories):
        if memory.name not in used:
            lines.append(f"memories[{i}]: no processor uses {memory.name}")
    return tuple(lines)
