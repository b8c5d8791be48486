"""What screen fixes of a design: its exits, processors, reuse and path of thresholds.

No head was trained on screen, and no choose sample is looked at: so choose may prove afterwards what it can. What
is sought is the best design for the whole budget. A backbone knows screen from its own training and is too often
right there, so a drop on screen says little of how far the path may be opened; its order of designs is good.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from eeaug.cascade.output import Decision
from eeaug.cascade.path import path
from eeaug.design import refine, reuse
from eeaug.design.problem import Rules
from eeaug.design.promise import Thresholds
from eeaug.design.reuse import Answers, Reuse
from eeaug.search.solver import Result
from eeaug.search.space import Design, Problem

__all__ = ["Screened", "screened", "steps_of"]


WIDER = (2, 4)  # of the budget, where no exit pays off within it: a backbone may know screen by heart


@dataclass(frozen=True)
class Screened:
    """A design as screen fixes it: ``task`` has its outcomes there, with ``reuse`` where exits hear each other."""

    task: Problem
    design: Design
    reuse: Reuse | None
    steps: tuple[Thresholds, ...]


def screened(
    task: Problem, rules: Rules, answers: Answers | None, decision: Decision
) -> tuple[Result, Screened]:  # fmt: skip
    """The search on screen, and what follows from it.

    Parameters
    ----------
    task : the search problem on screen
    answers : probabilities on screen by candidate; None: exits are not to hear each other
    """
    result, design = refine.choose(task, rules)
    design, hears = refine.worthwhile(task, design), None
    for multiple in WIDER:
        if design.exits or task.objective.budget is None:
            break
        wider = replace(task, objective=replace(task.objective, budget=multiple * task.objective.budget))
        design = refine.worthwhile(wider, refine.choose(wider, rules)[1])
    if answers is not None and (better := reuse.improved(task, rules, design, answers, decision)) is not None:
        hears, task, design = better
    return result, Screened(task, design, hears, steps_of(task, rules, design) if design.exits else ())


def steps_of(task: Problem, rules: Rules, design: Design) -> tuple[Thresholds, ...]:
    """The path of a design's thresholds, on the samples of the problem."""
    return path(
        task.outcomes.rows(design.exits),
        design.thresholds,
        task.cost_of(task.segments([design.exits], design.processors))[0],
        task.objective.base_cost,
        fixed=[task.costs.exits[e].location in rules.thresholds for e in design.exits],
    )
