"""Performance levels of processors in the search: brute force, and what is known beforehand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from against_brute import first_of_fronts, solved
from brute import Brute
from instances import Instance, make, random_problem
from random_parts import PLENTY

from eeaug.cascade.output import Decision
from eeaug.design.problem import Rules, baseline, problem
from eeaug.errors import InfeasibleError
from eeaug.hardware import KINDS, Hardware, Level, Memory, Processor, modes
from eeaug.network.costs import Costs, ExitCosts
from eeaug.network.graph import Block
from eeaug.search import solver
from eeaug.search.space import Problem
from eeaug.search.step_costs import Steps
from eeaug.settings import Goal

DECISION = Decision("softmax", 4)


@pytest.mark.parametrize("independent", [True, False], ids=["independent", "exact"])
def test_the_solver_is_brute_force_on_200_instances_with_levels(independent: bool) -> None:
    infeasible = limited = lower = mixed = periods = own = 0
    for seed in range(5000, 5200):
        instance, task = random_problem(
            seed, independent=independent, levels=True, max_exits=seed % 3 + (seed % 6 == 0),
            own_clock=seed % 10 == 0,
        )  # fmt: skip
        brute = Brute(task, instance.input_elements, period_s=instance.period_s)
        result = solved(task, brute, seed)
        if result is None:
            infeasible += 1
            continue
        used = [task.costs.modes[mode] for mode in result.design.modes]
        limited += brute.limits_bind()
        lower += any(not mode.nominal for mode in used)
        mixed += len({mode.index for mode in used}) < len(set(result.design.modes))
        periods += instance.period_s is not None
        own += task.own_clock and any(len(p.operating_points) > 1 for p in instance.hardware.processors)
        assert not (task.own_clock and any(not mode.nominal for mode in used))
    # the instances are worth their name
    assert (infeasible >= 4, limited >= 25, lower >= 30, mixed >= 3, periods >= 80, own >= 8) == (True,) * 6, (
        infeasible, limited, lower, mixed, periods, own,
    )  # fmt: skip


def test_labels_begin_with_the_optimum_of_their_number_of_exits_at_any_level() -> None:
    counted = 0
    for seed in range(5200, 5260):
        instance, task = random_problem(
            seed, independent=True, max_exits=2 + seed % 2, levels=True, locations=4, own_clock=seed % 2 == 0
        )
        brute = Brute(task, instance.input_elements, period_s=instance.period_s)
        counted += len(first_of_fronts(task, brute, seed))
    assert counted >= 40


def board(sleep_power_w: float, slow_power_w: float, switch_s: float = 0.0) -> Hardware:
    """One core: 1 MMAC/s and 100 mW at its own clock, half of that and ``slow_power_w`` at the other."""
    core = Processor(
        "core", {"default": 1e6, **dict.fromkeys(KINDS)}, "int8", "ram", "ram",
        active_power_w=0.1, sleep_power_w=sleep_power_w, clock_hz=2e6,
        operating_points=(
            Level("fast", 2e6, switch_s=switch_s),
            Level("slow", 1e6, active_power_w=slow_power_w, switch_s=switch_s),
        ),
    )  # fmt: skip
    return Hardware("one", None, "core", True, None, (core,), (Memory("ram", PLENTY),), ())


BLOCKS = tuple(Block(f"b{i}", (f"b{i}",), (10,), {"conv": 500_000}, 10, 20) for i in range(2))
HEAD = (ExitCosts("b0", 1, "h", {"dense": 1000}, 5, 10),)


def task_of(hardware: Hardware, instance: Instance, **goal: Any) -> tuple[Problem, Goal]:
    asked = Goal(max_accuracy_drop=1.0, **goal)
    costs = Costs(hardware, BLOCKS, HEAD, 10, period_s=asked.period_s)
    outcomes = replace(
        instance.outcomes, confidence=instance.outcomes.confidence[[0, -1]],
        predicted=instance.outcomes.predicted[[0, -1]],
    )  # fmt: skip
    return problem(asked, costs, outcomes, Rules((), {}, {}, 0), baseline(asked, costs), DECISION), asked


@pytest.fixture(scope="module")
def instance() -> Instance:
    return make(np.random.default_rng(1), locations=2)


def level_of(hardware: Hardware, instance: Instance, **goal: Any) -> str | None:
    task, _ = task_of(hardware, instance, **goal)
    (mode,) = solver.solve(task).design.modes
    return task.costs.modes[mode].choices.get("level")


def test_race_to_idle_follows_from_what_sleep_draws(instance: Instance) -> None:
    """1 s at 100 mW or 2 s at 60 mW: 100 or 120 mJ; at 40 mW, 80 mJ. Sleep of 30 mW fills the other second."""
    for slow_power_w, sleep_power_w, period_s, expected in (
        (0.06, 0.0, None, "fast"),
        (0.04, 0.0, None, "slow"),
        (0.04, 0.0, 3.0, "slow"),
        (0.04, 0.03, None, "slow"),  # without a period nobody knows what fills the time
        (0.04, 0.03, 3.0, "slow"),  # 100 + 60 against 80 + 30
        (0.06, 0.05, 3.0, "slow"),  # what sleeps at 50 mW has little to race for: 100 + 100 against 120 + 50
        (0.06, 0.001, 3.0, "fast"),
    ):
        hardware = board(sleep_power_w, slow_power_w)
        asked = {"objective": "energy", "period_s": period_s}
        assert level_of(hardware, instance, **asked) == expected, (slow_power_w, sleep_power_w, period_s)


def test_energy_of_a_period_is_inference_and_the_sleep_until_the_next(instance: Instance) -> None:
    hardware = board(0.03, 0.04)
    task, _ = task_of(hardware, instance, objective="energy", period_s=3.0)
    for mode, seconds, watts in ((0, 1.0, 0.1), (1, 2.0, 0.04)):
        segments = task.segments([()], (mode,))
        assert segments.of("energy")[0, 0] == pytest.approx(seconds * watts + (3.0 - seconds) * 0.03)
        assert segments.energy_j[0, 0] == pytest.approx(seconds * watts)


def test_a_limit_or_a_period_chooses_the_level_that_keeps_it(instance: Instance) -> None:
    hardware = board(0.0, 0.04)
    assert level_of(hardware, instance, objective="energy", max_latency_s=1.5) == "fast"
    assert level_of(hardware, instance, objective="energy", period_s=1.5) == "fast"
    assert level_of(hardware, instance, objective="latency") == "fast"
    assert level_of(hardware, instance, objective="energy", max_latency_s=2.5) == "slow"
    assert level_of(hardware, instance, max_latency_s=2.5) == "fast"  # MACs are equal at all: its own clock
    task, _ = task_of(hardware, instance, period_s=0.5)
    with pytest.raises(InfeasibleError, match=r"no design meets --period 0.5 s.*--period 1.000? would fit"):
        solver.solve(task)


def test_the_given_model_is_compared_at_the_level_that_the_goal_chooses(instance: Instance) -> None:
    costs = Costs(board(0.0, 0.04), BLOCKS, (), 10)
    for goal, level, cost in (
        (Goal(), "fast", 1.0),
        (Goal(objective="energy"), "slow", 2.0),
        (Goal(objective="energy", max_latency_s=1.5), "fast", 1.0),
        (Goal(objective="latency"), "fast", 1.0),
        (Goal(objective="energy", max_latency_s=0.1), "slow", 2.0),  # none keeps it
    ):
        base = baseline(goal, costs)
        assert (base.choices["level"], base.segments.worst_latency_s[0]) == (level, pytest.approx(cost)), goal
    alone = replace(board(0.0, 0.04).processors[0], operating_points=())
    without = replace(board(0.0, 0.04), processors=(alone,))
    assert baseline(Goal(), Costs(without, BLOCKS, (), 10)).choices == {}


def test_a_change_of_level_takes_its_time_between_stages_of_one_processor() -> None:
    costs = Costs(board(0.0, 0.04, switch_s=0.25), BLOCKS, HEAD, 10)
    fast, slow = range(len(modes(costs.hardware)))
    arch = np.array([[0]])
    same, changed = (costs.segments(arch, way) for way in ((fast, fast), (fast, slow)))
    assert same.time_s[0].tolist() == pytest.approx([0.501, 0.5])
    assert changed.time_s[0].tolist() == pytest.approx([0.501, 1.25])
    assert changed.energy_j[0, 1] == pytest.approx(1.25 * 0.04)
    assert changed.handover_bytes[0].tolist() == [0, 0]


def test_labels_enter_no_mode_that_placements_leave_out() -> None:
    left_out = 0
    for seed in range(5300, 5330):
        _, task = random_problem(seed, independent=True, max_exits=2, levels=True, locations=4, own_clock=True)
        steps = Steps(task, 2)
        for mode in set(range(len(task.costs.modes))) - set(task.modes):
            left_out += 1
            assert not steps.hop_ok[:, :, mode].any() and not steps.enter_ok[mode]
    assert left_out > 20
