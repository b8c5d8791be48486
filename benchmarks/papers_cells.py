"""Cells and tables of docs/papers.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from papers_rows import ROWS, Row

__all__ = [
    "DASH",
    "Rows",
    "cells",
    "mean",
    "named",
    "not_run",
    "percent",
    "points",
    "runs_of",
    "saved_at",
    "table",
    "world",
]

Rows = Mapping[str, Mapping[str, Mapping[str, Any]]]
DASH = "–"


def runs_of(rows: Rows, row: Row) -> list[Mapping[str, Any]]:
    """Its runs of today's command, by split."""
    of = sorted(rows.get(row.name, {}).items(), key=lambda item: int(item[0]))
    return [run for seed, run in of if row.current(int(seed), run)]


def named(row: Row, runs: Sequence[Mapping[str, Any]]) -> str:
    """What a row is called; also how many of its splits were run, where some are missing."""
    return row.words if len(runs) == row.seeds else f"{row.words} ({len(runs)} of {row.seeds} splits run)"


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    assert all(len(line) == len(header) for line in lines)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *lines))


def not_run(row: Row, header: Sequence[str]) -> list[str]:
    return [row.words, f"not run (`--only {row.name}`)", *[DASH] * (len(header) - 2)]


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def cells(values: Sequence[float], shown: Callable[[float], str]) -> str:
    """The mean, and the deviation if there are several."""
    if not values:
        return DASH
    middle = mean(values)
    if len(values) == 1:
        return shown(middle)
    deviation = mean([(value - middle) ** 2 for value in values]) ** 0.5
    return f"{shown(middle)} ± {shown(deviation).lstrip('+').removesuffix(' %')}"


def percent(share: float, digits: int = 1, *, sign: bool = False) -> str:
    return (f"{100 * share:+.{digits}f}" if sign else f"{100 * share:.{digits}f}").replace("-", "−") + " %"


def points(change: float) -> str:
    return f"{100 * change:+.2f}".replace("-", "−")


def saved_at(runs: Sequence[Mapping[str, Any]]) -> str:
    """Share of the mean MACs that is saved on test samples, and the points lost there."""
    pairs = [(run["figures"]["measured"], run["figures"]["given"]) for run in runs]
    saved = [1 - after["mean_macs"] / before["mean_macs"] for after, before in pairs]
    drops = [before["accuracy"] - after["accuracy"] for after, before in pairs]
    return f"{cells(saved, percent)} at {cells(drops, lambda drop: points(drop).lstrip('+'))}"


def world(rows: Rows, prefix: str) -> str:
    """How many samples served what, in the first run of these rows that there is."""
    every = [runs for row in ROWS.values() if row.name.startswith(prefix) and (runs := runs_of(rows, row))]
    held = [runs for runs in every if "parts" in runs[0]["figures"]]
    if not held:
        return ""
    names = {"fit": "heads learn from", "screen": "screened on", "choose": "thresholds from", "test": "read on"}
    known = {
        key: mean([run["figures"]["parts"][key] for run in held[0]])
        for key in names if key in held[0][0]["figures"]["parts"]
    }  # fmt: skip
    text = ", ".join(f"{names[key]} {round(size):,}" for key, size in known.items())
    number = len(held[0])
    return f"\n\nSamples: {text}" + (f" (means of {number} splits)." if number > 1 else ".")
