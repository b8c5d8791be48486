"""What a model file says of itself, and what is refused for it; read without running anything from the file."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eeaug.backbone import from_torch, keras1_forms, keras2_forms, keras_allowed, model_files, packed, saved_model
from eeaug.backbone.from_onnx import file as onnx_file
from eeaug.backbone.keras2_config import MODELS, Item, item_name, items
from eeaug.backbone.losses import Loss, loss_of
from eeaug.backbone.model_files import CONFIG, METADATA, WEIGHTS, ModelFiles
from eeaug.errors import ConversionError, InputError
from eeaug.support import regular
from eeaug.support.printable import quoted
from eeaug.support.regular import Unreadable
from eeaug.support.spelling import nearest

__all__ = ["DAMAGE", "MODEL_WEIGHTS", "Stored", "one_line", "read", "read_files", "read_h5"]

ZIP_MAGIC = b"PK\x03\x04"
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
TFLITE_MAGIC = b"TFL3"  # at byte 4
FOREIGN_SUFFIXES = {
    ".tflite": "a TFLite",
    ".pb": "a TensorFlow graph",
    ".index": "a TensorFlow checkpoint's (weights only)",
}
MODEL_WEIGHTS = "model_weights"
ARCHIVE_GROUPS = ("layers", "_layer_checkpoint_dependencies")  # of weights as a .keras file holds them
NOT_OF_LAYERS = ("optimizer", "optimizer_weights")  # groups of a weights file
LONGEST_REASON = 240  # characters; a Keras error can quote a whole configuration
HALVES = ("mixed_bfloat16", "bfloat16")
# What h5py and zipfile raise for damaged files; MemoryError is for sizes that no machine has
DAMAGE = (
    ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, NotImplementedError, OSError, RuntimeError,
    TypeError, ValueError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


@dataclass(frozen=True)
class Stored:
    """What a model file says about itself, read without running anything from it."""

    kind: str  # "keras", "h5", "saved_model", "onnx", "torch", or "weights" of a .keras file by themselves
    config: Item
    keras_version: str  # "" where the file has none, as only Keras 2 and older left it out
    parts: Sequence[Item] = ()  # what is built from descriptions outside ``config``
    weights: int = 0  # how many numbers the file holds for the layers
    group: str = MODEL_WEIGHTS  # of an "h5": where the weights are
    architecture: Path | None = None  # where ``config`` stands, if in a file of its own
    backend: str = ""  # of Keras 1 and 2, if the file says it
    loss: Loss | None = None  # that it was trained with, if the file says it

    @property
    def by_keras_1(self) -> bool:
        return self.keras_version.startswith("1")

    @property
    def notes(self) -> tuple[str, ...]:
        """What was taken for granted."""
        notes = []
        if self.architecture is not None:
            notes.append(f"the file holds weights; {self.architecture.name} describes their layers")
        first = any(i["config"].get("data_format") == "channels_first" for i in items(self.config) if _inner(i))
        if self.by_keras_1 and first and not self.backend:
            notes.append(
                "written by Keras 1, which does not say with which backend: TensorFlow is assumed; kernels that "
                "Theano trained would have to be flipped, without which the accuracy is far too low"
            )
        return tuple(notes)

    @property
    def by_keras_2(self) -> bool:
        return not self.keras_version.startswith("3")


def read(
    path: Path, *, architecture: Path | None = None, allow_unsafe: bool = False, custom: bool = False
) -> Stored:
    """Read it, and refuse what can be refused without a framework.

    Parameters
    ----------
    architecture : the description of layers (``to_json``) of weights; None: what stands beside them
    custom : whether the user names code of layers and models

    Raises
    ------
    InputError
        The file is missing, damaged, or no model file at all.
    ConversionError
        Another format, weights only, Lambda layers without ``allow_unsafe``, a subclassed model.
    """
    with model_files.opened(path, architecture) as files:
        return read_files(files, allow_unsafe=allow_unsafe, custom=custom)


def read_files(files: ModelFiles, *, allow_unsafe: bool = False, custom: bool = False) -> Stored:
    """The same of files that are there."""
    path = files.path
    stored = _content(path, files.architecture)
    if files.architecture is not None and stored.architecture is None:
        raise InputError(f"{path}: a whole model; --architecture is for files that hold weights only")
    if stored.kind == "torch" and not allow_unsafe:
        raise ConversionError(
            f"{path}: a program of torch.export, whose loader unpickles it and so can run code from the file: "
            f"--allow-unsafe loads it if you trust its author; or write it as ONNX: {from_torch.HOW}"
        )
    if stored.kind in ("onnx", "torch"):
        return stored
    if not custom:
        _refuse_subclassed(path, stored.config)
    if stored.keras_version.startswith("0."):
        raise ConversionError(
            f"{path}: written by Keras {quoted(stored.keras_version)[1:-1]}: eeaug reads 1.0 and later"
        )
    if stored.by_keras_2 and keras1_forms.is_keras_1(stored.config, stored.keras_version):
        try:
            stored = replace(stored, config=keras1_forms.renewed(stored.config), keras_version="1")
        except Unreadable as error:
            raise ConversionError(f"{path}: {error}") from error
    if stored.by_keras_2:
        stored = replace(stored, config=keras2_forms.renewed(stored.config))
    phrases = [keras_allowed.too_much(stored.config, by_keras_2=stored.by_keras_2)]
    if not allow_unsafe:
        phrases += [keras_allowed.runs_code(item) for item in (stored.config, *stored.parts)]
        phrases += [keras_allowed.unknown_operation(stored.config)] if stored.by_keras_2 else []
    for phrase in phrases:
        if phrase is not None:
            raise ConversionError(f"{path}: {phrase}")
    if stored.by_keras_2:
        _refuse_changed_activations(path, stored.config)
        layer = keras2_forms.renormalised(stored.config)
        if layer is not None:
            raise ConversionError(
                f"{path}: layer {quoted(layer)} is a batch normalization with renorm, which Keras 3 lacks: train "
                "the model without it"
            )
    return stored


def _content(path: Path, architecture: Path | None) -> Stored:
    if not path.exists():
        if path.is_symlink():
            raise InputError(f"{path}: a link to {quoted(str(path.readlink()))}, which does not exist")
        names = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise InputError(f"{path}: no such model file{nearest(path.name, names)}")
    if path.is_dir():
        if (path / saved_model.GRAPH_FILE).exists():
            config, parts, version = saved_model.read(path)
            return Stored("saved_model", _checked(path, config), version, parts, loss=_loss(config))
        raise InputError(
            f"{path}: a directory without {saved_model.GRAPH_FILE} and {WEIGHTS}, neither a model file (.keras, "
            ".h5 or .hdf5) nor a SavedModel"
        )
    try:
        with regular.opened(path, None, links=True) as file:
            magic = file.read(8)
    except Unreadable as error:
        raise InputError(f"{path}: {error}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    if not magic:
        raise InputError(f"{path}: the file is empty")
    torch = from_torch.kind_of(path) if magic.startswith(ZIP_MAGIC) else None
    if torch == from_torch.PROGRAM:
        return Stored("torch", {}, "3")
    if torch or (path.suffix.lower() in from_torch.SUFFIXES and magic != HDF5_MAGIC and magic[:4] != ZIP_MAGIC):
        raise ConversionError(
            f"{path}: a file of PyTorch, which holds weights or code but no network to take apart; write it as "
            f"ONNX where it was trained: {from_torch.HOW}"
        )
    if magic.startswith(ZIP_MAGIC):
        return _read_zip(path)
    if magic == HDF5_MAGIC:
        return read_h5(path, architecture)
    if onnx_file.is_onnx(path, magic):
        onnx_file.read(path)
        return Stored("onnx", {}, "3")
    if path.suffix.lower() == ".json":
        raise InputError(f"{path}: describes layers at most; {model_files.weights_beside(path)}")
    foreign = "a TFLite" if magic[4:] == TFLITE_MAGIC else FOREIGN_SUFFIXES.get(path.suffix.lower())
    if foreign is not None:
        raise ConversionError(f"{path}: {foreign} file; eeaug needs the trained model (.keras, .h5 or .onnx)")
    raise InputError(f"{path}: neither a .keras nor an .h5 file nor one of ONNX: damaged, or no model")


def _read_zip(path: Path) -> Stored:
    try:
        with packed.opened_zip(path) as archive:
            names = archive.namelist()
            if CONFIG not in names:
                inside = ", ".join(names[:3]) or "nothing"
                raise InputError(f"{path}: a zip file without config.json, not a Keras model: holds {inside}"[:250])
            config = packed.stored_json(packed.member(archive, CONFIG))
            metadata = packed.stored_json(packed.member(archive, METADATA)) if METADATA in names else {}
            if WEIGHTS not in names:
                raise InputError(f"{path}: a .keras file without {WEIGHTS}: it holds no weights")
    except Unreadable as error:
        raise InputError(f"{path}: not read: {error}") from error
    except DAMAGE as error:
        raise InputError(f"{path}: a damaged .keras file: {one_line(error)}") from error
    if not isinstance(metadata, dict):
        raise InputError(f"{path}: a damaged .keras file: {METADATA} is no object")
    return Stored("keras", _checked(path, config), str(metadata.get("keras_version", "")), loss=_loss(config))


def read_h5(path: Path, architecture: Path | None = None) -> Stored:
    """An HDF5 file: a whole model, or weights whose layers are described in ``architecture`` or beside it."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            elements = packed.hdf5_elements(file, path.stat().st_size)
            raw, version = _text(file.attrs.get("model_config")), _text(file.attrs.get("keras_version", ""))
            trained = _text(file.attrs.get("training_config"))
            backend = _text(file.attrs.get("backend", ""))
            tops = {name.split("\\")[0] for name in file}
            by_layer = "layer_names" in file.attrs
        config = None if raw is None else packed.stored_json(raw)
        loss = None if trained is None else loss_of(packed.stored_json(trained))
    except Unreadable as error:
        raise InputError(f"{path}: not read: {error}") from error
    except DAMAGE as error:
        raise InputError(f"{path}: a damaged .h5 file: {one_line(error)}") from error
    if config is not None:
        if MODEL_WEIGHTS not in elements and MODEL_WEIGHTS not in tops:
            raise InputError(f"{path}: an .h5 file without the group {MODEL_WEIGHTS}: it holds no weights")
        count = elements.get(MODEL_WEIGHTS, 0)
        return Stored("h5", _checked(path, config), str(version), weights=count, backend=str(backend), loss=loss)
    as_archive = not by_layer and bool(tops & set(ARCHIVE_GROUPS))
    if not (by_layer or as_archive or MODEL_WEIGHTS in tops):
        raise InputError(f"{path}: an HDF5 file without model_config, not a Keras model")
    description = architecture or model_files.beside(path)
    if description is None:
        raise ConversionError(
            f"{path}: holds weights only, not the layers they belong to; save the whole model (model.save), or put "
            "what model.to_json() gives beside it (--architecture FILE)"
        )
    config, said, written_on = _described(description)
    return Stored(
        "weights" if as_archive else "h5",
        _checked(description, config),
        said or str(version),
        weights=sum(count for name, count in elements.items() if name.split("\\")[0] not in NOT_OF_LAYERS),
        group="/" if by_layer else MODEL_WEIGHTS,
        architecture=description,
        backend=str(backend) or written_on,
        loss=_loss(config),
    )


