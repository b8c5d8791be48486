"""Public models and data that benchmarks run on.

A data directory holds models/<name>.h5 and the data that no package carries: kws_mfcc_train.npz (x_train, y_train,
groups_train: 49×10 MFCC windows of Speech Commands v2), vww_eembc_1000.npz (x_test, y_test: EEMBC's 1,000
visual-wake-words images) and ecg_kachuee.npz (heart beats of MIT-BIH, parts by beat; patients are left out).
CIFAR-10 is read from cifar10.npz there, else through keras.datasets.

The test images of CIFAR-10 are halved: the first 5,000 choose, the last 5,000 measure. KWS is split by
speaker and VWW at random, 60 : 20 : 20 and 50 : 25 : 25. Other seeds split otherwise, of CIFAR-10 the test images;
the parts of ECG stay as they are.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

MODELS = {
    # name: (file, data, preprocessing, options)
    "resnet8": ("resnet8_cifar10.h5", "cifar10", {}, ["--max-latency", "2.5"]),
    "resnet32": (
        "resnet32_cifar10.h5",
        "cifar10",
        {"mean": [125.307, 122.95, 113.865], "std": [62.9932, 62.0887, 66.7048]},
        ["--max-latency", "2.5"],
    ),
    "resnet110": (
        "resnet110_cifar10.h5",
        "cifar10",
        {"scale": 1 / 255, "mean": "resnet110_cifar10.mean.npy"},
        ["--max-latency", "5"],
    ),
    "dscnn": ("dscnn_kws.h5", "kws", {}, ["--max-latency", "2.5"]),
    "ecg": ("ecg_kachuee_fcn.h5", "ecg", {}, ["--max-latency", "2.5"]),
    "mobilenetv1": ("mobilenetv1_vww.h5", "vww", {"scale": 1 / 255}, ["--max-latency", "2.5"]),
}


def cifar10(directory: Path, seed: int = 0) -> dict[str, np.ndarray]:
    if (directory / "cifar10.npz").is_file():
        stored = dict(np.load(directory / "cifar10.npz"))
        parts = ("val", "test") if "x_val" in stored else ("test",)
        train = stored["x_train"], stored["y_train"]
        test = tuple(np.concatenate([stored[f"{k}_{part}"] for part in parts]) for k in ("x", "y"))
    else:
        import keras

        train, test = keras.datasets.cifar10.load_data()
    order = np.arange(len(test[0])) if seed == 0 else np.random.default_rng(seed).permutation(len(test[0]))
    x, y = test[0][order], test[1].ravel()[order]
    return {
        "x_train": train[0], "y_train": train[1].ravel(),
        "x_val": x[:5000], "y_val": y[:5000], "x_test": x[5000:], "y_test": y[5000:],
    }  # fmt: skip


def kws(directory: Path, seed: int = 0) -> dict[str, np.ndarray]:
    stored = np.load(directory / "kws_mfcc_train.npz")
    speakers = np.random.default_rng(seed).permutation(np.unique(stored["groups_train"]))
    shares = np.split(speakers, [int(0.6 * len(speakers)), int(0.8 * len(speakers))])
    out = {}
    for part, names in zip(("train", "val", "test"), shares, strict=True):
        rows = np.isin(stored["groups_train"], names)
        out |= {f"{k}_{part}": stored[f"{k}_train"][rows] for k in ("x", "y", "groups")}
    return out


def vww(directory: Path, seed: int = 0) -> dict[str, np.ndarray]:
    stored = np.load(directory / "vww_eembc_1000.npz")
    order = np.random.default_rng(seed).permutation(len(stored["y_test"]))
    shares = np.split(order, [500, 750])
    return {
        f"{k}_{part}": stored[f"{k}_test"][rows]
        for part, rows in zip(("train", "val", "test"), shares, strict=True)
        for k in ("x", "y")
    }


def ecg(directory: Path, seed: int = 0) -> dict[str, np.ndarray]:
    stored = np.load(directory / "ecg_kachuee.npz")
    return {f"{k}_{part}": stored[f"{k}_{part}"] for part in ("train", "val", "test") for k in ("x", "y")}


DATA = {"cifar10": cifar10, "kws": kws, "vww": vww, "ecg": ecg}


def prepare(
    name: str, directory: Path, work: Path, seed: int = 0, *, whole: bool = False
) -> tuple[Path, Path, list[str]]:
    """The model file, its .data.yaml (written into ``work``, samples beside it) and its latency limit.

    ``whole``: what would be x_test is part of x_val.
    """
    file, source, preprocessing, options = MODELS[name]
    suffix = f"{seed or ''}{'-whole' if whole else ''}"
    data = work / f"{source}{suffix}.npz"
    if not data.exists():
        parts = DATA[source](directory, seed)
        if whole:
            for key in [key.removesuffix("_test") for key in parts if key.endswith("_test")]:
                parts[f"{key}_val"] = np.concatenate([parts[f"{key}_val"], parts.pop(f"{key}_test")])
        np.savez(data, **parts)
    sidecar: dict[str, Any] = {"source": data.name, "preprocessing": dict(preprocessing)}
    if isinstance(preprocessing.get("mean"), str):
        sidecar["preprocessing"]["mean"] = str((directory / "models" / preprocessing["mean"]).resolve())
    spec = work / f"{name}{suffix}.data.yaml"
    spec.write_text(json.dumps(sidecar))  # JSON is YAML
    return (directory / "models" / file).resolve(), spec, list(options)
