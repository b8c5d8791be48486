"""Why nothing leaves early, and what would be needed for it."""

from __future__ import annotations

from dataclasses import dataclass

from eeaug.report.words import next_steps
from eeaug.report.words.facts import Report

__all__ = ["NEAREST", "Why", "why"]

NEAREST = 3  # designs that are shown


@dataclass(frozen=True)
class Why:
    """Sentences, positions in benefit_curve of the designs with exits that lose least, commands that try it."""

    sentences: tuple[str, ...]
    nearest: tuple[int, ...]
    commands: tuple[tuple[str, str], ...]


def why(report: Report, place: str) -> Why | None:
    """None where there are exits; ``place``: the bundle's directory."""
    if report["design"]["exits"]:
        return None
    rejected, asked = report["search"]["rejected"], report["settings"]
    limits = {"latency": "worst-case latency (--max-latency, or --period)", "memory": "memory of the target"}
    sentences = [report["promise"]["statement"]] if report["promise"]["steps_tested"] else []
    sentences += [
        f"{number:,} {'placement was' if number == 1 else 'placements were'} rejected: they need more than the "
        f"{limits[limit]} allows."
        for limit, number in rejected.items()
        if number and limit in limits
    ]
    curve, whole = report["benefit_curve"], report["baseline"]["choose"]["mean_macs"]
    better = [k for k, point in enumerate(curve) if point["exits"] and point["mean_macs"] < whole]
    nearest = sorted(better, key=lambda k: (curve[k]["drop"], curve[k]["mean_macs"]))[:NEAREST]
    if not better and not asked["exit_at"]:
        sentences.append("No design with exits that keeps the limits saves any MACs.")
    looser = next_steps.looser(report, place)
    return Why(tuple(sentences), tuple(nearest), () if looser is None else (looser,))
