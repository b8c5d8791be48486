"""Kernels of ours take in what stands beside them: factors, biases, activations, sums; copies that need not be."""

from __future__ import annotations

from dataclasses import replace
from math import inf, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.export.c.channels_last import fields, packed, scaled, weighted
from eeaug.export.c.onnx_graph import OnnxGraph, OnnxNode, renamed

__all__ = ["fused"]

CLIPS = {"conv", "depthwise", "max_pool", "average_pool", "add", "clip", "scale"}
WEIGHTED = {"conv", "depthwise"}


def fused(graph: OnnxGraph) -> None:
    """Change the graph in place."""
    graph.nodes = [_pointwise(graph, node) for node in graph.nodes]
    _without_copies(graph)
    for step in (_factored, _affine, _clipped, _summed, _clipped):
        while step(graph):
            pass
    graph.drop_unused()
    graph.sort()


def _pointwise(graph: OnnxGraph, node: OnnxNode) -> OnnxNode:
    """Layers that look at one place as kernels of ours, where there is one."""
    if len(node.outputs) != 1 or node.ours or not all(graph.is_float(name) for name in node.inputs if name):
        return node
    makers: dict[str, Any] = {
        "Relu": _clip, "Clip": _clip, "Add": _add, "Mul": _scale, "Div": _scale, "Sub": _scale,
        "MatMul": _dense, "Gemm": _dense, "Softmax": _softmax, "Sigmoid": _sigmoid,
    }  # fmt: skip
    if node.kind not in makers:
        return node
    made: OnnxNode | None = makers[node.kind](graph, node)
    return made or node


def _clip(graph: OnnxGraph, node: OnnxNode) -> OnnxNode | None:
    if node.inputs[0] in graph.constants:
        return None
    if node.kind == "Relu":
        return OnnxNode("clip", node.inputs, node.outputs, {"least": 0.0, "most": inf})
    bounds = [-inf, inf]
    for i, name in enumerate(node.inputs[1:]):
        if name:
            if name not in graph.constants:
                return None
            bounds[i] = float(graph.constants[name].ravel()[0])
    return OnnxNode("clip", node.inputs[:1], node.outputs, {"least": bounds[0], "most": bounds[1]})


def _add(graph: OnnxGraph, node: OnnxNode) -> OnnxNode | None:
    if any(name in graph.constants for name in node.inputs):
        return _scale(graph, node)
    if graph.shape(node.inputs[0]) != graph.shape(node.inputs[1]):
        return None
    return OnnxNode("add", node.inputs, node.outputs, {"least": -inf, "most": inf})


def _scale(graph: OnnxGraph, node: OnnxNode) -> OnnxNode | None:
    """A factor or a summand for all, or for every channel, which is the last dimension."""
    a, b = node.inputs
    if (a in graph.constants) == (b in graph.constants) or (a in graph.constants and node.kind in ("Sub", "Div")):
        return None
    source, values = (b, graph.constants[a]) if a in graph.constants else (a, graph.constants[b])
    shape = graph.shape(source)
    channels = shape[-1] if shape else 1
    if graph.shape(node.output) != shape or len(shape) < 2 or values.size not in (1, channels):
        return None
    if values.size > 1 and values.shape[-1] != channels:
        return None
    one = values.astype(np.float64).ravel()
    factors, summands = np.ones(len(one)), np.zeros(len(one))
    if node.kind in ("Mul", "Div"):
        factors = one if node.kind == "Mul" else 1 / one
    else:
        summands = one if node.kind == "Add" else -one
    made = scaled(graph, factors, summands)
    return replace(made, inputs=(source, *made.inputs), outputs=node.outputs)


def _dense(graph: OnnxGraph, node: OnnxNode) -> OnnxNode | None:
    """A product with constants on the right: a convolution with a window of one place."""
    given, right = node.inputs[:2]
    values = graph.constants.get(right)
    if given in graph.constants or values is None or values.ndim != 2:
        return None
    attributes = node.attributes
    if node.kind == "Gemm":
        if attributes.get("transA", 0) or attributes.get("alpha", 1.0) != 1 or attributes.get("beta", 1.0) != 1:
            return None
        values = values.T if attributes.get("transB", 0) else values
    outputs = values.shape[1]
    bias = np.zeros(outputs, np.float32)
    if len(node.inputs) > 2 and node.inputs[2]:
        summand = graph.constants.get(node.inputs[2])
        if summand is None or summand.size not in (1, outputs):
            return None
        bias = np.broadcast_to(summand.ravel(), outputs)
    places = prod(graph.shape(given)[:-1])
    window = fields((1, places, len(values)), (1, places, outputs))
    made = weighted(graph, window, values.T[:, None, None, :], bias)
    return replace(made, inputs=(given, *made.inputs), outputs=node.outputs)


def _softmax(graph: OnnxGraph, node: OnnxNode) -> OnnxNode | None:
    shape = graph.shape(node.output)
    last = node.attributes.get("axis", -1) in (-1, len(shape) - 1)
    return OnnxNode("softmax", node.inputs, node.outputs) if last and prod(shape) == shape[-1] else None


def _sigmoid(graph: OnnxGraph, node: OnnxNode) -> OnnxNode:
    return OnnxNode("sigmoid", node.inputs, node.outputs)


