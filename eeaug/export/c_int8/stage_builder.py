"""An int8 stage on its way to C: calls of kernels and constants, places of tensors still open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.errors import ConversionError
from eeaug.export.c_int8 import fixed_point
from eeaug.export.c_int8.constants import Constant
from eeaug.frameworks.tflite_graph import Graph, Operator, Tensor

__all__ = [
    "SHIFT",
    "KernelCall",
    "Lowered",
    "StageBuilder",
    "activation",
    "copied",
    "listed",
    "narrowed",
    "one_to_one",
    "padding_before",
    "strides_of",
]

SHIFT = "@{prefix}_shift"  # a type of the kernels' header


@dataclass(frozen=True)
class KernelCall:
    """One call: C with ``{name}`` for a tensor's place and ``{scratch}`` for that of ``scratch`` bytes.

    ``reads`` and ``writes`` are tensors; ``over``: the result may lie where this one lies, if nothing reads it
    afterwards. ``kernels``: sections of kernels.c that it needs.
    """

    kernels: tuple[str, ...]
    code: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    over: tuple[str, ...] = ()
    scratch: int = 0


@dataclass(frozen=True)
class Lowered:
    """A stage: its calls in order, constants, and bytes of every tensor by name."""

    calls: tuple[KernelCall, ...]
    constants: tuple[Constant, ...]
    tensors: Mapping[str, int]


@dataclass
class StageBuilder:
    """What is known while a graph is gone through; ``vectors``: the core may have vector extensions (MVE)."""

    graph: Graph
    content: bytes
    names: dict[int, str]
    vectors: bool
    calls: list[KernelCall] = field(default_factory=list)
    constants: list[Constant] = field(default_factory=list)
    tables: dict[bytes, str] = field(default_factory=dict)

    def tensor(self, t: int) -> Tensor:
        return self.graph.tensors[t]

    def name(self, t: int) -> str:
        return self.names.setdefault(t, f"t{t}")

    def given(self, operator: Operator) -> list[Tensor]:
        return [self.tensor(t) for t in operator.inputs if t >= 0 and self.tensor(t).values is None]

    def constant(self, what: str, type: str, values: NDArray[Any]) -> str:
        """Its name in C; equal ones are one."""
        for other in self.constants:
            if other.type == type and other.values is not None and np.array_equal(other.values, values.ravel()):
                return other.name
        name = f"{what}_{len(self.calls)}"
        self.constants.append(Constant(name, type, np.ascontiguousarray(values).ravel()))
        return name

    def record(self, what: str, type: str, text: str) -> str:
        """The name in C of a struct that is initialised by this text."""
        name = f"{what}_{len(self.calls)}"
        self.constants.append(Constant(name, type, None, text))
        return name


def narrowed(stage: Lowered) -> Lowered:
    """The same with shifts of 8 bits: what no kernel of CMSIS-NN reads."""
    constants = (
        replace(c, values=c.values.astype(np.int8)) if c.type == SHIFT and c.values is not None else c
        for c in stage.constants
    )
    return replace(stage, constants=tuple(constants))


def activation(operator: Operator, y: Tensor) -> tuple[int, int]:
    """The least and the largest output. The schema numbers activations in this order."""
    names = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT")
    name = names[int(operator.options.get("fusedActivationFunction", 0))]
    limits = fixed_point.activation_range(name, y.scale, y.zero_point)
    if limits is None:
        raise ConversionError(f"there is no int8 C for {operator.kind} with a fused {name}")
    return limits


def listed(stage: StageBuilder, operator: Operator, place: int) -> NDArray[Any]:
    values = stage.tensor(operator.inputs[place]).values
    if values is None:
        raise ConversionError(f"there is no int8 C for {operator.kind} whose shape is computed")
    return values


def one_to_one(stage: StageBuilder, kernel: str, record: str, x: Tensor, y: Tensor, over: bool = False) -> None:
    source, target = stage.name(x.index), stage.name(y.index)
    code = f"@{{prefix}}_{kernel}(&{record}, {{{source}}}, {{{target}}});"
    stage.calls.append(KernelCall((kernel,), code, (source,), (target,), (source,) if over else ()))


def copied(stage: StageBuilder, source: str, target: str, size: int) -> None:
    code = f"(void)memcpy({{{target}}}, {{{source}}}, {size});"
    stage.calls.append(KernelCall((), code, (source,), (target,)))


def strides_of(shape: Sequence[int]) -> list[int]:
    return list(accumulate(reversed(shape), lambda x, y: x * y, initial=1))[:-1][::-1]


def padding_before(x: Tensor, y: Tensor, axis: int, stride: int, window: int, dilation: int, same: bool) -> int:
    """Elements before the first along an axis; TFLite puts an odd one after the last."""
    total = (y.shape[1 + axis] - 1) * stride + (window - 1) * dilation + 1 - x.shape[1 + axis]
    return max(0, total) // 2 if same else 0
