"""Bets on paired losses: what they prove about an accuracy drop, with any number of samples.

A paired loss is [cascade wrong] − [given model wrong] of one sample (or [they disagree], without labels): in
{−1, 0, 1}, with the drop as its mean. It must come from samples that no choice has seen.
"""

from __future__ import annotations

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
    largest = LARGEST_BET / np.maximum(most - means, 1e-12)
    target = np.log(1 / error)
    capital, highest = np.zeros(len(means)), np.zeros(len(means))
    seen, total, squares = 0, 0.0, 0.0
    for block in np.array_split(x, min(len(x), BLOCKS)) if len(x) else ():
        second = (ASSUMED_SAMPLES * moment + squares - 2 * means * total + seen * means**2) / (
            ASSUMED_SAMPLES + seen
        )
        missing = np.maximum(target - capital, 0.0)
        if not missing.any():
            break
        stake = np.minimum(np.sqrt(2 * missing / ((len(x) - seen) * second)), largest)
        # equal losses are counted once where that pays
        value, count = (block, 1) if len(means) < 9 else np.unique(block, return_counts=True)
        capital += (np.log1p(-stake * (value[:, None] - means)) * np.reshape(count, (-1, 1))).sum(axis=0)
        np.maximum(highest, capital, out=highest)
        seen, total, squares = seen + len(block), total + float(block.sum()), squares + float(block @ block)
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
