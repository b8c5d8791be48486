"""Which exits serve memory, against every design walked sample by sample."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
from instances import make
from stream_parts import Naive

from eeaug.cascade.outcomes import class_limit
from eeaug.cascade.output import Decision
from eeaug.cascade.passage import Passage
from eeaug.design import serving
from eeaug.design.screened import saved_of
from eeaug.design.streamed import MemoryTerms
from eeaug.search.placing import architectures
from eeaug.search.space import Design, Problem
from eeaug.search.thresholds import Objective
from eeaug.streams.difference import DifferenceDetection
from eeaug.streams.missed import event_limit
from eeaug.streams.sequences import Sequences
from eeaug.streams.walk import Course

UNITS = 10


def instance(seed: int) -> tuple[Problem, dict[int, np.ndarray], Sequences, MemoryTerms]:
    """A problem whose classes last, with limits on classes or events, or without; what its exits say."""
    rng = np.random.default_rng([11, seed])
    given = make(rng, locations=int(rng.integers(2, 4)), samples=24)
    sequences = Sequences.given(rng.integers(0, 3, 24))
    predicted, count = given.outcomes.predicted.copy(), len(given.exits)
    p = {e: rng.dirichlet(np.ones(4), 24).astype(np.float32) for e in range(count)}
    for members in sequences.members:
        for before, now in pairwise(members.tolist()):
            if rng.random() < 0.7:
                predicted[:, now] = predicted[:, before]
                for each in p.values():
                    each[now] = each[before] + rng.normal(0, 0.02, 4).astype(np.float32)
    labels = np.where(rng.random(24) < 0.8, predicted[-1], given.outcomes.labels)
    outcomes = replace(given.outcomes, predicted=predicted, labels=labels)
    problem = replace(given, outcomes=outcomes).problem(
        objective=Objective(float(outcomes.accuracies[-1]), 1.0, budget=float(rng.choice([0.05, 0.1]))),
        max_exits=int(rng.integers(1, 4)),
    )
    base = min(float(problem.cost_of(problem.segments([()], (mode,)))[0].sum()) for mode in problem.modes)
    problem = replace(problem, objective=replace(problem.objective, base_cost=base))
    if rng.random() < 0.3:
        problem = replace(problem, classes=class_limit(outcomes, Decision("softmax", 4), 0.2))
    if rng.random() < 0.3:
        problem = replace(problem, events=event_limit(0.1, None, labels, sequences))
    return problem, p, sequences, MemoryTerms(int(rng.choice([1, 3, 8])))


def walked(task: Problem, sought: serving.Sought, arch: tuple[int, ...]) -> list[Passage]:
    """Every threshold and distance, by a decision in plain words."""
    rows, first = task.outcomes.rows(arch), sought.first(arch[0])
    course = Course(rows, np.asarray(sought.answers(arch[0]), np.float32), sought.sequences)
    passages = []
    for threshold, distance in product(first.thresholds, [None, *first.distances]):
        near, most = (0.0, 1) if distance is None else (float(distance), sought.asked.most)
        rule = DifferenceDetection((threshold,) * len(arch), near, most)
        at, answers = np.zeros(rows.samples, np.intp), np.zeros(rows.samples, np.int64)
        for members in sought.sequences.members:
            stream = Naive(rule, course)
            for i in members:
                at[i], answers[i], _ = stream.push(i)
        passages.append(Passage(rows, (), (at, answers)))
    return passages


def allowed(task: Problem, arch: tuple[int, ...], passage: Passage) -> bool:
    right, given = passage.right, passage.outcomes.baseline_right
    if task.classes is not None:
        of = [task.outcomes.labels == label for label in {*task.outcomes.labels.tolist()}]
        if max(given[chosen].mean() - right[chosen].mean() for chosen in of) > task.classes.most + 1e-9:
            return False
    return task.events is None or task.events.allows(given, right)


@pytest.mark.parametrize("block", range(10))
def test_two_hundred_instances(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "STEPS", 3)
    for seed in range(20 * block, 20 * block + 20):
        task, p, sequences, asked = instance(seed)
        sought = serving.Sought(task, p.get, sequences, asked, UNITS)
        best: dict[tuple[int, int], float] = {}  # by first exit and number of exits
        for m in range(1, task.max_exits + 1):
            every = architectures(task, m)
            sought.look([every])
            for arch in map(tuple, every.tolist()):
                if arch not in sought.designs:
                    continue
                costs = task.cost_of(task.segments([arch], sought.designs[arch].modes))[0]
                fair = [each for each in walked(task, sought, arch) if allowed(task, arch, each)]
                saved = saved_of(task, fair, costs, UNITS)
                assert sought.saved[arch] == pytest.approx(saved), (seed, arch)
                best[arch[0], m] = max(best.get((arch[0], m), -np.inf), saved)
        designs = serving.serving(task, p.get, sequences, asked, UNITS, Design((), (task.modes[0],), ()))
        few = {first: max(best.get((first, m), -np.inf) for m in (1, 2)) for first, _ in best}
        chosen = sorted(few.values(), reverse=True)[: serving.SERVING]
        more = [saved for (_, m), saved in best.items() if m == 3]
        expected = [*chosen, *([max(more)] if more else [])]
        assert [sought.saved[design.exits] for design in designs] == pytest.approx(expected), seed
        firsts = [design.exits[0] for design in designs if len(design.exits) <= 2]
        assert len(set(firsts)) == len(firsts) and [few[first] for first in firsts] == pytest.approx(chosen)


def test_where_there_are_many_the_best_is_climbed_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not always the best of all, but never worse than the best of one exit, and mostly the best."""
    monkeypatch.setattr(serving, "STEPS", 3)
    same = 0
    for seed in range(30):
        task, p, sequences, asked = instance(seed)
        none = Design((), (task.modes[0],), ())

        def most(designs: list[Design], sought: Any) -> float:
            sought.look(np.array([design.exits]) for design in designs)
            return max((sought.saved[design.exits] for design in designs), default=-np.inf)

        sought = serving.Sought(task, p.get, sequences, asked, UNITS)
        monkeypatch.setattr(serving, "EVERY", 150)
        every = most(serving.serving(task, p.get, sequences, asked, UNITS, none), sought)
        monkeypatch.setattr(serving, "EVERY", 0)
        climbed = most(serving.serving(task, p.get, sequences, asked, UNITS, none), sought)
        singles = max((saved for arch, saved in sought.saved.items() if len(arch) == 1), default=-np.inf)
        assert singles <= climbed + 1e-12 and climbed <= every + 1e-12
        same += climbed == pytest.approx(every)
    assert same >= 27
