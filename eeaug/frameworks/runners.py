"""A stage's file in its runtime; all of them are run in the same way.

Another runtime is an entry of RUNTIMES, under the key that its files have in a stage's ``files``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from eeaug.backbone import custom_objects, keras_files
from eeaug.backbone.stored_model import one_line
from eeaug.errors import ConversionError, EeaugError, InputError
from eeaug.frameworks import onnx_session, tflite_session

__all__ = ["INT8", "RUNTIMES", "Asked", "Int8", "Keras", "Runner", "answering", "opened"]


KEPT = 16_000_000  # bytes of results of layers that a sample may take


class Runner(Protocol):
    """One stage, ready to run; ONNX Runtime's sessions are such already."""

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """The outputs of these names, each (n, ...), of inputs (n, ...) by name."""


class Elsewhere:
    """A stage that is not opened here."""

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        raise AssertionError("a stage that runs elsewhere was run here")


@dataclass(frozen=True)
class Asked:
    """What is to be opened, and how; see runtime.Cascade.load.

    Parameters
    ----------
    files : per stage its paths below ``directory``, by format
    threads : None takes all processors
    reference : whether LiteRT's reference kernels run int8 files
    custom_objects : code of the user that Keras stages need
    comes : per stage how int8 tensors come to it; None: as its file takes them
    """

    directory: Path
    files: Sequence[Mapping[str, str]]
    threads: int | None
    allow_unsafe: bool
    reference: bool = False
    comes: Sequence[tflite_session.Quantisation | None] = ()
    custom_objects: Sequence[str] = ()

    @property
    def cores(self) -> int:
        return self.threads or os.cpu_count() or 1


def opened(runtime: str, asked: Asked, here: Iterable[int] | None = None) -> tuple[Runner, ...]:
    """The bundle's stages in this runtime; those that are not ``here`` are run elsewhere (None: all are).

    Raises
    ------
    InputError : there is no such runtime, its threads cannot be given, or the bundle has no files for it
    ConversionError : a file is none of this runtime
    """
    if runtime not in RUNTIMES:
        raise InputError(f"there is no runtime {runtime!r}; one of {', '.join(RUNTIMES)} would be")
    formats = [name for name in asked.files[0] if all(name in files for files in asked.files)]
    if runtime not in formats:
        raise InputError(
            f"{asked.directory} has no stages for the runtime {runtime!r}; it has {', '.join(formats)}"
        )
    stages: list[Runner] = []
    numbers = set(range(len(asked.files)) if here is None else here)
    for k, files in enumerate(asked.files):
        if k not in numbers:
            stages.append(Elsewhere())
            continue
        path = asked.directory / files[runtime]
        try:
            stages.append(RUNTIMES[runtime](asked, path, k))
        except (EeaugError, MemoryError):
            raise
        except Exception as error:  # each runtime has errors of its own for a file that it cannot read
            raise ConversionError(f"{path}: the runtime {runtime!r} cannot open it: {one_line(error)}") from error
    return tuple(stages)


def _onnx(asked: Asked, path: Path, k: int) -> Runner:
    runner: Runner = onnx_session.session(path, asked.cores)
    return runner


def _keras(asked: Asked, path: Path, k: int) -> Runner:
    if asked.threads is not None:
        raise InputError("threads: TensorFlow's are those of the whole process; leave them out for runtime 'keras'")
    if asked.custom_objects:
        keras_files.import_keras()
        custom_objects.load(asked.custom_objects)
    try:
        return Keras(answering(keras_files.load(path, allow_unsafe=asked.allow_unsafe)))
    except ConversionError as error:
        if asked.allow_unsafe or "unsafe" not in str(error):
            raise
        raise InputError(
            f"{path} has Lambda layers or others that run code from the file: allow_unsafe=True allows that, "
            "runtime 'onnx' needs no such code"
        ) from error


def _tflite(asked: Asked, path: Path, k: int) -> Runner:
    return tflite_session.Session(path, asked.cores)


def _int8(asked: Asked, path: Path, k: int) -> Runner:
    return Int8(tflite_session.Session(path, asked.cores, reference=asked.reference), asked.comes[k])


def answering(model: Any) -> Callable[[Any], Any]:
    """A Keras model as a function of samples, of a list of arrays where it has several inputs.

    Called as it is, it keeps every layer's result until the last: 150 MB for each sample of a ResNet50. As a graph
    it does not, but to make that takes as long as two batches of a small model.
    """
    import keras
    import tensorflow as tf

    def answers(x: Any) -> Any:
        return model(x, training=False)

    results = [tensor for layer in model.layers for tensor in keras.tree.flatten(layer.output)]
    if sum(4 * prod(size or 1 for size in tensor.shape) for tensor in results if tensor is not None) <= KEPT:
        return answers
    specs = [tf.TensorSpec((None, *given.shape[1:]), given.dtype) for given in model.inputs]
    signature = [specs if len(specs) > 1 else specs[0]]
    graph: Callable[[Any], Any] = tf.function(answers, input_signature=signature, autograph=False)
    return graph


@dataclass(frozen=True)
class Keras:
    """A Keras model that :func:`answering` has made a function of, whose outputs have names."""

    answers: Callable[[Any], Any]

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        given = list(inputs.values())  # in the order of the model
        answers = self.answers(given if len(given) > 1 else given[0])
        return [np.asarray(answers[name]) for name in outputs]


@dataclass(frozen=True)
class Int8:
    """An int8 stage with the ``run`` of a session that is asked for probabilities first, then for the hand-over.

    Float32 samples are quantised, int8 tensors are taken as they come, or from ``comes`` requantised; probabilities
    are given as float32, (q + 128) / 256, the hand-over as int8.
    """

    session: tflite_session.Session
    comes: tflite_session.Quantisation | None = None

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        gives = self.session.outputs[outputs[0]]
        assert gives is not None
        taken = {name: self.taken(name, x) for name, x in inputs.items()}
        probabilities, *handed = self.session.run(outputs, taken)
        return [gives.real(probabilities), *handed]

    def taken(self, name: str, x: NDArray[Any]) -> NDArray[np.int8]:
        """What the file's input of this name is given for x."""
        takes = self.session.inputs[name]
        assert takes is not None
        if x.dtype != np.int8:
            return takes.quantised(x)
        return x if self.comes is None else takes.quantised(self.comes.real(x))


INT8 = "tflite-int8"
RUNTIMES: Mapping[str, Callable[[Asked, Path, int], Runner]] = {
    "onnx": _onnx, "keras": _keras, "tflite": _tflite, INT8: _int8,
}  # fmt: skip
