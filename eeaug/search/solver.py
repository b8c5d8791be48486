"""The search: which exits, where, with which thresholds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eeaug.errors import InfeasibleError
from eeaug.search import labels
from eeaug.search.settle import Settled, settle
from eeaug.search.space import Design, Problem, architectures, count_architectures, placements

__all__ = ["SETTLED_PER_COUNT", "Result", "solve"]

# Up to two exits every architecture is settled; beyond, this many of the independent front per number of
# exits, unless there are no more than these anyway.
SETTLED_PER_COUNT = 200


@dataclass(frozen=True)
class Result:
    """The best design and what was looked at.

    ``complete`` says that every architecture was settled. ``front`` are designs by falling mean MACs with
    their accuracy on the samples of the search: (design, accuracy, mean MACs).
    """

    design: Design
    settled: Settled
    architectures: int
    placements: int
    complete: bool
    front: tuple[tuple[Design, float, float], ...]


def solve(problem: Problem) -> Result:
    """The best design with at most ``problem.max_exits`` exits.

    Raises
    ------
    InfeasibleError : no design meets the limits; says which limit, by how much, and what would fit
    """
    into = Settled()
    total = placed = 0
    complete = True
    for m in range(problem.max_exits + 1):
        number = count_architectures(problem, m)
        total += number
        placed += number * sum(1 for _ in placements(problem, m))
        if not number:
            continue
        if m <= 2 or number <= SETTLED_PER_COUNT:
            archs = architectures(problem, m)
        else:
            archs = labels.front(problem, m)[:SETTLED_PER_COUNT]
            complete = False
        settle(problem, archs, into)
    if into.best is None:
        raise explain(problem, into)
    return Result(into.best, into, total, placed, complete, _front(problem, into))


def _front(problem: Problem, into: Settled) -> tuple[tuple[Design, float, float], ...]:
    """Cost against accuracy, undominated, from the most accurate (and dearest) down."""
    front = []
    cheapest = np.inf
    for right in sorted(into.front_designs, reverse=True):
        if into.front_macs[right] < cheapest:
            cheapest = float(into.front_macs[right])
            front.append((into.front_designs[right], right / problem.outcomes.samples, cheapest))
    return tuple(front)


def explain(problem: Problem, into: Settled) -> InfeasibleError:
    """Why nothing fits: for each limit the best that designs reach that meet the others."""
    best: dict[str, float] = {}
    alone: dict[str, float] = {}
    seen = False
    for m in range(min(problem.max_exits, 2) + 1):
        archs = architectures(problem, m)
        for sequence in placements(problem, m) if len(archs) else ():
            segments = problem.costs.segments(archs, sequence)
            pinned = problem.on_pinned_processors(archs, sequence)
            over = problem.excess(segments)
            for limit, excess in over.items():
                others = [o <= 0 for name, o in over.items() if name != limit]
                met = pinned & np.all(others, axis=0) if others else pinned
                seen |= bool(pinned.any())
                best[limit] = min(best.get(limit, np.inf), excess[met].min(initial=np.inf))
                alone[limit] = min(alone.get(limit, np.inf), excess[pinned].min(initial=np.inf))
    if not seen:
        return InfeasibleError(
            "no placement is possible: the pinned processors contradict the order of use, or links are missing",
            limit="placement", given=0.0, best=None,
        )  # fmt: skip
    if all(value <= 0 for value in best.values()):
        return _budget(problem, into)
    # the limit that binds is one that cannot be met even alone, else the one that is missed by most
    limit = max(best, key=lambda name: (alone[name] > 0, best[name] > 0, name == "latency"))
    excess = best[limit] if np.isfinite(best[limit]) else alone[limit]
    if limit == "latency":
        given = float(problem.max_latency_s or 0.0)
        return InfeasibleError(
            f"no design meets --max-latency {given:g} s: the fastest has a worst case of {given + excess:.4g} s "
            f"({excess:.4g} s too long); --max-latency {_ceil(given + excess)} would fit",
            limit="max_latency_s", given=given, best=given + excess,
        )  # fmt: skip
    memory = problem.costs.hardware.memory(limit)
    need = int(np.ceil(memory.bytes + excess))
    return InfeasibleError(
        f"no design fits memory {limit!r} of {problem.costs.hardware.name}: it has {memory.bytes:,} bytes, the "
        f"smallest design that meets the other limits needs {need:,} ({need - memory.bytes:,} too many)",
        limit=f"memory:{limit}", given=memory.bytes, best=need,
    )  # fmt: skip


def _ceil(seconds: float) -> str:
    """Three significant digits, rounded up: a value that fits when typed."""
    digits = 2 - int(np.floor(np.log10(seconds)))
    return f"{np.ceil(seconds * 10.0**digits) / 10.0**digits:.{max(digits, 0)}f}"


def _budget(problem: Problem, into: Settled) -> InfeasibleError:
    """Limits can be met, the accuracy budget cannot: only pinned exits and thresholds bring that about."""
    given = float(problem.objective.max_accuracy_drop or 0.0)
    right = max(into.front_designs, default=None)
    best = None if right is None else problem.objective.base_accuracy - right / problem.outcomes.samples
    reached = "none was found" if best is None else f"the smallest drop with these pins is {best:.4f}"
    return InfeasibleError(
        f"no design with these pins meets --max-accuracy-drop {given:g}: {reached}",
        limit="max_accuracy_drop", given=given, best=best,
    )  # fmt: skip
