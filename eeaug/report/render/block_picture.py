"""The block graph of a model as a picture: blocks from top to bottom, the layers of each from left to right.

One SVG that stands by itself: light and dark, no scripts, no fonts but the reader's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from textwrap import wrap
from typing import Any

import networkx as nx
from markupsafe import escape

from eeaug.report import units
from eeaug.report.render.charts import COLOURS
from eeaug.support.printable import lines

__all__ = ["svg"]

Facts = Mapping[str, Any]
START = ""  # no layer has an empty name

# CSS pixels
_LEFT, _TEXT, _BAR, _BAR_WIDE, _GRAPH = 24, 48, 318, 90, 430
_NODE_WIDE, _NODE_HIGH, _LANE, _RANK = 132, 36, 48, 154
_MOST_NODES, _MOST_RANKS = 40, 14  # beyond that lines only cross
_LINE = 17
_SHORT = {
    "DepthwiseConv2D": "Depthwise", "SeparableConv2D": "Separable", "Conv2D": "Conv", "Conv1D": "Conv",
    "DepthwiseConv1D": "Depthwise", "SeparableConv1D": "Separable", "BatchNormalization": "BN", "Activation": "act",
    "GlobalAveragePooling2D": "avg pool", "AveragePooling2D": "avg pool", "MaxPooling2D": "max pool",
    "GlobalMaxPooling2D": "max pool", "ZeroPadding2D": "pad", "Concatenate": "concat", "Add": "add", "ReLU": "ReLU",
}  # fmt: skip


def svg(facts: Facts, *, heading: bool = True) -> str:
    """The picture of what `eeaug inspect --json` says, an <svg> element of a fixed size."""
    canvas = _Canvas()
    canvas.y = 22
    for i, words in enumerate(_head(facts) if heading else ()):
        canvas.text(_LEFT - 10, canvas.y, words, "" if i else "strong")
        canvas.y += _LINE + 2
    canvas.y += 10
    canvas.dot(canvas.y, "end")
    shape = units.sample(facts["input_shape"], facts.get("inputs"))
    canvas.text(_TEXT, canvas.y + 4, f"input {shape}", "soft")
    canvas.add(f'<line x1="{_LEFT}" y1="{canvas.y:g}" x2="{_LEFT}" y2="{canvas.y + 16:g}" class="spine"/>')
    canvas.y += 16
    _boundary(canvas, facts["input"], last=False)
    most = max(block["macs"] for block in facts["blocks"]) or 1
    calls = {call["name"]: call for call in facts["calls"]}
    for i, block in enumerate(facts["blocks"]):
        _block(canvas, facts, block, i, most, calls)
        _boundary(canvas, block, last=i == len(facts["blocks"]) - 1)
    return lines(canvas.finished(f"Blocks of {facts['model']}"))


def _head(facts: Facts) -> list[str]:
    places = f"{facts['locations']} {'location' if facts['locations'] == 1 else 'locations'} for exits"
    lines = [
        f"{facts['model']}: {units.macs(facts['macs'])} MACs, {facts['parameters']:,} parameters, "
        f"{facts['classes']} classes, {places}"
    ]
    target = facts["hardware"]
    for p in target["processors"] if target else ():
        lines.append(
            f"whole model on {p['name']}: {units.seconds(p['latency_s'])}, {units.joules(p['energy_j'])}*; "
            f"storage {units.size(p['storage_bytes'])}, activations {units.size(p['peak_activation_bytes'])}: "
            f"{'fits' if p['fits'] else 'does not fit'}"
        )
    return [*lines, "* estimated from the hardware profile"] if target else lines


class _Canvas:
    """Elements from top to bottom; ``y`` is where the next one goes."""

    def __init__(self) -> None:
        self.y = 0.0
        self.wide = 900.0
        self.parts: list[str] = []

    def add(self, element: str) -> None:
        self.parts.append(element)

    def text(self, x: float, y: float, words: str, style: str = "", anchor: str = "start", full: str = "") -> None:
        title = f"<title>{escape(full)}</title>" if full else ""
        end = f' text-anchor="{anchor}"' if anchor != "start" else ""
        kind = f' class="{style}"' if style else ""
        self.add(f'<text x="{x:g}" y="{y:g}"{end}{kind}>{escape(words)}{title}</text>')
        if anchor == "start":
            self.wide = max(self.wide, x + 7 * len(words) + 16)

    def dot(self, y: float, style: str) -> None:
        self.add(f'<circle cx="{_LEFT}" cy="{y:g}" r="6" class="{style}"/>')

    def finished(self, title: str) -> str:
        high = self.y + 24

        def colours(at: int) -> str:
            c = {name: both[at] for name, both in COLOURS.items()}
            return _rules({
                ".ground": f"fill:{c['ground']}", "text": f"fill:{c['ink']}", ".soft": f"fill:{c['soft']}",
                ".spine,.edge": f"stroke:{c['soft']}", ".node": f"fill:{c['ground']};stroke:{c['soft']}",
                ".work": f"stroke:{c['blue']}", ".bar": f"fill:{c['blue']}", ".yes,text.open": f"fill:{c['green']}",
                ".no": f"fill:{c['ground']};stroke:{c['soft']}", ".end": f"fill:{c['soft']}",
            })  # fmt: skip

        fonts = "system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
        shapes = _rules({
            "text": f"font:12px {fonts};font-variant-numeric:tabular-nums", ".strong": "font-weight:600",
            ".name": "font-size:13px;font-weight:600", ".small": "font-size:11px", ".spine": "stroke-width:2",
            ".edge": "fill:none;stroke-width:1.2",
        })  # fmt: skip
        style = f"{shapes}{colours(0)}@media screen and (prefers-color-scheme:dark){{{colours(1)}}}"
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.wide:g}" height="{high:g}" '
            f'viewBox="0 0 {self.wide:g} {high:g}" class="blocks" role="img" aria-label="{escape(title)}">\n'
            f'<style>{style}</style>\n<rect class="ground" width="100%" height="100%"/>\n'
            + "\n".join(self.parts)
            + "\n</svg>\n"
        )


def _rules(of: Mapping[str, str]) -> str:
    """CSS for this picture alone, wherever it stands."""
    return "".join(
        f"{','.join(f'svg.blocks {one}' for one in names.split(','))}{{{rule}}}" for names, rule in of.items()
    )


def _block(canvas: _Canvas, facts: Facts, block: Facts, i: int, most: int, calls: Mapping[str, Facts]) -> None:
    target = facts["hardware"]["processors"] if facts["hardware"] else ()
    each = [f"{p['name']} {units.seconds(p['block_latency_s'][i])}*" for p in target]
    times = [", ".join(each[k : k + 2]) for k in range(0, len(each), 2)]
    graph = _groups(block["layers"], calls)
    placed = _layout(graph)
    lanes = 1 + max((lane for _, lane in placed.values()), default=0)
    top = canvas.y
    high = max(58.0 + _LINE * len(times), lanes * _LANE + 12.0)
    middle = top + high / 2
    canvas.add(f'<line x1="{_LEFT}" y1="{top:g}" x2="{_LEFT}" y2="{top + high:g}" class="spine"/>')
    y = middle - _LINE * (2 + len(times)) / 2 + 12
    shape = "×".join(map(str, block["shape"]))
    layers = f"{len(block['layers'])} {'layer' if len(block['layers']) == 1 else 'layers'}"
    canvas.text(_TEXT, y, _short(block["block"], 36), "name", full=", ".join(block["layers"]))
    canvas.text(_TEXT, y + _LINE, f"→ {shape} · {layers} · {block['parameters']:,} weights", "soft")
    canvas.text(_BAR, y, f"{units.macs(block['macs'])} MACs")
    share = 100 * block["macs"] / facts["macs"] if facts["macs"] else 0.0
    part = f"{share:.1f} %" if share >= 0.05 or not share else "< 0.1 %"
    canvas.text(_BAR, y + _LINE, part, "soft small")
    for at, words in enumerate(times):
        canvas.text(_TEXT, y + (2 + at) * _LINE, words, "soft small")
    width = max(_BAR_WIDE * block["macs"] / most, 1.0 if block["macs"] else 0.0)
    canvas.add(f'<rect x="{_BAR}" y="{y + _LINE + 7:g}" width="{width:g}" height="6" class="bar"/>')
    if placed:
        _draw(canvas, graph, placed, top + (high - lanes * _LANE) / 2)
    else:
        _crowd(canvas, block, calls, middle)
    canvas.y = top + high


def _boundary(canvas: _Canvas, block: Facts, *, last: bool) -> None:
    """The end of a block: whether an exit can stand there, and what it would cost, or why not."""
    y = canvas.y + 12
    lines = [""]
    if block["location"]:
        least, largest = block["head_macs"]
        number = len(block["heads"])
        lines = [
            f"exit possible: {number} {'head' if number == 1 else 'heads'} to try, {units.macs(least)} to "
            f"{units.macs(largest)} MACs"
        ]
    elif block["reason"]:
        lines = ["end: " + block["reason"]] if last else wrap("no exit: " + block["reason"], 120)
    style = "yes" if block["location"] else "end" if last else "no"
    high = 24 + _LINE * (len(lines) - 1)
    if not last:
        canvas.add(f'<line x1="{_LEFT}" y1="{canvas.y:g}" x2="{_LEFT}" y2="{canvas.y + high:g}" class="spine"/>')
    canvas.dot(y, style)
    for i, words in enumerate(lines):
        full = ", ".join(block["heads"]) if block["location"] else ""
        canvas.text(_TEXT, y + 4 + i * _LINE, words, "open" if block["location"] else "soft", full=full)
    canvas.y += high


# -- the layers of a block ----------------------------------------------------------------------------


def _groups(layers: Sequence[str], calls: Mapping[str, Facts]) -> nx.DiGraph:
    """Layers, each with what only follows it (normalisation, activation), as nodes; START is the block's input."""
    inside = set(layers)
    consumers: dict[str, int] = {}
    for name in layers:
        for source in calls[name]["inputs"]:
            consumers[source] = consumers.get(source, 0) + 1
    graph = nx.DiGraph()
    graph.add_node(START, members=[])
    of: dict[str, str] = {}
    for name in layers:
        call = calls[name]
        sources = [source for source in call["inputs"] if source in inside]
        alone = len(call["inputs"]) == len(sources) == 1 and consumers[sources[0]] == 1
        if alone and not call["macs"]:
            of[name] = of[sources[0]]
            graph.nodes[of[name]]["members"].append(name)
            continue
        of[name] = name
        graph.add_node(name, members=[name])
        for source in call["inputs"]:
            graph.add_edge(of[source] if source in inside else START, name)
    for node, data in graph.nodes(data=True):
        data["label"] = _label([calls[member] for member in data["members"]]) if node != START else ("", "")
        data["macs"] = sum(calls[member]["macs"] for member in data["members"])
        data["title"] = ", ".join(data["members"])
    return graph


