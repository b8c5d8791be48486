"""The plots of report.json as SVG; what their marks mean stands once beside them, as `Key`s.

Every function returns an <svg> element for a page with the style sheet and the hatches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from eeaug.report import units
from eeaug.report.render.plot import NARROW, WIDE, Axis, Plot, shape
from eeaug.report.words.compare import Named
from eeaug.report.words.facts import Report, drop_name, shown
from eeaug.schema.figures import FIGURES

__all__ = [
    "COLOURS", "SQUARE", "TINTS", "Key", "benefit", "benefit_keys", "colour", "confidence", "confidence_keys",
    "design_keys", "designs", "processors", "running",
]  # fmt: skip

# name → on light, on dark ground; blue and orange are told apart by all eyes (Okabe and Ito 2008)
COLOURS: Mapping[str, tuple[str, str]] = {
    "ink": ("#1b1f24", "#e6e8eb"),
    "soft": ("#5b6470", "#a0a8b3"),
    "line": ("#d5d9df", "#3a414b"),
    "ground": ("#ffffff", "#14171b"),
    "raised": ("#f6f7f9", "#1c2026"),
    "blue": ("#0a5ea8", "#74b6f2"),
    "orange": ("#b65300", "#f0a35a"),
    "green": ("#00704f", "#55c7a0"),
    "purple": ("#83479a", "#cd9be0"),
}
_PROCESSORS = ("blue", "orange", "green", "purple")
# those that areas and marks are filled with
TINTS = (*_PROCESSORS, "ink", "soft")
SQUARE = "M-7 -5H7V5H-7z"  # of a key to an area
# of several designs: each has a colour and a mark of its own
_DESIGNS = (("blue", "circle"), ("orange", "square"), ("green", "diamond"), ("purple", "triangle"), ("ink", "down"),
            ("soft", "bar"))  # fmt: skip


class Key(NamedTuple):
    """A mark and what it means: a path with its class, with a line through it or not."""

    words: str
    path: str
    style: str
    line: str = ""


def processors(report: Report) -> list[str]:
    """Names, those that the design uses first: in this order they get their colours."""
    used = [segment["processor"] for segment in report["design"]["segments"]]
    return list(dict.fromkeys([*used, *report["hardware"]["processors"]]))


def colour(report: Report, processor: str) -> str:
    """The colour of a processor."""
    return _PROCESSORS[processors(report).index(processor) % len(_PROCESSORS)]


def running(report: Report) -> str:
    """How many samples still run after so many MACs; the filled area is the mean."""
    _, result = shown(report)
    segments, rates = report["design"]["segments"], result["leave_rates"]
    whole = report["model"]["macs"]
    room = max(whole, sum(s["macs"] + (s["head_macs"] or 0) for s in segments))
    plot = Plot(
        Axis("MACs from the input on", 0, room * 1.01, _tick(units.macs)),
        Axis("samples that still run", 0, 1.06, lambda v: f"{100 * v:.0f} %", 4),
        WIDE,
        260,
    )
    at, share = 0.0, 1.0
    plot.line([(0, 1), (whole, 1), (whole, 0)], "given")
    for k, (segment, rate) in enumerate(zip(segments, rates, strict=True)):
        tint = colour(report, segment["processor"])
        for name, macs in (("backbone", segment["macs"]), ("head", segment["head_macs"])):
            if macs:
                what = f"to {segment['to']}" if name == "backbone" else f"head of exit {k + 1}"
                tip = f"{segment['processor']}, {what}: {units.macs(macs)} MACs for {units.share(share)} of samples"
                style = f"band f-{tint} s-{tint}" if name == "backbone" else f"h-{tint} s-{tint}"
                plot.bar(at, at + macs, share, style, f"{name}-{k}", tip)
                at += macs
        share -= rate
        if k < len(segments) - 1:
            plot.label(
                [(at, y) for y in (share, share + rate)], f"exit {k + 1}\n{units.share(rate)} leave", f"{k + 1}"
            )
    mean = units.macs(result["mean_macs"])
    return plot.svg(f"Share of samples that still run over MACs; the area is the mean of {mean}.")


def confidence(report: Report, k: int, place: str, width: int = WIDE) -> str:
    """How sure classifier ``k`` is of the samples that reach it: right ones above the axis, wrong ones below."""
    histograms = report["design"]["confidences"]
    right, wrong = histograms["exits"][k]["right"], histograms["exits"][k]["wrong"]
    exits = report["design"]["exits"]
    limit = exits[k]["threshold"] if k < len(exits) else None
    bins = histograms["bins"]
    peak = max([*right, *wrong]) or 0.01  # no sample gets here
    top, low = max([*right, peak / 5]), max([*wrong, peak / 5])
    plot = Plot(
        Axis("confidence", 0, 1, lambda v: f"{v:g}"),
        Axis("of all samples", -1.1 * low, 1.05 * top, lambda v: f"{100 * abs(v):.3g} %", 4),
        width,
        220,
        headline=True,
    )
    for b in range(bins):
        shares = f"{units.share(right[b])} right, {units.share(wrong[b])} wrong"
        tip = f"confidence {b / bins:g} to {(b + 1) / bins:g}: {shares}, of all samples"
        for high, style, name in ((right[b], "right", "right"), (-wrong[b], "h-orange s-orange", "wrong")):
            if high:
                plot.bar(b / bins, (b + 1) / bins, high, style, name, tip)
    if limit is not None:
        plot.limit(limit, f"leaves ≥ {units.threshold(limit)}")
    return plot.svg(f"Histogram of confidence at {place}, right and wrong answers")


def confidence_keys(report: Report) -> Iterator[Key]:
    """What the bars and the line of `confidence` are."""
    yield Key("right", SQUARE, "right")
    yield Key("wrong", SQUARE, "h-orange s-orange")
    if any(exit_["threshold"] is not None for exit_ in report["design"]["exits"]):
        yield Key("threshold", "M0 -7V7", "limit")


def benefit(report: Report, cost: str, width: int = NARROW) -> str:
    """What accuracy drops buy of one cost on choose, with the design and its operating points."""
    title, text = FIGURES[cost].words, units.quantity(FIGURES[cost].unit)
    curve = [p for p in report["benefit_curve"] if p[cost] is not None]
    budget, given = report["settings"]["max_accuracy_drop"], report["baseline"]["choose"]
    mine, marked = [p for p in curve if p["chosen"]], _points(report, cost)
    highest = max([1.6 * (budget or 0), *(1.25 * d for _, _, d in marked), *(1.4 * p["drop"] for p in mine), 0.02])
    lowest = min([0.0, *(p["drop"] for p in curve)]) - 0.07 * highest
    furthest = max(
        [p[cost] for p in curve if p["drop"] <= highest] + [x for _, x, _ in marked] + [given[cost] or 0]
    )
    plot = Plot(
        Axis(title, 0, 1.06 * furthest or 1.0, _tick(text)),
        Axis(f"{drop_name(report)}, calibration set", lowest, highest, lambda v: units.points(v, signed=False)),
        width,
        270,
    )

    def tip(words: str, x: float, drop: float) -> str:
        return f"{words}: {text(x)}, {units.points(drop, signed=False)}"

    if budget is not None:
        plot.line([(0, budget), (plot.x.high, budget)], "budget")
    front = sorted((p[cost], p["drop"], _exits(p)) for p in curve if cost in p["fronts"])
    if front:
        plot.line([(x, y) for x, y, _ in front], "front", steps=True)
    for p in curve:
        if cost not in p["fronts"] and not p["chosen"]:
            plot.mark(p[cost], p["drop"], "circle", 2.2, "rest", "rest", tip(_exits(p), p[cost], p["drop"]))
    for x, y, exits in front:
        plot.mark(x, y, "circle", 2.2, "f-blue", "front", tip(exits, x, y))
    if given[cost] is not None:
        plot.mark(given[cost], 0, "square", 4.5, "hollow", "given", tip("given model", given[cost], 0.0))
    for name, x, y in marked:
        plot.mark(x, y, "triangle", 4.5, "f-orange", "points", tip(name, x, y))
    for p in mine:
        plot.mark(p[cost], p["drop"], "diamond", 5, "f-orange", "chosen", tip("this design", p[cost], p["drop"]))
    for x, y in dict.fromkeys((x, y) for _, x, y in marked):
        plot.label([(x, y)], ", ".join(name for name, *at in marked if at == [x, y]))
    if budget is not None:
        places = [(share * plot.x.high, budget) for share in (0.85, 0.7, 0.55, 0.4, 0.25)]
        plot.label(places, f"budget {units.points(budget, signed=False)}", style="soft")
    return plot.svg(f"{drop_name(report)} over {title}, of the best designs, with the chosen one")


def _points(report: Report, cost: str) -> list[tuple[str, float, float]]:
    """Name, cost and drop of the operating points but the design itself."""
    given = report["baseline"]["choose"]["accuracy"]
    return [
        (point["name"], point["predicted"][cost], given - point["predicted"]["accuracy"])
        for point in report["operating_points"]
        if point["name"] != "default" and point["predicted"][cost] is not None
    ]


def _exits(point: Report) -> str:
    return f"exits at {', '.join(point['exits'])}" if point["exits"] else "no exits"


def benefit_keys(report: Report) -> Iterator[Key]:
    """What the marks of `benefit` are."""
    curve = report["benefit_curve"]
    if any(p["chosen"] for p in curve):
        yield Key("this design", shape("diamond", 5), "f-orange")
    if _points(report, "mean_macs"):
        yield Key("operating point", shape("triangle", 4.5), "f-orange")
    yield Key("given model", shape("square", 4.5), "hollow")
    yield Key("best for the drop", shape("circle", 2.5), "f-blue", "front")
    if any(not p["chosen"] and len(p["fronts"]) < 3 for p in curve):
        yield Key("dominated here", shape("circle", 2.5), "rest")


def _tick(text: Callable[[float | None], str]) -> Callable[[float], str]:
    """Numbers of steps without digits that say nothing: "2.500 M" → "2.5 M"."""

    def short(value: float) -> str:
        if not value:
            return "0"
        number, _, unit = text(value).partition(" ")
        return f"{number.rstrip('0').rstrip('.') if '.' in number else number} {unit}".rstrip()

    return short


def designs(compared: Sequence[Named]) -> str:
    """Accuracy drop over mean MACs of several designs, each with its operating points."""
    every = [_of_design(design.report) for design in compared]
    costs = [x for at in every for _, x, _ in at]
    drops = [y for at in every for *_, y in at]
    room = max(max(drops) - min(drops), 0.002)
    plot = Plot(
        Axis("mean MACs against the given model", 0, 1.05 * max(1.0, *costs), lambda v: f"{100 * v:.3g} %"),
        Axis("accuracy drop", min(drops) - 0.12 * room, max(drops) + 0.12 * room,
             lambda v: units.points(v, signed=False)),
        WIDE, 280,
    )  # fmt: skip
    for i, at in enumerate(every):
        tint, _ = _DESIGNS[i % len(_DESIGNS)]
        plot.line(sorted((x, y) for _, x, y in at), f"thin s-{tint}")
    for i, (design, at) in enumerate(zip(compared, every, strict=True)):
        tint, kind = _DESIGNS[i % len(_DESIGNS)]
        for name, x, y in at[::-1]:  # the design itself last, and on top
            words = design.name if name == "default" else f"{design.name}, {name}"
            tip = f"{words}: {100 * x:.1f} % of the MACs, {units.points(y, signed=False)}"
            large = name == "default"
            plot.mark(x, y, kind, 5.5 if large else 2.8, f"f-{tint}", f"design-{i}" if large else "point", tip)
    return plot.svg("Accuracy drop over mean MACs of the designs")


def design_keys(compared: Sequence[Named]) -> Iterator[Key]:
    """Which mark is whose."""
    for i, design in enumerate(compared):
        tint, kind = _DESIGNS[i % len(_DESIGNS)]
        yield Key(design.name, shape(kind, 5.5), f"f-{tint}")


def _of_design(report: Report) -> list[tuple[str, float, float]]:
    """Name, share of the given model's MACs and accuracy drop: of the design ("default"), then its other points."""
    given, result = shown(report)
    split = "measured" if report["design"]["measured"] is not None else "predicted"
    others = [(point["name"], point[split]) for point in report["operating_points"] if point["name"] != "default"]
    return [
        (name, m["mean_macs"] / given["mean_macs"], given["accuracy"] - m["accuracy"])
        for name, m in (("default", result), *others)
    ]
