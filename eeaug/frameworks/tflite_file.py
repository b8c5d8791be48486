"""What is in a TFLite file, read and changed without running it."""

from __future__ import annotations

import copy
from typing import Any

__all__ = [
    "SIGNATURE", "canonical", "inputs", "is_converted_first", "looked_up", "of_one_operator", "opened", "operators",
    "outputs", "requantising", "schema", "up_to", "with_input",
]  # fmt: skip


def canonical(content: bytes) -> bytes:
    """The same file with tensors numbered in its order, and without what tells of the process that wrote it."""
    model = opened(content)
    for graph in model.subgraphs:
        graph.name = "main"
        for i, tensor in enumerate(graph.tensors):
            tensor.name = f"tensor_{i}"
    model.description, model.metadata, model.metadataBuffer = "eeaug", [], []
    return _written(model)


def operators(content: bytes, *, of_floats: bool = False) -> tuple[str, ...]:
    """Names of the operators in the file (that give floats), as TensorFlow's schema has them, sorted."""
    kinds, model = schema(), opened(content)
    names = {number: name for name, number in vars(kinds.BuiltinOperator).items() if isinstance(number, int)}
    operator_names = set()
    for graph in model.subgraphs:
        for operator in graph.operators:
            types = {graph.tensors[t].type for t in operator.outputs}
            if not of_floats or kinds.TensorType.FLOAT32 in types:
                operator_names.add(names[model.operatorCodes[operator.opcodeIndex].builtinCode])
    return tuple(sorted(operator_names))


def looked_up(content: bytes) -> bytes:
    """The file with int8 ELU where it has ELU on floats between conversions from and to int8.

    TensorFlow's converter leaves ELU in float; LiteRT and TFLM have a kernel that looks it up.
    """
    kinds, model = schema().BuiltinOperator, opened(content)
    if len(model.subgraphs) > 1 or not any(code.builtinCode == kinds.ELU for code in model.operatorCodes):
        return content
    for graph in model.subgraphs:
        writers = {t: operator for operator in graph.operators for t in operator.outputs}
        read: dict[int, list[Any]] = {}
        for operator in graph.operators:
            for t in operator.inputs:
                read.setdefault(t, []).append(operator)

        def kind(operator: Any) -> int:
            return int(model.operatorCodes[operator.opcodeIndex].builtinCode)

        gone = []
        for operator in graph.operators:
            if kind(operator) != kinds.ELU:
                continue
            before, after = writers.get(operator.inputs[0]), read.get(operator.outputs[0], [])
            if before is None or kind(before) != kinds.DEQUANTIZE or len(after) != 1:
                continue
            if kind(after[0]) != kinds.QUANTIZE or operator.outputs[0] in graph.outputs:
                continue
            float_in = operator.inputs[0]
            operator.inputs, operator.outputs = [before.inputs[0]], [after[0].outputs[0]]
            read[float_in].remove(operator)
            gone += [after[0], *([] if read[float_in] or float_in in graph.outputs else [before])]
        graph.operators = [operator for operator in graph.operators if not any(operator is g for g in gone)]
        _drop_unused(model, graph)
    return _written(model)


def _drop_unused(model: Any, graph: Any) -> None:
    """Leave out tensors that nothing reads or makes, and number the others anew."""
    used = {t for operator in graph.operators for t in (*operator.inputs, *operator.outputs)}
    used |= {*graph.inputs, *graph.outputs}
    kept = [t for t in range(len(graph.tensors)) if t in used]
    new = {-1: -1, **{t: i for i, t in enumerate(kept)}}
    graph.tensors = [graph.tensors[t] for t in kept]
    for operator in graph.operators:
        operator.inputs = [new[t] for t in operator.inputs]
        operator.outputs = [new[t] for t in operator.outputs]
    graph.inputs, graph.outputs = [new[t] for t in graph.inputs], [new[t] for t in graph.outputs]
    for signature in model.signatureDefs:
        for entry in (*signature.inputs, *signature.outputs):
            entry.tensorIndex = new[entry.tensorIndex]


def inputs(content: bytes) -> tuple[str, ...]:
    """The signature's inputs in the order in which the file has them, which is TFLM's."""
    model = opened(content)
    (graph,), (signature,) = model.subgraphs, model.signatureDefs
    names = {entry.tensorIndex: entry.name.decode() for entry in signature.inputs}
    return tuple(names[index] for index in graph.inputs)


