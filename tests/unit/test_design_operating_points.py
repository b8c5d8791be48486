"""Operating points: the best thresholds of one design for other budgets."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from instances import make

from eeaug.cascade.outcomes import Outcomes
from eeaug.design import operating_points
from eeaug.design.operating_points import DEFAULT, Point
from eeaug.design.problem import Rules
from eeaug.design.refine import mean_cost
from eeaug.search.space import Design, Problem
from eeaug.search.thresholds import Objective, of_design
from eeaug.settings import Goal

NO_PINS = Rules((), {}, {}, 2)
# as multiples of the one asked for: README
BUDGETS = {1: [1], 3: [0.5, 1, 2], 4: [0.5, 1, 2, 4], 5: [0.25, 0.5, 1, 2, 4]}


def task(
    seed: int, drop: float | None, kept: float | None = None, *, weighted: bool = False, weight: float | None = None
) -> Problem:
    """A search within ``drop``, of which ``kept`` may be lost on the samples that choose; None: all of it."""
    instance = make(np.random.default_rng(seed), locations=3, samples=200, thresholds=4, weighted=weighted)
    base = float(instance.outcomes.accuracies[-1])
    budget = None if drop is None else Budget(drop, drop if kept is None else kept)
    whole = instance.problem(objective=Objective(base, 1.0)).costs.total_macs
    return instance.problem(objective=Objective(base, whole, budget, weight), max_exits=2)


def chosen(problem: Problem) -> Design:
    """Two exits on the first processor; at the thresholds of the default nobody leaves."""
    after = problem.costs.after
    first = 0
    second = next(e for e in range(len(after)) if after[e] > after[first])
    return Design((first, second), (0, 0, 0), (None, None))


def points(problem: Problem, pins: Rules = NO_PINS, **changes: Any) -> tuple[Point, ...]:
    """``changes``: of the goal beside the budget, which the problem has."""
    asked = Goal(**changes)
    return operating_points.points(asked, 0, problem, pins, chosen(problem), None, None)


def drop(problem: Problem, thresholds: tuple[float | None, ...]) -> float:
    """What is lost on the samples of the search, counted sample by sample."""
    rows, lost = problem.outcomes.rows(chosen(problem).exits), 0.0
    for i, count in enumerate(rows.counts):
        sure = (k for k, t in enumerate(thresholds) if t is not None and rows.confidence[k, i] >= np.float32(t))
        lost += count * (int(rows.correct[-1, i]) - int(rows.correct[next(sure, -1), i]))
    return float(lost / rows.counts.sum())


@pytest.mark.parametrize("count", BUDGETS)
def test_budgets_are_multiples_of_the_one_asked_for(count: int) -> None:
    found = points(task(0, 0.02), points=count)
    assert [point.budget for point in found] == [pytest.approx(0.02 * k) for k in BUDGETS[count]]
    assert len({point.name for point in found}) == count
    assert found[BUDGETS[count].index(1)] == Point(DEFAULT, 0.02, (None, None), None)


def test_a_small_budget_has_points_that_differ() -> None:
    """Multiples are of half a percent at least; the default keeps its own budget."""
    assert [p.budget for p in points(task(0, 0.0))] == [0.0025, 0.0, 0.01]
    assert [p.budget for p in points(task(0, 0.005))] == [0.0025, 0.005, 0.01]


def test_without_a_budget_multiples_are_of_what_the_design_loses() -> None:
    problem = task(3, None, weighted=True, weight=0.5)
    design = replace(chosen(problem), thresholds=(0.6, 0.6))
    lost = drop(problem, design.thresholds)
    assert lost > operating_points.LEAST_BUDGET
    asked = Goal(max_accuracy_drop=None, efficiency_weight=0.5)
    careful, default, frugal = operating_points.points(asked, 0, problem, NO_PINS, design, None, None)
    assert (careful.budget, default.budget, frugal.budget) == (round(lost / 2, 12), None, round(2 * lost, 12))
    assert drop(problem, careful.thresholds) <= lost / 2 + 1e-9
    assert default.thresholds == design.thresholds


@pytest.mark.parametrize("weighted", [False, True])
def test_what_is_held_back_of_the_budget_is_held_back_of_every_point(weighted: bool) -> None:
    """And within it no thresholds of the coarse grid cost less."""
    asked, kept, binding = 0.04, 0.025, 0
    for seed in range(12):
        problem = task(seed, asked, kept, weighted=weighted)
        design = chosen(problem)
        grids = [problem.grid[e] for e in design.exits]
        options = [replace(design, thresholds=of_design(config)) for config in product(*grids)]
        for point in points(problem, points=5):
            if point.name == DEFAULT:
                continue
            assert point.budget is not None
            allowed = point.budget - (asked - kept)
            assert drop(problem, point.thresholds) <= allowed + 1e-9
            cost = mean_cost(problem, replace(design, thresholds=point.thresholds))
            lost = {option: drop(problem, option.thresholds) for option in options}
            kept_costs = [mean_cost(problem, each) for each in options if lost[each] <= allowed]
            assert cost <= min(kept_costs, default=np.inf) + 1e-9
            within = [mean_cost(problem, each) for each in options if lost[each] <= point.budget]
            binding += min(within) < cost - 1e-9
    assert binding >= 3, "or holding back makes no difference"


def test_points_are_a_front_from_the_most_accurate_on() -> None:
    problem = task(1, 0.02)
    found = [p for p in points(problem, points=5) if p.name != DEFAULT]
    costs = [mean_cost(problem, replace(chosen(problem), thresholds=p.thresholds)) for p in found]
    assert costs == sorted(costs, reverse=True) and costs[0] > costs[-1]


def test_a_point_that_pinned_thresholds_do_not_allow_is_left_out() -> None:
    problem = task(1, 0.02)
    exits = [problem.costs.exits[e].location for e in chosen(problem).exits]
    everybody = replace(problem, grid=np.zeros_like(problem.grid))  # all leave at the first exit
    pins = Rules((), {}, dict.fromkeys(exits, 0.0), 2)
    assert drop(problem, (0.0, 0.0)) > 0.04
    assert [p.name for p in points(everybody, pins)] == [DEFAULT]


def test_every_point_is_corrected() -> None:
    plain = points(task(1, 0.02))
    corrected = points(task(1, 0.02), correction=0.5)
    assert any(t is not None for p in plain for t in p.thresholds)
    for before, after in zip(plain, corrected, strict=True):
        assert after.thresholds == tuple(
            None if t is None else float(np.float32(t * 0.5)) for t in before.thresholds
        )


def test_points_are_proven_where_a_risk_was_given() -> None:
    """At their own budgets, on other samples; at one for which nothing is proven nobody leaves."""
    problem = task(1, 0.02)
    given, asked = problem.outcomes, Goal(risk=0.1)

    def proven(samples: int) -> list[tuple[float | None, bool, tuple[float | None, ...]]]:
        some = np.resize(np.arange(given.samples), samples)  # each of them as often
        certify = Outcomes(given.confidence[:, some], given.predicted[:, some], given.labels[some])
        found = operating_points.points(asked, 0, problem, NO_PINS, chosen(problem), None, certify)
        assert [p.name for p in found if p.guarantee is None] == [DEFAULT]  # its own is given
        return [(p.guarantee.budget, p.guarantee.proven, p.thresholds) for p in found if p.guarantee]

    assert proven(10) == [(0.01, False, (None, None)), (0.04, False, (None, None))]
    (_, _, careful), (budget, certain, frugal) = proven(20_000)
    assert (budget, certain) == (0.04, True) and frugal != (None, None) and frugal != careful


def test_no_exits_have_no_points() -> None:
    problem = task(1, 0.02)
    asked = Goal()
    assert operating_points.points(asked, 0, problem, NO_PINS, Design((), (0,), ()), None, None) == ()
