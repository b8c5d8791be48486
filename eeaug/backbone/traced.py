"""Multiply-accumulate operations of a layer, counted in the graph that TensorFlow makes of one call of it.

For layers whose shapes alone do not say it: those of the user, and those that repeat another one for every step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import Any

from eeaug.backbone import custom_objects

__all__ = ["Uncounted", "macs", "of_call"]

MOST_STEPS = 1_000_000  # of a loop
_SHAPES = ("Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike")  # need no values
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_LOOPS = ("While", "StatelessWhile")
_BRANCHES = {"If": ("then_branch", "else_branch"), "StatelessIf": ("then_branch", "else_branch")}
# Operations that run code which no graph shows, or that multiply in a way that is counted nowhere here
_HIDDEN = ("PyFunc", "PyFuncStateless", "EagerPyFunc", "XlaCallModule", "CudnnRNN", "CudnnRNNV2", "CudnnRNNV3")


class Uncounted(Exception):
    """The graph does not say how often the layer multiplies; the message says why."""


def of_call(node: Any) -> dict[str, int]:
    """MACs of the call of a layer that a node of Keras stands for: what its own function says, else as traced.

    Raises
    ------
    Uncounted : as :func:`macs`
    InputError : the layer's own function fails, or gives no number
    """
    layer, tensors = node.operation, node.input_tensors
    shapes = [tuple(tensor.shape[1:]) for tensor in tensors]
    given = custom_objects.macs(layer, shapes, [tuple(tensor.shape[1:]) for tensor in node.outputs])
    if given is not None:
        return given

    def call(*values: Any) -> Any:
        args, kwargs = node.arguments.fill_in({id(t): v for t, v in zip(tensors, values, strict=True)})
        return layer(*args, **kwargs)

    return macs(call, [(shape, tensor.dtype) for shape, tensor in zip(shapes, tensors, strict=True)])


def macs(call: Callable[..., Any], inputs: Sequence[tuple[tuple[int, ...], str]]) -> dict[str, int]:
    """MACs of ``call`` on a sample, by operation type (hardware.KINDS); types without any are left out.

    Parameters
    ----------
    call : of tensors with a batch of one sample
    inputs : of each tensor its shape without the batch, and its type

    Raises
    ------
    Uncounted : a loop of unknown length, sizes that are known only when it runs, or code outside the graph
    """
    import tensorflow as tf

    signature = [tf.TensorSpec((1, *shape), dtype) for shape, dtype in inputs]
    function = tf.function(call, input_signature=signature, autograph=False)
    counted: dict[str, int] = {}
    for kind, number in _counted(function.get_concrete_function().graph):
        counted[kind] = counted.get(kind, 0) + number
    return {kind: counted[kind] for kind in sorted(counted) if counted[kind]}


def _needed(graph: Any) -> Iterator[Any]:
    """The operations that the outputs are made from: layers try a step of a loop for its shapes, too."""
    pending = [tensor.op for tensor in graph.outputs]
    seen: set[str] = set()
    while pending:
        operation = pending.pop()
        if operation.name not in seen:
            seen.add(operation.name)
            yield operation
            pending += [] if operation.type in _SHAPES else [tensor.op for tensor in operation.inputs]


def _counted(graph: Any) -> Iterator[tuple[str, int]]:
    for operation in _needed(graph):
        name = operation.type
        if name in _HIDDEN:
            raise Uncounted(f"{name} runs code that no graph shows")
        if name in _CALLS:
            yield from _counted(_inner(graph, operation, "f"))
        elif name in _BRANCHES:
            branches = [list(_counted(_inner(graph, operation, branch))) for branch in _BRANCHES[name]]
            yield from max(branches, key=lambda counts: sum(number for _, number in counts))
        elif name in _LOOPS:
            once = list(_counted(_inner(graph, operation, "body")))
            steps = _steps(operation) if once else 0
            yield from ((kind, steps * number) for kind, number in once)
        elif name in _RULES:
            yield _RULES[name](operation)


def _inner(graph: Any, operation: Any, attribute: str) -> Any:
    """The graph of a function that an operation calls."""
    from tensorflow.python.framework import function_def_to_graph

    name = operation.get_attr(attribute).name
    while not graph._is_function(name):
        graph = graph.outer_graph
    held = graph._get_function(name)
    if hasattr(held, "graph"):
        return held.graph
    shapes = [tensor.shape for tensor in operation.inputs]
    return function_def_to_graph.function_def_to_graph(held.definition, input_shapes=shapes)


def _steps(loop: Any) -> int:
    """How often a loop runs: its second variable is the most that it may, which recurrent layers give."""
    most = _constant(loop.inputs[1]) if len(loop.inputs) > 1 else None
    if most is None or most.size != 1 or not 0 <= int(most) <= MOST_STEPS:
        raise Uncounted("it has a loop of unknown length")
    return int(most)


def _constant(tensor: Any) -> Any:
    """What the tensor always is, as an array: a constant, or taken from the shape of another; or None."""
    from tensorflow.python.framework import tensor_util

    value = tensor_util.constant_value(tensor)
    operation = tensor.op
    if value is not None:
        return value
    if operation.type in ("Identity", "Cast"):
        return _constant(operation.inputs[0])
    if operation.type in ("Max", "Sum", "Prod"):  # of one number, or of lengths that are all the same
        value = _constant(operation.inputs[0])
        return value if value is not None and value.size == 1 else None
    if operation.type == "StridedSlice":
        values, begin, end, step = map(_constant, operation.inputs)
        if all(part is not None and part.size == 1 for part in (begin, end, step)) and values is not None:
            return values.reshape(-1)[int(begin[0]) : int(end[0]) or None : int(step[0])]
    return None


def _shape(tensor: Any, *, batch: bool = True) -> tuple[int, ...]:
    """The sizes of a tensor; within loops the first may be open, which is the batch of one sample."""
    dims = tensor.shape.as_list() if tensor.shape.rank is not None else [None, None]
    if batch and dims and dims[0] is None:
        dims = [1, *dims[1:]]
    if None in dims:
        raise Uncounted("the size of a tensor is known only when it runs")
    return tuple(dims)


def _matmul(operation: Any) -> tuple[str, int]:
    transposed = next(
        bool(operation.get_attr(name)) for name in ("transpose_a", "adj_x") if name in operation.node_def.attr
    )
    summed = _shape(operation.inputs[0])[-2 if transposed else -1]
    return "dense", prod(_shape(operation.outputs[0])) * summed


def _einsum(operation: Any) -> tuple[str, int]:
    equation = operation.get_attr("equation").decode()
    operands, _, out = equation.partition("->")
    if len(operation.inputs) != 2:
        return "dense", 0  # a sum or a transposition
    sizes: dict[str, int] = {}
    for axes, tensor in zip(operands.split(","), operation.inputs, strict=True):
        sizes |= dict(zip(reversed(axes.replace(".", "")), reversed(_shape(tensor)), strict=False))
    return "dense", prod(_shape(operation.outputs[0])) * prod(n for axis, n in sizes.items() if axis not in out)


def _convolution(operation: Any) -> tuple[str, int]:
    # kernel (*window, channels_in / groups, filters)
    kernel = _shape(operation.inputs[1], batch=False)
    number = prod(_shape(_result(operation))) // kernel[-1] * prod(kernel)
    channels_first = operation.get_attr("data_format").decode().startswith("NC")
    channels = _shape(operation.inputs[0])[1 if channels_first else -1]
    if kernel[-2] == 1 and channels > 1:
        return "depthwise", number
    return ("pointwise" if prod(kernel[:-2]) == 1 else "conv"), number


def _result(operation: Any) -> Any:
    """What a convolution gives; of a dilated one, which is cut into several, what these are joined to."""
    before = operation.inputs[0].op
    before = before.inputs[0].op if before.type == "ExpandDims" else before
    if before.type != "SpaceToBatchND":
        return operation.outputs[0]
    (after,) = operation.outputs[0].consumers()
    after = after.outputs[0].consumers()[0] if after.type == "Squeeze" else after
    return after.outputs[0]


def _depthwise(operation: Any) -> tuple[str, int]:
    return "depthwise", prod(_shape(operation.outputs[0])) * prod(_shape(operation.inputs[1], batch=False)[:2])


def _transposed(operation: Any) -> tuple[str, int]:
    # kernel (*window, filters, channels_in): every input element is spread over window · filters
    return "conv", prod(_shape(operation.inputs[2])) * prod(_shape(operation.inputs[1], batch=False)[:-1])


_RULES: dict[str, Callable[[Any], tuple[str, int]]] = {
    **dict.fromkeys(("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"), _matmul),
    "Einsum": _einsum,
    **dict.fromkeys(("Conv2D", "Conv3D", "Conv"), _convolution),
    "DepthwiseConv2dNative": _depthwise,
    **dict.fromkeys(("Conv2DBackpropInput", "Conv3DBackpropInputV2"), _transposed),
}
