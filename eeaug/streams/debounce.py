"""Debounce: an answer changes only after m of n."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from eeaug.streams.rules import NOTHING, Heard, Lanes, Leaving, Rule, State, StateField

__all__ = ["Debounce"]


@dataclass(frozen=True, eq=False)
class Debounce:
    """What another decision answers, made stable.

    The class changes with a sample that ``of`` answers otherwise, if ``of`` has answered ``wanted`` of the last
    ``window`` samples so, this one among them; until then the class before stands. The first is answered at once.

    Parameters
    ----------
    of : the decision whose answers these are
    wanted, window : 1 ≤ wanted ≤ window
    """

    of: Rule
    wanted: int
    window: int
    kind: ClassVar[str] = "debounce"

    @property
    def alike(self) -> tuple[object, ...]:
        return self.kind, self.wanted, self.window, *self.of.alike

    def fields(self, exits: int, outputs: int) -> tuple[StateField, ...]:
        return (
            *self.of.fields(exits, outputs),
            StateField("history", "int16", self.window, NOTHING),
            StateField("shown", "int16", first=NOTHING),
        )

    def leaves(self, k: int, heard: Heard, state: State, on: Lanes) -> Leaving:
        return self.of.leaves(k, heard, state, on)

    def settled(
        self, answer: NDArray[np.integer], remembered: Lanes, state: State, on: Lanes
    ) -> NDArray[np.integer]:
        answer = self.of.settled(answer, remembered, state, on)
        history, shown = state["history"], state["shown"]
        moved = np.concatenate([np.broadcast_to(answer, np.shape(on))[..., None], history[..., :-1]], axis=-1)
        np.copyto(history, moved, where=on[..., None], casting="same_kind")
        often = (history == history[..., :1]).sum(axis=-1) >= self.wanted
        np.copyto(shown, answer, where=on & (often | (shown == NOTHING)), casting="same_kind")
        return shown.astype(np.int64)
