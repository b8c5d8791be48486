"""Keras to LiteRT (TFLite) files whose bytes depend on the graph alone."""

from __future__ import annotations

import contextlib
import io
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.errors import ConversionError
from eeaug.frameworks import keras_to_onnx, tflite_file, tflite_layers
from eeaug.frameworks.tflite_file import SIGNATURE
from eeaug.frameworks.tflite_session import Session
from eeaug.support import leftovers, native_process, streams

__all__ = ["check_int8", "to_tflite"]

SCOPE = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*(:\d+)?")  # what TensorFlow takes for the name of a variable
SAMPLES = "samples.npz"  # beside the graph, where it is to be quantised
NEEDS = (  # modules that the converting process imports beforehand
    "tensorflow", "ai_edge_litert.interpreter", "ai_edge_litert.schema_py_generated",
    "ai_edge_litert.tools.flatbuffer_utils", "eeaug.frameworks.keras_to_tflite",
)  # fmt: skip


def to_tflite(
    inputs: Any, outputs: Mapping[str, Any], *, input_name: str,
    samples: NDArray[np.float32] | Sequence[NDArray[np.float32]] | None = None,
) -> bytes:  # fmt: skip
    """The Keras graph between ``inputs`` and the named ``outputs`` as a TFLite file for one sample at a time.

    Inputs and outputs keep the given names in the file's only signature; a list of inputs is called as its tensors
    are. With ``samples`` (n, *input shape), of a list one array for each, it is quantised to int8 throughout,
    inputs and outputs too, with ranges as they are on these samples.

    Raises
    ------
    ConversionError : TensorFlow's converter cannot express a layer
    """
    import keras
    import tensorflow as tf

    names = list(outputs)
    model = keras.Model(inputs, [outputs[name] for name in names])
    halves = sorted({f"{layer.name} ({layer.compute_dtype})" for layer in model.layers if _is_half(layer)})
    if halves:
        raise ConversionError(
            f"the graph cannot be written as TFLite: it computes in half precision at {halves[0]}"
        )
    module = tf.Module()
    module.variables_held = [variable.value for variable in model.variables]
    for number, variable in enumerate(module.variables_held):
        if not SCOPE.fullmatch(variable.name):  # made under the name that its layer has in the file
            variable._handle_name = f"variable_{number}:0"

    given = inputs if isinstance(inputs, list) else [inputs]
    called = [tensor.name for tensor in given] if len(given) > 1 else [input_name]
    signature = [
        tf.TensorSpec((1, *tensor.shape[1:]), tensor.dtype, name=name)
        for name, tensor in zip(called, given, strict=True)
    ]

    @tf.function(input_signature=signature)
    def function(*x: Any) -> dict[str, Any]:
        with keras_to_onnx.inlined(tf), tflite_layers.expressible():
            tensors = model(list(x) if len(x) > 1 else x[0], training=False)
        tensors = tensors if isinstance(tensors, (list, tuple)) else [tensors]
        return {name: tf.identity(tensor) for name, tensor in zip(names, tensors, strict=True)}

    with leftovers.scratch() as folder:
        with _quiet(), contextlib.ExitStack() as opened:
            try:
                if samples is not None:
                    opened.enter_context(tflite_layers.quantisable(model.layers))
                tf.saved_model.save(module, str(folder), signatures={SIGNATURE: function})
            except Exception as error:  # TensorFlow raises whatever its passes raise
                raise _impossible(error) from error
        if samples is not None:
            arrays = [samples] if isinstance(samples, np.ndarray) else samples
            np.savez(folder / SAMPLES, **dict(zip(called, arrays, strict=True)))
        what = "TFLite" if samples is None else "TFLite in int8"
        return bytes(
            native_process.call(
                _converted, str(folder), doing=f"the graph cannot be written as {what}", needs=NEEDS
            )
        )


def _converted(folder: str) -> bytes:
    """The SavedModel as TFLite, with SAMPLES in int8, opened and run once; in a process of its own."""
    import tensorflow as tf

    samples = Path(folder) / SAMPLES
    with _quiet():
        try:
            converter = tf.lite.TFLiteConverter.from_saved_model(folder)
            if samples.exists():
                with np.load(samples) as archive:
                    arrays = dict(archive)
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
                converter.representative_dataset = lambda: _rows(arrays)
                converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
                converter.inference_input_type = converter.inference_output_type = tf.int8
            content = converter.convert()
        except Exception as error:  # TensorFlow raises whatever its passes raise
            raise _impossible(error) from error
        content = tflite_file.canonical(tflite_file.looked_up(content))
        _tried(content)
    return content


def _rows(arrays: Mapping[str, NDArray[np.float32]]) -> Iterator[Any]:
    """Samples one by one, as the converter takes them: by the names of several inputs."""
    for rows in zip(*arrays.values(), strict=True):
        feeds = {name: row[None] for name, row in zip(arrays, rows, strict=True)}
        yield (SIGNATURE, feeds) if len(feeds) > 1 else [*feeds.values()]


def _tried(content: bytes) -> None:
    """Run it once on zeros: whatever may end a process does so in this one.

    Raises
    ------
    ConversionError : LiteRT lacks a kernel, or it fails
    """
    try:
        session = Session(content, 1)
        session.run(list(session.outputs), session.zeros())
    except Exception as error:  # its own errors are RuntimeError and ValueError
        raise ConversionError(f"LiteRT cannot run the graph: {_line(error)}") from error


def check_int8(content: bytes) -> None:
    """Raises ConversionError where some of a quantised file is left in float."""
    loose = [name for name in tflite_file.operators(content, of_floats=True) if name != "DEQUANTIZE"]
    if loose:
        raise ConversionError(f"TensorFlow's converter does not bring {', '.join(loose)} to int8")


def _impossible(error: Exception) -> ConversionError:
    return ConversionError(f"the graph cannot be written as TFLite: {_line(error)}")


def _line(error: Exception) -> str:
    text = re.sub(r"\x1b\[[\d;]*m", "", str(error))
    inside = re.search(r"Exception encountered when calling (\w+)\.call\(\)\.\s+(\S.*)", text)
    if inside:  # the message of a Keras layer
        return f"{inside[1]}: {' '.join(inside[2].split())}"[:200]
    if lacking := re.search(r"'tf\.(\w+)' op|fused\[\"(\w+):", text):
        return f"TFLite has no operator {lacking[1] or lacking[2]}"
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__


def _is_half(layer: Any) -> bool:
    return getattr(layer, "compute_dtype", None) in ("float16", "bfloat16")


@contextlib.contextmanager
def _quiet() -> Any:
    """The converter prints to stdout and logs."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()), streams.overheard():
            yield
    finally:
        logging.disable(disabled)
