"""Requests to one inference server, by the client library of the Open Inference Protocol.

A connection may delay, lose, cut or mix up what goes over it. So a request is sent again, until its deadline: soon
after an error, and after a third of its time while nothing comes; the first good answer counts. A model computes
the same however often it is asked. What is no fault of the connection ends in an error: another model, no access.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from eeaug.backbone.stored_model import one_line
from eeaug.bundle.device_entries import IDENTITY
from eeaug.errors import ConversionError, InputError
from eeaug.runtime.address import TOKEN, Address

__all__ = ["Question", "Server", "Unanswered", "check_installed"]

Arrays = Mapping[str, NDArray[Any]]
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.01, 1.0  # after an error, doubled each time
AT_ONCE = 3  # copies of a request that are under way
# answers are a few numbers: to compress them costs more than it saves
PLAIN = {"Accept-Encoding": "identity"}
PASSING = {408, 425, 429}  # of 4xx, those that pass
BINARY = "binary_tensor_data"  # an extension of the protocol: tensors as bytes behind the JSON


class Unanswered(Exception):
    """No good answer came before the deadline; says what came last."""


class _Fault(Exception):
    """Of the connection, or of a server that is busy: worth another try."""


@dataclass(frozen=True)
class Question:
    """What a model is asked.

    Parameters
    ----------
    model : its name on the server
    arrays : what it is given, (n, ...) by name
    shapes : of the outputs that are wanted, of one sample, by name
    identities : numbers that it must give as outputs of these names
    compressed : whether the request is sent with gzip
    """

    model: str
    arrays: Arrays
    shapes: Mapping[str, tuple[int, ...]]
    identities: Mapping[str, int]
    compressed: bool = False

    @property
    def rows(self) -> int:
        return len(next(iter(self.arrays.values())))


def check_installed() -> None:
    """Load the client library, before any deadline runs; InputError where it is missing."""
    if any(find_spec(name) is None for name in ("tritonclient", "aiohttp")):
        raise InputError("remote stages need a package that is not installed: pip install 'eeaug[remote]'")
    import_module("tritonclient.http.aio")


class Server:
    """Connections to a server, kept open; to be used within one event loop."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._client: Any = None
        self._binary: bool | None = None

    async def ask(self, question: Question, deadline: float) -> dict[str, NDArray[Any]]:
        """Outputs by name, (n, *shape) each, before ``deadline``, a time of the event loop.

        Raises
        ------
        Unanswered : nothing good came until then
        ConversionError : the server has another model than the bundle, or does not let us ask
        """
        clock = asyncio.get_running_loop().time
        begun = resent = clock()
        pause, reason = FIRST_PAUSE_S, "no answer"
        running: set[asyncio.Task[dict[str, NDArray[Any]]]] = set()
        try:
            while (now := clock()) < deadline:
                if now >= resent and len(running) < AT_ONCE:
                    running.add(asyncio.create_task(self._try(question)))
                    resent = now + (deadline - begun) / AT_ONCE
                until = deadline if len(running) == AT_ONCE else min(resent, deadline)
                if not running:
                    await asyncio.sleep(max(0.0, until - now))
                    continue
                done, running = await asyncio.wait(
                    running, timeout=max(0.0, until - now), return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    error = task.exception()
                    if error is None:
                        return task.result()
                    if not isinstance(error, _Fault):
                        raise error
                    reason = str(error)
                    resent = min(resent, clock() + pause * random.uniform(0.5, 1.5))
                    pause = min(2 * pause, LONGEST_PAUSE_S)
            raise Unanswered(f"{self.address.place}: {reason}")
        finally:
            for task in running:
                task.cancel()

    async def greet(self) -> None:
        """Open a connection and learn what the server can; a request does so, too, where this fails."""
        with suppress(Exception):  # a server that is down now may be up when it is needed
            await self._learn()

    async def close(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            await client.close()

    async def _try(self, question: Question) -> dict[str, NDArray[Any]]:
        import aiohttp
        from tritonclient.http import InferInput, InferRequestedOutput
        from tritonclient.utils import InferenceServerException, np_to_triton_dtype

        number = uuid4().hex  # an answer to another request has another one
        try:
            client = await self._learn()
            given = []
            for name, array in question.arrays.items():
                tensor = InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
                given.append(tensor.set_data_from_numpy(np.ascontiguousarray(array), binary_data=self._binary))
            names = (*question.shapes, *question.identities)
            result = await client.infer(
                question.model, given, request_id=number, headers={**PLAIN, **self.address.headers},
                outputs=[InferRequestedOutput(name, binary_data=self._binary) for name in names],
                request_compression_algorithm="gzip" if question.compressed else None,
            )  # fmt: skip
            if result.get_response().get("id") != number:
                raise _Fault("an answer to another request came")
            arrays = {name: result.as_numpy(name) for name in names}
        except InferenceServerException as error:
            raise self._named(question, error) from error
        except aiohttp.ClientConnectorCertificateError as error:
            raise ConversionError(
                f"{self.address.place}: its certificate is not trusted: {one_line(error)}"
            ) from error
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, LookupError, TypeError, EOFError) as error:
            raise _Fault(one_line(error) or type(error).__name__) from error
        return self._read(question, arrays)

    def _read(self, question: Question, arrays: Mapping[str, NDArray[Any] | None]) -> dict[str, NDArray[Any]]:
        """The outputs, after a look at what they are and who gave them."""
        for name, identity in question.identities.items():
            said = arrays[name]
            if said is None or said.shape != (question.rows, 1) or (said != identity).any():
                raise ConversionError(
                    f"{self.address.place}: the model {question.model} is not the bundle's: "
                    f"its {IDENTITY} is not {identity}; copy the bundle's triton folder there"
                )
        read = {}
        for name, shape in question.shapes.items():
            array = arrays[name]
            if array is None or array.shape != (question.rows, *shape):
                came = "missing" if array is None else str(array.shape)
                raise _Fault(f"{name} came as {came}, must be {(question.rows, *shape)}")
            if not np.isfinite(array).all():
                raise _Fault(f"{name} came with values that are not finite")
            read[name] = array
        return read

    def _named(self, question: Question, error: Any) -> Exception:
        """What a server's refusal means."""
        status, said = str(error.status()), one_line(error)[:200]
        code = int(status) if status.isdecimal() else 500
        where, model = self.address.place, question.model
        if code in (401, 403):
            return ConversionError(f"{where}: gives no access ({code}): a token comes by the environment, {TOKEN}")
        if code == 404:
            return ConversionError(f"{where}: has no model {model} ({said}): copy the bundle's triton folder there")
        if 400 <= code < 500 and code not in PASSING:
            return ConversionError(f"{where}: refuses the model {question.model} ({code}): {said}")
        return _Fault(f"{code}: {said}")

    async def _learn(self) -> Any:
        """The client, when it is known whether the server takes tensors as bytes."""
        client = self._opened()
        if self._binary is None:
            about = await client.get_server_metadata(headers={**PLAIN, **self.address.headers})
            self._binary = BINARY in about.get("extensions", ())
        return client

    def _opened(self) -> Any:
        if self._client is None:
            from tritonclient.http.aio import InferenceServerClient

            tls = self.address.tls
            self._client = InferenceServerClient(self.address.place, ssl=tls is not None, ssl_context=tls)
        return self._client
