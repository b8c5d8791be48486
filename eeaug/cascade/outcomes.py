"""What every exit says of every sample: ``n`` samples, ``C`` candidate exits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.output import BLANK, SOMETHING, Decision

__all__ = ["ClassLimit", "Outcomes", "class_limit"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Outcomes:
    """What every trained exit and the final classifier say of every sample.

    Parameters
    ----------
    confidence : float32 (C + 1, n); row C is the final classifier's
    predicted : int (C + 1, n), classes (codes of output.Decision)
    labels : int (n,)
    weights : float (n,) or None: what each sample counts in every mean and rate; None counts all alike
    given : int (n,) or None: what the given model says, where the last row hears earlier exits (reuse)
    groups : int64 (n,) or None: what was drawn as a whole (patient, speaker), by number; None: samples were
    judged : bool (n,) or None: the samples that accuracies and drops are of, where the others are right whatever
        happens (:meth:`before_any`); None: all. Leave rates and costs are of all
    first : float32 (n, outputs) or None: the probabilities of row 0, where somebody decides by how they change
    """

    confidence: NDArray[np.float32]
    predicted: NDArray[np.integer]
    labels: NDArray[np.integer]
    weights: Floats | None = None
    given: NDArray[np.integer] | None = None
    groups: NDArray[np.int64] | None = None
    judged: NDArray[np.bool_] | None = None
    first: NDArray[np.float32] | None = None

    @classmethod
    def before_any(
        cls, confidence: Sequence[NDArray[np.float32]], labels: NDArray[np.integer], **more: Any
    ) -> Outcomes:
        """Of exits that say "nothing here" before a model whatever it gives (a Decision of kind "blank").

        The model itself is right by definition, so its row is the label; an accuracy is the share of samples with
        something that reach it, and a drop the share that is lost. ``confidence``: (n,) of each exit.
        """
        rows = np.array([*confidence, np.ones(len(labels))], np.float32)
        predicted = np.full(rows.shape, BLANK, np.int64)
        predicted[-1] = labels
        return cls(rows, predicted, labels, judged=labels == SOMETHING, **more)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """bool (C + 1, n)"""
        return np.asarray(self.predicted == self.labels)

    @property
    def samples(self) -> int:
        return len(self.labels)

    @property
    def units(self) -> int:
        """How many were drawn: samples, or groups of them."""
        return self.samples if self.groups is None else len(np.unique(self.groups))

    @property
    def judged_units(self) -> int:
        """How many of them accuracies are of."""
        return self.units if self.judged is None else self.only(self.judged).units

    @property
    def judged_samples(self) -> int:
        """How many samples accuracies are of."""
        return self.samples if self.judged is None else int(self.judged.sum())

    def rows(self, exits: Sequence[int]) -> Outcomes:
        """The outcomes of one architecture: these exits, then the final classifier."""
        index = [*exits, len(self.confidence) - 1]
        first = self.first if index[0] == 0 else None
        return replace(self, confidence=self.confidence[index], predicted=self.predicted[index], first=first)

    def only(self, samples: NDArray[np.integer] | NDArray[np.bool_]) -> Outcomes:
        """The outcomes of some of the samples, by number or mask."""
        return replace(
            self,
            confidence=self.confidence[:, samples],
            predicted=self.predicted[:, samples],
            labels=self.labels[samples],
            weights=None if self.weights is None else self.weights[samples],
            given=None if self.given is None else self.given[samples],
            groups=None if self.groups is None else self.groups[samples],
            judged=None if self.judged is None else self.judged[samples],
            first=None if self.first is None else self.first[samples],
        )

    @property
    def baseline(self) -> NDArray[np.integer]:
        """What the given model says, (n,)."""
        return self.predicted[-1] if self.given is None else self.given

    @property
    def baseline_right(self) -> NDArray[np.bool_]:
        """(n,)"""
        return np.asarray(self.baseline == self.labels)

    @property
    def alone(self) -> Outcomes:
        """The given model without exits."""
        return replace(self.rows([]), predicted=self.baseline[None], given=None)

    @cached_property
    def counts(self) -> Floats:
        """What each sample counts, (n,): 1 without weights, so that sums of them are exact."""
        return np.ones(self.samples) if self.weights is None else self.weights

    def share(self, chosen: NDArray[np.bool_]) -> Floats:
        """The share of all samples that ``chosen`` (..., n) makes up, (...)."""
        return np.asarray(chosen @ self.counts / self.counts.sum())

    @cached_property
    def accuracies(self) -> Floats:
        """Of every row, (C + 1,)."""
        return self.accuracy_of(self.share(self.correct))

    @cached_property
    def _judged_share(self) -> float:
        return 1.0 if self.judged is None else float(self.share(self.judged))

    def accuracy_of(self, right: Floats) -> Floats:
        """Accuracies by the shares of all samples that are right (...): of those that are judged.

        All others are right, so that 1 − accuracy is the share that is wrong, of those that are judged.
        """
        if self.judged is None:
            return right
        wrong = (1 - right) / self._judged_share if self._judged_share else np.zeros_like(right)
        return np.asarray(np.clip(1 - wrong, 0, 1))


@dataclass(frozen=True)
class ClassLimit:
    """How much accuracy a class may lose against the given model, and the samples that tell.

    Of pairs of a class and a sample there are N, class by class: a class has its own samples, a label (of several
    at once) has all of them. K classes are left: those that occur.

    Parameters
    ----------
    most : share that each may lose, where a tolerance of 1e-9 absorbs rounding of the sums
    samples : int (N,), of every pair
    first : int (K,), where the pairs of each class begin
    right : bool (C + 1, N), whether each row of the outcomes is right about that class of that sample
    given : bool (N,), whether the given model is
    share : float (N,), what each pair counts; sums to 1 over a class
    """

    most: float
    samples: NDArray[np.intp]
    first: NDArray[np.intp]
    right: NDArray[np.bool_]
    given: NDArray[np.bool_]
    share: Floats

    def allows(self, drop: Floats) -> NDArray[np.bool_]:
        return np.asarray(drop <= self.most + 1e-9)

    def rows(self, exits: Sequence[int]) -> ClassLimit:
        """That of one architecture: these exits, then the final classifier."""
        return replace(self, right=self.right[[*exits, len(self.right) - 1]])

    def drops(self, at: NDArray[np.intp]) -> Floats:
        """What each class loses, (K,), in a cascade whose samples leave at ``at`` (n,); see passage."""
        pair = np.arange(len(self.samples))
        return self.sums(self.share * (self.given.astype(float) - self.right[at[self.samples], pair]))

    def lost(self, right: NDArray[np.bool_]) -> Floats:
        """What each class loses, (K,), where samples are answered ``right`` (n,): with one class per sample."""
        return self.sums(self.share * (self.given.astype(float) - right[self.samples]))

    def sums(self, values: Floats) -> Floats:
        """Of values of pairs (N,) over each class, (K,)."""
        return np.asarray(np.add.reduceat(values, self.first))

    @cached_property
    def parts(self) -> tuple[slice, ...]:
        """The pairs of each class."""
        return tuple(slice(a, b) for a, b in pairwise([*self.first.tolist(), len(self.samples)]))

    @cached_property
    def of(self) -> NDArray[np.intp]:
        """The class of every pair, (N,) in 0..K − 1."""
        return np.repeat(np.arange(len(self.first)), np.diff(self.first, append=len(self.samples)))


def class_limit(outcomes: Outcomes, decision: Decision, most: float) -> ClassLimit:
    """Classes as ``worst_class`` of a report counts them: those that occur in the labels."""
    marks = decision.marks(outcomes.labels)
    occurs = np.flatnonzero(marks.T @ outcomes.counts > 0)
    marks = marks[:, occurs]
    if decision.kind != "multilabel":
        of, samples = np.nonzero(marks.T)
        right, given = outcomes.correct[:, samples], outcomes.baseline_right[samples]
    else:
        samples, of = np.tile(np.arange(len(marks)), len(occurs)), np.repeat(np.arange(len(occurs)), len(marks))
        answers = (decision.marks(row)[:, occurs] for row in (*outcomes.predicted, outcomes.baseline))
        *rows, given = [(row == marks).T.ravel() for row in answers]
        right = np.stack(rows)
    first = np.searchsorted(of, np.arange(marks.shape[1]))
    counts = outcomes.counts[samples]
    return ClassLimit(most, samples, first, right, given, counts / np.add.reduceat(counts, first)[of])
