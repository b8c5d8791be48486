"""Instructions of the C files on the cores that they are for, counted by QEMU, and sizes of linked programs.

A processor's part of the cascade runs once on one sample, with all of its stages: copies of its sources say in
between what the instructions since the last time belonged to, a stage, its head or its decision, and go on where
samples would leave. What is known of such files is kept by their content.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from math import prod
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from eeaug.bundle.entries import CProcessor, Manifest
from eeaug.errors import ConversionError, InputError
from eeaug.export import feeds, names
from eeaug.export.c import cascade_source, emulated, sections, toolchain
from eeaug.export.c.text import filled, point, values
from eeaug.export.c.toolchain import Size
from eeaug.runtime import DEFAULT
from eeaug.support import cache, checksums

__all__ = ["CFiles", "Counted", "of_processor", "whole"]

VERSION = 1  # of how is counted
PARTS = 3  # slots of a stage: the network, its head, its decision
HOOK = "void eeaug_tick(int slot);\n"
# instructions of a MAC that are expected at most: what would run for minutes is not counted
PER_MAC, PER_MAC_IN_SOFTWARE = 12, 200
MOST = 10_000_000_000  # about a minute
FAR = 3 << 20  # bytes of weights from which on they lie in the board's large memory


@dataclass(frozen=True)
class CFiles:
    """The C files of a bundle, and what is to be known of them to run them.

    Parameters
    ----------
    folder : where they lie
    processors : as in the manifest
    number : the type of a tensor's elements in C
    given : per stage what it is given of one sample, as it lies in C: the sample, then what is handed over, the
        inputs of the model that go with it last
    """

    folder: Path
    manifest: Manifest
    processors: Sequence[CProcessor]
    number: str
    given: Sequence[NDArray[Any]]

    @property
    def prefix(self) -> str:
        return names.prefix(self.manifest)

    @property
    def stems(self) -> list[str]:
        """Names in C of the processors."""
        return [p.function.removeprefix(f"{self.prefix}_") for p in self.processors]

    def handed_bytes(self, i: int) -> int:
        """What the i-th processor hands over, and what goes with it."""
        last = self.processors[i].stages[-1]
        handover = self.manifest.stages[last].handover
        if handover is None:
            return 0
        reuse = any(stage.reuse for stage in self.manifest.stages)
        said = (last + 1) * self.manifest.decision.outputs if reuse else 0
        said += feeds.sizes(self.manifest.stages[last])
        width = 4 if self.number == "float" else 1
        return 4 + -(-width * (prod(handover.shape) + said) // 4) * 4

    def values(self, stage: int) -> str:
        """What a stage is given, as C has it."""
        array = self.given[stage]
        return values(array) if self.number == "float" else ", ".join(map(str, array.ravel().tolist()))

    def expected(self, stages: Sequence[int], cpu: str) -> float:
        """The most instructions that these stages may need."""
        software = self.number == "float" and toolchain.FLOATS not in toolchain.target(cpu)
        per_mac = PER_MAC_IN_SOFTWARE if software else PER_MAC
        return per_mac * sum(self.manifest.stages[k].macs for k in stages)


@dataclass(frozen=True)
class Counted:
    """Sizes of a linked program, and instructions (n, 3) of its stages: of the network, the head, the decision.

    ``refused``: why nothing was counted, then there are no ``instructions``.
    """

    size: Size
    instructions: tuple[tuple[int, int, int], ...]
    refused: str | None = None


def of_processor(files: CFiles, i: int, compiler: str, cpu: str, place: Path, kept: Path | None) -> Counted:
    """Of the i-th processor on ``cpu``; built in ``place``, for that core alone, and kept by content in ``kept``.

    Raises
    ------
    ConversionError : the files do not link
    """
    program = cascade_source.alone(files.stems, i, files.prefix, files.number)
    planned = files.processors[i]
    counting = {"count.c": _one_processor(files, i), **_with_ticks(files, planned.stages, whole=True)}
    known = _kept(kept, files, cpu, compiler, [program, *counting.values()])
    if (stored := _read(known)) is not None:
        return stored
    objects = _objects(files, compiler, cpu, place)
    size = toolchain.measured(compiler, files.folder, planned.function, program, cpu, place, objects)
    counted = _run(files, planned.stages, counting, compiler, cpu, place, size)
    _write(known, counted)
    return counted


def whole(files: CFiles, compiler: str, cpu: str, place: Path, kept: Path | None) -> int:
    """Instructions of the given model on ``cpu``: of all stages without heads and decisions.

    Raises
    ------
    ConversionError : they cannot be counted
    """
    stages = range(len(files.manifest.stages))
    counting = {"count.c": _stages_alone(files), **_with_ticks(files, stages, whole=False)}
    known = _kept(kept, files, cpu, compiler, [*counting.values()])
    counted = _read(known)
    if counted is None:
        _objects(files, compiler, cpu, place)
        counted = _run(files, stages, counting, compiler, cpu, place, Size(0, 0, 0, 0))
        _write(known, counted)
    if counted.refused is not None:
        raise ConversionError(counted.refused)
    return sum(network for network, _, _ in counted.instructions)


def _objects(files: CFiles, compiler: str, cpu: str, place: Path) -> list[Path]:
    """Of the cascade's sources, made once in ``place``, which is for these files and this core alone."""
    every = toolchain.sources(files.folder)
    new = [path for path in every if not (place / f"{path.stem}.o").exists()]
    toolchain.compiled(compiler, new, files.folder, cpu, place)
    return [place / f"{path.stem}.o" for path in every]


