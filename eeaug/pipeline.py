"""The flow, from a model file to a bundle: one readable list."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import eeaug
from eeaug import candidates, choice, data, hardware, partition
from eeaug.candidates import Candidates, Source
from eeaug.cascade import Outcomes
from eeaug.cost import Costs
from eeaug.data import Data, Splits
from eeaug.export import bundle, keras_file, stage_files, verify
from eeaug.features import cluster
from eeaug.partition import Stage
from eeaug.preparation import Network, prepare
from eeaug.progress import Progress
from eeaug.report import build
from eeaug.report.build import Chosen
from eeaug.runtime import Cascade
from eeaug.search.solver import SETTLED_PER_COUNT, Result
from eeaug.settings import EFFORTS, Settings

__all__ = ["augment"]

VERIFY_SAMPLES = 1000
FEW_SAMPLES = 200  # on choose: a budget of one point is then two of them
STEPS = ("import", "load", "graph", "convert", "features", "heads", "search", "export", "verify")


def augment(settings: Settings, progress: Progress) -> dict[str, Any]:
    """Run the whole flow and write the bundle to ``settings.bundle``; returns its report.

    Raises
    ------
    InputError, InfeasibleError, ConversionError : as in errors; nothing has been written then
    """
    bundle.check_place(settings.bundle, force=settings.force)
    with cluster.workers(settings.dask) as workers:
        ready = prepare(settings, progress, workers)
        network, source, given = ready.network, ready.source, ready.given
        classifier, splits = network.classifier, source.splits
        found = candidates.search(
            source, ready.dense, ready.maps,
            EFFORTS[settings.effort],
            seed=settings.seed,
            backbone_macs=network.macs,
            pinned=network.rules.pinned,
            given=lambda outcomes: _given_model(settings, splits, outcomes, progress),
            progress=progress,
        )  # fmt: skip
    with progress.step("search"):
        costs = network.costs([trained.head.cost() for trained in found.trained])
        base = choice.baseline(costs)
        task = choice.problem(settings, costs, found.outcomes, network.rules, base)
        result, design = choice.choose(settings, task, network.rules)
        chosen = Chosen(
            design=design,
            thresholds=tuple(None if np.isinf(t) else t for t in design.thresholds),
            segments=costs.segments(np.array([design.exits], np.intp).reshape(1, -1), design.processors),
            baseline_processor=base.processor,
            baseline_segments=base.segments,
            classes=ready.classes,
            decision=classifier.decision,
        )
        stages = _stages(network, found, chosen)
    with bundle.being_written(settings.bundle, force=settings.force) as directory:
        with progress.step("export"):
            manifest = _export(directory, settings, network, given, found, chosen, costs, stages)
        with progress.step("verify"):
            verification, test = _verify(directory, manifest, settings, given, source)
        report = build.build(
            classifier=classifier,
            hardware=network.hardware,
            settings=manifest["settings"],
            data=_data_facts(given, splits),
            chosen=chosen,
            stages=stages,
            costs=costs,
            choose=found.outcomes,
            test=test,
            result=result,
            search=_search_facts(network, found, result),
            verification=verification,
            warnings=(),
            parameters=sum(block.parameters for block in network.blocks),
        )
        _warn(report, settings, progress)
        report["warnings"] = list(progress.warnings)
        _finish(directory, manifest, report, progress)
    return report


def _given_model(settings: Settings, splits: Splits, outcomes: Outcomes, progress: Progress) -> None:
    if settings.labels == "none":
        progress.note("no labels: heads learn what the given model says, and every accuracy is agreement with it")
        return
    progress.note(
        f"the given model is right on {outcomes.accuracies[-1]:.2%} of the {outcomes.samples:,} choose samples "
        f"(from {splits.choose.part.name}{', weighted by --priors' if settings.priors else ''})"
    )
    candidates.check_better_than_chance(outcomes, allow=settings.allow_chance)


def _stages(network: Network, found: Candidates, chosen: Chosen) -> tuple[Stage, ...]:
    processors = [network.hardware.processors[p] for p in chosen.design.processors]
    return partition.stages(
        network.classifier,
        [found.trained[e] for e in chosen.design.exits],
        chosen.thresholds,
        [(p.name, p.bytes_per_element) for p in processors],
        [int(macs) for macs in chosen.segments.macs[0]],
    )


def _export(
    directory: Path, settings: Settings, network: Network, given: Data, found: Candidates, chosen: Chosen,
    costs: Costs, stages: Sequence[Stage],
) -> dict[str, Any]:  # fmt: skip
    """Write everything but the reports; returns the manifest, still without hashes."""
    classifier = network.classifier
    written = [stage_files.write(classifier, stage, directory) for stage in stages]
    exits = [found.trained[e] for e in chosen.design.exits]
    keras_file.save(partition.monolith(classifier, exits), directory / "augmented.keras")
    (directory / "hardware.yaml").write_text(hardware.dump(network.hardware), encoding="utf-8")
    if not settings.slim:
        bundle.write_search(directory, found.outcomes, costs.exits, found.trained)
    return {
        "schema_version": bundle.SCHEMA_VERSION,
        "tool": {"eeaug": eeaug.__version__},
        "versions": _versions(),
        "seed": settings.seed,
        "settings": settings.as_dict(network.rules.max_exits),
        "classes": list(chosen.classes),
        "decision": chosen.decision.as_dict(),
        "preprocessing": given.preprocessing.as_dict(),
        "inputs": [
            {"name": classifier.file, "sha256": classifier.sha256},
            {"name": given.source, "sha256": given.sha256},
        ],
        "stages": [
            stage_files.entry(stage, files, chosen.decision.metric)
            for stage, files in zip(stages, written, strict=True)
        ],
    }


def _versions() -> dict[str, str]:
    packages = ("tensorflow", "keras", "numpy", "networkx", "onnx", "tf2onnx", "onnxruntime")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def _verify(
    directory: Path, manifest: dict[str, Any], settings: Settings, given: Data, source: Source
) -> tuple[dict[str, Any], Outcomes | None]:
    """Read every exported file back; then, once, the test part through the exported stages."""
    import keras

    prepared, splits = given.preprocessing, source.splits
    view = splits.choose
    x = next(data.batches(view.part, view.indices, prepared, min(VERIFY_SAMPLES, len(view))))
    whole = keras.models.load_model(directory / "augmented.keras", compile=False)
    facts = verify.verify(directory, manifest, x, whole, settings.threads)
    if splits.test is None:
        return facts, None
    cascade = Cascade.load(directory, manifest, settings.threads)
    test = splits.test
    unknown = np.zeros(len(test), np.int64)
    outcomes = cascade.outcomes(data.batches(test.part, test.indices, prepared, 64), unknown)
    labels = test.y if source.labelled else outcomes.predicted[-1]
    return facts, replace(outcomes, labels=labels, weights=source.weights(labels))


def _data_facts(given: Data, splits: Splits) -> dict[str, Any]:
    views = {"fit": splits.fit, "screen": splits.screen, "choose": splits.choose, "test": splits.test}
    return {
        "source": given.source,
        "sha256": given.sha256,
        "parts": {
            name: None if view is None else {"samples": len(view), "of": view.part.name}
            for name, view in views.items()
        },
        "notes": list(splits.notes),
    }


def _search_facts(network: Network, found: Candidates, result: Result) -> dict[str, Any]:
    rejected = dict(result.settled.rejected)
    latency = rejected.pop("latency", 0)
    return {
        "locations": len(network.rules.locations),
        "heads_trained": found.heads_trained,
        "heads_kept": len(found.trained),
        "architectures": result.architectures,
        "placements": result.placements,
        "threshold_configurations": result.settled.configurations,
        "settled": "all" if result.complete else f"the best {SETTLED_PER_COUNT} per number of exits",
        "rejected": {"latency": latency, "memory": sum(rejected.values())},
    }


def _warn(report: dict[str, Any], settings: Settings, progress: Progress) -> None:
    """What a user must know before believing the figures."""
    design, base = report["design"], report["baseline"]
    budget, samples = settings.max_accuracy_drop, base["choose"]["samples"]
    if samples < FEW_SAMPLES:
        progress.warn(
            f"the design was chosen on {samples} samples only: one is {100 / samples:.1f} points of accuracy"
        )
    if design["measured"] is not None and budget is not None:
        drop = base["measured"]["accuracy"] - design["measured"]["accuracy"]
        if drop > budget:
            progress.warn(
                f"the drop on the test part is {100 * drop:.2f} points, more than the {100 * budget:.2f} asked "
                "for: thresholds were chosen on other samples, and what just fits there often misses elsewhere"
            )


def _finish(directory: Path, manifest: dict[str, Any], report: dict[str, Any], progress: Progress) -> None:
    """Report, hashes and manifest; last the times, which are outside the promise of equal bytes."""
    (directory / "report.json").write_text(bundle.dump_json(report), encoding="utf-8")
    manifest["files"] = bundle.hashes(directory)
    (directory / "manifest.json").write_text(bundle.dump_json(manifest), encoding="utf-8")
    times = {name: round(progress.seconds.get(name, 0.0), 3) for name in STEPS}
    times["total"] = round(progress.total_s, 3)
    (directory / "timing.json").write_text(bundle.dump_json(times), encoding="utf-8")
