"""Keras to LiteRT (TFLite) files whose bytes depend on the graph alone, and interpreters for them."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug import conversion
from eeaug.errors import ConversionError

__all__ = ["SIGNATURE", "Session", "to_tflite"]

SIGNATURE = "serving_default"  # the signature's name; inputs and outputs are read by theirs in it


def to_tflite(
    inputs: Any, outputs: Mapping[str, Any], *, input_name: str, samples: NDArray[np.float32] | None = None
) -> bytes:
    """The Keras graph between ``inputs`` and the named ``outputs`` as a TFLite file for one sample at a time.

    Inputs and outputs keep the given names in the file's only signature. With ``samples`` (n, *input shape) it is
    quantised to int8 throughout, inputs and outputs too, with ranges as they are on these samples.

    Raises
    ------
    ConversionError : TensorFlow's converter cannot express a layer
    """
    import keras
    import tensorflow as tf

    names = list(outputs)
    model = keras.Model(inputs, [outputs[name] for name in names])
    module = tf.Module()
    module.variables_held = [variable.value for variable in model.variables]

    @tf.function(input_signature=[tf.TensorSpec((1, *inputs.shape[1:]), inputs.dtype, name=input_name)])
    def function(x: Any) -> dict[str, Any]:
        with conversion.inlined(tf):
            made = model(x, training=False)
        made = made if isinstance(made, (list, tuple)) else [made]
        return {name: tf.identity(tensor) for name, tensor in zip(names, made, strict=True)}

    with _quiet(), tempfile.TemporaryDirectory(prefix="eeaug-") as folder:
        try:
            tf.saved_model.save(module, folder, signatures={SIGNATURE: function})
            converter = tf.lite.TFLiteConverter.from_saved_model(folder)
            if samples is not None:
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
                converter.representative_dataset = lambda: ([x[None]] for x in samples)
                converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
                converter.inference_input_type = converter.inference_output_type = tf.int8
            content = converter.convert()
        except Exception as error:  # TensorFlow raises whatever its passes raise
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            reason = lines[0][:200] if lines else type(error).__name__
            raise ConversionError(f"the graph cannot be written as TFLite: {reason}") from error
    return _canonical(content)


@dataclass(frozen=True)
class Quantisation:
    """What int8 numbers q of a tensor mean: scale · (q − zero_point)."""

    scale: float
    zero_point: int

    def quantised(self, x: NDArray[np.floating]) -> NDArray[np.int8]:
        """Rounded half to even, and held within int8."""
        return np.clip(np.rint(x / np.float32(self.scale)) + self.zero_point, -128, 127).astype(np.int8)

    def real(self, q: NDArray[np.int8]) -> NDArray[np.float32]:
        return (q.astype(np.float32) - self.zero_point) * np.float32(self.scale)


class Session:
    """A TFLite file in LiteRT, with the ``run`` of an ONNX Runtime session.

    ``inputs`` and ``outputs`` by name: how they are quantised, None where they are float32.
    """

    def __init__(self, model: Path | bytes, threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        content = model.read_bytes() if isinstance(model, Path) else model
        # not the XNNPACK delegate: its int8 kernels round otherwise than those of LiteRT and TFLM
        self._interpreter = Interpreter(
            model_content=content, num_threads=threads,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )  # fmt: skip
        self._interpreter.allocate_tensors()
        runner = self._interpreter.get_signature_runner(SIGNATURE)
        self._inputs, self._outputs = runner.get_input_details(), runner.get_output_details()
        self.inputs = {name: _quantisation(tensor) for name, tensor in self._inputs.items()}
        self.outputs = {name: _quantisation(tensor) for name, tensor in self._outputs.items()}

    def run(self, outputs: Sequence[str], feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """The named outputs (n, *shape) of inputs (n, *shape), in the file's types; one sample after another."""
        made: list[list[NDArray[Any]]] = [[] for _ in outputs]
        for k in range(len(next(iter(feeds.values())))):
            for name, values in feeds.items():
                self._interpreter.set_tensor(self._inputs[name]["index"], values[k : k + 1])
            self._interpreter.invoke()
            for name, rows in zip(outputs, made, strict=True):
                rows.append(self._interpreter.get_tensor(self._outputs[name]["index"]))
        return [
            np.concatenate(rows)
            if rows
            else np.zeros((0, *self._outputs[name]["shape"][1:]), self._outputs[name]["dtype"])
            for name, rows in zip(outputs, made, strict=True)
        ]


def _quantisation(tensor: Mapping[str, Any]) -> Quantisation | None:
    if tensor["dtype"] != np.int8:
        return None
    scale, zero_point = tensor["quantization"]
    return Quantisation(float(scale), int(zero_point))


def _canonical(content: bytes) -> bytes:
    """Tensors numbered in the file's order; what tells of the process that wrote it is dropped."""
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    for graph in model.subgraphs:
        for i, tensor in enumerate(graph.tensors):
            tensor.name = f"tensor_{i}"
        graph.name = "main"
    model.description = "eeaug"
    model.metadata = None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


@contextlib.contextmanager
def _quiet() -> Any:
    """The converter prints to stdout and logs."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(disabled)
