"""The tensors that one sample has, and the same as one row: how samples of several inputs go through arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.errors import InputError
from eeaug.support.spelling import nearest

__all__ = ["SampleLayout"]


@dataclass(frozen=True)
class SampleLayout:
    """Names and shapes of the tensors of a sample, in order.

    A single tensor keeps its shape. Several are one row: their values one after the other, each in the order in
    which NumPy and C store it.
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    @property
    def several(self) -> bool:
        return len(self.names) > 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the one tensor, or of the row."""
        return (sum(self.sizes),) if self.several else self.shapes[0]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Elements of every tensor."""
        return tuple(map(prod, self.shapes))

    @property
    def offsets(self) -> dict[str, int]:
        """Where in the row the elements of every tensor begin, by name."""
        return {name: sum(self.sizes[:i]) for i, name in enumerate(self.names)}

    def shape_of(self, name: str) -> tuple[int, ...]:
        return self.shapes[self.names.index(name)]

    def only(self, names: Sequence[str]) -> SampleLayout:
        """The tensors of these names, in the order that they have here."""
        kept = [i for i, name in enumerate(self.names) if name in names]
        return SampleLayout(tuple(self.names[i] for i in kept), tuple(self.shapes[i] for i in kept))

    def split(self, x: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Samples (n, *shape) as tensors (n, *its shape) by name."""
        if not self.several:
            return {self.names[0]: x}
        offsets = self.offsets
        return {
            name: x[:, offsets[name] : offsets[name] + size].reshape(len(x), *shape)
            for name, shape, size in zip(self.names, self.shapes, self.sizes, strict=True)
        }

    def given(self, x: NDArray[Any] | Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """Samples as one array, as somebody gives them: (n, *shape), or of several tensors an array for each by
        name.

        Raises
        ------
        InputError : a name or a shape is wrong, or what is given is no number
        """
        listed = ", ".join(self.names)
        if not isinstance(x, Mapping):
            if self.several:
                raise InputError(f"samples: the model has the inputs {listed}: give an array for each, by name")
            return np.asarray(x)
        if not self.several:
            raise InputError("samples: the model has one input: give an array")
        for name in (*x, *self.names):
            if name not in self.names:
                hint = nearest(name, self.names) or f"; it has {listed}"
                raise InputError(f"samples: the model has no input {name!r}{hint}")
            if name not in x:
                raise InputError(f"samples: {name} is missing: the model has the inputs {listed}")
        arrays = {name: np.asarray(x[name]) for name in self.names}
        count = max(len(np.atleast_1d(array)) for array in arrays.values())
        for (name, array), shape in zip(arrays.items(), self.shapes, strict=True):
            if array.dtype.kind not in "fiub":
                raise InputError(f"samples: {name} must be real numbers, given {array.dtype}")
            if array.shape != (count, *shape):
                wanted = ", ".join(map(str, (count, *shape)))
                raise InputError(f"samples: {name} must have the shape ({wanted}), given {array.shape}")
        return self.joined(arrays)

    def joined(self, tensors: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Tensors (n, *its shape) by name as samples (n, *shape), float32."""
        if not self.several:
            return np.ascontiguousarray(tensors[self.names[0]], np.float32)
        rows = np.empty((len(tensors[self.names[0]]), *self.shape), np.float32)
        offsets = self.offsets
        for name, size in zip(self.names, self.sizes, strict=True):
            rows[:, offsets[name] : offsets[name] + size] = np.asarray(tensors[name]).reshape(len(rows), size)
        return rows
