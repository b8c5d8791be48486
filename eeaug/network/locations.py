"""Where an exit can stand, and for every other block, why not."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import prod

from eeaug.network.graph import Block

__all__ = ["Location", "find", "pooled_shape", "thinned"]

# A block of so many layers that holds most of the MACs is a network in one piece, not a residual block.
TANGLED_LAYERS = 50


@dataclass(frozen=True)
class Location:
    """A block boundary that exactly one tensor of ``shape`` crosses.

    ``after`` is the number of blocks that have run there; ``remaining_macs`` follow it in the backbone.
    """

    name: str
    after: int
    shape: tuple[int, ...]
    remaining_macs: int

    @property
    def elements(self) -> int:
        return prod(self.shape)


def find(blocks: Sequence[Block], outputs: int) -> tuple[tuple[Location, ...], dict[str, str]]:
    """The locations in order, and the reason for every block that is none, by block name.

    ``outputs`` is the width of the classifier's output. The cheapest head averages over space and has one dense
    layer: channels × outputs MACs. Where no more than that follows in the backbone, no exit can save anything.
    """
    locations: list[Location] = []
    reasons: dict[str, str] = {}
    total = remaining = sum(block.total_macs for block in blocks)
    for after, block in enumerate(blocks, start=1):
        remaining -= block.total_macs
        head = block.shape[-1] * outputs if block.shape else 0
        if after == len(blocks):
            reasons[block.name] = "the classifier itself"
        elif not 1 <= len(block.shape) <= 3:
            reasons[block.name] = f"no head for a tensor of shape {block.shape}"
        elif None in block.shape:
            reasons[block.name] = f"the size of its tensor {block.shape} is open"
        elif remaining <= head:
            reasons[block.name] = f"nothing to save: {remaining:,} MACs follow, the smallest head costs {head:,}"
        else:
            locations.append(Location(block.name, after, block.shape, remaining))
            continue
        if len(block.layers) >= TANGLED_LAYERS and 2 * block.total_macs > total:
            reasons[block.name] += f"; no single tensor cuts the {len(block.layers)} layers of this block"
    return tuple(locations), reasons


def thinned(locations: Sequence[Location], most: float, kept: Collection[str] = ()) -> tuple[Location, ...]:
    """At most ``most`` of the locations, evenly over the MACs between the first and the last; order kept.

    What stands a few blocks further sees nearly the same tensor. ``kept`` names stay in any case, and beyond
    ``most`` if they are more.
    """
    if len(locations) <= most:
        return tuple(locations)
    first, last = locations[0].remaining_macs, locations[-1].remaining_macs
    chosen = {i for i, at in enumerate(locations) if at.name in kept}
    free = [i for i in range(len(locations)) if i not in chosen]
    for left in range(max(0, int(most) - len(chosen)), 0, -1):
        # the first free one past the next of equal steps in MACs, with as many behind it as are still to be chosen
        target = first - (first - last) * (most - left) / max(1, most - 1)
        at = bisect_left(free, -target, hi=len(free) - left, key=lambda i: -locations[i].remaining_macs)
        chosen.add(free[at])
        free = free[at + 1 :]
    return tuple(locations[i] for i in sorted(chosen))


def pooled_shape(shape: tuple[int, ...], window: tuple[int, ...]) -> tuple[int, ...]:
    """Shape after average pooling with ``valid`` padding and stride = window."""
    return (*(s // w for s, w in zip(shape[:-1], window, strict=True)), shape[-1]) if window else shape
