"""A head as Keras layers, as it is deployed: batch normalisation is folded away."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.heads.layers import Convolve, Dense, Head, Pool, Residual, convolutions

__all__ = ["attach", "deployed_model", "detached", "trainable_strides"]

# (convolution, the tensor that it reads, its name) → its output
Convolved = Callable[[Convolve, Any, str], Any]


def attach(
    head: Head, weights: Sequence[NDArray[np.float32]], tensor: Any, prefix: str, earlier: Sequence[Any] = ()
) -> Any:
    """The deployed head on ``tensor``; its layers are named ``prefix_…``. Returns probabilities.

    ``weights`` are kernel and bias of every convolution and dense layer, in order; ``earlier`` the tensors that
    ``head.earlier`` averages.
    """
    import keras

    rest = iter(weights)

    def loaded(layer: Any, read: Any) -> Any:
        result = layer(read)
        layer.set_weights([np.asarray(next(rest)), np.asarray(next(rest))])
        layer.trainable = False
        return result

    def convolved(convolution: Convolve, read: Any, name: str) -> Any:
        activation = "relu" if convolution.then == "relu" else None
        return loaded(_convolution(keras, convolution, axes, name, activation), read)

    axes = len(head.location.shape) - 1
    for i, step in enumerate(head.steps):
        name = f"{prefix}_{i}"
        if isinstance(step, Dense):
            if len(tensor.shape) > 2:
                tensor = keras.layers.Flatten(name=f"{prefix}_flatten")(tensor)
            layer = keras.layers.Dense(step.units, activation=step.activation, name=f"{name}_dense")
            tensor = loaded(layer, tensor)
        elif isinstance(step, Pool):
            tensor = _pool(keras, step, name)(tensor) if step.window else tensor
            if head.earlier:
                tensor = _join(keras, head, earlier, tensor, prefix)
        elif isinstance(step, Residual):
            tensor = _residual(keras, step, tensor, convolved, name)
        else:
            tensor = convolved(step, tensor, f"{name}_{step.kind}")
    return tensor


def _join(keras: Any, head: Head, earlier: Sequence[Any], here: Any, prefix: str) -> Any:
    """Averages of the earlier tensors and the head's own, flat and one behind the other."""
    parts = []
    for i, (read, tensor) in enumerate(zip(head.earlier, earlier, strict=True)):
        if read.window:
            tensor = _pool(keras, Pool(read.window), f"{prefix}_earlier_{i}")(tensor)
        parts.append(tensor)
    flat = [
        keras.layers.Flatten(name=f"{prefix}_flatten_{i}")(part) if len(part.shape) > 2 else part
        for i, part in enumerate([*parts, here])
    ]
    return keras.layers.Concatenate(name=f"{prefix}_joined")(flat)


def detached(head: Head, model: Any, prefix: str) -> tuple[NDArray[np.float32], ...]:
    """The weights of a head that :func:`attach` has put into ``model`` under this prefix."""
    weights: list[NDArray[np.float32]] = []
    for i, (step, before, _) in enumerate(head.shapes()):
        parts = ["first", "second", "shortcut"] if isinstance(step, Residual) else [getattr(step, "kind", "dense")]
        number = 1 if isinstance(step, Dense) else len(convolutions(step, before))
        for part in parts[:number]:
            weights += model.get_layer(f"{prefix}_{i}_{part}").get_weights()
    return tuple(np.asarray(w, np.float32) for w in weights)


@contextmanager
def trainable_strides(model: Any) -> Iterator[None]:
    """Strided pointwise convolutions in ``model`` take every n-th pixel, then have no stride: the same values.

    Their weights' gradient writes past its memory in TensorFlow 2.21 with oneDNN, for most shapes; the process dies
    or, worse, does not. Functions must be traced inside.
    """
    changed = _strided_pointwise(model)
    for layer in changed:
        layer.convolution_op = _every_nth(layer)
    try:
        yield
    finally:
        for layer in changed:
            del layer.convolution_op


def _strided_pointwise(model: Any) -> list[Any]:
    import keras

    kinds = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
    candidates = [layer for layer in model.layers if isinstance(layer, kinds)]
    return [layer for layer in candidates if set(layer.kernel_size) == {1} and set(layer.strides) != {1}]


def _every_nth(layer: Any) -> Callable[[Any, Any], Any]:
    """What such a layer computes, of inputs and kernel."""
    import keras

    steps = tuple(slice(None, None, stride) for stride in layer.strides)
    last = layer.data_format == "channels_last"
    taken = (slice(None), *steps, slice(None)) if last else (slice(None), slice(None), *steps)
    return lambda inputs, kernel: keras.ops.conv(inputs[taken], kernel, 1, "valid", layer.data_format)


def deployed_model(head: Head, weights: Sequence[NDArray[np.float32]]) -> Any:
    """The deployed head alone, compiled: map → probabilities."""
    import keras
    import tensorflow as tf

    inputs = keras.Input(head.location.shape)
    model = keras.Model(inputs, attach(head, weights, inputs, safe_name(head.key)))
    return tf.function(model, reduce_retracing=True)


def safe_name(text: str) -> str:
    """A name that Keras, ONNX and file systems take, from a layer's name."""
    return re.sub(r"[^0-9A-Za-z_.-]", "_", text)


def _pool(keras: Any, step: Pool, name: str) -> Any:
    layer = {1: keras.layers.AveragePooling1D, 2: keras.layers.AveragePooling2D}[len(step.window)]
    window = step.window if len(step.window) > 1 else step.window[0]
    return layer(window, strides=window, name=f"{name}_pool")


def _convolution(keras: Any, step: Convolve, axes: int, name: str, activation: str | None) -> Any:
    options = {"padding": "same", "strides": step.stride, "activation": activation}
    if step.filters is None:
        layer = {1: keras.layers.DepthwiseConv1D, 2: keras.layers.DepthwiseConv2D}[axes]
        return layer(step.width, name=name, **options)
    layer = {1: keras.layers.Conv1D, 2: keras.layers.Conv2D}[axes]
    return layer(step.filters, step.width, name=name, **options)


def _residual(keras: Any, step: Residual, tensor: Any, convolved: Convolved, name: str) -> Any:
    """The block on ``tensor``, its convolutions made by ``convolved`` in the order of their weights."""
    first, second, *shortcut = (convolution for convolution, _ in step.parts(tuple(tensor.shape[1:])))
    branch = convolved(first, tensor, f"{name}_first")
    branch = convolved(second, branch, f"{name}_second")
    if shortcut:
        tensor = convolved(shortcut[0], tensor, f"{name}_shortcut")
    layers = [keras.layers.Add(name=f"{name}_add"), keras.layers.ReLU(name=f"{name}_relu")]
    return layers[1](layers[0]([branch, tensor]))
