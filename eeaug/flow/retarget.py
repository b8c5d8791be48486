"""Another bundle from an earlier one: for another budget, target or other pins, without data and training.

The trained heads, what they say of the screen and choose samples and some prepared samples are in ``search/``;
the backbone is the augmented model without its heads. All else that ``augment`` was told is in the manifest and
stays as it was, unless it is changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eeaug import hardware
from eeaug.backbone import custom_objects, keras_files
from eeaug.bundle import manifest, search_files
from eeaug.bundle.directory import check_place
from eeaug.bundle.entries import Manifest
from eeaug.bundle.manifest import Bundle
from eeaug.data import plausibility
from eeaug.design import problem
from eeaug.design.material import Earlier, Material
from eeaug.design.network import Network
from eeaug.errors import ConversionError, InputError
from eeaug.export import formats, rehearsal
from eeaug.export.int8 import int8_cascade
from eeaug.flow.prepare import start_frameworks
from eeaug.flow.write_bundle import deliver, propose
from eeaug.hardware import Hardware
from eeaug.heads.candidates import Candidates, Search
from eeaug.heads.layers import Dense
from eeaug.network import graph, locations, times
from eeaug.settings import FORMATS, Contradiction, Settings, default_cache
from eeaug.settings.vocabulary import WITH_NAMES, flag, usual_exits
from eeaug.stages import partition
from eeaug.support.printable import shown
from eeaug.support.progress import Progress
from eeaug.support.spelling import nearest

__all__ = [
    "EarlierBundle", "material_of", "of_data", "preview", "read_source", "rehearse", "retarget", "settings_of",
]  # fmt: skip

# settings of the earlier bundle that can be taken away
INHERITED = (
    "risk", "max_latency_s", "period_s", "max_ram_bytes", "max_flash_bytes", "exit_at", "threshold", "forbid",
)  # fmt: skip
SHOWN = (
    "model", "hardware", "settings", "baseline", "design", "operating_points", "promise", "warnings",
)  # fmt: skip


@dataclass(frozen=True)
class EarlierBundle:
    """A bundle that was made with its search/."""

    directory: Path
    manifest: Manifest
    report: Mapping[str, Any]
    earlier: Earlier
    hardware: Hardware


def retarget(
    directory: Path, changes: Mapping[str, Any], progress: Progress, manifest_sha256: str | None = None
) -> dict[str, Any]:
    """Write the bundle that ``directory`` would be with ``changes``; returns its report.

    Parameters
    ----------
    changes : settings that differ from the bundle's, ``output`` among them. Of ``max_accuracy_drop``
        and ``efficiency_weight``, the one that is given replaces the other.
    manifest_sha256 : that the bundle's manifest.json must have; None: any

    Raises
    ------
    InputError, InfeasibleError, ConversionError : as in errors; nothing has been written then
    """
    source = read_source(directory, manifest_sha256)
    settings = settings_of(source, changes)
    target = source.hardware if "hardware" not in changes else hardware.read(settings.input.hardware)
    formats.check_possible(settings.running.formats, target)
    read = {"the hardware description": settings.input.hardware if "hardware" in changes else None}
    check_place(settings.bundle, force=settings.running.force, inputs=read)
    material = material_of(settings, source, changes, progress)
    rehearse(settings, source, changes, material, progress)
    if left_out := of_data(source.manifest.settings["formats"]):
        progress.warn(f"{', '.join(left_out)} files are left out: they need data, so `eeaug augment` writes them")
    progress.warn("nothing was measured, as there is no data: run `eeaug evaluate DIR --data ...` on this bundle")
    if "none" not in settings.promises:
        progress.warn(
            "the calibration samples were used for an earlier bundle, too: the promise holds only if the settings "
            "were not chosen by its results; `eeaug certify` proves it on new samples"
        )
    return deliver(settings, material, progress)


def preview(
    directory: Path, changes: Mapping[str, Any], progress: Progress, manifest_sha256: str | None = None
) -> dict[str, Any]:
    """The parts of the report (SHOWN) that say what :func:`retarget` would write; writes nothing."""
    source = read_source(directory, manifest_sha256)
    settings = settings_of(source, changes)
    material = material_of(settings, source, changes, progress)
    formats.check_possible(settings.running.formats, material.network.hardware)
    rehearse(settings, source, changes, material, progress)
    report = propose(settings, material, progress)
    return {key: report[key] for key in SHOWN}


def rehearse(
    settings: Settings, source: EarlierBundle, changes: Mapping[str, Any], material: Material, progress: Progress
) -> None:
    """Refuse now a format that cannot be written at the end, unless the bundle has it for the same target."""
    asked = formats.named(settings.running.formats)
    if not asked or ("hardware" not in changes and set(asked) <= set(source.manifest.settings["formats"])):
        return
    heads = [trained.head for trained in material.candidates.trained]
    with progress.step("graph", "check that it can be written as " + ", ".join(asked)):
        network = material.network
        rehearsal.check(
            settings.running, network.classifier, network.hardware, heads, material.x[: rehearsal.SAMPLES]
        )


def read_source(directory: Path, manifest_sha256: str | None) -> EarlierBundle:
    bundle = manifest.read(directory, manifest_sha256)
    manifest.check_classifies(bundle)
    manifest.check_no_stream(bundle)
    search = search_files.read(directory, bundle.manifest["files"])
    if search is None:
        raise InputError(
            f"{directory} has no search/ (made with --slim): without the trained heads and their outcomes only "
            "eeaug augment can make a bundle for other limits"
        )
    _check_search(directory, search, bundle)
    return EarlierBundle(
        directory,
        bundle.entries,
        bundle.report,
        Earlier(directory.resolve().name, bundle.sha256, search),
        hardware.read(str(bundle.file("hardware.yaml"))),
    )


def _check_search(directory: Path, search: Search, bundle: Bundle) -> None:
    """Raise ConversionError unless search/ is about the network that manifest and report are about."""
    classes = bundle.entries.decision
    codes = 1 << classes.outputs if classes.kind == "multilabel" else classes.classes
    samples = {"screen": search.screen, "choose": search.outcomes}
    parts = {name: part and part["samples"] for name, part in bundle.report["data"]["parts"].items()}
    checks = {
        "samples.npz: x has another shape than the first stage takes":
            search.x.shape[1:] == bundle.entries.stages[0].input_shape,
        "exits.json: fewer heads than report.json has kept":
            len(search.trained) >= bundle.report["search"]["heads_kept"],
        "exits.json: a head ends otherwise than the model": all(
            t.head.steps[-1] == Dense(classes.outputs, classes.activation)
            for t in search.trained
        ),
        "answers.npz: another number of outputs than the model has": all(
            p.shape[1] == classes.outputs
            for answers in (search.screen_answers, search.answers)
            for p in answers.values()
        ),
    }  # fmt: skip
    for name, outcomes in samples.items():
        arrays = [outcomes.predicted, outcomes.labels, *([] if outcomes.given is None else [outcomes.given])]
        checks[f"{name}.npz: a class that the model has not"] = all(
            array.min() >= 0 and array.max() < codes for array in arrays
        )
        checks[f"{name}.npz: not as many samples as report.json has"] = outcomes.samples == parts[name]
    for what, right in checks.items():
        if not right:
            raise ConversionError(f"{directory / 'search'}/{what}")


def settings_of(source: EarlierBundle, changes: Mapping[str, Any]) -> Settings:
    """The bundle's settings with the changes."""
    stored = source.manifest.settings
    kept = dict(stored)
    split = [text.partition(":") for text in stored["exit_at"]]
    kept["exit_at"] = {name: processor or None for name, _, processor in split}
    pinned = [text.rpartition("=") for text in stored["threshold"]]
    kept["threshold"] = {name: float(value) for name, _, value in pinned}
    kept.pop("custom_objects", None)  # code is run only where it is named anew
    for name in ("forbid", "heads", "target_class"):
        kept[name] = tuple(stored[name])
    kept["formats"] = tuple(name for name in stored["formats"] if name not in of_data(stored["formats"]))
    if not set(changes.get("formats", kept["formats"])) & set(WITH_NAMES):
        kept["c_prefix"] = None  # was about files that the new bundle has not
    for one, other in (("max_accuracy_drop", "efficiency_weight"), ("efficiency_weight", "max_accuracy_drop")):
        if changes.get(one) is not None:
            kept[other] = None
    usual = usual_exits(stored["mapping"], stored["thresholds"], len(source.hardware.processors))
    if "hardware" in changes and stored["max_exits"] == usual:
        kept["max_exits"] = None  # the default of the old target; the new one has its own
    if source.manifest.finetuned is None:
        kept |= {"finetune": 0, "recipe": "frozen", "exit_weight": None}  # asked for, but not better
    given = {"hardware": str(source.directory / "hardware.yaml"), **kept, **changes}
    with _explained(source, changes):
        settings = Settings.of(model=Path(source.manifest.inputs[0]["name"]), cache=default_cache(), **given)
    if source.manifest.early_view:
        raise InputError(
            f"{source.directory}: --recipe trecx has changed its final classifier, the given model is not in it: "
            "another budget or target needs eeaug augment"
        )
    if left_out := of_data(settings.running.formats):
        raise InputError(
            f"--format {','.join(left_out)}: int8 ranges and thresholds are found on data, which a bundle has not: "
            "eeaug augment writes them"
        )
    return settings