def _without_copies(graph: OnnxGraph) -> None:
    """Kernels of ours read what was copied where it was, and write what is copied where it goes."""
    sources = {node.output: node.inputs[0] for node in graph.nodes if node.kind == "copy"}
    for name in sources:
        while sources[name] in sources:
            sources[name] = sources[sources[name]]
    graph.nodes = [
        replace(n, inputs=tuple(sources.get(i, i) for i in n.inputs)) if n.ours else n for n in graph.nodes
    ]
    graph.drop_unused()
    maker, readers = graph.maker(), graph.readers()
    for node in graph.nodes:
        source = node.inputs[0] if node.kind == "copy" else ""
        if node.output not in graph.outputs or source not in maker or source in graph.outputs:
            continue
        if maker[source].ours and all(other.ours for other in readers[source]):
            new = {source: node.output}
            graph.nodes = [renamed(other, new) for other in graph.nodes if other is not node]
            _without_copies(graph)
            return


def _factored(graph: OnnxGraph) -> bool:
    """Take a factor for all into the weights after it; padding with zeros stays what it was."""
    readers = graph.readers()
    for node in graph.nodes:
        after = graph.only_for(node.output, readers) if node.kind == "scale" and not _clips(node) else None
        if after is None or after.kind not in WEIGHTED or after.inputs[0] != node.output:
            continue
        factors, summands = (graph.constants[name] for name in node.inputs[1:])
        if factors.size == 1 and not np.any(summands):
            weights = graph.constant(graph.constants[after.inputs[1]] * factors[0])
            new = replace(after, inputs=(node.inputs[0], weights, *after.inputs[2:]))
            _joined(graph, node, after, new)
            return True
    return False


def _affine(graph: OnnxGraph) -> bool:
    """Take a factor and a summand for every channel into the weights and the bias before it."""
    readers = graph.readers()
    for node in graph.nodes:
        after = graph.only_for(node.output, readers) if node.kind in WEIGHTED | {"scale"} else None
        if after is None or after.kind != "scale" or _clips(node) or _clips(after) or len(node.inputs) > 3:
            continue
        factors, summands = (graph.constants[name].astype(np.float64) for name in after.inputs[1:])
        weights, bias = (graph.constants[name].astype(np.float64) for name in node.inputs[1:])
        if factors.size not in (1, bias.size) and not (node.kind == "scale" and bias.size == 1):
            continue  # of another dimension, after a copy
        values, attributes = weights * factors if node.kind == "scale" else weights, dict(node.attributes)
        if node.kind == "scale":
            attributes |= {**after.attributes, "channels": values.size}
        elif (factors != 1).any():
            values = weights * _in_packed_order(factors, weights, node)
        names = [graph.constant(v.astype(np.float32)) for v in (values, bias * factors + summands)]
        new = replace(node, inputs=(node.inputs[0], *names), outputs=after.outputs, attributes=attributes)
        _joined(graph, node, after, new)
        return True
    return False


def _in_packed_order(factors: NDArray[np.float64], weights: NDArray[Any], node: OnnxNode) -> NDArray[np.float64]:
    """A factor for every weight, of one for each output channel; see channels_last.weighted."""
    window = node.attributes["window"]
    every = np.broadcast_to(factors, window["out_channels"])
    if node.kind == "depthwise":
        return np.broadcast_to(every, weights.shape)
    taps = weights.size // window["out_channels"]
    return packed(np.repeat(every, taps).reshape(-1, 1, 1, taps), window["groups"])


def _clips(node: OnnxNode) -> bool:
    return bool(node.attributes.get("least", -inf) > -inf or node.attributes.get("most", inf) < inf)


def _clipped(graph: OnnxGraph) -> bool:
    """Let a kernel clip what it writes, where that is all that happens to it."""
    readers = graph.readers()
    for node in graph.nodes:
        after = graph.only_for(node.output, readers) if node.kind in CLIPS else None
        if after is not None and after.kind == "clip":
            least, most = (node.attributes.get(key, limit) for key, limit in (("least", -inf), ("most", inf)))
            low, high = after.attributes["least"], after.attributes["most"]
            bounds = {"least": min(max(least, low), high), "most": max(min(most, high), low)}
            new = replace(node, outputs=after.outputs, attributes={**node.attributes, **bounds})
            _joined(graph, node, after, new)
            return True
    return False


def _summed(graph: OnnxGraph) -> bool:
    """Let the later of two branches add the other one to what it writes, which may then lie where that was."""
    readers, maker = graph.readers(), graph.maker()
    place = {node.output: i for i, node in enumerate(graph.nodes)}
    for node in graph.nodes:
        if node.kind != "add" or node.inputs[0] == node.inputs[1]:
            continue
        for one in sorted(node.inputs, key=lambda name: -place.get(name, -1)):
            before = maker.get(one)
            (other,) = set(node.inputs) - {one}
            if before is None or before.kind not in WEIGHTED or len(before.inputs) > 3 or _clips(before):
                continue
            if graph.only_for(one, readers) is node:
                bounds = {key: node.attributes[key] for key in ("least", "most")}
                inputs = (*before.inputs, other)
                new = replace(
                    before, inputs=inputs, outputs=node.outputs, attributes={**before.attributes, **bounds}
                )
                _joined(graph, before, node, new)
                return True
    return False


def _joined(graph: OnnxGraph, first: OnnxNode, second: OnnxNode, new: OnnxNode) -> None:
    """One node in place of two; it stands where the second did, for all that it reads is there then."""
    graph.nodes = [new if node is second else node for node in graph.nodes if node is not first]
