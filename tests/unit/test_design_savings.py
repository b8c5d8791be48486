"""Exits that save nothing are not built, or are said to; so are operating points that are alike or dearer."""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from instances import random_problem
from reports import SAMPLE

from eeaug.design.refine import LEAST_SAVING, mean_cost, worthwhile
from eeaug.report.words import alternatives, cautions
from eeaug.search import solver
from eeaug.search.placing import placements
from eeaug.search.space import Design, Problem


def problem(seed: int, **options: Any) -> Problem:
    fixed = {
        "independent": False,
        "one_each": False,
        "pinned": {},
        "cost": "macs",
        "max_exits": 1,
        "known": True,
        **options,
    }
    instance, found = random_problem(seed, **fixed)
    instance = instance.with_memories({memory.name: 10**12 for memory in instance.hardware.memories})
    fixed.pop("known")
    made = instance.problem(objective=found.objective, **fixed)
    return replace(made, max_latency_s=None)


@pytest.mark.parametrize("seed", range(6))
def test_an_exit_that_nobody_uses_is_none(seed: int) -> None:
    task = problem(seed)
    unused = Design((0,), (0, 0), (None,))
    without = worthwhile(task, unused)
    assert without.exits == () and mean_cost(task, without) <= mean_cost(task, unused)
    assert worthwhile(replace(task, pinned={task.costs.exits[0].location: None}), unused) == unused
    # nothing fits without a cut
    tight = replace(task, max_latency_s=1e-12)
    assert worthwhile(tight, unused) == unused
    everybody = Design((0,), (0, 0), (0.0,))
    saved = 1 - mean_cost(task, everybody) / mean_cost(task, without)
    assert worthwhile(task, everybody) == (everybody if saved >= LEAST_SAVING else without)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_chosen_saves_what_a_report_can_show(seed: int) -> None:
    """By the counted cost, for every objective."""
    task = problem(seed, cost=("macs", "latency", "energy")[seed % 3], max_exits=2)
    design = worthwhile(task, solver.solve(task).design)
    if design.exits:
        whole = solver.solve(replace(task, max_exits=0)).design
        assert mean_cost(task, design) <= (1 - LEAST_SAVING) * mean_cost(task, whole)


@pytest.mark.parametrize("seed", range(12))
def test_an_exit_that_nobody_uses_goes_from_among_others(seed: int) -> None:
    task = problem(seed, max_exits=2)
    after = task.costs.after
    pair = next(((a, b) for a in range(len(after)) for b in range(a) if after[b] < after[a]), None)
    assert pair is not None
    late, early = pair
    for thresholds, kept in (((0.0, 0.5), early), ((None, 0.0), late)):
        design = Design((early, late), (0, 0, 0), thresholds)
        found = worthwhile(replace(task, pinned={task.costs.exits[kept].location: None}), design)
        assert found.exits == (kept,) and mean_cost(task, found) <= mean_cost(task, design)


@pytest.mark.parametrize("seed", range(30))
def test_the_segments_around_an_exit_that_goes_become_one_on_the_better_processor(seed: int) -> None:
    """Of the one before it and the one behind it, whichever fits and costs less."""
    task = problem(seed, max_exits=2, cost="latency")
    after, processors = task.costs.after, len(task.costs.hardware.processors)
    pair = next(((b, a) for a in range(len(after)) for b in range(a) if after[b] < after[a]), None)
    assert pair is not None
    kept = pair[1]
    pinned = replace(task, pinned={task.costs.exits[kept].location: None})
    for before, behind in product(range(processors), repeat=2):
        design = Design(pair, (before, behind, behind), (None, 0.5))
        merged = [Design((kept,), (one, behind), (0.5,)) for one in {before, behind}]
        allowed = [each for each in merged if each.modes in set(placements(pinned, 1))]
        costs = [mean_cost(pinned, each) for each in allowed]
        if np.isnan([*costs, mean_cost(pinned, design)]).any() or not allowed:
            continue
        found = worthwhile(pinned, design)
        if min(costs) <= mean_cost(pinned, design):
            assert mean_cost(pinned, found) == min(costs) and found in allowed
        else:
            assert found == design


# -- what is said -------------------------------------------------------------------------------------


@pytest.fixture
def report() -> dict[str, Any]:
    return copy.deepcopy(SAMPLE)


def with_costs(report: dict[str, Any], predicted: float, measured: float, **settings: Any) -> dict[str, Any]:
    """The report of a design that costs so much of the given model's MACs."""
    design, base = report["design"], report["baseline"]
    exact = {**design["predicted"]["exact"], "mean_macs": predicted * base["choose"]["mean_macs"]}
    found = {**design["measured"], "mean_macs": measured * base["measured"]["mean_macs"]}
    return {
        **report,
        "settings": {**report["settings"], **settings},
        "design": {**design, "predicted": {**design["predicted"], "exact": exact}, "measured": found},
    }


def test_exits_that_save_nothing_are_said_to(report: dict[str, Any]) -> None:
    def said(*costs: float, **settings: Any) -> list[str]:
        return [s for s in cautions.sentences(with_costs(report, *costs, **settings)) if "save nothing" in s]

    assert said(0.5, 0.5) == said(0.5, 0.99) == []
    (pinned,) = said(1.0, 1.0, exit_at=["stem_relu"])
    assert "+0.0% of the given model's mean MACs" in pinned and "--exit-at asks" in pinned
    (needed,) = said(1.2, 0.5)
    assert "+20.0%" in needed and "no design without exits meets the limits" in needed
    (elsewhere,) = said(0.99, 1.05)
    assert "on the test set: +5.0%" in elsewhere


def test_points_that_are_alike_or_dearer_are_said_to_be(report: dict[str, Any]) -> None:
    points = report["operating_points"]
    assert (
        alternatives.point_notes(report) == ["", "", ""]
        and alternatives.operating_points(report)[-1][0] == "promise"
    )
    careful, default, frugal = points
    same = {**report, "operating_points": [{**careful, "predicted": default["predicted"]}, default, frugal]}
    assert alternatives.point_notes(same) == ["same as default", "", ""]
    assert alternatives.operating_points(same)[-1] == ("note", "same as default", "", "")
    dear = {**frugal["predicted"], "mean_macs": 2 * report["baseline"]["choose"]["mean_macs"]}
    found = {**report, "operating_points": [{**p, "predicted": dear} for p in points]}
    more = "more mean MACs than the given model"
    assert alternatives.point_notes(found) == [f"same as default, {more}", more, f"same as default, {more}"]
