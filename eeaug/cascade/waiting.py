"""Samples that wait until there are enough of them to go on together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Rows", "Waiting"]

Rows = tuple[NDArray[Any], ...]  # arrays with a row per sample


class Waiting:
    """Rows that wait until there are ``batch`` of them."""

    def __init__(self, batch: int) -> None:
        self.batch, self.count = batch, 0
        self._buffers: list[NDArray[Any]] = []

    def add(self, on: NDArray[np.intp] | None, arrays: Rows) -> Iterator[Rows]:
        """Add rows, and give every batch that is full then."""
        n = len(arrays[0])
        if on is None:
            if n == self.batch and not self.count:  # handed on without a copy
                yield arrays
                return
            on = np.arange(n)
        if not self._buffers:
            self._buffers = [np.empty((self.batch, *a.shape[1:]), a.dtype) for a in arrays]
        while len(on):
            room = slice(self.count, self.count + min(len(on), self.batch - self.count))
            many = room.stop - room.start
            for buffer, array in zip(self._buffers, arrays, strict=True):
                np.take(array, on[:many], axis=0, out=buffer[room], mode="clip")  # "raise" would copy twice
            self.count, on = room.stop, on[many:]
            if self.count == self.batch:
                yield self.take()

    def take(self) -> Rows:
        """All that waits; to be used before more comes."""
        count, self.count = self.count, 0
        return tuple(buffer[:count] for buffer in self._buffers)
