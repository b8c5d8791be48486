"""How long requests to a server take: a link of a hardware description, measured.

A model that adds up what it is given stands for a stage: requests with one number say what a hand-over costs at
least, requests with many what each byte costs besides. Small and large ones take turns, so that both see the same
network. Every time is that of a whole request, answer included, on a connection that is open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eeaug.bundle.device_entries import IDENTITY
from eeaug.errors import ConversionError, InputError
from eeaug.runtime import background
from eeaug.runtime.address import Address
from eeaug.runtime.hearing import Floats
from eeaug.runtime.server import Question, Server, Unanswered, check_installed
from eeaug.support.progress import counting

__all__ = ["MODEL", "NUMBER", "Measured", "fitted", "measure"]

MODEL, NUMBER = "eeaug-link", 20_260
LATE = 0.95
FLOAT_BYTES = 4


@dataclass(frozen=True)
class Measured:
    """A link: means, and what one request in twenty is slower than. Seconds, bytes per second."""

    latency_s: float
    latency_p95_s: float
    bandwidth_bytes_per_s: float
    bandwidth_p5_bytes_per_s: float
    requests: int
    bytes: int


def measure(address: Address, requests: int, size: int, seconds: float) -> Measured:
    """Time so many small requests, and as many with ``size`` bytes.

    Parameters
    ----------
    seconds : in which a request must be answered

    Raises
    ------
    ConversionError : the server has no such model, lets us not ask, or does not answer
    """
    check_installed()
    small, large = (np.zeros((1, max(1, n // FLOAT_BYTES)), np.float32) for n in (0, size))
    asked = counting(requests + 1)
    times = background.run(_times(Server(address), small, large, requests, seconds, asked)).result()
    return fitted(times[0], times[1], large.nbytes - small.nbytes)


def fitted(small: NDArray[np.float64], large: NDArray[np.float64], more: int) -> Measured:
    """Of seconds of n small and of n large requests, which have so many bytes more.

    Raises
    ------
    InputError : bytes cost nothing that could be told from the spread
    """
    latency, whole = float(small.mean()), float(large.mean())
    slow, slow_whole = (float(np.quantile(times, LATE, method="higher")) for times in (small, large))
    slow = max(slow, latency)
    if whole <= latency:
        raise InputError(f"requests with {more:,} bytes more take no longer: --size must be larger")
    usual = (whole - latency) / more
    late = max(slow_whole - slow, whole - latency) / more
    return Measured(latency, slow, 1 / usual, 1 / late, len(small), more)


async def _times(
    server: Server, small: Floats, large: Floats, requests: int, seconds: float, asked: Callable[[int], None]
) -> NDArray[np.float64]:
    clock, found = asyncio.get_running_loop().time, np.zeros((2, requests))
    try:
        for i in range(-1, requests):  # the first of each opens the connection and warms the model
            for kind, array in enumerate((small, large)):
                question = Question(MODEL, {"values": array}, {"total": (1,)}, {IDENTITY: NUMBER})
                begin = clock()
                await server.ask(question, begin + seconds)
                found[kind, i] = clock() - begin
            asked(1)
    except Unanswered as error:
        raise ConversionError(f"no answer within {seconds:g} s: {error}") from error
    finally:
        await server.close()
    return found
