"""A drop and its standard error, from paired losses; nothing is proven by them."""

from __future__ import annotations

from math import inf, sqrt

import numpy as np
from numpy.typing import NDArray

__all__ = ["drop"]

Floats = NDArray[np.float64]


def drop(
    losses: NDArray[np.integer],
    weights: Floats | None = None,
    groups: NDArray[np.generic] | None = None,
    *,
    budget: float | None = None,
) -> tuple[float, float]:
    """The weighted mean loss and its standard error.

    The mean is a ratio, of a sum over what was drawn (samples, or groups of them) to the sum of its weights;
    its linearized standard error is √(G/(G − 1) Σ (T_g − mean · W_g)²) / Σ W_g, for G units with losses T_g and
    weights W_g (Cochran, "Sampling techniques", 3rd edition, 1977, section 6.4). Losses of one group may depend
    on each other as they like: cluster-robust.

    Parameters
    ----------
    losses : (n,) of a Passage
    weights : (n,), what each sample counts
    groups : (n,), what each sample belongs to
    budget : the error is that of a mean of so much, if it is larger, as in a score test (Tango, 1998): losses that
        are missing would vary as those that are there

    Returns
    -------
    The mean, NaN where nothing counts, and its standard error: at least that of a mean to which one sample has
    added a loss, since where no losses differ the formula says 0; infinite for fewer than two units.
    """
    counts = np.ones(len(losses)) if weights is None else np.asarray(weights, np.float64)
    total = float(counts.sum())
    if not total:
        return float("nan"), inf
    mean = float(counts @ losses) / total
    residuals = counts * (losses - mean)
    if groups is not None:
        residuals = _by_group(groups, residuals)
    units = len(residuals)
    if units < 2:
        return mean, inf
    squares, of_one = float(residuals @ residuals), float(counts @ counts) / len(counts)
    more = 0.0 if budget is None else budget - mean
    if more > 0:
        counting = float(counts @ np.abs(losses)) / total
        # without any, each of them would be of one sample
        squares = squares * (1 + more / counting) if counting else more * total * total / len(counts)
    squares = max(squares, of_one)
    return mean, sqrt(units / (units - 1) * squares) / total


def _by_group(groups: NDArray[np.generic], values: Floats) -> Floats:
    """Sums of values over each group, in ascending order of the groups; without sorting where they are numbered."""
    if groups.dtype.kind not in "iu" or not len(groups) or groups.min() < 0 or groups.max() >= 4 * len(groups):
        return np.asarray(np.bincount(np.unique(groups, return_inverse=True)[1], weights=values), np.float64)
    return np.asarray(np.bincount(groups, weights=values)[np.bincount(groups) > 0], np.float64)
