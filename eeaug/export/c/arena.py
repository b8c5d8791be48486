"""Where tensors live: liveness is known, offsets are sought that keep the arena small.

Dynamic storage allocation of intervals, which is NP-hard (Garey and Johnson, SR2). Placing the largest buffer
first, each at the lowest offset that is free while it lives (Pisarchyk and Lee 2020, "greedy by size"; TensorFlow
Lite Micro does so, too), is close to the bound on networks; where it misses it, other orders are tried.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["ALIGNMENT", "ArenaLayout", "Buffer", "layout", "lower_bound"]

ALIGNMENT = 8  # bytes: that of the widest type in generated code
SWAPS = 300  # other orders, where the usual ones miss the bound


@dataclass(frozen=True)
class Buffer:
    """Bytes that are in use from step ``first`` to step ``last``, both included."""

    name: str
    bytes: int
    first: int
    last: int

    def meets(self, other: Buffer) -> bool:
        """Whether there is a step at which both are in use."""
        return self.first <= other.last and other.first <= self.last

    @property
    def room(self) -> int:
        """Its bytes, padded so that what follows is aligned."""
        return -(-self.bytes // ALIGNMENT) * ALIGNMENT


@dataclass(frozen=True)
class ArenaLayout:
    """An offset in bytes for every buffer, and the bytes of the whole."""

    offsets: Mapping[str, int]
    bytes: int


def lower_bound(buffers: Sequence[Buffer]) -> int:
    """The most bytes in use at one step: no arena is smaller."""
    steps = {buffer.first for buffer in buffers}  # the sum only grows where a buffer begins
    return max((sum(b.room for b in buffers if b.first <= step <= b.last) for step in steps), default=0)


def layout(buffers: Sequence[Buffer]) -> ArenaLayout:
    """Offsets at which no two buffers overlap while both are in use. Equal buffers get equal offsets.

    O(n²) for each order; stops at the first that reaches the lower bound.
    """
    bound = lower_bound(buffers)
    orders = [
        sorted(buffers, key=lambda b: (-b.room, b.first, b.name)),
        sorted(buffers, key=lambda b: (b.first, -b.room, b.name)),
        sorted(buffers, key=lambda b: (-b.room * (b.last - b.first + 1), b.first, b.name)),
    ]
    best = _placed(orders[0])
    for order in orders[1:]:
        if best.bytes == bound:
            return best
        best = min(best, _placed(order), key=lambda tried: tried.bytes)
    return _improved(orders[0], best, bound)


def _improved(order: list[Buffer], best: ArenaLayout, bound: int) -> ArenaLayout:
    """Exchange two at a time, and keep what is no worse."""
    chance = random.Random(0)
    current = _placed(order).bytes
    for _ in range(SWAPS if len(order) > 1 else 0):
        if best.bytes == bound:
            break
        i, j = chance.sample(range(len(order)), 2)
        other = list(order)
        other[i], other[j] = other[j], other[i]
        tried = _placed(other)
        if tried.bytes <= current:
            order, current = other, tried.bytes
        best = min(best, tried, key=lambda tried: tried.bytes)
    return best


def _placed(order: Sequence[Buffer]) -> ArenaLayout:
    """One after the other, each at the lowest offset where it meets none of those before it."""
    offsets: dict[str, int] = {}
    done: list[Buffer] = []
    for buffer in order:
        at = 0
        for other in sorted((b for b in done if b.meets(buffer)), key=lambda b: offsets[b.name]):
            if at + buffer.room <= offsets[other.name]:
                break
            at = max(at, offsets[other.name] + other.room)
        offsets[buffer.name] = at
        done.append(buffer)
    return ArenaLayout(offsets, max((offsets[b.name] + b.room for b in done), default=0))
