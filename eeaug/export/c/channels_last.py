"""The same graph with channels last: layers that ONNX has with channels second become kernels of ours.

Each is put between two transpositions, which are then moved behind elementwise operators until they meet their
inverse; networks from Keras, whose tensors have channels last outside, keep none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.export.c.onnx_graph import OnnxGraph, OnnxNode

__all__ = ["ELEMENTWISE", "changed", "fields", "packed", "scaled", "weighted"]

ELEMENTWISE = {"Abs", "Add", "Clip", "Div", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu",
               "Max", "Min", "Mul", "Neg", "PRelu", "Pow", "Reciprocal", "Relu", "Selu", "Sigmoid", "Softplus",
               "Softsign", "Sqrt", "Sub", "Tanh"}  # fmt: skip
COPIES = {"Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"}
LAST = {3: (0, 2, 1), 4: (0, 2, 3, 1)}  # by rank, channels second → last
SECOND = {3: (0, 2, 1), 4: (0, 3, 1, 2)}


def changed(graph: OnnxGraph) -> None:
    """Change it in place; what no kernel of ours does stays as it is."""
    graph.nodes = [new for node in graph.nodes for new in _lowered(graph, node)]
    while _moved(graph) or _merged(graph):
        pass
    graph.nodes = [_copy(graph, node) for node in graph.nodes]
    graph.drop_unused()
    graph.sort()


def fields(
    shape: Sequence[int], out: Sequence[int], kernel: Sequence[int] = (1, 1), strides: Sequence[int] = (1, 1),
    dilations: Sequence[int] = (1, 1), begin: Sequence[int] = (0, 0), groups: int = 1,
) -> dict[str, int]:  # fmt: skip
    """Of a window over an input ``shape``, channels last: (1, width, channels) or (1, height, width, channels)."""

    def two(values: Sequence[int], one: int) -> list[int]:
        return [one, *values][-2:]

    height, width, channels = [1, *shape[1:]][-3:]
    out_height, out_width, out_channels = [1, *out[1:]][-3:]
    names = ("kernel", "stride", "dilation")
    pairs = {name: two(values, 1) for name, values in zip(names, (kernel, strides, dilations), strict=True)}
    top, left = two(begin, 0)
    return {
        "height": height, "width": width, "channels": channels,
        "out_height": out_height, "out_width": out_width, "out_channels": out_channels,
        "kernel_height": pairs["kernel"][0], "kernel_width": pairs["kernel"][1],
        "stride_y": pairs["stride"][0], "stride_x": pairs["stride"][1],
        "dilation_y": pairs["dilation"][0], "dilation_x": pairs["dilation"][1],
        "top": top, "left": left, "groups": groups,
    }  # fmt: skip


def _lowered(graph: OnnxGraph, node: OnnxNode) -> list[OnnxNode]:
    """The node as one of ours between two transpositions, or as it is."""
    makers: Mapping[str, Callable[[OnnxGraph, OnnxNode, tuple[int, ...], tuple[int, ...]], OnnxNode | None]] = {
        "Conv": _conv, "MaxPool": _pool, "AveragePool": _pool, "GlobalMaxPool": _global,
        "GlobalAveragePool": _global, "BatchNormalization": _norm,
    }  # fmt: skip
    if node.kind == "ReduceMean":
        return _mean(graph, node)
    if node.kind not in makers or len([name for name in node.outputs if name]) != 1:
        return [node]
    given, gives = graph.shape(node.inputs[0]), graph.shape(node.output)
    if len(given) not in LAST or given[0] != 1 or not graph.is_float(node.inputs[0]):
        return [node]
    last, second = LAST[len(given)], SECOND[len(given)]
    shape, out = (tuple(s[i] for i in last) for s in (given, gives))
    ours = makers[node.kind](graph, node, shape, out)
    if ours is None:
        return [node]
    before, after = graph.new(shape), graph.new(out)
    return [
        OnnxNode("Transpose", (node.inputs[0],), (before,), {"perm": list(last)}),
        OnnxNode(ours.kind, (before, *ours.inputs), (after,), ours.attributes),
        OnnxNode("Transpose", (after,), (node.output,), {"perm": list(second)}),
    ]


def _padding(node: OnnxNode, rank: int) -> Sequence[int] | None:
    """At the beginning of every dimension; None: it is not written out."""
    if node.attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        return None
    return list(node.attributes.get("pads", [0] * 2 * rank))[:rank]


def _conv(graph: OnnxGraph, node: OnnxNode, shape: tuple[int, ...], out: tuple[int, ...]) -> OnnxNode | None:
    rank, constants = len(shape) - 2, graph.constants
    begin = _padding(node, rank)
    if begin is None or any(name not in constants for name in node.inputs[1:] if name):
        return None
    weights = constants[node.inputs[1]]
    if weights.dtype != np.float32:
        return None
    bias = constants[node.inputs[2]] if len(node.inputs) > 2 and node.inputs[2] else np.zeros(out[-1], np.float32)
    groups = node.attributes.get("group", 1)
    window = fields(
        shape, out, weights.shape[2:], node.attributes.get("strides", [1] * rank),
        node.attributes.get("dilations", [1] * rank), begin, groups,
    )  # fmt: skip
    # (filters, inputs of the group, *kernel) → (filters, height, width, inputs)
    values = weights.reshape(*weights.shape[:2], window["kernel_height"], -1).transpose(0, 2, 3, 1)
    return weighted(graph, window, values, bias)


def weighted(graph: OnnxGraph, window: Mapping[str, int], values: NDArray[Any], bias: NDArray[Any]) -> OnnxNode:
    """A convolution with weights (filters, height, width, inputs of the group)."""
    if window["groups"] == window["channels"] == window["out_channels"] > 1:
        order = values[..., 0].transpose(1, 2, 0)
        kind = "depthwise"
    else:
        order, kind = packed(values, window["groups"]), "conv"
    names = (graph.constant(np.ascontiguousarray(order, np.float32)), graph.constant(bias.astype(np.float32)))
    return OnnxNode(kind, names, (), {"window": dict(window)})


def packed(values: NDArray[Any], groups: int) -> NDArray[Any]:
    """In the order that the kernel reads them: by group, four filters side by side, then those that are left."""
    parts = []
    for group in np.split(values, groups):
        whole = len(group) // 4 * 4
        parts += [group[i : i + 4].transpose(1, 2, 3, 0).ravel() for i in range(0, whole, 4)]
        parts += [one.ravel() for one in group[whole:]]
    return np.concatenate(parts)


def scaled(graph: OnnxGraph, factors: NDArray[Any], summands: NDArray[Any]) -> OnnxNode:
    """A factor and a summand for every channel, or one for all; inputs and outputs are still to be named."""
    names = tuple(graph.constant(values.astype(np.float32)) for values in (factors, summands))
    return OnnxNode("scale", names, (), {"channels": len(factors)})


def _pool(graph: OnnxGraph, node: OnnxNode, shape: tuple[int, ...], out: tuple[int, ...]) -> OnnxNode | None:
    rank, given = len(shape) - 2, node.attributes
    begin = _padding(node, rank)
    padded = any(given.get("pads", ()))
    if begin is None or given.get("ceil_mode", 0) or given.get("storage_order", 0):
        return None
    if node.kind == "AveragePool" and padded and given.get("count_include_pad", 0):
        return None
    window = fields(
        shape,
        out,
        given["kernel_shape"],
        given.get("strides", [1] * rank),
        given.get("dilations", [1] * rank),
        begin,
    )
    return OnnxNode("max_pool" if node.kind == "MaxPool" else "average_pool", (), (), {"window": window})


def _global(graph: OnnxGraph, node: OnnxNode, shape: tuple[int, ...], out: tuple[int, ...]) -> OnnxNode:
    kind = "max_pool" if node.kind == "GlobalMaxPool" else "average_pool"
    return OnnxNode(kind, (), (), {"window": fields(shape, out, shape[1:-1])})


def _norm(graph: OnnxGraph, node: OnnxNode, shape: tuple[int, ...], out: tuple[int, ...]) -> OnnxNode | None:
    """One that no convolution took in: a factor and a summand for every channel."""
    if node.attributes.get("training_mode", 0) or any(name not in graph.constants for name in node.inputs[1:]):
        return None
    scale, bias, mean, variance = (graph.constants[name].astype(np.float64) for name in node.inputs[1:5])
    factor = scale / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
    return scaled(graph, factor, bias - mean * factor)


def _mean(graph: OnnxGraph, node: OnnxNode) -> list[OnnxNode]:
    """Over height and width, as Keras's global pooling is written at times."""
    given = graph.shape(node.inputs[0])
    axes = node.attributes.get("axes")
    if axes is None and len(node.inputs) > 1 and node.inputs[1] in graph.constants:
        axes = [int(axis) for axis in graph.constants[node.inputs[1]].ravel()]
    if axes is None or len(given) not in LAST or given[0] != 1 or not graph.is_float(node.inputs[0]):
        return [node]
    inner, chosen = len(given) - 2, sorted(axis % len(given) for axis in axes)
    last = (*range(len(given)),) if chosen == [*range(1, inner + 1)] else LAST[len(given)]
    if last == LAST[len(given)] and chosen != [*range(2, inner + 2)]:
        return [node]
    shape = tuple(given[i] for i in last)
    out = (1, *[1] * inner, shape[-1])
    before, after = graph.new(shape), graph.new(out)
    return [
        OnnxNode("Transpose", (node.inputs[0],), (before,), {"perm": list(last)}),
        OnnxNode("average_pool", (before,), (after,), {"window": fields(shape, out, shape[1:-1])}),
        OnnxNode("copy", (after,), (node.output,)),
    ]


