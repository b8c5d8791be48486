"""What a classifier's output means: confidence, predicted class, training targets.

Classes are coded as one integer per sample, so that everything after a head compares numbers: the class
number, or for several labels at once a bit mask (bit k is set where label k applies).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["KINDS", "Decision"]

KINDS = ("softmax", "binary", "multilabel")
Probabilities = NDArray[np.float32]


@dataclass(frozen=True)
class Decision:
    """How outputs (n, outputs) become a class.

    - ``softmax``: one output per class, the largest wins; confidence is its probability.
    - ``binary``: a single sigmoid p, read as [1 − p, p]; class 1 at p ≥ 0.5.
    - ``multilabel``: a sigmoid per label; confidence is the smallest max(p, 1 − p), right when all labels are.
    """

    kind: str
    classes: int

    @property
    def outputs(self) -> int:
        """Width of the classifier's output."""
        return 1 if self.kind == "binary" else self.classes

    @property
    def activation(self) -> str:
        return "softmax" if self.kind == "softmax" else "sigmoid"

    @property
    def metric(self) -> str:
        """The confidence's name in files."""
        names = {"softmax": "max-softmax", "binary": "max-sigmoid", "multilabel": "min-max-sigmoid"}
        return names[self.kind]

    def answers(self, p: Probabilities) -> tuple[Probabilities, NDArray[np.int64]]:
        """Confidence float32 (n,) and predicted code int64 (n,)."""
        if self.kind == "softmax":
            return p.max(axis=-1).astype(np.float32), p.argmax(axis=-1).astype(np.int64)
        yes = p >= 0.5
        confidence = np.where(yes, p, 1 - p).min(axis=-1).astype(np.float32)
        return confidence, (yes * self._bits()).sum(axis=-1)

    def margins(self, p: Probabilities) -> Probabilities:
        """By how much each decision is made, (n,): what rounding must reach to turn it."""
        if self.kind == "softmax":
            ordered = np.sort(p, axis=-1)
            return np.asarray(ordered[..., -1] - ordered[..., -2])
        return np.asarray(np.abs(2 * p - 1).min(axis=-1))

    def marks(self, codes: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Which classes a code stands for: bool (n, classes)."""
        codes = np.asarray(codes)[:, None]
        if self.kind == "multilabel":
            return (codes & self._bits()) != 0
        return np.asarray(codes == np.arange(self.classes))

    def targets(self, codes: NDArray[np.integer]) -> Probabilities:
        """What a perfect classifier would give, float32 (n, outputs)."""
        marks = self.marks(codes).astype(np.float32)
        return marks[:, 1:] if self.kind == "binary" else marks

    def as_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "classes": self.classes}

    def _bits(self) -> NDArray[np.int64]:
        return np.left_shift(np.int64(1), np.arange(self.outputs, dtype=np.int64))
