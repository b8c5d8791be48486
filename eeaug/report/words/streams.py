"""What every rendering says of streams: the decision, what it comes to, and what memory would have brought."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eeaug.report.units import at_most, joules, macs, points, relative, seconds, share, size
from eeaug.report.words import battery
from eeaug.report.words.battery import Use
from eeaug.report.words.facts import Report
from eeaug.settings import COSTS

__all__ = ["again", "compared", "decided_by", "int8", "kept", "note", "rows", "sentence", "strip_title", "title"]

_KINDS = {"confidence": "confidence alone", "difference": "difference detection", "patience": "temporal patience"}


def title(report: Report) -> str:
    stream = report["stream"]
    unseen = "" if stream["split"] == "test" else ", on which decisions were chosen (not measured)"
    return (
        f"On streams: {stream['samples']:,} {stream['split']} samples in {stream['sequences']:,} sequences{unseen}"
    )


def sentence(report: Report) -> str:
    """What decides streams, what it saves, and what confidence alone or memory would."""
    stream, figures = report["stream"], report["stream"]["figures"]
    memory, alone = (_saving(figures[name]["metrics"], figures) for name in ("memory", "alone"))
    if stream["remembers"]:
        state = f"{size(stream['state_bytes'])} of state for each stream"
        return f"Streams are decided by {_rule(stream['rule'])}, {state}: {memory}; by confidence alone {alone}."
    if stream["rule_memory"] == stream["rule_alone"]:
        return f"Streams are decided by {_rule(stream['rule'])}: {alone}; no memory was allowed (--refresh 1)."
    tried = _rule(stream["rule_memory"])
    return (
        f"Streams are decided by {_rule(stream['rule'])}: {alone}. Memory brings too little here: the best, "
        f"{tried}, comes to {memory}."
    )


def again(stream: Report) -> tuple[str, ...]:
    """The same of streams that a bundle has not seen (content.streams_again), beside what its report says."""
    figures, reported = stream["figures"], stream["reported"]
    alone, memory = (_saving(figures[name]["metrics"], figures) for name in ("alone", "memory"))
    if stream["remembers"]:
        here = f"{memory}; by confidence alone {alone}"
    elif stream["rule_memory"] == stream["rule_alone"]:
        here = alone
    else:
        here = f"{alone}; by {_rule(stream['rule_memory'])}, which was not taken, {memory}"
    events, part = reported["events"], f"{reported['sequences']:,} {reported['split']} sequences"
    return (
        f"Streams are decided by {_rule(stream['rule'])}: {here}.",
        f"The report says of its {part}: {relative(1, 1 - reported['macs_saved'])} mean MACs, "
        f"{points(-reported['drop'])} of accuracy; of {events['events']:,} events {events['missed']:,} missed, "
        f"{events['late']:,} late, {events['false_alarms']:,} false alarms.",
    )


def kept(promise: Report, drop: float, *, labelled: bool) -> str:
    """Whether what is promised of a bundle's drop held on other streams.

    Without labels the drop is the share of other answers than the given model's, which bounds that of accuracy.
    """
    if promise["max_accuracy_drop"] is None or not promise["kept"]:
        return "Nothing is promised of other streams."
    inside = drop <= promise["max_accuracy_drop"]
    most = points(promise["max_accuracy_drop"], signed=False)
    promised = f"the {most} that are {'proven' if promise['promise'] == 'proven' else 'expected, not proven'}"
    if labelled or inside:
        lost = f"{'' if labelled else 'at most '}{points(drop, signed=False)}"
        return f"Streams lose {lost} here, {'within' if inside else 'more than'} {promised}."
    return f"Whether streams lose more here than {promised} needs labels to tell."


def _saving(metrics: Report, figures: Report) -> str:
    given = figures["given"]["metrics"]
    change = relative(given["mean_macs"], metrics["mean_macs"])
    if metrics["accuracy"] is None:
        return f"{change} mean MACs, another answer than the given model's on {share(metrics['drop'])} of samples"
    return f"{change} mean MACs, {points(metrics['accuracy'] - given['accuracy'])} of accuracy"


def _rule(rule: Report) -> str:
    """A decision with its parameters."""
    if rule["kind"] == "debounce":
        return f"{_rule(rule['of'])}, answers changed by {rule['wanted']} of {rule['window']}"
    words = _KINDS[rule["kind"]]
    if rule["kind"] == "difference":
        words += f" (within {rule['distance']:.4g}, for at most {rule['most']} samples)"
    if rule["kind"] == "patience":
        words += f" (after {rule['times']} in a row, for at most {rule['most']} samples)"
    return words


def note(report: Report) -> str:
    """What test samples bound; empty where there are none."""
    bound = report["stream"]["drop_bound_95"]
    if bound is None:
        return ""
    return f"From the test sequences alone, with 95 % confidence: a drop of at most {at_most(bound)}."


def compared(report: Report) -> str:
    """What is saved on choose, and what the best design without memory would save."""
    saved = report["stream"]["saved_on_choose"]
    ways = "with these exits {} without memory, {} with memory; with the best design without memory {}"
    shares = (share(saved[name]) for name in ("alone", "memory", "best_alone"))
    cost = COSTS[report["settings"]["objective"]].words
    return f"Saved of the {cost} on the calibration set, as far as is promised: {ways.format(*shares)}."


def decided_by(report: Report) -> str:
    """What decided which share of the samples."""
    shares, exits = report["stream"]["decided_by"], report["design"]["exits"]
    parts = [
        f"{share(sure)} by the exit at {exit_['location']}, {share(remembered)} there from memory"
        for exit_, sure, remembered in zip(exits, shares["sure"], shares["remembered"], strict=False)
    ]
    return f"Of all samples {'; '.join([*parts, share(shares['sure'][-1]) + ' by the last classifier'])}."


def int8(report: Report) -> str:
    """What the int8 files decide, and what that comes to; empty where there are none."""
    files = report["stream"].get("int8")
    if files is None:
        return ""
    figures = files["figures"]["memory" if files["remembers"] else "alone"]
    given = report["stream"]["figures"]["given"]["metrics"]
    return (
        f"The int8 files decide streams by {_rule(files['rule'])}, {size(files['state_bytes'])} of state: "
        f"{_saving(figures, report['stream']['figures'])} against the given model"
        f" ({share(given['accuracy'])})."
    )


def strip_title(report: Report) -> str:
    strip = report["stream"]["strip"]
    return f"{len(strip['labels'])} samples of sequence {strip['sequence']}"


def rows(report: Report, use: Use | None = None) -> tuple[tuple[str, ...], ...]:
    """Header and rows: the given model, confidence alone, and the best decision with memory.

    Of a report, or of what is known of other samples (content.streams_again): no times then, and without labels
    neither accuracy nor events.
    """
    stream = report["stream"]
    shown = [stream["figures"][name] for name in ("given", "alone", "memory")]
    stable = stream["rule"]["kind"] == "debounce"
    given = "given model, as stable" if stable else "given model"
    mark = [" ←" if used else "" for used in (not stream["remembers"], stream["remembers"])]

    def row(name: str, text: Callable[[Any], str], *keys: str) -> tuple[str, ...]:
        values = []
        for each in shown:
            value: Any = each
            for key in keys:
                value = value[key]
            values.append(text(value))
        return name, *values

    def count(value: int | None) -> str:
        return "none" if value is None else f"{value:,}"

    def decimal(value: float | None) -> str:
        return "none" if value is None else f"{value:.2f}"

    timed, events = "mean_latency_s" in shown[0]["metrics"], shown[0]["events"] is not None
    hourly = stream["period_s"] is not None
    table: list[tuple[str, ...]] = [("", given, f"confidence alone{mark[0]}", f"with memory{mark[1]}")]
    if shown[0]["metrics"]["accuracy"] is not None:
        table.append(row("accuracy", share, "metrics", "accuracy"))
    table += [
        row("mean MACs", macs, "metrics", "mean_macs"),
        row("p95 MACs", macs, "p95_macs"),
        row("most MACs", macs, "worst_macs"),
    ]
    if timed:
        table += [
            row("mean latency", seconds, "metrics", "mean_latency_s"),
            row("worst latency", seconds, "metrics", "worst_latency_s"),
            row("mean energy", joules, "metrics", "mean_energy_j"),
        ]
    if events:
        table += [
            row("events", count, "events", "events"),
            row("missed", count, "events", "missed"),
            row("late", count, "events", "late"),
            row("mean delay, samples", decimal, "events", "delay_mean"),
            row("p95 delay, samples", count, "events", "delay_p95"),
            row("false alarms", count, "events", "false_alarms"),
        ]
    if events and hourly:
        table.append(row("false alarms an hour", decimal, "false_alarms_per_hour"))
    if timed and hourly:
        table.append(row("energy an hour", joules, "energy_per_hour_j"))
    if use is not None:
        lives = (battery.life_text(battery.life_s(report, each["metrics"], use)) for each in shown)
        table.append(("battery life", *lives))
    worst = [each["worst_sequence"] for each in shown]
    table.append(("drop of the worst sequence", *(points(each["drop"], signed=False) for each in worst)))
    return tuple(table)
