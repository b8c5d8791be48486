"""Decisions with a state, all parameters and sequences side by side, against one sample after the other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from stream_parts import Naive, course, some_rules

from eeaug.cascade.passage import Passage
from eeaug.streams.confidence import Confidence
from eeaug.streams.debounce import Debounce
from eeaug.streams.difference import DifferenceDetection
from eeaug.streams.kinds import families
from eeaug.streams.patience import Patience
from eeaug.streams.rules import Rule, bytes_of
from eeaug.streams.sequences import Sequences
from eeaug.streams.walk import Course, Walked, walk


@pytest.mark.parametrize("seed", range(30))
def test_every_sample_in_turn(seed: int) -> None:
    some = course(seed)
    rules = some_rules(np.random.default_rng(seed), some)
    walked = walk(rules, some)
    for r, rule in enumerate(rules):
        for members in some.sequences.members:
            stream = Naive(rule, some)
            for i in members:
                assert (walked.at[r, i], walked.answer[r, i], walked.remembered[r, i]) == stream.push(i), rule


@pytest.mark.parametrize("seed", range(4))
def test_without_memory_it_is_the_cascade_that_it_was(seed: int) -> None:
    some = course(seed)
    thresholds = tuple(float(t) for t in some.rows.confidence[:-1, 0])
    alone = Passage(some.rows, thresholds)
    rules = [
        Confidence(thresholds),
        DifferenceDetection(thresholds, 1.0, 1),
        Patience(thresholds, (0.0,) * some.exits, 1, 1),
        Debounce(Confidence(thresholds), 1, 1),
    ]
    walked = walk(rules, some)
    for i in range(len(rules)):
        passage = walked.passage(some.rows, i)
        assert np.array_equal(passage.at, alone.at) and np.array_equal(passage.predicted, alone.predicted)
        assert passage.accuracy == alone.accuracy and passage.mean(np.ones(some.exits + 1)) == alone.mean(
            np.ones(some.exits + 1)
        )


def longest(walked: Walked, r: int, some: Course) -> int:
    """How many samples in a row are from memory."""
    most = 0
    for members in some.sequences.members:
        row = 0
        for i in members:
            row = row + 1 if walked.remembered[r, i] else 0
            most = max(most, row)
    return most


@pytest.mark.parametrize("seed", range(10))
def test_memory_never_costs_more_and_is_refreshed(seed: int) -> None:
    """With the same thresholds no sample goes further than without; of `most` in a row one is without memory."""
    some, most = course(seed, 120), 5
    step = (0.8,) * some.exits
    alone = Passage(some.rows, step)
    patient = Patience(step, (0.3,) * some.exits, 2, most)
    rules: list[Rule] = [patient, DifferenceDetection(step, 0.3, most), DifferenceDetection(step, 1.0, most)]
    walked = walk(rules, some)
    assert (walked.at <= alone.at).all()
    assert [longest(walked, r, some) for r in range(3)][2] == most - 1
    assert max(longest(walked, r, some) for r in range(3)) < most
    early = alone.at == 0  # what the first exit is sure of is what it says, whatever was before
    assert (walked.answer[1:, early] == some.rows.predicted[0, early]).all()


def test_a_gap_forgets() -> None:
    one = course(1, 40, exits=2)
    twice = Course(
        replace(one.rows, **{key: np.concatenate([getattr(one.rows, key)] * 2, axis=-1) for key in
                             ("confidence", "predicted", "labels")}, weights=None),
        np.concatenate([one.p] * 2), Sequences(np.concatenate([one.sequences.of, one.sequences.of + 99])),
    )  # fmt: skip
    twice = replace(twice, sequences=Sequences.given(twice.sequences.of))
    rules = [DifferenceDetection((0.9, 0.9), 0.2, 9), Debounce(Patience((0.9, 0.9), (0.5, 0.5), 2, 9), 2, 3)]
    walked = walk(rules, twice)
    assert np.array_equal(walked.answer[:, :40], walked.answer[:, 40:])


def test_bytes_of_a_state() -> None:
    step = (0.9, 0.9)
    assert bytes_of(Confidence(step), 2, 12) == 0
    assert bytes_of(DifferenceDetection(step, 0.1, 9), 2, 12) == 12 * 4 + 2 + 2
    assert bytes_of(DifferenceDetection(step, 0.1, 9), 2, 12, int8=True) == 12 + 2 + 2
    assert bytes_of(Patience(step, step, 2, 9), 2, 12) == 2 * 2 + 2 + 2
    assert bytes_of(Debounce(Confidence(step), 2, 3), 2, 12) == 3 * 2 + 2
    assert bytes_of(DifferenceDetection(step, 0.1, 9), 2, 1, int8=True) == 6  # 1 + 2 + 2, padded


def test_families_begin_without_memory_and_have_none_without_room() -> None:
    some = course(3)
    path = [(None,) * some.exits, *((t,) * some.exits for t in (0.9, 0.8, 0.7, 0.6, 0.5))]
    listed = families(some, 10)
    assert listed[0].kind == "confidence" and {f.kind for f in listed[1:]} == {"difference", "patience"}
    for family in listed:
        rules = family.along(path)
        assert not walk(rules[:1], some).remembered.any()
        assert all(getattr(rule, "most", 1) <= 10 for rule in rules)
        at = walk(rules, some).at  # the looser, the earlier on the whole
        assert (np.diff(at.mean(axis=1)) <= 0.2).all()
    assert [f.kind for f in families(some, 1)] == ["confidence"]
    stable = listed[1].stable(2, 3).along(path)
    assert {rule.kind for rule in stable} == {"debounce"} and stable[1].of.kind == listed[1].kind  # type: ignore[attr-defined]
