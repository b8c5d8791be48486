"""A later decision that hears what the earlier classifiers said of the same sample.

Classifier k decides by q_k, with log q_k = Σ_{j ≤ k} w_kj · log p_j up to a constant: a product of experts
(Hinton 2002, equation 1) with weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.output import Decision

__all__ = ["combined", "logs", "of_logs"]

Probabilities = NDArray[np.float32]


def combined(answers: Sequence[Probabilities], weights: Sequence[float], decision: Decision) -> Probabilities:
    """What the last of these classifiers says, hearing the others: (n, outputs) float32 of (n, outputs) each."""
    if len(answers) == 1:
        return answers[0]
    return of_logs([logs(p, decision) for p in answers], weights, decision)


def logs(p: Probabilities, decision: Decision) -> Probabilities:
    """What a classifier's answer (n, outputs) counts with: logarithms of its distributions."""
    at_least = np.maximum(decision.distributions(p), float(decision.floor))  # rounded to float32 by NumPy
    return np.asarray(np.log(at_least, out=at_least), np.float32)


def of_logs(each: Sequence[Probabilities], weights: Sequence[float], decision: Decision) -> Probabilities:
    """:func:`combined` of the :func:`logs` of two answers or more."""
    z = float(weights[0]) * each[0]
    for values, w in zip(each[1:], weights[1:], strict=True):
        z += float(w) * values
    z -= np.maximum.reduce(z, axis=-1, keepdims=True)
    np.exp(z, out=z)
    z /= np.add.reduce(z, axis=-1, keepdims=True)
    return z if decision.kind == "softmax" else np.asarray(z[..., 1])
