"""Changed copies of samples for heads that have few to learn from; the given model runs on each.

Which changes leave a sample what it is, only the given model knows: it is asked about each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from eeaug.data import Part, View
from eeaug.heads import moving
from eeaug.heads.selection import pass_s
from eeaug.heads.supervision import Source
from eeaug.heads.training import Plan

__all__ = ["CHANGES", "as_without", "changed", "kept", "with_copies", "worthwhile"]

MOST_BYTES = 2**28  # of all samples with their copies
FEW = 1000  # samples; heads that have more learn no better from copies
MOST_S = 10.0  # that the given model takes for them, about
ZOOM = 1.25  # samples are seen as large, at most
GAIN = 1.25  # and as strong, or as weak
Rows = NDArray[np.generic]  # samples as they are stored, (n, ..., channels)
Change = Callable[[Rows, np.random.Generator], Rows]


def worthwhile(source: Source, plan: Plan, most: int, macs: int) -> int:
    """How many copies of a sample heads learn from, itself included, at most ``most``; 1 from FEW samples on.

    Not more than convolutional heads see in the least number of steps of their ``plan``, nor than the given model,
    of so many MACs, runs in a few seconds.
    """
    view = source.splits.fit
    n, each = len(view), int(np.prod(view.part.x.shape[1:])) * view.part.x.dtype.itemsize
    seen = plan.steps * plan.for_samples(n).batch // plan.epochs
    return 1 if n >= FEW else max(1, min(most, seen // n, MOST_BYTES // (n * each), int(MOST_S / pass_s(macs, n))))


def with_copies(source: Source, times: int, seed: int) -> View:
    """The samples that heads learn from, and after them copies of all, changed at random as far as the given model
    takes them for the same; the samples alone where it takes no change so."""
    view, changes = source.splits.fit, kept(source)
    if not changes:
        return view
    rng = np.random.default_rng([seed, 4])
    x = np.asarray(view.part.x[view.indices])
    copies = [x, *(changed(x, changes, rng) for _ in range(times - 1))]
    y = None if view.part.y is None else np.concatenate([view.y] * times)
    return View(Part(view.part.name, np.concatenate(copies), y, None), np.arange(times * len(view)))


def as_without(plan: Plan, samples: int) -> Plan:
    """Batches as for ``samples`` that have no copies, so that these take no more steps."""
    return replace(plan, batch=plan.for_samples(samples).batch)


def kept(source: Source) -> list[Change]:
    """Changes after which the given model says the same of nearly all samples (``moving.UNCHANGED``)."""
    view = source.splits.fit
    x = np.asarray(view.part.x[view.indices[:: -(-len(view) // moving.ASKED)]])
    names = [name for name, fits in CHANGES.items() if fits[0](x.shape[1:])]
    rng = np.random.default_rng(len(x))
    tried = [x, *(CHANGES[name][1](x, rng) for name in names)]
    before, *after = np.split(moving.answers(source, np.concatenate(tried)), len(tried))
    return [
        CHANGES[name][1]
        for name, answers in zip(names, after, strict=True)
        if (answers == before).mean() >= moving.UNCHANGED
    ]


def changed(x: Rows, changes: list[Change], rng: np.random.Generator) -> Rows:
    """Samples after all of these changes, each by a random amount of its own."""
    for change in changes:
        x = change(x, rng)
    return x


def _mirrored(x: Rows, rng: np.random.Generator) -> Rows:
    """Every second sample, by lot, from right to left."""
    flip = rng.random(len(x)) < 0.5
    return np.where(flip.reshape(-1, *[1] * (x.ndim - 1)), x[:, :, ::-1], x)


def _zoomed(x: Rows, rng: np.random.Generator) -> Rows:
    """A part of every image, of one shape with it, at the size of the whole."""
    result = np.empty_like(x)
    for i, size in enumerate(rng.uniform(1 / ZOOM, 1, len(x))):
        rows, columns = (_part(length, size, rng) for length in x.shape[1:3])
        result[i] = x[i][rows][:, columns]
    return result


def _shifted(axis: int) -> Change:
    """Along an axis of space or time, its edge repeated where nothing was."""

    def change(x: Rows, rng: np.random.Generator) -> Rows:
        far, size = moving.farthest(x.shape[1:-1])[axis], x.shape[axis + 1]
        result = np.empty_like(x)
        for i, by in enumerate(rng.integers(-far, far + 1, len(x))):
            result[i] = np.take(x[i], np.clip(np.arange(size) - by, 0, size - 1), axis)
        return result

    return change


def _amplified(x: Rows, rng: np.random.Generator) -> Rows:
    """Stronger or weaker, within the range of all samples."""
    gain = GAIN ** rng.uniform(-1, 1, (len(x), *[1] * (x.ndim - 1)))
    strong: NDArray[np.float64] = x.astype(np.float64) * gain
    return np.clip(strong, float(x.min()), float(x.max())).astype(x.dtype)


def _part(length: int, share: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Positions along an axis of a part of it, as many as the axis has."""
    of = max(1, round(length * share))
    return rng.integers(0, length - of + 1) + np.arange(length) * of // length


def _has_axis(axis: int) -> Callable[[tuple[int, ...]], bool]:
    return lambda shape: len(shape) > axis + 1 and moving.farthest(shape[:-1])[axis] > 0


def _is_image(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3


# Name → for which shapes of a sample, and the change
CHANGES: Mapping[str, tuple[Callable[[tuple[int, ...]], bool], Change]] = {
    "mirrored": (_is_image, _mirrored),
    "zoomed": (_is_image, _zoomed),
    "shifted along the first axis": (_has_axis(0), _shifted(0)),
    "shifted along the second axis": (_has_axis(1), _shifted(1)),
    "amplified": (lambda shape: True, _amplified),
}
