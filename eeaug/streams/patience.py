"""Temporal patience: an exit that says the same several times in a row leaves with a lower threshold.

After Sponner et al., "Temporal Decisions" (2024).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from eeaug.streams.rules import NOTHING, Heard, Lanes, Leaving, Parameter, State, StateField, sure

__all__ = ["MOST_TIMES", "Patience"]

MOST_TIMES = 255  # in a row that are counted: they have a byte


@dataclass(frozen=True, eq=False)
class Patience:
    """An exit that gives the samples which reach it the same class ``times`` times in a row has lower thresholds.

    Parameters
    ----------
    thresholds : m, of every early exit; None is never
    lower : m, those then
    times : this sample is one of them: 1 to MOST_TIMES
    most : of so many samples in a row one at least leaves without the lower thresholds, 1 to 65,535
    """

    thresholds: Sequence[Parameter | None]
    lower: Sequence[Parameter | None]
    times: Parameter
    most: Parameter
    kind: ClassVar[str] = "patience"
    alike: ClassVar[tuple[object, ...]] = ("patience",)

    def fields(self, exits: int, outputs: int) -> tuple[StateField, ...]:
        return (
            StateField("said", "int16", exits, NOTHING),
            StateField("age", "uint16"),
            StateField("times", "uint8", exits),
        )

    def leaves(self, k: int, heard: Heard, state: State, on: Lanes) -> Leaving:
        kept, times = state["said"][..., k], state["times"][..., k]
        row = np.where(heard.predicted == kept, np.minimum(times + np.int64(1), MOST_TIMES), 1)
        np.copyto(times, row, where=on, casting="unsafe")
        np.copyto(kept, heard.predicted, where=on, casting="same_kind")
        leaving = sure(self.thresholds, k, heard, on)
        patient = on & (row >= np.asarray(self.times, np.int64))
        patient &= state["age"] + np.int64(1) < np.asarray(self.most, np.int64)
        return Leaving(leaving, ~leaving & sure(self.lower, k, heard, patient), heard.predicted)

    def settled(
        self, answer: NDArray[np.integer], remembered: Lanes, state: State, on: Lanes
    ) -> NDArray[np.integer]:
        np.copyto(state["age"], np.where(remembered, state["age"] + 1, 0), where=on, casting="same_kind")
        return answer
