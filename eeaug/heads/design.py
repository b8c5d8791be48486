"""Which heads are tried at a location: families, sizes, costs.

A head is a short chain of steps on the tensor at its location. Two families:

- ``blueprint`` (Sponner et al., section 3.1): the backbone's own classifier on the pooled tensor, or on a
  grid of pooled cells, which keeps some of the layout;
- ``trecx`` (Ghanathe and Wilton, section 4.2): a pointwise convolution that widens the channels, a strided
  depthwise convolution, pooling, dense.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, prod

from eeaug.cost import Exit
from eeaug.decision import Decision
from eeaug.graph import Block
from eeaug.locations import Location, pooled_shape
from eeaug.model import Call

__all__ = ["POOLED_LIMIT", "Convolve", "Dense", "Head", "Pool", "blueprint_units", "dense_heads", "map_heads"]

# Pooled values per location that are cached and read by dense heads.
POOLED_LIMIT = 4096
# A dense head with hidden layers as wide as the backbone's may cost this share of the backbone, no more.
HIDDEN_SHARE = 0.02
# A convolutional head may cost this share of the MACs that it can save.
MAP_SHARE = 0.5


@dataclass(frozen=True)
class Pool:
    """Average over windows of this size with the same stride; ``()`` leaves the tensor as it is."""

    window: tuple[int, ...]


@dataclass(frozen=True)
class Convolve:
    """Convolution without bias, batch normalisation, ReLU; ``same`` padding.

    ``filters`` None: depthwise, with a window of three per spatial axis; else pointwise.
    """

    filters: int | None
    stride: int = 1


@dataclass(frozen=True)
class Dense:
    units: int
    activation: str  # the last one's is "softmax" or "sigmoid"


Step = Pool | Convolve | Dense


@dataclass(frozen=True)
class Head:
    """A head's steps on a tensor of ``shape`` at a location; between the last map and Dense it is flattened.

    ``finer``: a window whose averages are kept anyway, and which the window of a first pooling is a multiple of.
    """

    location: Location
    family: str
    size: str
    steps: tuple[Step, ...]
    finer: tuple[int, ...] | None = None

    @property
    def name(self) -> str:
        return f"{self.family}-{self.size}"

    @property
    def key(self) -> str:
        """Unique among all heads of a search."""
        return f"{self.location.name}/{self.name}"

    @property
    def dense(self) -> tuple[Dense, ...]:
        return tuple(step for step in self.steps if isinstance(step, Dense))

    @property
    def pooling(self) -> tuple[int, ...] | None:
        """The window of the first pooling if only dense layers follow, else None: needs the whole map."""
        first, *rest = self.steps
        dense = all(isinstance(step, Dense) for step in rest)
        return first.window if isinstance(first, Pool) and dense else None

    def shapes(self) -> Iterator[tuple[Step, tuple[int, ...], tuple[int, ...]]]:
        """Every step with the shapes that it reads and gives, without the batch dimension."""
        shape = self.location.shape
        for step in self.steps:
            if isinstance(step, Pool):
                after = pooled_shape(shape, step.window)
            elif isinstance(step, Convolve):
                after = (*(ceil(s / step.stride) for s in shape[:-1]), step.filters or shape[-1])
            else:
                after = (step.units,)
            yield step, shape, after
            shape = after

    def cost(self) -> Exit:
        """MACs by operation type, parameters as deployed (batch normalisation folded), working memory."""
        macs: dict[str, int] = {}
        parameters = peak = 0
        first = True
        for step, before, after in self.shapes():
            if isinstance(step, Convolve):
                kind = "pointwise" if step.filters else "depthwise"
                window = before[-1] if step.filters else 3 ** (len(before) - 1)
                macs[kind] = macs.get(kind, 0) + prod(after) * window
                parameters += after[-1] * window + after[-1]
            elif isinstance(step, Dense):
                macs["dense"] = macs.get("dense", 0) + prod(before) * step.units
                parameters += prod(before) * step.units + step.units
            if step != Pool(()):
                # the tensor at the location, which the first step reads, is counted by the segment
                peak = max(peak, prod(after) + (0 if first else prod(before)))
                first = False
        return Exit(self.location.name, self.location.after, self.name, macs, parameters, peak)


def blueprint_units(calls: Sequence[Call], blocks: Sequence[Block]) -> tuple[Dense, ...]:
    """The backbone's classifier tail: the dense layers at its end that work on vectors, the last included."""
    by_name = {call.name: call for call in calls}
    tail: list[Dense] = []
    for block in reversed(blocks):
        computing = [by_name[n] for n in block.layers if by_name[n].kind not in _NO_COMPUTE and by_name[n].weights]
        dense = [c for c in computing if c.kind == "Dense" and len(c.shapes[0]) == 1]
        norms = [c for c in computing if c.kind.endswith("Normalization")]
        if not dense or len(dense) + len(norms) != len(computing):
            break
        # an activation of its own layer counts as the dense layer's
        others = [by_name[n].activation for n in block.layers if by_name[n].kind == "Activation"]
        activation = dense[0].activation if dense[0].activation not in (None, "linear") else None
        tail.insert(0, Dense(dense[0].shapes[0][0], activation or (others or ["relu"])[0] or "relu"))
    return tuple(tail)


