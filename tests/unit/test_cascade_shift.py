"""Tests of new data against a reference: exact tails, false alarms by simulation, power, and what is stored."""

from __future__ import annotations

import json
from dataclasses import replace
from math import comb

import numpy as np
import pytest

from eeaug.cascade import shift
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.passage import Passage
from eeaug.cascade.shift import LEVEL, ExitMoments, Moments, compare, read, recorded, seen

THRESHOLDS = (0.9, 0.95)


def drawn(rng: np.random.Generator, samples: int, harder: float = 0.0) -> Outcomes:
    """Two exits and a final classifier that grow surer, and find the same samples hard; skewed towards 1."""
    hard = rng.normal(harder, 1, samples)
    logits = [a - b * hard + rng.normal(0, 0.7, samples) for a, b in ((1.5, 1.5), (2.5, 2.0), (4.0, 2.0))]
    confidence = np.clip(1 / (1 + np.exp(-np.array(logits))), 0.1, 1).astype(np.float32)
    return Outcomes(confidence, np.zeros(confidence.shape, np.intp), np.zeros(samples, np.intp))


def shown(outcomes: Outcomes, thresholds: tuple[float | None, ...] = THRESHOLDS) -> tuple[ExitMoments, ...]:
    at = Passage(outcomes, thresholds).at
    return seen(at, [row[at >= k] for k, row in enumerate(outcomes.confidence)], outcomes.weights)


def alarms(old: int, new: int, runs: int, harder: float = 0.0, seed: int = 0) -> float:
    """How often any statistic of ``new`` samples is outside, drawn like or unlike ``old`` ones."""
    rng = np.random.default_rng([old, new, seed])
    hits = 0
    for _ in range(runs):
        tests = compare(shown(drawn(rng, old)), shown(drawn(rng, new, harder)), THRESHOLDS)
        hits += any(test.outside for test in tests)
    return hits / runs


# -- exact tails --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_leave_rates_are_tested_with_hypergeometric_tails(seed: int) -> None:
    rng = np.random.default_rng(seed)
    of_a, of_b = (int(n) for n in rng.integers(1, 40, 2))
    a, b = int(rng.integers(0, of_a + 1)), int(rng.integers(0, of_b + 1))

    def tail(counts: range) -> float:
        return sum(comb(a + b, k) * comb(of_a + of_b - a - b, of_b - k) for k in counts) / comb(of_a + of_b, of_b)

    expected = 2 * min(tail(range(b, min(a + b, of_b) + 1)), tail(range(max(0, a + b - of_a), b + 1)))
    assert shift._fisher(a, of_a, b, of_b) == pytest.approx(min(1, expected), rel=1e-9)


def test_the_mean_bound_is_above_the_true_tail_of_every_split() -> None:
    """All ways to take the new values out of the pool: the bound holds for each deviation that occurs."""
    rng = np.random.default_rng(3)
    for case in range(6):
        pool = np.round(rng.beta(4, 0.5, 12), 3 if case % 2 else 1)
        size = int(rng.integers(1, 7))
        splits = np.array([[i in chosen for i in range(12)] for chosen in _choices(12, size)])
        means = (splits @ pool) / size
        others = (~splits @ pool) / (12 - size)
        distance = np.abs(means - others)
        for row, far in list(zip(splits, distance, strict=True))[::7]:
            true = float(np.mean(distance >= far - 1e-12))
            bound = shift._bound(Moments.of(pool[~row]), Moments.of(pool[row]), 0.0)
            assert bound >= true - 1e-12, (case, size, far)


def _choices(n: int, k: int) -> list[tuple[int, ...]]:
    from itertools import combinations

    return list(combinations(range(n), k))


def test_the_bound_is_sharp_enough_to_be_of_use() -> None:
    """Of 1,000 and 1,000 values with sd 0.1, one hundredth of the range is chance, three are not."""
    old = Moments(1000, 0.9, 0.1)
    assert shift._bound(old, Moments(1000, 0.89, 0.1), 0.0) > 0.05
    assert shift._bound(old, Moments(1000, 0.87, 0.1), 0.0) < 1e-4
    # the other way round too, and a threshold below helps: values cannot be far below their mean
    few = Moments(10, 0.85, 0.05)
    assert shift._bound(old, few, 0.8) < shift._bound(old, few, 0.0)


