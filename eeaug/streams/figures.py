"""What a decision comes to along sequences: by event, and in the sequence that fares worst.

An *event* is a run of samples of one label in a sequence. It is missed if none of its samples is answered so, late
if its first one is not; its delay is how many samples pass until one is. A *false alarm* is a run of one answer of
which no sample has that label.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eeaug.streams.sequences import Sequences

__all__ = ["Events", "events", "runs", "strip", "worst_sequence"]

Classes = NDArray[np.integer]
DELAYED = 0.95  # share of the events that are answered whose delay is no longer


@dataclass(frozen=True)
class Events:
    """Counts; ``delay_mean`` and ``delay_p95``: in samples, of events that are not missed (None: there is none)."""

    events: int
    missed: int
    late: int
    false_alarms: int
    delay_mean: float | None
    delay_p95: int | None


def events(answers: Classes, labels: Classes, sequences: Sequences, background: Collection[int] = ()) -> Events:
    """Of answers and labels (n,) of samples in sequences; classes of ``background`` are no event and no alarm."""
    order, begins = runs(labels, sequences)
    if not len(order):
        return Events(0, 0, 0, 0, None, None)
    said, true, of = answers[order], labels[order], sequences.of[order]
    hit = said == true
    position = np.arange(len(order)) - np.repeat(begins, np.diff(begins, append=len(order)))
    delay = np.minimum.reduceat(np.where(hit, position, len(order)), begins)[~_quiet(true[begins], background)]
    answered = np.sort(delay[delay < len(order)])
    alarms = _begins(said, of)
    alone = ~np.logical_or.reduceat(hit, alarms) & ~_quiet(said[alarms], background)
    return Events(
        len(delay),
        len(delay) - len(answered),
        int((answered > 0).sum()),
        int(alone.sum()),
        float(answered.mean()) if len(answered) else None,
        int(answered[int(np.ceil(DELAYED * len(answered))) - 1]) if len(answered) else None,
    )


def runs(labels: Classes, sequences: Sequences) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Samples (n,) of sequences one after the other, and where runs of one label begin among them."""
    order = np.concatenate([np.zeros(0, np.intp), *sequences.members])
    return order, _begins(labels[order], sequences.of[order]) if len(order) else order


def _begins(values: Classes, of: Classes) -> NDArray[np.intp]:
    """Where runs of one value begin, in sequences one after the other."""
    return np.flatnonzero(np.concatenate([[True], (values[1:] != values[:-1]) | (of[1:] != of[:-1])]))


def _quiet(values: Classes, background: Collection[int]) -> NDArray[np.bool_]:
    return np.isin(values, list(background))


def worst_sequence(losses: NDArray[np.integer], sequences: Sequences) -> tuple[int, float]:
    """The sequence that loses most, as a mean over its samples of ``losses`` (n,): its number, and that mean.

    Of equal ones the first.
    """
    mean = np.bincount(sequences.of, losses) / np.maximum(sequences.lengths, 1)
    worst = int(mean.argmax())
    return worst, float(mean[worst])


def strip(labels: Classes, sequences: Sequences, most: int) -> NDArray[np.intp]:
    """Samples of one recording in a row, at most ``most``: those in which the label changes most often.

    Of equal ones the first.
    """
    best: tuple[int, NDArray[np.intp]] = (-1, np.zeros(0, np.intp))
    for members in sequences.members:
        changes = np.concatenate([[0], np.cumsum(labels[members[1:]] != labels[members[:-1]])])
        last = np.minimum(np.arange(len(members)) + most, len(members)) - 1
        within = changes[last] - changes
        start = int(within.argmax())
        if within[start] > best[0]:
            best = int(within[start]), members[start : start + most]
    return best[1]
