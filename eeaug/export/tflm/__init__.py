"""``--format tflm``: the int8 stages of microcontrollers as C++ for TensorFlow Lite for Microcontrollers.

A line of code here may touch what is written below ``tflm/``.

    interpreter  a file in TensorFlow Lite for Microcontrollers on this machine
    operators    what TFLM calls the operators of int8 files
    numbers      samples and hand-overs as int8, in C++
    stream       decisions that remember the samples before
    source       models as arrays, and a driver for every processor
    watch        leave counters on the device, and an alarm
    readme       README.md with a whole program
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib.resources import files
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.bundle.device_entries import TflmStage
from eeaug.bundle.entries import Added, Manifest, StageEntry
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import STEP, Decision, Quantised
from eeaug.errors import ConversionError
from eeaug.export import names
from eeaug.export.c import stream_check, toolchain
from eeaug.export.formats import Checked, Work
from eeaug.export.int8 import int8_cascade
from eeaug.export.tflm import interpreter, numbers, operators, readme, source, stream, watch
from eeaug.export.tflm.interpreter import answers, arena
from eeaug.export.tflm.source import DriverStage
from eeaug.export.verify import Reference
from eeaug.frameworks import tflite_file
from eeaug.frameworks.runners import Int8
from eeaug.frameworks.tflite_session import Quantisation
from eeaug.hardware import Hardware
from eeaug.runtime import heard
from eeaug.settings import Contradiction
from eeaug.streams.kinds import described
from eeaug.streams.rules import Rule
from eeaug.streams.sequences import Sequences
from eeaug.streams.walk import Course
from eeaug.support import leftovers

__all__ = ["check", "complete", "microcontrollers", "refuse", "refuse_decision", "write"]

FOLDER = "tflm"
MOST_RAM = 64 << 20  # bytes: a processor with more is no microcontroller
MOST_CLASSES = 511  # whose exponentials TFLM's int8 softmax can add up where all are equally probable
PROBABILITY = Quantisation(1 / 256, -128)


def microcontrollers(hardware: Hardware) -> set[str]:
    """Processors with little memory, or that are said to run TFLM."""
    ram = {memory.name: memory.bytes for memory in hardware.memories}
    return {p.name for p in hardware.processors if ram[p.ram] <= MOST_RAM or "TFLM" in (p.runtime or "")}


def refuse(hardware: Hardware) -> None:
    """Raises Contradiction where no processor of the target is a microcontroller."""
    if not microcontrollers(hardware):
        raise Contradiction(
            f"{{formats}}: {{0}} has no microcontroller, which is a processor with at most {MOST_RAM >> 20} MiB of "
            "RAM, or one whose runtime names TFLM",
            hardware.name, formats="tflm",
        )  # fmt: skip


def refuse_decision(decision: Decision) -> None:
    """Raises ConversionError where there are more classes than TFLM, and LiteRT's reference kernels, can tell."""
    if decision.kind == "softmax" and decision.outputs > MOST_CLASSES:
        raise ConversionError(
            f"--format tflm: TFLM's int8 softmax ends the program where {MOST_CLASSES + 1} or more classes are "
            f"about equally probable, and the model has {decision.outputs:,}; leave tflm out of --format"
        )


