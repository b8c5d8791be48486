"""A later decision that hears what the earlier classifiers said of the same sample.

Classifier k decides by q_k, with log q_k = Σ_{j ≤ k} w_kj · log p_j up to a constant: a product of experts
(Hinton 2002, equation 1) with weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.output import Decision

__all__ = ["combined"]

Probabilities = NDArray[np.float32]


def combined(answers: Sequence[Probabilities], weights: Sequence[float], decision: Decision) -> Probabilities:
    """What the last of these classifiers says, hearing the others: (n, outputs) float32 of (n, outputs) each."""
    if len(answers) == 1:
        return answers[0]
    logs = [np.float32(w) * _logs(p, decision) for p, w in zip(answers, weights, strict=True)]
    probabilities = _softmax(sum(logs[1:], logs[0]))
    return probabilities if decision.kind == "softmax" else np.asarray(probabilities[..., 1])


def _logs(p: Probabilities, decision: Decision) -> Probabilities:
    return np.asarray(np.log(np.maximum(decision.distributions(p), np.float32(decision.floor))), np.float32)


def _softmax(z: NDArray[np.floating]) -> NDArray[np.floating]:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))
