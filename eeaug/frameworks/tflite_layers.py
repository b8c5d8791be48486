"""Layers as TFLite can express them: what Keras computes while a graph is traced for it, in other operations.

Keras says the same in operations that TFLite has no kernel for, or none in int8, or that its converter makes a mess
of. Every replacement gives the same numbers, but for rounding.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from math import inf, sqrt
from typing import Any
from unittest import mock

__all__ = ["expressible", "quantisable"]

STEPS = 64  # of a recurrent layer; a graph of more takes minutes to convert
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


@contextlib.contextmanager
def expressible() -> Iterator[None]:
    """While a graph is traced: Keras' backend computes in operations that TFLite has.

    - Convolutions on channels_first data are done channels last, between transpositions: the converter does so
      itself, but not where they are dilated.
    - Repeating elements (UpSampling, RepeatVector) is a concatenation: there is no TILE in int8.
    - ELU and its like are made of ELU with alpha 1, the one there is a kernel of; conditions have none in TFLM.
    - GELU is written so that it becomes one operator.
    - The negative is a product, and a square too: neither has a kernel in int8.
    """
    import keras
    import tensorflow as tf
    from keras.src.backend.tensorflow import nn, numpy

    with contextlib.ExitStack() as patches:
        for name in ("conv", "depthwise_conv", "separable_conv"):
            changed = _channels_last(tf, getattr(nn, name))
            patches.enter_context(mock.patch.object(nn, name, changed))
        for module, makers in ((numpy, (_repeat, _tile, _negative, _square)), (nn, (_elu, _selu, _celu, _gelu))):
            for make in makers:
                name = make.__name__.lstrip("_")
                patches.enter_context(mock.patch.object(module, name, make(tf, getattr(module, name))))
        negative = tf.Tensor.__neg__
        prelu = _prelu(tf, keras.layers.PReLU.call, negative)
        for owner, name, changed in (
            (tf.Tensor, "__neg__", _negative(tf, negative)),
            (tf, "square", _square(tf, tf.square)),
            (keras.layers.PReLU, "call", prelu),
        ):
            patches.enter_context(mock.patch.object(owner, name, changed))
        yield


@contextlib.contextmanager
def quantisable(layers: Iterable[Any]) -> Iterator[None]:
    """While a graph is traced that is to be int8: it is written so that TensorFlow's converter can quantise it.

    - Recurrent layers over a few steps are written step by step: the converter dies of a loop.
    - Splitting and unstacking is a slice for each part. An operator with several results is brought to int8 if a
      quantisation reads each of them, but that of a result which nothing needs (the forget gate of an LSTM's first
      step: its state is zero) is taken away, before or after; which of the two depends on addresses in memory.
    - A variance is made of differences and products, which there is int8 C of, not of both in one.
    """
    import tensorflow as tf
    from keras.src.backend.tensorflow import core, nn, numpy

    with _unrolled(layers), contextlib.ExitStack() as patches:
        for module, make in ((numpy, _split), (numpy, _array_split), (core, _unstack), (nn, _moments)):
            name = make.__name__.lstrip("_")
            patches.enter_context(mock.patch.object(module, name, make(tf, getattr(module, name))))
        yield


@contextlib.contextmanager
def _unrolled(layers: Iterable[Any]) -> Iterator[None]:
    changed: list[Any] = []
    for layer in layers:
        parts = [getattr(layer, name, None) for name in ("forward_layer", "backward_layer")]
        candidates: tuple[Any, ...] = (layer, *parts)
        for recurrent in candidates if _steps(layer) <= STEPS else ():
            if getattr(recurrent, "unroll", None) is False:
                recurrent.unroll = True
                changed.append(recurrent)
    try:
        yield
    finally:
        for layer in changed:
            layer.unroll = False


def _steps(layer: Any) -> float:
    """Over how many a recurrent layer goes."""
    shapes = [tensor.shape for node in layer._inbound_nodes for tensor in node.input_tensors[:1]]
    return max((shape[1] or inf for shape in shapes), default=inf)


def _split(tf: Any, computed: Callable[..., Any]) -> Callable[..., Any]:
    def split(x: Any, indices_or_sections: Any, axis: int = 0) -> Any:
        x, bounds = tf.convert_to_tensor(x), indices_or_sections
        if isinstance(bounds, int):
            size, sections = x.shape[axis], bounds
            if size is None or size % sections:
                return computed(x, sections, axis=axis)
            bounds = [size * i // sections for i in range(1, sections)]
        return _slices(x, bounds, axis)

    return split


def _array_split(tf: Any, computed: Callable[..., Any]) -> Callable[..., Any]:
    def array_split(x: Any, indices_or_sections: int, axis: int = 0) -> Any:
        x, sections = tf.convert_to_tensor(x), indices_or_sections
        if x.shape[axis] is None:
            return computed(x, sections, axis=axis)
        size, longer = divmod(x.shape[axis], sections)
        return _slices(x, [size * i + min(i, longer) for i in range(1, sections)], axis)

    return array_split


def _moments(tf: Any, computed: Callable[..., Any]) -> Callable[..., Any]:
    def moments(x: Any, axes: Any, keepdims: bool = False, synchronized: bool = False) -> Any:
        x = tf.convert_to_tensor(x)
        mean = tf.reduce_mean(x, axes, keepdims=True)
        apart = x - mean
        variance = tf.reduce_mean(apart * apart, axes, keepdims=True)
        return (mean, variance) if keepdims else (tf.squeeze(mean, axes), tf.squeeze(variance, axes))

    return moments


def _unstack(tf: Any, computed: Callable[..., Any]) -> Callable[..., Any]:
    def unstack(x: Any, num: int | None = None, axis: int = 0) -> Any:
        x = tf.convert_to_tensor(x)
        if x.shape[axis] is None:
            return computed(x, num=num, axis=axis)
        before = (slice(None),) * (axis % len(x.shape))
        return [x[(*before, i)] for i in range(x.shape[axis])]

    return unstack


def _slices(x: Any, bounds: Iterable[int], axis: int) -> list[Any]:
    """Those along the axis between 0, the bounds, and its end."""
    before = (slice(None),) * (axis % len(x.shape))
    return [x[(*before, slice(start, end))] for start, end in pairwise((0, *bounds, x.shape[axis]))]


def _channels_last(tf: Any, computed: Callable[..., Any]) -> Callable[..., Any]:
    from keras.src import backend

    signature = inspect.signature(computed)

    def convolved(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs).arguments
        x = given["inputs"]
        if backend.standardize_data_format(given.get("data_format")) == "channels_last":
            return computed(*args, **kwargs)
        axes = len(x.shape)
        last = tf.transpose(x, (0, *range(2, axes), 1))
        result = computed(**{**given, "inputs": last, "data_format": "channels_last"})
        return tf.transpose(result, (0, axes - 1, *range(1, axes - 1)))

    return convolved


def _repeat(tf: Any, computed: Callable[..., Any]) -> Callable[..., Any]:
    def repeat(x: Any, repeats: Any, axis: int | None = None) -> Any:
        if not isinstance(repeats, int) or axis is None or None in x.shape[1:]:
            return computed(x, repeats, axis=axis)
        if repeats == 1:
            return x
        axis = axis % len(x.shape)
        before = [-1 if size is None else size for size in x.shape]
        apart = tf.reshape(x, [*before[: axis + 1], 1, *before[axis + 1 :]])
        side = tf.concat([apart] * repeats, axis + 1)
        return tf.reshape(side, [*before[:axis], before[axis] * repeats, *before[axis + 1 :]])

    return repeat


def _tile(tf: Any, computed: Callable[..., Any]) -> Callable[..., Any]:
    def tile(x: Any, repeats: Any) -> Any:
        numbers = [repeats] if isinstance(repeats, int) else list(repeats)
        if len(numbers) > len(x.shape) or not all(isinstance(n, int) for n in numbers):
            return computed(x, repeats)
        for axis, n in zip(range(len(x.shape) - len(numbers), len(x.shape)), numbers, strict=True):
            x = tf.concat([x] * n, axis) if n > 1 else x
        return x

    return tile


def _negative(tf: Any, computed: Callable[..., Any]) -> Callable[..., Any]:
    def negative(x: Any) -> Any:
        return x * -1.0 if getattr(x.dtype, "is_floating", False) else computed(x)

    return negative


def _square(tf: Any, computed: Callable[..., Any]) -> Callable[..., Any]:
    def square(x: Any) -> Any:
        return x * x if getattr(x.dtype, "is_floating", False) else computed(x)

    return square


def _prelu(tf: Any, computed: Callable[..., Any], negative: Any) -> Callable[..., Any]:
    """One operator for it if it is written as Keras does, which takes slopes by channel or by element."""

    def call(self: Any, inputs: Any) -> Any:
        slopes = tuple(self.alpha.shape)
        if len(slopes) > 1 and (set(slopes[:-1]) == {1} or slopes == tuple(inputs.shape[1:])):
            with mock.patch.object(tf.Tensor, "__neg__", negative):
                return computed(self, inputs)
        positive = tf.nn.relu(inputs)
        return positive + self.alpha * (inputs - positive)

    return call


def _exponential(tf: Any, x: Any, alpha: float) -> Any:
    """alpha · (exp x − 1) where x is negative, 0 elsewhere."""
    elu = tf.nn.elu(x - tf.nn.relu(x))  # a minimum would force one int8 scale on input and output
    return elu if alpha == 1 else alpha * elu


def _elu(tf: Any, computed: Callable[..., Any]) -> Callable[..., Any]:
    def elu(x: Any, alpha: float = 1.0) -> Any:
        return tf.nn.elu(x) if alpha == 1 else tf.nn.relu(x) + _exponential(tf, x, float(alpha))

    return elu


def _gelu(tf: Any, computed: Callable[..., Any]) -> Callable[..., Any]:
    """The exact one by erf, from which the converter makes TFLite's GELU; TensorFlow writes it by erfc."""

    def gelu(x: Any, approximate: bool = True) -> Any:
        if approximate:
            return computed(x, approximate=True)
        x = tf.convert_to_tensor(x)
        return 0.5 * x * (1.0 + tf.math.erf(x * sqrt(0.5)))

    return gelu


def _selu(tf: Any, computed: Callable[..., Any]) -> Callable[..., Any]:
    def selu(x: Any) -> Any:
        return SELU_SCALE * tf.nn.relu(x) + _exponential(tf, x, SELU_SCALE * SELU_ALPHA)

    return selu


def _celu(tf: Any, computed: Callable[..., Any]) -> Callable[..., Any]:
    def celu(x: Any, alpha: float = 1.0) -> Any:
        return tf.nn.relu(x) + _exponential(tf, x if alpha == 1 else x / alpha, float(alpha))

    return celu
