"""All threshold configurations of given architectures, on every placement that meets the limits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade import Tables, exact_tables, independent_tables, marginals
from eeaug.cost import Segments
from eeaug.search.space import Design, Problem, placements

__all__ = ["Settled", "settle"]


@dataclass
class Settled:
    """What came out: the best design so far, the front, and counts for the report.

    ``best_accuracy`` is the highest that any configuration within the limits has, whatever it costs;
    ``front_macs[i]`` is the lowest mean cost (MACs) seen at i right answers, ``front_designs[i]`` its design.
    """

    best: Design | None = None
    key: tuple[float, ...] | None = None
    architectures: int = 0
    placements: int = 0
    configurations: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    best_accuracy: float = 0.0
    front_macs: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    front_designs: dict[int, Design] = field(default_factory=dict)


@dataclass(frozen=True)
class _Placed:
    """The placements of one architecture that meet all limits."""

    processors: tuple[tuple[int, ...], ...]
    macs: NDArray[np.float64]  # (m + 1,), the same on every placement
    cost: NDArray[np.float64]  # (placements, m + 1)
    time_s: NDArray[np.float64]
    energy_j: NDArray[np.float64]


def settle(problem: Problem, archs: NDArray[np.intp], into: Settled) -> Settled:
    """Score every threshold configuration of ``archs`` (A, m) on every placement; keep the best in ``into``.

    Scores are exact counts, or independent ones if the problem says so. Ties go to the lower mean energy,
    mean latency, worst latency, number of processors, then the earlier location.
    """
    if not len(into.front_macs):
        into.front_macs = np.full(problem.outcomes.samples + 1, np.inf)
    for index, placed in _feasible(problem, archs, into):
        arch = archs[index]
        tables = score(problem, arch)
        into.architectures += 1
        into.placements += len(placed.processors)
        into.configurations += tables.accuracy.size
        into.best_accuracy = max(into.best_accuracy, float(tables.accuracy.max()))
        _keep_best(problem, arch, placed, tables, into)
        _keep_front(problem, arch, placed, tables, into)
    return into


def score(problem: Problem, arch: NDArray[np.intp]) -> Tables:
    """Reach and accuracy of every threshold configuration of one architecture."""
    rows, weights = [*arch, len(problem.correct) - 1], problem.outcomes.weights
    if problem.independent:
        leave, right = marginals(problem.bins[arch], problem.correct[arch], problem.thresholds, weights)
        return independent_tables(leave, right, float(problem.outcomes.accuracies[-1]))
    return exact_tables(problem.bins[arch], problem.correct[rows], problem.thresholds, weights)


def _feasible(problem: Problem, archs: NDArray[np.intp], into: Settled) -> Iterable[tuple[int, _Placed]]:
    found: list[tuple[tuple[int, ...], Segments, NDArray[np.bool_]]] = []
    for sequence in placements(problem, archs.shape[1]):
        segments = problem.costs.segments(archs, sequence)
        fits = problem.on_pinned_processors(archs, sequence)
        for limit, over in problem.excess(segments).items():
            # an unknown latency (NaN) is no reason to reject: limits demand known rates beforehand
            missed = fits & (over > 0)
            into.rejected[limit] = into.rejected.get(limit, 0) + int(missed.sum())
            fits = fits & ~(over > 0)
        found.append((sequence, segments, fits))
    for i in range(len(archs)):
        here = [(sequence, segments) for sequence, segments, fits in found if fits[i]]
        if here:
            yield (
                i,
                _Placed(
                    tuple(sequence for sequence, _ in here),
                    here[0][1].macs[i],
                    np.array([problem.cost_of(s)[i] for _, s in here]),
                    np.array([s.time_s[i] for _, s in here]),
                    np.array([s.energy_j[i] for _, s in here]),
                ),
            )


def _keep_best(problem: Problem, arch: NDArray[np.intp], placed: _Placed, tables: Tables, into: Settled) -> None:
    # MACs do not depend on the placement: the table of the first is that of all
    distinct = range(1) if problem.cost == "macs" else range(len(placed.processors))
    for which in distinct:
        values = problem.objective.value(tables.mean(placed.cost[which]), tables.accuracy)
        lowest = float(values.min())
        slack = _slack(problem, lowest)
        if not np.isfinite(lowest) or (into.key is not None and lowest > into.key[0] + slack):
            continue
        choices = range(len(placed.processors)) if problem.cost == "macs" else [which]
        for config in np.argwhere(values <= lowest + slack):
            reach = np.array([r[tuple(config[:k])] for k, r in enumerate(tables.reach)])
            for p in choices:
                key = _key(problem, lowest, arch, placed, p, reach)
                if into.key is None or key < into.key:
                    thresholds = tuple(float(problem.grid[e, t]) for e, t in zip(arch, config, strict=True))
                    into.key = key
                    into.best = Design(tuple(int(e) for e in arch), placed.processors[p], thresholds)


def _slack(problem: Problem, value: float) -> float:
    """What rounding may add to a value, that of keys to 12 digits included.

    Joules and seconds can be tiny; a weighted sum is near 1 or below.
    """
    return 1e-11 * (abs(value) if problem.objective.weight is None else 1.0)


def _key(
    problem: Problem,
    value: float,
    arch: NDArray[np.intp],
    placed: _Placed,
    p: int,
    reach: NDArray[np.float64],
) -> tuple[float, ...]:
    """What designs are ordered by; an unknown energy or latency (NaN) loses against a known one."""
    energy, latency, worst = reach @ placed.energy_j[p], reach @ placed.time_s[p], placed.time_s[p].sum()
    known = [np.inf if np.isnan(v) else float(f"{v:.12g}") for v in (energy, latency, worst)]
    used = placed.processors[p]
    return (float(f"{value:.12g}"), *known, len(set(used)), *(float(problem.costs.after[e]) for e in arch))


def _keep_front(problem: Problem, arch: NDArray[np.intp], placed: _Placed, tables: Tables, into: Settled) -> None:
    """Lower the front where this architecture is cheaper at the same number of right answers."""
    mean = tables.mean(placed.macs).ravel()
    right = np.rint(tables.accuracy.ravel() * problem.outcomes.samples).astype(np.intp)
    right = np.clip(right, 0, problem.outcomes.samples)
    for flat in np.flatnonzero(mean < into.front_macs[right]):
        if mean[flat] < into.front_macs[right[flat]]:
            config = tuple(int(t) for t in np.unravel_index(flat, tables.accuracy.shape)) if arch.size else ()
            reach = np.array([r[config[:k]] for k, r in enumerate(tables.reach)])
            count = len(placed.processors)
            p = min(range(count), key=lambda p: _key(problem, 0.0, arch, placed, p, reach))
            thresholds = tuple(float(problem.grid[e, t]) for e, t in zip(arch, config, strict=True))
            into.front_macs[right[flat]] = mean[flat]
            into.front_designs[int(right[flat])] = Design(
                tuple(int(e) for e in arch), placed.processors[p], thresholds
            )
