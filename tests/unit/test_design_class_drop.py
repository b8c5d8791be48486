"""No class may lose more than allowed: the search, the finer thresholds and the guarantee, by brute force."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from against_brute import solved
from brute import Brute, by_class, cascaded
from instances import Instance, correlated, make, random_problem, some_grid

from eeaug.cascade.outcomes import ClassLimit, Outcomes, class_limit
from eeaug.cascade.output import Decision
from eeaug.cascade.passage import Passage
from eeaug.design import refine
from eeaug.design.problem import Rules
from eeaug.design.promise import Opening, Terms
from eeaug.errors import InfeasibleError
from eeaug.report.content import metrics
from eeaug.search import solver, thresholds
from eeaug.search.space import Problem
from eeaug.search.thresholds import NEVER, Objective, of_design
from eeaug.support import quantities

KINDS = {"softmax": Decision("softmax", 4), "multilabel": Decision("multilabel", 2)}
NO_PINS = Rules((), {}, {}, 4)


def limited(outcomes: Outcomes, kind: str, most: float) -> ClassLimit:
    return class_limit(outcomes, KINDS[kind], most)


def random_limit(seed: int, kind: str, **fixed: Any) -> tuple[Instance, Problem]:
    """A search of which no class may lose more than it does in some design: ties at the limit are the rule."""
    instance, problem = random_problem(seed, **fixed)
    free = replace(problem, classes=limited(problem.outcomes, kind, 1.0))
    drops = [d for row in Brute(free, instance.input_elements, kind).rows for d in row.class_drop if d < 0.2]
    most = np.random.default_rng(seed).choice(np.unique(np.round([0.0, *drops], 12)))
    return instance, replace(problem, classes=limited(problem.outcomes, kind, float(most)))


@pytest.mark.parametrize("independent", [True, False], ids=["independent", "exact"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_solver_is_brute_force_where_classes_are_limited(kind: str, independent: bool) -> None:
    binding = exits = pinned = 0
    for seed in range(60):
        instance, problem = random_limit(seed, kind, independent=independent, weighted=bool(seed % 2))
        brute = Brute(problem, instance.input_elements, kind)
        result = solved(problem, brute, seed)
        if result is None:
            continue
        free, key = solver.solve(replace(problem, classes=None)).settled.key, result.settled.key
        assert free is not None and key is not None
        binding += free[0] < key[0] * (1 - 1e-9)
        exits += len(result.design.exits) > 0
        pinned += bool(problem.pinned)
    assert binding >= 5
    assert exits >= 10
    assert pinned >= 5


def test_of_many_exits_those_within_the_limit_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solver, "SETTLED_PER_COUNT", 1)
    seen = 0
    for seed in range(100, 140):
        instance, problem = random_limit(seed, "softmax")
        try:
            result = solver.solve(problem)
        except InfeasibleError:
            continue
        rows = Brute(problem, instance.input_elements).rows
        key = result.design.exits, result.design.modes
        row = next(row for row in rows if (row.exits, row.modes) == key)
        config = next(i for i, each in enumerate(row.thresholds) if of_design(each) == result.design.thresholds)
        assert result.settled.key is not None
        assert row.value[config] == pytest.approx(result.settled.key[0], rel=1e-9)  # not infinite
        seen += not result.complete
    assert seen >= 5


def within(outcomes: Outcomes, kind: str, config: tuple[float | None, ...], most: float, independent: bool) -> bool:
    """By definition, class by class."""
    m = len(config)
    counts = np.ones(outcomes.samples) if outcomes.weights is None else outcomes.weights
    leaves = (outcomes.confidence[:m] >= np.array(config, np.float32)[:, None])[None]
    for own, right in by_class(outcomes, kind):
        if own.any():
            _, mine = cascaded(leaves, right, counts * own, independent=independent)
            given = (right[m] * counts * own).sum() / (counts * own).sum()
            if given - mine[0] > most + 1e-9:
                return False
    return True


@pytest.mark.parametrize("independent", [False, True], ids=["exact", "independent"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_shortest_path_is_the_best_configuration_within_the_limit(kind: str, independent: bool) -> None:
    missed = binding = 0
    for seed in range(50):
        rng = np.random.default_rng(seed)
        exits = int(rng.integers(1, 4))
        outcomes = correlated(rng, exits, 24)
        if seed % 3 == 0:
            outcomes = replace(outcomes, weights=rng.uniform(0.2, 3.0, 24))
        grid = some_grid(rng, outcomes, 4)
        grid = grid[:, :-1] if seed % 2 else grid  # without never the limit can be out of reach
        costs = rng.uniform(1, 10, exits + 1)
        objective = Objective(float(outcomes.accuracies[-1]), 1.0, budget=(float(rng.choice([0.1, 1.0]))))
        most = float(rng.choice([0.0, 0.1, 0.2]))
        values, any_drop = [], []
        for config in product(*grid):
            counts = np.ones(24) if outcomes.weights is None else outcomes.weights
            leaves = (outcomes.confidence[:exits] >= np.array(config)[:, None])[None]
            reach, accuracy = cascaded(leaves, outcomes.correct, counts, independent=independent)
            if accuracy[0] >= objective.base_accuracy - (objective.budget if objective.budget else 0) - 1e-9:
                any_drop.append(float(reach[0] @ costs))
                if within(outcomes, kind, config, most, independent):
                    values.append(float(reach[0] @ costs))
        network = thresholds.graph(
            outcomes, grid, costs, objective, independent=independent, classes=limited(outcomes, kind, most)
        )
        found = thresholds.solve(network)
        missed += found is None
        assert (found is None) == (not values), seed
        if found is not None:
            assert found[0] == pytest.approx(min(values)), seed
            assert within(outcomes, kind, found[1], most, independent)
            binding += min(any_drop) < min(values) - 1e-9
    assert missed >= 2
    assert binding >= 8


def test_prefixes_that_err_in_other_classes_are_not_one_node() -> None:
    # the first two samples leave at the first exit, which is wrong about class 0, or at the second, about class 1
    labels = np.array([0, 1, 0, 1, 1, 1])
    confidence = np.array([[0.9, 0.9, 0.2, 0.2, 0.2, 0.2]] * 2 + [[1.0] * 6], dtype=np.float32)
    predicted = np.array([[1, 1, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1], labels])
    outcomes = Outcomes(confidence, predicted, labels)
    grid = np.array([[0.5, NEVER]] * 2, dtype=np.float32)
    objective = Objective(1.0, 1.0, budget=(0.5))

    def best(most: float) -> tuple[float, ...]:
        limit = limited(outcomes, "softmax", most)
        _, chosen = thresholds.solve(thresholds.graph(outcomes, grid, [1, 1, 9], objective, classes=limit)) or (
            0,
            (),
        )
        return tuple(map(float, chosen))

    assert best(0.5)[0] == 0.5  # half of class 0
    assert best(0.3) == (np.inf, 0.5)  # a quarter of class 1
    assert best(0.2) == (np.inf, np.inf)


def rows_of(design_exits: tuple[int, ...], problem: Problem) -> tuple[Outcomes, ClassLimit]:
    assert problem.classes is not None
    return problem.outcomes.rows(design_exits), problem.classes.rows(design_exits)


@pytest.mark.parametrize("kind", KINDS)
def test_finer_thresholds_stay_within_the_limit(kind: str) -> None:
    finer = other = 0
    for seed in range(40):
        _, problem = random_limit(seed, kind, independent=False, pinned={}, max_exits=2)
        try:
            result, design = refine.choose(problem, NO_PINS)
        except InfeasibleError:
            continue
        if not design.exits or problem.classes is None:
            continue
        rows, limit = rows_of(design.exits, problem)
        assert within(rows, kind, design.thresholds, limit.most, False), seed
        finer += design.thresholds != result.design.thresholds
        free = refine.refined(replace(problem, classes=None), NO_PINS, result.design)
        assert free is not None
        other += not within(rows, kind, free.thresholds, limit.most, False)
    assert finer >= 5
    assert other >= 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("promise", ["proven", "expected"])
def test_what_is_promised_holds_of_every_class_too(kind: str, promise: str) -> None:
    """As far as the budget alone allows, but no step of which a class may lose more."""
    less = kept = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        outcomes = correlated(rng, 1, 4000)
        steps = tuple((float(t),) for t in np.quantile(outcomes.confidence[0], np.linspace(0.95, 0.05, 19)))
        free = Opening(steps, outcomes, np.array([1.0, 9.0]), 9.5, KINDS[kind])
        terms = Terms((promise,), 0.1)
        whole, _ = free.promised(terms, 0.2, 0)
        index, said = replace(free, class_drop=0.04).promised(terms, 0.2, 0)
        assert whole is not None and (index is None or index <= whole)
        less += index is None or index < whole
        if index is not None:
            kept += said.kept
            assert within(outcomes, kind, steps[index], 0.04, False)
    assert less >= 5 and kept >= 3


@pytest.mark.parametrize("decision", [*KINDS.values(), Decision("binary", 2)], ids=lambda d: d.kind)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_drop_of_classes_is_that_of_the_report(decision: Decision, weighted: bool) -> None:
    for seed in range(10):
        instance = make(np.random.default_rng(seed), locations=3, weighted=weighted)
        outcomes = instance.outcomes.rows([0, 1])
        if decision.kind == "binary":
            outcomes = replace(outcomes, predicted=outcomes.predicted % 2, labels=outcomes.labels % 2)
        at = [float(instance.grid[0, 0]), float(instance.grid[1, 0])]
        segments = instance.problem(objective=Objective(0.5, 1.0)).costs.segments(np.array([[0, 1]]), (0, 0, 0))
        names = tuple(map(str, range(4)))
        passage = Passage(outcomes, at)
        report = metrics.counted(passage, segments, split="choose", decision=decision, classes=names)
        drops = class_limit(outcomes, decision, 0.0).drops(passage.at)
        assert drops.max() == pytest.approx(report["worst_class"]["drop"], abs=1e-12)


def test_classes_that_no_sample_has_or_that_weigh_nothing_are_left_out() -> None:
    confidence = np.ones((1, 4), np.float32)
    labels = np.array([3, 1, 1, 0])
    outcomes = Outcomes(confidence, labels[None], labels, np.array([1.0, 1.0, 1.0, 0.0]))
    assert len(limited(outcomes, "softmax", 0.0).first) == 2
    assert limited(outcomes, "softmax", 0.0).share.tolist() == [0.5, 0.5, 1.0]
    none = replace(outcomes, labels=np.array([2, 0, 2, 0]))
    assert len(limited(none, "multilabel", 0.0).first) == 1


def pinned_without_never(seed: int, kind: str, independent: bool, **limits: Any) -> tuple[Instance, Problem]:
    """As ``--exit-at`` and ``--threshold`` make it: an exit that lets samples leave whatever they lose."""
    instance = make(np.random.default_rng(seed), locations=3, thresholds=3)
    instance = replace(instance, grid=instance.grid[:, :-1])
    problem = instance.problem(
        objective=Objective(float(instance.outcomes.accuracies[-1]), 1.0, budget=(limits["drop"])),
        pinned={instance.exits[0].location: None},
        classes=limited(instance.outcomes, kind, limits["most"]),
        max_exits=2,
        independent=independent,
    )
    return instance, problem


@pytest.mark.parametrize("independent", [True, False], ids=["independent", "exact"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_limit_that_must_give_way_is_named_and_what_would_fit_fits(kind: str, independent: bool) -> None:
    seen: dict[str, int] = {}
    for seed, drop, most in product(range(12), (0.0, 0.15, 1.0), (0.0, 0.1, 1.0)):
        instance, problem = pinned_without_never(seed, kind, independent, drop=drop, most=most)
        rows = Brute(problem, instance.input_elements, kind).rows
        accuracy, lost = (
            np.concatenate([getattr(row, name) for row in rows]) for name in ("accuracy", "class_drop")
        )
        drops = problem.objective.base_accuracy - accuracy
        if ((drops <= drop + 1e-9) & (lost <= most + 1e-9)).any():
            solver.solve(problem)
            continue
        with pytest.raises(InfeasibleError) as caught:
            solver.solve(problem)
        error, text = caught.value, str(caught.value)
        assert "\n" not in text
        if (drops <= drop + 1e-9).any():
            name, least, given = "max_class_drop", lost[drops <= drop + 1e-9].min(), most
        elif (lost <= most + 1e-9).any():
            name, least, given = "max_accuracy_drop", drops[lost <= most + 1e-9].min(), drop
        else:
            name, least, given = "max_accuracy_drop", None, drop
        seen[name if least is not None else "both"] = seen.get(name if least is not None else "both", 0) + 1
        assert (error.limit, error.given) == (name, given)
        typed = {
            option: quantities.parse(v, quantities.DROP)
            for option, v in re.findall(r"--max-(class|accuracy)-drop ([0-9.]+%?) would", text)
        }
        if least is None:
            assert error.best is None
            pairs = re.findall(r"--max-(class|accuracy)-drop [0-9.e-]+ \(([0-9.]+%?) needed\)", text)
            typed = {option: quantities.parse(v, quantities.DROP) for option, v in pairs}
            assert set(typed) == {"class", "accuracy"}
        else:
            assert error.best == pytest.approx(least)
            assert len(typed) == 1
        wider = replace(problem.objective, budget=(typed.get("accuracy", drop)))
        looser = limited(instance.outcomes, kind, typed.get("class", most))
        solver.solve(replace(problem, objective=wider, classes=looser))
    assert set(seen) == {"max_class_drop", "max_accuracy_drop", "both"}, seen


def test_without_exits_nothing_is_lost() -> None:
    instance = make(np.random.default_rng(3), weighted=True)
    problem = instance.problem(
        objective=Objective(float(instance.outcomes.accuracies[-1]), 1.0, budget=(0.0)),
        classes=limited(instance.outcomes, "softmax", 0.0),
        max_exits=0,
    )
    assert solver.solve(problem).design.exits == ()
    assert (
        limited(instance.outcomes, "softmax", 0.0)
        .rows([0])
        .drops(Passage(instance.outcomes.rows([0]), [None]).at)
        .tolist()
        == [0.0] * 4
    )
