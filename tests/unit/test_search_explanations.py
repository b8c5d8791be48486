"""What is said of a search without a result: the limit that must give way, and how far."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from brute import Brute, Row
from instances import make, random_problem
from random_parts import PLENTY

from eeaug.errors import InfeasibleError
from eeaug.network.segments import Segments
from eeaug.search import solver
from eeaug.search.space import Problem
from eeaug.search.thresholds import Objective
from eeaug.support import quantities


def explained(problem: Problem) -> InfeasibleError:
    with pytest.raises(InfeasibleError) as caught:
        solver.solve(problem)
    assert "\n" not in str(caught.value)
    return caught.value


def nearest(rows: list[Row], problem: Problem, without: str) -> float | None:
    """The least that any design needs of one limit while it meets the others."""
    if without == "max_latency_s":
        other = replace(problem, max_latency_s=None)
        return min((row.worst_latency_s for row in rows if row.fits(other)), default=None)
    name = without.removeprefix("memory:")
    wide = [replace(m, bytes=PLENTY) if m.name == name else m for m in problem.costs.hardware.memories]
    other = relimited(problem, memories=tuple(wide))
    return min((row.memory_bytes[name] for row in rows if row.fits(other)), default=None)


def relimited(problem: Problem, **change: Any) -> Problem:
    """The problem on changed hardware; brute force and ``fits`` read only the hardware of its costs."""
    costs = object.__new__(type(problem.costs))
    costs.__dict__ = {**problem.costs.__dict__, "hardware": replace(problem.costs.hardware, **change)}
    return replace(problem, costs=costs)


def test_the_value_that_the_explanation_gives_fits_and_none_below_does() -> None:
    seen: dict[str, int] = {}
    for seed in range(200):
        instance, problem = random_problem(seed)
        rows = Brute(problem, instance.input_elements).rows
        if not rows or any(row.fits(problem) for row in rows):
            continue
        error = explained(problem)
        kind = error.limit.split(":")[0]
        if error.best is None:
            seen["several"] = seen.get("several", 0) + 1
            names = ["max_latency_s"] if problem.max_latency_s is not None else []
            names += [f"memory:{m.name}" for m in problem.costs.hardware.memories]
            assert all(nearest(rows, problem, name) is None for name in names), seed
            continue
        seen[kind] = seen.get(kind, 0) + 1
        assert error.given < error.best
        assert error.best == pytest.approx(nearest(rows, problem, error.limit), rel=1e-9), seed
        if kind == "max_latency_s":
            typed = re.search(r"--max-latency ([0-9.]+) would fit", str(error))
            assert typed
            for value in (error.best, float(typed[1])):
                solver.solve(replace(problem, max_latency_s=value))
        else:
            name = error.limit.removeprefix("memory:")
            assert repr(name) in str(error)
            assert f"{error.best:,.0f}" in str(error)
            sizes = {name: int(error.best)}
            options = {k: v for k, v in vars(problem).items() if k in Problem.__dataclass_fields__}
            options = {k: v for k, v in options.items() if k not in ("costs", "outcomes", "grid")}
            solver.solve(instance.with_memories(sizes).problem(**options))
    assert set(seen) == {"max_latency_s", "memory", "several"}, seen


def test_the_nearest_design_misses_the_fewest_limits_rather_the_latency_by_the_smallest_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of random excess in percent; memories are of very different sizes, so that bytes would decide otherwise."""
    rng, limits = np.random.default_rng(0), {"latency": 2.0, "memory:a": 10.0, "memory:b": 1000.0}
    met, designs, asked = np.zeros(3), [], []
    problem = random_problem(7, known=True, max_exits=2, locations=3, pinned={})[1]

    def on_pinned_processors(_: Problem, archs: Any, processors: tuple[int, ...]) -> Any:
        pinned = rng.random(len(archs)) < 0.7
        asked[:] = [problem.segments(archs[pinned], processors).macs]
        return pinned

    def excess(_: Problem, segments: Segments) -> dict[str, Any]:
        np.testing.assert_array_equal(segments.macs, asked[0])
        size = (len(segments.macs), 3)
        percent = rng.integers(1, 99, size) * (rng.random(size) >= met)
        percent[~percent.any(axis=1), rng.integers(3)] = rng.integers(1, 99)  # none meets all
        designs.extend(percent.tolist())
        return {name: limits[name] / 100 * of for name, of in zip(limits, percent.T, strict=True)}

    def key(percent: list[int]) -> tuple[int, bool, int]:
        return np.count_nonzero(percent), not percent[0], sum(percent)

    monkeypatch.setattr(Problem, "on_pinned_processors", on_pinned_processors)
    monkeypatch.setattr(Problem, "excess", excess)
    monkeypatch.setattr(Problem, "limits", limits)
    seen = dict.fromkeys([(1, True), (1, False), (2, True), (2, False), (3, True)], 0)
    for _ in range(100):
        met[:] = rng.choice([0.0, 0.02, 0.5], 3, p=[0.5, 0.25, 0.25])
        designs.clear()
        nearest_needs = solver._nearest(problem)
        if nearest_needs is None:
            assert not designs
            continue
        least = min(map(key, designs))
        equal = [dict(zip(limits, percent, strict=True)) for percent in designs if key(percent) == least]
        expected = [{name: limits[name] * (1 + of / 100) for name, of in each.items() if of} for each in equal]
        assert any(nearest_needs == pytest.approx(needs) for needs in expected)
        assert [*nearest_needs] == [name for name in limits if name in nearest_needs]
        seen[least[0], not least[1]] += 1
    assert all(seen.values()), seen


