"""How stored samples become what the model takes, and the ``.data.yaml`` file that says so.

```yaml
source: cifar10.npz                 # a file or directory beside this file, or what else --data takes
preprocessing: {scale: 0.00392156862745098, offset: 0.0, mean: [0.49, 0.48, 0.45], std: mean.npy}
```

For a model with several inputs, by input: ``preprocessing: {image: {scale: 0.0039}, age: {mean: 40, std: 20}}``.

Of a folder of wavs, a front end comes first: ``preprocessing: mfcc``, or among the others ``front_end: mfcc`` or
``front_end: {kind: mfcc, coefficients: 13}``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from eeaug.data.front_ends import KINDS, FrontEnd
from eeaug.errors import InputError
from eeaug.support import npy_file, places
from eeaug.support.sample_layout import SampleLayout
from eeaug.support.spelling import nearest
from eeaug.support.strict_yaml import MOST_BYTES, Mistakes, as_number, key_text, parse, shown

__all__ = ["Preprocessing", "Sidecar", "at_once", "read_sidecar"]

SIDECAR_KEYS = ("source", "preprocessing")
MOST_VALUES_BYTES = 1 << 28  # of mean and std: one per element of a sample
PREPROCESSING_KEYS = ("front_end", "scale", "offset", "mean", "std")
Values = float | tuple[float, ...] | np.ndarray  # one number, one per channel, or one per element


def at_once(shape: Sequence[int]) -> int:
    """How many samples go through a model together: 64, fewer of large ones, whose tensors would fill memory."""
    return max(1, min(64, 2_000_000 // prod(shape)))


@dataclass(frozen=True, eq=False)
class Preprocessing:
    """x' = ((x·scale + offset) − mean) / std, in that order, in float32.

    ``mean`` and ``std`` are a number, one number per channel (the last axis), an array that fits the shape
    of a sample, or None for "not applied". ``inputs``: of a model with several, those of each by name, as
    ``layout`` (None: not known yet) has them in a row; the steps beside them change nothing then. ``front_end``
    makes the x of them from sounds, as these are read.
    """

    scale: float = 1.0
    offset: float = 0.0
    mean: Values | None = None
    std: Values | None = None
    inputs: Mapping[str, Preprocessing] = field(default_factory=dict)
    layout: SampleLayout | None = None
    front_end: FrontEnd | None = None

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Samples of shape (n, ...) of any real type → a new float32 array of the same shape."""
        if self.inputs:
            assert self.layout is not None
            parts = self.layout.split(np.asarray(x))
            return self.layout.joined(
                {n: self.inputs[n](part) if n in self.inputs else part for n, part in parts.items()}
            )
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
        for name, inner in self.inputs.items():
            assert self.layout is not None
            inner._check(self.layout.shape_of(name), f"preprocessing.{name}")
        self._check(shape, "preprocessing")

    def _check(self, shape: tuple[int, ...], where: str) -> None:
        for key in ("mean", "std"):
            stored = np.shape(getattr(self, key)) if getattr(self, key) is not None else ()
            try:
                fits = np.broadcast_shapes(stored, shape) == tuple(shape)
            except ValueError:
                fits = False
            if not fits:
                raise InputError(f"{where}.{key} has shape {stored}, which does not fit samples of shape {shape}")

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers and nested lists, ready for JSON; nothing refers to a file."""
        values = {"scale": self.scale, "offset": self.offset, "mean": self.mean, "std": self.std}
        plain = {key: np.asarray(v).tolist() if v is not None else None for key, v in values.items()}
        inner = {name: steps.as_dict() for name, steps in self.inputs.items()}
        first = {} if self.front_end is None else {"front_end": self.front_end.as_dict()}
        return {**first, **plain, "inputs": inner} if inner else {**first, **plain}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], layout: SampleLayout | None = None) -> Preprocessing:
        """What ``as_dict`` gave; ``layout`` of a model with several inputs."""
        mean, std = (np.asarray(v) if isinstance(v, list) else v for v in (values["mean"], values["std"]))
        inner = {name: cls.from_dict(steps) for name, steps in values.get("inputs", {}).items()}
        first = values.get("front_end")
        front_end = None if first is None else FrontEnd.from_dict(first)
        return cls(values["scale"], values["offset"], mean, std, inner, layout, front_end)

    def of_inputs(self, layout: SampleLayout) -> Preprocessing:
        """The same for a model with these inputs.

        Raises
        ------
        InputError : it is by input and names one that the model has not, or not by input where the model has
        several
        """
        for name in self.inputs:
            if name not in layout.names:
                hint = nearest(name, layout.names) or f"; its inputs are {', '.join(layout.names)}"
                raise InputError(f"preprocessing: the model has no input {name!r}{hint}")
        if not layout.several:
            return self.inputs[layout.names[0]] if self.inputs else self
        if not self.inputs and self.as_dict() != Preprocessing().as_dict():
            name = layout.names[0]
            raise InputError(
                f"preprocessing: the model has the inputs {', '.join(layout.names)}: say it for each, as "
                f"preprocessing: {{{name}: {{scale: 0.0039}}}}"
            )
        return replace(self, layout=layout)


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
        preprocessing = _read(document["preprocessing"], path.parent, mistakes)
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


def _read(given: object, folder: Path, mistakes: Mistakes) -> Preprocessing:
    """The steps, or where every value is a mapping those of each input; a name alone is that of a front end."""
    if isinstance(given, str):
        given = {"front_end": given}
    if (
        isinstance(given, dict)
        and given
        and "front_end" not in given
        and all(isinstance(v, dict) and isinstance(k, str) for k, v in given.items())
    ):
        parts = {
            name: _section(steps, f"preprocessing.{name}.", PREPROCESSING_KEYS, mistakes)
            for name, steps in given.items()
        }
        places = {name: f"preprocessing.{name}" for name in parts}
        return Preprocessing(
            inputs={name: _preprocessing(steps, places[name], folder, mistakes) for name, steps in parts.items()}
        )
    values = _section(given, "preprocessing.", PREPROCESSING_KEYS, mistakes)
    return _preprocessing(values, "preprocessing", folder, mistakes)


def _preprocessing(values: dict[str, Any], where: str, folder: Path, mistakes: Mistakes) -> Preprocessing:
    read: dict[str, Any] = {}
    for key in [key for key in PREPROCESSING_KEYS if values.get(key) is not None]:
        value, path = values[key], f"{where}.{key}"
        if key == "front_end":
            read[key] = _front_end(value, path, mistakes)
            continue
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


def _front_end(value: object, path: str, mistakes: Mistakes) -> FrontEnd | None:
    """A name, or a mapping of ``kind`` and parameters that differ from its reference's."""
    changed = {key_text(key): item for key, item in value.items()} if isinstance(value, dict) else {"kind": value}
    kind = changed.pop("kind", None)
    try:
        return FrontEnd.of(str(kind), {key: as_number(item) for key, item in changed.items()})
    except InputError as error:
        hint = nearest(str(kind), KINDS) if kind not in KINDS else ""
        mistakes.add(path, f"{error}{hint}")
        return None


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
