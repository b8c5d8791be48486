"""Operators of ``ai.onnx.ml``, which exporters of scikit-learn write: those of linear models and of scaling."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from eeaug.backbone.from_onnx.arithmetic import together
from eeaug.backbone.from_onnx.atoms import Value
from eeaug.backbone.from_onnx.builder import Builder, Operand, Unsupported
from eeaug.backbone.from_onnx.products import dense
from eeaug.backbone.from_onnx.windows import averaged

__all__ = ["HANDLERS", "LABELS"]

_Inputs = Sequence[Operand | None]
_Attributes = Mapping[str, Any]
# Operators that give classes instead of scores: an output of these is a label
LABELS = ("ArgMax", "ArrayFeatureExtractor", "LabelEncoder", "TopK", "ZipMap")


def _value(inputs: _Inputs) -> Value:
    if not isinstance(inputs[0], Value):
        raise Unsupported("it reads constants where a sample is expected")
    return inputs[0]


def _scaler(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    scale = np.asarray(values.get("scale", [1.0]), np.float32)
    offset = np.asarray(values.get("offset", [0.0]), np.float32)
    return b.affine(_value(inputs), scale, -offset * scale)


def _normalizer(b: Builder, inputs: _Inputs, values: _Attributes) -> Value:
    value, norm = _value(inputs), values.get("norm", "MAX")
    if norm == "L2":
        return b.each(value, b.keras.layers.UnitNormalization(axis=-1, name=b.name()), positive=value.positive)
    if norm != "L1" or not value.positive:
        raise Unsupported(f"it divides by the norm {norm} of numbers of both signs")
    total = averaged(b, value, [len(value.axes) - 1], keep=True, kind="Sum")
    operation = b.operation("numpy", "Divide")
    return replace(together(b, lambda tensors: operation(*tensors), value, total), positive=True)


def _linear(b: Builder, inputs: _Inputs, values: _Attributes) -> tuple[None, Value]:
    value = _value(inputs)
    bias = np.asarray(values["intercepts"], np.float32)
    matrix = np.asarray(values["coefficients"], np.float32).reshape(len(bias), -1).T
    scores = dense(b, value, -1, matrix, bias)
    transform = values.get("post_transform", "NONE")
    if transform == "SOFTMAX":
        return None, b.each(scores, b.keras.layers.Softmax(name=b.name("_softmax")), positive=True)
    if transform == "LOGISTIC":
        layer = b.keras.layers.Activation("sigmoid", name=b.name("_sigmoid"))
        return None, b.each(scores, layer, positive=True)
    if transform != "NONE":
        raise Unsupported(f"its scores are brought to probabilities by {transform}")
    return None, scores


def _refused(b: Builder, inputs: _Inputs, values: _Attributes) -> None:
    raise Unsupported(
        "a model of trees, neighbours or support vectors has no layers between which an exit could stand"
    )


HANDLERS: dict[str, Callable[[Builder, _Inputs, _Attributes], Any]] = {
    "Scaler": _scaler,
    "Normalizer": _normalizer,
    "LinearClassifier": _linear,
    **dict.fromkeys(("TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor", "SVMClassifier",
                     "SVMRegressor", "KNN"), _refused),
}  # fmt: skip
