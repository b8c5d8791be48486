"""What a model's output is: probabilities, sigmoids or logits, by what its layers compute and by its answers.

Layers are followed from the input to the output: a dense layer gives scores (any numbers), softmax gives
distributions, sigmoid gives numbers from 0 to 1; an average of distributions is one, a multiple of one is not. Many
layers leave open what comes out, and some say what they do not do (a softmax over another axis), so real samples
decide: what is not negative and sums to 1 on every one of them is a distribution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.output import Decision
from eeaug.errors import ConversionError, InputError
from eeaug.support.printable import quoted

__all__ = ["Ending", "activation_of", "ending_of", "softmax", "told", "tolerance"]

DISTRIBUTION, SIGMOIDS, SCORES, DERIVED = "distribution", "sigmoids", "scores", "derived"
LONGEST_NAME = 26  # characters of the name of a layer, quotes among them
# What probabilities may be off by, and their sum by from 1: in single precision, and where layers compute in half.
TOLERANCE, HALF_TOLERANCE = 1e-3, 1e-2
SUSPICIOUS = 64  # if none of so many samples lies outside 0 to 1, the output is hardly one of logits

# The meaning stays: layers that move numbers about, that average them, or that pick some.
_TRANSPARENT = {
    "Flatten", "Reshape", "Dropout", "Permute", "Identity", "Cast", "Squeeze", "ExpandDims", "Transpose",
    "SpatialDropout1D", "SpatialDropout2D", "GaussianDropout", "GaussianNoise", "AlphaDropout",
    "ActivityRegularization", "Swapaxes", "Moveaxis",
}  # fmt: skip
_AVERAGES = {"Average", "Mean"}
_PICKS = {"Maximum", "Minimum", "Concatenate", "Stack", "GetItem", "Take", "Max", "Min", "Split", "RepeatVector"}
# Layers with weights that work on each number by itself
_ELEMENTWISE = {"PReLU", "BatchNormalization", "LayerNormalization", "GroupNormalization", "Normalization"}
# Layers and operations that are an activation by themselves
_ACTIVATIONS = {
    "Softmax": "softmax", "Sigmoid": "sigmoid", "LogSoftmax": "log_softmax", "LogSigmoid": "log_sigmoid",
    "ReLU": "relu", "Relu": "relu", "Relu6": "relu6", "LeakyReLU": "leaky_relu", "LeakyRelu": "leaky_relu",
    "ELU": "elu", "Elu": "elu", "Selu": "selu", "Gelu": "gelu", "Silu": "silu", "Tanh": "tanh",
    "Exp": "exponential", "Softplus": "softplus", "Softsign": "softsign", "HardSigmoid": "hard_sigmoid",
    "HardSilu": "hard_silu", "ThresholdedReLU": "thresholded_relu",
}  # fmt: skip


_Meant = tuple[str, tuple[tuple[str, str], ...]]  # meaning and roots, as in Ending


class Layer(Protocol):
    """What is read of a model.Call."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def inputs(self) -> tuple[str, ...]: ...
    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]: ...
    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]: ...
    @property
    def weights(self) -> tuple[tuple[int, ...], ...]: ...
    @property
    def activation(self) -> str | None: ...
    @property
    def axis(self) -> tuple[int, ...] | None: ...
    @property
    def custom(self) -> bool: ...


@dataclass(frozen=True)
class Ending:
    """What layers say of the output.

    Parameters
    ----------
    meaning : distribution, sigmoids, scores, or derived: made of the first two so that the result may be neither
    activation : of the last layer that is more than a step on the way; "linear" if it has none
    layer, kind : name and kind of that layer
    roots : what it comes from: ("softmax" or "sigmoid", name of the layer)
    computed : whether that layer multiplies by weights and has no activation: what a layer of logits does
    over_batch : whether it is a softmax over the samples of a batch
    """

    meaning: str = SCORES
    activation: str = "linear"
    layer: str = ""
    kind: str = ""
    roots: tuple[tuple[str, str], ...] = ()
    computed: bool = True
    over_batch: bool = False

    @property
    def words(self) -> str:
        """The end of "ends in ..."."""
        if self.activation != "linear":
            return f"{self.activation} (layer {quoted(self.layer, LONGEST_NAME)})"
        if self.meaning == SCORES or not self.roots:
            return "logits" if self.computed else f"layer {quoted(self.layer, LONGEST_NAME)} ({self.kind})"
        what = " and ".join(sorted({kind for kind, _ in self.roots}))
        listed = ", ".join(quoted(name, LONGEST_NAME) for _, name in self.roots[:2])
        listed = f"layers {listed}" if len(self.roots) == 2 else f"layer {listed}"
        listed = listed if len(self.roots) < 3 else f"{len(self.roots)} layers"
        return f"{self.kind} of {what} ({listed})"


def ending_of(calls: Sequence[Layer]) -> Ending:
    """Follow what numbers mean through the calls (in topological order, at least one)."""
    known: dict[str, _Meant] = {}
    for call in calls:
        known[call.name] = _meaning(call, [known.get(name, (SCORES, ())) for name in call.inputs])
    last = calls[-1]
    by_name = {call.name: call for call in calls}
    while _passes_on(last) and len(last.inputs) == 1 and last.inputs[0] in by_name:
        last = by_name[last.inputs[0]]
    meaning, roots = known[calls[-1].name]
    activation = _activation(last)
    return Ending(
        meaning, activation, last.name, last.kind, roots,
        computed=bool(last.weights) and activation == "linear" and not last.custom,
        over_batch=activation == "softmax" and 0 in _axes(last),
    )  # fmt: skip


