"""Hardware descriptions as files, and those that are shipped."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from pathlib import Path

from eeaug.errors import InputError
from eeaug.hardware.fields import FIELDS, RATES
from eeaug.hardware.target import Hardware, Level, Link, Memory, Processor
from eeaug.support.places import check_name
from eeaug.support.spelling import nearest
from eeaug.support.strict_yaml import Mistakes, Section, parse

__all__ = ["read", "shipped"]


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


def _read_file(path: Path) -> Hardware:
    mistakes = Mistakes(str(path))
    top = Section(parse(path, mistakes), "", FIELDS, mistakes)
    top.version("schema_version")
    memory_sections = top.sections("memories")
    memories = tuple(
        Memory(s.name("name"), s.whole("bytes"), s.text("source"), s.number("bandwidth_bytes_per_s"))
        for s in memory_sections
    )
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
        links=_links(top.sections("links"), names, {p.name for p in processors if p.remote}),
    )
    mistakes.raise_if_any()
    return hardware


def _processor(section: Section, memory_names: list[str]) -> Processor:
    rates = section.section("rates_macs_per_s")
    ram, *more_ram = section.references("ram", memory_names)
    flash, *more_flash = section.references("flash", memory_names)
    processor = Processor(
        name=section.name("name"),
        rates_macs_per_s={f.key: rates.number(f.key) for f in RATES} if rates else {},
        arithmetic=section.choice("arithmetic"),
        ram=ram,
        flash=flash,
        more_ram=tuple(more_ram),
        more_flash=tuple(more_flash),
        active_power_w=section.number("active_power_w"),
        sleep_power_w=section.number("sleep_power_w"),
        wakeup_s=section.number("wakeup_s"),
        runtime=section.text("runtime"),
        cpu=section.choice("cpu") or None,
        accelerator=section.choice("accelerator") or None,
        remote=section.flag("remote"),
        clock_hz=section.number("clock_hz"),
        cycles_per_instruction=section.number("cycles_per_instruction"),
        basis=section.choice("basis") or None,
        source=section.text("source"),
        overhead_s_per_layer=section.number("overhead_s_per_layer"),
        overhead_s_per_element=section.number("overhead_s_per_element"),
        operating_points=_levels(section.sections("operating_points")),
    )
    if not processor.operating_points or not all(level.clock_hz for level in processor.operating_points):
        return processor
    if processor.clock_hz is None:
        processor = replace(processor, clock_hz=processor.operating_points[0].clock_hz)
    if processor.nominal is None:
        clocks = ", ".join(f"{level.clock_hz:g}" for level in processor.operating_points)
        section.note(
            "operating_points", f"none has the processor's clock_hz {processor.clock_hz:g}, given {clocks}"
        )
    else:
        at, power = processor.nominal, processor.active_power_w
        if None not in (at.active_power_w, power) and at.active_power_w != power:
            section.note(
                f"operating_points[{processor.operating_points.index(at)}].active_power_w",
                f"must be that of the processor, whose clock it has, {power:g}, given {at.active_power_w:g}",
            )
    return processor


def _levels(sections: tuple[Section, ...]) -> tuple[Level, ...]:
    levels = tuple(
        Level(
            name=section.name("name"),
            clock_hz=section.number("clock_hz") or 0.0,
            voltage_v=section.number("voltage_v"),
            active_power_w=section.number("active_power_w"),
            switch_s=section.number("switch_s"),
            source=section.text("source"),
        )
        for section in sections
    )
    _distinct(sections, [level.name for level in levels])
    return levels


def _links(sections: tuple[Section, ...], names: list[str], remote: set[str]) -> tuple[Link, ...]:
    links: list[Link] = []
    for section in sections:
        link = Link(
            sender=section.reference("from", names),
            receiver=section.reference("to", names),
            bandwidth_bytes_per_s=section.number("bandwidth_bytes_per_s"),
            latency_s=section.number("latency_s") or 0.0,
            energy_j_per_byte=section.number("energy_j_per_byte"),
            source=section.text("source"),
            latency_p95_s=section.number("latency_p95_s"),
            bandwidth_p5_bytes_per_s=section.number("bandwidth_p5_bytes_per_s"),
            encoding=section.choice("encoding") or None,
            compression=section.choice("compression") or None,
        )
        for key in ("encoding", "compression"):
            if getattr(link, key) and not {link.sender, link.receiver} & remote:
                section.note(key, f"neither {link.sender} nor {link.receiver} is `remote`")
        if link.latency_p95_s is not None and link.latency_p95_s < link.latency_s:
            section.note(
                "latency_p95_s", f"must be {link.latency_s:g} or more, the latency_s, given {link.latency_p95_s:g}"
            )
        slow, usual = link.bandwidth_p5_bytes_per_s, link.bandwidth_bytes_per_s
        if slow is not None and usual is not None and slow > usual:
            section.note(
                "bandwidth_p5_bytes_per_s", f"must be at most bandwidth_bytes_per_s, {usual:g}, given {slow:g}"
            )
        if link.compression and not link.encoding:
            section.note("compression", "needs an `encoding`, such as float32")
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
