"""All threshold configurations of given architectures, on every placement that meets the limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.tables import Tables, exact_tables, independent_tables, marginals
from eeaug.search.placing import placements
from eeaug.search.space import Design, Problem
from eeaug.search.thresholds import of_design
from eeaug.settings import COSTS
from eeaug.support.progress import counted

__all__ = ["EVERY_FRONT", "Settled", "budgets", "front", "lowest", "score", "settle"]

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


SLOW = "slow"  # beside COSTS: times with late hand-overs
# With more placements than this, only fronts that do not depend on the placement are kept.
EVERY_FRONT = 300_000


@dataclass
class _Front:
    """The lowest mean cost seen at each number of right answers.

    ``cost[i]`` at i of n right answers is that of configuration ``config[i]`` of the architecture ``exits[i]``
    (−1 behind its last exit) in the sequence of modes number ``way[i]``; −1: any that fits.
    """

    cost: Floats
    config: Indices
    exits: Indices
    way: Indices

    @classmethod
    def empty(cls, problem: Problem) -> _Front:
        count = problem.outcomes.samples + 1
        none = np.zeros(count, np.intp)
        return cls(np.full(count, np.inf), none, np.full((count, problem.max_exits), -1), none.copy())


@dataclass
class Settled:
    """What came out: the best design so far, the fronts, and counts for the report.

    ``rejected`` by limit: placed designs that miss it; ``nearest``: by how much the nearest with exits does.
    ``best_accuracy`` is the highest that any configuration within the limits has, whatever it costs.
    ``fronts`` by cost: those of ``costs``, names in settings.COSTS.
    """

    best: Design | None = None
    key: tuple[float, ...] | None = None
    architectures: int = 0
    placements: int = 0
    configurations: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    nearest: dict[str, float] = field(default_factory=dict)
    best_accuracy: float = 0.0
    costs: tuple[str, ...] = tuple(COSTS)
    fronts: dict[str, _Front] = field(default_factory=dict)


@dataclass(frozen=True)
class _Placed:
    """Architectures (A, m) in all S sequences of modes: which fit, and the costs of the segments."""

    archs: Indices
    sequences: tuple[tuple[int, ...], ...]
    fits: NDArray[np.bool_]  # (A, S)
    rejected: dict[str, int]
    nearest: dict[str, float]
    costs: dict[str, Floats]  # of settings.COSTS, (A, S, m + 1) each

    @classmethod
    def of(cls, problem: Problem, archs: Indices) -> _Placed:
        sequences = tuple(placements(problem, archs.shape[1]))
        rejected: dict[str, int] = dict.fromkeys(problem.limits, 0)
        nearest: dict[str, float] = {}
        fitting, placed = [], []
        for sequence in sequences:
            segments = problem.segments(archs, sequence)
            fits = problem.on_pinned_processors(archs, sequence)
            for limit, over in problem.excess(segments).items():
                # an unknown latency (NaN) is no reason to reject: limits demand known rates beforehand
                missed = fits & (over > 0)
                rejected[limit] += int(missed.sum())
                if archs.shape[1] and missed.any():
                    nearest[limit] = min(nearest.get(limit, np.inf), float(over[missed].min()))
                fits &= ~missed
            fitting.append(fits)
            placed.append(segments)
        if not sequences:
            nothing = np.zeros((len(archs), 0, archs.shape[1] + 1))
            return cls(archs, (), np.zeros((len(archs), 0), bool), rejected, nearest, dict.fromkeys(COSTS, nothing))
        costs = {name: np.stack([segments.of(name) for segments in placed], axis=1) for name in COSTS}
        costs[SLOW] = np.stack([segments.slow_s for segments in placed], axis=1)
        return cls(archs, sequences, np.stack(fitting, axis=1), rejected, nearest, costs)

    def rows(self, chosen: Indices) -> _Placed:
        costs = {name: cost[chosen] for name, cost in self.costs.items()}
        return _Placed(self.archs[chosen], self.sequences, self.fits[chosen], self.rejected, self.nearest, costs)

    def ranked(
        self, problem: Problem, value: float, row: int, way: int, tables: Tables, config: tuple[int, ...]
    ) -> tuple[tuple[float, ...], Design]:
        """What designs are ordered by, and the design; an unknown energy or latency loses against a known."""
        reach = np.array([r[(row, *config[:k])] for k, r in enumerate(tables.reach)])
        time_s, energy_j = (self.costs[name][row, way] for name in ("latency", "energy"))
        means = (reach @ energy_j, reach @ time_s, self.costs[SLOW][row, way].sum())
        known = [np.inf if np.isnan(v) else float(f"{v:.12g}") for v in means]
        used, arch = self.sequences[way], self.archs[row]
        after = (float(problem.costs.after[e]) for e in arch)
        processors = {problem.costs.modes[mode].index for mode in used}
        key = (float(f"{value:.12g}"), *known, len(processors), len(set(used)), *after)
        thresholds = of_design(problem.grid[e, t] for e, t in zip(arch, config, strict=True))
        return key, Design(tuple(int(e) for e in arch), used, thresholds)


def front(problem: Problem, settled: Settled, cost: str) -> tuple[tuple[Design, float, float], ...]:
    """Undominated designs, from the most accurate (and dearest) down: (design, accuracy, mean cost).

    Of placements with the same cost, the first in the order of the ties. Empty for a cost that was not looked at.
    """
    if cost not in settled.fronts:
        return ()
    kept = settled.fronts[cost]
    cheapest_above = np.minimum.accumulate(np.append(np.inf, kept.cost[:0:-1]))[::-1]
    steps = np.flatnonzero(kept.cost < cheapest_above)[::-1]
    designs: dict[int, Design] = {}
    exits = kept.exits[steps]
    lengths = (exits >= 0).sum(axis=1)
    for m in np.unique(lengths).tolist():
        of_this_length = steps[lengths == m]
        for some in _portions(problem, of_this_length, m):
            placed = _Placed.of(problem, kept.exits[some, :m])
            tables = score(problem, placed.archs)
            configs = np.unravel_index(kept.config[some], (problem.thresholds,) * m) if m else ()
            for row, step in enumerate(some.tolist()):
                config = tuple(int(c[row]) for c in configs)
                way = int(kept.way[step])
                ways = np.flatnonzero(placed.fits[row]).tolist() if way < 0 else [way]
                ranked = (placed.ranked(problem, 0.0, row, each, tables, config) for each in ways)
                designs[step] = min(ranked, key=lambda each: each[0])[1]
    samples = problem.outcomes.samples
    return tuple((designs[step], step / samples, float(kept.cost[step])) for step in steps.tolist())


def _portions(problem: Problem, items: Indices, m: int) -> Iterator[Indices]:
    """Architectures with m exits in portions of which all tables stay small."""
    ways = sum(1 for _ in placements(problem, m))
    size = max(1, min(_ARCHITECTURES, _CONFIGURATIONS // problem.thresholds**m, _PLACED // max(1, ways * (m + 1))))
    return (items[start : start + size] for start in range(0, len(items), size))


_ARCHITECTURES, _CONFIGURATIONS, _PLACED = 1 << 12, 1 << 20, 1 << 22


def settle(problem: Problem, archs: Indices, into: Settled) -> Settled:
    """Score every threshold configuration of ``archs`` (A, m) on every placement; keep the best in ``into``.

    Scores are exact counts, or independent ones if the problem says so. Ties go to the lower mean energy,
    mean latency, worst latency, number of processors, of levels, then the earlier location.
    """
    for cost in into.costs:
        into.fronts.setdefault(cost, _Front.empty(problem))
    for some in counted(_portions(problem, archs, archs.shape[1]), len(archs), len):
        placed = _Placed.of(problem, some)
        for limit, number in placed.rejected.items():
            into.rejected[limit] = into.rejected.get(limit, 0) + number
        for limit, over in placed.nearest.items():
            into.nearest[limit] = min(into.nearest.get(limit, np.inf), over)
        placed = placed.rows(np.flatnonzero(placed.fits.any(axis=1)))
        if not len(placed.archs):
            continue
        tables = score(problem, placed.archs)
        into.architectures += len(placed.archs)
        into.placements += int(placed.fits.sum())
        into.configurations += tables.accuracy.size
        into.best_accuracy = max(into.best_accuracy, float(tables.accuracy.max()))
        _keep_best(problem, placed, tables, into)
        _keep_fronts(problem, placed, tables, into)
    return into


def score(problem: Problem, archs: Indices) -> Tables:
    """Reach and accuracy of every threshold configuration of architectures (A, m)."""
    weights = problem.outcomes.weights
    if problem.independent:
        leave, right = (table[archs] for table in problem.marginals)
        return independent_tables(leave, right, float(problem.outcomes.accuracies[-1]))
    tables = exact_tables(problem.bins, problem.correct, archs, problem.thresholds, weights)
    return replace(tables, accuracy=problem.outcomes.accuracy_of(tables.accuracy))


def lowest(problem: Problem, archs: Indices, costs: Floats) -> float:
    """The objective's lowest value among the configurations of (A, m) whose segments cost (A, m + 1)."""
    tables = score(problem, archs)
    values = problem.objective.value(tables.mean(costs), tables.accuracy)
    if problem.classes is not None:
        values = np.where(problem.classes.allows(class_drops(problem, archs)), values, np.inf)
    return float(values.min())


