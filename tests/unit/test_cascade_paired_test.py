"""The exact test against all tables of small samples, and against draws at the worst nuisance values."""

from __future__ import annotations

from math import lgamma

import numpy as np
import pytest
from scipy import special

from eeaug.cascade import paired_test
from eeaug.cascade.paired_test import PairedTest, p_value, samples_needed, smallest_margin


def tables(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All (worse, better) of n samples, and the logarithm of how many orders each has."""
    worse, better = (x.ravel() for x in np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij"))
    worse, better = worse[worse + better <= n], better[worse + better <= n]
    log = np.array([lgamma(i + 1) for i in range(n + 1)])
    return worse, better, log[n] - log[worse] - log[better] - log[n - worse - better]


def probabilities(n: int, drop: float, q: float) -> np.ndarray:
    """Of these tables, where p_a = q + drop and p_c = q."""
    worse, better, orders = tables(n)
    rest = special.xlogy(n - worse - better, max(0.0, 1 - 2 * q - drop))
    return np.exp(orders + special.xlogy(worse, q + drop) + special.xlogy(better, q) + rest)


def nuisances(drop: float, points: int = 60) -> np.ndarray:
    """From 0 to the largest that there is, dense near 0."""
    most = (1 - drop) / 2
    return most * np.concatenate([[0], np.geomspace(1e-4, 1, points), np.linspace(0, 1, points)])


def brute_force(n: int, margin: float, z: np.ndarray) -> np.ndarray:
    """The largest probability of a table with Z as low, of every table: over all q, without any interval."""
    _, first, place = np.unique(np.round(z, 9), return_index=True, return_inverse=True)
    most = np.zeros(len(first))
    for q in nuisances(margin, 400):
        most = np.maximum(most, np.cumsum(np.bincount(place, weights=probabilities(n, margin, q))))
    return np.where(z < 0, most[place], 1.0)


@pytest.mark.parametrize("n", [1, 3, 12, 30])
@pytest.mark.parametrize("margin", [0.0, 0.01, 0.1, 0.5])
def test_p_values_are_valid(n: int, margin: float) -> None:
    """P(p ≤ x) ≤ x for every x and every q, on the boundary of the null hypothesis and inside."""
    worse, better, _ = tables(n)
    test = PairedTest(n, margin)
    p = np.array([test.p_value(a, c) for a, c in zip(worse.tolist(), better.tolist(), strict=True)])
    assert p.max() == 1 and p.min() > 0
    assert all(test.passes(a, c) == (value <= 0.05) for a, c, value in zip(worse, better, p, strict=True))
    order = np.argsort(p)
    last = np.append(np.diff(p[order]) > 0, True)  # of those that are equal
    for drop in (margin, margin + 0.003, margin + 0.05, margin + 0.3):
        for q in nuisances(drop):
            reached = np.cumsum(probabilities(n, drop, q)[order])[last]
            assert (reached <= p[order][last] + 1e-9).all()


@pytest.mark.parametrize("n", [3, 10, 30])
@pytest.mark.parametrize("margin", [0.01, 0.1, 0.4])
def test_p_values_are_the_largest_probability_of_the_region(
    n: int, margin: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an interval for q that is everything, next to nothing is added to what brute force finds."""
    monkeypatch.setattr(special, "betaincinv", lambda a, b, x: float(x > 0.5))
    monkeypatch.setattr(paired_test, "MISSED", 0.0)
    worse, better, _ = tables(n)
    z = paired_test._score(worse, better, n, margin)
    exact = brute_force(n, margin, z)
    test = PairedTest(n, margin)
    p = np.array([test.p_value(a, c) for a, c in zip(worse.tolist(), better.tolist(), strict=True)])
    assert (p >= exact - 1e-9).all()
    assert (p <= exact + 2.1e-4).all()
    assert (p > exact + 1e-9).any()  # of brute force, which misses what lies between its points, and of the bound


@pytest.mark.parametrize(("n", "margin"), [(25, 0.02), (40, 0.1), (40, 0.0), (300, 0.01)])
def test_regions_are_convex_and_all_that_is_below(n: int, margin: float) -> None:
    """So Z is as its proof needs it: the region that is sought by halves is that of all tables with Z as low."""
    worse, better, _ = tables(n)
    z = paired_test._score(worse, better, n, margin)
    for level in np.quantile(z[z < 0], [0.001, 0.02, 0.1, 0.5, 0.9]):
        region = paired_test._region(float(level), n, n, margin)
        assert np.array_equal(worse <= region[better], z <= level + 1e-9)
        assert (np.diff(region) >= 0)[: n // 2].all()


def test_score_has_the_likeliest_nuisance() -> None:
    rng = np.random.default_rng(1)
    for margin in (0.01, 0.2):
        for _ in range(20):
            n = 60
            better = int(rng.integers(0, 20))
            worse = int(rng.integers(0, n - better))
            grid = np.linspace(0, (1 - margin) / 2, 200_001)[:-1]
            rest = special.xlog1py(n - worse - better, -2 * grid - margin)
            likelihood = special.xlogy(worse, grid + margin) + special.xlogy(better, grid) + rest
            q = grid[likelihood.argmax()]
            z = (worse - better - n * margin) / np.sqrt(n * (2 * q + margin - margin**2))
            assert float(paired_test._score(np.array(worse), np.array(better), n, margin)) == pytest.approx(
                z, abs=1e-3
            )


@pytest.mark.parametrize("n", [200, 600, 2000])
@pytest.mark.parametrize("margin", [0.01, 0.03])
def test_size_at_the_worst_nuisance(n: int, margin: float) -> None:
    """Of all q, the one at which most is rejected, by draws: the level is kept, and nearly used."""
    test, rng, runs = PairedTest(n, margin), np.random.default_rng(2), 8_000
    rejected = []
    for q in (0.0, 0.002, 0.01, 0.03, 0.1, (1 - margin) / 2):
        drawn, counts = np.unique(
            rng.multinomial(n, [q + margin, q, max(0.0, 1 - 2 * q - margin)], runs)[:, :2],
            axis=0,
            return_counts=True,
        )
        passed = np.array([test.passes(a, c) for a, c in drawn.tolist()])
        rejected.append(counts[passed].sum() / runs)
    assert max(rejected) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)
    assert max(rejected) > 0.04


def test_bound_of_the_second_derivative() -> None:
    """β between two points is nowhere higher than what is added to them."""
    n, margin = 30, 0.05
    worse, better, _ = tables(n)
    z = paired_test._score(worse, better, n, margin)
    largest = []
    for level in (-2.5, -1.7, -1.0, -0.3):
        region = z <= level
        for q, width in ((0.004, 0.004), (0.02, 0.02), (0.1, 0.1), (0.3, 0.15)):
            inner = np.linspace(q, q + width, 41)
            beta = np.array([probabilities(n, margin, x)[region].sum() for x in inner])
            most = max(paired_test._information(x, margin) for x in (q, q + width))
            assert beta.max() <= max(beta[0], beta[-1]) + width**2 / 8 * n * most
            step = inner[1] - inner[0]
            second = np.abs(np.diff(beta, 2)) / step**2
            information = np.array([paired_test._information(x, margin) for x in inner[1:-1]])
            assert (second <= n * information * 1.01).all()
            largest.append((second / (n * information)).max())
    assert max(largest) > 0.1  # not a bound of another size


def test_edges() -> None:
    assert p_value(0, 0, 0, 0.01) == 1
    assert p_value(0, 0, 1, 0.3) == pytest.approx(0.7, abs=2e-4)
    assert p_value(1, 0, 1, 0.3) == 1
    for n in (50, 200, 299):  # without any loss: (1 − b)ⁿ
        assert 0.99**n <= p_value(0, 0, n, 0.01) <= 0.99**n + 2.2e-4
    assert PairedTest(299, 0.01).passes(0, 0) and not PairedTest(298, 0.01).passes(0, 0)
    assert p_value(0, 0, 500, 0.0) == 1  # no difference proves no gain
    assert p_value(0, 50, 500, 0.0) < 1e-3 < p_value(40, 50, 500, 0.0)
    assert p_value(100, 0, 100, 1.0) == 1 and p_value(99, 0, 100, 1.0) == 0
    assert p_value(0, 500, 500, 0.01) < 1e-4
    assert p_value(5000, 4700, 1_000_000, 0.01) < 1e-3 and p_value(10_000, 0, 1_000_000, 0.01) == 1
    for n in (100, 3000):
        values = [p_value(a, 5, n, 0.05) for a in range(0, n // 5, n // 50)]
        assert values == sorted(values)


def test_decisions_along_a_path_are_those_of_p_values() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.random((2, 1500))
    test, fresh = PairedTest(1500, 0.01), PairedTest(1500, 0.01)
    for share in rng.permutation(np.linspace(0, 0.03, 60)):
        worse, better = int((first < share).sum()), int((second < 0.8 * share).sum())
        assert test.passes(worse, better) == (fresh.p_value(worse, better) <= 0.05)


def test_smallest_margin_is_where_it_passes() -> None:
    for worse, better, n in ((0, 0, 50), (3, 1, 200), (30, 25, 1000), (5, 11, 300)):
        margin = smallest_margin(worse, better, n, 0.05)
        assert PairedTest(n, margin).passes(worse, better)
        assert not PairedTest(n, 0.997 * margin).passes(worse, better)
    assert smallest_margin(5, 40, 300, 0.05) == 0  # a gain
    assert smallest_margin(20, 0, 20, 0.05) == smallest_margin(0, 0, 0, 0.05) == 1


def test_samples_needed_are_enough_and_not_many_more() -> None:
    assert samples_needed(0.0, 0.0, 0.01, 0.05) == 299
    for worse, better, margin in ((0.005, 0.004, 0.01), (0.02, 0.02, 0.01), (0.0, 0.01, 0.005)):
        n = samples_needed(worse, better, margin, 0.05)
        assert n is not None

        def proven(n: int, shares: tuple[float, float], margin: float) -> bool:
            return PairedTest(n, margin).passes(*(round(share * n) for share in shares))

        assert proven(n, (worse, better), margin) and not proven(int(0.85 * n), (worse, better), margin)
    assert samples_needed(0.02, 0.01, 0.01, 0.05) is None and samples_needed(0.0, 0.0, 0.0, 0.05) is None
    # beyond what is computed exactly
    assert samples_needed(0.0, 0.0, 1e-4, 0.05) == pytest.approx(29_956, rel=0.01)
    assert samples_needed(0.02, 0.011, 0.01, 0.05) == pytest.approx(2.706 * 0.0309 / 0.001**2, rel=0.05)