def without_never(seed: int, **options: Any) -> Problem:
    """A pinned exit whose thresholds all let samples leave, as ``--threshold`` makes them."""
    instance = make(np.random.default_rng(seed), locations=3, thresholds=3)
    instance = replace(instance, grid=instance.grid[:, :-1])
    return instance.problem(
        objective=Objective(1.0, 1.0, budget=(0.0)),
        pinned={instance.exits[0].location: None},
        **options,
    )


@pytest.mark.parametrize("independent", [True, False], ids=["independent", "exact"])
def test_a_budget_that_no_design_keeps_is_named_with_the_smallest_drop(independent: bool) -> None:
    problem = without_never(1, max_exits=2, independent=independent)
    error = explained(problem)
    assert (error.limit, error.given) == ("max_accuracy_drop", 0.0)
    most = max(row.accuracy.max() for row in Brute(problem, 1).rows)
    assert error.best == pytest.approx(problem.objective.base_accuracy - most)
    typed = re.search(r"--max-accuracy-drop ([0-9.]+%?) would fit", str(error))
    assert typed
    for drop in (error.best, quantities.parse(typed[1], quantities.DROP)):
        solver.solve(replace(problem, objective=replace(problem.objective, budget=(drop))))


def test_pins_that_cannot_be_are_named() -> None:
    seed = next(s for s in range(99) if len(make(np.random.default_rng(s)).hardware.processors) == 3)
    instance = make(np.random.default_rng(seed), known=True)
    places = sorted({e.location for e in instance.exits})
    objective = Objective(0.5, 1.0, budget=(1.0))
    backwards = instance.problem(objective=objective, max_exits=2, pinned={places[0]: 2, places[1]: 0})
    too_many = instance.problem(objective=objective, max_exits=1, pinned={places[0]: None, places[1]: None})
    for problem in (backwards, too_many):
        error = explained(problem)
        assert (error.limit, error.best) == ("placement", None)
        assert "--exit-at" in str(error)


def test_three_pinned_exits_that_do_not_fit_are_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solver, "SETTLED_PER_COUNT", 0)  # the way of large searches
    instance = make(np.random.default_rng(11), locations=5, thresholds=2)
    places = sorted({e.location for e in instance.exits})[:3]
    options: dict[str, Any] = {
        "objective": Objective(0.5, 1.0, budget=(1.0)),
        "max_exits": 4,
        "pinned": dict.fromkeys(places),
    }
    name = instance.hardware.processors[-1].flash
    small = instance.with_memories({m.name: 10 for m in instance.hardware.memories if m.name == name})
    problem = small.problem(**options)
    rows = Brute(problem, instance.input_elements).rows
    assert {len(row.exits) for row in rows} == {3, 4}
    error = explained(problem)
    assert error.limit == f"memory:{name}"
    assert error.best == nearest(rows, problem, error.limit)


def test_of_two_limits_of_which_one_must_go_the_latency_is_named() -> None:
    conflicts = 0
    for seed in range(60):
        instance = make(np.random.default_rng(seed))
        objective = Objective(0.5, 1.0, budget=(1.0))
        rows = Brute(instance.problem(objective=objective), instance.input_elements).rows
        name = instance.hardware.processors[0].flash
        fastest = min(row.worst_latency_s for row in rows)
        smallest = min(row.memory_bytes[name] for row in rows)
        small = instance.with_memories({name: max(1, int(smallest))})
        problem = small.problem(objective=objective, max_latency_s=fastest)
        if not any(row.fits(problem) for row in rows):
            conflicts += 1
            assert explained(problem).limit == "max_latency_s"
    assert conflicts >= 5


def test_joules_may_be_tiny() -> None:
    different = 0
    for seed in range(10):
        instance = make(np.random.default_rng(seed))
        processors = tuple(
            replace(p, active_power_w=1e-9 * (p.active_power_w or 0.0), sleep_power_w=None)
            for p in instance.hardware.processors
        )
        links = tuple(replace(link, energy_j_per_byte=None) for link in instance.hardware.links)
        tiny = replace(instance, hardware=replace(instance.hardware, processors=processors, links=links))
        objective = Objective(0.5, 1.0, budget=(0.1))
        problem = tiny.problem(objective=objective, cost="energy", max_exits=2)
        brute = Brute(problem, instance.input_elements)
        assert solver.solve(problem).design in brute.winners()
        different += max(row.value[np.isfinite(row.value)].max(initial=0.0) for row in brute.rows) < 1e-8
    assert different >= 5
