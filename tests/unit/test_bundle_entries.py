"""What a manifest says as data classes: as JSON it is what was read, and nobody changes it for others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from reports import SAMPLE

from eeaug.bundle.device_entries import TflmStage
from eeaug.bundle.entries import Added, Int8Files, Int8Stage, Manifest
from eeaug.frameworks.tflite_session import Quantisation

FACTS: dict[str, Any] = SAMPLE["manifest"]
C = {
    "name": "cpu", "function": "cascade_cpu", "stages": [0, 1], "arena_bytes": 9, "arena_lower_bound_bytes": 8,
    "weights_bytes": 7,
}  # fmt: skip
STABLE = {
    "kind": "debounce", "wanted": 2, "window": 3,
    "of": {"kind": "difference", "thresholds": [0.5, None], "distance": 0.1, "most": 16},
}  # fmt: skip
EARLIER = {"name": "b", "sha256": 64 * "0"}
Q = Quantisation(0.5, 3)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"c": {"processors": [C]}},
        {"int8": {"kernels": "reference", "calibration_samples": 4, "reference": FACTS["reference"]}},
        {"finetuned": 3, "early_view": False},
        {"stream": {"rule": STABLE, "state_bytes": 60}},
        {"stream": {"rule": STABLE, "state_bytes": 60, "int8": {"rule": STABLE["of"], "state_bytes": 9}}},
        {"retargeted_from": EARLIER},
        {"onnx_one": {"file": "onnx-one/cascade.onnx", "inputs": ["input", "thresholds"], "outputs": ["class"]}},
        {"custom_objects": {"names": ["Scale"], "files": [{"name": "my_layers.py", "sha256": 64 * "1"}]}},
        {"preprocessing": {"scale": 0.5, "offset": 1.0, "mean": [0.25, 0.5], "std": [[[2.0, 3.0]]]}},
    ],
)
def test_what_is_read_is_what_is_written(more: dict[str, Any]) -> None:
    facts = {**FACTS, **more, "files": dict.fromkeys(FACTS["files"], 64 * "0")}
    assert Manifest.from_dict(facts).as_dict() == facts


def test_a_format_adds_to_a_manifest_and_leaves_the_one_that_was() -> None:
    plain = replace(Manifest.from_dict({**FACTS, "files": {}}), int8=None, versions={"keras": "3"})
    stages = tuple(replace(s, int8=None, tflm=None, files={"onnx": "m.onnx"}) for s in plain.stages)
    plain = replace(plain, stages=stages)
    nothing: list[None] = [None] * (len(stages) - 1)
    int8 = [{"int8": Int8Stage({}, {}, None)}] * len(stages)
    names = [f"{k}.tflite" for k in range(len(stages))]
    one = plain.adding("tflite-int8", Added(names, int8, {"int8": Int8Files("reference", 4)}, {"litert": "1"}))
    two = one.adding(
        "tflm", Added(["t.cc", *nothing], [{"tflm": TflmStage(32, 16, ("ADD",))}, *({} for _ in nothing)])
    )
    assert [list(s.files) for s in two.stages] == [
        ["onnx", "tflite-int8", "tflm"],
        *[["onnx", "tflite-int8"]] * len(nothing),
    ]
    assert two.stages[0].as_dict()["tflm"] == {"arena_bytes": 32, "arena_least_bytes": 16, "operators": ["ADD"]}
    assert all("tflm" not in stage.as_dict() for stage in two.stages[1:])
    assert two.as_dict()["int8"] == {"kernels": "reference", "calibration_samples": 4}
    assert list(two.versions) == ["keras", "litert"]
    assert plain.versions == {"keras": "3"} and {tuple(s.files) for s in plain.stages} == {("onnx",)}
    with pytest.raises(TypeError):
        plain.adding("c", Added(names, whole={"unheard_of": 1}))


def test_the_default_point_is_what_the_stages_say() -> None:
    manifest = Manifest.from_dict({**FACTS, "files": {}})
    own = [None if t is None else float(np.float32(t / 2)) for t in manifest.points["default"]]
    stages = tuple(replace(s, threshold=t) for s, t in zip(manifest.stages, [*own, None], strict=True))
    assert replace(manifest, stages=stages).points["default"] == tuple(own)
    assert replace(manifest, operating_points=()).points.keys() == {"default"}


def test_constants_are_those_of_the_thresholds() -> None:
    entry = Int8Stage({"x": Q}, {"p": Q}, Q, 0.75)
    assert (entry.constant, replace(entry, threshold=None).constant) == (64, None)
    assert Int8Stage.from_dict(entry.as_dict()) == entry
