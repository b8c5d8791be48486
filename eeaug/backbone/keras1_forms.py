"""Configurations of Keras 1 in the words of Keras 2, as far as there are any.

Pure functions on decoded JSON, as in keras2_config. What arguments are called in both is in the release notes of
Keras 2.0 (keras.io, "Introducing Keras 2") and in its ``legacy/interfaces.py``; weights are for tf_keras to turn,
which knows the layouts of Keras 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from eeaug.backbone.keras2_config import Item, item_name, items
from eeaug.support.printable import quoted
from eeaug.support.regular import Unreadable

__all__ = ["is_keras_1", "renewed"]

# Keras 1 has these, no later version has
_GONE = ("MaxoutDense", "Highway", "SReLU", "ParametricSoftplus", "LambdaMerge", "Graph")
_CLASSES = {
    "Convolution1D": "Conv1D", "Convolution2D": "Conv2D", "Convolution3D": "Conv3D",
    "AtrousConvolution1D": "Conv1D", "AtrousConvolution2D": "Conv2D", "AtrousConv1D": "Conv1D",
    "AtrousConv2D": "Conv2D", "Deconvolution2D": "Conv2DTranspose", "SeparableConvolution2D": "SeparableConv2D",
}  # fmt: skip
# of any layer; those of one class follow
_ARGUMENTS: Mapping[str, str] = {
    "init": "kernel_initializer", "inner_init": "recurrent_initializer", "inner_activation": "recurrent_activation",
    "W_regularizer": "kernel_regularizer", "U_regularizer": "recurrent_regularizer",
    "b_regularizer": "bias_regularizer", "W_constraint": "kernel_constraint",
    "U_constraint": "recurrent_constraint", "b_constraint": "bias_constraint", "dropout_W": "dropout",
    "dropout_U": "recurrent_dropout", "bias": "use_bias",
    "border_mode": "padding", "dim_ordering": "data_format", "nb_filter": "filters", "subsample": "strides",
    "subsample_length": "strides", "filter_length": "kernel_size", "pool_length": "pool_size", "stride": "strides",
    "atrous_rate": "dilation_rate", "p": "rate", "sigma": "stddev", "input_dtype": "dtype",
    "depthwise_init": "depthwise_initializer", "pointwise_init": "pointwise_initializer",
    "gamma_init": "gamma_initializer", "beta_init": "beta_initializer",
}  # fmt: skip
_OF_CLASS: Mapping[str, Mapping[str, str]] = {
    **{kind: {"output_dim": "units"} for kind in ("Dense", "LSTM", "GRU", "SimpleRNN", "TimeDistributedDense")},
    "Embedding": {"init": "embeddings_initializer", "W_regularizer": "embeddings_regularizer",
                  "W_constraint": "embeddings_constraint"},
    "PReLU": {"init": "alpha_initializer"},
    "UpSampling1D": {"length": "size"},
}  # fmt: skip
_DROPPED = (
    "input_dim", "input_length", "consume_less", "forget_bias_init", "weights", "create_input_layer",
    "cache_enabled", "output_shape",
)  # fmt: skip
_SPATIAL = {
    **dict.fromkeys(("Conv2D", "SeparableConv2D", "Conv2DTranspose"), ("nb_row", "nb_col")),
    "Conv3D": ("kernel_dim1", "kernel_dim2", "kernel_dim3"),
}  # fmt: skip
_FORMATS = {"th": "channels_first", "tf": "channels_last"}
_MERGES = {"sum": "Add", "mul": "Multiply", "ave": "Average", "max": "Maximum", "concat": "Concatenate"}
# Only these arguments are written in Keras 1 and no more in Keras 2
_SIGNS = ("border_mode", "nb_filter", "dim_ordering", "output_dim", "W_regularizer", "nb_row", "subsample_length")


def is_keras_1(config: Item, version: str) -> bool:
    """By the version in the file; where there is none, by the words."""
    if version:
        return version.startswith(("0.", "1."))
    return any(
        sign in item["config"]
        for item in items(config)
        if isinstance(item.get("config"), dict) and item["class_name"] != "Embedding"
        for sign in _SIGNS
    )


def renewed(config: Item) -> Item:
    """A copy of a model configuration of Keras 1 as Keras 2 writes it.

    Raises
    ------
    Unreadable : a layer that no later version has, or one that computes otherwise there
    """
    item: Item = _item(config)
    return item


def _item(value: Any) -> Any:
    """Every stored item below, innermost first."""
    if isinstance(value, list):
        return [_item(child) for child in value]
    if not isinstance(value, dict):
        return value
    item = {key: _item(child) for key, child in value.items()}
    name, inner = item.get("class_name"), item.get("config")
    if not isinstance(name, str):
        return item
    layer = quoted(item_name(item))
    if name in _GONE:
        raise Unreadable(f"layer {layer} is of the class {name}, which Keras dropped after version 1")
    if name == "Merge":
        return _merge(item, layer)
    if not isinstance(inner, dict):
        return item
    if name in ("Sequential", "Model", "InputLayer"):
        if "input_dtype" in inner:
            inner["dtype"] = inner.pop("input_dtype")
        return item
    return _layer(item, name, inner, layer)


def _layer(item: Item, name: str, inner: dict[str, Any], layer: str) -> Item:
    kind = _CLASSES.get(name, name)
    if kind == "BatchNormalization" and inner.pop("mode", 0) != 0:
        raise Unreadable(f"layer {layer} normalizes by what it is given (mode 1 or 2), which Keras 2 does not")
    input_shape = _input_shape(kind, inner)
    words = {**_ARGUMENTS, **_OF_CLASS.get(kind, {})}
    dropped = _DROPPED if kind != "Embedding" else ("dropout", *(key for key in _DROPPED if key != "input_dim"))
    new: dict[str, Any] = {words.get(key, key): value for key, value in inner.items() if key not in dropped}
    if input_shape is not None:
        new["batch_input_shape"] = input_shape
    if kind in _SPATIAL and all(key in new for key in _SPATIAL[kind]):
        new["kernel_size"] = [new.pop(key) for key in _SPATIAL[kind]]
    if "data_format" in new:
        new["data_format"] = _FORMATS.get(new["data_format"], new["data_format"])
    for key, change in _VALUES.items():
        if key in new:
            new[key] = change(new[key])
    if kind == "BatchNormalization" and "axis" not in new:
        new["axis"] = -1
    if kind == "TimeDistributedDense":
        shape = new.pop("batch_input_shape", None)
        dense = {**new, "name": f"{new.get('name', 'dense')}_each"}
        new = {"name": new.get("name", "dense"), "layer": {"class_name": "Dense", "config": dense}}
        new |= {} if shape is None else {"batch_input_shape": shape}
        kind = "TimeDistributed"
    return {**item, "class_name": kind, "config": new}


def _input_shape(kind: str, inner: Mapping[str, Any]) -> list[int | None] | None:
    """The shape that ``input_dim`` and ``input_length`` stand for, where no other is given."""
    if "batch_input_shape" in inner or inner.get("input_dim") is None:
        return None
    length = inner.get("input_length")
    if kind == "Embedding":
        return [None, length]
    recurrent = kind in ("LSTM", "GRU", "SimpleRNN", "Conv1D", "TimeDistributedDense")
    return [None, length, inner["input_dim"]] if recurrent else [None, inner["input_dim"]]


def _regularizer(value: Any) -> Any:
    """``{"name": "WeightRegularizer", "l1": 0, "l2": 0.01}``; it is of training alone."""
    if isinstance(value, dict) and "name" in value and "class_name" not in value:
        return {"class_name": "L1L2", "config": {"l1": value.get("l1") or 0.0, "l2": value.get("l2") or 0.0}}
    return value


def _constraint(value: Any) -> Any:
    return None if isinstance(value, dict) and "class_name" not in value else value  # of training alone


def _initializer(value: Any) -> Any:
    """Trained weights replace whatever it makes; some of Keras 1 are no more."""
    known = isinstance(value, str) and value not in ("normal", "uniform", "zero", "one", "identity")
    return value if known or isinstance(value, dict) else "zeros"


_VALUES: Mapping[str, Callable[[Any], Any]] = {
    **{f"{of}_regularizer": _regularizer for of in ("kernel", "recurrent", "bias", "activity", "gamma", "beta")},
    **{f"{of}_constraint": _constraint for of in ("kernel", "recurrent", "bias", "embeddings")},
    **{f"{of}_initializer": _initializer for of in (
        "kernel", "recurrent", "bias", "gamma", "beta", "alpha", "embeddings", "depthwise", "pointwise")},
    "embeddings_regularizer": _regularizer,
}  # fmt: skip


def _merge(item: Item, layer: str) -> Item:
    """Keras 1's one layer for all ways of merging."""
    inner = item["config"]
    mode = inner.get("mode") if isinstance(inner, dict) else None
    if inner.get("layers"):
        raise Unreadable(f"layer {layer} merges whole models in a Sequential, which Keras 2 cannot write")
    if inner.get("mode_type") == "lambda" or mode not in _MERGES:
        raise Unreadable(f"layer {layer} merges by {quoted(mode)}; eeaug reads {', '.join(_MERGES)}")
    new = {"name": inner.get("name"), "trainable": True}
    if mode == "concat":
        new["axis"] = inner.get("concat_axis", -1)
    return {**item, "class_name": _MERGES[mode], "config": new}
