"""Which architectures there are, and in which modes their segments may run."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, combinations_with_replacement, pairwise, product
from math import comb, prod

import numpy as np
from numpy.typing import NDArray

from eeaug.search.space import Problem

__all__ = ["MOST_WAYS", "architectures", "count_architectures", "neighbours", "placements"]


# With more sequences of modes than this, a processor keeps one level for all its segments.
MOST_WAYS = 4096


def placements(problem: Problem, m: int) -> Iterator[tuple[int, ...]]:
    """Sequences of modes for m + 1 segments, processors in the order of use; repeats and gaps are allowed.

    With ``one_each`` (the paper's mapping) every segment has a processor of its own. Sequences between
    processors without a link are left out. On a processor each segment may run at any level, with weights and
    tensors in any of its memories, up to MOST_WAYS sequences.
    """
    choose = combinations if problem.one_each else combinations_with_replacement
    costs = problem.costs
    count = len(costs.hardware.processors)
    usable = [[i for i in problem.modes if costs.modes[i].index == p] for p in range(count)]

    def linked(sequence: tuple[int, ...]) -> bool:
        way = (costs.source, *(usable[p][0] for p in sequence))
        return all(costs.connected(a, b) for a, b in pairwise(way))

    ways = [sequence for sequence in choose(range(count), m + 1) if linked(sequence)]
    few = sum(prod(len(usable[p]) for p in sequence) for sequence in ways) <= MOST_WAYS
    for sequence in ways:
        for way in product(*(usable[p] for p in sequence)):
            if few or len({(costs.modes[i].index, costs.modes[i].level) for i in way}) == len(set(sequence)):
                yield way


def _after_and_pins(problem: Problem) -> tuple[NDArray[np.intp], set[int]]:
    pins = {e.after for e in problem.costs.exits if e.location in problem.pinned}
    return problem.costs.after, pins


def count_architectures(problem: Problem, m: int) -> int:
    """Number of ways to choose m exits at m different locations, pins respected."""
    after, pins = _after_and_pins(problem)
    if len(pins) > m:
        return 0
    heads = [int((after == a).sum()) for a in np.unique(after)]
    if not pins and all(h == 1 for h in heads):
        return comb(len(heads), m)
    ways = [1] + [0] * m  # ways[k]: with k exits so far
    for a, number in zip(np.unique(after), heads, strict=True):
        taken = [0] + [w * number for w in ways[:-1]]
        ways = taken if int(a) in pins else [w + t for w, t in zip(ways, taken, strict=True)]
    return ways[m]


def architectures(problem: Problem, m: int) -> NDArray[np.intp]:
    """All choices of m exits at m different locations, pins respected: (A, m), in lexicographic order."""
    after, pins = _after_and_pins(problem)
    if m == 0:
        return np.zeros((0 if pins else 1, 0), dtype=np.intp)
    if m == 2:  # the common large case, without a Python loop
        first, second = np.triu_indices(len(after), 1)
        every = np.stack([first, second], axis=1)
    else:
        every = np.array(list(combinations(range(len(after)), m)), dtype=np.intp).reshape(-1, m)
    return _valid(every, after, pins)


def neighbours(problem: Problem, exits: tuple[int, ...], m: int) -> NDArray[np.intp]:
    """The architectures with m exits that are one exit away from these, swapped, added or removed: (A, m)."""
    after, pins = _after_and_pins(problem)
    others = [e for e in range(len(after)) if e not in exits]
    if m < len(exits):
        every = list(combinations(exits, m))
    else:
        every = [tuple(sorted((*kept, new))) for kept in combinations(exits, m - 1) for new in others]
    return _valid(np.array(every, dtype=np.intp).reshape(-1, m), after, pins)


def _valid(archs: NDArray[np.intp], after: NDArray[np.intp], pins: set[int]) -> NDArray[np.intp]:
    """Those of (A, m) with one exit per location and all pins."""
    where = after[archs]
    keep = (np.diff(where, axis=1) > 0).all(axis=1)
    for pin in pins:
        keep &= (where == pin).any(axis=1)
    return archs[keep]
