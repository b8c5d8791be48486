"""Trained heads with their outcomes: as a search has found them, as a bundle keeps them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.outcomes import Outcomes
from eeaug.data.plausibility import Seen
from eeaug.heads import training
from eeaug.heads.training import Trained

__all__ = ["Candidates", "Search"]


@dataclass(frozen=True)
class Candidates:
    """Trained heads ordered by location, then cost; their outcomes, the final classifier last.

    ``screen`` are on the part of that name, which no head was trained on, ``outcomes`` on choose. ``answers`` gives
    a head's probabilities on choose, ``screen_answers`` on screen; those of −1 are the given model's; None where
    they are not known. ``seen``: how the given model does on training samples; None: not known.
    """

    trained: tuple[training.Trained, ...]
    screen: Outcomes
    outcomes: Outcomes
    heads_trained: int
    screen_answers: Callable[[int], NDArray[np.float32] | None] = lambda _: None
    answers: Callable[[int], NDArray[np.float32] | None] = lambda _: None
    seen: Seen | None = None


@dataclasses.dataclass(frozen=True)
class Search:
    """Trained heads in the order of the outcomes' rows; outcomes on screen and choose; prepared samples.

    ``screen_answers`` and ``answers``: probabilities on screen and on choose of exits that use each other, by
    index, those of −1 the given model's. ``path``: thresholds of the bundle's exits from the safest step to the
    loosest, as screen has fixed it; empty where they were not chosen along one.
    """

    trained: tuple[Trained, ...]
    screen: Outcomes
    outcomes: Outcomes
    x: NDArray[np.float32]
    screen_answers: Mapping[int, NDArray[np.float32]] = dataclasses.field(default_factory=dict)
    answers: Mapping[int, NDArray[np.float32]] = dataclasses.field(default_factory=dict)
    path: tuple[tuple[float | None, ...], ...] = ()
