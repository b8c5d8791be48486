"""Streams for tests: samples whose classes last, decisions of all kinds, and the same decisions in plain words."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from instances import correlated

from eeaug.streams.confidence import Confidence
from eeaug.streams.debounce import Debounce
from eeaug.streams.difference import DifferenceDetection
from eeaug.streams.patience import Patience
from eeaug.streams.rules import Rule
from eeaug.streams.sequences import Sequences
from eeaug.streams.walk import Course


def course(seed: int, samples: int = 60, exits: int | None = None) -> Course:
    """Classes that last, of a few sequences whose samples are mixed up with each other's."""
    rng = np.random.default_rng(seed)
    m = int(rng.integers(1, 4)) if exits is None else exits
    rows = correlated(rng, m, samples)
    rows = replace(rows, weights=rng.uniform(0.2, 3, samples) if seed % 3 == 0 else None)
    of = rng.integers(0, int(rng.integers(1, 5)), samples)
    lasting = rng.random(samples) < 0.7
    predicted, p = rows.predicted.copy(), rng.dirichlet(np.ones(4), samples).astype(np.float32)
    for members in Sequences.given(of).members:
        for before, now in pairwise(members.tolist()):
            if lasting[now]:
                predicted[:, now] = predicted[:, before]
                p[now] = p[before] + rng.normal(0, 0.02, 4).astype(np.float32)
    return Course(replace(rows, predicted=predicted), p, Sequences.given(of))


def some_rules(rng: np.random.Generator, course: Course) -> list[Rule]:
    def vector(scale: float = 1) -> tuple[float | None, ...]:
        row = rng.choice(course.rows.confidence[0], course.exits) * scale
        return tuple(None if rng.random() < 0.3 else float(t) for t in row)

    rules: list[Rule] = [Confidence(vector()) for _ in range(3)]
    for _ in range(6):
        rules.append(
            DifferenceDetection(vector(), float(rng.choice([0.0, 0.03, 0.2, 1.0])), int(rng.integers(1, 8)))
        )
        rules.append(Patience(vector(), vector(0.8), int(rng.integers(1, 4)), int(rng.integers(1, 8))))
    window = int(rng.integers(1, 6))
    return [*rules, *(Debounce(rule, int(rng.integers(1, window + 1)), window) for rule in rules[1::2])]


class Naive:
    """The same, in words as plain as they come: one stream, one sample after the other."""

    def __init__(self, rule: Any, course: Course) -> None:
        self.rule, self.course, self.m = rule, course, course.exits
        self.inner = rule.of if rule.kind == "debounce" else rule
        self.reference: tuple[Any, int] | None = None
        self.age = 0
        self.said: list[list[int]] = [[] for _ in range(self.m)]
        self.answers: list[int] = []
        self.shown: int | None = None

    def push(self, i: int) -> tuple[int, int, bool]:
        rows, rule = self.course.rows, self.inner
        at, memory, answer = self.m, False, int(rows.predicted[self.m, i])
        for k in range(self.m):
            predicted, sure = int(rows.predicted[k, i]), rows.confidence[k, i]
            self.said[k].append(predicted)
            t = rule.thresholds[k]
            if t is not None and sure >= np.float32(t):
                at, answer = k, predicted
                break
            if rule.kind == "difference" and k == 0 and self.reference is not None:
                p, last = self.reference
                far = max(abs(a - b) for a, b in zip(p, self.course.p[i], strict=True))
                if far <= np.float32(rule.distance) and self.age + 1 < rule.most:
                    at, answer, memory = k, last, True
                    break
            if rule.kind == "patience":
                row = self.said[k][-rule.times :]
                low = rule.lower[k]
                patient = len(row) == rule.times and len(set(row)) == 1 and self.age + 1 < rule.most
                if patient and low is not None and sure >= np.float32(low):
                    at, answer, memory = k, predicted, True
                    break
        self.age = self.age + 1 if memory else 0
        if not memory:
            self.reference = self.course.p[i], answer
        if self.rule.kind != "debounce":
            return at, answer, memory
        self.answers.append(answer)
        if self.shown is None or self.answers[-self.rule.window :].count(answer) >= self.rule.wanted:
            self.shown = answer
        return at, self.shown, memory
