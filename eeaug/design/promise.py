"""What is promised of a design's accuracy drop, and how far its path may be opened for that.

Exits, processors, temperatures, shares of reuse and the path of thresholds are fixed on screen, where choose is
large with a part of it (:mod:`eeaug.design.compared`). All other choose samples then say one thing, how far along
the path: as far as it is *proven* that the budget is kept (an exact test for paired outcomes, in fixed order;
:mod:`eeaug.cascade.learn_then_test`), or as far as it is *expected*, where the drop plus one standard error is
within the budget.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade import class_drop, estimate, learn_then_test
from eeaug.cascade.learn_then_test import Claim
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import Decision
from eeaug.cascade.paired_test import samples_needed
from eeaug.cascade.passage import Passage
from eeaug.settings import Settings
from eeaug.streams.missed import CLAIM, EventLimit

__all__ = ["LEAST_SHARE", "Opening", "Promise", "Terms", "estimated", "nothing"]

LEAST_SHARE = 0.5  # of what the expected promise saves: a proof that saves less is not taken unasked
Thresholds = tuple[float | None, ...]


@dataclass(frozen=True)
class Terms:
    """What is to be promised: ``kinds`` of settings.PROMISES, the first preferred; ``risk`` of a proof to fail."""

    kinds: tuple[str, ...]
    risk: float

    @classmethod
    def of(cls, settings: Settings, *, unseen: bool) -> Terms:
        """What a run may promise; nothing where the given model was trained on choose samples (not ``unseen``)."""
        return cls(settings.promises if unseen else ("none",), settings.risk)

    @property
    def nothing(self) -> bool:
        return self.kinds == ("none",)

    @property
    def errors(self) -> float:
        """About how many standard errors lie between a drop and the budget that it keeps."""
        return 1.0 if self.kinds == ("expected",) else NormalDist().inv_cdf(1 - self.risk)


@dataclass(frozen=True)
class Promise:
    """What is promised of thresholds.

    Parameters
    ----------
    kind : of settings.PROMISES
    budget : largest accuracy drop; None: there is none
    risk : P(the true drop is larger) is at most that, over the draw of the samples; None unless it is a proof
    samples, units : how many choose samples there were, and how many units were drawn: samples, or groups of them
    grouped : units are groups
    kept : so much can be promised of thresholds at which something leaves; else nothing leaves early
    tested : how many steps of the path were, from the safest on
    p_value : of the last that passed, or of the first if none did; None unless it is a proof
    smallest_drop : where nothing passes: the smallest budget for which the first step would have
    drop, error : on choose, of these thresholds: estimate and standard error; None where nothing leaves early
    needed : units that would prove the budget for these thresholds if they keep losing as much, or where nothing is
        proven, if they lose nothing; None: no number does, or it is proven
    part : of the data, that the samples are of
    compared : other samples of it, which have compared designs before (design.compared) and prove nothing
    labelled : samples of it that have a label, the others being assumed (cascade.label_order); None: all have
    class_drop : what every class may lose, promised together with the budget; None: any
    missed : share of the events that may be missed beyond the given model's, promised with them; None: any
    blank : the drop is the share of samples with something that leave as nothing, and only they are counted
    smallest_class_drop : as smallest_drop, where what fails is not the budget but that limit: of one such class
    """

    kind: str
    budget: float | None = None
    risk: float | None = None
    samples: int = 0
    units: int = 0
    grouped: bool = False
    kept: bool = False
    tested: int = 0
    p_value: float | None = None
    smallest_drop: float | None = None
    drop: float | None = None
    error: float | None = None
    needed: int | None = None
    part: str = "choose"
    compared: int = 0
    labelled: int | None = None
    class_drop: float | None = None
    missed: float | None = None
    smallest_class_drop: float | None = None
    blank: bool = False


def nothing(budget: float | None, *, blank: bool = False) -> Promise:
    """The promise of thresholds that just fit."""
    return Promise("none", budget, blank=blank)


@dataclass(frozen=True)
class Opening:
    """One design on its path, and the samples that say how far it may be opened.

    Parameters
    ----------
    steps : thresholds (m each) from the safest to the loosest
    rows : of the design's m exits and its last classifier on choose; no sample of it had a part in the path
    costs : (m + 1,) of the segments, in the unit of the objective
    base_cost : of the design without exits
    class_drop : what every class may lose; None: any
    events : what may be missed of the events of the same samples; None: all
    given_last : nothing leaving early is the given model itself, whose drop is 0; otherwise that is ``steps[0]``
    compared : as in Promise
    decided : of every step where the samples leave and with which class, (n,) each, by a decision with memory
        (:mod:`eeaug.streams`); None: by the thresholds of ``steps``
    """

    steps: tuple[Thresholds, ...]
    rows: Outcomes
    costs: NDArray[np.float64]
    base_cost: float
    decision: Decision
    class_drop: float | None = None
    events: EventLimit | None = None
    given_last: bool = True
    compared: int = 0
    decided: tuple[tuple[NDArray[np.intp], NDArray[np.integer]], ...] | None = None

    @cached_property
    def passages(self) -> tuple[Passage, ...]:
        decided = self.decided or (None,) * len(self.steps)
        return tuple(Passage(self.rows, *step) for step in zip(self.steps, decided, strict=True))

    def promised(self, terms: Terms, budget: float, seed: int) -> tuple[int | None, Promise]:
        """How far it may be opened for a budget, as an index of ``steps`` (None: not at all), and what that is.

        Of two kinds the proof is taken if it saves at least LEAST_SHARE of what the other would.
        """
        promises = {
            "proven": lambda: self._proven(budget, terms.risk, seed),
            "expected": lambda: self._expected(budget, terms.risk),
        }
        index, promise = promises[terms.kinds[0]]()
        if len(terms.kinds) > 1:
            other, weaker = promises[terms.kinds[1]]()
            if self.saved(index) < LEAST_SHARE * self.saved(other):
                return other, weaker
        return index, promise

    def saved(self, index: int | None) -> float:
        """Of the mean cost on choose, as a share of the design without exits."""
        return 0.0 if index is None else 1 - self.passages[index].mean(self.costs) / self.base_cost

    def claims(self, index: int, budget: float) -> list[Claim]:
        """What must hold of a step: the budget, with a limit on classes that of each, and what may be missed."""
        passage, rows = self.passages[index], self.rows
        claims = [Claim.of(rows, passage.losses, budget)]
        if self.class_drop is not None:
            claims += class_drop.claims(passage, self.decision, self.class_drop).values()
        if self.events is not None and (missed := self.events.claim(passage)) is not None:
            claims.append(missed)
        return claims

    def _proven(self, budget: float, risk: float, seed: int) -> tuple[int | None, Promise]:
        allowed = self._kept_by_sample(budget, risk)
        steps = (self.claims(k, budget) for k in range(min(max(1, allowed), len(self.steps))))
        proof = learn_then_test.certify(steps, risk=risk, seed=seed)
        index = proof.index if allowed else None
        needed, of_class = None, bool(proof.failed) and proof.failed != CLAIM
        if index is None and not proof.failed:
            needed = units_without_loss(budget, risk, grouped=self.rows.groups is not None)
        return index, replace(
            self._told("proven", budget, index), risk=risk, tested=proof.tested, p_value=proof.p_value,
            smallest_drop=None if proof.failed else proof.smallest_drop,
            smallest_class_drop=proof.smallest_drop if of_class else None, needed=needed,
        )  # fmt: skip

    def _kept_by_sample(self, budget: float, risk: float) -> int:
        """How many steps may be proven.

        A proof by groups is of the mean over groups, each counting alike; the accuracy that a budget is of counts
        samples. So a step that is proven also keeps, by sample, the budget to so many standard errors (which are
        cluster-robust) as leave out a share of ``risk``.
        """
        if self.rows.groups is None:
            return len(self.steps)
        return self.within(budget, NormalDist().inv_cdf(1 - risk))

    def within(self, budget: float, errors: float) -> int:
        """How many steps, from the first on, keep all that is claimed to so many standard errors."""
        for k in range(len(self.steps)):
            for claim in self.claims(k, budget):
                drop, error = estimated(claim)
                if drop + errors * error > claim.budget + 1e-9:
                    return k
        return len(self.steps)

    def _expected(self, budget: float, risk: float) -> tuple[int | None, Promise]:
        kept = self.within(budget, 1.0)
        index = kept - 1 if kept else None
        promise = replace(self._told("expected", budget, index), tested=min(kept + 1, len(self.steps)))
        if index is not None:
            promise = replace(promise, needed=self._needed(index, budget, risk))
        return index, promise

    def _needed(self, index: int, budget: float, risk: float) -> int | None:
        """How many units prove a step if they lose as these do; None: no number does, or a step before it fails."""
        most = 0.0
        for claim in self.claims(index, budget):
            number = learn_then_test.units_needed(claim, risk=risk)
            if number is None:
                return None
            most = max(
                most, number * self.rows.judged_samples / len(claim.losses)
            )  # a class has some of the samples
        return ceil(most) if most > self.rows.judged_units else None

    def _told(self, kind: str, budget: float, index: int | None) -> Promise:
        drop = error = None
        if index is not None:
            drop, error = estimated(self.claims(index, budget)[0])
        return Promise(
            kind, budget,
            samples=self.rows.judged_samples, units=self.rows.judged_units, grouped=self.rows.groups is not None,
            kept=index is not None, drop=drop, error=error, class_drop=self.class_drop,
            missed=None if self.events is None else self.events.most,
            compared=self.compared, blank=self.rows.judged is not None,
        )  # fmt: skip


def units_without_loss(budget: float, risk: float, *, grouped: bool) -> int | None:
    """How many samples, or groups, prove a budget if none of them loses anything; None for a budget of 0."""
    return learn_then_test.groups_needed(budget, risk) if grouped else samples_needed(0.0, 0.0, budget, risk)


def estimated(claim: Claim) -> tuple[float, float]:
    """A drop and its standard error upwards.

    No more can be lost than what is, whatever is gained: so together they are at most that and its own error. Where
    few samples weigh much, a single one that is gained would else count like a loss.
    """
    drop, error = _scored(claim)
    if (claim.losses < 0).any():
        lost, of_lost = _scored(replace(claim, losses=np.maximum(claim.losses, 0)))
        error = min(error, lost + of_lost - drop)
    return drop, error


def _scored(claim: Claim) -> tuple[float, float]:
    """A drop and its standard error if the drop were the budget.

    Where few samples are lost by luck, their own variance is small by the same luck.
    """
    return estimate.drop(claim.losses, claim.weights, claim.groups, budget=claim.budget)
