"""From trained candidates to a written, verified bundle: the design, its proof, its points, stages and report."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import eeaug
from eeaug import (
    cascade,
    certification,
    choice,
    class_specific,
    cross_validation,
    hardware,
    integer,
    operating,
    partition,
    quantising,
    reference,
    reuse,
)
from eeaug.candidates import Candidates
from eeaug.cascade import Outcomes
from eeaug.certification import Guarantee
from eeaug.cost import Costs
from eeaug.cross_validation import Estimate
from eeaug.errors import InfeasibleError
from eeaug.export import bundle, formats, keras_file, search_files, stage_files, verify
from eeaug.export.formats import Work
from eeaug.export.search_files import Search
from eeaug.heads.specific import Specific
from eeaug.operating import Point
from eeaug.partition import Stage
from eeaug.preparation import Network
from eeaug.preprocessing import Preprocessing
from eeaug.progress import Progress
from eeaug.quantising import Measure
from eeaug.report import build, cautions, rho_curve, target
from eeaug.report.build import Chosen
from eeaug.runtime import Cascade, thresholds_by_point
from eeaug.search.settle import EVERY_FRONT
from eeaug.search.solver import SETTLED_PER_COUNT, Result
from eeaug.search.space import Problem
from eeaug.settings import Settings
from eeaug.thresholds import Objective

__all__ = ["Decided", "Earlier", "Material", "decide", "deliver", "propose"]

STEPS = (
    "import",
    "load",
    "graph",
    "convert",
    "features",
    "heads",
    "search",
    "finetune",
    "export",
    "quantise",
    "verify",
)


@dataclass(frozen=True)
class Earlier:
    """The bundle that another one is made from: base name, SHA-256 of its manifest, all that its search/ holds."""

    name: str
    sha256: str
    search: Search


@dataclass(frozen=True)
class Material:
    """What a design is chosen from and a bundle is written with.

    Parameters
    ----------
    inputs, data : as in manifest and report: files with their hashes, samples by part
    x : float32 (n, *input shape), prepared samples that every written file is run on
    test : outcomes of a cascade's stages on the test part; None: there is none
    earlier : the bundle that all of this was read from, instead of from data
    finetune : what fine-tuning came to, if it was asked for
    held : the same as ``test`` for choose, and certify if there is such a part, of which there is data
    calibration : float32 (n, *input shape), prepared choose samples that int8 ranges are taken from
    """

    network: Network
    found: Candidates
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    inputs: Sequence[dict[str, str]]
    data: dict[str, Any]
    x: NDArray[np.float32]
    test: Measure | None
    earlier: Earlier | None = None
    finetune: dict[str, Any] | None = None
    held: Mapping[str, Measure] = field(default_factory=dict)
    calibration: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Decided:
    """The design and all that was found out about it without running it.

    ``rows``: its outcomes on choose; ``cost`` (1, m + 1) of its segments, what ``objective`` weighs;
    ``task``: the problem that it was chosen in, where exits that use each other do so; ``specific``: the classes
    that its exits are for, None: all; ``validated``: what it loses on samples that did not choose, None: was not
    asked.
    """

    costs: Costs
    result: Result
    chosen: Chosen
    guarantee: Guarantee | None
    points: tuple[Point, ...]
    stages: tuple[Stage, ...]
    rows: Outcomes
    cost: NDArray[np.float64]
    objective: Objective
    task: Problem
    specific: Specific | None = None
    validated: Estimate | None = None

    @property
    def leaves(self) -> NDArray[np.intp]:
        """At which classifier every choose sample leaves, (n,)."""
        return cascade.decide(self.rows, self.chosen.thresholds)

    @property
    def accuracy(self) -> float:
        return float(self.rows.share(self.rows.correct[self.leaves, np.arange(self.rows.samples)]))

    @property
    def mean_macs(self) -> float:
        return self._mean(self.chosen.segments.macs)

    @property
    def score(self) -> float:
        """What the objective makes of it, on choose."""
        return float(self.objective.value(self._mean(self.cost), self.accuracy))

    def _mean(self, costs: NDArray[np.float64]) -> float:
        return float(np.cumsum(costs[0])[self.leaves] @ self.rows.counts / self.rows.counts.sum())


def deliver(settings: Settings, material: Material, progress: Progress) -> dict[str, Any]:
    """Choose, write to ``settings.bundle``, verify, measure; returns the report.

    Raises
    ------
    InfeasibleError, ConversionError : as in errors; nothing has been written then
    """
    with progress.step("search"):
        decided = decide(settings, material)
    asked, quantised = formats.named(settings.formats), None
    with bundle.being_written(settings.bundle, force=settings.force) as directory:
        with progress.step("export"):
            work = _export(directory, settings, material, decided)
        for name, kind in asked.items():
            with progress.step("export", name):
                kind.write(work)
            if name == integer.FORMAT:
                with progress.step("quantise"):
                    floats = {"choose": decided.rows, "certify": material.found.certify}
                    quantised = quantising.settle(
                        settings, work, decided.task, material.network.rules, decided.chosen, material.held, floats
                    )
        manifest = work.manifest
        with progress.step("verify"):
            whole = _load(directory / "augmented.keras")
            verification = verify.verify(work, whole, formats.like("model", asked))
            test = None
            if material.test is not None:
                test = material.test(Cascade.load(directory, manifest, settings.threads))
        shown = decided.rows if test is None else test
        manifest["reference"] = reference.recorded(
            shown, thresholds_by_point(manifest), "choose" if test is None else "test"
        )
        c_files = verification["formats"].get("c", {}).pop("details", None)
        report = _report(settings, material, decided, test, verification)
        report["c"] = c_files
        if quantised is not None:
            with progress.step("verify", "int8"):
                report["int8"] = quantising.report(
                    settings, work, quantised, decided.chosen, decided.rows, test, material.test
                )
        for sentence in cautions.sentences(report):
            progress.warn(sentence)
        report["warnings"] = list(progress.warnings)
        _finish(directory, manifest, report, progress)
    return report


def propose(settings: Settings, material: Material, progress: Progress) -> dict[str, Any]:
    """The report of what :func:`deliver` would write: nothing is written, verified or measured."""
    with progress.step("search"):
        decided = decide(settings, material)
    report = _report(settings, material, decided, None, {})
    for sentence in cautions.sentences(report):
        progress.warn(sentence)
    return {**report, "warnings": list(progress.warnings)}


def _report(
    settings: Settings, material: Material, decided: Decided, test: Outcomes | None, verification: dict[str, Any]
) -> dict[str, Any]:  # fmt: skip
    report = build.build(
        classifier=material.network.classifier,
        hardware=material.network.hardware,
        settings=settings.as_dict(material.network.rules.max_exits),
        data=material.data,
        chosen=decided.chosen,
        stages=decided.stages,
        costs=decided.costs,
        choose=material.found.outcomes,
        rows=decided.rows,
        test=test,
        result=decided.result,
        guarantee=decided.guarantee,
        points=decided.points,
        search=_search_facts(material, decided.result),
        verification=verification,
        parameters=sum(block.parameters for block in material.network.given_blocks),
    )
    report["design"]["finetune"] = material.finetune
    report["design"]["target"] = specific = _target(decided, test)
    if specific is not None:
        report["design"]["summary"] = target.sentence(specific, len(decided.chosen.design.exits))
    report["int8"] = None
    report["design"]["cross_validation"] = None if decided.validated is None else decided.validated.as_dict()
    report["design"]["rho"] = _rho(settings, decided, test)
    if material.earlier is not None:
        report["accuracy_drop_bound_95_missing"] = "made from an earlier bundle, without test samples"
    return report


def _rho(settings: Settings, decided: Decided, test: Outcomes | None) -> dict[str, Any] | None:
    """T-RecX' benefit curve of its one exit, on choose and test."""
    if settings.recipe != "trecx" or not decided.chosen.design.exits:
        return None
    segments = decided.chosen.segments.macs[0]
    return {
        "choose": rho_curve.curve(decided.rows, segments),
        "measured": None if test is None else rho_curve.curve(test, segments),
    }


