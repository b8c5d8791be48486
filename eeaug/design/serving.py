"""Which exits serve memory: designs with any number of them, compared by what they save with it.

The best design without memory says little of it: an exit at the input that answers nothing may well tell that
nothing has changed, and leave what has changed to a later one. What difference detection remembers depends on the
first exit alone, so it is walked once for each of them; what the later ones make of the others is counted at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.passage import Passage
from eeaug.design import streamed
from eeaug.design.promise import Thresholds
from eeaug.design.reuse import Answers
from eeaug.design.screened import saved_of
from eeaug.design.streamed import MemoryTerms
from eeaug.search.placing import architectures, count_architectures, neighbours, placements
from eeaug.search.space import Design, Problem
from eeaug.streams.difference import DifferenceDetection
from eeaug.streams.kinds import distances
from eeaug.streams.sequences import Sequences
from eeaug.streams.walk import Course, walk
from eeaug.support.progress import counted

__all__ = ["EVERY", "Sought", "serving"]

EVERY = 150  # architectures: no more than these are all compared
SERVING, FEW = 3, 2  # first exits whose best designs with so few exits are compared on choose
ROUNDS = 10
STEPS = 6  # of a path, and of distances, at which designs are compared

Arch = tuple[int, ...]
Steps = tuple[Thresholds, ...]


@dataclass(frozen=True)
class _First:
    """Thresholds T and distances D of a first exit, and the samples that each pair remembers, (T, D, n)."""

    thresholds: tuple[float | None, ...]
    distances: NDArray[np.float32]
    remembered: NDArray[np.bool_]


@dataclass
class Sought:
    """Architectures that were looked at, where they cost least, with what they ``saved`` (streamed.tried)."""

    task: Problem
    answers: Answers
    sequences: Sequences
    asked: MemoryTerms
    units: int
    saved: dict[Arch, float] = field(default_factory=dict)
    designs: dict[Arch, Design] = field(default_factory=dict)
    firsts: dict[int, _First] = field(default_factory=dict)

    def look(self, archs: Iterable[NDArray[np.intp]]) -> None:
        """At those of (A, m) that are new. Those that fit nowhere save nothing."""
        every = dict.fromkeys(arch for some in archs for arch in map(tuple, some.tolist()))
        new = [arch for arch in every if arch and arch not in self.saved]
        self.saved |= dict.fromkeys(new, -np.inf)
        for design in counted(list(_placed(self.task, new)), len(new)):
            self.designs[design.exits] = design
            fair = streamed.fair(self.task, design, list(self.passages(design.exits)))
            self.saved[design.exits] = saved_of(self.task, fair, self.task.costs_of(design), self.units)

    def passages(self, arch: Arch) -> Iterator[Passage]:
        """The samples decided by every threshold, the same of all exits, and by every distance, first by none."""
        rows, first = self.task.outcomes.rows(arch), self.first(arch[0])
        for threshold, remembered in zip(first.thresholds, first.remembered, strict=True):
            alone = Passage(rows, (threshold,) * len(arch))
            yield alone
            for each in remembered:
                stands = self.sequences.before(~each)
                yield Passage(rows, (), (np.where(each, 0, alone.at), alone.predicted[stands]))

    def first(self, exit_: int) -> _First:
        """What difference detection on an exit remembers."""
        if exit_ not in self.firsts:
            p = self.answers(exit_)
            assert p is not None, "a run knows what its heads say"
            course = Course(self.task.outcomes.rows([exit_]), np.asarray(p, np.float32), self.sequences)
            sure = np.unique(np.quantile(course.rows.confidence[0], np.linspace(0, 1, STEPS)).astype(np.float32))
            near = distances(course, STEPS) if self.asked.most > 1 else np.zeros(0, np.float32)
            thresholds = None, *sure.tolist()
            rules = [DifferenceDetection((t,), float(d), self.asked.most) for t in thresholds for d in near]
            remembered = walk(rules, course).remembered.reshape(len(thresholds), len(near), course.rows.samples)
            self.firsts[exit_] = _First(thresholds, near, remembered)
        return self.firsts[exit_]

    @property
    def finalists(self) -> list[Arch]:
        """With every first exit the architecture of few exits that saves most, those that save most first; then of
        every larger number of exits the best one. Of equal ones the earlier exits."""
        best: dict[tuple[int, int], Arch] = {}  # by number of exits, where there are more than a few; first exit
        for arch in sorted(self.designs, key=lambda a: (-self.saved[a], a)):
            best.setdefault((len(arch), -1) if len(arch) > FEW else (FEW, arch[0]), arch)
        few = [arch for (m, _), arch in best.items() if m == FEW]
        return [*few[:SERVING], *(arch for (m, _), arch in best.items() if m > FEW)]


def serving(
    task: Problem, answers: Answers, sequences: Sequences, asked: MemoryTerms, units: int, without: Design
) -> list[Design]:
    """Designs that serve memory: with each of the SERVING best first exits the best of few exits, then the best one
    of every larger number of exits.

    What is remembered is the first exit's, and what a third exit saves on screen it often does not save elsewhere.
    Where there are no more than EVERY architectures, all are compared. Else all of one exit; then, from each of the
    best of these, whatever has the same first exit and differs in one other, as long as something is better, and
    what differs so from ``without``, the best design without memory.
    """
    sought = Sought(task, answers, sequences, asked, units)
    counts = range(1, task.max_exits + 1)
    if sum(count_architectures(task, m) for m in counts) <= EVERY:
        sought.look(architectures(task, m) for m in counts)
    else:
        sought.look([architectures(task, max(1, len(task.pinned)))])
        for at in sought.finalists[:SERVING]:
            _climb(sought, at)
            beside = [neighbours(task, without.exits, m) for m in counts if 0 <= m - len(without.exits) <= 1]
            sought.look(near[near[:, 0] == at[0]] for near in beside)
    return [sought.designs[arch] for arch in sought.finalists]


def _climb(sought: Sought, at: Arch) -> None:
    """Look at what differs from ``at`` in one exit, not the first, then from the best while that is better."""
    for _ in range(ROUNDS):
        counts = [m for m in (len(at) - 1, len(at), len(at) + 1) if 1 <= m <= sought.task.max_exits]
        near = [neighbours(sought.task, at, m) for m in counts]
        near = [some[some[:, 0] == at[0]] for some in near]
        sought.look(near)
        every = [at, *(arch for some in near for arch in map(tuple, some.tolist()))]
        best = max(every, key=sought.saved.__getitem__)
        if best == at:
            return
        at = best


def _placed(task: Problem, archs: list[Arch]) -> Iterator[Design]:
    """Architectures where they cost least if half of the samples leave at every exit, then in energy and time.

    Those that fit nowhere are left out.
    """
    for m in sorted({len(arch) for arch in archs}):
        rows, reach = np.array([arch for arch in archs if len(arch) == m], np.intp), 0.5 ** np.arange(m + 1)
        best: dict[int, tuple[tuple[float, ...], tuple[int, ...]]] = {}
        for way in placements(task, m):
            segments = task.segments(rows, way)
            fits = task.on_pinned_processors(rows, way)
            for over in task.excess(segments).values():
                fits &= ~(over > 0)
            kinds = task.cost_of(segments), segments.of("energy"), segments.of("latency")
            ranks = np.stack([np.nan_to_num(each @ reach, nan=np.inf) for each in kinds], axis=-1)
            for i in np.flatnonzero(fits).tolist():
                rank = tuple(ranks[i].tolist())
                if i not in best or rank < best[i][0]:
                    best[i] = rank, way
        yield from (Design(tuple(rows[i].tolist()), way, (None,) * m) for i, (_, way) in sorted(best.items()))
