"""Arrays of a ``.npz`` of a bundle: sizes are known before memory is taken, no pickles."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from eeaug.errors import ConversionError
from eeaug.support import npy_file, zip_file
from eeaug.support.printable import one_line, shown
from eeaug.support.regular import Unreadable

__all__ = ["MOST_BYTES", "arrays"]

MOST_BYTES = 1 << 30  # of all arrays of a file, unpacked
MOST_ARRAYS = 100_000


def arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of numbers by name.

    Raises
    ------
    ConversionError : it is no such file, damaged, holds anything else, or more than MOST_BYTES
    """
    try:
        with zip_file.opened(path, MOST_BYTES, members=MOST_ARRAYS, links=False) as archive:
            return {_key(member): _array(archive, member) for member in archive.infolist()}
    except Unreadable as error:
        raise ConversionError(f"{path}: {error}") from error
    except (*zip_file.DAMAGE, OSError, ValueError, KeyError) as error:
        raise ConversionError(
            f"{path}: no readable .npz file: {one_line(str(error)) or type(error).__name__}"
        ) from error


def _key(member: zipfile.ZipInfo) -> str:
    if not member.filename.endswith(".npy"):
        raise Unreadable(f"{shown(member.filename)} is no array")
    return member.filename.removesuffix(".npy")


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    name = shown(member.filename)
    with archive.open(member) as file:
        try:
            _, kind = npy_file.header(file, member.file_size)
        except Unreadable as error:
            raise Unreadable(f"{name} {error}") from error
    if kind.kind not in "fiub":
        raise Unreadable(f"{name} holds {shown(str(kind))}, not numbers")
    with archive.open(member) as file:
        return np.asarray(npy.read_array(file, allow_pickle=False))
