"""LiteRT interpreters for TFLite files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.frameworks.tflite_file import SIGNATURE

__all__ = ["Quantisation", "Session", "has_reference_kernels"]

STEPS = 16  # of int8 that kernels may differ by


def has_reference_kernels(content: bytes, x: Mapping[str, NDArray[np.float32]]) -> bool:
    """Whether LiteRT has a reference kernel for every operator of the int8 file (ELU has none), and they give what
    the others do for its inputs x (n, *shape) by name, within STEPS."""
    try:
        pair = [Session(content, 1, reference=reference) for reference in (False, True)]
    except (RuntimeError, ValueError):
        return False
    feeds: dict[str, NDArray[Any]] = {}
    for name, takes in pair[0].inputs.items():
        feeds[name] = x[name] if takes is None else takes.quantised(x[name])
    names = list(pair[0].outputs)
    pairs = zip(*(session.run(names, feeds) for session in pair), strict=True)
    return all(np.abs(a.astype(float) - b.astype(float)).max() <= STEPS for a, b in pairs)


@dataclass(frozen=True)
class Quantisation:
    """What int8 numbers q of a tensor mean: scale · (q − zero_point)."""

    scale: float
    zero_point: int

    def quantised(self, x: NDArray[np.floating]) -> NDArray[np.int8]:
        """Rounded half to even, and held within int8."""
        steps = np.rint(x / np.float32(self.scale)) + self.zero_point
        return np.asarray(np.clip(steps, -128, 127), np.int8)

    def real(self, q: NDArray[np.int8]) -> NDArray[np.float32]:
        return (q.astype(np.float32) - self.zero_point) * np.float32(self.scale)


class Session:
    """A TFLite file in LiteRT, with the ``run`` of an ONNX Runtime session; samples run side by side.

    ``inputs`` and ``outputs`` by name: how they are quantised, None where they are float32. ``reference``: with
    LiteRT's reference kernels, some ten times slower, which are those of TFLM but for single roundings.
    """

    def __init__(self, model: Path | bytes, threads: int, *, reference: bool = False) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        content = model.read_bytes() if isinstance(model, Path) else model
        # never the XNNPACK delegate, which is a third way to round
        kernels = OpResolverType.BUILTIN_REF if reference else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        self._interpreters = [
            Interpreter(model_content=content, num_threads=1, experimental_op_resolver_type=kernels)
            for _ in range(threads)
        ]
        for interpreter in self._interpreters:
            interpreter.allocate_tensors()
        runner = self._interpreters[0].get_signature_runner(SIGNATURE)
        self._inputs, self._outputs = runner.get_input_details(), runner.get_output_details()
        self.inputs = {name: _quantisation(tensor) for name, tensor in self._inputs.items()}
        self.outputs = {name: _quantisation(tensor) for name, tensor in self._outputs.items()}

    def zeros(self) -> dict[str, NDArray[Any]]:
        """Inputs for one sample."""
        return {name: np.zeros(tensor["shape"], tensor["dtype"]) for name, tensor in self._inputs.items()}

    def run(self, outputs: Sequence[str], feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """The named outputs (n, *shape) of inputs (n, *shape), in the file's types."""
        n = len(next(iter(feeds.values())))
        wanted = [self._outputs[name] for name in outputs]
        results = [np.empty((n, *tensor["shape"][1:]), tensor["dtype"]) for tensor in wanted]

        def work(interpreter: Any, rows: range) -> None:
            for k in rows:
                for name, values in feeds.items():
                    interpreter.set_tensor(self._inputs[name]["index"], values[k : k + 1])
                interpreter.invoke()  # releases Python's lock
                for tensor, values in zip(wanted, results, strict=True):
                    values[k] = interpreter.get_tensor(tensor["index"])[0]

        shares = [range(first, n, len(self._interpreters)) for first in range(len(self._interpreters))]
        with ThreadPoolExecutor(len(shares)) as pool:
            list(pool.map(work, self._interpreters, shares))
        return results


def _quantisation(tensor: Mapping[str, Any]) -> Quantisation | None:
    if tensor["dtype"] != np.int8:
        return None
    scale, zero_point = tensor["quantization"]
    return Quantisation(float(scale), int(zero_point))
