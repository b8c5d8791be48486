"""A decision with memory for a design: which, on screen; how far it may be opened, on choose.

Where samples are streams, designs are compared by what the best decision with memory saves with each, and to the
designs that are best without memory come those that serve it best (:mod:`eeaug.design.serving`). The design without
memory is always a candidate, and is told beside the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from eeaug.cascade.outcomes import ClassLimit, Outcomes
from eeaug.cascade.passage import Passage
from eeaug.design import refine
from eeaug.design.promise import Opening, Promise, Terms, Thresholds, nothing
from eeaug.design.reuse import Answers
from eeaug.design.screened import saved_of
from eeaug.search.space import Design, Problem
from eeaug.settings import Goal
from eeaug.settings.contradictions import classes_named
from eeaug.streams.choose import Candidate, best
from eeaug.streams.confidence import Confidence
from eeaug.streams.debounce import Debounce
from eeaug.streams.kinds import Family, families
from eeaug.streams.missed import event_limit
from eeaug.streams.rules import Rule, bytes_of
from eeaug.streams.sequences import Sequences
from eeaug.streams.walk import Course, walk

__all__ = [
    "WORTH",
    "MemoryTerms",
    "Streamed",
    "Tried",
    "best_within",
    "course_of",
    "fair",
    "of_any",
    "opened",
    "tried",
    "with_events",
]

STEPS = 24  # of a path, at which decisions with memory are tried
FINE_STEPS = 96  # of a path along which a decision is opened
WORTH = 0.005  # what memory must save more than any design without, as a share of the given model's cost


@dataclass(frozen=True)
class MemoryTerms:
    """What is asked of decisions.

    ``most``: of so many samples in a row one at least is decided without memory. ``debounce``: answers change after
    m of n; None: at once.
    """

    most: int
    debounce: tuple[int, int] | None = None

    @classmethod
    def of(cls, goal: Goal) -> MemoryTerms:
        return cls(goal.memory, goal.debounce)

    def families(self, course: Course) -> list[Family]:
        every = families(course, self.most)
        return every if self.debounce is None else [family.stable(*self.debounce) for family in every]

    def alone(self, course: Course) -> Family:
        """By confidence alone."""
        return replace(self, most=1).families(course)[0]

    def judged(self, course: Course) -> Course:
        """The samples as they are judged: the given model's answers are made as stable as those of the decision.

        Who asks for stable answers has asked for their delay: a budget is of what exits and memory lose besides.
        """
        if self.debounce is None:
            return course
        alone = replace(course, rows=course.rows.alone)
        stable = walk([Debounce(Confidence(()), *self.debounce)], alone).answer[0].astype(np.int64)
        return replace(course, rows=replace(course.rows, given=stable))


@dataclass(frozen=True, eq=False)
class Streamed:
    """What a design decides of streams.

    Parameters
    ----------
    alone, alone_promise : the decision by confidence alone, and what is promised of it
    memory, memory_promise : the best one with memory, with the same exits and budget
    remembers : whether that with memory is the design's
    course : of the choose samples that say so
    saved : of the mean cost on choose, as a share of the given model's, alone and with memory
    best_alone : the same of the best design without memory, which may be another one
    """

    alone: Rule
    alone_promise: Promise
    memory: Rule
    memory_promise: Promise
    remembers: bool
    course: Course
    saved: tuple[float, float]
    best_alone: float

    @property
    def rule(self) -> Rule:
        return self.memory if self.remembers else self.alone

    @property
    def promise(self) -> Promise:
        return self.memory_promise if self.remembers else self.alone_promise

    def of_any(self, risk: float) -> Streamed:
        """Promised with shares of this risk; see :func:`of_any`."""
        alone, memory = (of_any(promise, risk) for promise in (self.alone_promise, self.memory_promise))
        return replace(self, alone_promise=alone, memory_promise=memory)

    @property
    def state_bytes(self) -> int:
        """Of the state of one stream, in float files."""
        return bytes_of(self.rule, self.course.exits, self.course.outputs)


def course_of(task: Problem, design: Design, answers: Answers, sequences: Sequences, asked: MemoryTerms) -> Course:
    """The samples of a problem in a design with exits, as they are judged.

    ``answers`` : probabilities of candidates on these samples.
    """
    p = answers(design.exits[0])
    assert p is not None, "a run knows what its heads say"
    return asked.judged(Course(task.outcomes.rows(design.exits), np.asarray(p, np.float32), sequences))


def with_events(
    task: Problem, goal: Goal, classes: Sequence[str], sequences: Sequences
) -> Problem:  # fmt: skip
    """The problem with the limit on events that the goal asks for, of its samples in sequences."""
    if goal.max_missed is None:
        return task
    background, rows = classes_named("background", goal.background, classes), task.outcomes
    return replace(task, events=event_limit(*goal.max_missed, rows.labels, sequences, background, rows.groups))


def classes_of(task: Problem, design: Design, rows: Outcomes) -> ClassLimit | None:
    """What every class of the problem may lose, in this design, against the answers that it is judged by."""
    if task.classes is None:
        return None
    limit = task.classes.rows(design.exits)
    return replace(limit, given=rows.baseline_right[limit.samples])


def thinned(steps: Sequence[Thresholds], count: int) -> tuple[Thresholds, ...]:
    """Nothing leaves, then at most ``count`` of the steps, evenly from the first to the last."""
    chosen = np.unique(np.linspace(0, len(steps) - 1, min(count, len(steps))).round().astype(int))
    return ((None,) * len(steps[0]), *(steps[i] for i in chosen))


@dataclass(frozen=True)
class Tried:
    """What decisions save along a path (see screened.saved): ``alone`` without memory, others as ``families``.

    ``families``: the best of those that open memory first, and of those that open thresholds first, by kind: pairs
    of what they save and the family.
    """

    alone: float
    families: tuple[tuple[float, Family], ...]


def tried(
    task: Problem, design: Design, steps: Sequence[Thresholds], course: Course, asked: MemoryTerms, units: int,
) -> Tried:  # fmt: skip
    """What decisions save along the path, over a range of drops.

    Parameters
    ----------
    steps : the path of the design's thresholds; course : of the samples of ``task``
    units : how many choose samples there are, or groups of them
    """
    costs = task.costs_of(design)
    listed, few = asked.families(course), thinned(steps, STEPS)
    rules = [family.along(few) for family in listed]
    walked = walk([rule for each in rules for rule in each], course)
    savings, start = [], 0
    for each in rules:
        passages = [walked.passage(course.rows, start + i) for i in range(len(each))]
        savings.append(saved_of(task, fair(task, design, passages), costs, units))
        start += len(each)
    pairs = [*zip(savings, listed, strict=True)][1:]  # the first is without memory
    alike = dict.fromkeys((pair[1].memory_first, pair[1].age == asked.most) for pair in pairs)
    groups = ([pair for pair in pairs if (pair[1].memory_first, pair[1].age == asked.most) == one] for one in alike)
    return Tried(savings[0], tuple(max(group, key=lambda pair: pair[0]) for group in groups if group))


def fair(task: Problem, design: Design, passages: Sequence[Passage]) -> list[Passage]:
    """Those that keep the limits besides the budget, of passages of one course of a design."""
    kept = list(passages)
    if (classes := classes_of(task, design, passages[0].outcomes)) is not None:
        kept = [each for each in kept if classes.allows(classes.lost(each.right)).all()]
    if (events := task.events) is not None:
        kept = [each for each in kept if events.allows(each.outcomes.baseline_right, each.right)]
    return kept


def of_any(promise: Promise, risk: float) -> Promise:
    """A promise that was made with a share of the risk, of whichever was taken of those that shared it.

    Each of them fails with probability of its share at most, so the one that is taken with that of all together.
    """
    return promise if promise.risk is None else replace(promise, risk=risk)


@dataclass(frozen=True)
class Opened:
    """A decision as far open as can be promised: what it ``saved`` on choose, of the mean cost."""

    saved: float
    rule: Rule
    promise: Promise


def opened(family: Family, alone: Opening, course: Course, terms: Terms, budget: float, seed: int) -> Opened:
    """A family as far open as can be promised on choose; where that is not at all, its first step.

    Parameters
    ----------
    alone : the design's path, and the choose samples that prove; course : of the same samples
    """
    (strictest,) = family.along(((None,) * course.exits,))[:1]
    # without a state a decision is opened as it is of samples one by one, and ends at the same thresholds
    count = FINE_STEPS if strictest.fields(course.exits, course.outputs) else len(alone.steps)
    rules = family.along(thinned(alone.steps, count))
    path = along(rules, alone, course)
    index, promise = path.promised(terms, budget, seed)
    saved = path.saved(index)
    if index is None or saved < refine.LEAST_SAVING:
        return Opened(0.0, rules[0], replace(promise, kept=False, drop=None, error=None))
    return Opened(saved, rules[index], promise)


def along(rules: Sequence[Rule], alone: Opening, course: Course) -> Opening:
    """Decisions from strict to loose as the steps of a path."""
    walked = walk(rules, course)
    decided = tuple(
        (passage.at, passage.predicted) for passage in map(partial(walked.passage, course.rows), range(len(rules)))
    )
    return replace(alone, rows=course.rows, steps=((),) * len(rules), decided=decided)


def best_within(
    task: Problem, designs: Sequence[tuple[Design, Sequence[Thresholds]]], answers: Answers, sequences: Sequences,
    asked: MemoryTerms,
) -> tuple[Design, Streamed]:  # fmt: skip
    """What is best for the objective on the samples themselves, over designs with their paths; nothing is promised.

    All designs have exits.
    """
    candidates: list[list[Candidate]] = [[], [], []]  # all, without memory, with memory
    for design, steps in designs:
        course = course_of(task, design, answers, sequences, asked)
        costs = task.costs_of(design)
        classes = classes_of(task, design, course.rows)
        few = thinned(steps, STEPS)
        alone = asked.alone(course).along((*few, design.thresholds))
        memory = [rule for family in asked.families(course)[1:] for rule in family.along(few)] or alone
        for kind, rules in zip(candidates, ([*alone, *memory], alone, memory), strict=True):
            kind.append(Candidate(course, costs, rules, classes, task.events))
    base = float(candidates[0][0].course.rows.alone.accuracies[0])  # the given model is that of any design
    value, promise = replace(task.objective, base_accuracy=base).value, nothing(task.objective.budget)
    chosen = best(candidates[0], value)
    number = 0 if chosen is None else chosen.candidate
    rules_of, saved = [], []
    for kind in candidates[1:]:
        of = best([kind[number]], value)
        rules_of.append(candidates[1][number].rules[0] if of is None else kind[number].rules[of.rule])
        saved.append(0.0 if of is None else 1 - of.cost / task.objective.base_cost)
    alone_anywhere = best(candidates[1], value)
    remembers = chosen is not None and chosen.rule >= len(candidates[1][number].rules)
    course = candidates[0][number].course
    least = 0.0 if alone_anywhere is None else 1 - alone_anywhere.cost / task.objective.base_cost
    streams = Streamed(rules_of[0], promise, rules_of[1], promise, remembers, course, (saved[0], saved[1]), least)
    return designs[number][0], streams
