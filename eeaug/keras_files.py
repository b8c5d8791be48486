"""Read any Keras model file as a Keras 3 model, or say in one line why not.

- What Keras 3 wrote, Keras 3 reads as it is.
- An ``.h5`` that Keras 2 wrote is read from a temporary copy whose stored configuration is rewritten.
- Everything else that Keras 2 wrote, SavedModel directories too, is read by tf_keras, which writes an
  ``.h5`` that goes the way above.

Whichever the way, only a Keras 3 model is handed on. Importing this module imports no framework.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from eeaug import leftovers, stored_model
from eeaug.errors import ConversionError, InputError
from eeaug.keras2_config import (
    MODELS,
    Item,
    input_shapes,
    item_name,
    layers_of,
    rewritten,
    without_slashes,
)
from eeaug.keras2_operations import OPERATION_LAYERS, function, operation
from eeaug.stored_model import Stored, one_line, read_h5

if TYPE_CHECKING:
    import keras

__all__ = ["import_keras", "load"]


def import_keras() -> ModuleType:
    """Import Keras on the TensorFlow backend, quietly, and return it.

    Raises
    ------
    InputError
        If Keras was imported before with another backend.
    """
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "tensorflow"
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        # TensorFlow 2.21 logs some lines before it heeds that variable
        with _stderr_silenced():
            import tensorflow

        import absl.logging

        tensorflow.get_logger().setLevel("ERROR")
        absl.logging.set_verbosity(absl.logging.ERROR)
    import keras

    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise InputError(
            f"Keras runs on the backend {backend!r} in this process, eeaug needs 'tensorflow': "
            "set KERAS_BACKEND=tensorflow before keras is imported"
        )
    return keras


def load(path: Path, *, allow_unsafe: bool = False) -> keras.Model:
    """Load a ``.keras``, ``.h5`` or ``.hdf5`` file or a SavedModel directory of Keras 3 or 2, uncompiled.

    Parameters
    ----------
    path
        The model file or directory; its content decides what it is, not its suffix.
    allow_unsafe
        Accept Lambda layers, that is, run code from the file.

    Returns
    -------
    keras.Model
        A built Keras 3 model whose input shapes are those stored in the file.

    Raises
    ------
    InputError
        The file is missing, damaged, or no model file at all.
    ConversionError
        A model that cannot be loaded: another format, weights only, subclassed, Lambda layers, custom classes.
    """
    path = Path(path)
    stored = stored_model.read(path, allow_unsafe=allow_unsafe)
    keras = import_keras()
    reason = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for route in _routes(stored):
            try:
                with leftovers.scratch() as scratch:
                    model = route(path, stored, scratch, not allow_unsafe)
                reason = _input_difference(stored, model)
                if reason is None:
                    return model
            except Exception as error:  # Keras raises anything; its gist goes into the line below
                reason = _unknown_layer(stored.config, keras)
                if reason is not None:
                    break
                reason = one_line(error)
    raise ConversionError(f"{path}: cannot be loaded: {reason}")


# -- what the file is ---------------------------------------------------------------------------------


def _unknown_layer(model: Item, keras: ModuleType) -> str | None:
    """The first layer whose class Keras 3 does not have, as a phrase; None when it has them all."""
    pending = [model]
    while pending:
        item = pending.pop(0)
        name = item["class_name"]
        known = hasattr(keras.layers, name) or name in MODELS
        registered = keras.saving.get_registered_object(item.get("registered_name") or name)
        if name in OPERATION_LAYERS:
            if operation(item) is None:
                return f"layer {item_name(item)!r} calls TensorFlow's {function(item)!r}: use a Keras layer instead"
        elif not known and registered is None and _operation_module(item) is None:
            return f"layer {item_name(item)!r} is of class {name}, which Keras 3 does not have (a custom class)"
        wrapped = item["config"].get("layer") if isinstance(item["config"], dict) else None
        pending += layers_of(item) + ([wrapped] if isinstance(wrapped, dict) else [])
    return None


def _input_difference(stored: Stored, model: keras.Model) -> str | None:
    """Why the inputs of the loaded model are not the stored ones, or None."""
    inputs = getattr(model, "inputs", None)
    if not inputs:
        return "its input shape is unknown: saved before it was built, or a subclassed model"
    loaded, expected = [tuple(tensor.shape[1:]) for tensor in inputs], input_shapes(stored.config)
    if expected is None or expected == loaded:
        return None
    return f"the file stores the input shapes {expected}, Keras 3 makes {loaded} of them"


# -- the ways to load ---------------------------------------------------------------------------------

_Route = Callable[[Path, Stored, Path, bool], "keras.Model"]  # path, stored, scratch folder, safe mode


def _routes(stored: Stored) -> list[_Route]:
    if not stored.by_keras_2:
        operations = stored.kind == "h5" and any(map(_operation_module, layers_of(stored.config)))
        return [_load_rewritten if operations else _load_as_is]
    return [_load_rewritten, _load_with_tf_keras] if stored.kind == "h5" else [_load_with_tf_keras]


def _load_as_is(path: Path, stored: Stored, scratch: Path, safe_mode: bool) -> keras.Model:
    import keras

    source = _with_suffix(path, stored, scratch)
    return keras.models.load_model(source, compile=False, safe_mode=safe_mode)


def _load_rewritten(path: Path, stored: Stored, scratch: Path, safe_mode: bool) -> keras.Model:
    import h5py
    import keras

    target = scratch / "rewritten.h5"
    with h5py.File(path, "r") as source, h5py.File(target, "w") as copy:
        config = rewritten(stored.config) if stored.by_keras_2 else _with_modules(stored.config)
        copy.attrs["model_config"] = json.dumps(config)
        source.copy("model_weights", copy)
        names = _weighted_layers(source["model_weights"])
    new = without_slashes(stored.config)
    names = [new.get(name, name) for name in names]
    model = keras.models.load_model(target, compile=False, safe_mode=safe_mode)
    if [layer.name for layer in model.layers if layer.weights] != names:  # Keras assigns them by position
        raise ConversionError("its layers come in another order than their stored weights")
    return model


def _with_modules(model: Item) -> Item:
    """What Keras 3 leaves out of an ``.h5``, so that it fails to load its own: where operations are defined."""
    found = [(layer, _operation_module(layer)) for layer in layers_of(model)]
    layers = [
        {**layer, "module": module, "registered_name": layer["class_name"]} if module else layer
        for layer, module in found
    ]
    return {**model, "config": {**model["config"], "layers": layers}}


def _operation_module(layer: Item) -> str | None:
    """The module of an operation (``x + y``) of Keras 3 among the layers, None for a layer."""
    if not isinstance(layer["config"], dict) or "trainable" in layer["config"]:
        return None
    modules = (f"keras.src.ops.{name}" for name in ("numpy", "nn", "math", "core", "image", "linalg"))
    return next((m for m in modules if hasattr(importlib.import_module(m), layer["class_name"])), None)


def _load_with_tf_keras(path: Path, stored: Stored, scratch: Path, safe_mode: bool) -> keras.Model:
    import tf_keras

    source, plain = _with_suffix(path, stored, scratch), scratch / "plain.h5"
    old = tf_keras.models.load_model(source, compile=False, safe_mode=safe_mode)
    old.save(plain, include_optimizer=False)
    return _load_rewritten(plain, read_h5(plain), scratch, safe_mode)


def _with_suffix(path: Path, stored: Stored, scratch: Path) -> Path:
    """The file, or a copy of it, under the suffix by which Keras knows its format."""
    if stored.kind == "saved_model" or path.suffix == f".{stored.kind}":
        return path
    return Path(shutil.copyfile(path, scratch / f"model.{stored.kind}"))


def _weighted_layers(group: Any) -> list[str]:
    """Names of the layers that have weights, in stored order; long lists lie in several attributes."""
    parts = [key for key in group.attrs if key.startswith("layer_names")]
    names = [name for key in sorted(parts, key=lambda key: (len(key), key)) for name in group.attrs[key]]
    texts = [name.decode() if isinstance(name, bytes) else str(name) for name in names]
    return [name for name in texts if len(group[name])]


# -- saying it in one line, and silence ---------------------------------------------------------------


@contextlib.contextmanager
def _stderr_silenced() -> Iterator[None]:
    """Send nowhere what C++ code writes to file descriptor 2."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
