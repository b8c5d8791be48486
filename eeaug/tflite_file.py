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


def operators(content: bytes, *, of_floats: bool = False) -> tuple[str, ...]:
    """Names of the operators in the file (that give floats), as TensorFlow's schema has them, sorted."""
    schema, model = _schema(), _opened(content)
    names = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
    found = set()
    for graph in model.subgraphs:
        for operator in graph.operators:
            kinds = {graph.tensors[t].type for t in operator.outputs}
            if not of_floats or schema.TensorType.FLOAT32 in kinds:
                found.add(names[model.operatorCodes[operator.opcodeIndex].builtinCode])
    return tuple(sorted(found))


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
