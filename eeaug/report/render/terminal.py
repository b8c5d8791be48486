"""report.json for a terminal: the answer, its picture, the comparison, the search, the warnings."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import rich.console
from rich import box
from rich.console import ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from eeaug.report import units
from eeaug.report.render import tables
from eeaug.report.render.console import Console
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
from eeaug.support.progress import FIRST

__all__ = ["compare", "plain", "render"]

# rich replaces only its own box characters when the output cannot encode unicode
_ASCII = str.maketrans(
    {
        "→": "->", "←": "<-", "…": "...", "≥": ">=", "≤": "<=", "−": "-", "±": "+-", "µ": "u",
        "│": "|", "▼": "v", "↓": "v", "█": "#", "░": ".", "·": ",", "✓": "+",
    }
)  # fmt: skip

_NAMES, _NARROWEST = 18, 16  # columns of quantities, and of a design beside others
FILE_WIDTH = 100  # columns of text that goes to a file
_WIDEST = 100  # columns; in a wider box the eye loses the line between words and figures

# text and style → Text; every word goes through it, so none can reach an output that cannot encode it, and
# none is read as rich markup: layer and class names may hold square brackets
_Write = Callable[..., Text]


def render(report: Report, width: int | None = None, use: Use | None = None) -> RenderableType:
    """The whole report as one rich renderable.

    `report` is report.json of schema.report.VERSION; `width` is the number of columns to fill, at most (and by
    default) those of the console that prints it. Where its encoding is not unicode, the text is plain ASCII.
    `use` adds how long a battery lasts.
    """
    return _Page(lambda write, columns: _parts(report, write, columns, use), width)


def compare(designs: Sequence[Named], use: Use | None = None) -> RenderableType:
    """Several designs side by side; as many of them in a table as the console is wide."""
    return _Page(lambda write, width: _side_by_side(designs, use, write, width), None)


def plain(printed: Callable[[Console], object]) -> str:
    """What ``printed`` prints on a console, as plain text for a file."""
    text = io.StringIO()
    printed(Console(file=text, width=FILE_WIDTH, force_terminal=False, force_jupyter=False))
    return text.getvalue()


class _Page:
    """Chooses unicode or ASCII when printed, since only then the encoding is known.

    `parts`: what is on it, from how words are written and the number of columns.
    """

    def __init__(self, parts: Callable[[_Write, int], Iterator[RenderableType]], width: int | None) -> None:
        self.parts, self.width = parts, width

    def __rich_console__(self, console: rich.console.Console, options: ConsoleOptions) -> RenderResult:
        if self.width is not None:
            options = options.update(width=min(self.width, options.max_width))
        write = _ascii if options.ascii_only else _words
        yield from console.render(Group(*self.parts(write, options.max_width)), options)


def _words(text: str, style: str = "") -> Text:
    return Text(printable(text), style)


def _ascii(text: str, style: str = "") -> Text:
    return Text(printable(text).translate(_ASCII).encode("ascii", "backslashreplace").decode("ascii"), style)


def _parts(report: Report, write: _Write, width: int, use: Use | None) -> Iterator[RenderableType]:
    design, baseline = report["design"], facts.runs_on(report["baseline"])
    first = [warning for warning in report["warnings"] if warning.startswith(FIRST)]
    warnings = [warning for warning in report["warnings"] if warning not in first]
    if first:  # before any figure is believed
        yield _warnings(first, write)
        yield Text()
    yield write(design["summary"], "bold")
    sentence, proven = facts.promise(report)
    yield write(sentence, "green" if proven else "yellow")
    for note in report["data"]["notes"]:
        yield write(f"Note: {note}", "yellow")

    yield from _heading(f"The design, {report['model']['name']} on {report['hardware']['name']}", write)
    yield from _picture(report, write, width)

    yield from _heading(facts.comparison_title(report), write)
    yield _comparison(report, f"given model ({baseline})", write, use)
    yield write(counted.basis(report), "dim")
    if use is not None:
        yield write(battery.note(report, use), "dim")
    if design["exits"]:
        yield write(facts.bound(report), "dim")
        if worst := facts.worst_class_bound(report):
            yield write(worst, "dim")
        if sent := remote.sentence(report):
            yield write(sent, "dim")
        yield from _heading("Where samples leave", write)
        yield _bars(report, write, 20 if width < 100 else 40)
        yield from _heading("Predicted and measured", write)
        yield _table(facts.predictions(report), write)
        yield write(facts.independence_gap(report), "dim")
    if "stream" in report:
        yield from _heading(streams.title(report), write)
        yield _table(streams.rows(report, use), write)
        for words in (
            streams.sentence(report),
            streams.compared(report),
            streams.decided_by(report),
            streams.note(report),
            streams.int8(report),
        ):
            if words:
                yield write(words, "dim")
    if rows := target.rows(report):
        yield from _heading(target.title(report), write)
        yield _table(rows, write)
        yield from _heading(target.missed_title(report), write)
        yield _table(target.missed(report), write)
    if rows := rho.rows(report):
        yield from _heading("Trade-off points of T-RecX (Ghanathe and Wilton, table 1)", write)
        yield _table(rows, write)
    if points := alternatives.operating_points(report):
        yield from _heading(alternatives.operating_points_title(report), write)
        yield _table(points, write)
        if note := alternatives.together(report):
            yield write(note, "dim")
    if int8 := quantised.comparison(report):
        yield from _heading(quantised.title(report), write)
        yield _table(int8, write)
        yield write(quantised.note(report), "dim")
        yield Text()
        yield _table(quantised.files(report), write)
        if npu := quantised.compiled(report):
            yield Text()
            yield _table(npu, write)
        if points := quantised.operating_points(report):
            yield from _heading(quantised.operating_points_title(report), write)
            yield _table(points, write)
    if report["benefit_curve"]:
        yield from _heading(alternatives.benefits_title(report), write)
        yield _table(alternatives.benefits(report), write, last_left=True)
        if note := alternatives.benefits_note(report):
            yield write(note, "dim")

    for block in facts.c_blocks(report):
        memory = facts.c_memory(block)
        yield from _heading(facts.c_memory_title(block), write)
        yield _table(memory, write)
        yield write(facts.c_memory_note(block), "dim")
        if ways := counted.rows(block):
            yield from _heading(counted.title(block), write)
            yield _table(ways, write)
            yield write(counted.note(block), "dim")

    yield from _heading("How it was found", write)
    yield _facts(report, write)
    if warnings:
        yield Text()
        yield _warnings(warnings, write)


def _side_by_side(designs: Sequence[Named], use: Use | None, write: _Write, width: int) -> Iterator[RenderableType]:
    yield write(comparing.sentence(designs), "bold")
    lines = comparing.rows(designs, use)
    each = max(max(len(design.name) for design in designs), _NARROWEST) + 2
    at_once = max(1, (width - _NAMES) // each)
    for first in range(0, len(designs), at_once):
        shown = slice(first, first + at_once)
        yield Text()
        yield _table(
            [
                ("", *(design.name for design in designs[shown])),
                *((line.quantity, *line.marked[shown]) for line in lines),
            ],
            write,
        )
    for note in comparing.notes(designs, use):
        yield write(note, "dim")


def _heading(words: str, write: _Write) -> Iterator[Text]:
    yield Text()
    yield write(words, "bold cyan")


def _picture(report: Report, write: _Write, width: int) -> Iterator[RenderableType]:
    """One box per processor in a row of its stages, an arrow with the hand-over between two boxes."""
    note = " estimated" if facts.estimated(report) else ""
    handed: ReportedStage | None = None
    first, arrives = report["design"]["segments"][0], report["hardware"]["input_at"]
    if first["processor"] != arrives:
        yield write(f"      input arrives at {arrives}")
        yield write(f"      ▼ {units.size(first['received_bytes'])} for each sample")
    for place, group in groupby(facts.stages(report), key=lambda stage: facts.runs_on(stage.segment)):
        if handed is not None:
            yield write("      │")
            sent = handed.segment["handover_bytes"]  # none where only the level changes
            what = f"{units.size(sent)} for each of the " if sent else ""
            yield write(f"      ▼ {what}{units.share(handed.onward_rate)}{' that' if sent else ''} go on")
        lines: list[RenderableType] = []
        for stage in group:
            if lines and handed is not None:
                lines.append(write(f"   ↓ {units.share(handed.onward_rate)} go on, still on {place}"))
            lines.append(_stage(stage, note, write))
            handed = stage
        title = write(place, "bold")
        yield Panel(Group(*lines), title=title, title_align="left", box=box.ROUNDED, width=min(width, _WIDEST))


def _stage(stage: ReportedStage, note: str, write: _Write) -> Table:
    segment = stage.segment
    lines = Table.grid(expand=True, padding=(0, 0, 0, 2))
    lines.add_column(ratio=1, overflow="fold")
    lines.add_column(justify="right", overflow="fold")
    lines.add_row(write(stage.path), write(f"{units.macs(segment['macs'])} MACs"))
    if stage.exit is not None:
        lines.add_row(
            write(f"exit {stage.exit['head']}, {stage.rule}"), write(f"{units.macs(segment['head_macs'])} MACs")
        )
        lines.add_row(write(f"→ {units.share(stage.leave_rate)} leave here", "green"), write(stage.right))
    elif segment["to"] == "output":
        lines.add_row(write(f"→ {units.share(stage.leave_rate)} reach the output", "green"), Text())
    peak = units.size(segment["peak_activation_bytes"])
    memory = f"{units.size(segment['storage_bytes'])} storage{facts.weights_in(segment)}, {peak} peak activations"
    memory += facts.tensors_in(segment)
    latency = units.seconds(segment["latency_s"])
    lines.add_row(write(memory, "dim"), write(latency + ("" if latency == units.UNKNOWN else note)))
    return lines


def _comparison(report: Report, baseline: str, write: _Write, use: Use | None) -> Table:
    table = _columns(("", baseline, "result", "change"), write)
    for row in (*facts.comparison(report), *([battery.row(report, use)] if use else [])):
        style = {True: "green", False: "red", None: ""}[row.better]
        table.add_row(write(row.quantity), write(row.baseline), write(row.result), write(row.change, style))
    return table


def _table(rows: Sequence[Sequence[str]], write: _Write, *, last_left: bool = False) -> Table:
    table = _columns(rows[0], write)
    if last_left:
        table.columns[-1].justify = "left"
    for row in rows[1:]:
        table.add_row(*map(write, row))
    return table


def _columns(titles: Sequence[str], write: _Write) -> Table:
    return tables.table([write(title) for title in titles])


def _bars(report: Report, write: _Write, length: int) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(overflow="fold")
    table.add_column(no_wrap=True)
    for _ in range(2):
        table.add_column(justify="right", overflow="fold")
    for leave in facts.leaves(report):
        full = round(length * leave.rate)
        bar = write("█" * full + "░" * (length - full), "green")
        table.add_row(
            write(leave.place), bar, write(units.share(leave.rate)), write(f"{units.macs(leave.macs)} MACs")
        )
    return table


def _facts(report: Report, write: _Write) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, words in details.details(report):
        table.add_row(write(name), write(words))
    outcome, agrees = details.verified(report)
    # in words too: colour is lost in a file
    name, style = ("verified", "green") if agrees else ("NOT VERIFIED", "bold red")
    table.add_row(write(name), write(outcome, style))
    return table


def _warnings(warnings: Sequence[str], write: _Write) -> Panel:
    title = "WARNING" if len(warnings) == 1 else f"{len(warnings)} WARNINGS"
    lines = Table.grid(padding=(0, 1, 0, 0))
    lines.add_column()
    lines.add_column(overflow="fold")
    for warning in warnings:
        lines.add_row(write("!"), write(warning))
    return Panel(lines, title=write(title, "bold"), title_align="left", box=box.HEAVY, border_style="bold yellow")
