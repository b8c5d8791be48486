"""Small ONNX classifiers of many families, written node by node as exporters do, and samples for them.

Weights are random but for those of the last layer, which is fitted; channels stand first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

CLASSES = 4
PICTURE, SERIES, SIGNAL, VECTOR = (3, 16, 16), (12, 6), (4, 32), (20,)


@dataclass
class Net:
    """A graph as it grows; every method adds nodes and gives the name of what comes out."""

    shape: tuple[int, ...]
    seed: int = 0
    batch: int | str = "batch"
    opset: int = 17
    nodes: list[Any] = field(default_factory=list)
    weights: dict[str, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)

    def weight(self, array: Any) -> str:
        name = f"weight_{len(self.weights)}"
        self.weights[name] = (
            np.asarray(array, np.float32) if np.asarray(array).dtype.kind == "f" else np.asarray(array)
        )
        return name

    def random(self, *shape: int, scale: float = 1.0) -> str:
        fan = max(1, int(np.prod(shape[1:])))
        return self.weight(self.rng.normal(0, scale * np.sqrt(2 / fan), shape).astype(np.float32))

    def numbers(self, *values: int) -> str:
        return self.weight(np.asarray(values, np.int64))

    def __call__(self, kind: str, *inputs: str, name: str | None = None, outputs: int = 1, **values: Any) -> Any:
        label = name or f"/{kind}_{len(self.nodes)}"
        names = [f"{label}_out{i}" if outputs > 1 else f"{label}_out" for i in range(outputs)]
        domain = {"domain": "ai.onnx.ml"} if kind in ("Scaler", "ZipMap", "LinearClassifier", "Normalizer") else {}
        self.nodes.append(helper.make_node(kind, inputs, names, name=label, **domain, **values))
        return names if outputs > 1 else names[0]

    # -- what several networks are made of --

    def conv(
        self, x: str, channels: tuple[int, int], size: int | Sequence[int] = 3, stride: int = 1, group: int = 1,
        name: str | None = None, pad: int | None = None, **values: Any,
    ) -> str:  # fmt: skip
        space = [size] * (len(self.shape) - 1) if isinstance(size, int) else list(size)
        pads = [n // 2 if pad is None else pad for n in space] * 2
        kernel = self.random(channels[1], channels[0] // group, *space)
        bias = self.random(channels[1], scale=0.1)
        return str(self("Conv", x, kernel, bias, name=name, kernel_shape=space, strides=[stride] * len(space),
                        pads=pads, group=group, **values))  # fmt: skip

    def norm(self, x: str, channels: int, name: str | None = None) -> str:
        numbers = [self.rng.uniform(0.5, 1.5, channels), self.rng.normal(0, 0.2, channels),
                   self.rng.normal(0, 0.2, channels), self.rng.uniform(0.5, 1.5, channels)]  # fmt: skip
        return str(self("BatchNormalization", x, *map(self.weight, numbers), name=name, epsilon=1e-5))

    def linear(self, x: str, sizes: tuple[int, int], name: str | None = None) -> str:
        """As PyTorch writes a linear layer of more than two axes."""
        product = self("MatMul", x, self.random(*sizes), name=name and f"{name}/MatMul")
        return str(self("Add", self.random(sizes[1], scale=0.1), product, name=name and f"{name}/Add"))

    def relu(self, x: str) -> str:
        return str(self("Relu", x))

    def layer_norm(self, x: str, channels: int) -> str:
        """Written out, as PyTorch does below opset 17."""
        mean = self("ReduceMean", x, axes=[-1], keepdims=1)
        centred = self("Sub", x, mean)
        variance = self("ReduceMean", self("Pow", centred, self.weight(2.0)), axes=[-1], keepdims=1)
        normal = self("Div", centred, self("Sqrt", self("Add", variance, self.weight(1e-5))))
        scale, shift = self.weight(self.rng.uniform(0.5, 1.5, channels)), self.random(channels, scale=0.2)
        return str(self("Add", self("Mul", normal, scale), shift))

    def gelu(self, x: str) -> str:
        erf = self("Erf", self("Div", x, self.weight(np.sqrt(2.0))))
        return str(self("Mul", self("Mul", x, self("Add", erf, self.weight(1.0))), self.weight(0.5)))

    def pooled(self, x: str) -> str:
        return str(self("Flatten", self("GlobalAveragePool", x), axis=1))

    def model(self, features: str, end: Callable[[Net, str], list[tuple[str, int]]] | None = None) -> Any:
        """The model with its last layer fitted on samples; ``end`` adds what follows the logits."""
        rows = self._values(features, samples(self.shape, 800, 1)[0])
        x, y = rows.reshape(len(rows), -1), samples(self.shape, 800, 1)[1]
        mean, spread = x.mean(0), x.std(0) + 1e-3
        z = np.c_[(x - mean) / spread, np.ones(len(x))]
        w = np.linalg.solve(z.T @ z + 3.0 * np.eye(z.shape[1]), z.T @ (np.eye(CLASSES)[y] * 8 - 4))
        matrix = (w[:-1] / spread[:, None]).T
        bias = w[-1] - matrix @ mean
        logits = self("Gemm", features, self.weight(matrix), self.weight(bias), name="/classifier", transB=1)
        ends = end(self, logits) if end else [(logits, TensorProto.FLOAT)]
        return self._model(ends)

    def _model(self, ends: Sequence[tuple[str, int]]) -> Any:
        graph = helper.make_graph(
            self.nodes, "net",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [self.batch, *self.shape])],
            [_end(self.batch, name, kind) for name, kind in ends],
            [numpy_helper.from_array(array, name) for name, array in self.weights.items()],
        )  # fmt: skip
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid("ai.onnx.ml", 3)]
        model = helper.make_model(graph, opset_imports=opsets)
        model.ir_version = 8
        return model

    def _values(self, name: str, x: NDArray[np.float32]) -> NDArray[np.float32]:
        import onnxruntime

        model = self._model([(name, TensorProto.FLOAT)])
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        return np.concatenate([session.run(None, {"x": row[None]})[0] for row in x])


def _end(batch: int | str, name: str, kind: int) -> Any:
    """An output: logits or probabilities, labels, or (kind -1) a map of probabilities for every sample."""
    if kind == TensorProto.FLOAT:
        return helper.make_tensor_value_info(name, kind, [batch, None])
    if kind >= 0:
        return helper.make_tensor_value_info(name, kind, [batch])
    each = helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    return helper.make_value_info(name, helper.make_sequence_type_proto(each))


# -- families -----------------------------------------------------------------------------------------


def plain() -> Any:
    """Convolutions, batch normalisation, max pooling, and dense layers on a flattened map."""
    net = Net(PICTURE)
    x = net.relu(net.norm(net.conv("x", (3, 8)), 8))
    x = net("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = net.relu(net.norm(net.conv(x, (8, 12)), 12))
    x = net("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = net("Flatten", x, axis=1)
    x = net.relu(net("Gemm", x, net.random(24, 192), net.random(24, scale=0.1), transB=1))
    return net.model(x)


def residual() -> Any:
    """ResNet: strided blocks with padding on both sides, a pooling stem, additions."""
    net = Net(PICTURE)
    x = net.relu(net.norm(net.conv("x", (3, 8), 3, 1, name="/stem/conv"), 8))
    x = net("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    for i, (before, after, stride) in enumerate([(8, 8, 1), (8, 16, 2)]):
        y = net.relu(net.norm(net.conv(x, (before, after), 3, stride, name=f"/layer{i}/conv1"), after))
        y = net.norm(net.conv(y, (after, after), 3, name=f"/layer{i}/conv2"), after)
        if stride > 1:
            x = net.norm(net.conv(x, (before, after), 1, stride, name=f"/layer{i}/down"), after)
        x = net.relu(net("Add", y, x, name=f"/layer{i}/add"))
    return net.model(net.pooled(x))


def mobile() -> Any:
    """MobileNetV2: depthwise convolutions, inverted residuals, ReLU6 by Clip."""
    net = Net(PICTURE)

    def relu6(x: str) -> str:
        return str(net("Clip", x, net.weight(0.0), net.weight(6.0)))

    x = relu6(net.norm(net.conv("x", (3, 8), 3, 2), 8))
    for before, after, stride in [(8, 8, 1), (8, 12, 2), (12, 12, 1)]:
        wide = before * 3
        y = relu6(net.norm(net.conv(x, (before, wide), 1), wide))
        y = relu6(net.norm(net.conv(y, (wide, wide), 3, stride, group=wide), wide))
        y = net.norm(net.conv(y, (wide, after), 1), after)
        x = net("Add", x, y) if stride == 1 and before == after else y
    return net.model(net.pooled(x))


def dense() -> Any:
    """DenseNet: normalisation before convolution, concatenations, average pooling between."""
    net = Net(PICTURE)
    x, width = net.conv("x", (3, 8)), 8
    for block in range(2):
        for _ in range(2):
            y = net.conv(net.relu(net.norm(x, width)), (width, 6))
            x, width = net("Concat", x, y, axis=1), width + 6
        if not block:
            x = net.conv(net.relu(net.norm(x, width)), (width, 10), 1)
            x, width = net("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2]), 10
    return net.model(net.pooled(net.relu(net.norm(x, width))))


def squeezing() -> Any:
    """EfficientNet: squeeze and excite, SiLU as a sigmoid and a product."""
    net = Net(PICTURE)

    def silu(x: str) -> str:
        return str(net("Mul", x, net("Sigmoid", x)))

    x = silu(net.norm(net.conv("x", (3, 8), 3, 2), 8))
    for _ in range(2):
        y = silu(net.norm(net.conv(x, (8, 16), 1), 16))
        y = silu(net.norm(net.conv(y, (16, 16), 5, group=16), 16))
        gate = silu(net.conv(net("ReduceMean", y, axes=[2, 3], keepdims=1), (16, 4), 1))
        y = net("Mul", net("Sigmoid", net.conv(gate, (4, 16), 1)), y)
        x = net("Add", net.norm(net.conv(y, (16, 8), 1), 8), x)
    return net.model(net.pooled(x))


def inception() -> Any:
    """Branches of different windows, one of them an average over padding that is counted."""
    net = Net(PICTURE)
    x, width = net.relu(net.conv("x", (3, 8), 3, 2, pad=0)), 8
    for _ in range(2):
        first = net.relu(net.conv(x, (width, 4), 1))
        second = net.relu(net.conv(x, (width, 4), 3))
        third = net("AveragePool", x, kernel_shape=[3, 3], strides=[1, 1], pads=[1] * 4, count_include_pad=1)
        fourth = net("MaxPool", net("LeakyRelu", x, alpha=0.1), kernel_shape=[3, 3], pads=[1] * 4)
        branches = [
            first,
            second,
            net.relu(net.conv(third, (width, 4), 1)),
            net.relu(net.conv(fourth, (width, 4), 1)),
        ]
        x, width = net("Concat", *branches, axis=1), 16
    return net.model(net.pooled(x))


def next_generation() -> Any:
    """ConvNeXt: layer normalisation and dense layers between transpositions, a scale for each channel."""
    net = Net(PICTURE)

    def inside(x: str, width: int) -> str:
        y = net("Transpose", net.conv(x, (width, width), 7, group=width), perm=[0, 2, 3, 1])
        y = net.gelu(net.linear(net.layer_norm(y, width), (width, 3 * width)))
        y = net("Transpose", net.linear(y, (3 * width, width)), perm=[0, 3, 1, 2])
        return str(net("Add", x, net("Mul", y, net.weight(net.rng.normal(0, 0.5, (width, 1, 1))))))

    x = net.conv("x", (3, 8), 2, 2, pad=0)
    x = net("Transpose", net.layer_norm(net("Transpose", x, perm=[0, 2, 3, 1]), 8), perm=[0, 3, 1, 2])
    x = inside(inside(x, 8), 8)
    return net.model(net.layer_norm(net("ReduceMean", x, axes=[2, 3], keepdims=0), 8))


def transformer() -> Any:
    """ViT: patches, a class token, positions, two layers of attention with two heads in one batched product."""
    net = Net(PICTURE, batch=1)
    width, heads, tokens = 16, 2, 17
    x = net("Reshape", net.conv("x", (3, width), 4, 4, pad=0), net.numbers(1, width, 16))
    x = net("Concat", net.random(1, 1, width), net("Transpose", x, perm=[0, 2, 1]), axis=1)
    x = net("Add", x, net.random(1, tokens, width, scale=0.3))
    for _ in range(2):
        y = net.linear(net.layer_norm(x, width), (width, 3 * width))
        y = net(
            "Transpose", net("Reshape", y, net.numbers(1, tokens, 3, heads, width // heads)), perm=[2, 0, 3, 1, 4]
        )
        q, k, v = (
            net("Reshape", net("Gather", y, net.weight(np.int64(i)), axis=0), net.numbers(heads, tokens, -1))
            for i in range(3)
        )
        scores = net(
            "MatMul", net("Mul", q, net.weight((width // heads) ** -0.5)), net("Transpose", k, perm=[0, 2, 1])
        )
        y = net("Transpose", net("MatMul", net("Softmax", scores, axis=-1), v), perm=[1, 0, 2])
        x = net("Add", net.linear(net("Reshape", y, net.numbers(1, tokens, width)), (width, width)), x)
        y = net.linear(net.gelu(net.linear(net.layer_norm(x, width), (width, 2 * width))), (2 * width, width))
        x = net("Add", x, y)
    return net.model(net("Gather", net.layer_norm(x, width), net.weight(np.int64(0)), axis=1))


def shuffled() -> Any:
    """ShuffleNet: channels split, half of them computed on, and shuffled over five axes."""
    net = Net(PICTURE)
    x = net.relu(net.norm(net.conv("x", (3, 12), 3, 2), 12))
    for _ in range(2):
        left, right = net("Split", x, net.numbers(6, 6), outputs=2, axis=1)
        right = net.relu(net.norm(net.conv(right, (6, 6), 1), 6))
        right = net.norm(net.conv(right, (6, 6), 3, group=6), 6)
        right = net.relu(net.norm(net.conv(right, (6, 6), 1), 6))
        x = net("Reshape", net("Concat", left, right, axis=1), net.numbers(-1, 2, 6, 8, 8))
        x = net("Reshape", net("Transpose", x, perm=[0, 2, 1, 3, 4]), net.numbers(-1, 12, 8, 8))
    return net.model(net.pooled(net.relu(net.conv(x, (12, 16), 1))))


def long_memory() -> Any:
    """Two LSTMs over a sequence with the batch second, as PyTorch has it; the last step is read."""
    net = Net(SERIES)
    x = net("Transpose", "x", perm=[1, 0, 2])
    for inputs in (6, 10):
        w, r, b = (
            net.random(1, 40, inputs, scale=0.5),
            net.random(1, 40, 10, scale=0.5),
            net.random(1, 80, scale=0.1),
        )
        y, _, _ = net("LSTM", x, w, r, b, outputs=3, hidden_size=10)
        x = net("Squeeze", y, net.numbers(1))
    return net.model(net("Gather", x, net.weight(np.int64(-1)), axis=0))


def gated() -> Any:
    """A convolution over time, then a bidirectional GRU whose last states are read."""
    net = Net(SERIES[::-1])
    x = net.relu(net.conv("x", (6, 8), 3))
    x = net("Transpose", x, perm=[2, 0, 1])
    w, r, b = net.random(2, 24, 8, scale=0.5), net.random(2, 24, 8, scale=0.5), net.random(2, 48, scale=0.2)
    _, states = net("GRU", x, w, r, b, outputs=2, hidden_size=8, direction="bidirectional", linear_before_reset=1)
    x = net("Reshape", net("Transpose", states, perm=[1, 0, 2]), net.numbers(-1, 16))
    return net.model(x)


def signal() -> Any:
    """Convolutions along one axis, dilated and strided."""
    net = Net(SIGNAL)
    x = net.relu(net.norm(net.conv("x", (4, 8), 5, 2), 8))
    x = net.relu(net.conv(x, (8, 12), 3, pad=2, dilations=[2]))
    x = net("MaxPool", x, kernel_shape=[2], strides=[2])
    x = net.relu(net.conv(x, (12, 12), 3))
    return net.model(net.pooled(x))


def scikit() -> Any:
    """What skl2onnx writes of a scaler and an MLPClassifier: labels and a map of probabilities."""
    net = Net(VECTOR)
    x = net("Scaler", "x", scale=[0.5] * 20, offset=[0.1] * 20)
    for sizes in ((20, 32), (32, 24), (24, 16)):
        x = net.relu(net("Add", net("MatMul", x, net.random(*sizes)), net.random(1, sizes[1], scale=0.1)))

    def end(net: Net, logits: str) -> list[tuple[str, int]]:
        probabilities = net("Softmax", logits, axis=1)
        label = net("ArgMax", probabilities, axis=1, keepdims=0)
        named = net("ZipMap", probabilities, classlabels_int64s=list(range(CLASSES)))
        return [(label, TensorProto.INT64), (named, -1)]

    return net.model(x, end)


FAMILIES: dict[str, Callable[[], Any]] = {
    "plain": plain, "residual": residual, "mobile": mobile, "dense": dense, "squeezing": squeezing,
    "inception": inception, "next_generation": next_generation, "transformer": transformer, "shuffled": shuffled,
    "long_memory": long_memory, "gated": gated, "signal": signal, "scikit": scikit,
}  # fmt: skip


# -- samples ------------------------------------------------------------------------------------------


def samples(shape: tuple[int, ...], count: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """A pattern for each class, as it is or negative, under noise that hides some of them."""
    patterns = np.random.default_rng(7).normal(0, 1, (CLASSES, *shape)).astype(np.float32)
    for axis in range(2, len(shape) + 1):  # smooth in space
        patterns = (patterns + np.roll(patterns, 1, axis) + np.roll(patterns, -1, axis)) / 1.7
    rng = np.random.default_rng(seed)
    y = rng.integers(0, CLASSES, count)
    noise = rng.normal(0, 1, (count, *shape)) * rng.uniform(0.1, 1.5, (count, *(1 for _ in shape)))
    sign = rng.choice([-1, 1], (count, *(1 for _ in shape)))
    return (patterns[y] * sign + noise).astype(np.float32), y


def written(family: str, folder: Path) -> Path:
    path = folder / f"{family}.onnx"
    onnx.save(FAMILIES[family](), path)
    return path


def data(shape: tuple[int, ...], folder: Path, parts: Sequence[tuple[str, int]]) -> Path:
    arrays = {}
    for seed, (part, count) in enumerate(parts, start=10):
        arrays[f"x_{part}"], arrays[f"y_{part}"] = samples(shape, count, seed)
    path = folder / "data.npz"
    np.savez(path, **arrays)
    return path
