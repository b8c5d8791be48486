"""Which layer of a model it is that a format cannot express: every layer is written by itself."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from eeaug.backbone.model import Call, Classifier
from eeaug.errors import ConversionError
from eeaug.frameworks import keras_to_onnx, keras_to_tflite, tflite_file
from eeaug.support import leftovers

__all__ = ["blamed"]

# layer types that compute nothing: none of them alone makes a graph
IDLE = {"Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "Identity", "Flatten", "Reshape"}
GIVES = "y"


def blamed(classifier: Classifier, name: str, reason: str) -> tuple[Call, str] | None:
    """The first layer that the format of this name cannot express, and why; one with this ``reason`` if there is.

    None: every layer can be written by itself.
    """
    refusals: list[tuple[Call, str]] = []
    tried: set[str] = set()
    for call in classifier.calls:
        kind = _kind(classifier, call)
        if kind in tried or call.kind in IDLE:
            continue
        tried.add(kind)
        graph = _alone(classifier, call)
        if graph is None:
            continue
        try:
            WRITERS[name](*graph)
        except (ConversionError, RuntimeError, ValueError) as error:
            why = str(error)
            if _words(why) == _words(reason):
                return call, why
            refusals.append((call, why))
    return refusals[0] if refusals else None


def _kind(classifier: Classifier, call: Call) -> str:
    """A key that is equal for layers which a format writes in the same way."""
    layer = classifier.nodes[call.name].operation
    config = {k: v for k, v in layer.get_config().items() if k != "name"} if hasattr(layer, "get_config") else {}
    return json.dumps([call.kind, config, call.input_shapes], default=str, sort_keys=True)


def _words(text: str) -> str:
    """The words of a message, without places and numbers."""
    return re.sub(r"stage \S+|[\d.]+", "", text)


def _alone(classifier: Classifier, call: Call) -> tuple[Any, Any] | None:
    """Input and output of the layer in a graph of its own, which reads one tensor; None: that cannot be."""
    import keras

    node = classifier.nodes[call.name]
    given = node.input_tensors
    if len({(t.shape, t.dtype) for t in given}) != 1 or None in given[0].shape[1:]:
        return None
    # stages take inputs of the model in single precision, whatever it declares
    outside = call.inputs[0] in classifier.sources.values()
    tensor = keras.Input(given[0].shape[1:], dtype="float32" if outside else given[0].dtype, name="x")
    args, kwargs = node.arguments.fill_in({id(t): tensor for t in given})
    output = keras.tree.flatten(node.operation(*args, **kwargs))[0]
    return tensor, output


def _tflite(tensor: Any, output: Any) -> bytes:
    return keras_to_tflite.to_tflite(tensor, {GIVES: output}, input_name="x")


def _int8(tensor: Any, output: Any) -> bytes:
    samples = np.random.default_rng(0).normal(0, 1, (4, *tensor.shape[1:])).astype(np.float32)
    content = keras_to_tflite.to_tflite(tensor, {GIVES: output}, input_name="x", samples=samples)
    keras_to_tflite.check_int8(content)
    return content


def _tflm(tensor: Any, output: Any) -> None:
    from eeaug.export.tflm import interpreter, operators

    content = _int8(tensor, output)
    operators.check_operators(tflite_file.operators(content))
    zeros = np.zeros((1, *tensor.shape[1:]), np.int8)
    interpreter.answers(content, interpreter.ROOMY, zeros)


def _c(tensor: Any, output: Any) -> None:
    from eeaug.export.c import onnx_source
    from eeaug.export.c.stage_code import stage_code

    proto = keras_to_onnx.to_onnx(tensor, {GIVES: output}, input_name="x")
    with leftovers.scratch() as folder:
        path = folder / "layer.onnx"
        path.write_bytes(proto.SerializeToString())
        stage_code(onnx_source.simplified(path), "layer")


def _c_int8(tensor: Any, output: Any) -> None:
    from eeaug.export.c_int8 import operators

    operators.lowered(_int8(tensor, output), {"x": "input", GIVES: "probabilities"})


WRITERS: Mapping[str, Callable[[Any, Any], object]] = {
    "tflite": _tflite, "tflite-int8": _int8, "tflm": _tflm, "c": _c, "c-int8": _c_int8,
    "vela": _int8,
}  # fmt: skip
