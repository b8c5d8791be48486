"""Values of an ONNX graph as tensors with axes in another order: transposing and reshaping cost nothing.

ONNX keeps channels first, Keras computes channels last. A value therefore says for each of its axes which *atoms*
it is made of, and for each axis in memory which atoms lie there. Reshaping splits atoms and groups them
anew, transposing reorders the groups; only a layer that needs another order in memory has numbers moved.

Every sample is seen by itself: axes are those of a batch of one, and the batch is the first axis in memory, in no
atom. An axis of size 1 has no atoms.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Atom", "Conflict", "Group", "Value", "aligned", "atom", "flat", "in_memory", "regrouped", "size"]


@dataclass(frozen=True, eq=False)
class Atom:
    """A part of an axis, with an identity of its own."""

    size: int


Group = tuple[Atom, ...]


class Conflict(Exception):
    """Two ways to cut an axis that have no common refinement: its numbers must lie together first."""


@dataclass(frozen=True)
class Value:
    """A tensor (batch, *memory) that stands for an ONNX value.

    Parameters
    ----------
    memory : the atoms of each axis of the tensor behind the batch; () is an axis of size 1
    axes : the atoms of each axis of the ONNX value, first the slowest
    positive : no number in it is below zero
    """

    tensor: Any
    memory: tuple[Group, ...]
    axes: tuple[Group, ...]
    positive: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the ONNX value, for a batch of one."""
        return tuple(size(group) for group in self.axes)

    def with_axes(self, axes: Sequence[Group]) -> Value:
        return replace(self, axes=tuple(axes))

    def split(self, new: Mapping[Atom, Group]) -> Value:
        """With atoms replaced by those that they are split into."""
        if not new:
            return self

        def changed(groups: Sequence[Group]) -> tuple[Group, ...]:
            return tuple(tuple(part for one in group for part in new.get(one, (one,))) for group in groups)

        return replace(self, memory=changed(self.memory), axes=changed(self.axes))


def atom(number: int) -> Group:
    """A new axis of so many numbers."""
    return (Atom(number),) if number > 1 else ()


def size(group: Group) -> int:
    return prod(one.size for one in group)


def flat(groups: Sequence[Group]) -> list[Atom]:
    return [one for group in groups for one in group]


def regrouped(value: Value, shape: Sequence[int]) -> Value:
    """The value reshaped, nothing moved.

    Raises
    ------
    Conflict : axes of ``shape`` begin within atoms that cannot be split there
    """
    pending, new = flat(value.axes), {}
    axes: list[Group] = []
    for wanted in shape:
        group: list[Atom] = []
        missing = wanted
        while missing > 1:
            if not pending:
                raise Conflict
            first = pending.pop(0)
            if missing % first.size == 0:
                group.append(first)
                missing //= first.size
                continue
            if first.size % missing:
                raise Conflict
            parts = (Atom(missing), Atom(first.size // missing))
            new[first] = parts
            group.append(parts[0])
            pending.insert(0, parts[1])
            missing = 1
        axes.append(tuple(group))
    if pending:
        raise Conflict
    whole = value.split(_resolved(new))
    return whole.with_axes(axes)


def _resolved(new: Mapping[Atom, Group]) -> dict[Atom, Group]:
    """Splits of splits as one."""

    def parts(one: Atom) -> Group:
        return tuple(p for part in new[one] for p in parts(part)) if one in new else (one,)

    return {one: parts(one) for one in new}


def aligned(a: Value, b: Value) -> tuple[Value, Value]:
    """Both with as many axes, and where neither has size 1, with the same atoms on an axis.

    Raises
    ------
    Conflict : an axis is cut in two ways; ``args[0]`` is its number
    ValueError : sizes do not fit
    """
    rank = max(len(a.axes), len(b.axes))
    # both may come from one value, whose rows then meet its columns: they are not the same axis
    b = b.split({one: (Atom(one.size),) for one in flat(b.axes)})
    a, b = (v.with_axes([()] * (rank - len(v.axes)) + list(v.axes)) for v in (a, b))
    split_a: dict[Atom, Group] = {}
    same: dict[Atom, Group] = {}
    for axis in range(rank):
        if not a.axes[axis] or not b.axes[axis]:
            continue
        if size(a.axes[axis]) != size(b.axes[axis]):
            raise ValueError(f"sizes {a.shape} and {b.shape} do not fit")
        cuts = [_cuts(v.axes[axis]) for v in (a, b)]
        bounds = sorted({*cuts[0], *cuts[1]})
        if any(after % before for before, after in itertools.pairwise(bounds)):
            raise Conflict(axis)
        parts = _parts(a.axes[axis], cuts[0], bounds)
        split_a |= {one: those for one, those in parts.items() if len(those) > 1}
        fresh = [part for one in a.axes[axis] for part in parts[one]]
        lows = [0, *cuts[1]]
        for one, low, high in zip(b.axes[axis], lows, cuts[1], strict=False):
            same[one] = tuple(f for f, bound in zip(fresh, bounds, strict=True) if low < bound <= high)
    return a.split(split_a), b.split(same)


def _cuts(group: Group) -> list[int]:
    """How many numbers (of the slowest part) come before the end of each atom: 2, 6 for atoms of 2 and 3."""
    return [prod(one.size for one in group[: i + 1]) for i in range(len(group))]


def _parts(group: Group, cuts: Sequence[int], bounds: Sequence[int]) -> dict[Atom, Group]:
    parts: dict[Atom, Group] = {}
    low = 1
    for one, high in zip(group, cuts, strict=True):
        inside = [low, *(bound for bound in bounds if low < bound <= high)]
        sizes = [after // before for before, after in itertools.pairwise(inside)]
        parts[one] = (one,) if len(sizes) == 1 else tuple(Atom(n) for n in sizes)
        low = high
    return parts


def in_memory(value: Value, constant: NDArray[Any]) -> NDArray[Any]:
    """A constant that is broadcast over the value, in the order of memory: each axis has size 1 or its own.

    Raises
    ------
    ValueError : the constant is larger than the value
    """
    shape = (1,) * (len(value.axes) - constant.ndim) + constant.shape
    if len(shape) != len(value.axes) or any(n not in (1, m) for n, m in zip(shape, value.shape, strict=True)):
        raise ValueError(f"sizes {value.shape} and {constant.shape} do not fit")
    varying = {one for n, group in zip(shape, value.axes, strict=True) if n > 1 for one in group}
    logical = flat(value.axes)
    spread = constant.reshape([one.size if one in varying else 1 for one in logical])
    order = flat(value.memory)
    moved = spread.transpose([logical.index(one) for one in order])
    full = [any(one in varying for one in group) for group in value.memory]
    # an axis in memory varies as a whole or not at all
    sizes = [one.size if wide else 1 for group, wide in zip(value.memory, full, strict=True) for one in group]
    return np.broadcast_to(moved, sizes).reshape(
        [size(group) if wide else 1 for group, wide in zip(value.memory, full, strict=True)]
    )
