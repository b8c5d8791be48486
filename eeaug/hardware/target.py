"""The target: processors, memories, links, and the files that describe them.

Null is an honest answer in a description: what is not known stays None here, and no number is made of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import yaml

from eeaug.errors import InputError
from eeaug.hardware.fields import BYTES_PER_ELEMENT, FIELDS, LINK, MEMORY, PROCESSOR, RATES, SCHEMA_VERSION
from eeaug.support.places import check_name
from eeaug.support.spelling import nearest
from eeaug.support.strict_yaml import Mistakes, Section, parse

__all__ = [
    "KINDS",
    "Hardware",
    "Link",
    "Memory",
    "Processor",
    "as_dict",
    "dump",
    "read",
    "shipped",
    "warnings",
]

KINDS = ("conv", "pointwise", "depthwise", "dense")  # operation types with a rate of their own
# Slower than any processor by orders of magnitude, so most likely given in millions per second.
_SLOWEST_MACS_PER_S = 1e4


@dataclass(frozen=True)
class Processor:
    """One processor.

    ``rates_macs_per_s`` has the keys ``default`` and all of ``KINDS``; None is unknown. ``ram`` and
    ``flash`` name memories; two processors that name the same one share it. ``arithmetic`` is the type of
    the activations, and so the width of what is handed over.
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

    def overhead_s(self, layers: float, elements: float) -> float:
        """Seconds that so many layers with MACs, which give so many elements, take besides their MACs."""
        return layers * (self.overhead_s_per_layer or 0.0) + elements * (self.overhead_s_per_element or 0.0)

    def rate(self, kind: str) -> float | None:
        """MAC/s for an operation type of ``KINDS``: its own rate, else the default; None if unknown."""
        rate = self.rates_macs_per_s[kind]
        return self.rates_macs_per_s["default"] if rate is None else rate

    @property
    def bytes_per_element(self) -> int:
        return BYTES_PER_ELEMENT[self.arithmetic]


@dataclass(frozen=True)
class Memory:
    name: str
    bytes: int
    source: str | None = None


@dataclass(frozen=True)
class Link:
    """One direction between two processors. A bandwidth of None: what a hand-over takes is unknown."""

    sender: str
    receiver: str
    bandwidth_bytes_per_s: float | None
    latency_s: float = 0.0
    energy_j_per_byte: float | None = None
    source: str | None = None


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


def shipped() -> tuple[str, ...]:
    """Names of the profiles that come with eeaug, sorted."""
    files = resources.files("eeaug.hardware_profiles").iterdir()
    return tuple(sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml")))


def read(name_or_path: str) -> Hardware:
    """The hardware in a file, or else the shipped profile of that name, with or without ``.yaml``.

    Raises
    ------
    InputError
        There is neither, or the file has mistakes: all of them, each with its path.
    """
    if not name_or_path.strip():
        raise InputError(
            f"the hardware's name is empty; give a YAML file or one of the shipped profiles: {', '.join(shipped())}"
        )
    check_name(name_or_path)
    is_folder = Path(name_or_path).is_dir()
    if Path(name_or_path).exists() and not is_folder:  # a pipe (--hw <(...)) may be given, too
        return _read_file(Path(name_or_path))
    profiles = shipped()
    profile = name_or_path.removesuffix(".yaml")
    if profile in profiles:
        with resources.as_file(resources.files("eeaug.hardware_profiles") / f"{profile}.yaml") as path:
            return _read_file(path)
    known = f"shipped profiles: {', '.join(profiles)}"
    if name_or_path and is_folder:
        raise InputError(f"hardware '{name_or_path}' is a directory; give a YAML file or one of the {known}")
    hint = nearest(profile, profiles)
    raise InputError(f"hardware '{name_or_path}' is neither a file nor a shipped profile{hint} ({known})")


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
            for p in hardware.processors
        ],
        "memories": [{f.key: getattr(m, f.key) for f in MEMORY} for m in hardware.memories],
        "links": [
            {"from": k.sender, "to": k.receiver} | {f.key: getattr(k, f.key) for f in LINK[2:]}
            for k in hardware.links
        ],
    }


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
    for i, link in enumerate(hardware.links):
        if link.bandwidth_bytes_per_s is None:
            way = f"from {link.sender} to {link.receiver}"
            path = f"links[{i}].bandwidth_bytes_per_s"
            lines.append(f"{path}: null: no latency of a hand-over {way} can be estimated")
    used = {name for p in hardware.processors for name in (p.ram, p.flash)}
    for i, memory in enumerate(hardware.memories):
        if memory.name not in used:
            lines.append(f"memories[{i}]: no processor uses {memory.name}")
    return tuple(lines)


