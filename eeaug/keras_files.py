"""Read any Keras model file as a Keras 3 model, or say in one line why not.

- What Keras 3 wrote, Keras 3 reads as it is.
- An ``.h5`` that Keras 2 wrote is read from a temporary copy whose stored configuration is rewritten.
- Everything else that Keras 2 wrote is read by tf_keras, which writes an ``.h5`` that goes the way above.

Whichever the way, only a Keras 3 model is handed on. Importing this module imports no framework.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import re
import shutil
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from eeaug.errors import ConversionError, InputError

if TYPE_CHECKING:
    import keras

__all__ = ["import_keras", "load"]

ZIP_MAGIC = b"PK\x03\x04"
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
TFLITE_MAGIC = b"TFL3"  # at byte 4

MODEL_CLASSES = {
    "Functional": "keras.src.models.functional",
    "Sequential": "keras",
}  # and where Keras 3 has them

# What Keras 2 stored and Keras 3 refuses; none of it changes what a trained layer computes.
_KERNEL = ("groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint")
DROPPED_KEYS = {
    "DepthwiseConv1D": _KERNEL,
    "DepthwiseConv2D": _KERNEL,
    "SeparableConv1D": _KERNEL,
    "SeparableConv2D": _KERNEL,
    "Conv1DTranspose": ("groups",),
    "Conv2DTranspose": ("groups",),
    "Conv3DTranspose": ("groups",),
    "MultiHeadAttention": ("query_shape", "key_shape", "value_shape", "softmax_robust_masking"),
    "Softmax": ("robust_masking",),
    "SpatialDropout1D": ("trainable", "noise_shape"),
    "SpatialDropout2D": ("trainable", "noise_shape"),
    "SpatialDropout3D": ("trainable", "noise_shape"),
}
DROPPED_EVERYWHERE = ("rng_type",)
DROPPED_WHEN_FALSE = ("time_major",)  # True means another input layout: Keras 3 then refuses it by name
TENSOR_REFERENCE_LENGTHS = (3, 4)  # [layer, node, tensor] and, in inbound nodes, call arguments


@dataclass(frozen=True)
class _Stored:
    """What a model file says about itself, read without running anything from it."""

    kind: str  # "keras" or "h5"
    config: dict[str, Any]
    keras_version: str  # "" where the file has none

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
        # TensorFlow 2.21 logs twice before it reads that variable, hence the redirection
        with _stderr_silenced():
            import tensorflow

        tensorflow.get_logger().setLevel("ERROR")
        import absl.logging

        absl.logging.set_verbosity(absl.logging.ERROR)
    import keras

    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise InputError(
            f"Keras runs on the backend {backend!r} in this process; eeaug needs 'tensorflow' "
            "(KERAS_BACKEND=tensorflow before keras is imported)"
        )
    return keras


def load(path: Path, *, allow_unsafe: bool = False) -> keras.Model:
    """Load a ``.keras``, ``.h5`` or ``.hdf5`` file of Keras 3 or Keras 2, uncompiled.

    Parameters
    ----------
    path
        The model file; its content decides what it is, not its suffix.
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
        It is a model that cannot be loaded: another format, weights only, Lambda layers, custom classes.
    """
    path = Path(path)
    stored = _read(path)
    if not allow_unsafe:
        _refuse_lambdas(path, stored.config)
    keras = import_keras()

    routes: list[Callable[[Path], keras.Model]] = []
    if not stored.by_keras_2:
        routes.append(lambda scratch: _load_as_is(path, stored, keras, scratch, safe_mode=not allow_unsafe))
    else:
        _refuse_changed_activations(path, stored.config)
        if stored.kind == "h5":
            routes.append(lambda scratch: _load_rewritten(path, stored.config, keras, scratch))
        routes.append(
            lambda scratch: _load_with_tf_keras(path, stored, keras, scratch, safe_mode=not allow_unsafe)
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for route in routes:
            try:
                with tempfile.TemporaryDirectory() as scratch:
                    model = route(Path(scratch))
                reason = _input_difference(stored, model)
                if reason is None:
                    return model
            except Exception as error:  # Keras raises anything; its gist goes into the line below
                reason = _unknown_layer(stored.config, keras)
                if reason is not None:
                    break
                reason = _one_line(error)
    raise ConversionError(f"{path}: cannot be loaded: {reason}")


# -- what the file is -------------------------------------------------------------------------------


def _read(path: Path) -> _Stored:
    if not path.exists():
        names = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        close = difflib.get_close_matches(path.name, names, n=1)
        hint = f"; did you mean {path.with_name(close[0])}?" if close else ""
        raise InputError(f"{path}: no such model file{hint}")
    if path.is_dir():
        if (path / "saved_model.pb").exists():
            raise ConversionError(
                f"{path}: a SavedModel directory, which this version does not read; save the model as .keras or .h5"
            )
        raise InputError(f"{path}: a directory, not a model file (.keras, .h5 or .hdf5)")
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
    foreign = {
        ".tflite": "a TFLite",
        ".onnx": "an ONNX",
        ".pb": "a TensorFlow graph",
        ".json": "an architecture-only",
    }
    name = "a TFLite" if magic[4:8] == TFLITE_MAGIC else foreign.get(path.suffix.lower())
    if name is not None:
        raise ConversionError(f"{path}: {name} file; eeaug needs the trained Keras model (.keras or .h5)")
    raise InputError(f"{path}: neither a .keras (zip) nor an .h5 (HDF5) file: damaged, or not a Keras model")


def _read_zip(path: Path) -> _Stored:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if "config.json" not in names:
                inside = ", ".join(names[:3])
                raise InputError(
                    f"{path}: a zip file, but not a Keras model (no config.json; it holds {inside})"
                )
            config = json.loads(archive.read("config.json"))
            metadata = json.loads(archive.read("metadata.json")) if "metadata.json" in names else {}
    except (zipfile.BadZipFile, EOFError, OSError, ValueError) as error:
        raise InputError(f"{path}: a damaged .keras file: {_one_line(error)}") from error
    return _Stored("keras", _checked_config(path, config), str(metadata.get("keras_version", "")))


def _read_h5(path: Path) -> _Stored:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            raw, version = file.attrs.get("model_config"), file.attrs.get("keras_version", "")
            weights_only = "layer_names" in file.attrs or any(
                group in file for group in ("model_weights", "layers", "_layer_checkpoint_dependencies")
            )
            if raw is None and weights_only:
                raise ConversionError(
                    f"{path}: holds weights only, without the layers they belong to; save the whole model (model.save)"
                )
            if raw is None:
                raise InputError(f"{path}: an HDF5 file, but not a Keras model (no model_config)")
            config = json.loads(raw)
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{path}: a damaged .h5 file: {_one_line(error)}") from error
    version = version.decode() if isinstance(version, bytes) else str(version)
    return _Stored("h5", _checked_config(path, config), version)


def _checked_config(path: Path, config: object) -> dict[str, Any]:
    if isinstance(config, dict) and "class_name" in config and isinstance(config.get("config"), dict | list):
        return config
    raise InputError(f"{path}: the stored configuration is damaged: it has no class_name and config")


# -- what the configuration says ----------------------------------------------------------------------


def _objects(value: object) -> Iterator[dict[str, Any]]:
    """Every serialised object (a dict with class_name) in a configuration, outermost first."""
    if isinstance(value, dict):
        if "class_name" in value:
            yield value
        for child in value.values():
            yield from _objects(child)
    elif isinstance(value, list):
        for child in value:
            yield from _objects(child)


def _name(item: dict[str, Any]) -> str:
    config = item.get("config")
    stored = config.get("name") if isinstance(config, dict) else None
    return str(stored or item.get("name") or "?")


def _layers(item: dict[str, Any]) -> list[dict[str, Any]]:
    """The layers of a stored model, none for any other object; Keras before 2.2.3 stored a Sequential as a bare list."""
    config = item["config"]
    layers = config if isinstance(config, list) else config.get("layers", [])
    return [layer for layer in layers if isinstance(layer, dict)]


def _refuse_lambdas(path: Path, config: dict[str, Any]) -> None:
    owner = "?"
    for item in _objects({"class_name": config["class_name"], "config": config["config"]}):
        if isinstance(item.get("config"), dict) and "name" in item["config"]:
            owner = _name(item)
        if item["class_name"] in ("Lambda", "__lambda__"):
            raise ConversionError(
                f"{path}: layer {owner!r} is a Lambda, which runs code from the file; "
                "--allow-unsafe loads it if you trust its author"
            )


def _input_shapes(item: dict[str, Any]) -> list[tuple[int | None, ...]] | None:
    """Stored input shapes without the batch dimension, in input order; None where the file has none."""
    config = item["config"]
    if isinstance(config, dict):
        own = config.get("batch_input_shape") or config.get("batch_shape")
        if own:
            return [tuple(own[1:])]
    layers = _layers(item)
    if isinstance(config, dict) and config.get("input_layers"):
        by_name = {str(layer.get("name") or _name(layer)): layer for layer in layers}
        shapes = [
            _input_shapes(by_name[name])
            for name, *_ in _references(config["input_layers"])
            if name in by_name
        ]
        return [shape[0] for shape in shapes if shape] or None
    built = config.get("build_input_shape") if isinstance(config, dict) else None
    first = _input_shapes(layers[0]) if layers else None
    if first is None and isinstance(built, list) and len(built) > 1:
        return [tuple(built[1:])]
    return first


def _references(value: object) -> Iterator[list[Any]]:
    """Every ``[layer name, node index, tensor index, ...]`` in (nested) inbound nodes or output layers."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        is_reference = len(value) in TENSOR_REFERENCE_LENGTHS and isinstance(value[0], str)
        if is_reference and all(isinstance(index, int) for index in value[1:3]):
            yield value
            value = value[3:]  # tensors among the call arguments
        for child in value:
            yield from _references(child)


