"""What native code writes to the streams of this process, past Python."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

__all__ = ["overheard"]


@contextmanager
def overheard() -> Iterator[Callable[[], str]]:
    """Keep stdout and stderr to oneself; afterwards the function that is given says what was written to them."""
    with tempfile.TemporaryFile() as heard:

        def said() -> str:
            heard.seek(0)
            return heard.read().decode(errors="replace")

        kept = {}
        for stream in (1, 2):
            with suppress(OSError):  # it is closed
                kept[stream] = os.dup(stream)
        try:
            for stream in kept:
                os.dup2(heard.fileno(), stream)
            yield said
        finally:
            for stream, before in kept.items():
                os.dup2(before, stream)
                os.close(before)
