"""Layers as they are read of a model, written down without one."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import cast

import networkx as nx

from eeaug.backbone.model import INPUT, Call, Classifier
from eeaug.backbone.model_inputs import node_of
from eeaug.network import graph
from eeaug.support.sample_layout import SampleLayout

Shape = tuple[int, ...]


def one_input(*shape: int) -> SampleLayout:
    return SampleLayout((INPUT,), (shape,))


class Net:
    """Builds a list of calls; every method returns the name of the call it adds."""

    def __init__(self, input_shape: Shape | Mapping[str, Shape]) -> None:
        """Of one input, or of several by name, which calls read as :func:`node_of` names them."""
        if isinstance(input_shape, Mapping):
            self.layout = SampleLayout(tuple(input_shape), tuple(input_shape.values()))
        else:
            self.layout = one_input(*input_shape)
        self.shapes = {
            node_of(name, self.layout): shape
            for name, shape in zip(self.layout.names, self.layout.shapes, strict=True)
        }
        self.calls: list[Call] = []

    def add(
        self, name: str, kind: str, inputs: str | tuple[str, ...], shape: Shape, *weights: Shape, **more: str
    ) -> str:
        sources = (inputs,) if isinstance(inputs, str) else inputs
        read = tuple(self.shapes[s] for s in sources)
        self.calls.append(Call(name, kind, sources, read, (shape,), weights, **more))
        self.shapes[name] = shape
        return name

    def same(self, name: str, kind: str, *inputs: str) -> str:
        """A layer that keeps the shape."""
        return self.add(name, kind, inputs, self.shapes[inputs[0]])

    def conv(self, name: str, source: str, filters: int, window: int = 3, stride: int = 1) -> str:
        height, width, channels = self.shapes[source]
        shape = (height // stride, width // stride, filters)
        return self.add(name, "Conv2D", source, shape, (window, window, channels, filters), (filters,))

    def dense(self, name: str, source: str, units: int) -> str:
        return self.add(name, "Dense", source, (units,), (self.shapes[source][-1], units), (units,))

    def layer_graph(self) -> nx.DiGraph:
        return graph.layer_graph(self.calls, self.layout)

    def blocks(self, *outputs: str) -> tuple[graph.Block, ...]:
        """``outputs``: those of a model that need not be a classifier."""
        answers = tuple(SimpleNamespace(call=name) for name in outputs)
        classifier = SimpleNamespace(calls=tuple(self.calls), layout=self.layout, answers=answers)
        return graph.blocks(cast(Classifier, classifier))
