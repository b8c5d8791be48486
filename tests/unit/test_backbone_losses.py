"""What a model file says of the loss that it was trained with."""

from __future__ import annotations

from typing import Any

import pytest

from eeaug.backbone.losses import Loss, loss_of

BINARY = {"class_name": "BinaryCrossentropy", "config": {"name": "x", "from_logits": True}}


@pytest.mark.parametrize(
    ("compiled", "loss"),
    [
        ({"loss": "categorical_crossentropy"}, Loss("categorical_crossentropy")),
        ({"loss": "mse"}, Loss("mean_squared_error")),
        ({"loss": BINARY}, Loss("binary_crossentropy", True)),
        ({"loss": {"module": "keras.losses", **BINARY}}, Loss("binary_crossentropy", True)),
        ({"loss": [BINARY]}, Loss("binary_crossentropy", True)),
        ({"loss": {"probs": "mae"}}, Loss("mean_absolute_error")),
        ({"loss": {"class_name": "function", "config": "huber"}}, Loss("huber")),
        ({"loss": {"a": "mse", "b": "mse"}}, None),
        ({"loss": None}, None),
        ({"optimizer": "adam"}, None),
        (None, None),
        ([], None),
    ],
)
def test_the_loss_of_a_file(compiled: Any, loss: Loss | None) -> None:
    assert loss_of(compiled) == loss


def test_what_a_loss_is_of() -> None:
    assert Loss("log_cosh").of_numbers and Loss("binary_focal_crossentropy").of_labels
    assert Loss("sparse_categorical_crossentropy").of_classes and not Loss("mine").of_classes
