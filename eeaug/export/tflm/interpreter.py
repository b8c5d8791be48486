"""TensorFlow Lite for Microcontrollers on this machine: does a file run, in how much memory, what does it say."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from eeaug import streams

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

        with streams.overheard() as said:
            try:
                self._made = runtime.Interpreter.from_bytes(content, arena_size=arena)
            except Exception as error:  # what TFLM's binding raises is not documented
                lines = [line.strip() for line in said().splitlines() if line.strip()]
                raise RuntimeError(lines[0][:200] if lines else str(error)) from error

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
        with streams.overheard() as said:
            self._made.print_allocations()
            return said()


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
