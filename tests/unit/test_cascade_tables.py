"""Tables of all threshold configurations against a replay of every sample."""

from __future__ import annotations

from itertools import combinations, product
from math import comb

import numpy as np
import pytest
from instances import correlated, some_grid

from eeaug.cascade import tables as cascade
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.passage import Passage
from eeaug.cascade.tables import Tables, bins, exact_tables, independent_tables, marginals


def tables(outcomes: Outcomes, grid: np.ndarray) -> Tables:
    """Of the architecture with all exits, without the axis of architectures."""
    every = np.arange(len(grid))[None]
    return exact_tables(bins(outcomes.confidence[:-1], grid), outcomes.correct, every, grid.shape[1]).of(0)


@pytest.mark.parametrize("exits", [0, 1, 2, 3, 4])
def test_exact_tables_are_a_replay_of_every_configuration(exits: int) -> None:
    rng = np.random.default_rng(exits)
    outcomes = correlated(rng, exits, 53)
    grid = some_grid(rng, outcomes, 4)
    counted = tables(outcomes, grid)
    assert len(counted.reach) == exits + 1
    for config in product(range(grid.shape[1]), repeat=exits):
        at = Passage(outcomes, [grid[k, t] for k, t in enumerate(config)]).at
        right = outcomes.predicted[at, np.arange(53)] == outcomes.labels
        assert counted.accuracy[config] == pytest.approx(right.mean(), abs=1e-15)
        for k in range(exits + 1):
            assert counted.reach[k][config[:k]] == pytest.approx((at >= k).mean(), abs=1e-15)


def test_tables_of_many_architectures_are_those_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(11)
    outcomes = correlated(rng, 6, 37)
    grid = some_grid(rng, outcomes, 4)
    of, leave_right = bins(outcomes.confidence[:-1], grid), outcomes.correct
    final = float(outcomes.accuracies[-1])
    marginal = marginals(of, leave_right[:-1], 4)
    monkeypatch.setattr(cascade, "_CELLS", 37 * 4)  # four architectures at a time
    for m in range(4):
        archs = np.array(list(combinations(range(6), m)), dtype=np.intp).reshape(comb(6, m), m)
        counted = exact_tables(of, leave_right, archs, 4)
        multiplied = independent_tables(*(table[archs] for table in marginal), final)
        for row, arch in enumerate(archs):
            alone = tables(outcomes.rows(list(arch)), grid[arch])
            apart = independent_tables(*(table[arch][None] for table in marginal), final).of(0)
            for many, single in ((counted.of(row), alone), (multiplied.of(row), apart)):
                assert (many.accuracy == single.accuracy).all()
                assert all((a == b).all() for a, b in zip(many.reach, single.reach, strict=True))


def test_independent_tables_are_the_nested_product() -> None:
    rng = np.random.default_rng(7)
    outcomes = correlated(rng, 3, 41)
    grid = some_grid(rng, outcomes, 3)
    leave, right = marginals(bins(outcomes.confidence[:-1], grid), outcomes.correct[:-1], 3)
    made = independent_tables(leave[None], right[None], float(outcomes.correct[-1].mean())).of(0)
    for i, j, k in product(range(3), repeat=3):
        meets = [outcomes.confidence[e] >= grid[e, t] for e, t in enumerate((i, j, k))]
        a, b, c = (np.mean(m) for m in meets)
        ra, rb, rc = (np.mean(m & outcomes.correct[e]) for e, m in enumerate(meets))
        last = outcomes.correct[3].mean()
        assert made.accuracy[i, j, k] == pytest.approx(ra + (1 - a) * (rb + (1 - b) * (rc + (1 - c) * last)))
        assert made.reach[1][i] == pytest.approx(1 - a)
        assert made.reach[2][i, j] == pytest.approx((1 - a) * (1 - b))
        assert made.reach[3][i, j, k] == pytest.approx((1 - a) * (1 - b) * (1 - c))


