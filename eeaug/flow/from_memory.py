"""A model, data or target in memory as the files that a run reads; what is a path already stays one."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from eeaug import hardware as hardware_module
from eeaug.backbone import model_files
from eeaug.backbone.stored_model import one_line
from eeaug.data import functions
from eeaug.errors import InputError
from eeaug.frameworks import keras_archive
from eeaug.hardware import Hardware
from eeaug.settings import Running
from eeaug.support.cache import Cache

__all__ = ["data", "hardware", "is_place", "model"]

DATA = "arrays.npz"  # of arrays in memory; np.savez(DATA, **arrays) writes the same bytes


def is_place(value: object) -> bool:
    return isinstance(value, str | os.PathLike)


def hardware(given: Any, scratch: Path) -> str:
    """Name or path of a description; one in memory is written to ``scratch``."""
    if isinstance(given, Hardware):
        file = scratch / "hardware.yaml"
        file.write_text(hardware_module.dump(given), encoding="utf-8")
        return str(file)
    if not is_place(given):
        raise InputError(f"hardware: must be the name of a profile, a path or a Hardware; given {_kind(given)}")
    hardware_module.read(os.fspath(given))
    return str(os.fspath(given))


def model(given: Any, scratch: Path) -> Path:
    """Path of a model; one in memory is saved in ``scratch``, under its own name."""
    if is_place(given):
        if not str(given).strip():  # not the current directory
            raise InputError("model: is empty; must be a path or a Keras 3 model")
        return model_files.meant(Path(given))
    keras = sys.modules.get("keras")  # whoever has a model of it has imported it
    if keras is None or not isinstance(given, keras.Model):
        hint = ": save it, and give the file" if hasattr(given, "save") else ""
        raise InputError(f"model: must be a path or a Keras 3 model; given {_kind(given)}{hint}")
    file = scratch / f"{given.name}.keras"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            keras_archive.save(given, file)
    except Exception as error:  # Keras raises anything
        raise InputError(f"model: Keras cannot save {given.name}: {one_line(error)}") from error
    return file


def data(given: Any, scratch: Path, running: Running, *, beside: bool) -> str | None:
    """What ``--data`` takes; arrays are written to ``scratch``. ``beside``: data may lie beside the model file."""
    if given is None:
        if not beside:
            raise InputError("data: missing; nothing lies beside a model in memory")
        return None
    if is_place(given):
        return str(os.fspath(given))
    if not isinstance(given, Mapping):
        raise InputError(f"data: must be as --data takes it, or a mapping of arrays; given {_kind(given)}")
    arrays = functions.arrays_of("data", given)
    need = sum(array.nbytes for array in arrays.values())
    Cache(running.cache, running.max_cache_bytes).make_room(need, "data: arrays")
    np.savez(scratch / DATA, **arrays)  # type: ignore[arg-type]  # in pieces: no second copy in memory
    return str(scratch / DATA)


def _kind(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