def _unknown_layer(config: dict[str, Any], keras: ModuleType) -> str | None:
    """The first layer whose class Keras 3 does not have, as a phrase; None when it has them all."""
    pending = [config]
    while pending:
        item = pending.pop(0)
        name = item["class_name"]
        registered = item.get("registered_name") or name
        known = hasattr(keras.layers, name) or name in ("Functional", "Model", "Sequential")
        if not known and keras.saving.get_registered_object(registered) is None:
            what = "a TensorFlow operation outside any layer" if "OpLambda" in name else "a custom class"
            return f"layer {_name(item)!r} is of class {name}, which Keras 3 does not have ({what})"
        inner = item["config"].get("layer") if isinstance(item["config"], dict) else None
        pending += _layers(item) + ([inner] if isinstance(inner, dict) and "class_name" in inner else [])
    return None


# -- rewriting what Keras 2 stored ----------------------------------------------------------------------


def _refuse_changed_activations(path: Path, config: dict[str, Any]) -> None:
    for item in _objects(config):
        inner = item.get("config")
        for key, value in inner.items() if isinstance(inner, dict) else ():
            function = value.get("config") if isinstance(value, dict) else value
            if key.endswith("activation") and function == "hard_sigmoid":
                raise ConversionError(
                    f"{path}: layer {_name(item)!r} uses hard_sigmoid, which Keras 3 computes differently "
                    "(x/6 + 1/2 instead of x/5 + 1/2); eeaug needs the model retrained with Keras 3"
                )


