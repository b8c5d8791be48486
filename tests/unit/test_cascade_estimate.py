"""A drop, its standard error, and what groups prove."""

from __future__ import annotations

import numpy as np
import pytest

from eeaug.cascade import estimate
from eeaug.cascade.learn_then_test import Claim, certify, groups_needed, p_value, units_needed


def draw(rng: np.random.Generator, n: int, worse: float, better: float) -> np.ndarray:
    return rng.choice([1, -1, 0], size=n, p=[worse, better, 1 - worse - better]).astype(np.int8)


def patients(rng: np.random.Generator, count: int, samples: int = 50) -> tuple[np.ndarray, np.ndarray]:
    """Losses and groups: one patient in twenty loses a fifth of his samples, the others none; a mean of 0.01."""
    rates = np.where(rng.random(count) < 0.05, 0.2, 0.0)
    groups = np.repeat(np.arange(count), samples)
    return (rng.random(len(groups)) < rates[groups]).astype(np.int8), groups


def test_standard_error_of_a_mean() -> None:
    losses = draw(np.random.default_rng(1), 500, 0.05, 0.02)
    mean, error = estimate.drop(losses)
    assert mean == pytest.approx(losses.mean())
    assert error == pytest.approx(losses.std(ddof=1) / np.sqrt(500))
    assert estimate.drop(losses, np.full(500, 3.0)) == pytest.approx((mean, error))
    assert estimate.drop(losses, groups=np.arange(500)) == pytest.approx((mean, error))


def test_too_few_units_say_nothing() -> None:
    none = estimate.drop(np.zeros(0, np.int8))
    assert np.isnan(none[0]) and none[1] == np.inf
    assert estimate.drop(np.ones(1, np.int8)) == (1, np.inf)
    assert estimate.drop(np.array([1, 0, 0, 0], np.int8), groups=np.zeros(4, int)) == (0.25, np.inf)
    assert np.isnan(estimate.drop(np.ones(3, np.int8), np.zeros(3))[0])
    # what was never seen is not known to be never: as uncertain as if it had been seen once
    none, one = np.zeros(50, np.int8), np.arange(50) == 7
    assert estimate.drop(none) == (0, pytest.approx(1 / 50, rel=0.02))
    assert estimate.drop(none)[1] == pytest.approx(estimate.drop(one.astype(np.int8))[1], rel=0.02)
    assert estimate.drop(none, groups=np.arange(50) // 5)[1] == pytest.approx(1 / 50, rel=0.06)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("grouped", [False, True])
def test_standard_error_is_that_of_many_draws(weighted: bool, grouped: bool) -> None:
    rng = np.random.default_rng(2)
    means, errors = [], []
    for _ in range(1500):
        size = rng.integers(1, 9, 120)
        groups = np.repeat(rng.permutation(120).astype(str), size)
        shared = np.repeat(rng.random(120) < 0.2, size) if grouped else rng.random(len(groups)) < 0.2
        losses = shared * draw(rng, len(groups), 0.4, 0.1)
        weights = np.where(rng.random(len(groups)) < 0.3, 3.0, 0.5) if weighted else None
        mean, error = estimate.drop(losses, weights, groups if grouped else None)
        means.append(mean)
        errors.append(error)
        if grouped:
            assert error != estimate.drop(losses, weights)[1]
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(means), rel=0.06)


def test_what_groups_prove_is_valid_where_samples_are_not() -> None:
    """The mean of the patients' means is the budget."""
    rng = np.random.default_rng(3)
    by_group, by_sample = [], []
    for i in range(300):
        losses, groups = patients(rng, 40)
        by_group.append(p_value(losses, 0.01, seed=i, groups=groups))
        by_sample.append(losses.sum())
    # so few lost samples are a proof, if they are what was drawn
    most = max(a for a in range(40) if p_value(np.repeat([1, 0], [a, 2000 - a]), 0.01) <= 0.05)
    assert np.mean(np.array(by_group) <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)
    assert np.mean(np.array(by_sample) <= most) > 0.2


def test_groups_prove_what_is_true() -> None:
    rng = np.random.default_rng(4)
    proven = []
    for i in range(60):
        losses, groups = patients(rng, 400)
        step = [Claim(losses, 0.03, groups=groups)]
        result = certify([step], risk=0.05, seed=i)
        assert (result.samples, result.units) == (20_000, 400)
        proven.append(result.index == 0)
    assert np.mean(proven) > 0.9


