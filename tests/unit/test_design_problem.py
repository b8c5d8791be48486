"""From settings to a search problem."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from instances import Instance, make

from eeaug import hardware
from eeaug.cascade.outcomes import class_limit
from eeaug.cascade.output import Decision
from eeaug.design.problem import Rules, baseline, check_limits, paper_grid, problem, rules
from eeaug.errors import InputError
from eeaug.hardware import KINDS
from eeaug.network.costs import Costs
from eeaug.network.locations import Location
from eeaug.search.space import Problem
from eeaug.search.thresholds import PAPER_GRID, quantile_grid
from eeaug.settings import Contradiction, Goal
from eeaug.settings.contradictions import python
from eeaug.settings.vocabulary import usual_exits

NO_PINS = Rules((), {}, {}, 2)
DECISION = Decision("softmax", 4)


@pytest.fixture
def instance() -> Instance:
    return make(np.random.default_rng(5), locations=3, samples=60)


def costs(instance: Instance) -> Costs:
    return Costs(instance.hardware, instance.blocks, instance.exits, instance.input_elements)


def made(instance: Instance, pins: Rules = NO_PINS, **changes: Any) -> Problem:
    of = costs(instance)
    goal = Goal(**changes)
    return problem(goal, of, instance.outcomes, pins, baseline(goal, of), DECISION)


def test_exits_may_be_more_than_processors_where_these_run_several_segments() -> None:
    two, alone = hardware.read("psoc6"), hardware.read("stm32u575")
    for target in (two, alone):
        assert usual_exits("free", 13, len(target.processors)) == 3
        assert usual_exits("one-each", 13, len(target.processors)) == 1  # one classifier per processor
    # 10 million configurations are counted at most
    assert [usual_exits("free", thresholds, 2) for thresholds in (215, 216, 3162, 3163)] == [3, 2, 2, 1]
    assert rules(Goal(), two, (), {}).max_exits == 3
    assert rules(Goal(target_class=("cat",), max_exits=2), two, (), {}).max_exits == 2


def test_thresholds_are_quantiles_or_those_of_the_paper(instance: Instance) -> None:
    exact, independent = made(instance, thresholds=5), made(instance, thresholds=5, scoring="independent")
    assert exact.grid.dtype == independent.grid.dtype == np.float32
    for row, confidence in zip(exact.grid, instance.outcomes.confidence[:-1], strict=True):
        assert (row == quantile_grid(confidence, 5)).all()
    np.testing.assert_allclose(independent.grid, [[0.4, 0.55, 0.7, 0.85, 1.0]] * len(instance.exits), rtol=1e-6)
    assert (exact.independent, independent.independent) == (False, True)
    np.testing.assert_allclose(paper_grid(13), PAPER_GRID, rtol=1e-6)


def test_a_pinned_threshold_is_the_only_one(instance: Instance) -> None:
    name = instance.exits[1].location
    pinned = made(instance, Rules((), {}, {name: 0.75}, 2), thresholds=5).grid
    free = made(instance, thresholds=5).grid
    for exit_, row, other in zip(instance.exits, pinned, free, strict=True):
        assert (row == (np.float32(0.75) if exit_.location == name else other)).all()


@pytest.mark.parametrize("objective", ["macs", "latency", "energy"])
def test_costs_are_shares_of_the_whole_model(instance: Instance, objective: str) -> None:
    """Its cost on the processor that it is compared with, in the unit of the objective."""
    base = baseline(Goal(), costs(instance))
    field = {"macs": base.segments.macs, "latency": base.segments.time_s, "energy": base.segments.energy_j}
    found = made(instance, objective=objective)
    assert found.objective.base_cost == float(field[objective].sum())
    assert found.objective.base_accuracy == instance.outcomes.accuracies[-1]
    assert found.cost == objective


@pytest.mark.parametrize(
    ("given", "command", "in_python"),
    [
        ({"exit_at": {"x": None}}, "--exit-at x: no location of", "exit_at='x': no location of that name; see"),
        ({"threshold": {"e{0}": 0.5}}, "--threshold e{0}: no location of", "threshold='e{0}': no location of that"),
        ({"forbid": ("out",)}, "--forbid out: no location of that name: the {risk}", "forbid='out': no location"),
        ({"exit_at": {"a": None}, "forbid": ("a",)}, "--exit-at and --forbid both name a",
         "exit_at= and forbid= both name a"),
        ({"exit_at": {"a": "gpu"}}, "--exit-at a:gpu: psoc6 has no such processor; it has cm0p, cm4f",
         "exit_at['a']='gpu': psoc6 has no such processor; it has cm0p, cm4f"),
        ({"exit_at": {"a": None, "b": None}, "max_exits": 1}, "2 × --exit-at, but --max-exits is 1; raise it",
         "2 × exit_at=, but max_exits= is 1; raise it"),
        ({"thresholds": 101, "max_exits": 6}, "--thresholds 101 for 6 exits are 1,061,520,150,601",
         "thresholds=101 for 6 exits are 1,061,520,150,601"),
    ],
    ids=str,
)  # fmt: skip
def test_pins_that_cannot_be_are_named_as_their_door_does(
    given: dict[str, Any], command: str, in_python: str
) -> None:
    at = [Location(name, 1, (8, 8, 8), 10_000_000) for name in "ab"]
    with pytest.raises(Contradiction) as caught:
        rules(Goal(**given), hardware.read("psoc6"), at, {"out": "the {risk} classifier"})
    assert str(caught.value).startswith(command)
    assert caught.value.worded(python).startswith(in_python)


def test_limits_and_pins_are_those_asked_for(instance: Instance) -> None:
    pins = Rules((), {instance.exits[0].location: 0}, {}, 2)
    found = made(
        instance, pins, max_latency_s=0.25, mapping="one-each", max_class_drop=0.125, max_accuracy_drop=0.03
    )
    assert (found.max_latency_s, found.one_each, found.max_exits, found.pinned) == (0.25, True, 2, pins.pinned)
    assert found.objective.budget is not None
    assert found.objective.budget == 0.03
    limit = class_limit(instance.outcomes, DECISION, 0.125)
    assert found.classes is not None and found.classes.most == limit.most
    assert made(instance).classes is None and not made(instance).one_each
    weighted = made(instance, max_accuracy_drop=None, efficiency_weight=0.5).objective
    assert (weighted.budget, weighted.weight) == (None, 0.5)


def test_the_whole_model_is_compared_on_the_fastest_processor_that_holds_it(instance: Instance) -> None:
    of, whole = costs(instance), np.zeros((1, 0), np.intp)
    count = len(instance.hardware.processors)
    latencies = [float(of.segments(whole, (p,)).worst_latency_s[0]) for p in range(count)]
    assert count > 1 and len(set(latencies)) > 1, "or the test tests nothing"
    fastest = int(np.argmin(latencies))
    assert baseline(Goal(), of).processor == instance.hardware.processors[fastest].name
    slowest = instance.hardware.processors[int(np.argmax(latencies))].name
    named = replace(instance, hardware=replace(instance.hardware, baseline=slowest))
    assert baseline(Goal(), costs(named)).processor == slowest
    nowhere = instance.with_memories({memory.name: 1 for memory in instance.hardware.memories})
    assert baseline(Goal(), costs(nowhere)).processor == instance.hardware.processors[fastest].name


def test_limits_need_the_rates_of_every_kind_that_any_block_has() -> None:
    one = make(np.random.default_rng(5), locations=3, samples=20)
    blocks = tuple(replace(block, macs={"conv": 5} if i else {"dense": 5}) for i, block in enumerate(one.blocks))
    exits = tuple(replace(exit_, macs={"conv": 5}) for exit_ in one.exits)

    def refused(kind: str, **changes: Any) -> bool:
        rates = {"default": None, **{name: None if name == kind else 1e6 for name in KINDS}}
        processors = tuple(replace(p, rates_macs_per_s=rates) for p in one.hardware.processors)
        of = Costs(replace(one.hardware, processors=processors), blocks, exits, one.input_elements)
        try:
            check_limits(Goal(**changes), of, NO_PINS, blocks)
        except InputError as error:
            assert f"rates_macs_per_s.{kind}" in str(error)
            return True
        return False

    assert refused("dense", max_latency_s=100.0) and refused("conv", objective="latency")
    assert not refused("depthwise", max_latency_s=100.0) and not refused("dense")


def test_limits_of_bytes_lower_the_memories_that_they_are_about() -> None:
    psoc6 = hardware.read("psoc6")
    (sram, flash) = psoc6.memories

    def sizes(**limits: float) -> list[int]:
        return [memory.bytes for memory in replace(NO_PINS, **limits).within(psoc6).memories]

    assert replace(NO_PINS).within(psoc6) == psoc6
    assert sizes(max_ram_bytes=64_000.0) == [64_000, flash.bytes]
    assert sizes(max_flash_bytes=1e12, max_ram_bytes=1e12) == [sram.bytes, flash.bytes]
    assert sizes(max_flash_bytes=5_000.0) == [sram.bytes, 5_000]
    shared = replace(psoc6, processors=tuple(replace(p, flash=sram.name) for p in psoc6.processors))
    both = replace(NO_PINS, max_ram_bytes=3_000.0, max_flash_bytes=4_000.0).within(shared)
    assert both.memories[0].bytes == 7_000 and both.name == "psoc6 within --max-ram 3,000 and --max-flash 4,000"
    assert replace(NO_PINS, max_ram_bytes=3_000.0).within(shared).memories == psoc6.memories
