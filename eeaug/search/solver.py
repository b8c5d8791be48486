"""The search: which exits, where, with which thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eeaug.errors import InfeasibleError
from eeaug.search import labels
from eeaug.search.placing import architectures, count_architectures, neighbours, placements
from eeaug.search.settle import EVERY_FRONT, Settled, budgets, front, settle
from eeaug.search.space import LATENCY, Design, Problem
from eeaug.settings import COSTS
from eeaug.support.progress import parts
from eeaug.support.quantities import DROP, apart, as_given

__all__ = ["SETTLED_PER_COUNT", "Result", "check_feasible", "solve"]

Indices = NDArray[np.intp]

# Up to two exits every architecture is settled. Beyond, the first so many of the independent front for each number
# of exits are (all, if there are no more), and then those that differ from the best in one exit.
SETTLED_PER_COUNT = 200
_ROUNDS = 10
# Beyond two exits, why nothing fits is explained only if there are no more architectures than this.
_EXPLAINED = 20_000


@dataclass(frozen=True)
class Result:
    """The best design and what was looked at.

    ``complete`` says that every architecture was settled. ``fronts`` by cost (settings.COSTS) are designs
    by falling mean cost with their accuracy on the samples of the search: (design, accuracy, mean cost); those
    of latency and energy are empty where figures are unknown or placements more than settle.EVERY_FRONT.
    """

    design: Design
    settled: Settled
    architectures: int
    placements: int
    complete: bool
    fronts: Mapping[str, tuple[tuple[Design, float, float], ...]]


def solve(problem: Problem, fronts: tuple[str, ...] = tuple(COSTS)) -> Result:
    """The best design with at most ``problem.max_exits`` exits, and the fronts of these costs.

    Raises
    ------
    InfeasibleError : no design meets the limits; says which limit, by how much, and what would fit
    """
    counts = [count_architectures(problem, m) for m in range(problem.max_exits + 1)]
    ways = [sum(1 for _ in placements(problem, m)) for m in range(problem.max_exits + 1)]
    settled = sum(n * w for n, w in zip(counts[:3], ways[:3], strict=True))
    into = Settled(costs=tuple(name for name in fronts if settled <= EVERY_FRONT or COSTS[name].everywhere))
    shortlists: dict[int, Indices] = {}
    looked_at, pair = [], None
    for m, number in parts(list(enumerate(counts)), lambda one: _configurations(problem, *one)):
        if not number:
            continue
        if m <= 2 or number <= SETTLED_PER_COUNT:
            archs = architectures(problem, m)
        else:
            archs = shortlists[m] = labels.front(problem, m)[:SETTLED_PER_COUNT]
        settle(problem, archs, into)
        looked_at.append(archs)
        pair = into.best if m <= 2 else pair
    # labels find the independent optimum as long as classes may lose anything
    if not problem.independent or problem.classes is not None:
        _climb(problem, shortlists, pair, into)
    if into.best is None:
        raise explain(problem, into, looked_at)
    placed = sum(n * w for n, w in zip(counts, ways, strict=True))
    lowest = {cost: front(problem, into, cost) for cost in into.fronts}
    return Result(into.best, into, sum(counts), placed, not shortlists, lowest)


def _configurations(problem: Problem, m: int, number: int) -> int:
    """About how many threshold vectors are scored of so many architectures of m exits."""
    return int((number if m <= 2 else min(number, SETTLED_PER_COUNT)) * problem.thresholds**m)


def _climb(problem: Problem, shortlists: dict[int, Indices], pair: Design | None, into: Settled) -> None:
    """Settle what is one exit away from ``pair``, then from the best, until that stays the best.

    The independent front knows nothing of exits that err together, so of those it leaves out some are better.
    """
    known = {arch for archs in shortlists.values() for arch in map(tuple, archs.tolist())}
    at = pair or into.best
    for _ in range(_ROUNDS):
        if at is None:
            return
        for m in shortlists:
            if abs(m - len(at.exits)) <= 1:
                near = neighbours(problem, at.exits, m)
                new = [arch for arch in map(tuple, near.tolist()) if arch not in known]
                known.update(new)
                settle(problem, np.array(new, dtype=np.intp).reshape(-1, m), into)
        if into.best == at:
            return
        at = into.best


def check_feasible(problem: Problem) -> None:
    """Before anything is trained: can any placement meet the limits? Outcomes are not looked at.

    Raises
    ------
    InfeasibleError : none can, as :func:`solve` would say
    """
    for m in range(min(problem.max_exits, 2) + 1):
        archs = architectures(problem, m)
        for sequence in placements(problem, m) if len(archs) else ():
            segments = problem.segments(archs, sequence)
            fits = problem.on_pinned_processors(archs, sequence)
            for over in problem.excess(segments).values():
                fits &= ~(over > 0)
            if fits.any():
                return
    if problem.max_exits <= 2:  # with more exits, smaller segments may still fit: solve finds out
        raise explain(problem, Settled())


def explain(problem: Problem, into: Settled, looked_at: Sequence[Indices] = ()) -> InfeasibleError:
    """Why nothing fits: the limits that the nearest design misses, and what it needs."""
    if into.architectures and problem.classes is not None:
        return _budgets(problem, into, looked_at)
    if into.architectures:
        return _budget(problem, into.best_accuracy)
    nearest = _nearest(problem)
    if nearest is None:
        return InfeasibleError(
            "no placement is possible: --exit-at, --max-exits, --mapping and the links of "
            f"{problem.costs.hardware.name} leave no way through",
            limit="placement", given=0.0, best=None,
        )  # fmt: skip
    (limit, need), *others = nearest.items()
    given = problem.limits[limit]
    option = problem.latency_option
    name = {"--period": "period_s"}.get(option, "max_latency_s") if limit == LATENCY else limit
    if others:
        missed = " and ".join(_missed(problem, each, value) for each, value in nearest.items())
        message = f"no design meets the limits; the nearest misses {len(nearest)} of them: {missed}"
        return InfeasibleError(message, limit=name, given=given, best=None)
    if limit == LATENCY:
        fastest, asked = apart("{:.4g} s".format, need, given)
        message = (
            f"no design meets {option} {asked}: the fastest that meets the other limits has a worst "
            f"case of {fastest} ({need - given:.4g} s too long); {option} {_ceil(need)} would fit"
        )
    else:
        message = (
            f"no design fits {_memory(limit)} of {problem.costs.hardware.name}: it has {given:,.0f} bytes, "
            f"the smallest that meets the other limits needs {need:,.0f} ({need - given:,.0f} too many)"
        )
    return InfeasibleError(message, limit=name, given=given, best=need)


def _nearest(problem: Problem) -> dict[str, float] | None:
    """What the nearest design needs of every limit that it misses; None if no placement is possible.

    The nearest misses the fewest limits; among those that miss one, rather the latency, which can be asked
    for anew, and then the one by the smallest share.
    """
    best: tuple[tuple[float, ...], dict[str, float]] | None = None
    for m in range(problem.max_exits + 1):
        if m > 2 and count_architectures(problem, m) > _EXPLAINED:
            continue
        archs = architectures(problem, m)
        for sequence in placements(problem, m) if len(archs) else ():
            pinned = np.flatnonzero(problem.on_pinned_processors(archs, sequence))
            if not len(pinned):
                continue
            excess = problem.excess(problem.segments(archs[pinned], sequence))
            over = np.array([np.maximum(value, 0.0) for value in excess.values()])
            share = (over / np.array([[problem.limits[limit]] for limit in excess])).sum(axis=0)
            kept = ~((over[0] > 0) & (LATENCY in excess))
            first = np.lexsort((share, kept, (over > 0).sum(axis=0)))[0]
            key = (float((over[:, first] > 0).sum()), float(kept[first]), float(share[first]))
            if best is None or key < best[0]:
                missed = zip(excess, over[:, first], strict=True)
                best = key, {limit: problem.limits[limit] + float(more) for limit, more in missed if more > 0}
    return None if best is None else best[1]


def _missed(problem: Problem, limit: str, need: float) -> str:
    given = problem.limits[limit]
    if limit == LATENCY:
        return f"{problem.latency_option} {given:g} s ({_ceil(need)} s needed)"
    return f"{_memory(limit)} ({given:,.0f} bytes, {need:,.0f} needed)"


def _memory(limit: str) -> str:
    return f"memory {limit.removeprefix('memory:')!r}"


def _ceil(seconds: float) -> str:
    """Three significant digits, rounded up: a value that fits when typed."""
    if seconds <= 0:
        return f"{seconds:.3g}"
    digits = 2 - int(np.floor(np.log10(seconds)))
    return f"{np.ceil(seconds * 10.0**digits) / 10.0**digits:.{max(digits, 0)}f}"


def _drop(share: float) -> str:
    """A drop in accuracy, rounded up, as the option takes it."""
    return as_given(min(1.0, float(_ceil(share))), DROP)


def _budgets(problem: Problem, into: Settled, looked_at: Sequence[Indices]) -> InfeasibleError:
    """Limits can be met, accuracy budget and class drop cannot together: which of them must give way."""
    assert problem.classes is not None
    base, budget, given = problem.objective.base_accuracy, problem.objective.budget, problem.classes.most
    # smallest class drop within the budget, best accuracy within the class drop, and what misses both by least
    smallest, most_accurate, nearest = np.inf, -np.inf, (np.inf, 0.0, 0.0)
    for accuracies, drops in (each for archs in looked_at for each in budgets(problem, archs)):
        smallest = min(smallest, drops[problem.objective.allows(accuracies)].min(initial=np.inf))
        most_accurate = max(most_accurate, accuracies[problem.classes.allows(drops)].max(initial=-np.inf))
        total = base - accuracies + drops
        i = int(total.argmin())
        nearest = min(nearest, (float(total[i]), float(base - accuracies[i]), float(drops[i])))
    if np.isfinite(smallest):
        best = float(smallest)
        least, asked = apart("{:.4g}".format, best, given)
        return InfeasibleError(
            f"no design that meets the other limits keeps --max-class-drop {asked}: the class that loses most "
            f"loses at least {least} ({best - given:.4g} too much); --max-class-drop {_drop(best)} would fit",
            limit="max_class_drop", given=given, best=best,
        )  # fmt: skip
    if np.isfinite(most_accurate):
        return _budget(problem, float(most_accurate))
    assert budget is not None, "without a budget every accuracy is within it"
    _, drop, class_drop = nearest
    return InfeasibleError(
        f"no design meets the limits; the nearest misses 2 of them: --max-accuracy-drop {budget:g} "
        f"({_drop(drop)} needed) and --max-class-drop {given:g} ({_drop(class_drop)} needed)",
        limit="max_accuracy_drop", given=budget, best=None,
    )  # fmt: skip


def _budget(problem: Problem, best_accuracy: float) -> InfeasibleError:
    """Limits can be met, the accuracy budget cannot: for want of a threshold that is never."""
    given = 0.0 if problem.objective.budget is None else float(problem.objective.budget)
    best = problem.objective.base_accuracy - best_accuracy
    smallest, asked = apart("{:.4g}".format, best, given)
    return InfeasibleError(
        f"no design that meets the other limits keeps --max-accuracy-drop {asked}: the smallest drop is "
        f"{smallest}; --max-accuracy-drop {_drop(best)} would fit",
        limit="max_accuracy_drop", given=given, best=best,
    )  # fmt: skip
