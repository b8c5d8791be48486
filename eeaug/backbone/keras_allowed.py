"""What the configuration of a model file may name, so that building the model runs nothing from the file.

Keras builds what a configuration names: classes and functions by module and name, some of which read files,
load graphs or run stored Python code. So names are looked up here first, in lists of what only computes. Nothing
is imported and nothing in a configuration is run.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

from eeaug.backbone import keras2_operations as operations
from eeaug.backbone.keras2_config import MODELS, Item, item_name, layers_of, unresolved
from eeaug.support.printable import quoted

__all__ = ["LARGEST_SAMPLE", "refusal", "runs_code", "too_much", "unknown_operation"]

# Layers that run code from the file or read other files, and what they do
RUNS_CODE = {
    "Lambda": "a Lambda, which runs code from the file",
    "__lambda__": "a Lambda, which runs code from the file",
    "TFSMLayer": "a TFSMLayer, which runs the graph of another file",
    "KerasLayer": "a KerasLayer of TensorFlow Hub, which runs the graph of another file",
    "TorchModuleWrapper": "a TorchModuleWrapper, which runs code from the file",
    "JaxLayer": "a JaxLayer, which runs code from the file",
    "FlaxLayer": "a FlaxLayer, which runs code from the file",
    "TextVectorization": "a TextVectorization, which reads other files",
    "StringLookup": "a StringLookup, which reads other files",
    "IntegerLookup": "an IntegerLookup, which reads other files",
    "__typespec__": "made by a type of TensorFlow, which the file names",
}

_BY_RANK = (
    "AdaptiveAveragePooling", "AdaptiveMaxPooling", "AveragePooling", "AvgPool", "Conv", "Convolution",
    "Cropping", "GlobalAveragePooling", "GlobalAvgPool", "GlobalMaxPool", "GlobalMaxPooling", "MaxPool",
    "MaxPooling", "SpatialDropout", "UpSampling", "ZeroPadding", "ConvLSTM",
)  # fmt: skip
LAYERS = frozenset([
    "Activation", "ActivityRegularization", "Add", "AdditiveAttention", "AlphaDropout", "Attention",
    "AugMix", "AutoContrast", "Average", "BatchNormalization", "Bidirectional", "CategoryEncoding",
    "CenterCrop", "Concatenate", "ContrastLimitedAdaptiveHistogramEqualization", "Conv1DTranspose",
    "Conv2DTranspose", "Conv3DTranspose", "Convolution1DTranspose", "Convolution2DTranspose",
    "Convolution3DTranspose", "CutMix", "Dense", "DepthwiseConv1D", "DepthwiseConv2D", "Discretization",
    "Dot", "Dropout", "ELU", "EinsumDense", "Embedding", "Equalization", "Flatten", "GRU", "GRUCell",
    "GaussianDropout", "GaussianNoise", "GroupNormalization", "GroupQueryAttention",
    "GroupedQueryAttention", "HashedCrossing", "Hashing", "Identity", "InputLayer", "LSTM", "LSTMCell",
    "Layer", "LayerNormalization", "LeakyReLU", "Masking", "MaxNumBoundingBoxes", "Maximum",
    "MelSpectrogram", "Minimum", "MixUp", "MultiHeadAttention", "Multiply", "Normalization", "PReLU",
    "Permute", "Pipeline", "RMSNormalization", "RNN", "RandAugment", "RandomBrightness",
    "RandomColorDegeneration", "RandomColorJitter", "RandomContrast", "RandomCrop",
    "RandomElasticTransform", "RandomErasing", "RandomFlip", "RandomGaussianBlur", "RandomGrayscale",
    "RandomHeight", "RandomHue", "RandomInvert", "RandomPerspective", "RandomPosterization",
    "RandomRotation", "RandomSaturation", "RandomSharpness", "RandomShear", "RandomTranslation",
    "RandomWidth", "RandomZoom", "ReLU", "RepeatVector", "Rescaling", "Reshape", "Resizing",
    "ReversibleEmbedding", "STFTSpectrogram", "SeparableConv1D", "SeparableConv2D",
    "SeparableConvolution1D", "SeparableConvolution2D", "SimpleRNN", "SimpleRNNCell", "Softmax",
    "Solarization", "SpectralNormalization", "StackedRNNCells", "Subtract", "SyncBatchNormalization",
    "ThresholdedReLU", "TimeDistributed", "UnitNormalization", "Wrapper",
]) | {f"{name}{rank}D" for name in _BY_RANK for rank in (1, 2, 3)}  # fmt: skip

ACTIVATIONS = frozenset([
    "celu", "elu", "exponential", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish",
    "hard_tanh", "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu",
    "sigmoid", "silu", "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid",
    "sparsemax", "squareplus", "swish", "tanh", "tanh_shrink", "threshold", "softmax_v2", "sigmoid_v2",
    "swish_v2",
])  # fmt: skip

# Initializers, regularizers, constraints; functions and Keras 1 wrote names in small letters
_SMALL_PARTS = [
    "Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity", "IdentityInitializer",
    "LecunNormal", "LecunUniform", "Ones", "Orthogonal", "OrthogonalInitializer", "RandomNormal",
    "RandomUniform", "STFT", "STFTInitializer", "TruncatedNormal", "VarianceScaling", "Zeros", "L1", "L1L2",
    "L2", "OrthogonalRegularizer", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm", "RadialConstraint",
]  # fmt: skip
PARTS = (
    frozenset(_SMALL_PARTS)
    | {re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower() for name in _SMALL_PARTS}
    | {f"{name}V{version}" for name in _SMALL_PARTS for version in (1, 2)}
    | {"DTypePolicy", "DTypePolicyMap", "FloatDTypePolicy", "Policy", "PolicyV1", "QuantizedDTypePolicy"}
    | {"QuantizedFloat8DTypePolicy", "Int8QuantizationConfig", "Int4QuantizationConfig", "AbsMaxQuantizer"}
)
_PLAIN_VALUES = frozenset(
    {"__keras_tensor__", "__tensor__", "__numpy__", "__ellipsis__", "__slice__", "__tuple__", "TensorShape"}
)

# Where Keras looks for all of these; any other module of Keras can do more than compute
_MODULE = re.compile(
    r"(tf_)?keras(\.src|\.api)?(\.(layers|models|engine|ops|operations|initializers|regularizers|constraints"
    r"|activations|dtype_policies|mixed_precision|quantizers)(\.\w+)*)?"
)
_UNSAFE = "--allow-unsafe loads it if you trust its author"

MOST_CALLS = 10_000  # of layers, those in nested models counted at each call of the model
LONGEST_NAME = 1_000
LARGEST_BATCH = 65_536
MOST_STEPS = 4_096  # of a recurrent layer that is unrolled, of layers that repeat something as they are built
REPEATED = ("num_ops", "num_chains", "chain_depth", "tile_grid_size")
LARGEST_SAMPLE = 1 << 28  # numbers, 1 GiB in single precision

_Known = Callable[[str], bool]


def _walk(value: Any, owner: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Every dict in a configuration, outermost first, and the name of the layer it belongs to."""
    pending: list[tuple[Any, str]] = [(value, owner)]
    while pending:
        value_here, owner = pending.pop()
        if isinstance(value_here, dict):
            if not str(value_here.get("class_name", "")).endswith("Policy"):
                name = item_name(value_here) if isinstance(value_here.get("config"), dict) else "?"
                owner = owner if name == "?" else name
            yield value_here, owner
            value_here = list(value_here.values())
        pending += [(child, owner) for child in reversed(value_here) if isinstance(child, dict | list)]