def _run(
    files: CFiles, stages: Sequence[int], counting: Mapping[str, str], compiler: str, cpu: str, place: Path,
    size: Size,
) -> Counted:  # fmt: skip
    """Count with the sources of ``counting`` in place of those of their names, whose objects are in ``place``."""
    try:
        emulated.board(cpu)
        if files.expected(stages, cpu) > MOST:
            raise ConversionError("so many instructions would take QEMU minutes")
        changed = place / "counting"
        changed.mkdir(exist_ok=True)
        for name, text in counting.items():
            (changed / name).write_text(text, encoding="utf-8")
        paths = [changed / name for name in counting]
        weights = sum(processor.weights_bytes for processor in files.processors)
        section = f"{files.prefix.upper()}_WEIGHTS_SECTION"
        far = [f'-D{section}=__attribute__((section(".samples")))'] if weights > FAR else []
        objects = toolchain.compiled(compiler, paths, files.folder, cpu, changed, ["-w", *far])
        same = [place / f"{p.stem}.o" for p in toolchain.sources(files.folder) if p.name not in counting]
        printed = emulated.run(compiler, cpu, [*objects, *same], changed)
        slots = emulated.instructions(printed, cpu, PARTS * len(files.manifest.stages))
    except ConversionError as error:
        return Counted(size, (), str(error))
    rows = [tuple(slots[PARTS * k : PARTS * k + PARTS]) for k in stages]
    return Counted(size, tuple((a, b, c) for a, b, c in rows))


def _one_processor(files: CFiles, i: int) -> str:
    """A program that takes a sample through one processor's part."""
    prefix, planned = files.prefix, files.processors[i]
    first, last = planned.stages[0], planned.stages[-1]
    array, onward = files.given[first], i + 1 < len(files.processors)
    # what is carried lies behind the tensor
    received = f"source.build = {prefix.upper()}_BUILD;\n    memcpy(source.tensor, given, sizeof source.tensor);"
    if first and (carried := feeds.sizes(files.manifest.stages[first - 1])):
        size = array.size - carried
        received += f"\n    memcpy(source.carried, given + {size}, sizeof source.carried);"
    return filled(
        "count.c",
        prefix,
        ticks=_ticks(files),
        number=files.number,
        count=array.size,
        given=files.values(first),
        source=f"static {prefix}_to_{files.stems[i]} source;" if i else "",
        target=f"static {prefix}_to_{files.stems[i + 1]} target;" if onward else "",
        filled=received if i else "",
        function=planned.function,
        argument="&source" if i else "given",
        default_point=point(DEFAULT, prefix),
        out=", &target" if onward else "",
        after=PARTS * last + 2,
    )


def _stages_alone(files: CFiles) -> str:
    """A program that calls every stage on what it is given."""
    stages, prefix = files.manifest.stages, files.prefix
    handed = [prod(stage.handover.shape) for stage in stages if stage.handover is not None]
    arrays = [
        f"static const {files.number} given_{k}[{files.given[k].size}] = {{\n{files.values(k)}\n}};"
        for k in range(len(stages))
    ]
    calls, fed, arrived = [], feeds.feeds(stages), "given_0"  # where inputs of the model lie
    for k, stage in enumerate(stages):
        onward = "" if stage.handover is None else ", handover"
        if k and stage.processor != stages[k - 1].processor:
            arrived = f"given_{k} + {prod(stage.row.shapes[0])}"
        besides = f", {arrived}" if fed[k].sample else ""
        calls += [f"    {prefix}_stage_{k}(&arena, given_{k}{besides}, probabilities{onward});"]
        calls += [f"    eeaug_tick({PARTS * k + 2});"]
    return filled(
        "count_stages.c",
        prefix,
        includes="\n".join(f'#include "{prefix}_stage_{k}.h"' for k in range(len(stages))),
        ticks=_ticks(files),
        given="\n".join(arrays),
        number=files.number,
        arena=max(1, *(p.arena_bytes for p in files.processors)),
        outputs=files.manifest.decision.outputs,
        handed=max([1, *handed]),
        calls="\n".join(calls),
    )


