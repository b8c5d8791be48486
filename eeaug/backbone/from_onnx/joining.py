"""ONNX operators that put values together, pad them, and make fewer or more numbers of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from eeaug.backbone.from_onnx import atoms
from eeaug.backbone.from_onnx.arithmetic import constant, together
from eeaug.backbone.from_onnx.atoms import Value
from eeaug.backbone.from_onnx.builder import Builder, Operand, Unsupported
from eeaug.backbone.from_onnx.shaping import apart, axes_of, cut, integers, sample, with_axis
from eeaug.backbone.from_onnx.windows import averaged, padded

__all__ = ["HANDLERS"]

_Inputs = Sequence[Operand | None]
_Attributes = Mapping[str, Any]


def _concat(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    operands = [one for one in inputs if one is not None and (isinstance(one, Value) or one.size)]
    samples = [one for one in operands if isinstance(one, Value)]
    if not samples:
        raise Unsupported("it reads constants where a sample is expected")
    first = samples[0]
    axis = values.get("axis", 0) % len(first.axes)
    order = b.natural(max(samples, key=lambda value: len(atoms.flat(value.axes))), [axis])
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
    value = sample(inputs)
    pads = integers(inputs, 1, values, "pads") or []
    fill = values.get("value", 0.0)
    if len(inputs) > 2 and inputs[2] is not None:
        fill = float(np.ravel(constant(inputs[2], "filling"))[0])
    half = len(pads) // 2
    axes = integers(inputs, 3, {}, "axes") or list(range(half))
    around = dict.fromkeys(range(len(value.axes)), (0, 0))
    around |= {axis % len(value.axes): (pads[i], pads[i + half]) for i, axis in enumerate(axes)}
    for axis, (before, after) in around.items():
        if before < 0 or after < 0:
            value = cut(b, value, axis, max(0, -before), value.shape[axis] - max(0, -after))
            around[axis] = (max(0, before), max(0, after))
    if not any(map(any, around.values())):
        return value
    if around[0] != (0, 0):
        raise Unsupported("it adds samples")
    mode = values.get("mode", "constant")
    if mode not in ("constant", "reflect", "edge"):
        raise Unsupported(f"it pads by {mode!r}")
    held, order = apart(b, value, [axis for axis, pair in around.items() if any(pair)])
    space = tuple(around[i] for i in order[:-1])
    if mode == "constant" and fill == 0 and around[order[-1]] == (0, 0) and 1 <= len(space) <= 3:
        tensor = padded(b, held.tensor, space, suffix="")
    else:
        operation = b.operation("numpy", "Pad", ((0, 0), *(around[i] for i in order)), mode=mode)
        tensor = operation(held.tensor, constant_values=fill) if mode == "constant" else operation(held.tensor)
    for axis, pair in around.items():
        if any(pair):
            held = with_axis(held, order, axis, held.shape[axis] + sum(pair), tensor)
    return replace(held, positive=held.positive and fill >= 0)


def _resize(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value = sample(inputs)
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
        value = sample(inputs)
        axes = axes_of(inputs, values, len(value.axes))
        if not axes:
            if axes == [] or values.get("noop_with_empty_axes", 0):
                return value
            axes = list(range(len(value.axes)))
        return averaged(b, value, axes, keep=bool(values.get("keepdims", 1)), kind=kind)

    return handler


def _norm(power: int) -> Callable[[Builder, _Inputs, _Attributes], Value]:
    def handler(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
        value = sample(inputs)
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
