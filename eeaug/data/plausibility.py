"""Whether the given model and the data fit each other: what is wrong with the scale of samples shows in many ways.

A wrong preprocessing makes a good model a bad one, and exits that are trained on such data look like a great gain.
Samples from elsewhere (other patients, speakers, sensors) do the same, less. Neither can be told for sure, so all
that is found is said first, with both reasons.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.backbone.model import Classifier
from eeaug.cascade.outcomes import Outcomes
from eeaug.support.printable import shown
from eeaug.support.progress import DOUBT

__all__ = ["REASONS", "Seen", "doubts", "normalisation", "outdone", "overrated"]

REASONS = (
    "the samples are not prepared as in training (scale, mean, order of channels: preprocessing in .data.yaml), or "
    "they come from elsewhere (other people, devices, places)"
)
ERRORS = 3.0  # two shares differ if by so many standard errors,
OUTDONE, OVERRATED = 0.03, 0.10  # and by so large a share of the samples
# Of the values that a normalisation layer reads: their spread against that of training, and how far their mean is
# from that of training, in its spreads; medians over the channels. Right samples are within 1.06 and 0.05.
SPREAD, SHIFT = 1.6, 1.0
LEAST_SAMPLES = 48
LEAST_RANGE = 0.05  # of what a first Rescaling gives


@dataclass(frozen=True)
class Seen:
    """How many of some samples the given model is right on, and what they are called."""

    part: str
    right: float
    samples: int


def differ(a: Seen, b: Seen, least: float) -> bool:
    """Whether two shares are apart by ``least`` and by ERRORS standard errors (two proportions, pooled)."""
    pooled = (a.right * a.samples + b.right * b.samples) / (a.samples + b.samples)
    error = sqrt(pooled * (1 - pooled) * (1 / a.samples + 1 / b.samples))
    return abs(a.right - b.right) >= max(least, ERRORS * error)


def overrated(train: Seen, choose: Seen) -> str | None:
    """A model that knows the training samples much better."""
    if train.right <= choose.right or not differ(train, choose, OVERRATED):
        return None
    return (
        f"{DOUBT}the given model is right on {train.right:.1%} of {train.samples:,} {train.part} samples, but on "
        f"{choose.right:.1%} of the {choose.samples:,} {choose.part} samples: it has learnt the first by heart, or "
        "the others come from elsewhere (other people, devices, places) or are prepared in another way; x_val "
        "and x_test must be like the field"
    )


def doubts(outcomes: Outcomes, names: Sequence[str], train: Seen | None) -> Iterator[str]:
    """What is to be said once exits are trained, before one is chosen.

    Parameters
    ----------
    outcomes : of C exits and the final classifier on choose, with real labels
    names : the locations of the C exits
    train : the given model on training samples, if that is known
    """
    given = Seen("calibration", float(np.mean(outcomes.baseline == outcomes.labels)), outcomes.samples)
    sentences = outdone(outcomes, names), None if train is None else overrated(train, given)
    yield from (sentence for sentence in sentences if sentence is not None)


def outdone(outcomes: Outcomes, names: Sequence[str]) -> str | None:
    """An exit that is clearly better than the whole model (McNemar's test); ``names`` of the C exits."""
    given, best = outcomes.baseline == outcomes.labels, None
    for name, right in zip(names, outcomes.correct[:-1], strict=True):
        gained, lost = int((right & ~given).sum()), int((given & ~right).sum())
        clear = gained - lost > max(OUTDONE * outcomes.samples, ERRORS * sqrt(gained + lost))
        if clear and (best is None or gained - lost > best[0]):
            best = gained - lost, name, float(right.mean())
    if best is None:
        return None
    return (
        f"{DOUBT}an exit at {best[1]} is right on {best[2]:.1%} of the calibration samples, the whole given model "
        f"on {given.mean():.1%}: {REASONS}; the gain is then not real"
    )


def normalisation(classifier: Classifier, x: NDArray[np.float32], part: str = "") -> str | None:
    """What the first normalisation layer reads of real samples, against what it read in training.

    BatchNormalization keeps mean and variance of each channel as it saw them in training, Normalization as it was
    adapted: a cheap and strong sign of the samples' scale. ``x``: prepared samples (n, *input_shape). None: as in
    training, or there is no such layer.

    ``part``: its name, where only one is looked at.
    """
    where = f"{DOUBT}{part}: " if part else DOUBT
    if len(x) < LEAST_SAMPLES:
        return None
    begin = classifier.calls[0]
    if begin.kind == "Rescaling":
        scale = np.asarray(classifier.nodes[begin.name].operation.scale, np.float64)
        if np.ptp(x) > 0 and np.ptp(x) * np.abs(scale).max() < LEAST_RANGE:
            return (
                f"{where}the model begins with a Rescaling by {np.abs(scale).max():.3g}, but the samples go from "
                f"{x.min():.3g} to {x.max():.3g} only: they seem to be scaled already; take the scale out of the "
                "data or of its preprocessing"
            )
    first = next((c for c in classifier.calls if c.kind in ("BatchNormalization", "Normalization")), None)
    if first is None:
        return None
    layer = classifier.nodes[first.name].operation
    stored = _stored(layer)
    if stored is None:
        return None
    values = np.asarray(classifier.read_by(first.name, x), np.float64)
    axes = [layer.axis] if isinstance(layer.axis, int) else list(layer.axis or ())
    kept = {axis % values.ndim for axis in axes}
    over = tuple(a for a in range(values.ndim) if a not in kept)
    mean, variance = values.mean(axis=over).ravel(), values.var(axis=over).ravel()
    known_mean, known_variance = (np.broadcast_to(np.ravel(v), mean.shape) for v in stored)
    used = known_variance > 1e-12
    untrained = not known_mean.any() and bool((known_variance == 1).all())
    if not used.any() or untrained:
        return None
    spread = float(np.exp(np.median(np.log(np.sqrt((variance[used] + 1e-12) / known_variance[used])))))
    shift = float(np.median(np.abs(mean[used] - known_mean[used]) / np.sqrt(known_variance[used])))
    if 1 / SPREAD <= spread <= SPREAD and shift <= SHIFT:
        return None
    times = f"{spread:.3g} times" if spread >= 1 else f"1/{1 / spread:.3g}"
    differs = f"values spread {times} as widely as in its training"
    if 1 / SPREAD <= spread <= SPREAD:
        differs = f"means of values are {shift:.2g} standard deviations from those of its training"
    name = shown(first.name, 40)
    return f"{where}at the model's first normalisation layer ({name}) {differs}: {REASONS}"


def _stored(layer: Any) -> tuple[NDArray[np.floating], NDArray[np.floating]] | None:
    if type(layer).__name__ == "BatchNormalization":
        return np.asarray(layer.moving_mean), np.asarray(layer.moving_variance)
    mean, variance = getattr(layer, "mean", None), getattr(layer, "variance", None)
    return None if mean is None or variance is None else (np.asarray(mean), np.asarray(variance))