def class_drops(problem: Problem, archs: Indices) -> Floats:
    """What the class that loses most loses, at least 0, of every configuration of (A, m): (A,) + (T,)·m.

    Under independence every class is a cascade of its own, with P(A) among its samples.
    """
    limit, bins, m = problem.classes, problem.bins, archs.shape[1]
    worst = np.zeros((len(archs),) + (problem.thresholds,) * m)
    if limit is None:
        return worst
    for part in limit.parts:
        samples, right, share = limit.samples[part], limit.right[:, part], limit.share[part]
        given = float(share[limit.given[part]].sum())
        # multi-label: all samples in their order, no copy
        bin_of = bins if len(samples) == bins.shape[1] else bins[:, samples]
        if problem.independent:
            leave, hits = marginals(bin_of, right[:-1], problem.thresholds, share)
            tables = independent_tables(leave[archs], hits[archs], float(share[right[-1]].sum()))
        else:
            tables = exact_tables(bin_of, right, archs, problem.thresholds, share)
        np.maximum(worst, given - tables.accuracy, out=worst)
    return worst


def budgets(problem: Problem, archs: Indices) -> Iterator[tuple[Floats, Floats]]:
    """Accuracies and :func:`class_drops` of all configurations of those of (A, m) that meet the limits."""
    for some in _portions(problem, archs, archs.shape[1]):
        fitting = some[_Placed.of(problem, some).fits.any(axis=1)]
        if len(fitting):
            yield score(problem, fitting).accuracy.ravel(), class_drops(problem, fitting).ravel()


