"""MACs, layer graph, blocks and locations, on layer lists that are small enough to count by hand."""

from __future__ import annotations

from itertools import pairwise
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st
from layer_lists import Net, one_input

from eeaug.backbone.model import INPUT, Call
from eeaug.network import graph, locations


def plain() -> Net:
    net = Net((8, 8, 3))
    net.conv("a", INPUT, 4)
    net.same("a_norm", "BatchNormalization", "a")
    net.same("a_relu", "ReLU", "a_norm")
    net.add("a_pool", "MaxPooling2D", "a_relu", (4, 4, 4))
    net.add("pad", "ZeroPadding2D", "a_pool", (6, 6, 4))
    net.add("b", "Conv2D", "pad", (4, 4, 8), (3, 3, 4, 8), (8,))
    net.same("b_relu", "ReLU", "b")
    net.add("gap", "GlobalAveragePooling2D", "b_relu", (8,))
    net.dense("logits", "gap", 10)
    net.same("softmax", "Softmax", "logits")
    return net


def test_layers_without_macs_are_fused_and_padding_joins_the_following_block() -> None:
    blocks = plain().blocks()
    assert [b.layers for b in blocks] == [
        ("a", "a_norm", "a_relu", "a_pool"),
        ("pad", "b", "b_relu", "gap"),
        ("logits", "softmax"),
    ]
    assert [b.name for b in blocks] == ["a_pool", "gap", "softmax"]
    assert [b.shape for b in blocks] == [(4, 4, 4), (8,), (10,)]
    assert [b.elements for b in blocks] == [64, 8, 10]
    # 256 · 27; 128 · 36; 8 · 10
    assert [b.macs for b in blocks] == [{"conv": 6912}, {"conv": 4608}, {"dense": 80}]
    assert [b.parameters for b in blocks] == [108 + 4, 288 + 8, 90]


def test_a_normalisation_after_padding_does_not_end_a_block_on_the_padded_map() -> None:
    net = Net((4, 4, 2))
    net.conv("a", INPUT, 2)
    net.add("pad", "ZeroPadding2D", "a", (6, 6, 2))
    net.same("norm", "BatchNormalization", "pad")
    net.add("b", "Conv2D", "norm", (4, 4, 2), (3, 3, 2, 2))
    net.add("flat", "Flatten", "b", (32,))
    assert [b.layers for b in net.blocks()] == [("a",), ("pad", "norm", "b", "flat")]


def test_what_stands_before_the_first_compute_layer_joins_it() -> None:
    net = Net((8, 8, 3))
    net.same("rescale", "Rescaling", INPUT)
    net.conv("a", "rescale", 4)
    assert [b.layers for b in net.blocks()] == [("rescale", "a")]


def test_a_model_without_macs_is_one_block() -> None:
    net = Net((4, 4, 2))
    net.add("flat", "Flatten", INPUT, (32,))
    net.same("softmax", "Softmax", "flat")
    assert [b.layers for b in net.blocks()] == [("flat", "softmax")]


def residual() -> Net:
    net = Net((4, 4, 2))
    net.conv("stem", INPUT, 2)
    net.same("stem_relu", "ReLU", "stem")
    net.conv("left", "stem_relu", 2)
    net.same("left_norm", "BatchNormalization", "left")
    net.same("left_relu", "ReLU", "left_norm")
    net.conv("left2", "left_relu", 2)
    net.same("add", "Add", "stem_relu", "left2")
    net.same("add_relu", "ReLU", "add")
    net.add("gap", "GlobalAveragePooling2D", "add_relu", (2,))
    net.dense("logits", "gap", 3)
    return net


def test_residual_branches_are_collapsed() -> None:
    blocks = residual().blocks()
    assert [b.name for b in blocks] == ["stem_relu", "gap", "logits"]
    assert blocks[1].layers == ("left", "left_norm", "left_relu", "left2", "add", "add_relu", "gap")
    assert blocks[1].macs == {"conv": 2 * 32 * 18}


def test_inception_and_dense_blocks_are_collapsed() -> None:
    net = Net((4, 4, 2))
    net.conv("stem", INPUT, 2)
    net.conv("one", "stem", 2, window=1)
    net.conv("three_in", "stem", 2, window=1)
    net.conv("three", "three_in", 2)
    net.same("pool", "MaxPooling2D", "stem")
    net.add("concat", "Concatenate", ("one", "three", "pool"), (4, 4, 6))
    net.conv("grow", "concat", 2)  # a dense block: its input is concatenated with what it makes
    net.add("concat2", "Concatenate", ("concat", "grow"), (4, 4, 8))
    net.conv("down", "concat2", 2, stride=2)
    net.add("flat", "Flatten", "down", (8,))
    blocks = net.blocks()
    assert [b.name for b in blocks] == ["stem", "concat", "concat2", "flat"]
    assert blocks[1].macs == {"pointwise": 2 * 32 * 2, "conv": 32 * 18}


