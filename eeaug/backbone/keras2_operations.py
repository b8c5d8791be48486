"""TensorFlow operations that Keras 2 stored as layers (``x + y``, ``x[:, 1:]``), rewritten for Keras 3.

Keras 2.4 and later stored the Python function (TFOpLambda, SlicingOpLambda), earlier ones the node of the
TensorFlow graph (TensorFlowOpLayer). Keras 3 has the same operations as classes of its own.
Pure functions on decoded JSON, as in keras2_config.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["OPERATION_LAYERS", "function", "is_known", "operation", "tensor"]

Item = dict[str, Any]

MODULE = "keras.src.ops."  # as Keras 3 itself stores them
OPERATION_LAYERS = ("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer")

# TensorFlow's function and graph operation → module and class of Keras 3, called on the same arguments
_SAME = {
    **dict.fromkeys(("math.add", "__operators__.add", "Add", "AddV2"), "numpy.Add"),
    **dict.fromkeys(("math.subtract", "Sub"), "numpy.Subtract"),
    **dict.fromkeys(("math.multiply", "Mul"), "numpy.Multiply"),
    **dict.fromkeys(("math.truediv", "math.divide", "RealDiv"), "numpy.TrueDivide"),
    **dict.fromkeys(("math.maximum", "Maximum"), "numpy.Maximum"),
    **dict.fromkeys(("math.minimum", "Minimum"), "numpy.Minimum"),
    **dict.fromkeys(("math.pow", "Pow"), "numpy.Power"),
    **dict.fromkeys(("math.negative", "Neg"), "numpy.Negative"),
    **dict.fromkeys(("math.abs", "Abs"), "numpy.Absolute"),
    **dict.fromkeys(("math.square", "Square"), "numpy.Square"),
    **dict.fromkeys(("math.sqrt", "Sqrt"), "numpy.Sqrt"),
    **dict.fromkeys(("math.exp", "Exp"), "numpy.Exp"),
    **dict.fromkeys(("math.tanh", "nn.tanh", "Tanh"), "numpy.Tanh"),
    **dict.fromkeys(("math.sigmoid", "nn.sigmoid", "Sigmoid"), "nn.Sigmoid"),
    **dict.fromkeys(("nn.relu", "Relu"), "nn.Relu"),
    **dict.fromkeys(("nn.relu6", "Relu6"), "nn.Relu6"),
    "nn.silu": "nn.Silu",
    "Softmax": "nn.Softmax",
}
# The same where Keras 3 takes some arguments when the operation is made: its name of each by TensorFlow's
_CONFIGURED = {
    "math.reduce_mean": ("numpy.Mean", {"axis": "axis", "keepdims": "keepdims"}),
    "nn.softmax": ("nn.Softmax", {"axis": "axis"}),
    "reshape": ("numpy.Reshape", {"shape": "newshape"}),
    "concat": ("numpy.Concatenate", {"axis": "axis"}),
}


def function(layer: Item) -> str:
    """What a layer of OPERATION_LAYERS computes, by TensorFlow's name."""
    config = layer.get("config")
    config = config if isinstance(config, dict) else {}
    name = config.get("function")
    if layer["class_name"] == "TensorFlowOpLayer":  # the class decides which of the two is called
        node = config.get("node_def")  # text in some versions
        name = node.get("op") if isinstance(node, dict) else None
    return str(name or layer["class_name"])


def is_known(layer: Item) -> bool:
    """Whether the layer computes one of the operations below, called in a way that Keras 3 has too."""
    try:
        return operation(layer) is not None
    except (AttributeError, IndexError, KeyError, StopIteration, TypeError, ValueError):  # damaged
        return False


def operation(layer: Item) -> Item | None:
    """The layer as an operation of Keras 3, its calls included; None where there is none that is known."""
    calls = [_from_graph(layer, n) if layer["class_name"] == "TensorFlowOpLayer" else _from_function(layer, n)
            for n in layer["inbound_nodes"]]  # fmt: skip
    if not calls or None in calls:
        return None
    kind, config, _ = calls[0]  # type: ignore[misc]  # None was ruled out
    module, _, name = kind.rpartition(".")
    return {
        "module": MODULE + module,
        "class_name": name,
        "registered_name": name,
        "config": {"name": layer["name"], **config},
        "name": layer["name"],
        "inbound_nodes": [{"args": args, "kwargs": {}} for _, _, args in calls],  # type: ignore[misc]
    }


