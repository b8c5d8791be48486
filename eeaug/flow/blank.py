"""A model that need not be a classifier: what it gives, and which samples hold nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from eeaug import data
from eeaug.backbone.answers import differ
from eeaug.backbone.model import INPUT, Classifier
from eeaug.cascade.blank_rule import BlankRule
from eeaug.cascade.output import BLANK, BLANK_NAMES, SOMETHING
from eeaug.data import Data, Part
from eeaug.data.preprocessing import at_once
from eeaug.errors import ConversionError, InputError
from eeaug.frameworks import keras_to_onnx, onnx_session
from eeaug.frameworks.runners import Runner
from eeaug.stages import partition
from eeaug.support.progress import Progress

__all__ = ["ASKED", "in_onnx", "labelled"]

ASKED = 16  # samples that the model and its ONNX form are compared on


def in_onnx(classifier: Classifier, x: NDArray[np.float32], threads: int) -> Runner:
    """The given model in ONNX Runtime, which gives the same of prepared samples x (n, *input_shape).

    Raises
    ------
    ConversionError : it does not, or gives something else each time that it is asked
    """
    once, again = classifier.given_outputs(x), classifier.given_outputs(x)
    if differs := differ(once, again, classifier.tolerance):
        raise ConversionError(f"{classifier.file}: the same samples give other outputs when asked again: {differs}")
    graph, outputs = partition.whole(classifier)
    try:
        proto = keras_to_onnx.to_onnx(graph, outputs, input_name=_named(classifier)[0])
    except ConversionError as error:
        raise ConversionError(f"{classifier.file}: {error}") from error
    runner: Runner = onnx_session.session(bytes(proto.SerializeToString()), threads)
    if differs := differ(once, _outputs(classifier, runner, x), classifier.tolerance):
        raise ConversionError(f"{classifier.file}: its ONNX form is another model: {differs}")
    return runner


def labelled(rule: BlankRule, classifier: Classifier, runner: Runner, given: Data, progress: Progress) -> Data:
    """The data with labels that the rule gives by the model's outputs: BLANK or SOMETHING.

    Raises
    ------
    InputError : the rule does not fit the outputs, or says the same of all samples of a part
    """
    total, done = sum(map(len, given.parts())), 0

    def of(part: Part | None) -> Part | None:
        nonlocal done
        if part is None:
            return None
        said: list[NDArray[np.bool_]] = []
        ends: dict[str, tuple[float, float]] = {}
        for x in data.batches(part, np.arange(len(part)), given.preprocessing):
            outputs = _outputs(classifier, runner, x)
            inputs = dict(zip(_named(classifier), classifier.layout.split(x).values(), strict=True))
            said.append(rule.of(outputs, inputs))
            for text, values in rule.compared(outputs, inputs).items():
                low, high = ends.get(text, (np.inf, -np.inf))
                ends[text] = min(low, float(values.min())), max(high, float(values.max()))
            done += len(x)
            progress.advance(done, total)
        blank = np.concatenate(said)
        if blank.all() or not blank.any():
            every = "all" if blank.any() else "none"
            goes = ", ".join(f"{text} goes from {low:.4g} to {high:.4g}" for text, (low, high) in ends.items())
            raise InputError(
                f'--blank-when "{rule.text}": is true of {every} of the {len(part):,} samples of {part.name}; '
                f"exits learn from samples of both kinds{goes and f'; {goes}'}"
            )
        return replace(part, y=np.where(blank, BLANK, SOMETHING).astype(np.int64))

    train, val, test = of(given.train), of(given.val), of(given.test)
    return replace(given, train=train, val=val, test=test, class_names=BLANK_NAMES)


def _outputs(classifier: Classifier, runner: Runner, x: NDArray[np.float32]) -> dict[str, NDArray[np.generic]]:
    """The model's outputs by name, (n, ...), of prepared samples (n, ...)."""
    names, size = [answer.name for answer in classifier.answers], at_once(x.shape[1:])
    pieces = []
    for i in range(0, len(x), size):
        tensors = classifier.layout.split(x[i : i + size]).values()
        pieces.append(runner.run(names, dict(zip(_named(classifier), tensors, strict=True))))
    return {name: np.concatenate([piece[i] for piece in pieces]) for i, name in enumerate(names)}


def _named(classifier: Classifier) -> tuple[str, ...]:
    """Names of the inputs of the ONNX form."""
    return classifier.layout.names if classifier.layout.several else (INPUT,)
