"""A decision along sequences: where every sample leaves, with which answer, and whether from memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.passage import Passage
from eeaug.streams.rules import Heard, Lanes, Rule, State, begin
from eeaug.streams.sequences import Sequences

__all__ = ["Course", "Walked", "decided", "stacked", "walk"]

LANES = 1 << 14  # that walk side by side: their states and probabilities stay near the processor


@dataclass(frozen=True, eq=False)
class Course:
    """What one design's classifiers say of samples in sequences.

    Parameters
    ----------
    rows : of the design's m exits and its last classifier, n samples
    p : float32 (n, outputs), probabilities of its first classifier
    sequences : of the n samples
    """

    rows: Outcomes
    p: NDArray[np.float32]
    sequences: Sequences

    @property
    def exits(self) -> int:
        return len(self.rows.confidence) - 1

    @property
    def outputs(self) -> int:
        return int(self.p.shape[1])

    def only(self, samples: NDArray[np.intp]) -> Course:
        """Of some of the samples, by number: whole sequences."""
        return Course(self.rows.only(samples), self.p[samples], self.sequences.only(samples))


@dataclass(frozen=True, eq=False)
class Walked:
    """What decisions have decided of n samples, for P sets of parameters.

    ``at`` int8 (P, n): the classifier that each left at; ``answer`` int16 (P, n); ``remembered`` bool (P, n): it
    left because of samples before.
    """

    at: NDArray[np.int8]
    answer: NDArray[np.int16]
    remembered: NDArray[np.bool_]

    def passage(self, rows: Outcomes, i: int = 0) -> Passage:
        """The samples of ``rows`` on their way by the i-th decision."""
        return Passage(rows, (), (self.at[i].astype(np.intp), self.answer[i].astype(np.int64)))


def decided(
    rule: Rule, state: State, said: Sequence[Heard], on: Lanes
) -> tuple[NDArray[np.int8], NDArray[np.integer], Lanes]:
    """One sample of every lane in ``on``: where it leaves, what is answered, whether it left from memory.

    ``said``: what the m exits and the final classifier say of it; the ``state`` is changed.
    """
    at = np.full(np.shape(on), len(said) - 1, np.int8)
    answer = np.array(np.broadcast_to(said[-1].predicted, np.shape(on)))
    by_memory, going = np.zeros(np.shape(on), bool), np.array(on)
    for k, heard in enumerate(said[:-1]):
        leaving = rule.leaves(k, heard, state, going)
        left = leaving.sure | leaving.remembered
        at[left] = k
        np.copyto(answer, leaving.answer, where=left)
        by_memory |= leaving.remembered
        going &= ~left
    return at, rule.settled(answer, by_memory, state, on), by_memory


def walk(rules: Sequence[Rule], course: Course) -> Walked:
    """Decisions along all sequences, from their beginnings; those that are alike side by side."""
    rows, n = course.rows, course.rows.samples
    walked = Walked(*(np.zeros((len(rules), n), kind) for kind in (np.int8, np.int16, bool)))
    if not course.exits:  # nothing to leave at
        walked.at[:], walked.answer[:] = 0, rows.predicted[0]
    at_once = max(1, LANES // max(1, len(course.sequences.lengths)))
    alike: dict[tuple[object, ...], list[int]] = {}
    for i, rule in enumerate(rules):
        alike.setdefault(rule.alike, []).append(i)
    for same in alike.values():
        for start in range(0, len(same), at_once):
            numbers = same[start : start + at_once]
            _walk(stacked([rules[i] for i in numbers]), numbers, course, walked)
    return walked


def _walk(rule: Rule, numbers: Sequence[int], course: Course, walked: Walked) -> None:
    rows, count = course.rows, len(numbers)
    state = begin(rule, (count, len(course.sequences.lengths)), course.exits, course.outputs)
    # without a state samples have nothing to do with each other: all at once
    steps = course.sequences.steps() if state else iter([np.arange(rows.samples)])
    lines = np.asarray(numbers)[:, None]
    for samples in steps:
        said = [
            Heard(rows.confidence[k, samples], rows.predicted[k, samples], course.p[samples] if not k else None)
            for k in range(course.exits + 1)
        ]
        here = {name: values[:, : len(samples)] for name, values in state.items()}
        on = np.ones((count, len(samples)), bool)
        walked.at[lines, samples], walked.answer[lines, samples], walked.remembered[lines, samples] = decided(
            rule, here, said, on
        )


def stacked(rules: Sequence[Rule]) -> Rule:
    """Rules that are ``alike`` as one: parameters that differ are (P, 1), a line for each. Infinity is never."""
    first: Any = rules[0]
    together: dict[str, Any] = {}
    for field in fields(first):
        values = [getattr(rule, field.name) for rule in rules]
        if all(value is values[0] or value == values[0] for value in values):
            together[field.name] = values[0]
        elif isinstance(values[0], tuple):
            together[field.name] = tuple(
                np.array([np.inf if t is None else t for t in each], np.float32)[:, None]
                for each in zip(*values, strict=True)
            )
        elif hasattr(values[0], "alike"):
            together[field.name] = stacked(values)
        else:
            together[field.name] = np.array(values)[:, None]
    rule: Rule = replace(first, **together)
    return rule
