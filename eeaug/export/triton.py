"""``--format triton``: a model repository of the stages that servers run.

One model per stage on a ``remote`` processor, for NVIDIA Triton and what else reads such a repository and answers
requests of the Open Inference Protocol (https://github.com/kserve/open-inference-protocol). Names and fields of
config.pbtxt are those of Triton's model configuration
(https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/model_configuration.html).

Two things keep devices and servers together while both are replaced one by one. A model's name ends with digits of
its hash, so repositories of several bundles lie side by side in one folder. And every model gives the same number
with each answer, as an output: a file that was exchanged below a name is noticed by the first answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from eeaug.bundle.device_entries import IDENTITY, MAX_ROWS, TritonStage, of_ensemble
from eeaug.bundle.entries import Added, Handover, StageEntry
from eeaug.cascade.encoding import Encoding
from eeaug.export import names
from eeaug.export.formats import Checked, Work
from eeaug.export.verify import Reference
from eeaug.frameworks.runners import Runner
from eeaug.hardware import Hardware
from eeaug.runtime import Cascade, link
from eeaug.settings import Contradiction

__all__ = ["FOLDER", "check", "configuration", "ensemble", "identified", "refuse", "write", "write_link"]

FOLDER = "triton"
VERSION = "1"
QUEUE_DELAY_US = 500  # that a request may wait for others
TYPES = {1: "TYPE_FP32", 3: "TYPE_INT8", 6: "TYPE_INT32", 7: "TYPE_INT64", 10: "TYPE_FP16"}  # by onnx.TensorProto
DIGITS = 13  # of the hash: 52 bits, which JSON's numbers hold exactly

Tensors = Sequence[tuple[str, str, Sequence[int]]]  # name, type, shape of one sample


def refuse(target: Hardware) -> None:
    """Raises Contradiction where no processor of the target is a server."""
    if not any(p.remote for p in target.processors):
        raise Contradiction(
            "{formats}: no processor of {0} is a server: one that is reached over a network says `remote: true`",
            target.name,
            formats="triton",
        )


def write(work: Work) -> Added:
    """Write the models, and an ensemble for each server that runs several stages in a row."""
    import onnx

    stages, prefix = work.manifest.stages, names.of_model(work.manifest.inputs[0]["name"])
    remote = [work.hardware.processor(stage.processor).remote for stage in stages]
    files: list[str | None] = []
    facts: list[TritonStage | None] = []
    tensors: list[tuple[Tensors, Tensors]] = []
    root = work.directory / FOLDER
    for k, (stage, far) in enumerate(zip(stages, remote, strict=True)):
        if not far:
            files.append(None)
            facts.append(None)
            tensors.append(((), ()))
            continue
        sent = None if k == 0 else stages[k - 1].handover
        model = decoding(onnx.load(work.directory / stage.files["onnx"]), sent)
        digest = hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()[:DIGITS]
        entry = TritonStage(f"{prefix}-{stage.name}-{digest}", int(digest, 16))
        model = identified(model, entry.identity)
        inputs, outputs = _tensors(model.graph.input), _tensors(model.graph.output)
        (root / entry.model / VERSION).mkdir(parents=True)
        path = f"{FOLDER}/{entry.model}/{VERSION}/model.onnx"
        (work.directory / path).write_bytes(model.SerializeToString(deterministic=True))
        text = configuration(entry.model, inputs, outputs)
        (root / entry.model / "config.pbtxt").write_text(text, encoding="utf-8")
        files.append(path)
        facts.append(entry)
        tensors.append((inputs, outputs))
    for run in _runs(stages, remote):
        first = facts[run[0]]
        if len(run) == 1 or first is None:
            continue
        models = [fact.model for k in run if (fact := facts[k]) is not None]
        name = ensemble_name(f"{prefix}-{stages[run[0]].processor}", models)
        text = ensemble(name, models, [stages[k] for k in run], [tensors[k] for k in run])
        (root / name / VERSION).mkdir(parents=True)
        (root / name / "config.pbtxt").write_text(text, encoding="utf-8")
        # Triton wants a folder for the version, and a folder with nothing in it is lost when it is copied
        (root / name / VERSION / ".keep").write_bytes(b"")
        facts[run[0]] = replace(first, ensemble=name)
    return Added(files, [{} if fact is None else {"triton": fact} for fact in facts])


def write_link(folder: Path) -> None:
    """Write the model that `eeaug hw measure-link` asks: the sum of what it is given."""
    from onnx import TensorProto, helper

    values, total = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size])
        for name, size in (("values", "size"), ("total", 1))
    )
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
    node = helper.make_node("ReduceSum", ["values", "axes"], ["total"], keepdims=1)
    graph = helper.make_graph([node], link.MODEL, [values], [total], [axes])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    content = identified(model, link.NUMBER).SerializeToString(deterministic=True)
    ends = [("values", "TYPE_FP32", [-1])], [("total", "TYPE_FP32", [1]), (IDENTITY, "TYPE_INT64", [1])]
    (folder / VERSION).mkdir(parents=True)
    (folder / VERSION / "model.onnx").write_bytes(content)
    (folder / "config.pbtxt").write_text(configuration(link.MODEL, *ends), encoding="utf-8")


def check(work: Work, reference: Reference) -> Checked:
    """Run the servers' files here, each on what the stage before hands over."""
    manifest = work.manifest
    if all(stage.triton is None for stage in manifest.stages):
        return Checked(None, None)
    stages = tuple(
        stage if stage.triton is None else replace(stage, files={**stage.files, "onnx": stage.files["triton"]})
        for stage in manifest.stages
    )
    cascade = Cascade.load(work.directory, replace(manifest, stages=stages), work.threads)
    sessions: list[Runner] = list(cascade.sessions)
    for k in range(1, len(stages)):
        sent = stages[k - 1].handover
        if stages[k].triton is not None and sent is not None and sent.encoding is not None:
            sessions[k] = _Encoded(sessions[k], sent.name, sent.encoding)
    answers = replace(cascade, sessions=tuple(sessions)).answers(work.x)
    if any(s.handover is not None and s.handover.encoding is not None for s in stages):
        here = Cascade.load(work.directory, manifest, work.threads)
        reference = Reference.of(manifest.decision, manifest.stages, here.answers(work.x))
    return reference.check("triton", answers)


