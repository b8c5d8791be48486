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

    ``outcomes`` are on choose, ``certify`` on the part of that name, if there is one. ``answers`` gives a head's
    probabilities on choose, those of −1 are the given model's; None where they are not known. ``seen``: how the
    given model does on training samples; None: not known.
    """

    trained: tuple[training.Trained, ...]
    outcomes: Outcomes
    certify: Outcomes | None
    heads_trained: int
    answers: Callable[[int], NDArray[np.float32] | None] = lambda _: None
    seen: Seen | None = None


@dataclasses.dataclass(frozen=True)
class Search:
    """Trained heads in the order of the outcomes' rows; outcomes on choose and certify; prepared samples.

    ``answers``: probabilities on choose of exits that use each other, by index, those of −1 the given model's.
    """

    trained: tuple[Trained, ...]
    outcomes: Outcomes
    certify: Outcomes | None
    x: NDArray[np.float32]
    answers: Mapping[int, NDArray[np.float32]] = dataclasses.field(default_factory=dict)
