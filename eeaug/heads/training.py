"""Training of heads on cached features of the frozen backbone.

Dense heads on pooled values train all together: one pass over the features serves every head, one Adam step
updates all their weights. Convolutional heads train per location, all sizes on the same batches. After the
first epoch heads that cannot become useful are dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.features import Features, Wanted
from eeaug.heads import keras_head
from eeaug.heads.design import Dense, Head

__all__ = ["Plan", "Trained", "predict", "train_dense", "train_maps", "wanted"]

Progress = Callable[[int, int], None]
Targets = Callable[[NDArray[np.integer]], NDArray[np.float32]]  # rows of fit → what to answer, (rows, outputs)
MIN_STEPS = 800  # small data sets get more epochs
EPSILON = 1e-7


@dataclass(frozen=True)
class Plan:
    """How long and how hard heads are trained."""

    epochs: int
    batch: int
    rate: float
    seed: int

    def for_samples(self, n: int) -> Plan:
        """The same effort for n samples: smaller batches and more epochs where there are few."""
        batch = min(max(32, min(self.batch, n // 32)), n)
        epochs = max(self.epochs, -(-MIN_STEPS * batch // max(n, 1)))
        return Plan(epochs, batch, self.rate, self.seed)


@dataclass(frozen=True)
class Trained:
    """A head with its weights as deployed: kernel and bias of every convolution and dense layer, in order."""

    head: Head
    weights: tuple[NDArray[np.float32], ...]


def wanted(head: Head) -> Wanted:
    """The tensor that a head reads."""
    return Wanted(head.location, head.pooling)


def train_dense(
    heads: Sequence[Head],
    fit: Features,
    targets: Targets,
    screen: Features,
    plan: Plan,
    keep: Callable[[Mapping[str, NDArray[np.float32]]], set[str]],
    progress: Progress = lambda done, of: None,
) -> list[Trained]:
    """Train dense heads together on standardised pooled values; Adam with a cosine schedule.

    ``targets`` gives the probabilities that rows of ``fit`` should get. After the first epoch ``keep`` gets
    every head's probabilities on ``screen`` (key → (n, outputs)) and says which go on.
    """
    import tensorflow as tf

    n = len(fit.pooled)
    plan = plan.for_samples(n)
    rng = np.random.default_rng([plan.seed, 1])
    steps = n // plan.batch
    mean, std = _moments(fit.pooled)
    alive = list(heads)
    weights = {h.key: _initial(h, rng) for h in heads}
    moments = {h.key: ([np.zeros_like(w) for w in weights[h.key]], [np.zeros_like(w) for w in weights[h.key]])
               for h in heads}  # fmt: skip
    total = float(plan.epochs * steps)
    at, epoch = 0, 0
    while epoch < plan.epochs and alive:
        shapes = [w.shape for h in alive for w in weights[h.key]]
        sizes = [int(np.prod(s)) for s in shapes]
        state = [
            tf.Variable(np.concatenate([a.ravel() for h in alive for a in source(h)]))
            for source in (
                lambda h: weights[h.key], lambda h: moments[h.key][0], lambda h: moments[h.key][1],
            )
        ]  # fmt: skip
        step = _dense_step(tf, alive, fit.columns, shapes, sizes, state, mean, std, plan.rate, total)
        last = 1 if epoch == 0 else plan.epochs
        while epoch < last:
            order = rng.permutation(n)
            for i in range(steps):
                rows = np.sort(order[i * plan.batch : (i + 1) * plan.batch])
                step(tf.constant(fit.pooled[rows]), tf.constant(targets(rows)), tf.constant(at + 1.0))
                at += 1
            epoch += 1
            progress(epoch, plan.epochs)
        for target, source in zip(("w", "m", "v"), state, strict=True):
            flat = np.split(source.numpy(), np.cumsum(sizes)[:-1])
            pieces = iter(a.reshape(s) for a, s in zip(flat, shapes, strict=True))
            for h in alive:
                mine = [next(pieces) for _ in weights[h.key]]
                if target == "w":
                    weights[h.key] = mine
                else:
                    moments[h.key][target == "v"][:] = mine
        if epoch == 1 and plan.epochs > 1:
            trained = [_folded(h, weights[h.key], fit.columns, mean, std) for h in alive]
            kept = keep({t.head.key: predict(t, screen) for t in trained})
            alive = [h for h in alive if h.key in kept]
    return [_folded(h, weights[h.key], fit.columns, mean, std) for h in alive]


def _dense_step(
    tf: Any, heads: Sequence[Head], columns: Mapping[str, slice], shapes: Sequence[tuple[int, ...]],
    sizes: Sequence[int], state: Sequence[Any], mean: NDArray[np.float32], std: NDArray[np.float32],
    rate: float, total: float,
) -> Any:  # fmt: skip
    """One compiled Adam step over the weights of all heads, which lie in one flat variable."""
    flat, first, second = state

    @tf.function(reduce_retracing=True)
    def step(x: Any, y: Any, t: Any) -> None:
        x = (tf.cast(x, tf.float32) - mean) / std
        with tf.GradientTape() as tape:
            tape.watch(flat)
            pieces = iter(tf.reshape(p, s) for p, s in zip(tf.split(flat, list(sizes)), shapes, strict=True))
            logits = []
            for head in heads:
                z = x[:, columns[wanted(head).key]]
                for layer in _dense_layers(head):
                    z = tf.matmul(z, next(pieces)) + next(pieces)
                    z = z if layer is head.steps[-1] else getattr(tf.nn, layer.activation)(z)
                logits.append(z)
            losses = _losses(tf, heads[0], tf.tile(y[None], [len(heads), 1, 1]), tf.stack(logits))
            loss = tf.reduce_sum(tf.reduce_mean(losses, axis=1))
        gradient = tape.gradient(loss, flat)
        pace = rate * 0.5 * (1 + tf.cos(np.pi * (t - 1) / total)) * tf.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        first.assign(0.9 * first + 0.1 * gradient)
        second.assign(0.999 * second + 0.001 * gradient * gradient)
        flat.assign_sub(pace * first / (tf.sqrt(second) + EPSILON))

    return step


def _dense_layers(head: Head) -> list[Dense]:
    return [step for step in head.steps if isinstance(step, Dense)]


def _initial(head: Head, rng: np.random.Generator) -> list[NDArray[np.float32]]:
    """Zeros for the last layer (a convex start), He initialisation before it."""
    made: list[NDArray[np.float32]] = []
    for step, before, after in head.shapes():
        if isinstance(step, Dense):
            fan_in = int(np.prod(before))
            scale = 0.0 if step is head.steps[-1] else np.sqrt(2 / fan_in)
            made.append((scale * rng.standard_normal((fan_in, *after))).astype(np.float32))
            made.append(np.zeros(after, np.float32))
    return made


def _moments(values: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation of every column, in pieces: the array may be larger than memory."""
    total = np.zeros(values.shape[1])
    square = np.zeros(values.shape[1])
    for at in range(0, len(values), 1024):
        piece = values[at : at + 1024].astype(np.float64)
        total += piece.sum(axis=0)
        square += (piece**2).sum(axis=0)
    mean = total / len(values)
    std = np.sqrt(np.maximum(square / len(values) - mean**2, 0.0))
    # a column that hardly varies carries nothing: its scale must not blow up what noise there is
    floor = 1e-3 * (np.median(std[std > 0]) if (std > 0).any() else 1.0)
    return mean.astype(np.float32), np.maximum(std, floor).astype(np.float32)


