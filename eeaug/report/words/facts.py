"""What every rendering of report.json says, before it becomes a table, a line or a drawing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from eeaug.report.units import (
    UNKNOWN,
    at_most,
    data_part,
    in_words,
    macs,
    points,
    quantity,
    relative,
    share,
    size,
    threshold,
)
from eeaug.schema.figures import FIGURES
from eeaug.support.quantities import apart

__all__ = [
    "Leave", "Report", "ReportedStage", "Row", "bound", "c_blocks", "c_memory", "c_memory_note", "c_memory_title",
    "comparison", "comparison_title", "decided", "decided_promise", "drop_bound_95",
    "drop_name", "estimated", "independence_gap", "leaves", "predictions",
    "promise", "runs_on", "shown", "stages", "tensors_in",
    "weights_in", "worst_class_bound",
]  # fmt: skip

Report = Mapping[str, Any]

C_WIDTH = 4  # bytes of an element in C files


@dataclass(frozen=True)
class Row:
    """One line of the comparison, of the metric `key`; `better` is None where nothing changed or is known."""

    quantity: str
    baseline: str
    result: str
    change: str
    better: bool | None
    key: str = ""


@dataclass(frozen=True)
class Leave:
    """Where samples leave: an exit or the output, `rate` of all samples, `macs` spent on each of them."""

    place: str
    rate: float
    macs: float


@dataclass(frozen=True)
class ReportedStage:
    """A segment of the design with the exit at its end; `exit` is None where it only hands over or ends.

    `leave_rate` is the share of all samples that leave at its end, `onward_rate` of those that go on. `hears`:
    its decision uses what earlier exits said. `target`: the classes that exits are for, none if for all.
    `blank`: exits say only that there is nothing.
    """

    segment: Report
    exit: Report | None
    path: str
    leave_rate: float
    onward_rate: float
    hears: bool
    target: tuple[str, ...] = ()
    blank: bool = False

    @property
    def rule(self) -> str:
        """When a sample leaves at its exit."""
        limit = self.exit["threshold"] if self.exit else None
        if limit is None:
            return "never leaves"
        return f"confidence{' with earlier exits' if self.hears else ''} ≥ {threshold(limit)}"

    @property
    def right(self) -> str:
        """How good its exit is over all samples."""
        if self.target:
            return f"decides for {' and '.join(self.target)} only"
        if self.blank:
            return f"tells empty samples from others on {share(self.exit['accuracy'] if self.exit else None)}"
        alone = "if all leave here" if self.hears else "if used alone"
        return f"right {share(self.exit['accuracy'] if self.exit else None)} {alone}"


def runs_on(part: Report) -> str:
    """Where a segment or the given model runs: "m4", or "m4 at 50MHz" where it has several performance levels."""
    level = part.get("level")
    return str(part["processor"]) if level is None else f"{part['processor']} at {level}"


def weights_in(segment: Report) -> str:
    """Where its weights lie, if its processor has several memories for them: " in qspi"."""
    return f" in {segment['weights_in']}" if "weights_in" in segment else ""


def tensors_in(segment: Report) -> str:
    """The same of its tensors."""
    return f" in {segment['tensors_in']}" if "tensors_in" in segment else ""


def shown(report: Report) -> tuple[Report, Report]:
    """Metrics of baseline and result on the same part: test if it was measured, else choose, counted exactly."""
    design, baseline = report["design"], report["baseline"]
    if design["measured"] is not None:
        return baseline["measured"] or {}, design["measured"]
    return baseline["choose"], design["predicted"]["exact"]


def decided(report: Report) -> tuple[Report, Report]:
    """The same as the bundle decides: of streams where it is for these, else :func:`shown`."""
    if "stream" not in report:
        return shown(report)
    stream = report["stream"]
    used = "memory" if stream["remembers"] else "alone"
    return stream["figures"]["given"]["metrics"], stream["figures"][used]["metrics"]


def decided_promise(report: Report) -> Report:
    """The block of what is promised as the bundle decides."""
    block: Report = report["stream"]["promise"] if "stream" in report else report["promise"]
    return block


def drop_bound_95(report: Report) -> float | None:
    """Upper bound of the drop as the bundle decides; None: nothing was measured that could bound it."""
    streamed = "stream" in report
    value = report["stream"]["drop_bound_95"] if streamed else report["accuracy_drop_bound_95"]
    return None if value is None else float(value)


def estimated(report: Report) -> bool:
    """Whether latencies and energies come from the profile or from kernels, not from the files or a clock."""
    return shown(report)[1]["basis"] not in ("counted", "timed")


def _points(value: float) -> str:
    return points(value, signed=False)


def promise(report: Report) -> tuple[str, bool]:
    """What is promised of the accuracy budget as the bundle decides, and whether that is a proof.

    Where nothing is promised: what test says against it, if not even the bound from there is within the budget.
    """
    settings, promised = report["settings"], decided_promise(report)
    sure = promised["promise"] == "proven" and promised["kept"]
    if "stream" in report:
        statement = promised["statement"]
        return f"On streams: {statement[0].lower()}{statement[1:]}", sure
    if promised["promise"] != "none":
        return promised["statement"], sure
    budget, value = settings["max_accuracy_drop"], report["accuracy_drop_bound_95"]
    if budget is None or value is None or value <= budget:
        return promised["statement"], False
    given, exact = report["baseline"]["choose"], report["design"]["predicted"]["exact"]
    missed = given["accuracy"] - exact["accuracy"] - budget
    beginning = f"The budget of {in_words(budget)} "
    if missed > 1e-9:
        beginning += f"is exceeded on the calibration samples already, by {apart(_points, missed, 0.0)[0]}"
    else:
        beginning += "is kept on the calibration samples only"
    new_data = f"on new data the {drop_name(report)} may be up to {at_most(value)} (95 % bound)"
    return f"Nothing is promised. {beginning}; {new_data}.", False


def comparison_title(report: Report) -> str:
    """The split and the number of samples behind the comparison."""
    result = shown(report)[1]
    title = f"On {result['samples']:,} {data_part(result['split'])} samples"
    if "stream" in report:
        title += ", each by itself"
    unseen = report["design"]["measured"] is not None
    return title + (", which no choice has seen" if unseen else ", on which thresholds were decided; not measured")


def comparison(report: Report, metrics: tuple[Report, Report] | None = None) -> tuple[Row, ...]:
    """Baseline against result, one row per quantity; ``metrics`` of both, by default :func:`shown`."""
    baseline, result = metrics or shown(report)
    note = f", {result['basis']}"
    if estimated(report):
        note = ", estimated" + (" by counted kernels" if result["basis"] == "counted kernels" else "")
    quality = [
        ("accuracy", accuracy_name(report)),
        ("precision", "precision (macro)"),
        ("recall", "recall (macro)"),
    ]
    quality = quality[:1] if is_blank(report) else quality
    rows = [_quality(label, baseline.get(key), result.get(key), key) for key, label in quality]
    if not is_blank(report):
        rows.insert(1, _worst_class(result.get("worst_class")))
    for key, figure in FIGURES.items():
        label, text = f"{figure.words}{note if figure.estimated else ''}", quantity(figure.unit)
        before, after = baseline.get(key), result.get(key)
        rows.append(_row(label, text(before), text(after), relative(before, after), gain="−", key=key))
    return tuple(rows)


def is_blank(report: Report) -> bool:
    """Whether exits only say that a sample holds nothing, before a model that may be any."""
    return bool(report["model"]["decision"] == "blank")


def accuracy_name(report: Report) -> str:
    """What the share of right answers is: without labels, the given model is what is right."""
    if is_blank(report):
        return "non-empty samples kept"
    return "accuracy" if report["settings"]["labels"] == "given" else "agreement"


def drop_name(report: Report) -> str:
    """What the budget limits."""
    if is_blank(report):
        return "share of non-empty samples lost"
    return "accuracy drop" if report["settings"]["labels"] == "given" else "disagreement"


def _row(quantity: str, baseline: str, result: str, change: str, *, gain: str, key: str = "") -> Row:
    sign = change[0]
    return Row(quantity, baseline, result, change, sign == gain if sign in "+−" else None, key)


def _quality(label: str, before: float | None, after: float | None, key: str = "") -> Row:
    difference = None if before is None or after is None else after - before
    return _row(label, share(before), share(after), points(difference), gain="+", key=key)


def _worst_class(worst: Report | None) -> Row:
    """The same class on both sides: the baseline's own worst class may be another one."""
    if worst is None:
        return _quality("worst class", None, None)
    accuracy, drop = worst["accuracy"], worst["drop"]
    before = None if accuracy is None or drop is None else accuracy + drop
    return _quality(f"worst class: {worst['name']}", before, accuracy)


