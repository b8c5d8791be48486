"""The file of a tensor: a ``.npy`` that is written shard by shard, in any order, with a checksum for each."""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.features import shards
from eeaug.features.extractor import HALF_MAX
from eeaug.support import cache, checksums, regular

__all__ = ["Layout", "Rows"]


@dataclass(frozen=True)
class Layout:
    """A ``.npy`` file as it is made, and ``more`` bytes behind the array."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    more: int

    @cached_property
    def header(self) -> bytes:
        stream = io.BytesIO()
        facts = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": self.shape}
        np.lib.format.write_array_header_1_0(stream, facts)
        return stream.getvalue()

    @property
    def row_bytes(self) -> int:
        return self.dtype.itemsize * prod(self.shape[1:])

    @property
    def content(self) -> int:
        """Bytes of header and array."""
        return len(self.header) + self.shape[0] * self.row_bytes

    def create(self, path: Path) -> None:
        """Zeros; a full disk is an error here, and a crash when a map is written."""
        with path.open("xb") as file:
            file.write(self.header)
            file.truncate(self.content + self.more)
            if hasattr(os, "posix_fallocate"):
                file.flush()
                os.posix_fallocate(file.fileno(), 0, self.content + self.more)

    def is_of(self, path: Path) -> bool:
        """Whether such a file is there."""
        try:
            with regular.opened(path, None, buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                return size == self.content + self.more and file.read(len(self.header)) == self.header
        except (OSError, ValueError):
            return False


class Rows:
    """Rows of a ``.npy`` file, written in place: half of the time that a memory map takes.

    ``sum`` is the CRC-32 of what was written since the first rows of a shard.
    """

    def __init__(self, path: Path, like: Layout) -> None:
        self.path, self.like, self.sum = path, like, 0
        self.file = path.open("r+b", buffering=0)

    def write(self, at: int, rows: NDArray[np.floating], *, first: bool) -> None:
        """Rows from number ``at`` on, clipped to what the file's precision can hold; ``first`` of a shard."""
        if rows.dtype != self.like.dtype:
            rows = np.clip(rows, -HALF_MAX, HALF_MAX).astype(self.like.dtype)
        data = np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data
        self.sum = zlib.crc32(data, 0 if first else self.sum)
        self._write(len(self.like.header) + at * self.like.row_bytes, data)

    def stored(self, at: int) -> int:
        """The CRC-32 of the shard from row ``at`` on, as it is there."""
        rows = min(shards.SHARD, self.like.shape[0] - at)
        self.file.seek(len(self.like.header) + at * self.like.row_bytes)
        return checksums.sum_of(self.file, rows * self.like.row_bytes)

    def end(self, path: Path, sums: Sequence[int]) -> None:
        """Write the footer of the file, which will be at ``path``; ``sums`` of its shards."""
        header, piece = self.like.header, shards.SHARD * self.like.row_bytes
        every = [zlib.crc32(header), *sums]
        footer = checksums.footer(path, len(header), piece, self.like.content, every)
        self._write(self.like.content, memoryview(footer))

    def _write(self, at: int, data: memoryview) -> None:
        with cache.writing(self.path):
            self.file.seek(at)
            while data:
                data = data[self.file.write(data) :]
