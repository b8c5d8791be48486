"""What may be chosen: exits, processors, and which of it the limits and the user allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.outcomes import ClassLimit, Outcomes
from eeaug.cascade.tables import bins, marginals
from eeaug.network.costs import Costs
from eeaug.network.segments import Segments
from eeaug.search.thresholds import Objective
from eeaug.streams.missed import EventLimit

__all__ = ["LATENCY", "Design", "Problem"]

LATENCY = "latency"  # name of a limit; the others are "memory:" and the name of the memory


@dataclass(frozen=True)
class Design:
    """Exits (indices of candidates, in order), a mode (of Costs) for every segment, a threshold for every exit.

    A threshold None is never: nothing leaves there.
    """

    exits: tuple[int, ...]
    modes: tuple[int, ...]
    thresholds: tuple[float | None, ...]


@dataclass(frozen=True)
class Problem:
    """One search.

    Parameters
    ----------
    costs : tables for the C candidate exits, which must be ordered by location
    outcomes : of the same C exits and the final classifier, on the choose part
    grid : float32 (C, T), thresholds of every exit, ascending
    cost : one of settings.COSTS, what ``objective`` weighs
    max_latency_s : worst case, or None
    latency_option : what the limit of latency was given by
    own_clock : processors work at their own clock, whatever other levels they have
    pinned : location → processor index or None: an exit must stand there (on that processor)
    classes : what every class may lose, counted on ``outcomes``; None: any loss
    events : of streams, what may be missed of the events of the same samples; None: all. Kept where designs are
        compared along sequences (design.streamed) and where they are opened, which is after this search
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
    latency_option: str = "--max-latency"
    own_clock: bool = False
    one_each: bool = False
    independent: bool = False
    pinned: Mapping[str, int | None] = field(default_factory=dict)
    classes: ClassLimit | None = None
    events: EventLimit | None = None
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

    @cached_property
    def modes(self) -> tuple[int, ...]:
        """Those of ``costs.modes`` that segments may run in, less what is of no use."""
        useful, every = self.costs.useful(self.max_exits), self.costs.modes
        return tuple(i for i in useful if every[i].nominal or not self.own_clock)

    def segments(self, archs: NDArray[np.intp] | Sequence[Sequence[int]], modes: Sequence[int]) -> Segments:
        """Costs of architectures (A, m) in m + 1 modes, with all that is handed over.

        The one place that choices and the report have them from: what is minimised is what is stated.
        """
        rows = np.asarray(archs, np.intp).reshape(len(archs), len(modes) - 1)
        return self.costs.segments(rows, modes, self.carried)

    def cost_of(self, segments: Segments) -> NDArray[np.float64]:
        """The costs (A, m + 1) that the objective weighs."""
        return segments.of(self.cost)

    def costs_of(self, design: Design) -> NDArray[np.float64]:
        """The same of one design's segments, (m + 1,)."""
        return np.asarray(self.cost_of(self.segments([design.exits], design.modes))[0])

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

    def on_pinned_processors(self, archs: NDArray[np.intp], modes: tuple[int, ...]) -> NDArray[np.bool_]:
        """Whether exits with a pinned processor stand on it, (A,)."""
        fine = np.ones(len(archs), dtype=bool)
        for location, processor in self.pinned.items():
            if processor is None:
                continue
            there = np.array([e.location == location for e in self.costs.exits])
            for k in range(archs.shape[1]):
                fine &= ~there[archs[:, k]] | (self.costs.modes[modes[k]].index == processor)
        return fine
