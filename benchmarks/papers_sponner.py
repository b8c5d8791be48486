"""The part of docs/papers.md on table 2 of Sponner et al."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from papers_cells import DASH, Rows, cells, named, not_run, percent, points, runs_of, table, world
from papers_published import SPONNER, Column
from papers_rows import ROWS, Row

__all__ = ["sections"]

Run = Mapping[str, Any]

FLOW_HEADER = (
    "", "accuracy", "change (points)", "precision", "recall", "mean MACs", "mean latency", "mean energy",
    "leave early", "over the budget", "promise",
)  # fmt: skip
COLUMNS = {
    "kws": """### Speech commands

DS-CNN of MLPerf Tiny (2.7 M MACs) for the larger DS-CNN of the paper, 12 classes for its 11; psoc6. Five splits
of the 3,174 windows by speaker. The paper's table says −12.96 points; its text says 99.33 % for the given
model, 14.88 more than 84.45 %.""",
    "ecg": """### ECG

A fully convolutional network on single beats of MIT-BIH, five classes (the paper: six, single-lead signals,
another network); psoc6. Parts are drawn by beat, as in the paper: patients are in all of them.""",
    "cifar-val": """### CIFAR-10

ResNet-110 (pruned, 268 layers) for ResNet-152, trained weights of which are not to be had. rk3588-cloud: CPU,
Mali and a workstation, at most two exits; the rates of CPU and workstation are not in the paper, so there is no
latency here. The weight that the paper searched with is not said for CIFAR-10: its flow is run with a budget of
one point. The given model was trained on the whole training part, so that calibration with a validation set
takes the first 5,000 test images and reports the last 5,000; calibration with the training set takes a part of
that.""",
    "cifar-1.0": "Thresholds from the training set, × 1:",
    "cifar-0.67": "Thresholds from the training set, × 2/3:",
    "cifar-0.5": "Thresholds from the training set, × 1/2:",
}


def sections(rows: Rows) -> list[str]:
    parts = [
        """## Sponner et al., table 2

