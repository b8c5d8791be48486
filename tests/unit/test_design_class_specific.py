"""``--target-class``: the choice by gain over loss, a bundle that keeps its word."""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from instances import Instance, make

from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.passage import Passage
from eeaug.design import class_specific
from eeaug.design.problem import Rules
from eeaug.errors import InfeasibleError, InputError
from eeaug.heads.specific import Specific
from eeaug.search.placing import architectures, placements
from eeaug.search.space import Design, Problem
from eeaug.search.thresholds import NEVER, Objective
from eeaug.settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # TF on NumPy 2


# -- the choice ------------------------------------------------------------------------------------------


def instance(rng: np.random.Generator) -> tuple[Instance, Specific]:
    """Exits that are sure of class 1 only, more often rightly than not."""
    made = make(rng, locations=3, thresholds=3, samples=120, known=True)
    outcomes, specific = made.outcomes, Specific((1,), 4)
    confidence, predicted = outcomes.confidence.copy(), outcomes.predicted.copy()
    hit = outcomes.labels == 1
    for k in range(len(confidence) - 1):
        sure = np.where(hit, rng.random(120) < 0.6, rng.random(120) < 0.03)
        confidence[k] = np.where(sure, rng.uniform(0.95, 1, 120), rng.uniform(0.3, 0.9, 120))
        predicted[k] = np.where(sure, 1, 0)
    return replace(made, outcomes=replace(outcomes, confidence=confidence, predicted=predicted)), specific


def brute_force(task: Problem, specific: Specific, grid: np.ndarray) -> float:
    """The smallest product of both means of all viable designs, counted sample by sample; infinite without any."""
    outcomes, best = task.outcomes, np.inf
    labels, target = outcomes.labels, outcomes.labels == specific.classes[0]
    given = outcomes.predicted[-1] == labels
    beta, eta = given[~target].mean(), given[target].mean()
    for m in range(1, task.max_exits + 1):
        for arch in architectures(task, m):
            for limits in product(*(grid[e] for e in arch)):
                at = np.full(len(labels), m)
                for k in reversed(range(m)):
                    at[outcomes.confidence[arch[k]] >= limits[k]] = k
                said = outcomes.predicted[[*arch, -1]][at, np.arange(len(labels))]
                right = said == labels
                if not (at == m)[~target].any() or right[(at == m) & ~target].mean() < beta - 1e-9:  # (5)
                    continue
                binary = [((at == k) == target)[at >= k].mean() for k in range(m)]
                if min(binary) < eta - 1e-9 or right[target].mean() < eta - 1e-9:  # (6), (7)
                    continue
                budget = task.objective.budget
                if budget is not None and right.mean() < task.objective.base_accuracy - budget - 1e-9:
                    continue
                for sequence in placements(task, m):
                    segments = task.costs.segments(arch[None], sequence)
                    if any(over[0] > 0 for over in task.excess(segments).values()):
                        continue
                    spent = np.cumsum(task.cost_of(segments)[0])[at]
                    if spent[target].mean() < task.objective.base_cost:
                        best = min(best, spent[target].mean() * spent[~target].mean())
    return float(best)


def specific_task(seed: int, cost: str) -> tuple[Problem, Specific]:
    made, specific = instance(np.random.default_rng(seed))
    costs = made.problem(objective=Objective(0.5, 1.0, None)).costs
    whole = costs.segments(np.zeros((1, 0), np.intp), (0,))
    base = float(whole.macs.sum() if cost == "macs" else whole.time_s.sum())
    accuracy = float((made.outcomes.predicted[-1] == made.outcomes.labels).mean())
    budget = [None, (0.02)][seed % 2]
    return made.problem(objective=Objective(accuracy, base, budget), cost=cost, max_exits=2), specific


def least(task: Problem, alpha: float = 0.95) -> np.ndarray:
    return np.full(len(task.costs.exits), alpha)


def settled(task: Problem, specific: Specific) -> tuple[class_specific._Best, float]:
    """The best design on coarse thresholds alone, and what it is by replay of every configuration."""
    grid = class_specific._grid(task, Rules((), {}, {}, 2), 4, least(task))
    assert (grid >= np.float32(0.95)).all() and (grid[:, -1] == NEVER).all()
    best = class_specific._Best()
    for m in (1, 2):
        class_specific._settle(task, specific, architectures(task, m), grid, best)
    return best, brute_force(task, specific, grid)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("cost", ["macs", "latency"])
def test_the_best_gain_over_loss(seed: int, cost: str) -> None:
    best, expected = settled(*specific_task(seed, cost))
    assert best.key[0] == pytest.approx(expected)
    assert (best.design is None) == np.isinf(expected)


