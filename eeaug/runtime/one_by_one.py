"""Samples through a cascade one at a time: none waits for others, and nothing is made anew for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.bundle.entries import Thresholds
from eeaug.cascade.combining import logs, of_logs
from eeaug.cascade.output import Decision
from eeaug.cascade.predictions import Decisions
from eeaug.cascade.waiting import Rows
from eeaug.errors import EeaugError
from eeaug.frameworks import onnx_chain
from eeaug.frameworks.onnx_chain import ChainLink, StageFile
from eeaug.frameworks.onnx_session import Bound, bindable
from eeaug.frameworks.runners import Asked, Runner
from eeaug.runtime.hearing import Floats
from eeaug.runtime.journey import Stages

__all__ = ["Deciding", "Lane", "Lanes", "OneByOne"]

TOLERANCE = 1e-4  # by which a chain may say something else than its stages: rounding


class Lanes:
    """Lanes that no thread uses now, and what new ones are made of.

    ``opened``: files of the stages, which in ONNX Runtime may run as a chain (frameworks.onnx_chain)
    """

    def __init__(self, opened: Asked | None = None) -> None:
        self.free: list[Lane] = []
        self.links: list[ChainLink] | None = None
        self._opened, self._lock = opened, Lock()
        self._deciding: dict[Thresholds, Deciding] = {}

    def take(self, cascade: Stages, sessions: Sequence[Runner]) -> Lane:
        try:
            return self.free.pop()
        except IndexError:
            return Lane(cascade, sessions, self._chain(cascade, sessions))

    def deciding(self, cascade: Stages) -> Deciding:
        thresholds = cascade.thresholds
        if thresholds not in self._deciding:
            self._deciding[thresholds] = Deciding.of(cascade)
        return self._deciding[thresholds]

    def _chain(self, cascade: Stages, sessions: Sequence[Runner]) -> list[ChainLink]:
        """None of them where stages run as they are; they are tried on a sample, as files may not be joined."""
        with self._lock:
            if self.links is None:
                opened, sent = self._opened, [s.handover for s in cascade.stages if s.handover is not None]
                able = all(map(bindable, sessions)) and all(tensor.encoding is None for tensor in sent)
                self.links = self._tried(opened, cascade, sessions) if opened is not None and able else []
            return self.links

    def _tried(self, opened: Asked, cascade: Stages, sessions: Sequence[Runner]) -> list[ChainLink]:
        parts = [
            StageFile(
                opened.directory / stage.files["onnx"], stage.inputs, stage.probabilities,
                None if stage.handover is None else stage.handover.name,
            )
            for stage in cascade.stages
            if stage.probabilities is not None
        ]  # fmt: skip
        try:
            if not onnx_chain.possible(parts):
                return []
            links = onnx_chain.chained(parts, opened.cores)
            lanes = Lane(cascade, sessions, links), Lane(cascade, sessions, [])
            for k in range(len(links)):
                one, other = (lane.run(k) for lane in lanes)
                if not np.allclose(one, other, rtol=0, atol=TOLERANCE):
                    return []
        except (EeaugError, MemoryError):
            raise
        except Exception:  # whatever a converter, another version of it or of a runtime does not take
            return []
        return links


class Lane:
    """Arrays for one sample on its way through the stages, for one thread at a time.

    A stage writes what it hands over where the next one reads it. Its arrays are those of its first run, which
    Stages.stage has checked; sessions that cannot be bound run by that each time.
    """

    def __init__(self, cascade: Stages, sessions: Sequence[Runner], links: Sequence[ChainLink]) -> None:
        self._cascade, self._sessions, self._links = cascade, sessions, links
        row = cascade.stages[0].row
        self.input = np.zeros((1, *row.shape), np.float32)
        # of several inputs these are views: a row's parts are contiguous
        parts = row.split(self.input)
        self._given: list[Rows] = [tuple(parts.values())]
        self._arrays: dict[str, NDArray[Any]] = dict(parts)  # of links
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
        return self._first_of_link(k) if self._links else self._first(k)

    def _first_of_link(self, k: int) -> Floats:
        link = self._links[k]
        inputs = {name: self._arrays[name] for name in link.inputs}
        outputs = dict(
            zip(link.outputs, map(np.ascontiguousarray, link.session.run(link.outputs, inputs)), strict=True)
        )
        self._arrays.update(outputs)
        self._bound.append((Bound(link.session, inputs, outputs), outputs[link.outputs[0]]))
        return outputs[link.outputs[0]]

    def _first(self, k: int) -> Floats:
        session: Any = self._sessions[k]
        tensors = self._given[k]
        probabilities, onward = self._cascade.stage(k, *tensors)
        if not bindable(session):
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
class Deciding:
    """What decides after each stage: the least confidence that leaves (−∞ after the last), exponents of reuse."""

    decision: Decision
    least: tuple[np.float32, ...]
    weights: tuple[tuple[float, ...] | None, ...]

    @classmethod
    def of(cls, cascade: Stages) -> Deciding:
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

    Confidences at exits that samples pass are not kept. One of the ``lanes`` is taken, and given back at the end.
    """

    def __init__(self, cascade: Stages, sessions: Sequence[Runner], lanes: Lanes) -> None:
        self._deciding, self._lanes, self._lane = lanes.deciding(cascade), lanes, lanes.take(cascade, sessions)
        self._left: list[tuple[int, int, np.float32]] = []
        self._decided_by: list[Floats] = []

    def start(self, _: NDArray[np.intp] | None, x: Floats) -> None:
        """Run prepared samples (n, *input_shape), which come in the order of their numbers."""
        run, sample, given, left = self._lane.run, self._deciding.sample, self._lane.input[0], self._left
        decided_by = np.empty((len(x), self._deciding.decision.outputs), np.float32)
        for i, row in enumerate(x):
            given[...] = row
            k, code, sure, decided_by[i] = sample(run)
            left.append((k, code, sure))
        self._decided_by.append(decided_by)

    def advance(self) -> None:
        """Nothing waits for a server."""

    def finished(self) -> tuple[Decisions, Floats]:
        """The decisions on all, and the probabilities (n, outputs) that they were made by."""
        self._lanes.free.append(self._lane)
        exits, predicted, confidence = zip(*self._left, strict=True) if self._left else ((), (), ())
        p = self._decided_by or [np.zeros((0, self._deciding.decision.outputs), np.float32)]
        decisions = Decisions(
            np.array(exits, np.intp), np.array(predicted, np.intp), np.array(confidence, np.float32), ()
        )
        return decisions, p[0] if len(p) == 1 else np.concatenate(p)