# -- false alarms and power ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"), [(500, 500), (500, 60), (300, 7), (1000, 1), (20, 20), (10, 300), (300, 2000)]
)
def test_false_alarms_are_within_the_level(old: int, new: int) -> None:
    runs = 400
    noise = 3 * np.sqrt(LEVEL * (1 - LEVEL) / runs)
    assert alarms(old, new, runs) <= LEVEL + noise


def test_each_test_keeps_its_own_level() -> None:
    """At a level of 50 %, so that a tail that is too small by a third would show."""
    rng = np.random.default_rng(5)
    runs, each = 500, 0.5
    tests = 8
    hits = np.zeros(tests)
    for _ in range(runs):
        made = compare(shown(drawn(rng, 200)), shown(drawn(rng, 150)), THRESHOLDS, level=each * tests)
        hits += [test.outside for test in made]
    assert (hits / runs <= each + 3 * np.sqrt(each * (1 - each) / runs)).all(), hits / runs
    assert hits[0] / runs > each / 2, "Fisher's test is nearly exact here"


def test_shift_is_noticed() -> None:
    assert alarms(1000, 1000, 60, harder=0.4) == 1
    assert alarms(1000, 100, 100, harder=0.8) > 0.9
    assert alarms(300, 2000, 60, harder=-0.5) > 0.9, "easier is another distribution too"


def test_a_mean_that_moves_at_equal_leave_rates_is_noticed() -> None:
    old = shown(drawn(np.random.default_rng(0), 2000))
    new = list(old)
    new[0] = ExitMoments(replace(old[0].left, mean=old[0].left.mean - 0.015), old[0].reached)  # type: ignore[operator]
    outside = [(t.exit, t.statistic) for t in compare(old, new, THRESHOLDS) if t.outside]
    assert outside == [(0, "left_confidence")]


# -- intervals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(30))
def test_outside_means_outside_of_the_interval(seed: int) -> None:
    rng = np.random.default_rng(seed)
    old, new = shown(drawn(rng, int(rng.integers(1, 400)))), shown(drawn(rng, int(rng.integers(1, 400)), 0.5))
    for test in compare(old, new, THRESHOLDS):
        if test.interval is None:
            assert not test.outside
            continue
        low, high = test.interval
        assert test.expected is not None and test.observed is not None
        assert 0 <= low <= high <= 1
        if test.statistic != "leave_rate":  # a share of n samples need not be possible
            assert low <= test.expected <= high
        assert test.outside == (not low - 1e-8 <= test.observed <= high + 1e-8), test


def test_more_samples_give_narrower_intervals() -> None:
    old = shown(drawn(np.random.default_rng(1), 1000))
    widths = []
    for n in (30, 300, 3000):
        tests = compare(old, shown(drawn(np.random.default_rng(2), n)), THRESHOLDS)
        widths.append([test.interval[1] - test.interval[0] for test in tests if test.interval])
    assert (np.diff(widths, axis=0) < 0).all()


# -- edges --------------------------------------------------------------------------------------------


def test_nothing_leaves_or_everything_does() -> None:
    outcomes = drawn(np.random.default_rng(0), 50)
    never, always = shown(outcomes, (None, None)), shown(outcomes, (0.0, 0.0))
    assert never[0].left == Moments(0, None, None) and never[2].left.samples == 50
    assert always[1].reached == Moments(0, None, None)
    assert not any(test.outside for test in compare(never, never, (None, None)))
    (rate, *_) = compare(never, always, (None, None))
    assert rate.outside and rate.observed == 1 and rate.interval is not None and rate.interval[0] == 0
    confidences = [t for t in compare(always, always, (0.0, 0.0)) if t.exit == 1 and t.statistic != "leave_rate"]
    assert [(t.expected, t.interval, t.outside) for t in confidences] == [(None, None, False)] * 2


