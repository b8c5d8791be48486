"""Keras → ONNX, with names that depend on the graph alone."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Container, Iterable, Iterator, Mapping, MutableSet
from typing import Any

from eeaug.errors import ConversionError

__all__ = ["OPSET", "as_float32", "canonical", "inlined", "rename", "to_onnx"]

OPSET = 17  # tf2onnx 1.17 writes up to 18; 17 is what most embedded importers read


def to_onnx(inputs: Any, outputs: Mapping[str, Any], *, input_name: str) -> Any:
    """An ONNX model of the Keras graph between ``inputs`` and the named ``outputs``.

    The batch dimension is named ``batch``. Inputs and outputs keep the given names, all other names are
    numbered in node order, so that equal graphs give equal bytes. A list of inputs is called as its tensors are.

    Raises
    ------
    ConversionError : tf2onnx cannot express a layer
    """
    import keras
    import tensorflow as tf

    names = list(outputs)
    # tf2onnx takes the names of a dictionary's keys and sorts them: positions are safe whatever the name
    model = keras.Model(inputs, [outputs[name] for name in names])
    given = inputs if isinstance(inputs, list) else [inputs]
    named = {f"x{i:05d}": tensor.name if len(given) > 1 else input_name for i, tensor in enumerate(given)}
    signature = [
        tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype, name=name)
        for name, tensor in zip(named, given, strict=True)
    ]

    @tf.function(input_signature=signature)
    def function(*x: Any) -> dict[str, Any]:
        with inlined(tf):
            tensors = model(list(x) if len(x) > 1 else x[0], training=False)
        tensors = tensors if isinstance(tensors, (list, tuple)) else [tensors]
        return {f"y{i:05d}": tf.identity(tensor) for i, tensor in enumerate(tensors)}

    with _quiet():
        try:
            try:
                proto = _converted(function, signature, copies=False)
            except Exception:  # a pass failed; tf2onnx can skip it if it made a copy before
                proto = _converted(function, signature, copies=True)
        except Exception as error:  # tf2onnx raises whatever its handlers raise
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            reason = lines[-1][:200] if lines else type(error).__name__  # the reason stands last
            raise ConversionError(f"the graph cannot be written as ONNX (opset {OPSET}): {reason}") from error
    _bind_captured(proto, function.get_concrete_function())
    _replace_erfc(proto)
    _fix_shapes(proto)
    _check_operators(proto)
    canonical(proto, {**named, **{f"y{i:05d}": name for i, name in enumerate(names)}})
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].Clear()
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    return proto


def as_float32(tensor: Any, name: str) -> Any:
    """The tensor in single precision, by a layer of that name where a mixed-precision model gives another."""
    import keras

    if tensor.dtype == "float32":
        return tensor
    return keras.layers.Activation("linear", dtype="float32", name=name)(tensor)


def _converted(function: Any, signature: Any, *, copies: bool) -> Any:
    """tf2onnx, mended in four places.

    - It copies the graph with all weights before each of its passes, and every constant again within each, which is
      never read: 6.6 GB for a ResNet50 of 94 MB.
    - TensorFlow makes a function of the graph with its weights, of which only the graph is read: a quarter of the
      time.
    - The pass that removes transpositions fails on a convolution followed by the addition of a scalar, as in
      hard-sigmoid: a MobileNetV3 then kept 106 of them.
    - What passes can do depends on the order of sets, which is another in every process: the same MobileNetV3 gave
      other bytes each time.

    ``copies``: without the first two.
    """
    from types import SimpleNamespace
    from unittest import mock

    import tf2onnx
    from tensorflow.python.framework import convert_to_constants
    from tf2onnx import symbolic_executor
    from tf2onnx.graph import Node
    from tf2onnx.optimizer import back_to_back_optimizer
    from tf2onnx.optimizer.transpose_optimizer import TransposeOptimizer

    update, add = Node.update_proto, TransposeOptimizer._add_handler

    def update_proto(node: Any, *args: Any, **kwargs: Any) -> None:
        if not node.is_const():
            update(node, *args, **kwargs)

    def only_graph(function: Any, graph: Any, inputs: Any) -> Any:
        return SimpleNamespace(graph=SimpleNamespace(as_graph_def=lambda **_: graph))

    def add_handler(self: Any, transposition: Any, node: Any) -> Any:
        other = node.inputs[1]
        if other.is_const() and other.get_tensor_value(as_list=False).ndim == 0:
            return self._handle_node_having_branches(transposition, node)
        return add(self, transposition, node)

    mended: list[tuple[Any, str, Any]] = [
        (TransposeOptimizer, "_add_handler", add_handler),
        (tf2onnx.utils, "INTERNAL_NAME", 0),  # what new names end with, counted over all conversions
        *((module, "set", _OrderedSet) for module in (tf2onnx.graph, symbolic_executor, back_to_back_optimizer)),
    ]
    if not copies:
        mended += [
            (Node, "update_proto", update_proto),
            (convert_to_constants, "_construct_concrete_function", only_graph),
        ]
    with contextlib.ExitStack() as patches:
        for owner, name, value in mended:
            patches.enter_context(mock.patch.object(owner, name, value, create=name == "set"))
        patches.enter_context(
            mock.patch.dict(os.environ, {tf2onnx.constants.ENV_TF2ONNX_CATCH_ERRORS: str(copies)})
        )
        proto, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=OPSET)
    return proto


class _OrderedSet(MutableSet[Any]):
    """A set in the order in which things came, with the methods that tf2onnx calls."""

    def __init__(self, items: Iterable[Any] = ()) -> None:
        self._items = dict.fromkeys(items)

    def __contains__(self, item: object) -> bool:
        return item in self._items

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def add(self, value: Any) -> None:
        self._items[value] = None

    def discard(self, value: Any) -> None:
        self._items.pop(value, None)

    def union(self, other: Iterable[Any]) -> _OrderedSet:
        return _OrderedSet([*self, *other])

    def issubset(self, other: Container[Any]) -> bool:
        return all(item in other for item in self)


def _bind_captured(proto: Any, function: Any) -> None:
    """Tensors that layers hold besides their weights (Normalization does) come as inputs: make them constants."""
    from onnx import numpy_helper

    first = len(function.inputs) - len(function.captured_inputs)
    held = {t.name: v for t, v in zip(function.inputs[first:], function.captured_inputs, strict=True)}
    graph = proto.graph
    bound = [value for value in graph.input if value.name in held]
    for value in bound:
        graph.initializer.append(numpy_helper.from_array(held[value.name].numpy(), value.name))
        graph.input.remove(value)


def _replace_erfc(proto: Any) -> None:
    """erfc x = 1 − erf x: Keras' exact GELU is made of it, ONNX has only erf."""
    import numpy as np
    from onnx import helper, numpy_helper

    nodes = list(proto.graph.node)
    replaced = []
    for node in nodes:
        if node.op_type == "Erfc":
            (x,), (y,) = node.input, node.output
            one = numpy_helper.from_array(np.ones((), np.float32), f"{y}/one")
            proto.graph.initializer.append(one)
            replaced.append(helper.make_node("Erf", [x], [f"{y}/erf"]))
            replaced.append(helper.make_node("Sub", [one.name, f"{y}/erf"], [y]))
        else:
            replaced.append(node)
    if len(replaced) > len(nodes):
        del proto.graph.node[:]
        proto.graph.node.extend(replaced)


