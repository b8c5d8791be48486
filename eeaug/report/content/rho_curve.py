"""The benefit curve of a single exit over its threshold ρ, as T-RecX reports it (section 6, figure 4, table 1)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.outcomes import Outcomes
from eeaug.design.design import Decided

__all__ = ["curve", "on"]

STEPS = np.linspace(0, 1, 101)
TRADE_OFFS = (0.01, 0.02, 0.03)


def on(decided: Decided, test: Outcomes | None) -> dict[str, Any] | None:
    """The curves of the design's one exit on choose and test; None: it has none."""
    if not decided.chosen.design.exits:
        return None
    segments = decided.chosen.segments.macs[0]
    return {
        "choose": curve(decided.rows, segments),
        "measured": None if test is None else curve(test, segments),
    }


def curve(outcomes: Outcomes, segments: NDArray[np.float64]) -> dict[str, Any]:
    """Exit rate, accuracy and mean MACs at every ρ of STEPS, and the three trade-off points.

    ``outcomes`` of the exit and the final classifier, ``segments`` (2,) their MACs. A trade-off point is the one
    whose accuracy is closest to the given model's less 1, 2 or 3 points; of equally close ones, that of least MACs.
    """
    leaves = outcomes.confidence[0] >= STEPS[:, None]
    rate = outcomes.share(leaves)
    right = np.where(leaves, outcomes.correct[0], outcomes.correct[1])
    points = [
        {"rho": float(step), "exit_rate": float(r), "accuracy": float(a), "mean_macs": float(m)}
        for step, r, a, m in zip(
            STEPS, rate, outcomes.share(right), segments[0] + (1 - rate) * segments[1], strict=True
        )
    ]
    given = float(outcomes.share(outcomes.baseline_right))
    trade_offs = []
    for drop in TRADE_OFFS:
        best = min(points, key=lambda p: (round(abs(p["accuracy"] - (given - drop)), 12), p["mean_macs"]))
        trade_offs.append({"asked": drop, "drop": given - best["accuracy"], **best})
    alone = [float(accuracy) for accuracy in outcomes.accuracies]
    return {"curve": points, "trade_offs": trade_offs, "standalone": {"exit": alone[0], "final": alone[1]}}