def outputs(content: bytes) -> tuple[str, ...]:
    """The same of its outputs."""
    model = opened(content)
    (graph,), (signature,) = model.subgraphs, model.signatureDefs
    names = {entry.tensorIndex: entry.name.decode() for entry in signature.outputs}
    return tuple(names[index] for index in graph.outputs)


def with_input(content: bytes, name: str, scale: float, zero_point: int) -> bytes:
    """The file with the quantisation of its input of this name stated in these numbers."""
    model = opened(content)
    (graph,), (signature,) = model.subgraphs, model.signatureDefs
    (index,) = (entry.tensorIndex for entry in signature.inputs if entry.name.decode() == name)
    quantisation = graph.tensors[index].quantization
    quantisation.scale, quantisation.zeroPoint = [scale], [zero_point]
    return _written(model)


def is_converted_first(content: bytes, name: str) -> bool:
    """Whether all that reads an input of this name converts it by its quantisation, which may be changed then."""
    model, kinds = opened(content), schema().BuiltinOperator
    (graph,), (signature,) = model.subgraphs, model.signatureDefs
    (index,) = (entry.tensorIndex for entry in signature.inputs if entry.name.decode() == name)
    readers = [operator for operator in graph.operators if index in operator.inputs]
    codes = {model.operatorCodes[operator.opcodeIndex].builtinCode for operator in readers}
    return codes <= {kinds.DEQUANTIZE, kinds.QUANTIZE}


def requantising(content: bytes, name: str, scale: float, zero_point: int) -> bytes:
    """The file with an input of this name quantised so, which it converts to what it took before."""
    model, kinds = opened(content), schema()
    (graph,), (signature,) = model.subgraphs, model.signatureDefs
    (entry,) = (entry for entry in signature.inputs if entry.name.decode() == name)
    before, taken = entry.tensorIndex, len(graph.tensors)
    tensor = copy.deepcopy(graph.tensors[before])
    tensor.name = f"tensor_{taken}"
    tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [zero_point]
    graph.tensors.append(tensor)
    graph.inputs = [taken if index == before else index for index in graph.inputs]
    entry.tensorIndex = taken
    code, operator = kinds.OperatorCodeT(), kinds.OperatorT()
    code.builtinCode = code.deprecatedBuiltinCode = kinds.BuiltinOperator.QUANTIZE
    code.version = 2  # from int8 to int8
    operator.opcodeIndex, operator.inputs, operator.outputs = len(model.operatorCodes), [taken], [before]
    model.operatorCodes.append(code)
    graph.operators = [operator, *graph.operators]
    return _written(model)


def of_one_operator(content: bytes, node: int, size: int) -> bytes:
    """A file with one operator of the graph alone, its only computed input and its output (1, size) each."""
    model = opened(content)
    (graph,) = model.subgraphs
    operator = graph.operators[node]
    (given,) = (t for t in operator.inputs if t >= 0 and not _is_constant(model, graph.tensors[t]))
    graph.operators, graph.inputs, graph.outputs = [operator], [given], [operator.outputs[0]]
    for t in (given, operator.outputs[0]):
        graph.tensors[t].shape, graph.tensors[t].shapeSignature = [1, size], None
    model.signatureDefs = []
    _drop_unused(model, graph)
    return _written(model)


def up_to(content: bytes, kinds: set[str]) -> bytes:
    """The file of a chain of operators without those at its end that are of these kinds, under its only output."""
    numbers, model = vars(schema().BuiltinOperator), opened(content)
    (graph,), (signature,) = model.subgraphs, model.signatureDefs
    left_out = {numbers[kind] for kind in kinds}
    while model.operatorCodes[graph.operators[-1].opcodeIndex].builtinCode in left_out:
        graph.operators = graph.operators[:-1]
    graph.outputs = [graph.operators[-1].outputs[0]]
    (entry,) = signature.outputs
    entry.tensorIndex = graph.outputs[0]
    _drop_unused(model, graph)
    return _written(model)


def _is_constant(model: Any, tensor: Any) -> bool:
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def schema() -> Any:
    """TensorFlow's schema of TFLite files, as Python's module."""
    from ai_edge_litert import schema_py_generated

    return schema_py_generated


def opened(content: bytes) -> Any:
    """The file as objects of the schema."""
    from ai_edge_litert.tools import flatbuffer_utils

    return flatbuffer_utils.read_model_from_bytearray(bytearray(content))


def _written(model: Any) -> bytes:
    from ai_edge_litert.tools import flatbuffer_utils

    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


SIGNATURE = "serving_default"  # the signature's name; inputs and outputs are read by theirs in it
