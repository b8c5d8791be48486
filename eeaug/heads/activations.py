"""Activations of dense layers and their slopes, by numpy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import pi, sqrt

import numpy as np
from numpy.typing import NDArray

__all__ = ["ACTIVATIONS"]

Values = NDArray[np.float32]


def _softmax(z: Values) -> Values:
    z = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(z / z.sum(axis=1, keepdims=True))


def _sigmoid(z: Values) -> Values:
    return np.asarray((1 + np.tanh(z / 2)) / 2, z.dtype)  # the logistic function without overflow


def _normal(z: Values) -> Values:
    """The normal distribution function; Abramowitz and Stegun 7.1.26, wrong by 1e-7 at most."""
    t = 1 / (1 + 0.3275911 * np.abs(z) / sqrt(2))
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return np.asarray((1 + np.sign(z) * (1 - series * np.exp(-z * z / 2))) / 2, z.dtype)


def _gelu_slope(z: Values) -> Values:
    return np.asarray(_normal(z) + z * np.exp(-z * z / 2) / sqrt(2 * pi), z.dtype)


def _elu(scale: float, alpha: float) -> tuple[Callable[[Values], Values], Callable[[Values], Values]]:
    def value(z: Values) -> Values:
        return np.asarray(scale * np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0))), z.dtype)

    def slope(z: Values) -> Values:
        return np.asarray(scale * np.where(z > 0, 1, alpha * np.exp(np.minimum(z, 0))), z.dtype)

    return value, slope


def _silu_slope(z: Values) -> Values:
    s = _sigmoid(z)
    return np.asarray(s * (1 + z * (1 - s)))


# name in Keras → (its values, its slope); outputs need no slope, their loss has it
ACTIVATIONS: Mapping[str, tuple[Callable[[Values], Values], Callable[[Values], Values]]] = {
    "softmax": (_softmax, _softmax),
    "sigmoid": (_sigmoid, lambda z: _sigmoid(z) * (1 - _sigmoid(z))),
    "linear": (lambda z: z, np.ones_like),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(z.dtype)),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "gelu": (lambda z: np.asarray(z * _normal(z)), _gelu_slope),
    "silu": (lambda z: np.asarray(z * _sigmoid(z)), _silu_slope),
    "elu": _elu(1.0, 1.0),
    "selu": _elu(1.0507009873554805, 1.6732632423543772),
}
