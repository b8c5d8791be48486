"""Thresholds sought again for the exits of a design, where its stages say other things than were searched with.

int8 files do, and stages that are handed tensors in fewer bits. What they say of the same samples takes the place
of what was known, and the same search finds thresholds for the same budget against the given model, with a promise
of its own; exits, processors and shares of reuse stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.outcomes import Outcomes, class_limit
from eeaug.cascade.output import Decision
from eeaug.design import operating_points, refine
from eeaug.design.operating_points import Point
from eeaug.design.problem import Rules
from eeaug.design.promise import Opening, Promise, Terms, Thresholds, nothing
from eeaug.design.screened import steps_of
from eeaug.errors import InfeasibleError
from eeaug.search.space import Design, Problem
from eeaug.search.thresholds import quantile_grid
from eeaug.settings import Goal
from eeaug.support.quantities import DROP, apart, as_given

__all__ = ["Again", "Words", "in_place", "path_of", "sought"]


@dataclass(frozen=True)
class Words:
    """Of an error: which ``stages`` lose too much, and the ``remedy`` beside a larger budget."""

    stages: str
    remedy: str


@dataclass(frozen=True)
class Again:
    """A cascade of the same exits: thresholds (m, None: never), what it says of choose (m + 1 rows), points, proof.

    A point whose budget no thresholds meet is left out.
    """

    thresholds: tuple[float | None, ...]
    rows: Outcomes
    points: tuple[Point, ...]
    promise: Promise


def sought(
    goal: Goal, terms: Terms, seed: int, tasks: Mapping[str, Problem], rules: Rules, design: Design,
    decision: Decision, by_part: Mapping[str, Outcomes], proves: NDArray[np.intp] | None, words: Words,
    most: float = 1.0,
) -> Again:  # fmt: skip
    """The thresholds of the design's exits for what its stages say now, and what is promised of them.

    Where something is promised, along a path of their own: fixed on screen, opened by all of choose.

    Parameters
    ----------
    tasks : the given cascade's problem on "choose", and on "screen", if something is to be promised and the design
        has exits
    by_part : outcomes of the stages as they are now (m + 1 rows) on the same parts, with ``given``
    proves : numbers of the choose samples that say what is promised: the others have compared designs. None: all
    words : names the stages in errors
    most : thresholds above it are never met

    Raises
    ------
    InfeasibleError : whatever leaves where, the stages lose more than the budget on choose
    """
    choose = by_part["choose"]
    on_choose = in_place(tasks["choose"], rules, design, choose, decision)
    if terms.nothing:
        fitting = refine.refined(on_choose, rules, design) if design.exits else None
        fitting = fitting or _closed(on_choose, rules, design, words)
        points, promise = operating_points.points(goal, on_choose, rules, fitting), nothing(goal.max_accuracy_drop)
        thresholds = operating_points.corrected(fitting.thresholds, goal.correction)
    else:
        assert goal.max_accuracy_drop is not None
        path = path_of(
            on_choose, tasks.get("screen"), rules, design, decision, by_part, goal.max_class_drop, proves
        )
        index, promise = path.promised(terms, goal.max_accuracy_drop, seed)
        thresholds = (
            path.steps[index] if index is not None else _closed(on_choose, rules, design, words, path).thresholds
        )
        points = operating_points.along(goal, terms, path, promise, thresholds, seed) if design.exits else ()
    reachable = tuple(replace(point, thresholds=_reachable(point.thresholds, most)) for point in points)
    return Again(_reachable(thresholds, most), choose, reachable, promise)


def path_of(
    task: Problem, screen: Problem | None, rules: Rules, design: Design, decision: Decision,
    by_part: Mapping[str, Outcomes], class_drop: float | None, proves: NDArray[np.intp] | None,
) -> Opening:  # fmt: skip
    """From nothing leaving early, which loses something, too, along thresholds that screen fixes.

    ``task``: the problem on choose, with what the stages say there :func:`in_place`.
    """
    steps: tuple[Thresholds, ...] = ()
    if screen is not None:
        steps = steps_of(in_place(screen, rules, design, by_part["screen"], decision), rules, design)
    choose = by_part["choose"]
    return Opening(
        ((None,) * len(design.exits), *steps),
        choose if proves is None else choose.only(proves),
        task.costs_of(design),
        task.objective.base_cost,
        decision,
        class_drop,
        task.events,
        given_last=False,
        compared=0 if proves is None else choose.samples - len(proves),
    )


def in_place(problem: Problem, rules: Rules, design: Design, rows: Outcomes, decision: Decision) -> Problem:
    """The problem in which the design's exits and the last classifier say what the stages say now."""
    index = [*design.exits, -1]
    shape = len(problem.outcomes.confidence), rows.samples
    confidence, predicted, grid = np.zeros(shape, np.float32), np.zeros(shape, np.int64), problem.grid.copy()
    confidence[index], predicted[index] = rows.confidence, rows.predicted
    outcomes = replace(rows, confidence=confidence, predicted=predicted)
    for e in design.exits:
        if not problem.independent and problem.costs.exits[e].location not in rules.thresholds:
            grid[e] = quantile_grid(outcomes.confidence[e], problem.thresholds)
    classes = None if problem.classes is None else class_limit(outcomes, decision, problem.classes.most)
    return replace(problem, outcomes=outcomes, grid=grid, classes=classes)


def _closed(problem: Problem, rules: Rules, design: Design, words: Words, path: Opening | None = None) -> Design:
    """The design with nothing leaving early, if that keeps the budget that was asked for.

    On a ``path`` that is where all begins: whatever else would fit is not looked at.

    Raises
    ------
    InfeasibleError : it does not, or pinned thresholds do not allow it
    """
    pinned = any(problem.costs.exits[e].location in rules.thresholds for e in design.exits)
    if not pinned and problem.objective.allows(float(problem.outcomes.accuracies[-1])):
        return replace(design, thresholds=(None,) * len(design.exits))
    raise _infeasible(problem, rules, design, words, path)


def _infeasible(
    problem: Problem, rules: Rules, design: Design, words: Words, path: Opening | None
) -> InfeasibleError:
    tried, where = [replace(design, thresholds=(None,) * len(design.exits))], "even if nothing leaves early"
    if path is None:
        most = replace(problem, objective=replace(problem.objective, budget=None, weight=0.0))
        best = refine.refined(most, rules, design)
        assert best is not None
        tried, where = [*tried, best], "with the best thresholds"
    drop = problem.objective.base_accuracy - max(refine.passage(problem, each).accuracy for each in tried)
    assert problem.objective.budget is not None
    asked = problem.objective.budget
    lost, allowed = apart(lambda value: f"{100 * value:.2f} pp", drop, asked)
    lost, allowed = lost.removesuffix(" pp"), allowed.removesuffix(" pp")
    return InfeasibleError(
        f"{words.stages} lose {lost} percentage points on the calibration samples {where}, "
        f"--max-accuracy-drop {as_given(asked, DROP)} allows {allowed}: "
        f"allow {as_given(float(np.ceil(drop * 1e4) / 1e4), DROP)}, or {words.remedy}",
        limit="max_accuracy_drop",
        given=asked,
        best=drop,
    )


def _reachable(thresholds: Sequence[float | None], most: float) -> tuple[float | None, ...]:
    """Thresholds above the largest confidence are never met."""
    return tuple(None if t is None or t > most else t for t in thresholds)
