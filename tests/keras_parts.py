"""Small model files of Keras 3 and 2, and ways to change what is in them."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import pytest
from keras_nets import saved

from eeaug.backbone import keras_files
from eeaug.errors import EeaugError

FILES = [(version, suffix) for version in (3, 2) for suffix in (".keras", ".h5")]
IDS = [f"keras{version}{suffix}" for version, suffix in FILES]
CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"


def small(k: Any) -> Any:
    start = k.Input((8, 8, 3), name="start")
    x = k.layers.Conv2D(4, 3, activation="relu", name="conv")(start)
    x = k.layers.GlobalAveragePooling2D(name="pool")(x)
    return k.Model(start, k.layers.Dense(3, activation="softmax", name="dense")(x), name="small")


@pytest.fixture(scope="session")
def small_files(keras: Any, old: Any, tmp_path_factory: pytest.TempPathFactory) -> Mapping[tuple[int, str], Path]:
    """By version of Keras and suffix; copy them, do not change them."""
    folder = tmp_path_factory.mktemp("small")
    return {(v, s): saved(small(keras if v == 3 else old), folder / f"keras{v}{s}") for v, s in FILES}


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(parts: Mapping[str, bytes], path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def with_config(source: Path, path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A copy in which ``change`` has changed the configuration."""
    if source.suffix == ".h5":
        with h5py.File(shutil.copy(source, path), "r+") as file:
            config = json.loads(file.attrs["model_config"])
            change(config)
            file.attrs["model_config"] = json.dumps(config)
        return path
    parts = members(source)
    config = json.loads(parts[CONFIG])
    change(config)
    return zipped({**parts, CONFIG: json.dumps(config).encode()}, path)


def with_weights(source: Path, path: Path, change: Callable[[Any, str], object]) -> Path:
    """A copy in which ``change`` has changed the HDF5 file of the weights; it is told a group of weights."""
    if source.suffix == ".h5":
        with h5py.File(shutil.copy(source, path), "r+") as file:
            change(file, "model_weights")
        return path
    parts, inside = members(source), path.with_suffix(".inside")
    inside.write_bytes(parts[WEIGHTS])
    with h5py.File(inside, "r+") as file:
        change(file, next(name for name in file if "layer" in name))
    return zipped({**parts, WEIGHTS: inside.read_bytes()}, path)


def refused(path: Path) -> EeaugError:
    """What is said of a file, in one line."""
    with pytest.raises(EeaugError) as caught:
        keras_files.load(path)
    message = str(caught.value)
    assert caught.value.exit_code in (2, 4) and message.startswith(f"{path}: ")
    assert "\n" not in message and "\x1b" not in message and len(message) - len(str(path)) <= 300
    return caught.value
