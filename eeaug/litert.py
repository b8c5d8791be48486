"""Keras to LiteRT (TFLite) files whose bytes depend on the graph alone, and interpreters for them."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug import conversion, leftovers, streams, tflite_file
from eeaug.errors import ConversionError

__all__ = ["SIGNATURE", "Quantisation", "Session", "to_tflite"]

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
    halves = sorted({f"{layer.name} ({layer.compute_dtype})" for layer in model.layers if _is_half(layer)})
    if halves:
        raise ConversionError(
            f"the graph cannot be written as TFLite: it computes in half precision at {halves[0]}"
        )
    module = tf.Module()
    module.variables_held = [variable.value for variable in model.variables]

    @tf.function(input_signature=[tf.TensorSpec((1, *inputs.shape[1:]), inputs.dtype, name=input_name)])
    def function(x: Any) -> dict[str, Any]:
        with conversion.inlined(tf):
            made = model(x, training=False)
        made = made if isinstance(made, (list, tuple)) else [made]
        return {name: tf.identity(tensor) for name, tensor in zip(names, made, strict=True)}

    with _quiet(), leftovers.scratch() as folder:
        try:
            tf.saved_model.save(module, str(folder), signatures={SIGNATURE: function})
            converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
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
    return tflite_file.canonical(content)


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

    def run(self, outputs: Sequence[str], feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """The named outputs (n, *shape) of inputs (n, *shape), in the file's types."""
        n = len(next(iter(feeds.values())))
        wanted = [self._outputs[name] for name in outputs]
        made = [np.empty((n, *tensor["shape"][1:]), tensor["dtype"]) for tensor in wanted]

        def work(interpreter: Any, rows: range) -> None:
            for k in rows:
                for name, values in feeds.items():
                    interpreter.set_tensor(self._inputs[name]["index"], values[k : k + 1])
                interpreter.invoke()  # without the lock of Python
                for tensor, values in zip(wanted, made, strict=True):
                    values[k] = interpreter.get_tensor(tensor["index"])[0]

        shares = [range(first, n, len(self._interpreters)) for first in range(len(self._interpreters))]
        with ThreadPoolExecutor(len(shares)) as pool:
            list(pool.map(work, self._interpreters, shares))
        return made


def _quantisation(tensor: Mapping[str, Any]) -> Quantisation | None:
    if tensor["dtype"] != np.int8:
        return None
    scale, zero_point = tensor["quantization"]
    return Quantisation(float(scale), int(zero_point))


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
