"""Plots: round steps, labels beside what is drawn, nothing beyond the frame."""

from __future__ import annotations

import random
import re
from xml.etree import ElementTree

import pytest

from eeaug.report.render.plot import NARROW, SHAPES, WIDE, Axis, Plot, shape

SVG = "{http://www.w3.org/2000/svg}"


def axis(low: float = 0.0, high: float = 1.0) -> Axis:
    return Axis("of it", low, high, lambda v: f"{v:g}")


@pytest.mark.parametrize("seed", range(50))
def test_steps_are_round_and_few(seed: int) -> None:
    chance = random.Random(seed)
    low = chance.uniform(-5, 5) * 10 ** chance.randint(-9, 9)
    span = chance.uniform(1, 10) * abs(low) * 10 ** chance.randint(-3, 1)
    steps = axis(low, low + span).steps()
    assert 2 <= len(steps) <= 6
    assert all(low - 1e-6 * span <= step <= low + span * (1 + 1e-6) for step in steps)
    assert f"{steps[1] - steps[0]:.3e}".partition("e")[0] in ("1.000", "2.000", "2.500", "5.000")


def drawn(plot: Plot) -> ElementTree.Element:
    return ElementTree.fromstring(plot.svg("a plot"))


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_labels_lie_on_nothing_where_there_is_room(seed: int, width: int) -> None:
    chance = random.Random(seed)
    plot = Plot(axis(), axis(), width, 260)
    points = sorted((chance.random(), chance.random()) for _ in range(8))
    plot.line(points, "front", steps=bool(seed % 2))
    for x, y in points:
        assert plot.mark(x, y, "circle", 3, "f-blue", "point", f"{x:.2f}")
    taken = list(plot._taken)
    for x, y in points[:3]:
        plot.label([(x, y)], "a label", "b")
    for text in drawn(plot).findall("text[@class='ink']"):
        left, bottom = float(text.get("x", "")), float(text.get("y", "")) + 2  # of the letters, and no room around
        assert text.text in ("a label", "b")
        box = (left, bottom - 12, left + (44 if text.text == "a label" else 7), bottom)
        assert plot.left <= box[0] and box[2] <= width and plot.top <= box[1] and box[3] <= plot.bottom
        assert Plot._covered(box, taken) == 0
        taken.append(box)


def test_without_room_the_shortest_words_stand_somewhere() -> None:
    plot = Plot(axis(), axis(), NARROW, 120)
    plot.bar(0, 1, 1, "right", "all", "all of it")
    plot.label([(0.5, 0.5)], "words that are long", "w")
    assert [text.text for text in drawn(plot).findall("text[@class='ink']")] == ["w"]


def test_marks_beyond_the_axes_are_left_out() -> None:
    plot = Plot(axis(), axis(), NARROW, 260)
    assert not plot.mark(1.1, 0.5, "square", 3, "", "m", "t") and not plot.mark(
        0.5, -0.1, "square", 3, "", "m", "t"
    )
    assert plot.mark(1, 0, "square", 3, "", "m", "<t>")
    (mark,) = drawn(plot).findall("path[@data-id='m']")
    assert mark[0].text == "<t>"


def test_every_mark_is_centred() -> None:
    for kind in SHAPES:
        numbers = [float(n) for n in re.findall(r"-?[\d.]+", shape(kind, 5))]
        if kind != "circle":
            assert abs(sum(numbers[0::2])) < 1e-9 and max(map(abs, numbers)) <= 6
