"""Temperature scaling: one number per head, so that its confidences are its accuracy.

Guo et al. 2017, "On calibration of modern neural networks", section 4.2: logits are divided by a T > 0 that
minimises the negative log-likelihood of labels which the head was not trained on. Probabilities are enough: the
logarithm of a softmax gives the logits up to a constant, which a softmax does not see.

A float32 probability says nothing of logits where it is saturated: what is below 1.2e-38 (softmax) or within 3e-8
of 0 or 1 (sigmoid) is taken as just that. Where a head is so sure and T > 1, the head itself with T folded into it
stays surer than :func:`tempered` can know.
"""

from __future__ import annotations

from math import inf, sqrt

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.output import Decision

__all__ = ["LIMIT", "calibration_error", "cross_entropy", "temperature", "tempered"]

LIMIT = 20.0  # temperatures are from 1 / LIMIT to LIMIT
Floats = NDArray[np.float64]
Probabilities = NDArray[np.float32]

_PRECISION = 1e-6  # of T, relative
_STEPS = 50  # of Newton's method and bisection; six are usual
_CELLS = 1 << 16  # what fits a processor's cache is worked on at once
_SURE_SIGMOID = 2.0**-25  # half a step of float32 below 1


def temperature(
    probabilities: Probabilities, codes: NDArray[np.integer], decision: Decision, weights: Floats | None = None
) -> float:
    """The T that minimises the (weighted) negative log-likelihood of the labels; above 1: was too sure.

    Convex in 1 / T: Newton's method, kept between what is known to be too small and too large. O(n · outputs).

    Parameters
    ----------
    probabilities : (n, outputs)
    codes : int (n,), labels as :class:`Decision` codes them; for several labels the sum over them is minimised
    weights : (n,) or None, what each sample counts

    Returns
    -------
    float in [1 / LIMIT, LIMIT]. A head that gives every label the largest probability has no best T, the smaller
    the better: it gets 1 / LIMIT, at which most confidences are 1 in float32 and so no longer differ. A head
    that is worse than guessing gets LIMIT. 1 where nothing depends on T (no samples, or all outputs equal).
    """
    logits = _logits(probabilities, decision)
    true = codes if decision.kind == "softmax" else decision.targets(codes).ravel()
    # relative to the label's logit, so that no likelihood is a difference of large numbers
    logits -= np.take_along_axis(logits, true.astype(np.intp)[:, None], axis=-1)
    counts = np.ones(len(codes)) if weights is None else weights
    counts = np.repeat(counts, len(logits) // max(len(codes), 1))
    below, above, beta, step = 0.0, inf, 1.0, inf  # of 1 / T
    for _ in range(_STEPS):
        slope, curvature = _slope(logits, counts, beta)
        if slope == 0:
            break
        below, above = (below, beta) if slope > 0 else (beta, above)
        following = beta - slope / max(curvature, 1e-300)
        if not below < following < above or abs(following - beta) > step / 2:
            # Newton's step helps little here: bisect, or go to the end of a side where nothing was tried
            following = sqrt(below * above)
        following = min(max(following, 1 / LIMIT), LIMIT)
        step, beta = abs(following - beta), following
        if step <= _PRECISION * beta:
            break
    return 1 / beta


def tempered(probabilities: Probabilities, decision: Decision, temperature: float) -> Probabilities:
    """Probabilities (n, outputs) at a temperature, float32; every predicted class stays what it was.

    Between two classes the order of the samples' confidences stays too (some may become equal), else it need not.
    """
    logits = _logits(probabilities, decision) / temperature
    logits -= logits.max(axis=-1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=-1, keepdims=True)
    if decision.kind != "softmax":
        p = logits[:, 1].reshape(probabilities.shape).astype(np.float32)
        # rounding must not raise a probability just below 1/2 to it: the class would change
        return np.where(probabilities < 0.5, np.minimum(p, np.nextafter(np.float32(0.5), np.float32(0))), p)
    p = logits.astype(np.float32)
    # rounding must not make an earlier class equal to the largest: the class would change
    winner = probabilities.argmax(axis=-1)
    (tied,) = np.nonzero(p.argmax(axis=-1) != winner)
    p[tied, winner[tied]] = np.nextafter(p[tied].max(axis=-1), np.float32(1))
    return p


def cross_entropy(probabilities: Probabilities, codes: NDArray[np.integer], decision: Decision) -> float:
    """The mean negative log-likelihood of labels ``codes`` (n,), in nats; of several labels their sum.

    Parameters
    ----------
    probabilities : (n, outputs)
    """
    logits = _logits(probabilities, decision)  # of distributions: their logarithms
    true = codes if decision.kind == "softmax" else decision.targets(codes).ravel()
    right = np.take_along_axis(logits, true.astype(np.intp)[:, None], axis=-1)
    return -float(right.sum()) / max(1, len(codes))


def calibration_error(
    probabilities: Probabilities,
    codes: NDArray[np.integer],
    decision: Decision,
    weights: Floats | None = None,
    bins: int = 15,
) -> float:
    """Expected calibration error: mean over bins of |share right − mean probability of what was predicted|.

    Guo et al. 2017, equation 3, with bins that hold equally many samples (equal weight); equal probabilities
    share a bin. Several labels count as that many predictions.
    """
    sure = decision.distributions(probabilities).max(axis=-1).ravel().astype(np.float64)
    predicted = decision.answers(probabilities)[1]
    if decision.kind == "softmax":
        right = predicted == codes
    else:
        right = (decision.targets(predicted) == decision.targets(codes)).ravel()
    counts = np.ones(len(codes)) if weights is None else weights
    counts = np.repeat(counts, len(sure) // max(len(codes), 1))
    _, group = np.unique(sure, return_inverse=True)
    mass = np.bincount(group, counts)
    middle = (mass.cumsum() - mass / 2) / counts.sum()
    bin_of = np.minimum((middle * bins).astype(np.intp), bins - 1)[group]
    gaps = np.bincount(bin_of, counts * (right - sure))
    return float(np.abs(gaps).sum() / counts.sum())


def _logits(probabilities: Probabilities, decision: Decision) -> Floats:
    """Logits up to a constant per row: (n, classes), or (n · outputs, 2) of sigmoids; float64."""
    least = float(np.finfo(np.float32).tiny) if decision.kind == "softmax" else _SURE_SIGMOID
    p = decision.distributions(probabilities.astype(np.float64))
    return np.asarray(np.log(np.maximum(p, least)).reshape(-1, p.shape[-1]))


def _slope(logits: Floats, counts: Floats, beta: float) -> tuple[float, float]:
    """First and second derivative by 1 / T of the negative log-likelihood; the label's logits are 0."""
    slope = curvature = 0.0
    size = max(1, _CELLS // logits.shape[-1])
    for start in range(0, len(logits), size):
        z, count = logits[start : start + size], counts[start : start + size]
        p = z * beta
        p -= p.max(axis=-1, keepdims=True)
        np.exp(p, out=p)
        total = p.sum(axis=-1)
        p *= z
        mean = p.sum(axis=-1) / total
        square = np.einsum("nk,nk->n", p, z) / total
        slope += float(count @ mean)
        curvature += float(count @ (square - mean**2))
    return slope, curvature
