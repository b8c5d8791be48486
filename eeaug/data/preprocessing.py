"""How stored samples become what the model takes, and the ``.data.yaml`` file that says so.

```yaml
source: cifar10.npz                 # a file or directory beside this file, or what else --data takes
preprocessing: {scale: 0.00392156862745098, offset: 0.0, mean: [0.49, 0.48, 0.45], std: mean.npy}
```
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from eeaug.errors import InputError
from eeaug.support import npy_file, places
from eeaug.support.spelling import nearest
from eeaug.support.strict_yaml import MOST_BYTES, Mistakes, as_number, key_text, parse, shown

__all__ = ["Preprocessing", "Sidecar", "at_once", "read_sidecar"]

SIDECAR_KEYS = ("source", "preprocessing")
MOST_VALUES_BYTES = 1 << 28  # of mean and std: one per element of a sample
PREPROCESSING_KEYS = ("scale", "offset", "mean", "std")
Values = float | tuple[float, ...] | np.ndarray  # one number, one per channel, or one per element


def at_once(shape: Sequence[int]) -> int:
    """How many samples go through a model together: 64, fewer of large ones, whose tensors would fill memory."""
    return max(1, min(64, 2_000_000 // prod(shape)))


@dataclass(frozen=True, eq=False)
class Preprocessing:
    """x' = ((x·scale + offset) − mean) / std, in that order, in float32.

    ``mean`` and ``std`` are a number, one number per channel (the last axis), an array that fits the shape
    of a sample, or None for "not applied".
    """

    scale: float = 1.0
    offset: float = 0.0
    mean: Values | None = None
    std: Values | None = None

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Samples of shape (n, ...) of any real type → a new float32 array of the same shape."""
        out = np.array(x, dtype=np.float32)
        out *= np.float32(self.scale)
        out += np.float32(self.offset)
        if self.mean is not None:
            out -= np.asarray(self.mean, dtype=np.float32)
        if self.std is not None:
            out /= np.asarray(self.std, dtype=np.float32)
        return out

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise InputError unless mean and std fit samples of this shape."""
        for key in ("mean", "std"):
            stored = np.shape(getattr(self, key)) if getattr(self, key) is not None else ()
            try:
                fits = np.broadcast_shapes(stored, shape) == tuple(shape)
            except ValueError:
                fits = False
            if not fits:
                raise InputError(
                    f"preprocessing.{key} has shape {stored}, which does not fit samples of shape {shape}"
                )

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers and nested lists, ready for JSON; nothing refers to a file."""
        values = {"scale": self.scale, "offset": self.offset, "mean": self.mean, "std": self.std}
        return {key: np.asarray(v).tolist() if v is not None else None for key, v in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocessing:
        """What ``as_dict`` gave."""
        mean, std = (np.asarray(v) if isinstance(v, list) else v for v in (values["mean"], values["std"]))
        return cls(values["scale"], values["offset"], mean, std)


@dataclass(frozen=True)
class Sidecar:
    """What a ``.data.yaml`` says; None for what it leaves out. Paths in ``source`` are relative to the file."""

    source: str | None
    preprocessing: Preprocessing | None


def read_sidecar(path: Path) -> Sidecar:
    """Read a ``.data.yaml`` strictly.

    Raises
    ------
    InputError
        It cannot be read, has unknown keys, or values that are no finite numbers (all mistakes at once).
    """
    if path.is_file() and not places.read(path, MOST_BYTES).strip():
        raise InputError(f"{path}: is empty; it names the source and the preprocessing")
    mistakes = Mistakes(str(path))
    document = _section(parse(path, mistakes), "", SIDECAR_KEYS, mistakes)
    source = document.get("source")
    if source is not None and not isinstance(source, str):
        mistakes.add("source", f"must name the samples as --data does, given {shown(source)}")
    preprocessing = None
    if "preprocessing" in document:
        values = _section(document["preprocessing"], "preprocessing.", PREPROCESSING_KEYS, mistakes)
        preprocessing = _preprocessing(values, path.parent, mistakes)
    mistakes.raise_if_any()
    return Sidecar(source or None, preprocessing)


def _section(value: object, prefix: str, known: tuple[str, ...], mistakes: Mistakes) -> dict[str, Any]:
    if not isinstance(value, dict):
        where = prefix.rstrip(".") or "the file"
        mistakes.add(where, f"must be a mapping with the keys {', '.join(known)}, given {shown(value)}")
        return {}
    for key in value:
        if key not in known:
            name = key_text(key)
            hint = "" if mistakes.enough else nearest(name, known) or f"; known keys: {', '.join(known)}"
            mistakes.add(f"{prefix}{name}", f"unknown key{hint}")
    return value


def _preprocessing(values: dict[str, Any], folder: Path, mistakes: Mistakes) -> Preprocessing:
    read: dict[str, Any] = {}
    for key in [key for key in PREPROCESSING_KEYS if values.get(key) is not None]:
        value, path = values[key], f"preprocessing.{key}"
        is_file = isinstance(value, str) and value.endswith(".npy")
        if is_file and key in ("mean", "std"):
            read[key] = array = _npy(folder / value, path, mistakes)
        elif isinstance(value, list) and value and key in ("mean", "std"):
            read[key] = tuple(map(as_number, value))
            array = np.array(read[key])
        else:
            read[key] = as_number(value)
            array = np.array(read[key])
        wanted = "a number" if key in ("scale", "offset") else "a number, a list of numbers or a .npy file"
        if not np.isfinite(array).all():
            mistakes.add(path, f"must be {wanted}, all finite, given {_listed(value)}")
        elif key in ("scale", "std") and not np.all(array):
            mistakes.add(path, f"must not be zero, given {_listed(value)}")
    return Preprocessing(**read)


def _listed(value: object) -> str:
    """A value as messages quote it, the first ones of a list."""
    if not isinstance(value, list):
        return shown(value)
    return f"[{', '.join(map(shown, value[:4]))}{', ...' if len(value) > 4 else ''}]"


def _npy(file: Path, path: str, mistakes: Mistakes) -> np.ndarray:
    try:
        array = npy_file.load(file, MOST_VALUES_BYTES)
        if array.dtype.kind in "iuf":
            return array
        mistakes.add(path, f"{file} must hold an array of numbers")
    except InputError as error:
        mistakes.add(path, str(error))
    return np.ones(())  # never used: the mistake is raised
