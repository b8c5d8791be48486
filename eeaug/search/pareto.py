"""Rows that no other row dominates: ≤ in all components. Of equal rows one stays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["pareto", "undominated"]

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


def pareto(points: Floats) -> Indices:
    """Indices of the undominated rows of (N, d), finite and d ≥ 2; for d = 2 by rising first component.

    Rows are taken in an order in which only an earlier one can dominate a later one. O(N log N) for d = 2,
    a little more for d = 3, else O(N · F) at worst for a front of F rows.
    """
    if points.shape[1] == 2:
        order = np.lexsort(points.T[::-1])
        second = points[order, 1]
        before = np.concatenate([[np.inf], np.minimum.accumulate(second)[:-1]])
        return np.asarray(order[second < before])
    return _pareto_3(points) if points.shape[1] == 3 else _pareto_any(points)


def _pareto_3(points: Floats) -> Indices:
    """By the third component: rows before are no higher there, so their front in the plane decides."""
    left = np.lexsort((points[:, 1], points[:, 0], points[:, 2]))
    plane, front = points[:0, :2], [left[:0]]
    for start in range(0, len(left), _BLOCK):
        block = left[start : start + _BLOCK]
        block = block[~_below(plane, points[block, :2])]
        block = block[~np.tril(_covered(points[block], points[block]), -1).any(axis=1)]
        plane = np.concatenate([plane, points[block, :2]])
        plane = plane[pareto(plane)]
        front.append(block)
    return np.concatenate(front)


def _pareto_any(points: Floats) -> Indices:
    """Rows of small sum come first: they drop most others."""
    scale = np.abs(points).max(axis=0, initial=0.0)
    sums = (points / np.where(scale > 0, scale, 1.0)).sum(axis=1)
    left = np.lexsort((*points.T[::-1], sums))
    front = [left[:0]]
    while len(left):
        block, left = left[:_BLOCK], left[_BLOCK:]
        block = block[~np.tril(_covered(points[block], points[block]), -1).any(axis=1)]
        left = left[~_covered(points[left], points[block]).any(axis=1)]
        front.append(block)
    return np.concatenate(front)


def undominated(rows: Floats) -> Indices:
    """The same where components after the second may be minus infinity, most often all of them.

    The rows that have nothing else there make a front in the plane, and what it dominates goes at once.
    """
    free = np.isneginf(rows[:, 2:]).all(axis=1)
    plane, rest = np.flatnonzero(free), np.flatnonzero(~free)
    plane = plane[pareto(rows[plane, :2])]
    rest = rest[~_below(rows[plane, :2], rows[rest, :2])]
    if not len(rest):
        return plane
    left = rows[rest]
    left = left[:, (left != left[0]).any(axis=0) | (np.arange(left.shape[1]) < 2)]
    finite = np.isfinite(left)
    lowest = np.where(finite, left, np.inf).min(axis=0)
    # a column that differs has a finite value: minus infinity is replaced by one below all of them
    left = np.where(finite, left, lowest - np.maximum(1.0, np.abs(lowest)))
    return np.concatenate([plane, rest[pareto(left)]])


def _below(front: Floats, points: Floats) -> NDArray[np.bool_]:
    """Whether something on a front in the plane (F, 2), by rising first component, dominates points (N, 2)."""
    # the front falls: of its points that cost no more, the last is the lowest
    at = np.searchsorted(front[:, 0], points[:, 0], side="right")
    return np.append(np.inf, front[:, 1])[at] <= points[:, 1]


def _covered(rows: Floats, by: Floats) -> NDArray[np.bool_]:
    """[a, b]: row b of ``by`` is ≤ row a of ``rows`` in all components."""
    lower = by[None, :, 0] <= rows[:, None, 0]
    for component in range(1, rows.shape[1]):
        lower &= by[None, :, component] <= rows[:, None, component]
    return lower


_BLOCK = 128
