"""Convolutional heads on whole maps: trained and run by TensorFlow, all sizes of a location on the same batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.data import shifted
from eeaug.features import Features
from eeaug.heads import keras_head
from eeaug.heads.layers import Head
from eeaug.heads.training import Keep, Plan, Targets, Trained, wanted

__all__ = ["predict", "train"]

SHIFT = 1 / 16  # of a map's size, by which images are shifted in training
DECAY = 350  # weight decay, divided by the number of samples
MANY_PASSES = 8  # passes from which on shifting the samples pays


def train(
    heads: Sequence[Head],
    fit: Features,
    targets: Targets,
    screen: Features,
    plan: Plan,
    keep: Keep,
    progress: Callable[[int, int], None] = lambda done, of: None,
    *,
    images: bool = False,
) -> list[Trained]:
    """Train heads of one location on whole maps; AdamW with a cosine schedule.

    ``targets`` gives the probabilities that rows of ``fit`` should get. After the first epoch ``keep`` gets every
    head's probabilities on ``screen`` and says which go on. ``images``: the maps are of images, and where samples
    are few and pass often, they pass shifted: a map of a shifted image is almost the shifted map.
    """
    import keras
    import tensorflow as tf

    (source,) = {wanted(h).key for h in heads}
    maps, n = fit.tensors[source], len(fit.probabilities)
    plan = plan.for_samples(n)
    rng = np.random.default_rng([plan.seed, 2, heads[0].location.after])
    keras.utils.set_random_seed(plan.seed + heads[0].location.after)
    steps = n // plan.batch
    total = plan.epochs * steps
    scale = np.float32(1 / max(1e-6, float(np.std(maps[:: max(1, n // 512)].astype(np.float32)))))
    alive, models = list(heads), {h.key: keras_head.training_model(h, scale) for h in heads}
    optimizers = {
        h.key: keras.optimizers.AdamW(
            keras.optimizers.schedules.CosineDecay(plan.rate, total), weight_decay=min(DECAY / n, 0.2)
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
    for at in range(total):
        if at == steps and len(alive) > 1:
            now = [Trained(h, keras_head.folded(h, models[h.key], scale)) for h in alive]
            kept = keep({t.head.key: predict(t, screen) for t in now})
            if len(kept) < len(alive):
                alive = [h for h in alive if h.key in kept]
                step = compiled()
        if at % steps == 0:
            order = rng.permutation(n)
        rows = np.sort(order[at % steps * plan.batch :][: plan.batch])
        x = maps[rows]
        if images and plan.epochs > MANY_PASSES:
            x = shifted(x, [rng.integers(-m, m + 1) for m in (round(SHIFT * size) for size in x.shape[1:-1])])
        step(tf.constant(x), tf.constant(targets(rows)))
        if (at + 1) % steps == 0:
            progress((at + 1) // steps, plan.epochs)
    return [Trained(h, keras_head.folded(h, models[h.key], scale)) for h in alive]


def predict(trained: Trained, features: Features, batch: int = 256) -> NDArray[np.float32]:
    """Probabilities (n, outputs) of a head on cached maps, computed by its deployed form."""
    model = keras_head.deployed_model(trained.head, trained.weights)
    maps = features.tensors[wanted(trained.head).key]
    parts = [
        np.asarray(model(maps[i : i + batch].astype(np.float32), training=False))
        for i in range(0, len(maps), batch)
    ]
    return np.concatenate(parts)


def _losses(tf: Any, head: Head, y: Any, logits: Any) -> Any:
    """Cross entropy of logits (n, outputs) with target probabilities, one number per sample."""
    if head.dense[-1].activation == "softmax":
        return tf.nn.softmax_cross_entropy_with_logits(y, logits)
    return tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(y, logits), axis=-1)