def tensor(reference: list[Any]) -> Item:
    """A stored ``[layer name, node index, tensor index, ...]`` as Keras 3 stores a tensor among arguments."""
    # only the history is used, shape and type come from the layer it names
    config = {"shape": [None], "dtype": "float32", "keras_history": reference[:3]}
    return {"class_name": "__keras_tensor__", "config": config}


_Made = tuple[str, dict[str, Any], list[Any]]  # Keras 3 class, its configuration, the arguments of one call


def _from_function(layer: Item, node: list[Any]) -> _Made | None:
    name = function(layer)
    listed = isinstance(node[0], list)  # called on a list of tensors
    first, keywords = (node if listed else node[0]), (node[0][3] if listed else node[3])
    keywords = {key: value for key, value in keywords.items() if value is not None}
    argument: Any = [_argument(n) for n in first] if listed else _argument(node)
    if name == "__operators__.getitem":
        key = _key(keywords.pop("slice_spec", None))
        return None if key is None or keywords else ("numpy.GetItem", {}, [argument, key])
    if name in _SAME and not listed and keywords.keys() <= {"y"}:
        return _SAME[name], {}, [argument, *(_argument(value) for value in keywords.values())]
    if name not in _CONFIGURED or listed != (name == "concat"):
        return None
    kind, names = _CONFIGURED[name]
    if not keywords.keys() <= names.keys():
        return None
    return kind, {names[key]: value for key, value in keywords.items()}, [argument]


def _from_graph(layer: Item, node: list[Any]) -> _Made | None:
    constants: Mapping[str, Any] = layer["config"].get("constants") or {}
    tensors = iter(node)
    size = len(node) + len(constants)
    inputs = [constants[str(i)] if str(i) in constants else tensor(next(tensors)) for i in range(size)]
    name = function(layer)
    if name == "StridedSlice" and len(constants) == 3:
        key = _strided(layer["config"]["node_def"].get("attr", {}), *inputs[1:])
        return None if key is None else ("numpy.GetItem", {}, [inputs[0], key])
    return (_SAME[name], {}, [_argument(value) for value in inputs]) if name in _SAME else None


def _argument(value: Any) -> Any:
    """A tensor or a constant among the arguments of a call."""
    if isinstance(value, list) and value and isinstance(value[0], str):
        return value[2] if value[0] == "_CONSTANT_VALUE" else tensor(value)
    if isinstance(value, list):
        return {"class_name": "__numpy__", "config": {"value": value, "dtype": "float32"}}
    return value


def _key(spec: Any) -> list[Any] | None:
    """A stored subscript such as ``[:, 1:, 0]``; None where it holds anything but numbers.

    An ellipsis would be read twice on the way into Keras 3, which then fails.
    """
    spec = spec if isinstance(spec, list) else [spec]
    parts: list[Any] = []
    for part in spec:
        if isinstance(part, int):
            parts.append(part)
        elif isinstance(part, dict) and part.keys() == {"start", "stop", "step"}:
            if not all(end is None or isinstance(end, int) for end in part.values()):
                return None
            parts.append({"class_name": "__slice__", "config": part})
        else:
            return None
    return parts


def _strided(attributes: Mapping[str, Any], begin: Any, end: Any, strides: Any) -> list[Any] | None:
    """The same from TensorFlow's numbers and bit masks."""
    masks = {name: int(attributes.get(f"{name}_mask", {}).get("i", 0))
             for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}  # fmt: skip
    if masks["ellipsis"] or masks["new_axis"]:
        return None
    parts: list[Any] = []
    for axis, (start, stop, step) in enumerate(zip(begin, end, strides, strict=True)):
        bit = 1 << axis
        if masks["shrink_axis"] & bit:
            parts.append(start)
            continue
        start, stop = None if masks["begin"] & bit else start, None if masks["end"] & bit else stop
        parts.append({"start": start, "stop": stop, "step": step})
    return _key(parts)
