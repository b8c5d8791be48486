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

__all__ = ["Answers", "Reuse", "heard", "improved"]

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

    All on the samples of the problem, which the ``answers`` are of. The problem that comes with them has the
    outcomes of this design replaced, and counts what is handed over for it; all other rows are of exits by
    themselves. Not for independent scoring, and not with pinned thresholds, which are about exits by themselves.
    """
    if not design.exits or problem.independent or rules.thresholds:
        return None
    index = [*design.exits, -1]
    probabilities = [p for i in index if (p := answers(i)) is not None]
    carrying = replace(problem, carried=decision.outputs)
    over = carrying.excess(carrying.segments([design.exits], design.processors))
    if len(probabilities) < len(index) or any(missed[0] > 0 for missed in over.values()):
        return None
    tried = [_hearing(carrying, index, probabilities, share, decision) for share in SHARES]
    best = min(range(len(SHARES)), key=lambda i: _coarse(tried[i], design))
    better = refined(tried[best], rules, design)
    if better is None:
        return None
    scale = 1.0 if problem.objective.weight is not None else problem.objective.base_cost
    if _score(tried[best], better) > _score(problem, design) - WORTH * scale:
        return None
    weights = tuple(_weights(k, SHARES[best]) for k in range(len(index)))
    return Reuse(weights), tried[best], better


def _weights(k: int, share: float) -> tuple[float, ...]:
    return (*(share,) * k, 1.0)


def heard(
    rows: Outcomes, probabilities: Sequence[Probabilities], reuse: Reuse, decision: Decision
) -> Outcomes:  # fmt: skip
    """The outcomes of a design's m + 1 classifiers where each hears those before it.

    ``rows`` : of each by itself, the given model last; ``probabilities`` : (n, outputs) of each by itself.
    """
    pairs = [decision.answers(combined(probabilities[: k + 1], w, decision)) for k, w in enumerate(reuse.weights)]
    confidence, predicted = (np.array(arrays) for arrays in zip(*pairs, strict=True))
    return replace(rows, confidence=confidence, predicted=predicted, given=rows.baseline)


def _hearing(
    problem: Problem, index: Sequence[int], probabilities: Sequence[Probabilities], share: float, decision: Decision
) -> Problem:
    """The problem in which these exits hear each other."""
    outcomes = problem.outcomes
    confidence, predicted, grid = outcomes.confidence.copy(), outcomes.predicted.copy(), problem.grid.copy()
    weights = Reuse(tuple(_weights(k, share) for k in range(len(index))))
    together = heard(outcomes.rows(index[:-1]), probabilities, weights, decision)
    confidence[index[1:]], predicted[index[1:]] = together.confidence[1:], together.predicted[1:]
    for i in index[1:-1]:
        grid[i] = quantile_grid(confidence[i], problem.thresholds)
    outcomes = replace(outcomes, confidence=confidence, predicted=predicted, given=outcomes.baseline)
    classes = None if problem.classes is None else class_limit(outcomes, decision, problem.classes.most)
    return replace(problem, outcomes=outcomes, grid=grid, classes=classes)


def _coarse(problem: Problem, design: Design) -> float:
    """The best score of the design's architecture over a grid of thresholds; infinite if none meets the budget."""
    rows = problem.outcomes.rows(design.exits)
    m = len(design.exits)
    count = min(60, int(COARSE ** (1 / m)))
    grid = np.array([quantile_grid(row, count) for row in rows.confidence[:-1]])
    tables = exact_tables(bins(rows.confidence[:-1], grid), rows.correct, np.arange(m)[None], count, rows.weights)
    segments = problem.segments([design.exits], design.processors)
    return float(problem.objective.value(tables.mean(problem.cost_of(segments))[0], tables.accuracy[0]).min())


def _score(problem: Problem, design: Design) -> float:
    """What the objective makes of a design."""
    return float(problem.objective.value(mean_cost(problem, design), passage(problem, design).accuracy))
