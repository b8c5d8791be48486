"""The int8 stages as a cascade of its own: how it runs, and the thresholds that are best for it.

Its exits say other things than the float ones, its last classifier is not the given model, and no confidence of it
is above 255/256: so thresholds are sought again, on what int8 stages say of the same samples, by the same search,
for the same budget against the given float model, with a promise of its own; exits, processors and shares of reuse
stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eeaug.backbone.model import Classifier
from eeaug.bundle.entries import Int8Point, Manifest
from eeaug.cascade.outcomes import Outcomes, class_limit
from eeaug.cascade.output import STEP, Decision
from eeaug.design import operating_points, refine
from eeaug.design.operating_points import Point
from eeaug.design.problem import Rules
from eeaug.design.promise import Opening, Promise, Terms, Thresholds, nothing
from eeaug.design.screened import steps_of
from eeaug.errors import ConversionError, InfeasibleError
from eeaug.frameworks.runners import INT8 as FORMAT
from eeaug.runtime import Cascade
from eeaug.search.space import Design, Problem
from eeaug.search.thresholds import quantile_grid
from eeaug.settings import Goal
from eeaug.support.quantities import DROP, apart, as_given

__all__ = ["FORMAT", "TOLERANCE", "Integer", "cascade", "check_ending", "compared", "entered", "sought"]

# Another runtime may round int8 logits differently by one step, which moves probabilities by several steps.
TOLERANCE = 16 * STEP


@dataclass(frozen=True)
class Integer:
    """The int8 cascade: thresholds (m, None is never), what it says of choose (m + 1 rows), its points and proof.

    A point whose budget no thresholds meet is left out.
    """

    thresholds: tuple[float | None, ...]
    rows: Outcomes
    points: tuple[Point, ...]
    promise: Promise


def check_ending(classifier: Classifier) -> None:
    """Before anything is trained: only softmax and sigmoid give int8 probabilities in steps of 1/256.

    Raises
    ------
    ConversionError : the model ends in something else, of which it makes probabilities
    """
    ends = classifier.ending
    if not classifier.logits and ends.activation not in ("softmax", "sigmoid"):
        raise ConversionError(
            f"{classifier.file}: ends in {ends.words}, whose int8 output has not the steps of 1/256 that softmax "
            f"and sigmoid give, in which int8 thresholds are counted: leave {FORMAT} and tflm out of --format"
        )


def cascade(directory: Path, manifest: Manifest, threads: int) -> Cascade:
    """The int8 files of a bundle in LiteRT, at their thresholds (before :func:`entered` there are none)."""
    return Cascade.load(directory, manifest, threads, runtime=FORMAT)


def compared(outcomes: Outcomes, given: Outcomes) -> Outcomes:
    """Outcomes of int8 stages with the labels and the given model of the float ones, on the same samples."""
    return replace(outcomes, labels=given.labels, weights=given.weights, given=given.baseline, groups=given.groups)


def sought(
    goal: Goal, terms: Terms, seed: int, tasks: Mapping[str, Problem], rules: Rules, design: Design,
    decision: Decision, by_part: Mapping[str, Outcomes], proves: NDArray[np.intp] | None = None,
) -> Integer:  # fmt: skip
    """The thresholds of the design's exits for what its int8 stages say, and what is promised of them.

    Where something is promised, along a path of their own: fixed on screen, opened by all of choose.

    Parameters
    ----------
    tasks : the float cascade's problem on "choose", and on "screen", if something is to be promised and the design
        has exits
    by_part : outcomes of the int8 stages (m + 1 rows) on the same parts, :func:`compared`
    proves : numbers of the choose samples that say what is promised: the others have compared designs. None: all

    Raises
    ------
    InfeasibleError : whatever leaves where, the int8 stages lose more than the budget on choose
    """
    choose = by_part["choose"]
    on_choose = _in_place(tasks["choose"], rules, design, choose, decision)
    if terms.nothing:
        fitting = refine.refined(on_choose, rules, design) if design.exits else None
        fitting = fitting or _closed(on_choose, rules, design)
        points, promise = operating_points.points(goal, on_choose, rules, fitting), nothing(goal.max_accuracy_drop)
        thresholds = operating_points.corrected(fitting.thresholds, goal.correction)
    else:
        assert goal.max_accuracy_drop is not None
        path = _path(on_choose, tasks.get("screen"), rules, design, decision, by_part, goal.max_class_drop, proves)
        index, promise = path.promised(terms, goal.max_accuracy_drop, seed)
        thresholds = path.steps[index] if index is not None else _closed(on_choose, rules, design, path).thresholds
        points = operating_points.along(goal, terms, path, promise, thresholds, seed) if design.exits else ()
    reachable = tuple(replace(point, thresholds=_reachable(point.thresholds)) for point in points)
    return Integer(_reachable(thresholds), choose, reachable, promise)


def _path(
    task: Problem, screen: Problem | None, rules: Rules, design: Design, decision: Decision,
    by_part: Mapping[str, Outcomes], class_drop: float | None, proves: NDArray[np.intp] | None,
) -> Opening:  # fmt: skip
    """From nothing leaving early, which loses something, too, along thresholds that screen fixes."""
    steps: tuple[Thresholds, ...] = ()
    if screen is not None:
        steps = steps_of(_in_place(screen, rules, design, by_part["screen"], decision), rules, design)
    choose = by_part["choose"]
    return Opening(
        ((None,) * len(design.exits), *steps),
        choose if proves is None else choose.only(proves),
        task.cost_of(task.segments([design.exits], design.modes))[0],
        task.objective.base_cost,
        decision,
        class_drop,
        given_last=False,
        compared=0 if proves is None else choose.samples - len(proves),
    )


def entered(manifest: Manifest, integer: Integer) -> Manifest:
    """The manifest with these thresholds."""
    stages = []
    for stage, threshold in zip(manifest.stages, (*integer.thresholds, None), strict=True):
        assert stage.int8 is not None
        stages.append(replace(stage, int8=replace(stage.int8, threshold=threshold)))
    known = {p.name: Int8Point(p.thresholds) for p in integer.points}
    points = tuple(replace(point, int8=known.get(point.name)) for point in manifest.operating_points)
    return replace(manifest, stages=tuple(stages), operating_points=points)


def _in_place(problem: Problem, rules: Rules, design: Design, rows: Outcomes, decision: Decision) -> Problem:
    """The problem in which the design's exits and the last classifier say what the int8 stages say."""
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


