"""Older ways in which Keras 2 wrote the same, in those of its last version, which tf_keras and eeaug read.

Pure functions on decoded JSON, as in keras2_config.
"""

from __future__ import annotations

import re
from typing import Any

from eeaug.backbone.keras2_config import Item, item_name, items

__all__ = ["renewed", "renormalised"]

# Classes under other names that compute the same and have the same weights. Those of cuDNN have their biases in
# another shape, which tf_keras knows.
_SAME = {
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    **dict.fromkeys(("LSTMV1", "LSTMV2", "UnifiedLSTM", "CuDNNLSTM"), "LSTM"),
    **dict.fromkeys(("GRUV1", "GRUV2", "UnifiedGRU", "CuDNNGRU"), "GRU"),
    "Deconvolution2D": "Conv2DTranspose",
    "Deconvolution3D": "Conv3DTranspose",
}
_ABBREVIATED = (
    (re.compile(r"^(Separable|Depthwise)?Convolution([123]D(Transpose)?)$"), r"\1Conv\2"),
    (re.compile(r"^(Global)?MaxPool([123]D)$"), r"\1MaxPooling\2"),
    (re.compile(r"^(Global)?AvgPool([123]D)$"), r"\1AveragePooling\2"),
)
# Settings that are one number
_NUMBERS = ("max_value", "negative_slope", "threshold", "alpha", "theta", "epsilon", "momentum", "rate", "stddev")
_INITIALIZER = re.compile(r"^(\w+)V[12]$")


def renewed(config: Item) -> Item:
    """A copy of a model configuration of Keras 2 in the forms of its last version."""
    copied: Item = _plain(config, "")
    for item in items(copied):
        inner = item.get("config")
        if not isinstance(item["class_name"], str) or not isinstance(inner, dict):
            continue
        name = _SAME.get(item["class_name"], item["class_name"])
        for pattern, new in _ABBREVIATED:
            name = pattern.sub(new, name)
        if item["class_name"] == "CuDNNGRU":
            inner.setdefault("reset_after", True)
        elif name in ("GRU", "GRUCell"):
            inner.setdefault("reset_after", False)  # all that there was before Keras 2.1.3
        item["class_name"] = name
        for key, value in inner.items():
            if (
                key.endswith("_initializer")
                and isinstance(value, dict)
                and isinstance(value.get("class_name"), str)
            ):
                value["class_name"] = _INITIALIZER.sub(r"\1", value["class_name"])
    return copied


def renormalised(config: Item) -> str | None:
    """The first batch normalization that keeps corrections of its own, which Keras 3 lacks; or None."""
    for item in items(config):
        inner = item.get("config")
        if item["class_name"] == "BatchNormalization" and isinstance(inner, dict) and inner.get("renorm"):
            return item_name(item)
    return None


def _plain(value: Any, key: str) -> Any:
    """Arrays and numbers of numpy were stored as ``{"type": "ndarray", "value": 6.0}``."""
    if isinstance(value, list):
        return [_plain(child, key) for child in value]
    if not isinstance(value, dict):
        return value
    if (
        isinstance(value.get("type"), str)
        and "value" in value
        and value.keys() <= {"type", "value", "dtype", "shape"}
    ):
        kept = value["value"]
        while key in _NUMBERS and isinstance(kept, list) and len(kept) == 1:
            kept = kept[0]
        return kept
    return {name: _plain(child, name) for name, child in value.items()}
