"""report.json as GitHub Markdown, short enough for a comment on a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from eeaug.report import units
from eeaug.report.words import (
    alternatives,
    battery,
    counted,
    details,
    facts,
    quantised,
    remote,
    rho,
    streams,
    target,
)
from eeaug.report.words import compare as comparing
from eeaug.report.words.battery import Use
from eeaug.report.words.compare import Named
from eeaug.report.words.facts import Report, ReportedStage
from eeaug.support.printable import printable

__all__ = ["compare", "render"]


def render(report: Report, use: Use | None = None) -> str:
    """A report that fits into a comment: the answer, and the rest to unfold; `report` is report.json
    of schema.report.VERSION. `use` adds how long a battery lasts.
    """
    return "\n".join(_lines(report, use)) + "\n"


def compare(designs: Sequence[Named], use: Use | None = None) -> str:
    """Several designs side by side."""
    rows = [("", *(design.name for design in designs))]
    rows += [(line.quantity, *line.marked) for line in comparing.rows(designs, use)]
    notes = [f"- {_text(note)}" for note in comparing.notes(designs, use)]
    return "\n".join([f"**{_text(comparing.sentence(designs))}**", "", *_table(rows), "", *notes]) + "\n"


def _lines(report: Report, use: Use | None) -> Iterator[str]:
    design, model, hardware = report["design"], report["model"], report["hardware"]
    yield f"### {_text(model['name'])} on {_text(hardware['name'])}"
    yield ""
    yield f"**{_text(design['summary'])}**"
    yield from ("", _text(facts.promise(report)[0]))
    for kind, sentences in (("NOTE", report["data"]["notes"]), ("WARNING", report["warnings"])):
        if sentences:
            yield from ("", f"> [!{kind}]", *(f"> - {_text(sentence)}" for sentence in sentences))

    yield from ("", f"**{_text(facts.comparison_title(report))}**", "")
    compared = (*facts.comparison(report), *([battery.row(report, use)] if use else []))
    rows = [(row.quantity, row.baseline, row.result, row.change) for row in compared]
    yield from _table([("", f"given model ({facts.runs_on(report['baseline'])})", "result", "change"), *rows])
    yield from ("", _text(counted.basis(report)))
    if use is not None:
        yield from ("", _text(battery.note(report, use)))
    if design["exits"]:
        yield from ("", _text(facts.bound(report)))
        if worst := facts.worst_class_bound(report):
            yield from ("", _text(worst))
    if sent := remote.sentence(report):
        yield from ("", _text(sent))
    outcome, agrees = details.verified(report)
    if not agrees:
        yield from ("", f"**Not verified: {_text(outcome)}**")

    yield from ("", "<details><summary>The design, what was predicted, and how it was found</summary>", "")
    yield from _more(report)
    yield ""
    yield from (f"- {name}: {_text(words)}" for name, words in details.details(report))
    if agrees:
        yield f"- verified: {_text(outcome)}"
    yield from ("", "</details>")


def _more(report: Report) -> Iterator[str]:
    """What a reader of the comment unfolds."""
    design = report["design"]
    note = ", estimated" if facts.estimated(report) else ""
    yield from _table(
        [
            ("design", "MACs", f"latency{note}", "storage", "peak activations", "leave", "hands over"),
            *(_stage(stage) for stage in facts.stages(report)),
        ]
    )
    if design["exits"]:
        yield from ("", "**Where samples leave**", "")
        leaves = [(leave.place, units.share(leave.rate), units.macs(leave.macs)) for leave in facts.leaves(report)]
        yield from _table([("", "samples", "MACs each"), *leaves])
        yield from ("", "**Predicted and measured**", "")
        yield from _table(facts.predictions(report))
        yield from ("", _text(facts.independence_gap(report)))
    if "stream" in report:
        yield from ("", f"**{_text(streams.title(report))}**", "")
        yield from _table(streams.rows(report))
        for words in (
            streams.sentence(report),
            streams.compared(report),
            streams.decided_by(report),
            streams.note(report),
            streams.int8(report),
        ):
            if words:
                yield from ("", _text(words))
    if specific := target.rows(report):
        yield from ("", f"**{_text(target.title(report))}**", "")
        yield from _table(specific)
        yield from ("", f"**{_text(target.missed_title(report))}**", "")
        yield from _table(target.missed(report))
    if trade_offs := rho.rows(report):
        yield from ("", "**Trade-off points of T-RecX**", "")
        yield from _table(trade_offs)
    if points := alternatives.operating_points(report):
        yield from ("", f"**{_text(alternatives.operating_points_title(report))}**", "")
        yield from _table(points)
        if note := alternatives.together(report):
            yield from ("", _text(note))
    if int8 := quantised.comparison(report):
        yield from ("", f"**{_text(quantised.title(report))}**", "")
        yield from _table(int8)
        yield from ("", _text(quantised.note(report)), "")
        yield from _table(quantised.files(report))
        if npu := quantised.compiled(report):
            yield from _table(npu)
        if points := quantised.operating_points(report):
            yield from ("", f"**{_text(quantised.operating_points_title(report))}**", "")
            yield from _table(points)
    for block in facts.c_blocks(report):
        memory = facts.c_memory(block)
        yield from ("", f"**{facts.c_memory_title(block)}**", "")
        yield from _table(memory)
        yield from ("", _text(facts.c_memory_note(block)))
        if ways := counted.rows(block):
            yield from ("", f"**{counted.title(block)}**", "")
            yield from _table(ways)
            yield from ("", _text(counted.note(block)))
    if report["benefit_curve"]:
        yield from ("", f"**{_text(alternatives.benefits_title(report))}**", "")
        yield from _table(alternatives.benefits(report))
        if note := alternatives.benefits_note(report):
            yield from ("", _text(note))


def _stage(stage: ReportedStage) -> tuple[str, ...]:
    segment = stage.segment
    words, macs = f"{facts.runs_on(segment)}: {stage.path}", units.macs(segment["macs"])
    if stage.exit is not None:
        words += f"; exit {stage.exit['head']}, {stage.rule}, {stage.right}"
        macs += f" + {units.macs(segment['head_macs'])}"
    return (
        words,
        macs,
        units.seconds(segment["latency_s"]),
        units.size(segment["storage_bytes"]) + facts.weights_in(segment),
        units.size(segment["peak_activation_bytes"]) + facts.tensors_in(segment),
        units.share(stage.leave_rate),
        units.size(segment["handover_bytes"]),
    )


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The first row is the header; every column but the first is aligned to the right."""
    for position, row in enumerate(rows):
        yield f"| {' | '.join(map(_text, row))} |"
        if position == 0:
            yield f"|---|{'--:|' * (len(row) - 1)}"


def _text(words: str) -> str:
    """Layer and class names may hold characters that Markdown would take as its own."""
    return re.sub(r"[\\`*<>\[|~&$#]|(?<!\w)_|_(?!\w)", r"\\\g<0>", printable(" ".join(words.split())))
