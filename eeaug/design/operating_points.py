"""Operating points: threshold vectors of one design to switch between while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from eeaug.cascade.outcomes import Outcomes
from eeaug.design import certify as certification
from eeaug.design import refine
from eeaug.design.certify import Guarantee
from eeaug.design.problem import Rules
from eeaug.search.space import Design, Problem
from eeaug.search.thresholds import Budget
from eeaug.settings import Goal

__all__ = ["DEFAULT", "Point", "corrected", "points"]

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
    guarantee: Guarantee | None


def points(
    goal: Goal, seed: int, problem: Problem, rules: Rules, design: Design, guarantee: Guarantee | None,
    certify: Outcomes | None,
) -> tuple[Point, ...]:  # fmt: skip
    """The points of SETS, from the most accurate on; ``design`` and its ``guarantee`` are the default.

    Every other one has the best thresholds for its own budget, proven at the same risk if one was asked for;
    one for which pinned thresholds leave none is left out.
    """
    if not design.exits:
        return ()
    asked = problem.objective.budget
    lost = problem.objective.base_accuracy - refine.passage(problem, design).accuracy
    base = max(lost if asked is None else asked.asked, LEAST_BUDGET)
    found = []
    for name, multiple in SETS[goal.points].items():
        if name == DEFAULT:
            own = None if asked is None else asked.asked
            found.append(Point(name, own, corrected(design.thresholds, goal.correction), guarantee))
            continue
        drop = round(multiple * base, 12)
        budget = Budget.whole(drop) if asked is None else asked.instead(drop)
        objective = replace(problem.objective, budget=budget, weight=None)
        other = refine.refined(replace(problem, objective=objective), rules, design)
        if other is not None:  # else pinned thresholds do not allow this budget
            found.append(_point(name, drop, goal, seed, problem, rules, other, certify))
    return tuple(found)


def _point(
    name: str, budget: float, goal: Goal, seed: int, problem: Problem, rules: Rules, design: Design,
    certify: Outcomes | None,
) -> Point:  # fmt: skip
    if certify is None or goal.risk is None:
        return Point(name, budget, corrected(design.thresholds, goal.correction), None)
    proven, guarantee = certification.certified(
        problem, rules, design, certify, budget=budget, risk=goal.risk, seed=seed
    )
    thresholds = proven.thresholds if guarantee.proven else (None,) * len(design.exits)
    return Point(name, budget, thresholds, guarantee)


def corrected(thresholds: Sequence[float | None], correction: float) -> tuple[float | None, ...]:
    """Thresholds × ``correction``, as float32; never stays never."""
    return tuple(t if t is None or correction == 1 else float(np.float32(t * correction)) for t in thresholds)
