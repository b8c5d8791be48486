"""A stage in every format that a bundle holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from eeaug.backbone.answers import Answer
from eeaug.backbone.model import Classifier
from eeaug.bundle.entries import Handover, Returned, StageEntry
from eeaug.frameworks import keras_archive, keras_to_onnx
from eeaug.heads import keras_head
from eeaug.settings import ALWAYS
from eeaug.stages.partition import PROBABILITIES, Stage, stage_graph
from eeaug.support.progress import counted
from eeaug.support.sample_layout import SampleLayout

__all__ = ["entry", "write", "write_onnx"]


def write(
    classifier: Classifier,
    stages: Sequence[Stage],
    directory: Path,
    onnx_written: Callable[[], object] = lambda: None,
) -> None:
    """Write all stages below ``directory``: first the ONNX files, which can be run from then on."""
    import keras

    graphs = [stage_graph(classifier, stage) for stage in stages]
    for stage, graph in counted(zip(stages, graphs, strict=True), len(stages)):
        (directory / _files(stage)["onnx"]).parent.mkdir(parents=True)
        write_onnx(stage, graph, directory)
    onnx_written()
    for stage, (inputs, outputs) in zip(stages, graphs, strict=True):
        name = f"stage_{keras_head.safe_name(stage.name)}"
        keras_archive.save(keras.Model(inputs, outputs, name=name), directory / _files(stage)["keras"])


def write_onnx(stage: Stage, graph: tuple[Any, dict[str, Any]], directory: Path) -> None:
    """Write the ONNX file of a stage's graph, into a folder that is there."""
    proto = keras_to_onnx.to_onnx(*graph, input_name=stage.takes[0])
    (directory / _files(stage)["onnx"]).write_bytes(proto.SerializeToString(deterministic=True))


def _files(stage: Stage) -> dict[str, str]:
    """Format → path relative to the bundle, with forward slashes."""
    return {kind: f"stages/{stage.name}/model.{kind}" for kind in ALWAYS}


def entry(stage: Stage, metric: str, answers: Sequence[Answer] = ()) -> StageEntry:
    """The stage as the manifest describes it; ``answers``: of a model that may be any."""
    returns = tuple(Returned(a.name, a.shape, a.returned) for a in answers if stage.end is None)
    onward = stage.onward or SampleLayout((), ())
    handed = [
        Handover(name, tuple(shape), size * stage.bytes_per_element)
        for name, shape, size in zip(onward.names, onward.shapes, onward.sizes, strict=True)
    ]
    return StageEntry(
        name=stage.name,
        processor=stage.processor,
        input_name=stage.input_name,
        input_shape=tuple(stage.input_shape),
        probabilities=None if returns else PROBABILITIES,
        handover=handed[0] if handed else None,
        reuse=tuple(stage.weights) or None,
        threshold=stage.threshold,
        metric=metric,
        macs=stage.macs,
        files=_files(stage),
        choices=stage.choices,
        tensors=stage.row if stage.row.several else None,
        taken=stage.takes if stage.row.several else (),
        passed=tuple(handed[1:]),
        returns=returns,
    )