def _fix_shapes(proto: Any) -> None:
    """Shapes that are computed for every run although all but one of their sizes are known: that one is −1.

    Keras' Flatten asks for the batch: six nodes, which take longer than the layers of a small head.
    """
    import numpy as np
    from onnx import numpy_helper

    graph = proto.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    maker = {name: node for node in graph.node for name in node.output}

    def values(name: str) -> list[int] | None:
        if name in constants and constants[name].dims:
            return [int(size) for size in numpy_helper.to_array(constants[name]).ravel()]
        return None

    def sizes(name: str) -> list[int | None]:
        """What a shape holds, None for a size that is computed; [] where even their number is not known."""
        known = values(name)
        if known is not None:
            return [*known]
        node = maker.get(name)
        if node is not None and node.op_type == "Cast":
            return sizes(node.input[0])
        if node is not None and node.op_type == "Concat":
            parts = [sizes(part) for part in node.input]
            return [size for part in parts for size in part] if all(parts) else []
        if node is not None and node.op_type == "Slice" and len(node.input) < 5:
            return [None] if [values(part) for part in node.input[1:]] in ([[0], [1]], [[0], [1], [0]]) else []
        return []

    for node in graph.node:
        if node.op_type != "Reshape" or node.input[1] in constants:
            continue
        shape = sizes(node.input[1])
        if shape.count(None) == 1 and all(size is None or size > 0 for size in shape):
            fixed = np.array([-1 if size is None else size for size in shape], np.int64)
            graph.initializer.append(numpy_helper.from_array(fixed, f"{node.output[0]}/shape"))
            node.input[1] = graph.initializer[-1].name


def _check_operators(proto: Any) -> None:
    """What tf2onnx cannot express it logs, and leaves in the graph as it was."""
    from onnx import defs

    unknown = sorted({node.op_type for node in proto.graph.node if not defs.has(node.op_type, node.domain)})
    if unknown:
        raise ConversionError(
            f"the graph cannot be written as ONNX (opset {OPSET}): it has no operator for {', '.join(unknown)}"
        )