class _Classes:
    """Which configurations the limit on classes allows, counted where one would be the best."""

    def __init__(self, problem: Problem, placed: _Placed, tables: Tables) -> None:
        self.problem, self.archs = problem, placed.archs
        self.allowed = np.zeros(tables.accuracy.shape, dtype=bool)
        self.counted = np.zeros(len(placed.archs), dtype=bool)

    def bar(self, values: Floats, rows: Indices, best: float) -> Floats:
        """Values of rows, infinite where a class loses too much; exact where they are ``best`` or less."""
        if self.problem.classes is None:
            return values
        promising = values.reshape(len(rows), -1).min(axis=1) <= best
        new = np.unique(rows[promising & ~self.counted[rows]])
        self.allowed[new] = self.problem.classes.allows(class_drops(self.problem, self.archs[new]))
        self.counted[new] = True
        return np.where(self.allowed[rows], values, np.inf)


def _keep_best(problem: Problem, placed: _Placed, tables: Tables, into: Settled) -> None:
    classes = _Classes(problem, placed, tables)
    alike = COSTS[problem.cost].everywhere  # this cost is the same on every placement: one that fits is enough
    row, way = np.nonzero(placed.fits)
    if alike:
        row, first = np.unique(row, return_index=True)
        way = way[first]
    for rows, ways in _promising(problem, placed, tables, row, way, into):
        mean = tables.of(rows).mean(placed.costs[problem.cost][rows, ways])
        values = problem.objective.value(mean, tables.accuracy[rows])
        best = np.inf if into.key is None else into.key[0] + _slack(problem, into.key[0])
        values = classes.bar(values, rows, best)
        lowest = values.reshape(len(rows), -1).min(axis=1)
        for i in np.argsort(lowest, kind="stable").tolist():
            value, at = float(lowest[i]), int(rows[i])
            slack = _slack(problem, value)
            if not np.isfinite(value) or (into.key is not None and value > into.key[0] + slack):
                break
            choices = np.flatnonzero(placed.fits[at]).tolist() if alike else [int(ways[i])]
            for config in np.argwhere(values[i] <= value + slack).tolist():
                for w in choices:
                    key, design = placed.ranked(problem, value, at, w, tables, tuple(config))
                    if into.key is None or key < into.key:
                        into.key, into.best = key, design


