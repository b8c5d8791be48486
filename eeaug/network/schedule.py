"""In which order to compute, so that few bytes are in use at once."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

__all__ = ["Step", "order"]

STATES = 5_000  # sets of finished steps that are looked at


class Step(Protocol):
    """What reads tensors and writes others, by name.

    ``over``: tensors that its output may take the place of, if nothing reads them later. ``scratch``: what else is
    in use while it runs.
    """

    @property
    def reads(self) -> tuple[str, ...]: ...
    @property
    def writes(self) -> tuple[str, ...]: ...
    @property
    def over(self) -> tuple[str, ...]: ...
    @property
    def scratch(self) -> int: ...


def order(steps: Sequence[Step], sizes: Mapping[str, int], kept: Collection[str] = ()) -> tuple[list[int], int]:
    """The order of steps with the smallest peak, and that peak.

    Parameters
    ----------
    steps : in an order in which they can run
    sizes : of the tensors that count; those that no step writes are there at the start
    kept : those that stay when all is done

    The narrowest path through the sets of finished steps, by Dijkstra's algorithm: exact, as long as there are few
    such sets. Beyond STATES, the order is that given.
    """
    n = len(steps)
    maker = {name: i for i, step in enumerate(steps) for name in step.writes}
    readers = dict.fromkeys(sizes, 0)
    for i, step in enumerate(steps):
        for name in {*step.reads} & readers.keys():
            readers[name] |= 1 << i
    needs = [sum({1 << maker[name] for name in step.reads if name in maker}) for step in steps]

    def run(i: int, done: int, alive: int) -> tuple[int, int]:
        """What is in use while a step runs, and after it."""
        step, after = steps[i], done | 1 << i
        written = sum(sizes[name] for name in step.writes if name in sizes)
        dying = {
            name for name in (*step.reads, *step.writes)
            if name in sizes and name not in kept and not readers[name] & ~after
        }  # fmt: skip
        in_place = any(name in dying for name in step.over)
        peak = alive + (0 if in_place else written) + step.scratch
        return peak, alive + written - sum(sizes[name] for name in dying)

    start = sum(size for name, size in sizes.items() if name not in maker and (readers[name] or name in kept))
    came: dict[int, tuple[int, int]] = {}
    queue = [(start, 0, 0, 0, start, -1, 0)]
    serial = 0
    while queue and len(came) < STATES:
        peak, _, _, done, alive, last, before = heapq.heappop(queue)
        if done in came:
            continue
        came[done] = (last, before)
        if done == (1 << n) - 1:
            return _path(came, done), peak
        for i in range(n):
            if not done >> i & 1 and needs[i] & done == needs[i]:
                more, rest = run(i, done, alive)
                serial += 1
                heapq.heappush(
                    queue, (max(peak, more), -done.bit_count() - 1, serial, done | 1 << i, rest, i, done)
                )
    peak, done, alive = start, 0, start
    for i in range(n):
        more, alive = run(i, done, alive)
        peak, done = max(peak, more), done | 1 << i
    return list(range(n)), peak


def _path(came: Mapping[int, tuple[int, int]], done: int) -> list[int]:
    steps = []
    while done:
        last, done = came[done]
        steps.append(last)
    return steps[::-1]