def _sort(graph: Any) -> None:
    """Nodes after what they read, depth first from the outputs; tf2onnx's order differs between processes."""
    nodes = list(graph.node)
    maker = {name: i for i, node in enumerate(nodes) for name in node.output}
    stack = [(maker[name], False) for name in sorted((v.name for v in graph.output), reverse=True) if name in maker]
    order: list[int] = []
    seen: set[int] = set()
    while stack:
        i, sources_done = stack.pop()
        if sources_done:
            order.append(i)
        elif i not in seen:
            seen.add(i)
            stack.append((i, True))
            stack.extend((maker[name], False) for name in reversed(_reads(nodes[i])) if name in maker)
    del graph.node[:]
    graph.node.extend(nodes[i] for i in order)


def _reads(node: Any) -> list[str]:
    """All that a node reads, within the bodies of loops and branches too."""
    bodies = [attribute.g for attribute in node.attribute if attribute.HasField("g")]
    return [*node.input, *(name for body in bodies for inner in body.node for name in _reads(inner))]


def canonical(proto: Any, outside: Mapping[str, str]) -> None:
    """Rename everything in node order, inputs and outputs as ``outside`` says; drop what tells of the machine or
    the moment."""
    graph = proto.graph
    _sort(graph)
    new = dict(outside)
    missing = [v.name for v in (*graph.input, *graph.output) if v.name not in outside]
    if missing:
        raise ConversionError(f"the ONNX converter renamed {', '.join(missing)}")
    initializers = {tensor.name: tensor for tensor in graph.initializer}
    order: list[str] = []
    for i, node in enumerate(graph.node):
        for name in node.input:
            if name in initializers and name not in new:
                new[name] = f"weight_{len(order)}"
                order.append(name)
        for k, name in enumerate(node.output):
            if name and name not in new:
                new[name] = f"{node.op_type.lower()}_{i}" + (f"_{k}" if k else "")
        node.name = f"{node.op_type}_{i}"
    rename(graph, new)
    tensors = [initializers[name] for name in order]
    for tensor in tensors:
        tensor.name = new[tensor.name]
    del graph.initializer[:]
    graph.initializer.extend(tensors)
    del graph.value_info[:]
    for value in (*graph.input, *graph.output):
        value.name = new[value.name]
    order_outside = list(outside.values())
    for listed in (graph.input, graph.output):
        values = sorted(listed, key=lambda v: order_outside.index(v.name))
        del listed[:]
        listed.extend(values)
    graph.name = "eeaug"
    proto.producer_name, proto.producer_version, proto.doc_string = "eeaug", "", ""
    graph.ClearField("doc_string")


def rename(graph: Any, new: Mapping[str, str]) -> None:
    """Give what nodes read and make their new names, and everything in the bodies of loops and branches one."""
    for node in graph.node:
        node.input[:] = [new.get(name, name) for name in node.input]
        node.output[:] = [new.get(name, name) for name in node.output]
        node.ClearField("doc_string")
        if not node.domain:  # an empty domain and none mean the same, but are other bytes
            node.ClearField("domain")
        for attribute in node.attribute:
            for body in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
                _rename_body(body, new, f"{node.name}_{attribute.name}")


def _rename_body(body: Any, new: Mapping[str, str], prefix: str) -> None:
    body.name, inner = prefix, dict(new)
    body.ClearField("doc_string")
    del body.value_info[:]
    for kind, values in (("input", body.input), ("weight", body.initializer)):
        inner |= {value.name: f"{prefix}_{kind}_{i}" for i, value in enumerate(values)}
    for i, node in enumerate(body.node):
        node.name = f"{prefix}_{node.op_type}_{i}"
        inner |= {name: f"{node.name}_{k}".lower() for k, name in enumerate(node.output) if name}
    rename(body, inner)
    for value in (*body.input, *body.initializer, *body.output):
        value.name = inner.get(value.name, value.name)
    for value in (*body.input, *body.output):
        for dim in value.type.tensor_type.shape.dim:  # of unknown size, numbered over all conversions
            if dim.HasField("dim_param"):
                dim.Clear()


@contextlib.contextmanager
def inlined(tf: Any) -> Any:
    """Functions that layers call are traced in place: one that asks for XLA, as grouped convolutions do, would stay
    a call, which ONNX cannot express. Patches of images, which no format has an operator for, are a convolution."""
    from unittest import mock

    def patches(images: Any, sizes: Any, strides: Any, rates: Any, padding: str, name: str | None = None) -> Any:
        _, height, width, _ = sizes
        numbers = height * width * images.shape[-1]
        kernel = tf.reshape(tf.eye(numbers, dtype=images.dtype), (height, width, images.shape[-1], numbers))
        return tf.nn.conv2d(images, kernel, strides, padding, dilations=rates, name=name)

    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        with mock.patch.object(tf.image, "extract_patches", patches):
            yield
    finally:
        tf.config.run_functions_eagerly(before)


@contextlib.contextmanager
def _quiet() -> Any:
    """tf2onnx logs through the root logger, tracebacks too, and sets it up when it is imported."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(disabled)
        root.setLevel(level)
        root.handlers[:] = handlers
