"""The graph of a TFLite file: its tensors, operators and constants, as data classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.frameworks import tflite_file

__all__ = ["Graph", "Operator", "Tensor", "applied", "read"]

TYPES = {"INT8": np.int8, "INT32": np.int32, "FLOAT32": np.float32, "INT64": np.int64, "BOOL": np.bool_}


@dataclass(frozen=True)
class Tensor:
    """A tensor of the file.

    Parameters
    ----------
    type : as TensorFlow's schema has it, such as INT8
    scales, zero_points : one, one for each index of ``axis``, or none
    values : of a constant; None: it is computed
    """

    index: int
    shape: tuple[int, ...]
    type: str
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int
    values: NDArray[Any] | None

    @property
    def size(self) -> int:
        """Elements."""
        return prod(self.shape)

    @property
    def scale(self) -> float:
        return self.scales[0]

    @property
    def zero_point(self) -> int:
        return self.zero_points[0]


@dataclass(frozen=True)
class Operator:
    """An operator, as TensorFlow's schema names it; an optional input that is not there is −1."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Graph:
    """The only graph of a file; ``inputs`` and ``outputs``: numbers of tensors by their names in the signature."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: Mapping[str, int]
    outputs: Mapping[str, int]


def read(content: bytes) -> Graph:
    """What is in the file, which has one graph and one signature."""
    enumerations, model = tflite_file.schema(), tflite_file.opened(content)
    (graph,), (signature,) = model.subgraphs, model.signatureDefs
    types = _names(enumerations.TensorType)
    kinds = _names(enumerations.BuiltinOperator)
    tensors = [_tensor(i, tensor, model, types) for i, tensor in enumerate(graph.tensors)]
    operators = [
        Operator(
            kinds[model.operatorCodes[operator.opcodeIndex].builtinCode],
            tuple(map(int, operator.inputs)),
            tuple(map(int, operator.outputs)),
            {} if operator.builtinOptions is None else dict(vars(operator.builtinOptions)),
        )
        for operator in graph.operators
    ]
    ends = [{e.name.decode(): e.tensorIndex for e in entries} for entries in (signature.inputs, signature.outputs)]
    return Graph(tuple(tensors), tuple(operators), *ends)


def applied(content: bytes, place: int, q: NDArray[np.int8]) -> NDArray[np.int8]:
    """What LiteRT's reference kernel of this operator gives for each of the numbers q (n,) by itself.

    ``place``: the operator's place in the graph; it has one computed input, int8 like its output, and acts on every
    element alike. Where there is no reference kernel (of ELU), the other one is asked.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    alone = tflite_file.of_one_operator(content, place, len(q))
    try:
        interpreter = Interpreter(model_content=alone, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError):
        kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        interpreter = Interpreter(model_content=alone, experimental_op_resolver_type=kernels)
        interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], q[None])
    interpreter.invoke()
    result: NDArray[np.int8] = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return result.reshape(-1)


def _names(enumeration: Any) -> dict[int, str]:
    return {number: name for name, number in vars(enumeration).items() if isinstance(number, int)}


def _tensor(i: int, tensor: Any, model: Any, types: Mapping[int, str]) -> Tensor:
    shape = tuple(map(int, tensor.shape)) if tensor.shape is not None else ()
    kind, quantisation = types[tensor.type], tensor.quantization
    listed = quantisation is not None and quantisation.scale is not None
    scales = tuple(map(float, quantisation.scale)) if listed else ()
    zeros = tuple(map(int, quantisation.zeroPoint)) if listed and quantisation.zeroPoint is not None else ()
    data, values = model.buffers[tensor.buffer].data, None
    if data is not None and len(data) and kind in TYPES:
        dtype = np.dtype(TYPES[kind]).newbyteorder("<")
        values = np.frombuffer(bytes(bytearray(data)), dtype).reshape(shape)
    axis = int(quantisation.quantizedDimension) if listed else 0
    return Tensor(i, shape, kind, scales, zeros, axis, values)
