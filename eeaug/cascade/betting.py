"""Bets on paired losses: what they prove about an accuracy drop, with any number of samples.

A paired loss is [cascade wrong] − [given model wrong] of one sample (or [they disagree], without labels): in
{−1, 0, 1}, with the drop as its mean. It must come from samples that no choice has seen.
"""

from __future__ import annotations

from math import log1p, sqrt

import numpy as np
from numpy.typing import NDArray

__all__ = ["log_capital", "mean_upper_bound"]

Floats = NDArray[np.float64]

GRID = 2001  # candidate means of the bound: their step is 7e-5 at 0 and 5e-3 at ±1
BLOCKS = 200  # how often the stake is set anew
LARGEST_BET = 0.95  # share of the largest stake that keeps the capital positive
# What is assumed of the losses before any is seen: this second moment, as if from so many samples.
SECOND_MOMENT, ASSUMED_SAMPLES = 0.05, 30


def log_capital(
    losses: NDArray[np.integer] | Floats,
    means: Floats,
    *,
    error: float,
    seed: int,
    weights: Floats | None = None,
) -> Floats:
    """Largest logarithm of a capital that bets against "the mean loss is m or more", for every m.

    Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting" (JRSS B 86, 2024),
    sections 3 and 4, the capital process for one side: it starts at 1 and is multiplied by 1 − λ_i (x_i − m)
    with every loss x_i. Whatever predictable rule sets λ_i ≥ 0 below 1 / (max x − m), it is a nonnegative
    supermartingale if the mean is m or more, so it ever reaches 1/p with probability ≤ p (Ville).

    The rule decides only the power. Theirs (the plug-in of equation 26) sets λ_i = √(2 ln(1/error) / (n σ²))
    for all n samples; ours puts what is still to be won and the samples that are left in its place,

        λ_i = √(2 (ln(1/error) − ln capital) / ((n − i + 1) σ²)),    σ² the mean of (x − m)² so far,

    as Voráček and Orabona, "STaR-Bets: Sequential Target-Recalculating Bets for Tighter Confidence Intervals"
    (2025), and stops where the capital has reached 1/error. λ is set for blocks of samples.

    Parameters
    ----------
    losses : (n,), at most 1 each; the order is drawn with ``seed``
    means : (G,), the candidates m, at most 1
    error : the capital is bet so as to reach 1/error with the last sample, in (0, 1)
    weights : (n,) ≥ 0, as constants known beforehand: the mean is then that of weight · loss

    Returns
    -------
    (G,), ≥ 0. O(n + G · BLOCKS) for losses of few distinct values, O(n · G) at most.
    """
    x = np.asarray(losses, dtype=np.float64)
    most, moment = 1.0, SECOND_MOMENT
    if weights is not None:
        x = x * weights
        most, moment = max(1.0, float(weights.max(initial=0))), moment * float(np.mean(weights**2))
    x = np.random.default_rng(seed).permutation(x)
    if not len(x):
        return np.zeros(len(means))
    # where each block begins; how many losses come before it, their sum and their mean square about every candidate
    number = min(len(x), BLOCKS)
    short, longer = divmod(len(x), number)
    starts = np.arange(number) * short + np.minimum(np.arange(number), longer)
    seen = starts.astype(np.float64)
    total, squares = (np.cumsum(np.add.reduceat(y, starts)) - np.add.reduceat(y, starts) for y in (x, x * x))
    second = ASSUMED_SAMPLES * moment + squares[:, None] - 2 * np.outer(total, means) + np.outer(seen, means**2)
    scale = 2 * (ASSUMED_SAMPLES + seen[:, None]) / second / (len(x) - seen)[:, None]
    largest = LARGEST_BET / np.maximum(most - means, 1e-12)
    target = float(np.log(1 / error))
    if len(means) == 1:
        return np.array([_highest(x, starts, float(means[0]), scale[:, 0], float(largest[0]), target)])
    capital, highest = np.zeros(len(means)), np.zeros(len(means))
    for block, each in zip(np.split(x, starts[1:]), scale, strict=True):
        missing = np.maximum(target - capital, 0.0)
        if not missing.any():
            break
        stake = np.minimum(np.sqrt(missing * each), largest)
        # equal losses are counted once where that pays
        value, count = (block, 1) if len(means) < 9 else np.unique(block, return_counts=True)
        capital += (np.log1p(-stake * (value[:, None] - means)) * np.reshape(count, (-1, 1))).sum(axis=0)
        np.maximum(highest, capital, out=highest)
    return highest


def _highest(
    x: Floats, starts: NDArray[np.intp], mean: float, scale: Floats, largest: float, target: float
) -> float:  # fmt: skip
    """The same for one candidate, as a chain of designs asks for many times: short blocks need no arrays."""
    capital = highest = 0.0
    gains = x - mean
    values = gains.tolist() if len(x) < 40 * len(starts) else None
    edges = [*starts.tolist(), len(x)]
    for k, each in enumerate(scale.tolist()):
        if capital >= target:
            break
        stake = min(sqrt((target - capital) * each), largest)
        if values is None:
            capital += float(np.log1p(-stake * gains[edges[k] : edges[k + 1]]).sum())
        else:
            capital += sum(log1p(-stake * gain) for gain in values[edges[k] : edges[k + 1]])
        highest = max(highest, capital)
    return highest


def mean_upper_bound(
    values: NDArray[np.integer] | Floats,
    *,
    error: float = 0.05,
    seed: int = 0,
    weights: Floats | None = None,
    least: float = -1.0,
) -> float:
    """Upper confidence bound of a mean, valid for any distribution on [−1, 1] and any number of samples.

    Candidate means are tested in turn from the largest down, each by :func:`log_capital`, as long as they are
    rejected: a fixed sequence of tests, so the bound is too low with probability ≤ ``error``.

    Parameters
    ----------
    values : (n,), paired losses; the order is drawn with ``seed``
    error : how often the bound may be too low, in (0, 1)
    weights : (n,), mean 1, as in :func:`log_capital`
    least : no lower bound is asked for

    Returns the smallest of ``least`` and GRID means up to 1 down to which everything is rejected; 1.0 if
    nothing is.
    """
    grid = np.sinh(np.linspace(-5, 5, GRID)) / np.sinh(5)
    means = np.concatenate([[least], grid[grid > least]])
    kept = np.flatnonzero(log_capital(values, means, error=error, seed=seed, weights=weights) < np.log(1 / error))
    return float(means[min(kept[-1] + 1, len(means) - 1)] if len(kept) else means[0])
