"""ONNX operators that move numbers about, pick some, or put several values together."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from eeaug.backbone.from_onnx import atoms
from eeaug.backbone.from_onnx.arithmetic import constant
from eeaug.backbone.from_onnx.atoms import Value, flat, size
from eeaug.backbone.from_onnx.builder import Array, Builder, Operand, Unsupported

__all__ = ["HANDLERS", "apart", "axes_of", "cut", "integers", "sample", "with_axis"]

_Inputs = Sequence[Operand | None]
_Attributes = Mapping[str, Any]


def sample(inputs: _Inputs) -> Value:
    if not inputs or not isinstance(inputs[0], Value):
        raise Unsupported("it reads constants where a sample is expected")
    return inputs[0]


def integers(inputs: _Inputs, which: int, values: _Attributes, name: str) -> list[int] | None:
    """Whole numbers that are an attribute in old opsets and an input in new ones; None: left out."""
    if len(inputs) > which and inputs[which] is not None:
        return [int(n) for n in np.ravel(constant(inputs[which], name))]
    given = values.get(name)
    return None if given is None else [int(n) for n in np.ravel(given)]


def axes_of(inputs: _Inputs, values: _Attributes, rank: int) -> list[int] | None:
    axes = integers(inputs, 1, values, "axes")
    return None if axes is None else sorted({axis % rank for axis in axes})


# -- shapes -------------------------------------------------------------------------------------------


def _reshape(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value = sample(inputs)
    shape = integers(inputs, 1, values, "shape") or []
    if not values.get("allowzero", 0):
        shape = [value.shape[i] if n == 0 else n for i, n in enumerate(shape)]
    total = prod(value.shape)
    if -1 in shape:
        others = prod(n for n in shape if n != -1)
        shape = [total // max(1, others) if n == -1 else n for n in shape]
    if prod(shape) != total:
        raise Unsupported(
            f"a sample of shape {value.shape} does not fit into {tuple(shape)}: if exported for batches of one "
            "size, export it with an open batch or batches of 1"
        )
    return b.reshaped(value, shape)


def _flatten(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value = sample(inputs)
    axis = values.get("axis", 1) % (len(value.axes) + 1)
    before, after = (tuple(flat(part)) for part in (value.axes[:axis], value.axes[axis:]))
    return value.with_axes([before, after])


def _transpose(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value = sample(inputs)
    order = values.get("perm") or list(reversed(range(len(value.axes))))
    return value.with_axes([value.axes[i] for i in order])


def _squeeze(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value = sample(inputs)
    axes = axes_of(inputs, values, len(value.axes))
    axes = [i for i, n in enumerate(value.shape) if n == 1 and i] if axes is None else axes
    if any(value.axes[i] for i in axes):
        raise Unsupported(f"it takes an axis away that is longer than 1, of {value.shape}")
    return value.with_axes([group for i, group in enumerate(value.axes) if i not in axes])


def _unsqueeze(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value = sample(inputs)
    given = integers(inputs, 1, values, "axes") or []
    rank = len(value.axes) + len(given)
    new = {axis % rank for axis in given}
    old = iter(value.axes)
    return value.with_axes([() if i in new else next(old) for i in range(rank)])


def _expand(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value = sample(inputs)
    shape = integers(inputs, 1, values, "shape") or []
    rank = max(len(shape), len(value.axes))
    value = value.with_axes([()] * (rank - len(value.axes)) + list(value.axes))
    for axis, wanted in enumerate([1] * (rank - len(shape)) + shape):
        if wanted != 1 and value.shape[axis] == 1:
            value = b.repeated(value, axis, wanted)
        elif wanted not in (1, value.shape[axis]):
            raise Unsupported(f"a sample of shape {value.shape} cannot be expanded to {tuple(shape)}")
    return value


def _tile(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value = sample(inputs)
    for axis, times in enumerate(integers(inputs, 1, values, "repeats") or []):
        if times == 1:
            continue
        if value.axes[axis]:
            held, order = apart(b, value, [axis])
            at = order.index(axis)
            tensor = b.keras.layers.Concatenate(axis=at + 1, name=b.name())([held.tensor] * times)
            value = with_axis(held, order, axis, size(value.axes[axis]) * times, tensor)
        else:
            value = b.repeated(value, axis, times)
    return value


def _space_to_depth(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value, block = sample(inputs), values["blocksize"]
    n, channels, height, width = value.shape
    cut = b.reshaped(value, [n, channels, height // block, block, width // block, block])
    moved = cut.with_axes([cut.axes[i] for i in (0, 3, 5, 1, 2, 4)])
    return b.reshaped(moved, [n, channels * block**2, height // block, width // block])


def _depth_to_space(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value, block = sample(inputs), values["blocksize"]
    n, channels, height, width = value.shape
    columns = values.get("mode", "DCR") == "DCR"
    parts = [block, block, channels // block**2] if columns else [channels // block**2, block, block]
    cut = b.reshaped(value, [n, *parts, height, width])
    order = (0, 3, 4, 1, 5, 2) if columns else (0, 1, 4, 2, 5, 3)
    moved = cut.with_axes([cut.axes[i] for i in order])
    return b.reshaped(moved, [n, channels // block**2, height * block, width * block])


# -- parts --------------------------------------------------------------------------------------------


def apart(b: Builder, value: Value, needed: Sequence[int]) -> tuple[Value, list[int]]:
    """The value with every axis by itself in memory (of size 1: those that are needed), and their order there."""
    order = b.natural(value, needed)
    return b.ordered(value, order), order


def with_axis(held: Value, order: Sequence[int], axis: int, length: int, tensor: Any) -> Value:
    """What has come of a value by a layer that changed the length of one axis."""
    new, at = atoms.atom(length), order.index(axis)
    memory = tuple(new if i == at else group for i, group in enumerate(held.memory))
    axes = tuple(new if i == axis else group for i, group in enumerate(held.axes))
    return replace(held, tensor=tensor, memory=memory, axes=axes)


def cut(b: Builder, value: Value, axis: int, start: int, stop: int | None, step: int = 1) -> Value:
    """A slice along one axis."""
    length = len(range(*slice(start, stop, step).indices(value.shape[axis])))
    if length == value.shape[axis] and step == 1:
        return value
    if not length:
        raise Unsupported(f"it keeps nothing of an axis of {value.shape[axis]}")
    group = value.axes[axis]
    for at, there in enumerate(value.memory):  # the slowest part of an axis in memory: nothing is taken apart
        if step == 1 and stop is not None and group and there[: len(group)] == group:
            rest, new = there[len(group) :], atoms.atom(length)
            where = (*(slice(None),) * (at + 1), slice(start * size(rest), stop * size(rest)))
            memory = (*value.memory[:at], (*new, *rest), *value.memory[at + 1 :])
            axes = tuple(new if i == axis else one for i, one in enumerate(value.axes))
            return replace(value, tensor=b.part(value.tensor, where), memory=memory, axes=axes)
    held, order = apart(b, value, [axis])
    whole = (slice(None),) * (order.index(axis) + 1)
    tensor = b.part(held.tensor, (*whole, slice(start, stop, step)))
    return with_axis(held, order, axis, length, tensor)


def _slice(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value = sample(inputs)
    starts, ends = integers(inputs, 1, values, "starts") or [], integers(inputs, 2, values, "ends") or []
    axes = integers(inputs, 3, values, "axes") or list(range(len(starts)))
    steps = integers(inputs, 4, {}, "steps") or [1] * len(starts)
    for start, stop, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis %= len(value.axes)
        length = value.shape[axis]
        if step < 0:
            first = min(start + length if start < 0 else start, length - 1)
            last = stop + length if stop < 0 else stop
            value = cut(b, value, axis, first, None if stop < -length or last < 0 else last, step)
        else:
            first, last, _ = slice(start, stop).indices(length)
            value = cut(b, value, axis, first, last, step)
    return value


def _split(b: Builder, inputs: _Inputs, values: _Attributes) -> tuple[Value, ...]:
    value, axis = sample(inputs), values.get("axis", 0) % len(sample(inputs).axes)
    parts, total = integers(inputs, 1, values, "split"), value.shape[axis]
    if parts is None:
        number = values.get("num_outputs", len(b.node.output))
        each = -(-total // number)
        parts = [min(each, total - each * i) for i in range(number)]
    bounds = np.cumsum([0, *parts]).tolist()
    return tuple(cut(b, value, axis, low, high) for low, high in itertools.pairwise(bounds))


def _gather(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    data, indices = inputs[:2]
    if not isinstance(data, Value):
        if values.get("axis", 0) == 0 and isinstance(indices, Value) and data is not None and data.ndim == 2:
            return _embedding(b, indices, data)
        raise Unsupported("it picks from constants by numbers of a sample")
    axis = values.get("axis", 0) % len(data.axes)
    picked = constant(indices, "indices").astype(np.int64)
    picked = np.where(picked < 0, picked + data.shape[axis], picked)
    if picked.ndim == 0:
        value = cut(b, data, axis, int(picked), int(picked) + 1)
        return value.with_axes([group for i, group in enumerate(value.axes) if i != axis])
    flat_indices = picked.ravel()
    steps = np.unique(np.diff(flat_indices)) if len(flat_indices) > 1 else np.array([1])
    if len(steps) == 1 and steps[0] >= 1:
        value = cut(b, data, axis, int(flat_indices[0]), int(flat_indices[-1]) + 1, int(steps[0]))
    else:
        held, order = apart(b, data, [axis])
        at = order.index(axis) + 1
        tensor = b.operation("numpy", "Take", axis=at)(held.tensor, flat_indices.astype(np.int32))
        value = with_axis(held, order, axis, len(flat_indices), tensor)
    shape = [*data.shape[:axis], *picked.shape, *data.shape[axis + 1 :]]
    return b.reshaped(value, shape)


def _embedding(b: Builder, indices: Value, table: Array) -> Value:
    held, _ = apart(b, indices, [])
    layer = b.keras.layers.Embedding(*table.shape, name=b.name())
    tensor = layer(held.tensor)
    layer.set_weights([table.astype(np.float32)])
    new = atoms.atom(table.shape[1])
    return Value(tensor, (*held.memory, new), (*held.axes, new))


HANDLERS: dict[str, Callable[[Builder, _Inputs, _Attributes], Any]] = {
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Transpose": _transpose,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Expand": _expand,
    "Tile": _tile,
    "SpaceToDepth": _space_to_depth,
    "DepthToSpace": _depth_to_space,
    "Slice": _slice,
    "Split": _split,
    "Gather": _gather,
}
