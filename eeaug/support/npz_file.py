"""Arrays of a ``.npz`` that somebody else may have made: sizes are known before memory is taken, no pickles."""

from __future__ import annotations

import zipfile
import zlib
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from eeaug.errors import ConversionError
from eeaug.support.regular import opened, shown

__all__ = ["MOST_BYTES", "arrays"]

MOST_BYTES = 1 << 30  # of all arrays of a file, unpacked
MOST_ARRAYS = 100_000
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, KeyError, RuntimeError, NotImplementedError,
    SyntaxError, TypeError,
)  # fmt: skip


def arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of numbers by name.

    Raises
    ------
    ConversionError : it is no such file, damaged, holds anything else, or more than MOST_BYTES
    """
    try:
        with opened(path) as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            names = [member.filename for member in members]
            if len(members) > MOST_ARRAYS or len(set(names)) < len(names):
                raise ConversionError(f"{path}: {len(names):,} arrays, some twice or more than are read of it")
            total = sum(member.file_size for member in members)
            if total > MOST_BYTES:
                raise ConversionError(
                    f"{path}: unpacks to {total:,} bytes, more than the {MOST_BYTES:,} that are read"
                )
            return {_key(path, member): _array(path, archive, member) for member in members}
    except ConversionError:
        raise
    except _DAMAGE as error:
        raise ConversionError(
            f"{path}: no readable .npz file: {shown(str(error)) or type(error).__name__}"
        ) from error


def _key(path: Path, member: zipfile.ZipInfo) -> str:
    if not member.filename.endswith(".npy"):
        raise ConversionError(f"{path}: {shown(member.filename)} is no array")
    return member.filename.removesuffix(".npy")


def _array(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    """The member, if its header promises as many bytes as it has."""
    with archive.open(member) as file:
        version = npy.read_magic(file)
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, kind = header(file)
        if kind.kind not in "fiub":
            raise ConversionError(f"{path}: {shown(member.filename)} holds {shown(str(kind))}, not numbers")
        if any(size < 0 for size in shape) or prod(shape) * kind.itemsize != member.file_size - file.tell():
            raise ConversionError(
                f"{path}: the header of {shown(member.filename)} says {prod(shape):,} × {kind.itemsize} bytes, "
                f"there are {member.file_size - file.tell():,}"
            )
    with archive.open(member) as file:
        return np.asarray(npy.read_array(file, allow_pickle=False))