def leaving(task: Problem, design: Design) -> np.ndarray:
    """The position of the classifier that each sample leaves at."""
    at = np.full(len(task.outcomes.labels), len(design.exits))
    for k in reversed(range(len(design.exits))):
        limit = design.thresholds[k]
        at[task.outcomes.confidence[design.exits[k]] >= (NEVER if limit is None else limit)] = k
    return at


def test_the_best_of_three_exits(monkeypatch: pytest.MonkeyPatch) -> None:
    """All are looked at here, as pairs are no more than class_specific.BEST."""
    monkeypatch.setattr(class_specific, "FINE", 1)  # the thresholds of the first search
    three = 0
    for seed in range(30):
        task, specific = specific_task(seed, "macs")
        task = replace(task, max_exits=3, objective=replace(task.objective, budget=None))
        rules = Rules((), {}, {}, 3)
        expected = brute_force(task, specific, class_specific._grid(task, rules, task.thresholds, least(task)))
        result, design = class_specific.choose(task, rules, specific, 0.95)
        assert result.complete == (not design.exits) and bool(design.exits) == np.isfinite(expected)
        if not design.exits:
            continue
        assert result.architectures == sum(len(architectures(task, m)) for m in (1, 2, 3))
        segments = task.segments(np.array([design.exits]), design.modes)
        spent, target = (
            np.cumsum(task.cost_of(segments)[0])[leaving(task, design)],
            specific.hits(task.outcomes.labels),
        )
        assert spent[target].mean() * spent[~target].mean() == pytest.approx(expected)
        three += len(design.exits) == 3
    assert three >= 3, three


def test_of_equal_gains_over_loss_the_least_energy_is_taken_then_the_least_latency() -> None:
    """MACs are the same on all processors; an energy is unknown, and worst, where the power of one of them is."""
    decided = {"energy": 0, "latency": 0, "known": 0}
    for seed in range(150):
        made, specific = instance(np.random.default_rng(seed))
        unknown = [(), range(3), range(1)][seed % 3]
        processors = [
            replace(p, active_power_w=None) if i in unknown else p for i, p in enumerate(made.hardware.processors)
        ]
        made = replace(made, hardware=replace(made.hardware, processors=tuple(processors)))
        base = float(made.problem(objective=Objective(0.5, 1.0, None)).costs.total_macs)
        task = made.problem(objective=Objective(0.5, base, None), max_exits=2)
        best = class_specific._Best()
        grid = class_specific._grid(task, Rules((), {}, {}, 2), 4, least(task))
        for m in (1, 2):
            class_specific._settle(task, specific, architectures(task, m), grid, best)
        if best.design is None:
            continue
        at, means = leaving(task, best.design), {}
        for on in placements(task, len(best.design.exits)):
            segments = task.segments([best.design.exits], on)
            energy, latency = (np.cumsum(of[0])[at].mean() for of in (segments.energy_j, segments.time_s))
            means[on] = (np.inf if np.isnan(energy) else energy, latency)
            if on == best.design.modes:
                worst = float(segments.worst_latency_s[0])
        chosen = means[best.design.modes]
        assert best.key[1:] == pytest.approx((*chosen, worst), rel=1e-9), "of all samples, each counted once"
        assert chosen[0] == pytest.approx(min(energy for energy, _ in means.values()), rel=1e-9)
        rest = [latency for energy, latency in means.values() if energy == chosen[0]]
        assert chosen[1] == pytest.approx(min(rest), rel=1e-9)
        others = [energy for energy, _ in means.values() if energy > chosen[0] * 1.01]
        decided["energy"] += bool(np.isfinite(others).any())
        decided["known"] += bool(np.isinf(others).any())
        decided["latency"] += max(rest) > chosen[1] * 1.01
    assert min(decided.values()) >= 3, decided


def test_the_best_gain_over_loss_within_limits() -> None:
    """Of time and of memory, that what is best without them just meets, and just misses."""
    others = 0
    for seed in range(20):
        task, specific = specific_task(seed, "macs")
        free, _ = settled(task, specific)
        if free.design is None:
            continue
        segments = task.segments([free.design.exits], free.design.modes)
        used = {name: int(most[0]) for name, most in task.costs.memory_bytes(segments).items()}
        for short in (0, 1):
            memories = task.costs.hardware.memories
            small = copy.copy(task.costs)
            small.hardware = replace(
                small.hardware, memories=tuple(replace(m, bytes=used[m.name] - short) for m in memories)
            )
            latency = float(segments.worst_latency_s[0]) * (1 - short / 1000)
            for limited in (replace(task, max_latency_s=latency), replace(task, costs=small)):
                best, expected = settled(limited, specific)
                assert best.key[0] == pytest.approx(expected)
                assert (best.design == free.design) == (not short)
                assert sum(best.rejected.values()) > 0 or not short
                others += short and best.design is not None
    assert others >= 4, "or the limits leave nothing"


