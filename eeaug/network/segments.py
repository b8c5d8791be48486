"""Costs of the segments of architectures: what Costs computes, choices compare and reports say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eeaug.settings import COSTS

__all__ = ["Segments"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Segments:
    """Costs of the segments of A architectures with m exits in one sequence of modes.

    Parameters
    ----------
    macs, time_s, energy_j : (A, m + 1); hand-over and wake-up at the start of a segment belong to it
    parameters_bytes, activation_bytes, handover_bytes : (A, m + 1), each in its processor's width
    modes : index of the mode of every segment, in Costs.modes
    late_s : (A, m + 1), what one hand-over in twenty takes at least besides its mean; None: 0 everywhere
    sleep_w, sleep_j : what all processors draw asleep, and in a whole period; 0: the period is not known
    """

    macs: Floats
    time_s: Floats
    energy_j: Floats
    parameters_bytes: Floats
    activation_bytes: Floats
    handover_bytes: Floats
    modes: tuple[int, ...]
    sleep_w: float = 0.0
    sleep_j: float = 0.0
    late_s: Floats | None = None

    @property
    def drawn_j(self) -> Floats:
        """Energy (A, m + 1) from one sample to the next: a segment draws what it takes more than sleep.

        Sleep for a whole period belongs to the first segment, which every sample runs through.
        """
        drawn = self.energy_j - self.sleep_w * self.time_s
        drawn[:, 0] += self.sleep_j
        return drawn

    def of(self, cost: str) -> Floats:
        """One of COSTS by its name, (A, m + 1)."""
        return np.asarray(getattr(self, COSTS[cost].field))

    @property
    def worst_latency_s(self) -> Floats:
        """(A,): every segment, head, hand-over and wake-up; hand-overs by the 95th percentile where it is known."""
        return np.asarray(self.slow_s.sum(axis=1))

    @property
    def slow_s(self) -> Floats:
        """(A, m + 1): times with late hand-overs."""
        return self.time_s if self.late_s is None else self.time_s + self.late_s
