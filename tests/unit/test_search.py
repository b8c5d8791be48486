"""The search against brute force on random instances, and what it says when nothing fits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from against_brute import solved
from brute import Brute
from instances import make, random_pins, random_problem
from random_parts import PLENTY

from eeaug.cascade.tables import Tables
from eeaug.errors import InfeasibleError
from eeaug.hardware import Link, Memory
from eeaug.search import settle, solver
from eeaug.search.placing import architectures, count_architectures, neighbours
from eeaug.search.thresholds import Objective


@pytest.mark.parametrize("independent", [True, False], ids=["independent", "exact"])
def test_the_solver_is_brute_force_on_200_random_instances(independent: bool) -> None:
    infeasible = limited = exits = several = 0
    for seed in range(200):
        instance, problem = random_problem(seed, independent=independent)
        brute = Brute(problem, instance.input_elements)
        result = solved(problem, brute, seed)
        if result is None:
            infeasible += 1
            continue
        assert result.complete
        limited += brute.limits_bind()
        exits += len(result.design.exits) > 0
        several += len(result.design.exits) > 1
    # the instances are worth their name: limits bind, some leave nothing, exits pay off
    assert infeasible >= 5
    assert limited >= 30
    assert exits >= 100
    assert several >= 30


def test_settling_in_small_portions_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    passed_over, looked_at, of = 0, [0], Tables.of

    def counted_of(tables: Tables, rows: Any) -> Tables:
        looked_at[0] += len(rows)
        return of(tables, rows)

    for seed in range(60):
        _, problem = random_problem(seed, locations=5, max_exits=2)
        try:
            whole = solver.solve(problem)
        except InfeasibleError:
            continue
        with monkeypatch.context() as patch:
            patch.setattr(settle, "_ARCHITECTURES", 3)
            patch.setattr(settle, "_BLOCK", 1)
            patch.setattr(Tables, "of", counted_of)
            looked_at[0] = 0
            small = solver.solve(problem)
        assert small.design == whole.design, seed
        assert small.fronts == whole.fronts
        counted = vars(whole.settled)
        for name in ("key", "architectures", "placements", "configurations", "rejected", "best_accuracy"):
            assert getattr(small.settled, name) == counted[name], (seed, name)
        passed_over += looked_at[0] < small.settled.placements
    assert passed_over >= 20  # what cannot be the best is not looked at


def test_weighted_samples_are_counted_in_the_search() -> None:
    several = 0
    for seed in range(60):
        instance, problem = random_problem(seed, weighted=True, max_exits=2)
        brute = Brute(problem, instance.input_elements)
        expected = brute.best()
        if expected is None:
            continue
        result = solver.solve(problem)
        assert result.settled.key is not None
        assert result.settled.key[0] == pytest.approx(expected, rel=1e-9), seed
        several += len(result.design.exits) > 0
    assert several >= 20


def test_settling_one_label_per_count_still_finds_the_independent_optimum(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(solver, "SETTLED_PER_COUNT", 1)
    by_labels = 0
    for seed in range(320, 400):
        instance, problem = random_problem(seed, independent=True)
        if problem.max_exits < 3:
            continue
        best = Brute(problem, instance.input_elements).best()
        if best is None:
            with pytest.raises(InfeasibleError):
                solver.solve(problem)
            continue
        result = solver.solve(problem)
        by_labels += len(result.design.exits) > 2 and not result.complete
        assert result.settled.key is not None
        assert result.settled.key[0] == pytest.approx(best, rel=1e-9), seed
    assert by_labels >= 2


def test_a_search_that_settled_not_all_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    instance = make(np.random.default_rng(0), locations=5, thresholds=2)
    problem = instance.problem(objective=Objective(0.5, 1.0, budget=(0.1)), max_exits=3)
    result = solver.solve(problem)
    assert result.complete
    assert result.architectures == sum(count_architectures(problem, m) for m in range(4))
    assert result.settled.architectures == result.architectures
    monkeypatch.setattr(solver, "SETTLED_PER_COUNT", 1)
    short = solver.solve(problem)
    assert not short.complete
    assert short.architectures == result.architectures
    few = sum(count_architectures(problem, m) for m in range(3)) + 1
    assert few <= short.settled.architectures <= few + count_architectures(problem, 3) - 1


@pytest.mark.parametrize("max_exits", [3, 4])
def test_what_is_one_exit_away_from_the_best_is_settled_beyond_the_independent_front(
    max_exits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    optimum = better = harder = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        instance = make(rng, locations=7, thresholds=2, samples=150)
        objective = Objective(float(instance.outcomes.accuracies[-1]), 1.0, budget=(0.03))
        pins = random_pins(rng, instance)
        problem = instance.problem(objective=objective, max_exits=max_exits, pinned=pins)
        try:
            whole = solver.solve(problem)
        except InfeasibleError:
            continue
        with monkeypatch.context() as patch:
            patch.setattr(solver, "SETTLED_PER_COUNT", 1)
            climbed = solver.solve(problem)
            assert solver.solve(problem).design == climbed.design
            patch.setattr(solver, "_ROUNDS", 0)
            front = solver.solve(problem)
        best, found, alone = (each.settled.key for each in (whole, climbed, front))
        assert best is not None and found is not None and alone is not None
        assert best <= found <= alone, seed
        assert climbed.settled.architectures <= whole.settled.architectures
        if not front.complete and best < alone:
            harder += 1
            better += found < alone
            optimum += found == best
    assert harder >= 5
    assert better > harder / 2
    assert optimum > harder / 2, (optimum, harder)


def test_neighbours_are_those_one_exit_away() -> None:
    seen = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        instance = make(rng)
        problem = instance.problem(objective=Objective(0.5, 1.0, budget=(0.1)), pinned=random_pins(rng, instance))
        for of in range(1, 4):
            for m in range(max(1, of - 1), of + 2):
                for arch in architectures(problem, of).tolist():
                    common = [len(set(arch) & set(other)) for other in architectures(problem, m).tolist()]
                    expected = architectures(problem, m)[[c == min(of, m) - (of == m) for c in common]]
                    near = neighbours(problem, tuple(arch), m)
                    assert sorted(near.tolist()) == expected.tolist()
                    seen += len(near)
    assert seen > 500


def test_the_front_is_undominated_and_reaches_from_the_most_accurate_to_the_cheapest() -> None:
    instance = make(np.random.default_rng(5), locations=4, thresholds=3)
    problem = instance.problem(objective=Objective(0.5, 1.0, budget=(0.1)), max_exits=2)
    front = solver.solve(problem).fronts["macs"]
    accuracies, macs = [a for _, a, _ in front], [c for _, _, c in front]
    assert accuracies == sorted(set(accuracies), reverse=True)
    assert macs == sorted(set(macs), reverse=True)
    rows = Brute(problem, instance.input_elements).rows
    assert accuracies[0] == pytest.approx(max(row.accuracy.max() for row in rows))
    # without a budget the objective is the mean of MACs
    free = instance.problem(objective=Objective(0.5, 1.0, budget=(1.0)), max_exits=2)
    assert macs[-1] == pytest.approx(Brute(free, instance.input_elements).best())


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("cost", ["latency", "energy"])
def test_the_fronts_of_latency_and_energy_are_those_of_all_placements(seed: int, cost: str) -> None:
    instance = make(np.random.default_rng(seed), locations=3, thresholds=3)
    problem = instance.problem(objective=Objective(0.5, 1.0, budget=(1.0)), max_exits=2)
    points: list[tuple[float, float]] = []
    for row in Brute(problem, instance.input_elements).rows:
        means = row.mean_latency_s if cost == "latency" else row.mean_energy_j
        if row.fits(problem):
            pairs = zip(row.accuracy.ravel().tolist(), means.ravel().tolist(), strict=True)
            points += [(accuracy, mean) for accuracy, mean in pairs if not np.isnan(mean)]
    expected, least = [], np.inf
    for accuracy, mean in sorted(points, key=lambda p: (-p[0], p[1])):
        if mean < least * (1 - 1e-12):
            expected.append((accuracy, mean))
            least = mean
    front = solver.solve(problem).fronts[cost]
    assert [a for _, a, _ in front] == pytest.approx([a for a, _ in expected])
    assert [c for _, _, c in front] == pytest.approx([c for _, c in expected])


def test_architectures_are_counted_as_they_are_enumerated() -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        instance = make(rng)
        pins = random_pins(rng, instance)
        problem = instance.problem(objective=Objective(0.5, 1.0, budget=(0.1)), pinned=pins)
        for m in range(5):
            listed = architectures(problem, m).tolist()
            assert len(listed) == count_architectures(problem, m)
            assert listed == sorted(listed)


def test_of_equal_designs_the_one_on_fewer_processors_is_taken() -> None:
    every = (make(np.random.default_rng(seed), locations=2) for seed in range(99))
    instance = next(i for i in every if len(i.hardware.processors) == 2)
    little, big = instance.hardware.processors
    unknown = {"active_power_w": None, "rates_macs_per_s": dict.fromkeys(little.rates_macs_per_s)}
    board = replace(
        instance.hardware,
        input_at=little.name,
        processors=(
            replace(little, ram="a", flash="a", **unknown),
            replace(big, ram="b", flash="b", **unknown),
        ),
        memories=(Memory("a", PLENTY), Memory("b", PLENTY)),
        links=(Link(little.name, big.name, 1e6),),
    )
    free = replace(instance, hardware=board)
    options: dict[str, Any] = {
        "objective": Objective(0.5, 1.0, budget=(1.0)),
        "pinned": {instance.exits[0].location: None},
    }
    design = solver.solve(free.problem(**options)).design
    assert design.modes == (0, 0)
    # one byte less than everything on the first needs: (0, 1) and (1, 1) are left
    rows = Brute(free.problem(**options), instance.input_elements).rows
    need = min(row.memory_bytes["a"] for row in rows if row.modes == (0, 0))
    design = solver.solve(free.with_memories({"a": int(need) - 1}).problem(**options)).design
    assert design.modes == (1, 1)
