"""Measures of confidence: how sure a distribution over classes is.

NumPy is imported where a measure is computed: reports and options only want the names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["KINDS", "MEASURES", "Measure", "margin"]

KINDS = ("softmax", "binary", "multilabel", "blank")  # of output.Decision


def _largest(p: NDArray[np.floating]) -> NDArray[np.floating]:
    import numpy as np

    return np.asarray(p.max(axis=-1))


def margin(p: NDArray[np.floating]) -> NDArray[np.floating]:
    """Of distributions (..., K): the largest probability less the second, (...)."""
    import numpy as np

    largest = np.partition(p, -2, axis=-1)
    return np.asarray(largest[..., -1] - largest[..., -2])


def _entropy(p: NDArray[np.floating]) -> NDArray[np.floating]:
    import numpy as np

    terms = p * np.log(np.maximum(p, np.finfo(np.float32).tiny))
    # summed in float64 and clipped, so that certainty is exactly 1 in every runtime
    return np.asarray(np.clip(1 + terms.sum(axis=-1, dtype=np.float64) / log(p.shape[-1]), 0, 1))


@dataclass(frozen=True)
class Measure:
    """How sure a distribution is.

    Parameters
    ----------
    of : distributions (..., K) → (...)
    steepest : how much more than the probabilities it may be off
    """

    of: Callable[[NDArray[np.floating]], NDArray[np.floating]]
    steepest: float


MEASURES: Mapping[str, Measure] = {
    "max-softmax": Measure(_largest, 1),
    "margin": Measure(margin, 2),
    "entropy": Measure(_entropy, 7),  # −p · ln p is steep where p is small
}
