"""What a user must know before believing a report's figures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from eeaug.decision import STEP
from eeaug.quantities import apart
from eeaug.report.facts import Report

__all__ = ["sentences"]

FEW_SAMPLES = 200  # on choose: a budget of one point is then two of them


def sentences(report: Report) -> Iterator[str]:
    """The warnings that follow from what the report says."""
    design, base, settings = report["design"], report["baseline"], report["settings"]
    budget, samples = settings["max_accuracy_drop"], base["choose"]["samples"]
    if samples < FEW_SAMPLES:
        yield f"the design was chosen on {samples} samples only: one is {100 / samples:.1f} points of accuracy"
    if settings["correction"] < 1:
        yield (
            f"--correction {settings['correction']:g} lowers the thresholds that were found: more samples leave "
            "than the budget allows"
        )
    yield from (report.get("c") or {}).get("warnings", ())
    cascades = {"": (design["measured"], report["guarantee"])}
    if report["int8"] is not None:
        yield from _closed(report)
        cascades["int8: "] = report["int8"]["measured"], report["int8"]["guarantee"]
    for name, (measured, guarantee) in cascades.items():
        if measured is None or budget is None:
            continue
        drop = base["measured"]["accuracy"] - measured["accuracy"]
        if drop > budget + 1e-9:
            found, asked = apart(lambda value: f"{100 * value:.2f} points", drop, budget)
            yield (
                f"{name}the drop on the test part is {found}, more than the {asked.removesuffix(' points')} "
                f"asked for: {_why(guarantee, measured['samples'])}"
            )


def _closed(report: Report) -> Iterator[str]:
    """Thresholds that were given, and that no int8 confidence can reach."""
    for exit_, own in zip(report["design"]["exits"], report["int8"]["exits"], strict=True):
        if own["threshold"] is None and exit_["threshold"] is not None and exit_["threshold"] > 1 - STEP:
            yield f"int8: nothing leaves at {exit_['location']}: no int8 confidence is above 255/256"


def _why(guarantee: dict[str, Any] | None, samples: int) -> str:
    if guarantee is None:
        return (
            "thresholds were chosen on other samples, and what just fits there often misses elsewhere "
            "(--risk 0.05 proves the budget)"
        )
    return (
        f"the guarantee is about the true drop, of which {samples:,} test samples are a draw, and fails with "
        f"probability {guarantee['risk']:g} at most"
    )
