"""Outcomes sent through thresholds: where every sample leaves, and what follows from that.

``n`` samples, ``m`` early exits of one architecture. A sample leaves at the first exit whose float32 confidence is
≥ its threshold, at the latest at the final classifier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.outcomes import Outcomes

__all__ = ["Passage"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Passage:
    """All samples of one architecture at given thresholds; weights of samples count in every rate and mean.

    Parameters
    ----------
    outcomes : of the m exits and the final classifier, m + 1 rows
    thresholds : (m,), compared as float32; None and infinity are ``never``
    decided : where every sample leaves and with which class, (n,) each, by a decision that remembers the samples
        before (:mod:`eeaug.streams`); None: by thresholds alone
    """

    outcomes: Outcomes
    thresholds: Sequence[float | None]
    decided: tuple[NDArray[np.intp], NDArray[np.integer]] | None = None

    @cached_property
    def at(self) -> NDArray[np.intp]:
        """The classifier that every sample leaves at, (n,) in 0..m."""
        if self.decided is not None:
            return self.decided[0]
        leaves = np.ones(self.outcomes.confidence.shape, dtype=bool)
        for k, threshold in enumerate(self.thresholds):
            leaves[k] = False if threshold is None else self.outcomes.confidence[k] >= np.float32(threshold)
        return np.asarray(leaves.argmax(axis=0))

    @cached_property
    def predicted(self) -> NDArray[np.integer]:
        """The class that every sample leaves with, (n,)."""
        if self.decided is not None:
            return self.decided[1]
        return self.outcomes.predicted[self.at, np.arange(self.outcomes.samples)]

    @property
    def confidence(self) -> NDArray[np.float32]:
        """The confidence that every sample leaves with, (n,)."""
        return self.outcomes.confidence[self.at, np.arange(self.outcomes.samples)]

    @property
    def reached(self) -> tuple[NDArray[np.float32], ...]:
        """The confidences at every classifier of the samples that reach it, in their order: m + 1 arrays."""
        return tuple(row[self.at >= k] for k, row in enumerate(self.outcomes.confidence))

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether every sample leaves with its label, (n,)."""
        return np.asarray(self.predicted == self.outcomes.labels)

    @property
    def losses(self) -> NDArray[np.int8]:
        """[cascade wrong] − [given model wrong] of every sample: (n,) in {−1, 0, 1}; the mean is the drop.

        Where labels are what the given model says, this is disagreement with it, which bounds the drop from above.
        """
        return self.outcomes.baseline_right.astype(np.int8) - self.right.astype(np.int8)

    @property
    def accuracy(self) -> float:
        return float(self.outcomes.accuracy_of(self.outcomes.share(self.right)))

    @cached_property
    def leave_rates(self) -> Floats:
        """The share of all samples that leave at every classifier, (m + 1,)."""
        return self.outcomes.share(self.at == np.arange(len(self.outcomes.confidence))[:, None])

    def spent(self, costs: Floats) -> Floats:
        """What every sample costs, (n,): the segments that it runs through, of ``costs`` (m + 1,)."""
        return np.asarray(np.cumsum(costs)[self.at])

    def mean(self, costs: Floats) -> float:
        """The mean of that; NaN if any of the costs is unknown."""
        return float(self.leave_rates @ np.cumsum(costs))
