"""Threshold grids by their properties; the threshold graph against all configurations."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import correlated, some_grid

from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.passage import Passage
from eeaug.search import thresholds
from eeaug.search.thresholds import BEFORE, NEVER, PAPER_GRID, Objective, quantile_grid


def confidences() -> st.SearchStrategy[np.ndarray]:
    any_value = st.floats(0.0, 1.0, width=32)
    few_values = st.sampled_from([0.25, 0.5, 0.9990234375, 1.0])
    return st.lists(any_value | few_values, min_size=1, max_size=60).map(lambda v: np.array(v, np.float32))


@given(confidence=confidences(), count=st.integers(1, 13))
@settings(max_examples=200, deadline=None)
def test_thresholds_lie_between_neighbouring_confidences(confidence: np.ndarray, count: int) -> None:
    grid = quantile_grid(confidence, count)
    assert grid.dtype == np.float32
    assert grid.shape == (count,)
    assert grid[-1] == NEVER
    finite = grid[np.isfinite(grid)]
    assert (np.diff(finite) > 0).all()
    assert np.isinf(grid[len(finite) :]).all()
    assert (finite < 1.0).all()
    distinct = np.unique(confidence)
    for threshold in finite:
        above = int(np.searchsorted(distinct, threshold))  # the first that leaves
        assert 0 < above < len(distinct)  # some stay, some leave
        lower, upper = distinct[above - 1], distinct[above]
        middle = (float(lower) + float(upper)) / 2
        assert lower < threshold <= upper
        assert threshold == upper or threshold == pytest.approx(middle, rel=1e-6)


@given(confidence=confidences(), count=st.integers(1, 13))
@settings(max_examples=50, deadline=None)
def test_leave_rates_fall_along_the_grid(confidence: np.ndarray, count: int) -> None:
    rates = [(confidence >= t).mean() for t in quantile_grid(confidence, count)]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == 0


@pytest.mark.parametrize("count", [2, 5, 13, 60])
def test_quantiles_are_dense_where_few_stay(count: int) -> None:
    """Neighbours differ by one factor of the cost, and the range's ends by half of it on a logarithmic scale."""
    samples = 100_000
    grid = quantile_grid(np.arange(samples, dtype=np.float32) / 2**17, count)
    # each threshold lies midway, so at odd multiples of half a step
    stay = (grid[:-1].astype(np.float64) * 2**17 + 0.5) / samples
    costs = np.log([BEFORE, *(BEFORE + stay), BEFORE + 1])
    cell = np.log(1 + 1 / BEFORE) / (count - 1)
    np.testing.assert_allclose(np.diff(costs), [cell / 2, *[cell] * (count - 2), cell / 2], atol=3e-4)


def test_what_leaves_nearly_always_is_told_apart() -> None:
    confidence = np.random.default_rng(0).random(2000, np.float32)
    rates = np.array([(confidence >= t).mean() for t in quantile_grid(confidence, 13)])
    assert (rates > 0.93).sum() == 2 and rates.max() > 0.975
    assert 0.05 < rates[-2] < 0.15  # and little of what leaves is still something


@pytest.mark.parametrize("value", [0.3, 1.0])
def test_constant_confidences_leave_only_never(value: float) -> None:
    assert (quantile_grid(np.full(20, value, dtype=np.float32), 4) == NEVER).all()


def test_a_threshold_below_one_that_would_round_to_it_is_left_out() -> None:
    almost = np.nextafter(np.float32(1), np.float32(0))
    assert (quantile_grid(np.array([almost, 1.0], dtype=np.float32), 3) == NEVER).all()


def test_neighbouring_floats_are_parted_at_the_upper_one() -> None:
    upper = np.nextafter(np.float32(0.5), np.float32(1))  # the middle would round to 0.5, where both leave
    assert quantile_grid(np.array([0.5, upper], dtype=np.float32), 3)[0] == upper


def test_the_grid_of_the_paper() -> None:
    assert PAPER_GRID.dtype == np.float32
    assert PAPER_GRID.tolist() == pytest.approx([0.40 + 0.05 * i for i in range(13)])


