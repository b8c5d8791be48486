"""report.json as one HTML page with charts: no network, light and dark, for a phone and for paper.

A few lines of script show values and sort tables; without them all is there. The page's own policy allows that
script and its style sheet, by their hashes, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from itertools import groupby
from typing import Any

import jinja2
from markupsafe import Markup, escape

import eeaug
from eeaug.report import units
from eeaug.report.render import block_picture, charts, strip
from eeaug.report.render.charts import Key
from eeaug.report.render.glossary import Glossary
from eeaug.report.render.plot import NARROW, WIDE
from eeaug.report.words import (
    alternatives,
    battery,
    counted,
    details,
    facts,
    no_exit,
    quantised,
    remote,
    reproduce,
    rho,
    streams,
    target,
)
from eeaug.report.words import compare as comparing
from eeaug.report.words.battery import Use
from eeaug.report.words.compare import Named
from eeaug.report.words.facts import Report
from eeaug.schema.figures import FIGURES
from eeaug.support.printable import lines
from eeaug.support.progress import TITLES

__all__ = ["compare", "inspected", "render"]

MOST_CLASSES = 12  # that are shown unfolded, those that lose most
# how a figure of report.json is written
UNITS: dict[str, Callable[[Any], str]] = {
    "macs": units.macs,
    "seconds": units.seconds,
    "joules": units.joules,
    "size": units.size,
    "share": units.share,
    "share1": lambda value: units.UNKNOWN if value is None else f"{100 * value:.1f} %",
    "at_most": units.at_most,
    "drop": lambda value: units.points(value, signed=False),
    "points": units.points,
    "points1": lambda value: units.points(value, digits=1),
    "threshold": units.threshold,
    "count": lambda value: f"{value:,}",
    "part": units.data_part,
}
_METRIC_UNITS = {
    key: {"MAC": "macs", "s": "seconds", "J": "joules", "B": "size"}.get(figure.unit, figure.unit)
    for key, figure in FIGURES.items()
}
UNITS |= {name: units.quantity(FIGURES[key].unit) for key, name in _METRIC_UNITS.items() if name not in UNITS}


class Figures:
    """Figures of one report as HTML, each with the place in report.json that it is from.

    <data data-at="design.measured.accuracy" data-unit="share" value="0.8606">86.06 %</data>. A sum has its places
    in data-at and what is taken away in data-less, a change data-from and data-to.
    """

    def __init__(self, report: Report) -> None:
        self.report = report

    def __call__(self, at: str, unit: str) -> Markup:
        return self._figure(self._value(at), UNITS[unit], unit, at=at)

    def sum(self, plus: Sequence[str], less: Sequence[str], unit: str) -> Markup:
        values = [[self._value(at) for at in places] for places in (plus, less)]
        known = all(value is not None for place in values for value in place)
        total = sum(values[0]) - sum(values[1]) if known else None
        return self._figure(total, UNITS[unit], unit, at=" ".join(plus), less=" ".join(less))

    def change(self, before: str, after: str, unit: str) -> Markup:
        values = self._value(before), self._value(after)
        if unit == "relative":
            return self._figure(None, lambda _: units.relative(*values), unit, **{"from": before, "to": after})
        difference = None if None in values else values[1] - values[0]
        return self._figure(difference, UNITS[unit], unit, **{"from": before, "to": after})

    def _value(self, at: str) -> Any:
        value: Any = self.report
        for key in at.split("."):
            value = value[int(key) if isinstance(value, list) else key]
        return value

    @staticmethod
    def _figure(value: Any, text: Callable[[Any], str], unit: str, **places: str) -> Markup:
        attributes = Markup("").join(Markup(' data-{}="{}"').format(k, v) for k, v in places.items() if v)
        exact = Markup("") if value is None else Markup(' value="{}"').format(value)
        return Markup('<data data-unit="{}"{}{}>{}</data>').format(unit, attributes, exact, text(value))


def render(report: Report, manifest: Report, times: Report, place: str, use: Use | None = None) -> str:
    """The page of one bundle.

    Parameters
    ----------
    report, manifest, times : report.json of schema.report.VERSION, manifest.json, timing.json (empty: not known)
    place : name of the bundle's directory
    """
    design = report["design"]
    stages = list(_stages(report))
    runs = [(name, list(group)) for name, group in groupby(stages, key=lambda s: str(s["runs_on"]))]
    classes = sorted(
        enumerate(design["classes"]["rows"]), key=lambda row: row[1]["accuracy"] - row[1]["baseline_accuracy"]
    )
    rows = (*facts.comparison(report), *([battery.row(report, use)] if use else []))
    result = facts.shown(report)[1]
    inputs = {given["name"]: given["shape"] for given in manifest.get("model_inputs", ())}
    part = f"the {result['samples']:,} {units.data_part(result['split'])} samples"
    if design["measured"] is None:
        part += ", on which thresholds were decided (not measured)"
    text = _template("report.html", report).render(
        report=report, place=place, baseline_on=facts.runs_on(report["baseline"]),
        weights_in=facts.weights_in, tensors_in=facts.tensors_in,
        fig=Figures(report), stages=stages, runs=runs, comparison=rows,
        tiles=facts.comparison(report, facts.decided(report)), promised=facts.decided_promise(report),
        classes=classes, most_classes=MOST_CLASSES,
        promise=facts.promise(report), promise_word=alternatives.promise_word,
        together=alternatives.together(report), verified=details.verified(report), details=details.details(report),
        comparison_title=facts.comparison_title(report), seen=f"on {part}", bound=facts.bound(report),
        worst=facts.worst_class_bound(report), sent=remote.sentence(report),
        gap=facts.independence_gap(report), battery_note=battery.note(report, use) if use else "",
        estimated=facts.estimated(report), basis=counted.basis(report), drop_name=facts.drop_name(report),
        accuracy_name=facts.accuracy_name(report),
        first_sent=design["segments"][0]["received_bytes"] > 0, charts=_charts(report), times=_times(times),
        sums=lambda key, k: [f"design.segments.{j}.{key}" for j in range(k + 1)],
        command=reproduce.command(report, manifest, place).replace(" --", " \\\n  --"),
        inputs=reproduce.inputs(manifest),
        sidecar=reproduce.sidecar(report, manifest), sidecar_name=reproduce.sidecar_name(report),
        versions=reproduce.versions(report, manifest), retargeted="retargeted_from" in manifest, **_paths(report),
        tables=_tables(report), why=no_exit.why(report, place),
        streams=_streams(report, use),
        sampled=units.sample(report["model"]["input_shape"], inputs),
    )  # fmt: skip
    return _finished(text)


def _finished(text: str) -> str:
    """The page with links to its sections, in their order, and with the policy that allows what it is made of."""
    sections = re.findall(r'<section id="([\w-]+)">\s*<h2>(.*?)</h2>', text)
    links = (f'<a href="#{name}">{title}</a>' for name, title in sections)
    text = text.replace("<!-- contents -->", "".join(links), 1)
    hashes = {
        kind: " ".join(
            f"'sha256-{_sha256(part)}'" for part in re.findall(f"<{kind}>(.*?)</{kind}>", text, re.DOTALL)
        )
        for kind in ("style", "script")
    }
    policy = "; ".join(["default-src 'none'", *(f"{kind}-src {h}" for kind, h in hashes.items()), "base-uri 'none'",
                        "form-action 'none'"])  # fmt: skip
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    return text.replace("<!-- policy -->", meta, 1)


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def compare(designs: Sequence[Named], use: Use | None = None) -> str:
    """The page of several designs side by side."""
    short = [Named(name, design.report) for name, design in zip(_short(designs), designs, strict=True)]
    text = _template("compare.html", None).render(
        designs=short, full=[design.name for design in designs], sentence=comparing.sentence(short),
        lines=comparing.rows(short, use), notes=comparing.notes(designs, use),
        chart=Markup(charts.designs(short)), design_keys=list(charts.design_keys(short)),
    )  # fmt: skip
    return _finished(text)


def _short(designs: Sequence[Named]) -> list[str]:
    """Names without the directories that all have in common."""
    names = [design.name for design in designs]
    try:
        common = os.path.commonpath([os.path.split(name)[0] for name in names])
    except ValueError:  # some from here, some from the root
        return names
    return [name[len(common) :].lstrip(os.sep) if common else name for name in names]


def inspected(model: Report) -> str:
    """The page of a model's blocks; ``model`` is what `eeaug inspect --json` prints."""
    text = _template("inspect.html", None).render(
        model=model, picture=Markup(block_picture.svg(model, heading=False)),
        macs=units.macs, seconds=units.seconds, joules=units.joules, size=units.size, sample=units.sample,
    )  # fmt: skip
    return _finished(text)


