"""Keras → ONNX, with names that depend on the graph alone, and ONNX Runtime sessions."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eeaug.errors import ConversionError

__all__ = ["OPSET", "session", "to_onnx"]

OPSET = 17  # tf2onnx 1.17 writes up to 18; 17 is what most embedded importers read


def to_onnx(inputs: Any, outputs: Mapping[str, Any], *, input_name: str) -> Any:
    """An ONNX model of the Keras graph between ``inputs`` and the named ``outputs``.

    The batch dimension is named ``batch``. Inputs and outputs keep the given names, all other names are
    numbered in node order, so that equal graphs give equal bytes.

    Raises
    ------
    ConversionError : tf2onnx cannot express a layer
    """
    import keras
    import tensorflow as tf

    names = list(outputs)
    # tf2onnx takes the names of a dictionary's keys and sorts them: positions are safe whatever the name
    model = keras.Model(inputs, [outputs[name] for name in names])
    signature = tf.TensorSpec((None, *inputs.shape[1:]), inputs.dtype, name="x")

    @tf.function(input_signature=[signature])
    def function(x: Any) -> dict[str, Any]:
        made = model(x, training=False)
        made = made if isinstance(made, (list, tuple)) else [made]
        return {f"y{i:05d}": tf.identity(tensor) for i, tensor in enumerate(made)}

    with _quiet():
        import tf2onnx

        try:
            proto, _ = tf2onnx.convert.from_function(function, input_signature=[signature], opset=OPSET)
        except Exception as error:  # tf2onnx raises whatever its handlers raise
            reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
            raise ConversionError(f"the graph cannot be written as ONNX (opset {OPSET}): {reason}") from error
    _canonical(proto, {"x": input_name, **{f"y{i:05d}": name for i, name in enumerate(names)}})
    return proto


def session(model: Any, threads: int) -> Any:
    """An ONNX Runtime session on the processor, for a file's path or a model in memory."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def _canonical(proto: Any, outside: Mapping[str, str]) -> None:
    """Rename everything in node order; drop what tells of the machine or the moment."""
    graph = proto.graph
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
    for node in graph.node:
        node.input[:] = [new.get(name, name) for name in node.input]
        node.output[:] = [new.get(name, name) for name in node.output]
        node.ClearField("doc_string")
    tensors = [initializers[name] for name in order]
    for tensor in tensors:
        tensor.name = new[tensor.name]
    del graph.initializer[:]
    graph.initializer.extend(tensors)
    del graph.value_info[:]
    for value in (*graph.input, *graph.output):
        value.name = new[value.name]
        value.type.tensor_type.shape.dim[0].Clear()
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    values = sorted(graph.output, key=lambda v: list(outside.values()).index(v.name))
    del graph.output[:]
    graph.output.extend(values)
    graph.name = "eeaug"
    proto.producer_name, proto.producer_version, proto.doc_string = "eeaug", "", ""
    graph.ClearField("doc_string")


@contextlib.contextmanager
def _quiet() -> Any:
    """tf2onnx logs through the root logger and sets it up when it is imported: keep it to warnings."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(disabled)
        root.setLevel(level)
        root.handlers[:] = handlers
