"""What a cascade has decided of samples that ran through its stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.passage import Passage

__all__ = ["Decisions", "Predictions"]

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Decisions:
    """What a cascade decided: for n samples, the classifier that each left at, its class and confidence.

    ``reached[k]`` holds the confidences at classifier k of all samples that reached it, in their order.
    ``fallback`` (n,): they would have gone on to a server that did not answer in time; None: there is no server.
    ``unanswered``: what came last instead of an answer.
    """

    exits: NDArray[np.intp]
    predicted: NDArray[np.intp]
    confidence: Floats
    reached: tuple[Floats, ...]
    fallback: NDArray[np.bool_] | None = None
    unanswered: str | None = None

    @classmethod
    def of(cls, outcomes: Outcomes, thresholds: Sequence[float | None]) -> Decisions:
        """Of outcomes of m exits and the final classifier."""
        return cls.along(Passage(outcomes, thresholds))

    @classmethod
    def along(cls, passage: Passage) -> Decisions:
        """Of samples on their way."""
        return cls(passage.at, passage.predicted.astype(np.intp), passage.confidence, passage.reached)


@dataclass(frozen=True)
class Predictions:
    """What a cascade says of n samples.

    Parameters
    ----------
    classes : int (n,), numbers of the predicted classes; with several labels at once bool (n, labels)
    names : n names of these; with several labels n tuples of names
    confidences : float32 (n,), what was compared with the threshold where the sample left
    exits : int (n,), the stage at whose end it left, from 0; the last one is the model's own output
    probabilities : float32 (n, classes) that the decision was made by; with several labels one for each
    rows, outputs : of a bundle made with --blank: numbers (r,) of the samples that went on to the model, ascending,
        and what it gives of them by name, (r, ...) each; the others left as nothing. Else empty
    fallback : bool (n,), those that should have gone on to a server which did not answer in time: what the last
        classifier before it said stands instead
    unanswered : what came last from a server instead of an answer, with its address; None: it always answered
    """

    classes: NDArray[np.integer] | NDArray[np.bool_]
    names: tuple[str, ...] | tuple[tuple[str, ...], ...]
    confidences: Floats
    exits: NDArray[np.intp]
    probabilities: Floats
    rows: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, np.intp))
    outputs: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    fallback: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    unanswered: str | None = None

    def __len__(self) -> int:
        return len(self.exits)
