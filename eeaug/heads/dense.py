"""Dense heads on pooled values: trained and run by numpy.

A head reads some hundred values, so a step is two small matrix products: the overhead of a framework would be
most of the work. Heads know nothing of each other: locations can train side by side in threads, and what comes
out does not depend on their number (BLAS must run on one thread meanwhile).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.features import Features
from eeaug.heads.layers import Dense, Head
from eeaug.heads.training import Keep, Plan, Targets, Trained, sources, wanted

__all__ = ["ACTIVATIONS", "predict", "train", "widening"]

Values = NDArray[np.float32]
EPSILON = 1e-7
IN_MEMORY = 20_000_000  # values that a thread may hold
# The penalty on squared weights of standardised values, divided by the number of samples: it keeps heads from
# overfitting few samples. On 500 images with heads of 64 to 512 values the best was 5 to 50; on 45,000 it changes
# nothing.
RIDGE = 15.0
JOINED_ROWS = 4096  # rows read at once from several tensors
PREDICTED_ROWS = 8192  # rows read at once for predictions
MOMENT_ROWS = 1024  # so many samples give mean and deviation of a column well enough


def train(
    heads: Sequence[Head],
    fit: Features,
    targets: Targets,
    screen: Features,
    plan: Plan,
    keep: Keep,
    accuracy: Callable[[Values], float] = lambda _: 0.0,
) -> list[Trained]:
    """Train heads on standardised pooled values; Adam with a cosine schedule, the same batches for all.

    ``targets`` gives the probabilities that rows of ``fit`` should get. After the first epoch ``keep`` gets
    every head's probabilities on ``screen`` and says which go on. With ``plan.patience`` the rate is constant, and
    a head goes on as long as its ``accuracy`` there grows.
    """
    n = len(fit.probabilities)
    plan = plan.for_samples(n)
    fit, screen = _joined(fit, heads), _joined(screen, heads)
    total = plan.epochs * (n // plan.batch)
    running = every = _begun(heads, fit, plan, total)
    for epoch in range(plan.epochs):
        order = np.random.default_rng([plan.seed, heads[0].location.after, epoch]).permutation(n)
        for i in range(n // plan.batch):
            rows = np.sort(order[i * plan.batch : (i + 1) * plan.batch])
            y = targets(rows)
            read: dict[str, Values] = {}  # once for all heads
            for head in running.values():
                head.step(head.batch(fit, rows, read), y)
        if epoch == 0 and plan.epochs > 1:
            kept = keep({key: predict(head.trained(), screen) for key, head in running.items()})
            running = every = {key: head for key, head in running.items() if key in kept}
        if plan.patience:
            running = {
                key: head for key, head in running.items()
                if head.grows(accuracy(predict(head.trained(), screen)))
            }  # fmt: skip
            if not running:
                break
    return [head.best or head.trained() for head in every.values()]


def _begun(heads: Sequence[Head], fit: Features, plan: Plan, total: int) -> dict[str, _Running]:
    """By key, in their order; what several read is converted once, and not kept."""
    running: dict[str, _Running] = {}
    for source in dict.fromkeys(map(_source, heads)):
        given = _at_hand(fit.tensors[source])
        running |= {h.key: _Running(h, given, plan, total) for h in heads if _source(h) == source}
    return {h.key: running[h.key] for h in heads}


def predict(trained: Trained, features: Features) -> Values:
    """Probabilities (n, outputs) of a head on cached features, computed as its deployed form does."""
    head, features = trained.head, _joined(features, [trained.head])
    parts = []
    for start in range(0, len(features.tensors[_source(head)]), PREDICTED_ROWS):
        z = _pooled(head, _read(features, _source(head), slice(start, start + PREDICTED_ROWS)))
        rest = iter(trained.weights)
        for layer in head.dense:
            z = ACTIVATIONS[layer.activation][0](z @ next(rest) + next(rest))
        parts.append(z)
    return np.concatenate(parts)


class _Running:
    """A head in training: weights of standardised values, and Adam's moments.

    ``at_hand`` (n, values): what it learns from, standardised, where that has room; else None.
    """

    def __init__(self, head: Head, given: NDArray[Any], plan: Plan, total: int) -> None:
        self.head, self.plan, self.source = head, plan, _source(head)
        some = given[:: -(-len(given) // MOMENT_ROWS)].astype(np.float32)
        self.mean, self.std = _moments(_pooled(head, some))
        self.at_hand: Values | None = None
        if given.size <= IN_MEMORY:
            self.at_hand = _pooled(head, given) - self.mean
            self.at_hand /= self.std
        self.weights = _initial(head, np.random.default_rng([plan.seed, head.location.after]))
        self.learnt = self.weights[:-2] if head.knows else self.weights
        self.first = [np.zeros_like(w) for w in self.learnt]
        self.second = [np.zeros_like(w) for w in self.learnt]
        self.at, self.total = 0, total
        self.best: Trained | None = None
        self.best_accuracy, self.waited = -1.0, 0
        self.ridge = np.float32(RIDGE / len(given))

    def batch(self, fit: Features, rows: NDArray[np.integer], read: dict[str, Values]) -> Values:
        """What :meth:`step` takes of these rows; ``read`` holds those of tensors that other heads read, too."""
        if self.at_hand is not None:
            return np.asarray(self.at_hand[rows])
        if self.source not in read:
            read[self.source] = _read(fit, self.source, rows)
        return _pooled(self.head, read[self.source])

    def step(self, x: Values, y: Values) -> None:
        layers = self.head.dense
        before, inputs = [], [x]
        for k, layer in enumerate(layers):
            kernel, bias = self._layer(k, plain=self.at_hand is None)
            before.append(inputs[k] @ kernel + bias)
            inputs.append(ACTIVATIONS[layer.activation][0](before[k]))
        # cross entropy of a softmax, and of sigmoids: both have this derivative by the logits
        error = (inputs.pop() - y) / np.float32(len(y))
        gradients: list[Values] = []
        for k in range(len(layers) - 1, -1, -1):
            if 2 * k >= len(self.learnt):  # behind outputs without an activation of their own
                error = error @ self.weights[2 * k].T
                continue
            total = error.sum(axis=0)
            kernel = inputs[k].T @ error
            if k == 0 and self.at_hand is None:  # of the kernel on standardised values
                kernel = (kernel - self.mean[:, None] * total) / self.std[:, None]
            elif k:
                error = (error @ self.weights[2 * k].T) * ACTIVATIONS[layers[k - 1].activation][1](before[k - 1])
            gradients[:0] = [kernel + self.ridge * self.weights[2 * k], total]
        self._adam(gradients)

    def _adam(self, gradients: Sequence[Values]) -> None:
        self.at += 1
        rate = self.plan.rate
        if not self.plan.patience:
            rate *= 0.5 * (1 + np.cos(pi * (self.at - 1) / self.total))
        pace = np.float32(rate * sqrt(1 - 0.999**self.at) / (1 - 0.9**self.at))
        for weight, gradient, first, second in zip(self.learnt, gradients, self.first, self.second, strict=True):
            first += np.float32(0.1) * (gradient - first)
            second += np.float32(0.001) * (gradient * gradient - second)
            weight -= pace * first / (np.sqrt(second) + np.float32(EPSILON))

    def grows(self, accuracy: float) -> bool:
        """Whether the accuracy after another pass is a reason to go on; what was best is remembered."""
        if accuracy > self.best_accuracy:
            self.best, self.best_accuracy, self.waited = self.trained(), accuracy, 0
        else:
            self.waited += 1
        return self.waited < self.plan.patience

    def _layer(self, k: int, *, plain: bool = True) -> tuple[Values, Values]:
        """Kernel and bias; on ``plain`` values the standardisation goes into the first layer."""
        kernel, bias = self.weights[2 * k : 2 * k + 2]
        if k or not plain:
            return kernel, bias
        kernel = kernel / self.std[:, None]
        return kernel, bias - self.mean @ kernel

    def trained(self) -> Trained:
        return Trained(self.head, (*(np.array(w) for w in self._layer(0)), *(w.copy() for w in self.weights[2:])))


def _initial(head: Head, rng: np.random.Generator) -> list[Values]:
    """Zeros for the last layer that learns (a convex start), He initialisation before it."""
    weights: list[Values] = []
    learning = head.steps[-2 if head.knows else -1]
    for step, before, after in head.shapes():
        if isinstance(step, Dense):
            fan_in = int(np.prod(before))
            scale = 0.0 if step is learning else sqrt(2 / fan_in)
            weights.append((scale * rng.standard_normal((fan_in, *after))).astype(np.float32))
            weights.append(np.zeros(after, np.float32))
    if head.knows:
        weights[-2:] = widening(head.knows, head.dense[-1].units)
    return weights


def widening(classes: Sequence[int], outputs: int) -> tuple[Values, Values]:
    """Kernel (s + 1, outputs) and bias of the layer behind logits of s ``classes`` and of all others together.

    Before a softmax: each of the others gets an equal part of what is theirs.
    """
    column = np.full(outputs, len(classes))
    column[list(classes)] = np.arange(len(classes))
    kernel = np.eye(len(classes) + 1, dtype=np.float32)[:, column]
    shared = np.where(column == len(classes), np.log(outputs - len(classes)), 0.0)
    return kernel, np.asarray(-shared, np.float32)


def _at_hand(values: NDArray[Any]) -> NDArray[Any]:
    """Few values are converted once, not in every pass."""
    return np.asarray(values, np.float32) if values.size <= IN_MEMORY else values


def _read(features: Features, source: str, rows: Any) -> Values:
    """These rows of what is cached, in the precision that heads compute in."""
    return np.asarray(features.tensors[source][rows], np.float32)


def _source(head: Head) -> str:
    """The tensor that the head reads, after :func:`_joined`."""
    return head.key if head.earlier else wanted(head).key


def _joined(features: Features, heads: Sequence[Head]) -> Features:
    """With what each head that reads several tensors makes of them, (n, values): once, not in every pass."""
    joined = {}
    for head in heads:
        if head.earlier and head.key not in features.tensors:
            parts = [*((e.window, e.finer) for e in head.earlier), (head.pooling or (), head.finer)]
            tensors = [features.tensors[source.key] for source in sources(head)]
            rows = [
                np.concatenate([
                    _averaged(np.asarray(tensor[i : i + JOINED_ROWS], np.float32), window, finer)
                    .astype(tensor.dtype)
                    for tensor, (window, finer) in zip(tensors, parts, strict=True)
                ], axis=1)
                for i in range(0, len(tensors[0]), JOINED_ROWS)
            ]  # fmt: skip
            joined[head.key] = np.concatenate(rows)
    return replace(features, tensors={**features.tensors, **joined}) if joined else features


def _pooled(head: Head, cells: Values) -> Values:
    """What the head's first dense layer reads, (n, values), from the cached cells (n, *grid, channels)."""
    return cells if head.earlier else _averaged(cells, head.pooling or (), head.finer)


