"""What files for devices need of memories and time, by format: as linked and counted, else by what they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from typing import Any

from eeaug.hardware.kernels import WIDTHS

__all__ = ["DeviceFiles", "ProcessorNeeds", "estimated_in", "files"]

Report = Mapping[str, Any]


@dataclass(frozen=True)
class ProcessorNeeds:
    """What one processor's files of a format take, in bytes.

    ``linked``: by a linked program, with code and stack; else weights, arena, input and hand-overs alone. ``words``
    say what the RAM is made of.
    """

    processor: str
    flash: int
    ram: int
    linked: bool
    words: str


@dataclass(frozen=True)
class DeviceFiles:
    """The files of one format.

    ``worst_s`` of its longest way, with what it rests on, "counted"; None: not counted.
    """

    format: str
    parts: tuple[ProcessorNeeds, ...]
    worst_s: float | None

    @property
    def linked(self) -> bool:
        return all(part.linked for part in self.parts)

    @property
    def flash(self) -> int:
        """Bytes of all processors together."""
        return sum(part.flash for part in self.parts)

    def ram(self, memories: Sequence[Report]) -> int:
        """Bytes of the RAM that needs most; arenas are static, so those of processors that share one add up."""
        return max(sum(p.ram for p in self.parts if p.processor in m["ram_of"]) for m in memories)

    def of_memory(self, memory: Report) -> int:
        """Bytes of a memory, ``memory`` a row of the report's, as RAM and flash of its processors."""
        ram = sum(part.ram for part in self.parts if part.processor in memory["ram_of"])
        return ram + sum(part.flash for part in self.parts if part.processor in memory["flash_of"])


def files(report: Report) -> tuple[DeviceFiles, ...]:
    """Those of every format for devices that the bundle has."""
    int8 = report["int8"] or {}
    blocks = {"c": report["c"], "c-int8": int8.get("c")}
    written = [
        DeviceFiles(name, tuple(_parts(report, block, WIDTHS[name])), _worst(block))
        for name, block in blocks.items()
        if block is not None
    ]
    arenas = _of_stages(report, "arenas", lambda s: None if s["arena_bytes"] is None else (s, "arena_bytes"))
    compiled = _of_stages(report, "tensors", lambda s: (s["vela"], "sram_bytes") if "vela" in s else None)
    more = {"tflm": tuple(arenas), "vela": tuple(compiled)}
    return (*written, *(DeviceFiles(name, parts, None) for name, parts in more.items() if parts))


def estimated_in(parts: DeviceFiles, width: int) -> DeviceFiles:
    """About what the same files would take in another width; code and stack are left as they are."""
    factor = width / WIDTHS[parts.format]
    scaled = [
        replace(part, flash=round(part.flash * factor), ram=round(part.ram * factor), linked=False)
        for part in parts.parts
    ]
    return DeviceFiles(parts.format, tuple(scaled), None)


def _parts(report: Report, block: Report, width: int) -> Iterator[ProcessorNeeds]:
    entries = block["processors"]
    received = [width * prod(report["model"]["input_shape"])]
    received += [before["handover_bytes"] for before, _ in pairwise(entries)]
    for entry, taken in zip(entries, received, strict=True):
        arena, sent = entry["arena_bytes"], entry["handover_bytes"]
        words = f"{entry['processor']}: arena {arena:,}, input and hand-over {taken + sent:,}"
        if entry["measured"] is None:
            yield ProcessorNeeds(entry["processor"], entry["weights_bytes"], arena + taken + sent, False, words)
            continue
        measured = entry["measured"]
        words += f", stack {measured['stack_bytes']:,}"
        yield ProcessorNeeds(entry["processor"], measured["flash_bytes"], measured["ram_bytes"], True, words)


def _of_stages(
    report: Report, what: str, file: Callable[[Report], tuple[Report, str] | None]
) -> Iterator[ProcessorNeeds]:
    """By processor, of files that a runtime reads, which comes on top: TFLM, or Vela's driver.

    ``file`` of an int8 stage: the record that says its size, and the key of what it takes of RAM, called ``what``.
    """
    processors = {segment["stage"]: segment["processor"] for segment in report["design"]["segments"]}
    known = [(processors[s["stage"]], file(s)) for s in (report["int8"] or {}).get("stages", ())]
    for processor in dict.fromkeys(processors.values()):
        mine = [record for name, record in known if name == processor and record is not None]
        if mine:
            ram = sum(record[key] for record, key in mine)
            flash = sum(record["file_bytes"] for record, _ in mine)
            yield ProcessorNeeds(processor, flash, ram, False, f"{processor}: {what} {ram:,}")


def _worst(block: Report) -> float | None:
    """Seconds of the longest way, as counted."""
    known = [way["latency_s"] for way in block["paths"] or ()]
    return None if not known or None in known else float(max(known))
