"""docs/papers.md from the runs of papers.py; what was not run says so.

``rows`` everywhere: name of a row → split → run, as benchmarks/papers.json has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import papers_chart
import papers_curves
import papers_specific
import papers_sponner
from papers_cells import DASH, Rows, percent, points, runs_of, saved_at, table
from papers_published import MEAN_GAINS, SPONNER, TRECX
from papers_rows import ROWS, THREADS

__all__ = ["render"]

Run = Mapping[str, Any]

INTRODUCTION = """# The papers' tables, beside eeaug's

Three papers' tables, as far as they can be made with weights and data that are to be had, each line of the
paper beside what this tool does there. Everything below is written by one command, which also runs what it
shows:

    python benchmarks/papers.py --data-dir DIR --work-dir W

`DIR` holds models and data (`benchmarks/public_models.py` and `benchmarks/trecx.py` say which). A row that has
not been run says so, with the command that runs it; `--render` writes this page from `benchmarks/papers.json`,
where every number of eeaug stands. The papers' numbers are in `benchmarks/papers_published.py`, with their
tables.

How to read it. *Expected* and *proven* are `--promise`: thresholds come from `x_val`, heads from `x_train`, and
what is shown is read on test samples that nothing was chosen on. *Oracle* is a threshold that is best for the
very samples that are reported, as T-RecX draws its curves: nobody can know it. MACs are counted, those of heads
included; latency and energy are estimates from the hardware description. ± is the deviation between splits,
each with its own samples and training seed. The papers used other trained weights, other machines and other
splits: their lines show what they report, not what their methods would come to here."""


def render(rows: Rows) -> dict[str, str]:
    """File name in docs/ → what is in it."""
    parts = [
        INTRODUCTION,
        *_glance(rows),
        *papers_sponner.sections(rows),
        *papers_curves.sections(rows),
        *papers_specific.sections(rows),
        *_provenance(rows),
    ]
    return {"papers.md": "\n\n".join(parts) + "\n", **papers_chart.curves(rows)}


def _glance(rows: Rows) -> list[str]:
    """One line of each table."""

    def ours(name: str) -> str:
        runs, splits = runs_of(rows, ROWS[name]), ROWS[name].seeds
        some = f" ({len(runs)} of {splits} splits run)" if len(runs) < splits else ""
        return saved_at(runs) + some if runs else "not run"

    lines = []
    budgets = {"kws": ("one", "1"), "ecg": ("half", "0.5"), "cifar-val": ("", "1")}
    for name, (word, budget) in budgets.items():
        column, ending = SPONNER[name], f"-{word}" if word else ""
        paper = f"{percent(-column.macs_change, 2)} at {points(-column.accuracy_change).lstrip('+')}"
        own = [ours(f"sponner/{name}-{promise}{ending}") for promise in ("expected", "proven")]
        lines.append([f"Sponner et al., {column.model}, {column.data}", paper, budget, *own])
    for task, known in TRECX.items():
        own = [ours(f"trecx/{task}-{promise}-1") for promise in ("expected", "proven")]
        lines.append([f"T-RecX, {known.model}", f"{percent(known.saved[1])} at 1.00 (oracle)", "1", *own])
    gain, times = papers_specific.mean_gain(rows), f"{MEAN_GAINS['ResNet-110']:.2f} times (equation 11)"
    lines.append(["Bonato and Bouganis, ResNet-110, mean of ten classes", times, DASH, gain, "no such promise"])
    return [
        "## At a glance\n\nMean MACs saved, at how many points of accuracy lost; eeaug's on test samples, for "
        "a budget of so many points.",
        table(("", "the paper", "budget", "eeaug, expected", "eeaug, proven"), lines),
    ]


def _provenance(rows: Rows) -> list[str]:
    lines, versions = [], set()
    for row in ROWS.values():
        runs = runs_of(rows, row)
        if not runs:
            lines.append([f"`{row.name}`", f"`{row.command(0, THREADS)}`", "not run", DASH, DASH, DASH])
            continue
        seconds = sum(run["seconds"] for run in runs)
        dates, commits = (", ".join(dict.fromkeys(run[key] for run in runs)) for key in ("date", "commit"))
        line = (
            f"`{row.name}`",
            f"`{runs[0]['command']}`",
            f"{len(runs)} of {row.seeds}",
            dates,
            commits,
            f"{seconds:.0f}",
        )
        lines.append(list(line))
        versions |= {_versions(run) for run in runs}
    with_what = f" {'; '.join(sorted(versions))}." if versions else ""
    return [
        "## Rows\n\nEach with its command (of the first split), its commit (+: and what was not committed yet) and "
        f"date; DIR is the data directory, W the work directory. `--only ROW` runs one by itself.{with_what}",
        table(("row", "command", "splits", "date", "commit", "seconds"), lines),
    ]


def _versions(run: Run) -> str:
    others = (f"{name} {version}" for name, version in run["versions"].items())
    return ", ".join([f"eeaug {run['eeaug']}", f"Python {run['python']}", *others])
