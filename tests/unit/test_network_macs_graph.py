"""MACs, layer graph, blocks and locations, on layer lists that are small enough to count by hand."""

from __future__ import annotations

from itertools import pairwise
from math import prod
from types import SimpleNamespace
from typing import cast

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eeaug.backbone.model import INPUT, Call, Classifier
from eeaug.errors import ConversionError
from eeaug.network import graph, locations, macs

Shape = tuple[int, ...]


class Net:
    """Builds a list of calls; every method returns the name of the call it adds."""

    def __init__(self, input_shape: Shape) -> None:
        self.shapes: dict[str, Shape] = {INPUT: input_shape}
        self.input_shape = input_shape
        self.calls: list[Call] = []

    def add(
        self, name: str, kind: str, inputs: str | tuple[str, ...], shape: Shape, *weights: Shape, **more: str
    ) -> str:
        sources = (inputs,) if isinstance(inputs, str) else inputs
        read = tuple(self.shapes[s] for s in sources)
        self.calls.append(Call(name, kind, sources, read, (shape,), weights, **more))
        self.shapes[name] = shape
        return name

    def same(self, name: str, kind: str, *inputs: str) -> str:
        """A layer that keeps the shape."""
        return self.add(name, kind, inputs, self.shapes[inputs[0]])

    def conv(self, name: str, source: str, filters: int, window: int = 3, stride: int = 1) -> str:
        height, width, channels = self.shapes[source]
        shape = (height // stride, width // stride, filters)
        return self.add(name, "Conv2D", source, shape, (window, window, channels, filters), (filters,))

    def dense(self, name: str, source: str, units: int) -> str:
        return self.add(name, "Dense", source, (units,), (self.shapes[source][-1], units), (units,))

    def layer_graph(self) -> nx.DiGraph:
        return graph.layer_graph(self.calls, self.input_shape)

    def blocks(self) -> tuple[graph.Block, ...]:
        classifier = SimpleNamespace(calls=tuple(self.calls), input_shape=self.input_shape)
        return graph.blocks(cast(Classifier, classifier))


def call(kind: str, read: Shape, given: Shape, *weights: Shape, equation: str | None = None) -> Call:
    return Call("layer", kind, (INPUT,), (read,), (given,), weights, equation=equation)


def product(
    kind: str, reads: tuple[Shape, ...], given: Shape, *weights: Shape, equation: str | None = None
) -> Call:
    """A call on several tensors."""
    return Call("layer", kind, (INPUT,) * len(reads), reads, (given,), weights, equation=equation)


# of 2 heads, with queries and keys of 4 and values of 3, for queries of 6 and keys of 7 channels
HEADS = ((6, 2, 4), (2, 4), (7, 2, 4), (2, 4), (7, 2, 3), (2, 3), (2, 3, 6), (6,))


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        # every output element of a convolution costs window · channels_in / groups
        (call("Conv2D", (8, 8, 3), (8, 8, 16), (3, 3, 3, 16), (16,)), {"conv": 1024 * 27}),
        (call("Conv2D", (8, 8, 3), (4, 4, 16), (3, 3, 3, 16)), {"conv": 256 * 27}),  # stride 2
        (call("Conv2D", (8, 8, 6), (8, 8, 4), (3, 3, 2, 4)), {"conv": 256 * 18}),  # 3 groups of 2 channels
        (call("Conv2D", (8, 8, 3), (8, 8, 16), (1, 1, 3, 16)), {"pointwise": 1024 * 3}),
        (call("Conv2D", (3, 8, 8), (16, 8, 8), (3, 3, 3, 16)), {"conv": 1024 * 27}),  # channels first
        (call("Conv1D", (10, 4), (8, 5), (3, 4, 5)), {"conv": 40 * 12}),
        (call("DepthwiseConv2D", (8, 8, 3), (8, 8, 6), (3, 3, 3, 2)), {"depthwise": 384 * 9}),
        # 64 positions: 9 · 3 channels · multiplier 2 each, then 6 → 16 channels
        (
            call("SeparableConv2D", (8, 8, 3), (8, 8, 16), (3, 3, 3, 2), (1, 1, 6, 16)),
            {"depthwise": 64 * 54, "pointwise": 64 * 96},
        ),
        # every input element is spread over a window for every filter: kernel (2, 2, filters 5, channels 3)
        (call("Conv2DTranspose", (4, 4, 3), (8, 8, 5), (2, 2, 5, 3), (5,)), {"conv": 48 * 20}),
        (call("Dense", (20,), (10,), (20, 10), (10,)), {"dense": 200}),
        (call("Dense", (7, 20), (7, 10), (20, 10)), {"dense": 1400}),
        # (7, 20) · (20, 2, 5): 70 outputs, sums over the axis of 20
        (call("EinsumDense", (7, 20), (7, 2, 5), (20, 2, 5), equation="abc,cde->abde"), {"dense": 1400}),
        (call("EinsumDense", (7, 20), (7, 10), (20, 10), equation="...x,xy->...y"), {"dense": 1400}),
        (call("Conv2D", (8, 8, 6), (8, 8, 12), (3, 3, 1, 12)), {"depthwise": 768 * 9}),  # a group per channel
        (call("Conv2D", (8, 8, 1), (8, 8, 12), (3, 3, 1, 12)), {"conv": 768 * 9}),  # one channel, one group
        # matrix products: every output element sums over the axis that is lost
        (product("Matmul", ((8, 6), (6, 5)), (8, 5)), {"dense": 40 * 6}),
        (product("Dot", ((8, 6), (5, 6)), (8, 5)), {"dense": 40 * 6}),
        (product("Dot", ((6,), (6,)), (1,)), {"dense": 6}),
        (product("Einsum", ((8, 2, 6), (5, 2, 6)), (2, 8, 5), equation="bthd,bshd->bhts"), {"dense": 80 * 6}),
        (product("Einsum", ((8, 6), (5, 6)), (8, 5), equation="...td,...sd->...ts"), {"dense": 40 * 6}),
        # 8 queries of 6 channels, 5 keys of 6, 5 values of 4: scores 8 · 5 · 6, output 8 · 5 · 4
        (product("Attention", ((8, 6), (5, 4), (5, 6)), (8, 4)), {"dense": 40 * 6 + 40 * 4}),
        (product("AdditiveAttention", ((8, 6), (5, 6)), (8, 6), (6,)), {"dense": 40 * 6}),
        # 8 queries, 5 keys; projections of 2 · 4, 2 · 4 and 2 · 3, then back; keys come first, a mask last
        (
            product("MultiHeadAttention", ((5, 7), (8, 6), (5, 7), (8, 5)), (8, 6), *HEADS),
            {"dense": 8 * 48 + 5 * 56 + 5 * 42 + 8 * 36 + 40 * 2 * 4 + 40 * 2 * 3},
        ),
        # 4 heads of queries on 2 of keys and values
        (
            product("GroupedQueryAttention", ((8, 6), (8, 6)), (8, 6), (6, 4, 5), (6, 2, 5), (6, 2, 5), (4, 5, 6)),
            {"dense": 8 * (120 + 60 + 60 + 120) + 64 * 4 * 5 * 2},
        ),
        # 8 steps; four gates, three gates with two biases, both directions
        (call("LSTM", (8, 4), (16,), (4, 64), (16, 64), (64,)), {"dense": 8 * (256 + 1024)}),
        (call("GRU", (8, 4), (16,), (4, 48), (16, 48), (2, 48)), {"dense": 8 * (192 + 768)}),
        (
            call("Bidirectional", (8, 4), (4,), (4, 6), (2, 6), (2, 6), (4, 6), (2, 6), (2, 6)),
            {"dense": 2 * 8 * (24 + 12)},
        ),
        (call("BatchNormalization", (8, 8, 3), (8, 8, 3), (3,), (3,), (3,), (3,)), {}),
        (call("PReLU", (8, 8, 3), (8, 8, 3), (8, 8, 3)), {}),
        (call("Embedding", (7,), (7, 4), (100, 4)), {}),
        (call("AveragePooling2D", (8, 8, 3), (4, 4, 3)), {}),
    ],
)
def test_macs_of_a_layer(layer: Call, expected: dict[str, int]) -> None:
    assert macs.count(layer) == expected


