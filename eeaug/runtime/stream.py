"""Streams: samples that follow each other, many streams side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.errors import InputError
from eeaug.runtime.hearing import Floats, hearing
from eeaug.runtime.journey import Stages
from eeaug.streams.rules import Heard, Rule, State, begin, bytes_of

__all__ = ["Pushed", "Stream"]

AT_ONCE = 256  # streams whose samples are in memory at once


@dataclass(frozen=True)
class Pushed:
    """What is said of one sample of each of n streams.

    Parameters
    ----------
    classes : int (n,), numbers of the classes
    names : n names of these
    exits : int (n,), the stage at whose end each left, from 0; the last one is the model's own output
    remembered : bool (n,), whether it left there because of samples before
    """

    classes: NDArray[np.int64]
    names: tuple[str, ...]
    exits: NDArray[np.intp]
    remembered: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.exits)


class Stream:
    """``streams`` streams, whose states lie in arrays side by side; all begin as after :meth:`reset`.

    Made by :meth:`eeaug.runtime.Cascade.stream`. ``checked`` makes samples (n, ...) as they were given those that
    stages take; ``batch``: how many of them a stage runs at once.
    """

    def __init__(
        self, cascade: Stages, rule: Rule, streams: int, classes: tuple[str, ...],
        checked: Callable[[Any, bool], Floats], batch: int,
    ) -> None:  # fmt: skip
        if streams < 1:
            raise InputError(f"streams: must be 1 or more, given {streams}")
        self.cascade, self.rule, self.streams, self.classes = cascade, rule, streams, classes
        self._checked, self._batch = checked, batch
        self._exits, self._outputs = len(cascade.stages) - 1, cascade.decision.outputs
        self._state = self._begun(streams)

    def _begun(self, streams: int) -> State:
        return begin(self.rule, (streams,), self._exits, self._outputs)

    @property
    def state_bytes(self) -> int:
        """Of the state of one stream, as C has it."""
        return bytes_of(self.rule, self._exits, self._outputs)

    def reset(self, which: NDArray[np.integer] | None = None) -> None:
        """Forget what was before, as at a gap: of the streams of these numbers; None: of all."""
        rows = self._rows(which)
        for name, first in self._begun(len(rows)).items():
            self._state[name][rows] = first

    def push(self, x: Any, which: NDArray[np.integer] | None = None, *, prepared: bool = False) -> Pushed:
        """The next sample of every stream.

        Parameters
        ----------
        x : (n, *input_shape), as ``Cascade.predict`` takes samples: one for each stream
        which : (n,), numbers of the streams that they are of, each once; None: of all streams, in order
        prepared : the bundle's preprocessing has been applied already

        Raises
        ------
        InputError : samples of another shape or number, of no real numbers, or not finite; no state has changed
        """
        rows, samples = self._rows(which), self._checked(x, prepared)
        if len(samples) != len(rows):
            raise InputError(f"one sample for each of {len(rows)} streams is wanted, given {len(samples)}")
        pieces = [
            self._pushed(rows[i : i + AT_ONCE], samples[i : i + AT_ONCE]) for i in range(0, len(rows), AT_ONCE)
        ]
        classes, exits, remembered = (np.concatenate(each) for each in zip(*pieces, strict=True))
        return Pushed(classes, tuple(self.classes[c] for c in classes), exits, remembered)

    def _rows(self, which: NDArray[np.integer] | None) -> NDArray[np.intp]:
        if which is None:
            return np.arange(self.streams)
        rows = np.asarray(which)
        right = rows.ndim == 1 and rows.dtype.kind in "iu" and len(rows) and len(np.unique(rows)) == len(rows)
        if not right or rows.min() < 0 or rows.max() >= self.streams:
            raise InputError(f"which: must be numbers of streams from 0 to {self.streams - 1}, each once")
        return rows.astype(np.intp)

    def _pushed(
        self, rows: NDArray[np.intp], x: Floats
    ) -> tuple[NDArray[np.int64], NDArray[np.intp], NDArray[np.bool_]]:
        cascade, n = self.cascade, len(rows)
        state = {name: values[rows] for name, values in self._state.items()}
        exits, remembered, answer = np.full(n, self._exits, np.intp), np.zeros(n, bool), np.zeros(n, np.int64)
        going, tensors = np.arange(n), tuple(cascade.stages[0].row.split(x).values())
        said: tuple[Floats, ...] = ()
        for k, stage in enumerate(cascade.stages):
            p, onward = self._run(k, tensors)
            said = (*said, p)
            sure, predicted = cascade.decision.answers(hearing(cascade.decision, stage, said))
            if k == self._exits:
                answer[going] = predicted
                break
            on = np.zeros(n, bool)
            on[going] = True
            heard = Heard(_spread(sure, going, n), _spread(predicted, going, n), None if k else p)
            leaving = self.rule.leaves(k, heard, state, on)
            left = leaving.sure | leaving.remembered
            exits[left], remembered[left] = k, leaving.remembered[left]
            np.copyto(answer, leaving.answer, where=left)
            stay = ~left[going]
            going = going[stay]
            if not len(going):
                break
            tensors, said = tuple(t[stay] for t in onward), tuple(each[stay] for each in said)
        answer = np.asarray(self.rule.settled(answer, remembered, state, np.ones(n, bool)), np.int64)
        for name, values in state.items():
            self._state[name][rows] = values
        return answer, exits, remembered

    def _run(self, k: int, tensors: tuple[NDArray[Any], ...]) -> tuple[Floats, tuple[NDArray[Any], ...]]:
        """Probabilities and hand-over of stage ``k``, in batches."""
        pieces = [
            self.cascade.stage(k, *(tensor[i : i + self._batch] for tensor in tensors))
            for i in range(0, len(tensors[0]), self._batch)
        ]
        onward = zip(*(handed for _, handed in pieces), strict=True)
        return np.concatenate([p for p, _ in pieces]), tuple(np.concatenate(each) for each in onward)


def _spread(values: NDArray[Any], on: NDArray[np.intp], n: int) -> NDArray[Any]:
    """Of n lanes, those ``on``; the others are never looked at."""
    spread = np.zeros(n, values.dtype)
    spread[on] = values
    return spread
