"""Networks of several inputs: where they can be cut, and what goes on beside the tensor that is cut."""

from __future__ import annotations

from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
from layer_lists import Net

from eeaug import hardware
from eeaug.backbone.model import INPUT
from eeaug.network import late_inputs, locations
from eeaug.network.costs import Costs

IMAGE, META = "input:image", "input:meta"


def late() -> Net:
    """An image through three convolutions; numbers beside it join near the end, behind a layer of their own."""
    net = Net({"image": (8, 8, 3), "meta": (5,)})
    net.dense("numbers", META, 6)  # first in the list: the order of joining is not that of the list
    net.conv("first", IMAGE, 4)
    net.conv("second", "first", 8, stride=2)
    net.conv("third", "second", 8, stride=2)
    net.add("flat", "Flatten", "third", (32,))
    net.add("joined", "Concatenate", ("flat", "numbers"), (38,))
    net.dense("joint", "joined", 16)
    net.dense("out", "joint", 3)
    return net


def test_what_joins_late_is_carried_as_it_came() -> None:
    blocks = late().blocks()
    assert [(block.name, block.layers, block.carries, block.carried) for block in blocks] == [
        ("first", ("first",), ("meta",), 5),
        ("second", ("second",), ("meta",), 5),
        ("flat", ("third", "flat"), ("meta",), 5),
        ("joined", ("numbers", "joined"), (), 0),
        ("joint", ("joint",), (), 0),
        ("out", ("out",), (), 0),
    ]
    assert blocks[0].peak_elements == 8 * 8 * 3 + 8 * 8 * 4 + 5
    assert blocks[3].peak_elements == 32 + 6 + 38, "the numbers themselves are not needed any more"
    places, reasons = locations.find(blocks, 3, late().layout)
    assert [(at.name, at.carries) for at in places][:2] == [("first", ("meta",)), ("second", ("meta",))]
    assert reasons[INPUT] == "no single tensor is the sample: the model has the inputs image, meta"


def test_a_hand_over_costs_what_it_carries() -> None:
    net = late()
    costs = Costs(hardware.read("psoc6"), net.blocks(), [], sum(net.layout.sizes))
    small, large = (
        next(i for i, mode in enumerate(costs.modes) if mode.processor.name == name) for name in ("cm0p", "cm4f")
    )
    sent = [float(costs.handover(np.array([after]), small, large)[2][0]) for after in (1, 4)]
    assert sent == [8 * 8 * 4 + 5, 38]


def test_an_input_that_is_read_twice_is_carried_until_the_last_time() -> None:
    net = Net({"image": (8, 8, 3), "meta": (4,)})
    net.conv("first", IMAGE, 4)
    net.add("gate", "Multiply", ("first", META), (8, 8, 4))
    net.conv("second", "gate", 8)
    net.add("flat", "Flatten", "second", (512,))
    net.add("joined", "Concatenate", ("flat", META), (516,))
    net.dense("out", "joined", 3)
    assert [(block.name, block.carries) for block in net.blocks()] == [
        ("gate", ("meta",)), ("joined", ()), ("out", ()),
    ]  # fmt: skip


def test_a_layer_on_an_input_that_is_read_twice_allows_no_cut_between() -> None:
    """Its tensor would have to be handed over beside the other one."""
    net = Net({"image": (8, 8, 3), "meta": (4,)})
    net.dense("code", META, 4)
    net.conv("first", IMAGE, 4)
    net.add("gate", "Multiply", ("first", "code"), (8, 8, 4))
    net.conv("second", "gate", 4)
    net.add("again", "Multiply", ("second", "code"), (8, 8, 4))
    net.conv("third", "again", 4)
    net.add("flat", "Flatten", "third", (256,))
    net.dense("out", "flat", 3)
    assert [block.name for block in net.blocks()] == ["first", "again", "flat", "out"]


@pytest.mark.parametrize("first", ["left", "right"])
def test_the_way_is_that_of_the_input_with_most_macs(first: str) -> None:
    net = Net({"left": (8, 8, 3), "right": (8, 8, 3)})
    for side in ("left", "right"):
        filters = 8 if side == first else 4
        net.conv(f"{side}_a", f"input:{side}", filters)
        net.conv(f"{side}_b", f"{side}_a", 4)
    net.add("joined", "Concatenate", ("left_b", "right_b"), (8, 8, 8))
    net.dense("out", net.add("flat", "Flatten", "joined", (512,)), 3)
    (other,) = {"left", "right"} - {first}
    assert [(block.name, block.carries) for block in net.blocks()][:3] == [
        (f"{first}_a", (other,)), (f"{first}_b", (other,)), ("flat", ()),
    ]  # fmt: skip


def random_graph(seed: int) -> nx.DiGraph:
    """A layer graph of two or three inputs in which every layer serves the last one."""
    rng = np.random.default_rng(seed)
    names = ["a", "b", "c"][: int(rng.integers(2, 4))]
    net = Net(dict.fromkeys(names, (4,)))
    unread = list(net.shapes)
    for i in range(int(rng.integers(3, 12))):
        every = list(net.shapes)
        count = int(rng.integers(1, 3))
        read = [unread[int(rng.integers(len(unread)))], *rng.choice(every, count).tolist()][:count]
        if len({*read}) == 1:
            net.dense(f"l{i}", read[0], 4)
        else:
            net.add(f"l{i}", "Add", tuple(dict.fromkeys(read)), (4,))
        unread = [name for name in unread if name not in read] + [f"l{i}"]
    net.add("end", "Add", tuple(unread), (4,))
    return net.layer_graph()


@pytest.mark.parametrize("seed", range(60))
def test_cuts_are_all_that_can_be_on_one_way(seed: int) -> None:
    """Against the definition: with the tensor of a cut and the inputs that it carries, the rest can be computed."""
    layers = random_graph(seed)
    inputs = {name for name, data in layers.nodes(data=True) if "input" in data}
    every = {name for name, data in layers.nodes(data=True) if data["call"] is not None}
    cuts = late_inputs.cuts(layers)
    chain = [unit[-1] for unit in cuts.units]
    assert sorted(name for unit in cuts.units for name in unit) == sorted(every)

    def before(name: str) -> set[str]:
        return {name, *nx.ancestors(layers, name)} - {INPUT}

    def crossing(name: str) -> set[str]:
        """What is computed up to a layer, or comes in, and read behind it."""
        return {u for u in before(name) | inputs if any(v not in before(name) for v in layers.successors(u))}

    for cut in chain:
        assert crossing(cut) - {cut} == {*cuts.carried_behind(cut)} <= inputs
        known = {cut, *cuts.carried_behind(cut)}
        for name in every - before(cut):
            assert {*layers.predecessors(name)} <= known | (every - before(cut))
    assert all(before(a) < before(b) for a, b in pairwise(chain))
    ways = set.intersection(*(before(cut) & inputs for cut in chain))
    trunk = ways - {name for cut in chain for name in cuts.carried_behind(cut)}
    assert trunk, "one input is behind every cut and carried by none"
    possible = [
        {name for name in every if way in before(name) and crossing(name) - {name} <= inputs - {way}}
        for way in trunk
    ]
    assert {*chain} in possible, "none is left out"


def test_one_input_is_cut_as_before() -> None:
    net = Net((8, 8, 3))
    net.conv("first", INPUT, 4)
    net.dense("out", net.add("flat", "Flatten", "first", (256,)), 3)
    assert not late_inputs.several(net.layer_graph())
    assert [(b.name, b.carries) for b in net.blocks()] == [("flat", ()), ("out", ())]
