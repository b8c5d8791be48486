"""Why processors run nothing, and why none of them can have an exit: what the target says against a split."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from eeaug.hardware import idle
from eeaug.network.costs import Costs
from eeaug.report import units
from eeaug.search.placing import placements
from eeaug.search.space import Problem

__all__ = ["reasons", "without_exits"]


def reasons(costs: Costs, used: Collection[int]) -> dict[str, str]:
    """By processor that runs nothing, where the target says why: the reason, without a full stop.

    ``used``: numbers of those that run a segment.
    """
    unreached = idle.unreached(costs.hardware)
    why = {}
    own = {mode.index: m for m, mode in reversed([*enumerate(costs.modes)]) if mode.nominal}
    for p, processor in enumerate(costs.hardware.processors):
        if p in used:
            continue
        slower = next((words for q in used if (words := _worse(costs, own[p], own[q])) is not None), None)
        reason = unreached.get(processor.name, slower)
        if reason is not None:
            why[processor.name] = reason
    return why


def without_exits(problem: Problem) -> str | None:
    """What no exit of ``--mapping one-each`` does, and why, where the target says so; None: for other reasons."""
    costs = problem.costs
    if not (problem.one_each and problem.max_exits):
        return None
    sequences = list(placements(problem, 1))
    if not sequences:
        return f"can be placed: --mapping one-each needs two processors, and {idle.apart(costs.hardware)}"
    worse = [(first, _worse(costs, first, then)) for first, then in sequences]
    if any(words is None for _, words in worse):
        return None
    first, words = worse[0]
    return (
        f"pays off, as with --mapping one-each the first stage runs on {costs.modes[first].processor.name}: {words}"
    )


def _worse(costs: Costs, one: int, other: int) -> str | None:
    """That the whole model takes more time and energy in mode ``one``, energies as far as known; None: not so."""
    start, end = np.array([0]), np.array([len(costs.blocks)])
    (time, other_time), (energy, other_energy) = (
        [float(costs.body(start, end, p)[field][0]) for p in (one, other)] for field in (1, 2)
    )
    known = not np.isnan(energy) and not np.isnan(other_energy)
    if not time > other_time or (known and not energy > other_energy):
        return None
    names = [costs.modes[p].processor.name for p in (one, other)]
    here, there = (
        units.seconds(s) + (f" and {units.joules(j)}" if known else "")
        for s, j in ((time, energy), (other_time, other_energy))
    )
    return f"the whole model takes {here} on {names[0]}, {there} on {names[1]}"