def _promising(
    problem: Problem, placed: _Placed, tables: Tables, row: Indices, way: Indices, into: Settled
) -> Iterator[tuple[Indices, Indices]]:
    """Blocks of placed architectures, the most promising first, down to those that cannot be the best.

    No configuration costs less than the lowest P(reach) of every segment times its cost, each taken over
    all that meet the budget (or, with a weight, less than this and the smallest loss of accuracy).
    """
    count, m = placed.archs.shape
    allowed = problem.objective.allows(tables.accuracy)
    least = [np.ones(count)]
    for k in range(1, m + 1):
        reach = tables.reach[k]
        reach = np.broadcast_to(reach.reshape(reach.shape + (1,) * (m - k)), allowed.shape)
        least.append(np.where(allowed, reach, np.inf).reshape(count, -1).min(axis=1))
    most_accurate = tables.accuracy.reshape(count, -1).max(axis=1)
    some = problem.objective.allows(most_accurate)[row]
    row, way = row[some], way[some]
    costs = placed.costs[problem.cost][row, way]
    # at most all reach a segment that draws less than sleep, at 1
    cost = np.where(costs < 0, costs, np.stack(least, axis=1)[row] * costs).sum(axis=1)
    bound = problem.objective.value(cost, most_accurate[row])
    known = np.isfinite(bound)
    row, way, bound = row[known], way[known], bound[known]
    order = np.argsort(bound, kind="stable")
    at_once = max(1, _BLOCK // tables.accuracy[0].size)
    for start in range(0, len(order), at_once):
        block = order[start : start + at_once]
        if into.key is not None:
            block = block[bound[block] <= into.key[0] + 2 * _slack(problem, into.key[0])]
        if not len(block):
            return
        yield row[block], way[block]


_BLOCK = 1 << 14


def _slack(problem: Problem, value: float) -> float:
    """What rounding may add to a value, that of keys to 12 digits included.

    Joules and seconds can be tiny; a weighted sum is near 1 or below.
    """
    return 1e-11 * (abs(value) if problem.objective.weight is None else 1.0)


def _keep_fronts(problem: Problem, placed: _Placed, tables: Tables, into: Settled) -> None:
    """Lower the fronts where an architecture is cheaper at the same number of right answers."""
    samples, m = problem.outcomes.samples, placed.archs.shape[1]
    right = np.clip(np.rint(tables.accuracy.ravel() * samples).astype(np.intp), 0, samples)
    for name, front in into.fronts.items():
        for way in [-1] if COSTS[name].everywhere else range(len(placed.sequences)):
            costs = placed.costs[name][:, way]
            if way >= 0:  # a placement that does not fit, or whose cost is unknown, is left out
                costs = np.where(placed.fits[:, way, None] & ~np.isnan(costs), costs, np.inf)
            with np.errstate(invalid="ignore"):  # 0 · ∞ of segments that no sample reaches
                mean = np.nan_to_num(tables.mean(costs), nan=np.inf).ravel()
            lower = np.flatnonzero(mean < front.cost[right])
            lower = lower[np.lexsort((mean[lower], right[lower]))]
            where, first = np.unique(right[lower], return_index=True)
            lower = lower[first]
            front.cost[where], front.way[where] = mean[lower], way
            row, front.config[where] = np.divmod(lower, tables.accuracy[0].size)
            front.exits[where] = -1
            front.exits[where, :m] = placed.archs[row]
