"""docs/papers.md from the runs of papers.py; what was not run says so.

``rows`` everywhere: name of a row → split → run, as benchmarks/papers.json has them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import papers_chart
import papers_specific
from papers_cells import DASH, Rows, cells, mean, not_run, percent, points, runs_of, table
from papers_published import OTHERS_ALONE, SPONNER, TRECX, Column, Trecx
from papers_rows import NIGHT_PASSES, ROWS, THREADS, Row

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
    parts = [INTRODUCTION, *_sponner(rows), *_trecx(rows), *papers_specific.sections(rows), *_provenance(rows)]
    return {"papers.md": "\n\n".join(parts) + "\n", **papers_chart.curves(rows)}


# Sponner et al.

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


def _sponner(rows: Rows) -> list[str]:
    parts = [
        """## Sponner et al., table 2

*The paper's flow*, run here, is `--heads blueprint --scoring independent --mapping one-each --no-reuse`: frozen
model, heads like its classifier, exits taken as independent, thirteen thresholds, Bellman–Ford; with
`--efficiency-weight 0.9` where the paper says so. Its one pass of joint training is left out. It promises
nothing, and neither does the paper."""
    ]
    for name, words in COLUMNS.items():
        lines = [_of_paper(SPONNER[name])]
        lines += [_line(rows, row) for row in ROWS.values() if row.name.startswith(f"sponner/{name}-")]
        parts += [words, table(FLOW_HEADER, lines) + _world(rows, f"sponner/{name}-")]
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
        row.words, cells([run["figures"]["measured"]["accuracy"] for run in runs], lambda value: percent(value, 2)),
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


def _world(rows: Rows, prefix: str) -> str:
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


# T-RecX

CURVE_HEADER = (
    "", "given model", "0 points", "1 point", "2 points", "3 points", "1 point, held out", "over", "exits alone",
    "final alone", "parameters", "samples",
)  # fmt: skip
TASKS = {
    "ic": "### Image classification: ResNet-8, CIFAR-10",
    "kws": "### Keywords: DS-CNN, Speech Commands",
    "vww": "### Visual wake words: MobileNetV1 0.25",
}


def _trecx(rows: Rows) -> list[str]:
    parts = [
        """## T-RecX, table 1 and figure 4

