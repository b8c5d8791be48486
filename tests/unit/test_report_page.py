"""The HTML page: every figure and every mark of a chart is that of report.json, and the page stands by itself."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from conftest import VALIDATOR, Bundle, Run, environment, hashes

from eeaug.report import units
from eeaug.report.render import charts, page
from eeaug.report.words import facts
from eeaug.report.words.battery import Use
from eeaug.settings import COSTS

SAMPLE: dict[str, Any] = json.loads((Path(__file__).parents[1] / "data" / "report.json").read_text())
MANIFEST: dict[str, Any] = {
    "versions": {"python": "3.11.7", "keras": "3.15.1"},
    "preprocessing": {"scale": 1.0, "offset": 0.0, "mean": None, "std": None},
    "inputs": [{"name": "resnet8.h5", "sha256": "ab" * 32}, {"name": "cifar10.npz", "sha256": "cd" * 32}],
}
TIMES = {"import": 2.04, "features": 31.26, "finetune": 0.0, "total": 40.3}

Report = dict[str, Any]


# -- reports of all kinds -----------------------------------------------------------------------------


def plain(report: Report) -> None: ...


def untested(report: Report) -> None:
    report["design"]["measured"] = report["baseline"]["measured"] = None
    report["accuracy_drop_bound_95"], report["accuracy_drop_bound_95_missing"] = None, "there are no test samples"
    report["data"]["parts"]["test"] = None
    for point in report["operating_points"]:
        point["measured"] = point["accuracy_drop_bound_95"] = None
    for part in ("confidences", "classes"):
        report["design"][part] |= {"split": "choose"}


def every_metrics(report: Report) -> list[Report]:
    design, base = report["design"], report["baseline"]
    points = [point[key] for point in report["operating_points"] for key in ("predicted", "measured")]
    found = [base["choose"], base["measured"], *design["predicted"].values(), design["measured"], *points]
    return [metrics for metrics in found if metrics is not None]


def without_energy(report: Report) -> None:
    for metrics in every_metrics(report):
        metrics["mean_energy_j"] = None
    for part in (*report["design"]["segments"], *report["benefit_curve"]):
        part["energy_j" if "stage" in part else "mean_energy_j"] = None


def without_latency(report: Report) -> None:
    without_energy(report)
    for metrics in every_metrics(report):
        metrics |= {"mean_latency_s": None, "p95_latency_s": None, "worst_latency_s": None}
    for segment in report["design"]["segments"]:
        segment |= {"latency_s": None, "received_latency_s": None, "head_latency_s": None}
    for point in report["benefit_curve"]:
        point["mean_latency_s"] = None
        point["fronts"] = [name for name in point["fronts"] if name == "mean_macs"]


def without_exits(report: Report) -> None:
    design = report["design"]
    last = design["segments"][-1] | {"from": None, "stage": "0-cm4f", "macs": report["model"]["macs"]}
    design |= {"segments": [last], "exits": [], "summary": "No early exit pays off."}
    for metrics in every_metrics(report):
        metrics["leave_rates"] = [1.0]
    design["confidences"]["exits"] = design["confidences"]["exits"][:1]
    for row in design["classes"]["rows"]:
        row |= {"leave_rates": [1.0], "accuracies": [row["accuracy"]]}
    report["operating_points"] = []


def four_exits(report: Report) -> None:
    design, rates = report["design"], [0.2, 0.1, 0.02, 0.18, 0.5]
    first, last = design["segments"]
    names = ["a", "b", "c", "d"]
    design["segments"] = [first | {"to": name, "stage": f"{k}-cm0p"} for k, name in enumerate(names)] + [last]
    design["exits"] = [
        design["exits"][0]
        | {
            "location": name,
            "threshold": None if name == "c" else 0.7,
            "macs": (k + 1) * design["exits"][0]["macs"],
        }
        for k, name in enumerate(names)
    ]
    for metrics in every_metrics(report):
        metrics["leave_rates"] = rates if len(metrics["leave_rates"]) > 1 else [1.0]
    design["confidences"]["exits"] = [design["confidences"]["exits"][0]] * 5
    for row in design["classes"]["rows"]:
        row |= {"leave_rates": rates, "accuracies": [0.9, 0.8, None, 0.7, 0.6]}
    for point in report["operating_points"]:
        point["thresholds"] = [0.7, 0.7, None, 0.7]


def hundred_classes(report: Report) -> None:
    row = report["design"]["classes"]["rows"][0]
    report["design"]["classes"]["rows"] = [row | {"name": f"class {k}", "accuracy": k / 100} for k in range(100)]
    report["model"]["classes"] = [f"class {k}" for k in range(100)]


def proven_and_heard(report: Report) -> None:
    guarantee = {
        "max_accuracy_drop": 0.01, "risk": 0.05, "samples": 3333, "proven": True, "designs_tested": 3,
        "p_value": 0.04, "smallest_provable_drop": None, "method": "m", "statement": "Proven. It is so.",
    }  # fmt: skip
    report["guarantee"] = report["operating_points"][0]["guarantee"] = guarantee
    report["settings"]["risk"] = 0.05
    report["design"]["reuse"] = {"weights": [[1.0], [0.4, 1.0]]}
    report["design"]["finetune"] = {
        "recipe": "frozen", "epochs": 3, "kept": True,
        "before": {"mean_macs": 11e6, "accuracy": 0.86}, "after": None,
        "early_view_channels": None, "exit_weights": [],
    }  # fmt: skip


EVIL = "<script>alert('1')</script> & \"$x$\" {{7*7}} _x"


def evil(report: Report) -> None:
    report["model"] |= {"name": EVIL, "file": EVIL + ".h5"}
    report["hardware"] |= {"name": EVIL, "source": EVIL}
    report["design"]["exits"][0] |= {"location": EVIL, "head": EVIL}
    report["design"]["segments"][0]["to"] = report["design"]["segments"][1]["from"] = EVIL
    report["design"]["classes"]["rows"][0]["name"] = report["design"]["measured"]["worst_class"]["name"] = EVIL
    report["operating_points"][0]["name"] = EVIL
    report["warnings"] = [EVIL]
    report["data"]["source"] = EVIL


KINDS = [
    plain, untested, without_energy, without_latency, without_exits, four_exits, hundred_classes, proven_and_heard,
    evil,
]  # fmt: skip


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def report(request: pytest.FixtureRequest) -> Report:
    edited = copy.deepcopy(SAMPLE)
    request.param(edited)
    mistakes = [error.json_path + error.message for error in VALIDATOR.iter_errors(edited)]
    assert not mistakes, mistakes
    return edited


def rendered(report: Report, **changes: Any) -> str:
    arguments = {"manifest": MANIFEST, "times": TIMES, "place": "out", "use": None, **changes}
    return page.render(report, **arguments)


class Reader(HTMLParser):
    """Figures as (attributes, text), and everything else that is shown."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.figures: list[tuple[dict[str, str], str]] = []
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.tables: dict[str, list[list[str]]] = {}  # rows of cells, of the last table of every section
        self._open: list[str] = []
        self._section = ""
        self.feed(html)
        self.close()
        assert self._open == [], self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {k: v or "" for k, v in attrs}
        self.tags.append((tag, attributes))
        if tag not in ("meta", "br"):
            self._open.append(tag)
        if tag == "section":
            self._section = attributes.get("id", "")
        if tag == "table":
            self.tables[self._section] = []
        if tag == "tr":
            self.tables[self._section].append([])
        if tag in ("th", "td"):
            self.tables[self._section][-1].append("")
        if tag == "data":
            self.figures.append((attributes, ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {k: v or "" for k, v in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "data":
            self.figures[-1] = (self.figures[-1][0], self.figures[-1][1] + data)
        if "style" not in self._open:
            self.words.append(data)
        if "td" in self._open or "th" in self._open:
            row = self.tables[self._section][-1]
            row[-1] = " ".join(f"{row[-1]} {data}".split())


def at(report: Report, place: str) -> Any:
    found: Any = report
    for key in place.split("."):
        found = found[int(key) if isinstance(found, list) else key]
    return found


TEXT: dict[str, Callable[[Any], str]] = {
    "macs": units.macs, "seconds": units.seconds, "joules": units.joules, "size": units.size,
    "share": units.share, "threshold": units.threshold, "points": units.points, "at_most": units.at_most,
    "points1": lambda v: units.points(v, digits=1), "drop": lambda v: units.points(v, signed=False),
    "share1": lambda v: f"{100 * v:.1f} %", "count": lambda v: f"{v:,}", "text": str,
}  # fmt: skip


# -- figures ------------------------------------------------------------------------------------------


def test_every_figure_is_that_of_report_json(report: Report) -> None:
    check_figures(report, rendered(report))


def check_figures(report: Report, html: str) -> None:
    figures = Reader(html).figures
    assert len(figures) > 60
    for attributes, shown in figures:
        unit = attributes["data-unit"]
        if "data-from" in attributes:
            before, after = at(report, attributes["data-from"]), at(report, attributes["data-to"])
            value = None if before is None or after is None else after - before
            expected = units.relative(before, after) if unit == "relative" else TEXT[unit](value)
        else:
            plus, less = (
                [at(report, place) for place in attributes.get(key, "").split()] for key in ("data-at", "data-less")
            )
            value = (
                None if None in plus + less else plus[0] if len(plus) == 1 and not less else sum(plus) - sum(less)
            )
            expected = TEXT[unit](value)
        assert shown == expected, attributes
        if "value" in attributes and unit != "text":
            assert float(attributes["value"]) == pytest.approx(value, rel=1e-12, abs=1e-15), attributes
        else:
            assert value is None or unit in ("relative", "text"), attributes


def test_what_a_reader_looks_for_is_there() -> None:
    html = rendered(SAMPLE, use=Use(10, 2430))
    places = {a.get("data-at") for a, _ in Reader(html).figures}
    for key in ("accuracy", "mean_macs", "mean_latency_s", "p95_latency_s", "worst_latency_s", "mean_energy_j"):
        assert {f"baseline.measured.{key}", f"design.measured.{key}"} <= places
    words = " ".join("".join(Reader(html).words).split())
    for expected in (
        SAMPLE["design"]["summary"], "battery life*", "Sleep power of cm0p is unknown", "exit 1: 40.60 % leave",
        "confidence ≥ 0.8302", "16.4 kB handed over for each sample that goes on", "careful", "frugal",
        "cat", "leaving at exit 1, activation_2", "Assuming independent exits overstates accuracy by 2.68 pp",
        "12 heads trained, 7 kept", "one pass of the frozen model", "31.3 s", "40.3 s", SAMPLE["warnings"][0],
        "eeaug augment resnet8.h5", "cd" * 32, "keras 3.15.1", "the 5,000 test samples",
    ):  # fmt: skip
        assert expected in words, expected
    assert "train exits and backbone together" not in words  # it took no time


def test_tables_say_what_the_terminal_says(report: Report) -> None:
    """Figures stand under their names: the same rows as facts has them, which text and Markdown show."""
    tables = Reader(rendered(report)).tables
    rows = [[row.quantity.replace(", estimated", "*"), row.baseline, row.result, row.change]
            for row in facts.comparison(report)]  # fmt: skip
    assert tables["result"][1:] == rows
    if not report["design"]["exits"]:
        assert "predicted" not in tables and "leave" not in tables
        return
    assert [row[1:] for row in tables["predicted"]][1:] == [list(row[1:]) for row in facts.predictions(report)][1:]
    leave = [[units.share(leave.rate), units.macs(leave.macs)] for leave in facts.leaves(report)]
    assert [row[1:3] for row in tables["leave"]][1:-2] == leave
    curve = report["benefit_curve"]
    assert [row[1] for row in tables["benefit"][1:]] == [units.macs(point["mean_macs"]) for point in curve]
    stages = [segment["stage"] for segment in report["design"]["segments"] if segment["latency_s"] is not None]
    assert [row[0] for row in tables.get("latency", ())[1:]] == stages


def test_operating_points_stand_in_their_columns() -> None:
    report = copy.deepcopy(SAMPLE)
    report["benefit_curve"] = report["benefit_curve"][:2]
    html = rendered(report).replace("<details", "<section id='all'><details", 1)
    html = html.replace("</details>", "</details></section>", 1)
    found = {row[0]: row[1:] for row in Reader(html).tables["benefit"]}
    wanted = {row[0]: list(row[1:]) for row in facts.operating_points(report)}
    for here, there in {
        "budget": "budget", "threshold at exit 1": "threshold at activation_2",
        "predicted drop, on choose": "predicted drop", "measured drop, on test": "measured drop",
        "mean MACs": "measured mean MACs",
        "against the given model": "MACs against baseline", "mean latency, estimated": "mean latency",
        "mean energy, estimated": "mean energy", "proven": "proven",
    }.items():  # fmt: skip
        assert found[here] == wanted[there], here


def test_what_was_not_measured_is_called_so() -> None:
    report = copy.deepcopy(SAMPLE)
    untested(report)
    words = " ".join("".join(Reader(rendered(report)).words).split())
    assert "on which the design was chosen (not measured)" in words and "measured drop" not in words
    assert "test samples" not in words.replace("there are no test samples", "")


# -- charts -------------------------------------------------------------------------------------------


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


# -- the page -----------------------------------------------------------------------------------------


def test_it_needs_nothing_but_itself(report: Report) -> None:
    html = rendered(report)
    for tag, attributes in Reader(html).tags:
        assert tag not in ("script", "link", "img", "iframe", "object", "embed", "base"), tag
        for name, value in attributes.items():
            assert not name.startswith("on"), name
            if name in ("href", "src", "xlink:href", "action", "data", "srcset"):
                assert value.startswith("#"), (name, value)
    without_names = re.sub(r'xmlns(:\w+)?="[^"]*"', "", html)
    assert not re.search(r"@import|url\((?!#)|https?://|@font-face", without_names)


def test_names_from_files_are_text_and_nothing_else() -> None:
    report = copy.deepcopy(SAMPLE)
    evil(report)
    html = rendered(report)
    assert "<script" not in html and "alert" in html and "49" not in html.replace("0.49", "").split("<h2")[0]
    words = "".join(Reader(html).words)
    assert words.count(EVIL) > 8
    assert "{{" in words and "$x$" in words


def test_equal_reports_give_equal_pages_without_a_date() -> None:
    first = rendered(SAMPLE)
    assert first == rendered(copy.deepcopy(SAMPLE))
    assert not re.search(r"\b20\d\d-\d\d-\d\d", first)
    ids = re.findall(r'(?<![-\w])id="([^"]+)"', first)
    assert len(ids) == len(set(ids)) and set(re.findall(r'(?:url\(|href=")#([^)"]+)', first)) <= set(ids)


def test_both_themes_have_every_colour() -> None:
    html = rendered(SAMPLE)
    style = html.partition("<style>")[2].partition("</style>")[0]
    light, dark = style.split("prefers-color-scheme: dark")
    used = set(re.findall(r"var\(--(\w+)\)", html)) & set(charts.COLOURS)
    assert {"ink", "ground", "blue", "orange"} <= used
    for name in charts.COLOURS:
        assert f"--{name}: #" in light and f"--{name}: #" in dark.split("}")[0]
    assert not re.search(r"#[0-9a-f]{6}", html.partition("</style>")[2].replace("#x", ""))  # none but variables


def contrast(one: str, other: str) -> float:
    """WCAG 2: (L1 + 0.05) / (L2 + 0.05)."""

    def luminance(colour: str) -> float:
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1])
def test_all_words_can_be_read(theme: int) -> None:
    ground = charts.COLOURS["ground"][theme]
    for name in ("ink", "soft", "blue", "orange", "green", "purple"):
        assert contrast(charts.COLOURS[name][theme], ground) >= 4.5, name


def test_many_classes_are_folded_behind_those_that_lose_most() -> None:
    report = copy.deepcopy(SAMPLE)
    hundred_classes(report)
    html = rendered(report)
    assert "88 more classes" in html
    shown = html.partition('id="classes"')[2].partition("<details")[0]
    assert [f"class {k}<" in shown for k in (0, 11, 12, 99)] == [True, True, False, False]


def test_times_that_are_not_there_are_said_to_be_unknown() -> None:
    assert "no timing.json" in rendered(SAMPLE, times={})


# -- the command --------------------------------------------------------------------------------------


@pytest.mark.e2e
def test_the_page_of_a_real_bundle(bundle: Bundle, run: Run, tmp_path: Path) -> None:
    done = run("report", bundle.path, "--format", "html", "-o", "page.html", cwd=tmp_path)
    assert (done.code, done.stdout) == (0, "")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    check_figures(bundle.report, html)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.html"]
    refused = run("report", bundle.path, "--format", "html", "-o", "page.html", cwd=tmp_path)
    assert refused.code == 2 and "--force" in refused.last_line
    piped = run("report", bundle.path, "--format", "html", cwd=tmp_path, env={"PYTHONUTF8": "1"})
    assert piped.stdout == html


@pytest.mark.e2e
def test_the_command_on_the_page_makes_the_same_bytes(bundle: Bundle, run: Run, work: Path) -> None:
    import shlex

    words = "".join(Reader(page.render(bundle.report, bundle.manifest, {}, "made")).words)
    line = re.search(r"eeaug augment .*?-o \S+", words, re.DOTALL)
    assert line
    arguments = shlex.split(line[0].replace("\\\n", " "))
    done = run(*arguments[1:], "--cache-dir", "cache", cwd=work)
    assert done.code == 0, done.stderr
    assert hashes(work / "made-again") == hashes(bundle.path)


def test_text_starts_without_what_the_page_needs(bundle: Bundle) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from eeaug.cli.report import report; report([sys.argv[1]], standalone_mode=False); "
        "print({'matplotlib', 'jinja2', 'numpy'} & set(sys.modules), file=sys.stderr)"
    )
    line = [sys.executable, "-c", code, str(bundle.path)]
    done = subprocess.run(line, env=environment(), capture_output=True, text=True, check=True)
    assert done.stderr == "set()\n"
