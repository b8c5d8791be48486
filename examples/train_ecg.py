"""Train the shipped example of a stream, a small network on heart beats, and write its data sidecar.

python examples/train_ecg.py ECG.npz [--out DIR] [--epochs N]

ECG.npz: the MIT-BIH Arrhythmia Database as Kachuee et al. prepare it (2018, arXiv:1805.00794): x_train, x_val and
x_test (beats, 187, 1) in 0..1 at 125 Hz, y_*, class_names, and the record of each beat in groups_*, every part in
the order of record and time. Writes ecg_stream.h5 (the model) and ecg_stream.npz (an excerpt of beats in order).
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import training

SEED = 7
PARTS = ("train", "val", "test")
# left out: those with a pacemaker, as in AAMI's EC57, and 202, which is of the same person as 201
LEFT_OUT = (102, 104, 107, 217, 202)
EVENTFUL = 0.05  # share of ventricular beats from which on a record is one of the excerpt, and not learnt from
# beats of each record: the first ones, and to learn from those in which the label changes most often
BEATS = {"train": 120, "val": 300, "test": 300}
BATCH_SIZE = 128
PEAK_LEARNING_RATE = 3e-3
WEIGHT_DECAY = 1e-2
STEPS = ((16, 7, 2), (24, 5, 2), (32, 5, 2), (32, 5, 1), (48, 3, 2))  # channels, kernel, stride


def as_bytes(x: np.ndarray) -> np.ndarray:
    """Beats in 0..1 as uint8: a step is 1/255 of a beat's height."""
    return np.round(np.clip(x.astype(np.float32), 0, 1) * 255).astype(np.uint8)


def divided(given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Which record is in which part: those held out serve val and test by turns."""
    groups, y = (np.concatenate([given[f"{name}_{part}"] for part in PARTS]) for name in ("groups", "y"))
    ventricular = list(given["class_names"]).index("V")
    records = np.setdiff1d(groups, LEFT_OUT)
    share = np.array([np.mean(y[groups == record] == ventricular) for record in records])
    held_out = records[share >= EVENTFUL]
    return {"train": np.setdiff1d(records, held_out), "val": held_out[::2], "test": held_out[1::2]}


def stretch(y: np.ndarray, beats: int) -> slice:
    """So many beats in a row in which the label changes most often, of equal ones the first."""
    changes = np.concatenate([[0], np.cumsum(y[1:] != y[:-1])])
    start = int((changes[beats - 1 :] - changes[: len(y) - beats + 1]).argmax())
    return slice(start, start + beats)


def sidecar(given: Mapping[str, np.ndarray], parts: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The arrays of the excerpt: records one after the other, beats of each in order of time."""
    arrays: dict[str, Any] = {}
    for part, records in parts.items():
        chosen = []
        for record in records:
            rows = np.flatnonzero(given["groups_train"] == record)  # the largest part of the given ones
            first = slice(BEATS[part])
            chosen.append(rows[stretch(given["y_train"][rows], BEATS[part]) if part == "train" else first])
        rows = np.concatenate(chosen)
        arrays[f"x_{part}"] = as_bytes(given["x_train"][rows])
        arrays[f"y_{part}"] = given["y_train"][rows]
        arrays[f"groups_{part}"] = given["groups_train"][rows]
    return {**arrays, "class_names": given["class_names"]}


def beats_of(given: Mapping[str, np.ndarray], records: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All beats of some records, of every part, and their labels."""
    kept = {part: np.isin(given[f"groups_{part}"], records) for part in PARTS}
    x, y = (np.concatenate([given[f"{name}_{part}"][rows] for part, rows in kept.items()]) for name in ("x", "y"))
    return as_bytes(x), y


def build_model(classes: int) -> Any:
    """The untrained network: beats (n, 187, 1) in 0..255 to probabilities (n, classes)."""
    from keras import Input, Model, layers

    beat = Input((187, 1), name="beat")
    x = layers.Rescaling(1 / 255, name="rescale")(beat)
    for k, (channels, kernel, stride) in enumerate(STEPS, 1):
        x = layers.Conv1D(channels, kernel, stride, padding="same", use_bias=False, name=f"conv{k}")(x)
        x = layers.ReLU(name=f"relu{k}")(layers.BatchNormalization(name=f"bn{k}")(x))
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    return Model(beat, layers.Dense(classes, "softmax", name="classifier")(x), name="ecg_stream")


def train_model(x: np.ndarray, y: np.ndarray, classes: int, epochs: int) -> Any:
    """The network trained on all of ``x``."""
    import tensorflow as tf

    training.begin(SEED, threads=1)
    batches = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=SEED).batch(BATCH_SIZE).prefetch(2)
    return training.fit(build_model(classes), batches, epochs, peak=PEAK_LEARNING_RATE, weight_decay=WEIGHT_DECAY)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("ecg", type=Path, help="the beats, as above")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="where to write")
    parser.add_argument("--epochs", type=int, default=10, help="passes over the beats of the training records")
    options = parser.parse_args()
    with np.load(options.ecg) as file:
        given = dict(file)
    classes = len(given["class_names"])
    parts = divided(given)
    x, y = beats_of(given, parts["train"])
    model = train_model(x, y, classes, options.epochs)
    options.out.mkdir(parents=True, exist_ok=True)
    model.save(options.out / "ecg_stream.h5", include_optimizer=False)
    arrays = sidecar(given, parts)
    np.savez_compressed(options.out / "ecg_stream.npz", **arrays)
    for part in PARTS:
        predicted = model.predict(arrays[f"x_{part}"], batch_size=256, verbose=0).argmax(axis=1)
        y, records = arrays[f"y_{part}"], len(np.unique(arrays[f"groups_{part}"]))
        counts = dict(zip(given["class_names"].tolist(), np.bincount(y, minlength=classes).tolist(), strict=True))
        print(f"{part}: {records} records, {len(y)} beats {counts}, accuracy {np.mean(predicted == y):.4f}")


if __name__ == "__main__":
    main()
