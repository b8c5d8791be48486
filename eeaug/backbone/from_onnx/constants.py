"""What an ONNX graph computes of constants alone, computed once by the reference implementation of ``onnx``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["attributes", "folded", "plain"]

LARGEST = 1 << 28  # numbers that a constant may have
# Operators whose result is far larger than what they read, and which input says its size
_GROWS = {
    "ConstantOfShape": 0,
    "Expand": 1,
    "Tile": 1,
    "Resize": 3,
    "Upsample": 1,
    "Pad": 1,
    "Range": 1,
    "OneHot": 1,
}
_RANDOM = ("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli")


def attributes(node: Any) -> dict[str, Any]:
    """A node's attributes as Python values; tensors as arrays, texts as str."""
    import onnx

    values: dict[str, Any] = {}
    for attribute in node.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        if isinstance(value, onnx.TensorProto):
            value = onnx.numpy_helper.to_array(value)
        elif isinstance(value, bytes):
            value = value.decode(errors="replace")
        elif isinstance(value, Sequence) and value and isinstance(value[0], bytes):
            value = [item.decode(errors="replace") for item in value]
        values[attribute.name] = value
    return values


def plain(array: NDArray[Any]) -> NDArray[Any]:
    """Half and double precision as single: what Keras computes in."""
    if array.dtype.kind == "f" or array.dtype.name == "bfloat16":
        return np.asarray(array, np.float32)
    return array


def folded(node: Any, inputs: Sequence[NDArray[Any] | None], opsets: Mapping[str, int]) -> tuple[NDArray[Any], ...]:
    """The outputs of a node whose inputs are all constants.

    Raises
    ------
    ValueError : it is random, too large, or cannot be computed
    """
    import onnx
    from onnx.reference import ReferenceEvaluator

    if node.op_type in _RANDOM:
        raise ValueError("its numbers are random")
    if node.op_type in _GROWS and _result_size(node.op_type, inputs) > LARGEST:
        raise ValueError(f"it makes a constant of more than {LARGEST:,} numbers")
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    given = {name: array for name, array in zip(node.input, inputs, strict=True) if name and array is not None}
    if node.op_type == "Constant":
        (value,) = attributes(node).values()
        return (plain(np.asarray(value)),)
    graph = onnx.helper.make_graph(
        [copy],
        "constant",
        [onnx.helper.make_tensor_value_info(name, _type(array), array.shape) for name, array in given.items()],
        [onnx.helper.make_empty_tensor_value_info(name) for name in node.output if name],
    )
    imports = [onnx.helper.make_opsetid(domain, version) for domain, version in opsets.items()]
    with np.errstate(all="ignore"):
        results = ReferenceEvaluator(onnx.helper.make_model(graph, opset_imports=imports)).run(None, given)
    return tuple(plain(np.asarray(result)) for result in results)


def _type(array: NDArray[Any]) -> int:
    import onnx

    return int(onnx.helper.np_dtype_to_tensor_dtype(array.dtype))


def _result_size(kind: str, inputs: Sequence[NDArray[Any] | None]) -> float:
    which = _GROWS[kind]
    said = inputs[which] if which < len(inputs) else None
    first = inputs[0]
    if said is None or first is None:
        return 0
    numbers = [abs(float(n)) for n in np.ravel(said)]
    if kind in ("ConstantOfShape", "Expand"):
        return prod(numbers)
    if kind == "Range":
        step = float(np.ravel(inputs[2])[0]) if inputs[2] is not None else 1
        return abs((numbers[0] - float(np.ravel(first)[0])) / step) if step else 0
    if kind == "OneHot":
        return first.size * max(numbers, default=0)
    if kind == "Pad":
        half = len(numbers) // 2
        return prod(n + numbers[i] + numbers[i + half] for i, n in enumerate(first.shape[-half:])) if half else 0
    sizes = numbers if kind == "Resize" else [n * m for n, m in zip(first.shape, numbers, strict=False)]
    return prod(sizes)
