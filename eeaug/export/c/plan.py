"""In which order a processor's stages compute, and where in its one arena every tensor lies meanwhile."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from eeaug.export.c import arena
from eeaug.export.c.arena import Buffer
from eeaug.export.c.onnx_source import Call, Source

__all__ = ["OUTSIDE", "Plan", "Stage", "order", "plan"]

STATES = 20_000  # sets of finished calls that the search for an order looks at
OUTSIDE = -1  # instead of an offset: the tensor lies where the caller says


@dataclass(frozen=True)
class Stage:
    """One stage of a processor.

    ``outside``: names of those of its outer tensors that lie outside of the arena. ``hears``: how many classifiers
    of this processor before it its decision uses. ``outputs``: elements of its classifier's output.
    """

    source: Source
    input: str
    probabilities: str
    handover: str | None
    outside: frozenset[str]
    input_bytes: int
    handover_bytes: int
    hears: int
    outputs: int


@dataclass(frozen=True)
class Plan:
    """A processor's arena.

    ``calls``: per stage, those that are left, in order. ``offsets``: per stage, of every tensor by name, in bytes, or
    OUTSIDE. ``scratch``: per stage, of the calls that need scratch memory, by function. ``heard``: per stage, of what
    its decision is made of. ``bytes``: of the arena; no layout of these lives could have fewer than ``least``.
    """

    calls: tuple[tuple[Call, ...], ...]
    offsets: tuple[Mapping[str, int], ...]
    scratch: tuple[Mapping[str, int], ...]
    heard: tuple[int, ...]
    bytes: int
    least: int


def order(calls: Sequence[Call], sizes: Mapping[str, int], kept: Collection[str]) -> list[int]:
    """The order of calls with the smallest peak of bytes alive; as given if the search would take too long.

    Parameters
    ----------
    sizes : bytes of all tensors in the arena; what is not in it costs nothing
    kept : those that live on when all is done

    The narrowest path through the sets of finished calls, by Dijkstra's algorithm: exact.
    """
    readers = {name: {i for i, call in enumerate(calls) if name in call.reads} for name in sizes}
    maker = {name: i for i, call in enumerate(calls) for name in call.writes}
    needs = [frozenset(maker[name] for name in call.reads if name in maker) for call in calls]
    start: frozenset[int] = frozenset()
    queue: list[tuple[int, int, tuple[int, ...], frozenset[int]]] = [(0, 0, (), start)]
    seen = set()
    while queue and len(seen) < STATES:
        peak, _, path, done = heapq.heappop(queue)
        if done in seen:
            continue
        seen.add(done)
        if len(path) == len(calls):
            return list(path)
        alive = {
            name for name in sizes
            if (maker.get(name, -1) in done or name not in maker) and (name in kept or readers[name] - done)
        }  # fmt: skip
        for i, call in enumerate(calls):
            if i in done or not needs[i] <= done:
                continue
            more = {name for name in call.writes if name in sizes} - alive
            dies = [name for name in call.over if name in alive and name not in kept and readers[name] - done == {i}]
            bytes_alive = sum(sizes[name] for name in alive | more) + call.scratch
            bytes_alive -= sum(sizes[name] for name in more) if dies else 0
            heapq.heappush(queue, (max(peak, bytes_alive), -len(done) - 1, (*path, i), done | {i}))
    return list(range(len(calls)))


def plan(stages: Sequence[Stage]) -> Plan:
    """One arena for stages that run one after the other on one processor, hand-overs between them included."""
    ordered = [replace(stage, source=_ordered(stage)) for stage in stages]
    timeline = _Timeline()
    for k, stage in enumerate(ordered):
        timeline.run(k, stage)
    buffers = timeline.buffers()
    found = arena.layout(buffers)
    offsets = [dict.fromkeys(sorted(stage.outside), OUTSIDE) for stage in ordered]
    for (k, name), storage in timeline.storage.items():
        offsets[k][name] = found.offsets[storage]
    scratch: list[dict[str, int]] = [{} for _ in ordered]
    for k, function in timeline.scratch:
        scratch[k][function] = found.offsets[f"{k}/{function}()"]
    return Plan(
        calls=tuple(tuple(calls) for calls in timeline.calls),
        offsets=tuple(offsets),
        scratch=tuple(scratch),
        heard=tuple(found.offsets.get(f"{k}/heard()", 0) for k in range(len(ordered))),
        bytes=found.bytes,
        least=arena.lower_bound(buffers),
    )


def _ordered(stage: Stage) -> Source:
    source = stage.source
    sizes = dict(source.tensors)
    for name, size in ((stage.input, stage.input_bytes), (stage.handover, stage.handover_bytes)):
        if name is not None and name not in stage.outside:
            sizes[name] = size
    found = order(source.calls, sizes, {stage.handover} & set(sizes))
    return replace(source, calls=tuple(source.calls[i] for i in found))


class _Timeline:
    """Steps of all stages one after the other; which tensors share a storage, and when each is in use.

    A tensor is (stage, name). The input of a stage after the first is the hand-over of the stage before.
    """

    def __init__(self) -> None:
        self.calls: list[list[Call]] = []
        self.storage: dict[tuple[int, str], str] = {}
        self.scratch: list[tuple[int, str]] = []
        self._bytes: dict[str, int] = {}
        self._used: dict[str, tuple[int, int]] = {}
        self._step = 0
        self._said: list[str] = []
        self._handed: str | None = None

    def run(self, k: int, stage: Stage) -> None:
        source = stage.source
        last_read = {name: i for i, call in enumerate(source.calls) for name in call.reads}
        if stage.input not in stage.outside:
            assert self._handed is not None
            self.storage[k, stage.input] = self._handed
        self.calls.append([])
        for i, call in enumerate(source.calls):
            shared = self._shared(k, stage, call, i, last_read)
            for name in call.writes:
                if name not in stage.outside:
                    size = {stage.probabilities: 4 * stage.outputs, stage.handover: stage.handover_bytes}
                    self._store(k, name, size[name] if name in size else source.tensors[name], shared)
            for name in (*call.reads, *call.writes):
                self._use(k, name)
            if call.scratch:
                self.scratch.append((k, call.function))
                self._once(f"{k}/{call.function}()", call.scratch)
            if not (call.copy and shared):
                self.calls[-1].append(call)
            self._step += 1
        self._decide(k, stage)

    def _decide(self, k: int, stage: Stage) -> None:
        """The step at which the answers of this stage, and of those that it hears, are read."""
        self._said.append(self.storage[k, stage.probabilities])
        # all that are heard, and at a processor's end those that are handed over, which are among them
        for storage in self._said[-1 - stage.hears :]:
            self._extend(storage)
        if stage.hears or stage.outside >= {stage.input, stage.handover or ""}:
            self._once(f"{k}/heard()", 4 * stage.outputs)
        self._handed = self.storage.get((k, stage.handover or ""))
        if self._handed is not None:
            self._extend(self._handed)
        self._step += 1

    def _shared(self, k: int, stage: Stage, call: Call, i: int, last_read: Mapping[str, int]) -> str | None:
        """The storage of an input that the output may have, because nothing else needs it any more."""
        if any(name in stage.outside for name in call.writes):
            return None
        for name in call.over:
            storage = self.storage.get((k, name))
            if storage is None:
                continue
            mine = [n for (j, n), s in self.storage.items() if j == k and s == storage]
            free = max(last_read.get(n, -1) for n in mine) == i and stage.handover not in mine
            if free or (call.copy and stage.handover not in call.writes):
                return storage
        return None

    def _store(self, k: int, name: str, size: int, shared: str | None) -> None:
        storage = shared or f"{k}/{name}"
        self.storage[k, name] = storage
        self._bytes.setdefault(storage, size)
        self._used.setdefault(storage, (self._step, self._step))

    def _use(self, k: int, name: str) -> None:
        storage = self.storage.get((k, name))
        if storage is not None:
            self._extend(storage)

    def _extend(self, storage: str) -> None:
        self._used[storage] = self._used[storage][0], self._step

    def _once(self, storage: str, size: int) -> None:
        self._bytes[storage] = size
        self._used[storage] = self._step, self._step

    def buffers(self) -> list[Buffer]:
        return [Buffer(storage, size, *self._used[storage]) for storage, size in self._bytes.items()]
