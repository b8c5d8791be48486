"""The HTML page: every figure and every mark of a chart is that of report.json, and the page stands by itself."""

from __future__ import annotations

import base64
import copy
import hashlib
import re
from pathlib import Path

import pytest
from conftest import VALIDATOR
from report_kinds import (
    EVIL,
    KINDS,
    Reader,
    Report,
    check_figures,
    evil,
    hundred_classes,
    rendered,
    untested,
    without_exits,
)
from reports import SAMPLE

from eeaug.report import units
from eeaug.report.render import charts, glossary
from eeaug.report.words import alternatives, facts
from eeaug.report.words.battery import Use

# -- reports of all kinds -----------------------------------------------------------------------------


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def report(request: pytest.FixtureRequest) -> Report:
    edited = copy.deepcopy(SAMPLE)
    request.param(edited)
    mistakes = [error.json_path + error.message for error in VALIDATOR.iter_errors(edited)]
    assert not mistakes, mistakes
    return edited


# -- figures ------------------------------------------------------------------------------------------


def test_every_figure_is_that_of_report_json(report: Report) -> None:
    check_figures(report, rendered(report))


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
    wanted = {row[0]: list(row[1:]) for row in alternatives.operating_points(report)}
    for here, there in {
        "budget": "budget", "threshold at exit 1": "threshold at activation_2",
        "predicted drop, calibration set": "predicted drop", "measured drop, test set": "measured drop",
        "mean MACs": "measured mean MACs",
        "against the given model": "MACs against given model", "mean latency, estimated": "mean latency",
        "mean energy, estimated": "mean energy", "promise": "promise",
    }.items():  # fmt: skip
        assert found[here] == wanted[there], here


def test_what_was_not_measured_is_called_so() -> None:
    report = copy.deepcopy(SAMPLE)
    untested(report)
    words = " ".join("".join(Reader(rendered(report)).words).split())
    assert "on which thresholds were decided (not measured)" in words and "measured drop" not in words
    assert "test samples" not in words.replace("there are no test samples", "")


# -- the page -----------------------------------------------------------------------------------------


def test_it_needs_nothing_but_itself(report: Report) -> None:
    html = rendered(report)
    for tag, attributes in Reader(html).tags:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base"), tag
        for name, value in attributes.items():
            assert not name.startswith("on") and name != "style", name  # a strict policy forbids both
            if name in ("href", "src", "xlink:href", "action", "data", "srcset"):
                assert value.startswith("#"), (name, value)
    without_names = re.sub(r'xmlns(:\w+)?="[^"]*"', "", html)
    assert not re.search(r"@import|url\((?!#)|https?://|@font-face", without_names)


def test_its_policy_allows_its_script_and_style_and_nothing_else(report: Report) -> None:
    html = rendered(report)
    allowed = {}
    for kind in ("script", "style"):
        (part,) = re.findall(f"<{kind}>(.*?)</{kind}>", html, re.DOTALL)
        allowed[kind] = base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{allowed['style']}'; script-src 'sha256-{allowed['script']}'; "
        "base-uri 'none'; form-action 'none'"
    )
    assert f'<meta http-equiv="Content-Security-Policy" content="{policy}">' in html
    assert html.index("Content-Security-Policy") < html.index("<style>")


def test_every_heading_of_a_table_says_what_it_heads(report: Report) -> None:
    html = rendered(report)
    assert not re.search(r"<th(?![^>]*scope=)[ >]|<th[^>]*></th>", html)
    for table in re.findall(r"<table.*?</table>", html, re.DOTALL):
        assert "<thead>" in table and "<td" not in table.partition("<tbody>")[0].replace("<td></td>", "")


def test_links_lead_to_what_is_on_the_page(report: Report) -> None:
    tags = Reader(rendered(report)).tags
    ids = {a["id"] for _, a in tags if "id" in a}
    links = {a["href"].removeprefix("#") for tag, a in tags if tag == "a"}
    assert links <= ids
    assert {
        a["id"] for tag, a in tags if tag in ("section", "dt") and "id" in a
    } <= links  # nothing that no link names


