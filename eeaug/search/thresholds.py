"""Threshold grids, and the search for an architecture's thresholds: Bellman–Ford over a graph.

Sponner et al. (section 3.2, figure 3) turn the search into a shortest path: a node is an exit with a
threshold, an edge carries what choosing the next threshold adds. The cost of a cascade is a nested product
(or a count of surviving samples), so edges between neighbours alone are not exact beyond two exits: here a
node stands for the whole prefix of thresholds. Prefixes that leave the same samples over, with the same
number of errors (of every class, if classes are limited), are one node.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.outcomes import ClassLimit, Outcomes
from eeaug.cascade.tables import bins

__all__ = ["NEVER", "PAPER_GRID", "Objective", "graph", "of_design", "quantile_grid", "solve"]

NEVER = np.float32(np.inf)  # in grids: no confidence reaches it
# The paper (003) gives thirteen nodes per exit and their range; equal steps are our reading.
PAPER_GRID = np.linspace(0.40, 1.00, 13).astype(np.float32)
# What runs up to an exit, as a share of the network's cost: exits stand from a tenth of it to past the half.
BEFORE = 0.3

SOURCE, SINK = "input", "output"

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Objective:
    """What is minimised over designs.

    Either the mean cost, with accuracy at least ``base_accuracy − budget``; or, with ``weight``
    w, the sum w · cost / base_cost + (1 − w) · max(0, base_accuracy − accuracy). (Sponner et al. give the
    weights 0.9 and 0.1 and no formula; this one is ours.)
    """

    base_accuracy: float
    base_cost: float
    budget: float | None = None
    weight: float | None = None

    def value(
        self, cost: NDArray[np.float64] | float, accuracy: NDArray[np.float64] | float
    ) -> NDArray[np.float64]:
        """Objective of mean costs and accuracies, elementwise; infinite where the budget is missed."""
        if self.weight is not None:
            return self.weight * cost / self.base_cost + self.penalty(accuracy)
        return np.where(self.allows(accuracy), cost, np.inf)

    def penalty(self, accuracy: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """What accuracies add to the objective, elementwise: falls as they rise."""
        if self.weight is not None:
            return np.asarray((1 - self.weight) * np.maximum(0.0, self.base_accuracy - accuracy))
        return np.where(self.allows(accuracy), 0.0, np.inf)

    def allows(self, accuracy: NDArray[np.float64] | float) -> NDArray[np.bool_]:
        """Whether an accuracy is within the budget (a tolerance of 1e-9 absorbs rounding of the sums)."""
        if self.budget is None:
            return np.ones(np.shape(accuracy), dtype=bool)
        return np.asarray(accuracy) >= self.base_accuracy - self.budget - 1e-9


def of_design(grid_values: Iterable[np.floating | float]) -> tuple[float | None, ...]:
    """Values of grids as thresholds of a design, where never is None, as in files: the one translation."""
    return tuple(None if np.isinf(value) else float(value) for value in grid_values)


def quantile_grid(confidence: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """``count`` − 1 thresholds at quantiles of the confidences, denser where few samples stay, then ``never``.

    They ascend; each lies midway between two distinct neighbouring confidences, so that rounding in another runtime
    moves no sample across it; none is 1.0. Where quantiles coincide the row is filled with ``never``.

    An exit from which a share s goes on costs about BEFORE + s of the network. Neighbours differ by the same
    factor of it: ln(BEFORE + s), from s = 0 to 1, is parted into ``count`` − 1 equal cells, with a threshold in
    the middle of each. With thirteen, from 2 to 91 % of the samples go on.
    """
    distinct = np.unique(confidence.astype(np.float32))
    lower, upper = distinct[:-1], distinct[1:]
    middle = ((lower.astype(np.float64) + upper) / 2).astype(np.float32)
    middle = np.where(middle > lower, middle, upper)
    middle = middle[middle < 1.0]
    grid = np.full(count, NEVER, dtype=np.float32)
    if len(middle) and count > 1:
        ordered = np.sort(confidence)
        middles = (np.arange(count - 1) + 0.5) / (count - 1)
        ranks = BEFORE * ((1 + 1 / BEFORE) ** middles - 1) * len(ordered)
        wanted = ordered[np.minimum(ranks.astype(np.intp), len(ordered) - 1)]
        # the midpoint just below the confidence at that rank: it and all above leave
        index = np.clip(np.searchsorted(middle, wanted, side="right") - 1, 0, len(middle) - 1)
        chosen = np.unique(middle[index])
        grid[: len(chosen)] = chosen
    return grid


def graph(
    outcomes: Outcomes,
    grid: Sequence[NDArray[np.float32]],
    costs: Sequence[float],
    objective: Objective,
    *,
    independent: bool = False,
    classes: ClassLimit | None = None,
    most: float = np.inf,
) -> nx.DiGraph:
    """The threshold graph of one architecture.

    Parameters
    ----------
    outcomes : of the m exits and the final classifier
    grid : the float32 thresholds of each of the m exits, ascending
    costs : m + 1 costs of the segments
    independent : edge weights under independence of the exits instead of counted survivors
    classes : that of the same rows as ``outcomes``; only prefixes that meet it have an edge into the sink
    most : prefixes of which no path into the sink can be as short are left out, as are those that must miss the
        budget

    An edge from a prefix to a longer one carries the cost of the segment that the longer one adds; the edge
    into the sink carries the final segment and, with ``weight``, the penalty for lost accuracy. Under a
    budget only prefixes that meet it have an edge into the sink. Nodes: at most Σ_k T^k.
    """
    m, correct = len(grid), outcomes.correct
    network = nx.DiGraph()
    network.add_node(SOURCE)
    scale = objective.weight / objective.base_cost if objective.weight is not None else 1.0
    # state of a prefix: (share that reaches the next classifier, accuracy so far, survivors, classes), and the
    # length of the shortest path to it
    everyone = np.ones(outcomes.samples, dtype=bool)
    level: dict[object, tuple[float, float, NDArray[np.bool_], _ClassState]] = {}
    level[SOURCE] = (1.0, 0.0, everyone, _ClassState.first(classes))
    spent: dict[object, float] = {SOURCE: 0.0}
    for k in range(m):
        following: dict[object, tuple[float, float, NDArray[np.bool_], _ClassState]] = {}
        by_class = None
        if classes is not None:
            by_class = _Leaving(classes, k, outcomes.confidence[k], grid[k], independent=independent)
        bounds = _Bounds(outcomes, k, grid[k], independent=independent)
        for node, (reach, accuracy, alive, lost) in level.items():
            length = spent[node] + scale * reach * costs[k]
            going_on, highest = bounds.after(reach, accuracy, alive)
            shortest = length + scale * going_on * costs[k + 1] + objective.penalty(outcomes.accuracy_of(highest))
            thereafter = [lost] * len(grid[k]) if by_class is None else by_class.after(lost, alive)
            for i in np.flatnonzero(np.isfinite(shortest) & (shortest <= most)):
                t, then = grid[k][i], thereafter[i]
                leaving = outcomes.confidence[k] >= t
                if independent:
                    share, right = float(outcomes.share(leaving)), float(outcomes.share(leaving & correct[k]))
                    state = (reach * (1 - share), accuracy + reach * right, alive, then)
                    child: object = (k, node, float(t))
                else:
                    rest = alive & ~leaving
                    gained = accuracy + float(outcomes.share(alive & leaving & correct[k]))
                    state = (float(outcomes.share(rest)), gained, rest, then)
                    # rounding of sums must not keep equal prefixes apart
                    child = (k, np.packbits(rest).tobytes(), round(gained, 12), then.rounded)
                if not network.has_edge(node, child):
                    # equal prefixes share an edge, which keeps the first, that is the lowest threshold
                    network.add_edge(node, child, weight=scale * reach * costs[k], threshold=t)
                following[child] = state
                spent[child] = min(length, spent.get(child, np.inf))
        level = following
    for node, (reach, accuracy, alive, lost) in level.items():
        if independent:
            total = accuracy + reach * float(outcomes.accuracies[m])
        else:
            total = accuracy + float(outcomes.share(alive & correct[m]))
        weight = scale * reach * costs[m] + float(objective.penalty(outcomes.accuracy_of(np.asarray(total))))
        if np.isfinite(weight) and (classes is None or classes.allows(lost.drops).all()):
            network.add_edge(node, SINK, weight=weight)
    return network


class _Bounds:
    """For each threshold of the k-th exit, the share that goes on and what no accuracy at the end exceeds."""

    def __init__(self, outcomes: Outcomes, k: int, grid: NDArray[np.float32], *, independent: bool) -> None:
        self.independent, self.last = independent, k == len(outcomes.confidence) - 2
        self.bins, self.size = bins(outcomes.confidence[k][None], grid[None])[0], len(grid) + 1
        self.share = outcomes.counts / outcomes.counts.sum()
        self.right = self.share * outcomes.correct[k]
        # the most that samples which go on can still get right: those that any later classifier gets right
        self.hopeful = self.share * outcomes.correct[k + 1 :].any(axis=0)
        self.final = float(outcomes.accuracies[-1])

    def after(self, reach: float, accuracy: float, alive: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """Both (T,), behind a prefix that so much of reaches, with so much right, and these samples left."""
        leaving, right, hopeful = (self._above(part, alive) for part in (self.share, self.right, self.hopeful))
        if self.independent:
            rest = reach * (1 - leaving[1:])
            return rest, accuracy + reach * right[1:] + rest * (self.final if self.last else 1.0)
        # 1e-12: sums over thresholds and over samples round differently
        return leaving[0] - leaving[1:], accuracy + right[1:] + hopeful[0] - hopeful[1:] + 1e-12

    def _above(self, share: Floats, alive: NDArray[np.bool_]) -> Floats:
        """Of everything, then of what meets each threshold."""
        of = share if self.independent else share * alive
        return np.bincount(self.bins, of, self.size)[::-1].cumsum()[::-1]


@dataclass(frozen=True)
class _ClassState:
    """Of every class, (K,) each: what it would lose if the rest ran to the end, and the share that still runs.

    The share is of use under independence alone, where every class is a cascade of its own.
    """

    drops: NDArray[np.float64]
    reach: NDArray[np.float64]

    @classmethod
    def first(cls, classes: ClassLimit | None) -> _ClassState:
        if classes is None:
            return cls(np.zeros(0), np.ones(0))
        # the last classifier is not the given model where it hears the exits before it
        lost = classes.given.astype(float) - classes.right[-1]
        return cls(classes.sums(classes.share * lost), np.ones(len(classes.first)))

    @property
    def rounded(self) -> bytes:
        """The same for prefixes that lose the same: minus zero is zero."""
        return bytes((np.round(self.drops, 12) + 0.0).tobytes())


class _Leaving:
    """Those who leave at the k-th exit, by class, for each of its thresholds."""

    def __init__(
        self, classes: ClassLimit, k: int, confidence: NDArray[np.float32], grid: NDArray[np.float32],
        *, independent: bool,
    ) -> None:  # fmt: skip
        self.shape, self.independent = (len(classes.first), len(grid) + 1), independent
        right, final, share = classes.right[k], classes.right[-1], classes.share
        cell = classes.of * self.shape[1] + bins(confidence[None], np.asarray(grid)[None])[0][classes.samples]
        if independent:
            self.rate = self._above(cell, share)
            self.lost = self.rate * classes.sums(share * final) - self._above(cell, share * right)
        else:
            differ = np.flatnonzero(right != final)
            self.cell, self.samples = cell[differ], classes.samples[differ]
            self.more = share[differ] * np.where(final[differ], 1.0, -1.0)

    def after(self, state: _ClassState, alive: NDArray[np.bool_]) -> list[_ClassState]:
        """The states of a prefix and each threshold."""
        if self.independent:
            drops, reach = state.drops + state.reach * self.lost, state.reach * (1 - self.rate)
            return [_ClassState(*each) for each in zip(drops, reach, strict=True)]
        drops = state.drops + self._above(self.cell, self.more * alive[self.samples])
        return [_ClassState(each, state.reach) for each in drops]

    def _above(self, cell: NDArray[np.intp], values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sums over those of each class that meet each threshold, (T, K)."""
        table = np.bincount(cell, values, minlength=self.shape[0] * self.shape[1]).reshape(self.shape)
        return np.asarray(table[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:].T)


def solve(network: nx.DiGraph) -> tuple[float, tuple[np.float32, ...]] | None:
    """The cheapest path and its thresholds, or None if no configuration meets the budget.

    Bellman–Ford, since gains in accuracy may make weights negative in other objectives; O(nodes · edges) at
    worst, near linear on these layered graphs.
    """
    if SINK not in network:
        return None
    value, path = nx.single_source_bellman_ford(network, SOURCE, SINK, weight="weight")
    return value, tuple(network.edges[a, b]["threshold"] for a, b in pairwise(path[:-1]))
