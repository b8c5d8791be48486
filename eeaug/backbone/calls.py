"""The calls of layers that a flat model consists of.

Keras is not imported here, so that ``Call`` can be used without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import numpy as np

from eeaug.backbone import custom_objects, traced
from eeaug.backbone.model_output import activation_of
from eeaug.backbone.windows import Window, window_of

__all__ = ["INPUT", "Call", "calls_of"]

INPUT = "input"  # the name of the model's input, in graphs and in files


@dataclass(frozen=True)
class Call:
    """One call of a layer; a layer that is called twice gives two calls, ``name`` and ``name@2``.

    Parameters
    ----------
    inputs : names of the calls (or of the input) whose tensors it reads
    input_shapes, shapes : shapes without the batch dimension, of what it reads and of what it gives
    weights : shapes of all its weights, in Keras' order
    activation : name of the activation inside the layer (or inside the one that it wraps), or None
    axis : of a softmax, as Keras has them (the batch is axis 0); None: the last
    window : of a convolution or pooling with channels last
    custom : whether code of the user computes it, or its activation
    traced : counts the MACs of a layer whose shapes do not say them, see traced.of_call
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    input_shapes: tuple[tuple[int, ...], ...]
    shapes: tuple[tuple[int, ...], ...]
    weights: tuple[tuple[int, ...], ...] = ()
    activation: str | None = None
    equation: str | None = None
    weights_of: str | None = None  # the layer's name: calls of one layer share their weights
    axis: tuple[int, ...] | None = None
    window: Window | None = None
    custom: bool = False
    traced: Callable[[], dict[str, int]] | None = field(default=None, repr=False, compare=False)


def calls_of(flat: Any, inputs: Mapping[int, str]) -> tuple[tuple[Call, ...], dict[str, Any]]:
    """The calls of a functional model without nested ones in topological order, and Keras' node of each by name.

    ``inputs``: what calls that read an input call it, by the identity of its tensor.
    """
    names: dict[int, str] = dict(inputs)
    count: dict[str, int] = {}
    calls: list[Call] = []
    nodes: dict[str, Any] = {}
    order = [n for d in sorted(flat._nodes_by_depth, reverse=True) for n in flat._nodes_by_depth[d]]
    for node in order:
        if node.is_input:
            continue
        layer = node.operation
        count[layer.name] = count.get(layer.name, 0) + 1
        name = layer.name if count[layer.name] == 1 else f"{layer.name}@{count[layer.name]}"
        names |= {id(t): name for t in node.outputs}
        nodes[name] = node
        wrapped = getattr(layer, "layer", layer)  # of TimeDistributed
        activation = getattr(wrapped, "activation", None)
        kind = None if wrapped is layer else activation_of(type(wrapped).__name__)
        axis = getattr(wrapped, "axis", None)
        inside = layer._flatten_layers() if hasattr(layer, "_flatten_layers") else [layer]
        code = [value for value in (*inside, activation) if custom_objects.is_of_user(value)]
        calls.append(
            Call(
                name=name,
                kind=custom_objects.kind(layer),
                inputs=tuple(names[id(t)] for t in node.input_tensors),
                input_shapes=tuple(tuple(t.shape[1:]) for t in node.input_tensors),
                shapes=tuple(tuple(t.shape[1:]) for t in node.outputs),
                weights=tuple(tuple(w.shape) for w in getattr(layer, "weights", ())),
                # a layer may stand for a function, too
                activation=kind
                if activation is None
                else getattr(activation, "__name__", type(activation).__name__.lower()),
                equation=getattr(layer, "equation", None) or getattr(layer, "subscripts", None),
                weights_of=layer.name,
                axis=None if axis is None else tuple(np.atleast_1d(axis).astype(int).tolist()),
                window=None if layer in code else window_of(layer),
                custom=bool(code),
                traced=cache(partial(traced.of_call, node)),
            )
        )
    return tuple(calls), nodes