def _template(name: str, report: Report | None) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_page), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, finalize=_harmless,
    )  # fmt: skip
    glossary = Glossary()
    environment.filters |= {
        # with the context, so that jinja does not link what is never shown
        "linked": jinja2.pass_context(lambda _, *words: glossary.linked(*words)),
        "unit": lambda key: _METRIC_UNITS.get(key, "share"),
        "coded": lambda words: Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(words)))),
        "tone": lambda better: {True: "good", False: "bad"}.get(better, ""),
        "sign": lambda change: "" if abs(change) < 5e-5 else "good" if change > 0 else "bad",
        "css": lambda number: f"{max(number, 0.0):.6g}",  # a sum of shares may be a hair below
        "tint": lambda processor: charts.colour(report or {}, processor),
    }
    environment.globals |= {
        "version": eeaug.__version__,
        "colours": charts.COLOURS,
        "tints": charts.TINTS,
        "style": Markup(_page("style.css")),
        "script": Markup(_page("page.js")),
        "terms": lambda: list(glossary.used()),
    }
    return environment.get_template(name)


def _harmless(value: Any) -> Any:
    """Control characters, which some browsers and no XML parser take, as escapes."""
    return type(value)(lines(value)) if isinstance(value, str) else value


def _page(name: str) -> str:
    return (resources.files("eeaug.report.render") / "pages" / name).read_text(encoding="utf-8")


