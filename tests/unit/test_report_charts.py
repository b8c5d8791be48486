"""The charts of the page: every mark is that of report.json."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from report_kinds import Reader, rendered
from reports import SAMPLE

from eeaug.report.render import charts
from eeaug.settings import COSTS


def drawn(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def boxes(svg: ElementTree.Element, name: str) -> list[tuple[float, float]]:
    """Width and height of every bar of that name, with the sign of SVG's y axis taken away."""
    found = []
    for group in svg.iter("{http://www.w3.org/2000/svg}g"):
        if group.get("data-id") == name:
            numbers = [float(n) for n in re.findall(r"-?[\d.]+", group[0].get("d", ""))]
            xs, ys = numbers[0::2], numbers[1::2]
            found.append((max(xs) - min(xs), max(ys) - min(ys)))
    return found


def markers(svg: ElementTree.Element, name: str) -> list[tuple[float, float]]:
    return [
        (float(use.get("x", "nan")), float(use.get("y", "nan")))
        for group in svg.iter("{http://www.w3.org/2000/svg}g")
        if group.get("data-id") == name
        for use in group.iter("{http://www.w3.org/2000/svg}use")
    ]


@pytest.mark.parametrize("k", [0, 1])
def test_bars_of_confidence_are_the_histogram(k: int) -> None:
    svg = drawn(charts.confidence(SAMPLE, k, "an exit"))
    found = SAMPLE["design"]["confidences"]["exits"][k]
    shares = found["right"] + found["wrong"]
    heights = [high for name in ("right", "wrong") for _, high in boxes(svg, name)]
    assert len(heights) == 40
    per_share = sum(heights) / sum(shares)
    assert heights == pytest.approx([per_share * share for share in shares], abs=2e-3)


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
    pairs = [
        pair for name, points in wanted.items()
        for pair in zip(points, markers(svg, name), strict=name != "front")  # marks beyond the axes are left out
    ]  # fmt: skip
    assert len(pairs) >= 5
    for axis in (0, 1):
        (low, a), (high, b) = (f((p[axis], m[axis]) for p, m in pairs) for f in (min, max))
        scale = (b - a) / (high - low)
        assert (scale > 0) == (axis == 0)
        for point, mark in pairs:
            assert mark[axis] == pytest.approx(a + scale * (point[axis] - low), abs=0.05)


def test_bars_of_latency_are_as_long_as_their_times() -> None:
    tags = Reader(rendered(SAMPLE)).tags
    widths = [
        float(re.sub(r"[^\d.]", "", a["style"])) for tag, a in tags
        if tag == "i" and "--w" in a.get("style", "") and "whole" not in a["class"]
    ]  # fmt: skip
    first, last = SAMPLE["design"]["segments"]
    body = [s["latency_s"] - s["received_latency_s"] - s["head_latency_s"] for s in (first, last)]
    path = [body[0], first["head_latency_s"]]
    times = [*path, *path, last["received_latency_s"], body[1]]
    longest = first["latency_s"] + last["latency_s"]
    assert widths == pytest.approx([100 * t / longest for t in times], rel=1e-4)
