"""What screen fixes: the best design there and its path; nothing of choose has a part in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from instances import make

from eeaug.cascade.output import Decision
from eeaug.cascade.passage import Passage
from eeaug.design import refine, screened
from eeaug.design.problem import Rules
from eeaug.design.promise import Terms
from eeaug.search.space import Design, Problem
from eeaug.search.thresholds import Objective

NO_PINS, SOFTMAX, TERMS = Rules((), {}, {}, 2), Decision("softmax", 4), Terms(("proven",), 0.05)


def task(seed: int, budget: float) -> Problem:
    instance = make(np.random.default_rng(seed), locations=4, samples=500)
    base = float(instance.outcomes.accuracies[-1])
    problem = instance.problem(objective=Objective(base, 1.0), max_exits=2)
    return replace(problem, objective=Objective(base, float(problem.costs.total_macs), budget))


def along(problem: Problem, design: Design, units: int = 500) -> float:
    """What it saves along its path."""
    return screened.saved(problem, design, screened.steps_of(problem, NO_PINS, design), units)


def test_of_the_best_designs_for_some_budgets_it_is_the_one_that_saves_most_along_its_path() -> None:
    others = stricter = 0
    for seed in range(12):
        problem = task(seed, 0.03)
        _, fixed = screened.screened(problem, NO_PINS, TERMS, None, SOFTMAX, 500)
        designs = []
        error = screened._error(problem, refine.worthwhile(problem, refine.choose(problem, NO_PINS)[1]), 500)
        stricter += error > 0.015
        for budget in (0.03, *(0.03 * multiple for multiple in screened.WIDER), 0.03 - error):
            asked = replace(problem, objective=replace(problem.objective, budget=budget))
            if budget >= 0.03 or error > 0.015:
                designs.append(refine.worthwhile(asked, refine.choose(asked, NO_PINS)[1]))
        assert fixed.design in designs and fixed.reuse is None
        saved = [along(problem, design) for design in designs]
        assert along(problem, fixed.design) == max(saved)
        others += fixed.design.exits != designs[0].exits
        if not fixed.design.exits:
            continue
        rows = problem.outcomes.rows(fixed.design.exits)
        costs = problem.cost_of(problem.segments([fixed.design.exits], fixed.design.modes))[0]
        means = [Passage(rows, step).mean(costs) for step in fixed.steps]
        assert means == sorted(means, reverse=True)
    assert others >= 1 and 1 <= stricter <= 11


def test_what_a_path_saves_is_a_mean_over_drops() -> None:
    problem = task(1, 0.03)
    _, design = refine.choose(problem, NO_PINS)
    rows, steps = problem.outcomes.rows(design.exits), screened.steps_of(problem, NO_PINS, design)
    costs = problem.cost_of(problem.segments([design.exits], design.modes))[0]
    saved = []
    for allowed in np.linspace(0.03, 0.12, screened.LOOKED_AT):
        fitting = [s for s in steps if Passage(rows, s).losses.mean() <= allowed + 1e-9]
        means = [Passage(rows, s).mean(costs) for s in fitting]
        saved.append(1 - min([*means, problem.objective.base_cost]) / problem.objective.base_cost)
    assert np.isclose(along(problem, design, 10**30), np.mean(saved))


def test_what_few_units_can_tell_is_counted_with_an_error() -> None:
    problem = task(1, 0.03)
    _, design = refine.choose(problem, NO_PINS)
    saved = [along(problem, design, units) for units in (50, 500, 50_000, 10**30)]
    assert saved == sorted(saved) and saved[0] < saved[-1]


def test_where_the_given_model_knows_screen_by_heart_exits_are_found_all_the_same() -> None:
    """It is right on all of screen, and every exit loses more than the budget; choose says how far they open."""
    found = 0
    for seed in range(8):
        problem = task(seed, 0.002)
        outcomes = problem.outcomes
        predicted = outcomes.predicted.copy()
        predicted[-1] = outcomes.labels
        known = replace(
            problem,
            outcomes=replace(outcomes, predicted=predicted),
            objective=replace(problem.objective, base_accuracy=1.0),
        )
        none = refine.worthwhile(known, refine.choose(known, NO_PINS)[1])
        _, fixed = screened.screened(known, NO_PINS, TERMS, None, SOFTMAX, 500)
        found += bool(fixed.design.exits) and not none.exits
        assert not none.exits or fixed.design.exits == none.exits
        assert bool(fixed.steps) == bool(fixed.design.exits)
    assert found >= 1


def test_exits_hear_each_other_where_samples_can_tell_what_that_changes() -> None:
    problem = task(0, 0.01)
    outcomes = problem.outcomes
    _, design = refine.choose(problem, NO_PINS)
    otherwise = outcomes.predicted[-1].copy()
    otherwise[:10] = (otherwise[:10] + 1) % 4  # 10 of 500 answers of the last classifier change
    heard = replace(problem, outcomes=replace(outcomes, given=otherwise))
    proven, expected = TERMS, Terms(("expected",), 0.05)
    # (1.645 + 1)² (0.02 + 0.01) / 0.01² = 2,099 samples
    assert not screened.can_be_told(heard, design, proven, 2050)
    assert screened.can_be_told(heard, design, proven, 2150)
    assert screened.can_be_told(heard, design, expected, 1250)  # 2² · 0.03 / 0.01² = 1,200
    assert not screened.can_be_told(heard, design, expected, 1150)


def test_one_group_on_screen_is_told_by_its_samples() -> None:
    """How groups differ is not known then: an error without end would tell no design from another."""
    problem = task(3, 0.05)
    one = replace(problem, outcomes=replace(problem.outcomes, groups=np.zeros(problem.outcomes.samples, np.int64)))
    design = refine.choose(problem, NO_PINS)[1]
    steps = screened.steps_of(problem, NO_PINS, design)
    assert steps and screened.saved(one, design, steps, 9) == screened.saved(
        problem, design, steps, problem.outcomes.samples
    )