def of_data(names: Sequence[str]) -> list[str]:
    """Those of the formats that cannot be written without data."""
    return [name for name in names if int8_cascade.FORMAT in (name, *FORMATS[name])]


@contextmanager
def _explained(source: EarlierBundle, changes: Mapping[str, Any]) -> Iterator[None]:
    """A contradiction that an option of the earlier bundle has part in says so."""
    try:
        yield
    except Contradiction as error:
        for key in INHERITED:
            if key in error.options and source.manifest.settings.get(key) and key not in changes:
                option = flag(key)
                raise InputError(f"{error} ({option} is the bundle's; {option} none takes it away)") from error
        raise


def material_of(
    settings: Settings, source: EarlierBundle, changes: Mapping[str, Any], progress: Progress
) -> Material:
    stored, search = source.manifest, source.earlier.search
    target = source.hardware if "hardware" not in changes else hardware.read(settings.input.hardware)
    code = settings.input.custom_objects
    _check_code(source, code)
    with progress.step("import"):
        start_frameworks(settings.running.threads, settings.running.seed)
    with progress.step("load", "model"):
        custom_objects.load(code)
        if stored.custom_objects is not None and (changed := stored.custom_objects.changed(custom_objects.files())):
            progress.warn(
                f"{', '.join(changed)}: not the code that {source.directory} was made with; give that one"
            )
        given, path = stored.inputs[0], source.directory / "augmented.keras"
        classifier = replace(
            partition.backbone(keras_files.load(path), path),
            name=source.report["model"]["name"],
            file=given["name"],
            sha256=given["sha256"],
            decision=stored.decision,
        )
    with progress.step("graph"):
        blocks = graph.blocks(classifier)
        places, reasons = locations.find(blocks, classifier.decision.outputs, classifier.layout)
        strange = sorted({t.head.location.name for t in search.trained if t.head.location not in places})
        if strange:
            raise ConversionError(
                f"{source.directory}: augmented.keras has no location {', '.join(strange)} as search/ has; "
                "made by another version of eeaug?"
            )
        _check_activations(source.directory, search)
        with _explained(source, changes):
            rules = problem.rules(settings.goal, target, places, reasons)
            _check_heads(source, changes)
            network = Network(classifier, target, blocks, rules, format=times.decisive(settings.running.formats))
            allowed = [i for i, t in enumerate(search.trained) if t.head.location in rules.locations]
            trained = tuple(search.trained[i] for i in allowed)
            problem.check_limits(
                settings.goal, network.costs(settings.goal, [t.head.cost() for t in trained]), rules, blocks
            )
    candidates = Candidates(
        trained,
        search.screen.rows(allowed),
        search.outcomes.rows(allowed),
        source.report["search"]["heads_trained"],
        lambda i: search.screen_answers.get(allowed[i] if i >= 0 else -1),
        lambda i: search.answers.get(allowed[i] if i >= 0 else -1),
    )
    if settings.input.labels == "given":
        names = [t.head.location.name for t in trained]
        for doubt in plausibility.doubts(candidates.outcomes, names, None):
            progress.warn_first(doubt)
    return Material(
        network=network,
        candidates=candidates,
        classes=stored.classes,
        preprocessing=stored.preprocessing,
        inputs=stored.inputs,
        data=source.report["data"],
        x=search.x,
        test=None,
        earlier=source.earlier,
        finetune=source.report["design"].get("finetune"),
    )