def test_every_group_counts_alike() -> None:
    losses = np.concatenate([np.ones(900), np.zeros(300)]).astype(np.int8)  # one large group loses all
    groups = np.concatenate([np.zeros(900, int), np.arange(1, 301)])
    assert p_value(losses, 0.03, groups=groups) <= 0.05 < p_value(losses, 0.03)
    shuffled = np.random.default_rng(5).permutation(len(losses))
    names = groups.astype(str)
    assert p_value(losses[shuffled], 0.03, groups=names[shuffled]) == p_value(losses, 0.03, groups=names)


def test_groups_of_one_sample_are_samples() -> None:
    losses = draw(np.random.default_rng(6), 800, 0.01, 0.01)
    assert p_value(losses, 0.02, groups=np.arange(800)) == p_value(losses, 0.02)


def test_weights_count_within_groups_and_between_them() -> None:
    losses = np.array([1, 0, 0, 0] * 200, np.int8)
    groups = np.repeat(np.arange(200), 4)
    inside = np.array([0.0, 4 / 3, 4 / 3, 4 / 3] * 200)  # the lost samples do not count
    assert p_value(losses, 0.05, groups=groups, weights=inside) <= 0.05 < p_value(losses, 0.05, groups=groups)
    between = np.where(groups < 20, 10.0, 0.0)  # ten of a hundred groups stand for all
    lost = np.where(groups < 20, losses, 0)
    assert p_value(lost, 0.1, groups=groups) <= 0.05 < p_value(lost, 0.1, groups=groups, weights=between)
    assert p_value(losses, 0.05, groups=groups, weights=np.zeros(800)) == 1
    once = p_value(lost, 0.3, groups=groups, weights=between)
    assert p_value(lost, 0.3, groups=groups, weights=7 * between) == pytest.approx(once)


def test_how_many_groups_are_needed() -> None:
    needed = groups_needed(0.01, 0.05)
    assert needed is not None and 299 <= needed <= 330
    none = [np.repeat(np.arange(g), 2) for g in (needed, int(0.95 * needed))]
    p = [p_value(np.zeros(len(groups), np.int8), 0.01, groups=groups) for groups in none]
    assert p[0] <= 0.05 < p[1]
    assert groups_needed(0.0, 0.05) is None
    assert units_needed(Claim(np.zeros(3, np.int8), 0.01), risk=0.05) == 299


def test_how_many_units_are_needed_where_some_lose() -> None:
    rng = np.random.default_rng(7)
    losses, groups = patients(rng, 50)
    mean = losses.mean()
    needed = units_needed(Claim(losses, 2 * mean, groups=groups), risk=0.05)
    assert needed is not None and needed > 50
    proven = []
    for i in range(40):
        drawn = rng.integers(0, 50, needed)
        rows = (drawn[:, None] * 50 + np.arange(50)).ravel()
        proven.append(p_value(losses[rows], 2 * mean, seed=i, groups=np.repeat(np.arange(needed), 50)) <= 0.05)
    assert 0.2 < np.mean(proven) < 0.9  # "about": as often as not
    assert units_needed(Claim(losses, mean, groups=groups), risk=0.05) is None
    close = units_needed(Claim(losses, mean + 1e-5, groups=groups), risk=0.05)
    assert close is not None and close > 1_000_000


def test_few_losses_of_light_samples_say_little_of_the_error() -> None:
    """Priors make samples of one class heavy: a loss of another class is no sign of a large error."""
    weights = np.where(np.arange(500) < 36, 12.5, 0.1)
    none, light = np.zeros(500, np.int8), np.zeros(500, np.int8)
    light[400] = 1
    without, with_one = (estimate.drop(losses, weights, budget=0.01) for losses in (none, light))
    assert 0 < with_one[0] < 0.001
    assert with_one[1] == pytest.approx(without[1])
    heavy = none.copy()
    heavy[3] = 1  # of the class that weighs much
    assert estimate.drop(heavy, weights, budget=0.01)[1] > 2 * without[1]


def test_what_groups_are_called_changes_nothing() -> None:
    rng = np.random.default_rng(8)
    losses, groups = patients(rng, 30, 7)
    weights, kept = rng.uniform(0.5, 2, len(losses)), groups % 3 > 0  # numbers with gaps, too
    losses, weights, groups = losses[kept], weights[kept], groups[kept]
    numbered = estimate.drop(losses, weights, groups)
    assert numbered == estimate.drop(losses, weights, groups * 1000 - 5)
    assert numbered == estimate.drop(losses, weights, np.array([f"{group:02}" for group in groups]))
