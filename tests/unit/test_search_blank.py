"""Exits that say "nothing here": who leaves, what is lost of what is there, the search and the proof of that."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from against_brute import solved
from brute import Brute
from instances import make, some_grid

from eeaug.cascade.learn_then_test import Claim
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import BLANK, SOMETHING, Decision
from eeaug.cascade.passage import Passage
from eeaug.cascade.path import path
from eeaug.design import refine
from eeaug.design.compared import divided
from eeaug.design.problem import Rules
from eeaug.design.promise import Opening, Terms
from eeaug.search.space import Problem
from eeaug.search.thresholds import Objective

DECISION = Decision("blank", 2)


def before_any(rng: np.random.Generator, exits: int, samples: int, share: float = 0.3) -> Outcomes:
    """Exits of which later ones know better what is there; some confidences are equal."""
    labels = (rng.random(samples) < share).astype(np.int64)
    labels[:2] = BLANK, SOMETHING
    seen = np.linspace(0.5, 2.5, exits)[:, None] * (labels - 0.5) + rng.normal(size=(exits, samples))
    p = np.round(1 / (1 + np.exp(-seen)), 2).astype(np.float32)
    return Outcomes.before_any([DECISION.answers(row[:, None])[0] for row in p], labels)


def problem(seed: int, budget: float, **more: object) -> tuple[Problem, int]:
    rng = np.random.default_rng(seed)
    instance = make(rng)
    outcomes = before_any(rng, len(instance.exits), 50)
    grid = some_grid(rng, outcomes, 4)
    instance = replace(instance, outcomes=outcomes, grid=grid)
    options = {"max_exits": 2, **more}
    return instance.problem(objective=Objective(1.0, 10_000.0, budget=budget), **options), instance.input_elements


def test_a_decision_of_one_sigmoid_lets_go_nothing_alone() -> None:
    p = np.array([[0.0], [0.25], [0.75], [1.0]], np.float32)
    confidence, predicted = DECISION.answers(p)
    assert confidence.tolist() == [1.0, 0.75, 0.25, 0.0] and predicted.tolist() == [BLANK] * 4
    assert DECISION.outputs == 1 and DECISION.activation == "sigmoid" and DECISION.metric == "nothing-sigmoid"
    assert DECISION.targets(np.array([BLANK, SOMETHING])).tolist() == [[0.0], [1.0]]


def test_accuracy_is_the_share_of_somethings_that_reach_the_model() -> None:
    for seed in range(50):
        rng = np.random.default_rng(seed)
        outcomes = before_any(rng, 2, 40)
        passage = Passage(outcomes, tuple(rng.random(2)))
        something = outcomes.labels == SOMETHING
        kept = [
            all(outcomes.confidence[k, i] < np.float32(passage.thresholds[k] or 0) for k in range(2))
            for i in np.flatnonzero(something)
        ]
        assert passage.accuracy == pytest.approx(np.mean(kept))
        assert outcomes.alone.accuracies.tolist() == [1.0]
        assert passage.leave_rates.sum() == pytest.approx(1)  # of all samples, costs too
        claim = Claim.of(outcomes, passage.losses, 0.1)
        assert claim.losses.tolist() == [int(not k) for k in kept]
        assert outcomes.judged_units == outcomes.judged_samples == something.sum()
        some = rng.permutation(40)[:25]
        part = outcomes.only(some)
        assert part.judged is not None and part.judged.tolist() == something[some].tolist()


def test_groups_are_counted_where_they_hold_something() -> None:
    labels, groups = np.array([0, 0, 1, 1, 0, 1]), np.array([4, 4, 5, 5, 6, 7])
    outcomes = Outcomes.before_any([np.ones(6, np.float32)], labels, groups=groups)
    assert (outcomes.units, outcomes.judged_units) == (4, 2)
    claim = Claim.of(outcomes, Passage(outcomes, (0.5,)).losses, 0.1)
    assert claim.groups is not None and claim.groups.tolist() == [5, 5, 7] and claim.losses.tolist() == [1, 1, 1]
    compares, proves = divided(replace(outcomes, groups=None), 0)
    assert not len(compares) and len(proves) == 6


def test_the_solver_is_brute_force_and_keeps_the_budget_of_somethings_alone() -> None:
    exits = bound = 0
    for seed in range(60):
        budget = (0.0, 0.05, 0.1, 0.25)[seed % 4]
        task, elements = problem(seed, budget)
        brute = Brute(task, elements)
        result = solved(task, brute, seed)
        assert result is not None
        lost = 1 - refine.passage(task, result.design).accuracy
        assert lost <= budget + 1e-9
        exits += bool(result.design.exits)
        # a budget of all samples would let more go
        overall = replace(task, outcomes=replace(task.outcomes, judged=None))
        other = solved(overall, Brute(overall, elements), seed)
        bound += other is not None and other.design != result.design
    assert exits >= 40 and bound >= 10


def test_finer_thresholds_keep_it_too() -> None:
    finer = 0
    for seed in range(30):
        task, _ = problem(seed, 0.1)
        rules = Rules((), {}, {}, 2)
        result, design = refine.choose(task, rules)
        assert 1 - refine.passage(task, design).accuracy <= 0.1 + 1e-9
        assert refine.mean_cost(task, design) <= refine.mean_cost(task, result.design) * (1 + 1e-9)
        finer += refine.mean_cost(task, design) < refine.mean_cost(task, result.design) * (1 - 1e-9)
    assert finer >= 5


def test_the_proof_is_missed_as_seldom_as_the_risk_where_most_frames_hold_nothing() -> None:
    """The true share of somethings lost is above the budget in at most 5 % of draws, though they are 1 in 8."""
    costs = np.array([1.0, 9.0])
    truth = before_any(np.random.default_rng(7), 1, 200_000, share=0.125)
    steps = path(before_any(np.random.default_rng(8), 1, 2_000, share=0.125), costs, 10.0)
    lost = [1 - Passage(truth, step).accuracy for step in steps]
    missed = kept = 0
    for seed in range(200):
        rows = before_any(np.random.default_rng(1000 + seed), 1, 2_000, share=0.125)
        opening = Opening(steps, rows, costs, 10.0, DECISION)
        index, promise = opening.promised(Terms(("proven",), 0.05), 0.1, 0)
        missed += index is not None and lost[index] > 0.1
        kept += index is not None
        assert promise.blank and promise.samples == rows.judged_samples
    assert kept >= 150 and missed <= 18