def _check_code(source: EarlierBundle, code: Sequence[str]) -> None:
    """Raise InputError where the bundle's model needs code that is not named, or that cannot be code."""
    needed = source.manifest.custom_objects
    if needed is not None and not code:
        options = [f"--custom-objects {name}" for name in needed.names_of_files]
        raise needed.needed_by(f"{source.directory}: its model has", options)
    custom_objects.check(code)


def _check_activations(directory: Path, search: Search) -> None:
    """Refuse an activation that Keras does not know, before a head is made of it."""
    keras = keras_files.import_keras()
    for name in {step.activation for t in search.trained for step in t.head.dense}:
        try:
            keras.activations.get(name)
        except ValueError as error:
            what = f"Keras knows no activation {shown(name)}"
            raise ConversionError(f"{directory / search_files.EXITS}: {what}") from error


def _check_heads(source: EarlierBundle, changes: Mapping[str, Any]) -> None:
    """Refuse to put an exit where no head was trained, or none was good enough to be kept."""
    names = list(dict.fromkeys(t.head.location.name for t in source.earlier.search.trained))
    have = f"it has heads at {', '.join(names)}" if names else "it has none at all"
    for option, key in (("--exit-at", "exit_at"), ("--threshold", "threshold")):
        for name in changes.get(key) or ():
            if name not in names:
                raise InputError(
                    f"{option} {name}: {source.directory} has no trained head there{nearest(name, names)}; {have}, "
                    "eeaug augment trains others"
                )
    if changes.get("max_exits") and not names:
        raise InputError(f"--max-exits {changes['max_exits']}: {source.directory} has no trained heads; {have}")
