"""The optimum of a smooth function: limited-memory BFGS.

Nocedal and Wright, "Numerical Optimization" (2006), algorithms 7.4 and 7.5, with a preconditioner in place of the
multiple of the identity that they begin with (their H₀) and steps that are halved until they bring enough (3.1).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["Descent"]

Vector = NDArray[np.float32]
PAIRS = 10  # of steps and what they changed of the gradient, that the curvature is known by
PAIRED_VALUES = 20_000_000  # numbers that they may hold: fewer pairs where weights are many
ENOUGH = 1e-4  # of what the slope promises, a step has to bring
ROUNDING = 1e-7  # of the value, relative: where a step promises less, there is nothing more to be had


class Descent:
    """A minimisation that asks for one value and one gradient at a time.

    Evaluate the function at ``trial`` and give what it is there to :meth:`take`, as long as ``going``. ``at`` is
    the best point so far, ``value`` what the function is there.
    """

    def __init__(self, start: Vector, preconditioned: Callable[[Vector], Vector]) -> None:
        """``preconditioned``: a gradient times about the inverse of the curvature."""
        self.at = self.trial = start
        self.value, self.going = np.inf, True
        self._preconditioned = preconditioned
        self._gradient = self._direction = np.zeros_like(start)
        self._pairs: deque[tuple[Vector, Vector, float]] = deque(
            maxlen=max(2, min(PAIRS, PAIRED_VALUES // (2 * max(1, start.size))))
        )
        self._scale, self._step, self._slope = 1.0, 1.0, 0.0

    def restart(self) -> None:
        """Go on from the best point on another function of about the same curvature."""
        self.trial, self.value, self.going = self.at, np.inf, True

    def take(self, value: float, gradient: Vector) -> bool:
        """Whether ``trial`` was an improvement; the next one is set."""
        if self.value < np.inf and not value <= self.value - ENOUGH * self._step * self._slope:
            self._step /= 2
            self.going = self._promises()
            self.trial = self.at - np.float32(self._step) * self._direction
            return False
        if self.value < np.inf:  # else there is nothing to compare with
            moved, bent = self.trial - self.at, gradient - self._gradient
            curvature = float(moved @ bent)
            if curvature > 1e-9 * float(bent @ bent):
                self._pairs.append((moved, bent, curvature))
                self._scale = curvature / float(bent @ self._preconditioned(bent))
            else:  # bent the other way: the minimum is far from here
                self._scale *= 2
        self.at, self.value, self._gradient = self.trial, value, gradient
        self._direction = self._towards(gradient)
        self._slope, self._step = float(gradient @ self._direction), 1.0
        self.going = self._promises()
        self.trial = self.at - self._direction
        return True

    def _promises(self) -> bool:
        return self._step * self._slope > ROUNDING * abs(self.value)

    def _towards(self, gradient: Vector) -> Vector:
        """The inverse of the curvature, as far as it is known, times the gradient (algorithm 7.4)."""
        rest, weights = gradient.copy(), []
        for moved, bent, curvature in reversed(self._pairs):
            weight = float(moved @ rest) / curvature
            rest -= np.float32(weight) * bent
            weights.append(weight)
        direction = np.float32(self._scale) * self._preconditioned(rest)
        for (moved, bent, curvature), weight in zip(self._pairs, reversed(weights), strict=True):
            direction += np.float32(weight - float(bent @ direction) / curvature) * moved
        return direction
