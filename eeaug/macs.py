"""Multiply-accumulate operations of a layer call, from shapes alone.

One MAC is one multiplication and one addition, of convolutions, dense layers and matrix products only:
no bias, normalisation, addition or pooling. A layer whose MACs are not known is an error, never a zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

from eeaug.errors import ConversionError
from eeaug.hardware import KINDS
from eeaug.model import Call

__all__ = ["Macs", "count", "parameters", "total"]

Macs = Mapping[str, int]  # operation type (hardware.KINDS) → MACs; types without any are left out


def count(call: Call) -> dict[str, int]:
    """MACs of one call by operation type.

    Raises
    ------
    ConversionError : the layer multiplies, and no rule says how often
    """
    rule = _RULES.get(call.kind)
    if rule is not None:
        return {kind: macs for kind, macs in rule(call).items() if macs}
    if call.kind in _MULTIPLY or (call.kind not in _ELEMENTWISE and any(len(w) > 1 for w in call.weights)):
        raise ConversionError(f"layer {call.name!r} ({call.kind}): eeaug cannot count its MACs")
    return {}


def total(macs: Macs) -> int:
    return sum(macs.values())


def parameters(call: Call) -> int:
    """Number of all weights of the layer, those of batch normalisation included."""
    return sum(prod(w) for w in call.weights)


def _convolution(call: Call) -> dict[str, int]:
    # kernel (*window, channels_in / groups, filters): an output element costs window · channels_in / groups
    kernel = call.weights[0]
    macs = prod(call.shapes[0]) // kernel[-1] * prod(kernel)
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


_RULES: dict[str, Callable[[Call], dict[str, int]]] = {
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv3D"), _convolution),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), _transposed),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), _depthwise),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), _separable),
    "Dense": _dense,
    "EinsumDense": _einsum_dense,
}
# Weights of more than one axis that are looked up or applied element by element.
_ELEMENTWISE = {"Embedding", "PReLU", "BatchNormalization", "GroupNormalization", "LayerNormalization",
                "RMSNormalization", "Normalization"}  # fmt: skip
# Products without weights of their own, or with a cost that depends on more than the shapes shown here.
_MULTIPLY = {"Dot", "Matmul", "Einsum", "Tensordot", "Inner", "Outer", "Vdot", "Conv", "ConvTranspose",
             "DepthwiseConv", "SeparableConv", "Attention", "AdditiveAttention", "DotProductAttention",
             "MultiHeadAttention", "GroupedQueryAttention", "RNN", "LSTM", "GRU", "SimpleRNN", "ConvLSTM1D",
             "ConvLSTM2D", "ConvLSTM3D", "Bidirectional", "TimeDistributed"}  # fmt: skip

assert set(KINDS) == {"conv", "pointwise", "depthwise", "dense"}
