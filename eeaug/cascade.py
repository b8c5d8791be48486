"""Outcomes of exits, and what a cascade of them costs and gets right.

Everything here is numpy: ``n`` samples, ``C`` candidate exits, ``m`` early exits of one architecture, ``T``
thresholds per exit. A sample leaves at the first exit whose float32 confidence is ≥ its threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Outcomes", "Tables", "bins", "decide", "exact_tables", "independent_tables", "marginals",
]  # fmt: skip

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Outcomes:
    """What every trained exit and the final classifier say of every sample.

    Parameters
    ----------
    confidence : float32 (C + 1, n); row C is the final classifier's
    predicted : int (C + 1, n), classes (codes of decision.Decision)
    labels : int (n,)
    weights : float (n,) or None: what each sample counts in every mean and rate; None counts all alike
    """

    confidence: NDArray[np.float32]
    predicted: NDArray[np.integer]
    labels: NDArray[np.integer]
    weights: Floats | None = None

    @property
    def correct(self) -> NDArray[np.bool_]:
        """bool (C + 1, n)"""
        return self.predicted == self.labels

    @property
    def samples(self) -> int:
        return len(self.labels)

    def rows(self, exits: Sequence[int]) -> Outcomes:
        """The outcomes of one architecture: these exits, then the final classifier."""
        index = [*exits, len(self.confidence) - 1]
        return Outcomes(self.confidence[index], self.predicted[index], self.labels, self.weights)

    @cached_property
    def counts(self) -> Floats:
        """What each sample counts, (n,): 1 without weights, so that sums of them are exact."""
        return np.ones(self.samples) if self.weights is None else self.weights

    def share(self, chosen: NDArray[np.bool_]) -> Floats:
        """The share of all samples that ``chosen`` (..., n) makes up, (...)."""
        return np.asarray(chosen @ self.counts / self.counts.sum())

    @cached_property
    def accuracies(self) -> Floats:
        """Of every row over all samples, (C + 1,)."""
        return self.share(self.correct)


@dataclass(frozen=True)
class Tables:
    """Every threshold configuration of one architecture.

    Parameters
    ----------
    reach : m + 1 arrays; ``reach[k]``, of shape (T,)·k, is the share of samples that get to classifier k
    accuracy : array of shape (T,)·m
    """

    reach: tuple[Floats, ...]
    accuracy: Floats

    def mean(self, costs: Sequence[float] | Floats) -> Floats:
        """Σ_k P(reach k) · cost_k for every configuration, shape (T,)·m; ``costs`` has m + 1 entries."""
        m = self.accuracy.ndim
        terms = [r.reshape(r.shape + (1,) * (m - r.ndim)) * c for r, c in zip(self.reach, costs, strict=True)]
        return np.broadcast_to(reduce(np.add, terms), self.accuracy.shape)


def decide(outcomes: Outcomes, thresholds: Sequence[float | None]) -> NDArray[np.intp]:
    """At which classifier every sample leaves: int (n,) in 0..m.

    ``outcomes`` are those of one architecture (m + 1 rows); a threshold None means never.
    """
    leaves = np.ones(outcomes.confidence.shape, dtype=bool)
    for k, threshold in enumerate(thresholds):
        leaves[k] = False if threshold is None else outcomes.confidence[k] >= np.float32(threshold)
    return leaves.argmax(axis=0)


def bins(confidence: NDArray[np.float32], grid: NDArray[np.float32]) -> NDArray[np.intp]:
    """Number of thresholds that each confidence meets: it leaves at threshold t exactly if bin > t.

    confidence (C, n), grid (C, T) ascending; returns (C, n) in 0..T.
    """
    rows = [np.searchsorted(g, c, side="right") for c, g in zip(confidence, grid, strict=True)]
    return np.array(rows, dtype=np.intp).reshape(confidence.shape)


def exact_tables(
    bin_of: NDArray[np.intp], correct: NDArray[np.bool_], thresholds: int, weights: Floats | None = None
) -> Tables:
    """Count every configuration of one architecture on the samples themselves.

    bin_of (m, n) from :func:`bins`; correct (m + 1, n); weights (n,) as in :class:`Outcomes`. One joint
    histogram and its cumulative sums: O(m·n + m·(T + 1)^m).
    """
    m, n = bin_of.shape[0], correct.shape[1]
    total = n if weights is None else weights.sum()
    side = thresholds + 1
    cell = np.zeros(n, dtype=np.intp)
    accuracy: Floats = np.zeros(())
    reach: list[Floats] = []
    for k in range(m + 1):
        shape = (side,) * k
        reach.append(_survivors(_count(cell, None, weights, side**k).reshape(shape), k, thresholds) / total)
        if k == m:
            right = _count(cell, correct[k], weights, side**k).reshape(shape)
            accuracy = accuracy + _survivors(right, k, thresholds)
        else:
            cell = cell * side + bin_of[k]
            right = _count(cell, correct[k], weights, side ** (k + 1)).reshape((*shape, side))
            # who leaves at threshold t has a bin of t + 1 or more
            leaving = _survivors(right, k, thresholds)[..., ::-1].cumsum(axis=-1)[..., ::-1][..., 1:]
            accuracy = accuracy[..., None] + leaving
    return Tables(tuple(reach), accuracy / total)


def _count(
    cell: NDArray[np.intp], chosen: NDArray[np.bool_] | None, weights: Floats | None, size: int
) -> NDArray[Any]:
    """How many (chosen) samples are in each cell, or what they weigh: (size,)."""
    if chosen is not None:
        cell, weights = cell[chosen], None if weights is None else weights[chosen]
    return np.bincount(cell, weights=weights, minlength=size)


def _survivors(table: NDArray[Any], axes: int, thresholds: int) -> NDArray[Any]:
    """Cumulative counts along the first axes: who survives threshold t has a bin of at most t."""
    for axis in range(axes):
        table = table.cumsum(axis=axis)
    return table[(slice(0, thresholds),) * axes]


def marginals(
    bin_of: NDArray[np.intp], correct: NDArray[np.bool_], thresholds: int, weights: Floats | None = None
) -> tuple[Floats, Floats]:
    """P(A) and P(A, right) of every exit and threshold, each (C, T); bin_of and correct are (C, n)."""
    total = bin_of.shape[-1] if weights is None else weights.sum()
    shape = (len(bin_of), thresholds)
    pairs = [
        [_count(b, chosen, weights, thresholds + 1)[::-1].cumsum()[::-1][1:] for b, chosen in rows]
        for rows in (((b, None) for b in bin_of), zip(bin_of, correct, strict=True))
    ]
    leave, right = (np.array(rows).reshape(shape) / total for rows in pairs)
    return leave, right


def independent_tables(leave: Floats, right: Floats, final_accuracy: float) -> Tables:
    """The same under independence of the exits, as Sponner et al. (section 3) assume.

    P(reach k) = Π_{j<k} (1 − P(A_j)); accuracy Σ_k P(reach k) · P(A_k, right), every factor over all
    samples. leave, right: (m, T) from :func:`marginals`.
    """
    reach: list[Floats] = [np.ones(())]
    accuracy: Floats = np.zeros(())
    for a, r in zip(leave, right, strict=True):
        accuracy = accuracy[..., None] + reach[-1][..., None] * r
        reach.append(reach[-1][..., None] * (1 - a))
    return Tables(tuple(reach), accuracy + reach[-1] * final_accuracy)