@dataclass(frozen=True)
class _Encoded:
    """A server's file, given what a near side sends."""

    runner: Runner
    name: str
    encoding: Encoding

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        return self.runner.run(outputs, {**inputs, self.name: self.encoding.encoded(inputs[self.name])})


def ensemble_name(prefix: str, models: Sequence[str]) -> str:
    """Of what these models are together on a server."""
    digest = hashlib.sha256("\n".join(models).encode()).hexdigest()[:DIGITS]
    return f"{prefix}-{digest}"


def decoding(model: Any, sent: Handover | None) -> Any:
    """An onnx.ModelProto that is given its hand-over as it was sent; itself where that is as it takes it."""
    from onnx import TensorProto, helper

    encoding = None if sent is None else sent.encoding
    if sent is None or encoding is None or encoding.kind == "float32":
        return model
    graph, inner = model.graph, f"{sent.name}_received"
    for node in graph.node:
        node.input[:] = [inner if name == sent.name else name for name in node.input]
    given = next(value for value in graph.input if value.name == sent.name)
    if encoding.kind == "float16":
        given.type.tensor_type.elem_type = TensorProto.FLOAT16
        graph.node.insert(0, helper.make_node("Cast", [sent.name], [inner], name=inner, to=TensorProto.FLOAT))
        return model
    given.type.tensor_type.elem_type = TensorProto.INT8
    scale, zero = f"{inner}_scale", f"{inner}_zero_point"
    graph.initializer.append(helper.make_tensor(scale, TensorProto.FLOAT, [], [encoding.scale]))
    graph.initializer.append(helper.make_tensor(zero, TensorProto.INT8, [], [encoding.zero_point]))
    graph.node.insert(0, helper.make_node("DequantizeLinear", [sent.name, scale, zero], [inner], name=inner))
    return model


