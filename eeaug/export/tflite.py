"""``--format tflite``: every stage as a float LiteRT file."""

from __future__ import annotations

from eeaug.bundle.entries import Added
from eeaug.export.formats import Checked, Work
from eeaug.export.verify import Reference, same_outputs
from eeaug.frameworks import keras_to_tflite
from eeaug.runtime import Cascade
from eeaug.stages.partition import stage_graph

__all__ = ["check", "write"]

FILE = "model.tflite"


def write(work: Work) -> Added:
    files = []
    for stage in work.stages:
        inputs, outputs = stage_graph(work.classifier, stage)
        name = f"stages/{stage.name}/{FILE}"
        content = keras_to_tflite.to_tflite(inputs, outputs, input_name=stage.takes[0])
        (work.directory / name).write_bytes(content)
        files.append(name)
    return Added(files)


def check(work: Work, reference: Reference) -> Checked:
    """Run the files in LiteRT, each on what the one before hands over."""
    cascade = Cascade.load(work.directory, work.manifest, work.threads, runtime="tflite")
    if cascade.blank:
        same_outputs("tflite stages", work, cascade.whole(work.x))
    return reference.check("tflite", cascade.answers(work.x))