def stages(report: Report) -> Iterator[ReportedStage]:
    """The chain of segments, each with its exit, if it ends in one, and who leaves there."""
    design = report["design"]
    exits, rates = iter(design["exits"]), iter(shown(report)[1]["leave_rates"])
    onward = 1.0
    only = tuple(map(str, (design.get("target") or {"choose": {"classes": ()}})["choose"]["classes"]))
    for k, segment in enumerate(design["segments"]):
        leaves_here = segment["head"] is not None or segment["to"] == "output"
        rate = next(rates) if leaves_here else 0.0
        onward = max(0.0, onward - rate)
        # an exit on the input: its segment is the head alone
        path = "input" if segment["to"] == "input" else f"{segment['from'] or 'input'} → … → {segment['to']}"
        exit_ = next(exits) if segment["head"] is not None else None
        yield ReportedStage(
            segment, exit_, path, rate, onward, bool(k and report["design"].get("reuse")), only, is_blank(report)
        )


def leaves(report: Report) -> tuple[Leave, ...]:
    """Per exit and for the output: how many samples leave and what each of them has cost."""
    design = report["design"]
    places = [
        (f"{exit_['location']} ({runs_on(segment)})", exit_["macs"])
        for exit_, segment in zip(design["exits"], design["segments"], strict=False)
    ]
    whole = sum(segment["macs"] + (segment["head_macs"] or 0) for segment in design["segments"])
    places.append((f"output ({runs_on(design['segments'][-1])})", whole))
    rates = shown(report)[1]["leave_rates"]
    return tuple(Leave(place, rate, cost) for (place, cost), rate in zip(places, rates, strict=True))


