"""No state: a sample leaves where an exit is sure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from eeaug.streams.rules import Heard, Lanes, Leaving, Parameter, State, StateField, sure

__all__ = ["Confidence"]


@dataclass(frozen=True, eq=False)
class Confidence:
    """``thresholds``: m, of every early exit; None is never."""

    thresholds: Sequence[Parameter | None]
    kind: ClassVar[str] = "confidence"
    alike: ClassVar[tuple[object, ...]] = ("confidence",)

    def fields(self, exits: int, outputs: int) -> tuple[StateField, ...]:
        return ()

    def leaves(self, k: int, heard: Heard, state: State, on: Lanes) -> Leaving:
        leaving = sure(self.thresholds, k, heard, on)
        return Leaving(leaving, np.zeros_like(leaving), heard.predicted)

    def settled(
        self, answer: NDArray[np.integer], remembered: Lanes, state: State, on: Lanes
    ) -> NDArray[np.integer]:
        return answer
