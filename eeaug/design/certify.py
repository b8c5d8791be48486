"""From the chosen design to one whose accuracy drop is proven on samples that no choice has seen."""

from __future__ import annotations

from dataclasses import dataclass, replace

from eeaug.cascade import learn_then_test
from eeaug.cascade.learn_then_test import Claim
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.passage import Passage
from eeaug.design.problem import Rules
from eeaug.errors import InfeasibleError
from eeaug.search import solver
from eeaug.search.space import Design, Problem

__all__ = ["Guarantee", "certified"]


@dataclass(frozen=True)
class Guarantee:
    """What is proven of a design: P(true drop ≤ ``budget``) ≥ 1 − ``risk`` over the draw of the samples.

    Parameters
    ----------
    proven : on the samples; False: of the design without exits alone, whose drop is 0 by construction
    tested : how many designs were, from the safest on
    p_value : of the last that passed, or of the first if none did; None if none was tested
    smallest_drop : where nothing is proven: the smallest budget for which something would have been
    """

    budget: float
    risk: float
    samples: int
    proven: bool
    tested: int
    p_value: float | None
    smallest_drop: float | None


def certified(
    problem: Problem, rules: Rules, design: Design, outcomes: Outcomes, *, budget: float, risk: float, seed: int
) -> tuple[Design, Guarantee]:
    """The cheapest design on the way to ``design`` that is proven to keep the budget (learn_then_test.chain).

    ``outcomes`` of all C candidates and the final classifier, on certify. Where nothing can be proven, the
    design without exits is the answer; exits that were pinned stay, and nothing leaves at them.

    Outcomes that tell what the given model says (``given``) end in another classifier, the int8 one: its own drop
    is not 0, so this architecture with nothing leaving early is what is tested first, and the answer if all fails.
    """
    samples = outcomes.samples
    given_last = outcomes.given is None
    if given_last and not design.exits:
        return design, Guarantee(budget, risk, samples, False, 0, None, None)
    segments = problem.segments([design.exits], design.processors)
    locations = [problem.costs.exits[e].location for e in design.exits]
    closed = (None,) * len(design.exits)
    thresholds = learn_then_test.chain(
        problem.outcomes.rows(design.exits),
        design.thresholds,
        problem.cost_of(segments)[0],
        problem.objective.base_cost,
        fixed=[location in rules.thresholds for location in locations],
        classes=None if problem.classes is None else problem.classes.rows(design.exits),
    )
    if not given_last:
        thresholds = (closed, *thresholds) if design.exits else ((),)
    rows = outcomes.rows(design.exits)
    weights = None if rows.weights is None else rows.counts / rows.counts.mean()
    found = learn_then_test.certify(
        ([Claim(Passage(rows, each).losses, budget, weights)] for each in thresholds), risk=risk, seed=seed
    )
    if found.index is None:
        return _closed(problem, design) if given_last else replace(design, thresholds=closed), Guarantee(
            budget, risk, samples, False, found.tested, found.p_value, found.smallest_drop
        )
    proven = Guarantee(budget, risk, samples, True, found.tested, found.p_value, None)
    return replace(design, thresholds=thresholds[found.index]), proven


def _closed(problem: Problem, design: Design) -> Design:
    """The design without exits, or where pins and limits allow none, these exits without anything leaving."""
    try:
        return solver.solve(replace(problem, max_exits=0)).design
    except InfeasibleError:
        return replace(design, thresholds=(None,) * len(design.exits))
