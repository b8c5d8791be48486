"""Several memories of a processor in the search: brute force, and small placements by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from against_brute import first_of_fronts, solved
from brute import Brute
from instances import random_problem
from random_parts import PLENTY

from eeaug.design.problem import baseline
from eeaug.hardware import KINDS, Hardware, Memory, Processor
from eeaug.network.costs import Costs, ExitCosts
from eeaug.network.graph import Block
from eeaug.search import placing
from eeaug.settings import Goal


@pytest.mark.parametrize("independent", [True, False], ids=["independent", "exact"])
def test_the_solver_is_brute_force_on_100_instances_with_memories(independent: bool) -> None:
    seen = {"infeasible": 0, "limited": 0, "slower": 0, "left out": 0, "levels": 0}
    for seed in range(6000, 6100):
        instance, task = random_problem(
            seed, independent=independent, memories=True, levels=seed % 20 == 0, max_exits=1 + (seed % 3 == 0)
        )
        brute = Brute(task, instance.input_elements, period_s=instance.period_s)
        result = solved(task, brute, seed)
        if result is None:
            seen["infeasible"] += 1
            continue
        used = [task.costs.modes[mode] for mode in result.design.modes]
        seen["limited"] += brute.limits_bind()
        seen["slower"] += any(m.choices.get("tensors_in") in ("tcm", "outside") for m in used)
        seen["left out"] += len(task.modes) < len(task.costs.modes)
        seen["levels"] += any("level" in m.choices for m in used)
    assert min(seen.values()) >= 2 and seen["limited"] >= 10 and seen["slower"] >= 10, seen


def test_labels_begin_with_the_optimum_of_their_number_of_exits_in_any_memory() -> None:
    counted = 0
    for seed in range(6200, 6218):
        instance, task = random_problem(
            seed, independent=True, max_exits=2, memories=True, levels=seed % 9 == 0, locations=3
        )
        brute = Brute(task, instance.input_elements, period_s=instance.period_s)
        counted += len(first_of_fronts(task, brute, seed))
    assert counted >= 12


BLOCKS = tuple(Block(f"b{i}", (f"b{i}",), (100,), {"conv": 1_000}, 1_000, 300) for i in range(2))
HEAD = (ExitCosts("b0", 1, "h", {"dense": 100}, 50, 10),)


def board(**sizes: int) -> Hardware:
    """One core at 1 MMAC/s; 100 kB/s to what is outside, 10 MB/s to what is near."""
    core = Processor(
        "core", {"default": 1e6, **dict.fromkeys(KINDS)}, "int8", "tcm", "near", more_ram=("sram",),
        more_flash=("outside",),
    )  # fmt: skip
    bandwidths = {"tcm": 1e7, "sram": 1e5, "near": 1e7, "outside": 1e5}
    memories = tuple(Memory(n, sizes.get(n, PLENTY), None, bandwidth) for n, bandwidth in bandwidths.items())
    return Hardware("one", None, "core", True, None, (core,), memories, ())


def whole(hardware: Hardware) -> tuple[Any, float]:
    base = baseline(Goal(objective="latency"), Costs(hardware, BLOCKS, (), 100))
    return dict(base.choices), float(base.segments.worst_latency_s[0])


def test_bytes_over_bandwidth_are_a_lower_bound_of_time() -> None:
    # two blocks of 1 ms each; 1,000 bytes of weights take 10 ms from outside, 200 bytes of tensors 2 ms in sram
    assert whole(board()) == ({"weights_in": "near", "tensors_in": "tcm"}, pytest.approx(0.002))
    assert whole(board(near=1999)) == ({"weights_in": "outside", "tensors_in": "tcm"}, pytest.approx(0.020))
    assert whole(board(tcm=299)) == ({"weights_in": "near", "tensors_in": "sram"}, pytest.approx(0.004))
    unlimited = replace(
        board(near=1999), memories=tuple(replace(m, bandwidth_bytes_per_s=None) for m in board().memories)
    )
    assert whole(unlimited)[1] == pytest.approx(0.002)


def test_weights_and_tensors_in_one_memory_wait_for_each_other() -> None:
    hardware = board()
    core = replace(hardware.processors[0], ram="outside", more_ram=(), flash="outside", more_flash=())
    one = replace(hardware, processors=(core,))
    assert whole(one) == ({}, pytest.approx(2 * (1000 + 200) / 1e5))


def test_the_hot_stage_gets_the_near_memory() -> None:
    """Weights of one stage fit near: those of the first, which every sample runs through."""
    costs = Costs(board(near=1100), BLOCKS, HEAD, 100)
    names = [tuple(mode.choices.values()) for mode in costs.modes]
    assert names == [("near", "tcm"), ("near", "sram"), ("outside", "tcm"), ("outside", "sram")]
    first, second = (costs.segments(np.array([[0]]), way) for way in ((0, 2), (2, 0)))
    used = costs.memory_bytes(first)
    assert (used["near"][0], used["outside"][0]) == (1050, 1000)
    assert costs.memory_bytes(second)["near"][0] == 1000
    assert first.time_s[0].tolist() == pytest.approx([0.0011, 0.010])
    assert second.time_s[0].tolist() == pytest.approx([0.0105, 0.001])


def test_stages_of_one_processor_reuse_each_memory() -> None:
    costs = Costs(board(), BLOCKS, HEAD, 100)
    both, apart = (costs.memory_bytes(costs.segments(np.array([[0]]), way)) for way in ((0, 0), (0, 1)))
    assert (both["tcm"][0], both["sram"][0]) == (300, 0)
    assert (apart["tcm"][0], apart["sram"][0]) == (300, 300)


def test_modes_that_another_can_stand_in_for_are_left_out() -> None:
    def names(hardware: Hardware) -> list[tuple[str, ...]]:
        costs = Costs(hardware, BLOCKS, HEAD, 100)
        return [tuple(costs.modes[i].choices.values()) for i in costs.useful(1)]

    assert names(board()) == [("near", "tcm")]
    assert names(board(near=2049)) == [("near", "tcm"), ("outside", "tcm")]  # 2,000 weights and the head's 50
    assert names(board(near=2050)) == [("near", "tcm")]
    assert names(board(tcm=299)) == [("near", "tcm"), ("near", "sram")]
    assert len(names(board(near=1, tcm=1))) == 4


def test_of_too_many_ways_those_where_a_processor_keeps_its_level(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(6100, 6130):
        _, task = random_problem(seed, memories=True, levels=True, max_exits=2, own_clock=False)
        every, modes = list(placing.placements(task, 2)), task.costs.modes
        if len(every) > 100:
            break

    def kept(way: tuple[int, ...]) -> bool:
        levels = {(modes[i].index, modes[i].level) for i in way}
        return len(levels) == len({index for index, _ in levels})

    monkeypatch.setattr(placing, "MOST_WAYS", len(every))
    assert list(placing.placements(task, 2)) == every
    monkeypatch.setattr(placing, "MOST_WAYS", len(every) - 1)
    few = list(placing.placements(task, 2))
    assert few == [way for way in every if kept(way)] and 0 < len(few) < len(every)
