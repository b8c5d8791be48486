"""What a model file says of itself, and what is refused for it; read without running anything from the file."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eeaug import saved_model
from eeaug.errors import ConversionError, InputError
from eeaug.hardware_file import nearest
from eeaug.keras2_config import MODELS, Item, item_name, items

__all__ = ["Stored", "one_line", "read", "read_h5"]

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
class Stored:
    """What a model file says about itself, read without running anything from it."""

    kind: str  # "keras", "h5" or "saved_model"
    config: Item
    keras_version: str  # "" where the file has none, as only Keras 2 and older left it out
    parts: Sequence[Item] = ()  # what is built from descriptions outside ``config``

    @property
    def by_keras_2(self) -> bool:
        return not self.keras_version.startswith("3")


def read(path: Path, *, allow_unsafe: bool = False) -> Stored:
    """Read it, and refuse what can be refused without a framework.

    Raises
    ------
    InputError
        The file is missing, damaged, or no model file at all.
    ConversionError
        Another format, weights only, Lambda layers without ``allow_unsafe``, a subclassed model.
    """
    stored = _content(path)
    _refuse_subclassed(path, stored.config)
    if not allow_unsafe:
        for item in (stored.config, *stored.parts):
            _refuse_lambdas(path, item)
    if stored.by_keras_2:
        _refuse_changed_activations(path, stored.config)
    return stored


def _content(path: Path) -> Stored:
    if not path.exists():
        names = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise InputError(f"{path}: no such model file{nearest(path.name, names)}")
    if path.is_dir():
        if (path / saved_model.GRAPH_FILE).exists():
            config, parts, version = saved_model.read(path)
            return Stored("saved_model", _checked(path, config), version, parts)
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
        return read_h5(path)
    if path.name == saved_model.GRAPH_FILE:
        raise InputError(f"{path}: part of a SavedModel; give its directory, {path.parent}")
    foreign = "a TFLite" if magic[4:] == TFLITE_MAGIC else FOREIGN_SUFFIXES.get(path.suffix.lower())
    if foreign is not None:
        raise ConversionError(f"{path}: {foreign} file; eeaug needs the trained Keras model (.keras or .h5)")
    raise InputError(f"{path}: neither a .keras nor an .h5 file: damaged, or not a Keras model")


def _read_zip(path: Path) -> Stored:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if "config.json" not in names:
                inside = ", ".join(names[:3]) or "nothing"
                raise InputError(f"{path}: a zip file without config.json, not a Keras model: holds {inside}")
            config = json.loads(archive.read("config.json"))
            metadata = json.loads(archive.read("metadata.json")) if "metadata.json" in names else {}
    except (zipfile.BadZipFile, EOFError, OSError, ValueError) as error:
        raise InputError(f"{path}: a damaged .keras file: {one_line(error)}") from error
    return Stored("keras", _checked(path, config), str(metadata.get("keras_version", "")))


def read_h5(path: Path) -> Stored:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            raw, version = file.attrs.get("model_config"), file.attrs.get("keras_version", "")
            has_weights = "layer_names" in file.attrs or any(group in file for group in WEIGHTS_ONLY_GROUPS)
        config = None if raw is None else json.loads(raw)
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{path}: a damaged .h5 file: {one_line(error)}") from error
    if config is None and has_weights:
        raise ConversionError(
            f"{path}: holds weights only, not the layers they belong to; save the whole model (model.save)"
        )
    if config is None:
        raise InputError(f"{path}: an HDF5 file without model_config, not a Keras model")
    version = version.decode() if isinstance(version, bytes) else str(version)
    return Stored("h5", _checked(path, config), version)


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


def one_line(error: BaseException) -> str:
    """The gist of an error of Keras: the class at fault and the innermost reason."""
    text = " ".join(str(error).split())
    gist = text.rsplit("Exception encountered:", 1)[-1].strip()
    owner = re.search(r"[Ee]rror when deserializing class '(\w+)'|<class '[\w.]*?(\w+)'> could not", text)
    if owner is not None:
        gist = f"{owner[1] or owner[2]}: {gist}"
    return gist[:LONGEST_REASON] or type(error).__name__
