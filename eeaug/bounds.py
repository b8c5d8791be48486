"""Confidence bounds on an accuracy drop, from samples that no choice has seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["mean_upper_bound"]

GRID = 2001  # candidate means that are tested; the bound is rounded up to the next
LARGEST_BET = 0.75  # share of the largest bet that keeps the capital positive


def mean_upper_bound(values: NDArray[np.integer], *, error: float = 0.05, seed: int = 0) -> float:
    """Upper confidence bound of a mean, valid for any distribution on [−1, 1] and any sample size.

    Betting bound of Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting"
    (2024), section 4: for every candidate mean m, a capital that bets against "the mean is m or more" grows
    by 1 − λ_i (x_i − m); by Ville's inequality it reaches 1/error with probability ≤ error if that is true,
    so every m where it does is rejected. λ_i is their predictable plug-in (equation 26).

    Parameters
    ----------
    values : (n,), paired losses: [cascade wrong] − [given model wrong]; the order is drawn with ``seed``
    error : how often the bound may be too low, in (0, 1)

    Returns the smallest m of a grid on [−1, 1] above which everything is rejected; 1.0 if nothing is.
    O(n · GRID).
    """
    x = (np.random.default_rng(seed).permutation(np.asarray(values, dtype=np.float64)) + 1) / 2
    n = len(x)
    means = np.linspace(0, 1, GRID)
    count = np.arange(1, n + 1)
    running = (0.5 + np.cumsum(x)) / (count + 1)
    variance = (0.25 + np.cumsum((x - running) ** 2)) / (count + 1)
    before = np.concatenate([[0.25], variance[:-1]])  # predictable: each bet knows only earlier samples
    bet = np.sqrt(2 * np.log(1 / error) / (n * before))
    log_capital = np.zeros(GRID)
    highest = np.zeros(GRID)
    most = LARGEST_BET / np.maximum(1 - means, 1e-12)
    for value, stake in zip(x, bet, strict=True):
        log_capital += np.log1p(-np.minimum(stake, most) * (value - means))
        np.maximum(highest, log_capital, out=highest)
    kept = np.flatnonzero(highest < np.log(1 / error))
    bound = means[min(kept[-1] + 1, GRID - 1)] if len(kept) else means[0]
    return float(2 * bound - 1)
