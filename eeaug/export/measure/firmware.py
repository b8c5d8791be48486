"""C files that time a bundle's C files on a core: its kernels, its stages with a call behind every layer, and a
function for each processor that runs them and prints lines of CSV."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib import resources
from math import prod

from eeaug.bundle.entries import CProcessor, Manifest
from eeaug.bundle.manifest import Bundle
from eeaug.errors import InputError
from eeaug.export import feeds, names
from eeaug.export.c import emulated
from eeaug.export.c.common_files import EXAMPLE
from eeaug.export.c.text import filled as c_filled
from eeaug.export.measure.layers import TimedLayer, layers, with_hooks
from eeaug.hardware import Hardware

__all__ = ["COLUMNS", "FORMATS", "TimedPart", "filled", "identity", "project", "timed"]

COLUMNS = "bundle,processor,stage,layer,kernel,cycles,clock_hz"
FORMATS = {"c-int8": "int8_t", "c": "float"}  # → the type of tensors


@dataclass(frozen=True)
class TimedPart:
    """What a processor runs of the C files: the numbers of its stages, and the layers of each."""

    processor: CProcessor
    function: str
    layers: Mapping[int, Sequence[TimedLayer]]

    @property
    def stages(self) -> tuple[int, ...]:
        return tuple(self.layers)

    @property
    def lines(self) -> list[tuple[int, int, str]]:
        """Stage, place of the layer (-1: all of the stage) and kernel of every line that it prints, in order."""
        return [
            row
            for k, rows in self.layers.items()
            for row in (*((k, i, layer.kernel) for i, layer in enumerate(rows)), (k, -1, "stage"))
        ]


def identity(bundle: Bundle, format: str) -> str:
    """Eight hexadecimal digits of what is timed: equal where the files of the stages are."""
    files = [stage.files.get(format) for stage in bundle.entries.stages]
    digests = [bundle.manifest["files"][name] for name in files if name is not None]
    return sha256("\n".join([format, *digests]).encode()).hexdigest()[:8]


def timed(bundle: Bundle, format: str) -> list[TimedPart]:
    """What every processor runs.

    Raises
    ------
    InputError : the bundle has no such files
    ConversionError : they are not as eeaug writes them
    """
    manifest = bundle.entries
    processors = manifest.c if format == "c" else manifest.c_int8
    if processors is None:
        raise InputError(
            f"{bundle.directory} has no {format} files; `eeaug retarget --format {format}` writes them"
        )
    prefix = names.prefix(manifest)
    return [
        TimedPart(p, f"measure_{p.function.removeprefix(f'{prefix}_')}", _layers(bundle, format, prefix, p))
        for p in processors
    ]


def _layers(bundle: Bundle, format: str, prefix: str, processor: CProcessor) -> dict[int, list[TimedLayer]]:
    return {k: layers(_source(bundle, format, prefix, k), prefix, k) for k in processor.stages}


def _source(bundle: Bundle, format: str, prefix: str, k: int) -> str:
    return bundle.file(f"{format}/{prefix}_stage_{k}.c").read_text(encoding="utf-8")


def project(bundle: Bundle, format: str, hardware: Hardware) -> dict[str, str]:
    """All files of the firmware project, by their paths in it."""
    manifest, prefix = bundle.entries, names.prefix(bundle.entries)
    parts = timed(bundle, format)
    texts = {
        name.removeprefix(f"{format}/"): bundle.file(name).read_text(encoding="utf-8")
        for name in bundle.manifest["files"]
        if _is_needed(name, format, prefix)
    }
    slot = 0
    slots: dict[tuple[int, int], int] = {}
    for part in parts:
        for k, rows in part.layers.items():
            texts[f"{prefix}_stage_{k}.c"] = with_hooks(_source(bundle, format, prefix, k), prefix, k, slot)
            for i in (*range(len(rows)), -1):
                slots[k, i] = slot
                slot += 1
        clock_hz = hardware.processor(part.processor.name).clock_hz
        texts[f"{part.function}.c"] = _program(manifest, part, slots, FORMATS[format], prefix, clock_hz or 0)
    bundled = identity(bundle, format)
    first = parts[0].processor.name
    cpus = {p.processor.name: hardware.processor(p.processor.name).cpu or "" for p in parts}
    clocks = {p.processor.name: hardware.processor(p.processor.name).clock_hz for p in parts}
    return {
        **texts,
        "measure.h": filled("measure.h", slots=slot),
        "measure.c": filled("measure.c", bundle=bundled, columns=COLUMNS),
        "main.c": filled("main.c"),
        "Makefile": filled(
            "Makefile",
            first=first,
            cpus="\n".join(f"CPU_{name} = {cpu}" for name, cpu in cpus.items()),
            functions="\n".join(f"FUNCTION_{p.processor.name} = {p.function}" for p in parts),
            boards=emulated.make("qemu"),
        ),
        "README.md": filled(
            "README.md",
            first=first,
            calls="\n".join(f"   `{p.function}()` on {p.processor.name}" for p in parts),
            clocks=", ".join(
                f"{name}: {'unknown' if hz is None else f'{hz:.0f} Hz'}" for name, hz in clocks.items()
            ),
        ),
        **{f"qemu/{name.rpartition('/')[2]}": c_filled(name) for name in EXAMPLE},
    }


def filled(template: str, **known: object) -> str:
    """A file of ``templates/`` with every ``@{name}`` replaced."""
    text = resources.files("eeaug.export.measure").joinpath("templates", template).read_text(encoding="utf-8")
    return re.sub(r"@\{(\w+)\}", lambda match: str(known[match[1]]), text)


def _is_needed(name: str, format: str, prefix: str) -> bool:
    """Stages, kernels and what these carry along; not the cascade, its tests and its build files."""
    folder, _, path = name.partition("/")
    if folder != format:
        return False
    if path.startswith("third_party/"):
        return True
    return re.fullmatch(rf"{prefix}_(stage_\d+|kernels)\.[ch]|cmsis_nn\.c", path) is not None


def _program(
    manifest: Manifest,
    part: TimedPart,
    slots: Mapping[tuple[int, int], int],
    number: str,
    prefix: str,
    clock_hz: float,
) -> str:
    """``measure_<processor>.c``."""
    first = part.stages[0]
    fed = feeds.feeds(manifest.stages)
    inputs = fed[first].input
    tensors = [f"static {number} tensor_{first}[{inputs}];"]
    here = fed[first].here if first else None
    if here is not None:  # inputs of the model that came with the hand-over
        tensors.append(f"static {number} sample[{sum(here.sizes)}];")
    calls = []
    for k in part.stages:
        stage = manifest.stages[k]
        besides = ["sample" if first else f"tensor_{first}"] if fed[k].sample else []
        arguments = ["&arena", f"tensor_{k}", *besides, "probabilities"]
        if stage.handover is not None:
            tensors.append(f"static {number} tensor_{k + 1}[{prod(stage.handover.shape)}];")
            arguments.append(f"tensor_{k + 1}")
        calls += [
            "measure_begin();",
            f"{prefix}_stage_{k}({', '.join(arguments)});",
            f"measure_end({slots[k, -1]});",
        ]
    tensors.append(f"static {number} probabilities[{manifest.decision.outputs}];")
    listed = [f'    {{{k}, {i}, "{kernel}", {slots[k, i]}}},' for k, i, kernel in part.lines]
    return filled(
        "processor.c",
        processor=part.processor.name,
        stages_text=f"stages {', '.join(map(str, part.stages))}",
        includes="\n".join(f'#include "{prefix}_stage_{k}.h"' for k in part.stages),
        clock=f"{clock_hz:.0f}u /* 0: not known */" if not clock_hz else f"{clock_hz:.0f}u",
        lines="\n".join(listed),
        arena=max(1, part.processor.arena_bytes),
        tensors="\n".join(tensors),
        function=part.function,
        inputs=inputs,
        input=f"tensor_{first}",
        value="(int8_t)(i % 199 - 99)" if number == "int8_t" else "(float)(i % 199 - 99) / 100.0f",
        calls="\n".join(f"        {line}" for line in calls),
    )
