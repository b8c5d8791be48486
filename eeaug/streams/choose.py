"""The decision that is best for an objective, counted along the sequences themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.outcomes import ClassLimit
from eeaug.streams.missed import EventLimit
from eeaug.streams.rules import Rule
from eeaug.streams.walk import Course, walk

__all__ = ["Candidate", "Selected", "best", "scores"]

Floats = NDArray[np.float64]
AT_ONCE = 1 << 24  # decisions on samples that are held in memory: some bytes each


@dataclass(frozen=True, eq=False)
class Candidate:
    """A design, and the decisions that are tried with it, the one that is preferred among equals first.

    Parameters
    ----------
    course : on the samples that decide
    costs : (m + 1,) of its segments, in the unit of the objective
    classes : what every class may lose, of the same rows; None: any
    events : what may be missed of the events of the same samples; None: all
    """

    course: Course
    costs: Floats
    rules: Sequence[Rule]
    classes: ClassLimit | None = None
    events: EventLimit | None = None


@dataclass(frozen=True)
class Selected:
    """``rules[rule]`` of ``candidates[candidate]``, with what the objective makes of it."""

    candidate: int
    rule: int
    value: float
    cost: float
    accuracy: float


def scores(candidate: Candidate) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Mean cost, accuracy, and whether classes lose and events are missed no more than may be, (P,) each."""
    course, rows = candidate.course, candidate.course.rows
    spent = np.cumsum(candidate.costs)
    cost, accuracy = np.zeros(len(candidate.rules)), np.zeros(len(candidate.rules))
    allowed = np.ones(len(candidate.rules), bool)
    at_once = max(1, AT_ONCE // max(1, rows.samples))
    for start in range(0, len(candidate.rules), at_once):
        here = slice(start, start + at_once)
        walked = walk(candidate.rules[here], course)
        right = walked.answer == rows.labels
        rates = np.stack([rows.share(walked.at == k) for k in range(course.exits + 1)], axis=-1)
        cost[here], accuracy[here] = rates @ spent, rows.accuracy_of(rows.share(right))
        if (limit := candidate.classes) is not None:
            allowed[here] = [bool(limit.allows(limit.lost(each)).all()) for each in right]
        if (missed := candidate.events) is not None:
            allowed[here] &= [missed.allows(rows.baseline_right, each) for each in right]
    return cost, accuracy, allowed


def best(candidates: Sequence[Candidate], value: Callable[[Floats, Floats], Floats]) -> Selected | None:
    """The decision of lowest value over all designs; None if all are infinite.

    All are counted: nothing is bounded or sampled. ``value``: of mean costs and accuracies, elementwise, infinite
    where a budget is missed (search.thresholds.Objective). Of equal values (to 1e-12 of it) the first one.
    """
    chosen: Selected | None = None
    for c, candidate in enumerate(candidates):
        cost, accuracy, allowed = scores(candidate)
        values = np.where(allowed, value(cost, accuracy), np.inf)
        if not np.isfinite(values).any():
            continue
        lowest = float(values.min())
        r = int(np.flatnonzero(values <= lowest + 1e-12 * abs(lowest))[0])
        if chosen is None or values[r] < chosen.value - 1e-12 * abs(chosen.value):
            chosen = Selected(c, r, float(values[r]), float(cost[r]), float(accuracy[r]))
    return chosen
