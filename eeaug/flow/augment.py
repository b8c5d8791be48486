"""The flow, from a model file to a bundle: one readable list."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug import data, hardware
from eeaug.bundle import directory
from eeaug.cascade.outcomes import Outcomes
from eeaug.data import Data, Splits, View, plausibility
from eeaug.design.material import Material
from eeaug.export import formats, rehearsal, verify
from eeaug.export.int8 import int8_cascade
from eeaug.features import cluster
from eeaug.flow import finetune, handover, outlook, remembered, streams
from eeaug.flow.prepare import Ready, prepare, start_frameworks
from eeaug.flow.write_bundle import deliver
from eeaug.heads import judge, train_all
from eeaug.heads.candidates import Candidates
from eeaug.runtime import Cascade
from eeaug.settings import EFFORTS, Goal, Running, Settings
from eeaug.settings.contradictions import classes_named
from eeaug.support.cache import telling
from eeaug.support.progress import Progress, counted

__all__ = ["augment", "rehearse"]

CALIBRATION = 500  # prepared screen samples that int8 ranges are taken from
VERIFY_SAMPLES = 128  # through every file and runtime; all test samples go through the ONNX stages


def augment(settings: Settings, progress: Progress) -> dict[str, Any]:
    """Run the whole flow and write the bundle to ``settings.bundle``; returns its report.

    Raises
    ------
    InputError, InfeasibleError, ConversionError : as in errors; nothing has been written then
    """
    asked = settings.input
    read = {
        "the model": asked.model,
        "the architecture": asked.architecture,
        "the data": asked.data,
        "the hardware description": asked.hardware,
    }
    directory.check_place(settings.bundle, force=settings.running.force, inputs=read)
    begun_s, since_s = time.process_time(), time.time()
    with telling(progress.caution):
        report, facts = _augment(settings, progress)
    remembered.save(settings, facts, progress.seconds, begun_s, since_s)
    return report


def _augment(settings: Settings, progress: Progress) -> tuple[dict[str, Any], dict[str, Any]]:
    """The report, and what the search has looked at."""
    target = hardware.read(settings.input.hardware)
    formats.check_possible(settings.running.formats, target)
    handover.check_possible(settings, target)
    rehearsal.begin(settings.running.formats)
    running = settings.running
    begin = partial(start_frameworks, running.threads, running.seed)
    with cluster.workers(running.dask, begin, progress.caution) as workers:
        ready = prepare(settings, progress, workers)
        if int8_cascade.FORMAT in settings.running.formats:
            int8_cascade.check_ending(ready.network.classifier)
        rehearse(settings.running, ready, progress)
        candidates = train_all.search(
            ready.source, ready.dense, ready.maps,
            EFFORTS[settings.training.effort],
            seed=settings.running.seed,
            pinned=ready.network.rules.pinned,
            given=lambda outcomes: _given_model(settings, ready, outcomes, progress),
            progress=progress,
        )  # fmt: skip
    if settings.input.labels == "given" and not settings.blank:
        names = [trained.head.location.name for trained in candidates.trained]
        for doubt in plausibility.doubts(candidates.outcomes, names, candidates.seen):
            progress.warn_first(doubt)
    material = _material(settings.running, settings.goal, ready, candidates)
    if settings.training.finetune:
        test = ready.source.splits.test
        measure = None if test is None else partial(_measured, ready, test)
        material = finetune.improved(settings, ready.source, material, measure, progress)
    facts = outlook.outlook(settings.goal, ready, ready.maps.chosen())
    return deliver(settings, material, progress), facts


def rehearse(running: Running, ready: Ready, progress: Progress) -> float | None:
    """Refuse now a format that cannot be written at the end; gives what rehearsal.check gives."""
    if not formats.named(running.formats):
        return None
    choose, network = ready.source.splits.choose, ready.network
    rows = choose.indices[: rehearsal.SAMPLES]
    x = next(data.batches(choose.part, rows, ready.given.preprocessing, len(rows)))
    with progress.step("graph", "check that it can be written as " + ", ".join(formats.named(running.formats))):
        return rehearsal.check(running, network.classifier, network.hardware, ready.heads, x)


def _measured(ready: Ready, view: View, cascade: Cascade, given: NDArray[np.integer] | None = None) -> Outcomes:
    """The test part through the exported stages: once, at the end. ``given``: what the given model says of it,
    where that is not in them."""
    batches = counted(data.batches(view.part, view.indices, ready.given.preprocessing), len(view), len)
    if cascade.blank:
        return replace(cascade.outcomes(batches, view.y), groups=view.groups)
    unknown = np.zeros(len(view), np.int64)
    outcomes = cascade.outcomes(batches, unknown)
    outcomes = outcomes if given is None else replace(outcomes, given=given)
    labels = view.y if ready.source.labelled else outcomes.baseline
    return replace(outcomes, labels=labels, weights=ready.source.weights(labels), groups=view.groups)


def _material(running: Running, goal: Goal, ready: Ready, candidates: Candidates) -> Material:
    source, given, classifier = ready.source, ready.given, ready.network.classifier
    screen, choose, test = source.splits.screen, source.splits.choose, source.splits.test
    encoded = any(link.encoding is not None for link in ready.network.hardware.links)
    quantises = encoded or int8_cascade.FORMAT in running.formats
    return Material(
        network=ready.network,
        candidates=candidates,
        classes=ready.classes,
        preprocessing=given.preprocessing,
        inputs=[
            {"name": classifier.file, "sha256": classifier.sha256},
            {"name": given.source, "sha256": given.sha256},
        ],
        data=_data_facts(given, source.splits),
        x=_first(ready, choose),
        test=None if test is None else partial(_measured, ready, test),
        parts={"screen": partial(_measured, ready, screen), "choose": partial(_measured, ready, choose)},
        sequences=streams.sequences(goal, source.splits),
        calibration=_spread(ready, screen) if quantises else None,
    )


def _first(ready: Ready, view: View) -> NDArray[np.float32]:
    return next(
        data.batches(view.part, view.indices, ready.given.preprocessing, min(VERIFY_SAMPLES, len(view)))
    )  # fmt: skip


def _spread(ready: Ready, view: View) -> NDArray[np.float32]:
    """CALIBRATION samples from the whole of a part, which may be sorted by class."""
    rows = np.unique(np.linspace(0, len(view) - 1, CALIBRATION).astype(np.intp))
    return next(data.batches(view.part, view.indices[rows], ready.given.preprocessing, len(rows)))


def _given_model(settings: Settings, ready: Ready, outcomes: Outcomes, progress: Progress) -> None:
    """What is known of the given model on choose, before anything is trained; ends the run where that is no use."""
    asked, background = settings.input, classes_named("background", settings.goal.background, ready.classes)
    splits, classifier = ready.source.splits, ready.network.classifier
    if ready.source.blank:
        said = "" if asked.blank_when is None else ", by the outputs of the given model"
        share = 1 - outcomes.judged_samples / outcomes.samples
        progress.note(
            f"{share:.1%} of the {outcomes.samples:,} calibration samples (from "
            f"{splits.choose.part.name}) are empty{said}"
        )
        return
    x = _first(ready, splits.choose)
    verify.like_given(
        "the ONNX form of the model", outcomes.confidence[-1][: len(x)], outcomes.predicted[-1][: len(x)],
        classifier.own_probabilities(x), classifier.decision, classifier.tolerance,
    )  # fmt: skip
    if asked.labels == "none":
        progress.note(
            "no labels: heads learn the answers of the given model, and every accuracy is agreement with them"
        )
        return
    progress.note(
        f"the given model is right on {outcomes.accuracies[-1]:.2%} of the {outcomes.samples:,} calibration "
        f"samples (from {splits.choose.part.name}{', weighted by --priors' if asked.priors else ''})"
    )
    judge.check_better_than_chance(outcomes, allow=asked.allow_chance, background=background)


def _data_facts(given: Data, splits: Splits) -> dict[str, Any]:
    names = ("fit", "screen", "choose", "test")
    views: dict[str, View | None] = {name: getattr(splits, name) for name in names}
    return {
        "source": given.source,
        "sha256": given.sha256,
        "parts": {
            name: None if view is None else {"samples": len(view), "of": view.part.name}
            for name, view in views.items()
        },
        "notes": list(splits.notes),
    }