def alone(task: Problem, specific: Specific, exit_: int, threshold: float) -> bool:
    """Whether (5) to (7) and the budget hold with this exit and no other, sample by sample."""
    outcomes, target = task.outcomes, specific.hits(task.outcomes.labels)
    leaves = outcomes.confidence[exit_] >= np.float32(threshold)
    right = np.where(leaves, outcomes.predicted[exit_], outcomes.predicted[-1]) == outcomes.labels
    given = outcomes.predicted[-1] == outcomes.labels
    beta, eta = given[~target].mean(), given[target].mean()
    budget, base = task.objective.budget, task.objective.base_accuracy
    return bool(
        (~leaves & ~target).any()
        and right[~leaves & ~target].mean() >= beta - 1e-9
        and (leaves == target).mean() >= eta - 1e-9
        and right[target].mean() >= eta - 1e-9
        and (budget is None or right.mean() >= base - budget - 1e-9)
    )


def test_thresholds_begin_where_an_exit_alone_keeps_the_limits() -> None:
    """As low as samples allow."""
    inside = 0
    for seed in range(12):
        task, specific = specific_task(seed, "macs")
        outcomes, rng = task.outcomes, np.random.default_rng(seed)  # sure of class 1 from one half on
        hit = outcomes.labels == 1
        confidence = np.where(hit, rng.uniform(0.45, 1, (len(task.costs.exits), 120)), rng.uniform(0, 0.6, 120))
        predicted = np.where(confidence > 0.5, 1, 0)
        confidence = np.concatenate([confidence, outcomes.confidence[-1:]]).astype(np.float32)
        predicted = np.concatenate([predicted, outcomes.predicted[-1:]])
        task = replace(task, outcomes=replace(outcomes, confidence=confidence, predicted=predicted))
        for exit_, begin in enumerate(class_specific._least(task, Rules((), {}, {}, 2), specific)):
            confidence = task.outcomes.confidence[exit_]
            tried = [0.5, *np.unique(confidence[(confidence >= 0.5) & (confidence < 1)])]
            viable = [value for value in tried if alone(task, specific, exit_, value)]
            leave = confidence >= np.float32(begin)
            np.testing.assert_array_equal(leave, confidence >= np.float32(min(viable, default=0.5)))
            inside += 0.5 < begin < NEVER
    assert inside >= 4, inside


def test_some_instances_have_a_design() -> None:
    """Or the test above compares nothing with nothing."""
    found = 0
    for seed in range(12):
        made, specific = instance(np.random.default_rng(seed))
        task = made.problem(
            objective=Objective(
                0.5, float(made.problem(objective=Objective(0.5, 1.0, None)).costs.total_macs), None
            )
        )
        result, design = class_specific.choose(task, Rules((), {}, {}, 1), specific)
        assert result.design == design
        found += bool(design.exits)
    assert found >= 4


def test_exits_that_there_must_be_are_not_left_out() -> None:
    found = 0
    for seed in range(12):
        made, specific = instance(np.random.default_rng(seed))
        base = float(made.problem(objective=Objective(0.5, 1.0, None)).costs.total_macs)
        task = made.problem(objective=Objective(0.5, base, None), pinned={made.exits[0].location: None})
        try:
            design = class_specific.choose(task, Rules((), task.pinned, {}, 1), specific)[1]
        except InfeasibleError as error:
            assert "--exit-at" in str(error)
            continue
        assert made.exits[design.exits[0]].location == made.exits[0].location
        found += 1
    assert 0 < found < 12


def test_rejections_are_those_of_the_first_search() -> None:
    """The second one, on finer thresholds, looks at the placements of its architecture again."""
    chosen_is_rejected_elsewhere = 0
    for seed in range(40):
        made, specific = instance(np.random.default_rng(seed))
        costs = made.problem(objective=Objective(0.5, 1.0, None)).costs
        task = made.problem(objective=Objective(0.5, float(costs.total_macs), None))
        archs, sequences = architectures(task, 1), list(placements(task, 1))
        worst = np.array([costs.segments(archs, sequence).worst_latency_s for sequence in sequences])
        task = replace(task, max_latency_s=float(np.median(worst)))
        try:
            result, design = class_specific.choose(task, Rules((), {}, {}, 1), specific)
        except InfeasibleError:
            continue
        if not design.exits:
            continue
        over = worst > task.max_latency_s * (1 + 1e-12)
        assert result.settled.rejected["latency"] == over.sum()
        chosen_is_rejected_elsewhere += over[:, design.exits[0]].any()
    assert chosen_is_rejected_elsewhere, "or the test tests nothing"


