"""Pooling, means, softmax."""

from __future__ import annotations

from math import prod

import numpy as np

from eeaug.errors import ConversionError
from eeaug.export.c_int8 import fixed_point
from eeaug.export.c_int8.constants import braced
from eeaug.export.c_int8.stage_builder import (
    StageBuilder,
    activation,
    one_to_one,
    padding_before,
)
from eeaug.frameworks.tflite_graph import Operator, Tensor

__all__ = ["pool", "reduction", "softmax"]


def pool(stage: StageBuilder, operator: Operator) -> None:
    x, y, o = stage.tensor(operator.inputs[0]), stage.tensor(operator.outputs[0]), operator.options
    _, h, w, c = x.shape
    window, stride = (o["filterHeight"], o["filterWidth"]), (o["strideH"], o["strideW"])
    before = [padding_before(x, y, i, stride[i], window[i], 1, o["padding"] == 0) for i in (0, 1)]
    pairs = [f"{{{b}, {a}}}" for a, b in ((h, w), y.shape[1:3], window, stride, tuple(before))]
    least, most = activation(operator, y)
    kernel = "average_pool" if operator.kind == "AVERAGE_POOL_2D" else "max_pool"
    record = stage.record("pool", "@{prefix}_window", f"{{{c}, {', '.join(pairs)}, {least}, {most}}}")
    one_to_one(stage, kernel, record, x, y)


def reduction(stage: StageBuilder, operator: Operator) -> None:
    x, y = stage.tensor(operator.inputs[0]), stage.tensor(operator.outputs[0])
    listed = stage.tensor(operator.inputs[1]).values
    if listed is None:
        raise ConversionError(f"there is no int8 C for {operator.kind} over axes that are computed")
    axes = sorted({int(axis) % len(x.shape) for axis in np.ravel(listed)})
    sized = [axis for axis in range(len(x.shape)) if x.shape[axis] > 1]
    inside = [axis for axis in sized if axis in axes]
    if inside and sized.index(inside[-1]) - sized.index(inside[0]) + 1 != len(inside):
        raise ConversionError(f"there is no int8 C for {operator.kind} over axes that are not side by side")
    first, last = (inside[0], inside[-1]) if inside else (0, -1)
    outer, count = prod(x.shape[:first]), prod(x.shape[axis] for axis in inside)
    inner = prod(x.shape[last + 1 :]) if inside else x.size
    factor = _mean_factor(x, y, count)
    values = (outer, count, inner, -x.zero_point * count, y.zero_point, braced(factor))
    kernel = "mean" if operator.kind == "MEAN" else "largest"
    record = stage.record("reduce", "@{prefix}_reduction", braced(values))
    one_to_one(stage, kernel, record, x, y)


def _mean_factor(x: Tensor, y: Tensor, count: int) -> fixed_point.Factor:
    """The scales' ratio, whose multiplier is then divided by ``count``, as precisely as it has room for."""
    q, shift = fixed_point.factor(float(x.scale) / float(y.scale))
    room = 63 - (64 - count.bit_length())
    room = min(room, 32, 31 + shift)
    return (q << room) // count, shift - room


def softmax(stage: StageBuilder, operator: Operator) -> None:
    x, y = stage.tensor(operator.inputs[0]), stage.tensor(operator.outputs[0])
    values = fixed_point.exponentials(x.scale, operator.options["beta"])
    table = stage.constant("exponentials", "int32_t", values)
    classes = x.shape[-1]
    text = f"{{{x.size // classes}, {classes}, {len(values)}, {table}}}"
    one_to_one(stage, "softmax", stage.record("softmax", "@{prefix}_soft", text), x, y, over=True)