def _label(members: Sequence[Facts]) -> tuple[str, str]:
    """What the first layer is; what comes with it, or its MACs."""
    if not members:
        return "", ""
    first = members[0]
    kinds = [_SHORT.get(kind, kind) for kind in (str(call["kind"]) for call in members)]
    kernel = "×".join(map(str, first["kernel"])) if first["kernel"] else ""
    more = ", ".join(dict.fromkeys(kinds[1:]))
    macs = sum(call["macs"] for call in members)
    below = " · ".join(filter(None, [f"{units.macs(macs)}" if macs else "", more]))
    return f"{kinds[0]} {kernel}".strip(), below


def _layout(graph: nx.DiGraph) -> dict[Any, tuple[int, int]]:
    """Rank and lane of every node and bend; empty if there are too many to be read.

    Edges over several ranks get a bend in each rank between. Paths are laid into lanes, the longest first, each
    into the uppermost lane that is free along it.
    """
    if len(graph) > _MOST_NODES + 1:
        return {}
    ranks: dict[Any, int] = {}
    for node in nx.topological_sort(graph):
        ranks[node] = max((ranks[source] + 1 for source in graph.predecessors(node)), default=0)
    if max(ranks.values()) > _MOST_RANKS:
        return {}
    bends = count()
    for source, target in list(graph.edges):
        if ranks[target] - ranks[source] > 1:
            graph.remove_edge(source, target)
            last = source
            for rank in range(ranks[source] + 1, ranks[target]):
                bend = ("bend", next(bends))
                ranks[bend] = rank
                graph.add_edge(last, bend)
                last = bend
            graph.add_edge(last, target)
    order = sorted(graph, key=lambda node: ranks[node])
    left, lanes = set(order), {}
    taken: set[tuple[int, int]] = set()
    while left:
        best: dict[Any, tuple[float, list[Any]]] = {}
        for node in order:
            if node in left:
                sources = (best[s] for s in graph.predecessors(node) if s in best)
                before = max(sources, key=lambda b: b[0], default=(0.0, []))
                best[node] = (before[0] + (0.01 if isinstance(node, tuple) else 1), [*before[1], node])
        path = max(best.values(), key=lambda b: b[0])[1]
        lane = next(n for n in count() if not any((ranks[node], n) in taken for node in path))
        for node in path:
            lanes[node] = lane
            taken.add((ranks[node], lane))
        left -= set(path)
    return {node: (ranks[node], lanes[node]) for node in order}


