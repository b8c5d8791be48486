"""The benchmark of guarantees measures what it says: on made-up outcomes, against a replay sample by sample."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from instances import correlated, make

from eeaug.cascade.betting import mean_upper_bound
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import Decision
from eeaug.cascade.passage import Passage
from eeaug.design.problem import Rules, baseline, problem
from eeaug.heads.candidates import Candidates
from eeaug.network.costs import Costs
from eeaug.search.space import Design
from eeaug.settings import Settings

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """benchmarks/guarantee.py, which stands in no package."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import guarantee  # type: ignore[import-not-found]

    yield guarantee
    for name in ("guarantee", "public_models"):
        sys.modules.pop(name, None)


@pytest.fixture
def world(benchmark: ModuleType) -> Any:
    return made_up(benchmark, groups=None)


def made_up(benchmark: ModuleType, groups: int | None) -> Any:
    """4,000 samples of a world, and 800 that serve as screen."""
    rng = np.random.default_rng(3)
    made = make(rng, locations=3)
    outcomes = correlated(rng, len(made.exits), 4800)
    parts = [
        Outcomes(outcomes.confidence[:, rows], outcomes.predicted[:, rows], outcomes.labels[rows])
        for rows in (slice(800), slice(800, None))
    ]
    if groups is not None:
        parts[1] = replace(parts[1], groups=np.random.default_rng(4).integers(0, groups, 4000))
    costs = Costs(made.hardware, made.blocks, made.exits, made.input_elements)
    rules, decision = Rules((), {}, {}, 1), Decision("softmax", 4)
    network = SimpleNamespace(
        baseline=lambda goal: baseline(goal, costs),
        problems=lambda goal, _: (
            lambda outcomes: problem(goal, costs, outcomes, rules, baseline(goal, costs), decision)
        ),
        rules=rules,
        classifier=SimpleNamespace(decision=decision),
    )
    settings = Settings.of(model=Path("made-up.h5"), hardware="board", max_accuracy_drop=0.05, reuse=False)
    trained = tuple(SimpleNamespace(head=SimpleNamespace(cost=lambda e=e: e)) for e in made.exits)
    return benchmark.World(settings, network, Candidates(trained, *parts, len(trained)))  # type: ignore[arg-type]


def test_truth_is_that_of_all_samples(benchmark: ModuleType, world: Any) -> None:
    exit_, every, costs = 1, world.candidates.outcomes, world.task.costs
    truth = world.truth(Design((exit_,), (0, 0), (0.8,)), None)
    right = macs = 0.0
    segments = costs.segments(np.array([[exit_]]), (0, 0)).macs[0]
    for i in range(every.samples):
        early = every.confidence[exit_, i] >= np.float32(0.8)
        right += every.predicted[exit_ if early else -1, i] == every.labels[i]
        macs += segments[0] + (0 if early else segments[1])
    assert truth.drop == pytest.approx(every.correct[-1].mean() - right / every.samples)
    assert truth.saved == pytest.approx(1 - macs / every.samples / costs.total_macs)
    assert world.truth(Design((), (0,), ()), None).saved == pytest.approx(0)


def test_draws_are_of_the_world(benchmark: ModuleType, world: Any) -> None:
    every, some = world.candidates.outcomes, world.drawn(300, 1).outcomes
    pairs = {tuple(column) for column in every.confidence.T}
    assert some.samples == 300 and {tuple(column) for column in some.confidence.T} <= pairs
    assert np.array_equal(some.labels, world.drawn(300, 1).outcomes.labels)
    assert not np.array_equal(some.labels, world.drawn(300, 2).outcomes.labels)
    grouped = made_up(benchmark, groups=400)
    drawn = grouped.drawn(500, 1).outcomes
    assert len(np.unique(drawn.groups)) == grouped.units(500) == 50  # those drawn twice are two
    assert abs(drawn.samples - 500) < 100


def test_promises_cost_what_they_hold(benchmark: ModuleType, world: Any) -> None:
    truths = benchmark.promises(world, 0.05, 1500, 5)
    saved = {name: np.mean([truth.saved for truth in of]) for name, of in truths.items()}
    assert 0 < saved["proven"] <= saved["default"] + 1e-9 and saved["proven"] < saved["expected"] < saved["none"]
    drops = {name: np.mean([truth.drop for truth in of]) for name, of in truths.items()}
    assert drops["proven"] < drops["expected"] < drops["none"]
    assert saved["shared"] > 0 and all(truth.proven for truth in truths["proven"])
    assert benchmark.promises(world, 0.05, 1500, 2)["proven"] == truths["proven"][:2]
    assert benchmark.oracle(world).drop <= 0.05 + 1e-9


def test_shared_threshold_is_the_lowest_that_the_bound_allows(benchmark: ModuleType, world: Any) -> None:
    task = world.problem(world.drawn(1500, 1).outcomes)
    design = benchmark.shared(task, Design((0, 2), (0, 0, 0), (0.5, 0.5)), 0.05, 0.05, 7)
    threshold, same = design.thresholds
    assert threshold == same and 0 < threshold < 1
    rows = task.outcomes.rows((0, 2))
    for lower, allowed in ((0.0, True), (0.01, False)):
        losses = Passage(rows, [threshold - lower] * 2).losses
        assert (mean_upper_bound(losses, error=0.05, seed=7, least=0.05) <= 0.05) == allowed
    assert benchmark.shared(task, design, 0.0, 0.05, 7) is None


@pytest.mark.parametrize(("hits", "runs"), [(0, 200), (10, 200), (130, 200), (3, 3)])
def test_interval_of_a_rate(benchmark: ModuleType, hits: int, runs: int) -> None:
    # Wilson 1927: its ends are the rates that what was seen is 1.96 of their own standard errors away from
    low, high = benchmark.interval(hits, runs)
    assert low < high and low <= hits / runs <= high
    for end in (low, high):
        assert (hits / runs - end) ** 2 == pytest.approx(1.96**2 * end * (1 - end) / runs, abs=1e-12)
