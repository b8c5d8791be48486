"""What a search will look at, and what exits could save at best: known before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eeaug.cascade.outcomes import Outcomes
from eeaug.design import problem
from eeaug.flow.prepare import Ready
from eeaug.heads.layers import Head
from eeaug.network.locations import Location
from eeaug.search.placing import count_architectures, placements
from eeaug.settings import Goal

__all__ = ["outlook"]


def outlook(goal: Goal, ready: Ready, likely: Mapping[Location, Sequence[Head]]) -> dict[str, Any]:
    """Facts about the search; savings are what an exit would bring if every sample left there.

    ``likely`` : the convolutional heads that are trained, as far as that is known
    """
    heads = [h for at in ready.network.rules.locations for h in (*ready.dense.get(at, ()), *likely.get(at, ()))]
    costs = ready.network.costs(goal, [head.cost() for head in heads])
    dummy = np.zeros((len(heads) + 1, 1))
    nothing = Outcomes(dummy.astype(np.float32), dummy.astype(np.int64), np.zeros(1, np.int64))
    base, decision = problem.baseline(goal, costs), ready.network.classifier.decision
    task = problem.problem(goal, costs, nothing, ready.network.rules, base, decision)
    counts = [count_architectures(task, m) for m in range(task.max_exits + 1)]
    sequences = [sum(1 for _ in placements(task, m)) for m in range(task.max_exits + 1)]
    return {
        "model": ready.network.classifier.file,
        "hardware": ready.network.hardware.name,
        "macs": ready.network.macs,
        "locations": [
            _location(ready, task, costs, heads, at.name)
            for at in ready.network.rules.locations
            if any(head.location == at for head in heads)
        ],
        "search": {
            "locations_left_out": ready.network.left_out,
            "dense_heads": sum(map(len, ready.dense.values())),
            "convolutional_heads": sum(map(len, likely.values())),
            "architectures_at_most": sum(counts),
            "placements_at_most": sum(n * s for n, s in zip(counts, sequences, strict=True)),
        },
    }


def _location(ready: Ready, task: Any, costs: Any, heads: Sequence[Head], name: str) -> dict[str, Any]:
    """The best that any exit here could save, and which limits rule out how many of its placements."""
    mine = np.array([i for i, head in enumerate(heads) if head.location.name == name], dtype=np.intp)
    archs = mine.reshape(-1, 1)
    total = possible = 0
    missed: dict[str, int] = {}
    for sequence in placements(task, 1) if task.max_exits else ():
        segments = task.segments(archs, sequence)
        fits = np.ones(len(archs), dtype=bool)
        for limit, over in task.excess(segments).items():
            missed[limit] = missed.get(limit, 0) + int((fits & (over > 0)).sum())
            fits &= ~(over > 0)
        total += len(archs)
        possible += int(fits.sum())
    spent = costs.block_macs[costs.after[mine]] + costs.head_macs[mine]
    cheapest, dearest = heads[int(mine[spent.argmin()])], heads[int(mine[spent.argmax()])]
    return {
        "location": name,
        "shape": list(cheapest.location.shape),
        "heads": [heads[i].name for i in mine],
        "best_saving": {
            cheapest.name: 1 - float(spent.min()) / ready.network.macs,
            dearest.name: 1 - float(spent.max()) / ready.network.macs,
        },
        "placements": total,
        "possible": possible,
        "ruled_out_by": {limit: number for limit, number in missed.items() if number},
    }
