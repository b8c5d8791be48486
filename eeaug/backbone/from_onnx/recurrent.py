"""ONNX operators that go over a sequence step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from eeaug.backbone.from_onnx import atoms
from eeaug.backbone.from_onnx.arithmetic import constant
from eeaug.backbone.from_onnx.atoms import Group, Value
from eeaug.backbone.from_onnx.builder import Array, Builder, Operand, Unsupported

__all__ = ["HANDLERS"]

_Inputs = Sequence[Operand | None]
_Attributes = Mapping[str, Any]
# The order of gates, ONNX to Keras, and the activations that each operator has unless told otherwise
_GATES: dict[str, tuple[int, ...]] = {"LSTM": (0, 2, 3, 1), "GRU": (0, 1, 2), "RNN": (0,)}
_USUAL = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}


def _handler(b: Builder, inputs: _Inputs, values: _Attributes) -> tuple[Value | None, ...]:
    kind = b.node.op_type
    padded = [*inputs, *([None] * (8 - len(inputs)))]
    value, rest = padded[0], padded[1:]
    if not isinstance(value, Value):
        raise Unsupported("it reads constants where a sample is expected")
    weights, recurrent, biases, lengths, *states = rest
    w, r = constant(weights, "weights"), constant(recurrent, "weights")
    directions, units = len(w), r.shape[-1]
    if values.get("layout", 0):
        value = value.with_axes([value.axes[i] for i in (1, 0, 2)])
    _check(b, value, values, lengths, states, directions)
    steps, channels = value.axes[0], value.axes[2]
    tensor = b.arranged(value, [steps, channels])
    bias = constant(biases, "biases") if biases is not None else np.zeros((directions, 2 * len(w[0])), np.float32)
    sequence, last = bool(b.node.output[0]), len(b.node.output) > 1 and bool(b.node.output[1])
    after = bool(values.get("linear_before_reset", 0))
    backwards = values.get("direction", "forward") == "reverse"
    parts = [_arrays(kind, w[d], r[d], bias[d], after) for d in range(directions)]
    name = b.name()
    layers = b.keras.layers
    options: dict[str, Any] = {"return_sequences": sequence} | ({"reset_after": after} if kind == "GRU" else {})
    make = getattr(layers, {"RNN": "SimpleRNN"}.get(kind, kind))
    if directions == 2:
        layer = layers.Bidirectional(make(units, name=f"{name}_one_way", **options), merge_mode="concat", name=name)
    else:
        layer = make(units, go_backwards=backwards, name=name, **options)
    tensor = layer(tensor)
    layer.set_weights([array for part in parts for array in part])
    if backwards and sequence:  # Keras gives its steps in the order in which it goes
        tensor = b.part(tensor, (slice(None), slice(None, None, -1)), "_reversed")
    way, new = atoms.atom(directions), atoms.atom(units)
    both: Group = (*way, *new)
    if sequence:
        result = Value(tensor, (steps, both), (steps, way, (), new))
        state = Value(_ends(b, tensor, units, directions, backwards), (both,), (way, (), new)) if last else None
        if values.get("layout", 0):
            result = result.with_axes([(), steps, way, new])
            state = state and state.with_axes([(), way, new])
        return result, state, None
    state = Value(tensor, (both,), (way, (), new))
    return None, state if not values.get("layout", 0) else state.with_axes([(), way, new]), None


def _check(b: Builder, value: Value, values: _Attributes, lengths: Operand | None, states: Sequence[Operand | None],
           directions: int) -> None:  # fmt: skip
    kind = b.node.op_type
    if value.axes[1]:
        raise Unsupported("it goes over several sequences of a sample")
    usual = _USUAL[kind] * directions
    if [name.lower() for name in values.get("activations", usual)] != [name.lower() for name in usual]:
        raise Unsupported(f"its activations are {', '.join(values['activations'])}, not {', '.join(_USUAL[kind])}")
    if values.get("clip") or values.get("input_forget"):
        raise Unsupported("it clips its gates or couples them")
    if lengths is not None and (
        isinstance(lengths, Value) or any(int(n) != value.shape[0] for n in np.ravel(lengths))
    ):
        raise Unsupported("it stops at lengths that depend on the sample")
    for state in states:
        if state is not None and (isinstance(state, Value) or np.any(state)):
            raise Unsupported("it begins at a state other than zero, or has peepholes")
    if len(b.node.output) > 2 and b.node.output[2]:  # outputs that nothing reads have been taken away
        raise Unsupported(f"the cell state of the {kind} is read")


def _ends(b: Builder, tensor: Any, units: int, directions: int, backwards: bool) -> Any:
    """The last states in a sequence (batch, steps, directions · units); going backwards, those of step 0."""
    if directions == 1:
        return b.part(tensor, (slice(None), 0 if backwards else -1), "_end")
    return b.keras.layers.Concatenate(axis=-1, name=b.name("_ends"))(
        [
            b.part(tensor, (slice(None), -1, slice(units)), "_end"),
            b.part(tensor, (slice(None), 0, slice(units, None)), "_end"),
        ]
    )


def _arrays(kind: str, w: Array, r: Array, bias: Array, after: bool) -> list[Array]:
    """Kernel, recurrent kernel and bias as Keras has them: (inputs, gates · units), (units, gates · units)."""
    order = _GATES[kind]
    units = r.shape[-1]

    def sorted_gates(matrix: Array) -> Array:
        pieces = matrix.reshape(len(order), units, -1)
        return np.concatenate([pieces[gate] for gate in order]).T

    first, second = (np.ravel(sorted_gates(half[:, None])) for half in np.split(bias, 2))
    if kind == "GRU" and after:
        return [sorted_gates(w), sorted_gates(r), np.stack([first, second])]
    return [sorted_gates(w), sorted_gates(r), first + second]


HANDLERS: dict[str, Callable[[Builder, _Inputs, _Attributes], Any]] = dict.fromkeys(
    ("LSTM", "GRU", "RNN"), _handler
)
