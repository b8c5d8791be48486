"""What a manifest says of a model with several inputs, read strictly; one of a single input is as it was."""

from __future__ import annotations

import copy
from math import prod
from typing import Any

import pytest

from eeaug.bundle import manifest_rules
from eeaug.bundle.entries import Manifest
from eeaug.support.sample_layout import SampleLayout

STAGE = {"reuse": None, "threshold": None, "metric": "max-softmax", "macs": 9, "files": {}, "processor": "cpu"}


def tensor(name: str, *shape: int) -> dict[str, Any]:
    return {"name": name, "shape": [*shape], "bytes": 4 * prod(shape)}


def stage(name: str, inputs: list[str], shape: list[int], *handed: dict[str, Any]) -> dict[str, Any]:
    outputs = {"probabilities": "probabilities", "handover": [*handed]}
    return {**STAGE, "name": name, "inputs": inputs, "input_shape": shape, "outputs": outputs}


def manifest() -> dict[str, Any]:
    return {
        "classes": ["a", "b"],
        "decision": {"kind": "softmax", "classes": 2, "measure": "max-softmax"},
        "preprocessing": {
            "scale": 1.0, "offset": 0.0, "mean": None, "std": None,
            "inputs": {"age": {"scale": 1.0, "offset": 0.0, "mean": [40.0], "std": None}},
        },
        "model_inputs": [
            {"name": "image", "shape": [4, 4, 1], "dtype": "uint8"},
            {"name": "age", "shape": [1], "dtype": "float32"},
        ],
        "stages": [
            stage("0-cpu", ["image"], [17], tensor("handover_a", 2, 2, 3), tensor("age", 1)),
            stage("1-cpu", ["handover_a", "age"], [13], tensor("handover_b", 6)),
            stage("2-cpu", ["handover_b"], [6]),
        ],
    }  # fmt: skip


def findings(document: dict[str, Any]) -> list[str]:
    every = (*manifest_rules._stages(document), *manifest_rules._preprocessing(document))
    return [f"{place}: {what}" for place, what in every]


def test_a_sound_one_is_read_and_written_as_it_is() -> None:
    document = manifest()
    assert findings(document) == []
    read = Manifest.from_dict(document)
    assert read.layout == SampleLayout(("image", "age"), ((4, 4, 1), (1,)))
    assert [s.row.names for s in read.stages] == [("image", "age"), ("handover_a", "age"), ("handover_b",)]
    assert [s.inputs for s in read.stages] == [("image",), ("handover_a", "age"), ("handover_b",)]
    assert [t.name for t in read.stages[0].passed] == ["age"]
    assert read.preprocessing.inputs["age"].mean == [40.0] and read.preprocessing.layout == read.layout
    again = read.as_dict()
    for key in ("model_inputs", "preprocessing"):
        assert again[key] == document[key]

    def told(stages: list[dict[str, Any]]) -> list[Any]:
        return [(one["inputs"], one["input_shape"], one["outputs"]) for one in stages]

    assert told(again["stages"]) == told(document["stages"])


NO_INPUT = "is no input of the model that it is given"
WRONG: list[tuple[tuple[Any, ...], Any, str]] = [
    (("stages", 0, "inputs"), ["picture"], "stages[0].inputs: picture of shape 17, but the model has image, age"),
    (("stages", 0, "input_shape"), [16], "image of shape 16, but the model has image, age of shape 17"),
    (
        ("stages", 1, "inputs"),
        ["age", "handover_a"],
        "stages[1].inputs: age, handover_a of shape 13, but stages[0]",
    ),
    (("stages", 0, "outputs", "handover", 1, "name"), "place", f"place {NO_INPUT}"),
    (("stages", 0, "outputs", "handover", 1, "shape"), [2], f"age {NO_INPUT}"),
    (("stages", 1, "outputs", "handover"), [tensor("b", 6), tensor("image", 4, 4, 1)], f"image {NO_INPUT}"),
    (("model_inputs", 1, "name"), "image", "model_inputs: image stands twice"),
    (("preprocessing", "inputs", "age", "scale"), 0, "preprocessing.inputs.age.scale: must not be 0"),
    (("preprocessing", "inputs", "age", "mean"), [1.0, 2.0], "inputs.age.mean: has shape 2, a sample 1"),
    (("preprocessing", "inputs"), {"ages": manifest()["preprocessing"]}, "inputs: ages is none of model_inputs"),
]


@pytest.mark.parametrize(("path", "value", "message"), WRONG)
def test_what_does_not_fit_is_named(path: tuple[Any, ...], value: Any, message: str) -> None:
    document = copy.deepcopy(manifest())
    node: Any = document
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    assert any(message in line for line in findings(document)), findings(document)


def test_several_names_without_model_inputs() -> None:
    document = manifest()
    del document["model_inputs"]
    assert any(f"stages[0].outputs.handover: age {NO_INPUT}" in line for line in findings(document))
    document["stages"][0]["inputs"] = ["image", "age"]
    assert "stages[0].inputs: are 2, but no model_inputs in the file" in findings(document)
