"""The design, and all that was found out about it without running it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import Decision
from eeaug.cascade.passage import Passage
from eeaug.design.operating_points import Point
from eeaug.design.promise import Promise
from eeaug.design.reuse import Reuse
from eeaug.design.screened import Screened
from eeaug.design.streamed import Streamed
from eeaug.heads.specific import Specific
from eeaug.network.segments import Segments
from eeaug.search.solver import Result
from eeaug.search.space import Design, Problem
from eeaug.stages.partition import Stage

__all__ = ["Chosen", "Decided"]


@dataclass(frozen=True)
class Chosen:
    """The design that is written, with what its report is computed from.

    ``thresholds`` None is never; ``segments`` and ``baseline_segments`` hold one architecture each, whose times and
    energies have this ``basis``: the "profile", "counted kernels" (both, where processors differ), or instructions
    of the files "counted". ``profile``: segments of the design and of the given model by the profile.
    ``baseline_choices`` are those of the given model's mode.
    """

    design: Design
    thresholds: tuple[float | None, ...]
    segments: Segments
    baseline_processor: str
    baseline_segments: Segments
    classes: tuple[str, ...]
    decision: Decision
    reuse: Reuse | None = None
    basis: str = "profile"
    baseline_choices: Mapping[str, str] = field(default_factory=dict)
    profile: tuple[Segments, Segments] | None = None  # None: they are those above

    @property
    def of_profile(self) -> Chosen:
        """With times, energies and bytes of the description's rates and arithmetic."""
        segments, base = self.by_profile
        return replace(self, segments=segments, baseline_segments=base, basis="profile", profile=None)

    @property
    def by_profile(self) -> tuple[Segments, Segments]:
        return self.profile or (self.segments, self.baseline_segments)


@dataclass(frozen=True)
class Decided:
    """The design and all that was found out about it without running it.

    ``rows``: its outcomes on choose; ``searched``: the search problem on choose, every exit by itself; ``task``:
    the same where exits that use each other do so; ``specific``: the classes that its exits are for, None: all;
    ``screened``: what screen has fixed of it, where the search was whose ``result`` there is; None: both were on
    choose, or it has no exits; ``streamed``: what it decides of streams; None: samples are none, or no exits;
    ``proves``: numbers of the choose samples that say what is promised (None: all).
    """

    result: Result
    chosen: Chosen
    promise: Promise
    points: tuple[Point, ...]
    stages: tuple[Stage, ...]
    rows: Outcomes
    searched: Problem
    task: Problem
    specific: Specific | None = None
    screened: Screened | None = None
    proves: NDArray[np.intp] | None = None
    streamed: Streamed | None = None

    @cached_property
    def passage(self) -> Passage:
        """The choose samples on their way through it."""
        return Passage(self.rows, self.chosen.thresholds)

    @property
    def accuracy(self) -> float:
        return self.passage.accuracy

    @property
    def mean_macs(self) -> float:
        return self.passage.mean(self.chosen.segments.macs[0])

    @property
    def score(self) -> float:
        """What the objective makes of it, on choose."""
        cost = self.passage.mean(self.task.cost_of(self.chosen.segments)[0])
        return float(self.task.objective.value(cost, self.accuracy))
