"""ONNX operators that work on every number by itself: activations, sums, products."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from eeaug.backbone.from_onnx.atoms import Group, Value
from eeaug.backbone.from_onnx.builder import Array, Builder, Operand, Unsupported, of_layer

__all__ = ["HANDLERS", "constant", "number", "together"]

_Inputs = Sequence[Operand | None]
_Attributes = Mapping[str, Any]
_MINUS = np.asarray([-1], np.float32)


def constant(operand: Operand | None, what: str) -> Array:
    """An operand that has to be known before a sample is."""
    if operand is None or isinstance(operand, Value):
        raise Unsupported(f"its {what} depends on the sample")
    return operand


def number(operand: Operand | None, default: float) -> float:
    """An operand of one number, which may be left out."""
    return default if operand is None else float(np.ravel(constant(operand, "limit"))[0])


def _value(operand: Operand | None) -> Value:
    if not isinstance(operand, Value):
        raise Unsupported("it reads constants where a sample is expected")
    return operand


# -- one input ----------------------------------------------------------------------------------------

_POSITIVE = {"relu", "sigmoid", "hard_sigmoid", "softplus", "exponential"}


def _activation(function: str) -> Callable[[Builder, _Inputs, _Attributes], Value]:
    def handler(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
        return b.activation(_value(inputs[0]), function, positive=function in _POSITIVE)

    return handler


def _relu(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    return b.each(_value(inputs[0]), b.keras.layers.ReLU(name=b.name()), positive=True)


def _unary(module: str, kind: str, *, positive: bool = False) -> Callable[[Builder, _Inputs, _Attributes], Value]:
    def handler(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
        return b.each(_value(inputs[0]), b.operation(module, kind), positive=positive)

    return handler


def _clip(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value = _value(inputs[0])
    low = number(inputs[1] if len(inputs) > 1 else None, values.get("min", -np.inf))
    high = number(inputs[2] if len(inputs) > 2 else None, values.get("max", np.inf))
    low, high = (np.inf * np.sign(n) if abs(n) > 3e38 else n for n in (low, high))
    if low == 0:
        limit = None if np.isinf(high) else high
        return b.each(value, b.keras.layers.ReLU(max_value=limit, name=b.name()), positive=True)
    if np.isinf(low) and np.isinf(high):
        return value
    if np.isinf(low) or np.isinf(high):
        kind, limit = ("Minimum", high) if np.isinf(low) else ("Maximum", low)
        operation = b.operation("numpy", kind)
        return b.each(value, lambda tensor: operation(tensor, float(limit)), positive=low >= 0)
    return b.each(value, b.operation("numpy", "Clip", float(low), float(high)), positive=low >= 0)


def _leaky(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    return b.each(
        _value(inputs[0]), b.keras.layers.LeakyReLU(negative_slope=values.get("alpha", 0.01), name=b.name())
    )


def _elu(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    return b.each(_value(inputs[0]), b.keras.layers.ELU(alpha=values.get("alpha", 1.0), name=b.name()))


def _gelu(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    if values.get("approximate", "none") == "tanh":
        return b.each(_value(inputs[0]), b.operation("nn", "Gelu", approximate=True))
    return b.activation(_value(inputs[0]), "gelu")


def _hard_sigmoid(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value, alpha, beta = _value(inputs[0]), values.get("alpha", 0.2), values.get("beta", 0.5)
    if abs(alpha - 1 / 6) < 1e-4 and beta == 0.5:
        return b.activation(value, "hard_sigmoid", positive=True)
    line = b.each(value, b.keras.layers.Rescaling(alpha, beta, name=b.name("_line")))
    return b.each(line, b.keras.layers.ReLU(max_value=1.0, name=b.name()), positive=True)


def _prelu(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value, slope = _value(inputs[0]), constant(inputs[1], "slope")
    if slope.size == 1:
        return b.each(value, b.keras.layers.LeakyReLU(negative_slope=float(slope.ravel()[0]), name=b.name()))
    from eeaug.backbone.from_onnx import atoms

    there = atoms.in_memory(value, slope)
    shared = [i + 1 for i, n in enumerate(there.shape) if n == 1]
    return b.each(value, of_layer(b.keras.layers.PReLU(shared_axes=shared, name=b.name()), [there]))


def _pass(b: Builder, inputs: _Inputs, values: _Attributes) -> Operand:
    """Dropout, Identity, and Cast between kinds of floats: nothing at all."""
    (operand, *_) = inputs
    assert operand is not None
    return operand


def _cast(b: Builder, inputs: _Inputs, values: _Attributes) -> Operand:
    import onnx

    operand = _value(inputs[0])
    to = onnx.helper.tensor_dtype_to_np_dtype(values["to"])
    whole_numbers = np.dtype(to).kind in "iub"
    if whole_numbers and not str(operand.tensor.dtype).startswith(("int", "uint", "bool")):
        raise Unsupported(f"it cuts numbers of a sample to {np.dtype(to).name}")
    return operand


def _threshold(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    """x where x > alpha, else 0: a step of Keras' rectifier."""
    alpha = values.get("alpha", 1.0)
    return b.each(_value(inputs[0]), b.operation("nn", "Threshold", alpha, 0.0), positive=alpha >= 0)


