"""What every class loses: a bound of the worst one's drop, and which lose more than chance explains.

A class has its own samples; a label, of several at once, has all of them. Classes that do not occur are left out.
What is said of the other K at once is tested at error/K each (Bonferroni): it then holds of whichever class is
picked, also of the one that was picked since it looks worst.
"""

from __future__ import annotations

import numpy as np

from eeaug.cascade.learn_then_test import Claim, is_above, upper_bound
from eeaug.cascade.output import Decision
from eeaug.cascade.passage import Passage

__all__ = ["above", "bound", "claims"]


def claims(passage: Passage, decision: Decision, budget: float) -> dict[int, Claim]:
    """By class that occurs: that it loses less than ``budget``; each has a name."""
    outcomes = passage.outcomes
    labels = decision.marks(outcomes.labels)
    occurs = np.flatnonzero(labels.T @ outcomes.counts > 0).tolist()
    if decision.kind != "multilabel":
        return {
            c: Claim.of(outcomes, passage.losses, budget, np.flatnonzero(labels[:, c]), f"class {c}")
            for c in occurs
        }
    right, given = ((decision.marks(p) == labels).astype(np.int8) for p in (passage.predicted, outcomes.baseline))
    return {c: Claim.of(outcomes, given[:, c] - right[:, c], budget, name=f"class {c}") for c in occurs}


def bound(passage: Passage, decision: Decision, picked: int, *, error: float, seed: int = 0) -> float:
    """Upper bound of what the class ``picked`` loses, at least 0.

    P(the true drop of any class is above its bound) ≤ ``error``, over the draw of samples that no choice has seen
    and given how many there are of each class; so it does not matter how the class was picked. By the exact test
    where samples of a class count alike, else by bets; see learn_then_test.
    """
    every = claims(passage, decision, 0.0)
    return upper_bound(every[picked], error=error / len(every), seed=seed)


def above(passage: Passage, decision: Decision, limit: float, *, error: float, seed: int = 0) -> dict[int, int]:
    """The classes of which "it loses ``limit`` at most" is rejected, and how many samples each has.

    P(any of them wrongly) ≤ ``error``. Few samples reject nothing: among five classes it takes about eight losses,
    none of them made good, where McNemar's exact test of "it loses nothing" takes seven.
    """
    every = claims(passage, decision, limit)
    level = error / max(1, len(every))
    return {c: len(claim.losses) for c, claim in every.items() if is_above(claim, error=level, seed=seed)}
