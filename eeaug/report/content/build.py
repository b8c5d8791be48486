"""report.json: all that any report shows, built once; every other format is rendered from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import eeaug
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.passage import Passage
from eeaug.design import refine
from eeaug.design.design import Chosen, Decided
from eeaug.design.material import Material
from eeaug.design.operating_points import Point
from eeaug.export.verify import Verified
from eeaug.network.costs import Costs
from eeaug.network.segments import Segments
from eeaug.report.content import (
    counted,
    drops,
    idle,
    latency_limit,
    metrics,
    promise,
    remote,
    rho_curve,
    shift,
    specific,
    streams,
    target_facts,
    verdict,
)  # fmt: skip
from eeaug.report.content.counted import Timed
from eeaug.schema.figures import FIGURES
from eeaug.schema.report import VERSION
from eeaug.search.solver import SETTLED_PER_COUNT, Result
from eeaug.search.space import Design, Problem
from eeaug.settings import COSTS, Settings
from eeaug.settings.contradictions import classes_named
from eeaug.stages.partition import Stage

__all__ = ["benefit_curve", "build", "metrics_of", "points_of"]

HALF = np.float32(0.5)
CURVE_POINTS = 40  # of each front
_TIMES = tuple(key for key, figure in FIGURES.items() if figure.null and figure.estimated)


def metrics_of(chosen: Chosen, outcomes: Outcomes, split: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Counted metrics of the given model and of the design; ``outcomes`` are the design's m + 1 rows."""
    common: dict[str, Any] = {
        "split": split,
        "decision": chosen.decision,
        "classes": chosen.classes,
        "basis": chosen.basis,
    }
    alone = metrics.counted(Passage(outcomes.alone, ()), chosen.baseline_segments, **common)
    return alone, metrics.counted(Passage(outcomes, chosen.thresholds), chosen.segments, **common)


def points_of(
    points: Sequence[Point], chosen: Chosen, choose: Outcomes, test: Outcomes | None, settings: Settings,
    *, given_last: bool = True,
) -> list[dict[str, Any]]:  # fmt: skip
    """Every operating point with its own figures; ``choose`` and ``test`` are rows of the design."""
    entries = []
    for point in points:
        at_point = replace(chosen, thresholds=point.thresholds)
        entries.append({
            "name": point.name,
            "max_accuracy_drop": point.budget,
            "thresholds": list(at_point.thresholds),
            "predicted": metrics_of(at_point, choose, "choose")[1],
            "measured": None if test is None else metrics_of(at_point, test, "test")[1],
            "promise": promise.block(
                point.promise, settings.input.labels, asked=settings.promise_asked, given_last=given_last
            ),
            "accuracy_drop_bound_95": drops.bound(at_point, test, settings.running.seed)[0],
        })  # fmt: skip
    return entries


def benefit_curve(
    result: Result, searched: Problem, chosen: Chosen, outcomes: Outcomes, base_accuracy: float
) -> list[dict[str, Any]]:
    """What accuracy drops buy, on choose: the fronts of every mean cost, and the chosen design.

    ``fronts`` of a point names the costs for which no other design loses as little accuracy for less; the chosen
    design may be on none. At most CURVE_POINTS of each front. ``searched``: the problem of ``result``;
    ``outcomes``: the m + 1 rows of the chosen design.
    """
    mine = _on_curve(searched, chosen.design, Passage(outcomes, chosen.thresholds), chosen.segments, base_accuracy)
    points = [mine | {"chosen": True}]
    for design in dict.fromkeys(design for front in result.fronts.values() for design, *_ in front):
        segments = searched.segments([design.exits], design.modes)
        points.append(_on_curve(searched, design, refine.passage(searched, design), segments, base_accuracy))
    shown = {0}
    for cost in (cost.metric for cost in COSTS.values()):
        known = [i for i, point in enumerate(points) if point[cost] is not None]
        front: list[int] = []
        last: tuple[float, float] | None = None
        for i in sorted(known, key=lambda i: (points[i][cost], points[i]["drop"], i)):
            here = points[i][cost], points[i]["drop"]
            if last is None or here[1] < last[1]:
                front.append(i)
                last = here
            if here == last:  # designs with equal figures on other placements belong to the front, too
                points[i]["fronts"].append(cost)
        if front:
            shown |= {front[i] for i in np.linspace(0, len(front) - 1, CURVE_POINTS).round().astype(int)}
    return sorted((points[i] for i in shown), key=lambda p: (p["mean_macs"], p["drop"]))


def _on_curve(
    searched: Problem, design: Design, passage: Passage, segments: Segments, base_accuracy: float
) -> dict[str, Any]:
    return {
        "drop": base_accuracy - passage.accuracy,
        **{cost.metric: _known(passage.mean(segments.of(name)[0])) for name, cost in COSTS.items()},
        "exits": [searched.costs.exits[e].location for e in design.exits],
        "fronts": [],
        "chosen": False,
    }


