"""Latency, energy and memory of a two-processor example, with the arithmetic written out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eeaug.errors import InputError
from eeaug.hardware import KINDS, Hardware, Link, Memory, Processor
from eeaug.network.costs import Costs, ExitCosts, require_energies, require_rates
from eeaug.network.graph import Block
from eeaug.settings import COSTS, Contradiction

LITTLE = Processor(
    "little", {**dict.fromkeys(KINDS), "default": 1e6, "dense": 2e6}, "int8", ram="sram", flash="flash",
    active_power_w=0.02, sleep_power_w=0.001,
)  # fmt: skip
BIG = Processor(
    "big", {**dict.fromkeys(KINDS), "default": 1e7}, "float32", ram="sram", flash="flash",
    active_power_w=0.1, sleep_power_w=0.005, wakeup_s=0.001,
)  # fmt: skip
BOARD = Hardware(
    name="board",
    source=None,
    input_at="little",
    exclusive=True,
    baseline=None,
    processors=(LITTLE, BIG),
    memories=(Memory("sram", 4000), Memory("flash", 8000)),
    links=(Link("little", "big", 1e5, latency_s=0.002, energy_j_per_byte=1e-6),),
)
BLOCKS = (
    Block("one", ("one",), (200,), {"conv": 1000}, parameters=50, peak_elements=300),
    Block("two", ("two",), (100,), {"conv": 2000, "pointwise": 500}, parameters=400, peak_elements=350),
    Block("three", ("three",), (10,), {"dense": 4000}, parameters=1000, peak_elements=110),
)
EXITS = (
    ExitCosts("one", 1, "small", {"dense": 200}, parameters=20, peak_elements=15),
    ExitCosts("two", 2, "large", {"dense": 600, "conv": 100}, parameters=60, peak_elements=300),
)
INPUT_ELEMENTS = 64


def costs(hardware: Hardware = BOARD) -> Costs:
    return Costs(hardware, BLOCKS, EXITS, INPUT_ELEMENTS)


def archs(*exits: int) -> np.ndarray:
    return np.array([exits], dtype=np.intp)


def test_one_exit_on_little_and_the_rest_on_big() -> None:
    segments = costs().segments(archs(0), (0, 1))
    # little: 1,000 conv + 200 dense of the head; big: 2,500 + 4,000
    assert segments.macs.tolist() == [[1200, 6500]]
    assert costs().total_macs == 7500
    # little: 1,000 / 1e6 + 200 / 2e6 = 1.1 ms
    # big: 6,500 / 1e7 = 0.65 ms; hand-over 2 ms + 200 bytes / 1e5 = 4 ms; wake-up 1 ms
    assert segments.time_s == pytest.approx(np.array([[0.0011, 0.00565]]))
    assert segments.worst_latency_s == pytest.approx(0.00675)
    # the tensor goes over in the sender's width, int8
    assert segments.handover_bytes.tolist() == [[0, 200]]
    # little works at 0.02 W while big sleeps at 5 mW: 0.025 W; big at 0.1 W + 1 mW
    # hand-over: the sender works 4 ms, and 200 bytes at 1 µJ; wake-up at big's power
    big = 0.00065 * 0.101 + (0.004 * 0.025 + 200e-6) + 0.001 * 0.101
    assert segments.energy_j == pytest.approx(np.array([[0.0011 * 0.025, big]]))
    # weights in each processor's own width: 50 + 20 bytes; 4 · 1,400
    assert segments.parameters_bytes.tolist() == [[70, 5600]]
    # little: the larger of the block's 300 and 200 (tensor to hand over) + 15; big: 4 · 350
    assert segments.activation_bytes.tolist() == [[300, 1400]]


def test_layers_and_elements_take_time_besides_their_macs() -> None:
    little = replace(LITTLE, overhead_s_per_layer=1e-4, overhead_s_per_element=1e-6)
    board = replace(BOARD, processors=(little, BIG))
    blocks = tuple(replace(b, operations=k + 1, results=100 * (k + 1)) for k, b in enumerate(BLOCKS))
    exits = (replace(EXITS[0], operations=2, results=30), EXITS[1])
    plain = costs().segments(archs(0), (0, 1))
    other = Costs(board, blocks, exits, INPUT_ELEMENTS).segments(archs(0), (0, 1))
    # little: one layer of 100 elements, two of the head of 30; big has no overheads
    added = np.array([[1e-4 + 100e-6 + 2e-4 + 30e-6, 0.0]])
    assert other.time_s == pytest.approx(plain.time_s + added)
    assert other.energy_j == pytest.approx(plain.energy_j + added * 0.025)
    whole = Costs(board, blocks, exits, INPUT_ELEMENTS).segments(archs(), (0,)).time_s[0, 0]
    assert whole == pytest.approx(costs().segments(archs(), (0,)).time_s[0, 0] + 6e-4 + 600e-6)


def test_the_head_may_need_more_memory_than_the_blocks() -> None:
    segments = costs().segments(archs(1), (0, 0))
    # 100 elements at the location stay alive under the head's 300
    assert segments.activation_bytes.tolist() == [[400, 110]]


def test_two_exits_and_a_repeated_processor() -> None:
    segments = costs().segments(archs(0, 1), (0, 1, 1))
    assert segments.macs.tolist() == [[1200, 2500 + 700, 4000]]
    # no hand-over and no wake-up from big to itself
    assert segments.time_s[0, 2] == pytest.approx(4000 / 1e7)
    assert segments.handover_bytes.tolist() == [[0, 200, 0]]


def test_the_input_is_sent_if_its_processor_is_skipped() -> None:
    segments = costs().segments(archs(), (1,))
    assert segments.handover_bytes.tolist() == [[64]]
    # 2 ms + 64 / 1e5 + wake-up + 7,500 / 1e7
    assert segments.worst_latency_s == pytest.approx(0.002 + 0.00064 + 0.001 + 0.00075)


def test_memory_by_hand() -> None:
    exclusive = costs().memory_bytes(costs().segments(archs(0), (0, 1)))
    # one at a time: the larger of 300 and 1,400
    assert {name: used.tolist() for name, used in exclusive.items()} == {"sram": [1400], "flash": [5670]}
    together = costs(replace(BOARD, exclusive=False))
    assert together.memory_bytes(together.segments(archs(0), (0, 1)))["sram"].tolist() == [1700]
    # the stages of one processor run one after the other: the larger of 315 or so, not their sum
    alone = together.memory_bytes(together.segments(archs(0), (0, 0)))
    assert {name: used.tolist() for name, used in alone.items()} == {"sram": [350], "flash": [1470]}


def test_weights_and_tensors_in_one_memory_add_up() -> None:
    memories = (Memory("sram", 4000),)
    board = replace(BOARD, processors=(replace(LITTLE, flash="sram"),), memories=memories, links=())
    used = costs(board).memory_bytes(costs(board).segments(archs(0), (0, 0)))
    assert used["sram"].tolist() == [350 + 1470]


def test_every_architecture_of_a_batch_has_its_own_row() -> None:
    both = costs().segments(np.array([[0], [1]], dtype=np.intp), (0, 1))
    for row in (0, 1):
        alone = costs().segments(archs(row), (0, 1))
        for name in ("macs", "time_s", "energy_j", "parameters_bytes", "activation_bytes", "handover_bytes"):
            assert getattr(both, name)[row].tolist() == getattr(alone, name)[0].tolist()


def test_links_have_a_direction() -> None:
    assert costs().connected(0, 1)
    assert costs().connected(1, 1)
    assert not costs().connected(1, 0)


def with_rates(processor: Processor, **rates: float | None) -> Processor:
    return replace(processor, rates_macs_per_s={**processor.rates_macs_per_s, **rates})


def test_an_unknown_rate_gives_an_unknown_latency_only_where_it_is_needed() -> None:
    board = replace(BOARD, processors=(LITTLE, with_rates(BIG, default=None, dense=1e7)))
    segments = costs(board).segments(np.array([[0], [1]], dtype=np.intp), (0, 1))
    assert np.isnan(segments.worst_latency_s).tolist() == [True, False]  # after exit 1 only dense is left
    assert not np.isnan(segments.macs).any()
    unpowered = replace(BOARD, processors=(replace(LITTLE, active_power_w=None), BIG))
    segments = costs(unpowered).segments(archs(0), (0, 1))
    assert np.isnan(segments.energy_j).tolist() == [[True, True]]  # little sends, too
    assert not np.isnan(segments.time_s).any()


def test_figures_that_are_null_and_needed_are_named_all_at_once() -> None:
    require_rates(costs(), KINDS, "max_latency_s")
    require_energies(BOARD, "objective", "energy")
    board = replace(
        BOARD,
        processors=(with_rates(LITTLE, default=None), with_rates(BIG, default=None)),
        links=(replace(BOARD.links[0], bandwidth_bytes_per_s=None),),
    )
    with pytest.raises(Contradiction) as caught:
        require_rates(costs(board), KINDS, "max_latency_s")
    assert caught.value.options == ("max_latency_s",)
    assert str(caught.value) == (
        "hardware 'board': --max-latency needs figures that are null: "
        "processors[0].rates_macs_per_s.conv (little), processors[0].rates_macs_per_s.pointwise (little), "
        "processors[0].rates_macs_per_s.depthwise (little), processors[1].rates_macs_per_s.default (big), "
        "links[0].bandwidth_bytes_per_s (little → big)"
    )
    # with a rate for some kinds, those that lack one are named; all of them lack it: the default is
    with pytest.raises(InputError, match=r"null: processors\[0\].rates_macs_per_s.default \(little\)$"):
        require_rates(costs(replace(board, processors=board.processors[:1], links=())), ["conv"], "max_latency_s")
    with pytest.raises(InputError, match=r"--objective energy needs .*processors\[1\].active_power_w \(big\)"):
        require_energies(
            replace(BOARD, processors=(LITTLE, replace(BIG, active_power_w=None))), "objective", "energy"
        )


def unknown(**changes: object) -> Costs:
    return costs(replace(BOARD, processors=tuple(replace(p, **changes) for p in BOARD.processors)))  # type: ignore[arg-type]


def test_costs_are_unknown_exactly_where_what_they_need_is() -> None:
    without = {
        "powers": unknown(active_power_w=None),
        "rates": unknown(rates_macs_per_s=dict.fromkeys((*KINDS, "default"))),
    }
    for name, cost in COSTS.items():
        assert set(cost.needs) <= set(without)
        assert np.isfinite(costs().segments(archs(0), (0, 1)).of(name)).all()
        for what, less in without.items():
            assert np.isnan(less.segments(archs(0), (0, 1)).of(name)).all() == (what in cost.needs), (name, what)


def test_costs_that_are_the_same_everywhere_are() -> None:
    ways = [(0, 0), (0, 1), (1, 1)]
    for name, cost in COSTS.items():
        values = [costs().segments(archs(1), way).of(name).tolist() for way in ways]
        assert (values[0] == values[1] == values[2]) == cost.everywhere, name
