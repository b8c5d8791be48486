"""Outcomes of exits, and what a cascade of them costs and gets right.

Everything here is numpy: ``n`` samples, ``C`` candidate exits, ``m`` early exits of one architecture, ``T``
thresholds per exit. A sample leaves at the first exit whose float32 confidence is ≥ its threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

__all__ = ["Tables", "bins", "exact_tables", "independent_tables", "marginals"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Tables:
    """Every threshold configuration of A architectures with m exits.

    Parameters
    ----------
    reach : m + 1 arrays; ``reach[k]``, of shape (A,) + (T,)·k, is the share of samples that get to classifier k
    accuracy : array of shape (A,) + (T,)·m
    """

    reach: tuple[Floats, ...]
    accuracy: Floats

    def of(self, rows: NDArray[np.intp] | int) -> Tables:
        """The tables of some of the architectures; of a single one without the axis A."""
        return Tables(tuple(r[rows] for r in self.reach), self.accuracy[rows])

    def mean(self, costs: Floats) -> Floats:
        """Σ_k P(reach k) · cost_k for every configuration, shape (A,) + (T,)·m; ``costs`` is (A, m + 1)."""
        m = self.accuracy.ndim - 1
        terms = [
            r.reshape(r.shape + (1,) * (m + 1 - r.ndim)) * c.reshape(c.shape + (1,) * m)
            for r, c in zip(self.reach, costs.T, strict=True)
        ]
        return np.broadcast_to(reduce(np.add, terms), self.accuracy.shape)


def bins(confidence: NDArray[np.float32], grid: NDArray[np.float32]) -> NDArray[np.intp]:
    """Number of thresholds that each confidence meets: it leaves at threshold t exactly if bin > t.

    confidence (C, n), grid (C, T) ascending; returns (C, n) in 0..T.
    """
    rows = [np.searchsorted(g, c, side="right") for c, g in zip(confidence, grid, strict=True)]
    return np.array(rows, dtype=np.intp).reshape(confidence.shape)


def exact_tables(
    bin_of: NDArray[np.intp],
    correct: NDArray[np.bool_],
    archs: NDArray[np.intp],
    thresholds: int,
    weights: Floats | None = None,
) -> Tables:
    """Count every configuration of architectures (A, m) on the samples themselves.

    bin_of (C, n) from :func:`bins`; correct (C + 1, n); weights (n,) as in :class:`Outcomes`. One joint
    histogram of bins per architecture, and per different beginning of them, and cumulative sums:
    O(A·(n + m·(T + 1)^m)).
    """
    count, m = archs.shape
    total = correct.shape[1] if weights is None else weights.sum()
    if m == 0:
        right = correct[-1].sum() if weights is None else weights[correct[-1]].sum()
        return Tables((np.ones(count),), np.full(count, right / total))
    accuracy: Floats = np.zeros(count)
    reach: list[Floats] = []
    for k in range(m):
        last = k == m - 1
        begun, at = (archs, None) if last else np.unique(archs[:, : k + 1], axis=0, return_inverse=True)
        # by bins of the first k + 1 exits, rightness of exit k and, the last time, of the final classifier
        joint = _joint(bin_of, correct, begun, thresholds + 1, weights, final=last)
        joint = joint if at is None else joint[at.ravel()]
        by_right = joint[..., 0] + joint[..., 1] if last else joint[..., 0]  # (A, bins ..., wrong or right)
        reach.append(_survivors((by_right[..., 0] + by_right[..., 1]).sum(axis=-1), thresholds) / total)
        # who leaves at threshold t has a bin of t + 1 or more
        leaving = _survivors(by_right[..., 1], thresholds, axes=k)[..., ::-1].cumsum(axis=-1)[..., ::-1][..., 1:]
        accuracy = accuracy[..., None] + leaving
    by_final = joint[..., 0, :] + joint[..., 1, :]
    reach.append(_survivors(by_final[..., 0] + by_final[..., 1], thresholds) / total)
    return Tables(tuple(reach), (accuracy + _survivors(by_final[..., 1], thresholds)) / total)


def _joint(
    bin_of: NDArray[np.intp],
    correct: NDArray[np.bool_],
    archs: NDArray[np.intp],
    side: int,
    weights: Floats | None,
    *,
    final: bool,
) -> Floats:
    """How many samples fall together, or what they weigh: (A, side, ..., side, 2, 2 if final else 1)."""
    count, m = archs.shape
    shape, samples = (*(side,) * m, 2, 2 if final else 1), correct.shape[1]
    size = int(np.prod(shape))
    out = np.empty((count, size))
    step = max(1, _CELLS // samples)  # what fits a processor's cache is counted at once
    for start in range(0, count, step):
        rows = archs[start : start + step]
        cell = bin_of[rows[:, 0]]
        for column in rows[:, 1:].T:
            cell *= side
            cell += bin_of[column]
        cell *= 2
        cell += correct[rows[:, -1]]
        if final:
            cell *= 2
            cell += correct[-1]
        cell += size * np.arange(len(rows))[:, None]
        weigh = None if weights is None else np.tile(weights, len(rows))
        counted = np.bincount(cell.ravel(), weights=weigh, minlength=size * len(rows))
        out[start : start + step] = counted.reshape(len(rows), size)
    return out.reshape(count, *shape)


_CELLS = 1 << 17


def _survivors(table: Floats, thresholds: int, axes: int | None = None) -> Floats:
    """Cumulative counts along the axes after the first: who survives threshold t has a bin of at most t."""
    axes = table.ndim - 1 if axes is None else axes
    for axis in range(1, axes + 1):
        table = table.cumsum(axis=axis)
    return table[(slice(None), *(slice(0, thresholds),) * axes)]


def marginals(
    bin_of: NDArray[np.intp], correct: NDArray[np.bool_], thresholds: int, weights: Floats | None = None
) -> tuple[Floats, Floats]:
    """P(A) and P(A, right) of every exit and threshold, each (C, T); bin_of and correct are (C, n)."""
    count, samples = bin_of.shape
    total = samples if weights is None else weights.sum()
    joint = _joint(bin_of, correct, np.arange(count)[:, None], thresholds + 1, weights, final=False)[..., 0]
    above = joint[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]
    return above.sum(axis=-1) / total, above[..., 1] / total


def independent_tables(leave: Floats, right: Floats, final_accuracy: float) -> Tables:
    """The same under independence of the exits, as Sponner et al. (section 3) assume.

    P(reach k) = Π_{j<k} (1 − P(A_j)); accuracy Σ_k P(reach k) · P(A_k, right), every factor over all
    samples. leave, right: (A, m, T), rows of :func:`marginals`.
    """
    count, m, thresholds = leave.shape
    reach: list[Floats] = [np.ones(count)]
    accuracy: Floats = np.zeros(count)
    for k in range(m):
        along = (count, *(1,) * k, thresholds)
        accuracy = accuracy[..., None] + reach[-1][..., None] * right[:, k].reshape(along)
        reach.append(reach[-1][..., None] * (1 - leave[:, k].reshape(along)))
    return Tables(tuple(reach), accuracy + reach[-1] * final_accuracy)