def test_a_head_that_reaches_back_stands_first() -> None:
    for seed in range(20):
        made, specific = instance(np.random.default_rng(seed))
        exits = tuple(replace(e, head="dense-connection-average") for e in made.exits)
        made = replace(made, exits=exits)
        base = float(made.problem(objective=Objective(0.5, 1.0, None)).costs.total_macs)
        task = made.problem(objective=Objective(0.5, base, None), max_exits=2)
        assert len(class_specific.choose(task, Rules((), {}, {}, 2), specific)[1].exits) <= 1


def test_figures_by_hand() -> None:
    """Eight samples, one exit: three of the target leave, one of them is none."""
    labels = np.array([1, 1, 1, 1, 0, 0, 2, 2])
    outcomes = Outcomes(
        confidence=np.array([[0.99, 0.96, 0.5, 0.4, 0.97, 0.2, 0.2, 0.2], [0.9] * 8], np.float32),
        predicted=np.array([[1, 1, 1, 1, 1, 0, 0, 0], [1, 0, 1, 0, 2, 0, 2, 2]]),
        labels=labels,
    )
    costs = {"macs": (np.array([2.0, 8.0]), 9.0), "latency": (np.array([np.nan, 1.0]), 1.0)}
    facts = class_specific.figures(Specific((1,), 4), Passage(outcomes, [0.95]), costs, ["a", "b", "c", "d"])
    assert facts["given"] == {"others_accuracy": 0.75, "target_accuracy": 0.5, "precision": 1.0}
    assert facts["others_accuracy_at_output"] == 1.0  # (5): of three that reach it
    assert facts["target_accuracy"] == 0.75  # (7): two at the exit, one of two at the output
    (exit_,) = facts["exits"]
    assert (exit_["true_positives"], exit_["false_positives"], exit_["gamma"]) == (2, 1, 0.75)  # (4)
    assert exit_["precision"] == pytest.approx(2 / 3)
    assert exit_["accuracy"] == 5 / 8  # (6): two taken rightly, three left rightly
    macs = facts["costs"]["macs"]
    assert macs["gain"] == 9 / 6 and macs["loss"] == pytest.approx(8 / 9)
    assert macs["gain_by_equation_11"] == 9 / (2 + 0.25 * 8)
    assert facts["costs"]["latency"] is None
    assert [(c["class"], c["given"], c["at_output"], c["at_exits"]) for c in facts["false_negatives"]] == [
        ("a", 1, 0, 1), ("b", 2, 1, 0), ("c", 0, 0, 0),
    ]  # fmt: skip


def test_the_gain_of_two_exits_by_hand() -> None:
    """Equation (11) from the last exit back: 2 + 1/2 · (3 + 1/2 · 8)."""
    outcomes = Outcomes(
        confidence=np.array([[0.99, 0.99, 0.1, 0.1, 0.1], [0.1, 0.1, 0.99, 0.1, 0.1], [0.9] * 5], np.float32),
        predicted=np.array([[1] * 5, [1] * 5, [1, 1, 1, 1, 0]]),
        labels=np.array([1, 1, 1, 1, 0]),
    )
    costs = {"macs": (np.array([2.0, 3.0, 8.0]), 12.0)}
    facts = class_specific.figures(Specific((1,), 4), Passage(outcomes, [0.95, 0.95]), costs, ["a", "b", "c", "d"])
    assert [exit_["gamma"] for exit_ in facts["exits"]] == [0.5, 0.5]
    found = facts["costs"]["macs"]
    assert found["gain"] == 12 / ((2 + 2 + 5 + 13) / 4) and found["loss"] == 13 / 12
    assert found["gain_by_equation_11"] == 12 / (2 + 0.5 * (3 + 0.5 * 8))


# -- the command -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [{"risk": 0.1}, {"finetune": 1}, {"max_class_drop": 0.1}, {"scoring": "independent"}, {"confidence": "margin"}],
)
def test_what_contradicts_it_is_refused(other: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="--target-class chooses"):
        Settings.of(model=Path("m.h5"), hardware="psoc6", target_class=("1",), **other)
