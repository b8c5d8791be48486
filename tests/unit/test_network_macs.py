"""MACs and parameters of layers, on lists that are small enough to count by hand."""

from __future__ import annotations

import pytest
from layer_lists import Net, Shape

from eeaug.backbone.model import INPUT, Call
from eeaug.errors import ConversionError
from eeaug.network import macs


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
