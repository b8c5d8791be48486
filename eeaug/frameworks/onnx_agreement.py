"""A network that was converted from ONNX, compared with what ONNX Runtime computes of the file itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.backbone.from_onnx.convert import Converted, Origin
from eeaug.backbone.model import Classifier
from eeaug.errors import ConversionError
from eeaug.frameworks import onnx_session
from eeaug.support.printable import quoted

__all__ = ["TOLERANCE", "checked"]

TOLERANCE = 1e-4  # of the range of a tensor's numbers, those of all samples together
SAMPLES, ELEMENTS = 4, 40_000_000  # samples that are compared, and numbers that are held for one


def checked(classifier: Classifier, ends: Collection[str], x: NDArray[np.float32], threads: int) -> str:
    """Compare every layer that stands for an ONNX value on some prepared samples (n, *input_shape); what to say.

    ``ends`` names the calls that end a block: what is handed over or read by a head, and the output.

    Raises
    ------
    ConversionError : one of these differs; names the first ONNX node whose value does
    """
    converted = classifier.onnx
    assert converted is not None, "only what came from ONNX is compared with it"
    origins = {
        call.name: converted.origins[call.name] for call in classifier.calls if call.name in converted.origins
    }
    kept = _that_fit(origins, {*ends, classifier.output})
    picked = np.unique(np.linspace(0, len(x) - 1, min(SAMPLES, len(x))).astype(int))
    computed = _by_keras(classifier, list(kept), x[picked])
    expected = _by_onnx(converted, kept, classifier.layout.split(x[picked]), threads)
    off = {}
    for name in kept:
        spread = max(float(np.ptp(expected[name])), float(np.abs(expected[name]).max()) * 1e-2, 1e-30)
        off[name] = float(np.abs(computed[name] - expected[name]).max()) / spread
    wrong = [name for name, difference in off.items() if not difference <= TOLERANCE]
    if any(name in ends or name == classifier.output for name in wrong):
        first, difference = wrong[0], off[wrong[0]]
        raise ConversionError(
            f"{classifier.file}: converted to Keras it differs from ONNX Runtime first at node "
            f"{quoted(kept[first].node)}: by {difference:.1e} of the range of its numbers on {len(picked)} real "
            f"samples, more than {TOLERANCE:.0e}"
        )
    largest = max((off[name] for name in off if name in ends or name == classifier.output), default=0.0)
    return (
        f"{classifier.file}: {len(kept)} tensors agree with ONNX Runtime on {len(picked)} real samples, within "
        f"{largest:.0e} of their range"
    )


def _that_fit(origins: dict[str, Origin], needed: Collection[str]) -> dict[str, Origin]:
    """What is compared at once: all, or of a network too large for that the ends of blocks."""
    if sum(prod(origin.shape) for origin in origins.values()) <= ELEMENTS:
        return origins
    return {name: origin for name, origin in origins.items() if name in needed}


def _by_keras(classifier: Classifier, names: list[str], x: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    import keras

    tensors = [classifier.nodes[name].outputs[0] for name in names]
    given = classifier.inputs if classifier.layout.several else classifier.inputs[0]
    results = keras.Model(given, tensors)(classifier.fed(x), training=False)
    results = results if isinstance(results, (list, tuple)) else [results]
    return {name: np.asarray(result).reshape(len(x), -1) for name, result in zip(names, results, strict=True)}


def _by_onnx(
    converted: Converted, origins: dict[str, Origin], x: Mapping[str, NDArray[np.float32]], threads: int
) -> dict[str, NDArray[np.float32]]:
    """The values by the names of layers, (samples, numbers) in the order of memory."""
    import onnx

    proto = onnx.ModelProto()
    proto.CopyFrom(converted.proto)
    there = {value.name for value in proto.graph.output}
    values = list(dict.fromkeys(origin.value for origin in origins.values()))
    proto.graph.output.extend(
        onnx.helper.make_empty_tensor_value_info(name) for name in values if name not in there
    )
    session = onnx_session.session(proto.SerializeToString(), threads)
    rows: dict[str, list[Any]] = {name: [] for name in origins}
    tensors = {converted.inputs[name]: array for name, array in x.items()}
    for i in range(len(next(iter(x.values())))):  # one at a time: axes of several samples may stand anywhere
        sample = {name: array[i] for name, array in tensors.items()}
        fed = {one.name: _as(one, sample.get(one.name)) for one in session.get_inputs()}
        results = dict(zip(values, session.run(values, fed), strict=True))
        for name, origin in origins.items():
            rows[name].append(origin.in_memory(results[origin.value]))
    return {name: np.stack(those).astype(np.float32) for name, those in rows.items()}


def _as(given: Any, sample: NDArray[np.float32] | None) -> NDArray[Any]:
    """A sample in the element type of an input, ``tensor(float16)``, say; zeros for one that is ignored."""
    plain = given.type.removeprefix("tensor(").removesuffix(")")
    array = np.zeros([n if isinstance(n, int) else 1 for n in given.shape]) if sample is None else sample[None]
    return array.astype({"float": "float32", "double": "float64"}.get(plain, plain))
