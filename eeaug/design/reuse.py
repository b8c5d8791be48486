"""Exits that use each other: a later decision hears what the earlier classifiers said of the same sample.

Classifier k decides by q_k, with log q_k = Σ_{j ≤ k} w_kj · log p_j up to a constant: a product of experts (Hinton
2002, equation 1) with weights. p_j are the probabilities that classifier j gives by itself; what is handed over
besides the tensor are those of the exits before, some bytes each. The share that earlier classifiers get is fitted
once the architecture is chosen, by what it saves, on the samples of the search; then thresholds are sought again.
(The weights that make the labels likeliest serve accuracy, and save less: what is sure must stay so. And one number
cannot learn the noise of few samples.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.combining import combined
from eeaug.cascade.outcomes import Outcomes, class_limit
from eeaug.cascade.output import Decision
from eeaug.cascade.tables import bins, exact_tables
from eeaug.design.problem import Rules
from eeaug.design.refine import mean_cost, passage, refined
from eeaug.search.space import Design, Problem
from eeaug.search.thresholds import quantile_grid

__all__ = ["Answers", "Reuse", "heard", "hearing", "improved", "known", "possible"]

Probabilities = NDArray[np.float32]
# a candidate's index, −1 for the given model → its probabilities on a part of the data, if they are known
Answers = Callable[[int], Probabilities | None]

WORTH = 0.005  # what it must save to be used, as a share of the given model's cost
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5)  # what an earlier classifier counts, against 1 of its own
COARSE = 4000  # threshold configurations at which shares are compared


@dataclass(frozen=True)
class Reuse:
    """Of a design with m exits: ``weights[k]`` are the k + 1 of classifier k, its own last."""

    weights: tuple[tuple[float, ...], ...]


def improved(
    problem: Problem, rules: Rules, design: Design, answers: Answers, decision: Decision
) -> tuple[Reuse, Problem, Design] | None:
    """Weights and thresholds with which the design's exits, hearing each other, save more; else None.

    All on the samples of the problem, which the ``answers`` are of; see :func:`possible`.
    """
    tried = possible(problem, rules, design, answers, decision)
    if not tried:
        return None
    hears, heard_by = min(tried, key=lambda each: _coarse(each[1], design))  # of equal ones the first
    better = refined(heard_by, rules, design)
    if better is None:
        return None
    scale = 1.0 if problem.objective.weight is not None else problem.objective.base_cost
    if _score(heard_by, better) > _score(problem, design) - WORTH * scale:
        return None
    return hears, heard_by, better


def possible(
    problem: Problem, rules: Rules, design: Design, answers: Answers, decision: Decision,
    shares: Sequence[float] = SHARES,
) -> list[tuple[Reuse, Problem]]:  # fmt: skip
    """Weights with which the design's exits may hear each other, and the problem in which they do.

    None for independent scoring, with pinned thresholds, which are about exits by themselves, where answers are not
    known, or where what is handed over breaks a limit.
    """
    if not design.exits or problem.independent or rules.thresholds:
        return []
    carrying = replace(problem, carried=decision.outputs)
    over = carrying.excess(carrying.segments([design.exits], design.modes))
    probabilities = known(answers, design.exits)
    if probabilities is None or any(missed[0] > 0 for missed in over.values()):
        return []
    weights = [Reuse(tuple((*(share,) * k, 1.0) for k in range(len(probabilities)))) for share in shares]
    return [(hears, hearing(problem, design.exits, probabilities, hears, decision)) for hears in weights]


def known(answers: Answers, exits: Sequence[int]) -> list[Probabilities] | None:
    """Probabilities of these exits and of the given model, by themselves; None if some are not known."""
    probabilities = [p for i in (*exits, -1) if (p := answers(i)) is not None]
    return probabilities if len(probabilities) == len(exits) + 1 else None


def heard(
    rows: Outcomes, probabilities: Sequence[Probabilities], reuse: Reuse, decision: Decision
) -> Outcomes:  # fmt: skip
    """The outcomes of a design's m + 1 classifiers where each hears those before it.

    ``rows`` : of each by itself, the given model last; ``probabilities`` : (n, outputs) of each by itself.
    """
    pairs = [decision.answers(combined(probabilities[: k + 1], w, decision)) for k, w in enumerate(reuse.weights)]
    confidence, predicted = (np.array(arrays) for arrays in zip(*pairs, strict=True))
    return replace(rows, confidence=confidence, predicted=predicted, given=rows.baseline)


def hearing(
    problem: Problem, exits: Sequence[int], probabilities: Sequence[Probabilities], reuse: Reuse, decision: Decision
) -> Problem:
    """The problem in which these exits and the given model hear each other, and hand over what that needs.

    ``probabilities`` : (n, outputs) of each by itself, on the samples of the problem. All other rows stay.
    """
    outcomes, index = problem.outcomes, [*exits, -1]
    confidence, predicted, grid = outcomes.confidence.copy(), outcomes.predicted.copy(), problem.grid.copy()
    together = heard(outcomes.rows(exits), probabilities, reuse, decision)
    confidence[index[1:]], predicted[index[1:]] = together.confidence[1:], together.predicted[1:]
    for i in index[1:-1]:
        grid[i] = quantile_grid(confidence[i], problem.thresholds)
    outcomes = replace(outcomes, confidence=confidence, predicted=predicted, given=outcomes.baseline)
    classes = None if problem.classes is None else class_limit(outcomes, decision, problem.classes.most)
    return replace(problem, outcomes=outcomes, grid=grid, classes=classes, carried=decision.outputs)


def _coarse(problem: Problem, design: Design) -> float:
    """The best score of the design's architecture over a grid of thresholds; infinite if none meets the budget."""
    rows = problem.outcomes.rows(design.exits)
    m = len(design.exits)
    count = min(60, int(COARSE ** (1 / m)))
    grid = np.array([quantile_grid(row, count) for row in rows.confidence[:-1]])
    tables = exact_tables(bins(rows.confidence[:-1], grid), rows.correct, np.arange(m)[None], count, rows.weights)
    segments = problem.segments([design.exits], design.modes)
    return float(problem.objective.value(tables.mean(problem.cost_of(segments))[0], tables.accuracy[0]).min())


def _score(problem: Problem, design: Design) -> float:
    """What the objective makes of a design."""
    return float(problem.objective.value(mean_cost(problem, design), passage(problem, design).accuracy))
