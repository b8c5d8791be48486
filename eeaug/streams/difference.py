"""Difference detection: the last answer stands while the first exit says about the same.

Sponner et al., "Temporal Decisions: Leveraging Temporal Correlation for Efficient Decisions in Early Exit Neural
Networks" (2024), compare with the sample that last went to the end. Here it is the last one that was answered
without memory, wherever it left: else an answer of a scene that has passed comes back in the next one. Their
distance is Euclidean; the largest difference used here is the same number in every runtime.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from eeaug.streams.rules import NOTHING, Heard, Lanes, Leaving, Parameter, State, StateField, sure

__all__ = ["DifferenceDetection"]


@dataclass(frozen=True, eq=False)
class DifferenceDetection:
    """A sample that the first exit is not sure of is answered as the last one that was answered without memory.

    That is, while no probability of the first exit differs by more than ``distance`` from what it was there, and
    that sample is fewer than ``most`` samples ago: of ``most`` in a row one at least is answered without memory.

    Parameters
    ----------
    thresholds : m, of every early exit; None is never
    distance : largest absolute difference of probabilities, compared as float32
    most : in samples, 1 (no memory) to 65,535
    """

    thresholds: Sequence[Parameter | None]
    distance: Parameter
    most: Parameter
    kind: ClassVar[str] = "difference"
    alike: ClassVar[tuple[object, ...]] = ("difference",)

    def fields(self, exits: int, outputs: int) -> tuple[StateField, ...]:
        return (
            StateField("reference", "probability", outputs),
            StateField("last", "int16", first=NOTHING),
            StateField("age", "uint16"),
        )

    def leaves(self, k: int, heard: Heard, state: State, on: Lanes) -> Leaving:
        leaving = sure(self.thresholds, k, heard, on)
        if k:
            return Leaving(leaving, np.zeros_like(leaving), heard.predicted)
        assert heard.p is not None, "the probabilities of the first exit"
        reference, last = state["reference"], state["last"]
        far = np.abs(heard.p - reference).max(axis=-1)
        near = (far <= np.asarray(self.distance, np.float32)) & (last != NOTHING)
        remembered = on & ~leaving & near & (state["age"] + np.int64(1) < np.asarray(self.most, np.int64))
        np.copyto(reference, heard.p, where=(on & ~remembered)[..., None])
        return Leaving(leaving, remembered, np.where(remembered, last, heard.predicted))

    def settled(
        self, answer: NDArray[np.integer], remembered: Lanes, state: State, on: Lanes
    ) -> NDArray[np.integer]:
        np.copyto(state["last"], answer, where=on & ~remembered, casting="same_kind")
        np.copyto(state["age"], np.where(remembered, state["age"] + 1, 0), where=on, casting="same_kind")
        return answer
