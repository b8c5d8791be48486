"""Heads that know some classes only: the target's, and one more for all others.

Bonato and Bouganis (Applied Soft Computing 107, 2021), section 3: an early exit for one target class is a binary
classifier that lets go what it is sure to be of that class. Here a head for s target classes is trained with s + 1
outputs and deployed with one output per class of the given model: the others share what is left evenly. That costs
no layer (a softmax whose other logits are equal) and leaves stages, runtimes and decisions what they are: the
largest probability reaches a threshold above one half only if it is a target's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.output import Decision
from eeaug.heads.layers import Dense
from eeaug.heads.training import Trained
from eeaug.settings import Contradiction
from eeaug.settings.contradictions import classes_named

__all__ = ["Specific"]

Probabilities = NDArray[np.float32]


@dataclass(frozen=True)
class Specific:
    """The target ``classes``, ascending, of a classifier with ``total`` ones.

    Raises
    ------
    Contradiction : no class, or fewer than two others
    """

    classes: tuple[int, ...]
    total: int

    def __post_init__(self) -> None:
        if not 1 <= len(self.classes) <= self.total - 2:
            raise Contradiction(
                f"{{target_class}}: {len(self.classes)} of {self.total} classes; at least one, and two must be "
                "left: between the target and a single other class every exit decides anyway"
            )

    @classmethod
    def named(cls, wanted: Sequence[str], names: Sequence[str], decision: Decision) -> Specific | None:
        """The classes of these names or numbers; None if none is wanted.

        Raises
        ------
        Contradiction : no such class, or several of that name, or the classifier has no single class per sample
        """
        if not wanted:
            return None
        if decision.kind != "softmax":
            raise Contradiction(
                f"{{target_class}} is for one class per sample, the model's output is {decision.kind}"
            )
        return cls(classes_named("target_class", wanted, names), decision.classes)

    @property
    def decision(self) -> Decision:
        """What the head's own outputs mean: the target classes, then all others."""
        return Decision("softmax", len(self.classes) + 1)

    def codes(self, labels: NDArray[np.integer]) -> NDArray[np.int64]:
        """Labels (n,) as the head's: 0 to s − 1, s for all others."""
        codes = np.full(len(labels), len(self.classes), np.int64)
        for i, cls in enumerate(self.classes):
            codes[labels == cls] = i
        return codes

    def hits(self, labels: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Which labels (n,) are of the target."""
        return np.isin(labels, self.classes)

    def narrowed(self, p: Probabilities) -> Probabilities:
        """The given model's probabilities (n, total) as a head should answer, (n, s + 1)."""
        mine = p[:, list(self.classes)]
        return np.concatenate([mine, np.maximum(0, 1 - mine.sum(axis=1, keepdims=True))], axis=1)

    def widened(self, p: Probabilities) -> Probabilities:
        """A head's probabilities (n, s + 1) as the deployed one gives them, (n, total)."""
        others = self.total - len(self.classes)
        widened = np.repeat(p[:, -1:] / np.float32(others), self.total, axis=1)
        widened[:, list(self.classes)] = p[:, :-1]
        return widened

    def deployed(self, trained: Trained) -> Trained:
        """The head with an output per class."""
        column = np.full(self.total, len(self.classes))
        column[list(self.classes)] = np.arange(len(self.classes))
        *before, kernel, bias = trained.weights
        shared = np.where(column == len(self.classes), log(self.total - len(self.classes)), 0.0)
        wide = np.asarray(bias[column] - shared, np.float32)
        steps = (*trained.head.steps[:-1], Dense(self.total, "softmax"))
        return Trained(replace(trained.head, steps=steps), (*before, kernel[:, column], wide))
