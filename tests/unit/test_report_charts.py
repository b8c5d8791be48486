"""The charts of the page: every mark is that of report.json."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from report_kinds import Reader, rendered
from reports import SAMPLE

from eeaug.report import units
from eeaug.report.render import charts
from eeaug.schema.figures import FIGURES
from eeaug.settings import COSTS


def drawn(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def marks(svg: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [element for element in svg.iter() if element.get("data-id") == name]


def boxes(svg: ElementTree.Element, name: str) -> list[tuple[float, float]]:
    """Width and height of every bar of that name."""
    return [(float(mark.get("width", "nan")), float(mark.get("height", "nan"))) for mark in marks(svg, name)]


def markers(svg: ElementTree.Element, name: str) -> list[tuple[float, float]]:
    found = (re.findall(r"-?[\d.]+", mark.get("transform", "")) for mark in marks(svg, name))
    return [(float(x), float(y)) for x, y in found]


def tips(svg: ElementTree.Element, name: str) -> list[str]:
    return [mark[0].text or "" for mark in marks(svg, name)]


@pytest.mark.parametrize("k", [0, 1])
def test_bars_of_confidence_are_the_histogram(k: int) -> None:
    svg = drawn(charts.confidence(SAMPLE, k, "an exit"))
    found = SAMPLE["design"]["confidences"]["exits"][k]
    shares = [share for share in found["right"] + found["wrong"] if share]
    heights = [high for name in ("right", "wrong") for _, high in boxes(svg, name)]
    assert len(heights) == len(shares) > 20
    per_share = sum(heights) / sum(shares)
    assert heights == pytest.approx([per_share * share for share in shares], abs=2e-2)
    said = [tip.rpartition(": ")[2] for tip in tips(svg, "right")]
    pairs = [pair for pair in zip(found["right"], found["wrong"], strict=True) if pair[0]]
    assert said == [f"{units.share(a)} right, {units.share(b)} wrong, of all samples" for a, b in pairs]


def test_the_filled_area_is_the_mean() -> None:
    svg = drawn(charts.running(SAMPLE))
    names = ("backbone-0", "head-0", "backbone-1")
    (first, head, last) = (boxes(svg, name)[0] for name in names)
    metrics, segments = SAMPLE["design"]["measured"], SAMPLE["design"]["segments"]
    per_mac, whole = first[0] / segments[0]["macs"], first[1]
    assert head[0] == pytest.approx(per_mac * segments[0]["head_macs"], rel=1e-3)
    assert last[1] / whole == pytest.approx(metrics["leave_rates"][1], rel=1e-3)
    area = sum(w * h for w, h in (first, head, last)) / per_mac / whole
    assert area == pytest.approx(metrics["mean_macs"], rel=1e-3)


@pytest.mark.parametrize("cost", [cost.metric for cost in COSTS.values()])
def test_points_of_the_curves_stand_where_their_figures_are(cost: str) -> None:
    svg = drawn(charts.benefit(SAMPLE, cost))
    curve, base = SAMPLE["benefit_curve"], SAMPLE["baseline"]["choose"]["accuracy"]
    wanted = {
        "front": sorted((p[cost], p["drop"]) for p in curve if cost in p["fronts"]),
        "rest": [(p[cost], p["drop"]) for p in curve if cost not in p["fronts"] and not p["chosen"]],
        "chosen": [(p[cost], p["drop"]) for p in curve if p["chosen"]],
        "points": [
            (p["predicted"][cost], base - p["predicted"]["accuracy"])
            for p in SAMPLE["operating_points"] if p["name"] != "default"
        ],
    }  # fmt: skip
    budget = SAMPLE["settings"]["max_accuracy_drop"]
    highest = max(1.6 * budget, *(1.25 * y for _, y in wanted["points"]), *(1.4 * y for _, y in wanted["chosen"]))
    wanted = {
        name: [p for p in points if p[1] <= highest] for name, points in wanted.items()
    }  # others are left out
    pairs = [
        pair for name, points in wanted.items() for pair in zip(points, markers(svg, name), strict=name != "rest")
    ]  # fmt: skip
    assert len(pairs) >= 5
    text = units.quantity(FIGURES[cost].unit)
    for name, points in wanted.items():
        for (x, y), tip in zip(points, tips(svg, name), strict=name != "rest"):
            assert tip.endswith(f": {text(x)}, {units.points(y, signed=False)}")
    for axis in (0, 1):
        (low, a), (high, b) = (f((p[axis], m[axis]) for p, m in pairs) for f in (min, max))
        scale = (b - a) / (high - low)
        assert (scale > 0) == (axis == 0)
        for point, mark in pairs:
            assert mark[axis] == pytest.approx(a + scale * (point[axis] - low), abs=0.05)


def test_bars_of_latency_are_as_long_as_their_times() -> None:
    tags = Reader(rendered(SAMPLE)).tags
    pieces = [a for tag, a in tags if tag == "rect" and "piece" in a.get("class", "")]
    widths = [float(a["width"].rstrip("%")) for a in pieces]
    ends = [(float(a["x"].rstrip("%")), w) for a, w in zip(pieces, widths, strict=True)]
    for (x, w), (following, _) in pairwise(ends):
        assert following == 0 or following == pytest.approx(x + w, rel=1e-4)
    first, last = SAMPLE["design"]["segments"]
    body = [s["latency_s"] - s["received_latency_s"] - s["head_latency_s"] for s in (first, last)]
    path = [body[0], first["head_latency_s"]]
    times = [*path, *path, last["received_latency_s"], body[1]]
    longest = first["latency_s"] + last["latency_s"]
    assert widths == pytest.approx([100 * t / longest for t in times], rel=1e-4)