def _target(decided: Decided, test: Outcomes | None) -> dict[str, Any] | None:
    """What the exits bring their classes and cost the others, on choose and test; None if they are for all."""
    chosen, specific = decided.chosen, decided.specific
    if specific is None:
        return None
    segments, base = chosen.segments, chosen.baseline_segments
    costs = {
        "macs": (segments.macs[0], float(base.macs.sum())),
        "latency": (segments.time_s[0], float(base.time_s.sum())),
        "energy": (segments.energy_j[0], float(base.energy_j.sum())),
    }

    def on(rows: Outcomes) -> dict[str, Any]:
        return class_specific.figures(specific, rows, chosen.thresholds, costs, chosen.classes)

    return {"choose": on(decided.rows), "measured": None if test is None else on(test)}


def decide(settings: Settings, material: Material) -> Decided:
    network, found = material.network, material.found
    costs = network.costs([trained.head.cost() for trained in found.trained])
    base = network.baseline()
    decision = network.classifier.decision

    def problem(outcomes: Outcomes) -> Problem:
        return choice.problem(settings, costs, outcomes, network.rules, base, decision)

    task = problem(found.outcomes)
    specific = Specific.named(settings.target_class, material.classes, decision)
    validated = None
    if specific is None:
        result, design = choice.choose(task, network.rules)
        if settings.cross_validates(task.outcomes.samples) and result.placements <= EVERY_FRONT:
            validated = cross_validation.estimated(task, problem, settings.seed)
        if validated is not None and validated.index != 0:
            task = cross_validation.within(task, validated)
            try:
                result, design = choice.choose(task, network.rules)
            except InfeasibleError:  # without exits nothing is lost, wherever
                task = replace(task, objective=replace(task.objective, max_accuracy_drop=0.0))
                result, design = choice.choose(replace(task, max_exits=0), network.rules)
    else:
        result, design = class_specific.choose(
            task, network.rules, specific, settings.least_alpha or class_specific.LEAST
        )
    hears = guarantee = None
    if settings.reuse and settings.risk is None and specific is None:
        better = reuse.improved(task, network.rules, design, found.answers, decision)
        if better is not None:
            hears, task, design = better
    if settings.risk is not None:
        assert found.certify is not None and settings.max_accuracy_drop is not None
        design, guarantee = certification.certified(
            task, network.rules, design, found.certify,
            budget=settings.max_accuracy_drop, risk=settings.risk, seed=settings.seed,
        )  # fmt: skip
    points: tuple[Point, ...] = ()
    if specific is None:
        points = operating.points(settings, task, network.rules, design, guarantee, found.certify)
    chosen = Chosen(
        design=design,
        thresholds=tuple(
            None if np.isinf(t) else t for t in operating.corrected(design.thresholds, settings.correction)
        ),
        segments=costs.segments(
            np.array([design.exits], np.intp).reshape(1, -1), design.processors,
            carried=decision.outputs if hears else 0,
        ),
        baseline_processor=base.processor,
        baseline_segments=base.segments,
        classes=material.classes,
        decision=decision,
        reuse=hears,
    )  # fmt: skip
    return Decided(
        costs, result, chosen, guarantee, points, _stages(network, found, chosen),
        task.outcomes.rows(design.exits), task.cost_of(chosen.segments), task.objective, task, specific, validated,
    )  # fmt: skip


