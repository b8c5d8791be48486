"""What exits for a target class bring it and cost the others, before it becomes a table."""

from __future__ import annotations

from typing import Any

from eeaug.report.units import UNKNOWN, data_part, share, threshold
from eeaug.report.words.facts import Report
from eeaug.settings import COSTS

__all__ = ["missed", "missed_title", "rows", "title"]


def title(report: Report) -> str:
    return f"For {_names(_shown(report['design']['target']))} (Bonato and Bouganis, equations 4 to 12)"


def rows(report: Report) -> tuple[tuple[str, ...], ...]:
    """Header and rows, a column for each part of the data; empty where exits are for all classes."""
    target = report["design"].get("target")
    if target is None:
        return ()
    parts = [("choose", target["choose"])]
    if target["measured"] is not None:
        parts.append(("test", target["measured"]))
    table = [
        ("", *(data_part(name) for name, _ in parts)),
        ("samples of the target", *(f"{part['target_samples']:,.6g}" for _, part in parts)),
        ("samples of others", *(f"{part['other_samples']:,.6g}" for _, part in parts)),
    ]
    for name, cost in COSTS.items():
        words = cost.words.removeprefix("mean ") + (", estimated" if cost.needs else "")
        for key, what in (("gain", "gain of the target"), ("loss", "loss of others")):
            values = [(part["costs"][name] or {}).get(key) for _, part in parts]
            table.append((f"{what}, {words}", *(_times(value) for value in values)))
    values = [(part["costs"]["macs"] or {}).get("gain_by_equation_11") for _, part in parts]
    table.append(("gain by equation 11, MACs", *map(_times, values)))
    for k, exit_ in enumerate(report["design"]["exits"]):
        at = f"at {exit_['location']}, α = {threshold(exit_['threshold'])}"
        for key, what in (("gamma", "leave, of the target's number (γ)"), ("precision", "precision"),
                          ("accuracy", "accuracy as a binary exit (≥ η)")):  # fmt: skip
            table.append((f"{what} {at}", *(share(part["exits"][k][key]) for _, part in parts)))
    table += [
        ("accuracy of the target (≥ η)", *(share(part["target_accuracy"]) for _, part in parts)),
        ("given model's: η", *(share(part["given"]["target_accuracy"]) for _, part in parts)),
        (
            "accuracy of others at the output (≥ β)",
            *(share(part["others_accuracy_at_output"]) for _, part in parts),
        ),
        ("given model's: β", *(share(part["given"]["others_accuracy"]) for _, part in parts)),
        ("given model's precision (ζ)", *(share(part["given"]["precision"]) for _, part in parts)),
    ]
    return tuple(table)


def missed_title(report: Report) -> str:
    part = "test" if report["design"]["target"]["measured"] else "choose"
    return f"Samples of every class that are missed, in the {data_part(part)} set"


def missed(report: Report) -> tuple[tuple[str, ...], ...]:
    """Header and rows, one per class."""
    shown = _shown(report["design"]["target"])
    header = ("class", "by the given model", "at the output", "taken by an exit", "together")
    return (
        header,
        *(
            (
                str(row["class"]),
                *(f"{row[key]:,.6g}" for key in ("given", "at_output", "at_exits")),
                f"{row['at_output'] + row['at_exits']:,.6g}",
            )
            for row in shown["false_negatives"]
        ),
    )


def _shown(target: Report) -> Any:
    return target["measured"] or target["choose"]


def _names(shown: Report) -> str:
    return " and ".join(map(str, shown["classes"]))


def _times(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2f} ×"
