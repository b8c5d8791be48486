"""From a design to a written, verified bundle: stages, formats, figures, report."""

from __future__ import annotations

import hashlib
import platform
import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import eeaug
from eeaug import hardware
from eeaug.backbone import custom_objects
from eeaug.backbone.model import Classifier
from eeaug.bundle import manifest_rules, search_files
from eeaug.bundle.code_entry import CustomObjects
from eeaug.bundle.directory import being_written, dump_json, hashes
from eeaug.bundle.entries import Manifest, ModelInput, OperatingPoint, Thresholds
from eeaug.bundle.stream_entry import StreamEntry
from eeaug.cascade import shift
from eeaug.cascade.outcomes import Outcomes
from eeaug.design.choose import decide
from eeaug.design.design import Decided
from eeaug.design.material import Material
from eeaug.design.promise import Terms
from eeaug.errors import InfeasibleError
from eeaug.export import formats, keras_onnx, verify
from eeaug.export.formats import Work
from eeaug.export.int8 import int8_cascade
from eeaug.flow import handover, kept, quantise
from eeaug.flow.kept import NotKept
from eeaug.flow.measure_in_background import Alongside
from eeaug.frameworks import keras_archive
from eeaug.heads.candidates import Search
from eeaug.report.content import build
from eeaug.report.words import cautions, counted, parts
from eeaug.runtime import Cascade
from eeaug.settings import Settings
from eeaug.stages import partition
from eeaug.support.cache import Cache
from eeaug.support.progress import Progress, part

__all__ = ["deliver", "propose"]

DESIGNS = 3  # that are written at most until one keeps the limits
STEPS = (
    "import",
    "load",
    "graph",
    "convert",
    "features",
    "heads",
    "answers",
    "search",
    "finetune",
    "export",
    "handover",
    "quantise",
    "verify",
)


def deliver(
    settings: Settings, material: Material, progress: Progress, decided: Decided | None = None
) -> dict[str, Any]:
    """Choose, unless it is ``decided``, write to ``settings.bundle``, verify, measure; returns the report.

    Where files need more than was estimated, and than limits allow, another design is chosen with that counted in.

    Raises
    ------
    InfeasibleError, ConversionError : as in errors; nothing has been written then
    """
    if decided is not None:
        return _delivered(settings, material, progress, decided)
    terms, goal, rules = Terms.of(settings, unseen=material.unseen), settings.goal, material.network.rules
    first: NotKept | None = None
    for _ in range(DESIGNS):
        within = replace(material, network=replace(material.network, rules=rules))
        try:
            with progress.step("search"):
                decided = decide(goal, terms, within, settings.running.seed)
        except InfeasibleError:
            if first is not None:  # says more than that nothing is within what is left of the limits
                raise first from None
            raise
        try:
            return _delivered(settings, material, progress, decided)
        except NotKept as error:
            first = first or error
            progress.note(f"{re.split(r' [(]|;', str(error))[0]}: the search looks for another design")
            goal, rules = kept.tighter(goal, rules, decided, error)
    assert first is not None
    raise first


def _delivered(settings: Settings, material: Material, progress: Progress, decided: Decided) -> dict[str, Any]:
    """The design, written, verified and measured; NotKept: its files need more than a limit allows."""
    asked, quantised, int8_streams = formats.named(settings.running.formats), None, None
    with being_written(settings.bundle, force=settings.running.force) as directory, ExitStack() as alongside:
        work = _work(directory, settings, material, decided)
        load = partial(Cascade.load, directory, work.manifest, settings.running.threads)
        encoded = handover.encoded(work)
        measured = Alongside(material.test, load, settings.running.threads)
        with progress.step("export"):
            begin: Callable[[], object] = partial(alongside.enter_context, measured)
            _export(work, settings, material, decided, (lambda: None) if encoded else begin)
        if encoded:
            with progress.step("handover"):
                work, decided = handover.settle(settings, work, material, decided)
            load = partial(Cascade.load, directory, work.manifest, settings.running.threads)
            measured = alongside.enter_context(Alongside(material.test, load, settings.running.threads))
        for name, kind in asked.items():
            with progress.step("export", name):
                work = work.adding(name, kind.write(work))
            if name == int8_cascade.FORMAT:
                with progress.step("quantise"):
                    quantised, int8_streams = quantise.settle(settings, work, material, decided)
                work = replace(work, manifest=int8_cascade.entered(work.manifest, quantised, int8_streams))
        with progress.step("verify"):
            whole = _load(directory / "augmented.keras")
            with part(0, 1, 2):
                files = measured.cascade()
                if encoded:  # what links change is no fault of the files
                    plain = work.manifest.plain
                    files = replace(files, stages=plain.stages, manifest=plain)
                checked = verify.verify(work, whole, files, formats.like("model", asked))
            with part(1, 1, 2):
                test = measured.outcomes()
                if encoded and test is not None and material.test is not None:
                    test = int8_cascade.compared(test, material.test(files))
        int8 = int8_test = None
        if quantised is not None:
            with progress.step("verify", "int8"):
                with part(0, 1, 2):
                    int8_test = quantise.measured(settings, work, material, test)
                with part(1, 1, 2):
                    int8 = quantise.report(settings, work, decided, quantised, test, int8_test)
        facts = build.build(settings, material, decided, test, checked, int8)
        if int8_streams is not None:
            facts["stream"]["int8"] = quantise.streams(settings, work, material, decided, int8_streams, int8_test)
        kept.check(facts)
        for doubt in parts.doubts(facts):
            progress.warn_first(doubt)
        work = replace(work, manifest=_referred(work.manifest, decided.rows, test))
        if quantised is not None:
            work = replace(work, manifest=_int8_referred(work.manifest, quantised.rows, int8_test))
        for kind in asked.values():
            kind.complete(work)
        manifest = replace(work.manifest, files=hashes(directory))
        report = {**_warned(facts, progress), "manifest": manifest_rules.facts(manifest.as_dict())}
        _finish(directory, manifest, report, progress)
    return report


