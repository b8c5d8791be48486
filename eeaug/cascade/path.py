"""The path of thresholds along which a design is opened, from strict to loose.

What one design's exits let leave is a question of one number once the path is fixed: how far it is opened. Samples
that had no part in fixing the path answer it, all of them, and need answer nothing else
(:mod:`eeaug.cascade.learn_then_test`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.passage import Passage

__all__ = ["path"]

# 1 − θ of the strictest thresholds and of the loosest, at which everything leaves; as many are tried between.
NEAREST, FARTHEST, TRIED = 1e-6, 1.0, 600
FINEST = 5e-4  # of the cost without exits: what a step saves at least, or it is none


def path(
    outcomes: Outcomes,
    costs: Sequence[float] | NDArray[np.float64],
    cost_without_exits: float,
    *,
    fixed: Sequence[float | None] | None = None,
) -> tuple[tuple[float | None, ...], ...]:
    """Thresholds of one design's exits, each vector a step looser than the one before.

    All exits have the same threshold, up to rounding: exits that mean by their confidence what it says lose as much
    by it. A direction that is fitted to samples is their noise as much as the exits' difference. The designs of one
    path differ by few samples, so they seldom stop a test in fixed order that the one before has passed; a front of
    many architectures is led by lucky ones instead, and has few that are safe.

    Parameters
    ----------
    outcomes : of the design's m exits and the final classifier, on the samples that fix the path
    costs : m + 1, of the segments, in the unit of the objective
    cost_without_exits : of the design without exits, which comes before the first step
    fixed : m, thresholds that stay as they are; None: that of the path

    Returns
    -------
    Vectors of m thresholds (None is never), each with a lower mean cost on these samples than all before it; empty
    if there is none that saves. Like those of every search they lie midway between confidences.
    """
    spent = np.asarray(costs, dtype=np.float64)
    distinct = [np.unique(row) for row in outcomes.confidence[:-1]]
    pinned = [None] * len(distinct) if fixed is None else fixed
    cheapest, steps = cost_without_exits, []
    for distance in np.geomspace(NEAREST, FARTHEST, TRIED):
        looser = tuple(
            _between(row, 1 - distance) if pin is None else pin for row, pin in zip(distinct, pinned, strict=True)
        )
        cost = Passage(outcomes, looser).mean(spent)
        if cost <= cheapest - FINEST * cost_without_exits:
            cheapest = cost
            steps.append(looser)
    return tuple(steps)


def _between(distinct: NDArray[np.float32], threshold: float) -> float | None:
    """The float32 midway between the two distinct confidences on either side; not 1.0, rather None."""
    above = int(np.searchsorted(distinct, np.float32(threshold)))
    if above == len(distinct):
        return None
    if above == 0:
        return float(distinct[0])
    lower, upper = distinct[above - 1], distinct[above]
    middle = np.float32((float(lower) + float(upper)) / 2)
    middle = middle if middle > lower else upper
    return float(middle) if middle < 1 else None
