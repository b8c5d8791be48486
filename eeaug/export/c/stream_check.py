"""Whether written files decide a stream as the walk along the same samples does."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.errors import ConversionError
from eeaug.runtime import Cascade
from eeaug.streams.rules import Rule
from eeaug.streams.sequences import Sequences
from eeaug.streams.walk import Course, Walked, walk

__all__ = ["check", "of_files"]


def check(
    rule: Rule, course: Course, exits: NDArray[np.int64], predicted: NDArray[np.int64], near: float,
    files: str = "C files",
) -> int:  # fmt: skip
    """How many samples of one stream the files decide as the walk does, up to the first that is near a tie.

    From there on another state may follow from rounding alone.

    Parameters
    ----------
    exits, predicted : (n,), where the files let every sample leave, and with which class
    near : confidences and distances that are as close to what they are compared with may fall on either side
    files : what they are called

    Raises
    ------
    ConversionError : another decision that is not near a tie
    """
    walked = walk([rule], course)
    different = np.flatnonzero((walked.at[0] != exits) | (walked.answer[0] != predicted))
    if not len(different):
        return course.rows.samples
    first = int(different[0])
    if not _tie(rule, course, walked, first, near):
        raise ConversionError(
            f"the {files} decide sample {first} of a stream otherwise than the model, further than {near:g} from "
            "a tie; nothing was written"
        )
    return first


def of_files(
    cascade: Cascade, rule: Rule, x: NDArray[np.float32], exits: NDArray[np.int64], predicted: NDArray[np.int64],
    near: float,
) -> None:  # fmt: skip
    """The same of prepared samples x, against what the stages of ``cascade`` say of them."""
    outcomes = cascade.outcomes([x], np.zeros(len(x), np.int64))
    assert outcomes.first is not None
    one = Sequences(np.zeros(len(x), np.int64))
    check(rule, Course(outcomes, outcomes.first, one), exits, predicted, near)


def _tie(rule: Any, course: Course, walked: Walked, i: int, near: float) -> bool:
    """Whether the i-th sample of the only sequence is near any threshold or distance."""
    inner = rule.of if rule.kind == "debounce" else rule
    for limits in (inner.thresholds, getattr(inner, "lower", ())):
        for confidence, limit in zip(course.rows.confidence[:, i], limits, strict=False):
            if limit is not None and abs(float(confidence) - limit) < near:
                return True
    distance, before = getattr(inner, "distance", None), np.flatnonzero(~walked.remembered[0, :i])
    if distance is None or not len(before):
        return False
    return bool(abs(float(np.abs(course.p[i] - course.p[before[-1]]).max()) - distance) < near)
