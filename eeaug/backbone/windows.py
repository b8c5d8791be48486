"""What convolutions and pooling layers move over their input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Window", "window_of"]


@dataclass(frozen=True)
class Window:
    """What a convolution or pooling moves over its input; a number for every spatial axis, in their order.

    ``padding``: "valid", "same" or "causal".
    """

    size: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: str
    groups: int = 1


def window_of(layer: Any) -> Window | None:
    """Of a layer of Keras that has one."""
    size = getattr(layer, "kernel_size", getattr(layer, "pool_size", None))
    if size is None or getattr(layer, "data_format", "channels_last") != "channels_last":
        return None
    size = tuple(map(int, np.atleast_1d(size)))
    stride, dilation = (
        tuple(map(int, np.broadcast_to(value if value is not None else 1, len(size))))
        for value in (getattr(layer, "strides", 1), getattr(layer, "dilation_rate", 1))
    )
    return Window(size, stride, dilation, layer.padding, getattr(layer, "groups", 1))
