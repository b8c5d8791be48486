"""What the output of the given classifier means, once real samples, their labels and the user have spoken."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.backbone import keras_files, model
from eeaug.backbone.model import INPUT, Classifier
from eeaug.backbone.model_output import OutputMeaning, told

__all__ = ["again", "settled"]


def settled(
    classifier: Classifier, x: NDArray[np.float32], part: str, labels: str | None = None, asked: str | None = None
) -> Classifier:
    """The classifier with what its answers to prepared samples (n, *input_shape) of a part say of its output.

    ``labels`` and ``asked`` as in :func:`model_output.told`, which says what it raises.
    """
    reading = told(
        f"{classifier.file}:", part, classifier.ending, classifier.raw(x), labels,
        asked=asked, loss=classifier.loss, allowed=classifier.tolerance,
    )  # fmt: skip
    if reading.stripped and _only_call(classifier) is None:  # a layer that is called elsewhere, too
        reading = replace(reading, stripped=False, added="sharpened" if reading.note else reading.added)
    notes = (*classifier.notes, *([] if reading.note is None else [reading.note]))
    return replace(_read_as(classifier, reading), notes=notes)


def again(classifier: Classifier, known: Classifier) -> Classifier:
    """The same model, read once more, with what was settled before."""
    return _read_as(classifier, OutputMeaning(known.decision, known.added, known.stripped))


def _read_as(classifier: Classifier, reading: OutputMeaning) -> Classifier:
    whole = _stripped(classifier) if reading.stripped else classifier
    decision = replace(reading.decision, measure=classifier.decision.measure)
    return replace(whole, decision=decision, added=reading.added, stripped=reading.stripped)


def _only_call(classifier: Classifier) -> str | None:
    """The one call of the layer that the model ends in; None: it is called more than once, or reads several, or is
    no layer of Keras."""
    ends = classifier.ending.layer
    calls = [call for call in classifier.calls if call.weights_of == ends or call.name == ends]
    if len(calls) != 1 or len(calls[0].inputs) != 1:
        return None
    of_keras = type(classifier.nodes[calls[0].name].operation).__module__.startswith("keras.")
    return calls[0].name if of_keras else None


def _stripped(classifier: Classifier) -> Classifier:
    """The model without the activation that it ends in."""
    keras = keras_files.import_keras()
    name = _only_call(classifier)
    call = next(call for call in classifier.calls if call.name == name)
    names = classifier.layout.names if classifier.layout.several else (INPUT,)
    pairs = zip(names, classifier.layout.shapes, classifier.dtypes, strict=True)
    inputs = [keras.Input(shape, dtype=dtype, name=name) for name, shape, dtype in pairs]
    given = dict(zip(classifier.sources.values(), inputs, strict=True))
    (read,) = call.inputs
    before = classifier.replay(given, [read])[read]
    tensor = _without_activation(keras, classifier.nodes[call.name].operation, before)
    end = classifier.replay({call.name: tensor}, [classifier.output])[classifier.output]
    bare = keras.Model(inputs if classifier.layout.several else inputs[0], end, name=classifier.given.name)
    file, loss, digest = Path(classifier.file), classifier.loss, classifier.sha256
    taken_apart = model.from_keras(keras, bare, file, loss=loss, digest=digest)
    return replace(
        taken_apart, name=classifier.name, notes=classifier.notes, onnx=classifier.onnx, unused=classifier.unused
    )


def _without_activation(keras: Any, layer: Any, tensor: Any) -> Any:
    """What the layer gives before its activation."""
    if not getattr(layer, "weights", None):  # it is the activation
        return tensor
    bare = type(layer).from_config({**layer.get_config(), "activation": "linear"})
    result = bare(tensor)
    bare.set_weights(layer.get_weights())
    return result