def _text(value: object) -> str | None:
    return value.decode(errors="replace") if isinstance(value, bytes) else None if value is None else str(value)


def _described(path: Path) -> tuple[Any, str, str]:
    """A description of layers in a file of its own, and the Keras version and the backend that wrote it.

    Of a whole model in a ``.keras`` or ``.h5`` file, that of its layers.
    """
    try:
        content = regular.content(path, packed.LARGEST_JSON, links=True)
        if content.startswith((ZIP_MAGIC, HDF5_MAGIC)):
            raise InputError(f"{path}: a model file; --architecture takes what model.to_json() gives")
        config = packed.stored_json(content)
        if isinstance(config, str):  # json.dump(model.to_json(), file)
            config = packed.stored_json(config)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except Unreadable as error:
        raise InputError(f"{path}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: no JSON as model.to_json() gives: {one_line(error)}") from error
    if not isinstance(config, dict):
        raise InputError(f"{path}: no description of layers, as model.to_json() gives")
    version, module = config.get("keras_version"), str(config.get("module", ""))
    if version is None and path.name == CONFIG and (path.parent / METADATA).exists():
        try:
            told = packed.stored_json(regular.content(path.parent / METADATA, packed.LARGEST_JSON, links=True))
            version = told.get("keras_version") if isinstance(told, dict) else None
        except (OSError, ValueError, RecursionError):
            version = None
    if version is None and module:  # Keras 3 says where classes are, not its version
        version = "2" if module.startswith(("keras.src.engine", "tf_keras", "keras.engine")) else "3"
    return config, "" if version is None else str(version), str(config.get("backend", ""))


