"""An ONNX model from the input to the wanted tensors of the backbone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eeaug.backbone.model import INPUT, Classifier
from eeaug.frameworks import keras_to_onnx
from eeaug.network.locations import Location, pooled_shape

__all__ = ["HALF_MAX", "Wanted", "extractor", "halved"]

HALF_MAX = float(np.finfo(np.float16).max)
_RANGE = {"half_lowest": -HALF_MAX, "half_highest": HALF_MAX}


@dataclass(frozen=True)
class Wanted:
    """A tensor to keep: at a location, averaged over ``window``, or the whole map if that is None.

    Without a location: the probabilities of the given model, (``outputs``,).
    """

    location: Location | None
    window: tuple[int, ...] | None = None
    outputs: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        if self.location is None:
            return (self.outputs,)
        return self.location.shape if self.window is None else pooled_shape(self.location.shape, self.window)

    @property
    def key(self) -> str:
        return "probabilities" if self.location is None else f"{self.location.name} {self.window}"


def extractor(classifier: Classifier, wanted: Sequence[Wanted]) -> bytes:
    """A serialised ONNX model from the input to the wanted tensors, named ``wanted_0``, ``wanted_1``, ...

    The network is left after the last of them. Pooling is added to the ONNX graph, not to the Keras one: the
    converter takes minutes for a hundred pooled branches of a deep network, and seconds without them.
    """
    import keras

    inputs = classifier.fresh_inputs(keras)
    names = sorted({w.location.name for w in wanted if w.location is not None})
    answers = any(w.location is None for w in wanted)
    tensors = classifier.replay(inputs, [*names, *([classifier.output] if answers else [])])
    outputs = {f"map_{i}": tensors[name] for i, name in enumerate(names)}
    if answers:
        outputs["answers"] = classifier.probabilities(tensors[classifier.output])
    outputs = {name: keras_to_onnx.as_float32(tensor, f"{name}_float32") for name, tensor in outputs.items()}
    given = list(inputs.values())
    proto = keras_to_onnx.to_onnx(given if classifier.layout.several else given[0], outputs, input_name=INPUT)
    sources = ["answers" if w.location is None else f"map_{names.index(w.location.name)}" for w in wanted]
    _add_pooling(proto, wanted, sources)
    return bytes(proto.SerializeToString())


def halved(model: bytes, outputs: Collection[int]) -> bytes:
    """The same extractor with the outputs of these numbers in half precision, clipped to its range.

    For whole maps: NumPy converts a value at a time, here it is a sixth of the time. For hundreds of small
    tensors the nodes cost more than they save.
    """
    from onnx import TensorProto, helper, load_from_string

    proto = load_from_string(model)
    graph = proto.graph
    graph.initializer.extend(helper.make_tensor(name, TensorProto.FLOAT, [], [v]) for name, v in _RANGE.items())
    for i, output in enumerate(graph.output):
        if i not in outputs:
            continue
        name = output.name
        for node in graph.node:
            node.output[:] = [f"{name}_full" if given == name else given for given in node.output]
        graph.node.append(helper.make_node("Clip", [f"{name}_full", *_RANGE], [f"{name}_clipped"]))
        graph.node.append(helper.make_node("Cast", [f"{name}_clipped"], [name], to=TensorProto.FLOAT16))
        output.type.tensor_type.elem_type = TensorProto.FLOAT16
    return bytes(proto.SerializeToString())


def _add_pooling(proto: Any, wanted: Sequence[Wanted], sources: Sequence[str]) -> None:
    from onnx import TensorProto, helper

    graph = proto.graph
    del graph.output[:]
    for i, (want, source) in enumerate(zip(wanted, sources, strict=True)):
        name = f"wanted_{i}"
        if want.window:  # ONNX pools channels-first tensors
            rank = len(want.shape)
            first, last = [0, rank, *range(1, rank)], [0, *range(2, rank + 1), 1]
            window = list(want.window)
            graph.node.extend([
                helper.make_node("Transpose", [source], [f"{name}_a"], perm=first),
                helper.make_node("AveragePool", [f"{name}_a"], [f"{name}_b"], kernel_shape=window, strides=window),
                helper.make_node("Transpose", [f"{name}_b"], [name], perm=last),
            ])  # fmt: skip
        else:
            graph.node.append(helper.make_node("Identity", [source], [name]))
        graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *want.shape]))
