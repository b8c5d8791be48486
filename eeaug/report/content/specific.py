"""What exits for a target class bring it and cost the others."""

from __future__ import annotations

from typing import Any

from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.passage import Passage
from eeaug.design import class_specific
from eeaug.design.design import Decided
from eeaug.report.units import share
from eeaug.settings import COSTS

__all__ = ["figures", "sentence"]


def figures(decided: Decided, test: Outcomes | None) -> dict[str, Any] | None:
    """On choose and test; None if the exits are for all classes."""
    chosen, specific = decided.chosen, decided.specific
    if specific is None:
        return None
    segments, base = chosen.segments, chosen.baseline_segments
    costs = {name: (segments.of(name)[0], float(base.of(name).sum())) for name in COSTS}

    def on(rows: Outcomes) -> dict[str, Any]:
        return class_specific.figures(specific, Passage(rows, chosen.thresholds), costs, chosen.classes)

    return {"choose": on(decided.rows), "measured": None if test is None else on(test)}


def sentence(target: dict[str, Any], exits: int) -> str:
    """The answer in one sentence, of :func:`figures`."""
    shown = target["measured"] or target["choose"]
    names = " and ".join(map(str, shown["classes"]))
    where = "on the test set" if target["measured"] else "on the calibration set (no test data)"
    if not exits:
        return (
            f"No exit for {names} keeps the given model's accuracy and saves MACs: the whole model runs for "
            "every class."
        )
    costs = shown["costs"]["macs"]
    return (
        f"Samples of {names} need {costs['gain']:.2f} times fewer MACs than in the given model, all others "
        f"{costs['loss']:.2f} times as many; {share(shown['target_accuracy'])} of {names} are right, "
        f"{share(shown['given']['target_accuracy'])} with the given model, {where}."
    )