MACs of the unmodified model that are saved within a drop of so many points from its accuracy: points of the
benefit curve. The paper, its published models and *frozen* are one threshold from 0 to 1 in steps of 0.01, an
oracle; the paper takes the step nearest to a drop, here it must be within it; a dash: no threshold is. *Held
out*: the threshold for one point from one half of the samples, read on the other, over 50 halves; *over*: in
how many of them more is lost. *Expected* and *proven*: a run of its own for each budget, read on test samples,
with the drop there. T-RecX trains the whole network again, 500 passes for ResNet-8, together with its exit;
*frozen* trains heads alone. Its published models were trained on the KWS windows that are read here, as the
given model was."""
    ]
    for task, words in TASKS.items():
        known = TRECX[task]
        lines = [_of_trecx(known)]
        curves = [row for row in ROWS.values() if row.name.startswith(f"trecx/{task}-") and row.kind != "augment"]
        lines += [_curve_line(rows, row) for row in curves]
        lines += [_budget_line(rows, task, promise) for promise in ("expected", "proven")]
        lines += [
            _recipe_line(rows, ROWS[f"trecx/ic-{name}"]) for name in ("recipe", "recipe-night") if task == "ic"
        ]
        picture = f"![{known.model}: points lost over MACs saved](papers-{task}.svg)"
        parts += [words, table(CURVE_HEADER, lines) + _world(rows, f"trecx/{task}-"), picture]
    parts.append(
        "`--recipe trecx` trains ResNet-8 and its exit together, from the given weights. For "
        f"{NIGHT_PASSES} passes, which take a night:\n\n"
        "    python benchmarks/papers.py --data-dir DIR --work-dir W --only trecx/ic-recipe-night"
    )
    return [*parts, *_alone(rows)]


def _of_trecx(known: Trecx) -> list[str]:
    alone = [percent(known.exit_alone), percent(known.final_alone), f"{known.with_exit:,}", DASH]
    saved = [percent(share) for share in known.saved]
    return [f"**the paper**: {known.model}", percent(known.accuracy), *saved, DASH, DASH, *alone]


def _curve_line(rows: Rows, row: Row) -> list[str]:
    runs = runs_of(rows, row)
    if not runs:
        return not_run(row, CURVE_HEADER)
    curves = [run["figures"]["curve"] for run in runs]

    def saved(k: int) -> str:
        there = [curve["oracle"][k] for curve in curves if curve["oracle"][k] is not None]
        missing = "" if len(there) == len(curves) else f" ({len(there)} of {len(curves)} splits)"
        return cells(there, percent) + missing if there else DASH

    held = [curve["held_out"] for curve in curves if curve["held_out"] is not None]
    if not held:
        halves = [DASH, DASH]
    else:
        deviation = mean([each[1] for each in held])
        over, every = (sum(curve[key] for curve in curves) for key in ("over", "halves"))
        halves = [f"{percent(mean([each[0] for each in held]))} ± {percent(deviation)}", f"{over} of {every}"]
    exits = [[curve["alone"][k] for curve in curves] for k in range(min(len(c["alone"]) for c in curves) - 1)]
    return [
        row.words, cells([curve["given"] for curve in curves], percent), *(saved(k) for k in range(4)), *halves,
        ", ".join(cells(alone, percent) for alone in exits) or DASH,
        cells([curve["alone"][-1] for curve in curves], percent),
        f"{round(mean([curve['parameters'] for curve in curves])):,}",
        f"{round(mean([curve['samples'] for curve in curves])):,}",
    ]  # fmt: skip


def _budget_line(rows: Rows, task: str, promise: str) -> list[str]:
    of = {k: ROWS[f"trecx/{task}-{promise}-{k}"] for k in (1, 2, 3)}
    runs = {k: runs_of(rows, row) for k, row in of.items()}
    some = next((known for known in runs.values() if known), None)
    if some is None:
        return not_run(of[1], CURVE_HEADER)
    given = cells([run["figures"]["given"]["accuracy"] for run in some], percent)
    saved = [_saved_at(known) if known else "not run" for known in runs.values()]
    samples = f"{round(mean([run['figures']['measured']['samples'] for run in some])):,}"
    return [of[1].words, given, DASH, *saved, DASH, DASH, DASH, given, DASH, samples]


def _saved_at(runs: Sequence[Run]) -> str:
    pairs = [(run["figures"]["measured"], run["figures"]["given"]) for run in runs]
    saved = [1 - after["mean_macs"] / before["mean_macs"] for after, before in pairs]
    drops = [before["accuracy"] - after["accuracy"] for after, before in pairs]
    return f"{cells(saved, percent)} at {cells(drops, lambda drop: f'{100 * drop:.2f}')}"


def _recipe_line(rows: Rows, row: Row) -> list[str]:
    runs = runs_of(rows, row)
    if not runs:
        return not_run(row, CURVE_HEADER)
    known = runs[0]["figures"]
    given, recipe = known["given"], known["finetune"]
    words = f"{row.words}, weight {recipe['exit_weights'][0]['weight']:g}"
    blank = [DASH] * 4
    if not recipe["kept"]:
        return [f"{words}: not kept, the frozen exit saves more", percent(given["accuracy"]), *blank, *[DASH] * 6]
    rho = known["rho"]
    saved = [
        f"{percent(1 - point['mean_macs'] / given['mean_macs'])} at {100 * point['drop']:.2f}"
        for point in rho["trade_offs"]
    ]
    alone = [percent(rho["standalone"][name]) for name in ("exit", "final")]
    samples = f"{known['measured']['samples']:,}"
    return [words, percent(given["accuracy"]), DASH, *saved, DASH, DASH, *alone, DASH, samples]


def _alone(rows: Rows) -> list[str]:
    header = ("", "exits alone", "final alone", "parameters")
    lines = []
    for (task, name), (parameters, exits, final) in OTHERS_ALONE.items():
        words = f"**the paper**: {TRECX[task].model}, {name}"
        lines.append([words, ", ".join(map(percent, exits)), percent(final), f"{parameters:,}"])
    places = [CURVE_HEADER.index(name) for name in header]
    for task in ("ic", "kws"):
        for name in ("published", "frozen"):
            line = _curve_line(rows, ROWS[f"trecx/{task}-{name}"])
            lines.append([f"{TRECX[task].model}, {line[0]}", *(line[place] for place in places[1:])])
    return [
        """### Table 2: classifiers alone

BranchyNet and SDN are networks that the paper trained itself and did not publish.""",
        table(header, lines),
    ]


# Where every number comes from


def _provenance(rows: Rows) -> list[str]:
    lines, versions = [], set()
    for row in ROWS.values():
        runs = runs_of(rows, row)
        if not runs:
            lines.append([f"`{row.name}`", f"`{row.command(0, THREADS)}`", "not run", DASH, DASH, DASH])
            continue
        seconds = sum(run["seconds"] for run in runs)
        dates, commits = (", ".join(dict.fromkeys(run[key] for run in runs)) for key in ("date", "commit"))
        line = (f"`{row.name}`", f"`{runs[0]['command']}`", str(len(runs)), dates, commits, f"{seconds:.0f}")
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