def test_names_from_files_are_text_and_nothing_else() -> None:
    report = copy.deepcopy(SAMPLE)
    evil(report)
    html = rendered(report)
    assert html.count("<script") == 1 and "alert" in html and "49" not in html.replace("0.49", "").split("<h2")[0]
    words = "".join(Reader(html).words)
    assert words.count(EVIL) > 8
    assert "{{" in words and "$x$" in words


def test_commands_in_warnings_are_set_as_such() -> None:
    report = copy.deepcopy(SAMPLE)
    report["warnings"] = ["`<b>` is missing: run `eeaug evaluate DIR`"]
    html = rendered(report)
    assert "<li><code>&lt;b&gt;</code> is missing: run <code>eeaug evaluate DIR</code></li>" in html


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
    """WCAG 2 AA: 4.5 for text, 3 for what a chart or a control must show."""
    colour = {name: both[theme] for name, both in charts.COLOURS.items()}
    texts = [(name, under) for name in ("ink", "soft", "green", "orange") for under in ("ground", "raised")]
    for name, under in [*texts, ("ground", "ink"), ("blue", "ground"), ("purple", "ground")]:
        assert contrast(colour[name], colour[under]) >= 4.5, (name, under)
    for name in (*charts.TINTS, "soft"):
        for under in ("ground", "raised"):
            assert contrast(colour[name], colour[under]) >= 3, (name, under)


def test_those_that_lose_most_stand_above_of_many_classes() -> None:
    report = copy.deepcopy(SAMPLE)
    hundred_classes(report)
    html = rendered(report)
    table = html.partition('id="classes"')[2].partition("</table>")[0]
    assert 'data-most="12"' in table and "<tr hidden" not in table  # the script folds it: without one all are there
    assert re.findall(r"class (\d+)<", table) == [str(k) for k in range(100)]
    assert "data-most" not in rendered(SAMPLE).partition("<script>")[0]


def test_a_page_without_exits_says_why() -> None:
    report = copy.deepcopy(SAMPLE)
    without_exits(report)
    report["search"]["rejected"] |= {"latency": 4321, "memory": 1}
    report["promise"] |= {"promise": "proven", "kept": False, "steps_tested": 1, "smallest_provable_drop": 0.0123}
    report["promise"]["statement"] = "Nothing could be proven."
    html = rendered(report)
    words = " ".join("".join(Reader(html).words).split())
    for sentence in (
        "Nothing could be proven.", "4,321 placements were rejected: they need more than the worst-case latency",
        "1 placement was rejected: they need more than the memory of the target",
        "eeaug retarget out --max-accuracy-drop 1.3pp -o out-looser",
    ):  # fmt: skip
        assert sentence in words, sentence
    losses = [row[1] for row in Reader(html).tables["why"][1:]]
    drops = sorted(p["drop"] for p in report["benefit_curve"] if p["exits"])[: len(losses)]
    assert losses == [units.points(drop, signed=False) for drop in drops] and len(losses) == 3
    report["benefit_curve"] = [point for point in report["benefit_curve"] if not point["exits"]]
    assert "saves any MACs" in rendered(report)
    assert 'id="why"' not in rendered(SAMPLE)


def test_the_glossary_is_that_of_the_documents() -> None:
    there = Path(__file__).resolve().parents[2]
    copied = there / "eeaug" / "report" / "render" / "pages" / "glossary.md"
    # changed in docs: cp docs/glossary.md eeaug/report/render/pages/
    assert copied.read_bytes() == (there / "docs" / "glossary.md").read_bytes()
    html = rendered(SAMPLE)
    assert '<dt id="term-choose">choose</dt><dd>The name of the calibration set' in html
    assert "](" not in "".join(term.text for term in glossary.terms().values())
    words = glossary.Glossary()
    assert words.linked("<b> chooser, Choose & choose", "choose") == (
        '&lt;b&gt; chooser, <a class="term" href="#term-choose">Choose</a> &amp; choose'
    )
    assert words.linked("all MACs, worst latency", "macs", "worst latency") == (
        'all <a class="term" href="#term-macs">MACs</a>, <a class="term" href="#term-worst-case">worst latency</a>'
    )
    assert [term.title for term in words.used()] == ["choose", "MACs", "worst case"]


def test_times_that_are_not_there_are_said_to_be_unknown() -> None:
    assert "no timing.json" in rendered(SAMPLE, times={})
