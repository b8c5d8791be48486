"""Leave rates and confidences on the data of a bundle, and whether new data shows the same.

Under the null hypothesis, new samples are drawn from the same distribution as those of the reference, one by one.
Every test is one of exchangeability, so it holds with any number of samples on either side:

- Leave rates: Fisher's exact test of two shares. Turned round, it gives the limits that Thatcher ("Relationships
  between Bayesian and confidence limits for predictions", JRSS B 26, 1964) predicts a count with.
- Mean confidences: given all values of both sides, the new ones are a sample of them without replacement.
  Hoeffding, "Probability inequalities for sums of bounded random variables" (JASA 58, 1963): theorem 3 bounds the
  tail of its mean by variance and range, theorem 4 carries that over to draws without replacement. (Welch's t is
  narrower, but 5 values as skewed as confidences are made it reject 12 % at a level of 1 %.)

All statistics are tested together, each at the level over their number (Bonferroni): the chance that data of the
same distribution shows any of them outside is at most the level.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, lgamma, log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.passage import Passage

__all__ = [
    "LEVEL", "Comparison", "ExitMoments", "Interval", "Moments", "Tested", "compare", "means", "read", "recorded",
    "seen", "shares",
]  # fmt: skip

LEVEL = 0.05  # probability that any statistic is outside by chance
STEP = 1e-9  # precision of the ends of intervals of means
Thresholds = Sequence[float | None]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Moments:
    """Of some confidences: how many, mean and standard deviation (divisor ``samples``); None where there are none.

    ``samples`` of weighted ones is an effective number.
    """

    samples: float
    mean: float | None
    sd: float | None

    @classmethod
    def of(cls, values: NDArray[np.floating], weights: NDArray[np.float64] | None = None) -> Moments:
        """Of values (n,) with weights (n,)."""
        samples = len(values) if weights is None else float(weights.sum())
        if not samples:
            return cls(samples, None, None)
        exact = values.astype(np.float64)
        mean = float(np.average(exact, weights=weights))
        variance = float(np.average((exact - mean) ** 2, weights=weights))
        return cls(samples, mean, variance**0.5)


@dataclass(frozen=True)
class ExitMoments:
    """Confidences at one classifier: of those that left there, and of all that reached it."""

    left: Moments
    reached: Moments


@dataclass(frozen=True)
class Comparison:
    """One statistic of new samples against the reference.

    Parameters
    ----------
    exit : position of the classifier, the final one last
    statistic : "leave_rate" (share of all samples), "left_confidence" or "reached_confidence" (means)
    expected, observed : None where there are no samples
    interval : of what new samples (for a mean: with their spread) can show without being outside; None where
        either side has no samples
    p_value : of this test alone; ``outside`` if it is at most the level over the number of tests
    """

    exit: int
    statistic: str
    expected: float | None
    interval: Interval | None
    observed: float | None
    p_value: float
    outside: bool


@dataclass(frozen=True)
class Tested:
    """What a test of one statistic says at its level; the fields are those of a :class:`Comparison`."""

    expected: float | None
    interval: Interval | None
    observed: float | None
    p_value: float


def seen(
    exits: NDArray[np.intp], reached: Sequence[NDArray[np.float32]], weights: NDArray[np.float64] | None = None
) -> tuple[ExitMoments, ...]:
    """What n samples show at each of m + 1 classifiers.

    Parameters
    ----------
    exits : (n,), the classifier that each left at
    reached : m + 1 arrays, the confidences there of all that reached it, in the order of the samples
    weights : (n,) or None; they count as Kish's effective number of samples, (Σw)² / Σw²
    """
    w = None if weights is None else weights * (weights.sum() / (weights @ weights))
    moments = []
    for k, confidence in enumerate(reached):
        there = exits >= k
        leaves = exits[there] == k
        weights_there = None if w is None else w[there]
        left = Moments.of(confidence[leaves], None if weights_there is None else weights_there[leaves])
        moments.append(ExitMoments(left, Moments.of(confidence, weights_there)))
    return tuple(moments)


def recorded(outcomes: Outcomes, points: Mapping[str, Thresholds], part: str) -> dict[str, Any]:
    """The reference as the manifest holds it; its intervals are those of another set of as many samples.

    Parameters
    ----------
    outcomes : of the design's m exits and the final classifier; with weights, tests are approximate
    points : thresholds (m) of every operating point
    part : "test", or where there is none "choose": thresholds were found on that one, so new data of the same
        distribution may be outside of its intervals more often than the level says
    """
    listed = []
    for name, thresholds in points.items():
        passage = Passage(outcomes, thresholds)
        shown = seen(passage.at, passage.reached, outcomes.weights)
        listed.append({"name": name, "exits": _entries(shown, thresholds)})
    return {
        "part": part,
        "samples": outcomes.samples,
        "weighted": outcomes.weights is not None,
        "level": LEVEL,
        "points": listed,
    }


def _entries(shown: Sequence[ExitMoments], thresholds: Thresholds) -> list[dict[str, Any]]:
    tests = {(c.exit, c.statistic): c for c in compare(shown, shown, thresholds)}
    entries = []
    for k, at in enumerate(shown):
        rate = tests[k, "leave_rate"]
        entry: dict[str, Any] = {"leave_rate": rate.expected, "interval": rate.interval}
        for name, moments in (("left", at.left), ("reached", at.reached)):
            test = tests.get((k, f"{name}_confidence"), tests[k, "reached_confidence"])  # all leave at the last
            entry[name] = {
                "samples": moments.samples,
                "mean_confidence": moments.mean,
                "sd": moments.sd,
                "interval": test.interval,
            }
        entries.append(entry)
    return entries


def read(reference: Mapping[str, Any], point: str) -> tuple[ExitMoments, ...]:
    """What :func:`recorded` holds of one operating point; KeyError if it holds none of that name."""
    entries = {listed["name"]: listed["exits"] for listed in reference["points"]}[point]
    return tuple(
        ExitMoments(*(Moments(e[s]["samples"], e[s]["mean_confidence"], e[s]["sd"]) for s in ("left", "reached")))
        for e in entries
    )


def compare(
    reference: Sequence[ExitMoments], new: Sequence[ExitMoments], thresholds: Thresholds, level: float = LEVEL
) -> tuple[Comparison, ...]:
    """Every statistic of new samples against the reference, both of m + 1 classifiers, at the same m thresholds.

    With probability ≥ 1 − ``level``, none is outside if both sides are of one distribution.
    """
    statistics = [
        (k, name)
        for k in range(len(reference))
        for name in ("leave_rate", "left_confidence", "reached_confidence")
        if name != "left_confidence" or k < len(thresholds)
    ]
    each = level / len(statistics)
    comparisons = []
    for k, name in statistics:
        old, now = reference[k], new[k]
        if name == "leave_rate":
            tested = shares(
                (old.left.samples, reference[0].reached.samples), (now.left.samples, new[0].reached.samples), each
            )
        elif name == "left_confidence":
            tested = means(old.left, now.left, each, least=float(np.float32(thresholds[k] or 0.0)))
        else:
            tested = means(old.reached, now.reached, each)
        comparisons.append(
            Comparison(
                k, name, tested.expected, tested.interval, tested.observed, tested.p_value, tested.p_value <= each
            )
        )
    return tuple(comparisons)


# -- leave rates --------------------------------------------------------------------------------------


def shares(old: tuple[float, float], new: tuple[float, float], level: float) -> Tested:
    """Fisher's test of two shares, (counted, of all) each; effective numbers, no integers, are rounded."""
    a, all_old, b, all_new = map(round, (*old, *new))
    if not all_old or not all_new:
        return Tested(None, None, None, 1.0)

    def inside(count: float) -> bool:
        return _fisher(a, all_old, int(count), all_new) > level

    middle = round(a * all_new / all_old)
    interval = (_last(middle, 0, inside, 1) / all_new, _last(middle, all_new, inside, 1) / all_new)
    return Tested(old[0] / old[1], interval, new[0] / new[1], _fisher(a, all_old, b, all_new))


