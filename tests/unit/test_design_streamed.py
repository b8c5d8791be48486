"""A decision with memory for a design: what is compared, what is promised, against the same counted by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from instances import make
from stream_parts import course

from eeaug.cascade.learn_then_test import Claim
from eeaug.cascade.outcomes import class_limit
from eeaug.cascade.output import Decision
from eeaug.cascade.passage import Passage
from eeaug.cascade.path import path
from eeaug.design import streamed, streamed_again
from eeaug.design.problem import Rules
from eeaug.design.promise import Opening, Promise, Terms, estimated
from eeaug.design.screened import saved_of
from eeaug.network.costs import Costs
from eeaug.search.space import Design, Problem
from eeaug.search.thresholds import Objective
from eeaug.settings import Settings
from eeaug.streams.choose import Candidate, scores
from eeaug.streams.confidence import Confidence
from eeaug.streams.debounce import Debounce
from eeaug.streams.difference import DifferenceDetection
from eeaug.streams.walk import Course, walk

TERMS = Terms(("expected",), 0.05)


def some(seed: int, samples: int = 400) -> tuple[Problem, Design, Course, np.ndarray]:
    """A problem with one exit on samples in sequences, which are groups; its costs."""
    rng = np.random.default_rng(seed)
    along = course(seed, samples, exits=1)
    # the final classifier is mostly right, and what it says lasts as the first one's answers do
    labels = np.where(rng.random(samples) < 0.95, along.rows.predicted[1], along.rows.labels)
    rows = replace(along.rows, labels=labels, weights=None, groups=np.arange(samples) // 20)
    sequences = streamed.Sequences.given(along.sequences.of, rows.groups)
    instance = make(rng, locations=2, samples=samples)
    costs = Costs(instance.hardware, instance.blocks, instance.exits[:1], instance.input_elements)
    base = float(rows.accuracies[-1])
    objective = Objective(base, 1.0, budget=0.05)
    task = Problem(costs, rows, np.zeros((1, 3), np.float32), objective)
    design = Design((0,), (0, 0), (None,))
    each = task.cost_of(task.segments([design.exits], design.modes))[0]
    task = replace(task, objective=replace(objective, base_cost=float(each.sum())))
    return task, design, Course(rows, along.p, sequences), each


@pytest.mark.parametrize("seed", range(6))
def test_confidence_alone_is_what_the_path_saves(seed: int) -> None:
    task, design, along, costs = some(seed)
    steps = path(along.rows, costs, float(costs.sum()))
    if not steps:
        pytest.skip("nothing to leave")
    tried = streamed.tried(task, design, steps, along, streamed.MemoryTerms(8), 20)
    few = streamed.thinned(steps, streamed.STEPS)
    alone = saved_of(task, [Passage(along.rows, step) for step in few], costs, 20)
    assert tried.alone == pytest.approx(alone)
    assert len({(family.memory_first, family.age == 8) for _, family in tried.families}) == 4 == len(tried.families)
    for saved, family in tried.families:
        memory = saved_of(task, [walk([r], along).passage(along.rows) for r in family.along(few)], costs, 20)
        assert saved == pytest.approx(memory)
    none = streamed.tried(task, design, steps, along, streamed.MemoryTerms(1), 20)
    assert none.families == () and none.alone == pytest.approx(alone)


def test_stable_answers_are_judged_against_as_stable_ones() -> None:
    """What debouncing itself loses is no loss of exits or memory."""
    _, _, along, _ = some(3)
    judged = streamed.MemoryTerms(8, (2, 3)).judged(along)
    nothing_leaves = walk([Debounce(Confidence((None,)), 2, 3)], along).passage(judged.rows)
    assert not nothing_leaves.losses.any() and (judged.rows.baseline != along.rows.baseline).any()
    assert streamed.MemoryTerms(8).judged(along) is along


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("debounce", [None, (2, 3)])
def test_what_is_expected_keeps_the_budget(seed: int, debounce: Any) -> None:
    task, design, along, costs = some(seed)
    steps = path(along.rows, costs, float(costs.sum()))
    if not steps:
        pytest.skip("nothing to leave")
    terms = streamed.MemoryTerms(8, debounce)
    tried = streamed.tried(task, design, steps, along, terms, 20)
    along = terms.judged(along)
    alone = Opening(steps, along.rows, costs, float(costs.sum()), Decision("softmax", 4))
    for family in (terms.alone(along), *(family for _, family in tried.families)):
        opened = streamed.opened(family, alone, along, TERMS, 0.05, 0)
        passage, promise = walk([opened.rule], along).passage(along.rows), opened.promise
        assert promise.grouped and (opened.rule.kind == "debounce") == (debounce is not None)
        if promise.kept:
            drop, error = estimated(Claim.of(along.rows, passage.losses, 0.05))
            assert drop + error <= 0.05 + 1e-9 and drop == pytest.approx(promise.drop)
            assert opened.saved == pytest.approx(1 - passage.mean(costs) / costs.sum())
        else:
            assert opened.saved == 0 and (passage.at == 1).all()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("limited", [False, True])
def test_the_best_is_the_best_of_all(seed: int, limited: bool) -> None:
    task, design, along, costs = some(seed)
    if limited:
        task = replace(task, classes=class_limit(task.outcomes, Decision("softmax", 4), 0.1))
    steps = path(along.rows, costs, float(costs.sum())) or ((0.9,),)
    terms = streamed.MemoryTerms(8)
    chosen, decided = streamed.best_within(task, [(design, steps)], lambda i: along.p, along.sequences, terms)
    few = streamed.thinned(steps, streamed.STEPS)
    rules = [*(rule for family in terms.families(along) for rule in family.along(few))]
    classes = None if task.classes is None else task.classes.rows((0,))
    cost, accuracy, allowed = scores(Candidate(along, costs, rules, classes))
    values = np.where(allowed, task.objective.value(cost, accuracy), np.inf)
    mean = walk([decided.rule], along).passage(along.rows).mean(costs)
    assert chosen == design and mean == pytest.approx(values.min())


@pytest.mark.parametrize("promise", ["expected", "none"])
def test_int8_files_have_a_decision_of_their_own(promise: str) -> None:
    task, design, along, costs = some(2)
    rows = replace(along.rows, first=along.p, given=along.rows.predicted[-1])
    goal = Settings.of(model=Path("m.h5"), hardware="psoc6", cache=Path("c"), stream=True, refresh=8).goal
    goal = replace(goal, max_accuracy_drop=0.05)
    rules = Rules((), {}, {}, 1)
    decided = streamed_again.sought(
        goal, Terms((promise,), 0.05), 0, {"choose": task, "screen": task}, rules, design, Decision("softmax", 4),
        {"choose": rows, "screen": rows}, {"choose": along.sequences, "screen": along.sequences},
    )  # fmt: skip
    drops = [float(walk([r], along).passage(rows).losses.mean()) for r in (decided.alone, decided.memory)]
    assert max(drops) <= 0.05 + 1e-9
    for rule in (decided.alone, decided.memory):
        if isinstance(rule, DifferenceDetection):
            assert (float(rule.distance) * 256) % 1 == 0.5
        assert all(t is None or t <= 255 / 256 for t in rule.thresholds)  # type: ignore[attr-defined]
    saved = [1 - walk([r], along).passage(rows).mean(costs) / costs.sum() for r in (decided.alone, decided.memory)]
    if promise == "expected":
        assert decided.saved == pytest.approx(tuple(saved)) and decided.remembers == (saved[1] > saved[0] + 0.005)


@pytest.mark.parametrize("kind", ["proven", "expected"])
def test_what_is_taken_of_several_fails_with_the_risk_of_all(kind: str) -> None:
    risk = None if kind == "expected" else 0.01
    promise = Promise(kind, 0.05, risk=risk, kept=True)
    assert streamed.of_any(promise, 0.05).risk == (None if risk is None else 0.05)
