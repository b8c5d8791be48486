"""TensorFlow Lite for Microcontrollers on this machine: does a file run, in how much memory, what does it say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eeaug.frameworks import tflite_file
from eeaug.support import native_process, streams
from eeaug.support.native_process import Ended

__all__ = ["ROOMY", "Arena", "Interpreter", "answers", "arena"]

ROOMY = 256_000_000  # bytes of an arena that is large enough for every file
UNIT = 16  # bytes: alignment of an arena, and to how many its size is found
# Added to the smallest arena: other versions of TFLM take some bytes more for a tensor.
MARGIN, MARGIN_BYTES = 0.01, 64
Given = NDArray[np.int8] | Sequence[NDArray[np.int8]]  # of one input, or of several in the file's order
DOING = "TFLM cannot run the file"
NEEDS = (  # modules that the process which tries imports beforehand
    "ai_edge_litert.schema_py_generated", "ai_edge_litert.tools.flatbuffer_utils",
    "tflite_micro.python.tflite_micro.runtime", "eeaug.export.tflm.interpreter",
)  # fmt: skip


class Interpreter:
    """A TFLite file in TFLM.

    Raises
    ------
    RuntimeError : it lacks an operator, or the arena is too small; the message is what TFLM said
    """

    def __init__(self, content: bytes, arena: int) -> None:
        from tflite_micro.python.tflite_micro import runtime

        with streams.overheard() as printed:
            try:
                self._made = runtime.Interpreter.from_bytes(content, arena_size=arena)
            except Exception as error:  # what TFLM's binding raises is not documented
                raise RuntimeError(_first(printed()) or str(error)) from error

    def run(self, x: Given, outputs: int) -> list[NDArray[np.int8]]:
        """All ``outputs`` (n, *shape), in the file's order, of x (n, *shape) or a list of such in its order."""
        rows, given = [], [x] if isinstance(x, np.ndarray) else x
        for k in range(len(given[0])):
            for i, array in enumerate(given):
                self._made.set_input(array[k : k + 1], i)
            self._made.invoke()
            rows.append([np.array(self._made.get_output(i)) for i in range(outputs)])
        return [np.concatenate(column) for column in zip(*rows, strict=True)]

    @property
    def allocations(self) -> str:
        """What TFLM reports of the arena."""
        with streams.overheard() as printed:
            self._made.print_allocations()
            return printed()


@dataclass(frozen=True)
class Arena:
    """``least`` bytes in which a file allocates and runs on this machine; ``bytes``: with a margin."""

    least: int

    @property
    def bytes(self) -> int:
        return _rounded(self.least + max(MARGIN_BYTES, int(self.least * MARGIN)))


def answers(content: bytes, arena: int, x: Given) -> dict[str, NDArray[np.int8]]:
    """What the file gives, by name (n, *shape), for x (n, *shape) in an arena of so many bytes.

    Raises
    ------
    RuntimeError : it does not run in TFLM, or ends its process; the message is what TFLM said
    """
    try:
        results: dict[str, NDArray[np.int8]] = native_process.call(
            _answers, content, arena, x, doing=DOING, needs=NEEDS
        )[0]
    except Ended as error:
        raise RuntimeError(str(error)) from error
    return results


def arena(content: bytes, x: Given) -> Arena:
    """The smallest arena in which the file allocates its tensors *and* runs on x (n, *shape): found by trying.

    TFLM's own account leaves out what it takes for a while: while it plans, and for tensors that kernels ask for as
    they run. Each try has a process of its own, since too small an arena may end it. On a processor of 32 bits,
    where pointers are half as long, a file takes less.

    Raises
    ------
    RuntimeError : it does not run in TFLM; the message is what TFLM said
    Ended : it ends its process
    """
    right, total = native_process.call(_answers, content, ROOMY, x, doing=DOING, needs=NEEDS)

    def enough(size: int) -> bool:
        try:
            results, _ = native_process.call(_answers, content, size, x, doing=DOING, needs=NEEDS)
        except (RuntimeError, Ended):
            return False
        return all(np.array_equal(results[name], right[name]) for name in right)

    low, high, step = 0, _rounded(total), UNIT
    if enough(high):  # is there a smaller one?
        while step < high and enough(high - step):
            high, step = high - step, 2 * step
        low = max(0, high - step)
    else:
        while not enough(high + step):
            step *= 2
            if high + step > ROOMY:
                raise RuntimeError(f"it gives the same results in no arena of up to {ROOMY:,} bytes")
        low, high = high + (step // 2 if step > UNIT else 0), high + step
    while high - low > UNIT:
        middle = _rounded((low + high) // 2)
        low, high = (low, middle) if enough(middle) else (middle, high)
    return Arena(high)


def _answers(content: bytes, size: int, x: Given) -> tuple[dict[str, NDArray[np.int8]], int]:
    """As answers, and TFLM's own account of what it took; where it may end the process."""
    interpreter, names = Interpreter(content, size), tflite_file.outputs(content)
    with streams.overheard() as printed:
        try:
            results = interpreter.run(x, len(names))
        except Exception as error:
            raise RuntimeError(_first(printed()) or str(error)) from error
    total = re.search(r"Arena allocation total (\d+) bytes", interpreter.allocations)
    return dict(zip(names, results, strict=True)), int(total[1]) if total else UNIT


def _first(printed: str) -> str:
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    return lines[0][:200] if lines else ""


def _rounded(size: int) -> int:
    return -(-size // UNIT) * UNIT