def runs_code(model: Item) -> str | None:
    """The first thing in a configuration that runs code or reads a file, as a phrase; None where there is none."""
    for item, owner in _walk(model, item_name(model)):
        name = item.get("class_name")
        does = RUNS_CODE.get(name.rpartition(">")[2]) if isinstance(name, str) else None
        if does is not None:
            return f"layer {quoted(owner)} is {does}; {_UNSAFE}"
    return None


def unknown_operation(model: Item) -> str | None:
    """The first operation of TensorFlow in a model of Keras 2 that is none of those which only compute, or None."""
    for item, owner in _walk(model, item_name(model)):
        if str(item.get("class_name")) in operations.OPERATION_LAYERS and not operations.is_known(item):
            called = quoted(operations.function(item))
            return f"layer {quoted(owner)} calls TensorFlow's {called}: use a Keras layer instead"
    return None


def refusal(
    model: Item, registered: _Known, operation: Callable[[Item], bool], missing: Callable[[str], str], *,
    by_keras_2: bool,
) -> str | None:  # fmt: skip
    """The first name in a configuration that is in none of the lists, as a phrase; None where all are.

    Parameters
    ----------
    registered : whether the user gave Keras a class or function of that name
    operation : whether a stored layer is an operation of Keras 3 (``x + y``)
    missing : what would help where neither knows a name, the end of the phrase
    """
    for item, owner in _walk(model, item_name(model)):
        for key, value in item.items():
            if not key.endswith("activation") or not isinstance(value, str) or value in ACTIVATIONS:
                continue
            if not registered(value):
                what = f"uses the activation {quoted(value)}, a custom function"
                return f"layer {quoted(owner)} {what}{missing(value)}"
        name, module = item.get("class_name"), item.get("module")
        if name is None and module is None:
            continue
        if not isinstance(name, str) or not isinstance(module, str | None):
            wrong = name if isinstance(module, str | None) else module
            return f"layer {quoted(owner)} names a class by {quoted(wrong)}"
        kept = registered(name) if module is None else registered(str(item.get("registered_name", name)))
        if name == "function":
            called = item.get("config")
            if not isinstance(called, str) or not (called in ACTIVATIONS or registered(called)):
                return f"layer {quoted(owner)} calls the function {quoted(called)}{missing(str(called))}"
            kept = registered(called)
        elif not kept and (_is_registered(item) or not _computes(item, name, operation, by_keras_2)):
            verb = "is of" if item_name(item) == owner else "names the"
            what = f"{verb} class {_plain(name)}, which Keras 3 does not have (a custom class)"
            return f"layer {quoted(owner)} {what}{missing(str(item.get('registered_name') or name))}"
        builtin = module == "builtins" and (name == "function" or name in _PLAIN_VALUES)
        if module is not None and not kept and not builtin and not _MODULE.fullmatch(module):
            return f"layer {quoted(owner)} names {quoted(f'{module}.{name}')}, which is no layer; {_UNSAFE}"
    return None


