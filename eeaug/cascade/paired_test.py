"""Exact test that a cascade loses less than a margin of accuracy, against the given model on the same samples.

Of n samples the cascade is wrong and the given model right on a ("worse"), the other way round on c ("better"):
drawn with probabilities p_a and p_c, where p_a − p_c is the drop. The null hypothesis is p_a − p_c ≥ b, the margin.

Tables (a, c) are ordered by the score statistic

    Z = (a − c − n b) / √(n (2 q̂ + b − b²)),    q̂ the larger root of
    2 n q² − (a (1 + b) + c (1 − b) − 2 n b) q − c b (1 − b) = 0,

the maximum-likelihood estimate of q = p_c under p_a = q + b: Nam, "Establishing equivalence of two treatments and
sample size requirements in matched-pairs design" (Biometrics 53, 1997); Tango, "Equivalence test and confidence
interval for the difference in proportions for the paired-sample design" (Statistics in Medicine 17, 1998). Only the
order is taken from there: the p-value is the probability of a table as low, the largest that the null hypothesis
allows (an exact unconditional test). Every step of its computation errs to the larger side:

Region     R = {a ≤ K(c)}, K(c) the largest a with Z(a, c) ≤ the observed Z. Where Z is negative it rises with a at
           a fixed c, as both a − c and q̂ do. K is made nondecreasing: R is convex (Barnard, "Significance tests for
           2 × 2 tables", Biometrika 34, 1947), and contains the region of every lower Z.
Boundary   With (a, c) also (a − 1, c) is in R. At a given p_c, a smaller p_a makes some samples of a into samples
           without a difference: R becomes more probable, down to p_a = p_c + b. One nuisance parameter is left,
           q = p_c.
Nuisance   q is sought in a Clopper–Pearson interval for p_c alone, and the chance that this misses is added: Berger
           and Boos, "P values maximized over a confidence set for the nuisance parameter" (JASA 89, 1994). There is
           one interval for all c with the same ⌊√c⌋, a cell, so that in a cell the p-value rises with Z.
Between    With s the score along the boundary, β(q) = P(R) has β'' = E[1_R (s² + s')], where s² ≥ 0 ≥ s' and
points     E s² = −E s' = n I(q), I(q) = 1/(q + b) + 1/q + 4/(1 − 2q − b). So |β''| ≤ n I, and between two points w
           apart β is at most w²/8 · n · max I above the larger of them; I is convex: its maximum is at one of them.
Ends       With (a, c) also (a, c + 1) is in R. So on [q, q'] β is at most P(R) at p_a = q + b, p_c = q': this
           serves where I is unbounded, at q = 0 and q = (1 − b)/2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from math import ceil, floor, inf, isqrt, log, log1p, sqrt

import numpy as np
from numpy.typing import NDArray

__all__ = ["PairedTest", "p_value", "paired_test", "samples_needed", "smallest_margin"]

Floats = NDArray[np.float64]

# Shares of the risk: what a p-value may be too large by between grid points, and what the nuisance interval misses.
TOLERANCE, MISSED = 2e-3, 2e-4
COARSE = (0.25, 0.03)  # shares of the risk, as TOLERANCE: what a decision is tried with first
ROUNDING = 1e-9  # tables whose Z differ by less have the same one
ASYMPTOTIC = 20_000  # from so many samples on, how many are needed is told by the normal distribution


@dataclass(frozen=True)
class PairedTest:
    """The test with one number of samples and one margin.

    Parameters
    ----------
    samples : n
    margin : b in [0, 1]
    risk : in (0, 1): the level of decisions; p-values are as fine as these need them
    """

    samples: int
    margin: float
    risk: float = 0.05
    # remembered: by cell the largest Z known to pass and the smallest known not to; by table its p-value
    _known: dict[int, tuple[float, float]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _p_values: dict[tuple[int, int], float] = field(default_factory=dict, init=False, repr=False, compare=False)

    def p_value(self, worse: int, better: int) -> float:
        """P(p-value ≤ x) ≤ x for every x if the drop is ``margin`` or more; 1 where a − c ≥ n b.

        O(W) evaluations of a binomial distribution at some 500 points, W ~ 12 √c.
        """
        z = self._z(worse, better)
        if not -inf < z < 0:
            return float(z >= 0)
        if (worse, better) not in self._p_values:
            self._p_values[worse, better] = min(1.0, self._bounds(z, isqrt(better), TOLERANCE)[1])
        return self._p_values[worse, better]

    def passes(self, worse: int, better: int) -> bool:
        """Whether the p-value is at most the risk; most tables along a path need no new evaluation."""
        z, cell = self._z(worse, better), isqrt(better)
        passed, failed = self._known.get(cell, (-inf, 0.0))
        if not passed < z < failed:
            return z <= passed
        proven = self._decide(z, cell)
        self._known[cell] = (z, failed) if proven else (passed, z)
        return proven

    def _z(self, worse: int, better: int) -> float:
        return float(_score(np.array(worse), np.array(better), self.samples, self.margin))

    def _decide(self, z: float, cell: int) -> bool:
        for tolerance in COARSE:
            least, most = self._bounds(z, cell, tolerance)
            if least > self.risk:
                return False
            if most + TOLERANCE * self.risk <= self.risk:
                return True
        return self._bounds(z, cell, TOLERANCE)[1] <= self.risk

    def _bounds(self, z: float, cell: int, tolerance: float) -> tuple[float, float]:
        """The p-value of tables with this Z in a cell, from below and from above."""
        grid = _grid(self.samples, self.margin, self.risk, cell, tolerance)
        least = grid.probabilities(_region(z, grid.last, self.samples, self.margin))
        most = least + grid.outside + ROUNDING
        inner = most[: len(grid.error) + 1]
        between = np.maximum(inner[:-1], inner[1:]) + grid.error
        missed = MISSED * self.risk
        return (
            float(least[: len(inner)].max(initial=0)) + missed,
            float(max(most.max(initial=0), between.max(initial=0))) + missed,
        )


@lru_cache(maxsize=4096)
def paired_test(samples: int, margin: float, risk: float) -> PairedTest:
    """The one that remembers what it has decided before."""
    return PairedTest(samples, margin, risk)


def p_value(worse: int, better: int, samples: int, margin: float, *, risk: float = 0.05) -> float:
    """Of "the drop is ``margin`` or more", see :class:`PairedTest`."""
    return paired_test(samples, margin, risk).p_value(worse, better)


def smallest_margin(worse: int, better: int, samples: int, risk: float) -> float:
    """The smallest margin, to a thousandth of it, that would be proven at ``risk``; 1 if none below."""
    low, high = max(0.0, (worse - better) / max(samples, 1)), 1.0
    if PairedTest(samples, low, risk).passes(worse, better):
        return low
    while high - low > 1e-3 * high + 1e-9:
        middle = (low + high) / 2
        if PairedTest(samples, middle, risk).passes(worse, better):
            high = middle
        else:
            low = middle
    return high


def samples_needed(worse_share: float, better_share: float, margin: float, risk: float) -> int | None:
    """About how many samples prove ``margin``, if these shares of them are worse and better; None: none do.

    To one in a hundred by the exact test, and where that takes more than ASYMPTOTIC by Z alone.
    """
    from scipy import special

    if margin - (worse_share - better_share) < 1e-9:
        return None

    def enough(samples: int) -> bool:
        worse, better = (floor(share * samples + 0.5) for share in (worse_share, better_share))
        return PairedTest(samples, margin, risk).passes(worse, better)

    # Z of shares grows as √n
    z = float(_score(np.array(worse_share), np.array(better_share), 1, margin))
    high = max(1, ceil((float(special.ndtri(risk)) / z) ** 2))
    if high > ASYMPTOTIC:
        return max(high, ceil(log(risk) / log1p(-margin)))  # the second: without any loss
    while not enough(high):
        high = ceil(1.5 * high)
    low = 0
    while high - low > max(1, high // 100):
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _score(worse: NDArray[np.integer] | Floats, better: NDArray[np.integer] | Floats, n: int, b: float) -> Floats:
    """Z of tables; where its variance is 0, 0 or −∞."""
    a, c = np.asarray(worse, np.float64), np.asarray(better, np.float64)
    linear, constant = a * (1 + b) + c * (1 - b) - 2 * n * b, c * b * (1 - b)
    root = np.sqrt(linear**2 + 8 * n * constant)
    with np.errstate(divide="ignore", invalid="ignore"):
        # the second form is the same without a difference of nearly equal numbers
        q = np.where(linear >= 0, (linear + root) / (4 * n), 2 * constant / (root - linear))
        difference = a - c - n * b
        z = difference / np.sqrt(n * (2 * q + b - b * b))
    return np.where(difference >= 0, np.maximum(np.nan_to_num(z), 0), z)


def _region(z: float, last: int, n: int, b: float) -> NDArray[np.intp]:
    """K(c) for c = 0 … ``last``: the largest a of the region, −1 if none; ``z`` < 0."""
    c = np.arange(last + 1)
    # between: Z(low) ≤ z, or low = −1; Z(high) is above, or a + c > n
    low, high = np.full(len(c), -1), np.minimum(n - c + 1, np.ceil(c + n * b).astype(np.intp) + 1)
    while (high - low > 1).any():
        middle = (low + high) // 2
        below = (middle < 0) | (_score(np.maximum(middle, 0), c, n, b) <= z + ROUNDING)
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.maximum.accumulate(low)


@dataclass(frozen=True)
class _Grid:
    """Points (p_a, p_c) of a cell; Q of them, of which the first are along the boundary.

    Parameters
    ----------
    better : (Q, W), c in a window, at most n
    mass : (Q, W), its probability; 0 where the window goes beyond n
    worse : (Q, 1), the probability of a worse sample among those that are not better
    outside : (Q,), the mass outside of the window
    error : (J,), what β may be above the larger of two neighbours among the first J + 1 points
    """

    samples: int
    better: NDArray[np.intp]
    mass: Floats
    worse: Floats
    outside: Floats
    error: Floats

    @property
    def last(self) -> int:
        return int(self.better.max(initial=0))

    def probabilities(self, region: NDArray[np.intp]) -> Floats:
        """Of {a ≤ ``region``[c]} at every point, (Q,)."""
        from scipy import special

        rest = self.samples - self.better
        most = np.minimum(region[self.better], rest)
        below = np.where(most < 0, 0.0, special.bdtr(np.maximum(most, 0), rest, self.worse))
        return np.asarray((self.mass * below).sum(axis=1))


@lru_cache(maxsize=8)  # of up to some megabytes
def _grid(n: int, b: float, risk: float, cell: int, tolerance: float) -> _Grid:
    from scipy import special

    allowed, missed = tolerance * risk, MISSED * risk
    first, last = cell**2, min((cell + 1) ** 2 - 1, n)
    highest = (1 - b) / 2
    q_low = float(special.betaincinv(first, n - first + 1, missed / 2)) if first else 0.0
    q_high = float(special.betaincinv(last + 1, n - last, 1 - missed / 2)) if last < n else 1.0
    q_high = min(q_high, highest)
    better, worse = np.zeros(0), np.zeros(0)
    error = np.zeros(0)
    if q_low <= q_high:  # else the null hypothesis has no such q
        short = allowed / (2 * n)
        start = min(max(q_low, short), q_high)
        points = _points(n, b, start, max(start, min(q_high, highest - short)), allowed)
        information = np.array([_information(q, b) for q in points] if len(points) > 1 else [inf])
        error = np.diff(points) ** 2 / 8 * n * np.maximum(information[:-1], information[1:])
        # up to start, and from the last point on, by the second bound
        better, worse = np.array([*points, start, q_high]), b + np.array([*points, q_low, points[-1]])
    half = (
        np.ceil(6.2 * np.sqrt(n * better * (1 - better))) + 12
    )  # 6.2 standard deviations, and few for small means
    window = np.arange(int(2 * half.max(initial=0)) + 1)
    c = np.maximum(np.floor(n * better) - half, 0).astype(np.intp)[:, None] + window
    inside = np.minimum(c, n)
    logarithm = special.gammaln(n + 1) - special.gammaln(inside + 1) - special.gammaln(n - inside + 1)
    logarithm += special.xlogy(inside, better[:, None]) + special.xlog1py(n - inside, -better[:, None])
    mass = np.where(c <= n, np.exp(logarithm), 0.0)
    share = np.minimum(worse / (1 - better), 1)[:, None]
    return _Grid(n, inside, mass, share, np.abs(1 - mass.sum(axis=1)), error)


def _information(q: float, b: float) -> float:
    return 1 / (q + b) + 1 / q + 4 / (1 - 2 * q - b)


def _points(n: int, b: float, start: float, stop: float, allowed: float) -> list[float]:
    """From ``start`` to ``stop``, as far apart as the error ``allowed`` between them lets them be."""
    points = [start]
    while points[-1] < stop:
        here = _information(points[-1], b)
        there = _information(min(points[-1] + sqrt(8 * allowed / (n * here)), stop), b)
        points.append(min(points[-1] + sqrt(8 * allowed / (n * max(here, there))), stop))
    return points
