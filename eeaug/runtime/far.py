"""The stages of a bundle that servers run, and what comes back from there."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.bundle.device_entries import IDENTITY, MAX_ROWS, of_ensemble
from eeaug.bundle.entries import StageEntry
from eeaug.cascade.output import Decision
from eeaug.cascade.waiting import Rows
from eeaug.errors import ConversionError, InputError
from eeaug.frameworks.runners import INT8
from eeaug.runtime import address, background
from eeaug.runtime.hearing import Floats
from eeaug.runtime.server import Question, Server, Unanswered, check_installed

__all__ = ["DEADLINE_S", "Far", "FarAnswer", "opened"]

DEADLINE_S = 10.0  # by default


@dataclass(frozen=True)
class FarAnswer:
    """What stages in a row said of n samples: probabilities (n, outputs) each, the hand-over after the last one."""

    probabilities: tuple[Floats, ...]
    handover: NDArray[Any] | None


@dataclass(frozen=True)
class Far:
    """The remote stages of a cascade.

    Parameters
    ----------
    servers : by processor
    runs : the first stage of each run of remote stages on one server → the one after its last
    deadline_s : in which a request is answered or given up
    """

    decision: Decision
    stages: Sequence[StageEntry]
    servers: Mapping[str, Server]
    runs: Mapping[int, int]
    deadline_s: float

    @property
    def near(self) -> list[int]:
        """Numbers of the stages that run here."""
        return [k for k in range(len(self.stages)) if not self.has(k)]

    def has(self, k: int) -> bool:
        """Whether stage ``k`` runs on a server."""
        return any(first <= k < end for first, end in self.runs.items())

    def ask(self, k: int, tensors: Rows, within_s: float) -> Future[FarAnswer]:
        """Send samples to the run of stages that begins with ``k``.

        The future raises Unanswered where no good answer came within so many seconds, and ConversionError where
        the server has another model, or does not let us ask.
        """
        return background.run(self._run(k, self.runs[k], tensors, within_s))

    def ask_one(self, k: int, tensors: Rows) -> FarAnswer:
        """What stage ``k`` says by itself.

        Raises
        ------
        ConversionError : no answer came before the deadline, or the server has another model
        """
        try:
            return background.run(self._run(k, k + 1, tensors, self.deadline_s)).result()
        except Unanswered as error:
            raise ConversionError(f"stage {self.stages[k].name}: {error}") from error

    async def _run(self, k: int, end: int, tensors: Rows, within_s: float) -> FarAnswer:
        """In as many requests as the model takes rows at once; an answer to all of them, or none."""
        rows = len(tensors[0])
        if rows <= MAX_ROWS:
            return await self._one_request(k, end, tensors, within_s)
        pieces = [tuple(t[i : i + MAX_ROWS] for t in tensors) for i in range(0, rows, MAX_ROWS)]
        answers = await asyncio.gather(*(self._one_request(k, end, piece, within_s) for piece in pieces))
        handed = [answer.handover for answer in answers if answer.handover is not None]
        return FarAnswer(
            tuple(np.concatenate(said) for said in zip(*(a.probabilities for a in answers), strict=True)),
            np.concatenate(handed) if handed else None,
        )

    async def _one_request(self, k: int, end: int, tensors: Rows, within_s: float) -> FarAnswer:
        last, first = self.stages[end - 1], self.stages[k]
        chain = end - k > 1

        def named(i: int, output: str) -> str:
            return of_ensemble(i, output) if chain else output

        said = [named(i, str(stage.probabilities)) for i, stage in enumerate(self.stages[k:end])]
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(said, (self.decision.outputs,))
        handover = None if last.handover is None else named(end - k - 1, last.handover.name)
        if handover is not None and last.handover is not None:
            shapes[handover] = last.handover.shape
        entries = [s.triton for s in self.stages[k:end] if s.triton is not None]
        given = dict(zip(first.row.names, tensors, strict=True))
        sent = self.stages[k - 1].handover if k else None
        encoding = None if sent is None else sent.encoding
        if sent is not None and encoding is not None:
            given[sent.name] = encoding.encoded(given[sent.name])
        takes = {name for stage in self.stages[k:end] for name in stage.inputs}
        question = Question(
            model=(entries[0].ensemble or "") if chain else entries[0].model,
            arrays={name: array for name, array in given.items() if name in takes},
            shapes=shapes,
            identities={named(i, IDENTITY): entry.identity for i, entry in enumerate(entries)},
            compressed=encoding is not None and encoding.compressed,
        )
        deadline = asyncio.get_running_loop().time() + within_s
        arrays = await self.servers[first.processor].ask(question, deadline)
        return FarAnswer(tuple(arrays[name] for name in said), None if handover is None else arrays[handover])

    def close(self) -> None:
        """Close the connections."""
        _close(list(self.servers.values()))


def opened(
    decision: Decision, stages: Sequence[StageEntry], remote: Mapping[str, str], deadline_s: float | None,
    runtime: str = "onnx",
) -> Far | None:  # fmt: skip
    """The stages of these processors on their servers; None: there are no servers.

    Parameters
    ----------
    remote : processor → URL
    deadline_s : None: DEADLINE_S
    runtime : of the stages here

    Raises
    ------
    InputError : no stage was written for a server of this processor, an address is none, a package is missing
    """
    if not remote:
        if deadline_s is not None:
            raise InputError("--deadline: needs a server, --remote PROCESSOR=URL")
        return None
    if runtime == INT8:
        raise InputError(f"--remote: servers run float stages, {runtime!r} has int8 tensors to hand over")
    check_installed()
    there = dict.fromkeys(stage.processor for stage in stages if stage.triton is not None)
    for processor in remote:
        if processor not in there:
            none = "it has no stages for servers; eeaug augment --format triton writes those of `remote` processors"
            has = f"its stages for servers are on {', '.join(there)}" if there else none
            raise InputError(f"--remote {processor}: the bundle has none there; {has}")
    deadline_s = DEADLINE_S if deadline_s is None else deadline_s
    if not 0 < deadline_s < np.inf:
        raise InputError(f"--deadline: must be a time above 0, given {deadline_s:g} s")
    runs: dict[int, int] = {}
    for k, stage in enumerate(stages):
        if stage.processor not in remote or stage.triton is None:
            continue
        first = next((f for f, end in runs.items() if end == k and stages[f].processor == stage.processor), k)
        runs[first] = k + 1
    servers = {processor: Server(address.read(processor, url)) for processor, url in remote.items()}
    far = Far(decision, stages, servers, runs, deadline_s)
    for server in servers.values():
        background.run(server.greet())
    weakref.finalize(far, _close, list(servers.values()))
    return far


def _close(servers: Sequence[Server]) -> None:
    for server in servers:
        background.run(server.close())
