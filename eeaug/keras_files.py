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
import re
import shutil
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from eeaug import saved_model
from eeaug.errors import ConversionError, InputError
from eeaug.hardware_file import nearest
from eeaug.keras2_config import (
    MODELS,
    Item,
    input_shapes,
    item_name,
    items,
    layers_of,
    rewritten,
    without_slashes,
)
from eeaug.keras2_operations import OPERATION_LAYERS, function, operation

if TYPE_CHECKING:
    import keras

__all__ = ["check", "import_keras", "load"]

ZIP_MAGIC = b"PK\x03\x04"
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
TFLITE_MAGIC = b"TFL3"  # at byte 4
FOREIGN_SUFFIXES = {
    ".tflite": "a TFLite",
    ".onnx": "an ONNX",
    ".pb": "a TensorFlow graph",
    ".json": "an architecture-only",
    ".index": "a TensorFlow checkpoint's (weights only)",
}
WEIGHTS_ONLY_GROUPS = ("model_weights", "layers", "_layer_checkpoint_dependencies")
LONGEST_REASON = 240  # characters; a Keras error can quote a whole configuration


@dataclass(frozen=True)
class _Stored:
    """What a model file says about itself, read without running anything from it."""

    kind: str  # "keras", "h5" or "saved_model"
    config: Item
    keras_version: str  # "" where the file has none, as only Keras 2 and older left it out
    parts: Sequence[Item] = ()  # what is built from descriptions outside ``config``

    @property
    def by_keras_2(self) -> bool:
        return not self.keras_version.startswith("3")


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


def check(path: Path, *, allow_unsafe: bool = False) -> _Stored:
    """Read what a model file says of itself; refuses what can be refused without a framework.

    Raises as :func:`load` does.
    """
    stored = _read(path)
    _refuse_subclassed(path, stored.config)
    if not allow_unsafe:
        for item in (stored.config, *stored.parts):
            _refuse_lambdas(path, item)
    if stored.by_keras_2:
        _refuse_changed_activations(path, stored.config)
    return stored


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
    stored = check(path, allow_unsafe=allow_unsafe)
    keras = import_keras()
    reason = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for route in _routes(stored):
            try:
                with tempfile.TemporaryDirectory() as scratch:
                    model = route(path, stored, Path(scratch), not allow_unsafe)
                reason = _input_difference(stored, model)
                if reason is None:
                    return model
            except Exception as error:  # Keras raises anything; its gist goes into the line below
                reason = _unknown_layer(stored.config, keras)
                if reason is not None:
                    break
                reason = _one_line(error)
    raise ConversionError(f"{path}: cannot be loaded: {reason}")


# -- what the file is ---------------------------------------------------------------------------------


def _read(path: Path) -> _Stored:
    if not path.exists():
        names = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise InputError(f"{path}: no such model file{nearest(path.name, names)}")
    if path.is_dir():
        if (path / saved_model.GRAPH_FILE).exists():
            config, parts, version = saved_model.read(path)
            return _Stored("saved_model", _checked(path, config), version, parts)
        raise InputError(
            f"{path}: a directory without {saved_model.GRAPH_FILE}, neither a model file (.keras, .h5 or .hdf5) "
            "nor a SavedModel"
        )
    try:
        with path.open("rb") as file:
            magic = file.read(8)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    if not magic:
        raise InputError(f"{path}: the file is empty")
    if magic.startswith(ZIP_MAGIC):
        return _read_zip(path)
    if magic == HDF5_MAGIC:
        return _read_h5(path)
    if path.name == saved_model.GRAPH_FILE:
        raise InputError(f"{path}: part of a SavedModel; give its directory, {path.parent}")
    foreign = "a TFLite" if magic[4:] == TFLITE_MAGIC else FOREIGN_SUFFIXES.get(path.suffix.lower())
    if foreign is not None:
        raise ConversionError(f"{path}: {foreign} file; eeaug needs the trained Keras model (.keras or .h5)")
    raise InputError(f"{path}: neither a .keras nor an .h5 file: damaged, or not a Keras model")


def _read_zip(path: Path) -> _Stored:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if "config.json" not in names:
                inside = ", ".join(names[:3]) or "nothing"
                raise InputError(f"{path}: a zip file without config.json, not a Keras model: holds {inside}")
            config = json.loads(archive.read("config.json"))
            metadata = json.loads(archive.read("metadata.json")) if "metadata.json" in names else {}
    except (zipfile.BadZipFile, EOFError, OSError, ValueError) as error:
        raise InputError(f"{path}: a damaged .keras file: {_one_line(error)}") from error
    return _Stored("keras", _checked(path, config), str(metadata.get("keras_version", "")))


