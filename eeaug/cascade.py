"""Outcomes of exits, and what a cascade of them costs and gets right.

Everything here is numpy: ``n`` samples, ``C`` candidate exits, ``m`` early exits of one architecture, ``T``
thresholds per exit. A sample leaves at the first exit whose float32 confidence is ≥ its threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Outcomes", "Tables", "bins", "decide", "exact_tables", "independent_tables", "marginals", "max_softmax",
]  # fmt: skip

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Outcomes:
    """What every trained exit and the final classifier say of every sample.

    Parameters
    ----------
    confidence : float32 (C + 1, n); row C is the final classifier's
    predicted : int (C + 1, n), classes
    labels : int (n,)
    """

    confidence: NDArray[np.float32]
    predicted: NDArray[np.integer]
    labels: NDArray[np.integer]

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
        return Outcomes(self.confidence[index], self.predicted[index], self.labels)


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


def max_softmax(probabilities: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Confidence and predicted class of probabilities (n, classes)."""
    return probabilities.max(axis=-1).astype(np.float32), probabilities.argmax(axis=-1)


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


def exact_tables(bin_of: NDArray[np.intp], correct: NDArray[np.bool_], thresholds: int) -> Tables:
    """Count every configuration of one architecture on the samples themselves.

    bin_of (m, n) from :func:`bins`; correct (m + 1, n). One joint histogram and its cumulative sums:
    O(m·n + m·(T + 1)^m).
    """
    m, n = bin_of.shape[0], correct.shape[1]
    side = thresholds + 1
    cell = np.zeros(n, dtype=np.intp)
    accuracy: Floats = np.zeros(())
    reach: list[Floats] = []
    right: NDArray[np.integer]
    for k in range(m + 1):
        shape = (side,) * k
        everyone = np.bincount(cell, minlength=side**k).reshape(shape)
        reach.append(_survivors(everyone, k, thresholds) / n)
        if k == m:
            right = np.bincount(cell[correct[k]], minlength=side**k).reshape(shape)
            accuracy = accuracy + _survivors(right, k, thresholds)
        else:
            cell = cell * side + bin_of[k]
            right = np.bincount(cell[correct[k]], minlength=side ** (k + 1)).reshape((*shape, side))
            right = _survivors(right, k, thresholds)
            # who leaves at threshold t has a bin of t + 1 or more
            accuracy = accuracy[..., None] + right[..., ::-1].cumsum(axis=-1)[..., ::-1][..., 1:]
    return Tables(tuple(reach), accuracy / n)


def _survivors(table: NDArray[np.integer], axes: int, thresholds: int) -> NDArray[np.integer]:
    """Cumulative counts along the first axes: who survives threshold t has a bin of at most t."""
    for axis in range(axes):
        table = table.cumsum(axis=axis)
    return table[(slice(0, thresholds),) * axes]


def marginals(bin_of: NDArray[np.intp], correct: NDArray[np.bool_], thresholds: int) -> tuple[Floats, Floats]:
    """P(A) and P(A, right) of every exit and threshold, each (C, T); bin_of and correct are (C, n)."""
    n = bin_of.shape[-1]
    t = np.arange(thresholds)
    leave = np.array([(np.bincount(b, minlength=thresholds + 1)[::-1].cumsum()[::-1][1:]) for b in bin_of])
    right = np.array(
        [np.bincount(b[c], minlength=thresholds + 1)[::-1].cumsum()[::-1][1:]
         for b, c in zip(bin_of, correct, strict=True)]
    )  # fmt: skip
    shape = (len(bin_of), len(t))
    return leave.reshape(shape) / n, right.reshape(shape) / n


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
