"""``--format tflite``: every stage as a float LiteRT file."""

from __future__ import annotations

from typing import Any

import numpy as np

from eeaug.export.formats import Work
from eeaug.export.verify import Reference
from eeaug.frameworks import keras_to_tflite, tflite_session
from eeaug.stages.partition import stage_graph

__all__ = ["check", "write"]

FILE = "model.tflite"


def write(work: Work) -> None:
    for stage, entry in zip(work.stages, work.manifest["stages"], strict=True):
        inputs, outputs = stage_graph(work.classifier, stage)
        name = f"stages/{stage.name}/{FILE}"
        (work.directory / name).write_bytes(keras_to_tflite.to_tflite(inputs, outputs, input_name=stage.input_name))
        entry["files"]["tflite"] = name


def check(work: Work, reference: Reference) -> dict[str, Any]:
    """Run the files in LiteRT, each on what the one before hands over."""
    said, tensor = [], np.asarray(work.x)
    for entry in work.manifest["stages"]:
        session = tflite_session.Session(work.directory / entry["files"]["tflite"], work.threads)
        names = [entry["outputs"]["probabilities"], *(h["name"] for h in entry["outputs"]["handover"])]
        probabilities, *handed = session.run(names, {entry["inputs"][0]: tensor})
        said.append(probabilities)
        tensor = handed[0] if handed else tensor
    return reference.check("tflite", said)
