"""ONNX operators that multiply matrices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from eeaug.backbone.from_onnx import atoms
from eeaug.backbone.from_onnx.arithmetic import constant
from eeaug.backbone.from_onnx.atoms import Group, Value, flat, size
from eeaug.backbone.from_onnx.builder import Array, Builder, Operand, Unsupported, of_layer

__all__ = ["HANDLERS", "dense"]

_Inputs = Sequence[Operand | None]
_Attributes = Mapping[str, Any]


def dense(b: Builder, value: Value, axis: int, matrix: Array, bias: Array | None) -> Value:
    """A dense layer along one axis of a value.

    Whatever order the numbers of that axis have in memory, the rows of the matrix (inputs, units) are put into it:
    flattening needs nothing moved.
    """
    axis %= len(value.axes)
    group = value.axes[axis]
    if size(group) != len(matrix):
        raise Unsupported(f"{size(group)} numbers meet a matrix of {len(matrix)} rows")
    there = [one for one in flat(value.memory) if one in group]
    rows = matrix.reshape([*(one.size for one in group), -1])
    rows = rows.transpose([*(group.index(one) for one in there), len(group)]).reshape(matrix.shape)
    if value.memory and value.memory[-1] == tuple(there) and there:
        tensor, leading = value.tensor, list(value.memory[:-1])
    else:
        others = [tuple(one for one in g if one not in group) for g in value.memory]
        leading = [g for g in others if g]
        tensor = b.arranged(value, [*leading, tuple(there)])
    weights = [rows] if bias is None else [rows, bias]
    layer = b.keras.layers.Dense(matrix.shape[1], use_bias=bias is not None, name=b.name())
    new = atoms.atom(matrix.shape[1])
    axes = [new if i == axis else g for i, g in enumerate(value.axes)]
    return Value(of_layer(layer, weights)(tensor), (*leading, new), tuple(axes))


def _product(b: Builder, first: Value, second: Value) -> Value:
    """(batch axes, rows, inner) times (batch axes, inner, columns), both of samples."""
    if len(first.axes) < 2 or len(second.axes) < 2:
        raise Unsupported("it multiplies a vector by a vector of the same sample")
    (*lead_a, rows, inner_a), (*lead_b, inner_b, columns) = first.axes, second.axes
    # one value whose axes are those of both, so that leading axes and inner ones get the same atoms
    rank = max(len(lead_a), len(lead_b))
    a = first.with_axes([*[()] * (rank - len(lead_a)), *lead_a, inner_a, rows, ()])
    c = second.with_axes([*[()] * (rank - len(lead_b)), *lead_b, inner_b, (), columns])
    a, c = b.aligned(a, c)
    leads: list[Group] = []
    for x, y in zip(a.axes[:rank], c.axes[:rank], strict=True):
        if x != y:
            if x and y:
                raise Unsupported("its leading axes differ")
            raise Unsupported("one of its operands is repeated along a leading axis")
        leads.append(x)
    inner, row, column = a.axes[rank], a.axes[rank + 1], c.axes[rank + 2]
    lead = tuple(flat(leads))
    kept = [lead] if lead else []
    tensors = [b.arranged(a, [*kept, row, inner]), b.arranged(c, [*kept, inner, column])]
    result = b.operation("numpy", "Matmul")(*tensors)
    return Value(result, (*kept, row, column), (*leads, row, column))


def _matmul(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    first, second = inputs[:2]
    bias = inputs[2] if len(inputs) > 2 else None
    if isinstance(first, Value) and isinstance(second, Value):
        return _product(b, first, second)
    if isinstance(first, Value):
        matrix = constant(second, "matrix")
        if prod(matrix.shape[:-2]) != 1:
            return _stacked(b, first, matrix)
        matrix = matrix.reshape(matrix.shape[-2:]) if matrix.ndim > 1 else matrix[:, None]
        return dense(b, first, -1, matrix, None if bias is None else np.ravel(constant(bias, "bias")))
    assert isinstance(second, Value)
    matrix = constant(first, "matrix")
    if prod(matrix.shape[:-2]) != 1 or matrix.ndim < 2 or len(second.axes) < 2:
        raise Unsupported("a stack of constant matrices stands on its left")
    return dense(b, second, -2, matrix.reshape(matrix.shape[-2:]).T, None)


def _stacked(b: Builder, value: Value, matrices: Array) -> Value:
    """A value times a constant matrix for each of its leading axes: an EinsumDense."""
    rank = len(value.axes)
    letters = "bcdefgh"[: rank - 2]
    order = list(range(rank))
    held = b.ordered(value, order)
    first = next(i for i, n in enumerate((1,) * (rank - matrices.ndim) + matrices.shape) if n > 1)
    kernel = matrices.reshape([n for n in matrices.shape[:-2] if n > 1] + list(matrices.shape[-2:]))
    if any(n == 1 for n in matrices.shape[max(0, first - rank + matrices.ndim) : -2]):
        raise Unsupported("a stack of constant matrices is repeated along an inner axis")
    stacked = letters[first:]
    equation = f"a{letters}xy,{stacked}yz->a{letters}xz"
    shape = [size(group) for group in held.memory[:-1]] + [matrices.shape[-1]]
    layer = b.keras.layers.EinsumDense(equation, output_shape=shape, bias_axes=None, name=b.name())
    new = atoms.atom(matrices.shape[-1])
    memory = (*held.memory[:-1], new)
    return Value(of_layer(layer, [kernel])(held.tensor), memory, (*value.axes[:-1], new))


def _gemm(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value = inputs[0]
    if not isinstance(value, Value) or values.get("transA", 0):
        raise Unsupported("its first operand is a constant, or transposed")
    matrix = constant(inputs[1], "matrix") * np.float32(values.get("alpha", 1.0))
    matrix = matrix.T if values.get("transB", 0) else matrix
    bias = inputs[2] if len(inputs) > 2 else None
    if bias is not None:
        row = np.ravel(constant(bias, "bias")) * np.float32(values.get("beta", 1.0))
        bias = np.broadcast_to(row, (matrix.shape[1],))
    return dense(b, value, -1, matrix, bias)


def _einsum(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    """Two operands: brought to (leading, rows, inner) times (leading, inner, columns)."""
    text = values["equation"].replace(" ", "")
    terms, _, out = text.partition("->")
    names = terms.split(",")
    if not out or len(names) != 2 or "." in text or any(len(set(n)) < len(n) for n in (*names, out)):
        raise Unsupported(f"its equation {text!r} is not one of two operands with every index once")
    first, second = inputs[:2]
    left, right = names
    if not isinstance(first, Value):
        first, second, left, right = second, first, right, left
    if not isinstance(first, Value):
        raise Unsupported("it reads constants alone")
    inner = [i for i in left if i in right and i not in out]
    lead = [i for i in left if i in right and i in out]
    rows, columns = [i for i in left if i not in right], [i for i in right if i not in left]
    if any(i not in out for i in rows + columns):
        raise Unsupported(f"its equation {text!r} sums over an index of one operand alone")
    if not isinstance(second, Value):
        matrix = constant(second, "matrix")
        if lead:
            raise Unsupported(f"its equation {text!r} has a constant matrix for each of several places")
        matrix = matrix.transpose([right.index(i) for i in inner + columns])
        sizes = dict(zip(right, constant(second, "matrix").shape, strict=True))
        matrix = matrix.reshape(prod(sizes[i] for i in inner), -1)
        joined = first.with_axes([first.axes[left.index(i)] for i in rows] + [tuple(
            one for i in inner for one in first.axes[left.index(i)])])  # fmt: skip
        result = dense(b, joined, -1, matrix, None)
        result = b.reshaped(result, [*result.shape[:-1], *(sizes[i] for i in columns)])
        have = rows + columns
        return result.with_axes([result.axes[have.index(i)] for i in out])

    def side(value: Value, letters: str, order: Sequence[Sequence[str]]) -> Value:
        leading = [value.axes[letters.index(i)] for i in lead]
        return value.with_axes(
            leading + [tuple(one for i in part for one in value.axes[letters.index(i)]) for part in order]
        )

    result = _product(b, side(first, left, [rows, inner]), side(second, right, [inner, columns]))
    sizes = dict(zip(left, first.shape, strict=True)) | dict(zip(right, second.shape, strict=True))
    have = [*lead, *rows, *columns]
    result = b.reshaped(result, [sizes[i] for i in have])
    return result.with_axes([result.axes[have.index(i)] for i in out])


HANDLERS: dict[str, Callable[[Builder, _Inputs, _Attributes], Any]] = {
    "MatMul": _matmul,
    "Affine": _matmul,
    "Gemm": _gemm,
    "Einsum": _einsum,
}