def propose(settings: Settings, material: Material, progress: Progress) -> dict[str, Any]:
    """The report of what :func:`deliver` would write: nothing is written, verified or measured."""
    with progress.step("search"):
        decided = decide(settings.goal, Terms.of(settings, unseen=material.unseen), material, settings.running.seed)
    return _warned(build.build(settings, material, decided, None, None, None), progress)


def _warned(facts: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """The report with all warnings of the run, those that follow from it last, but for the first lines."""
    for sentence in (*cautions.unequal(facts), *counted.differing(facts)):
        progress.warn_first(sentence)
    for sentence in cautions.sentences(facts):
        progress.warn(sentence)
    return {**facts, "warnings": list(progress.warnings)}


def _load(path: Any) -> Any:
    import keras

    return keras.models.load_model(path, compile=False, safe_mode=False)  # as in verify


def _export(
    work: Work, settings: Settings, material: Material, decided: Decided, onnx_written: Callable[[], object]
) -> None:  # fmt: skip
    """Write everything but the reports and the formats that were asked for; the ONNX stages come first."""
    candidates, chosen, directory = material.candidates, decided.chosen, work.directory
    keras_onnx.write(work.classifier, work.stages, directory, onnx_written)
    exits = [candidates.trained[e] for e in chosen.design.exits]
    keras_archive.save(partition.monolith(work.classifier, exits), directory / "augmented.keras")
    (directory / "hardware.yaml").write_text(hardware.dump(work.hardware), encoding="utf-8")
    if not settings.running.slim:
        reusing = () if chosen.reuse is None else (*chosen.design.exits, -1)
        screen, choose = (
            {i: probabilities for i in reusing if (probabilities := answers(i)) is not None}
            for answers in (candidates.screen_answers, candidates.answers)
        )
        here = Search(candidates.trained, candidates.screen, candidates.outcomes, material.x, screen, choose)
        path = () if decided.screened is None else decided.screened.steps
        search = here if material.earlier is None else material.earlier.search
        search_files.write(directory, replace(search, path=path))


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
        stages=tuple(
            keras_onnx.entry(stage, chosen.decision.metric, network.classifier.answers) for stage in stages
        ),
        operating_points=tuple(OperatingPoint(point.name, point.thresholds) for point in decided.points),
        finetuned=material.finetune["epochs"] if finetuned and material.finetune is not None else None,
        early_view=network.given is not None if finetuned else None,
        model_inputs=_model_inputs(network.classifier),
        custom_objects=_code(network.classifier),
        stream=_stream(decided),
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
        chosen.baseline_processor,
        Cache(settings.running.cache).counted,
    )


def _stream(decided: Decided) -> StreamEntry | None:
    streamed = decided.streamed
    return None if streamed is None else StreamEntry(streamed.rule, streamed.state_bytes)


def _model_inputs(classifier: Classifier) -> tuple[ModelInput, ...]:
    if not classifier.layout.several:
        return ()
    each = zip(classifier.layout.names, classifier.layout.shapes, classifier.dtypes, strict=True)
    return tuple(ModelInput(name, shape, dtype) for name, shape, dtype in each)


def _code(classifier: Classifier) -> CustomObjects | None:
    """What of the user's code the model needs."""
    return CustomObjects(classifier.code, tuple(custom_objects.files())) if classifier.code else None


def _referred(manifest: Manifest, choose: Outcomes, test: Outcomes | None) -> Manifest:
    """With what new data is compared with: the float cascade on test, without such a part on choose."""
    return replace(manifest, reference=_recorded(manifest.points, choose, test))


def _int8_referred(manifest: Manifest, choose: Outcomes, test: Outcomes | None) -> Manifest:
    """The same of the int8 cascade."""
    assert manifest.int8 is not None
    reference = _recorded(manifest.int8_points, choose, test)
    return replace(manifest, int8=replace(manifest.int8, reference=reference))


def _recorded(points: Mapping[str, Thresholds], choose: Outcomes, test: Outcomes | None) -> dict[str, Any]:
    part, rows = ("choose", choose) if test is None else ("test", test)
    return shift.recorded(rows, points, part)


def _versions() -> dict[str, str]:
    packages = ("tensorflow", "keras", "numpy", "networkx", "onnx", "tf2onnx", "onnxruntime", "ai-edge-litert")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def _finish(directory: Path, manifest: Manifest, report: dict[str, Any], progress: Progress) -> None:
    """Report and manifest; last the times, which are outside the promise of equal bytes.

    The report repeats what the manifest says, but for hashes, among which is its own.
    """
    content = dump_json(report).encode()
    (directory / manifest_rules.REPORT).write_bytes(content)
    files = dict(
        sorted({**(manifest.files or {}), manifest_rules.REPORT: hashlib.sha256(content).hexdigest()}.items())
    )
    whole = replace(manifest, files=files).as_dict()
    (directory / "manifest.json").write_text(dump_json(whole), encoding="utf-8")
    times = {name: round(progress.seconds.get(name, 0.0), 3) for name in STEPS}
    times["total"] = round(progress.total_s, 3)
    (directory / "timing.json").write_text(dump_json(times), encoding="utf-8")
