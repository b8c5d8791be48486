"""A convolutional head in training: TensorFlow's own operations on one vector that holds all of its weights.

Keras updates every weight with a dozen small operations; they cost as much as a third of a head's forward and
backward pass. Here they are one vector's, and the statistics of batch normalisation are taken once, at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.heads.layers import Convolve, Dense, Head, Pool, Residual, convolutions

__all__ = ["Trainee"]

BN_EPSILON = 1e-3
FIRST, SECOND, EPSILON = 0.9, 0.999, 1e-7  # Adam's (Kingma and Ba 2015, algorithm 1)
# x → ax + bx³ + cx⁵ brings singular values near to one within a few rounds (Jordan et al. 2024, "Muon")
ROUNDS, POLYNOMIAL = 5, (3.4445, -4.7750, 2.0315)
TURNED = 3.0  # learning rate of orthogonal updates, as a multiple of Adam's

Values = NDArray[np.float32]
Moments = tuple[NDArray[np.float64], NDArray[np.float64]]  # mean and variance of every channel


@dataclass(frozen=True)
class _Weight:
    """A tensor of the vector; at first uniform within √(6 / ``fans``) (Glorot and Bengio 2010), or ``start``.

    ``turned``: a matrix (all axes but the last, last) whose updates are made orthogonal.
    """

    shape: tuple[int, ...]
    fans: int = 0
    start: float = 0.0
    turned: bool = False

    def first(self, rng: np.random.Generator) -> Values:
        if not self.fans:
            return np.full(prod(self.shape), self.start, np.float32)
        limit = sqrt(6 / self.fans)
        return rng.uniform(-limit, limit, prod(self.shape)).astype(np.float32)


class Trainee:
    """A head with batch normalisation after its convolutions.

    ``scale`` brings the map to unit size, so that one learning rate fits every location; ``decay``: of the weights,
    as a share of every update's learning rate (Loshchilov and Hutter 2019).
    """

    def __init__(self, head: Head, scale: np.float32, decay: float, rng: np.random.Generator) -> None:
        import tensorflow as tf

        self.head, self.scale, self.decay = head, scale, np.float32(decay)
        self.weights = list(_weights(head))
        values = np.concatenate([weight.first(rng) for weight in self.weights])
        self.values = tf.Variable(values)
        self.first, self.second = tf.Variable(np.zeros_like(values)), tf.Variable(np.zeros_like(values))
        self._moments = tf.function(lambda x: self.logits(x)[1], reduce_retracing=True)

    def step(self, x: Any, y: Any, rate: Any, at: Any) -> None:
        """Learn from maps (n, *shape), float32, and the probabilities that they should get, (n, outputs).

        Call it in a ``tf.function``. ``rate``: the learning rate; ``at``: the number of the step, from 1.
        """
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(_losses(self.head, y, self.logits(x)[0]))
        gradient = tape.gradient(loss, self.values)
        first = self.first.assign(FIRST * self.first + (1 - FIRST) * gradient)
        second = self.second.assign(SECOND * self.second + (1 - SECOND) * gradient * gradient)
        even = tf.sqrt(1 - tf.pow(SECOND, at)) / (1 - tf.pow(FIRST, at))
        adam = self._parts(even * first / (tf.sqrt(second) + EPSILON))
        ahead = self._parts(FIRST * first + (1 - FIRST) * gradient)
        parts = [
            TURNED * _orthogonal(there) if weight.turned else here
            for weight, here, there in zip(self.weights, adam, ahead, strict=True)
        ]
        update = tf.concat([tf.reshape(part, [-1]) for part in parts], 0)
        self.values.assign_sub(rate * (update + self.decay * self.values))

    def logits(self, x: Any) -> tuple[Any, list[tuple[Any, Any]]]:
        """Of maps (n, *shape): (n, outputs), and the moments that every batch normalisation has seen."""
        import tensorflow as tf

        rest, seen = iter(self._parts(self.values)), []
        flat = len(self.head.location.shape) == 2  # a signal is a map of width one

        def convolved(convolution: Convolve, z: Any) -> Any:
            z = _convolved(convolution, z, next(rest), flat=flat)
            if convolution.then:
                z, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
                    x=z, scale=next(rest), offset=next(rest), mean=tf.zeros(0), variance=tf.zeros(0),
                    epsilon=BN_EPSILON, is_training=True,
                )  # fmt: skip
                samples = tf.cast(tf.size(z) // z.shape[-1], tf.float32)
                seen.append((mean, variance * (1 - 1 / samples)))  # TensorFlow gives that over samples − 1
            return tf.nn.relu(z) if convolution.then == "relu" else z

        z = self.scale * x
        z = z[:, :, None] if flat else z
        for step, before, _ in self.head.shapes():
            if isinstance(step, Pool):
                window = (*step.window, 1)[:2]
                z = tf.nn.avg_pool2d(z, window, window, "VALID") if step.window else z
            elif isinstance(step, Residual):
                first, second, *shortcut = (convolution for convolution, _ in step.parts(before))
                branch = convolved(second, convolved(first, z))
                z = tf.nn.relu(branch + (convolved(shortcut[0], z) if shortcut else z))
            elif isinstance(step, Convolve):
                z = convolved(step, z)
            else:
                z = tf.reshape(z, [-1, prod(before)]) @ next(rest) + next(rest)
                z = z if step is self.head.steps[-1] else _activation(step)(z)
        return z, seen

    def folded(self, batches: Iterator[Values]) -> tuple[Values, ...]:
        """Weights of the deployed head: batch normalisation goes into kernel and bias of its convolution.

        ``batches`` of maps (n, *shape), float32, of which its statistics are.
        """
        moments = iter(self.moments(batches))
        ends = np.cumsum([prod(weight.shape) for weight in self.weights])
        parts = np.split(self.values.numpy().astype(np.float64), ends[:-1])
        rest = (part.reshape(weight.shape) for part, weight in zip(parts, self.weights, strict=True))
        out: list[NDArray[np.floating]] = []
        axes = len(self.head.location.shape) - 1

        for step, before, _ in self.head.shapes():
            for convolution, _ in convolutions(step, before):
                kernel = next(rest)
                kernel = kernel.reshape((convolution.width,) * axes + kernel.shape[2:])
                factor, bias = np.ones(1), np.zeros(kernel.shape[-1] if convolution.filters else kernel.shape[-2])
                if convolution.then:
                    gamma, beta, (mean, variance) = next(rest), next(rest), next(moments)
                    factor = gamma / np.sqrt(variance + BN_EPSILON)
                    bias = beta - mean * factor
                # depthwise kernels end in (channels, 1)
                out += [kernel * factor if convolution.filters else kernel * factor[:, None], bias]
            if isinstance(step, Dense):
                out += [next(rest), next(rest)]
        out[0] = out[0] * np.float64(self.scale)  # the layer that reads the map itself
        return tuple(np.asarray(w, np.float32) for w in out)

    def moments(self, batches: Iterator[Values]) -> list[Moments]:
        """Mean and variance before every batch normalisation over all these maps."""
        count = 0
        sums: list[NDArray[np.float64]] = []
        for x in batches:
            seen = [(np.asarray(m, np.float64), np.asarray(v, np.float64)) for m, v in self._moments(x)]
            parts = [len(x) * np.array([mean, variance + mean**2]) for mean, variance in seen]
            sums = [a + b for a, b in zip(sums, parts, strict=True)] if count else parts
            count += len(x)
        return [(mean, square - mean**2) for mean, square in (pair / count for pair in sums)]

    def _parts(self, vector: Any) -> list[Any]:
        import tensorflow as tf

        parts = tf.split(vector, [prod(weight.shape) for weight in self.weights])
        return [tf.reshape(part, weight.shape) for part, weight in zip(parts, self.weights, strict=True)]


def _weights(head: Head) -> Iterator[_Weight]:
    """In the order in which :meth:`Trainee.logits` takes them; kernels with two axes of space."""
    for step, before, _ in head.shapes():
        for convolution, read in convolutions(step, before):
            window = [convolution.width] * (len(read) - 1)
            channels = convolution.shape(read)[-1]
            kernel = (*(*window, 1)[:2], read[-1], convolution.filters or 1)
            fans = prod(window) * ((read[-1] if convolution.filters else 1) + kernel[-1])
            yield _Weight(kernel, fans, turned=convolution.filters is not None)
            if convolution.then:
                yield _Weight((channels,), start=1.0)
                yield _Weight((channels,))
        if isinstance(step, Dense):
            yield _Weight((prod(before), step.units), prod(before) + step.units)
            yield _Weight((step.units,))


def _convolved(convolution: Convolve, z: Any, kernel: Any, *, flat: bool) -> Any:
    import tensorflow as tf

    stride = convolution.stride
    if convolution.filters is None:
        return tf.nn.depthwise_conv2d(z, kernel, [1, stride, stride, 1], "SAME")
    if convolution.width > 1:
        return tf.nn.conv2d(z, kernel, [1, stride, 1 if flat else stride, 1], "SAME")
    if stride > 1:  # not TensorFlow's: its gradient writes past its memory, see keras_head.trainable_strides
        z = z[:, ::stride, ::stride]
    shape = [-1, *z.shape[1:3], kernel.shape[-1]]
    return tf.reshape(tf.reshape(z, [-1, z.shape[-1]]) @ kernel[0, 0], shape)


def _orthogonal(update: Any) -> Any:
    """The update (..., columns) as a matrix with singular values near one, in a few Newton-Schulz rounds.

    All its directions then learn at one pace; Jordan et al. 2024, with their scale by shape.
    """
    import tensorflow as tf

    matrix = tf.reshape(update, [-1, update.shape[-1]])
    tall = matrix.shape[0] > matrix.shape[1]
    # with x = u / ⁴√c the polynomial is u (a + (b / √c) u² + u⁴): two constants to add
    a, b, c = POLYNOMIAL
    linear, cubic = (tf.eye(min(matrix.shape)) * factor for factor in (a, b / sqrt(c)))
    turned = matrix * (c**0.25 / (tf.norm(matrix) + EPSILON))
    for _ in range(ROUNDS):
        gram = tf.matmul(turned, turned, transpose_a=tall, transpose_b=not tall)
        factor = tf.matmul(gram + cubic, gram) + linear
        turned = turned @ factor if tall else factor @ turned
    return turned * (sqrt(max(1, matrix.shape[1] / matrix.shape[0])) / c**0.25)


def _activation(step: Dense) -> Any:
    import keras

    return keras.activations.get(step.activation)


def _losses(head: Head, y: Any, logits: Any) -> Any:
    """Cross entropy of logits (n, outputs) with target probabilities, one number per sample."""
    import tensorflow as tf

    if head.dense[-1].activation == "softmax":
        return tf.nn.softmax_cross_entropy_with_logits(y, logits)
    return tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(y, logits), axis=-1)
