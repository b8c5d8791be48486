"""What is in a TFLite file, read and changed without running it."""

from __future__ import annotations

from typing import Any

__all__ = ["canonical", "operators", "outputs", "with_input"]


def canonical(content: bytes) -> bytes:
    """The same file with tensors numbered in its order, and without what tells of the process that wrote it."""
    model = _opened(content)
    for graph in model.subgraphs:
        graph.name = "main"
        for i, tensor in enumerate(graph.tensors):
            tensor.name = f"tensor_{i}"
    model.description, model.metadata, model.metadataBuffer = "eeaug", [], []
    return _written(model)


def operators(content: bytes) -> tuple[str, ...]:
    """Names of the operators that the file needs, as TensorFlow's schema has them, sorted."""
    model = _opened(content)
    names = {number: name for name, number in vars(_schema().BuiltinOperator).items() if isinstance(number, int)}
    return tuple(sorted({names[code.builtinCode] for code in model.operatorCodes}))


def outputs(content: bytes) -> tuple[str, ...]:
    """The signature's outputs in the order in which the file has them, which is TFLM's."""
    model = _opened(content)
    (graph,), (signature,) = model.subgraphs, model.signatureDefs
    names = {entry.tensorIndex: entry.name.decode() for entry in signature.outputs}
    return tuple(names[index] for index in graph.outputs)


def with_input(content: bytes, scale: float, zero_point: int) -> bytes:
    """The file with the quantisation of its only input stated in these numbers."""
    model = _opened(content)
    (graph,) = model.subgraphs
    (index,) = graph.inputs
    quantisation = graph.tensors[index].quantization
    quantisation.scale, quantisation.zeroPoint = [scale], [zero_point]
    return _written(model)


def _schema() -> Any:
    from ai_edge_litert import schema_py_generated

    return schema_py_generated


def _opened(content: bytes) -> Any:
    from ai_edge_litert.tools import flatbuffer_utils

    return flatbuffer_utils.read_model_from_bytearray(bytearray(content))


def _written(model: Any) -> bytes:
    from ai_edge_litert.tools import flatbuffer_utils

    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))
