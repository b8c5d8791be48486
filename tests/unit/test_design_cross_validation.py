"""The budget on choose that keeps the one asked for elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from instances import make

from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.passage import Passage
from eeaug.design import choose, cross_validation
from eeaug.design.cross_validation import Estimate
from eeaug.design.problem import Rules
from eeaug.errors import InputError
from eeaug.search import solver
from eeaug.search.space import Problem
from eeaug.search.thresholds import Budget, Objective, quantile_grid
from eeaug.settings import Settings


def search(seed: int, samples: int, budget: float) -> tuple[Problem, Any]:
    """A search, and the same on other outcomes."""
    made = make(np.random.default_rng(seed), locations=4, samples=samples, known=True)

    def problem(outcomes: Outcomes) -> Problem:
        grid = np.array([quantile_grid(row, 6) for row in outcomes.confidence[:-1]])
        there = replace(made, outcomes=outcomes, grid=grid)
        costs = there.problem(objective=Objective(0.5, 1.0, None)).costs
        objective = Objective(float(outcomes.alone.accuracies[0]), costs.total_macs, Budget.whole(budget))
        return there.problem(objective=objective, max_exits=2)

    return problem(made.outcomes), problem


def test_every_sample_is_read_once_in_a_repeat() -> None:
    folds = list(cross_validation._folds(53, seed=3))
    assert len(folds) == cross_validation.FOLDS * cross_validation.REPEATS
    for start in (0, cross_validation.FOLDS):
        read = np.concatenate([held for _, held in folds[start : start + cross_validation.FOLDS]])
        assert sorted(read) == list(range(53))
    for chosen_on, read_on in folds:
        assert not set(chosen_on) & set(read_on) and len(chosen_on) + len(read_on) == 53


def test_the_estimate_by_its_definition() -> None:
    task, problem = search(1, 150, 0.05)
    found = cross_validation.estimated(task, problem, seed=0)
    assert found is not None
    step = max(cross_validation.STEP, 1 / 150)
    np.testing.assert_allclose(found.budgets, 0.05 - step * np.arange(cross_validation.STEPS), atol=1e-12)
    outcomes = task.outcomes
    lost = 0
    for chosen_on, read_on in cross_validation._folds(150, seed=0):
        part = problem(cross_validation.only(outcomes, chosen_on))
        design = solver.solve(part).design
        held = cross_validation.only(outcomes, read_on)
        rows = held.rows(design.exits)
        right = rows.correct[Passage(rows, design.thresholds).at, np.arange(len(read_on))]
        lost += int((held.baseline == held.labels).sum()) - int(right.sum())
    assert found.drops[0] == pytest.approx(lost / (150 * cross_validation.REPEATS))


def test_it_keeps_on_others_what_choose_alone_does_not() -> None:
    """Mean drop on fresh samples of many small searches: beyond the budget without, nearer to it with."""
    budget, plain, validated = 0.02, [], []
    for seed in range(25):
        whole, problem = search(seed, 4100, budget)
        task = problem(cross_validation.only(whole.outcomes, np.arange(100)))
        fresh = cross_validation.only(whole.outcomes, np.arange(100, 4100))
        estimate = cross_validation.estimated(task, problem, seed)
        assert estimate is not None
        result = solver.solve(task)
        inner = cross_validation.within(task, estimate.budgets[estimate.index or 0]).objective
        fitting = [(cost, k) for k, (_, right, cost) in enumerate(result.fronts["macs"]) if inner.allows(right)]
        careful = result.fronts["macs"][min(fitting)[1]][0] if fitting and estimate.index is not None else None
        for chosen, into in ((result.design, plain), (careful, validated)):
            into.append(0.0 if chosen is None else cross_validation._lost(fresh, chosen) / 4000)
    assert np.mean(plain) > budget + 0.01
    assert np.mean(validated) < budget + 0.005


def test_the_largest_budget_that_holds() -> None:
    found = Estimate((0.01, 0.005, 0.0, -0.005), (0.03, 0.02, 0.009, 0.001))
    assert found.index == 2
    assert found.as_dict()["budget_on_choose"] == 0.0 and found.as_dict()["drop"] == 0.009
    assert Estimate((0.01, 0.005), (0.03, 0.02)).as_dict()["budget_on_choose"] is None
    assert Estimate((0.01, 0.005), (0.01, 0.0)).index == 0


@pytest.mark.parametrize("pinned", [False, True])
def test_a_budget_that_nothing_reaches_leaves_no_exit_but_pinned_ones(pinned: bool) -> None:
    task, _ = search(1, 150, 0.05)
    place = task.costs.exits[0].location
    task = replace(task, pinned={place: None} if pinned else {})
    estimate = Estimate((0.05, -0.9), (0.2, 0.01))  # no design is right on so many more
    inner, result, design, said = choose._held_back(task, Rules((), task.pinned, {}, 2), estimate)
    assert inner.objective.budget == Budget(0.05, 0.0) and result.design.exits == design.exits
    assert bool(design.exits) == pinned
    assert (said.as_dict()["budget_on_choose"], said.as_dict()["drop"]) == (None, None)
    reached = Estimate((0.05, 0.0), (0.2, 0.01))
    assert choose._held_back(task, Rules((), task.pinned, {}, 2), reached)[3].as_dict()["budget_on_choose"] == 0


def test_without_a_budget_there_is_nothing_to_keep() -> None:
    task, problem = search(1, 60, 0.05)
    weighted = replace(task, objective=Objective(0.5, 1.0, None, weight=0.5))
    assert cross_validation.estimated(weighted, problem, 0) is None


@pytest.mark.parametrize("other", [{"risk": 0.1}, {"scoring": "independent"}, {"max_class_drop": 0.1}])
def test_what_it_does_not_go_with_is_refused(other: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="--cross-validate is about"):
        Settings.of(model=Path("m.h5"), hardware="psoc6", cross_validate=True, **other)
    assert not Settings.of(model=Path("m.h5"), hardware="psoc6", **other).goal.cross_validates(10)
