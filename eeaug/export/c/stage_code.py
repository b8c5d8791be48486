"""A stage's graph as calls: kernels of ours where there are any, functions of emx-onnx-cgen elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf, prod
from typing import Any

from eeaug.export.c import channels_last, fusion, onnx_source
from eeaug.export.c.onnx_graph import OnnxGraph, OnnxNode, as_onnx, read
from eeaug.export.c.onnx_source import FunctionCall, Parameter, StageCode
from eeaug.export.c.text import filled, literal, values

__all__ = ["KERNELS", "kernel_files", "kernels", "stage_code"]

# by kernel, the files of templates/kernels that it is made of
KERNELS: Mapping[str, tuple[str, ...]] = {
    "conv": ("clipped", "inside", "conv"),
    "depthwise": ("clipped", "inside", "depthwise"),
    "max_pool": ("clipped", "inside", "pooled", "max_pool"),
    "average_pool": ("clipped", "inside", "pooled", "average_pool"),
    "add": ("clipped", "add"),
    "clip": ("clipped", "clip"),
    "scale": ("clipped", "scale"),
    "softmax": ("softmax",),
    "sigmoid": ("sigmoid",),
}
CONSTANTS = {"conv": ("weights", "bias"), "depthwise": ("weights", "bias"), "scale": ("factors", "summands")}
IN_PLACE = {"add", "clip", "scale", "softmax", "sigmoid"}  # the output may lie where an input does


def stage_code(model: Any, name: str) -> StageCode:
    """The calls of a graph with static shapes; ``model`` as onnx_source.simplified gives it.

    Raises
    ------
    ConversionError : an operator for which neither has code
    """
    graph = read(model)
    if graph is None:
        source, count = onnx_source.generated(model, name), len(model.graph.input)
        first, *more = source.outside[:count]
        return replace(source, outside=(first, *source.outside[count:]), besides=tuple(more))
    channels_last.changed(graph)
    fusion.fused(graph)
    ours = [node for node in graph.nodes if node.ours]
    rest = [node for node in graph.nodes if not node.ours]
    generated, known = _generated(graph, rest, name)
    places = {n: known.get(n) or f"t_{re.sub(r'[^A-Za-z0-9_]', '_', n)}" for n in graph.shapes}
    weights: dict[str, str] = {}
    sizes: dict[str, int] = {}
    shared: dict[bytes, str] = {}
    calls = [_call(graph, node, places, weights, sizes, shared) for node in ours]
    tensors = dict(generated.tensors)
    first, *besides = (places[n] for n in graph.inputs)
    outside = (first, *(places[n] for n in graph.outputs))
    for node in graph.nodes:
        for n in (*node.inputs, *node.outputs):
            if n and n not in graph.constants and places[n] not in (*outside, *besides):
                tensors.setdefault(places[n], _bytes(graph, n))
    return replace(
        generated,
        weights={**generated.weights, **weights},
        weight_bytes={**generated.weight_bytes, **sizes},
        calls=_sorted([*calls, *generated.calls], {first, *besides}),
        tensors=tensors,
        outside=outside,
        besides=tuple(besides),
    )


def kernels(sources: Sequence[StageCode]) -> list[str]:
    """Those that the stages call, in the order of KERNELS."""
    used = {call.operator for source in sources for call in source.calls if call.code}
    return [name for name in KERNELS if name in used]


def kernel_files(prefix: str, used: Sequence[str]) -> dict[str, str]:
    """The files of the kernels that stages call; none where they call none."""
    parts = list(dict.fromkeys(part for name in used for part in KERNELS[name]))
    texts = [filled(f"kernels/{part}.c", prefix) for part in ("head", *parts)]
    header = filled("kernels/kernels.h", prefix)
    return {f"{prefix}_kernels.h": header, f"{prefix}_kernels.c": "".join(texts)} if used else {}


def _generated(graph: OnnxGraph, rest: Sequence[OnnxNode], name: str) -> tuple[StageCode, dict[str, str]]:
    """What emx-onnx-cgen makes of its part, and its names for tensors that others see."""
    if not rest:
        return StageCode("", {}, {}, {}, (), {}, ()), {}
    model, names = as_onnx(graph, rest, name)
    source = onnx_source.generated(model, name)
    return source, dict(zip(names, source.outside, strict=True))


def _bytes(graph: OnnxGraph, name: str) -> int:
    return max(4 * prod(graph.shapes[name]), 1)


def _call(
    graph: OnnxGraph, node: OnnxNode, places: Mapping[str, str], weights: dict[str, str], sizes: dict[str, int],
    shared: dict[bytes, str],
) -> FunctionCall:  # fmt: skip
    """The call of one of our kernels; its constants are added to ``weights``, ``sizes`` and ``shared``."""
    count = prod(graph.shapes[node.output])
    pairs, given = [], []
    for n in (*node.inputs, *node.outputs):
        place = places.get(n) or n
        if n in graph.constants:
            array = graph.constants[n]
            name = f"{places[node.output]}_{CONSTANTS[node.kind][node.inputs.index(n) - 1]}"
            place = shared.setdefault(
                array.tobytes(), name
            )  # equal ones are one, as of layers that are called twice
            if place == name:
                weights[place] = f"static const float {place}[{array.size}] = {{\n{values(array)}\n}};\n"
                sizes[place] = 4 * array.size
        size = graph.constants[n].size if n in graph.constants else prod(graph.shapes[n])
        pairs.append((Parameter(place, "float", (size,), n not in node.outputs), place))
        given.append(f"{{{place}}}")
    if node.kind == "copy":
        code = f"memcpy({given[1]}, {given[0]}, {4 * count});"
        return FunctionCall("", "copy", tuple(pairs), (pairs[0][1],), True, 0, code)
    bounds = [_bound(node.attributes.get(key, limit)) for key, limit in (("least", -inf), ("most", inf))]
    first = [str(count)]
    if "window" in node.attributes:
        struct = f"{places[node.output]}_window"
        numbers = ", ".join(map(str, node.attributes["window"].values()))
        weights[struct] = f"static const @{{prefix}}_op_window {struct} = {{{numbers}, {', '.join(bounds)}}};\n"
        pairs.append((Parameter(struct, "int32_t", (len(node.attributes["window"]) + 2,), True), struct))
        first = [f"&{struct}"]
        if node.kind in fusion.WEIGHTED and len(node.inputs) == 3:
            given.insert(3, "NULL")
    elif node.kind in fusion.CLIPS:
        first += [str(node.attributes["channels"])] if node.kind == "scale" else []
        first += bounds
    code = f"@{{prefix}}_op_{node.kind}({', '.join([*first, *given])});"
    over: tuple[str, ...] = ()
    if node.kind in IN_PLACE:
        over = tuple(places[n] for n in node.inputs if n not in graph.constants)
    elif node.kind in fusion.WEIGHTED and len(node.inputs) == 4:
        over = (places[node.inputs[3]],)
    return FunctionCall("", node.kind, tuple(pairs), over, False, 0, code)


def _bound(value: float) -> str:
    return ("-INFINITY" if value < 0 else "INFINITY") if value in (inf, -inf) else literal(value)


def _sorted(calls: Sequence[FunctionCall], made: set[str]) -> tuple[FunctionCall, ...]:
    """In an order in which they can run."""
    written = {name for call in calls for name in call.writes}
    left, done = list(calls), []
    while left:
        ready = next(call for call in left if not (written & {*call.reads}) - made)
        left.remove(ready)
        done.append(ready)
        made |= {*ready.writes}
    return tuple(done)
