"""A stage in every format that a bundle holds."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

from eeaug import conversion
from eeaug.export import keras_file
from eeaug.heads import keras_head
from eeaug.model import Classifier
from eeaug.partition import PROBABILITIES, Stage, stage_graph

__all__ = ["entry", "write"]


def write(classifier: Classifier, stage: Stage, directory: Path) -> dict[str, str]:
    """Write the stage's files below ``directory``; format → path relative to it, with forward slashes."""
    import keras

    folder = directory / "stages" / stage.name
    folder.mkdir(parents=True)
    inputs, outputs = stage_graph(classifier, stage)
    name = f"stage_{keras_head.safe_name(stage.name)}"
    keras_file.save(keras.Model(inputs, outputs, name=name), folder / "model.keras")
    proto = conversion.to_onnx(inputs, outputs, input_name=stage.input_name)
    (folder / "model.onnx").write_bytes(proto.SerializeToString(deterministic=True))
    return {kind: f"stages/{stage.name}/model.{kind}" for kind in ("keras", "onnx")}


def entry(stage: Stage, files: dict[str, str], metric: str) -> dict[str, Any]:
    """The stage as the manifest describes it."""
    handover = []
    if stage.handover is not None:
        shape = list(stage.handover_shape)
        tensor = prod(stage.handover_shape) * stage.bytes_per_element
        handover = [{"name": stage.handover, "shape": shape, "bytes": tensor}]
    return {
        "name": stage.name,
        "processor": stage.processor,
        "inputs": [stage.input_name],
        "input_shape": list(stage.input_shape),
        "outputs": {"probabilities": PROBABILITIES, "handover": handover},
        "reuse": list(stage.weights) or None,
        "threshold": stage.threshold,
        "metric": metric,
        "macs": stage.macs,
        "files": files,
    }
