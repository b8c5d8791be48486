"""Work on the workers of a Dask cluster that is already there: shards of the one pass, and what reads features.

What goes there is numbers and descriptions of heads, by functions of eeaug that the worker has itself: no Keras
model and no code of a user. A task whose worker dies is given to another one; tasks that are done stay done.
"""

from __future__ import annotations

import logging
import platform
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from errno import ENOSPC
from hashlib import sha256
from importlib import metadata
from importlib.metadata import version
from itertools import islice
from math import prod
from pathlib import Path
from threading import Lock
from time import sleep
from typing import Any

from eeaug.errors import EeaugError
from eeaug.features import shards, shelf
from eeaug.features.shelf import Column, Shelf
from eeaug.settings import Contradiction

__all__ = ["Cluster", "workers"]

TIMEOUT_S = 10
AHEAD = 2  # shards for each worker thread, running or queued
RETRIES = 3
PIECE_BYTES = 1 << 23  # of a file on its way to a worker
SAME = ("eeaug", "onnxruntime", "numpy", "scipy", "tensorflow", "keras")  # whose versions decide the values
HOUSE = Path(__file__).parents[1]
BEGINNING, ALONE = Lock(), Lock()  # of a worker's process

Task = tuple[Any, tuple[Any, ...], Mapping[str, Any]]


class Unwanted(Exception):
    """Ends a task on a worker that nobody waits for any more."""


@dataclass(frozen=True)
class Lacks:
    """What a task that reads features says if its worker cannot read them all."""

    worker: str
    columns: tuple[Column, ...]


