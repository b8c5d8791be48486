"""Whether the parts of one data set are of one kind: choose against test, and against what was trained on.

The statistics and tests are those of :mod:`eeaug.cascade.shift`, beside them the given model's accuracy and the
share of every class. All of a run are tested together, each at ALARM over their number, where all classes count as
one and divide its share (Bonferroni): on parts of one distribution the chance of any alarm is at most ALARM. (That
thresholds were found on one of the parts does not raise it above, as a test shows: they are chosen by losses.)

**What was trained on.** A backbone is surer and more often right on samples that it has learnt. So where one part
was, only this is an alarm of what the model says: that it does *better* on the part that it has never seen. (Then
the share that leaves early is one of "up to this exit", and confidences are of all samples: these rise with every
confidence, which shares of single exits do not.) Labels are learnt by no one, so shares of classes are compared
both ways.

**Groups.** Where groups were drawn, a group is the unit: every statistic is one of group means, of which the parts
have as many as they have groups, and all tests are of means.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import Decision
from eeaug.cascade.passage import Passage
from eeaug.cascade.shift import Interval, Moments, Tested, means, shares

__all__ = ["ALARM", "Compared", "Difference", "Pair", "compare"]

ALARM = 0.01  # of a whole run: an alarm is its first line
CLASS = "class_share"
Floats = NDArray[np.float64]
Thresholds = Sequence[float | None]


@dataclass(frozen=True)
class Pair:
    """Two parts: ``new`` is compared with what ``reference`` lets expect; each is a name and its m + 1 rows.

    ``learnt``: the given model was trained on the reference, and not on the new one.
    """

    reference: tuple[str, Outcomes]
    new: tuple[str, Outcomes]
    learnt: bool = False


@dataclass(frozen=True)
class Difference:
    """One statistic of the new part against the reference.

    Parameters
    ----------
    statistic : "accuracy" (of the given model), "class_share"; "leave_rate" (share of all samples),
        "left_confidence", "reached_confidence" (means, as in shift); where the reference was learnt instead of
        these "left_by" (share that leaves there or before) and "confidence" (mean over all samples)
    at : the classifier, the final one last; of "class_share" the class; None of "accuracy"
    expected, interval, observed, p_value, outside : as in shift.Comparison
    """

    statistic: str
    at: int | None
    expected: float | None
    interval: Interval | None
    observed: float | None
    p_value: float
    outside: bool


@dataclass(frozen=True)
class Compared:
    """What came of a pair: ``units`` of reference and new part are samples, or groups if ``grouped``.

    Of all classes only the least likely one is among ``differences``; ``tests`` counts them all.
    """

    reference: str
    new: str
    learnt: bool
    grouped: bool
    units: tuple[int, int]
    tests: int
    differences: tuple[Difference, ...]

    @property
    def outside(self) -> tuple[Difference, ...]:
        """What says most to a user first, then whatever is least likely."""
        order = ("accuracy", CLASS, "leave_rate", "left_by")
        return tuple(
            sorted(
                (d for d in self.differences if d.outside),
                key=lambda d: (order.index(d.statistic) if d.statistic in order else len(order), d.p_value),
            )
        )


class _Statistic(NamedTuple):
    """A mean of ``values`` (n,) over the samples ``of`` (n,): no value is below ``least``."""

    name: str
    at: int | None
    values: NDArray[np.floating] | NDArray[np.bool_]
    of: NDArray[np.bool_]
    least: float = 0.0


def compare(
    pairs: Sequence[Pair], thresholds: Thresholds, decision: Decision, *, labelled: bool, level: float = ALARM
) -> tuple[Compared, ...]:
    """Every pair of which both parts have groups, or neither.

    Parameters
    ----------
    thresholds : (m,) of the design
    labelled : the outcomes' labels are real ones: accuracy and classes are compared, too; classes only of samples
        that count alike
    """
    pairs = [pair for pair in pairs if (pair.reference[1].groups is None) == (pair.new[1].groups is None)]
    statistics = [
        tuple(list(_statistics(part, thresholds, decision, pair.learnt, labelled)) for part in _parts(pair))
        for pair in pairs
    ]
    count = sum(len({(s.name, None if s.name == CLASS else s.at) for s in old}) for old, _ in statistics)
    return tuple(
        _compared(pair, old, new, level / count) for pair, (old, new) in zip(pairs, statistics, strict=True)
    )


def _parts(pair: Pair) -> tuple[Outcomes, Outcomes]:
    return pair.reference[1], pair.new[1]


def _statistics(
    part: Outcomes, thresholds: Thresholds, decision: Decision, learnt: bool, labelled: bool
) -> Iterator[_Statistic]:
    passage, every = Passage(part, thresholds), np.ones(part.samples, dtype=bool)
    at, last = passage.at, len(thresholds)
    if labelled:
        if part.judged is None:  # where some are, the given model is right by definition
            yield _Statistic("accuracy", None, part.baseline_right, every)
        if part.weights is None:
            for c, marked in enumerate(decision.marks(part.labels).T):
                yield _Statistic(CLASS, c, marked, every)
    for k, confidence in enumerate(part.confidence):
        if k < last:
            yield _Statistic("left_by" if learnt else "leave_rate", k, at <= k if learnt else at == k, every)
        if learnt:
            yield _Statistic("confidence", k, confidence, every)
            continue
        if k < last:
            least = float(np.float32(thresholds[k] or 0.0))
            yield _Statistic("left_confidence", k, confidence, at == k, least)
        yield _Statistic("reached_confidence", k, confidence, at >= k)


def _compared(pair: Pair, old: list[_Statistic], new: list[_Statistic], level: float) -> Compared:
    """``level``: of each statistic, of all classes together."""
    (reference, before), (name, now) = pair.reference, pair.new
    classes = sum(s.name == CLASS for s in old)
    differences = []
    for one, other in zip(old, new, strict=True):
        upward, each = pair.learnt and one.name != CLASS, level / classes if one.name == CLASS else level
        tested = _tested(before, one, now, other, each, upward)
        differences.append(
            Difference(
                one.name, one.at, tested.expected, tested.interval, tested.observed, tested.p_value,
                tested.p_value <= each,
            )
        )  # fmt: skip
    worst = min((d for d in differences if d.statistic == CLASS), key=lambda d: d.p_value, default=None)
    kept = tuple(d for d in differences if d.statistic != CLASS or d is worst)
    units = before.units, now.units
    return Compared(reference, name, pair.learnt, before.groups is not None, units, len(differences), kept)


def _tested(
    before: Outcomes, old: _Statistic, now: Outcomes, new: _Statistic, level: float, upward: bool
) -> Tested:
    """At ``level``; ``upward``: only more than expected is outside."""
    each = 2 * level if upward else level
    if before.groups is None and old.values.dtype == np.bool_:
        tested = shares(_counted(before, old), _counted(now, new), each)
    else:
        tested = means(_moments(before, old), _moments(now, new), each, least=old.least)
    if not upward or tested.interval is None:
        return tested
    assert tested.expected is not None and tested.observed is not None
    p_value = tested.p_value / 2 if tested.observed > tested.expected else 1.0
    return replace(tested, interval=(0.0, tested.interval[1]), p_value=p_value)


def _counts(part: Outcomes) -> Floats:
    """What samples count, so that all together are as many as they are worth (Kish, as in shift.seen)."""
    w = part.counts
    return w if part.weights is None else w * (w.sum() / (w @ w))


def _counted(part: Outcomes, statistic: _Statistic) -> tuple[float, float]:
    counts = _counts(part)[statistic.of]
    return float(counts[statistic.values[statistic.of].astype(bool)].sum()), float(counts.sum())


def _moments(part: Outcomes, statistic: _Statistic) -> Moments:
    """Of samples, or of the means of the groups that have any of them."""
    values, of = statistic.values.astype(np.float64), statistic.of
    if part.groups is None:
        return Moments.of(values[of], None if part.weights is None else _counts(part)[of])
    number = np.unique(part.groups, return_inverse=True)[1]
    counts = part.counts * of
    sums, all_of = np.bincount(number, counts * values), np.bincount(number, counts)
    return Moments.of(sums[all_of > 0] / all_of[all_of > 0])