def _averaged(cells: Values, window: Sequence[int], finer: Sequence[int] | None) -> Values:
    """Averages over windows, flat, from averages over finer ones, (n, *grid, channels)."""
    if finer is not None:
        sizes = [w // f for w, f in zip(window, finer, strict=True)]
        for axis, size in enumerate(sizes, start=1):  # slices: a fifth of the time of reshape and mean
            until, before = cells.shape[axis] // size * size, (slice(None),) * axis
            parts = [cells[(*before, slice(i, until, size))] for i in range(size)]
            cells = sum(parts[1:], parts[0]) / np.float32(size) if size > 1 else cells
    return cells.reshape(len(cells), -1)


def _moments(some: Values) -> tuple[Values, Values]:
    """Mean and standard deviation of every column."""
    mean, std = some.mean(axis=0, dtype=np.float64), some.std(axis=0, dtype=np.float64)
    # a column that hardly varies carries nothing: its scale must not blow up what noise there is
    floor = 1e-3 * (np.median(std[std > 0]) if (std > 0).any() else 1.0)
    return mean.astype(np.float32), np.maximum(std, floor).astype(np.float32)


def _softmax(z: Values) -> Values:
    z = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(z / z.sum(axis=1, keepdims=True))


def _sigmoid(z: Values) -> Values:
    return np.asarray((1 + np.tanh(z / 2)) / 2, z.dtype)  # the logistic function without overflow


def _normal(z: Values) -> Values:
    """The normal distribution function; Abramowitz and Stegun 7.1.26, wrong by 1e-7 at most."""
    t = 1 / (1 + 0.3275911 * np.abs(z) / sqrt(2))
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return np.asarray((1 + np.sign(z) * (1 - series * np.exp(-z * z / 2))) / 2, z.dtype)


def _gelu_slope(z: Values) -> Values:
    return np.asarray(_normal(z) + z * np.exp(-z * z / 2) / sqrt(2 * pi), z.dtype)


def _elu(scale: float, alpha: float) -> tuple[Callable[[Values], Values], Callable[[Values], Values]]:
    def value(z: Values) -> Values:
        return np.asarray(scale * np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0))), z.dtype)

    def slope(z: Values) -> Values:
        return np.asarray(scale * np.where(z > 0, 1, alpha * np.exp(np.minimum(z, 0))), z.dtype)

    return value, slope


def _silu_slope(z: Values) -> Values:
    s = _sigmoid(z)
    return np.asarray(s * (1 + z * (1 - s)))


# name in Keras → (its values, its slope); outputs need no slope, their loss has it
ACTIVATIONS: Mapping[str, tuple[Callable[[Values], Values], Callable[[Values], Values]]] = {
    "softmax": (_softmax, _softmax),
    "sigmoid": (_sigmoid, lambda z: _sigmoid(z) * (1 - _sigmoid(z))),
    "linear": (lambda z: z, np.ones_like),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(z.dtype)),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "gelu": (lambda z: np.asarray(z * _normal(z)), _gelu_slope),
    "silu": (lambda z: np.asarray(z * _sigmoid(z)), _silu_slope),
    "elu": _elu(1.0, 1.0),
    "selu": _elu(1.0507009873554805, 1.6732632423543772),
}
