"""Every form of labels as class numbers, as rows of 0 and 1, or as bit masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from eeaug.errors import InputError
from eeaug.support.spelling import nearest

__all__ = ["check_range", "class_names", "masks", "named", "numbers", "read", "something"]

MOST_CLASSES, LONGEST_NAME_BYTES = 100_000, 4_000
NOTHING = ("nothing", "blank", "empty", "none", "background", "normal")  # names of the class that holds nothing
MASK_BITS = 62  # labels that fit into an int64 with room for sums


def read(where: str, y: np.ndarray) -> np.ndarray:
    """Labels as stored → int64 (n,); or uint8 (n, k) where rows of 0 and 1 are not all one-hot.

    Takes integers, whole floats or booleans of shape (n,) or (n, 1), and rows of 0 and 1 (n, k).

    Raises
    ------
    InputError
        Anything else, and labels that are the same for all samples; the message starts with ``where``.
    """
    if y.dtype.kind not in "biuf" or y.ndim > 2:
        raise InputError(
            f"{where} must be class numbers (n,) or rows of 0 and 1 (n, classes), has {y.dtype} {y.shape}"
        )
    rows = y.reshape(len(y), -1)
    wrong = ~np.isfinite(rows).all(axis=1)
    if wrong.any():
        raise InputError(f"{where} holds NaN or infinity, first at sample {int(wrong.argmax())}")
    if rows.shape[1] != 1:
        wrong = ((rows != 0) & (rows != 1)).any(axis=1)
        if wrong.any():
            raise InputError(
                f"{where} has {rows.shape[1]} columns, but sample {int(wrong.argmax())} is not a row of 0 and 1"
            )
        if (np.count_nonzero(rows, axis=1) != 1).any():
            return rows.astype(np.uint8)
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
    return np.asarray(labels)


def numbers(where: str, y: np.ndarray) -> np.ndarray:
    """Class numbers, for a model that picks one class."""
    if y.ndim == 1:
        return y
    counts = np.count_nonzero(y, axis=1)
    first = int((counts != 1).argmax())
    raise InputError(
        f"{where} has {y.shape[1]} columns, but sample {first} is not one-hot ({counts[first]} labels), "
        "and the model picks one class for each sample"
    )


def masks(where: str, y: np.ndarray, classes: int) -> np.ndarray:
    """Bit masks int64 (n,), for a multi-label model: bit k is set where label k applies."""
    if classes > MASK_BITS:
        raise InputError(f"the model has {classes} labels; eeaug takes multi-label models of up to {MASK_BITS}")
    if y.ndim == 1:
        check_range(where, y, classes)
        return np.int64(1) << y
    if y.shape[1] != classes:
        raise InputError(f"{where} has {y.shape[1]} columns, the model has {classes} labels")
    return y.astype(np.int64) @ (np.int64(1) << np.arange(classes))


def something(where: str, y: np.ndarray, names: Sequence[str] | None) -> np.ndarray:
    """1 for samples that hold something, 0 for nothing, int64 (n,).

    Nothing is class 0, or the class that is called so; of rows of 0 and 1, those without any 1.

    Raises
    ------
    InputError : none of the names says which class is nothing, or several do
    """
    if y.ndim == 2:
        return np.asarray(y.any(axis=1), np.int64)
    if names is None:
        return np.asarray(y != 0, np.int64)
    called = [i for i, name in enumerate(names) if name.lower() in NOTHING]
    if len(called) != 1:
        shown = ", ".join(names[:10])
        raise InputError(
            f"{where}: {'none' if not called else 'more than one'} of the classes {shown} means empty: call one "
            f"{NOTHING[0]} ({', '.join(NOTHING[1:])} are understood, too), or give numbers, 0 for empty"
        )
    check_range(where, y, len(names))
    return np.asarray(y != called[0], np.int64)


def check_range(where: str, y: np.ndarray, classes: int) -> None:
    """Raise InputError for a class number that the model does not have."""
    largest = int(y.max())
    if largest >= classes:
        raise InputError(
            f"{where} holds the label {largest}, the model has {classes} classes (labels 0 to {classes - 1})"
        )


def class_names(where: str, names: np.ndarray) -> tuple[str, ...]:
    """The names of the classes, in the order of their numbers."""
    if names.ndim != 1 or names.dtype.kind not in "SU":
        raise InputError(f"{where}: class_names must be a list of text, has {names.dtype} {names.shape}")
    if len(names) > MOST_CLASSES or names.dtype.itemsize > LONGEST_NAME_BYTES:
        raise InputError(
            f"{where}: class_names has {len(names):,} names of up to {names.dtype.itemsize:,} bytes; at most "
            f"{MOST_CLASSES:,} of {LONGEST_NAME_BYTES:,} are read"
        )
    return tuple(_text(names).tolist())


def named(
    where: str, given: Mapping[str, np.ndarray], names: tuple[str, ...] | None
) -> tuple[dict[str, np.ndarray], tuple[str, ...] | None, tuple[str, ...]]:
    """Labels that are text as class numbers.

    Parameters
    ----------
    given : labels (n,) or (n, 1) by key (y_train, ...), text or not
    names : the names of the classes; None: the sorted names that occur

    Returns
    -------
    (labels by key, names of the classes, notes)
    """
    texts = {key: _text(y.reshape(-1)) for key, y in given.items() if y.dtype.kind in "SU"}
    if not texts:
        return dict(given), names, ()
    notes: tuple[str, ...] = ()
    if names is None:
        if len(texts) < len(given):
            raise InputError(
                f"{where}: {next(iter(texts))} holds text and {next(k for k in given if k not in texts)} numbers: "
                "class_names must say which class is which"
            )
        names = tuple(np.unique(np.concatenate(list(texts.values()))).tolist())
        notes = (f"no class_names: the labels in alphabetical order are the classes 0 to {len(names) - 1}",)
    position = {name: i for i, name in enumerate(names)}
    numbered = dict(given)
    for key, text in texts.items():
        if len(text) != len(given[key]):
            raise InputError(f"{where}: {key} must hold one name for each sample, has {given[key].shape}")
        kinds, inverse = np.unique(text, return_inverse=True)
        for kind in kinds.tolist():
            if names.count(kind) != 1:
                what = "stands twice in class_names" if kind in position else "is not in class_names"
                hint = "" if kind in position else nearest(kind, names)
                raise InputError(f"{where}: {key} has the label '{kind}', which {what}{hint}")
        numbered[key] = np.array([position[kind] for kind in kinds.tolist()], np.int64)[inverse]
    return numbered, names, notes


def _text(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "U":
        return np.asarray(values)
    return np.array([value.decode("utf-8", "replace") for value in values.tolist()], dtype=np.str_)
