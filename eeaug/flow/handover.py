"""Hand-overs that links carry in fewer bits: thresholds and promise are those of what arrives."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from eeaug.bundle.entries import OperatingPoint
from eeaug.cascade.encoding import Encoding
from eeaug.design import again
from eeaug.design.design import Decided
from eeaug.design.material import Material
from eeaug.design.promise import Terms
from eeaug.errors import ConversionError
from eeaug.export.formats import Work
from eeaug.export.int8.int8_cascade import compared
from eeaug.hardware import Hardware, Link
from eeaug.runtime import Cascade
from eeaug.settings import Contradiction, Settings
from eeaug.support.progress import parts

__all__ = ["check_possible", "encoded", "settle"]


def check_possible(settings: Settings, hardware: Hardware) -> None:
    """Refuse before any work what has no thresholds of its own for such links.

    Raises
    ------
    Contradiction : the run is for a target class, or for a model that may be any
    """
    link = next((link for link in hardware.links if link.encoding is not None), None)
    if link is None:
        return
    words = "the link from {0} to {1} has an encoding, whose effect is measured on decisions about all classes"
    if settings.goal.target_class:
        raise Contradiction(f"{{target_class}}: {words}", link.sender, link.receiver, target_class="")
    if settings.blank:
        raise Contradiction(f"{{blank}}: {words}", link.sender, link.receiver, blank=True)
    if settings.goal.stream:
        raise Contradiction(f"{{stream}}: {words}, each by itself", link.sender, link.receiver)


def encoded(work: Work) -> bool:
    """Whether a hand-over of the design goes over a link with an encoding."""
    return any(link is not None for link in _links(work))


def settle(settings: Settings, work: Work, material: Material, decided: Decided) -> tuple[Work, Decided]:
    """The work and the design with hand-overs as they arrive; its ONNX stages are written.

    int8 ranges are those of the calibration samples.

    Raises
    ------
    ConversionError : there is no data (eeaug retarget)
    InfeasibleError : no thresholds keep the budget
    """
    links, running = _links(work), settings.running
    if not material.parts or work.calibration is None:
        first = next(link for link in links if link is not None)
        raise ConversionError(
            f"the link from {first.sender} to {first.receiver} has an encoding, whose effect is measured on data, "
            "which a bundle has not: run eeaug augment again (features and heads are kept)"
        )
    manifest = work.manifest
    plain = Cascade.load(work.directory, manifest, running.threads)
    tensors = [handed[0] if handed else np.zeros(1, np.float32) for _, handed in plain.through(work.calibration)]
    stages = []
    for stage, link, tensor in zip(manifest.stages, links, tensors, strict=True):
        if link is None or link.encoding is None or stage.handover is None:
            stages.append(stage)
            continue
        encoding = Encoding.of(link.encoding, float(tensor.min()), float(tensor.max()), link.compression == "gzip")
        size = int(np.prod(stage.handover.shape)) * encoding.bytes_per_element
        stages.append(replace(stage, handover=replace(stage.handover, encoding=encoding, bytes=size)))
    manifest = replace(manifest, stages=tuple(stages))
    cascade = replace(plain, stages=manifest.stages, manifest=manifest)
    tasks = {"choose": decided.task}
    if decided.screened is not None:
        tasks["screen"] = decided.screened.task
    by_part = {
        part: compared(material.parts[part](cascade), task.outcomes)
        for part, task in parts(list(tasks.items()), lambda one: one[1].outcomes.samples)
    }
    chosen, terms = decided.chosen, Terms.of(settings, unseen=material.unseen)
    words = again.Words("hand-overs as they arrive", "take `encoding` out of the link")
    found = again.sought(
        settings.goal, terms, running.seed, tasks, material.network.rules, chosen.design, chosen.decision, by_part,
        decided.proves, words,
    )  # fmt: skip
    thresholds = (*found.thresholds, None)
    manifest = replace(
        manifest,
        stages=tuple(replace(s, threshold=t) for s, t in zip(manifest.stages, thresholds, strict=True)),
        operating_points=tuple(OperatingPoint(point.name, point.thresholds) for point in found.points),
    )
    settled = replace(
        decided,
        chosen=replace(chosen, thresholds=found.thresholds),
        promise=found.promise,
        points=found.points,
        rows=found.rows,
        stages=tuple(replace(s, threshold=t) for s, t in zip(decided.stages, thresholds, strict=True)),
    )
    return replace(work, manifest=manifest, stages=settled.stages), settled


def _links(work: Work) -> list[Link | None]:
    """Per stage the link that it hands over by, if that has an encoding."""
    processors = [stage.processor for stage in work.manifest.stages]
    links = [work.hardware.link(here, there) for here, there in pairwise(processors)]
    return [None if link is None or link.encoding is None else link for link in (*links, None)]
