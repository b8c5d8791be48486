"""Pareto labels against brute force: the whole front, and every shortcut that keeps labels few."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from against_brute import first_of_fronts
from brute import Brute
from instances import make, random_problem
from random_parts import PLENTY

from eeaug.hardware import Memory
from eeaug.search import labels
from eeaug.search.pareto import pareto, undominated
from eeaug.search.space import Problem
from eeaug.search.step_costs import Steps
from eeaug.search.thresholds import Objective


def test_the_first_label_is_the_independent_optimum_of_its_number_of_exits() -> None:
    counted = {1: 0, 2: 0, 3: 0, 4: 0}
    for seed in range(200, 340):
        instance, problem = random_problem(seed, independent=True, max_exits=seed % 4 + 1)
        for m in first_of_fronts(problem, Brute(problem, instance.input_elements), seed):
            counted[m] += 1
    assert min(counted.values()) >= 8, counted


def points_of(problem: Problem, brute: Brute, m: int) -> dict[tuple[int, ...], np.ndarray]:
    """(mean cost, P(wrong)) of every design with m exits that meets the limits, by architecture."""
    points: dict[tuple[int, ...], np.ndarray] = {}
    for row in brute.rows:
        if len(row.exits) == m and row.fits(problem):
            mine = np.stack([row.value, 1 - row.accuracy], axis=1)[np.isfinite(row.value)]
            points[row.exits] = np.concatenate([points.get(row.exits, mine[:0]), mine])
    return {arch: mine for arch, mine in points.items() if len(mine)}


def check(problem: Problem, brute: Brute, m: int) -> int:
    """Compare the front of labels with that of brute force; how many architectures it has."""
    points = points_of(problem, brute, m)
    found = [tuple(arch) for arch in labels.front(problem, m).tolist()]
    assert bool(found) == bool(points), m
    if not found:
        return 0
    every = np.concatenate(list(points.values()))
    slack = 1e-11 * every.max(axis=0)
    every = every[np.lexsort(every.T[::-1])]
    front = every[np.append(True, every[1:, 1] < np.minimum.accumulate(every[:-1, 1]))]
    mine = np.concatenate([points[arch] for arch in found])
    for point in front:
        assert (mine <= point + slack).all(axis=1).any(), (m, point)
    for arch in found:
        # some point of it is on the front: nothing is lower in both, beyond rounding
        beaten = (front[None] < points[arch][:, None] - slack).all(axis=2).any(axis=1)
        assert not beaten.all(), (m, arch)
    return len(found)


def compare(seeds: range, *, all_leave: bool = False, **options: Any) -> dict[str, int]:
    """Check random instances; of what kinds they were.

    all_leave : the lowest threshold of every exit lets every sample leave
    """
    seen = {"fronts": 0, "limited": 0, "points": 0}
    # with a budget that all meet, the objective is the mean cost
    anything = Objective(1.0, 1.0, budget=(2.0))
    for seed in seeds:
        instance, problem = random_problem(seed, independent=True, objective=anything, locations=5, **options)
        if all_leave:
            grid = problem.grid.copy()
            grid[:, 0] = 0.0
            problem = replace(problem, grid=grid)
        brute = Brute(problem, instance.input_elements)
        for m in range(1, problem.max_exits + 1):
            found = check(problem, brute, m)
            seen["fronts"] += found > 0
            seen["points"] += found
            seen["limited"] += bool(found and Steps(problem, m).limits)
    return seen


def test_the_front_is_that_of_all_designs_on_200_random_instances() -> None:
    seen = compare(range(1000, 1200), max_exits=3)
    assert seen["fronts"] > 200
    assert seen["limited"] > 150
    assert seen["points"] > 1000


def test_the_front_with_unknown_figures_and_weighted_samples() -> None:
    # costs that are unknown on some ways but not on all, latencies likewise under a limit
    assert compare(range(1200, 1280), max_exits=2, known=False)["fronts"] > 50
    assert compare(range(1280, 1340), max_exits=2, weighted=True)["fronts"] > 50


def test_an_unknown_latency_is_no_reason_to_leave_out() -> None:
    for seed in range(60):
        instance = make(np.random.default_rng(seed), locations=4)
        hardware = instance.hardware
        unknown = tuple(replace(link, bandwidth_bytes_per_s=None) for link in hardware.links)
        instance = replace(instance, hardware=replace(hardware, links=unknown))
        anything = Objective(1.0, 1.0, budget=(2.0))
        problem = instance.problem(objective=anything, max_latency_s=1e-9, max_exits=2, independent=True)
        brute = Brute(problem, instance.input_elements)
        # what is known is too slow, so only what is handed over is left
        crossing = sum(len(set(row.modes)) > 1 for row in brute.rows if row.fits(problem))
        assert [check(problem, brute, m) > 0 for m in (1, 2)] == [crossing > 0] * 2, seed


@pytest.mark.parametrize("exclusive", [True, False])
def test_one_memory_for_the_weights_and_tensors_of_all(exclusive: bool) -> None:
    several = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        instance = make(rng, locations=4)
        processors = tuple(replace(p, ram="one", flash="one") for p in instance.hardware.processors)
        board: dict[str, Any] = {"processors": processors, "exclusive": exclusive}
        board["memories"] = (Memory("one", PLENTY),)
        anything = Objective(1.0, 1.0, budget=(2.0))
        options: dict[str, Any] = {"objective": anything, "max_exits": 2, "independent": True, "cost": "latency"}
        instance = replace(instance, hardware=replace(instance.hardware, **board))
        needed = [row.memory_bytes["one"] for row in Brute(instance.problem(**options), 1).rows]
        instance = instance.with_memories({"one": int(np.quantile(needed, rng.uniform(0.0, 0.6)))})
        problem = instance.problem(**options)
        brute = Brute(problem, instance.input_elements)
        found = [check(problem, brute, m) for m in (1, 2)]
        several += min(found) > 0 and len({p for row in brute.rows for p in row.modes}) > 1
    assert several >= 15


def test_the_front_where_nobody_may_be_left_for_the_next_exit() -> None:
    assert compare(range(1340, 1400), max_exits=2, all_leave=True)["fronts"] > 40


def test_the_front_does_not_depend_on_how_good_the_first_pass_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "_SHARES", (1.0,))  # keeps one front, of labels that need most
    monkeypatch.setattr(labels, "_CORNERS", 2)
    assert compare(range(1400, 1460), max_exits=3)["fronts"] > 50


@pytest.mark.parametrize("values", [3, 300])
@pytest.mark.parametrize("components", [2, 3, 4, 5])
def test_undominated_rows_with_resources_that_do_not_matter(components: int, values: int) -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        rows = rng.integers(0, values, (400, components)).astype(float)
        rows[:, 2:][rng.random((400, components - 2)) < (0.2, 0.6, 0.9)[seed % 3]] = -np.inf
        kept = undominated(rows)
        front = {tuple(p) for p in rows if not any((q <= p).all() and (q < p).any() for q in rows)}
        assert {tuple(p) for p in rows[kept]} == front
        assert len(kept) == len(front)


@pytest.mark.parametrize("components", [2, 3, 4])
@pytest.mark.parametrize("values", [3, 1000])
def test_pareto_is_the_naive_filter(components: int, values: int) -> None:
    for seed in range(5):
        points = np.random.default_rng(seed).integers(0, values, (300, components)).astype(float)
        kept = pareto(points)
        front = {tuple(p) for p in points if not any((q <= p).all() and (q < p).any() for q in points)}
        assert {tuple(p) for p in points[kept]} == front
        assert len(kept) == len(front)  # one of equal rows


def test_a_front_longer_than_a_block_and_rows_of_zeros() -> None:
    ramp = np.arange(500.0)
    chain = np.stack([ramp, ramp[::-1], np.zeros(500)], axis=1)
    assert sorted(pareto(chain)) == list(range(500))
    assert pareto(np.zeros((4, 3))).tolist() == [0]
