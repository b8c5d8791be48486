"""The part of docs/papers.md on exits for a target class (Bonato and Bouganis)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from papers_cells import DASH, Rows, mean, percent, runs_of, table
from papers_published import (
    ALL_CLASSES_GAIN,
    FALSE_NEGATIVES,
    FALSE_NEGATIVES_GIVEN,
    MEAN_GAINS,
    TABLE_2,
    TABLE_3,
    TABLE_3_TEST,
    TABLE_3_ZETA,
    ClassRow,
)
from papers_rows import CLASSES, ROWS

__all__ = ["mean_gain", "sections"]

HEADER = (
    "class", "", "place", "α", "β", "η", "ζ", "gain", "gain by (11)", "loss", "others, (5)", "exit, (6)",
    "target, (7)", "precision",
)  # fmt: skip
KINDS = ("-paper", "")  # suffixes of rows: as the paper searches, and by default
OURS = "ResNet-110"
Target = Mapping[str, Any]

WORDS = f"""## Bonato and Bouganis, tables 2 to 5

Exits for one class: its samples leave early, the others pay for the exit. Tables 2 to 4 of the paper are about
ResNet-21, whose trained weights are not published; {OURS} stands for it here, and its mean is beside the
paper's own {OURS} in table 5. *α ≥ 0.95*: the paper's search, an exit that reads all earlier locations (KP =
On), thresholds from 0.95 to 1; *default*: `--target-class K` and nothing else. The evaluation data of the paper
are 10,000 training images that the model was not trained on, here 5,000 test images; test: the other 5,000 (the
paper: 10,000).

