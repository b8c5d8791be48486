"""An alarm on leave rates that a microcontroller can run: integers, and false alarms at most LEVEL, for ever.

At each exit that a sample reaches it leaves or goes on. Under the null hypothesis samples are drawn independently
from the distribution of the reference, so leaving has a fixed, unknown rate p there. The reference gives an
interval of p (Clopper and Pearson, "The use of confidence or fiducial limits", Biometrika 26, 1934); with
probability 1 - LEVEL / 2 all of them hold. Inside, bets on another rate cannot win in expectation:

- A bet on a rate q above the interval's end u multiplies its capital by q / u where a sample leaves and by
  (1 - q) / (1 - u) where it does not. The expectation is at most 1 for every p <= u; below the interval likewise.
- A bet begins with capital 1, and before the t-th sample w_t is put in, which sum to 1: (S + w_t) L is, with what
  is left to be put in, a nonnegative supermartingale that begins at 2. With probability 1 - a it never reaches
  2 / a (Ville 1939). Without w_t, capital that was lost in a long quiet time would hide a late shift; with them it
  costs log2 t + 2 log2 log2 t bits of evidence. On the device max(S, w_t) L stands for (S + w_t) L, which is less.

LEVEL / 2 is shared by all bets, exits and directions. Logarithms to base 2 are rounded against the alarm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log2
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade import shift

__all__ = ["BETS", "LEVEL", "SCALE", "LeaveAlarm", "floor_of", "of_reference"]

LEVEL = 0.01  # probability that there is ever an alarm where nothing has changed
ODDS = (1.5, 2.5, 6.0)  # of a bet's rate against those of the interval's end
BETS = 2 * len(ODDS)  # upwards, then downwards
SCALE = 4096  # of logarithms to base 2


@dataclass(frozen=True)
class LeaveAlarm:
    """What is compiled in.

    Parameters
    ----------
    points : names of operating points
    steps : int (points, exits, BETS, 2), what a bet gains where a sample goes on, and where it leaves
    limit : of evidence; at this there is an alarm
    """

    points: tuple[str, ...]
    steps: NDArray[np.int64]
    limit: int


def of_reference(reference: Mapping[str, Any], points: Sequence[str], exits: int) -> LeaveAlarm:
    """The alarm for the reference of a manifest (shift.recorded) at these operating points."""
    steps = np.zeros((len(points), exits, BETS, 2), np.int64)
    error = LEVEL / 2 / (2 * max(exits, 1) * len(points))
    for i, name in enumerate(points):
        for k, moments in enumerate(shift.read(reference, name)[:exits]):
            low, high = _interval(moments.left.samples, moments.reached.samples, error)
            for j, odds in enumerate(ODDS):
                steps[i, k, j] = _steps(high, odds)
                steps[i, k, len(ODDS) + j] = _steps(low, 1 / odds)
    return LeaveAlarm(tuple(points), steps, ceil(SCALE * log2(2 * BETS * max(exits, 1) / (LEVEL / 2))))


def floor_of(sample: int) -> int:
    """log2 of w_t of the sample of this number, from 1.

    The numbers with t + 1 of b binary digits share 1 / (b (b - 1)), so that all of them sum to 1.
    """
    digits = (sample + 1).bit_length()
    return floor(SCALE * (1 - digits - log2(digits * (digits - 1))))


def _interval(left: float, reached: float, error: float) -> tuple[float, float]:
    """Clopper and Pearson's limits of a rate, each wrong with at most this probability."""
    from scipy import special

    if reached <= 0:
        return 0.0, 1.0
    stayed = max(reached - left, 0.0)
    low = float(special.betaincinv(left, stayed + 1, error)) if left > 0 else 0.0
    high = float(special.betaincinv(left + 1, stayed, 1 - error)) if stayed > 0 else 1.0
    return low, high


def _steps(end: float, odds: float) -> tuple[int, int]:
    """Of a bet that the rate's odds are so many times those of ``end``; none where there is nothing beyond it."""
    if not 0 < end < 1:
        return 0, 0
    rate = odds * end / (1 - end + odds * end)
    return floor(SCALE * log2((1 - rate) / (1 - end))), floor(SCALE * log2(rate / end))
