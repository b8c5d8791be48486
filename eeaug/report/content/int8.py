"""The int8 cascade's part of report.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from eeaug.bundle.entries import StageEntry
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import Quantised
from eeaug.cascade.passage import Passage
from eeaug.design.again import Again
from eeaug.design.design import Chosen
from eeaug.export.formats import Checked, Work
from eeaug.export.int8.int8_cascade import FORMAT
from eeaug.network.costs import Costs
from eeaug.report.content import counted, drops, promise
from eeaug.report.content.build import metrics_of, points_of
from eeaug.schema.figures import FIGURES
from eeaug.settings import Settings

__all__ = ["build"]

# figures that rates and widths of a float processor say nothing of
_BY_ARITHMETIC = tuple(key for key, figure in FIGURES.items() if figure.null)


def build(
    chosen: Chosen, costs: Costs, work: Work, integer: Again, *, floats: Outcomes, test: Outcomes | None,
    checks: Mapping[str, Checked], settings: Settings,
) -> dict[str, Any]:  # fmt: skip
    """The block ``int8`` of the report.

    Parameters
    ----------
    floats : what the float cascade's m + 1 classifiers say of test, without such a part of choose
    test : the same of the int8 stages, with the given float model's answers; None: there is no such part
    checks : by format, how its decisions compare with those of the int8 stages in LiteRT
    """
    figures = _figures(checks.get("c-int8"))
    by_count = counted.timed(chosen, costs, figures)
    estimated = chosen.of_profile if costs.format == "c" else chosen  # float C takes other times
    int8_chosen = replace(by_count.chosen if by_count else estimated, thresholds=integer.thresholds)
    exact = metrics_of(int8_chosen, integer.rows, "choose")[1]
    measured = None if test is None else metrics_of(int8_chosen, test, "test")[1]
    mine = integer.rows if test is None else test
    same = Passage(floats, chosen.thresholds).predicted == Passage(mine, integer.thresholds).predicted
    points = points_of(integer.points, int8_chosen, integer.rows, test, settings, given_last=False)
    used = {stage.processor for stage in work.stages}
    by_rates = by_count is None and costs.format != "c-int8"
    if by_rates and any(p.arithmetic != "int8" for p in work.hardware.processors if p.name in used):
        for metrics in (exact, measured, *(point[key] for point in points for key in ("predicted", "measured"))):
            if metrics is not None:
                metrics.update(dict.fromkeys(_BY_ARITHMETIC))
    files = work.manifest.int8
    assert files is not None
    exits = zip(work.stages, integer.thresholds, integer.rows.accuracies, strict=False)
    return {
        "kernels": files.kernels,
        "calibration_samples": files.calibration_samples,
        "exits": [
            {
                "location": stage.end,
                "threshold": threshold,
                "constant": Quantised.constant(threshold),
                "accuracy": float(accuracy),
            }
            for stage, threshold, accuracy in exits
        ],
        "predicted": exact,
        "measured": measured,
        "same_answer": float(mine.share(same)),
        "operating_points": points,
        "promise": promise.block(
            integer.promise, settings.input.labels, asked=settings.promise_asked, given_last=False
        ),
        **drops.figures(int8_chosen, integer.rows, test, settings),
        "stages": [_stage(work, entry) for entry in work.manifest.stages],
        "c": None if figures is None else counted.block(figures, chosen, costs, (measured or exact)["leave_rates"]),
        "checks": {name: checked.as_dict() for name, checked in checks.items()},
    }


def _figures(checked: Checked | None) -> dict[str, Any] | None:
    return None if checked is None or checked.figures is None else dict(checked.figures)


def _stage(work: Work, entry: StageEntry) -> dict[str, Any]:
    tflm = entry.tflm
    return {
        "stage": entry.name,
        "file_bytes": (work.directory / entry.files[FORMAT]).stat().st_size,
        "requantised": entry.int8 is not None and entry.int8.requantised_from is not None,
        "arena_bytes": None if tflm is None else tflm.arena_bytes,
        "operators": None if tflm is None else list(tflm.operators),
        **_vela(work, entry),
    }


def _vela(work: Work, entry: StageEntry) -> dict[str, Any]:
    """What Vela says of it, if it was compiled for an NPU."""
    facts = entry.vela
    if facts is None:
        return {}
    size = (work.directory / entry.files["vela"]).stat().st_size
    return {"vela": {**facts.as_dict(), "file_bytes": size, "latency_s": facts.cycles / facts.clock_hz}}