@contextmanager
def workers(
    address: str | None, begin: Callable[[], object], caution: Callable[[str], None]
) -> Iterator[Cluster | None]:
    """Connect to the scheduler at ``address``; None for None.

    ``begin``: what a worker does before it trains; it must be a function that can be imported there, or a partial
    of one. ``caution`` gets what may make values differ from those of a run without workers.

    Raises
    ------
    Contradiction : nothing answers there, it has no workers, or other versions than here
    """
    if address is None:
        yield None
        return
    try:
        from distributed import Client, Security
    except ImportError as error:
        raise Contradiction("{dask} needs the extra: pip install 'eeaug[distributed]'") from error
    if address.startswith("tls://"):
        try:
            secured = Security().get_connection_args("client").get("ssl_context") is not None
        except (OSError, ValueError) as error:
            raise Contradiction("{dask}: {0}", f"its certificates: {error}", dask=address) from error
        if not secured:
            missing = "certificates are missing in Dask's configuration, distributed.comm.tls"
            raise Contradiction("{dask}: {0}", missing, dask=address)
    try:
        client = Client(address, timeout=TIMEOUT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise Contradiction("{dask}: no Dask scheduler answers there", dask=address) from error
    with _quiet("distributed.client"), client:
        there = _checked(address, client)
        others = [
            worker for worker, one in client.run(_processor, on_error="return").items() if one != _processor()
        ]
        if others:
            caution(
                f"--dask: {len(others)} of {len(there)} workers have another processor than this machine "
                f"({others[0]}): last bits of heads may differ from those of a run without it"
            )
        begun = {
            worker: client.submit(_begun, begin, workers=[worker], allow_other_workers=True, pure=False)
            for worker in there
        }
        yield Cluster(client, address, begin, begun)


@contextmanager
def _quiet(logger: str) -> Iterator[None]:
    """It prints tracebacks of what ends in one line here."""
    log = logging.getLogger(logger)
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(level)


def _checked(address: str, client: Any) -> list[str]:
    """The workers, which have what this process has."""
    there = list(client.scheduler_info(n_workers=-1)["workers"])
    if not there:
        raise Contradiction("{dask}: the scheduler has no workers", dask=address)
    here = {name: version(name) for name in SAME}
    code = _code()
    # functions of the standard library: a worker without eeaug could not even read one of eeaug's
    told = {name: client.run(metadata.version, name, on_error="return") for name in SAME}
    for worker in there:
        has = {name: of[worker] if isinstance(of.get(worker), str) else None for name, of in told.items()}
        if has != here:
            differ = {name: of or "none" for name, of in has.items() if of != here[name]}
            wanted = ", ".join(f"{name} {here[name]}" for name in differ)
            there_are = ", ".join(f"{name} {of}" for name, of in differ.items())
            raise Contradiction("{dask}: {0}", f"worker {worker} has {there_are}, here are {wanted}", dask=address)
    for worker, of_worker in client.run(_code, on_error="return").items():
        if of_worker != code:
            other = f"worker {worker} has eeaug {here['eeaug']}, too, but other source files than here"
            raise Contradiction("{dask}: {0}", other, dask=address)
    return there


def _code() -> str:
    """Stands for the files of eeaug: a version has many commits."""
    files = sorted(HOUSE.rglob("*.py"))
    content = (str(path.relative_to(HOUSE)).encode() + b"\0" + path.read_bytes() for path in files)
    return sha256(b"\0".join(content)).hexdigest()


def _processor() -> str:
    """Stands for what libraries choose their arithmetic by."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())
    return sha256(" ".join((platform.machine(), *sorted(flags.split()))).encode()).hexdigest()


@dataclass(frozen=True)
class Cluster:
    """Workers that have what this process has."""

    client: Any
    address: str
    begin: Callable[[], object]
    begun: Mapping[str, Any]
    shelves: dict[str, Any] = field(default_factory=dict)  # by worker

    def shards(self, tasks: Iterable[tuple[int, tuple[Any, ...]]]) -> Iterator[tuple[int, list[Any]]]:
        """(index of the shard, its tensors) in any order, of (index, what :func:`shards.shard` takes)."""

        once = self._once()

        def submit(task: tuple[Any, ...], **where: Any) -> Any:
            model, *rest = task
            return self.client.submit(shards.shard, once(model), *rest, pure=False, retries=RETRIES, **where)

        return self._each("a shard", tasks, submit)

    def reading(
        self, what: str, function: Callable[..., Any], tasks: Iterable[tuple[int, Task]], *, alone: bool
    ) -> Iterator[tuple[int, Any]]:
        """(number, result) in any order, of (number, (common, rest, arrays)).

        A result is ``function(common, *rest, read, wanted)``: ``read`` has rows of the arrays under their names,
        from the files that these are mapped from wherever the worker finds them; ``wanted()`` ends the task if
        nobody waits for it any more. ``common`` travels once. ``alone``: one at a time in every worker.
        """

        once = self._once()

        def submit(task: Task, **where: Any) -> Any:
            common, rest, arrays = task
            columns = {name: shelf.column(array) for name, array in arrays.items()}
            given = function, self.client.id, self.begin, alone, once(common), rest, columns
            return self.client.submit(_read, *given, pure=False, **where)

        return self._each(what, tasks, submit, alone=alone)

    def _each(
        self, what: str, tasks: Iterable[tuple[int, Any]], submit: Callable[..., Any], *, alone: bool = False
    ) -> Iterator[tuple[int, Any]]:
        """Every worker has one task, or AHEAD for each thread; Dask itself would give the first few all to one."""
        from distributed import as_completed

        self._check_begun()
        left, under_way = iter(tasks), as_completed([], loop=self.client.loop)
        waiting: dict[str, tuple[int, Any, str | None, int]] = {}

        def add(number: int, task: Any, worker: str | None, tries: int = 0) -> None:
            where = {} if worker is None else {"workers": [worker], "allow_other_workers": True}
            future = submit(task, **where)
            waiting[future.key] = number, task, worker, tries
            under_way.add(future)

        def fill() -> None:
            threads = self.client.nthreads()  # workers come and go
            has = Counter(worker for _, _, worker, _ in waiting.values())
            free = [(k, w) for w in threads for k in range(has[w], 1 if alone else AHEAD * threads[w])]
            for (_, worker), (number, task) in zip(sorted(free), left, strict=False):
                add(number, task, worker)
            if not waiting:  # there is no worker just now
                for number, task in islice(left, 1):
                    add(number, task, None)

        fill()
        for future in under_way:
            number, task, _, tries = waiting.pop(future.key)
            result = self._result(what, future)
            if not isinstance(result, Lacks):
                yield number, result
                fill()
                continue
            if tries > RETRIES + len(self.begun):
                raise EeaugError(f"--dask: {what} failed: worker {result.worker} keeps no features")
            self._send(result, task[-1])
            add(number, task, result.worker, tries + 1)

    def _check_begun(self) -> None:
        """What a worker may have said when it began.

        Raises
        ------
        Contradiction : it cannot train
        """
        for worker, future in self.begun.items():
            told = self._result(f"the start of worker {worker}", future)
            if told:
                raise Contradiction("{dask}: {0}", f"worker {worker}: {told}", dask=self.address)

    def _result(self, what: str, future: Any) -> Any:
        from distributed import CancelledError, KilledWorker

        try:
            return future.result()
        except EeaugError:
            raise
        except KilledWorker as error:
            why = "workers died of it again and again; their logs say why, and their memory limit may be low"
            raise EeaugError(f"--dask: {what} failed: {why}") from error
        except CancelledError as error:
            raise EeaugError(f"--dask: {what} failed: the connection to the scheduler is lost") from error
        except Exception as error:  # Dask raises anything when workers fail
            raise EeaugError(f"--dask: {what} failed: {type(error).__name__}: {error}"[:300]) from error

    def _once(self) -> Callable[[Any], Any]:
        """Gives a result of its own for what many tasks take: it travels once, and again if it gets lost."""
        held: dict[int, tuple[Any, Any]] = {}

        def once(value: Any) -> Any:
            if id(value) not in held:
                held[id(value)] = value, self.client.submit(_same, value, pure=False)
            return held[id(value)][1]

        return once

    def _send(self, lacks: Lacks, arrays: Mapping[str, Any]) -> None:
        """Files to a worker, piece by piece; nothing of it if the worker is gone meanwhile."""
        by_column = {shelf.column(array): array for array in arrays.values() if _is_mapped(array)}
        client, worker = self.client, lacks.worker
        try:
            if worker not in self.shelves:
                put_up = client.submit(Shelf, client.id, workers=[worker], pure=False)
                while not put_up.done():  # the worker may have other tasks to end first
                    if worker not in client.nthreads():
                        return
                    sleep(0.05)
                self.shelves[worker] = put_up
            # another task may have had some of them sent since
            asked = dict(enumerate(lacks.columns))
            lacking = client.run(shelf.lacking, client.id, asked, workers=[worker])[worker]
            for column in lacking:
                if column not in by_column:  # its file was deleted since: the next try knows it by its new seal
                    continue
                array = by_column[column]
                row_bytes = array.dtype.itemsize * prod(array.shape[1:])
                at_once = max(1, PIECE_BYTES // max(1, row_bytes))
                for start in range(0, len(array), at_once):
                    piece = array[start : start + at_once].tobytes()
                    client.run(_put, client.id, column, start * row_bytes, piece, workers=[worker])
        except Exception as error:
            if isinstance(error, OSError) and error.errno == ENOSPC:
                raise EeaugError(f"--dask: no room for features on the disk of worker {worker}") from error
            self.shelves.pop(worker, None)


def _is_mapped(array: Any) -> bool:
    return isinstance(shelf.column(array), Column)


# what follows runs on a worker


def _same(value: Any) -> Any:
    return value


def _begun(begin: Callable[[], object]) -> str | None:
    """Begin; what is in the way of that, if anything."""
    with BEGINNING:
        try:
            begin()
        except EeaugError as error:
            return str(error)
        except Exception as error:  # whatever a damaged installation raises
            return f"{type(error).__name__}: {error}"[:300]
    return None


def _read(
    function: Callable[..., Any], run: str, begin: Callable[[], object], alone: bool, common: Any,
    rest: tuple[Any, ...], columns: Mapping[str, Any],
) -> Any:  # fmt: skip
    from distributed import get_worker

    with BEGINNING:  # this worker may have come after the others
        begin()
    with ALONE if alone else nullcontext():
        _wanted()
        lacking = shelf.lacking(run, columns)
        if lacking:
            return Lacks(get_worker().address, tuple(lacking))
        try:
            arrays = shelf.opened(run, columns)
        except (OSError, ValueError):  # deleted just now
            files = tuple(column for column in columns.values() if isinstance(column, Column))
            return Lacks(get_worker().address, files)
        return function(common, *rest, arrays, _wanted)


def _put(run: str, column: Column, at: int, piece: bytes, dask_worker: Any) -> None:
    shelf.SHELVES[run].put(column, dask_worker.local_directory, at, piece)


def _wanted() -> None:
    """End the task that this thread works on if its result is not asked for any more."""
    from distributed import get_worker
    from distributed.worker import thread_state

    task = get_worker().state.tasks.get(thread_state.key)
    if task is None or task.state not in ("executing", "long-running"):
        raise Unwanted
