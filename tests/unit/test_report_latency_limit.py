"""What the limit of the worst latency decides, against brute force over all placements."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from brute import Brute, Row
from instances import random_problem

from eeaug.errors import InfeasibleError
from eeaug.report.content import latency_limit
from eeaug.search import solver
from eeaug.search.space import LATENCY, Design, Problem
from eeaug.search.thresholds import of_design
from eeaug.settings import Goal


def decided(problem: Problem, result: solver.Result) -> Any:
    design = result.design
    chosen = SimpleNamespace(design=design, thresholds=design.thresholds)
    return SimpleNamespace(
        result=result, searched=problem, task=problem, chosen=chosen, specific=None, screened=None,
        rows=problem.outcomes.rows(design.exits),
    )  # fmt: skip


def keys(brute: Brute, row: Row, design: Design) -> tuple[Any, ...]:
    """What designs are ordered by, of these thresholds on this placement."""
    at = next(c for c, each in enumerate(row.thresholds) if of_design(each) == design.thresholds)
    return brute._keys(row)[at]


def below(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    for a, b in zip(one, other, strict=True):
        if a != pytest.approx(b, rel=1e-9):
            return bool(a < b)
    return False


def test_the_design_without_the_limit_is_the_best_one() -> None:
    seen: dict[str, int] = {"same": 0, "other": 0, "nothing": 0}
    for seed in range(250):
        instance, problem = random_problem(seed, known=True, max_exits=2, independent=False)
        if problem.max_latency_s is None:
            continue
        try:
            result = solver.solve(problem)
        except InfeasibleError:
            continue
        block = latency_limit.without(decided(problem, result))
        free = replace(problem, max_latency_s=None)
        brute = Brute(free, instance.input_elements, period_s=instance.period_s)
        fitting = [row for row in brute.rows if row.fits(free)]
        same = [row for row in fitting if row.exits == result.design.exits]
        mine = next(row for row in same if row.modes == result.design.modes)
        better = [row for row in same if below(keys(brute, row, result.design), keys(brute, mine, result.design))]
        if not result.settled.rejected[LATENCY]:
            assert block is None and not better, seed
            continue
        if better:
            assert block is not None and block["same_exits"], seed
            assert block["worst_latency_s"] > problem.max_latency_s, seed
            best = [row for row in better if row.worst_latency_s == pytest.approx(block["worst_latency_s"])]
            least = min(keys(brute, row, result.design)[0] for row in better)
            assert any(keys(brute, row, result.design)[0] == pytest.approx(least) for row in best), seed
            energy, saved = keys(brute, mine, result.design)[1], block["less"]["mean_energy_j"]
            its = [keys(brute, row, result.design)[1] for row in best]
            assert any(value == pytest.approx(energy * (1 - saved)) for value in its), seed
            seen["same"] += 1
            continue
        designs = {(design.exits, design.modes) for design in brute.winners()}
        if block is None:
            assert (result.design.exits, result.design.modes) in designs, seed
            seen["nothing"] += 1
        else:
            locations = {tuple(problem.costs.exits[e].location for e in exits) for exits, _ in designs}
            assert not block["same_exits"] and block["less"] is None and tuple(block["exits"]) in locations, seed
            assert block["worst_latency_s"] > problem.max_latency_s, seed
            seen["other"] += 1
    assert all(seen.values()), seen


BLOCK = {
    "same_exits": True, "exits": ["a", "b"], "processors": ["net", "net", "app"], "worst_latency_s": 0.77,
    "less": {"mean_macs": 0.0, "mean_latency_s": -0.5, "mean_energy_j": 0.143},
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "goal", "words"),
    [
        (
            {}, Goal(max_latency_s=0.3),
            " The limit --max-latency 0.3 s decides: without it the same exits would run on net, then app, with "
            "14.3% less mean energy and a worst latency of 0.77 s.",
        ),
        (
            {"exits": [], "processors": ["net"], "less": {**BLOCK["less"], "mean_latency_s": 0.143}},
            Goal(period_s=0.3),
            " The limit --period 0.3 s decides: without it the model would run on net alone, with 14.3% less mean "
            "latency and mean energy and a worst latency of 0.77 s.",
        ),
        (
            {"same_exits": False, "less": None, "processors": ["app", "app", "app"]}, Goal(max_latency_s=0.3),
            " The limit --max-latency 0.3 s decides: without it the search would choose exits at a, b, on app "
            "alone, with a worst latency of 0.77 s.",
        ),
    ],
)  # fmt: skip
def test_it_is_said_in_a_sentence(change: dict[str, Any], goal: Goal, words: str) -> None:
    assert latency_limit.sentence({**BLOCK, **change}, goal) == words
    assert latency_limit.sentence(None, goal) == ""
