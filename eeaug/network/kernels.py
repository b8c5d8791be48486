"""Layers as calls of the kernels that ``--format c`` and ``--format c-int8`` have, before anything is written.

As the converters do it: normalisations go into the weights before them, ReLU and ReLU6 into what gives their input,
in float C a residual sum into its later branch. ``benchmarks/c_code.py`` compares with what written files execute.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import networkx as nx

from eeaug.backbone.model import INPUT, Call
from eeaug.backbone.windows import Window
from eeaug.hardware.loops import KERNELS, KernelRun

__all__ = [
    "FORMATS", "Kernels", "activation", "after_convolution", "average", "convolution", "dense", "joined",
    "of_layers", "three",
]  # fmt: skip

FORMATS = tuple(KERNELS)
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Kernels:
    """Calls in a format, and layers ("name (kind)") that no kernel of the table does."""

    calls: tuple[KernelRun, ...] = ()
    unknown: tuple[str, ...] = ()


def joined(parts: Sequence[Kernels]) -> Kernels:
    return Kernels(tuple(c for p in parts for c in p.calls), tuple(u for p in parts for u in p.unknown))


def of_layers(graph: nx.DiGraph, layers: Sequence[str]) -> dict[str, Kernels]:
    """By format, for layers of graph.layer_graph."""
    return {format: joined([_of_layer(format, graph, name) for name in layers]) for format in FORMATS}


def three(shape: Shape) -> tuple[int, int, int]:
    """(height, width, channels) of a tensor without its batch; ValueError for one of more axes."""
    height, width, channels = (1, 1, *shape)[-3:]
    if len(shape) > 3:
        raise ValueError(f"{shape} has more than three axes")
    return height, width, channels


def convolution(kernel: str, read: Shape, written: Shape, window: Window, groups: int = 1) -> KernelRun:
    """A convolution or pooling from one tensor to another."""
    size, stride, dilation = ((1, 1, *values)[-2:] for values in (window.size, window.stride, window.dilation))
    given, gives = three(read), three(written)
    before = [0, 0]
    for axis in (0, 1):
        reach = (size[axis] - 1) * dilation[axis] + 1
        if window.padding == "same":
            before[axis] = max(0, (gives[axis] - 1) * stride[axis] + reach - given[axis]) // 2
        elif window.padding == "causal" and axis:
            before[axis] = reach - 1
    pair = (before[0], before[1])
    return KernelRun(
        kernel, given, gives, (size[0], size[1]), (stride[0], stride[1]), (dilation[0], dilation[1]), pair, groups
    )


def dense(read: Shape, units: int) -> KernelRun:
    rows = prod(read[:-1])
    return KernelRun("dense", (1, rows, read[-1]), (1, rows, units))


def average(read: Shape, window: Shape) -> KernelRun:
    """An average over windows of this size with the same stride."""
    written = (*(s // w for s, w in zip(read[:-1], window, strict=True)), read[-1])
    return convolution("average_pool", read, written, Window(window, window, (1,) * len(window), "valid"))


def activation(format: str, name: str | None, shape: Shape, *, taken: bool) -> tuple[KernelRun, ...]:
    """Of what a function of each element takes; ``taken``: the layer before may take it in."""
    size = three(shape) if len(shape) <= 3 else (1, 1, prod(shape))
    if name in (None, "linear") or (taken and name in ("relu", "relu6")):
        return ()
    if name == "softmax":
        return (KernelRun("softmax", size, size),)
    if name in ("silu", "swish"):
        table = "table" if format == "c-int8" else "sigmoid"
        return (KernelRun(table, size, size), KernelRun("multiply" if format == "c-int8" else "add", size, size))
    if format == "c-int8":
        return (KernelRun("table", size, size),)
    # functions with an exponential are about as dear as a sigmoid
    return (KernelRun("clip" if name in ("relu", "relu6") else "sigmoid", size, size),)


def after_convolution(format: str, name: str | None, written: Shape, bias: bool = True) -> tuple[KernelRun, ...]:
    """What a convolution does not take in of its bias and of a function of each element.

    Along a single axis float C keeps transpositions around it, and the bias, as layers of their own.
    """
    apart = _stands_apart(format, written)
    size = three(written)
    more = (*2 * (KernelRun("turn", size, size),), *bias * (KernelRun("add", size, size),)) if apart else ()
    return (*more, *activation(format, name, written, taken=not apart))


def _stands_apart(format: str, written: Shape) -> bool:
    """Whether what follows a convolution stays by itself: so it does in float C along a single axis."""
    return format == "c" and len(written) == 2


_CONVOLUTIONS = (
    "Conv1D", "Conv2D", "DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D",
)  # fmt: skip
_WEIGHTED = (*_CONVOLUTIONS, "Dense")
_TAKES_RELU = (
    *_WEIGHTED, "Add", "Subtract", "BatchNormalization", "MaxPooling1D", "MaxPooling2D", "AveragePooling1D",
    "AveragePooling2D",
)  # fmt: skip
_NOTHING = {"ActivityRegularization", "AlphaDropout", "Dropout", "Flatten", "GaussianDropout", "GaussianNoise",
            "Identity", "InputLayer", "Reshape", "SpatialDropout1D", "SpatialDropout2D"}  # fmt: skip
_FUNCTIONS = {"ReLU": "relu", "ELU": "elu", "LeakyReLU": "leaky_relu", "Softmax": "softmax"}


def _of_layer(format: str, graph: nx.DiGraph, name: str) -> Kernels:
    call: Call = graph.nodes[name]["call"]
    layer = _LAYERS.get(call.kind)
    if call.kind in _NOTHING:
        return Kernels()
    try:
        calls = layer(format, graph, call) if layer else None
    except ValueError:  # more axes than kernels have
        calls = None
    if calls is None or any(c.kernel not in KERNELS[format] for c in calls):
        return Kernels((), (f"{name} ({call.kind})",))
    return Kernels(tuple(calls))


def _convolution(format: str, graph: nx.DiGraph, call: Call) -> list[KernelRun] | None:
    window, read, written = call.window, call.input_shapes[0], call.shapes[0]
    if window is None or not call.weights:
        return None
    depthwise, separable = call.kind.startswith("Depthwise"), call.kind.startswith("Separable")
    groups = read[-1] if depthwise else window.groups
    calls, biased = [], len(call.weights) > 1 + separable
    if separable:
        middle = (*written[:-1], prod(call.weights[0][-2:]))
        calls = [convolution("depthwise", read, middle, window, read[-1])]
        one = Window((1,) * len(window.size), (1,) * len(window.size), (1,) * len(window.size), "valid")
        calls.append(convolution("conv", middle, written, one))
    elif groups == read[-1] > 1:
        calls = [convolution("depthwise", read, written, window, groups)]
    elif groups > 1 and format == "c-int8":
        return None
    else:
        calls = [convolution("conv", read, written, window, groups)]
    if format == "c" and _sums(graph, call.name):
        calls[-1] = replace(calls[-1], summed=True)
    return [*calls, *after_convolution(format, call.activation, written, biased)]


def _dense(format: str, graph: nx.DiGraph, call: Call) -> list[KernelRun]:
    read, written = call.input_shapes[0], call.shapes[0]
    one = replace(dense(read, written[-1]), summed=format == "c" and _sums(graph, call.name))
    return [one, *activation(format, call.activation, written, taken=True)]


def _norm(format: str, graph: nx.DiGraph, call: Call) -> list[KernelRun]:
    """Nothing where the weights before take it in."""
    before = _before(graph, call.name)
    inside = before is not None and before.kind in _WEIGHTED and before.activation in (None, "linear")
    if before is not None and inside and (before.kind == "Dense" or not _stands_apart(format, before.shapes[0])):
        return []
    size = three(call.shapes[0])
    kernels = ("multiply_row", "add_row") if format == "c-int8" else ("scale",)
    return [KernelRun(kernel, size, size) for kernel in kernels]


def _function(format: str, graph: nx.DiGraph, call: Call) -> list[KernelRun]:
    before = _before(graph, call.name)
    taken = before is not None and before.kind in _TAKES_RELU and before.activation in (None, "linear")
    taken &= not _stands_apart(format, call.shapes[0])
    name = _FUNCTIONS.get(call.kind, call.activation)
    return list(activation(format, name, call.shapes[0], taken=taken))


def _scaled(format: str, graph: nx.DiGraph, call: Call) -> list[KernelRun]:
    """A factor and a summand: the same for all, or of every channel."""
    size = three(call.shapes[0])
    if format == "c":
        return [KernelRun("scale", size, size)]
    names = ("table", "table") if call.kind == "Rescaling" else ("add_row", "multiply_row")
    return [KernelRun(name, size, size) for name in names]


def _add(format: str, graph: nx.DiGraph, call: Call) -> list[KernelRun] | None:
    if len(set(call.input_shapes)) > 1:
        return None
    size = three(call.shapes[0])
    if len(call.input_shapes) == 1:  # a constant
        return [KernelRun("table" if format == "c-int8" else "scale", size, size)]
    taken = format == "c" and call.kind == "Add" and _summing(graph, call.name) is not None
    return [KernelRun("add", size, size)] * (len(call.input_shapes) - 1 - taken)


def _multiply(format: str, graph: nx.DiGraph, call: Call) -> list[KernelRun] | None:
    size, others = three(call.shapes[0]), {three(shape) for shape in call.input_shapes}
    if others - {size, (1, 1, size[2])} or len(call.input_shapes) != 2:
        return None
    if format == "c":
        return [KernelRun("add", size, size)]  # a loop over two tensors, as that is
    return [KernelRun("multiply" if others == {size} else "multiply_row", size, size)]


def _pool(format: str, graph: nx.DiGraph, call: Call) -> list[KernelRun] | None:
    kernel = "max_pool" if call.kind.startswith("Max") else "average_pool"
    window = call.window
    return None if window is None else [convolution(kernel, call.input_shapes[0], call.shapes[0], window)]


def _global(format: str, graph: nx.DiGraph, call: Call) -> list[KernelRun]:
    read = three(call.input_shapes[0])
    return [KernelRun("largest" if "Max" in call.kind else "mean", read, (1, 1, read[2]))]


def _padding(format: str, graph: nx.DiGraph, call: Call) -> list[KernelRun] | None:
    read, written = three(call.input_shapes[0]), three(call.shapes[0])
    runs = read[0] if read[1] != written[1] else 1
    return [KernelRun("pad" if format == "c-int8" else "copy", read, written, stretches=runs)]


def _joining(format: str, graph: nx.DiGraph, call: Call) -> list[KernelRun]:
    sizes = [three(shape) for shape in call.input_shapes]
    if format == "c" or all(size[:2] == (1, 1) for size in sizes):
        return [KernelRun("copy", size, size) for size in sizes]
    return [KernelRun("pad", size, size, stretches=size[0] * size[1]) for size in sizes]


def _before(graph: nx.DiGraph, name: str) -> Call | None:
    """The layer that a layer reads, if nothing else does; normalisations that went into it are passed over."""
    (source,) = list(graph.predecessors(name))[:1] or [INPUT]
    call: Call | None = graph.nodes[source]["call"]
    if call is None or graph.in_degree(name) != 1 or graph.out_degree(source) != 1:
        return None
    return call


def _sums(graph: nx.DiGraph, name: str) -> bool:
    """Whether the sum of a residual block goes into this layer."""
    end = name
    after = list(graph.successors(end))
    while len(after) == 1 and graph.nodes[after[0]]["call"].kind == "BatchNormalization":
        end, after = after[0], list(graph.successors(after[0]))
    return len(after) == 1 and graph.nodes[after[0]]["call"].kind == "Add" and _summing(graph, after[0]) == name


def _summing(graph: nx.DiGraph, name: str) -> str | None:
    """The later of the two layers that an addition can go into."""
    call = graph.nodes[name]["call"]
    if len(set(call.inputs)) != 2 or len(call.inputs) != 2:
        return None
    order = list(graph)
    candidates = []
    for source in call.inputs:
        end: str = source
        while graph.nodes[end]["call"] is not None and graph.out_degree(end) == 1:
            kind, inside = graph.nodes[end]["call"].kind, graph.nodes[end]["call"].activation
            if kind in _WEIGHTED and not kind.endswith("Conv1D") and inside in (None, "linear"):
                candidates.append(end)
            if kind != "BatchNormalization":
                break
            (end,) = graph.predecessors(end)
    return max(candidates, key=order.index, default=None)


_LAYERS: Mapping[str, Callable[[str, nx.DiGraph, Call], Sequence[KernelRun] | None]] = {
    **dict.fromkeys(_CONVOLUTIONS, _convolution),
    "Dense": _dense,
    "BatchNormalization": _norm,
    **dict.fromkeys(("Activation", *_FUNCTIONS), _function),
    **dict.fromkeys(("Add", "Subtract"), _add),
    **dict.fromkeys(("Normalization", "Rescaling"), _scaled),
    "Multiply": _multiply,
    **dict.fromkeys(("MaxPooling1D", "MaxPooling2D", "AveragePooling1D", "AveragePooling2D"), _pool),
    **dict.fromkeys(
        ("GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalMaxPooling1D", "GlobalMaxPooling2D"), _global
    ),
    **dict.fromkeys(("ZeroPadding1D", "ZeroPadding2D"), _padding),
    "Concatenate": _joining,
}