def _stages(report: Report) -> Iterator[dict[str, Any]]:
    arriving = 1.0
    for k, stage in enumerate(facts.stages(report)):
        segment = stage.segment
        yield {
            "k": k,
            "stage": stage,
            "processor": segment["processor"],
            "runs_on": facts.runs_on(segment),
            "arriving": arriving,
            "received_s": segment["received_latency_s"],
        }
        arriving = stage.onward_rate


def _charts(report: Report) -> dict[str, Any]:
    design = report["design"]
    names = [f"exit {k + 1}, {exit_['location']}" for k, exit_ in enumerate(design["exits"])] + ["output"]
    width = _width(len(names))
    known = [key for key in FIGURES if any(key in point["fronts"] for point in report["benefit_curve"])]
    return {
        "running": Markup(charts.running(report)) if design["exits"] else "",
        "benefit": [Markup(charts.benefit(report, key, _width(len(known)))) for key in known],
        "benefit_keys": list(charts.benefit_keys(report)),
        "confidence": [(name, Markup(charts.confidence(report, k, name, width))) for k, name in enumerate(names)],
        "confidence_keys": list(charts.confidence_keys(report)),
    }


def _width(number: int) -> int:
    """Of each of so many charts: style.css has two or three columns for them."""
    return WIDE if number in (1, 2, 4) else NARROW


