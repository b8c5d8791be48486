"""What the limit of the worst latency decides: the design that would be chosen without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np

from eeaug.cascade.passage import Passage
from eeaug.design.design import Decided
from eeaug.errors import InfeasibleError
from eeaug.network.costs import Costs
from eeaug.report import units
from eeaug.search import solver
from eeaug.search.placing import placements
from eeaug.search.space import LATENCY, Design, Problem
from eeaug.settings import COSTS, Goal
from eeaug.support.quantities import apart

__all__ = ["sentence", "without"]

AGAIN = 20_000  # architectures that are searched once more for what is said of the limit
LEAST_LESS = 5e-4  # share of a mean cost: less is printed as 0.0 %


def without(decided: Decided) -> dict[str, Any] | None:
    """The design without the limit, against that with it; None: the limit decides nothing, or that is not known.

    First the design's own exits and thresholds on other processors, on choose. Only where these would stay where
    they are the search is done again on choose, up to AGAIN architectures, with the limit and without it.
    ``less`` is None then.
    """
    result = decided.result
    if decided.task.max_latency_s is None or decided.specific or not result.settled.rejected.get(LATENCY):
        return None
    chosen, task = decided.chosen.design, replace(decided.task, max_latency_s=None)
    passage = Passage(decided.rows, decided.chosen.thresholds)
    modes = _best_modes(task, chosen, passage)
    if modes != chosen.modes:
        other = replace(chosen, modes=modes)
        return _block(task, other, same_exits=True, less=_less(task, chosen, other, passage))
    if result.architectures > AGAIN:
        return None
    free = replace(decided.searched, max_latency_s=None)
    try:
        mine, other = (solver.solve(problem, ()).design for problem in (decided.searched, free))
    except InfeasibleError:  # on choose no design keeps the budget
        return None
    if (other.exits, other.modes) == (mine.exits, mine.modes):
        return None
    # each would be opened anew as far as can be promised: what their means would be is not known
    return _block(free, other, same_exits=False, less=None)


def _best_modes(task: Problem, design: Design, passage: Passage) -> tuple[int, ...]:
    """Where the same segments cost least; ties as in the search go to energy, latency and few processors."""
    arch = np.array([design.exits], np.intp).reshape(1, -1)

    def rank(way: tuple[int, ...]) -> tuple[float, ...]:
        segments = task.segments(arch, way)
        means = (passage.mean(of[0]) for of in (task.cost_of(segments), segments.energy_j, segments.time_s))
        processors = {task.costs.modes[mode].index for mode in way}
        exact = (*means, segments.worst_latency_s[0])
        known = (np.inf if np.isnan(value) else float(f"{value:.12g}") for value in exact)
        return (*known, len(processors), len(set(way)), *way)

    def fits(way: tuple[int, ...]) -> bool:
        over = task.excess(task.segments(arch, way)).values()
        return bool(task.on_pinned_processors(arch, way)[0]) and not any(missed[0] > 0 for missed in over)

    return min((way for way in placements(task, len(design.exits)) if fits(way)), key=rank)


def _block(
    task: Problem, design: Design, *, same_exits: bool, less: dict[str, float | None] | None
) -> dict[str, Any]:
    return {
        "same_exits": same_exits,
        "exits": [task.costs.exits[e].location for e in design.exits],
        "processors": [_name(task.costs, mode) for mode in design.modes],
        "less": less,
        "worst_latency_s": float(task.segments([design.exits], design.modes).worst_latency_s[0]),
    }


def _less(task: Problem, design: Design, other: Design, passage: Passage) -> dict[str, float | None]:
    """Share of each mean cost of the design that the other does not need; None where it is unknown."""
    mine, its = (task.segments([each.exits], each.modes) for each in (design, other))
    shares: dict[str, float | None] = {}
    for name, cost in COSTS.items():
        here, there = (passage.mean(segments.of(name)[0]) for segments in (mine, its))
        shares[cost.metric] = None if np.isnan(here) or np.isnan(there) or not here else float(1 - there / here)
    return shares


def _name(costs: Costs, mode: int) -> str:
    """As reports name it: "m4", or "m4 at 50MHz" where it has several levels."""
    runs, level = costs.modes[mode], costs.modes[mode].choices.get("level")
    return runs.processor.name if level is None else f"{runs.processor.name} at {level}"


def sentence(block: Mapping[str, Any] | None, goal: Goal) -> str:
    """What :func:`without` gives, in words; empty for None."""
    if block is None or goal.longest_s is None:
        return ""
    option = "--max-latency" if goal.longest_s == goal.max_latency_s else "--period"
    asked, its = apart(units.seconds, goal.longest_s, block["worst_latency_s"])
    where = _places(block["processors"])
    if block["same_exits"]:
        what = f"the same exits would run {where}" if block["exits"] else f"the model would run {where}"
    elif block["exits"]:
        what = f"the search would choose exits at {', '.join(block['exits'])}, {where}"
    else:
        what = f"the search would choose no exits, {where}"
    gain = _gains(block["less"])
    return f" The limit {option} {asked} decides: without it {what}, with {gain}a worst latency of {its}."


def _gains(less: Mapping[str, float | None] | None) -> str:
    """ "14.3% less mean energy and ", equal shares together; empty where nothing is less, or that is not known."""
    by_share: dict[str, list[str]] = {}
    for cost in COSTS.values():
        share = None if less is None else less[cost.metric]
        if share is not None and share >= LEAST_LESS:
            by_share.setdefault(f"{share:.1%} less", []).append(cost.words)
    return "".join(f"{share} {' and '.join(words)} and " for share, words in by_share.items())


def _places(processors: Sequence[str]) -> str:
    """ "on net alone", or "on net, then app"."""
    each = [name for name, _ in groupby(processors)]
    return f"on {each[0]} alone" if len(each) == 1 else f"on {', then '.join(each)}"
