"""A model of a class of its own as a graph of layers: its ``call`` is run once, on tensors without values."""

from __future__ import annotations

import inspect
from typing import Any

from eeaug.backbone import custom_objects
from eeaug.backbone.keras2_config import Item
from eeaug.errors import ConversionError

__all__ = ["traced"]


def traced(model: Any, config: Item) -> Any:
    """The functional model that a subclassed one computes; any other model as it is.

    Raises
    ------
    ConversionError : its input shape is not stored, or it calls more than layers and operations of Keras
    """
    import keras

    if getattr(model, "inputs", None) or not (custom_objects.has_any() and custom_objects.names_in(model)):
        return model
    name = type(model).__name__
    build = config.get("build_config")
    shape = build.get("input_shape") if isinstance(build, dict) else None
    if not isinstance(shape, list | tuple) or not all(isinstance(n, int | None) for n in shape):
        raise ConversionError(
            f"the file does not say what {name} takes: call it on an array, then save it as .keras"
        )
    start = keras.Input(batch_shape=tuple(shape))
    arguments = {"training": False} if "training" in inspect.signature(model.call).parameters else {}
    try:
        outputs = model.call(start, **arguments)
    except Exception as error:  # whatever it calls raises whatever it does
        at = custom_objects.failure(error) or custom_objects.plainly(error)
        raise ConversionError(
            f"{name}.call is no graph of layers: {at}; let it call layers and keras.ops only"
        ) from error
    return keras.Model(start, outputs, name=model.name)
