"""Samples on their way through a cascade."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from eeaug.bundle.entries import StageEntry, Thresholds
from eeaug.cascade.output import SOMETHING, Decision
from eeaug.cascade.predictions import Decisions
from eeaug.cascade.waiting import Rows, Waiting
from eeaug.errors import ConversionError
from eeaug.runtime.far import Far, FarAnswer
from eeaug.runtime.hearing import Floats, hearing
from eeaug.runtime.server import Unanswered

__all__ = ["Journey", "Stages"]

AT_ONCE = 16  # requests of a journey that are under way when more samples come in
PATIENCE = 0.1  # share of the deadline that a sample may wait until a request is full


class Stages(Protocol):
    """Stages that can be run, and what decides; see cascade.Cascade."""

    @property
    def decision(self) -> Decision: ...

    @property
    def stages(self) -> Sequence[StageEntry]: ...

    @property
    def thresholds(self) -> Thresholds: ...

    @property
    def blank(self) -> bool: ...

    @property
    def far(self) -> Far | None: ...

    def stage(self, k: int, *tensors: NDArray[Any]) -> tuple[Floats, Rows]: ...

    def returned(self, *tensors: NDArray[Any]) -> dict[str, NDArray[Any]]: ...


@dataclass(frozen=True)
class _Asked:
    """Samples whose next stages are on a server: numbers (n,), what was sent, earlier probabilities."""

    future: Future[FarAnswer]
    k: int
    rows: NDArray[np.intp]
    tensors: Rows
    answers: tuple[Floats, ...]


class Journey:
    """Samples on their way through a cascade.

    Those that go on wait before the next stage until there are ``batch`` of them, so that no stage ever runs on a
    few left over of each batch: short runs cost more for each sample. One buffer per stage, one copy per hand-over.
    Requests to a server go on while stages here compute; answers are taken in the order of asking.
    """

    def __init__(self, cascade: Stages, batch: int) -> None:
        self.cascade, self.batch = cascade, batch
        self.far = cascade.far
        count = len(cascade.stages)
        self._waiting = [Waiting(batch) for _ in range(count)]
        # samples that left at each run of a stage: their numbers, the stage, classes, confidences, probabilities
        self._left: list[tuple[NDArray[np.intp], int, NDArray[np.int64], Floats, Floats]] = []
        self._reached: list[list[Floats]] = [[] for _ in range(count)]
        self._given: list[tuple[NDArray[np.intp], dict[str, NDArray[Any]]]] = []
        self._asked: deque[_Asked] = deque()
        self._fallback: list[NDArray[np.intp]] = []
        self._unanswered: str | None = None
        self._began = 0.0  # when the piece that runs came in
        self._oldest: dict[int, float] = {}  # by stage on a server: when the first that waits came in

    def start(self, numbers: NDArray[np.intp], x: Floats) -> None:
        """Queue prepared samples for the first stage."""
        self._began = time.monotonic()
        self.push(0, None, numbers, *self.cascade.stages[0].row.split(x).values())
        if self.far is not None:
            for k, since in list(self._oldest.items()):
                if time.monotonic() - since > PATIENCE * self.far.deadline_s:
                    self._ask(k, *self._waiting[k].take())
            while len(self._asked) > AT_ONCE:
                wait([self._asked[0].future])
                self._take_answers()
            self._take_answers()

    def push(self, k: int, on: NDArray[np.intp] | None, *arrays: NDArray[Any]) -> None:
        """Queue samples for stage k, and run full batches: arrays of their numbers, tensors, earlier probabilities.

        ``on``: only these rows of the arrays; None: all.
        """
        if self._is_far(k) and len(arrays[0] if on is None else on):
            self._oldest.setdefault(k, self._began)
        for full in self._waiting[k].add(on, arrays):
            self._go_on(k, *full)
        if self._is_far(k) and self._waiting[k].count:
            self._oldest.setdefault(k, self._began)

    def advance(self) -> Future[FarAnswer] | None:
        """Do all that need not wait for a server; the answer that must come next, None: all is done."""
        self._take_answers()
        for k, waiting in enumerate(self._waiting):
            if self._asked and self._asked[0].k < k:
                break  # what comes back may go through these stages, too
            if waiting.count:
                self._go_on(k, *waiting.take())
        return self._asked[0].future if self._asked else None

    def finished(self) -> tuple[Decisions, Floats]:
        """Run what still waits; the decisions on all, and the probabilities (n, outputs) that they were made by."""
        while (awaited := self.advance()) is not None:
            wait([awaited])
        n = sum(len(rows) for rows, *_ in self._left)
        exits, predicted, confidence = np.zeros(n, np.intp), np.zeros(n, np.intp), np.zeros(n, np.float32)
        p = np.zeros((n, self.cascade.decision.outputs), np.float32)
        for rows, k, chosen, sure, decided_by in self._left:
            exits[rows], predicted[rows], confidence[rows], p[rows] = k, chosen, sure, decided_by
        reached = tuple(np.concatenate([np.zeros(0, np.float32), *parts]) for parts in self._reached)
        fallback = None
        if self.far is not None:
            fallback = np.zeros(n, np.bool_)
            for rows in self._fallback:
                fallback[rows] = True
        return Decisions(exits, predicted, confidence, reached, fallback, self._unanswered), p

    def _is_far(self, k: int) -> bool:
        """Whether stage ``k`` begins a run of stages on a server."""
        return self.far is not None and k in self.far.runs

    def _go_on(self, k: int, rows: NDArray[np.intp], *arrays: NDArray[Any]) -> None:
        (self._ask if self._is_far(k) else self._run)(k, rows, *arrays)

    def _run(self, k: int, rows: NDArray[np.intp], *arrays: NDArray[Any]) -> None:
        cascade = self.cascade
        given = len(cascade.stages[k].row.names)
        if cascade.blank and k == len(cascade.stages) - 1:
            self._end(k, rows.copy(), cascade.returned(*arrays[:given]), *arrays[given:])
            return
        probabilities, onward = cascade.stage(k, *arrays[:given])
        answers = (*arrays[given:], probabilities)
        on = self._decide(k, rows, answers)
        if onward:
            self.push(k + 1, on, rows, *onward, *answers)

    def _decide(self, k: int, rows: NDArray[np.intp], answers: tuple[Floats, ...]) -> NDArray[np.intp]:
        """Let go what stage k is sure of; which of these rows go on."""
        decision, stage = self.cascade.decision, self.cascade.stages[k]
        decided_by = hearing(decision, stage, answers)
        sure, chosen = decision.answers(decided_by)
        self._reached[k].append(sure)
        if stage.handover is None:
            leaves = np.ones(len(sure), bool)
        elif (threshold := self.cascade.thresholds[k]) is None:
            leaves = np.zeros(len(sure), bool)
        else:
            leaves = sure >= np.float32(threshold)
        self._left.append((rows[leaves], k, chosen[leaves], sure[leaves], decided_by[leaves]))
        return np.flatnonzero(~leaves)

    def _ask(self, k: int, rows: NDArray[np.intp], *arrays: NDArray[Any]) -> None:
        """Send samples to the server that runs stage k; buffers are used again, so what is sent is a copy.

        Answers are not taken here: who asks may stand within a buffer that answers would fill again.
        """
        assert self.far is not None
        given = len(self.cascade.stages[k].row.names)
        tensors, answers = tuple(a.copy() for a in arrays[:given]), tuple(a.copy() for a in arrays[given:])
        within_s = self._oldest.pop(k, self._began) + self.far.deadline_s - time.monotonic()
        self._asked.append(_Asked(self.far.ask(k, tensors, within_s), k, rows.copy(), tensors, answers))

    def _take_answers(self) -> None:
        """Go on with all whose answers are here, or did not come in time."""
        while self._asked and self._asked[0].future.done():
            asked = self._asked.popleft()
            try:
                answer = asked.future.result()
            except Unanswered as error:
                self._fall_back(asked, error)
                continue
            self._answered(asked, answer)

    def _answered(self, asked: _Asked, answer: FarAnswer) -> None:
        k, rows, answers = asked.k, asked.rows, asked.answers
        here = np.arange(len(rows))  # of the rows that were sent
        for probabilities in answer.probabilities:
            answers = (*answers, probabilities[here])
            on = self._decide(k, rows, answers)
            rows, here, answers = rows[on], here[on], tuple(a[on] for a in answers)
            k += 1
        if answer.handover is not None and len(rows):
            last = self.cascade.stages[k - 1]
            sent = dict(zip(self.cascade.stages[asked.k].row.names, asked.tensors, strict=True))
            passed = (sent[tensor.name][here] for tensor in last.passed)
            self.push(k, None, rows, answer.handover[here], *passed, *answers)

    def _fall_back(self, asked: _Asked, error: Unanswered) -> None:
        """What the last classifier before the server said stands."""
        k = asked.k - 1
        if k < 0:
            raise ConversionError(
                f"{error}; no stage of this bundle runs before the server, so nothing here can answer instead"
            ) from error
        decided_by = hearing(self.cascade.decision, self.cascade.stages[k], asked.answers)
        sure, chosen = self.cascade.decision.answers(decided_by)
        self._left.append((asked.rows, k, chosen, sure, decided_by))
        self._fallback.append(asked.rows)
        self._unanswered = str(error)

    def _end(self, k: int, rows: NDArray[np.intp], outputs: dict[str, NDArray[Any]], *before: NDArray[Any]) -> None:
        """What a model that may be any gives of samples that no exit has let go."""
        self._given.append((rows, outputs))
        sure = np.ones(len(rows), np.float32)
        self._reached[k].append(sure)
        p = before[-1].copy() if before else sure[:, None]
        self._left.append((rows, k, np.full(len(rows), SOMETHING, np.int64), sure, p))

    def given(self) -> tuple[NDArray[np.intp], dict[str, NDArray[Any]]]:
        """Their numbers, ascending, and these outputs; see Predictions."""
        rows = np.concatenate([np.zeros(0, np.intp), *(rows for rows, _ in self._given)])
        order = np.argsort(rows)
        none = {each.name: np.zeros((0, *each.shape), each.dtype) for each in self.cascade.stages[-1].returns}
        every = [none, *(outputs for _, outputs in self._given)]
        return rows[order], {name: np.concatenate([outputs[name] for outputs in every])[order] for name in none}