def _moved(graph: OnnxGraph) -> bool:
    """Move one row of transpositions behind the node that reads them; whether there was one."""
    maker = graph.maker()
    for place, node in enumerate(graph.nodes):
        if node.kind not in ELEMENTWISE | {"Concat"} or len(node.outputs) != 1:
            continue
        given = [name for name in node.inputs if name and name not in graph.constants]
        turned = [maker[name] for name in given if name in maker and maker[name].kind == "Transpose"]
        perms = {tuple(t.attributes["perm"]) for t in turned}
        if not given or len(turned) != len(given) or len(perms) != 1:
            continue
        (perm,) = perms
        if len(graph.shape(node.output)) != len(perm):
            continue
        if _behind(graph, place, node, perm, maker):
            return True
    return False


def _behind(
    graph: OnnxGraph, place: int, node: OnnxNode, perm: tuple[int, ...], maker: Mapping[str, OnnxNode]
) -> bool:
    rank, inverse = len(perm), np.argsort(perm)
    inputs, attributes = [], dict(node.attributes)
    if node.kind == "Concat":
        attributes["axis"] = int(perm[attributes["axis"] % rank])
    for name in node.inputs:
        values = graph.constants.get(name)
        if values is None:
            inputs.append(maker[name].inputs[0] if name else name)
        elif values.size == 1 and values.ndim <= 1:
            inputs.append(name)
        elif values.ndim > rank:
            return False
        else:
            full = values.reshape(*[1] * (rank - values.ndim), *values.shape)
            inputs.append(graph.constant(np.ascontiguousarray(full.transpose(inverse))))
    shape = graph.shape(node.output)
    inner = graph.new([shape[i] for i in inverse])
    graph.types[inner] = graph.types[node.output]
    graph.nodes[place : place + 1] = [
        OnnxNode(node.kind, tuple(inputs), (inner,), attributes),
        OnnxNode("Transpose", (inner,), node.outputs, {"perm": list(perm)}),
    ]
    return True


def _merged(graph: OnnxGraph) -> bool:
    """Make one of two transpositions in a row, none of one that moves nothing; whether there was any."""
    maker = graph.maker()
    for place, node in enumerate(graph.nodes):
        if node.kind != "Transpose":
            continue
        before, perm = maker.get(node.inputs[0]), node.attributes["perm"]
        if before is not None and before.kind == "Transpose":
            both = [before.attributes["perm"][i] for i in perm]
            graph.nodes[place] = OnnxNode("Transpose", before.inputs, node.outputs, {"perm": both})
            return True
        shape = graph.shape(node.inputs[0])
        order = [i for i in perm if shape[i] != 1]
        if order == sorted(order):
            graph.nodes[place] = OnnxNode("copy", node.inputs, node.outputs)
            return True
    return False


def _copy(graph: OnnxGraph, node: OnnxNode) -> OnnxNode:
    """Reshaping moves nothing."""
    if node.kind not in COPIES or len(node.outputs) != 1 or node.inputs[0] in graph.constants:
        return node
    return OnnxNode("copy", node.inputs[:1], node.outputs) if graph.is_float(node.output) else node
