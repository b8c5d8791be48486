"""What screen fixes of a design: its exits, processors, reuse and path of thresholds.

No head was trained on screen, and no choose sample is looked at: so choose may prove afterwards what it can. What
is sought are exits that save most over a range of drops: a backbone knows screen from its own training and is too
often right there, so a drop on screen says little of how far exits may be opened.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from eeaug.cascade.learn_then_test import Claim
from eeaug.cascade.output import Decision
from eeaug.cascade.passage import Passage
from eeaug.cascade.path import path
from eeaug.design import refine, reuse
from eeaug.design.problem import Rules
from eeaug.design.promise import Terms, Thresholds, estimated
from eeaug.design.reuse import Answers, Reuse
from eeaug.errors import InfeasibleError
from eeaug.search.solver import Result
from eeaug.search.space import Design, Problem

__all__ = ["Screened", "screened", "steps_of"]


# Of the budget: exits are sought for so much, too, since a backbone may know screen by heart: there they lose more;
# and for what a standard error leaves of it, where that is much.
WIDER = (2, 4)
LOOKED_AT = 5  # drops at which designs are compared


@dataclass(frozen=True)
class Screened:
    """A design as screen fixes it: ``task`` has its outcomes there, with ``reuse`` where exits hear each other."""

    task: Problem
    design: Design
    reuse: Reuse | None
    steps: tuple[Thresholds, ...]


def screened(
    task: Problem, rules: Rules, terms: Terms, answers: Answers | None, decision: Decision, units: int
) -> tuple[Result, Screened]:
    """The search on screen, and what follows from it.

    Parameters
    ----------
    task : the search problem on screen
    answers : probabilities on screen by candidate; None: exits are not to hear each other
    units : how many choose samples there are, or groups of them
    """
    result, design = refine.choose(task, rules)
    hears, budget = None, task.objective.budget
    assert budget is not None
    designs = [refine.worthwhile(task, design)]
    error = _error(task, designs[0], units)
    for other in (*(multiple * budget for multiple in WIDER), *([budget - error] if error > budget / 2 else [])):
        asked = replace(task, objective=replace(task.objective, budget=other))
        with suppress(InfeasibleError):  # below 0 exits must be better than the given model
            designs.append(refine.worthwhile(asked, refine.choose(asked, rules, fronts=())[1]))
    design = max(designs, key=lambda each: _saved(task, rules, each, units))  # of equal ones the first
    better = None if answers is None else reuse.improved(task, rules, design, answers, decision)
    if better is not None and _can_be_told(better[1], better[2], terms, units):
        hears, task, design = better
    return result, Screened(task, design, hears, steps_of(task, rules, design) if design.exits else ())


def _error(task: Problem, design: Design, units: int) -> float:
    """The standard error of a design's drop on so many units, by what it loses on screen."""
    rows, budget = task.outcomes.rows(design.exits), task.objective.budget
    assert budget is not None
    return estimated(Claim.of(rows, refine.passage(task, design).losses, budget))[1] * float(
        np.sqrt(rows.units / units)
    )


def _saved(task: Problem, rules: Rules, design: Design, units: int) -> float:
    """What a design saves along its path, a mean over drops from the budget to WIDER times as much.

    To each drop comes the standard error that so many ``units`` will leave of it: what depends on few samples that
    weigh much is promised last.
    """
    assert task.objective.budget is not None
    if not design.exits:
        return 0.0
    rows, base = task.outcomes.rows(design.exits), task.objective.base_cost
    costs = task.cost_of(task.segments([design.exits], design.processors))[0]
    passages = [Passage(rows, step) for step in steps_of(task, rules, design)]
    estimates = [estimated(Claim.of(rows, passage.losses, task.objective.budget)) for passage in passages]
    drops = [drop + error * np.sqrt(rows.units / units) for drop, error in estimates]
    means = [passage.mean(costs) for passage in passages]
    allowed = np.linspace(task.objective.budget, max(WIDER) * task.objective.budget, LOOKED_AT)
    cheapest = [
        min((mean for mean, drop in zip(means, drops, strict=True) if drop <= most + 1e-9), default=base)
        for most in allowed
    ]
    return float(1 - np.mean(cheapest) / base)


def _can_be_told(task: Problem, design: Design, terms: Terms, units: int) -> bool:
    """Whether so many units can tell that exits which hear each other lose no more than the budget.

    The last classifier then answers otherwise than the given model now and then, even where nothing leaves early.
    Few samples cannot tell that from a loss, and a path whose first step fails proves nothing: one standard error
    is left over for bad luck.
    """
    rows, budget = task.outcomes.rows(design.exits), task.objective.budget
    assert budget is not None
    otherwise = float(rows.share(rows.predicted[-1] != rows.baseline))
    errors = 1.0 if terms.kinds == ("expected",) else NormalDist().inv_cdf(1 - terms.risk)
    return bool((errors + 1) * np.sqrt((otherwise + budget) / units) <= budget)


def steps_of(task: Problem, rules: Rules, design: Design) -> tuple[Thresholds, ...]:
    """The path of a design's thresholds, on the samples of the problem."""
    return path(
        task.outcomes.rows(design.exits),
        task.cost_of(task.segments([design.exits], design.processors))[0],
        task.objective.base_cost,
        fixed=[rules.thresholds.get(task.costs.exits[e].location) for e in design.exits],
    )
