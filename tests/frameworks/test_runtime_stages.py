"""Stages of a hand-made bundle: they run as docs/bundle.md says, and a file that is none is one line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eeaug.errors import ConversionError, EeaugError


def refused(run: Callable[[], object], kind: type[EeaugError] = ConversionError) -> str:
    with pytest.raises(kind) as caught:
        run()
    line = str(caught.value)
    assert (
        type(caught.value) is kind
        and "\n" not in line
        and len(re.sub(r"/\S*/", "", line)) < 300
        and "\x1b" not in line
    ), line
    return line


def tiny_stages(place: Path, kind: str, outputs: int) -> dict[str, Any]:
    """Two stages of a dense layer each, written as ONNX, and what their manifest says of running them."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng, stages = np.random.default_rng(3), []
    for k, given in enumerate(("input", "handover_a")):
        weights = numpy_helper.from_array(rng.normal(size=(6, outputs)).astype(np.float32), "w")
        activation = helper.make_node("Softmax" if kind == "softmax" else "Sigmoid", ["z"], ["probabilities"])
        made = [helper.make_node("MatMul", [given, "w"], ["z"]), activation]
        results = {"probabilities": outputs} | ({} if k else {"handover_a": 6})
        made += [] if k else [helper.make_node("Identity", ["input"], ["handover_a"])]
        types = {
            name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width])
            for name, width in {given: 6, **results}.items()
        }
        graph = helper.make_graph(made, "stage", [types[given]], [types[name] for name in results], [weights])
        name = f"stages/{k}/model.onnx"
        (place / name).parent.mkdir(parents=True)
        opset = [helper.make_opsetid("", 17)]
        onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), str(place / name))
        handover = [] if k else [{"name": "handover_a", "shape": [6], "bytes": 24}]
        stages.append(
            {
                "name": str(k), "inputs": [given], "input_shape": [6], "files": {"onnx": name},
                "outputs": {"probabilities": "probabilities", "handover": handover},
                "threshold": None if k else 0.75, "reuse": [0.3, 1.0] if k else None,
                "processor": "cpu", "metric": "max-softmax", "macs": 1,
            }
        )  # fmt: skip
    classes = 2 if kind == "binary" else outputs
    return {
        "stages": stages, "decision": {"kind": kind, "classes": classes, "measure": "max-softmax"},
        "classes": [f"c{i}" for i in range(classes)], "operating_points": [],
        "preprocessing": {"scale": 1.0, "offset": 0.0, "mean": None, "std": None},
    }  # fmt: skip


@pytest.mark.parametrize(("kind", "outputs"), [("softmax", 4), ("binary", 1), ("multilabel", 3)])
def test_the_readme_runs_stages_of_every_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, outputs: int
) -> None:

    import numpy as np

    from eeaug.runtime import Cascade

    place = tmp_path / "fashion_resnet-eeaug"
    facts = tiny_stages(place, kind, outputs)
    (place / "manifest.json").write_text(json.dumps(facts))
    x = np.random.default_rng(0).normal(size=(300, 6)).astype(np.float32)
    (tmp_path / "examples").mkdir()
    np.savez(tmp_path / "examples" / "fashion_resnet.npz", x_test=x)
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parents[2] / "docs" / "bundle.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"<!-- stages -->\n```python\n(.*?)```", text, flags=re.DOTALL)
    scope: dict[str, Any] = {}
    exec(lines, scope)
    found = Cascade.load(place, facts, 1).predict(x)
    answers = np.array([scope["answers"][i] for i in range(len(x))])
    assert 30 < (found.exits == 0).sum() < 270, "or the test tests little"
    assert (answers.reshape(found.classes.shape).astype(found.classes.dtype) == found.classes).all()


@pytest.mark.parametrize("encoding", [None, {"kind": "int8", "scale": 0.5, "zero_point": 1, "compressed": False}])
def test_threads_and_points_share_sessions_one_sample_at_a_time(tmp_path: Path, encoding: Any) -> None:
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np

    from eeaug.runtime import Cascade

    facts = tiny_stages(tmp_path, "softmax", 4)
    facts["operating_points"] = [{"name": "never", "thresholds": [None]}]
    if encoding is not None:
        facts["stages"][0]["outputs"]["handover"][0]["encoding"] = encoding
    cascade = Cascade.load(tmp_path, facts, 1)
    x = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
    for point in (cascade, cascade.at("never")):
        together = point.predict(x, batch=16)
        with ThreadPoolExecutor(4) as threads:
            alone = list(threads.map(lambda i, point=point: point.predict(x[i : i + 1]), range(len(x))))
        assert 1 <= len(cascade._lanes.free) <= 4
        for name in ("classes", "exits", "names"):
            assert (np.concatenate([getattr(one, name) for one in alone]) == getattr(together, name)).all()
        for name in ("confidences", "probabilities"):
            np.testing.assert_allclose(
                np.concatenate([getattr(one, name) for one in alone]), getattr(together, name), atol=1e-6
            )


def test_a_file_that_is_no_stage_is_one_line(tmp_path: Path) -> None:
    from eeaug.runtime import Cascade

    facts = tiny_stages(tmp_path, "softmax", 4)
    import numpy as np

    x = np.zeros((2, 6), np.float32)
    Cascade.load(tmp_path, facts, 1).predict(x)
    for stage in facts["stages"]:
        stage["outputs"]["probabilities"] = "other"
    assert "stage 0: its file cannot be run" in refused(lambda: Cascade.load(tmp_path, facts, 1).predict(x))
    facts["stages"][0]["outputs"]["probabilities"] = "handover_a"
    assert "handover_a is (6,), must be (4,)" in refused(lambda: Cascade.load(tmp_path, facts, 1).predict(x))
    (tmp_path / "stages" / "1" / "model.onnx").write_bytes(b"junk" * 100)
    assert "model.onnx: the runtime 'onnx' cannot open it" in refused(lambda: Cascade.load(tmp_path, facts, 1))
    for name, runtime in (("model.tflite", "tflite"), ("model.keras", "keras")):
        for stage in facts["stages"]:
            stage["files"][runtime] = name
        (tmp_path / name).write_bytes(b"junk" * 100)
        with pytest.raises(EeaugError, match=name):
            Cascade.load(tmp_path, facts, runtime=runtime)
