"""Operating points: threshold vectors of one design to switch between while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from eeaug.design import refine
from eeaug.design.problem import Rules
from eeaug.design.promise import Opening, Promise, Terms, nothing
from eeaug.search.space import Design, Problem
from eeaug.settings import Goal

__all__ = ["DEFAULT", "Point", "along", "corrected", "points", "together"]

DEFAULT = "default"
# names → their budgets as multiples of the one that was asked for
SETS: dict[int, dict[str, float]] = {
    1: {DEFAULT: 1},
    3: {"careful": 0.5, DEFAULT: 1, "frugal": 2},
    4: {"careful": 0.5, DEFAULT: 1, "frugal": 2, "most-frugal": 4},
    5: {"most-careful": 0.25, "careful": 0.5, DEFAULT: 1, "frugal": 2, "most-frugal": 4},
}
LEAST_BUDGET = 0.005  # that multiples are taken of, where the one asked for is smaller or none


@dataclass(frozen=True)
class Point:
    """Thresholds for another budget; the exits and what runs where stay as they are."""

    name: str
    budget: float | None
    thresholds: tuple[float | None, ...]
    promise: Promise


def points(goal: Goal, problem: Problem, rules: Rules, design: Design) -> tuple[Point, ...]:
    """The points of SETS, from the most accurate on, where nothing is promised; ``design`` is the default.

    Every other one has the best thresholds for its own budget; one for which pinned thresholds leave none is left
    out.
    """
    if not design.exits:
        return ()
    asked, blank = problem.objective.budget, problem.outcomes.judged is not None
    lost = problem.objective.base_accuracy - refine.passage(problem, design).accuracy
    listed = []
    for name, budget in _budgets(goal, max(lost if asked is None else asked, LEAST_BUDGET)):
        if name == DEFAULT:
            listed.append(
                Point(name, asked, corrected(design.thresholds, goal.correction), nothing(asked, blank=blank))
            )
            continue
        objective = replace(problem.objective, budget=budget, weight=None)
        other = refine.refined(replace(problem, objective=objective), rules, design)
        if other is not None:  # else pinned thresholds do not allow this budget
            listed.append(
                Point(name, budget, corrected(other.thresholds, goal.correction), nothing(budget, blank=blank))
            )
    return tuple(listed)


def along(
    goal: Goal, terms: Terms, path: Opening, promise: Promise, thresholds: Sequence[float | None], seed: int
) -> tuple[Point, ...]:
    """The points of SETS along the path of one design, each with a promise of its own, of the same kind.

    ``thresholds`` and ``promise`` are the default's. Each promise holds by itself with its probability: all of them
    at once with less (:func:`together`).
    """
    assert promise.budget is not None
    same = replace(terms, kinds=(promise.kind,))
    listed = []
    for name, budget in _budgets(goal, max(promise.budget, LEAST_BUDGET)):
        if name == DEFAULT:
            listed.append(Point(name, promise.budget, tuple(thresholds), promise))
            continue
        index, other = path.promised(same, budget, seed)
        closed = (None,) * len(thresholds)
        listed.append(Point(name, budget, closed if index is None else path.steps[index], other))
    return tuple(listed)


def together(promises: Sequence[Promise]) -> float | None:
    """The probability with which all that was proven holds at once, at least (Bonferroni); None: nothing was."""
    risks = [promise.risk for promise in promises if promise.kept and promise.risk is not None]
    return max(0.0, 1 - sum(risks)) if risks else None


def _budgets(goal: Goal, base: float) -> list[tuple[str, float]]:
    """Names of points and their budgets; more than all accuracy cannot be lost."""
    return [(name, min(1.0, round(multiple * base, 12))) for name, multiple in SETS[goal.points].items()]


def corrected(thresholds: Sequence[float | None], correction: float) -> tuple[float | None, ...]:
    """Thresholds × ``correction``, as float32; never stays never."""
    return tuple(t if t is None or correction == 1 else float(np.float32(t * correction)) for t in thresholds)
