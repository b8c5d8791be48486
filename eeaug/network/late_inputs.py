"""Where a network of several inputs can be cut.

Behind a layer, where nothing that was computed before it is read later but its own tensor: what later layers read
of the inputs goes on with it, as it came. The sample's way is that of one input, from which most is computed before
others join (an image's, say, not that of the numbers beside it); this one is not carried. So the layers to cut
behind lie one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import networkx as nx

from eeaug.network import macs

__all__ = ["Cuts", "cuts", "several"]


@dataclass(frozen=True)
class Cuts:
    """``units``: layers between neighbouring cuts, in an order in which they can run, each ending in its cut;
    ``carried`` by cut: nodes of inputs that layers behind it read."""

    units: list[list[str]]
    carried: Mapping[str, tuple[str, ...]]

    def carried_behind(self, name: str) -> tuple[str, ...]:
        return self.carried[name]


def several(graph: nx.DiGraph) -> bool:
    """Whether the layer graph has a node for every input."""
    return any("input" in data for _, data in graph.nodes(data=True))


def cuts(graph: nx.DiGraph) -> Cuts:
    """The cuts of a layer graph with several inputs, which all of its layers serve the last one. O(nodes²)."""
    inputs = [name for name, data in graph.nodes(data=True) if "input" in data]
    layers = [name for name, data in graph.nodes(data=True) if data["call"] is not None]
    bit = {name: 1 << i for i, name in enumerate((*inputs, *layers))}
    before: dict[str, int] = {name: bit[name] for name in inputs}  # bits of a node and all that it needs
    for name in layers:  # in topological order
        before[name] = bit[name]
        for source in graph.predecessors(name):
            before[name] |= before[source]
    readers = {name: sum(bit[reader] for reader in graph.successors(name)) for name in (*inputs, *layers)}
    trunk = _trunk(graph, inputs, layers, bit, before)
    chain = [
        name
        for name in layers
        if before[name] & bit[trunk]
        and len(graph.nodes[name]["call"].shapes) == 1
        and _alone(name, (trunk, *layers), bit, before, readers)
    ]
    units, carried, done = [], {}, 0
    for cut in chain:
        units.append([name for name in layers if before[cut] & bit[name] and not done & bit[name]])
        units[-1] = [*(name for name in units[-1] if name != cut), cut]
        done = before[cut]
        carried[cut] = tuple(name for name in inputs if readers[name] & ~before[cut])
    return Cuts(units, carried)


def _alone(
    name: str, nodes: tuple[str, ...], bit: Mapping[str, int], before: Mapping[str, int], readers: Mapping[str, int]
) -> bool:
    """Whether what is computed up to a layer is read there only, but for what that layer gives."""
    inside = before[name]
    return not any(inside & bit[node] and readers[node] & ~inside for node in nodes if node != name)


def _trunk(
    graph: nx.DiGraph, inputs: list[str], layers: list[str], bit: Mapping[str, int], before: Mapping[str, int]
) -> str:
    """The input from which most MACs are computed before another joins; of equals the larger, then the first."""
    every = sum(bit[name] for name in inputs)
    alone = dict.fromkeys(inputs, 0)
    for layer in layers:
        for name in inputs:
            if before[layer] & every == bit[name]:
                alone[name] += macs.total(graph.nodes[layer]["macs"])
    return max(inputs, key=lambda name: (alone[name], graph.nodes[name]["elements"], -inputs.index(name)))
