"""How both examples learn: equal weights from equal seeds, whichever script asks."""

from __future__ import annotations

from typing import Any


def begin(seed: int, threads: int) -> None:
    """Before a model is built. Another number of threads sums in another order and trains other weights."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    tf.config.threading.set_intra_op_parallelism_threads(threads)


def fit(model: Any, batches: Any, epochs: int, *, peak: float, weight_decay: float) -> Any:
    """The model trained on shuffled ``batches``; the last epoch counts, no other data is looked at.

    The learning rate rises to ``peak`` over a tenth of the steps, then falls to 0.
    """
    import keras

    steps = epochs * len(batches)
    model.compile(
        optimizer=keras.optimizers.AdamW(
            keras.optimizers.schedules.CosineDecay(
                0.0, decay_steps=steps * 9 // 10, warmup_target=peak, warmup_steps=steps // 10
            ),
            weight_decay=weight_decay,
        ),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,  # XLA convolutions are slow on a CPU
    )
    model.fit(batches, epochs=epochs, shuffle=False, verbose=2)  # the dataset shuffles
    return model