def _read_file(path: Path) -> Hardware:
    mistakes = Mistakes(str(path))
    top = Section(parse(path, mistakes), "", FIELDS, mistakes)
    top.version("schema_version")
    memory_sections = top.sections("memories")
    memories = tuple(Memory(s.name("name"), s.whole("bytes"), s.text("source")) for s in memory_sections)
    memory_names = _distinct(memory_sections, [m.name for m in memories])
    processor_sections = top.sections("processors")
    processors = tuple(_processor(s, memory_names) for s in processor_sections)
    names = _distinct(processor_sections, [p.name for p in processors])
    hardware = Hardware(
        name=top.text("name") or "",
        source=top.text("source"),
        input_at=top.reference("input_at", names) or "".join(names[:1]),
        exclusive=top.flag("exclusive"),
        baseline=top.reference("baseline", names) or None,
        processors=processors,
        memories=memories,
        links=_links(top.sections("links"), names),
    )
    mistakes.raise_if_any()
    return hardware


def _processor(section: Section, memory_names: list[str]) -> Processor:
    rates = section.section("rates_macs_per_s")
    return Processor(
        name=section.name("name"),
        rates_macs_per_s={f.key: rates.number(f.key) for f in RATES} if rates else {},
        arithmetic=section.choice("arithmetic"),
        ram=section.reference("ram", memory_names),
        flash=section.reference("flash", memory_names),
        active_power_w=section.number("active_power_w"),
        sleep_power_w=section.number("sleep_power_w"),
        wakeup_s=section.number("wakeup_s"),
        runtime=section.text("runtime"),
        cpu=section.choice("cpu") or None,
        clock_hz=section.number("clock_hz"),
        cycles_per_instruction=section.number("cycles_per_instruction"),
        basis=section.choice("basis") or None,
        source=section.text("source"),
        overhead_s_per_layer=section.number("overhead_s_per_layer"),
        overhead_s_per_element=section.number("overhead_s_per_element"),
    )


def _links(sections: tuple[Section, ...], names: list[str]) -> tuple[Link, ...]:
    links: list[Link] = []
    for section in sections:
        link = Link(
            sender=section.reference("from", names),
            receiver=section.reference("to", names),
            bandwidth_bytes_per_s=section.number("bandwidth_bytes_per_s"),
            latency_s=section.number("latency_s") or 0.0,
            energy_j_per_byte=section.number("energy_j_per_byte"),
            source=section.text("source"),
        )
        if link.sender and link.sender == link.receiver:
            section.note("to", f"links {link.sender} to itself")
        elif link.sender and link.receiver:
            for i, other in enumerate(links):
                if (other.sender, other.receiver) == (link.sender, link.receiver):
                    section.note("to", f"links[{i}] already goes from {link.sender} to {link.receiver}")
        links.append(link)
    return tuple(links)


def _distinct(sections: tuple[Section, ...], names: list[str]) -> list[str]:
    """The names, after noting each that stands a second time."""
    for i, section in enumerate(sections):
        if names[i] and names[i] in names[:i]:
            section.note("name", f"'{names[i]}' stands a second time")
    return names
