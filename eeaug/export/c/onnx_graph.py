"""A stage's ONNX graph as plain values: nodes, constants, shapes; and parts of it as ONNX again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["OnnxGraph", "OnnxNode", "as_onnx", "read", "renamed"]

FLOAT = 1  # onnx.TensorProto.FLOAT


@dataclass(frozen=True, eq=False)
class OnnxNode:
    """``kind``: an ONNX operator; where it begins with a small letter, a kernel of ours. ``output``: its first."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def output(self) -> str:
        return self.outputs[0]

    @property
    def ours(self) -> bool:
        return self.kind[0].islower()


@dataclass
class OnnxGraph:
    """``types`` are ONNX's numbers of element types, ``shapes`` those of tensors that are no constants, too."""

    nodes: list[OnnxNode]
    constants: dict[str, NDArray[Any]]
    shapes: dict[str, tuple[int, ...]]
    types: dict[str, int]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    opset: int
    names: int = 0

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self.constants[name].shape) if name in self.constants else self.shapes[name]

    def is_float(self, name: str) -> bool:
        if name in self.constants:
            return bool(self.constants[name].dtype == np.float32)
        return self.types[name] == FLOAT

    def new(self, shape: Sequence[int]) -> str:
        """A name for another tensor of floats."""
        self.names += 1
        name = f"value_{self.names}"
        self.shapes[name], self.types[name] = tuple(shape), FLOAT
        return name

    def constant(self, values: NDArray[Any]) -> str:
        """A name for another constant."""
        self.names += 1
        name = f"constant_{self.names}"
        self.constants[name] = values
        return name

    def maker(self) -> dict[str, OnnxNode]:
        return {name: node for node in self.nodes for name in node.outputs}

    def readers(self) -> dict[str, list[OnnxNode]]:
        """Nodes by what they read; outputs of the graph count as read by nobody: look at ``outputs``."""
        found: dict[str, list[OnnxNode]] = {}
        for node in self.nodes:
            for name in set(node.inputs):
                found.setdefault(name, []).append(node)
        return found

    def only_for(self, name: str, readers: Mapping[str, Sequence[OnnxNode]]) -> OnnxNode | None:
        """The one node that reads a tensor which is no output of the graph."""
        listed = readers.get(name, ())
        return listed[0] if len(listed) == 1 and name not in self.outputs else None

    def sort(self) -> None:
        """Nodes in an order in which they can run, otherwise as they were."""
        made = {*self.inputs, *self.constants, ""}
        left, done = list(self.nodes), []
        while left:
            ready = next(node for node in left if made.issuperset(node.inputs))
            left.remove(ready)
            done.append(ready)
            made.update(ready.outputs)
        self.nodes = done

    def drop_unused(self) -> None:
        """Leave out nodes that nothing reads."""
        while True:
            used = {*self.outputs, *(name for node in self.nodes for name in node.inputs)}
            kept = [node for node in self.nodes if used.intersection(node.outputs)]
            if len(kept) == len(self.nodes):
                return
            self.nodes = kept


def read(model: Any) -> OnnxGraph | None:
    """Of an ONNX model with static shapes; None where a shape is not known, or a node has graphs of its own."""
    import onnx
    from onnx import helper, numpy_helper

    known = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes: dict[str, tuple[int, ...]] = {}
    types: dict[str, int] = {}
    for value in (*known.input, *known.value_info, *known.output):
        kind = value.type.tensor_type
        types[value.name] = kind.elem_type
        if kind.HasField("shape") and all(dim.HasField("dim_value") for dim in kind.shape.dim):
            shapes[value.name] = tuple(dim.dim_value for dim in kind.shape.dim)
    nodes = []
    for node in model.graph.node:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if node.domain or any(a.type in (a.GRAPH, a.GRAPHS) for a in node.attribute):
            return None
        if any(name and name not in shapes for name in node.output):
            return None
        nodes.append(OnnxNode(node.op_type, tuple(node.input), tuple(node.output), attributes))
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    inputs, outputs = (tuple(v.name for v in values) for values in (model.graph.input, model.graph.output))
    opset = next(o.version for o in model.opset_import if not o.domain)
    return OnnxGraph(nodes, constants, shapes, types, inputs, outputs, opset)


def as_onnx(graph: OnnxGraph, nodes: Sequence[OnnxNode], name: str) -> tuple[Any, list[str]]:
    """These nodes as a model of their own, and its inputs and outputs by name, in order."""
    from onnx import helper, numpy_helper

    made = {output for node in nodes for output in node.outputs if output}
    elsewhere = {name for node in graph.nodes if node not in nodes for name in node.inputs} | {*graph.outputs}
    read_here = list(dict.fromkeys(name for node in nodes for name in node.inputs if name))
    inputs = [i for i in read_here if i not in made and i not in graph.constants]
    outputs = [output for node in nodes for output in node.outputs if output in elsewhere]
    values = [
        [helper.make_tensor_value_info(n, graph.types[n], graph.shapes[n]) for n in part]
        for part in (inputs, outputs)
    ]
    weights = [numpy_helper.from_array(graph.constants[n], n) for n in read_here if n in graph.constants]
    protos = [
        helper.make_node(node.kind, node.inputs, node.outputs, name=f"{node.kind}_{i}", **node.attributes)
        for i, node in enumerate(nodes)
    ]
    model = helper.make_model(
        helper.make_graph(protos, name, *values, weights), opset_imports=[helper.make_opsetid("", graph.opset)]
    )
    return model, [*inputs, *outputs]


def renamed(node: OnnxNode, new: Mapping[str, str]) -> OnnxNode:
    """The node with other names of tensors."""
    inputs, outputs = (tuple(new.get(name, name) for name in names) for names in (node.inputs, node.outputs))
    return replace(node, inputs=inputs, outputs=outputs)