def _draw(canvas: _Canvas, graph: nx.DiGraph, placed: Mapping[Any, tuple[int, int]], top: float) -> None:
    def middle(node: Any) -> float:
        return top + placed[node][1] * _LANE + _LANE / 2

    def start(node: Any) -> float:
        return _GRAPH if node == START else _GRAPH + 26 + (placed[node][0] - 1) * _RANK

    def end(node: Any) -> float:
        return start(node) if node == START else start(node) + _NODE_WIDE

    for source, target in graph.edges:
        x1, y1, x2, y2 = end(source), middle(source), start(target), middle(target)
        bow = (x2 - x1) / 2
        canvas.add(f'<path d="M{x1:g} {y1:g}C{x1 + bow:g} {y1:g} {x2 - bow:g} {y2:g} {x2:g} {y2:g}" class="edge"/>')
    for node in graph:
        x, y = start(node), middle(node)
        if node == START:
            canvas.add(f'<circle cx="{x:g}" cy="{y:g}" r="3" class="end"/>')
        elif isinstance(node, tuple):
            canvas.add(f'<path d="M{x:g} {y:g}h{_NODE_WIDE}" class="edge"/>')
        else:
            data = graph.nodes[node]
            kind = "node work" if data["macs"] else "node"
            canvas.add(
                f'<rect x="{x:g}" y="{y - _NODE_HIGH / 2:g}" width="{_NODE_WIDE}" height="{_NODE_HIGH}" rx="3" '
                f'class="{kind}"><title>{escape(data["title"])}</title></rect>'
            )
            first, below = data["label"]
            centre = x + _NODE_WIDE / 2
            canvas.text(centre, y + (-3 if below else 4), _short(first, 21), "", "middle", data["title"])
            if below:
                below = below if len(below) <= 24 else f"{below[:23]}…"
                canvas.text(centre, y + 12, below, "soft small", "middle", data["title"])
        canvas.wide = max(canvas.wide, x + _NODE_WIDE + 24)


def _crowd(canvas: _Canvas, block: Facts, calls: Mapping[str, Facts], y: float) -> None:
    """What a block has that is too entangled to be drawn."""
    kinds: dict[str, int] = {}
    for name in block["layers"]:
        kinds[calls[name]["kind"]] = kinds.get(calls[name]["kind"], 0) + 1
    most = sorted(kinds.items(), key=lambda item: -item[1])[:4]
    words = ", ".join(f"{number} {kind}" for kind, number in most)
    canvas.text(_GRAPH, y - 4, f"{len(block['layers'])} layers, too entangled to be drawn:", "soft")
    canvas.text(_GRAPH, y - 4 + _LINE, words, "soft")


def _short(words: str, most: int) -> str:
    """Cut in the middle: layer names differ at both ends."""
    if len(words) <= most:
        return words
    head = (most - 1) // 2
    return f"{words[:head]}…{words[-(most - 1 - head) :]}"
