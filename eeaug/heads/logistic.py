"""Dense heads of a single layer, trained to their optimum.

Multinomial logistic regression, or one for each label: a convex problem. All samples count in every step, and
curvature comes from their covariance: ten passes do what forty in batches did (Adam). Most of the way is gone on a
part of the samples. A head stops when samples that it does not learn from see no more of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.features import Features
from eeaug.heads.activations import ACTIVATIONS
from eeaug.heads.descent import Descent
from eeaug.heads.layers import Head
from eeaug.heads.pooled import Pooled, Values
from eeaug.heads.training import Keep, Plan, Targets, Trained

__all__ = ["timed", "train", "widening"]

IN_MEMORY = 100_000_000  # values that a thread may hold
PASSES = 4  # as many as heads with hidden layers get, at most
# The penalty on squared weights of standardised values, divided by the number of samples: it keeps heads from
# overfitting few samples. On 500 images with heads of 64 to 512 values the best was 5 to 150; on 45,000 it changes
# nothing. The first part is learnt under a stronger one.
RIDGE, STRONGER = 15.0, 10.0
# Most of the way is gone on a part of the samples: one in so many, at least so many; steps for each pass over all.
PART, LEAST_PART, PART_STEPS = 4, 4096, 2
LOOK = 4  # steps after which hopeless heads are dropped
GAIN = 0.005  # of the loss on screen, relative: a step that brings less does not count
ROWS = 1024  # learnt from at once: they stay in the processor's cache
STEEPEST = 0.25  # the curvature of sigmoids is at most this much of the inputs' covariance, of a softmax's about
FLOOR = 0.02  # added to it: little is known of directions in which some samples hardly differ


def train(
    heads: Sequence[Head],
    fit: Features,
    targets: Targets,
    screen: Features,
    plan: Plan,
    keep: Keep,
    loss: Callable[[Values], float],
) -> list[Trained]:
    """Train heads of one location on standardised pooled values.

    PASSES times ``plan.epochs`` passes over all of ``fit`` at most, and as a rule less than half of them.
    ``targets`` gives the probabilities that its rows should get. After some steps ``keep`` gets every head's
    probabilities on ``screen`` and says which go on. With ``plan.patience`` a head goes on until so many steps have
    not made its ``loss`` there less by GAIN. It is what it was when that was least.
    """
    n, steps = len(fit.probabilities), PASSES * plan.epochs
    every = {head.key: _Running(head, fit, plan) for head in heads}
    order = np.random.default_rng([plan.seed, heads[0].location.after]).permutation(n)
    part = max(n // PART, min(n, LEAST_PART))
    looked = False
    for samples, ridge, most in ((part, STRONGER * RIDGE, PART_STEPS * steps), (n, RIDGE, steps)):
        rows = np.sort(order[:samples])
        _begin(list(every.values()), fit, rows, ridge / n)
        for number in range(1, most + 1):
            going = [head for head in every.values() if head.goes_on]
            _learn(going, fit, rows, targets)
            for head in going:
                if head.step(samples):
                    head.judge(loss(head.answers(screen)))
            going = [head for head in going if head.goes_on]
            if not looked and (number == LOOK or not going):
                kept = keep({key: head.answers(screen) for key, head in every.items()})
                every = {key: head for key, head in every.items() if key in kept}
                looked = True
            if not going:
                break
    return [head.best for head in every.values()]


def timed(
    heads: Sequence[Head], fit: Features, targets: Targets, plan: Plan, clock: Callable[[], float]
) -> tuple[float, float]:
    """Seconds until these heads can begin to learn from the rows of ``fit``, and for one pass over them."""
    rows, start = np.arange(len(fit.probabilities)), clock()
    running = [_Running(head, fit, plan) for head in heads]
    _begin(running, fit, rows, RIDGE / len(rows))
    begun = clock()
    _learn(running, fit, rows, targets)
    for head in running:
        head.step(len(rows))
    return begun - start, clock() - begun


def _begin(heads: Sequence[_Running], fit: Features, rows: NDArray[np.integer], ridge: float) -> None:
    """Heads learn from these rows from now on. Values that have room are standardised once.

    The smallest first: to make a coarse grid, a fine one is read.
    """
    room = IN_MEMORY
    for head in sorted(heads, key=lambda head: len(head.pooled.mean)):
        shape = len(rows), len(head.pooled.mean)
        held = prod(shape) <= room
        head.begin(np.empty(shape, np.float32) if held else None, ridge)
        room -= held * prod(shape)
    for start in range(0, len(rows), ROWS):
        some, read = slice(start, start + ROWS), {}  # type: ignore[var-annotated]
        for head in heads:
            if head.held is not None:
                head.held[some] = head.pooled.values(fit, rows[some], read)


def _learn(heads: Sequence[_Running], fit: Features, rows: NDArray[np.integer], targets: Targets) -> None:
    """One pass."""
    for start in range(0, len(rows), ROWS):
        some = slice(start, start + ROWS)
        y = targets(rows[some])
        read: dict[str, Values] = {}  # once for all heads
        for head in heads:
            head.learn(head.pooled.values(fit, rows[some], read) if head.held is None else head.held[some], y)


class _Running:
    """A head in training: weights of standardised values, on their way to the optimum.

    ``held`` (n, values): what it learns from, standardised, where that has room; else None.
    """

    def __init__(self, head: Head, fit: Features, plan: Plan) -> None:
        self.head, self.patience, self.pooled = head, plan.patience, Pooled.of(head, fit)
        self.activation = head.dense[-1].activation
        self.wide = widening(head.knows, head.dense[-1].units) if head.knows else ()
        self.shape = len(self.pooled.mean) + 1, head.dense[0].units  # the bias is the last row
        factor = _factor(self.pooled.some, RIDGE / len(fit.probabilities))
        self.descent = Descent(np.zeros(prod(self.shape), np.float32), lambda g: self._preconditioned(factor, g))
        self.loss, self.gradient = 0.0, np.zeros(self.shape, np.float32)
        self.best, self.least, self.waited = self._trained(), np.inf, 0
        self.held: Values | None = None
        self.ridge = np.float32(0)
        self.screened: Values | None = None

    @property
    def goes_on(self) -> bool:
        return self.descent.going and (not self.patience or self.waited < self.patience)

    def begin(self, held: Values | None, ridge: float) -> None:
        self.held, self.ridge, self.waited = held, np.float32(ridge), 0
        self.descent.restart()

    def answers(self, screen: Features) -> Values:
        """Probabilities (n, outputs) at the best point."""
        if self.screened is None:
            self.screened = self.pooled.values(screen, np.arange(len(screen.probabilities)), {})
        z = self._logits(self.screened, self.descent.at)
        return ACTIVATIONS[self.activation][0](z @ self.wide[0] + self.wide[1] if self.wide else z)

    def learn(self, x: Values, y: Values) -> None:
        """Add the cross entropy of these samples and its gradient."""
        if self.wide:  # what is not known is one class
            y = y @ self.wide[0].T
        p = ACTIVATIONS[self.activation][0](self._logits(x, self.descent.trial))
        self.loss += _cross_entropy(p, y, self.activation)
        error = p - y  # the derivative by the logits, of a softmax and of sigmoids
        self.gradient[:-1] += x.T @ error
        self.gradient[-1] += error.sum(axis=0)

    def _logits(self, x: Values, flat: Values) -> Values:
        weights = flat.reshape(self.shape)
        return np.asarray(x @ weights[:-1] + weights[-1])

    def step(self, n: int) -> bool:
        """Go where the n samples that were learnt from send it; whether that was a step forward."""
        kernel, gradient = self.descent.trial.reshape(self.shape)[:-1], self.gradient / np.float32(n)
        gradient[:-1] += self.ridge * kernel
        value = self.loss / n + float(self.ridge) / 2 * float(np.vdot(kernel, kernel))
        self.loss = 0.0
        self.gradient[...] = 0
        return self.descent.take(value, gradient.ravel())

    def judge(self, loss: float) -> None:
        """Remember what was best."""
        self.waited = 0 if loss < (1 - GAIN) * self.least else self.waited + 1
        if loss < self.least:
            self.best, self.least = self._trained(), loss

    def _preconditioned(self, factor: Any, gradient: Values) -> Values:
        from scipy.linalg import cho_solve

        return np.asarray(cho_solve(factor, gradient.reshape(self.shape), check_finite=False).ravel())

    def _trained(self) -> Trained:
        weights = self.descent.at.reshape(self.shape)
        return Trained(self.head, (*self.pooled.deployed(weights[:-1], weights[-1]), *self.wide))


def _factor(some: Values, ridge: float) -> Any:
    """Cholesky factor of the largest curvature of a layer on these inputs (n, values), its bias last.

    Böhning, "Multinomial logistic regression algorithm" (1992): a bound that holds for all weights.
    """
    from scipy.linalg import cho_factor

    inputs = np.concatenate([some, np.ones((len(some), 1), np.float32)], axis=1)
    curvature = np.asarray(inputs.T @ inputs, np.float32)
    curvature *= np.float32(STEEPEST / len(some))
    curvature[np.diag_indices_from(curvature)] += np.float32(ridge + FLOOR)
    return cho_factor(curvature, overwrite_a=True, check_finite=False)


def _cross_entropy(p: Values, y: Values, activation: str) -> float:
    """The sum over samples of a softmax's or of sigmoids' cross entropy."""
    least = np.float32(1e-30)
    right = y * np.log(np.maximum(p, least))
    if activation == "sigmoid":
        right = right + (1 - y) * np.log(np.maximum(1 - p, least))
    return -float(right.sum(dtype=np.float64))


def widening(classes: Sequence[int], outputs: int) -> tuple[Values, Values]:
    """Kernel (s + 1, outputs) and bias of the layer behind logits of s ``classes`` and of all others together.

    Before a softmax: each of the others gets an equal part of what is theirs.
    """
    column = np.full(outputs, len(classes))
    column[list(classes)] = np.arange(len(classes))
    kernel = np.eye(len(classes) + 1, dtype=np.float32)[:, column]
    shared = np.where(column == len(classes), np.log(outputs - len(classes)), 0.0)
    return kernel, np.asarray(-shared, np.float32)
