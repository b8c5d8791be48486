"""What a classifier's output means: confidence, predicted class, training targets.

Classes are coded as one integer per sample, so that everything after a head compares numbers: the class
number, or for several labels at once a bit mask (bit k is set where label k applies).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.measures import KINDS, MEASURES, Measure, margin
from eeaug.errors import InputError

__all__ = [
    "BLANK", "BLANK_NAMES", "KINDS", "MEASURES", "SOMETHING", "STEP", "ZERO_POINT", "Decision", "Measure",
    "Quantised",
]  # fmt: skip

BLANK, SOMETHING = 0, 1  # classes of kind "blank"
BLANK_NAMES = ("nothing", "something")
STEP, ZERO_POINT = 1 / 256, -128  # of int8 probabilities: what TFLite's softmax and logistic give
Probabilities = NDArray[np.float32]


@dataclass(frozen=True)
class Decision:
    """How outputs (n, outputs) become a class and a confidence.

    - ``softmax``: one output per class, the largest wins.
    - ``binary``: a single sigmoid p, read as the two classes [1 − p, p]; class 1 at p ≥ 0.5.
    - ``multilabel``: a sigmoid per label, each read as [1 − p, p]; right when all labels are, so the confidence
      is that of the least sure label.
    - ``blank``: a single sigmoid p, of an exit in front of a model that need not be a classifier; p is the
      probability that a sample holds something. A sample only ever leaves there as nothing, with the confidence
      1 − p, whatever the measure; the last stage decides nothing.

    The confidence of one distribution p over K classes (K is 2 for sigmoids) is a float32 in [0, 1]:

    ============= ================================== ============================================
    ``measure``   formula                            ``metric``: its name in files
    ============= ================================== ============================================
    max-softmax   max p                              max-softmax, max-sigmoid, min-max-sigmoid
    margin        p₁ − p₂, the two largest           margin-softmax, ...-sigmoid, min-...-sigmoid
    entropy       1 − H / ln K, H = −Σ p · ln p,     entropy-softmax, ...-sigmoid, min-...-sigmoid
                  0 · ln 0 = 0
    ============= ================================== ============================================

    The names are those of ``softmax``, ``binary`` and ``multilabel``. In numpy, for stages with a softmax:
    ``p.max(1)``; ``np.sort(p)[:, -1] - np.sort(p)[:, -2]``;
    ``1 + (p * np.log(np.maximum(p, 1e-37))).sum(1) / np.log(p.shape[1])``. A sample leaves where the confidence
    is ≥ the threshold, whatever the measure. Between two classes all three put samples in the same order.

    Raises
    ------
    InputError : ``measure`` is none of MEASURES
    """

    kind: str
    classes: int
    measure: str = "max-softmax"

    def __post_init__(self) -> None:
        if self.measure not in MEASURES:
            raise InputError(f"confidence {self.measure!r} is not known; one of {', '.join(MEASURES)} would be")

    @property
    def outputs(self) -> int:
        """Width of the classifier's output."""
        return 1 if self.kind in ("binary", "blank") else self.classes

    @property
    def activation(self) -> str:
        return "softmax" if self.kind == "softmax" else "sigmoid"

    @property
    def metric(self) -> str:
        """The confidence's name in files."""
        if self.kind == "blank":
            return "nothing-sigmoid"
        least = "min-" if self.kind == "multilabel" else ""
        return f"{least}{self.measure.removesuffix('-softmax')}-{self.activation}"

    def answers(self, p: Probabilities) -> tuple[Probabilities, NDArray[np.int64]]:
        """Confidence float32 (n,) and predicted code int64 (n,)."""
        if self.kind == "blank":
            return np.asarray(1 - p[:, 0], np.float32), np.full(len(p), BLANK, np.int64)
        confidence = self._least(MEASURES[self.measure].of(self.distributions(p)))
        if self.kind == "softmax":
            return confidence, p.argmax(axis=-1).astype(np.int64)
        return confidence, ((p >= 0.5) * self._bits()).sum(axis=-1)

    def answer(self, p: Probabilities) -> tuple[np.float32, int]:
        """:meth:`answers` of one sample (1, outputs): its confidence and code, the same bits in less time."""
        if self.kind == "softmax" and self.measure == "max-softmax":
            (row,) = p
            code = row.argmax()
            return row[code], int(code)
        confidence, predicted = self.answers(p)
        return confidence[0], int(predicted[0])

    def margins(self, p: Probabilities) -> Probabilities:
        """By how much each decision is made, (n,), whatever the measure: what rounding must reach to turn it."""
        if self.kind == "blank":
            return np.ones(len(p), np.float32)
        return self._least(margin(self.distributions(p)))

    def distributions(self, p: NDArray[np.floating]) -> NDArray[np.floating]:
        """What is decided on, each summing to 1: (n, classes), or [1 − p, p] of every sigmoid, (n, outputs, 2)."""
        return p if self.kind == "softmax" else np.stack([1 - p, p], axis=-1)

    def marks(self, codes: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Which classes a code stands for: bool (n, classes)."""
        codes = np.asarray(codes)[:, None]
        if self.kind == "multilabel":
            return np.asarray((codes & self._bits()) != 0)
        return np.asarray(codes == np.arange(self.classes))

    def targets(self, codes: NDArray[np.integer]) -> Probabilities:
        """What a perfect classifier would give, float32 (n, outputs)."""
        marks = self.marks(codes).astype(np.float32)
        return marks[:, 1:] if self.outputs == 1 else marks

    @property
    def floor(self) -> float:
        """What a probability of 0 is taken for in a logarithm: below, it tells of rounding alone."""
        return 1e-7

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def _least(self, confidence: NDArray[np.floating]) -> Probabilities:
        return np.asarray(confidence if self.kind == "softmax" else confidence.min(axis=-1), np.float32)

    def _bits(self) -> NDArray[np.int64]:
        return np.left_shift(np.int64(1), np.arange(self.outputs, dtype=np.int64))


@dataclass(frozen=True)
class Quantised(Decision):
    """The same on int8 probabilities p = (q + 128) / 256, whose confidences are int8 numbers too.

    The largest that there is stands for 255/256. Where a confidence is more than one of the probabilities (entropy,
    exits that use each other) it is rounded to the nearest step, half up. A probability of 0 may be anything
    below half a step.
    """

    @property
    def floor(self) -> float:
        return STEP / 2

    def answers(self, p: Probabilities) -> tuple[Probabilities, NDArray[np.int64]]:
        confidence, predicted = super().answers(p)
        return np.minimum(np.floor(confidence / np.float32(STEP) + np.float32(0.5)), 255) * np.float32(
            STEP
        ), predicted

    def answer(self, p: Probabilities) -> tuple[np.float32, int]:
        confidence, predicted = self.answers(p)
        return confidence[0], int(predicted[0])

    @staticmethod
    def constant(threshold: float | None) -> int | None:
        """The least int8 confidence that is ≥ the threshold: q ≥ ceil(256·θ) − 128; None where none is."""
        if threshold is None or threshold > 1 - STEP:
            return None
        return int(np.ceil(np.float32(threshold) / np.float32(STEP))) + ZERO_POINT
