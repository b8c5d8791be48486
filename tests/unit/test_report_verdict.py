"""The first sentences of a report: what is saved, what got worse, and what stands in the way of exits."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from instances import make

from eeaug.design.promise import nothing
from eeaug.report.content import verdict
from eeaug.search import solver
from eeaug.search.placing import architectures, placements
from eeaug.search.space import Problem
from eeaug.search.thresholds import Objective
from eeaug.settings import Goal

GIVEN = {
    "mean_macs": 100.0, "mean_latency_s": 1.0, "mean_energy_j": 2.0, "worst_latency_s": 1.0, "storage_bytes": 10,
    "peak_activation_bytes": 5,
}  # fmt: skip


@pytest.mark.parametrize(
    ("mine", "saved", "more"),
    [
        (
            {"mean_macs": 50.0, "mean_latency_s": 0.5, "mean_energy_j": 1.0},
            "50.0% of the mean MACs, mean latency and mean energy saved", "",
        ),
        (
            {"mean_macs": 50.0, "mean_latency_s": 0.8, "mean_energy_j": None, "worst_latency_s": 1.5},
            "50.0% of the mean MACs and 20.0% of the mean latency saved", " It needs 50.0% more worst latency.",
        ),
        (  # slower: said first, by `dearer`
            {"mean_macs": 50.0, "mean_latency_s": 3.0, "storage_bytes": 11, "peak_activation_bytes": 16},
            "50.0% of the mean MACs and 0.0% of the mean energy saved",
            " It needs 10.0% more storage and 3.2 times the peak activations.",
        ),
    ],
)  # fmt: skip
def test_what_is_saved_and_what_got_worse(mine: dict[str, Any], saved: str, more: str) -> None:
    design = GIVEN | mine
    assert verdict._saved(GIVEN, design) == saved
    assert verdict._more(GIVEN, design) == more
    assert verdict.dearer(GIVEN, design).startswith("This design is slower") == (mine["mean_latency_s"] > 1)


def problem(seed: int, **options: Any) -> Problem:
    instance = make(np.random.default_rng(seed), locations=4, thresholds=4, samples=60)
    objective = Objective(float(instance.outcomes.accuracies[-1]), 1.0, budget=0.0)
    return instance.problem(objective=objective, **options)


def decided(task: Problem, result: solver.Result) -> Any:
    return SimpleNamespace(
        result=result, searched=task, promise=nothing(0.0), chosen=SimpleNamespace(design=result.design)
    )


@pytest.mark.parametrize("seed", (0, 3, 4, 5))  # in which exits make the longest path longer
def test_a_limit_in_the_way_is_named_with_the_nearest_miss(seed: int) -> None:
    task = problem(seed, max_exits=2)
    slowest = {
        m: min(
            float(task.segments(architectures(task, m), way).worst_latency_s.min()) for way in placements(task, m)
        )
        for m in range(3)
    }
    nearest = min(slowest[1], slowest[2])
    limit = (slowest[0] + nearest) / 2
    task = replace(task, max_latency_s=limit)
    words = verdict.obstacle(decided(task, solver.solve(task)), Goal())
    assert words is not None and words.startswith("keeps --max-latency ")
    allowed = re.search(r"which --max-latency (\S+) would allow", words)
    assert allowed is not None
    wider = replace(task, max_latency_s=float(allowed[1]))
    assert nearest == pytest.approx(float(allowed[1]), rel=2e-3) and float(allowed[1]) >= nearest
    assert sum(solver.solve(wider).settled.nearest.values()) >= 0  # it is solved, with exits among the designs
    assert any(design.exits for design, *_ in solver.solve(wider).fronts["macs"])


@pytest.mark.parametrize("seed", (0, 1, 2, 3, 5))
def test_a_budget_in_the_way_is_named_with_the_nearest_miss(seed: int) -> None:
    task = problem(seed, max_exits=1)
    task = replace(task, grid=np.zeros_like(task.grid[:, :1]))  # everything leaves at an exit
    result = solver.solve(task)
    assert not result.design.exits
    words = verdict.obstacle(decided(task, result), Goal(max_accuracy_drop=0.0))
    assert words is not None and words.startswith(
        "saves MACs and loses at most 0.0 percentage points (pp): the nearest design ("
    )
    allowed = re.search(r"--max-accuracy-drop (\S+)pp would allow", words)
    assert allowed is not None
    objective = replace(task.objective, budget=float(allowed[1]) / 100 + 1e-9)
    assert solver.solve(replace(task, objective=objective)).design.exits
