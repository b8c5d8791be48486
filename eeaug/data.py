"""Samples: read from a ``.npz`` without holding them in memory, checked, and split into what serves what.

Samples stay as they were stored until ``batches`` applies the preprocessing. No framework is imported.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eeaug.errors import InputError
from eeaug.hardware_file import nearest
from eeaug.model import sha256
from eeaug.preprocessing import Preprocessing, Sidecar, read_sidecar

__all__ = ["Data", "Part", "Preprocessing", "Splits", "View", "batches", "load", "split"]

PARTS = ("train", "val", "test")
KEYS = (*(f"{kind}_{part}" for part in PARTS for kind in ("x", "y", "groups")), "class_names")
FINITE_CHUNK = 256  # samples that are looked at in one piece
SCREEN_SHARE = 0.1  # of x_train
CHOOSE_SHARE_OF_TRAIN = 0.2  # where neither x_val nor x_test is given
CHOOSE_SHARE_OF_TEST = 0.5  # where x_val is not given
SPLIT_SEEDS = {"screen": 1, "choose": 2}  # a stream of random numbers for each split


@dataclass(frozen=True, eq=False)
class Part:
    """A given part: ``x`` (n, ...) as stored, memory-mapped; ``y`` int64 (n,); ``groups`` (n,) or None."""

    name: str
    x: np.ndarray
    y: np.ndarray
    groups: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Data:
    """What was given: ``source`` is a base name, ``sha256`` the hash of that file."""

    source: str
    sha256: str
    train: Part | None
    val: Part | None
    test: Part | None
    class_names: tuple[str, ...] | None
    preprocessing: Preprocessing
    notes: tuple[str, ...] = ()

    def check(self, input_shape: tuple[int | None, ...], classes: int) -> None:
        """Raise InputError unless the samples fit a model with this input shape and number of classes."""
        for part in (self.train, self.val, self.test):
            if part is None:
                continue
            shape = part.x.shape[1:]
            fits = len(shape) == len(input_shape) and all(
                want in (None, have) for want, have in zip(input_shape, shape, strict=True)
            )
            if not fits:
                raise InputError(
                    f"{self.source}: {part.name} has samples of shape {shape}, the model takes {tuple(input_shape)}"
                )
            self.preprocessing.check(shape)
            _check_finite(self.source, part)
            largest = int(part.y.max())
            if largest >= classes:
                raise InputError(
                    f"{self.source}: y_{part.name[2:]} holds the label {largest}, "
                    f"the model has {classes} classes (labels 0 to {classes - 1})"
                )
        if self.class_names is not None and len(self.class_names) != classes:
            raise InputError(
                f"{self.source}: class_names has {len(self.class_names)} names, the model has {classes} classes"
            )


@dataclass(frozen=True, eq=False)
class View:
    """Some samples of a part: ``indices`` int64 (m,), sorted."""

    part: Part
    indices: np.ndarray

    @property
    def y(self) -> np.ndarray:
        """Labels, int64 (m,)."""
        return self.part.y[self.indices]

    def __len__(self) -> int:
        return len(self.indices)


@dataclass(frozen=True, eq=False)
class Splits:
    """Which samples serve what; ``notes`` say what a user must know about it."""

    fit: View
    screen: View
    choose: View
    test: View | None
    notes: tuple[str, ...]


def _check_finite(source: str, part: Part) -> None:
    """Raise InputError at the first sample with NaN or infinity: before an hour of training, not after."""
    if part.x.dtype.kind != "f":
        return
    for start in range(0, len(part.x), FINITE_CHUNK):
        piece = part.x[start : start + FINITE_CHUNK]
        wrong = ~np.isfinite(piece.reshape(len(piece), -1)).all(axis=1)
        if wrong.any():
            raise InputError(f"{source}: {part.name}: sample {start + int(wrong.argmax())} holds NaN or infinity")


# -- reading ------------------------------------------------------------------------------------------


def load(spec: str | None, model: Path, *, cache: Path) -> Data:
    """Read the data that a ``--data`` option names, or that lies beside the model.

    Parameters
    ----------
    spec
        A ``.npz`` or a ``.data.yaml`` file; None looks for ``<model>.data.yaml``, then ``<model>.npz``.
    cache
        Folder into which the arrays are unpacked once, under the hash of the ``.npz``.

    Raises
    ------
    InputError
        Anything missing, damaged, or not as described; the message names the file and the array.
    """
    beside, default = (model.parent / f"{model.stem}{suffix}" for suffix in (".data.yaml", ".npz"))
    given = Path(spec) if spec is not None else beside if beside.exists() else default
    if spec is None and not given.exists():
        raise InputError(f"no data: --data is not given and neither {beside} nor {default} exists")
    if given.suffix.lower() not in (".npz", ".yaml", ".yml"):
        raise InputError(f"--data {spec}: must be a .npz or a .data.yaml file")
    notes: list[str] = []
    own = Sidecar(given, None) if given.suffix.lower() == ".npz" else read_sidecar(given)
    if own.source is None:
        raise InputError(f"{given}: source: missing; name the .npz file that holds the arrays")
    preprocessing = own.preprocessing
    if preprocessing is None and beside.exists() and beside.resolve() != given.resolve():
        preprocessing = read_sidecar(beside).preprocessing
        if preprocessing is not None:
            notes.append(f"preprocessing is taken from {beside.name}: it belongs to the model")
    return _read_npz(own.source, preprocessing or Preprocessing(), cache, tuple(notes))


def _read_npz(path: Path, preprocessing: Preprocessing, cache: Path, notes: tuple[str, ...]) -> Data:
    if not path.is_file():
        names = [entry.name for entry in path.parent.glob("*.npz")] if path.parent.is_dir() else []
        raise InputError(f"{path}: no such data file{nearest(path.name, names)}")
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path}: not a .npz file, or truncated")
    digest = sha256(path)
    arrays: dict[str, np.ndarray] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                key = name.removesuffix(".npy")
                if key not in KEYS or key == name:
                    hint = nearest(key, KEYS) or f"; known arrays: {', '.join(KEYS)}"
                    raise InputError(f"{path}: unknown array '{key}'{hint}")
                arrays[key] = _unpacked(archive, path, key, cache / digest)
    except zipfile.BadZipFile as error:
        raise InputError(f"{path}: damaged: {error}") from error
    parts = {part: _part(path, part, arrays) for part in PARTS}
    if not any(parts.values()):
        raise InputError(f"{path}: holds none of x_train, x_val, x_test")
    class_names = arrays.get("class_names")
    return Data(
        source=path.name,
        sha256=digest,
        class_names=None if class_names is None else _class_names(path, class_names),
        preprocessing=preprocessing,
        notes=notes,
        **parts,
    )


def _unpacked(archive: zipfile.ZipFile, path: Path, key: str, folder: Path) -> np.ndarray:
    """The array, memory-mapped from ``folder``, where it is copied to in pieces unless it is there."""
    target = folder / f"{key}.npy"
    try:
        if not target.exists():
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=folder, delete=False) as copy:
                try:
                    with archive.open(f"{key}.npy") as member:
                        shutil.copyfileobj(member, copy, 1 << 20)
                    copy.close()
                    Path(copy.name).replace(target)  # whoever sees the name sees the whole file
                except BaseException:
                    Path(copy.name).unlink(missing_ok=True)
                    raise
        return np.load(target, mmap_mode="r", allow_pickle=False)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise InputError(f"{path}: the array {key} is damaged: {error}") from error
    except OSError as error:
        raise InputError(f"{path}: the array {key} cannot be unpacked to {folder}: {error.strerror}") from error
    except ValueError as error:
        pickled = "object" in str(error)
        what = "holds Python objects (pickled); save plain numbers or text" if pickled else f"is damaged: {error}"
        raise InputError(f"{path}: the array {key} {what}") from error


# -- checking -----------------------------------------------------------------------------------------


def _part(path: Path, part: str, arrays: dict[str, np.ndarray]) -> Part | None:
    x, y, groups = (arrays.get(f"{kind}_{part}") for kind in ("x", "y", "groups"))
    for key, has, other in ((f"x_{part}", x, f"y_{part}"), (f"y_{part}", y, f"x_{part}")):
        if has is None and (other in arrays or groups is not None):
            present = other if other in arrays else f"groups_{part}"
            raise InputError(f"{path}: {present} is given without {key}")
    if x is None or y is None:
        return None
    if x.ndim < 2 or x.dtype.kind not in "biuf":
        raise InputError(f"{path}: x_{part} must be numbers of shape (samples, ...), has {x.dtype} {x.shape}")
    if len(x) == 0:
        raise InputError(f"{path}: x_{part} is empty")
    for key, array in ((f"y_{part}", y), (f"groups_{part}", groups)):
        if array is not None and (array.ndim == 0 or len(array) != len(x)):
            raise InputError(f"{path}: x_{part} has {len(x)} samples, {key} has the shape {array.shape}")
    if groups is not None and (groups.ndim != 1 or groups.dtype.kind not in "iuSU"):
        raise InputError(
            f"{path}: groups_{part} must be whole numbers or text of shape (samples,), "
            f"has {groups.dtype} {groups.shape}"
        )
    labels = _labels(f"{path}: y_{part}", np.asarray(y))
    return Part(f"x_{part}", x, labels, None if groups is None else np.asarray(groups))


def _labels(where: str, y: np.ndarray) -> np.ndarray:
    """Integers, whole floats or booleans of shape (n,) or (n, 1), or one-hot rows (n, k) → int64 (n,)."""
    if y.dtype.kind not in "biuf" or y.ndim > 2:
        raise InputError(
            f"{where} must be class numbers (n,) or one-hot rows (n, classes), has {y.dtype} {y.shape}"
        )
    rows = y.reshape(len(y), -1)
    wrong = ~np.isfinite(rows).all(axis=1)
    if wrong.any():
        raise InputError(f"{where} holds NaN or infinity, first at sample {int(wrong.argmax())}")
    if rows.shape[1] != 1:
        wrong = ((rows != 0) & (rows != 1)).any(axis=1) | (np.count_nonzero(rows, axis=1) != 1)
        if wrong.any():
            first = int(wrong.argmax())
            raise InputError(f"{where} has {rows.shape[1]} columns, but sample {first} is not one-hot")
        labels = rows.argmax(axis=1).astype(np.int64)
    else:
        labels = rows[:, 0].astype(np.int64)
        wrong = (labels != rows[:, 0]) | (labels < 0)
        if wrong.any():
            first = int(wrong.argmax())
            raise InputError(
                f"{where} must hold class numbers 0, 1, ...; sample {first} has {rows[first, 0].item()}"
            )
    if (labels == labels[0]).all():
        raise InputError(f"{where} holds one class only ({labels[0]}); at least two are needed")
    return labels


def _class_names(path: Path, names: np.ndarray) -> tuple[str, ...]:
    if names.ndim != 1 or names.dtype.kind not in "SU":
        raise InputError(f"{path}: class_names must be a list of text, has {names.dtype} {names.shape}")
    return tuple(name.decode() if isinstance(name, bytes) else str(name) for name in names)


# -- splitting ----------------------------------------------------------------------------------------


def split(data: Data, *, seed: int) -> Splits:
    """Decide which samples serve what; seeded, stratified by class, groups kept on one side.

    Raises
    ------
    InputError
        Without ``x_train``, or where a part cannot be divided (one group, too few samples).
    """
    if data.train is None:
        raise InputError(f"{data.source}: x_train is missing; exit heads need training data")
    notes = list(data.notes)
    rest = np.arange(len(data.train.y))
    test = None if data.test is None else View(data.test, np.arange(len(data.test.y)))
    if data.val is not None:
        choose = View(data.val, np.arange(len(data.val.y)))
    elif data.test is not None:
        chosen, remaining = _divide(data.test, np.arange(len(data.test.y)), "choose", CHOOSE_SHARE_OF_TEST, seed)
        choose, test = View(data.test, chosen), View(data.test, remaining)
        notes.append(
            f"no x_val: half of x_test ({len(choose)} samples) serves as choose, "
            f"the other half ({len(test)}) as test"
        )
    else:
        chosen, rest = _divide(data.train, rest, "choose", CHOOSE_SHARE_OF_TRAIN, seed)
        choose = View(data.train, chosen)
        notes.append(
            f"no x_val and no x_test: a fifth of x_train ({len(choose)} samples) serves as choose; "
            "the model has probably seen it, so confidences and thresholds found on it are too optimistic"
        )
    if test is None:
        notes.append("no x_test: nothing is measured on samples that no choice has seen")
    screen, fit = _divide(data.train, rest, "screen", SCREEN_SHARE, seed)
    return Splits(View(data.train, fit), View(data.train, screen), choose, test, tuple(notes))


def _divide(
    part: Part, indices: np.ndarray, purpose: str, share: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sorted ``indices`` in two: about ``share`` of every class, and the rest."""
    rng = np.random.default_rng([seed, SPLIT_SEEDS[purpose]])
    y = part.y[indices]
    if part.groups is None:
        taken = _stratified(y, share, rng)
    else:
        taken = _grouped(part.groups[indices], y, share, rng)
    if not taken.any() or taken.all():
        raise InputError(
            f"{part.name}: {len(indices)} samples"
            + (f" in {len(np.unique(part.groups[indices]))} group(s)" if part.groups is not None else "")
            + f" cannot be divided into {share:.0%} for {purpose} and the rest"
        )
    return indices[taken], indices[~taken]


