"""Early-view assistance: the final classifier sees its last map through the exit's depthwise convolution, too.

Ghanathe and Wilton, "T-RECX: Tiny-Resource Efficient Convolutional neural networks with early-eXit" (2022), section
4.3 and figure 3: a copy of that convolution on the final feature map, joined to what the last dense layer reads. It
takes half of the exit's channels, and must be less than half of the map's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from eeaug.backbone import model
from eeaug.heads.layers import Convolve
from eeaug.heads.training import Trained
from eeaug.stages import partition

__all__ = ["EarlyView", "assisted"]

CELLS = 4  # to how many cells each axis of the view is pooled, as at the exit itself


@dataclass(frozen=True)
class EarlyView:
    """``network``: the early-exit model in one piece, its final classifier assisted; ``channels`` of the view."""

    network: Any
    channels: int
    copy: Callable[[], None]


def assisted(network: Any, exit_: Trained) -> EarlyView | None:
    """The network whose final classifier also sees the exit's view, outputs unchanged at first; None: impossible.

    That is: the exit has no depthwise convolution, the model does not end in a dense layer that follows a map, or
    the map has too few channels.
    """
    import keras

    depthwise = [i for i, s in enumerate(exit_.head.steps) if isinstance(s, Convolve) and s.filters is None]
    name, last_dense = partition.exit_name(exit_), _dense(keras, network.output[partition.FINAL])
    if not depthwise or last_dense is None:
        return None
    final, read = last_dense
    exit_layer = network.get_layer(f"{name}_{depthwise[0]}_depthwise")
    channels = exit_layer.kernel.shape[-2] // 2
    last = _map(read)
    if len(last.shape) != 4 or not 1 <= channels < last.shape[-1] / 2:
        return None
    layer = keras.layers.DepthwiseConv2D(
        exit_layer.kernel_size,
        strides=exit_layer.strides,
        padding="same",
        activation="relu",
        name="early_view_depthwise",
    )
    view = layer(last[..., :channels])
    window = tuple(max(1, s // CELLS) for s in view.shape[1:3])
    view = keras.layers.AveragePooling2D(window, name="early_view_pool")(view)
    view = keras.layers.Flatten(name="early_view_flatten")(view)
    joined = keras.layers.Concatenate(name="early_view_joined")([read, view])
    dense = keras.layers.Dense(final.units, activation=final.activation, name=f"{final.name}_assisted")
    scores = dense(joined)
    kernel, bias = final.kernel.numpy(), final.bias.numpy() if final.use_bias else np.zeros(final.units, np.float32)
    dense.set_weights([np.concatenate([kernel, np.zeros((view.shape[-1], final.units), np.float32)]), bias])
    outputs = {**network.output, partition.FINAL: _after(keras, final, network.output[partition.FINAL], scores)}

    def copy() -> None:
        layer.kernel.assign(exit_layer.kernel[:, :, :channels])
        layer.bias.assign(exit_layer.bias[:channels])

    copy()
    return EarlyView(keras.Model(network.input, outputs, name=network.name), channels, copy)


def _dense(keras: Any, tensor: Any) -> tuple[Any, Any] | None:
    """The last dense layer before ``tensor`` and what it reads, if only activations follow it."""
    while True:
        operation = tensor._keras_history.operation
        if isinstance(operation, keras.layers.Dense):
            return operation, _inputs(tensor)[0]
        passes = isinstance(operation, (keras.layers.Softmax, keras.layers.Activation))
        if not passes and operation.name not in model.RESERVED:
            return None
        (tensor,) = _inputs(tensor)


def _map(tensor: Any) -> Any:
    """What was averaged and flattened into ``tensor``."""
    kinds = ("Pooling", "Flatten", "Reshape", "Dropout")
    while any(kind in type(tensor._keras_history.operation).__name__ for kind in kinds):
        (tensor,) = _inputs(tensor)
    return tensor


def _inputs(tensor: Any) -> tuple[Any, ...]:
    operation, index, _ = tensor._keras_history
    return tuple(operation._inbound_nodes[index].input_tensors)


def _after(keras: Any, final: Any, old: Any, new: Any) -> Any:
    """``new`` sent through the layers that lie between the dense layer ``final`` and ``old``."""
    chain = []
    while old._keras_history.operation is not final:
        chain.append(old._keras_history.operation)
        (old,) = _inputs(old)
    for operation in reversed(chain):
        new = operation(new)
    return new