*Gain* is the given model's cost over the mean cost of the target's samples, *loss* the mean cost of all others
over the given model's. The paper times both on a GPU, and its gain is computed by equation (11) from a rate γ
that counts the false positives, too; here they are counted in MACs, the gain in both ways. An exit takes what
it takes for the target: no other promise is given than that equations (5) to (7) hold on the evaluation data,
by the paper or here."""


def sections(rows: Rows) -> list[str]:
    return [WORDS, *_connections(rows), *_all_classes(rows), *_false_negatives(rows), *_means(rows)]


def mean_gain(rows: Rows) -> str:
    """Of the default, on test data, both ways of counting; over the classes that were run."""
    known = [each for k in range(CLASSES) if (each := _target(rows, str(k))) is not None]
    if not known:
        return "not run"
    costs = [_gains(each["target"]["measured"]) for each in known]
    real, by_equation = (mean([cost[key] for cost in costs]) for key in ("gain", "gain_by_equation_11"))
    of = "" if len(known) == CLASSES else f", {len(known)} classes"
    return f"{by_equation:.2f} times (equation 11), {real:.2f} counted{of}"


def _target(rows: Rows, name: str) -> Target | None:
    runs = runs_of(rows, ROWS[f"class-specific/{name}"])
    return None if not runs else runs[0]["figures"]


def _gains(target: Target) -> Mapping[str, float]:
    known: Mapping[str, float] = target["costs"]["macs"]
    return known


def _times(value: float | None) -> str:
    return DASH if value is None else f"{value:.2f}"


def _share(value: float | None) -> str:
    return DASH if value is None else f"{value:.3f}"


def _of_paper(name: str, words: str, row: ClassRow, zeta: float | None = None) -> list[str]:
    return [
        name, f"**the paper**{words}", f"layer {row.layer} of 21", f"{row.alpha:.2f}", _share(row.beta),
        _share(row.eta), _share(zeta), DASH, _times(row.gain), _times(row.loss),
        *map(_share, (row.others, row.exit, row.target, row.precision)),
    ]  # fmt: skip


def _of_ours(rows: Rows, name: str, words: str, row: str, part: str) -> list[str]:
    known = _target(rows, row)
    if known is None:
        return [name, words, f"not run (`--only class-specific/{row}`)", *[DASH] * (len(HEADER) - 3)]
    target, exits = known["target"][part], known["exits"]
    given, costs = target["given"], _gains(target)

    def each(key: str) -> str:
        return ", ".join(_share(exit_[key]) for exit_ in target["exits"]) or DASH

    return [
        name, words, ", ".join(exit_["location"] for exit_ in exits) or "no exit pays",
        ", ".join("never" if e["threshold"] is None else f"{e['threshold']:.3f}" for e in exits) or DASH,
        _share(given["others_accuracy"]), _share(given["target_accuracy"]), _share(given["precision"]),
        _times(costs["gain"]), _times(costs["gain_by_equation_11"]), _times(costs["loss"]),
        _share(target["others_accuracy_at_output"]), each("accuracy"), _share(target["target_accuracy"]),
        each("precision"),
    ]  # fmt: skip


def _connections(rows: Rows) -> list[str]:
    """Table 2."""
    lines = []
    for (k, back), row in TABLE_2.items():
        words = ", KP = On" if back else ", KP = Off"
        lines.append(_of_paper(str(k), words, row))
        lines.append(_of_ours(rows, str(k), f"{OURS}{words}", f"{k}-paper" if back else f"{k}-off", "choose"))
    return [
        "### Table 2: an exit that reads earlier locations, too, or its own alone; evaluation data",
        _shown(lines),
    ]


def _all_classes(rows: Rows) -> list[str]:
    """Table 3."""
    parts = []
    for part, words in (("choose", "evaluation data"), ("measured", "test data")):
        lines = []
        for k, row in enumerate(TABLE_3):
            shown = row if part == "choose" else _on_test(row, TABLE_3_TEST[k])
            lines.append(_of_paper(str(k), "", shown, TABLE_3_ZETA[k]))
            for kind in KINDS:
                name = f"{k}{kind}"
                lines.append(_of_ours(rows, str(k), ROWS[f"class-specific/{name}"].words, name, part))
        parts += [f"### Table 3: every class, {words}", _shown(lines)]
    return parts


def _on_test(row: ClassRow, test: Sequence[float]) -> ClassRow:
    gain, loss, others, exit_, target, precision = test
    return ClassRow(row.layer, row.alpha, row.beta, row.eta, gain, loss, others, exit_, target, precision)


def _shown(lines: Sequence[Sequence[str]]) -> str:
    """Without columns that are empty in every line."""
    used = [k for k in range(len(HEADER)) if any(line[k] not in (DASH, "") for line in lines)]
    return table([HEADER[k] for k in used], [[line[k] for k in used] for line in lines])


def _false_negatives(rows: Rows) -> list[str]:
    """Table 4."""
    header = ("exit for", "", *map(str, range(CLASSES)), "total", "change")

    def line(name: str, words: str, counts: Sequence[float], given: float) -> list[str]:
        total = sum(counts)
        numbers = [f"{count:,.0f}" for count in (*counts, total)]
        return [name, words, *numbers, percent(total / given - 1, sign=True)]

    before = sum(FALSE_NEGATIVES_GIVEN)
    lines = [line("none", "**the paper**", FALSE_NEGATIVES_GIVEN, before)]
    known = [_target(rows, f"{k}-paper") for k in range(CLASSES)]
    some = next((each for each in known if each is not None), None)
    if some is not None:
        ours = [row["given"] for row in some["target"]["choose"]["false_negatives"]]
        lines.append(line("none", OURS, ours, sum(ours)))
    for k, counts in enumerate(FALSE_NEGATIVES):
        lines.append(line(str(k), "**the paper**", counts, before))
        each = known[k]
        if each is None:
            not_run = f"not run (`--only class-specific/{k}-paper`)"
            lines.append([str(k), not_run, *[DASH] * (CLASSES + 2)])
            continue
        missed = each["target"]["choose"]["false_negatives"]
        lines.append(line(str(k), OURS, [row["at_output"] for row in missed], sum(row["given"] for row in missed)))
    return [
        "### Table 4: samples of each class that are missed at the output\n\nEvaluation data, α ≥ 0.95: 10,000 "
        "images of the paper, 5,000 here. What an exit takes wrongly is not in it, in the paper and here.",
        table(header, lines),
    ]


def _means(rows: Rows) -> list[str]:
    """Table 5 and figure 6: means over the ten classes."""
    header = ("", "gain", "gain by (11)", "loss", "classes", "data")
    lines = [
        [f"**the paper**: {name}", DASH, _times(gain), DASH, str(CLASSES), "evaluation"]
        for name, gain in MEAN_GAINS.items()
    ]
    for kind in KINDS:
        known = [each for k in range(CLASSES) if (each := _target(rows, f"{k}{kind}")) is not None]
        words = f"{OURS}, {ROWS[f'class-specific/0{kind}'].words}"
        if not known:
            lines.append([words, f"not run (`--only class-specific/0{kind}` to 9{kind})", *[DASH] * 4])
            continue
        for part, data in (("choose", "evaluation"), ("measured", "test")):
            costs = [_gains(each["target"][part]) for each in known]
            means = [_times(mean([cost[key] for cost in costs])) for key in ("gain", "gain_by_equation_11", "loss")]
            lines.append([words, *means, str(len(known)), data])
    lines.append([f"**the paper**: {OURS}, an exit for all classes", _times(ALL_CLASSES_GAIN), *[DASH] * 4])
    words, figures = f"{OURS}, exits for all classes, no drop on the evaluation data", _target(rows, "all")
    if figures is None:
        lines.append([words, "not run (`--only class-specific/all`)", *[DASH] * 4])
    else:
        given, after = figures["given"], figures["measured"]
        gain = _times(given["mean_macs"] / after["mean_macs"])
        drop = f"test, {100 * (given['accuracy'] - after['accuracy']):.2f} points lost"
        lines.append([words, gain, DASH, DASH, DASH, drop])
    return ["### Table 5: mean gain over CIFAR-10's classes, an exit for each by itself", table(header, lines)]
