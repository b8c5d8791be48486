"""Every format that was asked for, written from the untrained network: what cannot be is known before any training.

The model is cut at one of its locations, a head with random weights is put there, and the stages go through the
writers and the checks of the formats as they will at the end. What fails is traced to a layer, each of which is
then written by itself.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eeaug.backbone.model import Classifier
from eeaug.bundle.entries import Manifest, OperatingPoint
from eeaug.data.preprocessing import Preprocessing
from eeaug.design.again import Again
from eeaug.design.promise import nothing
from eeaug.errors import ConversionError
from eeaug.export import formats, keras_onnx, layerwise, tflm, verify
from eeaug.export.formats import Format, Work
from eeaug.export.int8 import int8_cascade
from eeaug.frameworks import keras_to_tflite
from eeaug.frameworks.runners import Keras, answering
from eeaug.hardware import Hardware
from eeaug.heads.layers import Dense, Head, convolutions
from eeaug.heads.training import Trained
from eeaug.runtime import Cascade
from eeaug.settings import FORMATS, Running
from eeaug.stages import partition
from eeaug.support import leftovers, native_process
from eeaug.support.progress import parts

__all__ = ["SAMPLES", "begin", "check"]

OF_ONNX = ("triton", "onnx-one")  # formats that are made of the ONNX stages, which are always possible
SAMPLES = 8  # samples that the untrained stages are run on
COMPILED = ("c", "c-int8")  # formats that a compiler looks at
C_PARAMETERS = 1_000_000  # a compiler takes seconds for so many; larger networks are not compiled here
SPREAD = 0.3  # standard deviation of the random weights
SEED = 0
SAID = 160  # letters of a reason


def begin(asked: Sequence[str]) -> None:
    """Start the converting process while the model and the data are read."""
    if "tflite" in asked:
        native_process.start(keras_to_tflite.NEEDS)


def check(
    running: Running, classifier: Classifier, hardware: Hardware, heads: Sequence[Head], x: NDArray[np.float32]
) -> float | None:
    """Refuse a format that cannot be written from this model for this target.

    Gives the seconds that a sample takes through int8 stages here; None: these are not asked for.

    Parameters
    ----------
    heads : those that will be trained, of which one is tried
    x : float32 (n, *input shape), prepared samples

    Raises
    ------
    ConversionError : names the format, the layer where it is one alone, the reason, and what to do
    """
    asked = {name: kind for name, kind in formats.named(running.formats).items() if name not in OF_ONNX}
    if not asked:
        return None
    for kind in asked.values():
        kind.refuse_decision(classifier.decision)
    with _same_numbers(), leftovers.scratch() as place:
        work = _work(place, running, classifier, hardware, _chosen(heads), x)
        if "c" in asked:
            for stage in work.stages:
                keras_onnx.write_onnx(stage, partition.stage_graph(classifier, stage), work.directory)
        reference = _reference(work)
        possible = list(set(running.formats) - set(asked))
        for name, kind in parts(list(asked.items())):
            try:
                work = _written(name, kind, work, reference)
            except (ConversionError, RuntimeError, ValueError) as error:
                raise _refusal(name, possible, classifier, error) from error
            possible.append(name)
        return _int8_s(work) if int8_cascade.FORMAT in asked else None


def _int8_s(work: Work) -> float:
    stages = int8_cascade.cascade(work.directory, work.manifest, work.threads)
    start = time.perf_counter()
    stages.answers(work.x)
    return (time.perf_counter() - start) / len(work.x)


def _written(name: str, kind: Format, work: Work, reference: verify.Reference) -> Work:
    """Write the format and see that it says what Keras does; int8, TFLM and C what LiteRT does."""
    work = work.adding(name, kind.write(work))
    if name == int8_cascade.FORMAT:
        closed: tuple[None, ...] = (None,) * (len(work.stages) - 1)
        integer = Again(closed, reference.outcomes, (), nothing(None))
        return replace(work, manifest=int8_cascade.entered(work.manifest, integer))
    if name in COMPILED and _parameters(work.classifier) > C_PARAMETERS:
        return work
    if kind.like == "int8":
        stages = int8_cascade.cascade(work.directory, work.manifest, work.threads)
        answers = stages.answers(work.x)
        kind.check(work, verify.Reference.of(stages.decision, stages.stages, answers, int8_cascade.TOLERANCE))
    else:
        kind.check(work, reference)
    return work


def _parameters(classifier: Classifier) -> int:
    return sum(prod(shape) for call in classifier.calls for shape in call.weights)


def _chosen(heads: Sequence[Head]) -> list[Head]:
    """The first of the planned heads that has convolutions, which has all that others have; else the first.

    One on the input only if there is no other: it would cut nothing.
    """
    able = [head for head in heads if all(read.location.at_input for read in head.earlier)]
    return sorted(able, key=lambda head: (head.pooling is not None, head.location.at_input, head.location.after))[
        :1
    ]


def _untrained(head: Head, rng: np.random.Generator) -> Trained:
    weights: list[NDArray[np.float64]] = []

    def drawn(*shape: int) -> None:
        weights.append(rng.normal(0, SPREAD, shape))

    for step, before, after in head.shapes():
        for convolution, read in convolutions(step, before):
            drawn(*(convolution.width,) * (len(read) - 1), read[-1], convolution.filters or 1)
            drawn(convolution.shape(read)[-1])
        if isinstance(step, Dense):
            drawn(prod(before), step.units)
            drawn(*after)
    return Trained(head, tuple(w.astype(np.float32) for w in weights))


def _work(
    directory: Path, running: Running, classifier: Classifier, hardware: Hardware, heads: Sequence[Head],
    x: NDArray[np.float32],
) -> Work:  # fmt: skip
    """A bundle to be, in which every stage runs where files of every format are written."""
    rng = np.random.default_rng(SEED)
    exits = [_untrained(head, rng) for head in heads]
    small = tflm.microcontrollers(hardware)
    on = next((p for p in hardware.processors if p.name in small), hardware.processors[0])
    # no CPU, so that nothing is linked here: sizes are measured at the end
    target = replace(hardware, processors=tuple(replace(p, cpu=None) for p in hardware.processors))
    count = len(exits) + 1
    stages = partition.stages(classifier, exits, [None] * len(exits), [(on.name, 4)] * count, [0] * count)
    decision = classifier.decision
    manifest = Manifest(
        classes=tuple(str(k) for k in range(decision.classes)),
        decision=decision,
        preprocessing=Preprocessing(),
        stages=tuple(keras_onnx.entry(stage, decision.metric, classifier.answers) for stage in stages),
        operating_points=(OperatingPoint("default", (None,) * len(exits)),),
        settings={"formats": list(running.formats)},
        inputs=({"name": classifier.file},),
    )
    for stage in stages:
        (directory / "stages" / stage.name).mkdir(parents=True)
    return Work(directory, manifest, classifier, stages, target, x, running.threads, x)


def _reference(work: Work) -> verify.Reference:
    """What the stages say in Keras."""
    import keras

    manifest = work.manifest
    models = [keras.Model(*partition.stage_graph(work.classifier, stage)) for stage in work.stages]
    sessions = tuple(Keras(answering(model)) for model in models)
    cascade = Cascade(manifest.decision, manifest.stages, sessions, manifest.points)
    return verify.Reference.of(manifest.decision, manifest.stages, cascade.answers(work.x))


def _refusal(name: str, possible: Sequence[str], classifier: Classifier, error: Exception) -> ConversionError:
    blamed = layerwise.blamed(classifier, name, str(error))
    why = " ".join(str(error if blamed is None else blamed[1]).split())
    where = "" if blamed is None else f" layer {blamed[0].name!r} ({blamed[0].kind}):"
    without = [name, *(other for other, made_from in FORMATS.items() if name in made_from)]
    others = ", ".join(kind for kind in FORMATS if kind in possible)
    return ConversionError(
        f"{classifier.file}:{where} --format {name} is not possible: {why[:SAID].rstrip('.')}; "
        f"{others} are: leave {' and '.join(without)} out of --format"
    )


@contextmanager
def _same_numbers() -> Iterator[None]:
    """Within, drawing random weights does not change the numbers that are drawn later."""
    ours, numpys = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(ours)
        np.random.set_state(numpys)
