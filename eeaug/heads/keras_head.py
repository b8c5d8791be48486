"""A head as Keras layers: for training with batch normalisation, deployed with it folded away."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.heads.design import Convolve, Dense, Head, Pool

__all__ = ["attach", "deployed_model", "folded", "training_model"]

BN_EPSILON = 1e-3
BN_MOMENTUM = 0.9  # heads train for a few epochs only: the running statistics must follow


def attach(head: Head, weights: Sequence[NDArray[np.float32]], tensor: Any, prefix: str) -> Any:
    """The deployed head on ``tensor``; its layers are named ``prefix_…``. Returns probabilities.

    ``weights`` are kernel and bias of every convolution and dense layer, in order.
    """
    import keras

    rest = iter(weights)
    flat = len(tensor.shape) == 2
    for i, (step, _, after) in enumerate(head.shapes()):
        name = f"{prefix}_{i}"
        if isinstance(step, Dense):
            if not flat:
                tensor = keras.layers.Flatten(name=f"{prefix}_flatten")(tensor)
                flat = True
            layer = keras.layers.Dense(step.units, activation=step.activation, name=f"{name}_dense")
        elif isinstance(step, Pool):
            if not step.window:
                continue
            layer = _pool(keras, step, name)
        else:
            layer = _convolution(keras, step, len(after) - 1, name, use_bias=True, activation="relu")
        tensor = layer(tensor)
        if layer.weights:
            layer.set_weights([np.asarray(next(rest)), np.asarray(next(rest))])
        layer.trainable = False
    return tensor


def deployed_model(head: Head, weights: Sequence[NDArray[np.float32]]) -> Any:
    """The deployed head alone, compiled: map → probabilities."""
    import keras
    import tensorflow as tf

    inputs = keras.Input(head.location.shape)
    model = keras.Model(inputs, attach(head, weights, inputs, safe_name(head.key)))
    return tf.function(model, reduce_retracing=True)


def training_model(head: Head, scale: np.float32) -> Any:
    """The head with batch normalisation after every convolution; map → logits.

    ``scale`` brings the map to unit size, so that one learning rate fits every location.
    """
    import keras

    inputs = keras.Input(head.location.shape)
    z = keras.layers.Rescaling(float(scale))(inputs)
    for step, _, after in head.shapes():
        if isinstance(step, Pool):
            z = _pool(keras, step, None)(z)
        elif isinstance(step, Convolve):
            z = _convolution(keras, step, len(after) - 1, None, use_bias=False, activation=None)(z)
            z = _batch_normalization()(epsilon=BN_EPSILON, momentum=BN_MOMENTUM)(z)
            z = keras.layers.ReLU()(z)
        else:
            activation = None if step is head.steps[-1] else step.activation
            z = keras.layers.Dense(step.units, activation=activation)(keras.layers.Flatten()(z))
    return keras.Model(inputs, z)


def folded(head: Head, model: Any, scale: np.float32) -> tuple[NDArray[np.float32], ...]:
    """Weights of the deployed head: batch normalisation goes into kernel and bias of its convolution."""
    out: list[NDArray[np.float32]] = []
    layers = iter(layer for layer in model.layers if layer.weights)
    before = np.float64(scale)
    for step in head.steps:
        if isinstance(step, Pool):
            continue
        layer = next(layers)
        if isinstance(step, Convolve):
            (kernel,) = layer.get_weights()
            gamma, beta, mean, variance = next(layers).get_weights()
            factor = gamma / np.sqrt(variance + BN_EPSILON)
            shape = (-1,) if step.filters else (-1, 1)  # depthwise kernels end in (channels, multiplier)
            out += [kernel * before * factor.reshape(shape), beta - mean * factor]
        else:
            kernel, bias = layer.get_weights()
            out += [kernel * before, bias]
        before = np.float64(1)
    return tuple(np.asarray(w, np.float32) for w in out)


def safe_name(text: str) -> str:
    """A name that Keras, ONNX and file systems take, from a layer's name."""
    return re.sub(r"[^0-9A-Za-z_.-]", "_", text)


@cache
def _batch_normalization() -> Any:
    """Keras' batch normalisation, with TensorFlow's fused kernel while training on images.

    Keras 3 composes it from elementwise operations, which take half of the time that a head trains.
    """
    import keras
    import tensorflow as tf

    class FusedBatchNormalization(keras.layers.BatchNormalization):
        def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
            if not training or len(inputs.shape) != 4:
                return super().call(inputs, training=training, mask=mask)
            out, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
                x=inputs, scale=self.gamma, offset=self.beta, mean=tf.zeros(0), variance=tf.zeros(0),
                epsilon=self.epsilon, is_training=True,
            )  # fmt: skip
            for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(moving * self.momentum + batch * (1 - self.momentum))
            return out

    return FusedBatchNormalization


def _pool(keras: Any, step: Pool, name: str | None) -> Any:
    layer = {1: keras.layers.AveragePooling1D, 2: keras.layers.AveragePooling2D}[len(step.window)]
    window = step.window if len(step.window) > 1 else step.window[0]
    return layer(window, strides=window, name=name and f"{name}_pool")


def _convolution(
    keras: Any, step: Convolve, axes: int, name: str | None, *, use_bias: bool, activation: str | None
) -> Any:
    options = {"padding": "same", "strides": step.stride, "use_bias": use_bias, "activation": activation}
    if step.filters is None:
        layer = {1: keras.layers.DepthwiseConv1D, 2: keras.layers.DepthwiseConv2D}[axes]
        return layer(3, name=name and f"{name}_depthwise", **options)
    layer = {1: keras.layers.Conv1D, 2: keras.layers.Conv2D}[axes]
    return layer(step.filters, 1, name=name and f"{name}_pointwise", **options)
