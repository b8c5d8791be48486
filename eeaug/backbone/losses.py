"""What a model was trained with, as its file says: the loss, which tells what its outputs are.

Pure functions on decoded JSON; losses are named, never built.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

__all__ = ["Loss", "loss_of"]

_SHORT = {
    "mse": "mean_squared_error", "mae": "mean_absolute_error", "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error", "bce": "binary_crossentropy", "cosine_proximity": "cosine_similarity",
}  # fmt: skip
_REGRESSIONS = (
    "mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_logarithmic_error",
    "huber", "huber_loss", "log_cosh", "logcosh", "poisson",
)  # fmt: skip
_BINARY = ("binary_crossentropy", "binary_focal_crossentropy")
_CATEGORICAL = (
    "categorical_crossentropy", "sparse_categorical_crossentropy", "categorical_focal_crossentropy",
    "categorical_hinge",
)  # fmt: skip


@dataclass(frozen=True)
class Loss:
    """``name`` as Keras' functions have it; ``from_logits``: the outputs are logits."""

    name: str
    from_logits: bool = False

    @property
    def of_numbers(self) -> bool:
        """Whether it is one of regressions."""
        return self.name in _REGRESSIONS

    @property
    def of_labels(self) -> bool:
        """Whether it takes every output for a label by itself."""
        return self.name in _BINARY

    @property
    def of_classes(self) -> bool:
        """Whether it takes the outputs for classes that exclude each other."""
        return self.name in _CATEGORICAL


def loss_of(compiled: Any) -> Loss | None:
    """The one loss in a ``compile_config`` or ``training_config``; None: none, several, or the user's own."""
    loss = compiled.get("loss") if isinstance(compiled, dict) else None
    while isinstance(loss, list | dict) and "class_name" not in loss:
        values = list(loss.values()) if isinstance(loss, dict) else loss
        if len(values) != 1:
            return None
        loss = values[0]
    from_logits = False
    if isinstance(loss, dict):
        config = loss.get("config")
        from_logits = bool(config.get("from_logits")) if isinstance(config, dict) else False
        loss = config if loss.get("class_name") == "function" else loss.get("class_name")
        if isinstance(config, dict) and loss == "LossFunctionWrapper":
            loss = config.get("fn")
    if not isinstance(loss, str):
        return None
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", loss.rpartition(">")[2]).lower()
    return Loss(_SHORT.get(name, name), from_logits)
