"""Kernels of --format c, and the graphs that are changed for them: what ONNX Runtime says, on random networks."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tools import needs_host

from eeaug.export.c import onnx_source, stage_source, toolchain
from eeaug.export.c.onnx_source import StageCode
from eeaug.export.c.plan import PlannedStage, plan
from eeaug.export.c.stage_code import KERNELS, kernel_files, kernels, stage_code
from eeaug.frameworks import onnx_session

STRICT = ("-std=c99", "-O2", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wsign-conversion", "-Werror")
compiler = toolchain.host() or "cc"

PROGRAM = """
#include <stdio.h>
#include "net_stage_0.h"
static double arena[{words}];
static float input[{inputs}];
static float out[{outputs}];
int main(void)
{{
    while (fread(input, sizeof input, 1, stdin) == 1) {{
        net_stage_0(arena, input, out);
        if (fwrite(out, sizeof out, 1, stdout) != 1) {{
            return 1;
        }}
    }}
    return 0;
}}
"""


class Net:
    """An ONNX graph that grows; every method adds a node and gives the name of what it writes."""

    def __init__(self, seed: int, shape: tuple[int, ...]) -> None:
        self.rng = np.random.default_rng(seed)
        self.shape = shape
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def constant(self, *shape: int, low: float = -1, high: float = 1) -> str:
        return self.given(self.rng.uniform(low, high, shape).astype(np.float32))

    def given(self, values: Any) -> str:
        from onnx import numpy_helper

        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        from onnx import helper

        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def model(self, last: str) -> Any:
        import onnx
        from onnx import TensorProto, helper

        self.nodes.append(helper.make_node("Identity", [last], ["probabilities"]))
        given = helper.make_tensor_value_info("input", TensorProto.FLOAT, self.shape)
        gives = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "net", [given], [gives], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        gives.CopyFrom(onnx.shape_inference.infer_shapes(model, data_prop=True).graph.output[0])
        del model.graph.output[:]
        model.graph.output.append(gives)
        return model


def checked(net: Net, last: str, place: Path, tolerance: float = 3e-5) -> StageCode:
    """Compile the network, run it on samples, and compare with ONNX Runtime; gives the stage."""
    model = net.model(last)
    (place / "model.onnx").write_bytes(model.SerializeToString())
    simple = onnx_source.simplified(place / "model.onnx")
    source = stage_code(simple, "stage_0")
    size = prod(d.dim_value for d in model.graph.output[0].type.tensor_type.shape.dim)
    made = plan([PlannedStage(source, True, False, 4 * prod(net.shape), 4 * size, 0, 0, False)])
    sizes = {"words": made.bytes // 8 + 1, "inputs": prod(net.shape), "outputs": size}
    files = {
        "main.c": PROGRAM.format(**sizes),
        "net_stage_0.h": stage_source.header("net", 0, "net", made.bytes, sizes["inputs"], size, None),
        "net_stage_0.c": stage_source.implementation(
            "net", 0, "net", source, made.calls[0], made.offsets[0], made.scratch[0]
        ),
        **kernel_files("net", kernels([source])),
    }
    for name, text in files.items():
        (place / name).write_text(text, encoding="utf-8")
    sources = [str(p) for p in sorted(place.glob("*.c"))]
    flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"] if SANITISED else []
    line = [compiler, *STRICT, *flags, "-o", str(place / "net"), *sources, "-lm"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    x = net.rng.normal(size=(4, *net.shape)).astype("<f4")
    said = subprocess.run([place / "net"], input=x.tobytes(), capture_output=True, check=False)
    assert said.returncode == 0, said.stderr.decode()
    session = onnx_session.session(place / "model.onnx", 1)
    expected = np.array([session.run(None, {"input": one})[0].ravel() for one in x])
    found = np.frombuffer(said.stdout, "<f4").reshape(expected.shape)
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    assert np.ptp(expected, axis=0).max() > 1e-3, "samples differ"
    return source


def _sanitised() -> bool:
    import tools

    line = ("-fsanitize=address,undefined",)
    return toolchain.host() is not None and tools.compiles(compiler, ".c", tools.C, line, link=True)


SANITISED = _sanitised()


def operators(source: StageCode) -> list[str]:
    return [call.operator for call in source.calls if not call.copy]


def flat(net: Net, *tensors: str) -> str:
    """All of them in one row."""
    rows = [net.add("Flatten", tensor) for tensor in tensors]
    return net.add("Concat", *rows, axis=1) if len(rows) > 1 else rows[0]


# --- kernels by themselves: many windows, channels that are no multiple of four


def windows(rng: np.random.Generator, size: tuple[int, int]) -> Iterator[dict[str, Any]]:
    """Random kernels, strides, dilations and paddings that fit; some reach further than the input."""
    while True:
        kernel = [int(rng.integers(1, 5)) for _ in size]
        dilations = [int(rng.integers(1, 3)) for _ in size]
        span = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
        pads = [int(rng.integers(0, k + 1)) for k in span * 2]
        if all(n + a + b >= s for n, a, b, s in zip(size, pads[:2], pads[2:], span, strict=True)):
            strides = [int(rng.integers(1, 4)) for _ in size]
            yield {"kernel_shape": kernel, "dilations": dilations, "pads": pads, "strides": strides}


@needs_host
@pytest.mark.parametrize("seed", range(6))
def test_convolutions_of_every_kind(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    channels, size = [(1, (5, 9)), (3, (8, 7)), (6, (1, 11)), (8, (6, 6)), (4, (7, 1)), (5, (4, 10))][seed]
    net = Net(seed, (1, channels, *size))
    listed = []
    for window, _ in zip(windows(rng, size), range(10), strict=False):
        groups = int(rng.choice([g for g in (1, 2, 3, channels) if channels % g == 0]))
        filters = groups * int(rng.integers(1, 8))
        weights = net.constant(filters, channels // groups, *window["kernel_shape"])
        bias = [net.constant(filters)] if rng.random() < 0.7 else []
        listed.append(net.add("Conv", "input", weights, *bias, group=groups, **window))
    source = checked(net, flat(net, *listed), tmp_path)
    assert {"conv", "depthwise"} & set(operators(source)) and "Conv" not in operators(source)


@needs_host
@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
def test_poolings(kind: str, tmp_path: Path) -> None:
    net = Net(3, (1, 5, 9, 8))
    listed = [net.add(f"Global{kind}", "input")]
    for kernel, strides, pads in (
        ((2, 2), (2, 2), (0, 0, 0, 0)),
        ((3, 3), (2, 1), (1, 1, 1, 1)),
        ((9, 8), (1, 1), (0, 0, 0, 0)),
        ((4, 3), (3, 2), (0, 1, 2, 0)),
    ):
        listed.append(net.add(kind, "input", kernel_shape=kernel, strides=strides, pads=pads))
    source = checked(net, flat(net, *listed), tmp_path)
    assert {o for o in operators(source) if o.endswith("_pool")} == {
        "max_pool" if kind == "MaxPool" else "average_pool"
    }


@needs_host
def test_along_one_dimension(tmp_path: Path) -> None:
    """As networks for sounds and heart beats have it."""
    net = Net(4, (1, 40, 3))
    x = net.add("Transpose", "input", perm=[0, 2, 1])
    x = net.add("Conv", x, net.constant(8, 3, 5), net.constant(8), strides=[2], pads=[2, 2])
    x = net.add("Relu", x)
    x = net.add("MaxPool", x, kernel_shape=[3], strides=[2], pads=[1, 1])
    x = net.add("Conv", x, net.constant(8, 1, 3), group=8, pads=[1, 1])
    x = net.add("GlobalAveragePool", x)
    x = net.add("Gemm", net.add("Flatten", x), net.constant(8, 5), net.constant(5))
    source = checked(net, net.add("Softmax", x, axis=-1), tmp_path)
    assert operators(source) == ["conv", "max_pool", "depthwise", "average_pool", "conv", "softmax"]


# --- what is taken in


def residual(net: Net) -> str:
    """A block as Keras writes it, channels last outside."""
    x = net.add("Transpose", "input", perm=[0, 3, 1, 2])
    x = net.add("Relu", net.add("Conv", x, net.constant(8, 4, 3, 3), net.constant(8), pads=[1] * 4))
    y = net.add("Relu", net.add("Conv", x, net.constant(8, 8, 3, 3, low=-0.3, high=0.3), pads=[1] * 4))
    y = net.add("Conv", y, net.constant(8, 8, 3, 3, low=-0.3, high=0.3), net.constant(8), pads=[1] * 4)
    return net.add("Transpose", net.add("Relu", net.add("Add", y, x)), perm=[0, 2, 3, 1])


@needs_host
def test_a_residual_block_is_three_kernels_and_two_tensors(tmp_path: Path) -> None:
    net = Net(5, (1, 10, 10, 4))
    source = checked(net, residual(net), tmp_path)
    assert operators(source) == ["conv"] * 3
    # what the last one adds is outside here, so that it cannot lie there; inside of a network it does
    assert source.calls[-1].over and len(source.calls[-1].reads) == 5


@needs_host
def test_factors_biases_and_bounds_are_taken_in(tmp_path: Path) -> None:
    net = Net(6, (1, 6, 6, 3))
    x = net.add("Mul", "input", net.given(np.float32(1 / 255)))
    x = net.add("Transpose", x, perm=[0, 3, 1, 2])
    x = net.add("Conv", x, net.constant(5, 3, 3, 3, low=-99, high=99), pads=[1] * 4)
    x = net.add("Add", x, net.constant(5, 1, 1))
    x = net.add("Clip", x, net.given(np.float32(-0.5)), net.given(np.float32(0.7)))
    x = net.add("Relu", x)
    source = checked(net, net.add("Transpose", x, perm=[0, 2, 3, 1]), tmp_path)
    assert operators(source) == ["conv"]


@needs_host
@pytest.mark.parametrize("groups", [1, 3, 6])
def test_norms_after_convolutions_are_taken_in(groups: int, tmp_path: Path) -> None:
    """A factor for every channel goes to its weights, in the order in which they are packed."""
    net = Net(11, (1, 6, 5, 6))
    x = net.add("Transpose", "input", perm=[0, 3, 1, 2])
    filters = {1: 7, 3: 15, 6: 6}[groups]
    x = net.add("Conv", x, net.constant(filters, 6 // groups, 3, 2), group=groups)
    x = net.add("Mul", x, net.constant(filters, 1, 1, low=0.5, high=2))
    x = net.add("Sub", net.add("Mul", x, net.given(np.float32(3))), net.constant(filters, 1, 1))
    source = checked(net, net.add("Transpose", net.add("Relu", x), perm=[0, 2, 3, 1]), tmp_path)
    assert operators(source) == ["depthwise" if groups == 6 else "conv"]


@needs_host
def test_factors_and_summands_in_a_row_are_one(tmp_path: Path) -> None:
    net = Net(12, (1, 6, 5, 6))
    x = net.add("Mul", "input", net.given(np.float32(2)))
    x = net.add("Add", net.add("Div", x, net.constant(6, low=1, high=2)), net.constant(6))
    assert operators(checked(net, net.add("Relu", net.add("Sub", x, net.given(np.float32(0.5)))), tmp_path)) == [
        "scale"
    ]


@needs_host
def test_what_another_reads_is_not_taken_in(tmp_path: Path) -> None:
    net = Net(7, (1, 6, 6, 4))
    x = net.add("Transpose", "input", perm=[0, 3, 1, 2])
    y = net.add("Conv", x, net.constant(4, 4, 1, 1))
    clipped, doubled = net.add("Relu", y), net.add("Add", y, y)
    source = checked(net, flat(net, clipped, doubled, net.add("Add", y, x)), tmp_path)
    assert sorted(o for o in operators(source) if o[0].islower()) == ["add", "add", "clip", "conv"]


@needs_host
def test_norms_before_activations_and_dense_layers_on_maps(tmp_path: Path) -> None:
    net = Net(8, (1, 5, 4, 6))
    x = net.add("Transpose", "input", perm=[0, 3, 1, 2])
    norm = [net.constant(6), net.constant(6), net.constant(6), net.constant(6, low=0.1, high=2)]
    x = net.add("Relu", net.add("BatchNormalization", x, *norm, epsilon=1e-3))
    x = net.add("Transpose", x, perm=[0, 2, 3, 1])
    x = net.add("Add", net.add("MatMul", x, net.constant(6, 7)), net.constant(7))
    x = net.add("Sigmoid", net.add("ReduceMean", x, axes=[1, 2], keepdims=0))
    assert operators(checked(net, x, tmp_path)) == ["scale", "conv", "average_pool", "sigmoid"]


@needs_host
def test_others_write_what_kernels_read_and_the_other_way_round(tmp_path: Path) -> None:
    pytest.importorskip("emx_onnx_cgen")
    net = Net(9, (1, 6, 6, 4))
    x = net.add("Transpose", "input", perm=[0, 3, 1, 2])
    x = net.add("LeakyRelu", net.add("Conv", x, net.constant(8, 4, 3, 3), pads=[1] * 4), alpha=0.1)
    squeezed = net.add("GlobalAveragePool", x)
    squeezed = net.add("HardSigmoid", net.add("Conv", squeezed, net.constant(8, 8, 1, 1)))
    x = net.add("PRelu", net.add("Mul", x, squeezed), net.constant(8, 1, 1))
    x = net.add("ConvTranspose", x, net.constant(8, 3, 2, 2), strides=[2, 2])
    source = checked(net, net.add("Conv", x, net.constant(2, 3, 3, 3)), tmp_path)
    assert "Transpose" in operators(source), "what is no kernel of ours has channels second"
    assert operators(source).count("Transpose") == 3  # before it, after it, and at the end


# --- random networks


@needs_host
@pytest.mark.parametrize("seed", range(12))
def test_random_networks(seed: int, tmp_path: Path) -> None:
    net = Net(100 + seed, (1, 9, 8, 3))
    rng, pick = net.rng, net.rng.choice
    alive = [(net.add("Transpose", "input", perm=[0, 3, 1, 2]), (3, 9, 8))]

    def conv(x: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
        filters, k, s = int(pick([3, 4, 6, 8])), int(pick([1, 3])), int(pick([1, 1, 2]))
        weights = net.constant(filters, shape[0], k, k, low=-0.5, high=0.5)
        y = net.add("Conv", x, weights, net.constant(filters), pads=[k // 2] * 4, strides=[s, s])
        return y, (filters, *(-(-n // s) for n in shape[1:]))

    def depthwise(x: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
        return net.add("Conv", x, net.constant(shape[0], 1, 3, 3), group=shape[0], pads=[1] * 4), shape

    def pool(x: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
        kind = str(pick(["MaxPool", "AveragePool"]))
        return net.add(kind, x, kernel_shape=[3, 3], pads=[1] * 4), shape

    def point(x: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
        kind = str(pick(["Relu", "Clip", "Mul", "Add", "Sub", "Sigmoid"]))
        if kind == "Clip":
            return net.add(kind, x, net.given(np.float32(-1)), net.given(np.float32(1))), shape
        if kind in ("Relu", "Sigmoid"):
            return net.add(kind, x), shape
        values = net.constant(shape[0], 1, 1) if rng.random() < 0.5 else net.given(np.float32(0.7))
        return net.add(kind, x, values), shape

    def join(x: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
        same = [y for y, other in alive if other == shape]
        return net.add("Add", x, str(pick(same))), shape

    makers: list[Callable[[str, tuple[int, ...]], tuple[str, tuple[int, ...]]]]
    makers = [conv, conv, depthwise, pool, point, point, join, join]
    for _ in range(12):
        x, shape = alive[int(rng.integers(max(0, len(alive) - 4), len(alive)))]
        alive.append(makers[int(rng.integers(len(makers)))](x, shape))
    outputs = [net.add("Transpose", y, perm=[0, 2, 3, 1]) for y, _ in alive[-3:]]
    last = flat(net, *outputs)
    size = sum(prod(shape) for _, shape in alive[-3:])
    weights = net.constant(size, 6, low=-0.1, high=0.1)
    last = net.add("Gemm", last, weights, net.constant(6))
    source = checked(net, net.add("Softmax", last, axis=-1), tmp_path, 1e-4)
    assert not {"Conv", "Transpose", "Softmax", "Gemm"} & set(operators(source))


def test_every_kernel_is_declared() -> None:
    header = kernel_files("net", list(KERNELS))["net_kernels.h"]
    assert set(re.findall(r"void net_op_(\w+)\(", header)) == set(KERNELS)
