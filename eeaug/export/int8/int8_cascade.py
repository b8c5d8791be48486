"""The int8 stages as a cascade of its own: how it runs, and the thresholds that are best for it.

Its exits say other things than the float ones, its last classifier is not the given model, and no confidence of it
is above 255/256: so thresholds are sought again, on what the int8 stages say of the choose samples, by the same
search and for the same budget against the given float model; exits, processors and shares of reuse stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from eeaug.backbone.model import Classifier
from eeaug.bundle.entries import Int8Point, Manifest
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import STEP
from eeaug.design import certify as certification
from eeaug.design import operating_points, refine
from eeaug.design.certify import Guarantee
from eeaug.design.operating_points import Point
from eeaug.design.problem import Rules
from eeaug.errors import ConversionError, InfeasibleError
from eeaug.frameworks.runners import INT8 as FORMAT
from eeaug.runtime import Cascade
from eeaug.search.space import Design, Problem
from eeaug.search.thresholds import Budget, quantile_grid
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
    guarantee: Guarantee | None


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
    return replace(outcomes, labels=given.labels, weights=given.weights, given=given.baseline)


def sought(
    goal: Goal, seed: int, problem: Problem, rules: Rules, design: Design, choose: Outcomes,
    certify: Outcomes | None,
) -> Integer:  # fmt: skip
    """The best thresholds of the design's exits for what its int8 stages say.

    Parameters
    ----------
    problem : of the float cascade, which the design was chosen in
    choose, certify : outcomes of the int8 stages (m + 1 rows), :func:`compared`

    Raises
    ------
    InfeasibleError : whatever leaves where, the int8 stages lose more than the budget
    """
    own = _in_place(problem, rules, design, choose)
    found = (refine.refined(own, rules, design) if design.exits else None) or _closed(own, rules, design)
    guarantee = None
    everyone = None
    if goal.risk is not None:
        assert certify is not None and own.objective.budget is not None
        everyone = _rows_in_place(own.outcomes, design, certify)
        found, guarantee = certification.certified(
            own, rules, found, everyone,
            budget=own.objective.budget.asked, risk=goal.risk, seed=seed,
        )  # fmt: skip
    points = operating_points.points(goal, seed, own, rules, found, guarantee, everyone)
    return Integer(
        _reachable(operating_points.corrected(found.thresholds, goal.correction)),
        choose,
        tuple(replace(point, thresholds=_reachable(point.thresholds)) for point in points),
        guarantee,
    )


def entered(manifest: Manifest, found: Integer) -> Manifest:
    """The manifest with these thresholds."""
    stages = []
    for stage, threshold in zip(manifest.stages, (*found.thresholds, None), strict=True):
        assert stage.int8 is not None
        stages.append(replace(stage, int8=replace(stage.int8, threshold=threshold)))
    known = {p.name: Int8Point(p.thresholds) for p in found.points}
    points = tuple(replace(point, int8=known.get(point.name)) for point in manifest.operating_points)
    return replace(manifest, stages=tuple(stages), operating_points=points)


def _in_place(problem: Problem, rules: Rules, design: Design, own: Outcomes) -> Problem:
    """The problem in which the design's exits and the last classifier say what the int8 stages say."""
    outcomes, grid = _rows_in_place(problem.outcomes, design, own), problem.grid.copy()
    for e in design.exits:
        if not problem.independent and problem.costs.exits[e].location not in rules.thresholds:
            grid[e] = quantile_grid(outcomes.confidence[e], problem.thresholds)
    return replace(problem, outcomes=outcomes, grid=grid)


def _rows_in_place(outcomes: Outcomes, design: Design, own: Outcomes) -> Outcomes:
    index = [*design.exits, -1]
    shape = len(outcomes.confidence), own.samples
    confidence, predicted = np.zeros(shape, np.float32), np.zeros(shape, np.int64)
    confidence[index], predicted[index] = own.confidence, own.predicted
    return replace(own, confidence=confidence, predicted=predicted)


def _closed(problem: Problem, rules: Rules, design: Design) -> Design:
    """The design with nothing leaving early, if that keeps the budget that was asked for.

    Less of it may be kept on choose, because thresholds that just fit there lose more elsewhere; here none was
    fitted.

    Raises
    ------
    InfeasibleError : it does not, or pinned thresholds do not allow it
    """
    budget = problem.objective.budget
    asked = replace(problem.objective, budget=None if budget is None else Budget.whole(budget.asked))
    pinned = any(problem.costs.exits[e].location in rules.thresholds for e in design.exits)
    if not pinned and asked.allows(float(problem.outcomes.accuracies[-1])):
        return replace(design, thresholds=(None,) * len(design.exits))
    raise _infeasible(problem, rules, design)


def _infeasible(problem: Problem, rules: Rules, design: Design) -> InfeasibleError:
    most = replace(problem, objective=replace(problem.objective, budget=None, weight=0.0))
    best = refine.refined(most, rules, design)
    assert best is not None
    closed = replace(best, thresholds=(None,) * len(best.exits))
    drop = problem.objective.base_accuracy - max(refine.passage(problem, each).accuracy for each in (best, closed))
    assert problem.objective.budget is not None
    asked = problem.objective.budget.asked
    lost, allowed = apart(lambda value: f"{100 * value:.2f} pp", drop, asked)
    lost, allowed = lost.removesuffix(" pp"), allowed.removesuffix(" pp")
    return InfeasibleError(
        f"the int8 stages lose {lost} points on the choose samples at best, "
        f"--max-accuracy-drop {as_given(asked, DROP)} allows {allowed}: "
        f"allow {as_given(float(np.ceil(drop * 1e4) / 1e4), DROP)}, or leave {FORMAT} out of --format",
        limit="max_accuracy_drop",
        given=asked,
        best=drop,
    )


def _reachable(thresholds: Sequence[float | None]) -> tuple[float | None, ...]:
    """Thresholds above the largest int8 confidence are never met."""
    return tuple(None if t is None or t > 1 - STEP else t for t in thresholds)
