"""The search for a design, then finer thresholds for the chosen architecture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.passage import Passage
from eeaug.design.problem import Rules, paper_grid
from eeaug.errors import InfeasibleError
from eeaug.search import solver
from eeaug.search.placing import placements
from eeaug.search.settle import lowest
from eeaug.search.solver import Result
from eeaug.search.space import Design, Problem
from eeaug.search.thresholds import graph, of_design, quantile_grid, solve
from eeaug.settings import COSTS

__all__ = ["LEAST_SAVING", "choose", "fits", "mean_cost", "passage", "refined", "worthwhile"]

LEAST_SAVING = 0.0005  # share of the given model's cost: less is printed as 0.0 %
FINE_NODES = 20_000  # of the threshold graph in the second search
FINE_LIMIT = 400  # thresholds per exit there


def choose(task: Problem, pins: Rules, fronts: tuple[str, ...] = tuple(COSTS)) -> tuple[Result, Design]:
    """Search, with these ``fronts``, then the chosen architecture's thresholds on a finer grid (003, 3.2)."""
    result = solver.solve(task, fronts)
    design = refined(task, pins, result.design)
    assert design is not None, "the coarse thresholds meet the budget and are among the fine ones"
    return result, design


def mean_cost(task: Problem, design: Design) -> float:
    """What the objective weighs of a design, counted on the samples of the search."""
    return passage(task, design).mean(task.costs_of(design))


def passage(task: Problem, design: Design) -> Passage:
    """The samples of the search on their way through a design."""
    return Passage(task.outcomes.rows(design.exits), design.thresholds)


def worthwhile(task: Problem, design: Design) -> Design:
    """The design less the exits at which nothing leaves; without any where they save less than LEAST_SAVING.

    Exits stay that were pinned, or that limits need, since a network is cut at exits only.
    """
    design = _used(task, design)
    if not design.exits or task.pinned:
        return design
    try:
        without = solver.solve(replace(task, max_exits=0), ()).design
    except InfeasibleError:
        return design
    saved = mean_cost(task, without) - mean_cost(task, design)
    return design if saved >= LEAST_SAVING * mean_cost(task, without) else without


def _used(task: Problem, design: Design) -> Design:
    """The design without exits that only cost: none of the samples of the search leaves there."""
    at = passage(task, design).at
    for k, exit_ in enumerate(design.exits):
        if (at == k).any() or task.costs.exits[exit_].location in task.pinned:
            continue
        exits = design.exits[:k] + design.exits[k + 1 :]
        thresholds = design.thresholds[:k] + design.thresholds[k + 1 :]
        ways = set(placements(task, len(exits)))
        # the segments before and behind it become one, on the processor of either
        merged = {design.modes[:i] + design.modes[i + 1 :] for i in (k, k + 1)} & ways
        tried = [Design(exits, way, thresholds) for way in sorted(merged)]
        fitting = [each for each in tried if fits(task, each) and mean_cost(task, each) <= mean_cost(task, design)]
        if fitting:
            return _used(task, min(fitting, key=lambda each: mean_cost(task, each)))
    return design


def fits(task: Problem, design: Design) -> bool:
    """Whether a design is within the limits, its exits on the processors that were pinned."""
    over = task.excess(task.segments([design.exits], design.modes))
    archs = np.array([design.exits], np.intp).reshape(1, -1)
    return not any(missed[0] > 0 for missed in over.values()) and bool(
        task.on_pinned_processors(archs, design.modes)[0]
    )


def refined(task: Problem, pins: Rules, design: Design) -> Design | None:
    """The design with the best thresholds of a finer grid for the objective; None if none meets the budget.

    Bellman–Ford over the threshold graph; the coarse thresholds are among its choices.
    """
    if not design.exits:
        return design
    exits, arch = list(design.exits), np.array([design.exits])
    rows = task.outcomes.rows(exits)
    grid = [_fine(task, rows, pins, e, k) for k, e in enumerate(exits)]
    segments = task.segments(arch, design.modes)
    classes = None if task.classes is None else task.classes.rows(exits)
    costs = task.cost_of(segments)
    most = lowest(task, arch, costs)
    network = graph(
        rows, grid, costs[0], task.objective,
        independent=task.independent, classes=classes, most=most + 1e-9 * abs(most),
    )  # fmt: skip
    solved = solve(network)
    return None if solved is None else replace(design, thresholds=of_design(solved[1]))


def _fine(task: Problem, rows: Outcomes, pins: Rules, exit_: int, k: int) -> NDArray[np.float32]:
    """Thresholds of the k-th exit in the second search: its coarse ones and many between."""
    coarse = task.grid[exit_]
    if task.costs.exits[exit_].location in pins.thresholds:
        return np.unique(coarse)
    count = max(task.thresholds, min(FINE_LIMIT, int(FINE_NODES ** (1 / (len(rows.confidence) - 1)))))
    fine = paper_grid(count) if task.independent else quantile_grid(rows.confidence[k], count)
    return np.unique(np.concatenate([fine, coarse]))
