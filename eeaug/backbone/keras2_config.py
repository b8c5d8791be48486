"""The configuration that a Keras model file stores: what it says, and how Keras 2's becomes Keras 3's.

Pure functions on decoded JSON; no framework is imported and nothing in a configuration is run.
A stored *item* is a dict with ``class_name`` and ``config``: a model, a layer, an initializer, ...
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from eeaug.backbone import keras2_operations as operations

__all__ = [
    "MODELS",
    "Item",
    "input_shapes",
    "item_name",
    "items",
    "layers_of",
    "rewritten",
    "unresolved",
    "without_slashes",
]

Item = dict[str, Any]

MODELS = ("Functional", "Model", "Sequential")  # classes of which the file holds all the layers

# Where Keras 3 has the classes of models
MODEL_MODULES = {"Functional": "keras.src.models.functional", "Sequential": "keras"}

# What Keras 2 stored and Keras 3 refuses; none of it changes what a trained layer computes
_KERNEL = ("groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint")
DROPPED_KEYS = {
    "BatchNormalization": ("adjustment", "fused", "renorm_clipping", "renorm_momentum", "virtual_batch_size"),
    "DepthwiseConv1D": _KERNEL,
    "DepthwiseConv2D": _KERNEL,
    "SeparableConv1D": _KERNEL,
    "SeparableConv2D": _KERNEL,
    "Conv1DTranspose": ("groups",),
    "Conv2DTranspose": ("groups",),
    "Conv3DTranspose": ("groups",),
    "MultiHeadAttention": ("query_shape", "key_shape", "value_shape", "softmax_robust_masking"),
    "Softmax": ("robust_masking",),
    "SpatialDropout1D": ("trainable", "noise_shape"),
    "SpatialDropout2D": ("trainable", "noise_shape"),
    "SpatialDropout3D": ("trainable", "noise_shape"),
}
DROPPED_EVERYWHERE = ("rng_type",)
DROPPED_WHEN_FALSE = ("renorm", "time_major")  # True means another computation, which Keras 3 refuses


def items(value: object) -> Iterator[Item]:
    """Every stored item in a configuration, outermost first."""
    if isinstance(value, dict):
        if "class_name" in value:
            yield value
        for child in value.values():
            yield from items(child)
    elif isinstance(value, list):
        for child in value:
            yield from items(child)


def item_name(item: Item) -> str:
    """The name of a stored layer or model, "?" where it has none."""
    config = item.get("config")
    stored = config.get("name") if isinstance(config, dict) else None
    return str(stored or item.get("name") or "?")


def layers_of(item: Item) -> list[Item]:
    """The layers of a stored model, none for any other item."""
    config = item.get("config")
    # Keras before 2.2.3 stored a Sequential as a bare list
    layers = config.get("layers") if isinstance(config, dict) else config
    return [layer for layer in layers if isinstance(layer, dict)] if isinstance(layers, list) else []


def input_shapes(item: Item) -> list[tuple[int | None, ...]] | None:
    """Stored input shapes without the batch dimension, in input order; None where the file has none."""
    config = item["config"] if isinstance(item["config"], dict) else {}
    shape = config.get("batch_input_shape") or config.get("batch_shape")
    if shape:
        return [tuple(shape[1:])]
    layers = layers_of(item)
    if config.get("input_layers"):
        by_name = {layer.get("name", item_name(layer)): layer for layer in layers}
        given = config["input_layers"]
        ordered = [given[key] for key in sorted(given)] if isinstance(given, dict) else given  # as Keras 3 has them
        inputs = [by_name[name] for name, *_ in _references(ordered) if name in by_name]
        return [shapes[0] for shapes in map(input_shapes, inputs) if shapes] or None
    first = input_shapes(layers[0]) if layers else None
    built = config.get("build_input_shape")
    if first is None and isinstance(built, list) and len(built) > 1:
        return [tuple(built[1:])]
    return first


def rewritten(config: Item) -> Item:
    """A copy of a model configuration of Keras 2 that Keras 3 accepts and that computes the same."""
    config = _renamed(json.loads(json.dumps(config)), without_slashes(config))
    for item in list(items(config)):
        if item["class_name"] == "Model":
            item["class_name"] = "Functional"
        if item["class_name"] == "Sequential" and isinstance(item["config"], list):
            item["config"] = {"layers": item["config"]}
        inner = item.get("config")
        if not isinstance(inner, dict):
            continue
        _rewrite_arguments(item["class_name"], inner)
        if item["class_name"] in MODEL_MODULES:
            item["module"] = MODEL_MODULES[item["class_name"]]
            inner.setdefault("name", item["class_name"].lower())
            _rewrite_calls(inner)
        elif "name" in inner and item["class_name"] != "Lambda":  # a layer; Keras 3 itself mends Lambda
            item["module"] = "keras.layers"
            item.pop("build_config", None)
    return config


def _rewrite_arguments(class_name: str, config: dict[str, Any]) -> None:
    for key in DROPPED_KEYS.get(class_name, ()) + DROPPED_EVERYWHERE:
        config.pop(key, None)
    for key in DROPPED_WHEN_FALSE:
        if config.get(key) is False:
            del config[key]
    for key, value in config.items():
        if key.endswith(("_initializer", "_regularizer", "_constraint")) and isinstance(value, dict):
            value.get("config", {}).pop("dtype", None)
        elif key == "dtype" and isinstance(value, dict):  # a mixed-precision policy
            config[key] = value["config"]["name"]
        elif key == "axis" and isinstance(value, list) and len(value) == 1:
            config[key] = value[0]
    if "batch_input_shape" in config:
        shape = config.pop("batch_input_shape")
        is_input = class_name == "InputLayer"
        config["batch_shape" if is_input else "input_shape"] = shape if is_input else shape[1:]


def without_slashes(config: Item) -> dict[str, str]:
    """New names of layers such as DenseNet's ``conv1/conv``; Keras 3 forbids the slash."""
    names = {str(name) for item in items(config) for name in (item_name(item), item.get("name")) if name}
    renamed: dict[str, str] = {}
    for name in sorted(name for name in names if "/" in name):
        new = name.replace("/", "_")
        while new in names:
            new += "_"
        names.add(new)
        renamed[name] = new
    return renamed


