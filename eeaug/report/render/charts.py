"""Plots of report.json as SVG, drawn by matplotlib; colours are variables of the page that they stand in.

Every function returns an <svg> element for a page that defines COLOURS as CSS variables, readable without them
only by its texts. Equal reports give equal bytes.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from eeaug.report import units
from eeaug.report.words.compare import Named
from eeaug.report.words.facts import Report, drop_name, shown
from eeaug.schema.figures import FIGURES

__all__ = ["COLOURS", "benefit", "confidence", "designs", "processors", "running"]

# name → on light, on dark ground; blue and orange are told apart by all eyes (Okabe and Ito 2008)
COLOURS: Mapping[str, tuple[str, str]] = {
    "ink": ("#1b1f24", "#e6e8eb"),
    "soft": ("#5b6470", "#a0a8b3"),
    "line": ("#d5d9df", "#3a414b"),
    "ground": ("#ffffff", "#14171b"),
    "blue": ("#0a5ea8", "#74b6f2"),
    "orange": ("#b65300", "#f0a35a"),
    "green": ("#00704f", "#55c7a0"),
    "purple": ("#83479a", "#cd9be0"),
}
# the marker colours that matplotlib draws, which the file replaces by CSS variables
_MARKS = {name: f"#{i + 1:02x}fe{i + 1:02x}" for i, name in enumerate(COLOURS)}
_PROCESSORS = ("blue", "orange", "green", "purple")
_CROWDED = 0.27  # of the width: labels that close to each other are numbers only
_WIDTH = 420  # CSS pixels: fits a phone at nearly its size, two fit beside each other elsewhere


@contextmanager
def _drawing(name: str, height: int) -> Iterator[tuple[Any, Callable[[str], str]]]:
    """Axes to draw on, and what turns them into an element with a description, once drawn."""
    with _quiet():
        from matplotlib import style
        from matplotlib.figure import Figure

    ink, soft, line = (_MARKS[c] for c in ("ink", "soft", "line"))
    rules: dict[str, Any] = {
        "svg.fonttype": "none", "svg.hashsalt": f"eeaug {name}", "font.size": 12, "axes.labelsize": 12,
        "text.color": ink, "axes.labelcolor": soft, "xtick.color": soft, "ytick.color": soft,
        "axes.edgecolor": line, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
        "grid.color": line, "grid.linewidth": 0.6, "axes.axisbelow": True, "axes.facecolor": "none",
        "figure.facecolor": "none", "xtick.major.size": 0, "ytick.major.size": 0, "legend.frameon": False,
        "hatch.linewidth": 0.8, "text.parse_math": False,
    }  # fmt: skip
    with style.context(["default", rules]):
        figure = Figure(figsize=(_WIDTH / 72, height / 72), layout="constrained")

        def finished(description: str) -> str:
            file = io.StringIO()
            figure.savefig(file, format="svg", metadata={"Date": None})
            return _element(file.getvalue(), description)

        yield figure.add_subplot(), finished


@contextmanager
def _quiet() -> Iterator[None]:
    """Where matplotlib puts its font cache, and that it takes a moment, is no news."""
    log = logging.getLogger("matplotlib")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def _element(text: str, description: str) -> str:
    """The <svg> of a file: no XML head, no metadata, no fixed size, no ids but those that are referred to."""
    from markupsafe import escape

    body = text[text.index("<svg") :].rstrip()
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.DOTALL)
    used = set(re.findall(r"""(?:url\(|href=")#([^)"]+)""", body))
    body = re.sub(r' id="([^"]+)"', lambda m: m[0] if m[1] in used or m[1].startswith("at-") else "", body)
    body = re.sub(r'\s(?:width|height)="[\d.]+pt"', "", body, count=2)
    for name, mark in _MARKS.items():
        body = body.replace(mark, f"var(--{name})")
    body = re.sub(r"\s*\n\s*", "\n", re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL))
    head = f'<svg class="chart" role="img" aria-label="{escape(description)}"'
    return body.replace("<svg", head, 1).replace('id="at-', 'data-id="')


def running(report: Report) -> str:
    """How many samples still run after so many MACs; the filled area is the mean."""
    _, result = shown(report)
    segments, rates = report["design"]["segments"], result["leave_rates"]
    with _drawing("running", 260) as (axes, finished):
        at, share, labels = 0.0, 1.0, []
        for k, (segment, rate) in enumerate(zip(segments, rates, strict=True)):
            colour = _MARKS[_of(report, segment["processor"])]
            for name, macs in (("backbone", segment["macs"]), ("head", segment["head_macs"])):
                if macs:
                    fill = {"facecolor": colour, "alpha": 0.4} if name == "backbone" else {"facecolor": "none"}
                    axes.bar(
                        at, share, macs, align="edge", edgecolor=colour, linewidth=0.8,
                        hatch=None if name == "backbone" else "////", gid=f"at-{name}-{k}", **fill,
                    )  # fmt: skip
                    at += macs
            share -= rate
            if k < len(segments) - 1:
                labels.append((at, share, k, rate))
        whole = report["model"]["macs"]
        axes.plot([0, whole, whole], [1, 1, 0], color=_MARKS["ink"], linewidth=1.2, linestyle=(0, (4, 3)))
        room = max(at, whole)
        for i, (x, y, k, rate) in enumerate(labels):
            left = x > 0.72 * room  # no room to the right of it
            near = [abs(x - other) < _CROWDED * room for j, (other, *_) in enumerate(labels) if j != i]
            words = f"{k + 1}" if any(near) else f"exit {k + 1}\n{units.share(rate)} leave"
            axes.annotate(
                words, (x, min(y, 0.8)), xytext=(-5 if left else 5, 4), textcoords="offset points",
                ha="right" if left else "left", va="bottom", fontsize=11, linespacing=1.3,
            )  # fmt: skip
        axes.set(xlim=(0, room * 1.01), ylim=(0, 1.06), xlabel="MACs from the input on")
        axes.set_ylabel("samples that still run")
        axes.xaxis.set_major_locator(_few())
        axes.xaxis.set_major_formatter(lambda v, _: _tick(v, units.macs))
        axes.yaxis.set_major_formatter(lambda v, _: f"{100 * v:.0f} %")
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
        return finished(
            f"Share of samples that still run over MACs; the area is the mean of {units.macs(result['mean_macs'])}."
        )


def processors(report: Report) -> list[str]:
    """Names, those that the design uses first: in this order they get their colours."""
    used = [segment["processor"] for segment in report["design"]["segments"]]
    return list(dict.fromkeys([*used, *report["hardware"]["processors"]]))


def _of(report: Report, processor: str) -> str:
    """The colour of a processor."""
    return _PROCESSORS[processors(report).index(processor) % len(_PROCESSORS)]


def confidence(report: Report, k: int, name: str) -> str:
    """How sure classifier ``k`` is of the samples that reach it: right ones above the axis, wrong ones below."""
    histograms = report["design"]["confidences"]
    right, wrong = histograms["exits"][k]["right"], histograms["exits"][k]["wrong"]
    exits = report["design"]["exits"]
    limit = exits[k]["threshold"] if k < len(exits) else None
    width = 1 / histograms["bins"]
    left = [b * width for b in range(histograms["bins"])]
    with _drawing(f"confidence {k}", 220) as (axes, finished):
        axes.bar(left, right, width, align="edge", color=_MARKS["blue"], alpha=0.85, gid="at-right")
        axes.bar(
            left, [-w for w in wrong], width, align="edge", color="none", edgecolor=_MARKS["orange"], hatch="////",
            linewidth=0.8, gid="at-wrong",
        )  # fmt: skip
        axes.axhline(0, color=_MARKS["soft"], linewidth=0.8)
        top, low = max([*right, 1e-9]), max([*wrong, 1e-9])
        top, low = max(top, low / 5), max(low, top / 5)
        axes.set(xlim=(0, 1), ylim=(-1.2 * low, 1.28 * top), xlabel="confidence")
        axes.set_ylabel("of all samples")
        axes.yaxis.set_major_formatter(lambda v, _: f"{100 * abs(v):.3g} %")
        axes.grid(axis="x", visible=False)
        axes.text(0.02, 1.13 * top, "right ▲", color=_MARKS["blue"], va="center", fontsize=11)
        axes.text(0.02, -1.0 * low, "wrong ▼", color=_MARKS["orange"], va="center", fontsize=11)
        if limit is not None:
            axes.axvline(limit, color=_MARKS["ink"], linewidth=1.4)
            near = limit > 0.6
            axes.text(
                limit + (-0.012 if near else 0.012), 1.19 * top,
                f"goes on │ leaves ≥ {units.threshold(limit)}" if near else f"≥ {units.threshold(limit)} leaves",
                ha="right" if near else "left", va="center", fontsize=11,
            )  # fmt: skip
        return finished(f"Histogram of confidence at {name}, right and wrong answers")


def benefit(report: Report, cost: str) -> str:
    """What accuracy drops buy of one cost on choose, with the design and its operating points."""
    title, text = FIGURES[cost].words, units.quantity(FIGURES[cost].unit)
    curve = [p for p in report["benefit_curve"] if p[cost] is not None]
    budget, points = report["settings"]["max_accuracy_drop"], report["operating_points"]
    given = report["baseline"]["choose"]
    mine = [p for p in curve if p["chosen"]]
    marked = [
        (p["name"], p["predicted"][cost], given["accuracy"] - p["predicted"]["accuracy"])
        for p in points if p["name"] != "default" and p["predicted"][cost] is not None
    ]  # fmt: skip
    highest = max([1.6 * (budget or 0), *(1.25 * d for _, _, d in marked), *(1.4 * p["drop"] for p in mine), 0.02])
    with _drawing(f"benefit {cost}", 300) as (axes, finished):
        front = sorted((p[cost], p["drop"]) for p in curve if cost in p["fronts"])
        rest = [(p[cost], p["drop"]) for p in curve if cost not in p["fronts"] and not p["chosen"]]
        blue, orange, ink, soft = (_MARKS[c] for c in ("blue", "orange", "ink", "soft"))
        if rest:
            axes.plot(*zip(*rest, strict=True), "o", color=soft, markersize=3.5, fillstyle="none", gid="at-rest",
                      label="dominated here")  # fmt: skip
        if front:
            axes.plot(*zip(*front, strict=True), "-o", color=blue, markersize=3.5, linewidth=1.2, gid="at-front",
                      drawstyle="steps-post", label="best for the drop")  # fmt: skip
        if given[cost] is not None:
            axes.plot([given[cost]], [0], "s", color=ink, fillstyle="none", markersize=7, label="given model")
        if marked:
            axes.plot([x for _, x, _ in marked], [y for *_, y in marked], "^", color=orange, markersize=7,
                      gid="at-points", label="operating point")  # fmt: skip
        if mine:
            axes.plot([mine[0][cost]], [mine[0]["drop"]], "D", color=orange, markersize=8, gid="at-chosen",
                      label="this design")  # fmt: skip
        for x, y in dict.fromkeys((x, y) for _, x, y in marked):
            names = ", ".join(name for name, *at in marked if at == [x, y])
            axes.annotate(names, (x, y), xytext=(8, -4), textcoords="offset points", fontsize=11)
        if budget is not None:
            axes.axhline(budget, color=soft, linewidth=1, linestyle=(0, (4, 3)))
            axes.text(0.995, budget, f"budget {units.points(budget, signed=False)}", ha="right", va="bottom",
                      fontsize=11, color=soft, transform=axes.get_yaxis_transform())  # fmt: skip
        lowest = min([0.0, *(p["drop"] for p in curve)])
        axes.set(ylim=(lowest - 0.06 * highest, highest), xlabel=title)
        axes.set_ylabel(f"{drop_name(report)} on the calibration set")
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(_few())
        axes.xaxis.set_major_formatter(lambda v, _: _tick(v, text))
        axes.yaxis.set_major_formatter(lambda v, _: units.points(v, signed=False))
        drawn = {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}
        order = ("this design", "operating point", "given model", "best for the drop", "dominated here")
        axes.figure.legend(
            handles=[drawn[name] for name in order if name in drawn],
            loc="outside upper left", ncols=3, fontsize=11, handletextpad=0.4, columnspacing=1.2, borderpad=0,
        )  # fmt: skip
        return finished(
            f"{drop_name(report)} on the calibration set over {title}, of the best designs, with the chosen one"
        )


def _few() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=5)


def _tick(value: float, text: Callable[[float | None], str]) -> str:
    """Axis labels without digits that say nothing: "2.500 M" → "2.5 M"."""
    if not value:
        return "0"
    number, _, unit = text(value).partition(" ")
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number} {unit}".rstrip()


def designs(compared: Sequence[Named]) -> str:
    """Accuracy drop over mean MACs of several designs, each with its operating points."""
    colours = [_MARKS[c] for c in ("blue", "orange", "green", "purple", "ink", "soft")]
    with _drawing("designs", 320) as (axes, finished):
        large: list[Any] = []
        for i, design in enumerate(compared):
            given, result = shown(design.report)
            split = "measured" if design.report["design"]["measured"] is not None else "predicted"
            every = [p[split] for p in design.report["operating_points"]] or [result]
            at = sorted((m["mean_macs"] / given["mean_macs"], given["accuracy"] - m["accuracy"]) for m in every)
            colour, marker = colours[i % len(colours)], "osD^vPX"[i % 7]
            axes.plot(*zip(*at, strict=True), "-", color=colour, linewidth=1, marker=marker, markersize=4)
            large += axes.plot(
                [result["mean_macs"] / given["mean_macs"]], [given["accuracy"] - result["accuracy"]], marker,
                color=colour, markersize=9, gid=f"at-design-{i}",
            )  # fmt: skip
        axes.set(xlabel="mean MACs against the given model")
        axes.set_ylabel("accuracy drop")
        axes.xaxis.set_major_formatter(lambda v, _: f"{100 * v:.3g} %")
        axes.yaxis.set_major_formatter(lambda v, _: units.points(v, signed=False))
        axes.figure.legend(
            large, [design.name for design in compared],
            loc="outside upper left", ncols=2, fontsize=11, handletextpad=0.4, borderpad=0,
        )  # fmt: skip
        return finished("Accuracy drop over mean MACs of the designs")