def _inner(item: Item) -> bool:
    return isinstance(item.get("config"), dict)


def _loss(config: Any) -> Loss | None:
    return loss_of(config.get("compile_config")) if isinstance(config, dict) else None


def _checked(path: Path, config: object) -> Item:
    if isinstance(config, dict) and "class_name" in config and isinstance(config.get("config"), dict | list):
        whole: Item = _in_single_precision(_uncompiled(config))
        return whole
    raise InputError(f"{path}: the stored configuration is damaged: no class_name and config in it")


def _uncompiled(value: Any) -> Any:
    """A configuration without losses, metrics and optimizers, which are never built."""
    if isinstance(value, dict):
        return {key: _uncompiled(child) for key, child in value.items() if key != "compile_config"}
    return [_uncompiled(child) for child in value] if isinstance(value, list) else value


def _in_single_precision(value: Any) -> Any:
    """A configuration that computes in float32 where it says bfloat16, which no format of a bundle computes in.

    The weights of ``mixed_bfloat16`` are float32 already.
    """
    if isinstance(value, list):
        return [_in_single_precision(child) for child in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("dtype"), str) and value["dtype"] in HALVES:
        value = {**value, "dtype": "float32"}
    if isinstance(value.get("class_name"), str) and value["class_name"].endswith("Policy"):
        config = value.get("config")
        if isinstance(config, dict) and config.get("name") in HALVES:
            value = {**value, "config": {**config, "name": "float32"}}
    return {key: _in_single_precision(child) for key, child in value.items()}