def identified(model: Any, identity: int) -> Any:
    """An onnx.ModelProto with one more output, int64 (n, 1): this number for each sample."""
    from onnx import TensorProto, helper

    graph, first = model.graph, model.graph.input[0].name
    constants: Mapping[str, tuple[list[int], list[int]]] = {
        "number": ([1, 1], [identity]), "zero": ([1], [0]), "one": ([1], [1]),
    }  # fmt: skip
    for name, (dims, values) in constants.items():
        graph.initializer.append(helper.make_tensor(f"{IDENTITY}_{name}", TensorProto.INT64, dims, values))
    steps: Sequence[tuple[str, list[str], str, dict[str, int]]] = (
        ("Shape", [first], f"{IDENTITY}_shape", {}),
        ("Slice", [f"{IDENTITY}_shape", f"{IDENTITY}_zero", f"{IDENTITY}_one"], f"{IDENTITY}_rows", {}),
        ("Concat", [f"{IDENTITY}_rows", f"{IDENTITY}_one"], f"{IDENTITY}_size", {"axis": 0}),
        ("Expand", [f"{IDENTITY}_number", f"{IDENTITY}_size"], IDENTITY, {}),
    )
    for kind, taken, given, attributes in steps:
        graph.node.append(helper.make_node(kind, taken, [given], name=f"{IDENTITY}_{kind.lower()}", **attributes))
    batch = model.graph.input[0].type.tensor_type.shape.dim[0].dim_param or "batch"
    graph.output.append(helper.make_tensor_value_info(IDENTITY, TensorProto.INT64, [batch, 1]))
    return model


def configuration(name: str, inputs: Tensors, outputs: Tensors) -> str:
    """config.pbtxt of a stage's model."""
    return "\n".join(
        (
            *_head(name, 'backend: "onnxruntime"'),
            *_ends(inputs, outputs),
            f"dynamic_batching {{ max_queue_delay_microseconds: {QUEUE_DELAY_US} }}",
            "",
        )
    )


def ensemble(
    name: str, models: Sequence[str], stages: Sequence[StageEntry], tensors: Sequence[tuple[Tensors, Tensors]]
) -> str:
    """config.pbtxt of stages that follow each other on a server, so that a hand-over between them stays there.

    It takes what the first stage does, and gives what the last one does; of the others only what their classifiers
    say. Outputs of stage k of these are named k_NAME.
    """
    known = {tensor[0] for tensor in tensors[0][0]}
    taken, given = list(tensors[0][0]), []
    steps = []
    for k, (model, stage, (inputs, outputs)) in enumerate(zip(models, stages, tensors, strict=True)):
        # inputs of the model that went past earlier stages are further inputs of the ensemble
        taken += [tensor for tensor in inputs if tensor[0] not in known]
        known |= {tensor[0] for tensor in inputs}
        gives = {output[0]: of_ensemble(k, output[0]) for output in outputs}
        if stage.handover is not None and k + 1 < len(models):
            gives[stage.handover.name] = stage.handover.name
            known.add(stage.handover.name)
        given += [(gives[n], kind, shape) for n, kind, shape in outputs if gives[n] != n]
        maps = [f'      input_map {{ key: "{n}" value: "{n}" }}' for n, _, _ in inputs]
        maps += [f'      output_map {{ key: "{n}" value: "{as_name}" }}' for n, as_name in gives.items()]
        steps += ["    {", f'      model_name: "{model}"', "      model_version: 1", *maps, "    },"]
    steps[-1] = "    }"
    head = (*_head(name, 'platform: "ensemble"'), *_ends(taken, given))
    return "\n".join((*head, "ensemble_scheduling {", "  step [", *steps, "  ]", "}", ""))


def _head(name: str, kind: str) -> tuple[str, ...]:
    return (f'name: "{name}"', kind, f"max_batch_size: {MAX_ROWS}")


def _ends(inputs: Tensors, outputs: Tensors) -> list[str]:
    lines = []
    for way, tensors in (("input", inputs), ("output", outputs)):
        rows = [
            f'  {{ name: "{name}" data_type: {kind} dims: [ {", ".join(map(str, shape))} ] }}'
            for name, kind, shape in tensors
        ]
        lines += [f"{way} [", ",\n".join(rows), "]"]
    return lines


def _tensors(values: Any) -> Tensors:
    return [
        (
            value.name,
            TYPES[value.type.tensor_type.elem_type],
            [dim.dim_value for dim in value.type.tensor_type.shape.dim][1:],
        )
        for value in values
    ]


def _runs(stages: Sequence[StageEntry], remote: Sequence[bool]) -> list[list[int]]:
    """Numbers of remote stages that follow each other on one processor."""
    keys = [stage.processor if far else None for stage, far in zip(stages, remote, strict=True)]
    groups = [(key, [k for k, _ in group]) for key, group in groupby(enumerate(keys), key=lambda pair: pair[1])]
    return [numbers for key, numbers in groups if key is not None]