_NO_COMPUTE = {"InputLayer"}
_HIDDEN = {"relu", "tanh", "gelu", "silu", "elu", "selu", "sigmoid"}


def dense_heads(
    location: Location, tail: Sequence[Dense], decision: Decision, backbone_macs: int
) -> tuple[Head, ...]:
    """``blueprint`` heads on pooled values, from the smallest up.

    Down-sampling is aggressive: the finest grid has about four cells per axis and POOLED_LIMIT values. Where
    the backbone's classifier has hidden layers, a head repeats them if it then costs less than HIDDEN_SHARE
    of the backbone.
    """
    heads: list[Head] = []
    final = Dense(decision.outputs, decision.activation)
    hidden = tuple(d for d in tail[:-1] if d.activation in _HIDDEN)
    windows = {
        size: window
        for size, window in _windows(location.shape).items()
        if prod(pooled_shape(location.shape, window)) <= POOLED_LIMIT
    }
    for size, window in windows.items():
        finer = next(
            f for f in reversed(windows.values()) if all(w % v == 0 for w, v in zip(window, f, strict=True))
        )
        heads.append(Head(location, "blueprint", size, (Pool(window), final), finer))
        if hidden:
            wide = Head(location, "blueprint", f"{size}-hidden", (Pool(window), *hidden, final), finer)
            if sum(wide.cost().macs.values()) <= HIDDEN_SHARE * backbone_macs:
                heads.append(wide)
    return tuple(h for h in heads if sum(h.cost().macs.values()) < location.remaining_macs)


def map_heads(location: Location, decision: Decision) -> tuple[Head, ...]:
    """``trecx`` heads on the whole map: channels doubled (the paper's choice), kept or halved, 4×4 cells.

    ``2x-pooled`` halves the map first, which brings the cost of the doubled channels down to a quarter.

    Only those that cost less than MAP_SHARE of what an exit here could save.
    """
    spatial = location.shape[:-1]
    if not 1 <= len(spatial) <= 2 or max(spatial) < 4:
        return ()
    channels = location.shape[-1]
    halves = tuple(max(1, s // 2) for s in spatial)
    heads = []
    for size, filters, first in (
        ("half", channels // 2, None),
        ("1x", channels, None),
        ("2x", 2 * channels, None),
        ("2x-pooled", 2 * channels, tuple(s // h for s, h in zip(spatial, halves, strict=True))),
    ):
        steps: list[Step] = [Pool(first)] if first else []
        seen = pooled_shape(location.shape, first or ())[:-1]
        window = tuple(max(1, ceil(s / 2) // 4) for s in seen)
        final = Dense(decision.outputs, decision.activation)
        steps += [Convolve(filters), Convolve(None, stride=2), Pool(window), final]
        if filters >= 4 and prod(seen) >= 16:
            heads.append(Head(location, "trecx", size, tuple(steps)))
    return tuple(h for h in heads if sum(h.cost().macs.values()) < MAP_SHARE * location.remaining_macs)


def _windows(shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Pooling windows by the size of the grid that they leave, the coarsest first; equal ones once."""
    spatial = shape[:-1]
    if not spatial:
        return {"vector": ()}
    found: dict[str, tuple[int, ...]] = {}
    for cells in (1, 2, 4):
        window = tuple(max(1, s // cells) for s in spatial)
        if window not in found.values():
            grid = pooled_shape(shape, window)[:-1]
            found["x".join(map(str, grid)) if max(grid) > 1 else "average"] = window
    return found
