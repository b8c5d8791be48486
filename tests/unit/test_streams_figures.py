"""What a decision comes to by event, against a count in plain words."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest

from eeaug.streams.figures import events, strip, worst_sequence
from eeaug.streams.sequences import Sequences


def plain(answers: np.ndarray, labels: np.ndarray, sequences: Sequences, background: set[int]) -> tuple[int, ...]:
    """Events, missed, late, false alarms; and the delays."""
    delays: list[int | None] = []
    alarms = 0
    for members in sequences.members:
        said, true = answers[members].tolist(), labels[members].tolist()
        start = 0
        for label, run in groupby(true):
            length = len(list(run))
            hits = [t for t in range(length) if said[start + t] == label]
            if label not in background:
                delays.append(hits[0] if hits else None)
            start += length
        start = 0
        for answer, run in groupby(said):
            length = len(list(run))
            alarms += answer not in background and answer not in true[start : start + length]
            start += length
    known = sorted(d for d in delays if d is not None)
    p95 = next((d for i, d in enumerate(known) if (i + 1) >= 0.95 * len(known)), None)
    mean = None if not known else sum(known) / len(known)
    return (len(delays), delays.count(None), sum(d > 0 for d in known), alarms, mean, p95)  # type: ignore[return-value]


@pytest.mark.parametrize("seed", range(30))
def test_events_one_by_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 80))
    labels = rng.integers(0, 3, n) if seed % 2 else np.repeat(rng.integers(0, 3, n), 4)[:n]
    answers = np.where(rng.random(n) < 0.3, rng.integers(0, 3, n), labels)
    sequences = Sequences.given(rng.integers(0, 3, n))
    background = {0} if seed % 3 == 0 else set()
    counted = events(answers, labels, sequences, background)
    one = (
        counted.events,
        counted.missed,
        counted.late,
        counted.false_alarms,
        counted.delay_mean,
        counted.delay_p95,
    )
    assert one == pytest.approx(plain(answers, labels, sequences, background))


def test_of_no_samples() -> None:
    nothing = np.zeros(0, np.int64)
    assert events(nothing, nothing, Sequences(nothing)).events == 0


def test_the_sequence_that_loses_most() -> None:
    sequences = Sequences.given(np.array(["b", "a", "b", "a", "a", "c"]))
    losses = np.array([0, 1, 1, 0, 0, -1])
    number, lost = worst_sequence(losses, sequences)
    assert (sequences.names[number], lost) == ("b", 0.5)


def test_the_strip_has_the_most_changes() -> None:
    sequences = Sequences.given(np.repeat([0, 1], 50))
    labels = np.zeros(100, int)
    labels[70:80:2] = 1
    shown = strip(labels, sequences, 12)
    assert len(shown) == 12 and {70, 71, 78, 79} <= set(shown.tolist())
    assert len(strip(labels, Sequences.given(np.zeros(100, int)), 500)) == 100
