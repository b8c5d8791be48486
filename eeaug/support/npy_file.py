"""``.npy`` files that somebody else may have made: what they hold is known before memory is taken for it."""

from __future__ import annotations

import tokenize
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from eeaug.errors import InputError
from eeaug.support import places
from eeaug.support.printable import one_line
from eeaug.support.regular import Unreadable

__all__ = ["check_samples", "header", "load", "mapped"]

_DAMAGE = (
    ValueError, TypeError, SyntaxError, EOFError, KeyError, OverflowError, RecursionError, MemoryError,
    tokenize.TokenError,
)  # fmt: skip


def load(path: Path, most: int) -> np.ndarray[Any, Any]:
    """The array in a file of at most so many bytes.

    Raises
    ------
    InputError : it cannot be read, is larger, or is none of numbers or text as its header says
    """
    size = places.regular(path, most).st_size
    try:
        with path.open("rb") as file:
            check_samples(str(path), file, size)
            file.seek(0)
            return np.asarray(npy.read_array(file, allow_pickle=False))
    except OSError as error:
        raise InputError(f"{path}: {places.why(error)}") from error


def mapped(where: str, path: Path) -> np.ndarray[Any, Any]:
    """The array of a file mapped into memory; raises as :func:`load`, ``where`` is what a message names."""
    with path.open("rb") as file:
        check_samples(where, file, path.stat().st_size)
    found: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return found


def check_samples(where: str, file: IO[bytes], size: int) -> None:
    """Raise InputError as :func:`header` does, or for samples without a value; ``where`` is what it names."""
    try:
        shape, _ = header(file, size)
    except Unreadable as error:
        raise InputError(f"{where} {error}") from error
    if 0 in shape[1:]:
        raise InputError(f"{where} has the shape {_shape(shape)}: no value for each sample")


def header(file: IO[bytes], size: int) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of an array at the start of ``file``, of ``size`` bytes in all.

    Raises
    ------
    Unreadable : the header is damaged, promises another number of bytes than there are, or names Python objects
    """
    try:
        version = npy.read_magic(file)
        read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
        if read is None and version != (3, 0):
            raise ValueError(f"version {version[0]}.{version[1]} of the format")
        # numpy has no public reader of 3.0, which is 2.0 in UTF-8 for the sake of names of fields
        shape, _, kind = (read or npy.read_array_header_2_0)(file)
    except _DAMAGE as error:
        raise Unreadable(f"is damaged: no header of a .npy file: {one_line(str(error), 100)}") from error
    if kind.hasobject:
        raise Unreadable("holds Python objects (pickled), not numbers or text")
    if kind.names is not None or kind.subdtype is not None or not kind.itemsize:
        raise Unreadable(f"must hold numbers or text, has the type {one_line(str(kind), 60)}")
    if any(type(n) is not int or n < 0 for n in shape) or len(shape) > 32:
        raise Unreadable(f"is damaged: no shape of an array: {one_line(str(shape), 60)}")
    there, promised = size - file.tell(), prod(shape) * kind.itemsize
    if promised != there:
        raise Unreadable(
            f"is damaged: an array of shape {_shape(shape)} of {kind} takes {_bytes(promised)}, there are {there:,}"
        )
    return shape, kind


def _shape(shape: tuple[int, ...]) -> str:
    return one_line("(" + ", ".join(f"{n}" if n < 10**15 else "more than 10^15" for n in shape) + ")", 80)


def _bytes(count: int) -> str:
    return f"{count:,} bytes" if count < 10**18 else "more than 10^18 bytes"
