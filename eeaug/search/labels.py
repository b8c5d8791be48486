"""Pareto labels: the best independent cascades when there are too many architectures to enumerate.

Under independence a cascade is built backwards. A label at an exit says what a sample that did not leave
there still meets: (mean cost, P(wrong), worst latency, bytes of every memory that could overflow).
Prepending an exit with leave rate a, P(leave, wrong) e and segment cost c maps it to
(c + (1 − a)·cost, e + (1 − a)·wrong, time + latency, bytes + more), which is monotone in every component
because 1 − a ≥ 0: dominated labels can be dropped without losing an optimum. A weighted sum of the
components would miss optima that lie above the front's convex hull.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade import marginals
from eeaug.search.space import Problem, placements

__all__ = ["front", "pareto"]


@dataclass(frozen=True)
class _Labels:
    """Undominated ways on from one exit: values (F, d), the next exit and its label of each, both (F,)."""

    values: NDArray[np.float64]
    exit: NDArray[np.intp]
    label: NDArray[np.intp]


def front(problem: Problem, m: int) -> NDArray[np.intp]:
    """Architectures with m ≥ 1 exits on the independent Pareto front, best first: (A, m), no repeats.

    First those within the accuracy budget in the order of the objective, then the rest by P(wrong). The
    first is the independent optimum among architectures with m exits that meet the limits, if any does.
    """
    found: dict[tuple[int, ...], tuple[float, float]] = {}
    leave, right = marginals(problem.bins, problem.correct[:-1], problem.thresholds, problem.outcomes.weights)
    for sequence in placements(problem, m):
        for arch, cost, wrong in _on(problem, sequence, leave, leave - right):
            value = float(problem.objective.value(cost, 1 - wrong))
            key = (value, wrong)
            if arch not in found or key < found[arch]:
                found[arch] = key
    ranked = sorted(found, key=lambda arch: (found[arch], arch))
    return np.array(ranked, dtype=np.intp).reshape(-1, m)


def pareto(points: NDArray[np.float64]) -> NDArray[np.intp]:
    """Indices of the rows of (N, d) that no other row dominates (≤ in all components); one of equal rows.

    Rows are taken in an order in which only an earlier one can dominate a later one. O(N log N) for d = 2,
    otherwise O(N · F) at worst for a front of F rows; rows of small sum come first and drop most others.
    """
    if points.shape[1] == 2:
        order = np.lexsort(points.T[::-1])
        second = points[order, 1]
        before = np.concatenate([[np.inf], np.minimum.accumulate(second)[:-1]])
        return order[second < before]
    scale = np.abs(points).max(axis=0, initial=0.0)
    sums = (points / np.where(scale > 0, scale, 1.0)).sum(axis=1)
    left = np.lexsort((*points.T[::-1], sums))
    front = [left[:0]]
    while len(left):
        block, left = left[:_PARETO_BLOCK], left[_PARETO_BLOCK:]
        block = block[~np.tril(_covered(points[block], points[block]), -1).any(axis=1)]
        left = left[~_covered(points[left], points[block]).any(axis=1)]
        front.append(block)
    return np.concatenate(front)


def _covered(rows: NDArray[np.float64], by: NDArray[np.float64]) -> NDArray[np.bool_]:
    """[a, b]: row b of ``by`` is ≤ row a of ``rows`` in all components."""
    below = by[None, :, 0] <= rows[:, None, 0]
    for component in range(1, rows.shape[1]):
        below &= by[None, :, component] <= rows[:, None, component]
    return below


_PARETO_BLOCK = 64


def _on(
    problem: Problem, sequence: tuple[int, ...], leave: NDArray[np.float64], wrong: NDArray[np.float64]
) -> Iterator[tuple[tuple[int, ...], float, float]]:
    """Architecture, mean cost and P(wrong) of every undominated design on one processor sequence.

    leave, wrong (C, T): P(A) and P(A, wrong) of every exit and threshold.
    """
    count, m = len(problem.costs.exits), len(sequence) - 1
    final_wrong = 1 - float(problem.outcomes.accuracies[-1])
    steps = _Steps(problem, sequence)
    none = np.array([-1])
    # levels[k][j]: what a sample meets that stayed at exit j, the k-th of the cascade (0: the input)
    levels: list[list[_Labels | None]] = [
        [_Labels(np.array([[row[0], final_wrong, *row[1:]]]), none, none) for row in steps.table(m)]
    ]
    for k in range(m - 1, -1, -1):
        table = steps.table(k)
        here = []
        for i in range(count) if k else [-1]:
            here.append(_extend(steps, k, i, table, levels[0], leave, wrong))
        levels.insert(0, here)
    root = levels[0][0]
    for index in range(len(root.values) if root else 0):
        arch: list[int] = []
        labels, at = root, index
        for k in range(1, m + 1):
            assert labels is not None
            exit_, at = int(labels.exit[at]), int(labels.label[at])
            arch.append(exit_)
            labels = levels[k][exit_]
        assert root is not None
        yield tuple(arch), float(root.values[index, 0]), float(root.values[index, 1])


def _extend(
    steps: _Steps,
    k: int,
    i: int,
    table: NDArray[np.float64],
    following: list[_Labels | None],
    leave: NDArray[np.float64],
    wrong: NDArray[np.float64],
) -> _Labels | None:
    """Labels at exit i (−1: the input), number k of the cascade, from those at all exits that may follow."""
    values, exits, labels = [], [], []
    for j in steps.successors(i, k):
        onward = following[j]
        if onward is None:
            continue
        stay, old, added = 1 - leave[j], onward.values, table[i, j]
        new = np.empty((len(stay), *old.shape))
        new[:, :, 0] = added[0] + stay[:, None] * old[:, 0]
        new[:, :, 1] = wrong[j][:, None] + stay[:, None] * old[:, 1]
        new[:, :, 2:] = steps.merge(old[:, 2:], added[1:])
        values.append(new.reshape(-1, old.shape[1]))
        exits.append(np.full(len(values[-1]), j))
        labels.append(np.tile(np.arange(len(old)), len(stay)))
    if not values:
        return None
    stacked = np.concatenate(values)
    keep = np.flatnonzero(steps.fits(stacked[:, 2:]))
    if not len(keep):
        return None
    keep = keep[pareto(stacked[keep])]
    return _Labels(stacked[keep], np.concatenate(exits)[keep], np.concatenate(labels)[keep])


class _Steps:
    """Single segments on one processor sequence, and the components of a label that limits need.

    After mean cost and P(wrong): worst latency (a sum), weights of every memory (sums), working memory of
    every processor (maxima over its stages). Components that no design can bring to a limit are left out.
    """

    def __init__(self, problem: Problem, sequence: tuple[int, ...]) -> None:
        self.problem, self.sequence, self.costs = problem, sequence, problem.costs
        self.pins = sorted({e.after for e in self.costs.exits if e.location in problem.pinned})
        self.pinned_on = [problem.pinned.get(e.location) for e in self.costs.exits]
        self.used = sorted(set(sequence))
        self.memories = [memory for memory in self.costs.hardware.memories if self._can_overflow(memory.name)]
        self.timed = problem.max_latency_s is not None
        self.sums = self.timed + len(self.memories)

    def _can_overflow(self, name: str) -> bool:
        costs, hardware = self.costs, self.costs.hardware
        heads = np.sort(costs.head_parameters)[-len(self.sequence) :]
        weights = float(costs.block_parameters[-1] + heads.sum())
        tensors = float(max(costs.peak[0, -1], (costs.elements.max() + costs.head_peak.max(initial=0.0))))
        most = 0.0
        for p in self.used:
            processor = hardware.processors[p]
            most += costs.width[p] * (weights * (processor.flash == name) + tensors * (processor.ram == name))
        return most > hardware.memory(name).bytes

    def table(self, k: int) -> NDArray[np.float64]:
        """Costs and components of segment k: (C + 1, C, d) from exit i (row −1: the input) to exit j.

        For the final segment (C, d), from every exit.
        """
        costs, processor = self.costs, self.sequence[k]
        sender = self.sequence[k - 1] if k else costs.source
        count = len(costs.exits)
        starts = np.append(costs.after, 0)
        if k == len(self.sequence) - 1:
            start, head, shape = costs.after, None, (count,)
        else:
            rows, columns = np.indices((count + 1, count))
            # what runs backwards is never used; clipping keeps its costs finite
            start, head = np.minimum(starts[rows], costs.after[columns]).ravel(), columns.ravel()
            shape = (count + 1, count)  # type: ignore[assignment]
        macs, time, energy, weights, tensors, _ = costs.stage(start, head, sender, processor)
        parts = [{"macs": macs, "latency": time, "energy": energy}[self.problem.cost]]
        if self.timed:
            parts.append(time)
        mine = costs.hardware.processors[processor]
        parts += [weights * (mine.flash == memory.name) for memory in self.memories]
        if self.memories:
            parts += [tensors * (p == processor) for p in self.used]
        return np.stack(parts, axis=-1).reshape(*shape, -1)

    def merge(self, old: NDArray[np.float64], added: NDArray[np.float64]) -> NDArray[np.float64]:
        summed = old[:, : self.sums] + added[: self.sums]
        return np.hstack([summed, np.maximum(old[:, self.sums :], added[self.sums :])])

    def fits(self, extra: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether labels (F, d) can still meet the limits; components only grow, so it may be asked early."""
        fine = np.ones(len(extra), dtype=bool)
        if self.timed:
            fine &= ~(extra[:, 0] > self.problem.max_latency_s * (1 + 1e-12))  # type: ignore[operator]
        hardware = self.costs.hardware
        for index, memory in enumerate(self.memories, start=self.timed):
            arenas = [
                extra[:, self.sums + n]
                for n, p in enumerate(self.used)
                if hardware.processors[p].ram == memory.name
            ]
            used = extra[:, index].copy()
            if arenas:
                used += np.max(arenas, axis=0) if hardware.exclusive else np.sum(arenas, axis=0)
            fine &= used <= memory.bytes
        return fine

    def successors(self, i: int, k: int) -> Iterator[int]:
        """Exits j that may stand after exit i as number k: later ones, with no pinned location left out."""
        start = self.costs.after[i] if i >= 0 else 0
        final = k == len(self.sequence) - 2
        for j, after in enumerate(self.costs.after):
            skipped = any(start < pin < after or (final and pin > after) for pin in self.pins)
            if after > start and not skipped and self.pinned_on[j] in (None, self.sequence[k]):
                yield j
