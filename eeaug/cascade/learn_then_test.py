"""An accuracy budget that is kept with a stated probability: Learn-then-Test along a chain of designs.

Angelopoulos, Bates, Candès, Jordan and Lei, "Learn then Test: Calibrating predictive algorithms to achieve risk
control" (2021), with fixed-sequence testing (Bauer, "Multiple testing in clinical trials", 1991): designs in an
order that is fixed before any sample of the test is looked at are tested one after the other, each at the full
level, until the first that is not proven. The chance that any design with a true drop above the budget passes
is at most the risk, however long the chain is. Where several claims must hold of a design, each is tested at
the full level and all must pass: an intersection-union test (Berger, "Multiparameter hypothesis testing and
acceptance sampling", Technometrics 24, 1982).

What a test counts is what was drawn independently: samples, or groups of them (patients, speakers).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import ceil, log

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.betting import log_capital, mean_upper_bound
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.paired_test import paired_test, samples_needed, smallest_margin

__all__ = [
    "Certified", "Claim", "certify", "groups_needed", "is_above", "p_value", "units_needed", "upper_bound",
]  # fmt: skip

Floats = NDArray[np.float64]

MOST_UNITS = 200_000  # more than that many are told by mean and variance alone


@dataclass(frozen=True)
class Claim:
    """To be proven of a design: its mean loss is below ``budget``.

    Parameters
    ----------
    losses : (n,) in {−1, 0, 1}, of a Passage, on samples that no choice has seen
    budget : a drop, in [0, 1]
    weights : (n,) or None: what each sample counts. They are taken as constants, so what is not covered is the
        error of class shares that were estimated; weights of up to W make bets up to W times smaller
    groups : (n,) or None: what each sample belongs to, where groups are what was drawn. The mean is then over
        groups, each counting alike, of the mean of its samples; with ``weights``, each counting as its samples
        do on average
    name : of the claim, where a step has several
    """

    losses: NDArray[np.integer]
    budget: float
    weights: Floats | None = None
    groups: NDArray[np.generic] | None = None
    name: str = ""

    @classmethod
    def of(
        cls,
        outcomes: Outcomes,
        losses: NDArray[np.integer],
        budget: float,
        samples: NDArray[np.intp] | None = None,
        name: str = "",
    ) -> Claim:
        """With the weights and groups of ``outcomes`` (n,); ``samples``: only these. Equal weights are none.

        By default it is of the samples that are judged, as accuracies are: conditional on being one of them.
        """
        judged = slice(None) if outcomes.judged is None else np.flatnonzero(outcomes.judged)
        some = judged if samples is None else samples
        groups = None if outcomes.groups is None else outcomes.groups[some]
        weights = None if outcomes.weights is None else outcomes.weights[some]
        if weights is not None:
            weights = None if not len(weights) or np.ptp(weights) == 0 else weights / weights.mean()
        return cls(losses[some], budget, weights, groups, name)


@dataclass(frozen=True)
class Certified:
    """What is proven of a chain.

    Parameters
    ----------
    index : of the last step that is proven, None if not even the first is
    tested : how many steps were
    p_value : the largest of the claims of that last step; without one, that of the claim that failed; None for an
        empty chain
    samples, units : of the first claim of the first step; units are groups where it has them
    failed : the name of the claim that ended the chain, None if all steps are proven
    smallest_drop : if nothing is proven: the smallest budget for which that claim would have been, with the same
        risk; 1 if there is none below
    """

    index: int | None
    tested: int
    p_value: float | None
    samples: int
    units: int
    failed: str | None
    smallest_drop: float | None


@dataclass(frozen=True)
class _Units:
    """A claim by what was drawn, U of them.

    Parameters
    ----------
    losses : (U,) in [−1, 1]
    weights : (U,) of mean 1, or None
    whole : losses can only be −1, 0 or 1, and are not weighted: the exact test has all that it needs
    """

    losses: Floats
    weights: Floats | None
    whole: bool

    @property
    def counts(self) -> tuple[int, int]:
        """How many are worse and better."""
        return int((self.losses > 0).sum()), int((self.losses < 0).sum())


def _units(claim: Claim) -> _Units:
    losses, weights = np.asarray(claim.losses, np.float64), claim.weights
    whole = weights is None and np.array_equal(losses, np.sign(losses))
    if weights is not None and not weights.sum():
        return _Units(np.zeros(0), None, True)  # nothing counts
    if claim.groups is not None:
        names, group = np.unique(claim.groups, return_inverse=True)
        if len(names) < len(losses):
            counts = np.ones(len(losses)) if weights is None else weights
            totals = np.bincount(group, weights=counts)
            sums = np.bincount(group, weights=counts * losses)
            losses = np.divide(sums, totals, out=np.zeros(len(names)), where=totals > 0)
            weights = None if weights is None else totals / np.bincount(group)
            whole = False
    return _Units(losses, None if weights is None else weights / weights.mean(), whole)


def p_value(
    losses: NDArray[np.integer],
    budget: float,
    *,
    risk: float = 0.05,
    seed: int = 0,
    weights: Floats | None = None,
    groups: NDArray[np.generic] | None = None,
) -> float:
    """Of "the mean loss is ``budget`` or more"; valid for any number of samples. Parameters are those of a Claim.

    Samples that all count alike: the exact test of paired_test. With weights, and for groups of several
    samples, whose mean losses lie anywhere in [−1, 1]: 1 / the largest capital of
    :func:`eeaug.cascade.betting.log_capital`, at most 1, in an order that ``seed`` draws (Ville's inequality).
    Either is a p-value at every level; stakes and precision are set for ``risk``, and a capital that has
    reached 1/risk is bet no more.
    """
    return _p_value(_units(Claim(losses, budget, weights, groups)), budget, risk, seed)


def _p_value(units: _Units, budget: float, risk: float, seed: int) -> float:
    if units.whole:
        return paired_test(len(units.losses), budget, risk).p_value(*units.counts)
    capital = log_capital(units.losses, np.array([budget]), error=risk, seed=seed, weights=units.weights)
    return float(min(1.0, np.exp(-capital[0])))


def certify(steps: Iterable[Sequence[Claim]], *, risk: float, seed: int = 0) -> Certified:
    """Test the steps of a chain in order, up to the first of which not all claims are proven.

    P(all claims of the step at ``index`` are true) ≥ 1 − ``risk`` over the draw of the samples, if the chain
    was fixed without them. Nothing is said of the design without exits: its drop is 0.

    Parameters
    ----------
    steps : the claims of every design, on the same samples; those after the first that fails are not asked for
    risk : in (0, 1)
    """

    def proven(units: _Units, budget: float) -> bool:
        if not units.whole:
            return _p_value(units, budget, risk, seed) <= risk
        return paired_test(len(units.losses), budget, risk).passes(*units.counts)

    last: list[tuple[_Units, float]] = []
    tested = samples = units = 0
    failed = smallest = None
    for claims in steps:
        step = [(_units(claim), claim.budget) for claim in claims]
        if not tested:
            samples, units = len(claims[0].losses), len(step[0][0].losses)
        tested += 1
        fails = next((i for i, one in enumerate(step) if not proven(*one)), None)
        if fails is not None:
            failed = claims[fails].name
            if not last:
                last = [step[fails]]
                smallest = _smallest_drop(*step[fails], risk, seed)
            break
        last = step
    passed = tested - (failed is not None)
    p = max(_p_value(*one, risk, seed) for one in last) if tested else None
    return Certified(passed - 1 if passed else None, tested, p, samples, units, failed, smallest)


def _smallest_drop(units: _Units, budget: float, risk: float, seed: int) -> float:
    if units.whole:
        return smallest_margin(*units.counts, len(units.losses), risk)
    return mean_upper_bound(units.losses, error=risk, seed=seed, weights=units.weights, least=budget)


def upper_bound(claim: Claim, *, error: float, seed: int = 0, exact: bool = True) -> float:
    """Upper confidence bound of a claim's mean loss, too low with probability ≤ ``error``.

    The smallest budget that would be proven at that risk; at least the claim's own, and by the exact test 0. Not
    ``exact``: by bets alone, which bound a gain, too.
    """
    units = _units(claim)
    return _smallest_drop(units if exact else replace(units, whole=False), claim.budget, error, seed)


def is_above(claim: Claim, *, error: float, seed: int = 0) -> bool:
    """Whether "the mean loss is ``budget`` or less" is rejected; wrongly with probability ≤ ``error``.

    By bets on the losses with their signs turned, whatever counts; see :func:`eeaug.cascade.betting.log_capital`.
    """
    units = _units(claim)
    capital = log_capital(-units.losses, np.array([-claim.budget]), error=error, seed=seed, weights=units.weights)
    return bool(capital[0] >= log(1 / error))


def units_needed(claim: Claim, *, risk: float, seed: int = 0) -> int | None:
    """About how many samples, or groups, prove a claim if more of them are as these are; None: no number does."""
    units, budget = _units(claim), claim.budget
    count = len(units.losses)
    if units.whole and count:
        worse, better = units.counts
        return samples_needed(worse / count, better / count, budget, risk)
    values = units.losses if units.weights is None else units.losses * units.weights
    missing = budget - float(values.mean()) if count else 0.0
    if missing < 1e-9:
        return None

    def enough(number: int) -> bool:
        weights = None if units.weights is None else np.resize(units.weights, number)
        return _p_value(_Units(np.resize(units.losses, number), weights, False), budget, risk, seed) <= risk

    # what a bet with the best stake needs for such a mean and variance
    low, high = 0, ceil(2 * log(1 / risk) * (float(values.var()) / missing**2 + 1))
    if high > MOST_UNITS:
        return high
    while not enough(high):
        low, high = high, ceil(1.25 * high)
    while high - low > max(1, high // 100):
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


@cache
def groups_needed(budget: float, risk: float) -> int | None:
    """How many groups prove ``budget`` if none of them loses anything; None for a budget of 0."""
    # two groups of two: their mean losses are bounded, not in {−1, 0, 1}
    return units_needed(Claim(np.zeros(4, np.int8), budget, groups=np.array([0, 0, 1, 1])), risk=risk)
