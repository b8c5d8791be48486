"""int8 as a cascade of its own: thresholds on its own outcomes, by brute force; constants; proofs; refusals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import instances
import numpy as np
import pytest

from eeaug.bundle.entries import Int8Stage, Manifest, OperatingPoint, StageEntry
from eeaug.cascade import combining
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import STEP, Decision, Quantised
from eeaug.cascade.passage import Passage
from eeaug.data.preprocessing import Preprocessing
from eeaug.design.again import Again
from eeaug.design.operating_points import Point
from eeaug.design.problem import Rules
from eeaug.design.promise import Terms, nothing
from eeaug.errors import InfeasibleError, InputError
from eeaug.export.int8 import int8_cascade
from eeaug.frameworks.tflite_session import Quantisation
from eeaug.report.words import cautions
from eeaug.search.space import Design, Problem
from eeaug.search.thresholds import Objective
from eeaug.settings import FORMATS, Goal, Settings

SOFTMAX = Decision("softmax", 4)


def settings(**options: Any) -> Settings:
    return Settings.of(model=Path("m.h5"), hardware="psoc6", cache=Path(), **options)


def quantised(rng: np.random.Generator, outcomes: Outcomes) -> Outcomes:
    """What int8 stages might say where float ones say this: confidences on steps, some answers others."""
    wrong = rng.random(outcomes.predicted.shape) < 0.04
    steps = np.clip(np.round(outcomes.confidence * 256 + rng.normal(0, 3, outcomes.confidence.shape)), 64, 255)
    predicted = np.where(wrong, (outcomes.predicted + 1) % 4, outcomes.predicted)
    own = Outcomes((steps * STEP).astype(np.float32), predicted, outcomes.labels, outcomes.weights)
    return int8_cascade.compared(own, outcomes)


def case(seed: int, drop: float = 0.1, **options: Any) -> tuple[Problem, Rules, Design, Outcomes]:
    rng = np.random.default_rng(seed)
    made = instances.make(rng, locations=3, samples=60, weighted=bool(seed % 2))
    objective = Objective(float(made.outcomes.accuracies[-1]), 1.0, budget=(drop))
    problem = made.problem(objective=objective, max_exits=2, **options)
    exits = tuple(sorted(rng.choice(len(made.exits), 2, replace=False).tolist()))
    if made.exits[exits[0]].after == made.exits[exits[1]].after:
        exits = exits[:1]
    design = Design(exits, (0,) * (len(exits) + 1), (0.5,) * len(exits))
    rules = Rules((), {}, {}, 2)
    return problem, rules, design, quantised(rng, made.outcomes.rows(exits))


def fitting(problem: Problem, rules: Rules, design: Design, own: Outcomes) -> Again:
    """Thresholds that just fit, of which nothing is promised."""
    terms = Terms(("none",), 0.05)
    return int8_cascade.sought(
        Goal(points=1), terms, 0, {"choose": problem}, rules, design, SOFTMAX, {"choose": own}
    )


@pytest.mark.parametrize("seed", range(25))
def test_thresholds_are_the_best_there_are(seed: int) -> None:
    """Among all that let some samples go on, within the budget against the given float model."""
    problem, rules, design, own = case(seed)
    costs = np.cumsum(problem.costs.segments(np.array([design.exits]), design.modes).macs[0])

    def cost(thresholds: Sequence[float | None]) -> float:
        at = Passage(own, thresholds).at
        right = float(own.share(own.correct[at, np.arange(own.samples)]))
        leave = own.share(at == np.arange(len(design.exits) + 1)[:, None])
        return float(leave @ costs) if problem.objective.allows(right) else np.inf

    best = min(map(cost, product(*([*np.unique(row)[1:], np.inf] for row in own.confidence[:-1]))))
    if np.isinf(best):
        return
    found = fitting(problem, rules, design, own)
    assert cost(found.thresholds) <= best * (1 + 1e-12)
    assert all(t is None or 0 < t <= 1 - STEP for t in found.thresholds)
    assert found.rows is own and found.promise == nothing(0.01)


def test_a_budget_that_int8_misses_is_told_with_what_would_do() -> None:
    problem, rules, design, own = case(3, drop=0.0)
    own = replace(own, predicted=np.where(np.arange(own.samples) % 5 == 0, -1, own.predicted))
    with pytest.raises(InfeasibleError, match="leave tflite-int8 out of --format") as error:
        fitting(problem, rules, design, own)
    needed = error.value.best
    assert needed is not None and needed > 0
    looser = replace(problem, objective=replace(problem.objective, budget=(needed)))
    fitting(looser, rules, design, own)
    alone, last = Design((), (0,), ()), replace(own, confidence=own.confidence[-1:], predicted=own.predicted[-1:])
    with pytest.raises(InfeasibleError):
        fitting(problem, rules, alone, last)


@pytest.mark.parametrize("kind", ["proven", "expected"])
@pytest.mark.parametrize("wrong", [0.0, 0.2])
def test_a_promise_starts_where_nothing_leaves(wrong: float, kind: str) -> None:
    """The last int8 classifier is not the given model: what it loses itself counts, too."""
    rng = np.random.default_rng(1)
    problem, rules, design, own = case(4, drop=0.05)
    labels = rng.integers(0, 4, 3000)
    good = np.where(rng.random(3000) < wrong, (labels + 1) % 4, labels)
    m = len(design.exits)
    choose = Outcomes(
        rng.choice([0.5, 0.75], (m + 1, 3000)).astype(np.float32),
        np.array([*((labels + 1) % 4 for _ in range(m)), good]), labels, given=labels,
    )  # fmt: skip
    on_choose = replace(
        problem, outcomes=replace(choose, confidence=np.zeros((len(problem.costs.exits) + 1, 3000), np.float32))
    )
    goal, terms = Goal(max_accuracy_drop=0.05, points=1), Terms((kind,), 0.05)
    tasks, answers = {"choose": on_choose, "screen": problem}, {"choose": choose, "screen": own}
    if wrong:
        with pytest.raises(InfeasibleError, match="the int8 stages lose"):
            int8_cascade.sought(goal, terms, 0, tasks, rules, design, SOFTMAX, answers)
        return
    found = int8_cascade.sought(goal, terms, 0, tasks, rules, design, SOFTMAX, answers)
    assert found.promise.kept and found.promise.kind == kind and found.promise.tested >= 1
    at = Passage(choose, found.thresholds).at
    assert (at == m).mean() > 0.9  # early answers are all wrong: nothing may leave that could not be promised


def test_where_even_that_is_not_proven_nothing_leaves_and_it_says_so() -> None:
    problem, rules, design, own = case(4, drop=0.05)
    goal, terms = Goal(max_accuracy_drop=0.05, points=1), Terms(("proven",), 0.05)
    good = replace(own, predicted=np.array([*own.predicted[:-1], own.baseline]))
    tasks, answers = {"choose": problem, "screen": problem}, {"choose": good.only(np.arange(8)), "screen": good}
    tasks["choose"] = replace(problem, outcomes=problem.outcomes.only(np.arange(8)))
    found = int8_cascade.sought(goal, terms, 0, tasks, rules, design, SOFTMAX, answers)
    assert not found.promise.kept and set(found.thresholds) == {None} and found.promise.smallest_drop is not None


def test_pinned_thresholds_stay_and_those_out_of_reach_close() -> None:
    problem, _, design, own = case(8)
    names = [problem.costs.exits[e].location for e in design.exits]
    pins = dict(zip(names, (0.7, 0.999), strict=False))
    grid = problem.grid.copy()
    for e in design.exits:
        grid[e] = pins[problem.costs.exits[e].location]
    loose = replace(problem, grid=grid, objective=replace(problem.objective, budget=(1.0)))
    found = fitting(loose, Rules((), {}, pins, 2), design, own)
    assert [None if t is None else round(t, 5) for t in found.thresholds] == [0.7, None][: len(names)]
    assert len(names) == 2


@pytest.mark.parametrize("threshold", [*(np.arange(1, 256) * STEP), 0.5 + STEP / 2, 0.123, 1e-9])
def test_constants_are_the_thresholds(threshold: float) -> None:
    """q ≥ ceil(256·θ) − 128 where (q + 128) / 256 ≥ θ, for every q."""
    q = np.arange(-128, 128)
    constant = Quantised.constant(float(threshold))
    assert constant is not None
    np.testing.assert_array_equal(q >= constant, (q + 128) / 256 >= np.float32(threshold))


@pytest.mark.parametrize("threshold", [None, 1.0, 255.5 / 256])
def test_nothing_is_above_255_256(threshold: float | None) -> None:
    assert Quantised.constant(threshold) is None


def test_int8_answers() -> None:
    """Confidences on steps whatever they are made of; a probability of 0 does not veto what others are sure of."""
    decision = Quantised("softmax", 3)
    first = np.array([[255, 0, 0], [0, 255, 0]]) / np.float32(256)
    second = np.array([[0, 230, 20], [0, 250, 2]]) / np.float32(256)
    said = combining.combined([first.astype(np.float32), second.astype(np.float32)], (0.2, 1.0), decision)
    confidence, predicted = decision.answers(said)
    np.testing.assert_array_equal(predicted, [1, 1])
    for k in range(2):  # a probability of 0 counts as half a step
        q = np.maximum(first[k], 1 / 512) ** 0.2 * np.maximum(second[k], 1 / 512)
        assert confidence[k] == min(np.floor(256 * q[1] / q.sum() + 0.5), 255) / 256
    assert decision.as_dict() == Decision("softmax", 3).as_dict()
    sure, _ = Quantised("softmax", 3, "entropy").answers(np.array([[1.0, 0, 0]], np.float32))
    assert sure == 255 / 256
    edge, code = Quantised("binary", 2).answers(np.array([[128 / 256], [127 / 256], [0]], np.float32))
    assert edge.tolist() == [128 / 256, 129 / 256, 255 / 256] and code.tolist() == [1, 0, 0]


def test_thresholds_in_the_manifest() -> None:
    file = Int8Stage({}, {}, None)
    stage = StageEntry("0-cpu", "cpu", "x", (3,), "p", None, None, None, "max-softmax", 1, {}, file)
    points = OperatingPoint("default", (0.5,)), OperatingPoint("frugal", (0.4,))
    manifest = Manifest((), Decision("softmax", 3), Preprocessing(), (stage, stage), points)
    point = Point("default", 0.01, (0.75,), None)
    rows = Outcomes(np.zeros((2, 1), np.float32), np.zeros((2, 1), int), np.zeros(1, int))
    entered = int8_cascade.entered(manifest, Again((0.75,), rows, (point,), None)).as_dict()
    unquantised = {"inputs": {}, "outputs": {}, "requantised_from": None}
    assert [entry["int8"] for entry in entered["stages"]] == [
        {**unquantised, "threshold": 0.75, "constant": 64},
        {**unquantised, "threshold": None, "constant": None},
    ]
    assert entered["operating_points"][0]["int8"] == {"thresholds": [0.75], "constants": [64]}
    assert "int8" not in entered["operating_points"][1]  # no thresholds meet its budget


def test_quantisation_rounds_to_even_and_stays_within_int8() -> None:
    made = Quantisation(0.5, 3)
    np.testing.assert_array_equal(
        made.quantised(np.array([0.25, 0.75, 1000, -1000], np.float32)), [3, 5, 127, -128]
    )
    np.testing.assert_array_equal(made.real(np.array([3, 5], np.int8)), [0, 1])


# -- what is asked for -------------------------------------------------------------------------------


def test_formats_bring_what_they_are_made_from() -> None:
    assert settings().running.formats == ("keras", "onnx")
    assert settings(formats=("tflm", "onnx")).running.formats == ("keras", "onnx", "tflite", "tflite-int8", "tflm")
    for name, made_from in FORMATS.items():
        assert list(FORMATS).index(name) > max((list(FORMATS).index(one) for one in made_from), default=-1)


@pytest.mark.parametrize("asked", [("tflit",), ("",), ("keras", "int8")])
def test_unknown_formats_are_refused(asked: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match=r"--format .*: no such format.*there are keras, onnx, tflite"):
        settings(formats=asked)


def test_exits_for_a_class_are_about_the_float_cascade_alone() -> None:
    words = "--target-class is about the float cascade alone: it cannot be combined with --format tflite-int8"
    with pytest.raises(InputError, match=words):
        settings(formats=("tflm",), target_class=("3",))
    settings(formats=("tflite",), target_class=("3",))
    settings(formats=("tflm",), max_class_drop=0.1)


def test_warnings_of_the_int8_cascade() -> None:
    exit_ = {"location": "here", "threshold": 0.999}
    measured, nothing = {"accuracy": 0.8, "samples": 100}, {"exact": {"mean_macs": None}}
    report: dict[str, Any] = {
        "model": {"decision": "softmax"},
        "settings": {"max_accuracy_drop": 0.05, "correction": 1.0, "objective": "macs", "formats": []},
        "baseline": {"choose": {"samples": 1000, "mean_macs": None}, "measured": {"accuracy": 0.9}},
        "design": {
            "exits": [exit_],
            "target": None,
            "measured": {**measured, "accuracy": 0.9},
            "predicted": nothing,
        },
        "promise": {"promise": "none"},
        "int8": {
            "exits": [{**exit_, "threshold": None}],
            "measured": measured,
            "promise": {"promise": "proven", "risk": 0.1},
        },
    }
    closed, missed = cautions.sentences(report)
    assert closed == "int8: nothing leaves at here: no int8 confidence is above 255/256; give a lower threshold"
    assert missed.startswith(
        "int8: the drop on the test set is 10.00 percentage points, more than the 5.00 asked for: "
    )
    assert list(cautions.sentences({**report, "int8": None})) == []
