"""``--format tflm``: the int8 stages of microcontrollers as C++ for TensorFlow Lite for Microcontrollers.

interpreter  TFLM on this machine
source       C++ text

    interpreter  a file in TensorFlow Lite for Microcontrollers on this machine
    source       models as arrays, and a driver for every processor
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.output import Decision
from eeaug.errors import ConversionError, InputError
from eeaug.export.formats import Work
from eeaug.export.int8 import int8_cascade
from eeaug.export.tflm import interpreter, source
from eeaug.export.tflm.interpreter import answers, arena
from eeaug.export.tflm.source import Part
from eeaug.export.verify import Reference
from eeaug.frameworks import tflite_file
from eeaug.frameworks.runners import Int8
from eeaug.frameworks.tflite_session import Quantisation
from eeaug.hardware import Hardware

__all__ = ["check", "microcontrollers", "refuse", "refuse_decision", "write"]

FOLDER = "tflm"
MOST_RAM = 64 << 20  # bytes: what has more of it is no microcontroller
MOST_CLASSES = 511  # whose exponentials TFLM's int8 softmax can add up where all are equally probable
PROBABILITY = Quantisation(1 / 256, -128)


def microcontrollers(hardware: Hardware) -> set[str]:
    """Processors with little memory, or that are said to run TFLM."""
    ram = {memory.name: memory.bytes for memory in hardware.memories}
    return {p.name for p in hardware.processors if ram[p.ram] <= MOST_RAM or "TFLM" in (p.runtime or "")}


def refuse(hardware: Hardware) -> None:
    """Raises InputError where no processor of the target is a microcontroller."""
    if not microcontrollers(hardware):
        raise InputError(
            f"--format tflm: {hardware.name} has no microcontroller, which is a processor with at most "
            f"{MOST_RAM >> 20} MiB of RAM, or one whose runtime names TFLM"
        )


def refuse_decision(decision: Decision) -> None:
    """Raises ConversionError where there are more classes than TFLM, and LiteRT's reference kernels, can tell."""
    if decision.kind == "softmax" and decision.outputs > MOST_CLASSES:
        raise ConversionError(
            f"--format tflm: TFLM's int8 softmax ends the program where {MOST_CLASSES + 1} or more classes are "
            f"about equally probable, and the model has {decision.outputs:,}; leave tflm out of --format"
        )


def write(work: Work) -> None:
    """Write ``tflm/``; arena bytes and operators stand as ``tflm`` in the manifest's stages.

    Raises
    ------
    ConversionError : TFLM lacks an operator of a stage
    """
    folder = work.directory / FOLDER
    folder.mkdir()
    on = microcontrollers(work.hardware)
    parts, taken = [], _taken(work)
    for number, entry in enumerate(work.manifest["stages"]):
        if entry["processor"] not in on:
            continue
        content = (work.directory / entry["files"][int8_cascade.FORMAT]).read_bytes()
        part = _part(number, entry, content, taken[number])
        for name, text in source.array(number, content).items():
            (folder / name).write_text(text, encoding="utf-8")
        entry["files"]["tflm"] = f"{FOLDER}/stage_{number}_model.cc"
        entry["tflm"] = {
            "arena_bytes": part.arena.bytes,
            "arena_least_bytes": part.arena.least,
            "operators": list(part.operators),
        }
        parts.append(part)
    points = [(p["name"], p["int8"]["constants"]) for p in work.manifest["operating_points"] if "int8" in p]
    cascade = source.Cascade(
        Decision(**work.manifest["decision"]),
        work.manifest["stages"],
        points or [("default", [entry["int8"]["constant"] for entry in work.manifest["stages"][:-1]])],
        {name: list(mine) for name, mine in groupby(parts, key=lambda part: str(part.entry["processor"]))},
    )
    (folder / "cascade.h").write_text(source.header(cascade), encoding="utf-8")
    decide = files("eeaug.export.tflm").joinpath("templates/decide.h").read_text(encoding="utf-8")
    (folder / "decide.h").write_text(decide, encoding="utf-8")
    for name in cascade.parts:
        (folder / f"{source.identifier(name)}.cc").write_text(source.driver(cascade, name), encoding="utf-8")


def check(work: Work, reference: Reference) -> dict[str, Any]:
    """Run the stages of microcontrollers in TFLM, each in the arena that its driver has; others stay in LiteRT."""
    said: list[NDArray[np.float32]] = []
    tensor: NDArray[Any] = work.x
    for entry, session in _stages(work):
        x, names = session.taken(entry["inputs"][0], tensor), _names(entry)
        if "tflm" in entry:
            content = (work.directory / entry["files"][int8_cascade.FORMAT]).read_bytes()
            try:
                made = answers(content, entry["tflm"]["arena_bytes"], x)
            except RuntimeError as error:
                raise _refused(entry, error) from error
            said.append(PROBABILITY.real(made[names[0]]))
            handed = [made[name] for name in names[1:]]
        else:
            probabilities, *handed = session.run(names, {entry["inputs"][0]: x})
            said.append(probabilities)
        tensor = handed[0] if handed else tensor
    return {"samples": len(work.x), **reference.check("tflm", said)}


def _names(entry: Mapping[str, Any]) -> list[str]:
    return [entry["outputs"]["probabilities"], *(h["name"] for h in entry["outputs"]["handover"])]


def _stages(work: Work) -> list[tuple[Mapping[str, Any], Int8]]:
    """Entries of the manifest, with the int8 files in LiteRT."""
    stages = int8_cascade.cascade(work.directory, work.manifest, work.threads)
    return [
        (entry, session)
        for entry, session in zip(stages.stages, stages.sessions, strict=True)
        if isinstance(session, Int8)
    ]


def _taken(work: Work) -> list[NDArray[np.int8]]:
    """What every stage is given of the first sample."""
    taken: list[NDArray[np.int8]] = []
    tensor: NDArray[Any] = work.x[:1]
    for entry, session in _stages(work):
        taken.append(session.taken(entry["inputs"][0], tensor))
        _, *handed = session.run(_names(entry), {entry["inputs"][0]: taken[-1]})
        tensor = handed[0] if handed else tensor
    return taken


def _part(number: int, entry: dict[str, Any], content: bytes, x: NDArray[np.int8]) -> Part:
    operators = tflite_file.operators(content)
    try:
        source.check_operators(operators)
        found = arena(content, x)
    except (RuntimeError, ConversionError) as error:
        raise _refused(entry, error) from error
    return Part(number, entry, found, operators, tflite_file.outputs(content))


def _refused(entry: Mapping[str, Any], error: Exception) -> ConversionError:
    said = str(error).removeprefix(f"{interpreter.DOING}: ")
    return ConversionError(f"stage {entry['name']} cannot run in TFLM: {said}")
