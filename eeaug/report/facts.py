"""What every rendering of report.json says, before it becomes a table, a line or a drawing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from eeaug.report.units import UNKNOWN, joules, macs, points, relative, seconds, share, size

__all__ = [
    "Leave", "Report", "Row", "Stage", "benefits", "benefits_title", "bound", "comparison", "comparison_title",
    "details", "estimated", "independence_gap", "leaves", "predictions", "stages", "verified",
]  # fmt: skip

Report = Mapping[str, Any]

_USABLE_DROP = 0.05
_CURVE_ROWS = 10


@dataclass(frozen=True)
class Row:
    """One line of the comparison; `better` is None where nothing changed or nothing is known."""

    quantity: str
    baseline: str
    result: str
    change: str
    better: bool | None


@dataclass(frozen=True)
class Leave:
    """Where samples leave: an exit or the output, `rate` of all samples, `macs` spent on each of them."""

    place: str
    rate: float
    macs: float


@dataclass(frozen=True)
class Stage:
    """A segment of the design with the exit at its end; `exit` is None where it only hands over or ends.

    `leave_rate` is the share of all samples that leave at its end, `onward_rate` of those that go on.
    """

    segment: Report
    exit: Report | None
    path: str
    leave_rate: float
    onward_rate: float


def _shown(report: Report) -> tuple[Report, Report]:
    """Metrics of baseline and result: on test if it was measured, else counted exactly on choose."""
    design, baseline = report["design"], report["baseline"]
    if design["measured"] is not None:
        return baseline["measured"] or {}, design["measured"]
    return baseline["choose"], design["predicted"]["exact"]


def estimated(report: Report) -> bool:
    """Whether latencies and energies come from the hardware profile instead of a clock."""
    return bool(_shown(report)[1]["basis"] == "profile")


def comparison_title(report: Report) -> str:
    """The split and the number of samples behind the comparison."""
    result = _shown(report)[1]
    title = f"On {result['samples']:,} {result['split']} samples"
    unseen = report["design"]["measured"] is not None
    return title + (", which no choice has seen" if unseen else ", on which the design was chosen; not measured")


def comparison(report: Report) -> tuple[Row, ...]:
    """Baseline against result, one row per quantity."""
    baseline, result = _shown(report)
    note = ", estimated" if estimated(report) else f", {result['basis']}"
    quality = [("accuracy", _accuracy(report)), ("precision", "precision (macro)"), ("recall", "recall (macro)")]
    costs: list[tuple[str, str, Callable[[float | None], str]]] = [
        ("mean_macs", "mean MACs", macs),
        ("mean_latency_s", f"mean latency{note}", seconds),
        ("p95_latency_s", f"p95 latency{note}", seconds),
        ("worst_latency_s", f"worst latency{note}", seconds),
        ("mean_energy_j", f"mean energy{note}", joules),
        ("storage_bytes", "storage", size),
        ("peak_activation_bytes", "peak activations", size),
    ]
    rows = [_quality(label, baseline.get(key), result.get(key)) for key, label in quality]
    rows.insert(1, _worst_class(result.get("worst_class")))
    for key, label, text in costs:
        before, after = baseline.get(key), result.get(key)
        rows.append(_row(label, text(before), text(after), relative(before, after), gain="−"))
    return tuple(rows)


def _accuracy(report: Report) -> str:
    """What the share of right answers is: without labels, the given model is what is right."""
    return "accuracy" if report["settings"]["labels"] == "given" else "agreement"


def _row(quantity: str, baseline: str, result: str, change: str, *, gain: str) -> Row:
    sign = change[0]
    return Row(quantity, baseline, result, change, better=sign == gain if sign in "+−" else None)


def _quality(label: str, before: float | None, after: float | None) -> Row:
    difference = None if before is None or after is None else after - before
    return _row(label, share(before), share(after), points(difference), gain="+")


def _worst_class(worst: Report | None) -> Row:
    """The same class on both sides: the baseline's own worst class may be another one."""
    if worst is None:
        return _quality("worst class", None, None)
    accuracy, drop = worst["accuracy"], worst["drop"]
    before = None if accuracy is None or drop is None else accuracy + drop
    return _quality(f"worst class: {worst['name']}", before, accuracy)