def _read_h5(path: Path) -> _Stored:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            raw, version = file.attrs.get("model_config"), file.attrs.get("keras_version", "")
            has_weights = "layer_names" in file.attrs or any(group in file for group in WEIGHTS_ONLY_GROUPS)
        config = None if raw is None else json.loads(raw)
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{path}: a damaged .h5 file: {_one_line(error)}") from error
    if config is None and has_weights:
        raise ConversionError(
            f"{path}: holds weights only, not the layers they belong to; save the whole model (model.save)"
        )
    if config is None:
        raise InputError(f"{path}: an HDF5 file without model_config, not a Keras model")
    version = version.decode() if isinstance(version, bytes) else str(version)
    return _Stored("h5", _checked(path, config), version)


def _checked(path: Path, config: object) -> Item:
    if isinstance(config, dict) and "class_name" in config and isinstance(config.get("config"), dict | list):
        return config
    raise InputError(f"{path}: the stored configuration is damaged: no class_name and config in it")


# -- what is refused ----------------------------------------------------------------------------------


def _refuse_subclassed(path: Path, model: Item) -> None:
    if model["class_name"] not in MODELS:
        raise ConversionError(
            f"{path}: the model is of class {model['class_name']!r}, a subclass of which the file does not hold "
            "the code; build it as a functional or Sequential model and save that"
        )


def _refuse_lambdas(path: Path, model: Item) -> None:
    owner = item_name(model)
    # what else .keras stores (optimizer, losses) is not loaded
    for item in items({"class_name": model["class_name"], "config": model["config"]}):
        has_name = isinstance(item.get("config"), dict) and "name" in item["config"]
        if has_name and not item["class_name"].endswith("Policy"):
            owner = item_name(item)
        if item["class_name"] in ("Lambda", "__lambda__"):
            raise ConversionError(
                f"{path}: layer {owner!r} is a Lambda, which runs code from the file; "
                "--allow-unsafe loads it if you trust its author"
            )


def _refuse_changed_activations(path: Path, model: Item) -> None:
    for item in items(model):
        config = item.get("config")
        for key, value in config.items() if isinstance(config, dict) else ():
            function = value.get("config") if isinstance(value, dict) else value
            if key.endswith("activation") and function == "hard_sigmoid":
                raise ConversionError(
                    f"{path}: layer {item_name(item)!r} uses hard_sigmoid, which Keras 3 computes "
                    "differently (x/6 + 1/2, not x/5 + 1/2): train the model with Keras 3 or without it"
                )


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


def _input_difference(stored: _Stored, model: keras.Model) -> str | None:
    """Why the inputs of the loaded model are not the stored ones, or None."""
    inputs = getattr(model, "inputs", None)
    if not inputs:
        return "its input shape is unknown: saved before it was built, or a subclassed model"
    loaded, expected = [tuple(tensor.shape[1:]) for tensor in inputs], input_shapes(stored.config)
    if expected is None or expected == loaded:
        return None
    return f"the file stores the input shapes {expected}, Keras 3 makes {loaded} of them"


# -- the ways to load ---------------------------------------------------------------------------------

_Route = Callable[[Path, _Stored, Path, bool], "keras.Model"]  # path, stored, scratch folder, safe mode


def _routes(stored: _Stored) -> list[_Route]:
    if not stored.by_keras_2:
        operations = stored.kind == "h5" and any(map(_operation_module, layers_of(stored.config)))
        return [_load_rewritten if operations else _load_as_is]
    return [_load_rewritten, _load_with_tf_keras] if stored.kind == "h5" else [_load_with_tf_keras]


def _load_as_is(path: Path, stored: _Stored, scratch: Path, safe_mode: bool) -> keras.Model:
    import keras

    source = _with_suffix(path, stored, scratch)
    return keras.models.load_model(source, compile=False, safe_mode=safe_mode)


def _load_rewritten(path: Path, stored: _Stored, scratch: Path, safe_mode: bool) -> keras.Model:
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


def _load_with_tf_keras(path: Path, stored: _Stored, scratch: Path, safe_mode: bool) -> keras.Model:
    import tf_keras

    source, plain = _with_suffix(path, stored, scratch), scratch / "plain.h5"
    old = tf_keras.models.load_model(source, compile=False, safe_mode=safe_mode)
    old.save(plain, include_optimizer=False)
    return _load_rewritten(plain, _read_h5(plain), scratch, safe_mode)


def _with_suffix(path: Path, stored: _Stored, scratch: Path) -> Path:
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


def _one_line(error: BaseException) -> str:
    """The gist of an error of Keras: the class at fault and the innermost reason."""
    text = " ".join(str(error).split())
    gist = text.rsplit("Exception encountered:", 1)[-1].strip()
    owner = re.search(r"[Ee]rror when deserializing class '(\w+)'|<class '[\w.]*?(\w+)'> could not", text)
    if owner is not None:
        gist = f"{owner[1] or owner[2]}: {gist}"
    return gist[:LONGEST_REASON] or type(error).__name__


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
