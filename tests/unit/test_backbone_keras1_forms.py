"""Configurations of Keras 1 in the words of Keras 2."""

from __future__ import annotations

from typing import Any

import pytest

from eeaug.backbone.keras1_forms import is_keras_1, renewed
from eeaug.support.regular import Unreadable


def layer(kind: str, **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": "it", **config}}


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        (layer("Convolution2D", nb_filter=4, nb_row=3, nb_col=5, subsample=[2, 1], dim_ordering="th", bias=False),
         "Conv2D", {"filters": 4, "kernel_size": [3, 5], "strides": [2, 1], "data_format": "channels_first",
                    "use_bias": False}),
        (layer("AtrousConvolution2D", nb_filter=4, nb_row=3, nb_col=3, atrous_rate=[2, 2]),
         "Conv2D", {"filters": 4, "kernel_size": [3, 3], "dilation_rate": [2, 2]}),
        (layer("Convolution1D", nb_filter=4, filter_length=3, subsample_length=2, input_dim=5, input_length=7),
         "Conv1D", {"filters": 4, "kernel_size": 3, "strides": 2, "batch_input_shape": [None, 7, 5]}),
        (layer("MaxPooling1D", pool_length=2, stride=2, border_mode="same"),
         "MaxPooling1D", {"pool_size": 2, "strides": 2, "padding": "same"}),
        (layer("Dense", output_dim=3, input_dim=5, init="normal", W_constraint={"name": "MaxNorm"}), "Dense",
         {"units": 3, "batch_input_shape": [None, 5], "kernel_initializer": "zeros", "kernel_constraint": None}),
        (layer("Dropout", p=0.5), "Dropout", {"rate": 0.5}),
        (layer("GaussianNoise", sigma=0.1), "GaussianNoise", {"stddev": 0.1}),
        (layer("LSTM", output_dim=3, inner_init="orthogonal", inner_activation="sigmoid", dropout_W=0.1,
               dropout_U=0.2, forget_bias_init="one", consume_less="gpu"),
         "LSTM", {"units": 3, "recurrent_initializer": "orthogonal", "recurrent_activation": "sigmoid",
                  "dropout": 0.1, "recurrent_dropout": 0.2}),
        (layer("Embedding", input_dim=9, output_dim=3, input_length=7, dropout=0.1),
         "Embedding", {"input_dim": 9, "output_dim": 3, "batch_input_shape": [None, 7]}),
        (layer("BatchNormalization", mode=0, epsilon=1e-5), "BatchNormalization", {"epsilon": 1e-5, "axis": -1}),
        (layer("Merge", mode="concat", concat_axis=1), "Concatenate", {"trainable": True, "axis": 1}),
        (layer("Merge", mode="sum", concat_axis=-1), "Add", {"trainable": True}),
        (layer("TimeDistributedDense", output_dim=3), "TimeDistributed",
         {"layer": {"class_name": "Dense", "config": {"name": "it_each", "units": 3}}}),
    ],
)  # fmt: skip
def test_a_layer(given: dict[str, Any], kind: str, words: dict[str, Any]) -> None:
    new = renewed({"class_name": "Sequential", "config": [given]})["config"][0]
    assert (new["class_name"], new["config"]) == (kind, {"name": "it", **words})


def test_a_layer_within_another() -> None:
    inside = renewed(layer("TimeDistributed", layer=layer("Dense", output_dim=2)))["config"]["layer"]
    assert inside["config"] == {"name": "it", "units": 2}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (layer("MaxoutDense", output_dim=3), "layer 'it' is of the class MaxoutDense, which Keras dropped"),
        (layer("BatchNormalization", mode=2), "normalizes by what it is given"),
        (layer("Merge", mode="cos"), "layer 'it' merges by 'cos'"),
        (layer("Merge", mode="sum", layers=[{}]), "merges whole models in a Sequential"),
    ],
)
def test_what_no_later_version_has(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        renewed({"class_name": "Sequential", "config": [given]})
    assert reason in str(caught.value)


def test_which_files_are_of_keras_1() -> None:
    one, two = layer("Convolution2D", nb_filter=4), layer("Embedding", input_dim=1, output_dim=2)
    assert is_keras_1(two, "1.0.3") and not is_keras_1(one, "2.0.0") and is_keras_1(one, "")
    assert not is_keras_1(two, "")
