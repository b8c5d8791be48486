"""What a model's output is: probabilities, sigmoids or logits, by what its layers compute and by its answers.

Layers are followed from the input to the output: a dense layer gives scores (any numbers), softmax gives
distributions, sigmoid gives numbers from 0 to 1; an average of distributions is one, a multiple of one is not. Many
layers leave open what comes out, and some say what they do not do (a softmax over another axis), so real samples
decide: what is not negative and sums to 1 on every one of them is a distribution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from eeaug.backbone.losses import Loss
from eeaug.cascade.output import Decision
from eeaug.errors import ConversionError, InputError
from eeaug.settings.contradictions import Contradiction
from eeaug.support.printable import quoted
from eeaug.support.sample_layout import SampleLayout

__all__ = [
    "ONE_LABEL", "SEVERAL_LABELS", "SHARPNESS", "Ending", "OutputMeaning", "activation_of", "at_first", "ending_of",
    "told", "tolerance", "with_added",
]  # fmt: skip

DISTRIBUTION, SIGMOIDS, SCORES, DERIVED = "distribution", "sigmoids", "scores", "derived"
LONGEST_NAME = 26  # characters of the name of a layer, quotes among them
# What probabilities may be off by, and their sum by from 1: in single precision, and where layers compute in half.
TOLERANCE, HALF_TOLERANCE = 1e-3, 1e-2
ONE_LABEL, SEVERAL_LABELS = "one", "several"  # what data says of a sample
# Of sigmoids that have no logits any more (an average of them), before they get a softmax: 0.9 beside 0.1 becomes
# 0.9997, 0.6 beside 0.5 becomes 0.73
SHARPNESS = 10.0
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
    def strippable(self) -> bool:
        """Whether what is before its sigmoid or log-softmax can be had: the layer without its activation."""
        plain = self.kind in ("Activation", "Dense", "EinsumDense", *_ACTIVATIONS)
        convolves = self.kind.endswith(("1D", "2D", "3D")) and "Conv" in self.kind and "LSTM" not in self.kind
        return self.activation in ("sigmoid", "log_softmax") and (plain or convolves)

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


@dataclass(frozen=True)
class OutputMeaning:
    """How an output is read.

    Parameters
    ----------
    added : what the last stage adds: "softmax", "sigmoid", "sharpened" (a softmax of SHARPNESS times what comes
        out), or nothing
    stripped : whether that replaces the activation that the model ends in
    note : what was taken for granted, if the user should know
    """

    decision: Decision
    added: str = ""
    stripped: bool = False
    note: str | None = None


def at_first(
    where: str, ending: Ending, shape: tuple[int, ...], layout: SampleLayout, loss: Loss | None
) -> OutputMeaning:
    """What the model's output means by its layers alone, or why it cannot be used.

    Where layers leave that open, real samples decide (:func:`told`).

    Raises
    ------
    ConversionError : it is no classifier
    """
    if len(shape) != 1:
        raise ConversionError(f"{where} is not a classifier: its output has shape {shape}, not (classes,)")
    if not layout.several and shape == layout.shape:
        raise ConversionError(f"{where} is not a classifier: its output has the shape of its input, {shape}")
    ends, derived = ending.activation, ending.meaning == DERIVED
    if ending.over_batch:
        raise ConversionError(f"{where} ends in {ending.words} over axis 0: an answer depends on the other samples")
    if shape == (1,) and (ending.meaning == SIGMOIDS or (derived and ends == "linear")):
        return OutputMeaning(Decision("binary", 2))
    if shape == (1,) and ends == "linear" and ending.computed and not (loss is not None and loss.of_numbers):
        return OutputMeaning(Decision("binary", 2), "sigmoid")
    if ends not in ("softmax", "sigmoid", "linear", "log_softmax") or shape[0] < 2:
        kind = "a regressor or an autoencoder" if ends == "linear" else "not a classifier that eeaug knows"
        trained = f", trained with {loss.name}" if loss is not None and loss.of_numbers else ""
        raise ConversionError(
            f"{where} ends in {ends} with {shape[0]} output(s) (layer {ending.layer!r}){trained}: {kind}; "
            "eeaug reads classifiers that end in softmax, logits, or sigmoids"
        )
    if ending.meaning == SIGMOIDS:
        return OutputMeaning(Decision("multilabel", shape[0]))
    return OutputMeaning(Decision("softmax", shape[0]), "softmax" if ending.meaning == SCORES else "")


def told(
    where: str, part: str, ending: Ending, answers: NDArray[np.floating], labels: str | None = None, *,
    asked: str | None = None, loss: Loss | None = None, allowed: float = TOLERANCE,
) -> OutputMeaning:  # fmt: skip
    """What the output means, by the model's own answers to real samples, their labels, the loss and the user.

    Parameters
    ----------
    answers : (n, outputs), what the given model returns for some samples of ``part`` of the data
    labels : SEVERAL_LABELS: the data has rows of 0 and 1 that are not all one-hot; ONE_LABEL: one for each sample;
        None: there are none
    asked : "single-label" or "multilabel", what the user says; None: nothing
    loss : that the model was trained with; None: the file does not say it
    allowed : what sums may be off by, see :func:`tolerance`

    Raises
    ------
    InputError : an answer is not finite, or the user says what cannot be
    ConversionError : they are neither probabilities, nor sigmoids, nor logits
    """
    p = np.asarray(answers, np.float64)
    if not np.isfinite(p).all():
        raise InputError(f"the given model gives NaN or infinite probabilities on {part}")
    count, outputs = p.shape
    within = bool((p >= -allowed).all() and (p <= 1 + allowed).all())
    both_sides = bool(p.min() < 0.5 < p.max())
    if outputs == 1:
        if asked == "multilabel":
            raise Contradiction("{decision}: the model has a single output, of two classes", decision=asked)
        return _of_one(where, ending, p, loss, probability=within and (ending.meaning == SIGMOIDS or both_sides))
    one_class = OutputMeaning(Decision("softmax", outputs))
    sums_to_1 = within and bool(np.abs(p.sum(axis=1) - 1).max() <= allowed)
    if ending.meaning == SIGMOIDS and within and not (sums_to_1 and ending.activation == "linear"):
        return _of_sigmoids(ending, outputs, labels, asked, loss)
    logarithms = not sums_to_1 and bool((p <= allowed).all() and np.abs(np.exp(p).sum(axis=1) - 1).max() <= allowed)
    if (sums_to_1 or logarithms) and asked == "multilabel":
        raise Contradiction(
            "{decision}: the outputs are probabilities of classes that exclude each other: they sum to 1",
            decision=asked,
        )
    if sums_to_1:
        return one_class
    if logarithms:
        stripped = ending.strippable and ending.activation == "log_softmax"
        return replace(one_class, added="softmax", stripped=stripped)
    several = asked == "multilabel" or (asked is None and labels == SEVERAL_LABELS)
    if within and several and both_sides and not ending.computed:
        return OutputMeaning(Decision("multilabel", outputs))
    doubtful = within and count >= SUSPICIOUS and not ending.computed and ending.activation != "log_softmax"
    if ending.meaning == SCORES and not doubtful:
        by_label = asked is None and labels is None and loss is not None and loss.of_labels
        if several or by_label:
            note = f"each of its {outputs} outputs is read as the logit of a label, which applies above 0"
            note += "" if asked is not None else " (--decision single-label reads one class)"
            return OutputMeaning(Decision("multilabel", outputs), "sigmoid", note=note)
        return replace(one_class, added="softmax")
    raise ConversionError(
        f"{where} ends in {ending.words}, but on {count} real samples the sum of its {outputs} outputs is "
        f"{_range(p.sum(axis=1))}, not 1{'' if within else f', and they are {_range(p)}'}: neither probabilities "
        "nor logits; eeaug reads softmax over the classes, logits, or a sigmoid per label"
    )


def _of_one(
    where: str, ending: Ending, p: NDArray[np.float64], loss: Loss | None, *, probability: bool
) -> OutputMeaning:
    """A single output: the probability of class 1, or its logit."""
    scores = ending.meaning == SCORES and ending.computed
    surely = scores and loss is not None and loss.from_logits
    if probability and not surely:
        return OutputMeaning(Decision("binary", 2))
    if surely or (scores and p.min() < 0 < p.max()):
        note = "its one output is read as a logit: class 1 where it is above 0"
        return OutputMeaning(Decision("binary", 2), "sigmoid", note=note)
    raise ConversionError(
        f"{where} ends in {ending.words} and gives {_range(p)} on {len(p)} real samples: not the probability of "
        "class 1, which lies from 0 to 1 and on both sides of 0.5, and not its logit, which lies on both sides of 0"
    )


def _of_sigmoids(
    ending: Ending, outputs: int, labels: str | None, asked: str | None, loss: Loss | None
) -> OutputMeaning:
    """A sigmoid for each class: of a sample that has one label, the largest says which.

    As long as exactly one label applies, independent sigmoids p say that it is k with a probability in proportion
    to p_k / (1 − p_k), which is the softmax of their logits: the same class, and a confidence that sums to 1.
    """
    one, each = Decision("softmax", outputs), Decision("multilabel", outputs)
    if asked == "multilabel" or (labels == SEVERAL_LABELS and asked is None):
        return OutputMeaning(each)
    if asked is not None:
        why = "--decision single-label"
    elif labels == ONE_LABEL:
        why = "every sample has one label"
    elif loss is not None and loss.of_classes:
        why = f"it was trained with {loss.name}"
    else:
        note = (
            f"no labels: each of its {outputs} sigmoids is read as a label (--decision single-label reads one "
            "class)"
        )
        return OutputMeaning(each, note=note)
    stripped = ending.strippable
    of = "their logits" if stripped else f"{SHARPNESS:g} times them"
    note = (
        f"{why}: its {outputs} sigmoids are read as one of {outputs} classes, the largest, with the softmax of "
        f"{of} as confidence{'' if asked is not None else ' (--decision multilabel reads each as a label)'}"
    )
    return OutputMeaning(one, "softmax" if stripped else "sharpened", stripped, note)


def tolerance(half: bool) -> float:
    """What probabilities may be off by where layers compute in single or ``half`` precision."""
    return HALF_TOLERANCE if half else TOLERANCE


def with_added(raw: NDArray[np.floating], added: str) -> NDArray[np.float32]:
    """What the last stage makes of the given model's answers (n, outputs), see :class:`OutputMeaning`."""
    z = np.asarray(raw, np.float64)
    if added == "sigmoid":
        e = np.exp(-np.abs(z))
        return np.asarray(np.where(z >= 0, 1, e) / (1 + e), np.float32)
    if not added:
        return np.asarray(raw, np.float32)
    e = np.exp((SHARPNESS if added == "sharpened" else 1.0) * (z - z.max(axis=-1, keepdims=True)))
    return np.asarray(e / e.sum(axis=-1, keepdims=True), np.float32)


def _range(values: NDArray[np.floating]) -> str:
    low, high = f"{values.min():.4g}", f"{values.max():.4g}"
    return low if low == high else f"from {low} to {high}"