def _renamed(value: Any, names: dict[str, str]) -> Any:
    """The same configuration with other names, wherever they stand."""
    if isinstance(value, dict):
        return {key: _renamed(child, names) for key, child in value.items()}
    if isinstance(value, list):
        return [_renamed(child, names) for child in value]
    return names.get(value, value) if isinstance(value, str) else value


def _references(value: object) -> Iterator[list[Any]]:
    """Every ``[layer name, node index, tensor index]`` in (nested) calls, input or output layers.

    In calls a fourth entry holds the keyword arguments, among which tensors can stand.
    """
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        if len(value) in (3, 4) and isinstance(value[0], str) and all(type(n) is int for n in value[1:3]):
            yield value
            value = value[3:]
        for child in value:
            yield from _references(child)


def unresolved(model: Item) -> str | None:
    """The first layer of a model of Keras 2 whose calls wait for each other or for one that is not there, or None.

    tf_keras would try for ever to call them in some order.
    """
    layers = layers_of(model)
    calls: dict[str, list[set[tuple[str, int]]]] = {}
    for layer in layers:
        nodes = layer.get("inbound_nodes")
        references = (
            [{(str(r[0]), r[1]) for r in _references(node)} for node in nodes] if isinstance(nodes, list) else []
        )
        calls[str(layer.get("name", item_name(layer)))] = references
        inner = unresolved(layer) if layers_of(layer) else None
        if inner is not None:
            return inner
    if not any(calls.values()):
        return None
    used = [reference for references in calls.values() for call in references for reference in call]
    outputs = model["config"].get("output_layers", []) if isinstance(model["config"], dict) else []
    used += [(str(reference[0]), reference[1]) for reference in _references(outputs)]
    starts = _starts(calls, used)
    waiting = {
        (name, starts[name] + i): call for name, references in calls.items() for i, call in enumerate(references)
    }
    known = {(name, starts[name]) for name, references in calls.items() if not references}  # inputs
    blocks: dict[tuple[str, int], list[tuple[str, int]]] = {}
    left = {}
    for place, call in waiting.items():
        left[place] = len(call)
        for reference in call:
            blocks.setdefault(reference, []).append(place)
    ready = [*known, *(place for place, count in left.items() if count == 0)]
    while ready:
        for place in blocks.get(ready.pop(), []):
            left[place] -= 1
            if left[place] == 0:
                ready.append(place)
    return next((name for (name, _), count in left.items() if count > 0), None)


def _starts(calls: dict[str, list[set[tuple[str, int]]]], used: list[tuple[str, int]]) -> dict[str, int]:
    """The number of each layer's first call, as in _rewrite_calls: 0, or 1 for a model that knows its input."""
    highest: dict[str, int] = {}
    for name, number in used:
        highest[name] = max(number, highest.get(name, 0))
    return {name: min(1, max(0, highest.get(name, 0) - max(1, len(reads)) + 1)) for name, reads in calls.items()}


def _rewrite_calls(config: dict[str, Any]) -> None:
    """Mend in place how the layers of one stored model refer to each other.

    Keras 2 gave a nested model that knows its input a node 0 of its own, so its calls count from 1. In
    Keras 3 they count from 0, except in the output layers, where a Functional still counts from 1. Every
    stored call is referred to somewhere, so the highest reference tells where the file starts.
    """
    layers = config["layers"]
    inbound = list(_references([layer.get("inbound_nodes", []) for layer in layers]))
    outputs = list(_references(config.get("output_layers", [])))
    for layer in layers:
        name = layer.get("name", item_name(layer))
        used = [reference for reference in inbound + outputs if reference[0] == name]
        if not layers_of(layer) or not used:
            continue
        start = max(reference[1] for reference in used) - len(layer["inbound_nodes"]) + 1
        for reference in used:
            reference[1] -= start
        for reference in outputs:
            reference[1] += reference[0] == name and layer["class_name"] != "Sequential"
    for i, layer in enumerate(layers):
        operation = operations.operation(layer) if layer["class_name"] in operations.OPERATION_LAYERS else None
        if operation is not None:
            layers[i] = operation
        elif "inbound_nodes" in layer:
            layer["inbound_nodes"] = [_call(node) for node in layer["inbound_nodes"]]
    for key in ("input_layers", "output_layers"):
        if isinstance(config.get(key), list) and len(config[key]) == 1:
            config[key] = config[key][0]  # one tensor, not a list of one, which warns at every call


def _call(node: Any) -> Any:
    """A stored call as Keras 3 stores it, if tensors stand among its keyword arguments (attention)."""
    if not isinstance(node, list) or not any(list(_references(argument[3:])) for argument in node):
        return node

    def tensor(value: Any) -> Any:
        return operations.tensor(value) if list(_references(value)) == [value] else value

    arguments = [tensor(argument[:3]) for argument in node]
    keywords = {key: tensor(value) for argument in node for key, value in argument[3].items()}
    return {"args": arguments if len(arguments) == 1 else [arguments], "kwargs": keywords}
