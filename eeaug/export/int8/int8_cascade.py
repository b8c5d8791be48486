"""The int8 stages as a cascade of its own: how it runs, and the thresholds that are best for it.

Its exits say other things than the float ones, its last classifier is not the given model, and no confidence of it
is above 255/256: so thresholds are sought again, on what int8 stages say of the same samples, by the same search,
for the same budget against the given float model, with a promise of its own; exits, processors and shares of reuse
stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eeaug.backbone.model import Classifier
from eeaug.bundle.entries import Int8Point, Manifest
from eeaug.bundle.stream_entry import StreamEntry
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import STEP, Decision
from eeaug.design import again
from eeaug.design.again import Again, Words
from eeaug.design.problem import Rules
from eeaug.design.promise import Terms
from eeaug.design.streamed import Streamed
from eeaug.errors import ConversionError
from eeaug.frameworks.runners import INT8 as FORMAT
from eeaug.runtime import Cascade
from eeaug.search.space import Design, Problem
from eeaug.settings import Goal
from eeaug.streams.rules import bytes_of

__all__ = ["FORMAT", "TOLERANCE", "cascade", "check_ending", "compared", "entered", "sought"]

# Another runtime may round int8 logits differently by one step, which moves probabilities by several steps.
TOLERANCE = 16 * STEP


def check_ending(classifier: Classifier) -> None:
    """Before anything is trained: only softmax and sigmoid give int8 probabilities in steps of 1/256.

    Raises
    ------
    ConversionError : the model ends in something else, of which it makes probabilities
    """
    ends = classifier.ending
    if not classifier.logits and ends.activation not in ("softmax", "sigmoid"):
        raise ConversionError(
            f"{classifier.file}: ends in {ends.words}, whose int8 output has not the steps of 1/256 that softmax "
            f"and sigmoid give, in which int8 thresholds are counted: leave {FORMAT} and tflm out of --format"
        )


def cascade(directory: Path, manifest: Manifest, threads: int) -> Cascade:
    """The int8 files of a bundle in LiteRT, at their thresholds (before :func:`entered` there are none)."""
    return Cascade.load(directory, manifest, threads, runtime=FORMAT)


def compared(outcomes: Outcomes, given: Outcomes) -> Outcomes:
    """Outcomes of int8 stages with the labels and the given model of the float ones, on the same samples."""
    return replace(outcomes, labels=given.labels, weights=given.weights, given=given.baseline, groups=given.groups)


def sought(
    goal: Goal, terms: Terms, seed: int, tasks: Mapping[str, Problem], rules: Rules, design: Design,
    decision: Decision, by_part: Mapping[str, Outcomes], proves: NDArray[np.intp] | None = None,
) -> Again:  # fmt: skip
    """Thresholds for what the int8 stages say; parameters and errors as of design.again.sought."""
    words = Words("the int8 stages", f"leave {FORMAT} out of --format")
    # thresholds above the largest int8 confidence are never met
    return again.sought(goal, terms, seed, tasks, rules, design, decision, by_part, proves, words, 1 - STEP)


def entered(manifest: Manifest, integer: Again, streams: Streamed | None = None) -> Manifest:
    """The manifest with these thresholds, and with what decides ``streams``."""
    stages = []
    for stage, threshold in zip(manifest.stages, (*integer.thresholds, None), strict=True):
        assert stage.int8 is not None
        stages.append(replace(stage, int8=replace(stage.int8, threshold=threshold)))
    known = {p.name: Int8Point(p.thresholds) for p in integer.points}
    points = tuple(replace(point, int8=known.get(point.name)) for point in manifest.operating_points)
    entry = manifest.stream
    if entry is not None and streams is not None:
        sizes = streams.course.exits, streams.course.outputs
        int8 = StreamEntry(streams.rule, bytes_of(streams.rule, *sizes, int8=True))
        entry = replace(entry, int8=int8)
    return replace(manifest, stages=tuple(stages), operating_points=points, stream=entry)
