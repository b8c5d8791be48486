"""A limit on events: how many more a decision may miss than the given model does."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.learn_then_test import Claim
from eeaug.cascade.passage import Passage
from eeaug.streams.figures import runs
from eeaug.streams.sequences import Sequences

__all__ = ["CLAIM", "EventLimit", "event_limit"]

CLAIM = "events"  # the name of what is claimed of them


@dataclass(frozen=True, eq=False)
class EventLimit:
    """An event is a run of samples of one label in a sequence; it is missed if none of its samples is answered so.

    Parameters
    ----------
    most : share of the events that may be missed beyond those that the given model misses
    of : int64 (n,), the event of every sample by whose answer it counts as caught, numbered from 0; −1: of none
    groups : int64 (E,), which recording each event is of; None: events are drawn by themselves
    """

    most: float
    of: NDArray[np.int64]
    groups: NDArray[np.int64] | None = None

    def losses(self, given: NDArray[np.bool_], right: NDArray[np.bool_]) -> NDArray[np.int8]:
        """[missed] − [missed by the given model] of every event, (E,), by whether samples are right, (n,) each."""
        return self._caught(given) - self._caught(right)

    def allows(self, given: NDArray[np.bool_], right: NDArray[np.bool_]) -> bool:
        losses = self.losses(given, right)
        return not len(losses) or bool(losses.mean() <= self.most + 1e-9)

    def claim(self, passage: Passage) -> Claim | None:
        """That a decision misses no more; None where there are no events, of which nothing can be said."""
        losses = self.losses(passage.outcomes.baseline_right, passage.right)
        return Claim(losses, self.most, groups=self.groups, name=CLAIM) if len(losses) else None

    def _caught(self, right: NDArray[np.bool_]) -> NDArray[np.int8]:
        caught = np.zeros(int(self.of.max(initial=-1)) + 1, np.int8)
        caught[self.of[right & (self.of >= 0)]] = 1
        return caught


def event_limit(
    most: float, within: int | None, labels: NDArray[np.integer], sequences: Sequences,
    background: Collection[int] = (), groups: NDArray[np.int64] | None = None,
) -> EventLimit:  # fmt: skip
    """The limit on samples with labels (n,) in sequences; classes of ``background`` are no event.

    Parameters
    ----------
    within : an event that is answered later than with so many of its samples counts as missed; None: with any
    groups : int64 (n,), what each sample belongs to
    """
    samples, begins = runs(labels, sequences)
    number = np.repeat(np.arange(len(begins)), np.diff(begins, append=len(samples)))
    place = np.arange(len(samples)) - begins[number] if len(samples) else number
    counts = ~np.isin(labels[samples], list(background))
    if within is not None:
        counts &= place < within
    of = np.full(len(labels), -1, np.int64)
    kept, event = np.unique(number[counts], return_inverse=True)
    of[samples[counts]] = event
    return EventLimit(most, of, None if groups is None else groups[samples[begins[kept]]])