def write(work: Work) -> Added:
    """Write ``tflm/``; arena bytes and operators are ``tflm`` of the manifest's stages.

    Raises
    ------
    ConversionError : TFLM lacks an operator of a stage
    """
    folder = work.directory / FOLDER
    folder.mkdir()
    on = microcontrollers(work.hardware)
    manifest, taken = work.manifest, _taken(work)
    prefix = names.prefix(manifest)
    digest = sha256(
        repr((manifest.decision, manifest.classes, manifest.stages, _points(manifest), prefix)).encode()
    )
    streams = _streams(manifest)
    digest.update(b"" if streams is None else repr(described(streams)).encode())
    parts: dict[int, DriverStage] = {}
    for number, entry in enumerate(manifest.stages):
        content = (work.directory / entry.files[int8_cascade.FORMAT]).read_bytes()
        digest.update(content)
        if entry.processor not in on:
            continue
        parts[number] = _part(number, entry, content, taken[number])
        for name, text in source.array(prefix, number, content).items():
            (folder / name).write_text(text, encoding="utf-8")
    cascade = source.DriverCascade(
        prefix,
        manifest.classes,
        manifest.decision,
        manifest.stages,
        _points(manifest),
        {name: list(mine) for name, mine in groupby(parts.values(), key=lambda part: part.entry.processor)},
        int.from_bytes(digest.digest()[:4], "big"),
        streams,
    )
    (folder / f"{prefix}.h").write_text(source.header(cascade), encoding="utf-8")
    (folder / "README.md").write_text(readme.readme(cascade), encoding="utf-8")
    decide = files("eeaug.export.tflm").joinpath("templates/decide.h").read_text(encoding="utf-8")
    (folder / "decide.h").write_text(decide, encoding="utf-8")
    if streams is not None:
        text = stream.source(streams, len(manifest.stages) - 1, manifest.decision.outputs, prefix)
        (folder / stream.file(prefix)).write_text(text, encoding="utf-8")
    for name in cascade.parts:
        (folder / f"{prefix}_{source.identifier(name)}.cc").write_text(
            source.driver(cascade, name), encoding="utf-8"
        )
    numbers = {name: [part.number for part in mine] for name, mine in cascade.parts.items()}
    _write_watch(work, numbers, None)
    paths, entries = [], []
    for number in range(len(manifest.stages)):
        part = parts.get(number)
        paths.append(None if part is None else f"{FOLDER}/{source.model(prefix, number)}.cc")
        entries.append({} if part is None else {"tflm": _entry(part)})
    return Added(paths, entries)


def complete(work: Work) -> None:
    """Give the counters on the device the reference of the int8 cascade."""
    assert work.manifest.int8 is not None
    parts = [(k, entry.processor) for k, entry in enumerate(work.manifest.stages) if entry.tflm is not None]
    numbers = {name: [k for k, _ in mine] for name, mine in groupby(parts, key=lambda part: part[1])}
    _write_watch(work, numbers, work.manifest.int8.reference)


def _write_watch(work: Work, parts: Mapping[str, Sequence[int]], reference: Mapping[str, Any] | None) -> None:
    manifest = work.manifest
    points = [name for name, _ in _points(manifest)]
    texts = watch.files(names.prefix(manifest), points, len(manifest.stages) - 1, parts, reference)
    for name, text in texts.items():
        (work.directory / FOLDER / name).write_text(text, encoding="utf-8")


def _streams(manifest: Manifest) -> Rule | None:
    """What of the int8 files decides streams."""
    entry = manifest.stream
    return None if entry is None or entry.int8 is None else entry.int8.rule


def _points(manifest: Manifest) -> list[tuple[str, Sequence[int | None]]]:
    """Constants (m) of every operating point that the int8 files have; without an exit of the default one."""
    points = [(p.name, p.int8.constants) for p in manifest.operating_points if p.int8 is not None]
    return [*points] or [("default", [numbers.int8_of(entry).constant for entry in manifest.stages[:-1]])]


def check(work: Work, reference: Reference) -> Checked:
    """Run the stages of microcontrollers in TFLM, each in the arena that its driver has; others stay in LiteRT.

    What decides streams is compiled, where a compiler is here, and given what TFLM has said.
    """
    stages = int8_cascade.cascade(work.directory, work.manifest, work.threads)
    sessions = tuple(
        _InTflm(entry, session, (work.directory / entry.files[int8_cascade.FORMAT]).read_bytes())
        if entry.tflm is not None and isinstance(session, Int8)
        else session
        for entry, session in zip(stages.stages, stages.sessions, strict=True)
    )
    probabilities = replace(stages, sessions=sessions).answers(work.x)
    compiler, rule = toolchain.host_cpp(), _streams(work.manifest)
    if rule is not None and compiler is not None:
        _check_stream(work, rule, probabilities, compiler)
    return replace(reference.check("tflm", probabilities), samples=len(work.x))


