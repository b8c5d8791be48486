"""In which order a processor's stages compute, and where in its one arena every tensor lies meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from eeaug.export.c import arena
from eeaug.export.c.arena import Buffer
from eeaug.export.c.onnx_source import FunctionCall, StageCode
from eeaug.network import schedule

__all__ = ["MemoryPlan", "PlannedStage", "plan"]


@dataclass(frozen=True)
class PlannedStage:
    """One stage of a processor.

    ``heard_bytes``: of what is decided by, where that is not what the classifier says; None: as many as it says.
    ``received``: its input lies outside of the arena; ``sent``: its hand-over does. ``hears``: how many classifiers
    before it on this processor its decision uses; ``combines``: it uses any.
    """

    source: StageCode
    received: bool
    sent: bool
    input_bytes: int
    probabilities_bytes: int
    handover_bytes: int
    hears: int
    combines: bool
    heard_bytes: int | None = None

    @property
    def input(self) -> str:
        return self.source.outside[0]

    @property
    def probabilities(self) -> str:
        return self.source.outside[1]

    @property
    def handover(self) -> str | None:
        return self.source.outside[2] if len(self.source.outside) > 2 else None

    @property
    def outside(self) -> set[str]:
        """Names of tensors that are not in the arena."""
        received = {self.input} if self.received else set()
        return {*received, *self.source.besides} | ({self.handover or ""} if self.sent else set())


@dataclass(frozen=True)
class MemoryPlan:
    """A processor's arena.

    Parameters
    ----------
    calls : per stage, those that are left, in order
    offsets : per stage, of its tensors in the arena by name, in bytes
    scratch : per stage, of the scratch memory of calls that need some, by function
    probabilities : per stage, the offset of what its classifier says
    heard : per stage, the offset of what that becomes with earlier ones; None where it decides alone
    handovers : per stage, the offset of its hand-over; None where it is sent to another processor, or there is none
    bytes : of the arena; no layout of these lives could have fewer than ``least``
    """

    calls: tuple[tuple[FunctionCall, ...], ...]
    offsets: tuple[Mapping[str, int], ...]
    scratch: tuple[Mapping[str, int], ...]
    probabilities: tuple[int, ...]
    heard: tuple[int | None, ...]
    handovers: tuple[int | None, ...]
    bytes: int
    least: int


def plan(stages: Sequence[PlannedStage]) -> MemoryPlan:
    """One arena for stages that run one after the other on one processor, hand-overs between them included."""
    ordered = [replace(stage, source=_ordered(stage)) for stage in stages]
    timeline = _Timeline()
    for k, stage in enumerate(ordered):
        timeline.run(k, stage)
    buffers = timeline.buffers()
    layout = arena.layout(buffers)
    offsets: list[dict[str, int]] = [{} for _ in ordered]
    for (k, name), storage in timeline.storage.items():
        offsets[k][name] = layout.offsets[storage]
    scratch: list[dict[str, int]] = [{} for _ in ordered]
    for k, function in timeline.scratch:
        scratch[k][function] = layout.offsets[f"{k}/{function}()"]
    return MemoryPlan(
        calls=tuple(tuple(calls) for calls in timeline.calls),
        offsets=tuple(offsets),
        scratch=tuple(scratch),
        probabilities=tuple(mine[stage.probabilities] for mine, stage in zip(offsets, ordered, strict=True)),
        heard=tuple(layout.offsets.get(f"{k}/heard()") for k in range(len(ordered))),
        handovers=tuple(mine.get(stage.handover or "") for mine, stage in zip(offsets, ordered, strict=True)),
        bytes=layout.bytes,
        least=arena.lower_bound(buffers),
    )


def _ordered(stage: PlannedStage) -> StageCode:
    source = stage.source
    sizes = dict(source.tensors)
    for name, size in ((stage.input, stage.input_bytes), (stage.handover, stage.handover_bytes)):
        if name is not None and name not in stage.outside:
            sizes[name] = size
    order, _ = schedule.order(source.calls, sizes, {stage.handover or ""})
    return replace(source, calls=tuple(source.calls[i] for i in order))


class _Timeline:
    """Steps of all stages one after the other; which tensors share a storage, and when each is in use.

    A tensor is (stage, name). The input of a stage after the first is the hand-over of the stage before.
    """

    def __init__(self) -> None:
        self.calls: list[list[FunctionCall]] = []
        self.storage: dict[tuple[int, str], str] = {}
        self.scratch: list[tuple[int, str]] = []
        self._bytes: dict[str, int] = {}
        self._used: dict[str, tuple[int, int]] = {}
        self._step = 0
        self._probabilities: list[str] = []
        self._handed: str | None = None

    def run(self, k: int, stage: PlannedStage) -> None:
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
                    size = {stage.probabilities: stage.probabilities_bytes, stage.handover: stage.handover_bytes}
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

    def _decide(self, k: int, stage: PlannedStage) -> None:
        """The step at which the answers of this stage, and of those that it hears, are read."""
        self._probabilities.append(self.storage[k, stage.probabilities])
        for storage in self._probabilities[-1 - stage.hears :]:
            self._extend(storage)
        if stage.combines:
            self._once(f"{k}/heard()", stage.heard_bytes or stage.probabilities_bytes)
        self._handed = self.storage.get((k, stage.handover or ""))
        if self._handed is not None:
            self._extend(self._handed)
        self._step += 1

    def _shared(
        self, k: int, stage: PlannedStage, call: FunctionCall, i: int, last_read: Mapping[str, int]
    ) -> str | None:
        """The storage of an input that the output may have, because nothing else needs it any more."""
        if any(name in stage.outside for name in call.writes):
            return None
        for name in call.over:
            storage = self.storage.get((k, name))
            if storage is None:
                continue
            mine = {n for (j, n), s in self.storage.items() if j == k and s == storage}
            kept = mine & {stage.handover, stage.probabilities}
            if call.copy or (max(last_read.get(n, -1) for n in mine) == i and not kept):
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
