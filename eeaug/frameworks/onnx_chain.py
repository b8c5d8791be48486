"""Stages as sessions of one optimised network: what they hand over is in the layout that ONNX Runtime computes in.

By themselves stages begin and end with tensors as manifest.json has them: each hand-over is turned around twice,
and the addition at the end of a residual block that a cut goes through is not merged into its convolution. Here
they are joined, optimised as one network, and cut where each one's classifier is done. What is handed over at such
a cut only this process knows. Needs the package onnx, which whole installations have.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from eeaug.frameworks import onnx_session
from eeaug.frameworks.keras_to_onnx import rename

__all__ = ["MOST_BYTES", "ChainLink", "StageFile", "chained", "possible"]

MOST_BYTES = 32_000_000  # of all files: what large networks gain is no share of what they take


@dataclass(frozen=True)
class StageFile:
    """A stage's file.

    Parameters
    ----------
    inputs : names of what it takes, as the sample or a stage before it has them
    probabilities, handover : names of what it gives; None: nothing goes on
    """

    file: Path
    inputs: tuple[str, ...]
    probabilities: str
    handover: str | None


@dataclass(frozen=True)
class ChainLink:
    """What computes a stage.

    Parameters
    ----------
    inputs : names of what it takes, of the sample and of links before
    outputs : of what it gives, probabilities first
    """

    session: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def possible(parts: Sequence[StageFile]) -> bool:
    return find_spec("onnx") is not None and sum(part.file.stat().st_size for part in parts) <= MOST_BYTES


def chained(parts: Sequence[StageFile], threads: int) -> list[ChainLink]:
    """The links of a chain, one for each part."""
    import onnx

    models = [onnx.load(str(part.file)) for part in parts]
    whole = _joined(parts, models)
    with tempfile.TemporaryDirectory(prefix="eeaug-") as folder:
        path = Path(folder) / "optimised.onnx"
        onnx_session.session(whole.SerializeToString(), threads, optimised=path)
        optimised = onnx.load(str(path))
    return [
        ChainLink(onnx_session.session(model.SerializeToString(), threads, as_it_is=True), inputs, outputs)
        for model, inputs, outputs in _cut(optimised)
    ]


def _joined(parts: Sequence[StageFile], models: Sequence[Any]) -> Any:
    """One network, whose outputs are the classifiers' in order."""
    from onnx import TensorProto, helper

    nodes: list[Any] = []
    weights: list[Any] = []
    taken: list[Any] = []
    given: list[Any] = []
    names: dict[str, str] = {}
    for k, (part, model) in enumerate(zip(parts, models, strict=True)):
        graph = model.graph
        for value in graph.input:
            if value.name not in names:  # of the sample
                names[value.name] = value.name
                taken.append(value)
        inside = (*(t.name for t in graph.initializer), *(name for node in graph.node for name in node.output))
        new = {name: names[name] for name in part.inputs} | {name: f"{k}/{name}" for name in inside if name}
        for tensor in graph.initializer:
            tensor.name = new[tensor.name]
        for i, node in enumerate(graph.node):
            node.name = f"{k}/{node.op_type}_{i}"
        rename(graph, new)
        nodes += graph.node
        weights += graph.initializer
        given.append(helper.make_tensor_value_info(new[part.probabilities], TensorProto.FLOAT, None))
        if part.handover is not None:
            names[part.handover] = new[part.handover]
    first = models[0]
    whole = helper.make_graph(nodes, "chain", taken, given, weights)
    return helper.make_model(whole, opset_imports=first.opset_import, ir_version=first.ir_version)


def _cut(whole: Any) -> list[tuple[Any, tuple[str, ...], tuple[str, ...]]]:
    """A model for what each output needs beyond those before it, with names of what it takes and gives."""
    from onnx import helper

    graph = whole.graph
    maker = {name: i for i, node in enumerate(graph.node) for name in node.output if name}
    weights = {tensor.name: tensor for tensor in graph.initializer}
    values = {value.name: value for value in (*graph.value_info, *graph.input, *graph.output)}
    done: set[int] = set()
    needs: list[list[int]] = []
    for output in graph.output:
        need: set[int] = set()
        names = [output.name]
        while names:
            i = maker.get(names.pop())
            if i is not None and i not in need and i not in done:
                need.add(i)
                names += _reads(graph.node[i])
        needs.append(sorted(need))
        done |= need
    models = []
    for k, (output, numbers) in enumerate(zip(graph.output, needs, strict=True)):
        nodes = [graph.node[i] for i in numbers]
        here = {name for node in nodes for name in node.output}
        read = dict.fromkeys(name for node in nodes for name in _reads(node))
        later = {name for rest in needs[k + 1 :] for i in rest for name in _reads(graph.node[i])}
        inputs = tuple(
            name for name in read if name not in here and name not in weights and name in (maker | values)
        )
        outputs = (output.name, *sorted(here & later - {output.name}))
        ends = [
            [values.get(n) or helper.make_tensor_value_info(n, 1, None) for n in of] for of in (inputs, outputs)
        ]
        cut = helper.make_graph(nodes, f"link_{k}", *ends, [weights[name] for name in read if name in weights])
        model = helper.make_model(cut, opset_imports=whole.opset_import, ir_version=whole.ir_version)
        models.append((model, inputs, outputs))
    return models


def _reads(node: Any) -> list[str]:
    bodies = [body for attribute in node.attribute for body in (attribute.g, *attribute.graphs)]
    return [
        name
        for name in (*node.input, *(n for body in bodies for inner in body.node for n in _reads(inner)))
        if name
    ]
