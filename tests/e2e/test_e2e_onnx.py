"""An ONNX file from the command line to stages that take the same samples."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx_nets
import onnxruntime
import pytest
from conftest import Run

from eeaug.runtime import Cascade

pytestmark = pytest.mark.e2e


def test_a_residual_network_of_pytorch_s_kind(tmp_path: Path, run: Run) -> None:
    path = onnx_nets.written("residual", tmp_path)
    onnx_nets.data(onnx_nets.PICTURE, tmp_path, [("train", 800), ("val", 300), ("test", 300)])
    line = ["augment", path.name, "--data", "data.npz", "--hw", "psoc6", "--effort", "quick"]
    budget = [
        "--max-accuracy-drop",
        "15%",
        "--promise",
        "expected",
        "--format",
        "tflite,c-int8,onnx-one",
        "-o",
        "out",
        "--json",
    ]
    done = run(*line, *budget, cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert "22 tensors agree with ONNX Runtime on 4 real samples" in done.stderr
    report = json.loads(done.stdout)
    assert report["design"]["exits"]

    with np.load(tmp_path / "data.npz") as data:
        x, y = data["x_test"], data["y_test"]
    answers = Cascade.load(tmp_path / "out").predict(x)
    # who goes through to the end gets what the file itself says
    given = onnxruntime.InferenceSession(path)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    tensor = x
    for stage in manifest["stages"]:
        session = onnxruntime.InferenceSession(tmp_path / "out" / stage["files"]["onnx"])
        names = [stage["outputs"]["probabilities"], *(h["name"] for h in stage["outputs"]["handover"])]
        probabilities, *onward = session.run(names, {stage["inputs"][0]: tensor})
        tensor = onward[0] if onward else tensor
    logits = given.run(None, {"x": x})[0]
    assert (answers.classes == y).mean() > (logits.argmax(1) == y).mean() - 0.2
    shares = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(probabilities, shares / shares.sum(1, keepdims=True), atol=1e-4)
    assert manifest["stages"][0]["inputs"] == ["input"]

    # the same as one file, a sample at a time, with thresholds of an operating point
    assert manifest["onnx_one"]["inputs"] == ["input", "thresholds"]
    assert report["verification"]["formats"]["onnx-one"]["disagreements"] <= 1
    one = onnxruntime.InferenceSession(tmp_path / "out" / manifest["onnx_one"]["file"])
    for point in manifest["operating_points"]:
        cascade = Cascade.load(tmp_path / "out", point=point["name"])
        expected, prepared = cascade.predict(x[:80]), cascade.preprocessing(x[:80])
        thresholds = np.array([2 if t is None else t for t in point["thresholds"]], np.float32)
        runs = [one.run(["class", "exit"], {"input": row[None], "thresholds": thresholds}) for row in prepared]
        same = [(c, k) == (e, at) for (c, k), e, at in zip(runs, expected.classes, expected.exits, strict=True)]
        assert sum(same) >= 79


def test_refused_before_tensorflow_is_imported(tmp_path: Path, run: Run) -> None:
    (tmp_path / "m.onnx").write_bytes(b"\x08\x08\x12\x07pytorch")
    done = run("augment", "m.onnx", "--hw", "psoc6", cwd=tmp_path)
    assert done.code == 2, done.stderr
    assert "an ONNX file without a graph" in done.stderr and "TensorFlow" not in done.stderr
