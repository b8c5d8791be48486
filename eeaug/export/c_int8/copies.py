"""Operators that move elements and change none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eeaug.errors import ConversionError
from eeaug.export.c_int8.constants import braced
from eeaug.export.c_int8.stage_builder import (
    KernelCall,
    StageBuilder,
    activation,
    copied,
    listed,
    strides_of,
)
from eeaug.frameworks.tflite_graph import Operator, Tensor

__all__ = ["SAME_BYTES", "concatenation", "padded", "same_bytes", "sliced", "transposed", "unpacked"]

SAME_BYTES = {"RESHAPE", "SQUEEZE", "EXPAND_DIMS"}
AXES = 5  # of a copy
NEAR = 1e-6  # scales that differ by less, relatively, are the same


def same_bytes(stage: StageBuilder, operator: Operator) -> None:
    """The same tensor by another name, but where the result leaves the stage."""
    source, y = stage.name(operator.inputs[0]), stage.tensor(operator.outputs[0])
    if y.index in stage.names:
        copied(stage, source, stage.names[y.index], y.size)
    else:
        stage.names[y.index] = source


def padded(stage: StageBuilder, operator: Operator) -> None:
    x, y = stage.tensor(operator.inputs[0]), stage.tensor(operator.outputs[0])
    before = [int(pair[0]) for pair in listed(stage, operator, 1).reshape(-1, 2)]
    value = y.zero_point
    if len(operator.inputs) > 2:
        value = int(np.ravel(listed(stage, operator, 2))[0])
    target = stage.name(y.index)
    strides = strides_of(y.shape)
    first = sum(b * s for b, s in zip(before, strides, strict=True))
    moved = _moved(stage, operator, x.shape, strides_of(x.shape), strides)
    source = stage.name(x.index)
    code = (
        f"(void)memset({{{target}}}, {value}, {y.size});\n"
        f"    @{{prefix}}_move(&{moved}, {{{source}}}, (int8_t *){{{target}}} + {first});"
    )
    stage.calls.append(KernelCall(("move",), code, (source,), (target,)))


def concatenation(stage: StageBuilder, operator: Operator) -> None:
    y = stage.tensor(operator.outputs[0])
    if operator.kind == "PACK":
        axis = int(operator.options["axis"]) % len(y.shape)
        parts = [(t, (*y.shape[:axis], 1, *y.shape[axis + 1 :])) for t in operator.inputs]
    else:
        axis = int(operator.options["axis"]) % len(y.shape)
        parts = [(t, stage.tensor(t).shape) for t in operator.inputs]
    target, first = stage.name(y.index), 0
    lines: list[str] = []
    reads: list[str] = []
    strides = strides_of(y.shape)
    activation(operator, y)
    for t, shape in parts:
        x = stage.tensor(t)
        if x.zero_points != y.zero_points or abs(x.scale / y.scale - 1) > NEAR:
            raise ConversionError(f"there is no int8 C for {operator.kind} of inputs that are scaled otherwise")
        if x.values is None:
            reads.append(stage.name(t))
            source = f"{{{reads[-1]}}}"
        else:
            source = stage.constant("values", "int8_t", x.values)
        moved = _moved(stage, operator, shape, strides_of(shape), strides, len(lines))
        lines.append(f"@{{prefix}}_move(&{moved}, {source}, (int8_t *){{{target}}} + {first});")
        first += shape[axis] * strides[axis]
    stage.calls.append(KernelCall(("move",), "\n    ".join(lines), tuple(reads), (target,)))


def transposed(stage: StageBuilder, operator: Operator) -> None:
    x, y = stage.tensor(operator.inputs[0]), stage.tensor(operator.outputs[0])
    strides = strides_of(x.shape)
    order = [int(axis) for axis in np.ravel(listed(stage, operator, 1))]
    _rearranged(stage, operator, [strides[axis] for axis in order], 0, x, y)


def unpacked(stage: StageBuilder, operator: Operator) -> None:
    """A slice for every index of an axis."""
    x = stage.tensor(operator.inputs[0])
    axis = int(operator.options["axis"]) % len(x.shape)
    strides = strides_of(x.shape)
    kept = [*strides[:axis], *strides[axis + 1 :]]
    for k, t in enumerate(operator.outputs):
        _rearranged(stage, operator, kept, k * strides[axis], x, stage.tensor(t))


def sliced(stage: StageBuilder, operator: Operator) -> None:
    x, y = stage.tensor(operator.inputs[0]), stage.tensor(operator.outputs[0])
    begins, steps = [int(b) for b in np.ravel(listed(stage, operator, 1))], [1] * len(x.shape)
    kept = list(range(len(x.shape)))
    if operator.kind == "STRIDED_SLICE":
        o = operator.options
        if o["ellipsisMask"] or o["newAxisMask"]:
            raise ConversionError("there is no int8 C for STRIDED_SLICE with an ellipsis or a new axis")
        steps = [int(s) for s in np.ravel(listed(stage, operator, 3))]
        for axis, step in enumerate(steps):
            size = x.shape[axis]
            if o["beginMask"] >> axis & 1:
                begins[axis] = 0 if step > 0 else size - 1
            begins[axis] += size if begins[axis] < 0 else 0
        kept = [axis for axis in kept if not o["shrinkAxisMask"] >> axis & 1]
    strides = strides_of(x.shape)
    first = sum(b * s for b, s in zip(begins, strides, strict=True))
    _rearranged(stage, operator, [strides[axis] * steps[axis] for axis in kept], first, x, y)


def _rearranged(
    stage: StageBuilder, operator: Operator, strides: Sequence[int], first: int, x: Tensor, y: Tensor
) -> None:
    source, target = stage.name(x.index), stage.name(y.index)
    moved = _moved(stage, operator, y.shape, strides, strides_of(y.shape))
    code = f"@{{prefix}}_move(&{moved}, (const int8_t *){{{source}}} + {first}, {{{target}}});"
    stage.calls.append(KernelCall(("move",), code, (source,), (target,)))


def _moved(
    stage: StageBuilder, operator: Operator, shape: Sequence[int], x: Sequence[int], y: Sequence[int], part: int = 0
) -> str:
    """The name of the axes of a copy: those that go on alike in both are one."""
    joined: list[list[int]] = []
    for size, step_x, step_y in zip(shape, x, y, strict=True):
        if size == 1:
            continue
        if joined and joined[-1][1] == step_x * size and joined[-1][2] == step_y * size:
            joined[-1] = [joined[-1][0] * size, step_x, step_y]
        else:
            joined.append([size, step_x, step_y])
    if len(joined) > AXES:
        raise ConversionError(f"there is no int8 C for {operator.kind} over so many axes")
    joined = [[1, 0, 0]] * (AXES - len(joined)) + joined
    columns = [list(column) for column in zip(*joined, strict=True)]
    return stage.record(f"part_{part}" if part else "axes", "@{prefix}_axes", braced(map(braced, columns)))
