"""``--format onnx-one``: the whole cascade as one ONNX file, for one sample at a time.

A sample leaves by an ``If`` after each exit, so that a runtime computes nothing behind the exit where it leaves. A
batch would have to be parted there, which ``If`` cannot. It decides as the stages do, by its input THRESHOLDS; a
runtime that is not given them takes those of the default operating point. It takes what the first stage does:
prepared samples, as preprocessing is not in it. No hand-over goes over a link, so none is encoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.bundle.device_entries import OnnxOne
from eeaug.bundle.entries import Added, Manifest, StageEntry
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import Decision
from eeaug.cascade.passage import Passage
from eeaug.errors import ConversionError
from eeaug.export.formats import Checked, Work
from eeaug.export.verify import Reference
from eeaug.frameworks import keras_to_onnx, onnx_session

__all__ = ["FILE", "NEVER", "OUTPUTS", "THRESHOLDS", "check", "joined", "write"]

FILE = "onnx-one/cascade.onnx"
THRESHOLDS = "thresholds"  # float32 (exits,)
OUTPUTS = ("probabilities", "class", "confidence", "exit")  # (1, outputs), then one number each
NEVER = 2.0  # no confidence is that high


def write(work: Work) -> Added:
    """Join the ONNX stages."""
    import onnx

    stages = work.manifest.stages
    models = [onnx.load(str(work.directory / stage.files["onnx"])) for stage in stages]
    path = work.directory / FILE
    path.parent.mkdir()
    path.write_bytes(joined(work.manifest, models).SerializeToString(deterministic=True))
    taken = (*stages[0].row.names, *((THRESHOLDS,) if len(stages) > 1 else ()))
    return Added([None] * len(stages), whole={"onnx_one": OnnxOne(FILE, taken, OUTPUTS)})


def check(work: Work, reference: Reference) -> Checked:
    """Run it on every sample, once for each classifier that it can leave at, and as it stands.

    Raises
    ------
    ConversionError : a decision is another than the reference's, or the thresholds in the file are others
    """
    session = onnx_session.session(work.directory / FILE, work.threads)
    stages = work.manifest.stages
    parts = stages[0].row.split(work.x)
    m = len(stages) - 1

    def decided(thresholds: Sequence[float] | None) -> tuple[NDArray[Any], ...]:
        """Class, confidence and exit of every sample, (n,) each."""
        fixed = {THRESHOLDS: np.array(thresholds, np.float32)} if thresholds else {}
        runs = [
            session.run(OUTPUTS[1:], {**{name: x[i : i + 1] for name, x in parts.items()}, **fixed})
            for i in range(len(work.x))
        ]
        return tuple(np.concatenate(column) for column in zip(*runs, strict=True))

    pairs = []
    for k in range(m + 1):
        predicted, confidence, at = decided([*[NEVER] * k, *[-1.0] * (m - k)])
        if (at != k).any():
            raise ConversionError(f"{FILE}: samples leave at exit {set(at.tolist())} that must leave at {k}")
        pairs.append((confidence, predicted))
    outcomes = Outcomes(
        np.array([c for c, _ in pairs]), np.array([p for _, p in pairs]), np.zeros(len(work.x), int)
    )
    passage = Passage(outcomes, reference.thresholds)
    predicted, _, at = decided(None)
    if (at != passage.at).any() or (predicted != passage.predicted).any():
        raise ConversionError(f"{FILE}: without thresholds it decides otherwise than with those of the manifest")
    return reference.check_outcomes("onnx-one", outcomes)


def joined(manifest: Manifest, models: Sequence[Any]) -> Any:
    """An onnx.ModelProto of the stages' ``models``, which are changed."""
    from onnx import TensorProto, helper, numpy_helper

    stages = manifest.stages
    row = stages[0].row
    taken = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, *s])
        for n, s in zip(row.names, row.shapes, strict=True)
    ]
    if clash := {*row.names} & {THRESHOLDS, *OUTPUTS}:
        raise ConversionError(
            f"--format onnx-one: an input of the model is called {', '.join(clash)}, as one of its own"
        )
    graph = _Graph(manifest.decision, stages, models, dict(zip(row.names, row.names, strict=True)))
    nodes, weights, results = graph.level(0)
    nodes += [helper.make_node("Identity", [name], [out]) for name, out in zip(results, OUTPUTS, strict=True)]
    given = [helper.make_tensor_value_info(*value) for value in _outputs(manifest.decision, OUTPUTS)]
    if len(stages) > 1:
        default = np.array(
            [NEVER if stage.threshold is None else stage.threshold for stage in stages[:-1]], np.float32
        )
        weights.append(numpy_helper.from_array(default, THRESHOLDS))
        taken.append(helper.make_tensor_value_info(THRESHOLDS, TensorProto.FLOAT, default.shape))
    versions: dict[str, int] = {}
    for opset in (opset for model in models for opset in model.opset_import):
        versions[opset.domain] = max(opset.version, versions.get(opset.domain, 0))
    opsets = [helper.make_opsetid(domain, version) for domain, version in versions.items()]
    whole = helper.make_graph(nodes, "eeaug", taken, given, weights)
    return helper.make_model(
        whole, opset_imports=opsets, ir_version=max(model.ir_version for model in models), producer_name="eeaug"
    )


