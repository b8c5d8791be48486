"""A plot as SVG: axes in round steps, bars, lines and marks that say their values, labels that lie on none of them.

Colours, fonts and strokes are classes of the page's style sheet; the values of marks are <title>s, which a browser
shows by itself and the page's script at once. Equal figures give equal bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor, hypot, log10

from markupsafe import escape

__all__ = ["NARROW", "SHAPES", "WIDE", "Axis", "Plot", "shape"]

# CSS pixels: three fit beside each other, or two; a phone shows both at nearly their size
NARROW, WIDE = 340, 420
_FONT = 12
_LINE = 14  # from one line of text to the next
_HALF = 0.7071
# corners of marks of radius 1; a circle has none
SHAPES: dict[str, tuple[tuple[float, float], ...]] = {
    "circle": (),
    "square": ((-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)),
    "diamond": ((0, -1.2), (1.2, 0), (0, 1.2), (-1.2, 0)),
    "triangle": ((0, -1.1), (1.1, 0.85), (-1.1, 0.85)),
    "down": ((0, 1.1), (1.1, -0.85), (-1.1, -0.85)),
    "bar": ((-0.45, -1.2), (0.45, -1.2), (0.45, 1.2), (-0.45, 1.2)),
}
# where a label may stand from what it names: right, left, above, below, and between these
_AROUND = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (-1, -1), (1, 1), (-1, 1))
_AWAY = (3, 8, 16, 26, 38)  # CSS pixels between the two
_LED = 16  # from here on a line leads to what is named

Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True)
class Axis:
    """From ``low`` to ``high``, with at most about ``most`` steps; ``text`` writes the number of a step."""

    title: str
    low: float
    high: float
    text: Callable[[float], str]
    most: int = 5

    def share(self, value: float) -> float:
        """Where a value lies, 0 at the low end and 1 at the high one."""
        return (value - self.low) / (self.high - self.low)

    def holds(self, value: float) -> bool:
        return -1e-9 <= self.share(value) <= 1 + 1e-9

    def steps(self) -> list[float]:
        """Multiples of 1, 2, 2.5 or 5 times a power of ten."""
        rough = (self.high - self.low) / self.most
        power = 10.0 ** floor(log10(rough))
        step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * (1 - 1e-9))
        first, last = ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9)
        return [k * step for k in range(first, last + 1)]


@dataclass(frozen=True)
class _Label:
    """Words for a place: the first of ``texts`` that fits somewhere around one of ``places``."""

    texts: Sequence[str]
    places: Sequence[tuple[float, float]]
    style: str


class Plot:
    """What is drawn between two axes; coordinates are values of these axes."""

    def __init__(self, x: Axis, y: Axis, width: int, height: int, *, headline: bool = False) -> None:
        self.x, self.y, self.width, self.height = x, y, width, height
        self.left = 8 + max(_wide(y.text(step)) for step in y.steps())
        self.right, self.top, self.bottom = width - 10.0, _LINE + (26 if headline else 12), height - 38.0
        self._shapes: list[str] = []
        self._lines: list[str] = []
        self._labels: list[_Label] = []
        self._taken: list[Box] = []

    # -- what is drawn ----------------------------------------------------------------------------

    def bar(self, left: float, right: float, high: float, style: str, name: str, tip: str) -> None:
        """A bar from the axis at 0 to ``high``, also below it."""
        x1, x2, y1, y2 = self._across(left), self._across(right), self._up(max(high, 0)), self._up(min(high, 0))
        tipped = f"<title>{escape(tip)}</title>"
        self._shapes.append(
            f'<rect x="{x1:.2f}" y="{y1:.2f}" width="{x2 - x1:.2f}" height="{y2 - y1:.2f}" class="{style}" '
            f'data-id="{name}">{tipped}</rect>'
        )
        if high:
            self._taken.append((x1, y1, x2, y2))

    def line(self, points: Sequence[tuple[float, float]], style: str, *, steps: bool = False) -> None:
        """A line through points; ``steps``: level first, then up or down. What is beyond the axes is cut off."""
        at = [(self._across(x), self._up(y)) for x, y in points]
        if steps:
            at = [at[0], *(p for one, two in pairwise(at) for p in ((two[0], one[1]), two))]
        words = " ".join(f"{x - self.left:.2f},{y - self.top:.2f}" for x, y in at)
        self._lines.append(f'<polyline points="{words}" class="{style}"/>')
        for (x1, y1), (x2, y2) in pairwise(at):
            parts = max(1, ceil(hypot(x2 - x1, y2 - y1) / 5)) if x1 != x2 and y1 != y2 else 1
            for k in range(parts):
                xs = [x1 + (x2 - x1) * j / parts for j in (k, k + 1)]
                ys = [y1 + (y2 - y1) * j / parts for j in (k, k + 1)]
                self._taken.append((min(xs) - 1.5, min(ys) - 1.5, max(xs) + 1.5, max(ys) + 1.5))

    def mark(self, x: float, y: float, kind: str, radius: float, style: str, name: str, tip: str) -> bool:
        """A mark, if it lies between the axes; says whether it does."""
        if not (self.x.holds(x) and self.y.holds(y)):
            return False
        across, up = self._across(x), self._up(y)
        self._shapes.append(
            f'<path transform="translate({across:.2f} {up:.2f})" d="{shape(kind, radius)}" class="{style}" '
            f'data-id="{name}"><title>{escape(tip)}</title></path>'
        )
        room = radius + 1.5
        self._taken.append((across - room, up - room, across + room, up + room))
        return True

    def label(self, places: Sequence[tuple[float, float]], *texts: str, style: str = "") -> None:
        """Words beside one of ``places``, as long as fit there (the last of ``texts`` always stands somewhere)."""
        self._labels.append(_Label(texts, [(self._across(x), self._up(y)) for x, y in places], style))

    def limit(self, x: float, words: str) -> None:
        """A line from bottom to top with words above it; needs ``headline``."""
        at = self._across(x)
        self._shapes.append(
            f'<path d="M{at:.2f} {self.bottom:g}V{self.top - 4:g}" class="limit"/>'
            + _text(at, self.top - 8, words, "ink", "end" if x > (self.x.low + self.x.high) / 2 else "start")
        )

    def svg(self, description: str) -> str:
        """An <svg> element for a page with the style sheet."""
        frame = f'x="{self.left:g}" y="{self.top:g}" width="{self.right - self.left:g}"'
        high = f'height="{self.bottom - self.top:g}"'
        lines = f"<svg {frame} {high}>{''.join(self._lines)}</svg>" if self._lines else ""
        box = f'viewBox="0 0 {self.width} {self.height}"'
        return (
            f'<svg class="chart" role="img" {box} aria-label="{escape(description)}">'
            + "".join([*self._axes(), lines, *self._shapes, *self._placed()])
            + "</svg>"
        )

    # -- where it goes ----------------------------------------------------------------------------

    def _across(self, x: float) -> float:
        return self.left + (self.right - self.left) * self.x.share(x)

    def _up(self, y: float) -> float:
        return self.bottom - (self.bottom - self.top) * self.y.share(y)

    def _axes(self) -> Iterator[str]:
        levels = [self._up(step) for step in self.y.steps()]
        grid = "".join(f"M{self.left:g} {level:.2f}H{self.right:g}" for level in levels)
        yield f'<path d="{grid}" class="grid"/>'
        yield _text(0, _FONT, self.y.title, "")
        for step, level in zip(self.y.steps(), levels, strict=True):
            yield _text(self.left - 6, level + 4, self.y.text(step), "", "end")
        beyond = -1e9
        for step in self.x.steps():
            words, at = self.x.text(step), self._across(step)
            half = _wide(words) / 2
            if at - half > beyond:  # the number before it leaves room
                at = min(at, self.width - half)
                yield _text(at, self.bottom + 16, words, "", "middle")
                beyond = at + half + 4
        yield _text((self.left + self.right) / 2, self.height - 5, self.x.title, "", "middle")

    def _placed(self) -> Iterator[str]:
        taken = list(self._taken)
        for label in self._labels:
            texts = [text.split("\n") for text in label.texts]
            best = min(
                ((self._covered(box, taken), k, n, box, place, lines)
                 for k, lines in enumerate(texts) for n, (box, place) in enumerate(self._around(label, lines))),
                key=lambda each: (each[0] > 0, each[1] if not each[0] else -each[1], each[0], each[2]),
            )  # fmt: skip
            *_, box, (x, y), lines = best
            taken.append(box)
            gap = hypot(max(box[0] - x, 0, x - box[2]), max(box[1] - y, 0, y - box[3]))
            if gap > _LED:
                end = min(max(x, box[0]), box[2]), min(max(y, box[1]), box[3])
                yield f'<path d="M{x:.1f} {y:.1f}L{end[0]:.1f} {end[1]:.1f}" class="leader"/>'
            for k, words in enumerate(lines):
                yield _text(box[0] + 1, box[1] + _LINE * (k + 1) - 3, words, label.style or "ink")

    def _around(self, label: _Label, lines: Sequence[str]) -> Iterator[tuple[Box, tuple[float, float]]]:
        wide, high = max(map(_wide, lines)) + 2, _LINE * len(lines)
        for away in _AWAY:
            for x, y in label.places:
                for over, down in _AROUND:
                    room = away * (_HALF if over and down else 1) + 4
                    left = x + over * room - (wide / 2 if not over else wide if over < 0 else 0)
                    top = y + down * room - (high / 2 if not down else high if down < 0 else 0)
                    box = (left, top, left + wide, top + high)
                    if left >= self.left and box[2] <= self.right + 6 and top >= self.top and box[3] <= self.bottom:
                        yield box, (x, y)
        # nowhere between the axes: at the upper left corner, so that there is one
        yield (self.left, self.top, self.left + wide, self.top + high), label.places[0]

    @staticmethod
    def _covered(box: Box, taken: Sequence[Box]) -> float:
        """The area of a box that others take."""
        return sum(
            max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
            * max(0.0, min(box[3], other[3]) - max(box[1], other[1]))
            for other in taken
        )


def shape(kind: str, radius: float) -> str:
    """The path of a mark around 0, 0."""
    if not SHAPES[kind]:
        half = f"a{radius:g} {radius:g} 0 1 0"
        return f"M{-radius:g} 0{half} {2 * radius:g} 0{half} {-2 * radius:g} 0z"
    return "M" + "L".join(f"{x * radius:.2f} {y * radius:.2f}" for x, y in SHAPES[kind]) + "z"


def _text(x: float, y: float, words: str, style: str, anchor: str = "") -> str:
    kind = f' class="{style}"' if style else ""
    end = f' text-anchor="{anchor}"' if anchor else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{kind}{end}>{escape(words)}</text>'


def _wide(words: str) -> float:
    """About how wide words are, in a wide font."""
    return _FONT * sum(0.36 if c in " .,:;|!'()il1tfj" else 0.96 if c in "mwMW%@≥" else 0.65 for c in words)