@pytest.mark.parametrize(
    "layer",
    [
        call("MyLayer", (8,), (4,), (8, 4)),  # weights that multiply, nobody knows how often
        call("Matmul", (8, 4), (8, 8)),  # the other operand is a constant that is not seen
        call("Dot", (8, 4), (8, 8)),
        product("Einsum", ((8, 6), (5, 6)), (8, 5)),  # the equation is not seen
        product("Attention", ((8, 6), (5, 6)), (8, 6), ()),  # scale, or scores by addition
        product("MultiHeadAttention", ((4, 4, 6), (4, 4, 6)), (4, 4, 6), *HEADS),  # along which axis?
        call(
            "Bidirectional",
            (2, 8, 8, 3),
            (8, 8, 4),
            (3, 3, 3, 8),
            (3, 3, 2, 8),
            (8,),
            (3, 3, 3, 8),
            (3, 3, 2, 8),
            (8,),
        ),
        call("RNN", (8, 4), (16,), (4, 64), (16, 64), (64,)),  # of any cell
    ],
)
def test_macs_that_nobody_knows_are_an_error(layer: Call) -> None:
    with pytest.raises(ConversionError, match=rf"layer 'layer' \({layer.kind}\).*MACs"):
        macs.count(layer)


def test_parameters_are_all_weights_and_shared_ones_count_once() -> None:
    net = Net((4, 4, 2))
    net.add("shared", "Conv2D", INPUT, (4, 4, 2), (3, 3, 2, 2), (2,), weights_of="shared")
    net.add("shared@2", "Conv2D", "shared", (4, 4, 2), (3, 3, 2, 2), (2,), weights_of="shared")
    nodes = net.layer_graph().nodes
    assert (nodes["shared"]["parameters"], nodes["shared@2"]["parameters"]) == (38, 0)
    assert nodes["shared@2"]["macs"] == {"conv": 32 * 18}


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
    found, reasons = locations.find(blocks, outputs=10)
    # 4,688 MACs follow a_pool; 80 follow gap, as many as the smallest head has: 8 · 10
    assert [(at.name, at.after, at.shape, at.remaining_macs) for at in found] == [
        ("a_pool", 1, (4, 4, 4), 4608 + 80)
    ]
    assert found[0].elements == prod((4, 4, 4))
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
    assert [at.name for at in locations.find(net.blocks(), 3)[0]] == ["flat"]
    found, reasons = locations.find(reshaped.blocks(), 3)
    assert not found
    assert reasons["video"] == "no head for a tensor of shape (2, 4, 4, 2)"


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
    assert locations.find(blocks, 3)[1]["gap"] == (
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
    every = [locations.Location(str(i), i, (4,), macs) for i, macs in enumerate(after)]
    pinned = {str(i) for i in kept if i < len(every)}
    found = locations.thinned(every, most, pinned)
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
