"""The trade-off points of T-RecX's single exit, before they become a table."""

from __future__ import annotations

from eeaug.report.units import macs, points, share
from eeaug.report.words.facts import Report

__all__ = ["rows"]


def rows(report: Report) -> tuple[tuple[str, ...], ...]:
    """Header and rows: the trade-off points; empty for other recipes."""
    facts = report["design"].get("rho")
    if facts is None:
        return ()
    part = "measured" if facts["measured"] else "choose"
    base = report["baseline"][part]["mean_macs"]
    return (
        (
            f"on the {'test' if facts['measured'] else 'calibration'} set",
            "ρ",
            "leave early",
            "drop",
            "mean MACs",
            "saved",
        ),
        *(
            (
                f"nearest to {points(point['asked'], signed=False)}",
                f"{point['rho']:.2f}",
                share(point["exit_rate"]),
                points(point["drop"], signed=False),
                macs(point["mean_macs"]),
                share(1 - point["mean_macs"] / base),
            )
            for point in facts[part]["trade_offs"]
        ),
    )
