"""Exercises of the shoulder, as a watch records them: streams of one person's, and a network for their windows.

The data is that of Burns et al., "Shoulder Physiotherapy Exercise Recognition: Machine Learning the Inertial
Signals from a Smartwatch" (2018), which the package seglearn carries (BSD-3): ten people, seven exercises with
either arm, six axes at 50 Hz. It is no dependency of this project; ``pip install --no-deps seglearn`` puts it
beside it.

A recording is one arm's seven exercises, one after the other in an order that is drawn; windows of two seconds move
on by half a second. Each part has people of its own.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

WINDOW, HOP = 100, 25  # samples at 50 Hz
PEOPLE = {"train": 4, "val": 3, "test": 3}
PASSES = 12
MISSING = (
    "--only activity: seglearn, which carries the data, is not installed: pip install --no-deps seglearn, or "
    "--activity watch_dataset.npy, the file of it"
)


def recorded(given: Path | None) -> Path:
    """The file of the data, which is ``given`` or in the installed package."""
    spec = None if given is not None else find_spec("seglearn")
    if given is None and (spec is None or spec.origin is None):
        raise SystemExit(MISSING)
    return given if given is not None else Path(str(spec.origin)).parent / "data" / "watch_dataset.npy"


def streams(place: Path, seed: int) -> dict[str, np.ndarray]:
    """Arrays of all parts: float32 windows (n, WINDOW, 6), every axis scaled to a deviation of 1."""
    data, rng = np.load(place, allow_pickle=True).item(), np.random.default_rng(seed)
    names, y = data["y_labels"], data["y"]
    people, arms = (np.asarray(data[name]).astype(np.int64) for name in ("subject", "side"))
    drawn = rng.permutation(np.unique(people))
    arrays: dict[str, np.ndarray] = {"class_names": np.array(names)}
    begin = 0
    for part, count in PEOPLE.items():
        x, labels, who, arm = [], [], [], []
        for person in drawn[begin : begin + count]:
            for side in np.unique(arms):
                chosen = rng.permutation(np.flatnonzero((people == person) & (arms == side)))
                signal = np.concatenate([data["X"][i] for i in chosen])
                truth = np.concatenate([np.full(len(data["X"][i]), y[i]) for i in chosen])
                starts = np.arange(0, len(signal) - WINDOW + 1, HOP)
                x += [signal[s : s + WINDOW] for s in starts]
                labels.append(truth[starts + WINDOW // 2])
                who.append(np.full(len(starts), person))
                arm.append(np.full(len(starts), side))
        begin += count
        arrays |= {
            f"x_{part}": np.stack(x).astype(np.float32), f"y_{part}": np.concatenate(labels).astype(np.int64),
            f"groups_{part}": np.concatenate(who), f"sequence_{part}": np.concatenate(arm),
        }  # fmt: skip
    scale = arrays["x_train"].std(axis=(0, 1), keepdims=True)
    return {name: array / scale if name.startswith("x_") else array for name, array in arrays.items()}


def train(arrays: dict[str, np.ndarray], place: Path, seed: int) -> None:
    """A small network of convolutions over time, trained on the people of x_train, as a Keras file."""
    import keras

    keras.utils.set_random_seed(seed)
    inputs = x = keras.Input((WINDOW, arrays["x_train"].shape[2]))
    for filters, step in ((16, 1), (32, 2), (32, 2), (64, 2)):
        x = keras.layers.Conv1D(filters, 5, strides=step, padding="same", use_bias=False)(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    x = keras.layers.Dropout(0.3)(keras.layers.GlobalAveragePooling1D()(x))
    outputs = keras.layers.Dense(len(arrays["class_names"]), activation="softmax")(x)
    model = keras.Model(inputs, outputs)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(arrays["x_train"], arrays["y_train"], batch_size=32, epochs=PASSES, verbose=0)
    model.save(place)
