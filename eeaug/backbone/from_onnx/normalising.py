"""ONNX operators that normalise: over the batch (as learnt), channels, space, or to a sum of 1."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from eeaug.backbone.from_onnx.arithmetic import constant
from eeaug.backbone.from_onnx.atoms import Group, Value, flat, size
from eeaug.backbone.from_onnx.builder import Builder, Operand, Unsupported, of_layer

__all__ = ["HANDLERS"]

_Inputs = Sequence[Operand | None]
_Attributes = Mapping[str, Any]


def _value(inputs: _Inputs) -> Value:
    if not inputs or not isinstance(inputs[0], Value):
        raise Unsupported("it reads constants where a sample is expected")
    return inputs[0]


def _batch_norm(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value = _value(inputs)
    if values.get("training_mode", 0):
        raise Unsupported("it is in training mode: export the model after model.eval()")
    scale, shift, mean, variance = (constant(one, "statistics").astype(np.float32) for one in inputs[1:5])
    epsilon = values.get("epsilon", 1e-5)
    channels = value.axes[1]
    if len(value.axes) > 2 and not value.axes[0] and (not value.memory or value.memory[-1] != channels):
        value = b.channels_last(value)
    if value.memory and value.memory[-1] == channels:
        layer = b.batch_norm(scale, shift, -1, mean, variance, epsilon)
        return b.each(value, layer)
    factor = scale / np.sqrt(variance + epsilon)
    shape = (-1, *(1 for _ in value.axes[2:]))
    return b.affine(value, factor.reshape(shape), (shift - mean * factor).reshape(shape))


def _centred(b: Builder, value: Value, over: Group, epsilon: float) -> Value:
    """(x - mean) / sqrt(variance + epsilon), mean and variance over these atoms."""
    gone = set(over)
    if not gone:
        raise Unsupported("it normalises a single number")
    last = value.memory[-1] if value.memory else ()
    if not (last and set(last) == gone):
        others = [tuple(one for one in group if one not in gone) for group in value.memory]
        there = tuple(one for one in flat(value.memory) if one in gone)
        memory = (*(group for group in others if group), there)
        value = replace(value, tensor=b.arranged(value, memory), memory=memory)
    layer = b.keras.layers.LayerNormalization(axis=-1, epsilon=epsilon, center=False, scale=False, name=b.name())
    return b.each(value, layer)


def _layer_norm(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value, rank = _value(inputs), len(_value(inputs).axes)
    axis = values.get("axis", -1) % rank
    scale = constant(inputs[1], "scale")
    shift = constant(inputs[2], "shift") if len(inputs) > 2 and inputs[2] is not None else None
    epsilon = values.get("epsilon", 1e-5)
    over = tuple(flat(value.axes[axis:]))
    if axis == rank - 1 and value.memory and value.memory[-1] == over:
        layer = b.keras.layers.LayerNormalization(axis=-1, epsilon=epsilon, center=shift is not None, name=b.name())
        gamma = np.broadcast_to(scale.ravel(), (size(over),))
        weights = [gamma] if shift is None else [gamma, np.broadcast_to(shift.ravel(), gamma.shape)]
        return b.each(value, of_layer(layer, weights))
    if axis == rank - 1:
        held = b.ordered(value, [*(i for i in b.natural(value) if i != axis), axis])
        return _layer_norm(b, [held, *inputs[1:]], values)
    return b.affine(_centred(b, value, over, epsilon), scale, shift)


def _pattern(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    """fused.py: layer normalisation written out."""
    value = _value(inputs)
    over = tuple(one for axis in values["axes"] for one in value.axes[axis])
    return _centred(b, value, over, values["epsilon"])


def _instance_norm(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value = _value(inputs)
    scale, shift = (constant(one, "weights") for one in inputs[1:3])
    epsilon, channels = values.get("epsilon", 1e-5), size(value.axes[1])
    parts = tuple(value.axes[1])
    split = _groups(b, value, [one for group in value.axes[2:] for one in group], parts)
    shape = (-1, *(1 for _ in value.axes[2:]))
    if split is not None:
        held, groups = split
        layer = b.keras.layers.GroupNormalization(
            groups=groups, axis=-1, epsilon=epsilon, center=False, scale=False, name=b.name()
        )
        normal = b.each(held, layer)
    else:
        normal = _centred(b, value, tuple(flat(value.axes[2:])), epsilon)
    assert channels == scale.size
    return b.affine(normal, scale.reshape(shape), shift.reshape(shape))


def _groups(b: Builder, value: Value, over: Sequence[Any], kept: Group) -> tuple[Value, int] | None:
    """Where all that is averaged is space and a part of the channels that lie last in memory: that, and how many
    groups of channels stay apart."""
    last = value.memory[-1] if value.memory else ()
    if len(value.memory) < 2 or tuple(last[: len(kept)]) != kept or set(last[len(kept) :]) - set(over):
        return None
    if {one for group in value.memory[:-1] for one in group} - set(over):
        return None
    return value, size(kept)


def _group_norm(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value = _value(inputs)
    scale, shift = (constant(one, "weights") for one in inputs[1:3])
    groups, channels = values["num_groups"], size(value.axes[1])
    if scale.size == groups != channels:  # opset 18
        scale, shift = (np.repeat(one, channels // groups) for one in (scale, shift))
    if len(value.axes) > 2:
        held = b.channels_last(value)
        layer = b.keras.layers.GroupNormalization(
            groups=groups, axis=-1, epsilon=values.get("epsilon", 1e-5), name=b.name()
        )
        return b.each(held, of_layer(layer, [scale, shift]))
    raise Unsupported("it reads samples without space")


def _rms_norm(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value, rank = _value(inputs), len(_value(inputs).axes)
    if values.get("axis", -1) % rank != rank - 1:
        raise Unsupported("it normalises over several axes")
    held = b.ordered(value, [*(i for i in b.natural(value) if i != rank - 1), rank - 1])
    layer = b.keras.layers.RMSNormalization(axis=-1, epsilon=values.get("epsilon", 1e-5), name=b.name())
    return b.each(held, of_layer(layer, [np.broadcast_to(constant(inputs[1], "scale"), (held.shape[-1],))]))


def _softmax(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value, rank = _value(inputs), len(_value(inputs).axes)
    logarithm = b.node.op_type == "LogSoftmax"
    axis = values.get("axis", -1 if b.opset >= 13 else 1) % rank
    over = value.axes[axis] if b.opset >= 13 else tuple(flat(value.axes[axis:]))
    if not over and axis == 0:
        raise Unsupported("it is over the samples of a batch")
    if not over:  # of one number the share is 1
        return b.affine(value, np.zeros(1, np.float32), np.asarray([0.0 if logarithm else 1.0], np.float32))
    if not (value.memory and value.memory[-1] and set(value.memory[-1]) == set(over)):
        others = [tuple(one for one in group if one not in over) for group in value.memory]
        memory = (*(group for group in others if group), over)
        value = replace(value, tensor=b.arranged(value, memory), memory=memory)
    if logarithm:
        return b.activation(value, "log_softmax")
    return b.each(value, b.keras.layers.Softmax(axis=-1, name=b.name()), positive=True)


def _lrn(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    """x / (bias + alpha / size · sum of squares of neighbouring channels) ** beta."""
    value = b.channels_last(_value(inputs))
    width, layers = values["size"], b.keras.layers
    squares = b.operation("numpy", "Square")(value.tensor)
    rows = layers.Reshape((-1, size(value.axes[1]), 1), name=b.name("_rows"))(squares)
    before, after = (width - 1) // 2, width // 2
    rows = layers.ZeroPadding2D(((0, 0), (before, after)), name=b.name("_pad"))(rows)
    means = layers.AveragePooling2D((1, width), strides=(1, 1), padding="valid", name=b.name("_mean"))(rows)
    means = layers.Reshape(value.tensor.shape[1:], name=b.name("_means"))(means)
    line = layers.Rescaling(values.get("alpha", 1e-4), values.get("bias", 1.0), name=b.name("_line"))(means)
    factor = b.operation("numpy", "Power")(line, -values.get("beta", 0.75))
    return replace(value, tensor=layers.Multiply(name=b.name())([value.tensor, factor]))


def _lp_norm(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value, axis = _value(inputs), values.get("axis", -1) % len(_value(inputs).axes)
    if values.get("p", 2) != 2 or not value.axes[axis]:
        raise Unsupported("Keras normalises by the square root of the sum of squares alone")
    held = b.ordered(value, [*(i for i in b.natural(value) if i != axis), axis])
    return b.each(held, b.keras.layers.UnitNormalization(axis=-1, name=b.name()), positive=value.positive)


HANDLERS: dict[str, Callable[[Builder, _Inputs, _Attributes], Any]] = {
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "Centred": _pattern,
    "InstanceNormalization": _instance_norm,
    "GroupNormalization": _group_norm,
    "RMSNormalization": _rms_norm,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
    "LRN": _lrn,
    "LpNormalization": _lp_norm,
}
