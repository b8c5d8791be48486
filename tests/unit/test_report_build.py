"""What report.json is built from: the benefit curve against brute force, the bound, the proof in words."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from instances import make

from eeaug import settings
from eeaug.cascade.output import Decision
from eeaug.design import refine
from eeaug.design.certify import Guarantee
from eeaug.design.design import Chosen
from eeaug.report.content import build
from eeaug.search import solver
from eeaug.search.space import Design, Problem
from eeaug.search.thresholds import Objective

SEEDS = (*range(8), 28)  # with 28 latency and energy have different fronts
COSTS = tuple(cost.metric for cost in settings.COSTS.values())


def problem(seed: int, *, known: bool) -> Problem:
    instance = make(np.random.default_rng(seed), locations=4, thresholds=4, samples=60, known=known)
    objective = Objective(float(instance.outcomes.accuracies[-1]), 1.0, budget=(0.05))
    return instance.problem(objective=objective, max_exits=2)


def chosen_as(task: Problem, design: Design, thresholds: tuple[float | None, ...]) -> Chosen:
    segments = task.costs.segments(np.array([design.exits], np.intp).reshape(1, -1), design.processors)
    whole = task.costs.segments(np.zeros((1, 0), np.intp), (0,))
    return Chosen(design, thresholds, segments, "p0", whole, ("a", "b", "c", "d"), Decision("softmax", 4))


@pytest.mark.parametrize(("seed", "known"), list(product(SEEDS, (True, False))))
def test_benefit_curve_marks_every_front(seed: int, known: bool) -> None:
    task = problem(seed, known=known)
    result = solver.solve(task)
    chosen = chosen_as(task, result.design, result.design.thresholds)
    base = task.objective.base_accuracy
    curve = build.benefit_curve(result, task, chosen, task.outcomes.rows(result.design.exits), base)
    assert sum(p["chosen"] for p in curve) == 1
    assert len({tuple(p[key] for key in ("drop", *COSTS)) for p in curve}) == len(curve)
    assert [p["mean_macs"] for p in curve] == sorted(p["mean_macs"] for p in curve)
    kept = [
        build.metrics_of(chosen_as(task, d, d.thresholds), task.outcomes.rows(d.exits), "choose")[1]
        for d in [*(design for front in result.fronts.values() for design, *_ in front), result.design]
    ]
    for point in curve:
        assert point["fronts"] or point["chosen"]
        for cost in COSTS:
            if point[cost] is None:
                assert cost not in point["fronts"]
                continue
            pairs = [(base - m["accuracy"], m[cost]) for m in kept if m[cost] is not None]
            better = [
                (d, c) for d, c in pairs
                if d <= point["drop"] and c <= point[cost] and (d, c) != (point["drop"], point[cost])
            ]  # fmt: skip
            assert (cost in point["fronts"]) == (not better), (point, cost, better)


@pytest.mark.parametrize("name", settings.COSTS)
def test_what_a_choice_weighs_is_what_the_report_states(name: str) -> None:
    for seed in SEEDS:
        task = replace(problem(seed, known=True), cost=name)
        design = solver.solve(task).design
        chosen = chosen_as(task, design, design.thresholds)
        stated = build.metrics_of(chosen, task.outcomes.rows(design.exits), "choose")[1]
        assert stated[settings.COSTS[name].metric] == refine.mean_cost(task, design)


def test_fronts_differ_somewhere() -> None:
    """Else the test above could not tell them apart."""
    found = set()
    for seed in SEEDS:
        task = problem(seed, known=True)
        result = solver.solve(task)
        chosen = chosen_as(task, result.design, result.design.thresholds)
        curve = build.benefit_curve(
            result,
            task,
            chosen,
            task.outcomes.rows(result.design.exits),
            task.objective.base_accuracy,
        )
        found |= {tuple(point["fronts"]) for point in curve}
    assert {COSTS[:1], COSTS[:2], COSTS[::2], COSTS} <= found


def test_a_long_front_is_thinned_to_its_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    task = problem(1, known=True)
    result = solver.solve(task)
    chosen = chosen_as(task, result.design, result.design.thresholds)
    arguments = (
        result,
        task,
        chosen,
        task.outcomes.rows(result.design.exits),
        task.objective.base_accuracy,
    )
    whole = build.benefit_curve(*arguments)
    monkeypatch.setattr(build, "CURVE_POINTS", 2)
    few = build.benefit_curve(*arguments)
    assert len(few) < len(whole) and all(point in whole for point in few)
    assert few[0] == whole[0] and min(p["drop"] for p in few) == min(p["drop"] for p in whole)


def test_the_curve_has_the_thresholds_that_are_written() -> None:
    """--correction changes them after the search."""
    task = problem(1, known=True)
    result = solver.solve(task)
    assert result.design.exits
    chosen = chosen_as(task, result.design, (0.0,) * len(result.design.exits))
    curve = build.benefit_curve(
        result,
        task,
        chosen,
        task.outcomes.rows(result.design.exits),
        task.objective.base_accuracy,
    )
    (mine,) = [p for p in curve if p["chosen"]]
    assert mine["mean_macs"] == chosen.segments.macs[0, 0]  # everything leaves at the first exit


def test_the_bound_is_of_unseen_samples_or_certain() -> None:
    task = problem(1, known=True)
    design = Design((0,), (0, 0), (0.6,))
    rows = task.outcomes.rows([0])
    value, why = build.drop_bound(chosen_as(task, design, (0.6,)), rows, 0)
    leaves = rows.confidence[0] >= np.float32(0.6)
    drop = np.mean(rows.correct[1]) - np.mean(np.where(leaves, rows.correct[0], rows.correct[1]))
    assert why is None and value is not None and drop < value < 1
    value, why = build.drop_bound(chosen_as(task, design, (0.6,)), None, 0)
    assert value is None and why and "no test samples" in why
    for test in (rows, None):
        assert build.drop_bound(chosen_as(task, design, (None,)), test, 0) == (0.0, None)
    none = Design((), (0,), ())
    assert build.drop_bound(chosen_as(task, none, ()), task.outcomes.rows([]), 0) == (0.0, None)


PROVEN = Guarantee(0.01, 0.05, 3333, True, 12, 0.049, None)


@pytest.mark.parametrize(
    ("guarantee", "labels", "words"),
    [
        (
            PROVEN, "given",
            "Proven. With probability 0.95 over the draw of the 3,333 certify samples, the true accuracy drop is "
            "at most 1.0 pp.",
        ),
        (PROVEN, "none", "the true disagreement with the given model is at most 1.0 pp"),
        (
            replace(PROVEN, proven=False, tested=1, p_value=0.4, smallest_drop=0.014301), "given",
            "No early exit could be proven to keep a true accuracy drop of 1.0 pp at most with probability 0.95; "
            "3,333 certify samples prove 1.44 pp for the strictest thresholds, and nothing smaller. Nothing leaves "
            "early: the accuracy drop is 0 by construction.",
        ),
        (
            replace(PROVEN, proven=False, tested=0, p_value=None), "given",
            "Nothing leaves early: the accuracy drop is 0 by construction.",
        ),
    ],
)  # fmt: skip
def test_the_proof_in_words(guarantee: Guarantee, labels: str, words: str) -> None:
    facts = build.proof(guarantee, labels)
    assert facts is not None and words in facts["statement"]
    assert facts["proven"] == guarantee.proven
    assert facts["smallest_provable_drop"] == guarantee.smallest_drop
    assert build.proof(None, labels) is None