def _ticks(files: CFiles) -> str:
    return filled("ticks.h", slots=PARTS * len(files.manifest.stages))


def _with_ticks(files: CFiles, stages: Sequence[int], *, whole: bool) -> dict[str, str]:
    """Copies of the sources of stages, and (``whole``) of the cascade's, that call the hook in between."""
    texts = {}
    for k in stages:
        name = f"{files.prefix}_stage_{k}.c"
        texts[name] = _ticked_stage((files.folder / name).read_text(encoding="utf-8"), files.prefix, k)
    if whole:
        name = f"{files.prefix}.c"
        texts[name] = _ticked_cascade((files.folder / name).read_text(encoding="utf-8"), len(files.manifest.stages))
    return texts


def _ticked_stage(text: str, prefix: str, k: int) -> str:
    """A stage's source: what was before it belongs to its decision, then to where each part of it ends."""
    begin = text.index(f"\nvoid {prefix}_stage_{k}(")
    head, body = text[:begin], text[begin:]
    opened, rest = body.split("\n{\n", 1)
    code, end = rest.rsplit("}\n", 1)
    lines, part = [_tick(PARTS * k + 2)], 0
    for line in code.splitlines():
        if line in (sections.NETWORK, sections.HEAD):
            lines.append(_tick(PARTS * k + part))
            part = int(line == sections.HEAD)
        lines.append(line)
    lines.append(_tick(PARTS * k + part))
    return HOOK + head + opened + "\n{\n" + "\n".join(lines) + "\n}\n" + end


def _ticked_cascade(text: str, stages: int) -> str:
    """The cascade's source: every decision is made, and none ends the way of the sample."""

    def gone_on(match: re.Match[str]) -> str:
        return f"    (void)decided({match[1]}, {match[2]}, point, result);\n{_tick(PARTS * int(match[2]) + 2)}"

    pattern = r"^    if \(decided\((.*), (\d+), point, result\)\) \{\n        return \w+_DECIDED;\n    \}"
    text, changed = re.subn(pattern, gone_on, text, flags=re.M)
    if changed != stages - 1:
        raise AssertionError(f"{changed} decisions of {stages - 1} were found in the cascade's source")
    return HOOK + text


def _tick(slot: int) -> str:
    return f"    eeaug_tick({slot});"


def _kept(directory: Path | None, files: CFiles, cpu: str, compiler: str, programs: Sequence[str]) -> Path | None:
    """Where it stands what was counted of such files before; None: nothing is kept."""
    if directory is None or shutil.which(emulated.QEMU) is None:  # with QEMU there will be more to keep
        return None
    digest = hashlib.sha256()
    for path in sorted([*files.folder.glob("*.[ch]"), *files.folder.glob("third_party/**/*.[ch]")]):
        digest.update(path.relative_to(files.folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    for text in programs:
        digest.update(text.encode() + b"\0")
    versions = [VERSION, toolchain.version(compiler), emulated.version(), cpu, toolchain.OPTIONS]
    return directory / f"{cache.key({'files': digest.hexdigest(), 'versions': versions})}.json"


def _read(path: Path | None) -> Counted | None:
    if path is None or not cache.is_there(path):
        return None
    facts = checksums.read_json(path)
    if facts is None:
        cache.damaged("counted instructions", path)
        return None
    cache.touch(path)
    return Counted(Size(*facts["size"]), tuple((a, b, c) for a, b, c in facts["instructions"]))


def _write(path: Path | None, counted: Counted) -> None:
    """Keep it; where that cannot be, or nothing was counted, the next run tries again."""
    if path is None or counted.refused is not None:
        return
    facts = {"size": list(astuple(counted.size)), "instructions": counted.instructions}
    with contextlib.suppress(InputError, OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with cache.publishing(path) as partial:
            checksums.write_json(partial, path, facts)
