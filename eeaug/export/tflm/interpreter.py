"""TensorFlow Lite for Microcontrollers on this machine: does a file run, in how much memory, what does it say."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ROOMY", "Interpreter", "arena_bytes"]

ROOMY = 256_000_000  # bytes of an arena that every file has room in


class Interpreter:
    """A TFLite file in TFLM.

    Raises
    ------
    RuntimeError : it lacks an operator, or the arena is too small; the message is what TFLM said
    """

    def __init__(self, content: bytes, arena: int) -> None:
        from tflite_micro.python.tflite_micro import runtime

        self._made: Any = None

        def make() -> None:
            self._made = runtime.Interpreter.from_bytes(content, arena_size=arena)

        said, error = _overheard(make)
        if error is not None:
            lines = [line.strip() for line in said.splitlines() if line.strip()]
            raise RuntimeError(lines[0][:200] if lines else str(error))

    def run(self, x: NDArray[np.int8], outputs: int) -> list[NDArray[np.int8]]:
        """All ``outputs`` (n, *shape), in the file's order, of x (n, *shape)."""
        rows = []
        for k in range(len(x)):
            self._made.set_input(x[k : k + 1], 0)
            self._made.invoke()
            rows.append([np.array(self._made.get_output(i)) for i in range(outputs)])
        return [np.concatenate(column) for column in zip(*rows, strict=True)]

    @property
    def allocations(self) -> str:
        """What TFLM reports of the arena."""
        return _overheard(self._made.print_allocations)[0]


def arena_bytes(content: bytes) -> int:
    """The smallest arena in which the file runs on this machine; on a processor of 32 bits it takes less.

    Raises
    ------
    RuntimeError : it does not run in TFLM
    """
    said = Interpreter(content, ROOMY).allocations
    found = re.search(r"Arena allocation total (\d+) bytes", said)
    if found is None:
        raise RuntimeError("TFLM does not say what the arena holds; another version of tflite-micro?")
    return -(-int(found[1]) // 16) * 16


def _overheard(call: Callable[[], None]) -> tuple[str, Exception | None]:
    """What the call wrote to the streams of the process, beside Python's, and its exception."""
    error = None
    with tempfile.TemporaryFile() as heard:
        kept = [os.dup(stream) for stream in (1, 2)]
        try:
            for stream in (1, 2):
                os.dup2(heard.fileno(), stream)
            call()
        except Exception as raised:  # what TFLM's binding raises is not documented
            error = raised
        finally:
            for stream, before in zip((1, 2), kept, strict=True):
                os.dup2(before, stream)
                os.close(before)
        heard.seek(0)
        return heard.read().decode(errors="replace"), error
