"""Which heads are tried at a location.

- ``blueprint`` (Sponner et al., section 3.1): the backbone's own classifier on the pooled tensor, or on a
  grid of pooled cells, which keeps some of the layout; on the input also one that knows a class or two;
- ``hidden``: a layer of HIDDEN_UNITS before the last one, on the two finest of these grids;
- ``separable``: separable convolutions, the first of them strided: most accuracy per MAC;
- ``convolutional``: a strided convolution and residual blocks, for deep backbones that can pay for them;
- ``trecx`` (Ghanathe and Wilton, section 4.2): a pointwise convolution that widens the channels, a strided
  depthwise convolution, pooling, dense;
- ``dense-connection`` (Bonato and Bouganis, section 3.2): a dense layer on averages of all tensors up to here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count
from math import ceil, prod

from eeaug.backbone.model import Call, Classifier
from eeaug.cascade.output import Decision
from eeaug.heads.layers import Averages, Convolve, Dense, Head, Pool, Residual, Step
from eeaug.network.graph import Block
from eeaug.network.locations import Location, pooled_shape

__all__ = [
    "FAMILIES",
    "MAP_FAMILIES",
    "blueprint_units",
    "dense_connections",
    "dense_heads",
    "hidden_heads",
    "limited",
    "map_heads",
]

# Pooled values per location that are cached and read by dense heads.
POOLED_LIMIT = 4096
# Cells at most where one axis is longer than others; twice the four by four of a square map.
CELLS = 32
# The same of what a convolutional head pools its last map to; two by two on a square one.
MAP_CELLS = 8
# The same for heads that read several locations: training holds so many values of each sample in memory.
JOINED_LIMIT = 2048
# Values of the finest grid of the input: no layer has gathered there yet what an average would keep.
INPUT_LIMIT = 512
# A dense head with hidden layers as wide as the backbone's may cost this share of the backbone, no more.
HIDDEN_SHARE = 0.02
# Width of the layer of ``hidden`` heads.
HIDDEN_UNITS = 32
# A convolutional or hidden head may cost this share of the MACs that it can save; on several backbones the best
# convolutional ones took between a twentieth and a fifth.
MAP_SHARE = 0.25
# Sizes of a family at a location: the largest that may be, and those of a third and a ninth of its MACs.
SIZES = (1, 3, 9)
# Filters as multiples of the base width, and strides.
SEPARABLE = (
    ((1, 2),),
    ((1, 2), (1, 1)),
    ((1, 2), (2, 2)),
    ((1, 2), (2, 2), (4, 1)),
    ((1, 2), (2, 1), (2, 2), (4, 1)),
)
RESIDUAL = (((2, 2),), ((1, 1), (2, 2)), ((1, 1), (2, 2), (4, 2)))


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
    location: Location, tail: Sequence[Dense], decision: Decision, backbone_macs: int, values: float = POOLED_LIMIT
) -> tuple[Head, ...]:
    """``blueprint`` heads on pooled values, from the smallest up.

    Down-sampling is aggressive: the finest grid has about four cells per axis, or CELLS along a single one, and at
    most ``values`` values, but averages are always tried; never more than POOLED_LIMIT. On the model's input, grids
    go on to the tensor itself, as far as INPUT_LIMIT. Where the backbone's classifier has hidden layers, a head
    repeats them if it then costs less than HIDDEN_SHARE of the backbone.
    """
    heads: list[Head] = []
    final = Dense(decision.outputs, decision.activation)
    hidden = tuple(d for d in tail[:-1] if d.activation in _HIDDEN)
    for size, (window, finer) in _grids(location.shape, values, whole=location.at_input).items():
        heads.append(Head(location, "blueprint", size, (Pool(window), final), finer))
        if hidden:
            wide = Head(location, "blueprint", f"{size}-hidden", (Pool(window), *hidden, final), finer)
            if wide.macs <= HIDDEN_SHARE * backbone_macs:
                heads.append(wide)
    return tuple(h for h in heads if h.macs < location.remaining_macs)


def hidden_heads(location: Location, decision: Decision, values: float = POOLED_LIMIT) -> tuple[Head, ...]:
    """``hidden`` heads, from the smaller up: HIDDEN_UNITS rectified sums of the two finest grids' values.

    Grids as of :func:`dense_heads`; none costs more than MAP_SHARE of what an exit here could save.
    """
    final = Dense(decision.outputs, decision.activation)
    grids = list(_grids(location.shape, values, whole=location.at_input).items())[-2:]
    heads = [
        Head(location, "hidden", size, (Pool(window), Dense(HIDDEN_UNITS, "relu"), final), finer)
        for size, (window, finer) in grids
    ]
    return tuple(h for h in heads if h.macs <= MAP_SHARE * location.remaining_macs)


def limited(head: Head, classes: Sequence[int]) -> Head:
    """The dense ``head`` for these ``classes`` alone: all others get the rest evenly, so none of them is ever sure.

    One output per class and one for the rest, which a fixed layer spreads over all outputs: a sample of another
    class goes on. Of a softmax of C classes that is values · (s + 1) + (s + 1) · C MACs, for values · C.
    """
    first, *_, last = head.steps
    steps = (first, Dense(len(classes) + 1, "linear"), last)
    return replace(head, size=f"{head.size}-only-{'-'.join(map(str, classes))}", steps=steps, knows=tuple(classes))


def dense_connections(
    location: Location, earlier: Sequence[Location], decision: Decision, values: float = POOLED_LIMIT
) -> tuple[Head, ...]:
    """``dense-connection`` heads: one dense layer on the averages here and at all ``earlier`` locations.

    Bonato and Bouganis, section 3.2 (KP = On). A grid is that of as many cells as every tensor has; all of them
    together have at most JOINED_LIMIT values.
    """
    heads = []
    grids_here = _grids(location.shape, values)
    for size in grids_here if earlier else ():
        others = []
        for at in earlier:
            grids = _grids(at.shape, values)
            grid = grids.get(size) or grids.get("average") or grids.get("vector")
            others += [Averages(at, *grid)] if grid else []
        window, finer = grids_here[size]
        steps = (Pool(window), Dense(decision.outputs, decision.activation))
        head = Head(location, "dense-connection", size, steps, finer, tuple(others))
        joined = prod(next(head.shapes())[2])
        if joined <= JOINED_LIMIT and head.macs < location.remaining_macs:
            heads.append(head)
    return tuple(heads)


def vectors(classifier: Classifier) -> dict[str, Location]:
    """Inputs of a model with several that a head can read beside its tensor, by name: vectors of a few values."""
    layout = classifier.layout
    return {
        name: Location(classifier.sources[name], 0, shape, 0)
        for name, shape in zip(layout.names, layout.shapes, strict=True)
        if layout.several and len(shape) == 1 and shape[0] <= INPUT_LIMIT
    }


def with_inputs(heads: Sequence[Head], inputs: Mapping[str, Location]) -> tuple[Head, ...]:
    """Dense heads that read the inputs (:func:`vectors`) which go past their location, too, where that is no more
    than JOINED_LIMIT values: an exit before others join would know nothing of them otherwise."""

    def beside(head: Head) -> Head:
        carried = [name for name in head.location.carries if name in inputs]
        if not carried or head.earlier or head.pooling is None:
            return head
        read = tuple(Averages(inputs[name], (), ()) for name in carried)
        wider = replace(head, size="+".join((head.size, *carried)), earlier=read)
        values = prod(next(wider.shapes())[2])
        return wider if values <= JOINED_LIMIT and wider.macs < head.location.remaining_macs else head

    return tuple(map(beside, heads))


def map_heads(
    location: Location, families: Sequence[str], decision: Decision, most_macs: float
) -> tuple[Head, ...]:
    """Heads on the whole map, at most len(SIZES) of each family, the dearest first.

    None costs more than ``most_macs``, or more than MAP_SHARE of what an exit here could save.
    """
    spatial = location.shape[:-1]
    if not 1 <= len(spatial) <= 2 or max(spatial) < 4:
        return ()
    final = Dense(decision.outputs, decision.activation)
    most = min(most_macs, MAP_SHARE * location.remaining_macs)
    heads: list[Head] = []
    for family in families:
        architectures = MAP_FAMILIES[family](location.shape)
        tried = [Head(location, family, size, (*steps, final)) for size, steps in architectures]
        priced = sorted(((h.macs, len(h.steps), h.size, h) for h in tried), reverse=True)
        priced = [entry for entry in priced if entry[0] <= most]
        for part in SIZES:
            fitting = [h for macs, *_, h in priced if macs * part <= priced[0][0]]
            if fitting and fitting[0] not in heads:
                heads.append(fitting[0])
    return tuple(sorted(heads, key=lambda h: -h.macs))


def _trecx(shape: tuple[int, ...]) -> list[tuple[str, tuple[Step, ...]]]:
    """Channels doubled (the paper's choice), kept or halved, 4×4 cells.

    ``2x-pooled`` halves the map first, which brings the cost of the doubled channels down to a quarter.
    """
    spatial, channels = shape[:-1], shape[-1]
    halved = tuple(s // max(1, s // 2) for s in spatial)
    architectures = []
    for size, filters, first in (
        ("half", channels // 2, None), ("1x", channels, None), ("2x", 2 * channels, None),
        ("2x-pooled", 2 * channels, halved),
    ):  # fmt: skip
        seen = pooled_shape(shape, first or ())[:-1]
        if filters >= 4 and prod(seen) >= 16:
            window = tuple(max(1, ceil(s / 2) // 4) for s in seen)
            steps: tuple[Step, ...] = (Pool(first),) if first else ()
            architectures.append((size, (*steps, Convolve(filters), Convolve(None, 2, 3), Pool(window))))
    return architectures


def _separable(shape: tuple[int, ...]) -> list[tuple[str, tuple[Step, ...]]]:
    architectures = []
    for base in _bases(shape[-1]):
        for form in SEPARABLE:
            steps: list[Step] = []
            names = []
            now = shape
            for times, stride in form:
                stride = stride if max(now[:-1]) >= 4 else 1
                depthwise, pointwise = Convolve(None, stride, 3, ""), Convolve(times * base)
                steps += [depthwise, pointwise]
                now = pointwise.shape(depthwise.shape(now))
                names.append(f"{times * base}{'s' if stride > 1 else ''}")
            architectures.append(("-".join(names), (*steps, _coarse(now))))
    return architectures


def _convolutional(shape: tuple[int, ...]) -> list[tuple[str, tuple[Step, ...]]]:
    architectures = []
    for base in _bases(shape[-1]):
        for form in RESIDUAL:
            stem = Convolve(base, 2, 3)
            steps: list[Step] = [stem]
            names = [f"{base}s"]
            now = stem.shape(shape)
            for times, stride in form:
                block = Residual(times * base, stride if max(now[:-1]) >= 4 else 1)
                steps.append(block)
                now = block.shape(now)
                names.append(f"{block.filters}{'s' if block.stride > 1 else ''}")
            architectures.append(("-".join(names), (*steps, _coarse(now))))
    return architectures


MAP_FAMILIES = {"separable": _separable, "convolutional": _convolutional, "trecx": _trecx}
FAMILIES = ("blueprint", "hidden", *MAP_FAMILIES, "dense-connection")


def _bases(channels: int) -> list[int]:
    """Widths of the first convolution: half, one and two times the channels, at least eight."""
    return sorted({max(8, channels // 2), max(8, channels), max(8, 2 * channels)})


def _coarse(shape: tuple[int, ...]) -> Pool:
    """Pooling of a head's last map: two cells per axis, and with ``_lengthened`` up to MAP_CELLS in all."""
    return Pool(_lengthened(shape, _halving(shape, 2), 2, MAP_CELLS)[-1])


def _windows(shape: tuple[int, ...], *, whole: bool = False) -> dict[str, tuple[int, ...]]:
    """Pooling windows by the size of the grid that they leave, the coarsest first; equal ones once.

    One, two and four cells per axis, then along what is longer than wide: of a signal up to CELLS, of a spectrogram
    or a narrow map in time until cells are about square. ``whole``: then half as long along every axis each time,
    while the grid has at most INPUT_LIMIT values.
    """
    if not shape[:-1]:
        return {"vector": ()}
    windows: dict[str, tuple[int, ...]] = {}
    every = [_halving(shape, 1), _halving(shape, 2), *_lengthened(shape, _halving(shape, 4), 4, CELLS)]
    while whole and max(every[-1]) > 1:
        half = tuple(max(1, w // 2) for w in every[-1])
        if prod(pooled_shape(shape, half)) > INPUT_LIMIT:
            break
        every.append(half)
    for window in every:
        if window not in windows.values():
            grid = pooled_shape(shape, window)[:-1]
            windows["x".join(map(str, grid)) if max(grid) > 1 else "average"] = window
    return windows


def _halving(shape: tuple[int, ...], cells: int) -> tuple[int, ...]:
    """The window that leaves about so many cells per axis."""
    return tuple(max(1, s // cells) for s in shape[:-1])


def _lengthened(shape: tuple[int, ...], window: tuple[int, ...], cells: int, most: int) -> list[tuple[int, ...]]:
    """The window, then those that leave twice as many cells along its longest axis each time, ``most`` in all.

    ``cells``: per axis that ``window`` was made for. An axis is parted while a cell is at least twice as long there
    as along any other: on square maps never, on a single axis as long as it has positions.
    """
    windows = [window]
    asked = [min(cells, s) for s in shape[:-1]]
    while True:
        axis = max(range(len(window)), key=lambda k: window[k])
        beside = max((w for k, w in enumerate(window) if k != axis), default=1)
        asked[axis] *= 2
        if window[axis] < 2 * beside or prod(asked) > most:
            return windows
        length = next(w for w in count(max(1, shape[axis] // asked[axis])) if shape[axis] // w <= asked[axis])
        window = (*window[:axis], length, *window[axis + 1 :])
        windows.append(window)


def _grids(
    shape: tuple[int, ...], values: float, *, whole: bool = False
) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    """Of ``_windows`` those with few enough values, each with the finest of them that it follows from."""
    most = min(POOLED_LIMIT, max(values, shape[-1]))
    windows = {size: w for size, w in _windows(shape, whole=whole).items() if prod(pooled_shape(shape, w)) <= most}
    return {
        size: (w, next(f for f in reversed(windows.values()) if all(a % b == 0 for a, b in zip(w, f, strict=True))))
        for size, w in windows.items()
    }