def _load(path: Any) -> Any:
    import keras

    return keras.models.load_model(path, compile=False, safe_mode=False)  # as in verify


def _stages(network: Network, found: Candidates, chosen: Chosen) -> tuple[Stage, ...]:
    processors = [network.hardware.processors[p] for p in chosen.design.processors]
    return partition.stages(
        network.classifier,
        [found.trained[e] for e in chosen.design.exits],
        chosen.thresholds,
        [(p.name, p.bytes_per_element) for p in processors],
        [int(macs) for macs in chosen.segments.macs[0]],
        () if chosen.reuse is None else chosen.reuse.weights,
    )


def _export(directory: Path, settings: Settings, material: Material, decided: Decided) -> Work:
    """Write everything but the reports and the formats that were asked for."""
    network, found, chosen, stages = material.network, material.found, decided.chosen, decided.stages
    classifier = network.classifier
    written = [stage_files.write(classifier, stage, directory) for stage in stages]
    exits = [found.trained[e] for e in chosen.design.exits]
    keras_file.save(partition.monolith(classifier, exits), directory / "augmented.keras")
    (directory / "hardware.yaml").write_text(hardware.dump(network.hardware), encoding="utf-8")
    if not settings.slim:
        answers = {}
        if chosen.reuse is not None:
            answers = {i: said for i in (*chosen.design.exits, -1) if (said := found.answers(i)) is not None}
        here = Search(found.trained, found.outcomes, found.certify, material.x, answers)
        search_files.write(directory, here if material.earlier is None else material.earlier.search)
    manifest = {
        "schema_version": bundle.SCHEMA_VERSION,
        "tool": {"eeaug": eeaug.__version__},
        "versions": _versions(),
        "seed": settings.seed,
        "settings": settings.as_dict(network.rules.max_exits),
        "classes": list(chosen.classes),
        "decision": chosen.decision.as_dict(),
        "preprocessing": material.preprocessing.as_dict(),
        "inputs": list(material.inputs),
        "stages": [
            stage_files.entry(stage, files, chosen.decision.metric)
            for stage, files in zip(stages, written, strict=True)
        ],
        "operating_points": [
            {"name": point.name, "thresholds": [None if np.isinf(t) else t for t in point.thresholds]}
            for point in decided.points
        ],
    }
    if material.finetune is not None and material.finetune["kept"]:
        manifest["finetuned"] = material.finetune["epochs"]
        manifest["early_view"] = network.given is not None
    if material.earlier is not None:
        manifest["retargeted_from"] = {"name": material.earlier.name, "sha256": material.earlier.sha256}
    return Work(
        directory,
        manifest,
        classifier,
        stages,
        network.hardware,
        material.x,
        settings.threads,
        material.calibration,
    )


