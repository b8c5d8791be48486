"""What may be chosen: exits, processors, and which of it the limits and the user allow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations, combinations_with_replacement
from math import comb

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.outcomes import ClassLimit, Outcomes
from eeaug.cascade.tables import bins, marginals
from eeaug.network.costs import Costs, Segments
from eeaug.thresholds import Objective

__all__ = ["LATENCY", "Design", "Problem", "architectures", "count_architectures", "neighbours", "placements"]

LATENCY = "latency"  # name of a limit; the others are "memory:" and the name of the memory


@dataclass(frozen=True)
class Design:
    """Exits (indices of candidates, in order), a processor for every segment, a threshold for every exit.

    A threshold of infinity is ``never``.
    """

    exits: tuple[int, ...]
    processors: tuple[int, ...]
    thresholds: tuple[float, ...]


@dataclass(frozen=True)
class Problem:
    """One search.

    Parameters
    ----------
    costs : tables for the C candidate exits, which must be ordered by location
    outcomes : of the same C exits and the final classifier, on the choose part
    grid : float32 (C, T), thresholds of every exit, ascending
    cost : "macs" | "latency" | "energy", what ``objective`` weighs
    max_latency_s : worst case, or None
    pinned : location → processor index or None: an exit must stand there (on that processor)
    classes : what every class may lose, counted on ``outcomes``; None: any loss
    carried : elements that a hand-over has besides the tensor for every exit before it: their probabilities,
        where exits use each other (reuse)
    """

    costs: Costs
    outcomes: Outcomes
    grid: NDArray[np.float32]
    objective: Objective
    cost: str = "macs"
    max_latency_s: float | None = None
    max_exits: int = 1
    one_each: bool = False
    independent: bool = False
    pinned: Mapping[str, int | None] = field(default_factory=dict)
    classes: ClassLimit | None = None
    carried: int = 0

    @cached_property
    def bins(self) -> NDArray[np.intp]:
        return bins(self.outcomes.confidence[:-1], self.grid)

    @cached_property
    def correct(self) -> NDArray[np.bool_]:
        return self.outcomes.correct

    @cached_property
    def marginals(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """P(A) and P(A, right) of every exit and threshold, each (C, T)."""
        return marginals(self.bins, self.correct[:-1], self.thresholds, self.outcomes.weights)

    @property
    def thresholds(self) -> int:
        return int(self.grid.shape[1])

    def segments(self, archs: NDArray[np.intp] | Sequence[Sequence[int]], processors: Sequence[int]) -> Segments:
        """Costs of architectures (A, m) on m + 1 processors, with all that is handed over.

        The one place that choices and the report have them from: what is minimised is what is stated.
        """
        rows = np.asarray(archs, np.intp).reshape(len(archs), len(processors) - 1)
        return self.costs.segments(rows, processors, self.carried)

    def cost_of(self, segments: Segments) -> NDArray[np.float64]:
        """The costs (A, m + 1) that the objective weighs."""
        return {"macs": segments.macs, "latency": segments.time_s, "energy": segments.energy_j}[self.cost]

    @property
    def limits(self) -> dict[str, float]:
        """The hard limits by name: seconds of the worst case, bytes of every memory."""
        memories = {f"memory:{m.name}": float(m.bytes) for m in self.costs.hardware.memories}
        return memories if self.max_latency_s is None else {LATENCY: self.max_latency_s, **memories}

    def excess(self, segments: Segments) -> dict[str, NDArray[np.float64]]:
        """By how much each limit is missed, (A,) each; negative or zero where it is met."""
        over: dict[str, NDArray[np.float64]] = {}
        if self.max_latency_s is not None:
            over[LATENCY] = segments.worst_latency_s - self.max_latency_s * (1 + 1e-12)
        used = self.costs.memory_bytes(segments)
        for memory in self.costs.hardware.memories:
            over[f"memory:{memory.name}"] = used[memory.name] - memory.bytes
        return over

    def on_pinned_processors(self, archs: NDArray[np.intp], processors: tuple[int, ...]) -> NDArray[np.bool_]:
        """Whether exits with a pinned processor stand on it, (A,)."""
        fine = np.ones(len(archs), dtype=bool)
        for location, processor in self.pinned.items():
            if processor is None:
                continue
            there = np.array([e.location == location for e in self.costs.exits])
            for k in range(archs.shape[1]):
                fine &= ~there[archs[:, k]] | (processors[k] == processor)
        return fine


def placements(problem: Problem, m: int) -> Iterator[tuple[int, ...]]:
    """Processor sequences for m + 1 segments, in the order of use; repeats and gaps are allowed.

    With ``one_each`` (the paper's mapping) every segment has a processor of its own. Sequences between
    processors without a link are left out.
    """
    choose = combinations if problem.one_each else combinations_with_replacement
    costs = problem.costs
    for sequence in choose(range(len(costs.hardware.processors)), m + 1):
        hops = zip((costs.source, *sequence), sequence, strict=False)
        if all(costs.connected(a, b) for a, b in hops):
            yield sequence


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
