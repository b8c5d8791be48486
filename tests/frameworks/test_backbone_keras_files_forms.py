"""Older ways in which Keras 2 wrote the same, and what cannot be read of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from keras_nets import saved
from keras_parts import refused, small_files, with_config

from eeaug.backbone import keras_files
from eeaug.backbone.keras2_forms import renewed

__all__ = ["small_files"]

SHAPE = (8, 8, 3)


def mobile(k: Any) -> Any:
    start = k.Input(SHAPE)
    x = k.layers.BatchNormalization(name="norm")(k.layers.Conv2D(4, 3, name="conv")(start))
    x = k.layers.MaxPooling2D(2, name="pool")(k.layers.ReLU(6.0, name="relu")(x))
    x = k.layers.LeakyReLU(0.2, name="leaky")(k.layers.SeparableConv2D(4, 2, name="separable")(x))
    return k.Model(start, k.layers.GlobalAveragePooling2D(name="mean")(x))


def renamed(**names: str) -> Callable[[dict[str, Any]], object]:
    def change(model: dict[str, Any]) -> None:
        for layer in model["config"]["layers"]:
            layer["class_name"] = names.get(layer["config"]["name"], layer["class_name"])

    return change


def numbers(form: Callable[[float], Any]) -> Callable[[dict[str, Any]], object]:
    def change(model: dict[str, Any]) -> None:
        for layer in model["config"]["layers"]:
            for key in ("max_value", "negative_slope", "threshold", "alpha", "epsilon"):
                if isinstance(layer["config"].get(key), int | float):
                    layer["config"][key] = form(layer["config"][key])

    return change


FORMS = {
    "array of no dimension": numbers(lambda value: {"type": "ndarray", "value": value}),
    "array of one number": numbers(lambda value: {"type": "ndarray", "value": [value]}),
    "number of numpy": numbers(lambda value: {"type": "float32", "value": value}),
    "batch normalization 1": renamed(norm="BatchNormalizationV1"),
    "batch normalization 2": renamed(norm="BatchNormalizationV2"),
    "batch normalization of all replicas": renamed(norm="SyncBatchNormalization"),
    "other names": renamed(
        conv="Convolution2D", separable="SeparableConvolution2D", pool="MaxPool2D", mean="GlobalAvgPool2D"
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_other_forms_of_the_same(old: Any, tmp_path: Path, form: str) -> None:
    net, rng = mobile(old), np.random.default_rng(0)
    for variable in net.weights:
        variable.assign(rng.uniform(0.3, 0.9, variable.shape))
    path = with_config(saved(net, tmp_path / "net.h5"), tmp_path / "m.h5", FORMS[form])
    x = rng.normal(size=(2, *SHAPE)).astype(np.float32)
    np.testing.assert_allclose(keras_files.load(path)(x), net(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_layers_of_cudnn(old: Any, tmp_path: Path, kind: str) -> None:
    """They have the biases of inputs and of states side by side."""
    net = old.Sequential([old.layers.InputLayer((5, 3)), getattr(old.layers, kind)(4, name="rnn")])
    rng = np.random.default_rng(0)
    for variable in net.weights:
        variable.assign(rng.normal(size=variable.shape))
    path = with_config(saved(net, tmp_path / "net.h5"), tmp_path / "m.h5", renamed(rnn=f"CuDNN{kind}"))
    kernel, recurrent, bias = net.get_weights()
    gates = {"LSTM": 4, "GRU": 3}[kind]

    def of_cudnn(matrix: np.ndarray) -> np.ndarray:
        return np.hstack([part.T.reshape(part.shape) for part in np.hsplit(matrix, gates)])

    stored = {
        "kernel": of_cudnn(kernel), "recurrent_kernel": of_cudnn(recurrent),
        "bias": bias.ravel() if kind == "GRU" else np.concatenate([bias / 4, bias * 3 / 4]),
    }  # fmt: skip
    with h5py.File(path, "r+") as file:
        group = file["model_weights/rnn"]
        names: list[str] = []
        group.visititems(lambda name, found: names.append(name) if isinstance(found, h5py.Dataset) else None)
        for name in names:
            value = stored[name.rsplit("/", 1)[-1].split(":")[0]]
            del group[name]
            group[name] = value.astype(np.float32)
    x = rng.normal(size=(2, 5, 3)).astype(np.float32)
    np.testing.assert_allclose(keras_files.load(path)(x), net(x), rtol=1e-4, atol=1e-5)


def test_what_looks_like_an_array_but_is_none() -> None:
    constant = {"class_name": "Constant", "config": {"value": 0.1, "dtype": "float32"}}
    assert renewed({"class_name": "Sequential", "config": {"x": constant}})["config"]["x"] == constant


def test_batch_renormalization(old: Any, small_files: Mapping[Any, Path], tmp_path: Path) -> None:
    def change(model: dict[str, Any]) -> None:
        next(c for c in model["config"]["layers"] if c["config"]["name"] == "norm")["config"]["renorm"] = True

    path = with_config(saved(mobile(old), tmp_path / "net.h5"), tmp_path / "m.h5", change)
    assert "layer 'norm' is a batch normalization with renorm, which Keras 3 lacks" in str(refused(path))


@pytest.mark.parametrize("kind", [".keras", ".h5", ""])
def test_bfloat16_is_computed_in_single_precision(old: Any, kind: str, tmp_path: Path) -> None:
    """No format of a bundle computes in bfloat16; the weights are float32 already."""
    old.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        net = mobile(old)
    finally:
        old.mixed_precision.set_global_policy("float32")
    path = saved(net, tmp_path / f"m{kind}")
    loaded = keras_files.load(path)
    assert {layer.compute_dtype for layer in loaded.layers} == {"float32"}
    x = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype(np.float32)
    np.testing.assert_allclose(loaded(x), np.asarray(net(x), np.float32), atol=0.05)


def test_policies_of_keras_3(keras: Any, tmp_path: Path) -> None:
    start = keras.Input((4,))
    net = keras.Model(start, keras.layers.Dense(3, dtype="mixed_bfloat16")(start))
    for suffix in (".keras", ".h5"):
        loaded = keras_files.load(saved(net, tmp_path / f"m{suffix}"))
        assert {layer.compute_dtype for layer in loaded.layers} == {"float32"}
