"""A budget proven on samples of the field, most of which need no label; docs/certify.md.

The path of thresholds was fixed before anyone looked at these samples, so all of them may say how far it can be
opened. Which of them need a label, and what is assumed of those that have none: cascade.label_order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug import data
from eeaug.bundle import directory as bundle
from eeaug.bundle import search_files
from eeaug.cascade.label_order import LabelOrder, assumed, label_order
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import Decision
from eeaug.data import Data, Part, label_sheet
from eeaug.data.label_sheet import Names, ToLabel
from eeaug.design import compared, operating_points
from eeaug.design.material import TRAIN
from eeaug.design.operating_points import Point
from eeaug.design.promise import Opening, Promise, Terms, Thresholds
from eeaug.design.reopened import Built, reopened
from eeaug.design.reuse import Reuse
from eeaug.errors import ConversionError, InfeasibleError, InputError
from eeaug.flow import data_for_bundle, retarget
from eeaug.flow.retarget import EarlierBundle
from eeaug.flow.write_bundle import deliver
from eeaug.report import units
from eeaug.report.content import promise as promises
from eeaug.runtime import BATCH, Cascade
from eeaug.settings import Settings
from eeaug.support.outputs import Output
from eeaug.support.progress import Progress, counted

__all__ = ["IN_DATA", "Proof", "Request", "certify", "prove"]

IN_DATA = "data"  # as labels: those of the data itself


@dataclass(frozen=True)
class Request:
    """What is asked of :func:`certify`.

    Parameters
    ----------
    data, part : as for evaluate
    labels : a filled-in sheet, IN_DATA, or None: there are none, and ``sheet`` is written
    max_accuracy_drop, risk : None: those of the bundle
    output : where the new bundle goes; None: nowhere
    formats : of the new bundle; None: those that the bundle has
    threads : None: as many as the bundle was made with
    custom_objects : code of layers that the bundle's model has, as for augment
    """

    data: str
    part: str | None = None
    labels: Path | str | None = None
    max_accuracy_drop: float | None = None
    risk: float | None = None
    sheet: Path = Path("label-these.csv")
    output: Path | None = None
    formats: tuple[str, ...] | None = None
    force: bool = False
    prepared: bool = False
    cache: Path = Path()
    threads: int | None = None
    manifest_sha256: str | None = None
    custom_objects: tuple[str, ...] = ()


@dataclass(frozen=True)
class Proof:
    """What some samples prove of a path.

    Parameters
    ----------
    opening : the path, and the samples with labels that are known or assumed
    order : which of them need a label
    known : bool (n,), which have one
    index : the loosest step that is proven, None: not even the first
    """

    opening: Opening
    order: LabelOrder
    known: NDArray[np.bool_]
    index: int | None
    promise: Promise


def certify(directory: Path, request: Request, progress: Progress) -> dict[str, Any]:
    """Prove the budget of the bundle at ``directory`` on other data, and write a bundle that is open so far.

    Returns what came of it, as ``eeaug certify --json`` prints it.

    Raises
    ------
    InputError, ConversionError : as in errors; nothing has been written then
    InfeasibleError : labels were given, and nothing can be proven
    """
    source = retarget.read_source(directory, request.manifest_sha256)
    stored = source.manifest
    built, settings = _built(source), _settings(source, request)
    sheet = Output(
        None if request.labels is not None else request.sheet, request.force, {"the data": request.data}, "--sheet"
    )
    sheet.check()
    if request.output is not None:
        read: dict[str, Path | str | None] = {
            "the bundle": directory,
            "the data": request.data,
            "the labels": request.labels,
        }
        bundle.check_place(request.output, force=request.force, inputs=read)
    with progress.step("load", "data"):
        given, part = data_for_bundle.read(
            directory, stored, request.data, request.part, cache=request.cache / "data",
            labelled=request.labels == IN_DATA, prepared=request.prepared,
        )  # fmt: skip
    seen = given.sha256 in [one["sha256"] for one in stored.inputs]
    if seen and part.name == TRAIN:
        raise InputError(
            f"{given.source}: the given model was trained on {part.name}, which proves nothing about other samples"
        )
    if seen and part.name == source.report["data"]["parts"]["choose"]["of"] and _has_chosen(source):
        raise InputError(
            f"{given.source}: a part of {part.name} was used to choose the exits of {directory}, so it can prove "
            "nothing more"
        )
    with progress.step("verify", f"cascade and given model on {len(part):,} samples"):
        cascade = Cascade.load(directory, stored, settings.running.threads)
        rows = np.arange(len(part))
        batches = counted(data.batches(part, rows, given.preprocessing, BATCH), len(part), len)
        outcomes = cascade.outcomes(batches, np.zeros(len(part), np.int64))
    if part.groups is not None and settings.input.unit == "group":
        outcomes = replace(outcomes, groups=np.unique(part.groups, return_inverse=True)[1].astype(np.int64))
    digest = part.digest
    names = Names(stored.decision, stored.classes)
    known, labels = np.zeros(len(part), bool), np.zeros(len(part), np.int64)
    if request.labels == IN_DATA:
        assert part.y is not None
        known, labels = ~known, part.y
    elif request.labels is not None:
        known, labels = label_sheet.read(
            Path(request.labels), names, source.earlier.sha256, part.name, digest, len(part)
        )
    costs = np.array([stage.macs for stage in stored.stages], np.float64)
    proof = prove(
        outcomes, built.steps, known, labels, costs, float(source.report["model"]["macs"]), stored.decision,
        settings, part.name,
    )  # fmt: skip
    if proof.index is None and request.labels is not None:
        raise _nothing_proven(proof, settings, str(request.labels))
    if sheet.place is not None and len(proof.order.samples):
        sheet.write(label_sheet.written(_rows(proof, outcomes), names, source.earlier.sha256, part.name, digest))
    if request.output is not None and proof.index is not None:
        _write(source, settings, built, proof, given, part, progress)
    return _facts(proof, settings, given, part, request)


def prove(
    outcomes: Outcomes, steps: Sequence[Thresholds], known: NDArray[np.bool_], labels: NDArray[np.integer],
    costs: NDArray[np.float64], base_cost: float, decision: Decision, settings: Settings, part: str = "choose",
) -> Proof:  # fmt: skip
    """The loosest of the steps whose budget is proven with the labels that are known.

    Parameters
    ----------
    outcomes : the m + 1 rows of the design on n samples; its labels are not looked at
    steps : the path, from safest to loosest, fixed without these samples
    known, labels : (n,), which samples have a label, and the labels
    costs, base_cost : (m + 1,) of the segments, and of the given model
    """
    goal, order = settings.goal, label_order(outcomes, steps)
    assert goal.max_accuracy_drop is not None
    if outcomes.groups is not None and known.any():  # labels must not decide what losses a step is tested with
        steps = steps[: order.labelled_steps(known)]
    opening = Opening(
        tuple(steps), assumed(outcomes, known, labels), costs, base_cost, decision, goal.max_class_drop
    )
    terms = Terms(("proven",), settings.risk)
    index, promise = opening.promised(terms, goal.max_accuracy_drop, settings.running.seed)
    return Proof(opening, order, known, index, _of_part(promise, part, known))


def _of_part(promise: Promise, part: str, known: NDArray[np.bool_]) -> Promise:
    return replace(promise, part=part, labelled=None if known.all() else int(known.sum()))


def _built(source: EarlierBundle) -> Built:
    """The design and its path.

    Raises
    ------
    InputError : it has none, or another cascade than that of the given model
    """
    stored, design, where = source.manifest, source.report["design"], source.directory
    if stored.finetuned:
        raise InputError(f"{where}: its backbone was fine-tuned: the given model, to compare with, is not in it")
    steps = source.earlier.search.path
    if not design["exits"] or not steps:
        why = "it has no exits" if not design["exits"] else "its thresholds were not chosen along a path"
        raise InputError(
            f"{where}: {why}, so no threshold can be opened: make it with `eeaug augment --promise expected`"
        )
    if len(steps[0]) != len(design["exits"]):
        counts = f"has {len(steps[0])} thresholds a step, report.json {len(design['exits'])} exits"
        raise ConversionError(f"{where / search_files.PATH}: {counts}")
    weights = None if design["reuse"] is None else Reuse(tuple(map(tuple, design["reuse"]["weights"])))
    return Built(
        [(exit_["location"], exit_["head"]) for exit_ in design["exits"]],
        [(stage.processor, stage.choices) for stage in stored.stages],
        weights,
        tuple(tuple(step) for step in steps),
    )


def _settings(source: EarlierBundle, request: Request) -> Settings:
    """Of the new bundle."""
    stored, where = source.manifest.settings, source.directory
    unlabelled = request.labels is None
    if stored["labels"] == "none" and not unlabelled:
        raise InputError(f"{where} was made with --labels none: its drop is disagreement, which needs no labels")
    if stored["max_class_drop"] is not None and request.labels != IN_DATA:
        raise InputError(
            f"{where} keeps --max-class-drop: what a class loses is a share of all its samples, so all need labels "
            f"(--labels {IN_DATA}); eeaug retarget {where} --max-class-drop none removes the limit"
        )
    changes: dict[str, Any] = {"promise": "proven", "force": request.force, "output": request.output}
    asked = {
        "max_accuracy_drop": request.max_accuracy_drop, "risk": request.risk, "threads": request.threads,
        "formats": None if request.formats is None else tuple(request.formats),
        "custom_objects": tuple(request.custom_objects) or None,
    }  # fmt: skip
    left_out = retarget.of_data(stored["formats"])
    if left_out and request.output is not None and request.formats is None:
        raise InputError(
            f"{where} has {', '.join(left_out)} files, whose thresholds are proven on their own outputs by eeaug "
            "augment alone; --format onnx (or others) leaves them out"
        )
    return retarget.settings_of(source, changes | {k: v for k, v in asked.items() if v is not None})


def _has_chosen(source: EarlierBundle) -> bool:
    """Whether a part of the choose samples has compared designs before."""
    return len(compared.divided(source.earlier.search.outcomes, source.manifest.seed)[0]) > 0


def _nothing_proven(proof: Proof, settings: Settings, labels: str) -> InfeasibleError:
    budget, promise = settings.goal.max_accuracy_drop, proof.promise
    assert budget is not None
    shown = units.in_words(budget)
    needs = proof.order.up_to(0) - int(proof.known[proof.order.first == 0].sum())
    if needs:
        more = f"{needs:,} samples of the first step have no label yet"
    else:
        more = "the samples are too few"
        if promise.needed is not None and promise.needed > promise.units:
            unit = "groups" if promise.grouped else "samples"
            more += f": about {promise.needed:,} {unit} without a loss would prove it"
    return InfeasibleError(
        f"{labels}: a drop of {shown} cannot be proven with probability {1 - settings.risk:.4g}, not even for the "
        f"strictest thresholds; {more}",
        limit="max_accuracy_drop", given=budget, best=promise.smallest_drop,
    )  # fmt: skip


def _rows(proof: Proof, outcomes: Outcomes) -> list[ToLabel]:
    order, leave = proof.order, [1 - float(p.leave_rates[-1]) for p in proof.opening.passages]
    return [
        ToLabel(
            int(i), int(order.first[i]) + 1, leave[order.first[i]], int(order.answer[i]), int(outcomes.baseline[i])
        )
        for i in order.samples
    ]


def _write(
    source: EarlierBundle,
    settings: Settings,
    built: Built,
    proof: Proof,
    given: Data,
    part: Part,
    progress: Progress,
) -> None:
    """The new bundle: the design of the old one, as far open as is proven."""
    assert proof.index is not None
    changes = {"output": settings.running.output}
    material = retarget.material_of(settings, source, changes, progress)
    retarget.rehearse(settings, source, changes, material, progress)
    note = (
        f"the budget is proven on the {len(part):,} samples of {part.name} of {given.source} (sha256 "
        f"{given.sha256}); other figures are from the calibration samples of {source.earlier.name}"
    )
    material = replace(material, data={**material.data, "notes": [*material.data["notes"], note]})
    progress.warn("nothing was measured: run `eeaug evaluate DIR --data ...` on this bundle")
    thresholds = built.steps[proof.index]
    terms = Terms(("proven",), settings.risk)
    points: list[Point] = [
        replace(point, promise=_of_part(point.promise, part.name, proof.known))
        for point in operating_points.along(
            settings.goal, terms, proof.opening, proof.promise, thresholds, settings.running.seed
        )
    ]
    with progress.step("search"):
        decided = reopened(settings.goal, material, built, thresholds, proof.promise, points)
    deliver(settings, material, progress, decided)


def _facts(proof: Proof, settings: Settings, given: Data, part: Part, request: Request) -> dict[str, Any]:
    order, passages = proof.order, proof.opening.passages
    needs = [order.up_to(k) for k in range(order.steps)]
    leave = [1 - float(passage.leave_rates[-1]) for passage in passages]
    written = request.output is not None and proof.index is not None
    return {
        "data": {"source": given.source, "sha256": given.sha256, "part": part.name},
        "promise": promises.block(proof.promise, settings.input.labels, asked=True),
        "step": None if proof.index is None else proof.index + 1,
        "leave": None if proof.index is None else leave[proof.index],
        "to_label": len(order.samples),
        "labelled": int(proof.known.sum()),
        "steps": [
            {"step": k + 1, "thresholds": list(step), "leave": leave[k], "labels": needs[k]}
            for k, step in enumerate(proof.opening.steps)
        ],
        "next": _next(proof, needs),
        "sheet": str(request.sheet) if request.labels is None and len(order.samples) else None,
        "bundle": str(request.output) if written else None,
    }


def _next(proof: Proof, needs: Sequence[int]) -> str:
    """What more labels may do."""
    order, after = proof.order, 0 if proof.index is None else proof.index + 1
    if after >= order.steps:
        return "The path ends here: more labels change nothing."
    missing = int((~proof.known & (order.first <= after)).sum())
    if not missing:
        return f"Step {after + 1} is not proven, although all its labels are there: only more samples can prove it."
    return (
        f"Next is step {after + 1}: it needs labels for the first {needs[after]:,} samples of the sheet; missing: "
        f"{missing:,}."
    )
