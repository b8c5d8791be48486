"""Files of features on a worker of a cluster: read in the cache if the worker sees it, else sent once to its disk.

Nothing here is asked of the worker but to read rows: what it holds in memory does not grow with the data.
"""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from eeaug.support import checksums

__all__ = ["Column", "MappedRows", "Shelf", "column", "lacking", "opened"]

TOUCHED_BYTES = 1 << 27  # of a mapped file, after which its pages are given back
AROUND = 1 << 16  # bytes that come into memory with any of them


@dataclass(frozen=True)
class Column:
    """A tensor's file as somebody else may know it: ``seal`` is its ending, None where it has none any more."""

    path: Path
    seal: bytes | None
    shape: tuple[int, ...]
    dtype: str

    @property
    def content(self) -> int:
        """Bytes of the array."""
        return prod(self.shape) * np.dtype(self.dtype).itemsize


def column(array: NDArray[Any]) -> Column | NDArray[Any]:
    """What stands for a mapped file; an array that is none goes as it is."""
    if not isinstance(array, np.memmap) or array.filename is None:
        return array
    path = Path(array.filename)
    return Column(path, checksums.seal(path), array.shape, array.dtype.str)


class MappedRows:
    """Rows of a file (n, ...) as arrays; pages that were read do not stay in the memory of the process."""

    def __init__(self, mapped: np.memmap[Any, Any]) -> None:
        self.shape, self.ndim, self.dtype = mapped.shape, mapped.ndim, mapped.dtype
        self._map, self._array, self._touched = mapped._mmap, np.asarray(mapped), 0  # type: ignore[attr-defined]

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, rows: Any) -> NDArray[Any]:
        """Of a slice, a row number, or several."""
        read: NDArray[Any] = np.asarray(self._array[rows])
        together = np.ndim(rows) == 0 and not (isinstance(rows, slice) and rows.step not in (None, 1))
        self._touched += read.nbytes + (0 if together else len(read) * AROUND)
        if self._touched >= TOUCHED_BYTES and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)  # who looks at them again reads them again
            self._touched = 0
        return read

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype)


class Shelf:
    """Files that were sent to a worker by one run, as long as a result of the cluster holds the shelf.

    They have no names: whatever ends, run or worker, their room is free again. Another worker that is to take the
    result over starts with an empty one.
    """

    def __init__(self, run: str) -> None:
        self.run, self.files = run, dict[Column, IO[bytes]]()
        self.whole: set[Column] = set()
        SHELVES[run] = self

    def __del__(self) -> None:
        for file in self.files.values():  # rows that are still read have a map of their own
            file.close()

    def __reduce__(self) -> tuple[type[Shelf], tuple[str]]:
        return Shelf, (self.run,)

    def put(self, of: Column, place: str | None, at: int, piece: bytes) -> None:
        """Write a piece of the array, from byte ``at`` on; ``place``: the worker's own directory."""
        if of not in self.files:
            self.files[of] = tempfile.TemporaryFile(dir=place)  # noqa: SIM115 (kept)
        file = self.files[of]
        file.seek(at)
        file.write(piece)
        file.flush()
        if at + len(piece) == of.content:
            self.whole.add(of)


SHELVES: WeakValueDictionary[str, Shelf] = WeakValueDictionary()


def lacking(run: str, columns: Mapping[Any, Any]) -> list[Column]:
    """Those that can be read neither where they are nor from the run's shelf."""
    shelf = SHELVES.get(run)
    on_shelf = set() if shelf is None else shelf.whole
    return [
        one for one in columns.values()
        if isinstance(one, Column) and one not in on_shelf
        and (one.seal is None or checksums.seal(one.path) != one.seal)
    ]  # fmt: skip


def opened(run: str, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Rows for every column, which none may be lacking of; arrays as they are.

    Raises
    ------
    OSError, ValueError : a file was deleted or changed just now
    """
    shelf = SHELVES.get(run)

    def one(of: Any) -> Any:
        if not isinstance(of, Column):
            return of
        if shelf is not None and of in shelf.whole:
            return MappedRows(np.memmap(shelf.files[of], of.dtype, "r", shape=of.shape))
        mapped = np.load(of.path, mmap_mode="r", allow_pickle=False)
        if (mapped.shape, mapped.dtype.str) != (of.shape, of.dtype):
            raise ValueError(f"{of.path} holds another array")
        return MappedRows(mapped)

    return {name: one(of) for name, of in columns.items()}