def _stratified(y: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Mask (n,) of a share of each class; classes round so that the total is as near as can be."""
    counts = np.bincount(y)
    quota = counts * share
    take = np.floor(quota).astype(np.int64)
    missing = round(len(y) * share) - int(take.sum())
    take[np.argsort(take - quota, kind="stable")[:missing]] += 1
    order = rng.permutation(len(y))
    order = order[np.argsort(y[order], kind="stable")]  # by class, in random order within one
    rank = np.arange(len(y)) - np.repeat(np.cumsum(counts) - counts, counts)
    taken = np.zeros(len(y), dtype=bool)
    taken[order] = rank < take[y[order]]
    return taken


def _grouped(groups: np.ndarray, y: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Mask (n,) of whole groups, taken greedily, large ones first, while the class counts come nearer."""
    names, number = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(names), int(y.max()) + 1))
    np.add.at(counts, (number, y), 1)
    order = rng.permutation(len(names))
    order = order[np.argsort(-counts.sum(axis=1)[order], kind="stable")]
    lacking = counts.sum(axis=0) * share
    taken = np.zeros(len(names), dtype=bool)
    for group in order:
        if np.abs(lacking - counts[group]).sum() < np.abs(lacking).sum():
            lacking = lacking - counts[group]
            taken[group] = True
    if not taken.any() and len(names) > 1:  # every group is larger than the share
        taken[order[-1]] = True
    return taken[number]


# -- using --------------------------------------------------------------------------------------------


def batches(part: Part, indices: np.ndarray, preprocessing: Preprocessing, size: int) -> Iterator[np.ndarray]:
    """Preprocessed samples of ``part``, float32 (at most ``size``, ...), in the order of ``indices``.

    Raises
    ------
    InputError
        At the first sample that holds NaN or infinity.
    """
    for start in range(0, len(indices), size):
        chosen = indices[start : start + size]
        batch = preprocessing(part.x[chosen])
        wrong = ~np.isfinite(batch.reshape(len(batch), -1)).all(axis=1)
        if wrong.any():
            raise InputError(f"{part.name}: sample {int(chosen[wrong.argmax()])} holds NaN or infinity")
        yield batch
