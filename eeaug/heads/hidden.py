"""Dense heads with hidden layers, trained in batches by Adam with a cosine schedule.

A head reads some hundred values, so a step is a few small matrix products: the overhead of a framework would be
most of the work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import pi, sqrt

import numpy as np
from numpy.typing import NDArray

from eeaug.features import Features
from eeaug.heads.activations import ACTIVATIONS
from eeaug.heads.layers import Dense, Head
from eeaug.heads.pooled import Pooled, Values
from eeaug.heads.training import Keep, Plan, Targets, Trained

__all__ = ["timed", "train"]

EPSILON = 1e-7
IN_MEMORY = 50_000_000  # values that a head may hold
ROWS = 1024  # read at once
STEPS = 4  # that are timed
RIDGE = 15.0  # as that of heads with a single layer


def train(
    heads: Sequence[Head], fit: Features, targets: Targets, screen: Features, plan: Plan, keep: Keep
) -> list[Trained]:
    """Train heads of one location on standardised pooled values, the same batches for all.

    ``targets`` gives the probabilities that rows of ``fit`` should get. Half way ``keep`` gets every
    head's probabilities on ``screen`` and says which go on: earlier, they know less than those of a single layer.
    """
    n = len(fit.probabilities)
    plan = plan.for_samples(n)
    steps = n // plan.batch
    running = {head.key: _Running(head, fit, plan, plan.epochs * steps) for head in heads}
    for epoch in range(plan.epochs):
        order = np.random.default_rng([plan.seed, heads[0].location.after, epoch]).permutation(n)
        for i in range(steps):
            rows = np.sort(order[i * plan.batch : (i + 1) * plan.batch])
            y = targets(rows)
            read: dict[str, Values] = {}  # once for all heads
            for head in running.values():
                head.step(head.values(fit, rows, read), y)
        if epoch + 1 == plan.epochs // 2:
            kept = keep({key: head.answers(screen) for key, head in running.items()})
            running = {key: head for key, head in running.items() if key in kept}
    return [head.trained() for head in running.values()]


def timed(
    heads: Sequence[Head], fit: Features, targets: Targets, plan: Plan, clock: Callable[[], float]
) -> tuple[float, float]:
    """Seconds until these heads can begin to learn from ``fit``, and for a step on its first rows."""
    start = clock()
    running = [_Running(head, fit, plan, STEPS) for head in heads]
    begun, rows = clock(), np.arange(min(plan.batch, len(fit.probabilities)))
    for _ in range(STEPS):
        y, read = targets(rows), dict[str, Values]()
        for head in running:
            head.step(head.values(fit, rows, read), y)
    return begun - start, (clock() - begun) / STEPS


class _Running:
    """A head in training: weights of standardised values, and Adam's moments.

    ``held`` (n, values): what it learns from, standardised, where that has room; else None.
    """

    def __init__(self, head: Head, fit: Features, plan: Plan, total: int) -> None:
        self.head, self.plan, self.pooled = head, plan, Pooled.of(head, fit)
        n = len(fit.probabilities)
        self.held: Values | None = None
        if n * len(self.pooled.mean) <= IN_MEMORY:
            self.held = np.empty((n, len(self.pooled.mean)), np.float32)
            for start in range(0, n, ROWS):
                rows = np.arange(start, min(n, start + ROWS))
                self.held[rows] = self.pooled.values(fit, rows, {})
        self.weights = _initial(head, np.random.default_rng([plan.seed, head.location.after]))
        self.first = [np.zeros_like(w) for w in self.weights]
        self.second = [np.zeros_like(w) for w in self.weights]
        self.at, self.total = 0, total
        self.ridge = np.float32(RIDGE / n)

    def values(self, fit: Features, rows: NDArray[np.integer], read: dict[str, Values]) -> Values:
        """What :meth:`step` takes of these rows; ``read`` holds those of tensors that other heads read, too."""
        return self.pooled.values(fit, rows, read) if self.held is None else np.asarray(self.held[rows])

    def answers(self, screen: Features) -> Values:
        """Probabilities (n, outputs)."""
        return self._layers(self.pooled.values(screen, np.arange(len(screen.probabilities)), {}))[-1][1]

    def step(self, x: Values, y: Values) -> None:
        layers, passed = self.head.dense, self._layers(x)
        # cross entropy of a softmax, and of sigmoids: both have this derivative by the logits
        error = (passed[-1][1] - y) / np.float32(len(y))
        gradients: list[Values] = []
        for k in range(len(layers) - 1, -1, -1):
            kernel, before = self.weights[2 * k], passed[k - 1]
            gradients[:0] = [(before[1] if k else x).T @ error + self.ridge * kernel, error.sum(axis=0)]
            if k:
                error = (error @ kernel.T) * ACTIVATIONS[layers[k - 1].activation][1](before[0])
        self._adam(gradients)

    def _layers(self, x: Values) -> list[tuple[Values, Values]]:
        """Of every dense layer what goes into its activation and what comes out."""
        passed: list[tuple[Values, Values]] = []
        for k, layer in enumerate(self.head.dense):
            z = (passed[-1][1] if passed else x) @ self.weights[2 * k] + self.weights[2 * k + 1]
            passed.append((z, ACTIVATIONS[layer.activation][0](z)))
        return passed

    def _adam(self, gradients: Sequence[Values]) -> None:
        self.at += 1
        rate = self.plan.rate * 0.5 * (1 + np.cos(pi * (self.at - 1) / self.total))
        pace = np.float32(rate * sqrt(1 - 0.999**self.at) / (1 - 0.9**self.at))
        for weight, gradient, first, second in zip(self.weights, gradients, self.first, self.second, strict=True):
            first += np.float32(0.1) * (gradient - first)
            second += np.float32(0.001) * (gradient * gradient - second)
            weight -= pace * first / (np.sqrt(second) + np.float32(EPSILON))

    def trained(self) -> Trained:
        kernel, bias, *rest = self.weights
        return Trained(self.head, (*self.pooled.deployed(kernel, bias), *(w.copy() for w in rest)))


def _initial(head: Head, rng: np.random.Generator) -> list[Values]:
    """Zeros for the last layer, He initialisation before it."""
    weights: list[Values] = []
    for step, before, after in head.shapes():
        if isinstance(step, Dense):
            fan_in = int(np.prod(before))
            scale = 0.0 if step is head.steps[-1] else sqrt(2 / fan_in)
            weights.append((scale * rng.standard_normal((fan_in, *after))).astype(np.float32))
            weights.append(np.zeros(after, np.float32))
    return weights
