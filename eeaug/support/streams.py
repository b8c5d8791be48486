"""The streams of this process: whether they may be drawn on, and what native code writes to them past Python."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

__all__ = ["live", "overheard", "overhearing"]

_overheard = 0  # how many keep the streams to themselves


def live() -> bool:
    """Whether stderr is a terminal where lines may be drawn again; continuous integration keeps every drawing."""
    terminal = sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")
    return terminal and os.environ.get("CI", "").lower() in ("", "0", "false")


def overhearing() -> bool:
    """Whether somebody keeps the streams to himself: what another thread writes now would be taken for theirs."""
    return _overheard > 0


@contextmanager
def overheard() -> Iterator[Callable[[], str]]:
    """Keep stdout and stderr to oneself; afterwards the function that is given says what was written to them."""
    global _overheard
    with tempfile.TemporaryFile() as heard:

        def heard_text() -> str:
            heard.seek(0)
            return heard.read().decode(errors="replace")

        kept = {}
        _overheard += 1
        for stream in dict.fromkeys((1, 2, *_of_python())):
            with suppress(OSError):  # the stream is closed
                kept[stream] = os.dup(stream)
        try:
            for stream in kept:
                os.dup2(heard.fileno(), stream)
            yield heard_text
        finally:
            for stream, before in kept.items():
                os.dup2(before, stream)
                os.close(before)
            _overheard -= 1


def _of_python() -> Iterator[int]:
    """Where Python's own streams go, which need not be 1 and 2."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # no stderr, or one without a file descriptor
            yield stream.fileno()