def _folded(
    head: Head, weights: Sequence[NDArray[np.float32]], columns: Mapping[str, slice],
    mean: NDArray[np.float32], std: NDArray[np.float32],
) -> Trained:  # fmt: skip
    """The standardisation goes into the first dense layer: the deployed head reads plain pooled values."""
    mine = columns[wanted(head).key]
    kernel = weights[0] / std[mine, None]
    bias = weights[1] - (mean[mine] / std[mine]) @ weights[0]
    return Trained(head, (kernel.astype(np.float32), bias.astype(np.float32), *weights[2:]))


def train_maps(
    heads: Sequence[Head],
    fit: Features,
    targets: Targets,
    screen: Features,
    plan: Plan,
    keep: Callable[[Mapping[str, NDArray[np.float32]]], set[str]],
    progress: Progress = lambda done, of: None,
) -> list[Trained]:
    """Train convolutional heads of one location together, on whole maps; AdamW with a cosine schedule.

    ``keep`` as in :func:`train_dense`.
    """
    import keras
    import tensorflow as tf

    (source,) = {wanted(h).key for h in heads}
    maps, n = fit.maps[source], len(fit.maps[source])
    plan = plan.for_samples(n)
    rng = np.random.default_rng([plan.seed, 2, heads[0].location.after])
    keras.utils.set_random_seed(plan.seed + heads[0].location.after)
    steps = n // plan.batch
    scale = np.float32(1 / max(1e-6, float(np.std(maps[:: max(1, n // 512)].astype(np.float32)))))
    alive, models = list(heads), {h.key: keras_head.training_model(h, scale) for h in heads}
    optimizers = {
        h.key: keras.optimizers.AdamW(
            keras.optimizers.schedules.CosineDecay(plan.rate, plan.epochs * steps), weight_decay=1e-3
        )
        for h in heads
    }

    def compiled() -> Any:
        @tf.function(reduce_retracing=True)
        def step(x: Any, y: Any) -> None:
            x = tf.cast(x, tf.float32)
            for head in alive:
                model, optimizer = models[head.key], optimizers[head.key]
                with tf.GradientTape() as tape:
                    loss = tf.reduce_mean(_losses(tf, head, y, model(x, training=True)))
                optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

        return step

    for h in heads:
        optimizers[h.key].build(models[h.key].trainable_variables)
    step = compiled()
    for epoch in range(plan.epochs):
        order = rng.permutation(n)
        for i in range(steps):
            rows = np.sort(order[i * plan.batch : (i + 1) * plan.batch])
            step(tf.constant(maps[rows]), tf.constant(targets(rows)))
        progress(epoch + 1, plan.epochs)
        if epoch == 0 and plan.epochs > 1:
            trained = [keras_head.folded(h, models[h.key], scale) for h in alive]
            kept = keep({h.key: predict(Trained(h, w), screen) for h, w in zip(alive, trained, strict=True)})
            if len(kept) < len(alive):
                alive = [h for h in alive if h.key in kept]
                step = compiled()
    return [Trained(h, keras_head.folded(h, models[h.key], scale)) for h in alive]


def predict(trained: Trained, features: Features, batch: int = 256) -> NDArray[np.float32]:
    """Probabilities (n, outputs) of a head on cached features, computed by its deployed form."""
    head, source = trained.head, wanted(trained.head).key
    if head.pooling is not None:
        z = features.pooled[:, features.columns[source]].astype(np.float32)
        rest = iter(trained.weights)
        for layer in _dense_layers(head):
            z = _activate(z @ next(rest) + next(rest), layer.activation)
        return z
    model = keras_head.deployed_model(head, trained.weights)
    maps = features.maps[source]
    parts = [
        np.asarray(model(maps[i : i + batch].astype(np.float32), training=False))
        for i in range(0, len(maps), batch)
    ]
    return np.concatenate(parts)


def _losses(tf: Any, head: Head, y: Any, logits: Any) -> Any:
    """Cross entropy of logits (..., outputs) with target probabilities, one number per sample."""
    if _dense_layers(head)[-1].activation == "softmax":
        return tf.nn.softmax_cross_entropy_with_logits(y, logits)
    return tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(y, logits), axis=-1)


def _activate(z: NDArray[np.float32], activation: str) -> NDArray[np.float32]:
    if activation == "softmax":
        z = np.exp(z - z.max(axis=1, keepdims=True))
        return z / z.sum(axis=1, keepdims=True)
    if activation == "sigmoid":
        return np.asarray((1 + np.tanh(z / 2)) / 2, np.float32)  # the same without overflow
    if activation == "relu":
        return np.maximum(z, 0)
    import keras

    return np.asarray(keras.activations.get(activation)(z))
