"""The weights of a model as a file that a loader of Keras takes, after a look at what is in it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from eeaug.backbone import packed, stored_model
from eeaug.backbone.keras2_config import Item
from eeaug.backbone.model_files import WEIGHTS
from eeaug.backbone.stored_model import MODEL_WEIGHTS, NOT_OF_LAYERS, Stored, one_line
from eeaug.errors import InputError
from eeaug.support.regular import Unreadable

__all__ = ["turn_kernels", "unpacked", "weighted_layers", "with_config"]


def with_config(path: Path, stored: Stored, config: Item, target: Path) -> Path:
    """An ``.h5`` with the weights of another and this configuration, nothing else."""
    import h5py

    with h5py.File(path, "r") as source, h5py.File(target, "w") as copy:
        copy.attrs["model_config"] = json.dumps(config)
        if stored.group == "/":
            group = copy.create_group(MODEL_WEIGHTS)
            for name, value in source.attrs.items():
                group.attrs[name] = value
            for name in source:
                source.copy(name, group)
        else:
            source.copy(stored.group, copy, MODEL_WEIGHTS)
        if stored.by_keras_1:  # tf_keras looks for no other version
            copy[MODEL_WEIGHTS].attrs["keras_version"] = "1"
    return target


def unpacked(path: Path, stored: Stored, scratch: Path) -> tuple[Path, int]:
    """The weights in a ``.keras`` as a file of their own, and how many numbers the layers have there."""
    import h5py

    weights = scratch / WEIGHTS
    try:
        if stored.kind == "weights":
            shutil.copyfile(path, weights)
        else:
            with packed.opened_zip(path) as archive:
                packed.unpacked(archive, WEIGHTS, weights)
        with h5py.File(weights, "r") as file:
            elements = packed.hdf5_elements(file, weights.stat().st_size)
        if any("\\" in name for name in elements):  # written on Windows
            weights.chmod(0o600)
            with h5py.File(weights, "r+") as file:
                packed.joined(file)
                elements = packed.hdf5_elements(file, weights.stat().st_size)
    except Unreadable as error:
        raise InputError(f"{path}: not read: {WEIGHTS}: {error}") from error
    except stored_model.DAMAGE as error:
        raise InputError(f"{path}: a damaged .keras file: {one_line(error)}") from error
    return weights, sum(count for name, count in elements.items() if name not in NOT_OF_LAYERS)


def weighted_layers(group: Any) -> list[str]:
    """Names of the layers that have weights, in stored order; long lists lie in several attributes."""
    parts = [key for key in group.attrs if key.startswith("layer_names")]
    names = [name for key in sorted(parts, key=lambda key: (len(key), key)) for name in group.attrs[key]]
    texts = [name.decode() if isinstance(name, bytes) else str(name) for name in names]
    return [name for name in texts if len(group[name])]


def turn_kernels(model: Any) -> None:
    """Turn kernels by 180 degrees: Theano convolves, TensorFlow correlates (Keras 1 and 2: ``convert_kernel``)."""
    for layer in model._flatten_layers(include_self=False):
        if type(layer).__name__ in ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose"):
            kernel = layer.kernel.numpy()
            layer.kernel.assign(np.flip(kernel, tuple(range(kernel.ndim - 2))))
