"""The target: processors, memories, links, and the files that describe them.

Null is an honest answer in a description: what is not known stays None here, and no number is made of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from eeaug.errors import InputError
from eeaug.hardware_file import Mistakes, Section, nearest, parse

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

SCHEMA_VERSION = 1
KINDS = ("conv", "pointwise", "depthwise", "dense")  # operation types with a rate of their own
_BYTES_PER_ELEMENT = {"int8": 1, "int16": 2, "float16": 2, "float32": 4}
# Slower than any processor by orders of magnitude, so most likely given in millions per second.
_SLOWEST_MACS_PER_S = 1e4

_TOP_KEYS = (
    "schema_version",
    "name",
    "source",
    "input_at",
    "exclusive",
    "baseline",
    "processors",
    "memories",
    "links",
)
_RATE_KEYS = ("default", *KINDS)
_PROCESSOR_KEYS = (
    "name",
    "rates_macs_per_s",
    "arithmetic",
    "ram",
    "flash",
    "active_power_w",
    "sleep_power_w",
    "wakeup_s",
    "runtime",
    "source",
)
_MEMORY_KEYS = ("name", "bytes", "source")
_LINK_KEYS = ("from", "to", "bandwidth_bytes_per_s", "latency_s", "energy_j_per_byte", "source")


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

    def rate(self, kind: str) -> float | None:
        """MAC/s for an operation type of ``KINDS``: its own rate, else the default; None if unknown."""
        own = self.rates_macs_per_s[kind]
        return self.rates_macs_per_s["default"] if own is None else own

    @property
    def bytes_per_element(self) -> int:
        return _BYTES_PER_ELEMENT[self.arithmetic]


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
        for processor in self.processors:
            if processor.name == name:
                return processor
        known = [p.name for p in self.processors]
        hint = nearest(name, known)
        raise InputError(f"{self.name} has no processor '{name}'{hint} (processors: {', '.join(known)})")

    def memory(self, name: str) -> Memory:
        """The memory of this name; InputError for an unknown one."""
        for memory in self.memories:
            if memory.name == name:
                return memory
        known = [m.name for m in self.memories]
        hint = nearest(name, known)
        raise InputError(f"{self.name} has no memory '{name}'{hint} (memories: {', '.join(known)})")

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
    try:
        is_folder = Path(name_or_path).is_dir()
        is_file = Path(name_or_path).exists() and not is_folder  # a pipe (--hw <(...)) serves as well
    except OSError as error:
        raise InputError(f"{name_or_path}: cannot be read: {error.strerror}") from error
    if is_file:
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
            {key: getattr(p, key) for key in _PROCESSOR_KEYS}
            | {"rates_macs_per_s": {key: p.rates_macs_per_s[key] for key in _RATE_KEYS}}
            for p in hardware.processors
        ],
        "memories": [{key: getattr(m, key) for key in _MEMORY_KEYS} for m in hardware.memories],
        "links": [
            {"from": k.sender, "to": k.receiver} | {key: getattr(k, key) for key in _LINK_KEYS[2:]}
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
    order = [p.name for p in hardware.processors]
    neighbours = list(pairwise(order))
    if hardware.input_at != order[0]:
        neighbours.insert(0, (hardware.input_at, order[0]))
    for sender, receiver in neighbours:
        if hardware.link(sender, receiver) is None:
            lines.append(f"links: none from {sender} to {receiver}: no design can hand over there")
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
    top = Section(parse(path, mistakes), "", _TOP_KEYS, mistakes)
    top.version(SCHEMA_VERSION)
    memory_sections = top.sections("memories", _MEMORY_KEYS)
    memories = tuple(Memory(s.name("name"), s.whole("bytes"), s.text("source")) for s in memory_sections)
    memory_names = _distinct(memory_sections, [m.name for m in memories])
    processor_sections = top.sections("processors", _PROCESSOR_KEYS)
    processors = tuple(_processor(s, memory_names) for s in processor_sections)
    names = _distinct(processor_sections, [p.name for p in processors])
    hardware = Hardware(
        name=top.text("name", required=True) or "",
        source=top.text("source"),
        input_at=_reference(top, "input_at", "processor", names, optional=True) or "".join(names[:1]),
        exclusive=top.flag("exclusive", False),
        baseline=_reference(top, "baseline", "processor", names, optional=True) or None,
        processors=processors,
        memories=memories,
        links=_links(top.sections("links", _LINK_KEYS, required=False), names),
    )
    mistakes.raise_if_any()
    return hardware


def _processor(section: Section, memory_names: list[str]) -> Processor:
    rates = section.section("rates_macs_per_s", _RATE_KEYS)
    return Processor(
        name=section.name("name"),
        rates_macs_per_s={k: rates.number(k, required=k == "default") for k in _RATE_KEYS} if rates else {},
        arithmetic=section.choice("arithmetic", _BYTES_PER_ELEMENT),
        ram=_reference(section, "ram", "memory", memory_names),
        flash=_reference(section, "flash", "memory", memory_names),
        active_power_w=section.number("active_power_w"),
        sleep_power_w=section.number("sleep_power_w", zero=True),
        wakeup_s=section.number("wakeup_s", zero=True),
        runtime=section.text("runtime"),
        source=section.text("source"),
    )


def _links(sections: tuple[Section, ...], names: list[str]) -> tuple[Link, ...]:
    links: list[Link] = []
    for section in sections:
        link = Link(
            sender=_reference(section, "from", "processor", names),
            receiver=_reference(section, "to", "processor", names),
            bandwidth_bytes_per_s=section.number("bandwidth_bytes_per_s", required=True),
            latency_s=section.number("latency_s", zero=True, default=0.0) or 0.0,
            energy_j_per_byte=section.number("energy_j_per_byte", zero=True),
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


def _reference(section: Section, key: str, what: str, names: list[str], *, optional: bool = False) -> str:
    """The name of a processor or memory of this file; the empty string if none is given or it is wrong."""
    name = section.name(key, optional=optional)
    # a name that could not be read (noted already) may be the one that is meant here
    if name and name not in names and names and "" not in names:
        section.note(key, f"there is no {what} '{name}'{nearest(name, names)} (known: {', '.join(names)})")
        return ""
    return name
