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
from eeaug.design.design import Chosen
from eeaug.design.promise import Promise, nothing
from eeaug.report.content import build, drops
from eeaug.report.content import promise as promises
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
    segments = task.costs.segments(np.array([design.exits], np.intp).reshape(1, -1), design.modes)
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
    value, why = drops.bound(chosen_as(task, design, (0.6,)), rows, 0)
    leaves = rows.confidence[0] >= np.float32(0.6)
    drop = np.mean(rows.correct[1]) - np.mean(np.where(leaves, rows.correct[0], rows.correct[1]))
    assert why is None and value is not None and drop < value < 1
    value, why = drops.bound(chosen_as(task, design, (0.6,)), None, 0)
    assert value is None and why and "no test samples" in why
    for test in (rows, None):
        assert drops.bound(chosen_as(task, design, (None,)), test, 0) == (0.0, None)
    none = Design((), (0,), ())
    assert drops.bound(chosen_as(task, none, ()), task.outcomes.rows([]), 0) == (0.0, None)


PROVEN = Promise("proven", 0.01, 0.05, 3333, 3333, kept=True, tested=12, p_value=0.049, drop=0.005, error=0.001)
EXPECTED = replace(PROVEN, kind="expected", risk=None, p_value=None, needed=5200)


@pytest.mark.parametrize(
    ("promise", "labels", "words"),
    [
        (
            PROVEN, "given",
            "Proven: with probability 0.95 over the draw of the 3,333 calibration samples, the true accuracy "
            "drop is at most 1.0 percentage points.",
        ),
        (PROVEN, "none", "the true disagreement with the given model is at most 1.0 percentage points"),
        (
            replace(PROVEN, class_drop=0.03), "given",
            "the true accuracy drop is at most 1.0 percentage points, and 3.0 pp in any single class.",
        ),
        (
            replace(EXPECTED, class_drop=0.03), "given",
            "the sum of both is at most 1.0 percentage points, and 3.0 pp in any single class. About one",
        ),
        (
            replace(PROVEN, kept=False, tested=1, class_drop=0.03, smallest_class_drop=0.3021), "given",
            "within 1.0 percentage points (pp), and 3.0 pp in any single class with probability 0.95: with the "
            "strictest thresholds, the smallest drop of a class that its samples prove is 30.21 pp. Nothing leaves",
        ),
        (
            replace(PROVEN, grouped=True, units=120), "given",
            "over the draw of the 120 groups of 3,333 calibration samples, every group weighted equally, the true",
        ),
        (
            replace(PROVEN, kept=False, tested=1, p_value=0.4, smallest_drop=0.014301, needed=299), "given",
            "No early exit could be proven to keep the true accuracy drop within 1.0 percentage points (pp) with "
            "probability 0.95: with the strictest thresholds, the smallest drop that 3,333 calibration samples "
            "prove is 1.44 pp. Nothing leaves early, so the accuracy drop is 0.",
        ),
        (
            replace(PROVEN, kept=False, tested=1, grouped=True, units=3, smallest_drop=0.9, needed=299), "given",
            "; about 299 groups without a loss would prove the budget.",
        ),
        (
            replace(PROVEN, kept=False, tested=0, p_value=None), "given",
            "Nothing leaves early, so the accuracy drop is 0.",
        ),
        (
            EXPECTED, "given",
            "Expected, not proven: on the 3,333 calibration samples the accuracy drop is 0.5 pp with a standard "
            "error of 0.1 pp; the sum of both is at most 1.0 percentage points. About one such choice in six loses "
            "more on new data. A proof on these samples would save less than half as much. About 5,200 "
            "calibration samples "
            "with the same share of losses would prove it.",
        ),
        (
            replace(EXPECTED, grouped=True, units=12, needed=None), "given",
            "Expected, not proven: on the 12 groups of 3,333 calibration samples the accuracy drop is 0.5 pp with "
            "a",
        ),
        (
            replace(EXPECTED, grouped=True, units=12, needed=None), "given",
            "With 12 groups only, both of these figures are uncertain themselves.",
        ),
        (replace(EXPECTED, kept=False), "given", "No early exit is expected to keep the accuracy drop within 1.0"),
        (nothing(0.01), "given", "Nothing is promised: the accuracy drop is within 1.0 percentage points on the"),
        (nothing(None), "given", "Nothing is promised about the accuracy drop: there is no budget for it."),
    ],
)  # fmt: skip
def test_the_promise_in_words(promise: Promise, labels: str, words: str) -> None:
    facts = promises.block(promise, labels, asked=False)
    assert words in facts["statement"]
    assert (facts["promise"], facts["kept"]) == (promise.kind, promise.kept)
    assert facts["smallest_provable_drop"] == promise.smallest_drop
    assert facts["smallest_provable_class_drop"] == promise.smallest_class_drop
    assert facts["max_class_drop"] == promise.class_drop


def test_what_was_asked_for_is_not_explained() -> None:
    assert "less than half" not in promises.block(EXPECTED, "given", asked=True)["statement"]


@pytest.mark.parametrize(
    ("promise", "words"),
    [
        (PROVEN, "proven: at most 1.0 pp on new data, with probability 0.95"),
        (
            EXPECTED,
            "expected, not proven, to be at most 1.0 pp on new data (about 5,200 calibration samples would prove "
            "it)",
        ),
        (replace(PROVEN, kept=False), ""),
        (nothing(0.01), "nothing is promised about new data"),
    ],
)
def test_the_promise_at_the_end_of_the_first_line(promise: Promise, words: str) -> None:
    assert promises.clause(promise) == words