def stages(report: Report) -> Iterator[Stage]:
    """The chain of segments, each with its exit, if it ends in one, and who leaves there."""
    design = report["design"]
    exits, rates = iter(design["exits"]), iter(_shown(report)[1]["leave_rates"])
    onward = 1.0
    for segment in design["segments"]:
        leaves_here = segment["head"] is not None or segment["to"] == "output"
        rate = next(rates) if leaves_here else 0.0
        onward = max(0.0, onward - rate)
        path = f"{segment['from'] or 'input'} → … → {segment['to']}"
        yield Stage(segment, next(exits) if segment["head"] is not None else None, path, rate, onward)


def leaves(report: Report) -> tuple[Leave, ...]:
    """Per exit and for the output: how many samples leave and what each of them has cost."""
    design = report["design"]
    places = [(f"{exit_['location']} ({exit_['processor']})", exit_["macs"]) for exit_ in design["exits"]]
    whole = sum(segment["macs"] + (segment["head_macs"] or 0) for segment in design["segments"])
    places.append((f"output ({design['segments'][-1]['processor']})", whole))
    rates = _shown(report)[1]["leave_rates"]
    return tuple(Leave(place, rate, cost) for (place, cost), rate in zip(places, rates, strict=True))


def predictions(report: Report) -> tuple[tuple[str, ...], ...]:
    """Header and rows: what independence predicts, what the samples of choose say, what test measured."""
    design, baseline = report["design"], report["baseline"]
    columns = [
        ("predicted, independent", design["predicted"]["independent"], baseline["choose"]),
        ("predicted, exact", design["predicted"]["exact"], baseline["choose"]),
    ]
    if design["measured"] is not None:
        columns.append(("measured", design["measured"], baseline["measured"] or {}))

    def drop(metrics: Report, given: Report) -> str:
        known = metrics["accuracy"] is not None and given.get("accuracy") is not None
        return points(metrics["accuracy"] - given["accuracy"] if known else None)

    rows = [
        ("", *(title for title, _, _ in columns)),
        ("samples", *(f"{metrics['samples']:,} {metrics['split']}" for _, metrics, _ in columns)),
        (_accuracy(report), *(share(metrics["accuracy"]) for _, metrics, _ in columns)),
        ("against baseline", *(drop(metrics, given) for _, metrics, given in columns)),
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
        return f"Gap of the independence assumption: {UNKNOWN}."
    gap = independent - exact
    if abs(gap) < 5e-5:
        return "Assuming independent exits gives the same accuracy as counting samples."
    verb = "overstates" if gap > 0 else "understates"
    return f"Assuming independent exits {verb} accuracy by {points(abs(gap), signed=False)}."


def bound(report: Report) -> str:
    """The 95 % upper bound of the accuracy drop, in one sentence."""
    value = report["accuracy_drop_bound_95"]
    if value is None:
        if report["settings"]["priors"]:
            return "No bound of the accuracy drop: it does not hold for samples weighted by --priors."
        return "No bound of the accuracy drop: every sample has served some choice."
    return f"With 95 % confidence the accuracy drop is at most {points(value, signed=False)}."


def benefits_title(report: Report) -> str:
    """What `benefits` lists, and whether its latencies and energies are estimates."""
    note = " (latency and energy estimated)" if estimated(report) else ""
    return f"What each accuracy drop buys{note}"


def benefits(report: Report) -> tuple[tuple[str, ...], ...]:
    """Header and rows: what other accuracy drops buy, the chosen one marked; report.json holds all of it.

    Drops that nobody would take are left out, and the rest is thinned to a table that can be read.
    """
    rows = [("accuracy drop", "mean MACs", "mean latency", "mean energy", "exits")]
    usable = [e for e in report["benefit_curve"] if e["chosen"] or e["drop"] <= _USABLE_DROP]
    every = max(1, -(-len(usable) // _CURVE_ROWS))
    for index, entry in enumerate(usable):
        if index % every and not entry["chosen"]:
            continue
        exits = ", ".join(entry["exits"]) or "none"
        rows.append(
            (
                points(entry["drop"], signed=False),
                macs(entry["mean_macs"]),
                seconds(entry["mean_latency_s"]),
                joules(entry["mean_energy_j"]),
                f"{exits} ← chosen" if entry["chosen"] else exits,
            )
        )
    return tuple(rows)


def details(report: Report) -> tuple[tuple[str, str], ...]:
    """Name and words of what went in and how the design was found."""
    model, hardware = report["model"], report["hardware"]
    size_of_model = f"{model['parameters']:,} parameters, {macs(model['macs'])} MACs"
    return (
        ("model", f"{model['file']}, {size_of_model}"),
        ("hardware", _hardware(hardware)),
        ("data", _data_used(report)),
        ("asked for", _asked(report)),
        ("searched", _searched(report)),
    )


def _hardware(hardware: Report) -> str:
    """The profile, the first sentence of its source, and what its estimates leave out."""
    source = str(hardware["source"] or "").split(". ")[0].rstrip(".")
    words = hardware["name"] + (f" ({source})" if source else "")
    missing = ", ".join(hardware["not_counted"])
    return words + (f"; unknown and counted as 0: {missing}" if missing else "")


def _asked(report: Report) -> str:
    """The settings that shaped the result, in one line."""
    settings = report["settings"]
    cost = {"macs": "mean MACs", "latency": "mean latency", "energy": "mean energy"}[settings["objective"]]
    weight = settings["efficiency_weight"]
    parts = [f"least {cost}" if weight is None else f"least weighted cost, {weight:g} on {cost}"]
    if settings["max_accuracy_drop"] is not None:
        parts.append(f"accuracy drop ≤ {points(settings['max_accuracy_drop'], signed=False)}")
    if settings["max_latency_s"] is not None:
        parts.append(f"worst latency ≤ {seconds(settings['max_latency_s'])}")
    parts.append(f"at most {_count(settings['max_exits'], 'exit')}")
    for key, word in (("exit_at", "exit at"), ("threshold", "threshold"), ("forbid", "none at")):
        if settings[key]:
            parts.append(f"{word} {', '.join(map(str, settings[key]))}")
    parts += [f"{key} {settings[key]}" for key in ("mapping", "scoring", "effort", "seed")]
    return "; ".join([*parts, _count(settings["threads"], "thread")])


def _searched(report: Report) -> str:
    """What the search looked at, in one line."""
    search = report["search"]
    rejected = [f"{number:,} by {limit}" for limit, number in search["rejected"].items() if number]
    return "; ".join(
        [
            _count(search["locations"], "location"),
            f"{_count(search['heads_trained'], 'head')} trained, {search['heads_kept']:,} kept",
            _count(search["architectures"], "architecture"),
            _count(search["placements"], "placement"),
            _count(search["threshold_configurations"], "threshold configuration"),
            f"settled by {report['settings']['scoring']} scoring: {search['settled']}",
            f"rejected: {', '.join(rejected) or 'none'}",
        ]
    )


def _data_used(report: Report) -> str:
    """Which part of the data served what, in one line."""
    data = report["data"]
    parts = [
        f"{name} {part['samples']:,} of {part['of']}" for name, part in data["parts"].items() if part is not None
    ]
    return f"{data['source']}: {'; '.join(parts)}"


def verified(report: Report) -> tuple[str, bool]:
    """Whether the exported files decide as the model does: one line, and True if all of them do."""
    formats = report["verification"]["formats"]
    if not formats:
        return f"agreement of the exported files: {UNKNOWN}", False
    parts = []
    for name, outcome in formats.items():
        wrong, near = outcome["disagreements"], outcome["near_threshold"]
        words = _count(wrong, "decision differs", "decisions differ") if wrong else "agrees"
        parts.append(f"{name} {words}" + (f" ({near:,} within 1e-4 of a threshold)" if near else ""))
    agree = all(outcome["disagreements"] == 0 for outcome in formats.values())
    samples = _count(report["verification"]["samples"], "sample")
    return f"read back and run as a cascade on {samples}: {', '.join(parts)}", agree


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"
