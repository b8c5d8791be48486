"""Which design it is to be, where x_val is large: a fifth of it compares some of them, the others prove.

A backbone knows screen by heart: what leaves early looks worse there than on new samples, most of all at late exits
and where exits hear each other, so screen alone tells such designs from others badly. Designs that screen and the
part of choose suggest, with shares of reuse, are compared by what they save on that part along their paths, which
screen fixes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import Decision
from eeaug.design import reuse
from eeaug.design.problem import Rules
from eeaug.design.promise import Terms
from eeaug.design.reuse import Answers, Reuse
from eeaug.design.screened import WIDER, Screened, best_for, can_be_told, saved, steps_of
from eeaug.errors import InfeasibleError
from eeaug.search.solver import Result
from eeaug.search.space import Design, Problem
from eeaug.support.progress import counted, part

__all__ = ["OnScreen", "divided", "evened", "saves"]

SHARE = 0.2  # of the units of choose compares
LEAST = 4000  # units of choose: fewer all prove, since a fifth of them would compare little but their luck
ON_CHOOSE = (1, 2)  # multiples of the budget for which designs are sought on the part of choose
# Multiples that designs are compared at: a single drop is one of few samples.
BUDGETS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
ON_SCREEN = 0.25  # what screen counts beside them: it is biased, and has more samples
SHARES = (0.1, 0.2, 0.3)  # of reuse
SEED = 3  # a stream of random numbers of its own


Architecture = tuple[tuple[int, ...], tuple[int, ...]]  # exits and processors


def divided(outcomes: Outcomes, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Sorted numbers of the choose samples that compare designs, none or SHARE of them, and of those that prove.

    Units are drawn, whole groups where they are what was drawn: both parts are as choose itself.
    """
    everything = np.arange(outcomes.samples)
    unit = everything if outcomes.groups is None else np.unique(outcomes.groups, return_inverse=True)[1]
    if outcomes.judged_units < LEAST:
        return everything[:0], everything
    count = len(np.unique(unit))
    drawn = np.random.default_rng([seed, SEED]).permutation(count)[: round(SHARE * count)]
    compares = np.isin(unit, drawn)
    return everything[compares], everything[~compares]


@dataclass(frozen=True)
class OnScreen:
    """What is known without the samples that compare: designs on screen, and their paths.

    Parameters
    ----------
    task : the search problem on screen
    answers : probabilities on screen by candidate; None: exits are not to hear each other
    """

    task: Problem
    rules: Rules
    answers: Answers | None
    decision: Decision
    _known: dict[Architecture, list[tuple[Architecture, float, Screened]]] = field(default_factory=dict, init=False)

    @cached_property
    def searched(self) -> tuple[Result, list[Design]]:
        """The search on screen, and the designs that are best there for some budgets."""
        return best_for(self.task, self.rules, _budgets(self.task, (1, *WIDER)))

    def best(self, here: Problem, answers: Answers, terms: Terms, left: int) -> Screened:
        """Of the designs that are best on screen or ``here``, with or without reuse, the one that will save most.

        Parameters
        ----------
        here : the problem on the samples that compare
        answers : probabilities on them by candidate
        left : units that will prove
        """
        with part(0, 1, 4):
            designs = self.searched[1]
        with part(1, 1, 4), suppress(InfeasibleError):  # where pinned thresholds lose more than the budget
            designs = [*designs, *best_for(here, self.rules, _budgets(here, ON_CHOOSE), fronts=())[1]]
        with part(2, 1, 4):
            listed = {
                (arch, share): one
                for design in counted(designs, len(designs))
                for arch, share, one in self._variants(design)
                if one.reuse is None or can_be_told(one.task, design, terms, left)
            }
        with part(3, 1, 4):
            level = evened({
                key: (1 - ON_SCREEN) * saves(one, here, answers, self.decision)
                + ON_SCREEN * saved(one.task, one.design, one.steps, left)
                for key, one in counted(listed.items(), len(listed))
            })  # fmt: skip
        return listed[max(listed, key=level.__getitem__)]  # of equal ones the first

    def _variants(self, design: Design) -> list[tuple[Architecture, float, Screened]]:
        """The architecture by itself, and with shares of reuse."""
        arch = design.exits, design.modes
        if arch not in self._known:
            together: list[tuple[Reuse, Problem]] = []
            if self.answers is not None:
                together = reuse.possible(self.task, self.rules, design, self.answers, self.decision, SHARES)
            self._known[arch] = [
                (arch, share, Screened(task, design, hears, steps_of(task, self.rules, design)))
                for share, (hears, task) in zip((0.0, *SHARES), [(None, self.task), *together], strict=False)
            ]
        return self._known[arch]


def evened(scores: Mapping[tuple[Architecture, float], float]) -> dict[tuple[Architecture, float], float]:
    """What architecture and share of reuse explain of scores, each by itself: an average over the other.

    Scores of few samples differ by luck, too; of architectures that are scored with several shares, and shares with
    several architectures, a mean differs less. Share 0 is scored with every architecture.
    """
    gains = {
        share: np.mean([score - scores[arch, 0.0] for (arch, s), score in scores.items() if s == share])
        for _, share in scores
    }
    levels = {
        arch: np.mean([score - gains[share] for (a, share), score in scores.items() if a == arch])
        for arch, _ in scores
    }
    return {(arch, share): float(levels[arch] + gains[share]) for arch, share in scores}


def _budgets(task: Problem, multiples: Sequence[float]) -> list[float]:
    assert task.objective.budget is not None
    return [multiple * task.objective.budget for multiple in multiples]


def saves(one: Screened, here: Problem, answers: Answers, decision: Decision) -> float:
    """The share of the cost without exits that is saved along the path, as a mean over drops ``here``."""
    opening = one.opening(one.on(here, answers, decision), decision)
    within = [opening.within(budget, 0.0) for budget in _budgets(here, BUDGETS)]
    return float(np.mean([opening.saved(count - 1 if count else None) for count in within]))