def _outputs(decision: Decision, names: Sequence[str]) -> list[tuple[str, int, list[int]]]:
    from onnx import TensorProto

    kinds = (TensorProto.FLOAT, TensorProto.INT64, TensorProto.FLOAT, TensorProto.INT64)
    shapes = ([1, decision.outputs], [1], [1], [1])
    return list(zip(names, kinds, shapes, strict=True))


@dataclass
class _Graph:
    """The cascade in the making: ``names`` are those of tensors that stages are given, in the file."""

    decision: Decision
    stages: Sequence[StageEntry]
    models: Sequence[Any]
    names: dict[str, str]
    nodes: list[Any] = field(default_factory=list)
    weights: list[Any] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def level(self, k: int) -> tuple[list[Any], list[Any], list[str]]:
        """Nodes, weights and the names of the four results, of stage ``k`` and all behind it."""
        from onnx import helper

        outer, self.nodes, self.weights = (self.nodes, self.weights), [], []
        results = self._decided(k)
        if k + 1 < len(self.stages):
            which = self._constant(f"{k}/which", np.array([k], np.int64))
            least = self._node("Gather", [THRESHOLDS, which], f"{k}/least", axis=0)
            leaves = self._node("GreaterOrEqual", [results[2], least], f"{k}/leaves")
            mine = self.nodes, self.weights
            left = [f"{k}/left_{name}" for name in OUTPUTS]
            copies = [helper.make_node("Identity", [name], [out]) for name, out in zip(results, left, strict=True)]
            leave = helper.make_graph(copies, f"leave_{k}", [], self._values(left))
            nodes, weights, behind = self.level(k + 1)
            go_on = helper.make_graph(nodes, f"stage_{k + 1}", [], self._values(behind), weights)
            self.nodes, self.weights = mine
            results = [f"{k}/result_{name}" for name in OUTPUTS]
            self.nodes.append(
                helper.make_node("If", [leaves], results, name=f"exit_{k}", then_branch=leave, else_branch=go_on)
            )
        level = self.nodes, self.weights, results
        self.nodes, self.weights = outer
        return level

    def _decided(self, k: int) -> list[str]:
        """Add stage ``k`` and what it decides by: names of the four results if a sample leaves here."""
        stage, graph = self.stages[k], self.models[k].graph
        new = {name: self.names[name] for name in stage.inputs}
        inside = (*(t.name for t in graph.initializer), *(name for node in graph.node for name in node.output))
        new |= {name: f"{k}/{name}" for name in inside if name}
        for tensor in graph.initializer:
            tensor.name = new[tensor.name]
        for i, node in enumerate(graph.node):
            node.name = f"{k}/{node.op_type}_{i}"
        keras_to_onnx.rename(graph, new)
        self.nodes += graph.node
        self.weights += graph.initializer
        if stage.handover is not None:
            self.names = {**self.names, stage.handover.name: new[stage.handover.name]}
        assert stage.probabilities is not None
        self.said.append(new[stage.probabilities])
        return self._answer(k, self._hearing(k, stage.reuse))

    def _hearing(self, k: int, weights: Sequence[float] | None) -> str:
        """What the stage decides by (combining.combined)."""
        if not weights or not k:
            return self.said[k]
        for j in range(len(self.logs), k + 1):
            least = self._constant(f"{k}/{j}/floor", np.float32(self.decision.floor))
            spread = self._spread(f"{k}/{j}", self.said[j])
            self.logs.append(
                self._node("Log", [self._node("Max", [spread, least], f"{k}/{j}/at_least")], f"{k}/{j}/log")
            )
        total = ""
        for j, weight in enumerate(weights):
            factor = self._constant(f"{k}/{j}/weight", np.float32(weight))
            term = self._node("Mul", [self.logs[j], factor], f"{k}/{j}/term")
            total = self._node("Add", [total, term], f"{k}/{j}/sum") if total else term
        heard = self._node("Softmax", [total], f"{k}/heard", axis=-1)
        if self.decision.kind == "softmax":
            return heard
        return self._node("Gather", [heard, self._constant(f"{k}/yes", np.int64(1))], f"{k}/heard_yes", axis=2)

    def _answer(self, k: int, p: str) -> list[str]:
        """Probabilities, class, confidence (output.Decision.answers) and the exit."""
        several = self.decision.kind != "softmax"
        confidence = self._confidence(k, self._spread(f"{k}/decided", p))
        if several:
            confidence = self._node("ReduceMin", [confidence], f"{k}/least_sure", axes=[1], keepdims=0)
            half = self._constant(f"{k}/half", np.float32(0.5))
            bits = self._constant(f"{k}/bits", np.left_shift(np.int64(1), np.arange(self.decision.outputs)))
            marks = self._node(
                "Cast", [self._node("GreaterOrEqual", [p, half], f"{k}/yes_for")], f"{k}/marks", to=7
            )
            axis = self._constant(f"{k}/labels", np.array([1], np.int64))
            code = self._node(
                "ReduceSum", [self._node("Mul", [marks, bits], f"{k}/marked"), axis], f"{k}/code", keepdims=0
            )
        else:
            code = self._node("ArgMax", [p], f"{k}/code", axis=1, keepdims=0)
        return [p, code, confidence, self._constant(f"{k}/exit", np.array([k], np.int64))]

    def _confidence(self, k: int, spread: str) -> str:
        """The measure of distributions over the last axis (measures.MEASURES), which it takes away."""
        if self.decision.measure == "max-softmax":
            return self._node("ReduceMax", [spread], f"{k}/largest", axes=[-1], keepdims=0)
        if self.decision.measure == "margin":
            two = self._constant(f"{k}/two", np.array([2], np.int64))
            largest = self._node(
                "TopK", [spread, two], f"{k}/two_largest", axis=-1, outputs=(f"{k}/two_largest_at",)
            )
            first, second = (
                self._node(
                    "Gather", [largest, self._constant(f"{k}/at_{i}", np.int64(i))], f"{k}/largest_{i}", axis=-1
                )
                for i in range(2)
            )
            return self._node("Sub", [first, second], f"{k}/margin")
        tiny = self._constant(f"{k}/tiny", np.finfo(np.float32).tiny)
        logs = self._node("Log", [self._node("Max", [spread, tiny], f"{k}/not_0")], f"{k}/log_p")
        terms = self._node("Cast", [self._node("Mul", [spread, logs], f"{k}/p_log_p")], f"{k}/terms", to=11)
        axis = self._constant(f"{k}/last_axis", np.array([-1], np.int64))
        total = self._node("ReduceSum", [terms, axis], f"{k}/minus_entropy", keepdims=0)
        classes = self.decision.classes if self.decision.kind == "softmax" else 2
        share = self._node("Div", [total, self._constant(f"{k}/most", np.float64(np.log(classes)))], f"{k}/share")
        sure = self._node("Add", [share, self._constant(f"{k}/one", np.float64(1))], f"{k}/one_less")
        ends = (self._constant(f"{k}/end_{i}", np.float64(i)) for i in range(2))
        return self._node("Cast", [self._node("Clip", [sure, *ends], f"{k}/clipped")], f"{k}/entropy", to=1)

    def _spread(self, prefix: str, p: str) -> str:
        """What is decided on (output.Decision.distributions): (1, classes), or (1, outputs, 2) of sigmoids."""
        if self.decision.kind == "softmax":
            return p
        axis = self._constant(f"{prefix}/axis", np.array([2], np.int64))
        no = self._node("Sub", [self._constant(f"{prefix}/all", np.float32(1)), p], f"{prefix}/no")
        parts = [self._node("Unsqueeze", [x, axis], f"{prefix}/{i}") for i, x in enumerate((no, p))]
        return self._node("Concat", parts, f"{prefix}/both", axis=2)

    def _node(
        self, kind: str, given: Sequence[str], name: str, outputs: Sequence[str] = (), **attributes: Any
    ) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, list(given), [name, *outputs], name=name, **attributes))
        return name

    def _constant(self, name: str, value: Any) -> str:
        from onnx import numpy_helper

        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def _values(self, names: Sequence[str]) -> list[Any]:
        from onnx import helper

        return [helper.make_tensor_value_info(*value) for value in _outputs(self.decision, names)]
