"""What a design loses on samples that did not choose it, and the budget on choose that keeps the one asked for.

The cheapest of many designs within a budget on n samples is within it partly by luck, the more so the fewer samples
there are. K-fold cross-validation (Stone 1974) repeats the choice without a fold and reads the drop on that fold.
This estimates; it proves nothing (guarantee does).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.passage import Passage
from eeaug.search import solver
from eeaug.search.space import Design, Problem

__all__ = ["FOLDS", "REPEATS", "Estimate", "estimated", "only", "within"]

FOLDS, REPEATS = 5, 2
STEPS = 25  # budgets that are tried, each a STEP or a sample below the one before
STEP = 0.0025


@dataclass(frozen=True)
class Estimate:
    """``drops`` (B,) on held-out samples of what ``budgets`` (B,) choose; descending, the asked one first.

    ``unreached``: no design of all choose samples is within the one that would do.
    """

    budgets: tuple[float, ...]
    drops: tuple[float, ...]
    unreached: bool = False

    @property
    def index(self) -> int | None:
        """Of the largest budget whose drop is within the one asked for; None if there is none."""
        fits = [i for i, drop in enumerate(self.drops) if drop <= self.budgets[0] + 1e-9]
        return fits[0] if fits and not self.unreached else None

    def as_dict(self) -> dict[str, Any]:
        """``budget_on_choose`` and the ``drop`` that it leads to; both None if no budget is small enough."""
        i = self.index
        return {
            "folds": FOLDS,
            "repeats": REPEATS,
            "drop_at_asked": self.drops[0],
            "budget_on_choose": None if i is None else self.budgets[i],
            "drop": None if i is None else self.drops[i],
        }


def estimated(task: Problem, problem: Callable[[Outcomes], Problem], seed: int) -> Estimate | None:
    """The estimate for the budget of ``task``; None where there is no budget, or the front of its cost is unknown.

    ``problem`` makes the same search on other outcomes. Costs FOLDS · REPEATS searches with the coarse thresholds.
    """
    if task.objective.budget is None:
        return None
    outcomes = task.outcomes
    step = max(STEP, 1 / outcomes.samples)
    budgets = tuple(round(task.objective.budget.asked - i * step, 12) for i in range(STEPS))
    lost, total = np.zeros(STEPS), 0.0
    for chosen_on, read_on in _folds(outcomes.samples, seed):
        part = problem(only(outcomes, chosen_on))
        front = solver.solve(part, (part.cost,)).fronts.get(part.cost, ())
        if not front:
            return None
        held = only(outcomes, read_on)
        drops: dict[Design, float] = {}
        for i, budget in enumerate(budgets):
            fitting = [(cost, k) for k, (_, accuracy, cost) in enumerate(front)
                       if accuracy >= part.objective.base_accuracy - budget - 1e-9]  # fmt: skip
            if not fitting:
                continue  # without exits nothing is lost
            design = front[min(fitting)[1]][0]
            if design not in drops:
                drops[design] = _lost(held, design)
            lost[i] += drops[design]
        total += float(held.counts.sum())
    return Estimate(budgets, tuple(float(x) for x in lost / total))


def within(task: Problem, kept: float) -> Problem:
    """The same search for the same budget, of which so much may be lost on its own samples."""
    assert task.objective.budget is not None
    return replace(task, objective=replace(task.objective, budget=replace(task.objective.budget, kept=kept)))


def only(outcomes: Outcomes, samples: NDArray[np.intp]) -> Outcomes:
    """The outcomes of some of the samples."""
    return outcomes.only(samples)


def _folds(samples: int, seed: int) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Samples to choose on and samples to read on."""
    for repeat in range(REPEATS):
        order = np.random.default_rng([seed, 5, repeat]).permutation(samples)
        for fold in range(FOLDS):
            held = order[fold::FOLDS]
            yield np.setdiff1d(order, held), np.sort(held)


def _lost(outcomes: Outcomes, design: Design) -> float:
    """By how much fewer samples a design is right on than the given model."""
    passage = Passage(outcomes.rows(design.exits), design.thresholds)
    return float(outcomes.counts @ outcomes.baseline_right - outcomes.counts @ passage.right)
