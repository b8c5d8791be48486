"""One recording as a strip: truth, answer, and where each sample left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby

from eeaug.report.words.facts import Report
from eeaug.support.printable import printable

__all__ = ["svg"]

WIDTH, ROW, GAP, SIDE = 900.0, 22.0, 6.0, 70.0  # units of the picture: of all samples, a row, between rows, names
LETTER = 7.0  # of a name that stands in a run
TINTS = ("blue", "purple", "soft")  # of classes; what is answered wrongly is orange, what memory decides green


def svg(report: Report) -> str:
    """An <svg> element for a page that defines charts.COLOURS as CSS variables."""
    strip, names = report["stream"]["strip"], report["model"]["classes"]
    count = len(strip["labels"])
    each = WIDTH / max(count, 1)
    right = [label == answer for label, answer in zip(strip["labels"], strip["answers"], strict=True)]
    rows = [
        ("truth", _runs(strip["labels"], [True] * count, names, each)),
        ("answer", _runs(strip["answers"], right, names, each)),
        ("left at", _exits(strip["exits"], strip["remembered"], len(report["design"]["exits"]), each)),
    ]
    height = len(rows) * (ROW + GAP)
    body = []
    for k, (name, marks) in enumerate(rows):
        top = k * (ROW + GAP)
        body.append(f'<text x="0" y="{top + ROW - 6:g}" font-size="13" fill="var(--soft)">{name}</text>')
        body.append(f'<g transform="translate({SIDE:g} {top:g})">{"".join(marks)}</g>')
    wrong = count - sum(right)
    description = (
        f"{count} samples in order of time: {wrong} answered wrongly, {sum(strip['remembered'])} decided from "
        f"memory, {sum(k == len(report['design']['exits']) for k in strip['exits'])} by the last classifier"
    )
    return (
        f'<svg class="strip" role="img" viewBox="0 0 {WIDTH + SIDE:g} {height:g}" width="100%" '
        f'aria-label="{escape(description)}"><title>{escape(description)}</title>{"".join(body)}</svg>'
    )


def _runs(classes: Sequence[int], right: Sequence[bool], names: Sequence[str], each: float) -> Iterator[str]:
    """Runs of one class, with its name where there is room."""
    start = 0
    for (number, fits), run in groupby(zip(classes, right, strict=True)):
        length = len(list(run))
        name, wide = escape(printable(str(names[number]))), length * each
        tint = TINTS[number % len(TINTS)] if fits else "orange"
        yield (
            f'<rect x="{start * each:.2f}" width="{wide:.2f}" height="{ROW:g}" fill="var(--{tint})" '
            f'fill-opacity=".35" stroke="var(--ground)"><title>{name}, {length} samples</title></rect>'
        )
        if len(name) * LETTER < wide:
            yield f'<text x="{start * each + 4:.2f}" y="{ROW - 6:g}" font-size="12" fill="var(--ink)">{name}</text>'
        start += length


def _exits(exits: Sequence[int], remembered: Sequence[bool], last: int, each: float) -> Iterator[str]:
    """How far every sample went, as a height; green where memory decided."""
    start = 0
    for (at, memory), run in groupby(zip(exits, remembered, strict=True)):
        length = len(list(run))
        tall = ROW * (at + 1) / (last + 1)
        yield (
            f'<rect x="{start * each:.2f}" y="{ROW - tall:.2f}" width="{length * each:.2f}" height="{tall:.2f}" '
            f'fill="var(--{"green" if memory else "blue"})" fill-opacity=".7"/>'
        )
        start += length
