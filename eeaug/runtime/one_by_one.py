"""Samples through a cascade one at a time: none waits for others, and nothing is made anew for each."""

from __future__ import annotations

from collections.abc import Callable, MutableSequence, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.combining import logs, of_logs
from eeaug.cascade.output import Decision
from eeaug.cascade.predictions import Decisions
from eeaug.cascade.waiting import Rows
from eeaug.frameworks.onnx_session import Bound
from eeaug.frameworks.runners import Runner
from eeaug.runtime.hearing import Floats
from eeaug.runtime.journey import Stages

__all__ = ["Lane", "OneByOne", "Plan"]


class Lane:
    """Arrays for one sample on its way through the stages, for one thread at a time.

    A stage writes what it hands over where the next one reads it. Its arrays are those of its first run, which
    Stages.stage has checked; sessions that cannot be bound run by that each time.
    """

    def __init__(self, cascade: Stages, sessions: Sequence[Runner]) -> None:
        self._cascade, self._sessions = cascade, sessions
        self.input = np.zeros((1, *cascade.stages[0].row.shape), np.float32)
        # of several inputs these are views: a row's parts are contiguous
        self._given: list[Rows] = [tuple(cascade.stages[0].row.split(self.input).values())]
        self._bound: list[tuple[Bound, Floats]] = []
        self._encodings = [None if s.handover is None else s.handover.encoding for s in cascade.stages]

    def run(self, k: int) -> Floats:
        """Stage ``k`` after those before it: its probabilities (1, outputs), valid until its next run."""
        if 0 < k <= len(self._bound) and (encoding := self._encodings[k - 1]) is not None:
            sent = self._given[k][0]
            np.copyto(sent, encoding.received(sent))
        if k < len(self._bound):
            bound, probabilities = self._bound[k]
            bound.run()
            return probabilities
        session: Any = self._sessions[k]
        tensors = self._given[k]
        probabilities, onward = self._cascade.stage(k, *tensors)
        if not hasattr(session, "io_binding"):
            self._given[k + 1 :] = [onward]
            return probabilities
        stage = self._cascade.stages[k]
        probabilities, *handed = map(np.ascontiguousarray, (probabilities, *onward))
        self._given.append(tuple(handed))
        inputs = {name: x for name, x in zip(stage.row.names, tensors, strict=True) if name in stage.inputs}
        outputs = dict(zip(stage.outputs, (probabilities, *handed), strict=False))  # what passes by is no output
        self._bound.append((Bound(session, inputs, outputs), probabilities))
        return probabilities


@dataclass(frozen=True)
class Plan:
    """What decides after each stage: the least confidence that leaves (−∞ after the last), exponents of reuse."""

    decision: Decision
    least: tuple[np.float32, ...]
    weights: tuple[tuple[float, ...] | None, ...]

    @classmethod
    def of(cls, cascade: Stages) -> Plan:
        least = [np.float32(np.inf if t is None else t) for t in cascade.thresholds]
        return cls(cascade.decision, (*least, np.float32(-np.inf)), tuple(stage.reuse for stage in cascade.stages))

    def sample(self, run: Callable[[int], Floats]) -> tuple[int, int, np.float32, Floats]:
        """Where a sample leaves, its class and confidence, and the probabilities (1, outputs) that decided.

        ``run`` gives the probabilities of a stage, which is asked for after those before it.
        """
        decision = self.decision
        answers: list[Floats] = []
        heard: list[Floats] = []  # logs of the first of them
        for k, least in enumerate(self.least):
            said = run(k)
            answers.append(said)
            if k and (weights := self.weights[k]):
                heard += [logs(each, decision) for each in answers[len(heard) :]]
                said = of_logs(heard, weights, decision)
            sure, code = decision.answer(said)
            if sure >= least:
                return k, code, sure, said
        return k, code, sure, said  # a confidence that is no number leaves last


class OneByOne:
    """A journey (see there) of samples that run through all their stages before the next one begins.

    Confidences at exits that samples pass are not kept. ``free``: lanes that no thread uses now; one is taken, and
    given back at the end.
    """

    def __init__(
        self, cascade: Stages, sessions: Sequence[Runner], plan: Plan, free: MutableSequence[Lane]
    ) -> None:
        self._plan, self._free = plan, free
        try:
            self._lane = free.pop()
        except IndexError:
            self._lane = Lane(cascade, sessions)
        self._left: list[tuple[int, int, np.float32]] = []
        self._decided_by: list[Floats] = []

    def start(self, _: NDArray[np.intp] | None, x: Floats) -> None:
        """Run prepared samples (n, *input_shape), which come in the order of their numbers."""
        run, sample, given, left = self._lane.run, self._plan.sample, self._lane.input[0], self._left
        decided_by = np.empty((len(x), self._plan.decision.outputs), np.float32)
        for i, row in enumerate(x):
            given[...] = row
            k, code, sure, decided_by[i] = sample(run)
            left.append((k, code, sure))
        self._decided_by.append(decided_by)

    def advance(self) -> None:
        """Nothing waits for a server."""

    def finished(self) -> tuple[Decisions, Floats]:
        """The decisions on all, and the probabilities (n, outputs) that they were made by."""
        self._free.append(self._lane)
        exits, predicted, confidence = zip(*self._left, strict=True) if self._left else ((), (), ())
        p = self._decided_by or [np.zeros((0, self._plan.decision.outputs), np.float32)]
        decisions = Decisions(
            np.array(exits, np.intp), np.array(predicted, np.intp), np.array(confidence, np.float32), ()
        )
        return decisions, p[0] if len(p) == 1 else np.concatenate(p)
