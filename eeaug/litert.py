"""Keras to LiteRT (TFLite) files whose bytes depend on the graph alone, and interpreters for them."""

from __future__ import annotations

import contextlib
import io
import logging
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug import conversion, tflite_file, tflite_layers
from eeaug.errors import ConversionError
from eeaug.support import leftovers, native_process, streams

__all__ = ["SIGNATURE", "Quantisation", "Session", "check_int8", "has_reference_kernels", "to_tflite"]

SIGNATURE = "serving_default"  # the signature's name; inputs and outputs are read by theirs in it
STEPS = 16  # of int8 that kernels may differ by
SAMPLES = "samples.npy"  # beside the graph, where it is to be quantised
NEEDS = (  # of the process that converts
    "tensorflow", "ai_edge_litert.interpreter", "ai_edge_litert.schema_py_generated",
    "ai_edge_litert.tools.flatbuffer_utils", "eeaug.litert",
)  # fmt: skip


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
        with conversion.inlined(tf), tflite_layers.expressible():
            made = model(x, training=False)
        made = made if isinstance(made, (list, tuple)) else [made]
        return {name: tf.identity(tensor) for name, tensor in zip(names, made, strict=True)}

    with leftovers.scratch() as folder:
        with _quiet(), contextlib.ExitStack() as opened:
            try:
                if samples is not None:
                    opened.enter_context(tflite_layers.unrolled(model.layers))
                tf.saved_model.save(module, str(folder), signatures={SIGNATURE: function})
            except Exception as error:  # TensorFlow raises whatever its passes raise
                raise _impossible(error) from error
        if samples is not None:
            np.save(folder / SAMPLES, samples)
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
                x = np.load(samples)
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
                converter.representative_dataset = lambda: ([row[None]] for row in x)
                converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
                converter.inference_input_type = converter.inference_output_type = tf.int8
            content = converter.convert()
        except Exception as error:  # as above
            raise _impossible(error) from error
        content = tflite_file.canonical(tflite_file.looked_up(content))
        _tried(content)
    return content


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


def has_reference_kernels(content: bytes, x: NDArray[np.float32]) -> bool:
    """Whether LiteRT has a reference kernel for every operator of the int8 file (ELU has none), and they give what
    the others do for its only input x (n, *shape), within STEPS."""
    try:
        pair = [Session(content, 1, reference=reference) for reference in (False, True)]
    except (RuntimeError, ValueError):
        return False
    ((name, takes),) = pair[0].inputs.items()
    feeds = {name: x if takes is None else takes.quantised(x)}
    names = list(pair[0].outputs)
    made = zip(*(session.run(names, feeds) for session in pair), strict=True)
    return all(np.abs(a.astype(float) - b.astype(float)).max() <= STEPS for a, b in made)


def _impossible(error: Exception) -> ConversionError:
    return ConversionError(f"the graph cannot be written as TFLite: {_line(error)}")


def _line(error: Exception) -> str:
    text = re.sub(r"\x1b\[[\d;]*m", "", str(error))
    inside = re.search(r"Exception encountered when calling (\w+)\.call\(\)\.\s+(\S.*)", text)
    if inside:  # of Keras
        return f"{inside[1]}: {' '.join(inside[2].split())}"[:200]
    if lacking := re.search(r"'tf\.(\w+)' op|fused\[\"(\w+):", text):
        return f"TFLite has no operator {lacking[1] or lacking[2]}"
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__


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

    def zeros(self) -> dict[str, NDArray[Any]]:
        """Inputs for one sample."""
        return {name: np.zeros(tensor["shape"], tensor["dtype"]) for name, tensor in self._inputs.items()}

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
