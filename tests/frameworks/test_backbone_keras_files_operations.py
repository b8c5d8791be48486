"""Operations between layers (``x + y``, ``x[:, 1:]``), as Keras 2 and Keras 3 store them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_nets import saved

from eeaug.backbone import keras_files
from eeaug.backbone.keras2_operations import operation
from eeaug.errors import ConversionError

SHAPE = (6, 6, 4)


def compared(net: Any, path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype(np.float32)
    for ours, theirs in zip(keras_files.load(saved(net, path))(x), net(x), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def arithmetic(x: Any) -> list[Any]:
    import tensorflow as tf

    y = 2.0 - x / 3.0
    y = tf.nn.relu6(y * x + 3) - tf.constant([1.0, 2.0, 3.0, 4.0])
    return [y, -(abs(y) ** 2), tf.math.maximum(x, 0.5) * tf.sigmoid(y), tf.nn.softmax(y, axis=1)]


def subscripts(x: Any) -> list[Any]:
    return [x[:, 1:, :-1, ::2], x[:, :, :, 1], x[1:], x[:, 2]]


def shapes(x: Any) -> list[Any]:
    import tensorflow as tf

    y = tf.concat([x, tf.tanh(x)], -1)
    return [y, tf.reshape(y, (-1, 36, 8)), tf.reduce_mean(y, [1, 2]), tf.reduce_mean(x, -1, keepdims=True)]


@pytest.mark.parametrize("kind", [".h5", ".keras", ""])
@pytest.mark.parametrize("make", [arithmetic, subscripts, shapes])
def test_operations_of_keras_2(old: Any, make: Callable[[Any], list[Any]], kind: str, tmp_path: Path) -> None:
    start = old.Input(SHAPE)
    inner = old.Model(start, make(old.layers.Conv2D(4, 3, padding="same")(start)))
    compared(inner, tmp_path / f"m{kind}")


def test_operations_in_a_nested_model(old: Any, tmp_path: Path) -> None:
    start = old.Input(SHAPE)
    inner = old.Model(start, old.layers.ReLU()(start + 1.0) * start)
    start = old.Input(SHAPE)
    compared(old.Model(start, [inner(inner(start) - 0.5), inner(start)]), tmp_path / "m.h5")


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_operations_of_keras_3(keras: Any, suffix: str, tmp_path: Path) -> None:
    """Keras 3 itself cannot load the ``.h5`` that it writes of them."""
    start = keras.Input(SHAPE)
    x = keras.layers.Conv2D(4, 3, padding="same")(start)
    x = keras.ops.relu6(x + start) * 2.0
    compared(keras.Model(start, [x, x[:, 1:, 0], keras.layers.Add()([x, start])]), tmp_path / f"m{suffix}")


def unknown(x: Any) -> Any:
    import tensorflow as tf

    return tf.math.cumsum(x + 1.0)


def ellipsis(x: Any) -> Any:
    return x[..., 1]


@pytest.mark.parametrize(("make", "function"), [(unknown, "math.cumsum"), (ellipsis, "__operators__.getitem")])
def test_what_has_no_counterpart_is_named(
    old: Any, make: Callable[[Any], Any], function: str, tmp_path: Path
) -> None:
    start = old.Input(SHAPE)
    with pytest.raises(ConversionError, match=f"layer 'tf.{function}.*calls TensorFlow's '{function}': use a"):
        keras_files.load(saved(old.Model(start, make(start)), tmp_path / "m.h5"))


def graph_operation(op: str, constants: dict[str, Any], **masks: int) -> dict[str, Any]:
    """As Keras 2.3 stored it."""
    attributes = {f"{name}_mask": {"i": str(mask)} for name, mask in masks.items()}
    return {
        "class_name": "TensorFlowOpLayer",
        "config": {"name": "op", "node_def": {"op": op, "attr": attributes}, "constants": constants},
        "name": "tf_op_layer_op",
        "inbound_nodes": [[["x", 0, 0, {}]]],
    }


def test_operations_of_a_graph() -> None:
    made = operation(graph_operation("Sub", {"0": 1.5}))
    assert made is not None and (made["class_name"], made["name"]) == ("Subtract", "tf_op_layer_op")
    one, x = made["inbound_nodes"][0]["args"]
    assert one == 1.5 and x["config"]["keras_history"] == ["x", 0, 0]
    numbers = {"1": [0, 1, 2, 3], "2": [0, 5, 0, 4], "3": [1, 1, 2, 1]}
    made = operation(graph_operation("StridedSlice", numbers, begin=1, end=5, shrink_axis=8))
    assert made is not None
    *slices, index = made["inbound_nodes"][0]["args"][1]
    assert [tuple(s["config"].values()) for s in slices] == [(None, None, 1), (1, 5, 1), (2, None, 2)]
    assert index == 3
    assert operation(graph_operation("StridedSlice", numbers, new_axis=1)) is None
    assert operation(graph_operation("Cumsum", {})) is None