*The paper's flow*, run here, is `--heads blueprint --scoring independent --mapping one-each --no-reuse --forbid
input`: frozen model, heads like its classifier, after its layers, exits taken as independent, thirteen
thresholds, Bellman–Ford; with `--efficiency-weight 0.9` where the paper says so. Its one pass of joint training
is left out. It promises nothing, and neither does the paper."""
    ]
    for name, words in COLUMNS.items():
        lines = [_of_paper(SPONNER[name])]
        of_column = [row for row in ROWS.values() if row.name.startswith(f"sponner/{name}-")]
        lines += [_line(rows, row) for row in sorted(of_column, key=lambda row: not row.name.endswith("-flow"))]
        parts += [words, table(FLOW_HEADER, lines) + world(rows, f"sponner/{name}-")]
    left_out = [
        _of_paper(column, f"the paper, {column.calibration}") for key, column in SPONNER.items() if "100-" in key
    ]
    parts += [
        "### CIFAR-100\n\nNot made here: neither a trained model nor the data is at hand. The paper reports:",
        table(FLOW_HEADER, left_out), *_search(rows),
    ]  # fmt: skip
    return parts


def _of_paper(column: Column, words: str = "") -> list[str]:
    changes = [points(change) for change in (column.accuracy_change, column.precision_change, column.recall_change)]
    costs = [
        DASH if change is None else percent(change, 2, sign=True)
        for change in (column.macs_change, column.latency_change, column.energy_change)
    ]
    words = words or f"**the paper**: {column.model}, {column.data}"
    return [words, percent(column.accuracy, 2), *changes, *costs, percent(column.leave_early), DASH, "none"]


def _line(rows: Rows, row: Row) -> list[str]:
    runs = runs_of(rows, row)
    if not runs:
        return not_run(row, FLOW_HEADER)

    def change(name: str) -> list[float]:
        pairs = [(run["figures"]["measured"][name], run["figures"]["given"][name]) for run in runs]
        return [after - before for after, before in pairs if after is not None and before is not None]

    def relative(name: str) -> str:
        pairs = [(run["figures"]["measured"][name], run["figures"]["given"][name]) for run in runs]
        ratios = [after / before - 1 for after, before in pairs if after is not None and before]
        return cells(ratios, lambda value: percent(value, sign=True)) if ratios else DASH

    early = [1 - run["figures"]["measured"]["leave_rates"][-1] for run in runs]
    return [
        named(row, runs),
        cells([run["figures"]["measured"]["accuracy"] for run in runs], lambda value: percent(value, 2)),
        *(cells(change(name), points) for name in ("accuracy", "precision", "recall")),
        *(relative(name) for name in ("mean_macs", "mean_latency_s", "mean_energy_j")),
        cells(early, percent), _over(runs), _promise(runs),
    ]  # fmt: skip


def _over(runs: Sequence[Run]) -> str:
    """In how many splits the test samples lose more than the budget."""
    figures = [run["figures"] for run in runs]
    budgets = [known["promise"]["max_accuracy_drop"] for known in figures]
    if any(budget is None for budget in budgets):
        return DASH
    drops = [known["given"]["accuracy"] - known["measured"]["accuracy"] for known in figures]
    return f"{sum(drop > budget + 1e-9 for drop, budget in zip(drops, budgets, strict=True))} of {len(runs)}"


def _promise(runs: Sequence[Run]) -> str:
    promises = [run["figures"]["promise"] for run in runs]
    kinds = {promise["promise"] for promise in promises}
    if kinds == {"none"}:
        return "none"
    given = sum(promise["kept"] for promise in promises)
    kind = " or ".join(sorted(kinds))
    if given == len(runs):
        return kind
    nothing = f"nothing can be {kind}, nothing leaves"
    return nothing if given == 0 else f"{kind} in {given} of {len(runs)} splits, in the others nothing leaves"


SEARCHED = {"kws": "18 min", "ecg": "7 min", "cifar-val": "270 min", "cifar-1.0": "504 min"}
ARCHITECTURES = {"kws": "6", "cifar-val": "2,776", "cifar-1.0": "2,776"}
CONFIGURATIONS = {"cifar-val": "about 450,000", "cifar-1.0": "about 450,000"}


def _search(rows: Rows) -> list[str]:
    header = (
        "",
        "places",
        "heads trained",
        "architectures",
        "with processors",
        "threshold configurations",
        "search",
    )
    lines = []
    for name, time in SEARCHED.items():
        places = "74" if name.startswith("cifar") else DASH
        spaces = (ARCHITECTURES.get(name, DASH), DASH, CONFIGURATIONS.get(name, DASH))
        words = f"**the paper**, {SPONNER[name].model}, {SPONNER[name].calibration}"
        lines.append([words, places, DASH, *spaces, time])
        of_column = [row for row in ROWS.values() if row.name.startswith(f"sponner/{name}-")]
        for cache in dict.fromkeys(row.cache for row in of_column):
            timed = [
                (row, run) for row in of_column if row.cache == cache
                for run in runs_of(rows, row) if run["figures"]["search_s"] is not None
            ]  # fmt: skip
            lines += [_searched(*timed[0])] if timed else []
    return [
        """### Search space and time

The paper searched on a laptop's CPU (i5-1240P, all cores). Here: the first run of a row that trains its heads,
from a cold cache; threads as its command says, on a shared server that other work kept busy. Conversion, the
pass over the data, heads, search.""",
        table(header, lines),
    ]


def _searched(row: Row, run: Run) -> list[str]:
    known = run["figures"]
    keys = ("locations", "heads_trained", "architectures", "placements", "threshold_configurations")
    numbers = [f"{known['search'][key]:,}" for key in keys]
    threads = f"{run['threads']} thread" + ("s" if run["threads"] > 1 else "")
    return [f"{row.words}, {row.model}", *numbers, f"{known['search_s']:.0f} s, {threads}"]