def _is_registered(item: Item) -> bool:
    """Whether Keras 3 stored a class or function of the user, which may be called like one of its own."""
    module = item.get("module")
    foreign = module is None or (item.get("class_name") in LAYERS and not _MODULE.fullmatch(str(module)))
    return item.get("registered_name") is not None and foreign


def _computes(item: Item, name: str, operation: Callable[[Item], bool], by_keras_2: bool) -> bool:
    if name in LAYERS or name in MODELS or name in PARTS or name in _PLAIN_VALUES:
        return True
    # unknown_operation has looked at the operations of TensorFlow before
    return (by_keras_2 and name in operations.OPERATION_LAYERS) or operation(item)


def too_much(model: Item, *, by_keras_2: bool) -> str | None:
    """Why building a model would take for ever or all memory, whatever its weights are; None if it would not."""
    if by_keras_2 and (layer := unresolved(model)):  # Keras 3 reports such calls itself
        return f"layer {quoted(layer)} waits for itself, or for a call of a layer that is not there"
    if _calls(model) > MOST_CALLS:
        return f"its layers are called more than {MOST_CALLS:,} times"
    steps = _steps(model)
    for item, owner in _walk(model, item_name(model)):
        counts = [n for key in REPEATED for n in _numbers(item.get(key))]
        if (item.get("unroll") and steps > MOST_STEPS) or max(counts, default=0) > MOST_STEPS:
            return f"layer {quoted(owner)} repeats itself more than {MOST_STEPS:,} times as it is built"
        if len(owner) > LONGEST_NAME:
            return f"the layer {quoted(owner)} has a name of {len(owner):,} characters"
        for key in ("batch_shape", "batch_input_shape", "input_shape", "build_input_shape"):
            shape = item.get(key)
            if not isinstance(shape, list) or not all(isinstance(n, int) for n in shape if n is not None):
                continue
            if key != "input_shape" and shape and (shape[0] or 0) > LARGEST_BATCH:
                return f"layer {quoted(owner)} has a batch of {shape[0]:,} samples"
            size = math.prod(n for n in (shape if key == "input_shape" else shape[1:]) if n is not None)
            if size > LARGEST_SAMPLE:
                return (
                    f"layer {quoted(owner)} has an input of {_number(size)} numbers, more than {LARGEST_SAMPLE:,}"
                )
    return None


def _steps(model: Item) -> float:
    """The longest sequence that a recurrent layer could be given."""
    longest: list[float] = [0]
    for item, _ in _walk(model, ""):
        for key in ("batch_shape", "batch_input_shape", "input_shape", "n", "size", "target_shape"):
            longest += _numbers(item.get(key))
    return max(longest)


def _numbers(value: object) -> list[float]:
    return [n for n in (value if isinstance(value, list) else [value]) if isinstance(n, int | float)]


def _calls(model: Item) -> int:
    """How often layers are called where nested models are taken apart, as eeaug does."""
    total = 0
    for layer in layers_of(model):
        nodes = layer.get("inbound_nodes")
        called = max(1, len(nodes)) if isinstance(nodes, list) else 1
        inner = _calls(layer) if isinstance(layer.get("config"), dict | list) else 1
        total += called * max(1, inner)
    return total


def _number(value: int) -> str:
    return f"{value:,}" if value < 10**15 else "10¹⁵ or more"


def _plain(name: str) -> str:
    return name if name.isidentifier() and len(name) <= 80 else quoted(name)
