"""Operators that act on each element alike, and on pairs of elements."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eeaug.errors import ConversionError
from eeaug.export.c_int8 import fixed_point
from eeaug.export.c_int8.constants import braced
from eeaug.export.c_int8.stage_builder import (
    KernelCall,
    StageBuilder,
    activation,
    strides_of,
)
from eeaug.frameworks import tflite_graph
from eeaug.frameworks.tflite_graph import Operator

__all__ = ["BINARY", "TABLES", "binary", "is_table", "look_up", "table", "table_name"]

TABLES = {
    "ABS", "ELU", "EXP", "FLOOR", "GELU", "HARD_SWISH", "LEAKY_RELU", "LOG", "LOGISTIC", "NEG", "QUANTIZE", "RELU",
    "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "ROUND", "RSQRT", "SQRT", "SQUARE", "TANH",
}  # fmt: skip


def is_table(stage: StageBuilder, operator: Operator) -> bool:
    """Whether it combines one tensor with a single number."""
    if operator.kind not in BINARY or len(operator.inputs) != 2:
        return False
    constants = [stage.tensor(t) for t in operator.inputs if stage.tensor(t).values is not None]
    return len(constants) == 1 and constants[0].size == 1


def table(stage: StageBuilder, place: int, operator: Operator) -> None:
    values = tflite_graph.applied(stage.content, place, np.arange(-128, 128).astype(np.int8))
    (x,) = stage.given(operator)
    y = stage.tensor(operator.outputs[0])
    look_up(stage, table_name(stage, values), stage.name(x.index), stage.name(y.index), y.size)


def table_name(stage: StageBuilder, values: NDArray[np.int8]) -> str:
    return stage.constant("table", "int8_t", values)


def look_up(stage: StageBuilder, table: str, source: str, target: str, size: int) -> None:
    code = f"@{{prefix}}_look_up({table}, {{{source}}}, {{{target}}}, {size});"
    stage.calls.append(KernelCall(("look_up",), code, (source,), (target,), (source,)))


BINARY = {
    "ADD": "add", "SUB": "add", "MUL": "multiply", "MAXIMUM": "maximum", "MINIMUM": "maximum", "PRELU": "slope",
}  # fmt: skip


def binary(stage: StageBuilder, operator: Operator) -> None:
    a, b, y = (stage.tensor(t) for t in (*operator.inputs, *operator.outputs))
    kernel, minus = BINARY[operator.kind], int(operator.kind in ("SUB", "MINIMUM"))
    factors: list[fixed_point.Factor] = [(0, 0), (0, 0), (0, 0)]
    if kernel == "add":
        twice = 2 * max(a.scale, b.scale)
        reals = (a.scale / twice, b.scale / twice, twice / (2**20 * y.scale))
        factors = [fixed_point.factor(real) for real in reals]
    elif kernel == "multiply":
        real = np.float32(a.scale) * np.float32(b.scale) / np.float32(y.scale)
        factors[2] = fixed_point.factor(float(real))
    elif kernel == "slope":
        positive = np.float32(a.scale) / np.float32(y.scale)
        negative = np.float32(a.scale) * np.float32(b.scale) / np.float32(y.scale)
        factors = [fixed_point.factor(float(positive)), (0, 0), fixed_point.factor(float(negative))]
    limits = activation(operator, y)
    sizes, steps_a, steps_b = _broadcast(a.shape, b.shape, y.shape, operator)
    how = ", ".join(map(str, (-a.zero_point, -b.zero_point, y.zero_point, *map(braced, factors), minus, *limits)))
    record = stage.record(kernel, "@{prefix}_binary", f"{{{how}}}")
    pairs = stage.record(f"{kernel}_sizes", "@{prefix}_pairs", braced(map(braced, (sizes, steps_a, steps_b))))
    places, reads = [], []
    for tensor in (a, b):
        if tensor.values is None:
            reads.append(stage.name(tensor.index))
            places.append(f"{{{reads[-1]}}}")
        else:
            places.append(stage.constant(f"{kernel}_values", "int8_t", tensor.values))
    target = stage.name(y.index)
    code = f"@{{prefix}}_{kernel}(&{record}, &{pairs}, {', '.join(places)}, {{{target}}});"
    over = tuple(stage.name(t.index) for t in (a, b) if t.values is None and t.shape == y.shape)
    stage.calls.append(KernelCall((kernel,), code, tuple(reads), (target,), over))


def _broadcast(
    a: Sequence[int], b: Sequence[int], y: Sequence[int], operator: Operator
) -> tuple[list[int], list[int], list[int]]:
    """Sizes of four axes, and steps of both inputs along them: axes that go on alike are one."""
    rank = len(y)
    padded = [(1,) * (rank - len(shape)) + tuple(shape) for shape in (a, b)]
    steps = []
    for shape in padded:
        strides = strides_of(shape)
        steps.append([stride if size > 1 else 0 for size, stride in zip(shape, strides, strict=True)])
    joined: list[list[int]] = []
    for size, step_a, step_b in zip(y, *steps, strict=True):
        if size == 1:
            continue
        if joined and joined[-1][1] == step_a * size and joined[-1][2] == step_b * size:
            joined[-1] = [joined[-1][0] * size, step_a, step_b]
        else:
            joined.append([size, step_a, step_b])
    if len(joined) > 4:
        raise ConversionError(f"there is no int8 C for {operator.kind} that repeats an input along so many axes")
    joined = [[1, 0, 0]] * (4 - len(joined)) + joined
    sizes, steps_a, steps_b = (list(column) for column in zip(*joined, strict=True))
    return sizes, steps_a, steps_b
