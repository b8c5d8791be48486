"""Shards of the one pass on the workers of a Dask cluster that is already there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from itertools import islice
from typing import Any

from eeaug.errors import EeaugError
from eeaug.features import shards
from eeaug.features.extraction import Workers
from eeaug.settings import Contradiction

__all__ = ["workers"]

TIMEOUT_S = 10
AHEAD = 2  # shards for each worker thread, running or queued
RETRIES = 3
SAME = ("eeaug", "onnxruntime")  # packages whose versions decide the values


@contextmanager
def workers(address: str | None) -> Iterator[Workers | None]:
    """Connect to the scheduler at ``address``; None for None.

    A shard whose worker dies is given to another one; shards that are done stay done.

    Raises
    ------
    Contradiction : nothing answers there, it has no workers, or other versions than here
    """
    if address is None:
        yield None
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise Contradiction("{dask} needs the extra: pip install 'eeaug[distributed]'") from error
    try:
        client = Client(address, timeout=TIMEOUT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise Contradiction("{dask}: no Dask scheduler answers there", dask=address) from error
    with client:
        _check(address, client)
        yield _on(client)


def _check(address: str, client: Any) -> None:
    if not client.scheduler_info(n_workers=-1)["workers"]:
        raise Contradiction("{dask}: the scheduler has no workers", dask=address)
    here = _versions()
    for worker, there in client.run(_versions, on_error="return").items():
        if there != here:
            told = there if isinstance(there, dict) else {"error": there}
            differ = f"worker {worker} has {_listed(told)}, here are {_listed(here)}"
            raise Contradiction("{dask}: {0}", differ, dask=address)


def _versions() -> dict[str, str]:
    return {name: version(name) for name in SAME}


def _listed(versions: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in versions.items())


def _on(client: Any) -> Workers:
    def run(tasks: Iterable[tuple[int, tuple[Any, ...]]]) -> Iterator[tuple[int, list[Any]]]:
        from distributed import as_completed

        threads = sum(client.nthreads().values())
        submit, left = _submitter(client), iter(tasks)
        numbers = {}
        under_way = as_completed([], loop=client.loop)
        for i, task in islice(left, max(1, AHEAD * threads)):
            future = submit(task)
            numbers[future.key] = i
            under_way.add(future)
        for future in under_way:
            try:
                tensors = future.result()
            except EeaugError:
                raise
            except Exception as error:  # Dask raises anything when workers fail
                raise EeaugError(f"--dask: a shard failed: {type(error).__name__}: {error}"[:300]) from error
            yield numbers.pop(future.key), tensors
            for i, task in islice(left, 1):
                future = submit(task)
                numbers[future.key] = i
                under_way.add(future)

    return run


def _submitter(client: Any) -> Callable[[tuple[Any, ...]], Any]:
    """Submits shards; the model travels once, as a result of its own that is made again if it gets lost."""
    held: dict[int, Any] = {}

    def submit(task: tuple[Any, ...]) -> Any:
        model, *rest = task
        if id(model) not in held:
            held[id(model)] = client.submit(bytes, model, pure=False)
        return client.submit(shards.shard, held[id(model)], *rest, pure=False, retries=RETRIES)

    return submit
