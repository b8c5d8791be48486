"""Where an exit can stand, and for every other block, why not."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import prod

from eeaug.backbone.model import INPUT
from eeaug.network.graph import Block
from eeaug.support.sample_layout import SampleLayout

__all__ = ["END", "Location", "find", "pooled_shape", "thinned"]

END = "the classifier itself"  # what follows the last block
# A block of so many layers that holds most of the MACs is a network in one piece, not a residual block.
TANGLED_LAYERS = 50


@dataclass(frozen=True)
class Location:
    """A block boundary that exactly one tensor of ``shape`` crosses, or the model's input.

    ``after`` is the number of blocks that have run there, none at the input; ``remaining_macs`` follow it in the
    backbone. ``carries``: names of inputs that cross it as they came, because later blocks read them.
    ``reordered``: it is the input, whose channels stand last here.
    """

    name: str
    after: int
    shape: tuple[int, ...]
    remaining_macs: int
    carries: tuple[str, ...] = ()
    reordered: bool = False

    @property
    def elements(self) -> int:
        return prod(self.shape)

    @property
    def at_input(self) -> bool:
        return not self.after or self.reordered


def find(
    blocks: Sequence[Block], outputs: int, layout: SampleLayout, end: str = END
) -> tuple[tuple[Location, ...], dict[str, str]]:
    """The locations in order, and the reason for every block that is none, by its name; of the input, by INPUT.

    ``outputs`` is the width of an exit's output, ``end`` says what follows the last block.
    The cheapest head averages over space and has one dense
    layer: channels × outputs MACs. Where no more than that follows in the backbone, no exit can save anything.
    """
    locations: list[Location] = []
    reasons: dict[str, str] = {}
    total = remaining = sum(block.total_macs for block in blocks)

    door = blocks[0].name if blocks and blocks[0].is_door else None

    def settle(name: str, after: int, shape: tuple[int, ...], carries: tuple[str, ...] = ()) -> None:
        head = shape[-1] * outputs if shape else 0
        if after == len(blocks):
            reasons[name] = end
        elif not 1 <= len(shape) <= 3:
            reasons[name] = f"no head for a tensor of shape {shape}"
        elif None in shape:
            reasons[name] = f"the size of its tensor {shape} is open"
        elif remaining <= head:
            reasons[name] = f"nothing to save: {remaining:,} MACs follow, the smallest head costs {head:,}"
        else:
            locations.append(Location(name, after, shape, remaining, carries, name == door))

    if layout.several:
        reasons[INPUT] = f"no single tensor is the sample: the model has the inputs {', '.join(layout.names)}"
    elif door is not None:
        reasons[INPUT] = f"its channels stand first; {door} has them last"
    else:
        settle(INPUT, 0, layout.shape)
    for after, block in enumerate(blocks, start=1):
        remaining -= block.total_macs
        settle(block.name, after, block.shape, block.carries)
        if block.name not in reasons:
            continue
        if len(block.layers) >= TANGLED_LAYERS and 2 * block.total_macs > total:
            reasons[block.name] += f"; no single tensor cuts the {len(block.layers)} layers of this block"
    return tuple(locations), reasons


def thinned(locations: Sequence[Location], most: float, kept: Collection[str] = ()) -> tuple[Location, ...]:
    """At most ``most`` of the locations, evenly over the MACs between the first and the last; order kept.

    What stands a few blocks further sees nearly the same tensor. ``kept`` names stay in any case, and beyond
    ``most`` if they are more. The input stays and is not counted: it is like no other place, its heads are small.
    """
    first_of_all = tuple(at for at in locations if at.at_input)
    locations = [at for at in locations if not at.at_input]
    if len(locations) <= most:
        return (*first_of_all, *locations)
    first, last = locations[0].remaining_macs, locations[-1].remaining_macs
    chosen = {i for i, at in enumerate(locations) if at.name in kept}
    free = [i for i in range(len(locations)) if i not in chosen]
    for left in range(max(0, int(most) - len(chosen)), 0, -1):
        # the first free one past the next of equal steps in MACs, with as many behind it as are still to be chosen
        target = first - (first - last) * (most - left) / max(1, most - 1)
        at = bisect_left(free, -target, hi=len(free) - left, key=lambda i: -locations[i].remaining_macs)
        chosen.add(free[at])
        free = free[at + 1 :]
    return (*first_of_all, *(locations[i] for i in sorted(chosen)))


def pooled_shape(shape: tuple[int, ...], window: tuple[int, ...]) -> tuple[int, ...]:
    """Shape after average pooling with ``valid`` padding and stride = window."""
    return (*(s // w for s, w in zip(shape[:-1], window, strict=True)), shape[-1]) if window else shape