def _axes(softmax: Layer) -> set[int]:
    """The axes that a softmax is over, from 0, which is the batch."""
    rank = len(softmax.shapes[0]) + 1
    return {rank - 1} if softmax.axis is None else {axis % rank for axis in softmax.axis}


def activation_of(kind: str) -> str | None:
    """The activation that a kind of layer or operation is by itself; None: it is none."""
    return _ACTIVATIONS.get(kind)


def _activation(call: Layer) -> str:
    if call.custom:  # code of the user says nothing of itself: samples decide
        return "linear"
    activation = _ACTIVATIONS.get(call.kind) or call.activation or "linear"
    return activation.removesuffix("_v2")


def _passes_on(call: Layer) -> bool:
    """A linear activation stands at the end of mixed-precision models, to give single precision."""
    return call.kind in _TRANSPARENT or (call.kind == "Activation" and call.activation == "linear")


def _meaning(call: Layer, read: Sequence[_Meant]) -> _Meant:
    if call.custom:
        return SCORES, ()
    activation = _activation(call)
    if activation == "softmax":
        over_classes = _axes(call) == {len(call.shapes[0])}
        return (DISTRIBUTION if over_classes else DERIVED), ((activation, call.name),)
    if activation == "sigmoid":
        return SIGMOIDS, ((activation, call.name),)
    meanings = {meaning for meaning, _ in read}
    roots = tuple(dict.fromkeys(root for _, those in read for root in those))
    computes = bool(call.weights) and call.kind not in _ELEMENTWISE
    if computes or SCORES in meanings or not meanings or activation == "log_softmax":
        return SCORES, ()
    if len(meanings) > 1 or activation != "linear":
        return DERIVED, roots
    (only,) = meanings
    if only == DERIVED or call.kind in _AVERAGES or "AveragePooling" in call.kind:
        return only, roots
    if _passes_on(call):  # once classes are not the last axis, that axis sums to no 1
        moved = only == DISTRIBUTION and call.shapes[0][-1:] != call.input_shapes[0][-1:]
        return (DERIVED if moved else only), roots
    if only == SIGMOIDS and (call.kind in _PICKS or "MaxPooling" in call.kind):
        return SIGMOIDS, roots
    return DERIVED, roots


def told(
    where: str, part: str, ending: Ending, answers: NDArray[np.floating], several_labels: bool,
    allowed: float = TOLERANCE,
) -> tuple[Decision, bool]:  # fmt: skip
    """What the output means and whether it lacks its softmax, by the model's own answers to real samples.

    Parameters
    ----------
    answers : (n, outputs), what the given model returns for some samples of ``part`` of the data
    several_labels : whether the data has rows of 0 and 1 that are not all one-hot
    allowed : what sums may be off by, see :func:`tolerance`

    Raises
    ------
    InputError : an answer is not finite
    ConversionError : they are neither probabilities, nor sigmoids, nor logits
    """
    p = np.asarray(answers, np.float64)
    if not np.isfinite(p).all():
        raise InputError(f"the given model gives NaN or infinite probabilities on {part}")
    count, outputs = p.shape
    within = bool((p >= -allowed).all() and (p <= 1 + allowed).all())
    both_sides = bool(p.min() < 0.5 < p.max())
    if outputs == 1:
        if not within or not (ending.meaning == SIGMOIDS or both_sides):
            raise ConversionError(
                f"{where} ends in {ending.words} and gives {_range(p)} on {count} real samples: not the "
                "probability of class 1, which lies from 0 to 1 and on both sides of 0.5"
            )
        return Decision("binary", 2), False
    sums_to_1 = within and bool(np.abs(p.sum(axis=1) - 1).max() <= allowed)
    if ending.meaning == SIGMOIDS and within and not (sums_to_1 and ending.activation == "linear"):
        return Decision("multilabel", outputs), False
    if sums_to_1:
        return Decision("softmax", outputs), False
    if (p <= allowed).all() and np.abs(np.exp(p).sum(axis=1) - 1).max() <= allowed:  # logarithms of probabilities
        return Decision("softmax", outputs), True
    if within and several_labels and both_sides and not ending.computed:
        return Decision("multilabel", outputs), False
    doubtful = within and count >= SUSPICIOUS and not ending.computed and ending.activation != "log_softmax"
    if ending.meaning == SCORES and not doubtful:
        return Decision("softmax", outputs), True
    raise ConversionError(
        f"{where} ends in {ending.words}, but on {count} real samples the sum of its {outputs} outputs is "
        f"{_range(p.sum(axis=1))}, not 1{'' if within else f', and they are {_range(p)}'}: neither probabilities "
        "nor logits; eeaug reads softmax over the classes, logits, or a sigmoid per label"
    )


def tolerance(half: bool) -> float:
    """What probabilities may be off by where layers compute in single or ``half`` precision."""
    return HALF_TOLERANCE if half else TOLERANCE


def softmax(z: NDArray[np.floating]) -> NDArray[np.float32]:
    """Of logits (n, classes)."""
    e = np.exp(np.asarray(z, np.float64) - np.max(z, axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True), np.float32)


def _range(values: NDArray[np.floating]) -> str:
    low, high = f"{values.min():.4g}", f"{values.max():.4g}"
    return low if low == high else f"from {low} to {high}"
