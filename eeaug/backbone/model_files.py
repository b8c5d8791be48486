"""Which files a model consists of: what the user names, what stands beside it, what a zip file holds.

A model is one file, one directory, or weights with a description of the layers beside them (``to_json``). Nothing
here reads more than it needs to know which it is.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from eeaug.backbone import from_torch, packed
from eeaug.errors import EeaugError, InputError
from eeaug.support import leftovers, regular, zip_file
from eeaug.support.printable import quoted
from eeaug.support.regular import Unreadable

__all__ = [
    "CONFIG", "GRAPH_FILE", "METADATA", "WEIGHTS", "ModelFiles", "beside", "meant", "opened", "sha256",
    "weights_beside",
]  # fmt: skip

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
GRAPH_FILE = "saved_model.pb"
SUFFIXES = (".keras", ".h5", ".hdf5", ".onnx")
MOST_DESCRIPTIONS = 100  # .json files of a folder that are looked at
MOST_NAMED = 4  # files in a message
ZIP_MAGIC = b"PK\x03\x04"


@dataclass(frozen=True)
class ModelFiles:
    """``path``: a whole model, or its weights; ``architecture``: then the description of its layers.

    ``alone`` says that the description was taken because it stands beside the weights, not because it was named.
    """

    path: Path
    architecture: Path | None = None
    alone: bool = False


def meant(path: Path) -> Path:
    """The path of a model as it is read and named: of a SavedModel that is its directory."""
    if path.name == GRAPH_FILE or (path.suffix == ".pb" and (path.parent / GRAPH_FILE).is_file()):
        path = path.parent
    return path if path.name else path.absolute()


@contextmanager
def opened(path: Path, architecture: Path | None = None) -> Iterator[ModelFiles]:
    """The files of a model; those of a zip file are unpacked for as long as this lasts.

    Raises
    ------
    InputError : a zip file that holds no model or several, or that is not safe to unpack
    """
    path = meant(path)
    with ExitStack() as held:
        within = None
        if _is_plain_zip(path):
            scratch = held.enter_context(leftovers.scratch())
            within = _unpacked(path, scratch)
        if within is None:
            yield _files(path, architecture)
            return
        try:
            yield _files(within, architecture)
        except EeaugError as error:  # named as the user knows it
            text = str(error).replace(f"{scratch}/", f"{path}: ")
            raise type(error)(text) from error


def _files(path: Path, architecture: Path | None) -> ModelFiles:
    if path.is_dir() and not (path / GRAPH_FILE).exists() and (path / WEIGHTS).exists():
        # a .keras file that was unpacked, as model hubs keep it
        inside = path / CONFIG
        return ModelFiles(path / WEIGHTS, architecture or (inside if inside.exists() else None))
    return ModelFiles(path, architecture)


# -- a description beside weights ---------------------------------------------------------------------


def beside(weights: Path) -> Path | None:
    """The one description of layers (``to_json``) that stands beside weights; None: there is none.

    Of several the one with the name of the weights is meant: ``net.json`` of ``net.h5`` or ``net.weights.h5``.

    Raises
    ------
    InputError : nobody knows which of several is meant
    """
    described = [path for path in _json_files(weights.parent) if _describes_layers(path)]
    if len(described) < 2:
        return next(iter(described), None)
    stem = _stem(weights)
    alike = [path for path in described if _stem(path) == stem]
    if len(alike) == 1:
        return alike[0]
    raise InputError(
        f"{weights}: holds weights only, and {len(described)} descriptions of layers stand beside it "
        f"({_named(described)}); name one by --architecture"
    )


def weights_beside(architecture: Path) -> str:
    """What to give instead of a description of layers, as a phrase."""
    names = [path for path in sorted(architecture.parent.iterdir()) if path.suffix.lower() in (".h5", ".hdf5")]
    return f"give the file of its weights ({_named(names)})" if names else "its weights are missing"


def _named(paths: Sequence[Path]) -> str:
    more = ", ..." if len(paths) > MOST_NAMED else ""
    return ", ".join(path.name for path in paths[:MOST_NAMED]) + more


def _stem(path: Path) -> str:
    """The name without what says whether it is weights or layers: ``model`` of ``model_weights.h5``."""
    stem = path.name.lower().removesuffix(path.suffix.lower())
    for word in ("weights", "weight", "architecture", "arch", "config", "json"):
        for mark in ".-_":
            stem = stem.removesuffix(f"{mark}{word}")
    return stem


def _json_files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix.lower() == ".json")[:MOST_DESCRIPTIONS]
    except OSError:
        return []


def _describes_layers(path: Path) -> bool:
    try:
        value: Any = packed.stored_json(regular.content(path, packed.LARGEST_JSON, links=True))
        value = packed.stored_json(value) if isinstance(value, str) else value
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(value, dict) and "class_name" in value and "config" in value


# -- a model in a zip file ----------------------------------------------------------------------------


def _is_plain_zip(path: Path) -> bool:
    """Whether this is a zip file that is no ``.keras`` file by itself."""
    try:
        with regular.opened(path, None, links=True) as file:
            if file.read(len(ZIP_MAGIC)) != ZIP_MAGIC:
                return False
        with zipfile.ZipFile(path) as archive:
            return CONFIG not in archive.namelist() and from_torch.kind_of(path) is None
    except (OSError, ValueError, *zip_file.DAMAGE):
        return False  # who reads it says what is wrong


def _unpacked(path: Path, scratch: Path) -> Path:
    """The one model in a zip file, unpacked below ``scratch`` with what stands beside it."""
    try:
        with packed.opened_zip(path) as archive:
            names = {_plain(member.filename): member for member in archive.infolist() if not member.is_dir()}
            if len(names) < sum(not member.is_dir() for member in archive.infolist()):
                raise Unreadable("two members have the same path")
            model = _model_of(path, list(names))
            for name, member in names.items():
                if _hidden(name) or (member.external_attr >> 16) & 0o170000 == 0o120000:  # a link
                    continue
                target = scratch / name
                target.parent.mkdir(parents=True, exist_ok=True)
                packed.unpacked(archive, member.filename, target)
    except Unreadable as error:
        raise InputError(f"{path}: not read: {error}") from error
    except (OSError, *zip_file.DAMAGE) as error:
        raise InputError(f"{path}: a damaged zip file: {error}"[:300]) from error
    return scratch / model


def _plain(name: str) -> str:
    """The path of a member; zip files of Windows may have backslashes.

    Raises
    ------
    Unreadable : it leads out of the folder that it is unpacked to
    """
    plain = name.replace("\\", "/")
    parts = plain.split("/")
    if plain.startswith("/") or ":" in plain or ".." in parts or "" in parts or len(parts) > 20:
        raise Unreadable(f"the member {quoted(name)} is a path out of the file")
    return plain


def _hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _model_of(path: Path, names: Sequence[str]) -> str:
    """Which of the members is the model: a file, or the folder of a SavedModel or of an unpacked ``.keras``."""
    seen = [PurePosixPath(name) for name in sorted(names) if not _hidden(name)]
    folders = [str(name.parent) for name in seen if name.name in (GRAPH_FILE, WEIGHTS)]
    below = tuple(f"{folder}/" if folder != "." else "" for folder in folders)
    files = [
        str(name)
        for name in seen
        if name.suffix.lower() in SUFFIXES and not (below and str(name).startswith(below))
    ]
    models = [*dict.fromkeys(folders), *files]
    whole = [name for name in models if "weights" not in PurePosixPath(name).name.lower()]
    chosen = whole if len(whole) == 1 else models
    if len(chosen) == 1:
        return chosen[0]
    if not models:
        inside = ", ".join(map(str, seen[:3])) or "nothing"
        raise InputError(f"{path}: a zip file without {CONFIG}, not a Keras model: holds {inside}"[:250])
    raise InputError(
        f"{path}: holds {len(models)} models ({_named([Path(name) for name in models])}); unpack it and give one"
    )


# -- what makes a model the same ----------------------------------------------------------------------


def sha256(path: Path, architecture: Path | None = None) -> str:
    """Hash of a file's bytes; of a directory, that of its files' names and hashes.

    With the description of layers of a file of weights that of both, whatever they are called.
    """
    if architecture is not None:
        return _digest(f"{sha256(path)}  weights\n{sha256(architecture)}  architecture\n")
    if path.is_dir():
        files = sorted(file.relative_to(path) for file in path.rglob("*") if file.is_file())
        return _digest("".join(f"{sha256(path / file)}  {file.as_posix()}\n" for file in files))
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