def _rewritten(config: dict[str, Any]) -> dict[str, Any]:
    """A copy of a Keras 2 configuration that Keras 3 accepts and that computes the same."""
    config = _without_slashes(json.loads(json.dumps(config)))
    for item in list(_objects(config)):
        if item["class_name"] == "Sequential" and isinstance(item["config"], list):
            item["config"] = {"layers": item["config"]}
        inner = item.get("config")
        if not isinstance(inner, dict):
            continue
        for key in DROPPED_KEYS.get(item["class_name"], ()) + DROPPED_EVERYWHERE:
            inner.pop(key, None)
        for key in DROPPED_WHEN_FALSE:
            if inner.get(key) is False:
                del inner[key]
        for key, value in inner.items():
            if key.endswith(("_initializer", "_regularizer", "_constraint")) and isinstance(value, dict):
                value.get("config", {}).pop("dtype", None)
            elif key == "dtype" and isinstance(value, dict):  # a mixed-precision policy
                inner[key] = value["config"]["name"]
            elif key == "axis" and isinstance(value, list) and len(value) == 1:
                inner[key] = value[0]
        if "batch_input_shape" in inner:
            shape = inner.pop("batch_input_shape")
            key, shape = (
                ("batch_shape", shape) if item["class_name"] == "InputLayer" else ("input_shape", shape[1:])
            )
            inner[key] = shape
        if item["class_name"] == "Model":
            item["class_name"] = "Functional"
        if item["class_name"] in MODEL_CLASSES:
            item["module"] = MODEL_CLASSES[item["class_name"]]
            inner.setdefault("name", item["class_name"].lower())
            _rewrite_calls(inner)
        elif "name" in inner:  # a layer
            item["module"] = "keras.layers"
            item.pop("build_config", None)
    return config