def _closed(problem: Problem, rules: Rules, design: Design, path: Opening | None = None) -> Design:
    """The design with nothing leaving early, if that keeps the budget that was asked for.

    On a ``path`` that is where all begins: whatever else would fit is not looked at.

    Raises
    ------
    InfeasibleError : it does not, or pinned thresholds do not allow it
    """
    pinned = any(problem.costs.exits[e].location in rules.thresholds for e in design.exits)
    if not pinned and problem.objective.allows(float(problem.outcomes.accuracies[-1])):
        return replace(design, thresholds=(None,) * len(design.exits))
    raise _infeasible(problem, rules, design, path)


def _infeasible(problem: Problem, rules: Rules, design: Design, path: Opening | None) -> InfeasibleError:
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
        f"the int8 stages lose {lost} percentage points on the calibration samples {where}, "
        f"--max-accuracy-drop {as_given(asked, DROP)} allows {allowed}: "
        f"allow {as_given(float(np.ceil(drop * 1e4) / 1e4), DROP)}, or leave {FORMAT} out of --format",
        limit="max_accuracy_drop",
        given=asked,
        best=drop,
    )


def _reachable(thresholds: Sequence[float | None]) -> tuple[float | None, ...]:
    """Thresholds above the largest int8 confidence are never met."""
    return tuple(None if t is None or t > 1 - STEP else t for t in thresholds)