def _check_stream(work: Work, rule: Rule, said: Sequence[NDArray[np.float32]], compiler: str) -> None:
    """Push the samples, of which TFLM has ``said`` these probabilities; compare with the walk along the same."""
    manifest, folder = work.manifest, work.directory / FOLDER
    prefix, weights = names.prefix(manifest), [stage.reuse for stage in manifest.stages]
    given = np.stack([PROBABILITY.quantised(p) for p in said], axis=1).tobytes()
    with leftovers.scratch() as place:
        (place / "main.cc").write_text(stream.program(prefix, weights), encoding="utf-8")
        files = [str(folder / stream.file(prefix)), str(place / "main.cc")]
        line = [compiler, "-O2", "-std=c++17", f"-I{folder}", *files, "-lm", "-o", str(place / "main")]
        toolchain.run(line)
        printed = toolchain.run([str(place / "main")], given)
    decided = toolchain.decisions_of(printed, len(work.x), "TFLM files")
    decision = Quantised(**manifest.decision.as_dict())
    answers = [decision.answers(p) for p in heard(decision, manifest.stages, said)]
    labels = np.zeros(len(work.x), np.int64)
    rows = Outcomes(np.array([c for c, _ in answers]), np.array([k for _, k in answers]), labels)
    floats = any(weights) or decision.measure == "entropy"  # logarithms of two libraries
    stream_check.check(rule, Course(rows, said[0], Sequences(labels)), *decided, 2 * STEP * floats, "TFLM files")


@dataclass(frozen=True)
class _InTflm:
    """A stage as a session that runs it in TFLM; ``session`` is the same file in LiteRT."""

    entry: StageEntry
    session: Int8
    content: bytes

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        assert self.entry.tflm is not None
        taken = [self.session.taken(name, inputs[name]) for name in tflite_file.inputs(self.content)]
        try:
            results = answers(self.content, self.entry.tflm.arena_bytes, taken)
        except RuntimeError as error:
            raise _refused(self.entry, error) from error
        probabilities, *handed = (results[output] for output in outputs)
        return [PROBABILITY.real(probabilities), *handed]


def _taken(work: Work) -> list[dict[str, NDArray[np.int8]]]:
    """What the file of every stage takes of the first sample, by name."""
    stages = int8_cascade.cascade(work.directory, work.manifest, work.threads)
    tensors: list[tuple[NDArray[Any], ...]] = [tuple(stages.stages[0].row.split(work.x[:1]).values())]
    tensors += [handed for _, handed in stages.through(work.x[:1]) if handed]
    taken = []
    for entry, session, given in zip(stages.stages, stages.sessions, tensors, strict=True):
        assert isinstance(session, Int8)
        by_name = dict(zip(entry.row.names, given, strict=True))
        taken.append({name: session.taken(name, by_name[name]) for name in entry.inputs})
    return taken


def _part(number: int, entry: StageEntry, content: bytes, taken: Mapping[str, NDArray[np.int8]]) -> DriverStage:
    listed, named = tflite_file.operators(content), tflite_file.inputs(content)
    x = [taken[name] for name in named]
    try:
        operators.check_operators(listed)
        smallest = arena(content, x)
    except (RuntimeError, ConversionError) as error:
        raise _refused(entry, error) from error
    return DriverStage(number, entry, smallest, listed, tflite_file.outputs(content), named)


def _entry(part: DriverStage) -> TflmStage:
    return TflmStage(part.arena.bytes, part.arena.least, tuple(part.operators))


def _refused(entry: StageEntry, error: Exception) -> ConversionError:
    why = str(error).removeprefix(f"{interpreter.DOING}: ")
    return ConversionError(f"stage {entry.name} cannot run in TFLM: {why}")