def test_a_skip_over_everything_leaves_one_block() -> None:
    net = Net((4, 4, 2))
    net.conv("a", INPUT, 2)
    net.conv("b", "a", 2)
    net.same("add", "Add", INPUT, "b")
    assert [b.layers for b in net.blocks()] == [("a", "b", "add")]


def test_a_layer_of_two_tensors_is_no_cut() -> None:
    net = Net((4, 4, 2))
    net.conv("a", INPUT, 2)
    net.calls.append(Call("split", "Split", ("a",), ((4, 4, 2),), ((4, 4, 1), (4, 4, 1))))
    net.shapes["split"] = (4, 4, 1)
    net.conv("b", "split", 2)
    assert [b.layers for b in net.blocks()] == [("a",), ("split", "b")]


def test_the_block_graph_is_a_path_from_the_input() -> None:
    chain = graph.block_graph(residual().layer_graph())
    assert list(chain.edges) == [(INPUT, "stem_relu"), ("stem_relu", "gap"), ("gap", "logits")]
    assert chain.nodes[INPUT]["block"] is None


def test_peak_elements_by_hand() -> None:
    first, second, third = plain().blocks()
    # a: 192 in, 256 out = 448 (normalisation and ReLU work in place); pool: 256 + 64
    assert first.peak_elements == 448
    # b pads by itself: 64 + 128 = 192; gap: 128 + 8
    assert second.peak_elements == 192
    # dense: 8 + 10; softmax in place
    assert third.peak_elements == 18
    # left: 32 + 32 (in place twice); left2: skip 32 + 32 + 32 = 96; add: skip 32 + left2 32 + 32 = 96
    assert residual().blocks()[1].peak_elements == 96


@pytest.mark.parametrize(
    ("padded", "stride", "peak"),
    [
        ((9, 9), 2, 128 + 32),  # what "same" pads: (4 − 1) · 2 + 3 − 8 = 1, so the convolution does it
        ((10, 10), 2, 128 + 200),  # one on either side is more than that: a tensor of its own
        ((9, 10), 2, 128 + 180),
    ],
)
def test_padding_of_its_own_takes_memory(padded: tuple[int, int], stride: int, peak: int) -> None:
    net = Net((8, 8, 2))
    net.add("pad", "ZeroPadding2D", INPUT, (*padded, 2))
    net.add("conv", "Conv2D", "pad", (4, 4, 2), (3, 3, 2, 2), (2,))
    assert net.blocks()[0].peak_elements == peak


def test_branches_run_in_the_order_that_needs_least() -> None:
    net = Net((10,))
    net.dense("wide", INPUT, 40)
    net.dense("back", "wide", 10)
    net.dense("short", INPUT, 5)
    net.dense("shorter", "back", 5)
    net.same("add", "Add", "short", "shorter")
    # short first: input 10 + 5; then, without the input only once wide is made, 10 + 5 + 40; as given: 10 + 40 + 10
    assert net.blocks()[0].peak_elements == 55


def test_an_activation_is_not_in_place_while_its_input_is_still_needed() -> None:
    net = Net((10,))
    net.dense("a", INPUT, 10)
    net.same("relu", "ReLU", "a")
    net.same("add", "Add", "a", "relu")
    # relu: a 10 + relu 10; add: both and its own 10. Were relu in place, add would see 20.
    assert net.blocks()[0].peak_elements == 30


def test_locations_and_the_reasons_for_all_other_blocks() -> None:
    blocks = plain().blocks()
    found, reasons = locations.find(blocks, 10, one_input(8, 8, 3))
    # 4,688 MACs follow a_pool; 80 follow gap, as many as the smallest head has: 8 · 10
    total = sum(block.total_macs for block in blocks)
    assert [(at.name, at.after, at.shape, at.remaining_macs) for at in found] == [
        (INPUT, 0, (8, 8, 3), total), ("a_pool", 1, (4, 4, 4), 4608 + 80),
    ]  # fmt: skip
    assert [at.at_input for at in found] == [True, False]
    assert found[1].elements == prod((4, 4, 4))
    assert reasons == {
        "gap": "nothing to save: 80 MACs follow, the smallest head costs 80",
        "softmax": "the classifier itself",
    }


