"""ONNX operators that move numbers about, pick some, or put several values together."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from eeaug.backbone.from_onnx import atoms
from eeaug.backbone.from_onnx.arithmetic import constant, together
from eeaug.backbone.from_onnx.atoms import Value, flat, size
from eeaug.backbone.from_onnx.builder import Array, Builder, Operand, Unsupported
from eeaug.backbone.from_onnx.windows import averaged, padded

__all__ = ["HANDLERS"]

_Inputs = Sequence[Operand | None]
_Attributes = Mapping[str, Any]


def _value(inputs: _Inputs) -> Value:
    if not inputs or not isinstance(inputs[0], Value):
        raise Unsupported("it reads constants where a sample is expected")
    return inputs[0]


def _integers(inputs: _Inputs, which: int, values: _Attributes, name: str) -> list[int] | None:
    """Whole numbers that are an attribute in old opsets and an input in new ones; None: left out."""
    if len(inputs) > which and inputs[which] is not None:
        return [int(n) for n in np.ravel(constant(inputs[which], name))]
    given = values.get(name)
    return None if given is None else [int(n) for n in np.ravel(given)]


def _axes(inputs: _Inputs, values: _Attributes, rank: int) -> list[int] | None:
    axes = _integers(inputs, 1, values, "axes")
    return None if axes is None else sorted({axis % rank for axis in axes})


# -- shapes -------------------------------------------------------------------------------------------


def _reshape(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value = _value(inputs)
    shape = _integers(inputs, 1, values, "shape") or []
    if not values.get("allowzero", 0):
        shape = [value.shape[i] if n == 0 else n for i, n in enumerate(shape)]
    total = prod(value.shape)
    if -1 in shape:
        others = prod(n for n in shape if n != -1)
        shape = [total // max(1, others) if n == -1 else n for n in shape]
    if prod(shape) != total:
        raise Unsupported(
            f"a sample of shape {value.shape} does not fit into {tuple(shape)}: if exported for batches of one size, "
            "export it with an open batch or batches of 1"
        )
    return b.reshaped(value, shape)


def _flatten(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value = _value(inputs)
    axis = values.get("axis", 1) % (len(value.axes) + 1)
    before, after = (tuple(flat(part)) for part in (value.axes[:axis], value.axes[axis:]))
    return value.with_axes([before, after])


def _transpose(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value = _value(inputs)
    order = values.get("perm") or list(reversed(range(len(value.axes))))
    return value.with_axes([value.axes[i] for i in order])


def _squeeze(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value = _value(inputs)
    axes = _axes(inputs, values, len(value.axes))
    axes = [i for i, n in enumerate(value.shape) if n == 1 and i] if axes is None else axes
    if any(value.axes[i] for i in axes):
        raise Unsupported(f"it takes an axis away that is longer than 1, of {value.shape}")
    return value.with_axes([group for i, group in enumerate(value.axes) if i not in axes])


def _unsqueeze(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value = _value(inputs)
    given = _integers(inputs, 1, values, "axes") or []
    rank = len(value.axes) + len(given)
    new = {axis % rank for axis in given}
    old = iter(value.axes)
    return value.with_axes([() if i in new else next(old) for i in range(rank)])


def _expand(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value = _value(inputs)
    shape = _integers(inputs, 1, values, "shape") or []
    rank = max(len(shape), len(value.axes))
    value = value.with_axes([()] * (rank - len(value.axes)) + list(value.axes))
    for axis, wanted in enumerate([1] * (rank - len(shape)) + shape):
        if wanted != 1 and value.shape[axis] == 1:
            value = b.repeated(value, axis, wanted)
        elif wanted not in (1, value.shape[axis]):
            raise Unsupported(f"a sample of shape {value.shape} cannot be expanded to {tuple(shape)}")
    return value


def _tile(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value = _value(inputs)
    for axis, times in enumerate(_integers(inputs, 1, values, "repeats") or []):
        if times == 1:
            continue
        if value.axes[axis]:
            held, order = _apart(b, value, [axis])
            at = order.index(axis)
            tensor = b.keras.layers.Concatenate(axis=at + 1, name=b.name())([held.tensor] * times)
            value = _with_axis(held, order, axis, size(value.axes[axis]) * times, tensor)
        else:
            value = b.repeated(value, axis, times)
    return value


def _space_to_depth(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value, block = _value(inputs), values["blocksize"]
    n, channels, height, width = value.shape
    cut = b.reshaped(value, [n, channels, height // block, block, width // block, block])
    moved = cut.with_axes([cut.axes[i] for i in (0, 3, 5, 1, 2, 4)])
    return b.reshaped(moved, [n, channels * block**2, height // block, width // block])


def _depth_to_space(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value, block = _value(inputs), values["blocksize"]
    n, channels, height, width = value.shape
    columns = values.get("mode", "DCR") == "DCR"
    parts = [block, block, channels // block**2] if columns else [channels // block**2, block, block]
    cut = b.reshaped(value, [n, *parts, height, width])
    order = (0, 3, 4, 1, 5, 2) if columns else (0, 1, 4, 2, 5, 3)
    moved = cut.with_axes([cut.axes[i] for i in order])
    return b.reshaped(moved, [n, channels // block**2, height * block, width * block])


# -- parts --------------------------------------------------------------------------------------------


def _apart(b: Builder, value: Value, needed: Sequence[int]) -> tuple[Value, list[int]]:
    """The value with every axis by itself in memory (of size 1: those that are needed), and their order there."""
    order = b.natural(value, needed)
    return b.ordered(value, order), order


def _with_axis(held: Value, order: Sequence[int], axis: int, length: int, tensor: Any) -> Value:
    """What has come of a value by a layer that changed the length of one axis."""
    new, at = atoms.atom(length), order.index(axis)
    memory = tuple(new if i == at else group for i, group in enumerate(held.memory))
    axes = tuple(new if i == axis else group for i, group in enumerate(held.axes))
    return replace(held, tensor=tensor, memory=memory, axes=axes)


def _cut(b: Builder, value: Value, axis: int, start: int, stop: int | None, step: int = 1) -> Value:
    """A slice along one axis."""
    length = len(range(*slice(start, stop, step).indices(value.shape[axis])))
    if length == value.shape[axis] and step == 1:
        return value
    if not length:
        raise Unsupported(f"it keeps nothing of an axis of {value.shape[axis]}")
    held, order = _apart(b, value, [axis])
    where = [slice(None)] * (order.index(axis) + 1)
    tensor = held.tensor[(*where, slice(start, stop, step))]
    return _with_axis(held, order, axis, length, tensor)


def _slice(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value = _value(inputs)
    starts, ends = _integers(inputs, 1, values, "starts") or [], _integers(inputs, 2, values, "ends") or []
    axes = _integers(inputs, 3, values, "axes") or list(range(len(starts)))
    steps = _integers(inputs, 4, {}, "steps") or [1] * len(starts)
    for start, stop, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis %= len(value.axes)
        length = value.shape[axis]
        if step < 0:
            first = min(start + length if start < 0 else start, length - 1)
            last = stop + length if stop < 0 else stop
            value = _cut(b, value, axis, first, None if stop < -length or last < 0 else last, step)
        else:
            first, last, _ = slice(start, stop).indices(length)
            value = _cut(b, value, axis, first, last, step)
    return value


def _split(b: Builder, inputs: _Inputs, values: _Attributes) -> tuple[Value, ...]:
    value, axis = _value(inputs), values.get("axis", 0) % len(_value(inputs).axes)
    parts, total = _integers(inputs, 1, values, "split"), value.shape[axis]
    if parts is None:
        number = values.get("num_outputs", len(b.node.output))
        each = -(-total // number)
        parts = [min(each, total - each * i) for i in range(number)]
    bounds = np.cumsum([0, *parts]).tolist()
    return tuple(_cut(b, value, axis, low, high) for low, high in itertools.pairwise(bounds))


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
        value = _cut(b, data, axis, int(picked), int(picked) + 1)
        return value.with_axes([group for i, group in enumerate(value.axes) if i != axis])
    flat_indices = picked.ravel()
    steps = np.unique(np.diff(flat_indices)) if len(flat_indices) > 1 else np.array([1])
    if len(steps) == 1 and steps[0] >= 1:
        value = _cut(b, data, axis, int(flat_indices[0]), int(flat_indices[-1]) + 1, int(steps[0]))
    else:
        held, order = _apart(b, data, [axis])
        at = order.index(axis) + 1
        tensor = b.operation("numpy", "Take", axis=at)(held.tensor, flat_indices.astype(np.int32))
        value = _with_axis(held, order, axis, len(flat_indices), tensor)
    shape = [*data.shape[:axis], *picked.shape, *data.shape[axis + 1 :]]
    return b.reshaped(value, shape)


def _embedding(b: Builder, indices: Value, table: Array) -> Value:
    held, _ = _apart(b, indices, [])
    layer = b.keras.layers.Embedding(*table.shape, name=b.name())
    tensor = layer(held.tensor)
    layer.set_weights([table.astype(np.float32)])
    new = atoms.atom(table.shape[1])
    return Value(tensor, (*held.memory, new), (*held.axes, new))


# -- together -----------------------------------------------------------------------------------------


def _concat(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    operands = [one for one in inputs if one is not None and (isinstance(one, Value) or one.size)]
    samples = [one for one in operands if isinstance(one, Value)]
    if not samples:
        raise Unsupported("it reads constants where a sample is expected")
    first = samples[0]
    axis = values.get("axis", 0) % len(first.axes)
    order = b.natural(max(samples, key=lambda value: len(flat(value.axes))), [axis])
    at = order.index(axis)
    tensors: list[Any] = []
    shift = np.zeros(
        [sum(one.shape[axis] for one in operands) if i == axis else n for i, n in enumerate(first.shape)],
        np.float32,
    )
    missing, place = 0, 0  # rows of constants that stand before the next sample
    for one in operands:
        length = one.shape[axis]
        if isinstance(one, Value):
            tensor = b.ordered(one, order).tensor
            tensors.append(_with_rows(b, tensor, at, missing, 0))
            missing = 0
        else:
            rows = [slice(place, place + length) if i == axis else slice(None) for i in range(shift.ndim)]
            shift[tuple(rows)] = one
            missing += length
        place += length
    if missing:
        tensors[-1] = _with_rows(b, tensors[-1], at, 0, missing)
    tensor = tensors[0]
    if len(tensors) > 1:
        tensor = b.keras.layers.Concatenate(axis=at + 1, name=b.name())(tensors)
    groups = [atoms.atom(place) if i == axis else group for i, group in enumerate(first.axes)]
    result = Value(tensor, tuple(groups[i] for i in order), tuple(groups), all(value.positive for value in samples))
    return b.affine(result, None, shift) if shift.any() else result


def _with_rows(b: Builder, tensor: Any, at: int, before: int, after: int) -> Any:
    """Rows of zeros along axis ``at`` of memory."""
    if not before and not after:
        return tensor
    if len(tensor.shape) == 3 and at == 0:
        return b.keras.layers.ZeroPadding1D((before, after), name=b.name("_pad"))(tensor)
    around = [(0, 0)] * len(tensor.shape)
    around[at + 1] = (before, after)
    return b.operation("numpy", "Pad", tuple(around), mode="constant")(tensor, constant_values=0.0)


def _pad(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value = _value(inputs)
    pads = _integers(inputs, 1, values, "pads") or []
    fill = values.get("value", 0.0)
    if len(inputs) > 2 and inputs[2] is not None:
        fill = float(np.ravel(constant(inputs[2], "filling"))[0])
    half = len(pads) // 2
    axes = _integers(inputs, 3, {}, "axes") or list(range(half))
    around = dict.fromkeys(range(len(value.axes)), (0, 0))
    around |= {axis % len(value.axes): (pads[i], pads[i + half]) for i, axis in enumerate(axes)}
    for axis, (before, after) in around.items():
        if before < 0 or after < 0:
            value = _cut(b, value, axis, max(0, -before), value.shape[axis] - max(0, -after))
            around[axis] = (max(0, before), max(0, after))
    if not any(map(any, around.values())):
        return value
    if around[0] != (0, 0):
        raise Unsupported("it adds samples")
    mode = values.get("mode", "constant")
    if mode not in ("constant", "reflect", "edge"):
        raise Unsupported(f"it pads by {mode!r}")
    held, order = _apart(b, value, [axis for axis, pair in around.items() if any(pair)])
    space = tuple(around[i] for i in order[:-1])
    if mode == "constant" and fill == 0 and around[order[-1]] == (0, 0) and 1 <= len(space) <= 3:
        tensor = padded(b, held.tensor, space, suffix="")
    else:
        operation = b.operation("numpy", "Pad", ((0, 0), *(around[i] for i in order)), mode=mode)
        tensor = operation(held.tensor, constant_values=fill) if mode == "constant" else operation(held.tensor)
    for axis, pair in around.items():
        if any(pair):
            held = _with_axis(held, order, axis, held.shape[axis] + sum(pair), tensor)
    return replace(held, positive=held.positive and fill >= 0)


def _resize(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value = _value(inputs)
    given = [None if one is None else np.ravel(constant(one, "scale")) for one in inputs[1:]]
    if b.node.op_type == "Upsample":
        scales = given[0] if given else np.asarray(values["scales"])
        sizes = None
    else:
        scales = given[1] if len(given) > 1 and given[1] is not None and given[1].size else None
        sizes = given[2] if len(given) > 2 and given[2] is not None and given[2].size else None
    wanted = (
        [int(n) for n in sizes] if sizes is not None
        else [int(np.floor(n * float(s))) for n, s in zip(value.shape, np.ravel(np.asarray(scales)), strict=True)]
    )  # fmt: skip
    if tuple(wanted) == value.shape:
        return value
    if len(value.axes) != 4 or tuple(wanted[:2]) != value.shape[:2]:
        raise Unsupported("it resizes other axes than the two of a picture")
    factors = [new / old for new, old in zip(wanted[2:], value.shape[2:], strict=True)]
    mode, points = values.get("mode", "nearest"), values.get("coordinate_transformation_mode", "half_pixel")
    whole = all(f == int(f) for f in factors)
    rounding = values.get("nearest_mode", "round_prefer_floor")
    held = b.channels_last(value)
    layers = b.keras.layers
    if (
        mode == "nearest"
        and whole
        and (points in ("asymmetric", "half_pixel", "pytorch_half_pixel"))
        and (points != "asymmetric" or rounding == "floor" or b.node.op_type == "Upsample")
    ):
        layer = layers.UpSampling2D(tuple(int(f) for f in factors), interpolation="nearest", name=b.name())
    elif mode == "linear" and points in ("half_pixel", "pytorch_half_pixel") and min(factors) >= 1:
        layer = layers.Resizing(*wanted[2:], interpolation="bilinear", name=b.name())
    else:
        raise Unsupported(f"it resizes by {mode!r} with {points!r} from {value.shape[2:]} to {tuple(wanted[2:])}")
    space = [atoms.atom(n) for n in wanted[2:]]
    channels = value.axes[1]
    return Value(layer(held.tensor), (*space, channels), ((), channels, *space), value.positive)


def _reduce(kind: str) -> Callable[[Builder, _Inputs, _Attributes], Value]:
    def handler(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
        value = _value(inputs)
        axes = _axes(inputs, values, len(value.axes))
        if not axes:
            if axes == [] or values.get("noop_with_empty_axes", 0):
                return value
            axes = list(range(len(value.axes)))
        return averaged(b, value, axes, keep=bool(values.get("keepdims", 1)), kind=kind)

    return handler


def _norm(power: int) -> Callable[[Builder, _Inputs, _Attributes], Value]:
    def handler(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
        value = _value(inputs)
        operation = b.operation("numpy", "Abs" if power == 1 else "Square")
        sizes = b.each(value, operation, positive=True)
        total = _reduce("Sum")(b, [sizes, *inputs[1:]], values)
        return total if power == 1 else b.each(total, b.operation("numpy", "Sqrt"), positive=True)

    return handler


def _where(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    mask = constant(inputs[0], "condition").astype(np.float32)
    parts = [b.affine(one, by, None) if isinstance(one, Value) else np.asarray(one) * by
             for one, by in ((inputs[1], mask), (inputs[2], 1 - mask))]  # fmt: skip
    first, second = parts
    if isinstance(first, Value) and isinstance(second, Value):
        return together(b, b.keras.layers.Add(name=b.name()), first, second)
    value, other = (first, second) if isinstance(first, Value) else (second, first)
    assert isinstance(value, Value) and not isinstance(other, Value)
    return b.affine(value, None, other)


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
    "Concat": _concat,
    "Pad": _pad,
    "Resize": _resize,
    "Upsample": _resize,
    "Where": _where,
    "ReduceMean": _reduce("Mean"),
    "ReduceMax": _reduce("Max"),
    "ReduceMin": _reduce("Min"),
    "ReduceSum": _reduce("Sum"),
    "ReduceL1": _norm(1),
    "ReduceL2": _norm(2),
}