def _power(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value, exponent = _value(inputs[0]), number(inputs[1], 1.0)
    if exponent == 2:
        return b.each(value, b.operation("numpy", "Square"), positive=True)
    if exponent == 0.5:
        return b.each(value, b.operation("numpy", "Sqrt"), positive=True)
    operation = b.operation("numpy", "Power")
    return b.each(value, lambda tensor: operation(tensor, exponent))


# -- two inputs ---------------------------------------------------------------------------------------


def together(b: Builder, layer: Callable[[list[Any]], Any], first: Value, second: Value) -> Value:
    """A layer of two tensors that are broadcast against each other, their axes in the same order."""
    first, second = b.aligned(first, second)
    inside = [{one for group in v.axes for one in group} for v in (first, second)]
    base = first if inside[1] <= inside[0] else second
    merged = tuple(x or y for x, y in zip(first.axes, second.axes, strict=True))
    memory: Sequence[Group] = base.memory
    if not (inside[0] <= inside[1] or inside[1] <= inside[0]):
        memory = [(one,) for group in merged for one in group]
    groups: list[Group] = []
    for group in memory:  # cut where one of them has no such atoms
        runs: list[list[Any]] = []
        for one in group:
            which = tuple(one in those for those in inside)
            if runs and tuple(runs[-1][-1] in those for those in inside) == which:
                runs[-1].append(one)
            else:
                runs.append([one])
        groups += [tuple(run) for run in runs] or [()]
    tensors = [
        b.arranged(v, [tuple(one for one in group if one in those) for group in groups])
        for v, those in zip((first, second), inside, strict=True)
    ]
    positive = first.positive and second.positive
    return Value(layer(tensors), tuple(groups), merged, positive)


def _layer(b: Builder, kind: str) -> Callable[[list[Any]], Any]:
    if kind == "Divide":
        operation = b.operation("numpy", kind)
        return lambda tensors: operation(*tensors)
    layer: Callable[[list[Any]], Any] = getattr(b.keras.layers, kind)(name=b.name())
    return layer


def _add(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    first, second = inputs
    if isinstance(first, Value) and isinstance(second, Value):
        return together(b, _layer(b, "Add"), first, second)
    value, other = (first, second) if isinstance(first, Value) else (second, first)
    return b.affine(_value(value), None, constant(other, "summand"))


def _subtract(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    first, second = inputs
    if isinstance(first, Value) and isinstance(second, Value):
        return replace(together(b, _layer(b, "Subtract"), first, second), positive=False)
    if isinstance(first, Value):
        return b.affine(first, None, -constant(second, "subtrahend").astype(np.float32))
    return b.affine(_value(second), _MINUS, constant(first, "minuend"))


def _multiply(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    first, second = inputs
    if isinstance(first, Value) and isinstance(second, Value):
        result = together(b, _layer(b, "Multiply"), first, second)
        return replace(result, positive=result.positive or first is second)
    value, other = (first, second) if isinstance(first, Value) else (second, first)
    return b.affine(_value(value), constant(other, "factor"), None)


def _divide(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    first, second = inputs
    if isinstance(first, Value) and isinstance(second, Value):
        return together(b, _layer(b, "Divide"), first, second)
    if isinstance(first, Value):
        return b.affine(first, 1 / constant(second, "divisor").astype(np.float32), None)
    value = _value(second)
    inverse = b.each(value, b.operation("numpy", "Reciprocal"))
    over = constant(first, "dividend")
    return inverse if over.size == 1 and float(over.ravel()[0]) == 1 else b.affine(inverse, over, None)


def _extreme(kind: str) -> Callable[[Builder, _Inputs, _Attributes], Value]:
    """The larger or the smaller of several; of a value and one number, a limit."""

    def handler(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
        result = next(_value(one) for one in inputs if isinstance(one, Value))
        numbers = [one for one in inputs if one is not None and not isinstance(one, Value)]
        for other in [one for one in inputs if isinstance(one, Value) and one is not result]:
            result = together(b, getattr(b.keras.layers, kind)(name=b.name()), result, other)
        for limit in numbers:
            result = _limited(b, kind, result, limit)
        return result

    return handler


def _limited(b: Builder, kind: str, value: Value, limit: Array) -> Value:
    if limit.size != 1:
        raise Unsupported(f"its limit is an array of {limit.size:,} numbers")
    at = float(limit.ravel()[0])
    if kind == "Maximum" and at == 0:
        return b.each(value, b.keras.layers.ReLU(name=b.name()), positive=True)
    operation = b.operation("numpy", kind)
    return b.each(value, lambda tensor: operation(tensor, at), positive=kind == "Maximum" and at >= 0)


def _sum(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    total = inputs[0]
    for other in inputs[1:]:
        total = _add(b, [total, other], values)
    return _value(total)


def _mean(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    return b.affine(_sum(b, inputs, values), np.asarray([1 / len(inputs)], np.float32), None)


HANDLERS: dict[str, Callable[[Builder, _Inputs, _Attributes], Any]] = {
    "Relu": _relu,
    "Clip": _clip,
    "LeakyRelu": _leaky,
    "Elu": _elu,
    "Gelu": _gelu,
    "PRelu": _prelu,
    "HardSigmoid": _hard_sigmoid,
    "ThresholdedRelu": _threshold,
    "Sigmoid": _activation("sigmoid"),
    "Tanh": _activation("tanh"),
    "Selu": _activation("selu"),
    "Softplus": _activation("softplus"),
    "Softsign": _activation("softsign"),
    "Mish": _activation("mish"),
    "HardSwish": _activation("hard_silu"),
    "Silu": _activation("silu"),
    "Swish": _activation("silu"),
    "Exp": _activation("exponential"),
    "Erf": _unary("math", "Erf"),
    "Log": _unary("numpy", "Log"),
    "Sqrt": _unary("numpy", "Sqrt", positive=True),
    "Abs": _unary("numpy", "Abs", positive=True),
    "Neg": lambda b, inputs, values: b.affine(_value(inputs[0]), _MINUS, None),
    "Reciprocal": _unary("numpy", "Reciprocal"),
    "Sin": _unary("numpy", "Sin"),
    "Cos": _unary("numpy", "Cos"),
    "Floor": _unary("numpy", "Floor"),
    "Ceil": _unary("numpy", "Ceil"),
    "Pow": _power,
    "Identity": _pass,
    "Dropout": _pass,
    "Cast": _cast,
    "CastLike": _pass,
    "Add": _add,
    "Sub": _subtract,
    "Mul": _multiply,
    "Div": _divide,
    "Max": _extreme("Maximum"),
    "Min": _extreme("Minimum"),
    "Sum": _sum,
    "Mean": _mean,
}