def _without_slashes(config: dict[str, Any]) -> dict[str, Any]:
    """Rename layers such as DenseNet's ``conv1/conv``, wherever they are named; Keras 3 forbids the slash."""
    names = {_name(item) for item in _objects(config)}
    renamed = {name: name.replace("/", "_") for name in names if "/" in name}

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: walk(child) for key, child in value.items()}
        if isinstance(value, list):
            return [walk(child) for child in value]
        return renamed.get(value, value) if isinstance(value, str) else value

    return walk(config)


def _rewrite_calls(config: dict[str, Any]) -> None:
    """Mend in place how the layers of one stored functional model refer to each other.

    Keras 2 gave a nested model that knows its input a node 0 of its own, so its calls count from 1. In Keras 3
    they count from 0, except in the output layers, where a Functional still counts from 1. Every stored call
    is referred to somewhere, so the highest reference tells where the file starts.
    """
    layers = config["layers"]
    inbound = [reference for layer in layers for reference in _references(layer.get("inbound_nodes", []))]
    outputs = list(_references(config.get("output_layers", [])))
    for layer in layers:
        used = [
            reference for reference in inbound + outputs if reference[0] == layer.get("name", _name(layer))
        ]
        if not _layers(layer) or not used:
            continue
        start = max(reference[1] for reference in used) - len(layer["inbound_nodes"]) + 1
        for reference in used:
            reference[1] -= start
        if layer["class_name"] != "Sequential":
            for reference in used:
                reference[1] += any(reference is output for output in outputs)
    for layer in layers:
        layer["inbound_nodes"] = [_call(node) for node in layer.get("inbound_nodes", [])]
    for key in ("input_layers", "output_layers"):
        if isinstance(config.get(key), list) and len(config[key]) == 1:
            config[key] = config[key][0]  # one tensor, not a list of one, which warns at every call