def predictions(report: Report) -> tuple[tuple[str, ...], ...]:
    """Header and rows: what independence predicts, what the samples of choose say, what test measured."""
    design, baseline = report["design"], report["baseline"]
    columns = [
        ("predicted, independent", design["predicted"]["independent"], baseline["choose"]),
        ("predicted, counted", design["predicted"]["exact"], baseline["choose"]),
    ]
    if design["measured"] is not None:
        columns.append(("measured", design["measured"], baseline["measured"] or {}))

    def drop(metrics: Report, given: Report) -> str:
        known = metrics["accuracy"] is not None and given.get("accuracy") is not None
        return points(metrics["accuracy"] - given["accuracy"] if known else None)

    rows = [
        ("", *(title for title, _, _ in columns)),
        ("samples", *(f"{metrics['samples']:,} {data_part(metrics['split'])}" for _, metrics, _ in columns)),
        (accuracy_name(report), *(share(metrics["accuracy"]) for _, metrics, _ in columns)),
        ("against given model", *(drop(metrics, given) for _, metrics, given in columns)),
        ("mean MACs", *(macs(metrics["mean_macs"]) for _, metrics, _ in columns)),
    ]
    places = [f"leave at {exit_['location']}" for exit_ in design["exits"]] + ["reach the output"]
    for position, place in enumerate(places):
        rows.append((place, *(share(metrics["leave_rates"][position]) for _, metrics, _ in columns)))
    return tuple(rows)


def independence_gap(report: Report) -> str:
    """How far the assumption of independent exits is from the counts, in one sentence."""
    predicted = report["design"]["predicted"]
    independent, exact = predicted["independent"]["accuracy"], predicted["exact"]["accuracy"]
    if independent is None or exact is None:
        return f"By how much assuming independent exits is wrong: {UNKNOWN}."
    gap = independent - exact
    if abs(gap) < 5e-5:
        return f"Assuming independent exits gives the same {accuracy_name(report)} as counting samples."
    verb = "overstates" if gap > 0 else "understates"
    return f"Assuming independent exits {verb} {accuracy_name(report)} by {points(abs(gap), signed=False)}."


