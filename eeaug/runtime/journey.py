"""Samples on their way through a cascade."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from eeaug.bundle.entries import StageEntry, Thresholds
from eeaug.cascade.output import SOMETHING, Decision
from eeaug.cascade.predictions import Decisions
from eeaug.cascade.waiting import Rows, Waiting
from eeaug.runtime.hearing import Floats, hearing

__all__ = ["Journey", "Stages"]


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

    def stage(self, k: int, *tensors: NDArray[Any]) -> tuple[Floats, Rows]: ...

    def returned(self, *tensors: NDArray[Any]) -> dict[str, NDArray[Any]]: ...


class Journey:
    """Samples on their way through a cascade.

    Those that go on wait before the next stage until there are ``batch`` of them, so that no stage ever runs on a
    few left over of each batch: short runs cost more for each sample. One buffer per stage, one copy per hand-over.
    """

    def __init__(self, cascade: Stages, batch: int) -> None:
        self.cascade, self.batch = cascade, batch
        count = len(cascade.stages)
        self._waiting = [Waiting(batch) for _ in range(count)]
        # samples that left at each run of a stage: their numbers, the stage, classes, confidences, probabilities
        self._left: list[tuple[NDArray[np.intp], int, NDArray[np.int64], Floats, Floats]] = []
        self._reached: list[list[Floats]] = [[] for _ in range(count)]
        self._given: list[tuple[NDArray[np.intp], dict[str, NDArray[Any]]]] = []

    def start(self, numbers: NDArray[np.intp], x: Floats) -> None:
        """Queue prepared samples for the first stage."""
        self.push(0, None, numbers, *self.cascade.stages[0].row.split(x).values())

    def push(self, k: int, on: NDArray[np.intp] | None, *arrays: NDArray[Any]) -> None:
        """Queue samples for stage k, and run full batches: arrays of their numbers, tensors, earlier probabilities.

        ``on``: only these rows of the arrays; None: all.
        """
        for full in self._waiting[k].add(on, arrays):
            self._run(k, *full)

    def finished(self) -> tuple[Decisions, Floats]:
        """Run what still waits; the decisions on all, and the probabilities (n, outputs) that they were made by."""
        for k, waiting in enumerate(self._waiting):
            if waiting.count:
                self._run(k, *waiting.take())
        n = sum(len(rows) for rows, *_ in self._left)
        exits, predicted, confidence = np.zeros(n, np.intp), np.zeros(n, np.intp), np.zeros(n, np.float32)
        p = np.zeros((n, self.cascade.decision.outputs), np.float32)
        for rows, k, chosen, sure, decided_by in self._left:
            exits[rows], predicted[rows], confidence[rows], p[rows] = k, chosen, sure, decided_by
        reached = tuple(np.concatenate([np.zeros(0, np.float32), *parts]) for parts in self._reached)
        return Decisions(exits, predicted, confidence, reached), p

    def _run(self, k: int, rows: NDArray[np.intp], *arrays: NDArray[Any]) -> None:
        cascade = self.cascade
        given = len(cascade.stages[k].row.names)
        if cascade.blank and k == len(cascade.stages) - 1:
            self._end(k, rows.copy(), cascade.returned(*arrays[:given]), *arrays[given:])
            return
        probabilities, onward = cascade.stage(k, *arrays[:given])
        answers = (*arrays[given:], probabilities)
        decided_by = hearing(cascade.decision, cascade.stages[k], answers)
        sure, chosen = cascade.decision.answers(decided_by)
        self._reached[k].append(sure)
        threshold = cascade.thresholds[k] if onward else None
        if not onward:
            leaves = np.ones(len(sure), bool)
        elif threshold is None:
            leaves = np.zeros(len(sure), bool)
        else:
            leaves = sure >= np.float32(threshold)
        self._left.append((rows[leaves], k, chosen[leaves], sure[leaves], decided_by[leaves]))
        if onward:
            self.push(k + 1, np.flatnonzero(~leaves), rows, *onward, *answers)

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
