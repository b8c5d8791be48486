"""The benchmark of guarantees measures what it says: on made-up outcomes, against a replay sample by sample."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from instances import correlated, make

from eeaug.cascade.output import Decision
from eeaug.design.problem import Rules, baseline
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
def recorded(benchmark: ModuleType) -> Any:
    rng = np.random.default_rng(3)
    made = make(rng, locations=3)
    outcomes = correlated(rng, len(made.exits), 4000)
    costs = Costs(made.hardware, made.blocks, made.exits, made.input_elements)
    settings = Settings.of(model=Path("made-up.h5"), hardware="board", max_accuracy_drop=0.05)
    decision = Decision("softmax", 4)
    return benchmark.Recorded(settings, costs, Rules((), {}, {}, 1), baseline(costs), decision, outcomes)


def test_truth_is_that_of_all_samples(benchmark: ModuleType, recorded: Any) -> None:
    exit_, every, costs = 1, recorded.outcomes, recorded.costs
    found = benchmark.truth(recorded, Design((exit_,), (0, 0), (0.8,)))
    right = macs = 0.0
    segments = costs.segments(np.array([[exit_]]), (0, 0)).macs[0]
    for i in range(every.samples):
        early = every.confidence[exit_, i] >= np.float32(0.8)
        right += every.predicted[exit_ if early else -1, i] == every.labels[i]
        macs += segments[0] + (0 if early else segments[1])
    assert found.drop == pytest.approx(every.correct[-1].mean() - right / every.samples)
    assert found.saved == pytest.approx(1 - macs / every.samples / costs.total_macs)
    assert found.early
    assert not benchmark.truth(recorded, Design((), (0,), ())).early


def test_more_risk_saves_more_and_a_guarantee_less_than_none(benchmark: ModuleType, recorded: Any) -> None:
    drawn = [benchmark.trial(recorded, 1500, seed, (0.05, 0.5)) for seed in range(4)]
    saved = np.array([[truth.saved for truth in trial] for trial in drawn]).mean(axis=0)
    assert 0 < saved[2] < saved[3] < saved[1]
    assert drawn[0] == benchmark.trial(recorded, 1500, 0, (0.05, 0.5))
    assert drawn[0] != drawn[1]


@pytest.mark.parametrize(("hits", "runs"), [(0, 200), (10, 200), (130, 200), (3, 3)])
def test_interval_of_a_rate(benchmark: ModuleType, hits: int, runs: int) -> None:
    # Wilson 1927: its ends are the rates that what was seen is 1.96 of their own standard errors away from
    low, high = benchmark.interval(hits, runs)
    assert low < high and low <= hits / runs <= high
    for end in (low, high):
        assert (hits / runs - end) ** 2 == pytest.approx(1.96**2 * end * (1 - end) / runs, abs=1e-12)