def bound(report: Report) -> str:
    """The 95 % upper bound of the accuracy drop, in one sentence."""
    value = report["accuracy_drop_bound_95"]
    if value is None:
        return f"No 95 % bound of the {drop_name(report)}: {report['accuracy_drop_bound_95_missing'] or UNKNOWN}."
    return f"With 95 % confidence, from {_unseen(report)}, the {drop_name(report)} is at most {at_most(value)}."


def _unseen(report: Report) -> str:
    """What bounds are from."""
    return f"the test set alone{', every group weighted equally' if report['bounds_unit'] == 'group' else ''}"


def worst_class_bound(report: Report) -> str | None:
    """What the worst class lost, and the 95 % upper bound of its drop, in one sentence."""
    worst, value = shown(report)[1].get("worst_class"), report["worst_class_drop_bound_95"]
    if is_blank(report) or worst is None or worst["accuracy"] is None or worst["drop"] is None:
        return None
    beginning = (
        f"Worst class: {worst['name']} {share(worst['accuracy'] + worst['drop'])} → {share(worst['accuracy'])}"
    )
    if value is None:
        return f"{beginning}; no 95 % bound of its drop: {report['worst_class_drop_bound_95_missing'] or UNKNOWN}."
    if not value:
        return f"{beginning}; no class loses anything."
    number = len(report["design"]["classes"]["rows"])
    together = "" if number == 1 else f", and for all {number:,} classes at once"
    return f"{beginning}; with 95 % confidence it loses at most {at_most(value)}, from {_unseen(report)}{together}."


def c_blocks(report: Report) -> list[Report]:
    """What the report says of C files: float, then int8; only those that there are."""
    blocks = [
        {**block["c"], "width": width, "words": words}
        for block, width, words in ((report, C_WIDTH, "float32"), (report.get("int8") or {}, 1, "int8"))
        if block.get("c") is not None
    ]
    return [{**block, "segments": report["design"]["segments"]} for block in blocks]


def c_memory_title(block: Report) -> str:
    return "Memory of the C files" + (" in int8" if block["width"] == 1 else "")


def c_memory(block: Report) -> tuple[tuple[str, ...], ...]:
    """What the C files of every processor take, against the estimates in their width."""
    width = block["width"]
    titles = ("", "flash, estimated", "linked", "RAM, estimated", "linked", "arena", "stack")
    rows = []
    for entry in block["processors"]:
        mine = [s for s in block["segments"] if s["processor"] == entry["processor"]]
        weights = sum(width * s["storage_bytes"] // s["bytes_per_element"] for s in mine)
        tensors = max(width * s["peak_activation_bytes"] // s["bytes_per_element"] for s in mine)
        measured = entry["measured"] or {}
        flash, ram, stack = (
            size(measured[key]) if measured else UNKNOWN for key in ("flash_bytes", "ram_bytes", "stack_bytes")
        )
        rows.append(
            (str(entry["processor"]), size(weights), flash, size(tensors), ram, size(entry["arena_bytes"]), stack)
        )
    return (titles, *rows)


def c_memory_note(block: Report) -> str:
    """What the columns are, and why some are unknown."""
    entries = block["processors"]
    compilers = {entry["measured"]["compiler"] for entry in entries if entry["measured"]}
    cpus = dict.fromkeys(str(entry["cpu"]) for entry in entries if entry["measured"])
    text = f"{block['words'].capitalize()}: weights and tensors by the cost model"
    if compilers:
        text += (
            f"; linked for {', '.join(cpus)} by {', '.join(sorted(compilers))}: code and constants; variables with "
            "arena, input and hand-over, and the stack of its own functions"
        )
    missing = list(dict.fromkeys(entry["not_measured"] for entry in entries if not entry["measured"]))
    return ". ".join([text, *(f"Not linked: {why}" for why in missing)]) + "."
