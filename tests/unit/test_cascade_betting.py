"""The bound holds as often as it says, and is not needlessly wide."""

from __future__ import annotations

import numpy as np
import pytest

from eeaug.cascade.betting import mean_upper_bound


def draw(rng: np.random.Generator, n: int, worse: float, better: float) -> np.ndarray:
    return rng.choice([1, -1, 0], size=n, p=[worse, better, 1 - worse - better])


@pytest.mark.parametrize(("worse", "better"), [(0.03, 0.02), (0.01, 0.0), (0.3, 0.29)])
def test_true_mean_is_below_the_bound_at_least_as_often_as_promised(worse: float, better: float) -> None:
    rng = np.random.default_rng(1)
    runs = 80
    missed = sum(
        mean_upper_bound(draw(rng, 300, worse, better), error=0.2, seed=i) < worse - better for i in range(runs)
    )
    assert missed <= 0.2 * runs + 2 * np.sqrt(runs * 0.2 * 0.8)


def test_bound_closes_in_with_more_samples() -> None:
    rng = np.random.default_rng(2)
    few, many = (mean_upper_bound(draw(rng, n, 0.03, 0.02)) for n in (200, 5000))
    assert 0.01 < many < few
    assert many < 0.01 + 0.012  # five standard errors of the mean at 5,000 samples are 0.016


def test_extremes() -> None:
    assert mean_upper_bound(np.ones(50)) == 1.0
    assert mean_upper_bound(-np.ones(2000)) < -0.98
    assert mean_upper_bound(np.zeros(5)) <= 1.0


def test_depends_on_the_seed_only() -> None:
    values = draw(np.random.default_rng(3), 500, 0.1, 0.05)
    assert mean_upper_bound(values, seed=4) == mean_upper_bound(values, seed=4)
