"""Multiply-accumulate operations of a layer call: from shapes, else as TensorFlow's graph of it shows them.

One MAC is one multiplication and one addition, of convolutions, dense layers and matrix products only:
no bias, normalisation, addition or pooling. A layer whose MACs are not known is an error, never a zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isqrt, prod

from eeaug.backbone.model import Call
from eeaug.backbone.traced import Uncounted
from eeaug.errors import ConversionError
from eeaug.hardware import KINDS

__all__ = ["Macs", "count", "parameters", "total"]

Macs = Mapping[str, int]  # operation type (target.KINDS) → MACs; types without any are left out


def count(call: Call) -> dict[str, int]:
    """MACs of one call by operation type.

    Raises
    ------
    ConversionError : the layer multiplies, and neither a rule nor its graph says how often
    """
    rule = _RULES.get(call.kind)
    if rule is not None and not call.custom:
        try:
            return {kind: macs for kind, macs in rule(call).items() if macs}
        except _Unknown:
            return _traced(call)
    multiplies = call.kind not in _ELEMENTWISE and any(len(w) > 1 for w in call.weights)
    return _traced(call) if multiplies or call.custom or call.kind in _MULTIPLY else {}


class _Unknown(Exception):
    """The shapes of a layer do not say how often it multiplies."""


def _traced(call: Call) -> dict[str, int]:
    why = ""
    if call.traced is not None:
        try:
            return call.traced()
        except Uncounted as error:
            why = f": {error}"
    remedy = "; give its class a method macs(self, input_shapes, output_shapes)" if call.custom else ""
    raise ConversionError(f"layer {call.name!r} ({call.kind}): eeaug cannot count its MACs{why}{remedy}")


def total(macs: Macs) -> int:
    return sum(macs.values())


def parameters(call: Call) -> int:
    """Number of all weights of the layer, those of batch normalisation included."""
    return sum(prod(w) for w in call.weights)


def _convolution(call: Call) -> dict[str, int]:
    # kernel (*window, channels_in / groups, filters): an output element costs window · channels_in / groups
    kernel = call.weights[0]
    macs = prod(call.shapes[0]) // kernel[-1] * prod(kernel)
    if kernel[-2] == 1 and 1 not in (call.input_shapes[0][0], call.input_shapes[0][-1]):
        return {"depthwise": macs}  # as many groups as channels, wherever the channels stand
    return {"pointwise" if prod(kernel[:-2]) == 1 else "conv": macs}


def _transposed(call: Call) -> dict[str, int]:
    # kernel (*window, filters, channels_in): every input element is spread over window · filters
    kernel = call.weights[0]
    return {"conv": prod(call.input_shapes[0]) * prod(kernel[:-1])}


def _depthwise(call: Call) -> dict[str, int]:
    # kernel (*window, channels, multiplier)
    return {"depthwise": prod(call.shapes[0]) * prod(call.weights[0][:-2])}


def _separable(call: Call) -> dict[str, int]:
    depthwise, pointwise = call.weights[:2]
    positions = prod(call.shapes[0]) // pointwise[-1]
    return {"depthwise": positions * prod(depthwise), "pointwise": positions * prod(pointwise)}


def _dense(call: Call) -> dict[str, int]:
    inputs, units = call.weights[0]
    return {"dense": prod(call.shapes[0]) // units * inputs * units}


def _einsum_dense(call: Call) -> dict[str, int]:
    # each output element is a sum over the kernel's axes that the output does not have
    kernel, out = str(call.equation).split(",")[1].split("->")
    contracted = prod(size for axis, size in zip(kernel, call.weights[0], strict=True) if axis not in out)
    return {"dense": prod(call.shapes[0]) * contracted}


def _matmul(call: Call) -> dict[str, int]:
    if len(call.input_shapes) != 2:  # the other operand is a constant that the call does not show
        raise _Unknown
    return {"dense": prod(call.shapes[0]) * call.input_shapes[0][-1]}


def _dot(call: Call) -> dict[str, int]:
    # both operands lose one axis of the same size and keep all others: |a| · |b| = |out| · size²
    if len(call.input_shapes) != 2:
        raise _Unknown
    out = prod(call.shapes[0])
    return {"dense": out * isqrt(prod(call.input_shapes[0]) * prod(call.input_shapes[1]) // out)}


def _einsum(call: Call) -> dict[str, int]:
    operands, _, out = (call.equation or "").partition("->")
    if not out or operands.count(",") != 1 or len(call.input_shapes) != 2:
        raise _Unknown
    sizes: dict[str, int] = {}
    for axes, shape in zip(operands.split(","), call.input_shapes, strict=True):
        # shapes lack the batch, which stands first; an ellipsis stands there too and is in the output
        sizes |= dict(zip(reversed(axes.strip().replace(".", "")), reversed(shape), strict=False))
    return {"dense": prod(call.shapes[0]) * prod(size for axis, size in sizes.items() if axis not in out)}


def _attention(call: Call) -> dict[str, int]:
    # scores = query · key, output = scores · value; a single weight may mean scores without a product
    if call.weights:
        raise _Unknown
    query, value = call.input_shapes[:2]
    return {"dense": query[0] * value[0] * (query[-1] + value[-1])}


def _additive_attention(call: Call) -> dict[str, int]:
    # scores = Σ scale · tanh(query + key) is no matrix product
    query, value = call.input_shapes[:2]
    return {"dense": query[0] * value[0] * value[-1]}


def _multi_head_attention(call: Call) -> dict[str, int]:
    # kernels: query, key (channels, heads, size), value (channels, heads, size), output (heads, size, channels)
    query, key, value, output = (w for w in call.weights if len(w) == 3)
    if len(call.shapes[0]) != 2:  # attention along some of several axes: the call does not show which
        raise _Unknown
    rows = call.shapes[0][0]
    # keyword arguments come in any order, masks among them: keys are what has their channels
    sequences = [s[0] for s in call.input_shapes if len(s) == 2 and s[-1] in (key[0], value[0])]
    columns = next((length for length in sequences if length != rows), rows)
    heads = query[1]
    projections = rows * (prod(query) + prod(output)) + columns * (prod(key) + prod(value))
    return {"dense": projections + rows * columns * heads * (query[2] + value[2])}


def _recurrent(call: Call) -> dict[str, int]:
    # per direction kernel (channels, gates · units) and recurrent kernel (units, gates · units), for every step
    directions = 2 if call.kind == "Bidirectional" else 1
    each = len(call.weights) // directions
    matrices = [w for d in range(directions) for w in call.weights[d * each : d * each + 2]]
    if each not in (2, 3) or any(len(w) != 2 for w in matrices):
        raise _Unknown
    return {"dense": call.input_shapes[0][0] * sum(prod(w) for w in matrices)}


_RULES: dict[str, Callable[[Call], dict[str, int]]] = {
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv3D"), _convolution),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), _transposed),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), _depthwise),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), _separable),
    "Dense": _dense,
    "EinsumDense": _einsum_dense,
    "Matmul": _matmul,
    "Dot": _dot,
    "Einsum": _einsum,
    "Attention": _attention,
    "AdditiveAttention": _additive_attention,
    **dict.fromkeys(("MultiHeadAttention", "GroupedQueryAttention"), _multi_head_attention),
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN", "Bidirectional"), _recurrent),
}
# Weights of more than one axis that are looked up or applied element by element.
_ELEMENTWISE = {"Embedding", "PReLU", "BatchNormalization", "GroupNormalization", "LayerNormalization",
                "RMSNormalization", "Normalization"}  # fmt: skip
# Products without weights of their own, or with a cost that depends on more than the shapes shown here: traced.
_MULTIPLY = {"Tensordot", "Inner", "Outer", "Vdot", "Conv", "ConvTranspose", "DepthwiseConv", "SeparableConv",
             "DotProductAttention", "RNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D",
             "TimeDistributed"}  # fmt: skip

assert set(KINDS) == {"conv", "pointwise", "depthwise", "dense"}
