"""What dense heads read: pooled values, standardised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.features import Features
from eeaug.heads.layers import Head
from eeaug.heads.training import sources, wanted

__all__ = ["Pooled", "Values", "joined", "pooled", "read", "source"]

Values = NDArray[np.float32]
JOINED_ROWS = 4096  # rows read at once from several tensors
SEEN_ROWS = 4096  # so many samples, or two per value, give mean, deviation and covariance well enough


@dataclass(frozen=True)
class Pooled:
    """The standardised values (n, values) that a head reads.

    ``mean`` and ``scale`` (values,): of what is read; ``some`` (rows, values): enough of it to know covariances.
    """

    head: Head
    mean: Values
    scale: Values
    some: Values

    @classmethod
    def of(cls, head: Head, fit: Features) -> Pooled:
        given = fit.tensors[source(head)]
        few = pooled(head, given[:1].astype(np.float32)).shape[1]
        step = -(-len(given) // max(SEEN_ROWS, 2 * few))
        some = pooled(head, given[::step].astype(np.float32))
        mean, std = _moments(some)
        scale = np.reciprocal(std)
        return cls(head, mean, scale, (some - mean) * scale)

    def values(self, features: Features, rows: NDArray[np.integer], already: dict[str, Values]) -> Values:
        """Of these rows, ascending; ``already``: what heads have read of them, which this may add to."""
        name = source(self.head)
        if name not in already:
            consecutive = rows[-1] - rows[0] == len(rows) - 1  # a slice copies less
            already[name] = read(features, name, slice(rows[0], rows[-1] + 1) if consecutive else rows)
        return np.asarray((pooled(self.head, already[name]) - self.mean) * self.scale)

    def deployed(self, kernel: Values, bias: Values) -> tuple[Values, Values]:
        """A layer on standardised values as one on the values themselves."""
        kernel = kernel * self.scale[:, None]
        return kernel, bias - self.mean @ kernel


def read(features: Features, name: str, rows: Any) -> Values:
    """These rows of what is cached, in the precision that heads compute in."""
    return np.asarray(features.tensors[name][rows], np.float32)


def source(head: Head) -> str:
    """The tensor that the head reads, after :func:`joined`."""
    return head.key if head.earlier else wanted(head).key


def joined(features: Features, heads: Sequence[Head]) -> Features:
    """With what each head that reads several tensors makes of them, (n, values): once, not in every pass."""
    together = {}
    for head in heads:
        if head.earlier and head.key not in features.tensors:
            parts = [*((e.window, e.finer) for e in head.earlier), (head.pooling or (), head.finer)]
            tensors = [features.tensors[of.key] for of in sources(head)]
            rows = [
                np.concatenate([
                    _averaged(np.asarray(tensor[i : i + JOINED_ROWS], np.float32), window, finer)
                    .astype(tensor.dtype)
                    for tensor, (window, finer) in zip(tensors, parts, strict=True)
                ], axis=1)
                for i in range(0, len(tensors[0]), JOINED_ROWS)
            ]  # fmt: skip
            together[head.key] = np.concatenate(rows)
    return replace(features, tensors={**features.tensors, **together}) if together else features


def pooled(head: Head, cells: Values) -> Values:
    """What the head's first dense layer reads, (n, values), from the cached cells (n, *grid, channels)."""
    return cells if head.earlier else _averaged(cells, head.pooling or (), head.finer)


def _averaged(cells: Values, window: Sequence[int], finer: Sequence[int] | None) -> Values:
    """Averages over windows, flat, from averages over finer ones, (n, *grid, channels)."""
    if finer is not None:
        sizes = [w // f for w, f in zip(window, finer, strict=True)]
        for axis, size in enumerate(sizes, start=1):  # slices: a fifth of the time of reshape and mean
            until, before = cells.shape[axis] // size * size, (slice(None),) * axis
            parts = [cells[(*before, slice(i, until, size))] for i in range(size)]
            cells = sum(parts[1:], parts[0]) / np.float32(size) if size > 1 else cells
    return cells.reshape(len(cells), -1)


def _moments(some: Values) -> tuple[Values, Values]:
    """Mean and standard deviation of every column."""
    mean, std = some.mean(axis=0, dtype=np.float64), some.std(axis=0, dtype=np.float64)
    # a column that hardly varies carries nothing: its scale must not blow up what noise there is
    floor = 1e-3 * (np.median(std[std > 0]) if (std > 0).any() else 1.0)
    return mean.astype(np.float32), np.maximum(std, floor).astype(np.float32)