def _fisher(a: int, of_a: int, b: int, of_b: int) -> float:
    """Two-sided p-value, twice the smaller tail, of shares a / of_a and b / of_b; it falls with their distance."""
    if b * of_a < a * of_b:
        a, b = of_a - a, of_b - b
    drawn, pool = a + b, of_a + of_b
    # of ``drawn`` ones among ``pool``, the ``of_b`` new samples have b or more
    first = exp(_choices(drawn, b) + _choices(pool - drawn, of_b - b) - _choices(pool, of_b))
    more = np.arange(b, min(drawn, of_b), dtype=np.float64)
    ratios = (drawn - more) * (of_b - more) / ((more + 1) * (pool - drawn - of_b + more + 1))
    return min(1.0, 2 * first * (1 + float(np.cumprod(ratios).sum())))


def _choices(n: int, k: int) -> float:
    """ln of n over k."""
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


# -- mean confidences ---------------------------------------------------------------------------------


def means(old: Moments, new: Moments, level: float, *, least: float = 0.0) -> Tested:
    """Hoeffding's test of two means of values in [``least``, 1]."""
    if old.mean is None or new.mean is None:
        return Tested(old.mean, None, new.mean, 1.0)

    def inside(mean: float) -> bool:
        return _bound(old, Moments(new.samples, mean, new.sd), least) > level

    interval = (_last(old.mean, least, inside, STEP), _last(old.mean, 1.0, inside, STEP))
    return Tested(old.mean, interval, new.mean, _bound(old, new, least))


