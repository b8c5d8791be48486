"""The cascade as one ONNX file decides as the stages do, by any measure, with any thresholds."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eeaug.bundle.entries import Manifest
from eeaug.cascade.output import Decision
from eeaug.errors import ConversionError
from eeaug.export import onnx_one
from eeaug.frameworks import onnx_session
from eeaug.runtime import Cascade

INPUTS = ("input", "more")  # the second goes past the first stage
SIZE = 6
EXITS = 2


def stages(place: Path, kind: str, outputs: int, reuse: bool) -> list[dict[str, Any]]:
    """Three stages: each says something of its tensor, and hands over another; the second reads ``more``, too."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng, listed = np.random.default_rng(3), []
    for k, given in enumerate(("input", "h0", "h1")):
        handed = None if k == EXITS else f"h{k}"
        takes = [given, *(["more"] if k == 1 else [])]
        weights = [
            numpy_helper.from_array(rng.normal(size=(SIZE, size)).astype(np.float32), name)
            for name, size in (("w", outputs), *([("v", SIZE)] if handed else []))
        ]
        nodes = (
            [helper.make_node("Add", takes, ["x"])] if k == 1 else [helper.make_node("Identity", [given], ["x"])]
        )
        nodes += [
            helper.make_node("MatMul", ["x", "w"], ["z"]),
            helper.make_node("Softmax" if kind == "softmax" else "Sigmoid", ["z"], ["probabilities"]),
        ]
        nodes += [helper.make_node("MatMul", ["x", "v"], [handed])] if handed else []
        sizes = {**dict.fromkeys(takes, SIZE), "probabilities": outputs, **({handed: SIZE} if handed else {})}
        types = {
            n: helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", size]) for n, size in sizes.items()
        }
        ends = [types[n] for n in sizes if n not in takes]
        graph = helper.make_graph(nodes, "stage", [types[n] for n in takes], ends, weights)
        name = f"{k}.onnx"
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(model, str(place / name))
        passed = [{"name": "more", "shape": [SIZE], "bytes": 24}] if k == 0 else []
        handover = [{"name": handed, "shape": [SIZE], "bytes": 24}, *passed] if handed else []
        listed.append(
            {
                "name": str(k), "inputs": takes, "input_shape": [SIZE], "files": {"onnx": name},
                "outputs": {"probabilities": "probabilities", "handover": handover},
                "threshold": [0.6, None, None][k], "reuse": [0.3, 0.5, 1.0][: k + 1] if k and reuse else None,
                "processor": "cpu", "metric": "any", "macs": 1,
            }
        )  # fmt: skip
    return listed


def bundle(place: Path, kind: str, measure: str, reuse: bool = True) -> Manifest:
    outputs = 1 if kind == "binary" else 4
    classes = 2 if kind == "binary" else outputs
    return Manifest.from_dict(
        {
            "stages": stages(place, kind, outputs, reuse),
            "decision": Decision(kind, classes, measure).as_dict(),
            "classes": [f"c{i}" for i in range(classes)],
            "preprocessing": {"scale": 1.0, "offset": 0.0, "mean": None, "std": None},
            "model_inputs": [{"name": name, "shape": [SIZE], "dtype": "float32"} for name in INPUTS],
        }
    )


def opened(place: Path, manifest: Manifest) -> Any:
    import onnx

    models = [onnx.load(str(place / stage.files["onnx"])) for stage in manifest.stages]
    model = onnx_one.joined(manifest, models)
    onnx.checker.check_model(model, full_check=True)
    return onnx_session.session(model.SerializeToString(), 1)


CASES = [
    *((*case, True) for case in product(("softmax", "binary", "multilabel"), ("max-softmax", "margin", "entropy"))),
    ("softmax", "max-softmax", False),
    ("multilabel", "max-softmax", False),
]


@pytest.mark.parametrize(("kind", "measure", "reuse"), CASES)
def test_it_decides_as_the_stages_do(tmp_path: Path, kind: str, measure: str, reuse: bool) -> None:
    manifest = bundle(tmp_path, kind, measure, reuse)
    session = opened(tmp_path, manifest)
    x = np.random.default_rng(0).normal(size=(60, 2, SIZE)).astype(np.float32)
    rows = np.ascontiguousarray(x.reshape(60, -1))
    cascade = Cascade.load(tmp_path, manifest, 1)
    sure = cascade.outcomes([rows], np.zeros(60, np.int64)).confidence
    middle = [float(np.median(row)) for row in sure[:EXITS]]
    for thresholds in (None, middle, [onnx_one.NEVER, middle[1]], [0.0, 0.0]):
        fixed = {} if thresholds is None else {onnx_one.THRESHOLDS: np.array(thresholds, np.float32)}
        points = {"default": (0.6, None) if thresholds is None else tuple(thresholds)}
        expected = Cascade(manifest.decision, manifest.stages, cascade.sessions, points).run([rows])
        runs = [
            session.run(onnx_one.OUTPUTS, {**dict(zip(INPUTS, x[i, :, None], strict=True)), **fixed})
            for i in range(len(x))
        ]
        p, predicted, confidence, at = (np.concatenate(column) for column in zip(*runs, strict=True))
        # logarithms of other runtimes are off by a rounding; no sample here is that near to a threshold
        assert (at == expected.exits).all() and (predicted == expected.predicted).all()
        np.testing.assert_allclose(confidence, expected.confidence, atol=2e-6)
        assert p.shape == (60, manifest.decision.outputs)
    assert (
        len(
            set(
                Cascade(manifest.decision, manifest.stages, cascade.sessions, {"default": tuple(middle)})
                .run([rows])
                .exits
            )
        )
        == 3
    )


def test_names_of_its_own_are_not_the_models(tmp_path: Path) -> None:
    import onnx

    manifest = bundle(tmp_path, "softmax", "max-softmax")
    models = [onnx.load(str(tmp_path / stage.files["onnx"])) for stage in manifest.stages]
    document = manifest.as_dict()
    document["model_inputs"][1]["name"] = "exit"
    document["stages"][1]["inputs"][1] = document["stages"][0]["outputs"]["handover"][1]["name"] = "exit"
    with pytest.raises(ConversionError, match="an input of the model is called exit"):
        onnx_one.joined(Manifest.from_dict(document), models)


@pytest.mark.parametrize("leaves_at", range(EXITS + 1))
def test_what_is_behind_an_exit_is_not_run(tmp_path: Path, leaves_at: int) -> None:
    import onnx
    import onnxruntime

    manifest = bundle(tmp_path, "softmax", "max-softmax")
    models = [onnx.load(str(tmp_path / stage.files["onnx"])) for stage in manifest.stages]
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.enable_profiling, options.profile_file_prefix = True, str(tmp_path / "profile")
    content = onnx_one.joined(manifest, models).SerializeToString()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    given = {name: np.ones((1, SIZE), np.float32) for name in INPUTS}
    thresholds = np.array([onnx_one.NEVER if k < leaves_at else 0 for k in range(EXITS)], np.float32)
    assert session.run(["exit"], {**given, onnx_one.THRESHOLDS: thresholds}) == [leaves_at]
    events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    ran = {
        event["name"].split("/")[0] for event in events if event.get("cat") == "Node" and "/MatMul" in event["name"]
    }
    assert ran == {str(k) for k in range(leaves_at + 1)}
