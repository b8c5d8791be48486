"""What every step of a cascade adds: rows of mean cost, P(wrong) and the resources that limits ask for.

Resources are sums over the steps (worst latency, bytes of weights in a memory) or maxima (working memory).
Minus infinity stands for "this limit is met whatever comes before": it stays so under sums, and nothing is
better. An unknown latency is minus infinity too, since it is no reason to reject; what has an unknown cost is
left out, since it is never the best. Energies are without the sleep of a whole period, which all cascades have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from eeaug.network.segments import Segments
from eeaug.search.pareto import pareto
from eeaug.search.space import LATENCY, Problem

__all__ = ["COST", "RESOURCES", "WRONG", "State", "Steps"]

Floats = NDArray[np.float64]
# Where a label is: 0 in the midst of a segment with k exits before, or 1 behind exit number k; k; place;
# mode (of Costs), in the second case that of the exit.
State = tuple[int, int, int, int]
COST, WRONG, RESOURCES = 0, 1, 2  # columns; from RESOURCES on, one for each resource


@dataclass(frozen=True)
class _Limit:
    """What a limit allows, and the columns that add up to what is used."""

    most: float
    columns: tuple[int, ...]

    def used(self, rows: Floats) -> Floats:
        first, *rest = self.columns
        total = rows[..., first]
        for column in rest:
            total = total + rows[..., column]
        return total


class Steps:
    """The steps of cascades with m exits between K + 2 places: the input, the K boundaries at which exits
    stand, and the output.

    Rows of d columns, each table but the last with one ``.._ok`` that tells whether a step can be taken. There are
    P modes:

    block : (K + 1, P, d), all blocks from one place to the next, in every mode
    head : (C, P, d)
    hop : (K + 2, P, P, d), from a mode to that of the next segment, behind an exit at a place
    enter : (P, d), from where samples arrive to the mode of the first segment
    final : (d,), what a label is at the output

    stay, wrong : of every exit, P(not A) and P(A, wrong) by threshold
    least, most : (2, m + 2, K + 2, P, d), by state, bounds on the resources that can lie before a label
    reachable : (2, m + 2, K + 2, P), by state, whether anything can
    limits : those that a cascade can miss
    rising : no step costs less than nothing, as one can that draws less than sleep
    """

    def __init__(self, problem: Problem, m: int) -> None:
        costs = problem.costs
        self.problem, self.m, count = problem, m, len(costs.modes)
        on_processor = np.array([mode.index for mode in costs.modes])
        self.places = np.concatenate([[0], np.unique(costs.after), [len(costs.blocks)]])
        self.heads = [np.flatnonzero(costs.after == place) for place in self.places]
        pins = [e.after for e in costs.exits if e.location in problem.pinned]
        self.pinned = np.isin(self.places, pins)
        self.pinned[0] = False  # where it begins is no exit, though one may stand on the input
        self.limits: list[_Limit] = []
        self._lay_out()
        start, end, heads = self.places[:-1], self.places[1:], np.arange(len(costs.exits))
        self.block, self.block_ok = self._tables(lambda p: costs.body(start, end, p))
        self.head, self.head_ok = self._tables(lambda p: costs.branch(heads, p))
        for exit_, e in enumerate(costs.exits):
            on = problem.pinned.get(e.location)
            self.head_ok[exit_] &= on is None or on_processor == on
        self.hop, self.hop_ok = self._hops(range(count), self.places)
        allowed = np.isin(np.arange(count), problem.modes)
        ahead = on_processor[:, None] + problem.one_each <= on_processor
        self.hop_ok &= ahead & allowed
        enter, enter_ok = self._hops([None], self.places[:1])
        self.enter, self.enter_ok = enter[0, 0], enter_ok[0, 0] & allowed
        self.rising = not any((rows[..., COST] < 0).any() for rows in (self.block, self.head, self.hop, self.enter))
        self.final = np.zeros(self.width)
        self.final[WRONG] = 1 - float(problem.outcomes.accuracies[-1])
        leave, right = problem.marginals
        # a threshold that lets no more leave than another, and no fewer of them wrong, is of no use
        pairs = [pair[pareto(pair)] for pair in np.maximum(np.stack([1 - leave, leave - right], axis=2), 0.0)]
        self.stay, self.wrong = [pair[:, 0] for pair in pairs], [pair[:, 1] for pair in pairs]
        self.least, self.most = self._prefixes(np.fmin, np.inf), self._prefixes(np.fmax, -np.inf)
        self.reachable = np.isfinite(self.least[..., COST])
        self._leave_out_idle()

    def _leave_out_idle(self) -> None:
        """Limits that no whole cascade can miss: they are met whatever comes before."""
        most = self.most[0, self.m, -1].max(axis=0)
        idle = [limit for limit in self.limits if limit.used(most) <= limit.most * (1 - 1e-9)]
        self.limits = [limit for limit in self.limits if limit not in idle]
        columns = [column for limit in idle for column in limit.columns]
        for rows in (self.block, self.head, self.hop, self.enter, self.final):
            rows[..., columns] = -np.inf

    def _hops(self, senders: Sequence[int | None], places: NDArray[np.intp]) -> tuple[Floats, NDArray[np.bool_]]:
        """Rows of handing over at places: (N, senders, P, d) and (N, senders, P)."""
        costs = self.problem.costs
        nothing = np.zeros(len(places))

        def parts(sender: int | None, receiver: int) -> tuple[Floats, ...]:
            seconds, joules, sent = costs.handover(places, sender, receiver)
            return nothing, seconds, joules, nothing, nothing, costs.late(sent, sender, receiver)

        tables = [self._tables(partial(parts, p)) for p in senders]
        rows, fine = (np.stack(part, axis=1) for part in zip(*tables, strict=True))
        linked = [
            [costs.connected(costs.source if p is None else p, q) for q in range(rows.shape[2])] for p in senders
        ]
        return rows, fine & np.array(linked)

    def _lay_out(self) -> None:
        """Columns for the limits, sums first.

        A memory for the working memory of one processor at a time, and for nothing else, is a limit on
        single steps: those that miss it are left out, and it needs no column.
        """
        costs, latency = self.problem.costs, self.problem.max_latency_s
        hardware = costs.hardware
        flashes = {mode.processor.flash for mode in costs.modes}
        names = [LATENCY] * (latency is not None) + [m.name for m in hardware.memories if m.name in flashes]
        self._sum = {name: RESOURCES + n for n, name in enumerate(names)}
        self._maximum: dict[int, int] = {}  # by mode, as are those of a single step
        self._single: dict[int, float] = {}
        self.sums = self.width = RESOURCES + len(names)
        if latency is not None:
            self.limits.append(_Limit(latency * (1 + 1e-12), (self._sum[LATENCY],)))
        for memory in hardware.memories:
            users = {p: mode.index for p, mode in enumerate(costs.modes) if mode.processor.ram == memory.name}
            at_once = sorted({0 if hardware.exclusive else processor for processor in users.values()})
            columns = [self._sum[memory.name]] if memory.name in flashes else []
            if not columns and len(at_once) == 1:
                self._single |= dict.fromkeys(users, float(memory.bytes))
                continue
            # one working memory at a time, or one per processor beside each other
            for p, processor in users.items():
                self._maximum[p] = self.width + (0 if hardware.exclusive else at_once.index(processor))
            peaks = sorted({self._maximum[p] for p in users})
            self.width += len(peaks)
            if columns + peaks:
                self.limits.append(_Limit(memory.bytes, (*columns, *peaks)))

    def _tables(self, parts: Callable[[int], tuple[Floats, ...]]) -> tuple[Floats, NDArray[np.bool_]]:
        """(N, P, d) and (N, P) of the macs, time, energy, weights and tensors of N steps in each mode."""
        costs, rows, fine = self.problem.costs, [], []
        for p, mode in enumerate(costs.modes):
            macs, time, energy, weights, tensors, *late = parts(p)
            row = np.zeros((len(macs), self.width))
            one = (slice(None), None)  # as architectures of one segment each
            none = np.zeros((len(macs), 1))
            step = Segments(
                macs[one], time[one], energy[one], weights[one], tensors[one], none, (p,), costs.sleep_w
            )
            row[:, COST] = self.problem.cost_of(step)[:, 0]
            if LATENCY in self._sum:
                row[:, self._sum[LATENCY]] = np.where(np.isnan(time), -np.inf, time + sum(late))
            if mode.processor.flash in self._sum:
                row[:, self._sum[mode.processor.flash]] = weights
            if p in self._maximum:
                row[:, self._maximum[p]] = tensors
            rows.append(row)
            fine.append(~np.isnan(row[:, COST]) & ~(tensors > self._single.get(p, np.inf)))
        return np.stack(rows, axis=1), np.stack(fine, axis=1)

    def add(self, a: Floats, b: Floats) -> Floats:
        """The rows of two stretches of a cascade together."""
        rows = np.add(a, b)
        if self.sums < self.width:
            np.maximum(a[..., self.sums :], b[..., self.sums :], out=rows[..., self.sums :])
        return rows

    def _prefixes(self, pick: np.ufunc, never: float) -> Floats:
        """Component by component, the least or the most that can lie before a label of a state.

        ``never`` where nothing leads. Each component is picked for itself, so no beginning need have them
        all: bounds are rather too wide. Of the components only resources are bounds, since P(reach) lowers
        what costs add up to.
        """
        size, count = len(self.places), self.block.shape[1]
        bounds = np.full((2, self.m + 2, size, count, self.width), never)
        within, ended = bounds
        hop = np.where(self.hop_ok[..., None], self.hop, never)
        block = np.where(self.block_ok[..., None], self.block, never)
        head = np.where(self.head_ok[..., None], self.head, never)
        with np.errstate(invalid="ignore"):  # an unknown latency on a way that does not exist
            for place in range(size - 1):
                # segments begin behind an exit or at the input, or go on where no exit must be
                going = pick.reduce(self.add(ended[:, place, :, None], hop[place]), axis=1)
                if place == 0:
                    going[0] = np.where(self.enter_ok[:, None], self.enter, never)
                if not self.pinned[place]:
                    going = pick(going, within[:, place])
                within[:, place + 1] = self.add(going, block[place])
                heads = pick.reduce(head[self.heads[place + 1]], axis=0, initial=never)
                ended[1:, place + 1] = self.add(within[:-1, place + 1], heads)
        return bounds
