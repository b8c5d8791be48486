"""The optimum is where it is known to be, from wherever one begins, and no step goes up."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from eeaug.heads.descent import Descent


def minimised(
    function: Callable[[np.ndarray], tuple[float, np.ndarray]],
    start: np.ndarray,
    preconditioned: Callable[[np.ndarray], np.ndarray] = lambda gradient: gradient,
    steps: int = 200,
) -> tuple[Descent, list[float]]:
    descent, values = Descent(start.astype(np.float32), preconditioned), []
    for _ in range(steps):
        if not descent.going:
            break
        value, gradient = function(descent.trial.astype(np.float64))
        if descent.take(value, gradient.astype(np.float32)):
            values.append(value)
    return descent, values


@pytest.mark.parametrize("seed", range(5))
def test_of_a_bowl(seed: int) -> None:
    """Long and narrow, with and without knowing its shape."""
    rng = np.random.default_rng(seed)
    turned = np.linalg.qr(rng.normal(size=(12, 12)))[0]
    bowl = turned @ np.diag(np.geomspace(0.05, 20, 12)) @ turned.T
    best = rng.normal(size=12)

    def function(w: np.ndarray) -> tuple[float, np.ndarray]:
        return float((w - best) @ bowl @ (w - best)) / 2, bowl @ (w - best)

    unknowing, values = minimised(function, np.zeros(12))
    np.testing.assert_allclose(unknowing.at, best, atol=1e-2)
    assert (np.diff(values) < 0).all() and unknowing.value == values[-1]
    inverse = np.linalg.inv(bowl)
    knowing, values = minimised(function, np.zeros(12), lambda g: (inverse @ g).astype(np.float32), steps=2)
    assert len(values) == 2
    np.testing.assert_allclose(knowing.at, best, atol=1e-3)


def test_of_a_bent_valley() -> None:
    """Rosenbrock's: not convex everywhere, and full steps lead up."""

    def function(w: np.ndarray) -> tuple[float, np.ndarray]:
        a, b = 1 - w[0], w[1] - w[0] ** 2
        return a**2 + 100 * b**2, np.array([-2 * a - 400 * w[0] * b, 200 * b])

    descent, values = minimised(function, np.array([-1.2, 1.0]))
    np.testing.assert_allclose(descent.at, [1, 1], atol=5e-2)
    assert (np.diff(values) < 0).all()


def test_another_function_is_begun_at_the_best_point() -> None:
    descent, _ = minimised(lambda w: (float(w @ w), 2 * w), np.full(3, 2.0))
    descent.restart()
    assert descent.going
    np.testing.assert_array_equal(descent.trial, descent.at)
    shifted = np.array([1.0, 2.0, 3.0])
    for _ in range(50):
        w = descent.trial.astype(np.float64) - shifted
        if descent.going:
            descent.take(float(w @ w) + 100, (2 * w).astype(np.float32))  # higher than before: another function
    np.testing.assert_allclose(descent.at, shifted, atol=1e-2)