def build(
    settings: Settings, material: Material, decided: Decided, test: Outcomes | None, checked: Verified | None,
    int8: dict[str, Any] | None,
) -> dict[str, Any]:  # fmt: skip
    """The report but for its warnings, some of which follow from it, and the manifest.

    Parameters
    ----------
    test : the m + 1 rows of the design as its stages gave them on test; None: there is no such part
    checked : None: nothing was written
    int8 : its block (content.int8); None: there are no int8 files
    """
    classifier = material.network.classifier
    asked, labels = settings.as_dict(material.network.rules.max_exits), settings.input.labels
    stages, searched, rows = decided.stages, decided.searched, decided.rows
    c = _figures(checked, "c")
    files = c or (int8 or {}).get("c")
    by_count = counted.timed(decided.chosen, searched.costs, files)
    chosen = decided.chosen if by_count is None else by_count.chosen
    base_choose, exact = metrics_of(chosen, rows, "choose")
    base_test, measured = metrics_of(chosen, test, "test") if test is not None else (None, None)
    points = points_of(decided.points, chosen, rows, test, settings)
    independent = metrics.independent(rows, chosen.thresholds, chosen.segments, split="choose", basis=chosen.basis)
    if by_count is not None and c is None and int8 is not None:
        independent |= dict.fromkeys(_TIMES)
        _take_times(exact, measured, points, int8)
    shown = (base_choose, exact) if base_test is None or measured is None else (base_test, measured)
    passage = Passage(rows if test is None else test, chosen.thresholds)
    target = specific.figures(decided, test)
    handed = counted.handed(chosen, searched.costs, files)
    came, split = decided.chosen.segments.handover_bytes[0].astype(int), "choose" if test is None else "test"
    sent = remote.figures(material.network.hardware, stages, passage, came, split)
    unlimited = latency_limit.without(decided)
    quiet = classes_named("background", settings.goal.background, chosen.classes)
    stream, streamed = streams.block(settings, decided, chosen, material.sequences, test, quiet)
    return {
        "schema_version": VERSION,
        "eeaug": eeaug.__version__,
        "model": {
            "file": classifier.file,
            "sha256": classifier.sha256,
            "name": classifier.name,
            "parameters": sum(block.parameters for block in material.network.given_blocks),
            "macs": int(chosen.baseline_segments.macs.sum()),
            "input_shape": list(classifier.input_shape),
            "classes": list(chosen.classes),
            "decision": chosen.decision.kind,
        },
        "hardware": target_facts.block(chosen, stages, searched.costs),
        "settings": asked,
        "data": material.data,
        "baseline": {
            "processor": chosen.baseline_processor,
            **chosen.baseline_choices,
            "choose": base_choose,
            "measured": base_test,
        },
        "design": {
            "summary": streams.sentence(stream, chosen.thresholds)
            + verdict.dearer(*shown)
            + (
                verdict.sentence(
                    chosen,
                    stages,
                    labels,
                    *shown,
                    decided.promise,
                    without_exits=idle.without_exits(searched) or verdict.obstacle(decided, settings.goal),
                )
                if target is None
                else specific.sentence(target, len(chosen.design.exits))
            )
            + ("" if c is not None or not chosen.design.exits else verdict.in_int8(shown[0], int8))
            + latency_limit.sentence(unlimited, settings.goal),
            "segments": _segments(chosen, stages, searched.costs, by_count, handed),
            "exits": _exits(chosen, stages, searched.costs, rows),
            "predicted": {
                "independent": independent,
                "exact": exact,
            },
            "measured": measured,
            "without_latency_limit": unlimited,
            "reuse": None if chosen.reuse is None else {"weights": [list(w) for w in chosen.reuse.weights]},
            "confidences": metrics.confidences(passage, split=shown[1]["split"]),
            "classes": metrics.classes(
                passage, split=shown[1]["split"], decision=chosen.decision, names=chosen.classes
            ),
            "finetune": material.finetune,
            "target": target,
            "rho": rho_curve.on(decided, test) if settings.training.recipe == "trecx" else None,
            **({} if sent is None else {"remote": sent}),
        },
        "benefit_curve": benefit_curve(decided.result, searched, decided.chosen, rows, base_choose["accuracy"]),
        "operating_points": points,
        "promise": promise.block(decided.promise, labels, asked=settings.promise_asked),
        "proven_together": promise.together_of(decided.points),
        **drops.figures(
            chosen,
            rows,
            test,
            settings,
            retargeted=material.earlier is not None,
            streamed=streamed,
        ),
        "shift": shift.figures(
            chosen,
            [searched.costs.exits[e].location for e in chosen.design.exits],
            material.candidates,
            rows,
            test,
            parts=material.data["parts"],
            labelled=labels == "given",
        ),
        "search": _search(material, decided.result),
        "int8": int8,
        "c": None if c is None else counted.block(c, decided.chosen, searched.costs, shown[1]["leave_rates"]),
        "verification": {} if checked is None else checked.as_dict(),
        **({} if stream is None else {"stream": stream}),
    }


