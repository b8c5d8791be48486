"""The flow, from a model file to a bundle: one readable list."""

from __future__ import annotations

import importlib
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import eeaug
from eeaug import candidates, choice, data, graph, hardware, keras_files, locations, model, partition
from eeaug.candidates import Candidates, Source
from eeaug.cascade import Outcomes
from eeaug.choice import Rules
from eeaug.cost import Costs
from eeaug.data import Data, Splits
from eeaug.errors import EeaugError
from eeaug.export import bundle, keras_file, stage_files, verify
from eeaug.features import Cache, Features
from eeaug.graph import Block
from eeaug.hardware import Hardware
from eeaug.heads import design as head_design
from eeaug.model import Classifier
from eeaug.partition import Stage
from eeaug.progress import Progress
from eeaug.report import build
from eeaug.report.build import Chosen
from eeaug.runtime import Cascade
from eeaug.search.solver import SETTLED_PER_COUNT, Result
from eeaug.settings import EFFORTS, Settings

__all__ = ["augment"]

VERIFY_SAMPLES = 1000
STEPS = ("import", "load", "graph", "features", "heads", "search", "export", "verify")


@dataclass(frozen=True)
class _Network:
    """The model taken apart for one target."""

    classifier: Classifier
    hardware: Hardware
    blocks: tuple[Block, ...]
    rules: Rules

    @property
    def macs(self) -> int:
        return sum(block.total_macs for block in self.blocks)

    def costs(self, exits: Sequence[Any]) -> Costs:
        return Costs(self.hardware, self.blocks, exits, int(np.prod(self.classifier.input_shape)))


def augment(settings: Settings, progress: Progress) -> dict[str, Any]:
    """Run the whole flow and write the bundle to ``settings.bundle``; returns its report.

    Raises
    ------
    InputError, InfeasibleError, ConversionError : as in errors; nothing has been written then
    """
    bundle.check_place(settings.bundle, force=settings.force)
    target = hardware.read(settings.hardware)
    keras_files.check(settings.model, allow_unsafe=settings.allow_unsafe)
    with progress.step("load", "data"):
        given = data.load(settings.data, settings.model, cache=settings.cache / "data")
    with progress.step("import"):
        start_frameworks(settings.threads, settings.seed)
    with progress.step("load", "model"):
        classifier = model.load(settings.model, allow_unsafe=settings.allow_unsafe)
        given.check(classifier.input_shape, classifier.classes)
        splits = data.split(given, seed=settings.seed)
    for note in splits.notes:
        progress.caution(note)
    with progress.step("graph"):
        network = _take_apart(settings, classifier, target)
        dense, maps = _planned(settings, network)
    found = candidates.search(
        Source(
            classifier, splits, given.preprocessing, given.sha256,
            Cache(settings.cache, settings.max_cache_bytes),
            settings.threads,
        ),
        dense, maps,
        EFFORTS[settings.effort],
        seed=settings.seed,
        max_drop=0.01 if settings.max_accuracy_drop is None else settings.max_accuracy_drop,
        backbone_macs=network.macs,
        given=lambda features: _given_model(settings, splits, features, progress),
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
            classes=given.class_names or tuple(str(i) for i in range(classifier.classes)),
        )
        stages = _stages(network, found, chosen)
    with bundle.being_written(settings.bundle, force=settings.force) as directory:
        with progress.step("export"):
            manifest = _export(directory, settings, network, given, found, chosen, costs, stages)
        with progress.step("verify"):
            verification, test = _verify(directory, manifest, settings, given, splits)
        report = build.build(
            classifier=classifier,
            hardware=target,
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


def start_frameworks(threads: int, seed: int) -> None:
    """Import TensorFlow, fix thread counts and seeds: the same run gives the same bytes."""
    keras = keras_files.import_keras()
    import tensorflow as tf

    config = tf.config.threading
    if config.get_intra_op_parallelism_threads() != threads:
        try:
            config.set_intra_op_parallelism_threads(threads)
            config.set_inter_op_parallelism_threads(1)
        except RuntimeError as error:
            raise EeaugError(
                f"TensorFlow already runs with {config.get_intra_op_parallelism_threads()} threads in this "
                f"process, {threads} were asked for"
            ) from error
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(seed)
    importlib.import_module("onnxruntime")


def _take_apart(settings: Settings, classifier: Classifier, target: Hardware) -> _Network:
    blocks = graph.blocks(classifier)
    found, reasons = locations.find(blocks, classifier.classes)
    return _Network(classifier, target, blocks, choice.rules(settings, target, found, reasons))


def _planned(settings: Settings, network: _Network) -> tuple[Any, Any]:
    """The heads that will be tried; refuses limits that none of them can meet."""
    tail = head_design.blueprint_units(network.classifier.calls, network.blocks)
    places = network.rules.locations if network.rules.max_exits else ()
    dense, maps = candidates.planned(network.classifier, places, tail, network.macs)
    heads = [head for at in places for head in (*dense[at], *maps[at])]
    choice.check_limits(settings, network.costs([h.cost() for h in heads]), network.rules, network.blocks)
    return dense, maps


def _given_model(settings: Settings, splits: Splits, features: Features, progress: Progress) -> None:
    accuracy = float((features.probabilities.argmax(axis=1) == features.labels).mean())
    progress.note(
        f"the given model is right on {accuracy:.2%} of the {len(features.labels):,} choose samples "
        f"(from {splits.choose.part.name})"
    )
    candidates.check_better_than_chance(accuracy, features.labels, allow=settings.allow_chance)


def _stages(network: _Network, found: Candidates, chosen: Chosen) -> tuple[Stage, ...]:
    processors = [network.hardware.processors[p] for p in chosen.design.processors]
    return partition.stages(
        network.classifier,
        [found.trained[e] for e in chosen.design.exits],
        chosen.thresholds,
        [(p.name, p.bytes_per_element) for p in processors],
        [int(macs) for macs in chosen.segments.macs[0]],
    )


def _export(
    directory: Path, settings: Settings, network: _Network, given: Data, found: Candidates, chosen: Chosen,
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
        "preprocessing": given.preprocessing.as_dict(),
        "inputs": [
            {"name": classifier.file, "sha256": classifier.sha256},
            {"name": given.source, "sha256": given.sha256},
        ],
        "stages": [stage_files.entry(s, files) for s, files in zip(stages, written, strict=True)],
    }


def _versions() -> dict[str, str]:
    packages = ("tensorflow", "keras", "numpy", "networkx", "onnx", "tf2onnx", "onnxruntime")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def _verify(
    directory: Path, manifest: dict[str, Any], settings: Settings, given: Data, splits: Splits
) -> tuple[dict[str, Any], Outcomes | None]:
    """Read every exported file back; then, once, the test part through the exported stages."""
    import keras

    prepared = given.preprocessing
    view = splits.choose
    x = next(data.batches(view.part, view.indices, prepared, min(VERIFY_SAMPLES, len(view))))
    whole = keras.models.load_model(directory / "augmented.keras", compile=False)
    facts = verify.verify(directory, manifest, x, whole, settings.threads)
    if splits.test is None:
        return facts, None
    cascade = Cascade.load(directory, manifest, settings.threads)
    test = splits.test
    return facts, cascade.outcomes(data.batches(test.part, test.indices, prepared, 64), test.y)


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


def _search_facts(network: _Network, found: Candidates, result: Result) -> dict[str, Any]:
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
    budget = settings.max_accuracy_drop
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
