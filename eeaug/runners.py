"""A stage's file in its runtime; all of them are run in the same way.

Another runtime is an entry of RUNTIMES, under the key that its files have in a stage's ``files``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from eeaug import conversion, litert
from eeaug.errors import InputError
from eeaug.keras_files import import_keras

__all__ = ["RUNTIMES", "Runner", "opener"]


class Runner(Protocol):
    """One stage, ready to run; ONNX Runtime's sessions are such already."""

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """The outputs of these names, each (n, ...), of inputs (n, ...) by name."""


Opener = Callable[[Path], Runner]


def opener(runtime: str, threads: int | None, *, allow_unsafe: bool) -> Opener:
    """What opens a stage's file of this runtime.

    Raises
    ------
    InputError : there is no such runtime, or its threads cannot be given
    """
    if runtime not in RUNTIMES:
        raise InputError(f"there is no runtime {runtime!r}; one of {', '.join(RUNTIMES)} would be")
    return RUNTIMES[runtime](threads, allow_unsafe)


def _onnx(threads: int | None, allow_unsafe: bool) -> Opener:
    return lambda path: conversion.session(path, threads or os.cpu_count() or 1)


def _keras(threads: int | None, allow_unsafe: bool) -> Opener:
    if threads is not None:
        raise InputError("threads: TensorFlow's are those of the whole process; leave them out for runtime 'keras'")
    return lambda path: _Keras(path, allow_unsafe)


class _Keras:
    def __init__(self, path: Path, allow_unsafe: bool) -> None:
        keras = import_keras()
        try:
            self._model = keras.models.load_model(path, compile=False, safe_mode=not allow_unsafe)
        except ValueError as error:
            if allow_unsafe or "unsafe" not in str(error):
                raise
            raise InputError(
                f"{path} has Lambda layers, which run code from the file: allow_unsafe=True allows that, "
                "runtime 'onnx' needs no such code"
            ) from error

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        (x,) = inputs.values()
        made = self._model(x, training=False)
        return [np.asarray(made[name]) for name in outputs]


def _tflite(threads: int | None, allow_unsafe: bool) -> Opener:
    return lambda path: litert.Session(path, threads or os.cpu_count() or 1)


RUNTIMES: Mapping[str, Callable[[int | None, bool], Opener]] = {"onnx": _onnx, "keras": _keras, "tflite": _tflite}
