"""The limit on missed events, against the same counted in plain words."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import pytest
from stream_parts import course

from eeaug.cascade.passage import Passage
from eeaug.streams.confidence import Confidence
from eeaug.streams.figures import events
from eeaug.streams.missed import event_limit
from eeaug.streams.walk import walk


def plainly(
    right: Any, labels: Any, sequences: Any, background: tuple[int, ...], within: int | None
) -> list[tuple[int, bool]]:
    """Of every event its first sample, and whether it was caught."""
    caught = []
    for members in sequences.members:
        for label, run in groupby(members.tolist(), key=lambda i: labels[i]):
            samples = list(run)
            if label not in background:
                caught.append((samples[0], any(right[i] for i in samples[:within])))
    return caught


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("within", [None, 1, 2])
@pytest.mark.parametrize("background", [(), (0, 2)])
def test_events_are_those_of_plain_words(seed: int, within: int | None, background: tuple[int, ...]) -> None:
    along = course(seed, 80)
    rows, groups = along.rows, along.sequences.of * 7
    passage = walk([Confidence((0.7,) * along.exits)], along).passage(rows)
    limit = event_limit(0.1, within, rows.labels, along.sequences, background, groups)
    by_given = plainly(rows.baseline_right, rows.labels, along.sequences, background, within)
    by_decision = plainly(passage.right, rows.labels, along.sequences, background, within)
    losses = [int(a) - int(b) for (_, a), (_, b) in zip(by_given, by_decision, strict=True)]
    assert limit.losses(rows.baseline_right, passage.right).tolist() == losses
    claim = limit.claim(passage)
    if not losses:
        assert claim is None and limit.allows(rows.baseline_right, passage.right)
        return
    assert claim is not None and claim.losses.tolist() == losses and claim.budget == 0.1 and claim.weights is None
    assert claim.groups is not None and claim.groups.tolist() == [groups[first] for first, _ in by_given]
    assert limit.allows(rows.baseline_right, passage.right) == (sum(losses) / len(losses) <= 0.1 + 1e-9)
    if within is None:
        answers = passage.predicted, rows.baseline
        missed, missed_by_given = (
            events(each, rows.labels, along.sequences, background).missed for each in answers
        )
        assert missed - missed_by_given == sum(losses)


def test_background_alone_has_no_event() -> None:
    along = course(3, 40)
    limit = event_limit(0.0, None, along.rows.labels, along.sequences, range(4))
    assert limit.claim(Passage(along.rows.alone, ())) is None
