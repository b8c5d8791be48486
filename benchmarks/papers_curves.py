"""The part of docs/papers.md on tables 1 and 2 and the benefit curves of T-RecX."""

from __future__ import annotations

from papers_cells import DASH, Rows, cells, mean, named, not_run, percent, runs_of, saved_at, table, world
from papers_published import OTHERS_ALONE, TRECX, Trecx
from papers_rows import NIGHT_PASSES, ROWS, Row

__all__ = ["sections"]

CURVE_HEADER = (
    "", "given model", "0 points", "1 point", "2 points", "3 points", "1 point, held out", "over", "exits alone",
    "final alone", "parameters", "samples",
)  # fmt: skip
TASKS = {
    "ic": "### Image classification: ResNet-8, CIFAR-10",
    "kws": "### Keywords: DS-CNN, Speech Commands",
    "vww": "### Visual wake words: MobileNetV1 0.25",
}


def sections(rows: Rows) -> list[str]:
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
        parts += [words, table(CURVE_HEADER, lines) + world(rows, f"trecx/{task}-"), picture]
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
        named(row, runs), cells([curve["given"] for curve in curves], percent),
        *(saved(k) for k in range(4)), *halves,
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
    saved = [saved_at(known) if known else "not run" for known in runs.values()]
    samples = f"{round(mean([run['figures']['measured']['samples'] for run in some])):,}"
    return [named(of[1], some), given, DASH, *saved, DASH, DASH, DASH, given, DASH, samples]


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
