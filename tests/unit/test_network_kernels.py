"""Layers as calls of kernels, on layer lists that are small enough to write down what they become."""

from __future__ import annotations

from dataclasses import replace

import pytest
from layer_lists import Net

from eeaug.backbone.model import INPUT
from eeaug.backbone.windows import Window
from eeaug.hardware.loops import KernelRun
from eeaug.heads.layers import Convolve, Dense, Head, Pool, Residual
from eeaug.network import kernels
from eeaug.network.locations import Location

SAME = Window((3, 3), (1, 1), (1, 1), "same")
ONE = Window((1, 1), (1, 1), (1, 1), "valid")


class Windowed(Net):
    """With the windows that convolutions are called with."""

    def convolved(self, name: str, source: str, filters: int, window: Window = SAME, kind: str = "Conv2D") -> str:
        *spatial, channels = self.shapes[source]
        shape = (*(-(-s // t) for s, t in zip(spatial, window.stride, strict=True)), filters)
        self.add(name, kind, source, shape, (*window.size, channels, filters), (filters,))
        self.calls[-1] = replace(self.calls[-1], window=window)
        return name

    def become(self, format: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of all kernels, and layers that have none."""
        graph = self.layer_graph()
        parts = kernels.of_layers(graph, [call.name for call in self.calls])[format]
        return tuple(call.kernel + "+" * call.summed for call in parts.calls), parts.unknown


def residual() -> Windowed:
    net = Windowed((8, 8, 4))
    net.convolved("a", INPUT, 4)
    net.same("a_norm", "BatchNormalization", "a")
    net.same("a_relu", "ReLU", "a_norm")
    net.convolved("b", "a_relu", 4)
    net.same("b_norm", "BatchNormalization", "b")
    net.same("sum", "Add", "b_norm", "a_relu")
    net.same("relu", "ReLU", "sum")
    net.add("gap", "GlobalAveragePooling2D", "relu", (4,))
    net.dense("logits", "gap", 3)
    net.same("softmax", "Softmax", "logits")
    return net


def test_normalisations_and_activations_go_into_convolutions() -> None:
    assert residual().become("c-int8") == (("conv", "conv", "add", "mean", "dense", "softmax"), ())
    # float C adds in the later branch
    assert residual().become("c") == (("conv", "conv+", "mean", "dense", "softmax"), ())


def test_what_no_convolution_takes_in_is_a_kernel_of_its_own() -> None:
    net = Windowed((8, 8, 4))
    net.convolved("a", INPUT, 4)
    net.same("pool", "MaxPooling2D", "a")
    net.calls[-1] = replace(net.calls[-1], window=Window((2, 2), (1, 1), (1, 1), "same"))
    net.same("norm", "BatchNormalization", "pool")
    net.same("relu", "ReLU", "norm")
    net.same("tanh", "Activation", "relu")
    net.calls[-1] = replace(net.calls[-1], activation="tanh")
    net.same("relu_again", "ReLU", "tanh")
    assert net.become("c-int8")[0] == ("conv", "max_pool", "multiply_row", "add_row", "table", "table")
    assert net.become("c")[0] == ("conv", "max_pool", "scale", "sigmoid", "clip")


def test_samples_are_scaled_by_kernels_where_the_model_does_it() -> None:
    net = Windowed((8, 8, 3))
    net.same("rescale", "Rescaling", INPUT)
    net.same("norm", "Normalization", "rescale")
    net.same("shifted", "Add", "norm")  # and a constant
    net.same("difference", "Subtract", "norm", "shifted")
    assert net.become("c-int8")[0] == ("table", "table", "add_row", "multiply_row", "table", "add")
    assert net.become("c")[0] == ("scale", "scale", "scale", "add")


def test_along_one_axis_float_c_keeps_what_follows_apart() -> None:
    net = Windowed((16, 4))
    net.convolved("a", INPUT, 8, Window((5,), (1,), (1,), "same"), "Conv1D")
    net.same("norm", "BatchNormalization", "a")
    net.same("relu", "ReLU", "norm")
    assert net.become("c-int8") == (("conv",), ())
    assert net.become("c") == (("conv", "turn", "turn", "add", "scale", "clip"), ())


def test_layers_without_a_kernel_are_named() -> None:
    net = residual()
    net.same("norm", "LayerNormalization", "softmax")
    net.same("permuted", "Permute", "norm")
    for format in kernels.FORMATS:
        assert net.become(format)[1] == ("norm (LayerNormalization)", "permuted (Permute)")
    grouped = Windowed((8, 8, 4))
    grouped.convolved("a", INPUT, 4, replace(SAME, groups=2))
    assert grouped.become("c-int8") == ((), ("a (Conv2D)",)) and grouped.become("c") == (("conv",), ())
    bare = Net((8, 8, 4))
    bare.conv("a", INPUT, 4)  # nobody says how its window moves
    assert kernels.of_layers(bare.layer_graph(), ["a"])["c"].unknown == ("a (Conv2D)",)


@pytest.mark.parametrize(
    ("window", "read", "written", "before"),
    [
        (SAME, (8, 8, 3), (8, 8, 4), (1, 1)),
        (Window((3, 3), (2, 2), (1, 1), "same"), (8, 8, 3), (4, 4, 4), (0, 0)),  # the odd one is behind
        (Window((3, 3), (2, 2), (1, 1), "same"), (7, 7, 3), (4, 4, 4), (1, 1)),
        (Window((10, 4), (2, 2), (1, 1), "same"), (49, 10, 1), (25, 5, 64), (4, 1)),
        (Window((3, 3), (1, 1), (2, 2), "same"), (8, 8, 3), (8, 8, 4), (2, 2)),
        (Window((3, 3), (1, 1), (1, 1), "valid"), (8, 8, 3), (6, 6, 4), (0, 0)),
        (Window((3,), (1,), (2,), "causal"), (8, 3), (8, 4), (0, 4)),
    ],
    ids=str,
)
def test_padding_before_is_that_of_the_converters(
    window: Window, read: tuple[int, ...], written: tuple[int, ...], before: tuple[int, int]
) -> None:
    assert kernels.convolution("conv", read, written, window).before == before


def test_heads_become_what_their_steps_are() -> None:
    at = Location("a", 1, (8, 8, 4), 10_000)
    head = Head(
        at, "x", "y", (Convolve(None, 2, 3, ""), Convolve(8), Residual(8), Pool((2, 2)), Dense(3, "softmax"))
    )
    calls = head.cost().kernels["c-int8"].calls
    assert [call.kernel for call in calls] == [
        "depthwise", "conv", "conv", "conv", "add", "average_pool", "dense", "softmax"
    ]  # fmt: skip
    assert calls[0] == KernelRun("depthwise", (8, 8, 4), (4, 4, 4), (3, 3), (2, 2), (1, 1), (0, 0), 4)
    assert calls[5] == KernelRun("average_pool", (4, 4, 8), (2, 2, 8), (2, 2), (2, 2))
    assert calls[6] == KernelRun("dense", (1, 1, 32), (1, 1, 3))
    signal = Head(Location("a", 1, (8, 4), 10_000), "x", "y", (Convolve(8), Pool((8,)), Dense(3, "softmax")))
    assert [call.kernel for call in signal.cost().kernels["c"].calls] == [
        "conv", "turn", "turn", "add", "clip", "average_pool", "dense", "softmax"
    ]  # fmt: skip