def test_confidences_that_are_all_one_number() -> None:
    same = Moments.of(np.full(30, 1.0, np.float32))
    assert shift._bound(same, same, 0.9) == 1
    one_off = Moments.of(np.array([1.0] * 29 + [0.5], np.float32))
    assert shift._bound(same, one_off, 0.0) > 0.05


def test_without_exits_there_is_one_confidence_to_look_at() -> None:
    outcomes = drawn(np.random.default_rng(0), 100).rows([])
    tests = compare(shown(outcomes, ()), shown(outcomes, ()), ())
    assert [(t.exit, t.statistic) for t in tests] == [(0, "leave_rate"), (0, "reached_confidence")]
    assert tests[0].expected == tests[0].observed == 1 and not tests[0].outside


# -- what is stored -----------------------------------------------------------------------------------


def test_recorded_is_what_a_replay_shows() -> None:
    outcomes = drawn(np.random.default_rng(4), 400)
    points = {"default": THRESHOLDS, "frugal": (0.7, None)}
    stored = json.loads(json.dumps(recorded(outcomes, points, "test"), allow_nan=False))
    assert (stored["part"], stored["samples"], stored["weighted"]) == ("test", 400, False)
    assert [point["name"] for point in stored["points"]] == list(points)
    first = outcomes.confidence[0]
    leaves = first >= np.float32(0.7)
    entry = stored["points"][1]["exits"][0]
    assert entry["leave_rate"] == leaves.mean()
    assert entry["left"]["samples"] == leaves.sum()
    assert entry["left"]["mean_confidence"] == pytest.approx(first[leaves].astype(float).mean(), rel=1e-12)
    assert entry["reached"]["sd"] == pytest.approx(first.astype(float).std(), rel=1e-12)
    assert stored["points"][1]["exits"][1]["left"]["samples"] == 0
    assert stored["points"][1]["exits"][2]["reached"]["samples"] == (~leaves).sum()
    assert entry["interval"][0] < entry["leave_rate"] < entry["interval"][1]
    for name, thresholds in points.items():
        assert read(stored, name) == shown(outcomes, thresholds)
    with pytest.raises(KeyError):
        read(stored, "lavish")


def test_weights_count_as_an_effective_number_of_samples() -> None:
    outcomes = drawn(np.random.default_rng(6), 300)
    even = replace(outcomes, weights=np.full(300, 2.0))
    assert recorded(even, {"default": THRESHOLDS}, "test")["weighted"]
    for plain, weighted in zip(shown(outcomes), shown(even), strict=True):
        for a, b in ((plain.left, weighted.left), (plain.reached, weighted.reached)):
            assert (b.samples, b.mean, b.sd) == pytest.approx((a.samples, a.mean, a.sd))
    w = np.where(np.arange(300) < 100, 5.0, 0.5)
    (first, *_) = shown(replace(outcomes, weights=w))
    leaves = outcomes.confidence[0] >= np.float32(THRESHOLDS[0])
    assert first.reached.samples == pytest.approx(w.sum() ** 2 / (w @ w))
    assert first.left.samples / first.reached.samples == pytest.approx(w[leaves].sum() / w.sum())
    assert first.reached.mean == pytest.approx(w @ outcomes.confidence[0].astype(float) / w.sum())


def test_what_no_sample_can_reach_is_as_unlikely_as_its_all_being_largest() -> None:
    """Theorem 3 at its end: a distance of ``largest`` needs every value to be that; the exponent is log(1/p)."""
    for variance, largest in ((0.04, 0.3), (0.2, 0.5)):
        p = variance / (variance + largest**2)
        for distance in (largest, 2 * largest):
            assert shift._hoeffding(variance, largest, distance) == pytest.approx(-np.log(p))
        assert 0 < shift._hoeffding(variance, largest, largest / 2) < -np.log(p)
    assert shift._hoeffding(0.0, 0.3, 0.1) == shift._hoeffding(0.1, 0.3, 0.0) == 0