# -- what is refused ----------------------------------------------------------------------------------


def _refuse_subclassed(path: Path, model: Item) -> None:
    if model["class_name"] not in MODELS:
        raise ConversionError(
            f"{path}: the model is of class {quoted(model['class_name'])}, a subclass of which the file does not "
            "hold the code; --custom-objects FILE names it, or build it as a functional or Sequential model"
        )


def _refuse_changed_activations(path: Path, model: Item) -> None:
    for item in items(model):
        config = item.get("config")
        for key, value in config.items() if isinstance(config, dict) else ():
            function = value.get("config") if isinstance(value, dict) else value
            if key.endswith("activation") and function == "hard_sigmoid":
                raise ConversionError(
                    f"{path}: layer {quoted(item_name(item))} uses hard_sigmoid, which Keras 3 "
                    "computes differently (x/6 + 1/2, not x/5 + 1/2): train the model with Keras 3 or without it"
                )


def one_line(error: BaseException) -> str:
    """The gist of an error of Keras: the class at fault and the innermost reason."""
    text = " ".join(str(error).split())
    gist = text.rsplit("Exception encountered:", 1)[-1].strip()
    owner = re.search(r"[Ee]rror when deserializing class '(\w+)'|<class '[\w.]*?(\w+)'> could not", text)
    if owner is not None:
        gist = f"{owner[1] or owner[2]}: {gist}"
    return gist[:LONGEST_REASON] or type(error).__name__
