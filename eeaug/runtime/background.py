"""One event loop in a thread of its own: requests go on while stages here compute."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

__all__ = ["run"]

Result = TypeVar("Result")


class _Thread:
    """The loop of this process; a forked process starts its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="eeaug requests", daemon=True).start()
            return self._loop


def run(work: Coroutine[Any, Any, Result]) -> Future[Result]:
    """Start it; its result, or what it raised, comes with the future."""
    return asyncio.run_coroutine_threadsafe(work, _thread.loop())


def _anew() -> None:
    global _thread  # threads do not survive a fork
    _thread = _Thread()


_thread = _Thread()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_anew)
