"""An accuracy budget that is kept with a stated probability: Learn-then-Test along a chain of designs.

Angelopoulos, Bates, Candès, Jordan and Lei, "Learn then Test: Calibrating predictive algorithms to achieve risk
control" (2021), with fixed-sequence testing (Bauer, "Multiple testing in clinical trials", 1991): designs in an
order that is fixed before any certify sample is looked at are tested one after the other, each at the full
level, until the first that is not proven. The chance that any design with a true drop above the budget passes
is at most the risk, however long the chain is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.betting import log_capital, mean_upper_bound
from eeaug.cascade.outcomes import ClassLimit, Outcomes
from eeaug.cascade.passage import Passage

__all__ = ["Certified", "certify", "chain", "p_value"]

Floats = NDArray[np.float64]

# How far from certainty the thresholds of a chain are, in multiples of the distance of the chosen ones.
NEAREST, FARTHEST, STEPS = 0.003, 3.0, 80


@dataclass(frozen=True)
class Certified:
    """What the certify samples prove.

    Parameters
    ----------
    index : of the last design of the chain whose drop is at most ``budget``, None if that is not proven of any
    p_values : of the designs that were tested, in the order of the chain
    samples : how many the test had
    smallest_drop : if nothing is proven: the smallest drop above the budget that is of the first design, with
        the same risk; None otherwise, and for an empty chain
    """

    index: int | None
    p_values: tuple[float, ...]
    samples: int
    budget: float
    risk: float
    seed: int
    smallest_drop: float | None


def p_value(
    losses: NDArray[np.integer], budget: float, *, risk: float = 0.05, seed: int = 0, weights: Floats | None = None
) -> float:
    """Of "the mean paired loss is ``budget`` or more"; valid for any number of samples.

    1 / the largest capital of :func:`eeaug.cascade.betting.log_capital` (Waudby-Smith and Ramdas 2024, with bets
    that recalculate their target), at most 1, by Ville's inequality. It is a p-value at every level, but stakes are
    set for ``risk``: once the capital has reached 1/risk nothing more is bet, so it is seldom much smaller.

    Parameters
    ----------
    losses : (n,) of a Passage, on samples that no choice has seen; ``seed`` draws their order
    budget : a drop, in [0, 1]
    weights : (n,), mean 1: what each sample counts. They are taken as constants, so what is not covered is the
        error of class shares that were estimated; weights of up to W make bets up to W times smaller
    """
    capital = log_capital(losses, np.array([budget]), error=risk, seed=seed, weights=weights)
    return float(min(1.0, np.exp(-capital[0])))


def chain(
    outcomes: Outcomes,
    thresholds: Sequence[float | None],
    costs: Sequence[float] | Floats,
    cost_without_exits: float,
    *,
    fixed: Sequence[bool] | None = None,
    classes: ClassLimit | None = None,
) -> tuple[tuple[float | None, ...], ...]:
    """The designs to test, from the safest on: the chosen one with its thresholds from strict to loose.

    All exits open together: 1 − θ_k runs through the same multiples of its value in the chosen design, so that
    confidences that mean what they say lose as much accuracy per cost at every exit as they do there. Designs
    of one path differ by few samples, so they seldom stop a test that the one before has passed; a front of
    many architectures is led by lucky ones instead, and has few that are safe. The path goes beyond the chosen
    design, which may have been unlucky on choose.

    Parameters
    ----------
    outcomes : of the chosen architecture's m exits and the final classifier, on choose
    thresholds : m, those of the design that was chosen within the budget; None is never
    costs : m + 1, of the segments, in the unit of the objective
    cost_without_exits : of the design without exits, which is certified as it stands and comes before the chain
    fixed : m, exits whose thresholds stay as they are
    classes : of the same rows as ``outcomes``: designs of which a class loses more on choose are left out

    Returns
    -------
    Thresholds (m each) of designs, each with a lower mean cost on choose than all before it; empty if no
    threshold is one that saves. Like those of every search they lie midway between confidences.
    """
    spent = np.asarray(costs, dtype=np.float64)
    stays = [False] * len(thresholds) if fixed is None else fixed
    cheapest, path = cost_without_exits, []
    for multiple in np.geomspace(NEAREST, FARTHEST, STEPS):
        looser = tuple(
            t if stay or t is None else _between(row, 1 - multiple * (1 - t))
            for row, t, stay in zip(outcomes.confidence, thresholds, stays, strict=False)
        )
        passage = Passage(outcomes, looser)
        if classes is not None and not classes.allows(classes.drops(passage.at)).all():
            continue
        cost = passage.mean(spent)
        if cost < cheapest * (1 - 1e-9):
            cheapest = cost
            path.append(looser)
    return tuple(path)


def _between(confidence: NDArray[np.float32], threshold: float) -> float | None:
    """The float32 midway between the two distinct confidences on either side; not 1.0, rather None."""
    distinct = np.unique(confidence)
    above = int(np.searchsorted(distinct, np.float32(threshold)))
    if above == len(distinct):
        return None
    if above == 0:
        return float(distinct[0])
    lower, upper = distinct[above - 1], distinct[above]
    middle = np.float32((float(lower) + float(upper)) / 2)
    middle = middle if middle > lower else upper
    return float(middle) if middle < 1 else None


def certify(
    losses: Iterable[NDArray[np.integer]],
    budget: float,
    *,
    risk: float,
    seed: int = 0,
    weights: Floats | None = None,
) -> Certified:
    """Test a chain of designs in order, up to the first whose drop is not proven to be within the budget.

    P(the true drop of the design at ``index`` ≤ ``budget``) ≥ 1 − ``risk`` over the draw of the samples, if the
    chain was fixed without them. Nothing is said of the design without exits: its drop is 0.

    Parameters
    ----------
    losses : of every design, (n,) each of a Passage on the same certify samples; those after the
        first that fails are not asked for
    budget : a drop, in [0, 1]
    risk : in (0, 1)
    weights : (n,), as in :func:`p_value`
    """
    p_values: list[float] = []
    smallest, samples = None, 0
    for values in losses:
        samples = len(values)
        p_values.append(p_value(values, budget, risk=risk, seed=seed, weights=weights))
        if p_values[-1] > risk:
            if len(p_values) == 1:
                smallest = mean_upper_bound(values, error=risk, seed=seed, weights=weights, least=budget)
            break
    passed = sum(p <= risk for p in p_values)
    return Certified(passed - 1 if passed else None, tuple(p_values), samples, budget, risk, seed, smallest)
