"""What screen fixes of a design: its exits, processors, reuse and path of thresholds.

No head was trained on screen, and no choose sample is looked at: so choose may prove afterwards what it can.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade import estimate
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import Decision
from eeaug.cascade.passage import Passage
from eeaug.cascade.path import path
from eeaug.design import refine, reuse
from eeaug.design.problem import Rules
from eeaug.design.promise import LEAST_SHARE, Terms, Thresholds
from eeaug.design.reuse import Answers, Reuse
from eeaug.search import solver
from eeaug.search.solver import Result
from eeaug.search.space import Design, Problem

__all__ = ["Screened", "screened", "steps_of"]

# Shares of the budget that designs are sought for: few samples prove little, and what saves most of a little is
# another architecture than what saves most of the whole.
SHARES = (1.0, 0.5, 0.25)


@dataclass(frozen=True)
class Screened:
    """A design as screen fixes it: ``task`` has its outcomes there, with ``reuse`` where exits hear each other."""

    task: Problem
    design: Design
    reuse: Reuse | None
    steps: tuple[Thresholds, ...]

    def cost(self, terms: Terms, kind: str, units: int) -> float:
        """The mean cost to expect where so many samples (or groups) say how far the path may be opened."""
        objective, rows = self.task.objective, self.task.outcomes.rows(self.design.exits)
        costs = _costs(self.task, self.design)
        budget = objective.budget
        assert budget is not None
        errors = 1.0 if kind == "expected" else NormalDist().inv_cdf(1 - terms.risk)
        scale = np.sqrt(_units(rows) / units)
        cheapest = objective.base_cost
        for step in self.steps:
            passage = Passage(rows, step)
            drop, error = estimate.drop(passage.losses, rows.weights, rows.groups)
            if drop + errors * scale * error > budget:
                break
            cheapest = passage.mean(costs)
        return cheapest


def screened(
    task: Problem, rules: Rules, terms: Terms, answers: Answers | None, decision: Decision, choose: Outcomes
) -> tuple[Result, Screened]:
    """Search on screen, and of the designs for SHARES of the budget the one that will save most.

    Parameters
    ----------
    task : the search problem on screen, with a budget
    answers : probabilities on screen by candidate; None: exits are not to hear each other
    choose : of it only is looked at how many samples or groups there are
    """
    result = solver.solve(task)
    budget = task.objective.budget
    assert budget is not None
    tried: list[Screened] = []
    for share in SHARES:
        inner = replace(task, objective=replace(task.objective, budget=share * budget))
        coarse = _cheapest(result, inner) if share < 1 else result.design
        fine = None if coarse is None else refine.refined(inner, rules, coarse)
        if fine is None:
            continue
        fine = refine.worthwhile(inner, fine)
        tried.append(_on_path(task, rules, fine, None))
        if answers is not None and (better := reuse.improved(inner, rules, fine, answers, decision)) is not None:
            hears, heard, design = better
            tried.append(_on_path(replace(heard, objective=task.objective), rules, design, hears))
    units = _units(choose)
    best = {kind: min(tried, key=lambda one: one.cost(terms, kind, units)) for kind in terms.kinds}
    saved = {kind: task.objective.base_cost - one.cost(terms, kind, units) for kind, one in best.items()}
    first, last = terms.kinds[0], terms.kinds[-1]
    return result, best[first if saved[first] >= LEAST_SHARE * saved[last] else last]


def _on_path(task: Problem, rules: Rules, design: Design, hears: Reuse | None) -> Screened:
    return Screened(task, design, hears, steps_of(task, rules, design) if design.exits else ())


def steps_of(task: Problem, rules: Rules, design: Design) -> tuple[Thresholds, ...]:
    """The path of a design's thresholds, on the samples of the problem."""
    return path(
        task.outcomes.rows(design.exits),
        design.thresholds,
        _costs(task, design),
        task.objective.base_cost,
        fixed=[task.costs.exits[e].location in rules.thresholds for e in design.exits],
    )


def _costs(task: Problem, design: Design) -> NDArray[np.float64]:
    costs: NDArray[np.float64] = task.cost_of(task.segments([design.exits], design.processors))[0]
    return costs


def _cheapest(result: Result, task: Problem) -> Design | None:
    """Of the designs that the search kept, the cheapest within a smaller budget; None if it kept none."""
    fitting = [
        (cost, k)
        for k, (_, accuracy, cost) in enumerate(result.fronts.get(task.cost, ()))
        if task.objective.allows(accuracy)
    ]
    return result.fronts[task.cost][min(fitting)[1]][0] if fitting else None


def _units(outcomes: Outcomes) -> int:
    return outcomes.samples if outcomes.groups is None else len(np.unique(outcomes.groups))
