"""Benefit curves of T-RecX (figure 4 of the paper) as SVG: accuracy change over the share of MACs that is saved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from papers_cells import Rows, mean, runs_of
from papers_published import TRECX
from papers_rows import ROWS

__all__ = ["curves"]

Point = tuple[float, float]  # share saved, accuracy lost
WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 720, 400, 60, 16, 16, 48
SAVED, LOST = (0.0, 0.8), (-0.01, 0.06)  # what is drawn
# of rows whose curves are drawn
LINES = {
    "published": "T-RecX, its published model (oracle)",
    "published-without-view": "the same without early view (oracle)",
    "frozen": "eeaug, two exits, frozen (oracle)",
}


def curves(rows: Rows) -> dict[str, str]:
    """File name in docs/ → SVG, of each task."""
    return {f"papers-{task}.svg": _chart(task, list(_drawn(rows, task))) for task in TRECX}


def _drawn(rows: Rows, task: str) -> Iterator[tuple[str, str, Sequence[Point]]]:
    """Words, colour, points; a line joins them where there are many."""
    paper = [(saved, drop / 100) for drop, saved in enumerate(TRECX[task].saved)]
    yield "T-RecX, the paper (oracle)", "#000000", paper
    for (name, words), colour in zip(LINES.items(), ("#c2571a", "#e0b090", "#1f6fb2"), strict=True):
        row = ROWS.get(f"trecx/{task}-{name}")
        runs = runs_of(rows, row) if row is not None else []
        if runs:
            steps = [run["figures"]["curve"]["steps"] for run in runs]
            yield (
                words,
                colour,
                [(mean([s[k][0] for s in steps]), mean([s[k][1] for s in steps])) for k in range(len(steps[0]))],
            )
    for promise, colour in (("expected", "#12805c"), ("proven", "#8e44ad")):
        points = []
        for budget in (1, 2, 3):
            runs = runs_of(rows, ROWS[f"trecx/{task}-{promise}-{budget}"])
            if runs:
                pairs = [(run["figures"]["measured"], run["figures"]["given"]) for run in runs]
                saved = mean([1 - after["mean_macs"] / before["mean_macs"] for after, before in pairs])
                points.append((saved, mean([before["accuracy"] - after["accuracy"] for after, before in pairs])))
        if points:
            yield f"eeaug, {promise} at 1, 2 and 3 points (test)", colour, points


def _chart(task: str, drawn: Sequence[tuple[str, str, Sequence[Point]]]) -> str:
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f"<title>{escape(TRECX[task].model)}: accuracy lost over MACs saved</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
    ]
    for percent in range(0, 81, 10):
        x = _x(percent / 100)
        parts.append(f'<path d="M{x} {TOP}V{HEIGHT - BOTTOM}" stroke="#e5e5e5"/>')
        parts.append(f'<text x="{x}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{percent} %</text>')
    for points in range(-1, 7):
        y = _y(points / 100)
        parts.append(f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" stroke="{"#999999" if points == 0 else "#e5e5e5"}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:g}" text-anchor="end">{str(points).replace("-", "−")}</text>')
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(f'<text x="{(LEFT + WIDTH) / 2:g}" y="{HEIGHT - 12}" text-anchor="middle">mean MACs saved</text>')
    parts.append(
        f'<text x="16" y="{middle:g}" text-anchor="middle" transform="rotate(-90 16 {middle:g})">points lost</text>'
    )
    for k, (words, colour, points) in enumerate(drawn):
        y = HEIGHT - BOTTOM - 14 - 16 * (len(drawn) - 1 - k)
        parts.append(f'<circle cx="{LEFT + 14}" cy="{y - 4}" r="4" fill="{colour}"/>')
        parts.append(f'<text x="{LEFT + 26}" y="{y}">{escape(words)}</text>')
        parts += _line(points, colour)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _line(points: Sequence[Point], colour: str) -> Iterator[str]:
    """Within the frame; every point by itself where there are few."""
    shown = [(_x(saved), _y(lost)) for saved, lost in points if _inside(saved, SAVED) and _inside(lost, LOST)]
    if len(points) < 10:
        yield from (f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"/>' for x, y in shown)
    if len(shown) > 1:
        joined = " ".join(f"{x},{y}" for x, y in shown)
        yield f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def _inside(value: float, of: tuple[float, float]) -> bool:
    return of[0] <= value <= of[1]


def _x(saved: float) -> float:
    return round(LEFT + (saved - SAVED[0]) / (SAVED[1] - SAVED[0]) * (WIDTH - LEFT - RIGHT), 1)


def _y(lost: float) -> float:
    return round(TOP + (lost - LOST[0]) / (LOST[1] - LOST[0]) * (HEIGHT - TOP - BOTTOM), 1)