def _paths(report: Report) -> dict[str, Any]:
    """Bars of latency: for every classifier the pieces of its path, as percentages of the longest bar."""
    design, limit = report["design"], report["settings"]["max_latency_s"]
    segments, exits = design["segments"], design["exits"]
    given, _ = facts.shown(report)
    if any(segment["latency_s"] is None for segment in segments):
        return {"paths": [], "path_keys": [], "limit_shown": None, "baseline_width": 0.0, "whole_time": ""}
    total = sum(segment["latency_s"] for segment in segments)
    longest = max(total, given["worst_latency_s"] or 0.0)
    limit_shown = limit if limit is not None and limit <= 1.5 * longest else None
    scale = 100 / max(longest, limit_shown or 0.0, 1e-30)
    pieces: list[dict[str, Any]] = []
    paths = []
    left = 0.0
    for k, segment in enumerate(segments):
        sent, head = segment["received_latency_s"], segment["head_latency_s"]
        tint = charts.colour(report, segment["processor"])
        for what, style, seconds in (
            ("hand-over and wake-up", "f-ink", sent),
            ("backbone", f"f-{tint}", segment["latency_s"] - sent - head),
            ("head", f"h-{tint} s-{tint}", head),
        ):
            if seconds > 0:
                title = f"{segment['stage']}, {what}: {units.seconds(seconds)}"
                pieces.append({"left": left, "width": scale * seconds, "style": style, "title": title})
                left += scale * seconds
        name = f"leaving at exit {k + 1}, {exits[k]['location']}" if k < len(exits) else "reaching the output"
        paths.append({"name": name, "pieces": list(pieces)})
    return {
        "paths": paths,
        "path_keys": list(_path_keys(report, limit_shown)),
        "limit_shown": None if limit_shown is None else scale * limit_shown,
        "baseline_width": scale * (given["worst_latency_s"] or 0.0),
        "whole_time": units.seconds(given["worst_latency_s"]),
    }


def _path_keys(report: Report, limit: float | None) -> Iterator[Key]:
    """What the pieces of the bars are."""
    design = report["design"]
    used = list(dict.fromkeys(segment["processor"] for segment in design["segments"]))
    for processor in used:
        yield Key(processor, charts.SQUARE, f"f-{charts.colour(report, processor)}")
    if design["exits"]:
        tint = charts.colour(report, used[0])
        yield Key("exit's head", charts.SQUARE, f"h-{tint} s-{tint}")
    if any(segment["received_latency_s"] > 0 for segment in design["segments"]):
        yield Key("hand-over and wake-up", charts.SQUARE, "f-ink")
    if limit is not None:
        yield Key(f"limit {units.seconds(limit)}", "M0 -8V8", "limit")


def _tables(report: Report) -> list[tuple[str, tuple[tuple[str, ...], ...], str]]:
    """Tables that only some bundles have, each with its title and what is to be said of it."""
    tables = []
    if rows := target.rows(report):
        tables = [(target.title(report), rows, ""), (target.missed_title(report), target.missed(report), "")]
    if rows := rho.rows(report):
        tables.append(("Trade-off points of T-RecX (Ghanathe and Wilton, table 1)", rows, ""))
    if rows := quantised.comparison(report):
        tables.append((quantised.title(report), rows, quantised.note(report)))
        tables.append(("int8 files", quantised.files(report), ""))
        if npu := quantised.compiled(report):
            tables.append(("Compiled for the NPU by Vela", npu, ""))
        if points := quantised.operating_points(report):
            tables.append((quantised.operating_points_title(report), points, ""))
    for block in facts.c_blocks(report):
        tables.append((facts.c_memory_title(block), facts.c_memory(block), facts.c_memory_note(block)))
        if ways := counted.rows(block):
            tables.append((counted.title(block), ways, counted.note(block)))
    return tables


def _streams(report: Report, use: Use | None) -> dict[str, Any] | None:
    if "stream" not in report:
        return None
    said = (
        streams.sentence(report), streams.compared(report), streams.decided_by(report), streams.note(report),
        streams.int8(report),
    )  # fmt: skip
    return {
        "title": streams.title(report), "rows": streams.rows(report, use), "notes": said,
        "strip": Markup(strip.svg(report)), "strip_title": streams.strip_title(report),
    }  # fmt: skip


def _times(times: Report) -> list[tuple[str, float]]:
    """Steps that took any time, the whole last."""
    steps = [(TITLES[name], seconds) for name, seconds in times.items() if name in TITLES and seconds]
    return [*steps, ("together, with what lies between", times["total"])] if "total" in times else []