def _versions() -> dict[str, str]:
    packages = ("tensorflow", "keras", "numpy", "networkx", "onnx", "tf2onnx", "onnxruntime", "ai-edge-litert")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def _search_facts(material: Material, result: Result) -> dict[str, Any]:
    rejected = dict(result.settled.rejected)
    latency = rejected.pop("latency", 0)
    partly = f"all up to two exits; beyond, the best {SETTLED_PER_COUNT} of each number and what is near the best"
    return {
        "locations": len(material.network.rules.locations),
        "locations_left_out": material.network.left_out,
        "heads_trained": material.found.heads_trained,
        "heads_kept": len(material.found.trained),
        "architectures": result.architectures,
        "placements": result.placements,
        "threshold_configurations": result.settled.configurations,
        "settled": "all" if result.complete else partly,
        "rejected": {"latency": latency, "memory": sum(rejected.values())},
    }


def _finish(directory: Path, manifest: dict[str, Any], report: dict[str, Any], progress: Progress) -> None:
    """Report, hashes and manifest; last the times, which are outside the promise of equal bytes."""
    (directory / "report.json").write_text(bundle.dump_json(report), encoding="utf-8")
    manifest["files"] = bundle.hashes(directory)
    (directory / "manifest.json").write_text(bundle.dump_json(manifest), encoding="utf-8")
    times = {name: round(progress.seconds.get(name, 0.0), 3) for name in STEPS}
    times["total"] = round(progress.total_s, 3)
    (directory / "timing.json").write_text(bundle.dump_json(times), encoding="utf-8")
