"""Layer graph and block graph of a classifier (DESIGN of the flow: Sponner et al., section 3.1).

The layer graph has a node for every layer call. The block graph collapses whatever lies between two tensors
that every path crosses (residual branches, dense and inception blocks), and fuses layers without MACs
(normalisation, activation, pooling, dropout, reshape) into the compute layer before them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import networkx as nx

from eeaug.backbone.model import INPUT, Call, Classifier
from eeaug.backbone.model_inputs import node_of
from eeaug.errors import ConversionError
from eeaug.network import kernels, late_inputs, macs, schedule
from eeaug.network.kernels import Kernels
from eeaug.support.sample_layout import SampleLayout

__all__ = ["Block", "block_graph", "blocks", "layer_graph", "peak_elements", "work"]

# layer types that pad by themselves
_PADDING = {"Conv1D", "Conv2D", "DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D"}


END = "outputs"  # of a model that has several


@dataclass(frozen=True)
class Block:
    """A stretch of layers that one tensor enters and one tensor leaves.

    ``name`` is that of its last layer, whose tensor of ``shape`` crosses the boundary; beside it go inputs of the
    model that later layers read, ``carries``, with ``carried`` elements. ``peak_elements`` is the largest number of
    tensor elements that are alive at once while it runs, its input and output and what it carries included.
    ``operations`` counts its layers with MACs (a separable convolution twice), ``results`` the elements that these
    give. ``kernels``: what they are in C, by format (network.kernels). ``is_door``: all it does is to put channels
    that stand first last.
    """

    name: str
    layers: tuple[str, ...]
    shape: tuple[int, ...]
    macs: Mapping[str, int]
    parameters: int
    peak_elements: int
    operations: int = 0
    results: int = 0
    kernels: Mapping[str, Kernels] = field(default_factory=dict, repr=False)
    is_door: bool = False
    carries: tuple[str, ...] = ()
    carried: int = 0

    @property
    def elements(self) -> int:
        return prod(self.shape)

    @property
    def total_macs(self) -> int:
        return macs.total(self.macs)


def layer_graph(calls: Sequence[Call], layout: SampleLayout) -> nx.DiGraph:
    """Node per call with ``call``, ``macs`` (by operation type), ``parameters``, ``elements``; the input too.

    Several inputs are a node each, ``input`` the name of each, behind INPUT, which stands for the whole sample.
    Weights of a layer that is called more than once are counted with its first call.
    """
    graph = nx.DiGraph()
    graph.add_node(INPUT, call=None, macs={}, parameters=0, elements=prod(layout.shape))
    for name, size in zip(layout.names, layout.sizes, strict=True) if layout.several else ():
        graph.add_node(node_of(name, layout), call=None, macs={}, parameters=0, elements=size, input=name)
        graph.add_edge(INPUT, node_of(name, layout))
    seen: set[str | None] = set()
    for call in calls:
        parameters = 0 if call.weights_of in seen else macs.parameters(call)
        seen.add(call.weights_of or call.name)
        elements = sum(prod(shape) for shape in call.shapes)
        graph.add_node(call.name, call=call, macs=macs.count(call), parameters=parameters, elements=elements)
        graph.add_edges_from((source, call.name) for source in call.inputs)
    return graph


def blocks(classifier: Classifier) -> tuple[Block, ...]:
    """The blocks of a classifier, from input to output."""
    try:
        graph = layer_graph(classifier.calls, classifier.layout)
    except ConversionError as error:
        raise ConversionError(f"{classifier.file}: {error}") from error
    ends = list(dict.fromkeys(answer.call for answer in classifier.answers))
    if len(ends) > 1:
        _join(graph, ends)
    return tuple(data["block"] for _, data in block_graph(graph).nodes(data=True) if data["block"])


def _join(graph: nx.DiGraph, ends: Sequence[str]) -> None:
    """One end for several outputs, which costs nothing: what all of them come from are the cuts."""
    shape = (sum(graph.nodes[end]["elements"] for end in ends),)
    shapes = tuple(graph.nodes[end]["call"].shapes[0] for end in ends)
    call = Call(name=END, kind=END, inputs=tuple(ends), input_shapes=shapes, shapes=(shape,))
    graph.add_node(END, call=call, macs={}, parameters=0, elements=0)
    graph.add_edges_from((end, END) for end in ends)


def block_graph(graph: nx.DiGraph) -> nx.DiGraph:
    """Collapse a layer graph: a path from the input over the blocks, each with its ``Block`` as ``block``.

    A tensor is crossed by every path exactly if its layer dominates the output; the dominators of one node
    form a chain, so the block graph is a path whatever the topology between them. O(nodes + edges). With several
    inputs, late_inputs says which tensors these are.
    """
    late = late_inputs.cuts(graph) if late_inputs.several(graph) else None
    units = _units(graph, list(graph)) if late is None else late.units
    # Layers without MACs join the compute unit before them; padding, and all that stands before the first
    # compute unit, joins the one after: an exit on a padded map would carry zeros.
    groups: list[list[str]] = []
    ahead: list[str] = []
    for unit in units:
        if not groups and not ahead and _is_door(graph, unit):
            groups.append(list(unit))
            continue
        computes = any(graph.nodes[n]["macs"] for n in unit)
        padding = all(graph.nodes[n]["call"].kind.startswith("ZeroPadding") for n in unit)
        if computes:
            groups.append([*ahead, *unit])
            ahead = []
        elif groups and not padding and not ahead and not _is_door(graph, groups[-1]):
            groups[-1].extend(unit)
        else:
            ahead.extend(unit)
    if ahead:
        groups = [*groups[:-1], [*groups[-1], *ahead]] if groups else [ahead]

    chain = nx.DiGraph()
    chain.add_node(INPUT, block=None)
    previous = INPUT
    for layers in groups:
        block = _block(graph, previous, layers, () if late is None else late.carried_behind(layers[-1]))
        chain.add_node(block.name, block=block)
        chain.add_edge(previous, block.name)
        previous = block.name
    return chain


def _is_door(graph: nx.DiGraph, unit: Sequence[str]) -> bool:
    """Whether this does nothing but put samples with channels first into the order that layers compute in.

    It is a block by itself, whose tensor heads read instead of the input: of that they would take columns for
    channels.
    """
    (first, *others) = unit
    call = graph.nodes[first]["call"]
    return not others and call.kind == "Permute" and call.inputs == (INPUT,)


def _units(graph: nx.DiGraph, order: Sequence[str]) -> list[list[str]]:
    """Stretches of layers between neighbouring single-tensor cuts, each ending in its cut."""
    output = order[-1]
    dominator = nx.immediate_dominators(graph, INPUT)
    cuts = {output}
    node = output
    while (node := dominator.get(node, INPUT)) not in (INPUT, None):
        if len(graph.nodes[node]["call"].shapes) == 1:
            cuts.add(node)
    units: list[list[str]] = [[]]
    for name in order[1:]:
        units[-1].append(name)
        if name in cuts:
            units.append([])
    return [unit for unit in units if unit]


def _block(graph: nx.DiGraph, before: str, every: Sequence[str], carries: Sequence[str]) -> Block:
    """The block of these layers, of which END is none; whatever it joins is kept to the end."""
    layers = [name for name in every if name != END]
    by_kind: dict[str, int] = {}
    operations, results = work([graph.nodes[name] for name in layers])
    for name in layers:
        for kind, number in graph.nodes[name]["macs"].items():
            by_kind[kind] = by_kind.get(kind, 0) + number
    return Block(
        name=layers[-1],
        layers=tuple(layers),
        shape=graph.nodes[every[-1]]["call"].shapes[0],
        macs=by_kind,
        parameters=sum(graph.nodes[name]["parameters"] for name in layers),
        peak_elements=peak_elements(graph, before, every, carries),
        operations=operations,
        results=results,
        kernels=kernels.of_layers(graph, layers),
        carries=tuple(graph.nodes[name]["input"] for name in carries),
        carried=sum(graph.nodes[name]["elements"] for name in carries),
        is_door=_is_door(graph, layers),
    )


def work(nodes: Iterable[Mapping[str, Any]]) -> tuple[int, int]:
    """Operations and results (see Block) of nodes of the layer graph."""
    computing = [node for node in nodes if node["macs"]]
    return sum(len(node["macs"]) for node in computing), sum(node["elements"] for node in computing)


@dataclass(frozen=True)
class _Layer:
    """A layer as a step of a schedule."""

    reads: tuple[str, ...]
    writes: tuple[str, ...]
    over: tuple[str, ...]
    scratch: int = 0


def peak_elements(graph: nx.DiGraph, before: str, layers: Sequence[str], carries: Sequence[str] = ()) -> int:
    """Most tensor elements alive at once when ``layers`` run on the tensor of ``before``, in the best order.

    Inputs of the model that later layers read, ``carries``, stay alive throughout.

    As runtimes for microcontrollers do it: a layer without MACs that keeps the size of its only input works in
    place if nothing else reads that input later, and padding that only makes a convolution give as many outputs as
    its stride says is part of that convolution.
    """
    fused = {name for name in layers if _is_fused(graph, name)}
    read = {name for layer in layers for name in graph.predecessors(layer) if "input" in graph.nodes[name]}
    start = () if before == INPUT and read else (before,)
    sizes = {name: graph.nodes[name]["elements"] for name in (*start, *layers, *sorted(read)) if name not in fused}
    steps = []
    for name in layers:
        if name in fused:
            continue
        reads = tuple(s for p in graph.predecessors(name) for s in (graph.predecessors(p) if p in fused else (p,)))
        same = len(reads) == 1 and sizes[reads[0]] == sizes[name] and not graph.nodes[name]["macs"]
        steps.append(_Layer(reads, (name,), reads if same else ()))
    besides: int = sum(graph.nodes[name]["elements"] for name in carries if name not in read)
    return schedule.order(steps, sizes, (layers[-1], *(name for name in carries if name in read)))[1] + besides


def _is_fused(graph: nx.DiGraph, name: str) -> bool:
    """Whether this is zero padding that a convolution with padding "same" would do itself."""
    readers = list(graph.successors(name))
    if not graph.nodes[name]["call"].kind.startswith("ZeroPadding") or len(readers) != 1:
        return False
    pad, convolution = graph.nodes[name]["call"], graph.nodes[readers[0]]["call"]
    if not graph.nodes[readers[0]]["macs"] or convolution.kind not in _PADDING:
        return False
    return all(
        any(after == -(-size // stride) and padded - size == max((after - 1) * stride + window - size, 0)
            for stride in range(1, window + 1))
        for size, padded, after, window in zip(
            pad.input_shapes[0][:-1], pad.shapes[0][:-1], convolution.shapes[0][:-1], convolution.weights[0],
            strict=False,
        )
    )  # fmt: skip