def _call(node: Any) -> Any:
    """A stored call as Keras 3 stores it, if tensors stand among its keyword arguments (attention)."""
    if not isinstance(node, list) or not any(list(_references(argument[3:])) for argument in node):
        return node

    def tensor(value: Any) -> Any:
        if list(_references(value)) != [value]:
            return value
        history = {
            "shape": [None],
            "dtype": "float32",
            "keras_history": value[:3],
        }  # only the history is used
        return {"class_name": "__keras_tensor__", "config": history}

    arguments = [tensor(argument[:3]) for argument in node]
    keywords = {key: tensor(value) for argument in node for key, value in argument[3].items()}
    return {"args": arguments if len(arguments) == 1 else [arguments], "kwargs": keywords}


# -- the ways to load -------------------------------------------------------------------------------------


def _load_as_is(
    path: Path, stored: _Stored, keras: ModuleType, scratch: Path, *, safe_mode: bool
) -> keras.Model:
    source = _with_suffix(path, stored, scratch)
    return keras.models.load_model(source, compile=False, safe_mode=safe_mode)


def _load_rewritten(path: Path, config: dict[str, Any], keras: ModuleType, scratch: Path) -> keras.Model:
    import h5py

    target = scratch / "rewritten.h5"
    with h5py.File(path, "r") as source, h5py.File(target, "w") as copy:
        copy.attrs["model_config"] = json.dumps(_rewritten(config))
        source.copy("model_weights", copy)
        names = _weighted_layers(source["model_weights"])
    model = keras.models.load_model(target, compile=False)
    loaded = [layer.name for layer in model.layers if layer.weights]
    if loaded != names:  # Keras assigns weights by position
        raise ConversionError("its layers come in another order than their stored weights")
    return model


def _weighted_layers(group: Any) -> list[str]:
    """Names of the layers that have weights, in stored order; long lists lie in several attributes."""
    parts = sorted(
        (key for key in group.attrs if key.startswith("layer_names")), key=lambda key: (len(key), key)
    )
    names = [name for key in parts for name in group.attrs[key]]
    texts = [name.decode() if isinstance(name, bytes) else str(name) for name in names]
    return [name.replace("/", "_") for name in texts if len(group[name])]


def _load_with_tf_keras(
    path: Path, stored: _Stored, keras: ModuleType, scratch: Path, *, safe_mode: bool
) -> keras.Model:
    import tf_keras

    source, plain = _with_suffix(path, stored, scratch), scratch / "plain.h5"
    old = tf_keras.models.load_model(source, compile=False, safe_mode=safe_mode)
    old.save(plain, include_optimizer=False)
    return _load_rewritten(plain, _read_h5(plain).config, keras, scratch)


def _with_suffix(path: Path, stored: _Stored, scratch: Path) -> Path:
    """The file, or a copy of it, under the suffix by which Keras knows its format."""
    if path.suffix == f".{stored.kind}":
        return path
    return Path(shutil.copyfile(path, scratch / f"model.{stored.kind}"))


# -- what came of it --------------------------------------------------------------------------------------


def _input_difference(stored: _Stored, model: keras.Model) -> str | None:
    """Why the loaded model is not the stored one, or None."""
    inputs = getattr(model, "inputs", None)
    if not inputs:
        return "its input shape is not known: it was saved before it was built, or is a subclassed model"
    loaded = [tuple(tensor.shape[1:]) for tensor in inputs]
    expected = _input_shapes(stored.config)
    if expected is not None and expected != loaded:
        return f"the file stores the input shapes {expected}, Keras 3 makes {loaded} of them"
    return None


def _one_line(error: BaseException) -> str:
    """The gist of a Keras error, whose full text can be a whole configuration."""
    text = " ".join(str(error).split())
    owner = re.search(r"[Ee]rror when deserializing class '(\w+)'|<class '[\w.]*?(\w+)'> could not", text)
    gist = text.rsplit("Exception encountered:", 1)[-1].strip()
    if owner is not None:
        gist = f"{owner.group(1) or owner.group(2)}: {gist}"
    return gist[:240] or type(error).__name__


@contextlib.contextmanager
def _stderr_silenced() -> Iterator[None]:
    """Send what C++ code writes to file descriptor 2 nowhere."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
