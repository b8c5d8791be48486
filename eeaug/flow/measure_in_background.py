"""A part of the data through a cascade while something else is done: ONNX Runtime computes without the interpreter,
and what writes and reads back files hardly leaves it, so that together they keep two cores busy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from threading import Event
from typing import Any

from numpy.typing import NDArray

from eeaug.cascade.outcomes import Outcomes
from eeaug.frameworks.runners import Runner
from eeaug.runtime import Cascade
from eeaug.support.progress import tell, told_to

__all__ = ["Alongside"]

LOOK_S = 0.5  # between looks how far it is


class Alongside:
    """Opens a cascade and measures from the beginning of a ``with`` block on; when the block is left, nothing of it
    runs any more.

    Parameters
    ----------
    measure : a cascade's outcomes on the part; None: there is no such part
    load : opens the cascade
    threads : if there is only one, it measures when the outcomes are asked for
    """

    def __init__(
        self, measure: Callable[[Cascade], Outcomes] | None, load: Callable[[], Cascade], threads: int
    ) -> None:
        self._measure, self._load, self._threads = measure, load, threads
        self._stop, self._pool = Event(), ThreadPoolExecutor(1)
        self._done = 0, 0  # samples, and of how many

    def __enter__(self) -> Alongside:
        self._loaded: Future[Cascade] = self._pool.submit(self._load)
        self._outcomes: Future[Outcomes | None] | None = None
        if self._threads > 1:
            self._outcomes = self._pool.submit(self._measured_there)
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._pool.shutdown()

    def cascade(self) -> Cascade:
        """Waits until it is open; may be run while it is measured. Raises what ``load`` raises."""
        return self._loaded.result()

    def outcomes(self) -> Outcomes | None:
        """Waits for them; None if there is no such part. Raises what ``load`` and ``measure`` raise.

        The step at work is told how far they are.
        """
        if self._outcomes is None:
            return self._run()
        while not wait([self._outcomes], LOOK_S).done:
            tell(*self._done)
        return self._outcomes.result()

    def _measured_there(self) -> Outcomes | None:
        """In the other thread, where no step is at work."""

        def note(done: int, of: int) -> None:
            self._done = done, of

        with told_to(note):
            return self._run()

    def _run(self) -> Outcomes | None:
        cascade = self.cascade()
        if self._measure is None:
            return None
        sessions = tuple(_Stoppable(session, self._stop) for session in cascade.sessions)
        return self._measure(replace(cascade, sessions=sessions))


class _Stopped(Exception):
    """Nobody waits for what is measured."""


@dataclass(frozen=True)
class _Stoppable:
    runner: Runner
    stop: Event

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        if self.stop.is_set():
            raise _Stopped
        return self.runner.run(outputs, inputs)