def _figures(checked: Verified | None, name: str) -> dict[str, Any] | None:
    """A format's own block; None: it was not asked for, or has none."""
    format_checked = None if checked is None else checked.formats.get(name)
    return None if format_checked is None or format_checked.figures is None else dict(format_checked.figures)


def _search(material: Material, result: Result) -> dict[str, Any]:
    rejected = dict(result.settled.rejected)
    latency = rejected.pop("latency", 0)
    partly = (
        f"all with up to two exits; of those with more, the best {SETTLED_PER_COUNT} of each number and all that "
        "are close to the best"
    )
    return {
        "locations": len(material.network.rules.locations),
        "locations_left_out": material.network.left_out,
        "heads_trained": material.candidates.heads_trained,
        "heads_kept": len(material.candidates.trained),
        "architectures": result.architectures,
        "placements": result.placements,
        "threshold_configurations": result.settled.configurations,
        "settled": "all" if result.complete else partly,
        "rejected": {"latency": latency, "memory": sum(rejected.values())},
    }


def _take_times(
    exact: dict[str, Any],
    measured: dict[str, Any] | None,
    points: Sequence[dict[str, Any]],
    int8: Mapping[str, Any],
) -> None:
    """Without float files, times and energies are those of the int8 cascade: no file runs with the float exits."""
    by_name = {point["name"]: point for point in int8["operating_points"]}
    pairs = [(exact, int8["predicted"]), (measured, int8["measured"])]
    for point in points:
        same = by_name.get(point["name"], {})
        pairs += [(point[key], same.get(key)) for key in ("predicted", "measured")]
    for mine, of_int8 in pairs:
        if mine is not None:
            mine |= dict.fromkeys(_TIMES) if of_int8 is None else {key: of_int8[key] for key in _TIMES}


def _segments(
    chosen: Chosen, stages: Sequence[Stage], costs: Costs, by_count: Timed | None, handed: Sequence[tuple[int, int]]
) -> list[dict[str, Any]]:
    """``by_count``: the design by counted instructions; None: by the hardware description alone.

    ``handed``: per segment the bytes that it receives and hands over.
    """
    entries = []
    exits, modes = chosen.design.exits, chosen.design.modes
    carried = 0 if chosen.reuse is None else chosen.decision.outputs
    for k, stage in enumerate(stages):
        head = stage.exit.head if stage.exit else None
        start = np.array([costs.after[exits[k - 1]] if k else 0])
        received_s = costs.handover(start, modes[k - 1] if k else None, modes[k], k * carried)[0][0]
        head_s = costs.head_time_s[modes[k], exits[k]] if head else 0.0
        if by_count is not None:
            received_s, head_s = by_count.received_s[k], by_count.head_s[k]
        entries.append({
            "stage": stage.name,
            "processor": stage.processor,
            **stage.choices,
            "from": stage.start,
            "to": stage.end or "output",
            "head": head.name if head else None,
            "macs": stage.macs - (head.macs if head else 0),
            "head_macs": head.macs if head else 0,
            "received_bytes": handed[k][0],
            "handover_bytes": handed[k][1],
            "latency_s": _known(chosen.segments.time_s[0, k]),
            "received_latency_s": _known(received_s),
            "head_latency_s": _known(head_s),
            "energy_j": _known(chosen.segments.energy_j[0, k]),
            "bytes_per_element": stage.bytes_per_element,
            "storage_bytes": int(chosen.segments.parameters_bytes[0, k]),
            "peak_activation_bytes": int(chosen.segments.activation_bytes[0, k]),
        })  # fmt: skip
    return entries


def _exits(chosen: Chosen, stages: Sequence[Stage], costs: Costs, rows: Outcomes) -> list[dict[str, Any]]:
    cumulative = np.cumsum(chosen.segments.macs[0])
    return [
        {
            "location": costs.exits[e].location,
            "processor": stages[k].processor,
            "head": costs.exits[e].head,
            "threshold": chosen.thresholds[k],
            "macs": int(cumulative[k]),
            "head_macs": int(costs.head_macs[e]),
            "accuracy": _accuracy(rows, k),
        }
        for k, e in enumerate(chosen.design.exits)
    ]


def _accuracy(rows: Outcomes, k: int) -> float:
    """Of an exit by itself; of one that only says that there is nothing, how often it tells that from something."""
    if rows.judged is None:
        return float(rows.accuracies[k])
    return float(rows.share((rows.confidence[k] >= HALF) != rows.judged))


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
