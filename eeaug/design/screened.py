"""What screen fixes of a design: its exits, processors, reuse and path of thresholds.

No head was trained on screen, and no choose sample is looked at: so choose may prove afterwards what it can. What
is sought are exits that save most over a range of drops: a backbone knows screen from its own training and is too
often right there, so a drop on screen says little of how far exits may be opened. Where choose is large, a part of
it says which of the designs it is to be (:mod:`eeaug.design.compared`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.learn_then_test import Claim
from eeaug.cascade.output import Decision
from eeaug.cascade.passage import Passage
from eeaug.cascade.path import path
from eeaug.design import refine, reuse
from eeaug.design.problem import Rules
from eeaug.design.promise import Opening, Terms, Thresholds, estimated
from eeaug.design.reuse import Answers, Reuse
from eeaug.errors import InfeasibleError
from eeaug.search.solver import Result
from eeaug.search.space import Design, Problem
from eeaug.settings import COSTS
from eeaug.support.progress import counted, part, parts

__all__ = ["Screened", "best_for", "can_be_told", "saved", "saved_of", "screened", "steps_of"]


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

    def on(self, task: Problem, answers: Answers, decision: Decision) -> Problem:
        """The problem on other samples, where the exits of the design hear each other, if they do.

        ``answers`` : probabilities on these samples, which are known there if they are on screen.
        """
        if self.reuse is None:
            return task
        probabilities = reuse.known(answers, self.design.exits)
        assert probabilities is not None
        return reuse.hearing(task, self.design.exits, probabilities, self.reuse, decision)

    def opening(self, task: Problem, decision: Decision, proves: NDArray[np.intp] | None = None) -> Opening:
        """The path, and what the exits say of the samples of ``task`` (:meth:`on` others).

        ``proves`` : numbers of those that count; the others have compared designs. None: all.
        """
        rows = task.outcomes.rows(self.design.exits)
        return Opening(
            self.steps,
            rows if proves is None else rows.only(proves),
            task.costs_of(self.design),
            task.objective.base_cost,
            decision,
            None if task.classes is None else task.classes.most,
            task.events,
            compared=0 if proves is None else rows.samples - len(proves),
        )


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
    budget = task.objective.budget
    assert budget is not None
    with part(0, 1, 4):
        result, designs = best_for(task, rules, [budget])
    error = _error(task, designs[0], units)
    others = [*(multiple * budget for multiple in WIDER), *([budget - error] if error > budget / 2 else [])]
    with part(1, 1, 4):
        for other in parts(others):
            with suppress(InfeasibleError):  # below 0 exits must be better than the given model
                designs += best_for(task, rules, [other], fronts=())[1]
    with part(2, 1, 4):
        paths = [steps_of(task, rules, design) for design in counted(designs, len(designs))]
    savings = [saved(task, design, steps, units) for design, steps in zip(designs, paths, strict=True)]
    best = max(range(len(designs)), key=savings.__getitem__)  # of equal ones the first
    design, steps = designs[best], paths[best]
    with part(3, 1, 4):
        better = None if answers is None else reuse.improved(task, rules, design, answers, decision)
    if better is None or not can_be_told(better[1], better[2], terms, units):
        return result, Screened(task, design, None, steps)
    hears, task, design = better
    return result, Screened(task, design, hears, steps_of(task, rules, design))


def best_for(
    task: Problem, rules: Rules, budgets: Sequence[float], fronts: tuple[str, ...] = tuple(COSTS)
) -> tuple[Result, list[Design]]:
    """The search for these budgets: its result for the first, with these ``fronts``, and the best design for each.

    Raises
    ------
    InfeasibleError : no design meets limits and budget
    """
    results: list[Result] = []
    designs: list[Design] = []
    for budget in parts(budgets):
        asked = replace(task, objective=replace(task.objective, budget=budget))
        result, design = refine.choose(asked, rules, () if results else fronts)
        results.append(result)
        designs.append(refine.worthwhile(asked, design))
    return results[0], designs


def _error(task: Problem, design: Design, units: int) -> float:
    """The standard error of a design's drop on so many units, by what it loses on screen."""
    rows, budget = task.outcomes.rows(design.exits), task.objective.budget
    assert budget is not None
    return estimated(Claim.of(rows, refine.passage(task, design).losses, budget))[1] * float(
        np.sqrt(rows.judged_units / units)
    )


def saved(task: Problem, design: Design, steps: Sequence[Thresholds], units: int) -> float:
    """What a design saves along its path, a mean over drops from the budget to WIDER times as much.

    To each drop comes the standard error that so many ``units`` will leave of it: what depends on few samples that
    weigh much is promised last.
    """
    assert task.objective.budget is not None
    if not design.exits:
        return 0.0
    rows = task.outcomes.rows(design.exits)
    costs = task.costs_of(design)
    passages = [Passage(rows, step) for step in steps]
    if (events := task.events) is not None:
        passages = [each for each in passages if events.allows(rows.baseline_right, each.right)]
    return saved_of(task, passages, costs, units)


def saved_of(task: Problem, passages: Sequence[Passage], costs: NDArray[np.float64], units: int) -> float:
    """The same of passages along a path of a design whose segments cost so much, (m + 1,)."""
    assert task.objective.budget is not None
    if not passages:
        return 0.0
    rows, base = passages[0].outcomes, task.objective.base_cost
    more = np.sqrt(rows.judged_units / units)
    if rows.groups is not None and rows.judged_units < 2:  # how groups differ is not known: how samples do
        rows, more = replace(rows, groups=None), 1.0
    estimates = [estimated(Claim.of(rows, passage.losses, task.objective.budget)) for passage in passages]
    drops = [drop + error * more for drop, error in estimates]
    means = [passage.mean(costs) for passage in passages]
    allowed = np.linspace(task.objective.budget, max(WIDER) * task.objective.budget, LOOKED_AT)
    cheapest = [
        min((mean for mean, drop in zip(means, drops, strict=True) if drop <= most + 1e-9), default=base)
        for most in allowed
    ]
    return float(1 - np.mean(cheapest) / base)


def can_be_told(task: Problem, design: Design, terms: Terms, units: int) -> bool:
    """Whether so many units can tell that exits which hear each other lose no more than the budget.

    The last classifier then answers otherwise than the given model now and then, even where nothing leaves early.
    Few samples cannot tell that from a loss, and a path whose first step fails proves nothing: one standard error
    is left over for bad luck.
    """
    rows, budget = task.outcomes.rows(design.exits), task.objective.budget
    assert budget is not None
    otherwise = float(rows.share(rows.predicted[-1] != rows.baseline))
    return bool((terms.errors + 1) * np.sqrt((otherwise + budget) / units) <= budget)


def steps_of(task: Problem, rules: Rules, design: Design) -> tuple[Thresholds, ...]:
    """The path of a design's thresholds, on the samples of the problem; empty without exits."""
    if not design.exits:
        return ()
    return path(
        task.outcomes.rows(design.exits),
        task.costs_of(design),
        task.objective.base_cost,
        fixed=[rules.thresholds.get(task.costs.exits[e].location) for e in design.exits],
    )
