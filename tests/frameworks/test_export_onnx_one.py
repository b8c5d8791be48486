"""The cascade as one ONNX file decides as the stages do, by any measure, with any thresholds."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from three_stages import EXITS, INPUTS, SIZE, bundle

from eeaug.bundle.entries import Manifest
from eeaug.errors import ConversionError
from eeaug.export import onnx_one
from eeaug.frameworks import onnx_session
from eeaug.runtime import Cascade


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
