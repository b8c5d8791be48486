"""From a design to a written, verified bundle: stages, formats, figures, report."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import eeaug
from eeaug import hardware
from eeaug.bundle import directory as bundle
from eeaug.bundle import manifest_rules, search_files
from eeaug.bundle.entries import Manifest, OperatingPoint
from eeaug.cascade import shift
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.passage import Passage
from eeaug.design import class_specific
from eeaug.design.choose import decide
from eeaug.design.design import Decided
from eeaug.design.material import Material
from eeaug.export import formats, keras_onnx, verify
from eeaug.export.formats import Work
from eeaug.export.int8 import int8_cascade
from eeaug.flow import quantise
from eeaug.flow.measure_in_background import Alongside
from eeaug.frameworks import keras_archive
from eeaug.heads.candidates import Search
from eeaug.report.content import build, rho_curve
from eeaug.report.words import cautions, target
from eeaug.runtime import Cascade
from eeaug.search.solver import SETTLED_PER_COUNT, Result
from eeaug.settings import COSTS, Settings
from eeaug.stages import partition
from eeaug.support.progress import Progress

__all__ = ["deliver", "propose"]

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


def deliver(settings: Settings, material: Material, progress: Progress) -> dict[str, Any]:
    """Choose, write to ``settings.bundle``, verify, measure; returns the report.

    Raises
    ------
    InfeasibleError, ConversionError : as in errors; nothing has been written then
    """
    with progress.step("search"):
        decided = decide(settings.goal, material, settings.running.seed)
    asked, quantised = formats.named(settings.running.formats), None
    with bundle.being_written(settings.bundle, force=settings.running.force) as directory, ExitStack() as alongside:
        work = _work(directory, settings, material, decided)
        load = partial(Cascade.load, directory, work.manifest, settings.running.threads)
        measured = Alongside(material.test, load, settings.running.threads)
        with progress.step("export"):
            _export(work, settings, material, decided, lambda: alongside.enter_context(measured))
        for name, kind in asked.items():
            with progress.step("export", name):
                work = work.adding(name, kind.write(work))
            if name == int8_cascade.FORMAT:
                with progress.step("quantise"):
                    floats = {"choose": decided.rows, "certify": material.found.certify}
                    quantised = quantise.settle(
                        settings, work, decided.task, material.network.rules, decided.chosen, material.held, floats
                    )
                work = replace(work, manifest=int8_cascade.entered(work.manifest, quantised))
        with progress.step("verify"):
            whole = _load(directory / "augmented.keras")
            verification = verify.verify(work, whole, measured.cascade(), formats.like("model", asked))
            test = measured.outcomes()
        shown = decided.rows if test is None else test
        recorded = shift.recorded(shown, work.manifest.points, "choose" if test is None else "test")
        c_files = verification["formats"].get("c", {}).pop("details", None)
        report = _report(settings, material, decided, test, verification)
        report["c"] = c_files
        if quantised is not None:
            with progress.step("verify", "int8"):
                report["int8"] = quantise.report(
                    settings, work, quantised, decided.chosen, decided.rows, test, material.test
                )
        if (doubt := cautions.doubt(report)) is not None:
            progress.warn_first(doubt)
        for sentence in cautions.sentences(report):
            progress.warn(sentence)
        report["warnings"] = list(progress.warnings)
        _finish(directory, replace(work.manifest, reference=recorded), report, progress)
    return report


def propose(settings: Settings, material: Material, progress: Progress) -> dict[str, Any]:
    """The report of what :func:`deliver` would write: nothing is written, verified or measured."""
    with progress.step("search"):
        decided = decide(settings.goal, material, settings.running.seed)
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
        searched=decided.searched,
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
    if settings.training.recipe != "trecx" or not decided.chosen.design.exits:
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
    costs = {name: (segments.of(name)[0], float(base.of(name).sum())) for name in COSTS}

    def on(rows: Outcomes) -> dict[str, Any]:
        return class_specific.figures(specific, Passage(rows, chosen.thresholds), costs, chosen.classes)

    return {"choose": on(decided.rows), "measured": None if test is None else on(test)}


def _load(path: Any) -> Any:
    import keras

    return keras.models.load_model(path, compile=False, safe_mode=False)  # as in verify


def _export(
    work: Work, settings: Settings, material: Material, decided: Decided, onnx_written: Callable[[], object]
) -> None:  # fmt: skip
    """Write everything but the reports and the formats that were asked for; the ONNX stages come first."""
    found, chosen, directory = material.found, decided.chosen, work.directory
    keras_onnx.write(work.classifier, work.stages, directory, onnx_written)
    exits = [found.trained[e] for e in chosen.design.exits]
    keras_archive.save(partition.monolith(work.classifier, exits), directory / "augmented.keras")
    (directory / "hardware.yaml").write_text(hardware.dump(work.hardware), encoding="utf-8")
    if not settings.running.slim:
        answers = {}
        if chosen.reuse is not None:
            answers = {i: said for i in (*chosen.design.exits, -1) if (said := found.answers(i)) is not None}
        here = Search(found.trained, found.outcomes, found.certify, material.x, answers)
        search_files.write(directory, here if material.earlier is None else material.earlier.search)


def _work(directory: Path, settings: Settings, material: Material, decided: Decided) -> Work:
    """What will be written, its manifest still without hashes."""
    network, chosen, stages = material.network, decided.chosen, decided.stages
    finetuned = material.finetune is not None and material.finetune["kept"]
    earlier = material.earlier
    manifest = Manifest(
        tool={"eeaug": eeaug.__version__},
        versions=_versions(),
        seed=settings.running.seed,
        settings=settings.as_dict(network.rules.max_exits),
        classes=chosen.classes,
        decision=chosen.decision,
        preprocessing=material.preprocessing,
        inputs=tuple(material.inputs),
        stages=tuple(keras_onnx.entry(stage, chosen.decision.metric) for stage in stages),
        operating_points=tuple(OperatingPoint(point.name, point.thresholds) for point in decided.points),
        finetuned=material.finetune["epochs"] if finetuned and material.finetune is not None else None,
        early_view=network.given is not None if finetuned else None,
        retargeted_from=None if earlier is None else {"name": earlier.name, "sha256": earlier.sha256},
    )
    return Work(
        directory,
        manifest,
        network.classifier,
        stages,
        network.hardware,
        material.x,
        settings.running.threads,
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


def _finish(directory: Path, manifest: Manifest, report: dict[str, Any], progress: Progress) -> None:
    """Report, hashes and manifest; last the times, which are outside the promise of equal bytes.

    The report, which is hashed, repeats what the manifest says, which is not.
    """
    files = bundle.hashes(directory)
    report["manifest"] = manifest_rules.facts(replace(manifest, files=files).as_dict())
    content = bundle.dump_json(report).encode()
    (directory / manifest_rules.REPORT).write_bytes(content)
    files = dict(sorted({**files, manifest_rules.REPORT: hashlib.sha256(content).hexdigest()}.items()))
    whole = replace(manifest, files=files).as_dict()
    (directory / "manifest.json").write_text(bundle.dump_json(whole), encoding="utf-8")
    times = {name: round(progress.seconds.get(name, 0.0), 3) for name in STEPS}
    times["total"] = round(progress.total_s, 3)
    (directory / "timing.json").write_text(bundle.dump_json(times), encoding="utf-8")
