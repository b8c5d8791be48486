"""Pareto labels: the best independent cascades when there are too many architectures to enumerate.

Under independence a cascade is built backwards, from place to place. A label says what a sample still meets
that is at a place, in the midst of a segment in some mode, with some exits left: (mean cost, P(wrong),
resources). A block of layers adds its row, an exit with leave rate a, P(leave, wrong) e and cost c maps a
label to (c + (1 − a)·cost, e + (1 − a)·wrong, resources + more). All of it is monotone in every component,
because 1 − a ≥ 0: dominated labels can be dropped without losing an optimum. (A weighted sum of the
components would miss optima that lie above the front's convex hull.) Since a label knows neither where its
segment began nor what came before, all architectures share the labels of their common ends.

Limits make labels many: without them two components are left. Three things keep them few.
- What can come before, at least and at most, decides for most labels that a limit is met or missed.
- A first pass keeps few labels and finds good cascades that meet the limits.
- In the second pass a label must have room: together with the best that could come before, limits aside, it
  must not be dominated by one of these cascades.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eeaug.search.pareto import pareto, undominated
from eeaug.search.space import Problem
from eeaug.search.step_costs import COST, RESOURCES, WRONG, State, Steps

__all__ = ["front"]

Floats = NDArray[np.float64]
_SHARES = (0.0, 0.5, 1.0)  # quantiles of nearness to a limit, at which the first pass keeps fronts
_CORNERS = 200  # points of the front that bound the rooms: more give tighter rooms, slower


@dataclass(frozen=True)
class _Labels:
    """Ends of cascades, from a place to the output: rows (F, d) and their exits (F, number of exits left)."""

    rows: Floats
    exits: NDArray[np.int32]

    def of(self, chosen: NDArray[np.intp] | NDArray[np.bool_] | slice) -> _Labels:
        return _Labels(self.rows[chosen], self.exits[chosen])

    def shifted(self, row: Floats, steps: Steps) -> _Labels:
        return _Labels(steps.add(self.rows, row), self.exits)


def front(problem: Problem, m: int) -> NDArray[np.intp]:
    """Architectures with m ≥ 1 exits on the independent Pareto front, best first: (A, m), no repeats.

    The front is that of (mean cost, P(wrong)) over all designs that meet the limits. First those within the
    accuracy budget in the order of the objective, then the rest by P(wrong). The first is the independent
    optimum among architectures with m exits that meet the limits, if any does.
    """
    steps = Steps(problem, m)
    rooms = None
    if steps.limits and steps.rising:
        cascades = _Pass(steps, few=True).front()
        rooms = _rooms(steps, cascades.rows) if len(cascades.rows) else None
    labels = _Pass(steps, few=False, rooms=rooms).front()
    wrong = labels.rows[:, WRONG]
    values = problem.objective.value(labels.rows[:, COST], problem.outcomes.accuracy_of(1 - wrong))
    best: dict[tuple[int, ...], tuple[float, float]] = {}
    for *key, arch in zip(values.tolist(), wrong.tolist(), labels.exits.tolist(), strict=True):
        best[tuple(arch)] = min(best.get(tuple(arch), (np.inf, np.inf)), (key[0], key[1]))
    ranked = sorted(best, key=lambda arch: (best[arch], arch))
    return np.array(ranked, dtype=np.intp).reshape(-1, m)


class _Pass:
    """One way from the output back to the input.

    few : keep labels that are promising instead of all that are undominated
    rooms : what labels must fit into, by state; None: no such test
    """

    def __init__(self, steps: Steps, *, few: bool, rooms: dict[State, Floats] | None = None) -> None:
        self.steps, self.few, self.rooms = steps, few, rooms
        self.modes = range(steps.block.shape[1])

    def front(self) -> _Labels:
        """The undominated cascades with m exits, of those that meet the limits."""
        steps, m = self.steps, self.steps.m
        nothing = [_Labels(np.zeros((0, steps.width)), np.zeros((0, r), np.int32)) for r in range(m + 1)]
        # at[r][q]: labels at a place, in the midst of a segment in mode q, with r exits left
        at = [[labels] * len(self.modes) for labels in nothing]
        at[0] = [_Labels(steps.final[None], np.zeros((1, 0), np.int32))] * len(self.modes)
        for place in range(len(steps.places) - 2, 0, -1):
            onward = self._before(at, place)
            # past a pinned location nothing leads on but an exit there
            at = [[labels] * len(self.modes) for labels in nothing] if steps.pinned[place] else onward
            at = [list(row) for row in at]
            for r in range(m):
                for q in self.modes:
                    exits = self._exits(onward[r], (1, m - r, place, q))
                    if exits:
                        at[r + 1][q] = self._tidied(_join([at[r + 1][q], *exits]), (0, m - r - 1, place, q))
        first = self._before(at, 0)[m]
        labels = _join(
            [nothing[m], *(first[q].shifted(steps.enter[q], steps) for q in self.modes if steps.enter_ok[q])]
        )
        for limit in steps.limits:
            labels = labels.of(limit.used(labels.rows) <= limit.most)
        return labels.of(pareto(labels.rows[:, :RESOURCES]))

    def _before(self, at: list[list[_Labels]], place: int) -> list[list[_Labels]]:
        """Labels at a place from those at the next."""
        steps = self.steps
        return [
            [
                labels.shifted(steps.block[place, q], steps) if steps.block_ok[place, q] else labels.of(slice(0))
                for q, labels in enumerate(row)
            ]
            for row in at
        ]

    def _exits(self, onward: list[_Labels], state: State) -> list[_Labels]:
        """Labels of the exits at a place, from those behind it in every mode."""
        steps, (_, _, place, q) = self.steps, state
        heads = [h for h in steps.heads[place] if steps.head_ok[h, q]]
        hops = [onward[p].shifted(steps.hop[place, q, p], steps) for p in self.modes if steps.hop_ok[place, q, p]]
        if not heads or not any(len(labels.rows) for labels in hops):
            return []
        behind = self._tidied(_join(hops), state)
        at_exits = []
        for h in heads:
            stay = steps.stay[h][:, None]
            rows = np.repeat(steps.add(behind.rows, steps.head[h, q])[None], len(stay), axis=0)
            rows[:, :, COST] = steps.head[h, q, COST] + stay * behind.rows[:, COST]
            rows[:, :, WRONG] = steps.wrong[h][:, None] + stay * behind.rows[:, WRONG]
            exits = np.empty((len(stay), len(behind.exits), behind.exits.shape[1] + 1), np.int32)
            exits[:, :, 0], exits[:, :, 1:] = h, behind.exits
            at_exits.append(_Labels(rows.reshape(-1, steps.width), exits.reshape(-1, exits.shape[2])))
        return at_exits

    def _tidied(self, labels: _Labels, state: State) -> _Labels:
        """The labels of a state that may still be of use."""
        steps = self.steps
        if self.rooms is not None:
            room = self.rooms.get(state, np.zeros((0, 2)))
            # among the corners that cost more, the first allows the most errors
            at = np.searchsorted(room[:, 0], labels.rows[:, COST], side="right")
            labels = labels.of(np.append(room[:, 1], -np.inf)[at] > labels.rows[:, WRONG])
        if not len(labels.rows) or not steps.reachable[state]:
            return labels.of(slice(0))
        nearness = np.full(len(labels.rows), -np.inf)
        met = np.ones(len(labels.rows), dtype=bool)
        least, most = (steps.add(labels.rows, bound[state]) for bound in (steps.least, steps.most))
        for limit in steps.limits:
            used = limit.used(least)
            nearness = np.maximum(nearness, used / limit.most)
            # infeasible whatever comes before, which adds at least ``least``
            met &= used <= limit.most
            # feasible whatever comes before, even with rounding: the column needs no comparing, so minus infinity
            safe = limit.used(most) <= limit.most * (1 - 1e-9)
            for column in limit.columns:
                labels.rows[safe, column] = -np.inf
        labels, nearness = labels.of(met), nearness[met]
        return labels.of(_few(labels.rows, nearness) if self.few else undominated(labels.rows))


def _few(rows: Floats, nearness: Floats) -> NDArray[np.intp]:
    """The fronts of (mean cost, P(wrong)) of the labels that are far from the limits, less far, and of all."""
    if not len(rows):
        return np.zeros(0, np.intp)
    chosen = []
    for most in np.unique(np.quantile(nearness, _SHARES, method="lower")):
        among = np.flatnonzero(nearness <= most)
        chosen.append(among[pareto(rows[among, :RESOURCES])])
    return np.unique(np.concatenate(chosen))


def _join(parts: list[_Labels]) -> _Labels:
    return _Labels(np.concatenate([p.rows for p in parts]), np.concatenate([p.exits for p in parts]))


def _rooms(steps: Steps, points: Floats) -> dict[State, Floats]:
    """Where a label must lie to lead to a cascade that none of those found dominates, by state.

    points : (F, ≥ 2), of cascades that meet the limits, by rising mean cost

    A room is a staircase of corners (N, 2), by rising cost and falling P(wrong): a label must lie below one
    of them in both. At the input these are the corners between the cascades found. A step is monotone, so its
    inverse leads from what a label must be below after it to what it must be below before it; limits are not
    looked at, and rooms are joined where several ways lead, so a room is rather too large.
    """
    cascades = points[np.unique(np.linspace(0, len(points) - 1, _CORNERS).astype(np.intp)), :RESOURCES]
    # some slack: rounding must not discard a label that is better than a corner
    slack = 1 + 1e-9
    corners = slack * np.stack([np.append(cascades[:, 0], np.inf), np.append(np.inf, cascades[:, 1])], axis=1)
    rooms: dict[State, Floats] = {}
    modes, nothing = range(steps.block.shape[1]), np.zeros((0, 2))

    def less(room: Floats, row: Floats) -> Floats:
        return np.asarray(room - [row[COST], 0.0])

    for place in range(len(steps.places) - 1):
        for k in range(steps.m):
            for q in modes:
                begun = [nothing]
                if not steps.pinned[place]:
                    begun.append(rooms.get((0, k, place, q), nothing))
                if place == 0 and k == 0 and steps.enter_ok[q]:
                    begun.append(less(corners, steps.enter[q]))
                for p in modes:
                    if steps.hop_ok[place, p, q]:
                        begun.append(less(rooms.get((1, k, place, p), nothing), steps.hop[place, p, q]))
                if not steps.block_ok[place, q]:
                    continue
                room = _staircase(less(np.concatenate(begun), steps.block[place, q]))
                rooms[0, k, place + 1, q] = room
                ended = [nothing]
                for h in steps.heads[place + 1]:
                    if steps.head_ok[h, q]:
                        stay, wrong = steps.stay[h][:, None], steps.wrong[h][:, None]
                        left = less(room, steps.head[h, q])[:, None] - wrong * [0.0, 1.0]
                        with np.errstate(divide="ignore", invalid="ignore"):
                            ended.append((left / stay).reshape(-1, 2))
                rooms[1, k + 1, place + 1, q] = _staircase(np.concatenate(ended))
    return rooms


def _staircase(corners: Floats) -> Floats:
    """The corners that no other one exceeds, of those above zero: below the others there is nothing."""
    corners = corners[(corners > 0).all(axis=1)]
    return corners[pareto(-corners)[::-1]]