def _bound(old: Moments, new: Moments, least: float) -> float:
    """Upper bound of the two-sided p-value of two means of values in [``least``, 1]."""
    assert old.mean is not None and old.sd is not None and new.mean is not None and new.sd is not None
    n, m = old.samples, new.samples
    pool, distance = n + m, abs(new.mean - old.mean)
    variance = (n * old.sd**2 + m * new.sd**2) / pool + n * m * (distance / pool) ** 2
    middle = (n * old.mean + m * new.mean) / pool
    above, below = 1 - middle, middle - least
    # the pooled mean is fixed, so either side's mean decides the other's: the sharper bound of the two
    up, down = (m, n) if new.mean > old.mean else (n, m)
    exponent = max(
        _hoeffding(variance, above, distance * (pool - up) / pool) * up,
        _hoeffding(variance, below, distance * (pool - down) / pool) * down,
    )
    return min(1.0, 2 * exp(-exponent))


def _hoeffding(variance: float, largest: float, distance: float) -> float:
    """Exponent per sample of theorem 3: values with this variance, at most ``largest`` above their mean, have a
    mean of n samples that is ``distance`` above it with probability ≤ exp(−n · exponent).

    It is the relative entropy of two coins, as for values that are ``largest`` or one other number.
    """
    if variance <= 0 or largest <= 0 or distance <= 0:
        return 0.0  # rounding: equal values on both sides
    p = variance / (variance + largest**2)
    q = min(1.0, p + distance * largest / (variance + largest**2))
    return q * log(q / p) + ((1 - q) * log((1 - q) / (1 - p)) if q < 1 else 0.0)


def _last(inside: float, end: float, holds: Callable[[float], bool], step: float) -> float:
    """The last number from ``inside`` on towards ``end`` that ``holds``, to ``step``; whole ones for 1."""
    if holds(end):
        return end
    outside = end
    while abs(outside - inside) > step:
        middle = (inside + outside) // 2 if step == 1 else (inside + outside) / 2
        if holds(middle):
            inside = middle
        else:
            outside = middle
    return inside
