"""Outcomes sent through thresholds, against a walk of every single sample."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from instances import correlated

from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.passage import Passage


def some(seed: int) -> tuple[Outcomes, list[float | None], np.ndarray]:
    """Outcomes of an architecture (every third one weighted, every second one of another last classifier than the
    given model), thresholds of which some are never and some are a confidence itself, costs."""
    rng = np.random.default_rng(seed)
    m = int(rng.integers(0, 5))
    outcomes = correlated(rng, m, 40)
    if seed % 3 == 0:
        outcomes = replace(outcomes, weights=rng.uniform(0.2, 3, 40))
    if seed % 2 == 0:
        outcomes = replace(outcomes, given=rng.integers(0, 4, 40))
    choices = (None, np.inf, 0.0, *rng.uniform(0.2, 1, 2), *outcomes.confidence[0, :4].astype(float))
    return outcomes, [choices[i] for i in rng.integers(0, len(choices), m)], rng.uniform(1, 9, m + 1)


def walk(outcomes: Outcomes, thresholds: list[float | None], i: int) -> int:
    """Where sample i leaves."""
    for k, threshold in enumerate(thresholds):
        if threshold is not None and outcomes.confidence[k, i] >= np.float32(threshold):
            return k
    return len(thresholds)


@pytest.mark.parametrize("seed", range(24))
def test_every_sample_on_its_own(seed: int) -> None:
    outcomes, thresholds, costs = some(seed)
    passage = Passage(outcomes, thresholds)
    counts = np.ones(40) if outcomes.weights is None else outcomes.weights
    given = outcomes.predicted[-1] if outcomes.given is None else outcomes.given
    left, right, spent = np.zeros(len(thresholds) + 1), 0.0, 0.0
    reached: list[list[float]] = [[] for _ in costs]
    for i in range(40):
        k = walk(outcomes, thresholds, i)
        says, label, own = outcomes.predicted[k, i], outcomes.labels[i], float(costs[: k + 1].sum())
        assert (passage.at[i], passage.predicted[i], passage.right[i]) == (k, says, says == label)
        assert passage.confidence[i] == outcomes.confidence[k, i]
        assert passage.losses[i] == int(says != label) - int(given[i] != label)
        assert passage.spent(costs)[i] == pytest.approx(own)
        left[k] += counts[i]
        right += counts[i] * (says == label)
        spent += counts[i] * own
        for j in range(k + 1):
            reached[j].append(outcomes.confidence[j, i])
    assert passage.leave_rates == pytest.approx(left / counts.sum())
    assert passage.accuracy == pytest.approx(right / counts.sum())
    assert passage.mean(costs) == pytest.approx(spent / counts.sum())
    assert [row.tolist() for row in passage.reached] == reached


@pytest.mark.parametrize("never", [None, np.inf])
def test_where_nothing_leaves_the_last_classifier_answers(never: float | None) -> None:
    outcomes = correlated(np.random.default_rng(1), 3, 30)
    passage = Passage(outcomes, [never] * 3)
    assert passage.leave_rates.tolist() == [0, 0, 0, 1]
    assert (passage.predicted == outcomes.predicted[-1]).all() and not passage.losses.any()
    assert passage.mean(np.array([1.0, 2, 3, 4])) == 10
    assert Passage(outcomes.alone, ()).accuracy == passage.accuracy


def test_whole_weights_are_repeated_samples() -> None:
    rng = np.random.default_rng(2)
    outcomes = correlated(rng, 2, 20)
    times = rng.integers(1, 5, 20)
    again = Outcomes(*(np.repeat(part, times, axis=-1) for part in (
        outcomes.confidence, outcomes.predicted, outcomes.labels
    )))  # fmt: skip
    one = Passage(replace(outcomes, weights=times / 8), [0.6, 0.7])
    many = Passage(again, [0.6, 0.7])
    costs = np.array([3.0, 1.0, 7.0])
    assert one.leave_rates == pytest.approx(many.leave_rates)
    assert (one.accuracy, one.mean(costs)) == pytest.approx((many.accuracy, many.mean(costs)))


def test_an_unknown_cost_is_an_unknown_mean() -> None:
    outcomes = correlated(np.random.default_rng(3), 1, 10)
    assert np.isnan(Passage(outcomes, [0.0]).mean(np.array([1.0, np.nan])))  # though nobody gets there


@pytest.mark.parametrize("seed", range(8))
def test_some_samples_say_what_they_said_among_all(seed: int) -> None:
    """By number, repeated or not, and by mask; rows of an architecture keep what belongs to samples."""
    outcomes, thresholds, _ = some(seed)
    rng = np.random.default_rng(seed)
    outcomes = replace(outcomes, groups=rng.integers(0, 7, 40))
    whole = Passage(outcomes, thresholds)
    mask = rng.random(40) < 0.5
    for chosen in (rng.integers(0, 40, 60), mask):
        part = outcomes.only(chosen)
        for name in ("labels", "groups", "weights", "given"):
            every = getattr(outcomes, name)
            assert (every is None) == (getattr(part, name) is None)
            if every is not None:
                np.testing.assert_array_equal(getattr(part, name), every[chosen])
                assert getattr(part.rows([]), name) is getattr(part, name)
        np.testing.assert_array_equal(Passage(part, thresholds).at, whole.at[chosen])
        np.testing.assert_array_equal(Passage(part, thresholds).losses, whole.losses[chosen])