def every_configuration(
    outcomes: Outcomes, grid: np.ndarray, costs: np.ndarray, objective: Objective, independent: bool
) -> dict[tuple[float, ...], float]:
    """Objective of every configuration that meets the budget, by definition."""
    right = outcomes.predicted == outcomes.labels
    values = {}
    for config in product(*grid):
        reach, accuracy, cost = 1.0, 0.0, 0.0
        alive = np.ones(outcomes.samples, dtype=bool)
        for k, threshold in enumerate([*config, 0.0]):
            leaving = outcomes.confidence[k] >= threshold
            share = reach if independent else alive.mean()
            cost += share * costs[k]
            accuracy += reach * (leaving & right[k]).mean() if independent else (alive & leaving & right[k]).mean()
            reach *= 1 - leaving.mean()
            alive = alive & ~leaving
        if objective.weight is not None:
            lost = max(0.0, objective.base_accuracy - accuracy)
            value = objective.weight * cost / objective.base_cost + (1 - objective.weight) * lost
        elif accuracy < objective.base_accuracy - objective.budget - 1e-9:
            continue
        else:
            value = cost
        values[tuple(map(float, config))] = value
    return values


@pytest.mark.parametrize("independent", [False, True], ids=["exact", "independent"])
@pytest.mark.parametrize("weighted", [False, True], ids=["budget", "weight"])
def test_the_shortest_path_is_the_best_configuration(independent: bool, weighted: bool) -> None:
    infeasible = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        exits = int(rng.integers(0, 5))
        outcomes = correlated(rng, exits, 30)
        grid = some_grid(rng, outcomes, 3 if exits > 2 else 4)
        if seed % 2:
            grid = grid[:, :-1]  # without never the budget can be out of reach
        costs = rng.uniform(1, 10, exits + 1)
        base = float(outcomes.correct[-1].mean())
        drop = float(rng.choice([0.0, 0.05, 0.1]))
        objective = Objective(base, 12.0, **({"weight": 0.3} if weighted else {"budget": (drop)}))
        values = every_configuration(outcomes, grid, costs, objective, independent)
        network = thresholds.graph(outcomes, grid, costs, objective, independent=independent)
        found = thresholds.solve(network)
        infeasible += found is None
        assert (found is None) == (not values)
        if found is not None:
            value, chosen = found
            assert value == pytest.approx(min(values.values()))
            assert values[tuple(map(float, chosen))] == pytest.approx(value)
    assert infeasible == 0 if weighted else infeasible > 0


@pytest.mark.parametrize("independent", [False, True], ids=["exact", "independent"])
@pytest.mark.parametrize("weighted", [False, True], ids=["budget", "weight"])
def test_a_graph_without_what_is_longer_has_the_same_shortest_path(independent: bool, weighted: bool) -> None:
    smaller = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        exits = int(rng.integers(1, 4))
        outcomes = correlated(rng, exits, 40)
        if seed % 3 == 0:
            outcomes = replace(outcomes, weights=rng.uniform(0.2, 3.0, 40))
        grid = some_grid(rng, outcomes, 6)
        costs = rng.uniform(1, 10, exits + 1)
        base = float(outcomes.accuracies[-1])
        objective = Objective(base, 12.0, **({"weight": 0.3} if weighted else {"budget": (0.05)}))
        whole = thresholds.graph(outcomes, grid, costs, objective, independent=independent)
        found = thresholds.solve(whole)
        assert found is not None
        for most in (found[0] * (1 + 1e-12), found[0] * 1.2):
            part = thresholds.graph(outcomes, grid, costs, objective, independent=independent, most=most)
            value, chosen = thresholds.solve(part) or (0.0, ())
            assert (value, chosen) == (pytest.approx(found[0]), found[1]), seed
            assert all(node in whole for node in part)
            smaller += len(part) < len(whole) / 2
        none = thresholds.graph(outcomes, grid, costs, objective, independent=independent, most=found[0] * 0.999)
        assert thresholds.solve(none) is None, seed
    assert smaller > 30


def test_prefixes_that_leave_the_same_samples_over_are_one_node() -> None:
    # both thresholds of the first exit let the same sample leave, none of the second lets any
    confidence = np.array([[0.9, 0.2, 0.1], [0.3, 0.3, 0.3], [1, 1, 1]], dtype=np.float32)
    labels = np.zeros(3, dtype=int)
    outcomes = Outcomes(confidence, np.zeros((3, 3), dtype=int), labels)
    grid = np.array([[0.5, 0.6], [0.5, 0.6]], dtype=np.float32)
    objective = Objective(1.0, 1.0, budget=(0.0))
    merged = thresholds.graph(outcomes, grid, [1, 1, 1], objective)
    assert len(merged) == 4  # input, one prefix per exit, output
    assert len(thresholds.graph(outcomes, grid, [1, 1, 1], objective, independent=True)) == 2 + 2 + 4
    value, chosen = thresholds.solve(merged) or (0.0, ())
    assert value == pytest.approx(1 + 2 / 3 + 2 / 3)
    assert chosen == (np.float32(0.5), np.float32(0.5))  # of equal thresholds the lowest
    assert Passage(outcomes.rows([0, 1]), chosen).at.tolist() == [0, 2, 2]
