"""Convolutions, depthwise and dense layers."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from eeaug.errors import ConversionError
from eeaug.export.c_int8 import fixed_point
from eeaug.export.c_int8.constants import braced
from eeaug.export.c_int8.stage_builder import (
    SHIFT,
    KernelCall,
    StageBuilder,
    activation,
    listed,
    one_to_one,
    padding_before,
)
from eeaug.frameworks.tflite_graph import Operator, Tensor

__all__ = ["convolution", "depthwise", "fully_connected"]

RECORDS = {"convolve": "convolution", "depthwise": "depthwise_convolution"}  # kernels → their structs
VECTOR_CHANNELS = 124  # CH_IN_BLOCK_MVE of CMSIS-NN


def convolution(stage: StageBuilder, operator: Operator) -> None:
    x, w = stage.tensor(operator.inputs[0]), stage.tensor(operator.inputs[1])
    _check_weights(operator, w)
    if x.shape[3] != w.shape[3]:
        raise ConversionError(f"there is no int8 C for {operator.kind} in groups")
    window = (w.shape[1], w.shape[2])
    columns = prod(window) * x.shape[3]
    # two columns of int16, and one of int8 that these are made of; four of int8 where there are vectors
    together = columns if x.shape[3] % 4 else 0
    scratch, name = 4 * (columns + 1) + together, "convolve"
    if stage.vectors:
        scratch, name = max(scratch, 32 * -(-columns // 8)), _by_vectors(stage, operator, window)
    _weighted(stage, operator, "convolve", window, scratch, name)


def _by_vectors(stage: StageBuilder, operator: Operator, window: tuple[int, int]) -> str:
    """Which kernel has the function of CMSIS-NN for a convolution like this, as arm_convolve_wrapper_s8 chooses."""
    x, y, o = stage.tensor(operator.inputs[0]), stage.tensor(operator.outputs[0]), operator.options
    dilated = max(o["dilationHFactor"], o["dilationWFactor"]) > 1
    if window == (1, 1) and not dilated:
        return "convolve_points" if o["strideH"] == o["strideW"] == 1 else "convolve_apart"
    if x.shape[1] == window[0] == 1 and y.shape[2] % 4 == 0 and o["dilationWFactor"] == 1:
        return "convolve_row"
    return "convolve_window"


def depthwise(stage: StageBuilder, operator: Operator) -> None:
    x, w, y = stage.tensor(operator.inputs[0]), stage.tensor(operator.inputs[1]), stage.tensor(operator.outputs[0])
    _check_weights(operator, w)
    window, o = (w.shape[1], w.shape[2]), operator.options
    scratch, name = 0, "depthwise"
    if stage.vectors and y.shape[3] == x.shape[3] and o["dilationHFactor"] == o["dilationWFactor"] == 1:
        # four columns of a block of channels
        scratch, name = 4 * VECTOR_CHANNELS * prod(window), "depthwise_single"
    _weighted(stage, operator, "depthwise", window, scratch, name)


def fully_connected(stage: StageBuilder, operator: Operator) -> None:
    x, w, y = stage.tensor(operator.inputs[0]), stage.tensor(operator.inputs[1]), stage.tensor(operator.outputs[0])
    _check_weights(operator, w)
    assert w.values is not None
    channels, columns = w.shape
    factors = [_weight_factor(operator, x, w, y, k) for k in range(channels)]
    bias = _bias(stage, operator, channels) - x.zero_point * w.values.astype(np.int64).sum(axis=1)
    values = (x.size // columns, columns, channels, y.zero_point, *activation(operator, y))
    names = _weight_names(stage, "dense", w, bias.astype(np.int32), factors)
    record = stage.record("dense", "@{prefix}_dense", braced((*values, *names)))
    one_to_one(stage, "connect", record, x, y)


def _check_weights(operator: Operator, w: Tensor) -> None:
    if w.values is None or w.type != "INT8" or any(w.zero_points):
        raise ConversionError(
            f"there is no int8 C for {operator.kind} with weights that are computed, or of other kinds"
        )


def _bias(stage: StageBuilder, operator: Operator, channels: int) -> NDArray[np.int64]:
    if len(operator.inputs) < 3 or operator.inputs[2] < 0:
        return np.zeros(channels, np.int64)
    return listed(stage, operator, 2).astype(np.int64).ravel()


def _weight_names(
    stage: StageBuilder, what: str, w: Tensor, bias: NDArray[np.int32], factors: Sequence[fixed_point.Factor]
) -> list[str]:
    """Names in C of weights, bias, multipliers and shifts."""
    assert w.values is not None
    columns = [np.array(column, np.int32) for column in zip(*factors, strict=True)]
    arrays = (("weights", w.values), ("bias", bias), ("multipliers", columns[0]), ("shifts", columns[1]))
    types = {"weights": "int8_t", "shifts": SHIFT}
    return [stage.constant(f"{what}_{name}", types.get(name, "int32_t"), values) for name, values in arrays]


def _weighted(
    stage: StageBuilder, operator: Operator, kernel: str, window: tuple[int, int], scratch: int, name: str
) -> None:
    """``name``: of the kernel that is called, which takes what ``kernel`` takes."""
    x, w, y = stage.tensor(operator.inputs[0]), stage.tensor(operator.inputs[1]), stage.tensor(operator.outputs[0])
    o, channels, c = operator.options, y.shape[3], x.shape[3]
    stride, dilation = (o["strideH"], o["strideW"]), (o["dilationHFactor"], o["dilationWFactor"])
    before = [padding_before(x, y, i, stride[i], window[i], dilation[i], o["padding"] == 0) for i in (0, 1)]
    factors = [_weight_factor(operator, x, w, y, k) for k in range(channels)]
    names = _weight_names(stage, kernel, w, _bias(stage, operator, channels).astype(np.int32), factors)
    multiple = [channels // c] if kernel == "depthwise" else []
    pairs = [braced(reversed(pair)) for pair in (stride, before, dilation)]
    how = braced((-x.zero_point, y.zero_point, *multiple, *pairs, braced(activation(operator, y))))
    filters = (1, *window, channels) if kernel == "depthwise" else (channels, *window, c)
    values = (how, *map(braced, ((1, *x.shape[1:]), filters, (1, *y.shape[1:]))), *names, scratch)
    record = stage.record(kernel, f"@{{prefix}}_{RECORDS[kernel]}", braced(values))
    source, target = stage.name(x.index), stage.name(y.index)
    code = f"@{{prefix}}_{name}(&{record}, {{scratch}}, {{{source}}}, {{{target}}});"
    stage.calls.append(KernelCall((name,), code, (source,), (target,), scratch=scratch))


def _weight_factor(operator: Operator, x: Tensor, w: Tensor, y: Tensor, k: int) -> fixed_point.Factor:
    """That of an output channel; LiteRT multiplies scales in float where a dense layer has a single one."""
    if len(w.scales) > 1 or operator.kind != "FULLY_CONNECTED":
        return fixed_point.factor(x.scale * w.scales[k if len(w.scales) > 1 else 0] / y.scale)
    return fixed_point.factor(float(np.float32(x.scale) * np.float32(w.scale)) / y.scale)
