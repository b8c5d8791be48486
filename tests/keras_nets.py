"""Small Keras classifiers with random weights, read as eeaug reads a file."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from eeaug.backbone import keras_files, model
from eeaug.backbone.model import Classifier
from eeaug.heads.layers import Convolve, Dense, Head, Pool, convolutions
from eeaug.heads.training import Trained
from eeaug.network import graph, locations
from eeaug.network.locations import Location

SHAPE, CLASSES = (8, 8, 3), 4


def _block(layers: Any, x: Any, channels: int, name: str) -> Any:
    y = layers.Conv2D(channels, 3, padding="same", name=f"{name}_conv")(x)
    y = layers.BatchNormalization(name=f"{name}_norm")(y)
    return layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([x, y]))


def residual(keras: Any, *, activation: str | None = "softmax") -> Any:
    layers = keras.layers
    start = keras.Input(SHAPE)
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="stem")(start)
    x = _block(layers, x, 6, "first")
    x = _block(layers, x, 6, "second")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(start, layers.Dense(CLASSES, activation=activation, name="classifier")(x), name="residual")


def logits(keras: Any) -> Any:
    return residual(keras, activation=None)


def nested(keras: Any) -> Any:
    """The same backbone as a model within a model."""
    layers = keras.layers
    inner_start = keras.Input(SHAPE)
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="stem")(inner_start)
    body = keras.Model(inner_start, _block(layers, _block(layers, x, 6, "first"), 6, "second"), name="body")
    start = keras.Input(SHAPE)
    x = layers.GlobalAveragePooling2D(name="pool")(body(layers.Rescaling(0.5, name="scale")(start)))
    return keras.Model(start, layers.Dense(CLASSES, activation="softmax", name="classifier")(x), name="nested")


def vector(keras: Any) -> Any:
    """No map anywhere: samples are vectors."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((12,)),
            *(layers.Dense(16, activation="relu", name=name) for name in ("first", "second", "third")),
            layers.Dense(CLASSES, activation="softmax", name="classifier"),
        ],
        name="vector",
    )


def signal(keras: Any) -> Any:
    """One axis of time."""
    layers = keras.layers
    start = keras.Input((32, 2))
    x = layers.Conv1D(8, 3, padding="same", activation="relu", name="first")(start)
    x = layers.Conv1D(8, 3, padding="same", activation="relu", name="second")(x)
    x = layers.Conv1D(8, 3, padding="same", activation="relu", name="third")(x)
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(start, layers.Dense(CLASSES, activation="softmax", name="classifier")(x), name="signal")


def modern(keras: Any) -> Any:
    """Exact GELU, layer normalisation, and a Normalization that holds its figures outside its weights."""
    layers = keras.layers
    start = keras.Input(SHAPE)
    x = layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0], name="scale")(start)
    for name in ("first", "second", "third"):
        x = layers.LayerNormalization(name=f"{name}_norm")(layers.Conv2D(6, 3, padding="same", name=name)(x))
        x = layers.Activation("gelu", name=f"{name}_out")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(start, layers.Dense(CLASSES, activation="softmax", name="classifier")(x), name="modern")


def mixed(keras: Any) -> Any:
    """Trained in mixed precision: tensors between layers are half floats."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        return residual(keras)
    finally:
        keras.config.set_dtype_policy(policy)


NETS: dict[str, Callable[[Any], Any]] = {
    "residual": residual, "logits": logits, "nested": nested, "vector": vector, "signal": signal,
    "modern": modern, "mixed": mixed,
}  # fmt: skip


def randomized(net: Any, seed: int = 0) -> Any:
    """The same net with weights of which none is zero or one, those of batch normalisation included."""
    rng = np.random.default_rng(seed)
    for layer in net._flatten_layers(include_self=False):
        if layer.weights and not hasattr(layer, "layers"):
            drawn = [rng.normal(0, 0.5, v.shape) for v in layer.weights]
            positive = ["variance" in v.path for v in layer.weights]
            layer.set_weights([abs(w) + 0.5 if p else w for w, p in zip(drawn, positive, strict=True)])
    return net


def classifier(kind: str, folder: Path) -> tuple[Any, Classifier]:
    """The Keras model and what eeaug makes of it."""
    keras = keras_files.import_keras()
    net = randomized(NETS[kind](keras))
    path = folder / f"{kind}.keras"
    net.save(path)
    return net, model.load(path)


def places(given: Classifier) -> dict[str, Location]:
    found, _ = locations.find(graph.blocks(given), given.classes, given.layout)
    return {at.name: at for at in found}


def dense_head(at: Location) -> Head:
    window = tuple(max(1, s // 4) for s in at.shape[:-1])
    return Head(at, "blueprint", "grid", (Pool(window), Dense(5, "relu"), Dense(CLASSES, "softmax")))


def map_head(at: Location) -> Head:
    axes = len(at.shape) - 1
    steps = (Convolve(7), Convolve(None, 2, 3), Pool((2,) * axes), Dense(CLASSES, "softmax"))
    return Head(at, "trecx", "test", steps)


def trained(head: Head, seed: int = 1) -> Trained:
    """A head with random weights of the shapes that its deployed form has."""
    rng = np.random.default_rng(seed)
    weights: list[np.ndarray] = []
    for step, before, after in head.shapes():
        axes = len(before) - 1
        for convolution, read in convolutions(step, before):
            window = (convolution.width,) * axes
            ends = (read[-1], convolution.filters or 1)
            weights.append(rng.normal(0, 0.3, window + ends))
            weights.append(rng.normal(0, 0.3, convolution.shape(read)[-1:]))
        if isinstance(step, Dense):
            weights.append(rng.normal(0, 0.3, (int(np.prod(before)), step.units)))
            weights.append(rng.normal(0, 0.3, after))
    return Trained(head, tuple(w.astype(np.float32) for w in weights))


def saved(net: Any, path: Path) -> Path:
    """Save a net of Keras 3 or 2 quietly: as the suffix says, without one as a SavedModel of Keras 2."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net.save(path, **({} if path.suffix else {"save_format": "tf"}))
    return path
