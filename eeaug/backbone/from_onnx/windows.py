"""ONNX operators that move a window over space: convolutions and pooling."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from eeaug.backbone.from_onnx import atoms
from eeaug.backbone.from_onnx.arithmetic import constant
from eeaug.backbone.from_onnx.atoms import Group, Value, size
from eeaug.backbone.from_onnx.builder import Array, Builder, Operand, Unsupported, of_layer
from eeaug.backbone.from_onnx.products import dense

__all__ = ["HANDLERS", "averaged", "padded"]

_Inputs = Sequence[Operand | None]
_Attributes = Mapping[str, Any]
Pads = tuple[tuple[int, int], ...]  # before and after, for each axis of space


@dataclass(frozen=True)
class _Window:
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: Pads
    extra: tuple[int, ...]  # what ceil_mode reads beyond the padding, at the end

    @property
    def spans(self) -> tuple[int, ...]:
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    def is_same(self, space: Sequence[int]) -> bool:
        """Whether Keras' padding "same" is this padding, for such an input."""
        for n, stride, span, pads in zip(space, self.strides, self.spans, self.pads, strict=True):
            total = max((-(-n // stride) - 1) * stride + span - n, 0)
            if pads != (total // 2, total - total // 2):
                return False
        return not any(self.extra)

    def result(self, space: Sequence[int]) -> tuple[int, ...]:
        numbers = zip(space, self.pads, self.extra, self.spans, self.strides, strict=True)
        return tuple((n + sum(p) + e - span) // stride + 1 for n, p, e, span, stride in numbers)


def _window(values: _Attributes, kernel: Sequence[int], space: Sequence[int]) -> _Window:
    rank = len(space)
    strides = tuple(values.get("strides") or [1] * rank)
    dilations = tuple(values.get("dilations") or [1] * rank)
    pads, extra = values.get("pads") or [0] * 2 * rank, [0] * rank
    pairs = [(pads[i], pads[i + rank]) for i in range(rank)]
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    auto = values.get("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        totals = [max((-(-n // s) - 1) * s + span - n, 0) for n, s, span in zip(space, strides, spans, strict=True)]
        pairs = [(t // 2, t - t // 2) if auto == "SAME_UPPER" else (t - t // 2, t // 2) for t in totals]
    elif auto == "VALID":
        pairs = [(0, 0)] * rank
    if values.get("ceil_mode", 0):
        for i in range(rank):
            free = space[i] + sum(pairs[i]) - spans[i]
            out = -(-free // strides[i]) + 1
            if (out - 1) * strides[i] >= space[i] + pairs[i][0]:  # a window may not begin in the padding
                out -= 1
            extra[i] = max(0, (out - 1) * strides[i] - free)
    return _Window(tuple(kernel), strides, dilations, tuple(pairs), tuple(extra))


def _space(b: Builder, inputs: _Inputs) -> tuple[Value, tuple[int, ...]]:
    value = inputs[0]
    if not isinstance(value, Value) or not 3 <= len(value.axes) <= 5:
        raise Unsupported("it reads something else than samples with channels and up to three axes of space")
    if value.axes[0]:
        raise Unsupported("it works on several pictures of a sample as on samples")
    return value, value.shape[2:]


def _result(tensor: Any, channels: int, space: Sequence[int], *, positive: bool = False) -> Value:
    groups = tuple(atoms.atom(n) for n in space)
    new = atoms.atom(channels)
    return Value(tensor, (*groups, new), ((), new, *groups), positive)


# -- padding ------------------------------------------------------------------------------------------


def padded(b: Builder, tensor: Any, pads: Pads, *, fill: float = 0.0, suffix: str = "_pad") -> Any:
    """(batch, *space, channels) with padding around space."""
    if not any(p for pair in pads for p in pair):
        return tensor
    if fill == 0:
        rank = len(pads)
        layer = getattr(b.keras.layers, f"ZeroPadding{rank}D")
        return layer(pads[0] if rank == 1 else pads, name=b.name(suffix))(tensor)
    operation = b.operation("numpy", "Pad", ((0, 0), *pads, (0, 0)), mode="constant")
    return operation(tensor, constant_values=fill)


def _edges(b: Builder, tensor: Any, pads: Pads) -> Any:
    """The same with the outermost rows repeated: of the largest in a window nothing changes."""
    for axis, (before, after) in enumerate(pads, start=1):
        parts = [tensor]
        everything = [slice(None)] * axis
        if before:
            parts = [b.part(tensor, (*everything, slice(0, 1)), "_edge")] * before + parts
        if after:
            parts = parts + [b.part(tensor, (*everything, slice(-1, None)), "_edge")] * after
        if len(parts) > 1:
            tensor = b.keras.layers.Concatenate(axis=axis, name=b.name("_pad"))(parts)
    return tensor


# -- convolutions -------------------------------------------------------------------------------------


def _conv(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value, space = _space(b, inputs)
    weight = constant(inputs[1], "kernel")
    bias = constant(inputs[2], "bias") if len(inputs) > 2 and inputs[2] is not None else None
    groups, filters, rank = values.get("group", 1), len(weight), len(space)
    channels = size(value.axes[1])
    if channels != weight.shape[1] * groups or weight.ndim != rank + 2:
        raise Unsupported(f"{channels} channels meet a kernel of shape {weight.shape} in {groups} groups")
    window = _window(values, weight.shape[2:], space)
    if prod(weight.shape[2:]) == prod(space) == 1 and groups == 1 and not any(map(any, window.pads)):
        return dense(b, value, 1, weight.reshape(weight.shape[:2]).T, bias)
    if any(s > 1 for s in window.strides) and any(d > 1 for d in window.dilations):
        raise Unsupported("Keras has no convolution with both strides and dilations")
    if len(set(window.strides)) > 1 and groups == channels > 1:
        raise Unsupported("Keras has no depthwise convolution with different strides")
    tensor = b.channels_last(value).tensor
    same = window.is_same(space)
    tensor = tensor if same else padded(b, tensor, window.pads)
    options: dict[str, Any] = {
        "strides": window.strides, "dilation_rate": window.dilations, "padding": "same" if same else "valid",
        "use_bias": bias is not None, "name": b.name(),
    }  # fmt: skip
    layers = b.keras.layers
    space_first = (*range(2, rank + 2), 1, 0)
    if groups == channels > 1 and rank < 3:
        multiplier = filters // channels
        kernel = weight.reshape(channels, multiplier, *weight.shape[2:]).transpose(*range(2, rank + 2), 0, 1)
        make = layers.DepthwiseConv1D if rank == 1 else layers.DepthwiseConv2D
        layer = make(window.kernel, depth_multiplier=multiplier, **options)
    else:
        kernel = weight.transpose(space_first)
        make = getattr(layers, f"Conv{rank}D")
        layer = make(filters, window.kernel, groups=groups, **options)
    weights = [kernel] if bias is None else [kernel, bias]
    return _result(of_layer(layer, weights)(tensor), filters, window.result(space))


def _conv_transpose(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value, space = _space(b, inputs)
    weight = constant(inputs[1], "kernel")
    bias = constant(inputs[2], "bias") if len(inputs) > 2 and inputs[2] is not None else None
    rank, filters = len(space), weight.shape[1]
    if values.get("group", 1) != 1:
        raise Unsupported("Keras has no transposed convolution in groups")
    window = _window({**values, "auto_pad": "NOTSET"}, weight.shape[2:], space)
    beyond = values.get("output_padding") or [0] * rank
    full = [(n - 1) * s + span for n, s, span in zip(space, window.strides, window.spans, strict=True)]
    pads = [list(pair) for pair in window.pads]
    shape = values.get("output_shape")
    if shape or values.get("auto_pad", "NOTSET").startswith("SAME"):
        wanted = shape[-rank:] if shape else [n * s for n, s in zip(space, window.strides, strict=True)]
        totals = [n - w + o for n, w, o in zip(full, wanted, beyond, strict=True)]
        upper = values.get("auto_pad") == "SAME_UPPER"
        pads = [[t // 2, t - t // 2] if upper else [t - t // 2, t // 2] for t in totals]
    cropped = [(before, after - o) for (before, after), o in zip(pads, beyond, strict=True)]
    if any(n < 0 for pair in cropped for n in pair):
        raise Unsupported("its result is larger than what it computes")
    if any(s > 1 for s in window.strides) and any(d > 1 for d in window.dilations):
        raise Unsupported("Keras has no transposed convolution with both strides and dilations")
    layer = getattr(b.keras.layers, f"Conv{rank}DTranspose")(
        filters, window.kernel, strides=window.strides, dilation_rate=window.dilations, padding="valid",
        use_bias=bias is not None, name=b.name(),
    )  # fmt: skip
    kernel = weight.transpose(*range(2, rank + 2), 1, 0)
    tensor = of_layer(layer, [kernel] if bias is None else [kernel, bias])(b.channels_last(value).tensor)
    if any(n for pair in cropped for n in pair):
        crop = getattr(b.keras.layers, f"Cropping{rank}D")
        tensor = crop(cropped[0] if rank == 1 else tuple(cropped), name=b.name("_crop"))(tensor)
    return _result(tensor, filters, tensor.shape[1:-1])


# -- pooling ------------------------------------------------------------------------------------------


def _max_pool(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value, space = _space(b, inputs)
    window = _window(values, values["kernel_shape"], space)
    if any(d > 1 for d in window.dilations):
        raise Unsupported("Keras has no pooling with dilations")
    tensor = b.channels_last(value).tensor
    same = window.is_same(space)
    if not same:
        pads = tuple((before, after + e) for (before, after), e in zip(window.pads, window.extra, strict=True))
        tensor = padded(b, tensor, pads) if value.positive else _edges(b, tensor, pads)
    layer = getattr(b.keras.layers, f"MaxPooling{len(space)}D")(
        window.kernel, window.strides, padding="same" if same else "valid", name=b.name()
    )
    return _result(layer(tensor), size(value.axes[1]), window.result(space), positive=value.positive)


def _average_pool(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value, space = _space(b, inputs)
    window = _window(values, values["kernel_shape"], space)
    if any(d > 1 for d in window.dilations):
        raise Unsupported("Keras has no pooling with dilations")
    if window.kernel == tuple(space) and not any(map(any, window.pads)):
        return averaged(b, value, list(range(2, len(value.axes))), keep=True)
    included, channels = bool(values.get("count_include_pad", 0)), size(value.axes[1])
    tensor = b.channels_last(value).tensor
    pads = tuple((before, after + e) for (before, after), e in zip(window.pads, window.extra, strict=True))
    nothing = not any(map(any, pads))
    same = window.is_same(space) and (nothing or not included)
    tensor = tensor if same else padded(b, tensor, pads)
    name = b.name()
    layer = getattr(b.keras.layers, f"AveragePooling{len(space)}D")(
        window.kernel, window.strides, padding="same" if same else "valid", name=name
    )
    result = _result(layer(tensor), channels, window.result(space), positive=value.positive)
    if same or nothing or (included and not any(window.extra)):
        return result
    return b.affine(result, _corrections(window, space, included), None)


def _corrections(window: _Window, space: Sequence[int], included: bool) -> Array:
    """What an average over a whole window is too small by where some of the window is not counted."""
    factors: Array = np.ones((1, 1, *window.result(space)), np.float32)
    for axis, n in enumerate(space):
        before, after = window.pads[axis] if included else (0, 0)
        start = np.arange(factors.shape[axis + 2]) * window.strides[axis] - window.pads[axis][0]
        inside = np.minimum(start + window.kernel[axis], n + after) - np.maximum(start, -before)
        shape = [-1 if i == axis + 2 else 1 for i in range(factors.ndim)]
        factors = factors * (window.kernel[axis] / inside).reshape(shape)
    return np.asarray(factors, np.float32)


def averaged(b: Builder, value: Value, axes: Sequence[int], *, keep: bool, kind: str = "Mean") -> Value:
    """The mean (or ``Max``, ``Min``, ``Sum``) over some axes, which are left with size 1 or taken away."""
    gone = {one for axis in axes for one in value.axes[axis]}
    left: list[Group] = [() if i in axes else group for i, group in enumerate(value.axes)]
    if not keep:
        left = [group for i, group in enumerate(left) if i not in axes]
    if not gone:
        return value.with_axes(left)
    mixed = any(gone & set(group) and set(group) - gone for group in value.memory)
    if mixed:
        value = replace(
            value,
            tensor=b.arranged(value, parts := [run for group in value.memory for run in _runs(group, gone)]),
            memory=tuple(parts),
        )
    over = [i for i, group in enumerate(value.memory) if group and group[0] in gone]
    memory = tuple(group for i, group in enumerate(value.memory) if i not in over)
    last = len(value.memory) - 1
    in_space = [i for i, group in enumerate(value.memory[:-1]) if group]
    if kind in ("Mean", "Max") and 0 < last < 4 and in_space == over and value.memory[last]:
        pool = "Average" if kind == "Mean" else "Max"
        layer = getattr(b.keras.layers, f"Global{pool}Pooling{last}D")(name=b.name())
        memory = value.memory[last:]
        return replace(value, tensor=layer(value.tensor), memory=memory, axes=tuple(left))
    if not memory:  # a sample would be left without any axis
        tensor = b.operation("numpy", kind, axis=tuple(i + 1 for i in over), keepdims=True)(value.tensor)
        memory = tuple(() for _ in value.memory)
    else:
        tensor = b.operation("numpy", kind, axis=tuple(i + 1 for i in over))(value.tensor)
    return replace(value, tensor=tensor, memory=memory, axes=tuple(left), positive=value.positive)


def _runs(group: Group, gone: set[Any]) -> list[Group]:
    runs: list[list[Any]] = []
    for one in group:
        if runs and (runs[-1][-1] in gone) == (one in gone):
            runs[-1].append(one)
        else:
            runs.append([one])
    return [tuple(run) for run in runs] or [()]


def _global(kind: str) -> Callable[[Builder, _Inputs, _Attributes], Value]:
    def handler(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
        value, _ = _space(b, inputs)
        return averaged(b, value, list(range(2, len(value.axes))), keep=True, kind=kind)

    return handler


HANDLERS: dict[str, Callable[[Builder, _Inputs, _Attributes], Any]] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global("Mean"),
    "GlobalMaxPool": _global("Max"),
}