def test_no_location_on_a_tensor_that_no_head_fits() -> None:
    net = Net((2, 4, 4, 2))
    net.add("video", "Conv3D", INPUT, (2, 4, 4, 2), (1, 3, 3, 2, 2))
    net.add("flat", "Flatten", "video", (64,))
    net.dense("wide", "flat", 100)
    net.dense("logits", "wide", 3)
    reshaped = Net((2, 4, 4, 2))
    reshaped.add("video", "Conv3D", INPUT, (2, 4, 4, 2), (1, 3, 3, 2, 2))
    reshaped.add("video2", "Conv3D", "video", (2, 4, 4, 2), (1, 3, 3, 2, 2))
    assert [at.name for at in locations.find(net.blocks(), 3, one_input(2, 4, 4, 2))[0]] == ["flat"]
    found, reasons = locations.find(reshaped.blocks(), 3, one_input(2, 4, 4, 2))
    assert not found
    assert reasons["video"] == reasons[INPUT] == "no head for a tensor of shape (2, 4, 4, 2)"


def test_no_exit_on_the_input_of_what_is_no_more_than_a_head() -> None:
    net = Net((10,))
    net.dense("logits", INPUT, 3)
    found, reasons = locations.find(net.blocks(), 3, one_input(10))
    assert not found
    assert reasons[INPUT] == "nothing to save: 30 MACs follow, the smallest head costs 30"


def test_a_network_in_one_piece_says_so() -> None:
    net = Net((4, 4, 2))
    net.conv("stem", INPUT, 2)
    skip, last = INPUT, "stem"
    for i in range(30):  # every addition reads a tensor from before the convolution before it
        made = net.conv(f"conv{i}", last, 2)
        skip, last = last, net.same(f"add{i}", "Add", skip, made)
    net.add("gap", "GlobalAveragePooling2D", last, (2,))
    net.dense("logits", "gap", 3)
    blocks = net.blocks()
    assert [len(block.layers) for block in blocks] == [62, 1]
    assert locations.find(blocks, 3, one_input(4, 4, 2))[1]["gap"] == (
        "nothing to save: 6 MACs follow, the smallest head costs 6; "
        "no single tensor cuts the 62 layers of this block"
    )


@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=30),
    st.integers(1, 12),
    st.sets(st.integers(0, 29), max_size=4),
)
def test_thinned_locations_are_spread_over_the_macs(steps: list[int], most: int, kept: set[int]) -> None:
    after = [sum(steps[i:]) for i in range(len(steps))]
    every = [locations.Location(str(i), i + 1, (4,), macs) for i, macs in enumerate(after)]
    pinned = {str(i) for i in kept if i < len(every)}
    found = locations.thinned(every, most, pinned)
    at_input = locations.Location(INPUT, 0, (4,), after[0] + 1)
    assert locations.thinned([at_input, *every], most, pinned) == (at_input, *found)  # beside them
    assert [at for at in every if at in found] == list(found)  # in order, none twice
    assert pinned <= {at.name for at in found}
    assert len(found) == (len(every) if len(every) <= most else max(most, len(pinned)))
    if not pinned and 2 <= most < len(every):
        assert {every[0], every[-1]} <= set(found)
        # no gap is wider than an equal step and the largest step of the network
        gaps = [a.remaining_macs - b.remaining_macs for a, b in pairwise(found)]
        assert max(gaps) <= (after[0] - after[-1]) / (most - 1) + max(steps) + 1e-9


def test_more_than_every_location_is_every_location() -> None:
    every = [locations.Location(str(i), i, (4,), 9 - i) for i in range(3)]
    assert locations.thinned(every, float("inf")) == tuple(every)


def test_several_outputs_are_cut_before_the_first_of_them_is_taken() -> None:
    net = Net((8, 8, 3))
    net.conv("a", "input", 4)
    net.conv("b", "a", 4)
    net.conv("c", "b", 4)
    net.conv("d", "c", 8, stride=2)
    assert [b.name for b in net.blocks()] == ["a", "b", "c", "d"]
    taken = net.blocks("b", "d")  # an output is a cut itself, if all else comes from it
    assert [(b.name, b.layers) for b in taken] == [("a", ("a",)), ("b", ("b",)), ("d", ("c", "d"))]
    assert taken[-1].shape == (8 * 8 * 4 + 4 * 4 * 8,) and sum(b.total_macs for b in taken) == sum(
        b.total_macs for b in net.blocks()
    )
    assert taken[-1].peak_elements == 2 * 8 * 8 * 4 + 4 * 4 * 8  # b is kept until d is there
    two = net.blocks("a", "b", "d")
    assert [b.name for b in two] == ["a", "d"]
    places, reasons = locations.find(taken, 1, one_input(8, 8, 3), "the model's own outputs")
    assert [at.name for at in places] == ["input", "a", "b"] and reasons == {"d": "the model's own outputs"}
