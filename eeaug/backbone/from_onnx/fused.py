"""Patterns of ONNX nodes that stand for one operation: written as one node before the graph is converted.

Exporters write what has no operator of its own (in their opset) as several: the exact GELU by Erf, SiLU by Sigmoid
and a product, layer normalisation by means and a square root. As one layer of Keras they are known to every format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["DOMAIN", "fuse"]

DOMAIN = "eeaug"  # of nodes that stand for several

_Constants = Mapping[str, NDArray[Any]]


class _Graph:
    """The nodes of a graph by what they write, and who reads what."""

    def __init__(self, graph: Any, constants: _Constants) -> None:
        self.constants = constants
        self.nodes = list(graph.node)
        self.maker = {name: node for node in self.nodes for name in node.output}
        self.readers: dict[str, list[Any]] = {}
        for node in self.nodes:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        self.outputs = {value.name for value in graph.output}

    def made_by(self, name: str, *kinds: str, domain: str = "") -> Any | None:
        """The node that writes this value, if it is one of these operators."""
        node = self.maker.get(name)
        return node if node is not None and node.op_type in kinds and node.domain == domain else None

    def number(self, name: str) -> float | None:
        """The constant of one number of this name."""
        array = self.constants.get(name)
        return float(np.ravel(array)[0]) if array is not None and array.size == 1 else None

    def sides(self, node: Any) -> list[tuple[str, str]]:
        """Both ways to read a product or a sum: (one operand, the other)."""
        first, second = node.input[:2]
        return [(first, second), (second, first)]

    def only(self, name: str) -> bool:
        """Whether one node reads it, and it is no output."""
        return len(self.readers.get(name, [])) == 1 and name not in self.outputs


_Match = tuple[str, list[str], dict[str, Any], list[Any]]  # operator, inputs, attributes, nodes that it replaces


def fuse(graph: Any, constants: _Constants) -> None:
    """Replace the patterns in a graph, in place, where nothing else reads values inside of them."""
    while _fused(graph, constants):
        pass


def _fused(proto: Any, constants: _Constants) -> bool:
    """One pass over the nodes; whether it has replaced any."""
    import onnx

    graph = _Graph(proto, constants)
    gone: set[int] = set()  # identities of nodes that a pattern has replaced
    instead: dict[int, Any] = {}
    for node in graph.nodes:
        for pattern in _PATTERNS:
            match = pattern(graph, node)
            if match is None:
                continue
            kind, inputs, values, inside = match
            if any(id(one) in gone or id(one) in instead for one in inside) or not _closed(graph, node, inside):
                continue
            domain = DOMAIN if kind in _MADE else ""
            new = onnx.helper.make_node(kind, inputs, list(node.output), name=node.name, domain=domain, **values)
            instead[id(node)] = new
            gone |= {id(one) for one in inside}
            break
    kept = [instead.get(id(node), node) for node in graph.nodes if id(node) not in gone]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
    del proto.node[:]
    proto.node.extend(copies)
    return bool(instead)


def _closed(graph: _Graph, last: Any, gone: list[Any]) -> bool:
    inside = [last, *gone]
    return all(
        name not in graph.outputs
        and all(any(reader is one for one in inside) for reader in graph.readers.get(name, []))
        for node in gone
        for name in node.output
    )


def _gelu(graph: _Graph, node: Any) -> _Match | None:
    """x · ½ · (1 + erf(x / √2)), in any order of the three factors."""
    factors, inner = _factors(graph, node)
    halves = [name for name in factors if _near(graph.number(name), 0.5)]
    if len(factors) != 3 or len(halves) != 1:
        return None
    factors.remove(halves[0])
    for x, sum_name in (factors, factors[::-1]):
        added = graph.made_by(sum_name, "Add")
        for erf_name, one in graph.sides(added) if added is not None else []:
            erf = graph.made_by(erf_name, "Erf")
            if erf is None or not _near(graph.number(one), 1.0):
                continue
            scaled = graph.made_by(erf.input[0], "Div", "Mul")
            if scaled is None:
                continue
            factor = graph.number(scaled.input[1])
            by = None if factor is None else (1 / factor if scaled.op_type == "Div" else factor)
            if scaled.input[0] == x and _near(by, 0.7071067811865476):
                return "Gelu", [x], {}, [*inner, added, erf, scaled]
    return None


def _factors(graph: _Graph, node: Any) -> tuple[list[str], list[Any]]:
    """The factors of a product of up to three, and the node of the inner product."""
    if node.op_type != "Mul" or node.domain:
        return [], []
    first, second = node.input
    for product, other in ((first, second), (second, first)):
        inner = graph.made_by(product, "Mul")
        if inner is not None and graph.only(product):
            return [*inner.input, other], [inner]
    return [first, second], []


def _silu(graph: _Graph, node: Any) -> _Match | None:
    """x · sigmoid(x), x · hard_sigmoid(x), x · tanh(softplus(x))."""
    if node.op_type != "Mul" or node.domain:
        return None
    for x, gate_name in graph.sides(node):
        gate = graph.made_by(gate_name, "Sigmoid", "HardSigmoid", "Tanh")
        if gate is None:
            continue
        if gate.op_type == "Sigmoid" and gate.input[0] == x:
            return "Silu", [x], {}, [gate]
        if gate.op_type == "HardSigmoid" and gate.input[0] == x:
            values = {a.name: a.f for a in gate.attribute}
            if _near(values.get("alpha", 0.2), 1 / 6) and _near(values.get("beta", 0.5), 0.5):
                return "HardSwish", [x], {}, [gate]
        if gate.op_type == "Tanh":
            soft = graph.made_by(gate.input[0], "Softplus")
            if soft is not None and soft.input[0] == x:
                return "Mish", [x], {}, [gate, soft]
    return None


def _layer_norm(graph: _Graph, node: Any) -> _Match | None:
    """(x - mean(x)) / sqrt(mean((x - mean(x))²) + epsilon); scale and shift follow as nodes of their own."""
    if node.op_type != "Div" or node.domain:
        return None
    centred, root = graph.made_by(node.input[0], "Sub"), graph.made_by(node.input[1], "Sqrt")
    added = graph.made_by(root.input[0], "Add") if root is not None else None
    if centred is None or added is None or root is None:
        return None
    x = centred.input[0]
    mean = graph.made_by(centred.input[1], "ReduceMean")
    if mean is None or mean.input[0] != x:
        return None
    for variance_name, epsilon_name in graph.sides(added):
        epsilon, variance = graph.number(epsilon_name), graph.made_by(variance_name, "ReduceMean")
        if epsilon is None or variance is None:
            continue
        square = graph.made_by(variance.input[0], "Pow", "Mul")
        if square is None or _axes(graph, mean) != _axes(graph, variance) or _axes(graph, mean) is None:
            continue
        base = graph.made_by(square.input[0], "Sub")
        twice = square.input[1] == square.input[0] or (
            square.op_type == "Pow" and _near(graph.number(square.input[1]), 2.0)
        )
        if base is None or not twice or list(base.input) != list(centred.input):
            continue
        gone = [centred, root, added, mean, variance, square] + ([base] if base is not centred else [])
        return "Centred", [x], {"axes": _axes(graph, mean), "epsilon": epsilon}, gone
    return None


def _scaled(graph: _Graph, node: Any) -> _Match | None:
    """What _layer_norm has made of the last axis, times a constant row, plus a constant row."""
    if node.op_type != "Add" or node.domain:
        return None
    for product_name, shift in graph.sides(node):
        product = graph.made_by(product_name, "Mul")
        for normal_name, scale in graph.sides(product) if product is not None else []:
            normal = graph.made_by(normal_name, "Centred", domain=DOMAIN)
            rows = [graph.constants.get(name) for name in (scale, shift)]
            if normal is None or any(row is None or row.ndim != 1 for row in rows):
                continue
            values = {attribute.name: attribute for attribute in normal.attribute}
            if list(values["axes"].ints) == [-1]:
                given = {"axis": -1, "epsilon": values["epsilon"].f}
                return "LayerNormalization", [normal.input[0], scale, shift], given, [product, normal]
    return None


def _axes(graph: _Graph, node: Any) -> list[int] | None:
    for attribute in node.attribute:
        if attribute.name == "axes":
            return [int(n) for n in attribute.ints]
    if len(node.input) > 1 and node.input[1] in graph.constants:
        return [int(n) for n in np.ravel(graph.constants[node.input[1]])]
    return None


def _bias(graph: _Graph, node: Any) -> _Match | None:
    """A product with a constant matrix and a constant row added to it: a dense layer."""
    if node.op_type != "Add" or node.domain:
        return None
    for product_name, bias in graph.sides(node):
        product = graph.made_by(product_name, "MatMul")
        if product is None or bias not in graph.constants or product.input[1] not in graph.constants:
            continue
        matrix, row = graph.constants[product.input[1]], graph.constants[bias]
        if matrix.ndim == 2 and row.ndim and row.size == row.shape[-1] == matrix.shape[1]:
            return "Affine", [*product.input, bias], {}, [product]
    return None


def _near(number: float | None, wanted: float) -> bool:
    return number is not None and abs(number - wanted) <= 1e-3 * abs(wanted)


_PATTERNS: tuple[Callable[[_Graph, Any], _Match | None], ...] = (
    _gelu, _silu, _layer_norm, _scaled, _bias,
)  # fmt: skip
_MADE = ("Silu", "Centred", "Affine")