def test_mean_weighs_the_costs_with_the_shares_that_reach_them() -> None:
    # two exits of two thresholds: 30 % or 0 % leave at the first, half or none of the rest at the second
    reach = (np.ones(1), np.array([[0.7, 1.0]]), np.array([[[0.35, 0.7], [0.5, 1.0]]]))
    mean = Tables(reach, np.zeros((1, 2, 2))).mean(np.array([[10, 20, 40]]))[0]
    assert mean == pytest.approx(np.array([[10 + 14 + 14, 10 + 14 + 28], [10 + 20 + 20, 10 + 20 + 40]]))


def test_a_confidence_that_equals_the_threshold_leaves() -> None:
    confidence = np.array([[0.5, 0.7, 0.9], [1, 1, 1]], dtype=np.float32)
    outcomes = Outcomes(confidence, np.zeros((2, 3), dtype=int), np.zeros(3, dtype=int))
    assert Passage(outcomes, [np.float64(0.7)]).at.tolist() == [
        1,
        0,
        0,
    ]  # compared as float32: float64 0.7 is larger
    assert Passage(outcomes, [None]).at.tolist() == [1, 1, 1]
    assert Passage(outcomes, [np.inf]).at.tolist() == [1, 1, 1]
    grid = np.array([[0.5, 0.7, np.inf]], dtype=np.float32)
    assert bins(confidence[:1], grid).tolist() == [[1, 2, 2]]
    assert tables(outcomes, grid).reach[1].tolist() == [0, pytest.approx(1 / 3), 1]


def test_leave_rates_fall_as_the_threshold_rises() -> None:
    rng = np.random.default_rng(3)
    outcomes = correlated(rng, 5, 60)
    grid = some_grid(rng, outcomes, 6)
    leave, right = marginals(bins(outcomes.confidence[:-1], grid), outcomes.correct[:-1], 6)
    assert (np.diff(leave, axis=1) <= 0).all()
    assert (leave[:, -1] == 0).all()  # never
    assert (leave[:, 0] > 0).all()
    assert (right <= leave).all()
    assert leave[2, 1] == (outcomes.confidence[2] >= grid[2, 1]).mean()


def test_weights_count_like_repeated_samples() -> None:
    rng = np.random.default_rng(5)
    outcomes = correlated(rng, 3, 12)
    times = rng.integers(1, 4, size=12)
    repeated = Outcomes(
        np.repeat(outcomes.confidence, times, axis=1),
        np.repeat(outcomes.predicted, times, axis=1),
        np.repeat(outcomes.labels, times),
    )
    grid = some_grid(rng, outcomes, 4)
    weights = times * 0.25
    one = (bins(outcomes.confidence[:-1], grid), outcomes.correct)
    many = (bins(repeated.confidence[:-1], grid), repeated.correct)
    archs = np.array([[0, 1], [0, 2], [1, 2]])
    for weighted, plain in zip(
        exact_tables(*one, archs, 4, weights).reach,
        exact_tables(*many, archs, 4).reach,
        strict=True,
    ):
        np.testing.assert_allclose(weighted, plain)
    np.testing.assert_allclose(
        exact_tables(*one, archs, 4, weights).accuracy,
        exact_tables(*many, archs, 4).accuracy,
    )
    for a, b in zip(marginals(one[0], one[1][:-1], 4, weights), marginals(many[0], many[1][:-1], 4), strict=True):
        np.testing.assert_allclose(a, b)
    weighted = Outcomes(outcomes.confidence, outcomes.predicted, outcomes.labels, weights)
    np.testing.assert_allclose(weighted.accuracies, repeated.accuracies)


def test_the_rows_of_an_architecture() -> None:
    outcomes = correlated(np.random.default_rng(0), 4, 10)
    rows = outcomes.rows([1, 3])
    assert (rows.confidence == outcomes.confidence[[1, 3, 4]]).all()
    assert (rows.correct == outcomes.correct[[1, 3, 4]]).all()
    assert rows.samples == 10
