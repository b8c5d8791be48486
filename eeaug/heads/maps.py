"""Convolutional heads on whole maps: trained and run by TensorFlow, all sizes of a location on the same batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.features import Features
from eeaug.heads import keras_head
from eeaug.heads.layers import Head
from eeaug.heads.moving import farthest, moved
from eeaug.heads.trainee import Trainee
from eeaug.heads.training import Keep, Plan, Targets, Trained, wanted

__all__ = ["MANY_PASSES", "predict", "timed", "train"]

DECAY = 350  # weight decay, divided by the number of samples
SEEN = 8192  # maps by which batch normalisation's statistics are taken in the end
STEPS = 7  # that are timed
TOLD = 16  # steps between what is said of them
MANY_PASSES = 8  # up to so many, moved samples do not pay


def train(
    heads: Sequence[Head],
    fit: Features,
    targets: Targets,
    screen: Features,
    plan: Plan,
    keep: Keep,
    progress: Callable[[int, int], None] = lambda done, of: None,
    *,
    moving: Sequence[bool] = (),
) -> list[Trained]:
    """Train heads of one location on whole maps, each as if alone but on the same batches; a cosine schedule.

    ``targets`` gives the probabilities that rows of ``fit`` should get. After the first epoch ``keep`` gets every
    head's probabilities on ``screen`` and says which go on. ``moving``: of every axis of space or time, whether
    samples move along it, each by itself, in every pass: a map of a moved sample is almost the moved map.
    """
    import tensorflow as tf

    (source,) = {wanted(h).key for h in heads}
    maps, n = fit.tensors[source], len(fit.probabilities)
    plan = plan.for_samples(n)
    rng = np.random.default_rng([plan.seed, 2, heads[0].location.after])
    steps = n // plan.batch
    total = plan.epochs * steps
    scale = np.float32(1 / max(1e-6, float(np.std(maps[:: max(1, n // 512)].astype(np.float32)))))
    decay = min(DECAY / n, 0.2)
    alive = [Trainee(h, scale, decay, np.random.default_rng([plan.seed, *h.key.encode()])) for h in heads]
    moves = moving if len(moving) == maps.ndim - 2 else ()  # a map has other axes than its sample
    far = [size if may else 0 for size, may in zip(farthest(maps.shape[1:-1]), moves, strict=False)]

    def trained() -> list[Trained]:
        return [Trained(one.head, one.folded(_seen(maps))) for one in alive]

    step = _compiled(alive)
    for at in range(total):
        if at == steps and len(alive) > 1:
            kept = keep({t.head.key: predict(t, screen) for t in trained()})
            if len(kept) < len(alive):
                alive = [one for one in alive if one.head.key in kept]
                step = _compiled(alive)
        if at % steps == 0:
            order = rng.permutation(n)
        rows = np.sort(order[at % steps * plan.batch :][: plan.batch])
        x = moved(maps, rows, [rng.integers(-m, m + 1, len(rows)) for m in far]) if any(far) else maps[rows]
        rate = plan.rate * 0.5 * (1 + np.cos(np.pi * at / total))
        now = tf.constant(rate, tf.float32), tf.constant(at + 1, tf.float32)
        step(tf.constant(x), tf.constant(targets(rows)), *now)
        if (at + 1) % TOLD == 0 or at + 1 == total:
            progress(at + 1, total)
    return trained()


def timed(heads: Sequence[Head], samples: int, plan: Plan, clock: Callable[[], float]) -> tuple[float, float]:
    """Seconds of one location's heads until their first step on so many samples is done, and for each after it.

    On random maps: a step takes as long on any. Compiling is most of the first.
    """
    import tensorflow as tf

    plan = plan.for_samples(samples)
    rng, shape = np.random.default_rng(0), heads[0].location.shape
    held = rng.standard_normal((plan.batch, *shape), np.float32).astype(np.float16)
    y = np.full((plan.batch, heads[0].dense[-1].units), 1 / heads[0].dense[-1].units, np.float32)
    start = clock()
    alive = [Trainee(head, np.float32(1), min(DECAY / samples, 0.2), rng) for head in heads]
    step, far, spent = _compiled(alive), farthest(shape[:-1]), []
    for at in range(1 + STEPS):
        rows = np.arange(plan.batch)
        by: list[NDArray[np.integer]] = [rng.integers(-m, m + 1, len(rows)) for m in far]
        x = moved(held, rows, by) if plan.epochs > MANY_PASSES else held[rows]
        step(tf.constant(x), tf.constant(y), tf.constant(0.0), tf.constant(at + 1, tf.float32))
        alive[0].values.numpy()  # waits for it
        spent.append(clock() - start)
    return spent[0], float(np.median(np.diff(spent)))


def _compiled(alive: Sequence[Trainee]) -> Any:
    """A step of these heads: maps, what to answer, the rate of learning, and the number of the step from 1."""
    import tensorflow as tf

    @tf.function(reduce_retracing=True)
    def step(x: Any, y: Any, rate: Any, at: Any) -> None:
        x = tf.cast(x, tf.float32)
        for one in alive:
            one.step(x, y, rate, at)

    return step


def predict(trained: Trained, features: Features, batch: int = 256) -> NDArray[np.float32]:
    """Probabilities (n, outputs) of a head on cached maps, computed by its deployed form."""
    model = keras_head.deployed_model(trained.head, trained.weights)
    maps = features.tensors[wanted(trained.head).key]
    parts = [
        np.asarray(model(maps[i : i + batch].astype(np.float32), training=False))
        for i in range(0, len(maps), batch)
    ]
    return np.concatenate(parts)


def _seen(maps: NDArray[np.floating], batch: int = 256) -> Iterator[NDArray[np.float32]]:
    """Maps by which statistics are taken: SEEN of them, evenly over all."""
    rows = np.arange(0, len(maps), -(-len(maps) // SEEN))
    return (maps[rows[i : i + batch]].astype(np.float32) for i in range(0, len(rows), batch))
