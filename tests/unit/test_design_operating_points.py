"""Operating points: the best thresholds of one design for other budgets."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from instances import make

from eeaug.cascade.output import Decision
from eeaug.design import operating_points
from eeaug.design.operating_points import DEFAULT, Point
from eeaug.design.problem import Rules
from eeaug.design.promise import Opening, Terms, nothing
from eeaug.design.refine import mean_cost
from eeaug.search.space import Design, Problem
from eeaug.search.thresholds import Objective, of_design
from eeaug.settings import Goal

NO_PINS = Rules((), {}, {}, 2)
# as multiples of the one asked for: docs/promises.md
BUDGETS = {1: [1], 3: [0.5, 1, 2], 4: [0.5, 1, 2, 4], 5: [0.25, 0.5, 1, 2, 4]}


def task(seed: int, drop: float | None, *, weighted: bool = False, weight: float | None = None) -> Problem:
    """A search within ``drop``."""
    instance = make(np.random.default_rng(seed), locations=3, samples=200, thresholds=4, weighted=weighted)
    base = float(instance.outcomes.accuracies[-1])
    whole = instance.problem(objective=Objective(base, 1.0)).costs.total_macs
    return instance.problem(objective=Objective(base, whole, drop, weight), max_exits=2)


def chosen(problem: Problem) -> Design:
    """Two exits on the first processor; at the thresholds of the default nobody leaves."""
    after = problem.costs.after
    first = 0
    second = next(e for e in range(len(after)) if after[e] > after[first])
    return Design((first, second), (0, 0, 0), (None, None))


def points(problem: Problem, pins: Rules = NO_PINS, **changes: Any) -> tuple[Point, ...]:
    """``changes``: of the goal beside the budget, which the problem has."""
    asked = Goal(**changes)
    return operating_points.points(asked, problem, pins, chosen(problem))


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
    assert found[BUDGETS[count].index(1)] == Point(DEFAULT, 0.02, (None, None), nothing(0.02))


def test_no_point_may_lose_more_than_everything() -> None:
    assert [p.budget for p in points(task(0, 0.9), points=5)] == [0.225, 0.45, 0.9, 1.0, 1.0]


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
    careful, default, frugal = operating_points.points(asked, problem, NO_PINS, design)
    assert (careful.budget, default.budget, frugal.budget) == (round(lost / 2, 12), None, round(2 * lost, 12))
    assert drop(problem, careful.thresholds) <= lost / 2 + 1e-9
    assert default.thresholds == design.thresholds


@pytest.mark.parametrize("weighted", [False, True])
def test_points_are_the_cheapest_within_their_budgets(weighted: bool) -> None:
    """No thresholds of the coarse grid cost less."""
    for seed in range(12):
        problem = task(seed, 0.04, weighted=weighted)
        design = chosen(problem)
        grids = [problem.grid[e] for e in design.exits]
        options = [replace(design, thresholds=of_design(config)) for config in product(*grids)]
        for point in points(problem, points=5):
            if point.name == DEFAULT:
                continue
            assert point.budget is not None
            assert drop(problem, point.thresholds) <= point.budget + 1e-9
            cost = mean_cost(problem, replace(design, thresholds=point.thresholds))
            within = [
                mean_cost(problem, each) for each in options if drop(problem, each.thresholds) <= point.budget
            ]
            assert cost <= min(within) + 1e-9


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


@pytest.mark.parametrize("kind", ["proven", "expected"])
def test_points_along_a_path_are_promised_each_by_itself(kind: str) -> None:
    """At their own budgets; at one for which nothing is promised nobody leaves."""
    problem = task(1, 0.02)
    rows = problem.outcomes.rows([0])
    steps = tuple((float(t),) for t in np.unique(rows.confidence[0])[::-1][::8] if t < 1)
    terms = Terms((kind,), 0.1)

    def along(samples: int) -> tuple[Point, ...]:
        some = np.resize(np.arange(rows.samples), samples)  # each of them as often
        path = Opening(steps, rows.only(some), np.array([1.0, 9.0]), 9.5, Decision("softmax", 4))
        index, promise = path.promised(terms, 0.02, 0)
        thresholds = (None,) if index is None else steps[index]
        found = operating_points.along(Goal(), terms, path, promise, thresholds, 0)
        assert [p.budget for p in found] == [0.01, 0.02, 0.04] and found[1].promise == promise
        assert {p.promise.kind for p in found} == {kind}
        for point in found:
            index, alone = path.promised(terms, point.budget or 0.0, 0)
            assert point == Point(point.name, point.budget, (None,) if index is None else steps[index], alone)
        return found

    assert [p.thresholds for p in along(2)] == [(None,)] * 3
    careful, default, frugal = along(20_000)
    assert frugal.promise.kept and frugal.thresholds != careful.thresholds
    together = operating_points.together([p.promise for p in (careful, default, frugal)])
    proven = sum(p.promise.kept for p in (careful, default, frugal))
    assert together == (pytest.approx(1 - 0.1 * proven) if kind == "proven" else None)


def test_no_exits_have_no_points() -> None:
    problem = task(1, 0.02)
    asked = Goal()
    assert operating_points.points(asked, problem, NO_PINS, Design((), (0,), ())) == ()
