"""The pages in a real browser: on a desk and on a phone, light and dark, by keys, without script, in print."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from browser import FAULTS, THEMES, WIDTHS, opened, started
from report_kinds import (
    every_metrics,
    evil,
    four_exits,
    hundred_classes,
    plain,
    rendered,
    untested,
    without_exits,
    without_latency,
)  # fmt: skip
from reports import SAMPLE

from eeaug.report.render import charts, page
from eeaug.report.words.battery import Use
from eeaug.report.words.compare import Named

pytestmark = pytest.mark.e2e
A4 = 718  # CSS pixels between margins of 1 cm
Report = dict[str, Any]


def crowded(report: Report) -> None:
    """Exits and points close to each other, long names, limits close to what is needed."""
    four_exits(report)
    for k, exit_ in enumerate(report["design"]["exits"]):
        exit_["location"] = f"a_rather_long_name_of_a_layer_{k}/conv2d/batch_normalization"
    report["settings"] |= {"max_latency_s": 1.01 * report["design"]["measured"]["worst_latency_s"]}
    for metrics in every_metrics(report):
        if len(metrics["leave_rates"]) > 1:
            metrics["leave_rates"] = [0.3, 0.01, 0.01, 0.01, 0.67]
    for point in report["operating_points"]:  # all close to the budget, near the design
        given = report["baseline"]["choose"]
        point["predicted"] |= {"accuracy": given["accuracy"] - 0.0098, "mean_macs": 0.8 * given["mean_macs"]}


KINDS = [plain, untested, without_latency, without_exits, hundred_classes, evil, crowded]


def html(kind: Any) -> str:
    report = copy.deepcopy(SAMPLE)
    kind(report)
    return rendered(report, use=Use(10, 2430))


def compared(number: int) -> str:
    other = copy.deepcopy(SAMPLE)
    other["settings"]["max_accuracy_drop"] = 0.02
    other["design"]["measured"] |= {"accuracy": 0.8516, "mean_macs": 9.302e6, "mean_energy_j": None}
    names = [f"builds/2026/{'a-rather-long-name-of-a-bundle-' * (k == 2)}{k}" for k in range(number)]
    return page.compare([Named(name, other if k % 2 else SAMPLE) for k, name in enumerate(names)])


PAGES = {kind.__name__: lambda kind=kind: html(kind) for kind in KINDS} | {
    f"compared_{number}": lambda number=number: compared(number) for number in (3, 4, 7)
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with started() as browser:
        yield browser


def written(folder: Path, text: str) -> Path:
    path = folder / "page.html"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", PAGES)
def test_nothing_lies_on_something_else_or_beyond_the_page(name: str, browser: Any, tmp_path: Path) -> None:
    path = written(tmp_path, PAGES[name]())
    for width in WIDTHS:
        with opened(browser, path, width) as shown:
            assert shown.evaluate(FAULTS) == [], width


@pytest.mark.parametrize("name", ["plain", "without_exits", "compared_3"])
def test_axe_finds_nothing(name: str, browser: Any, tmp_path: Path) -> None:
    """Names, landmarks, headings, tables, contrast as it is rendered: all rules of axe-core."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    path = written(tmp_path, PAGES[name]())
    for width, theme in product(WIDTHS, THEMES) if name == "plain" else zip(WIDTHS, THEMES, strict=True):
        with opened(browser, path, width, theme) as shown:
            found = axe.run(shown).response["violations"]
            faults = [(v["id"], [n["html"][:200] for n in v["nodes"]][:3]) for v in found]
            assert faults == [], (width, theme)


@pytest.mark.parametrize("fault", ["text", "line", "wide", "contrast"])
def test_these_checks_can_fail(fault: str, browser: Any, tmp_path: Path) -> None:
    text = html(plain)
    if fault == "text":
        text = re.sub(
            r'<text x="[\d.]+" y="[\d.]+" text-anchor="end">', '<text x="50" y="50" text-anchor="end">', text
        )
    elif fault == "line":  # a label in the midst of the curve
        text = re.sub(
            r'(class="front"/></svg>)', r'\1<text x="150" y="100" class="ink">■■■■■■■■■■■■■■■■</text>', text
        )
    elif fault == "wide":
        text = text.replace('<p class="answer">', f'<p class="answer">{"<b>nobr</b>" * 80}')
    else:
        soft = charts.COLOURS["soft"][0]
        text = text.replace(f"--soft: {soft}", "--soft: #b0b0b0")
    text = re.sub(r"<meta http-equiv[^>]*>", "", text)
    with opened(browser, written(tmp_path, text), 390 if fault == "wide" else 1300) as shown:
        if fault == "contrast":
            axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
            assert "color-contrast" in {v["id"] for v in axe.run(shown).response["violations"]}
        else:
            assert shown.evaluate(FAULTS)


def test_by_keys_alone(browser: Any, tmp_path: Path) -> None:
    with opened(browser, written(tmp_path, html(hundred_classes))) as shown:
        shown.keyboard.press("Tab")
        assert shown.evaluate("document.activeElement.className") == "skip"
        assert shown.locator(".skip").bounding_box()["x"] >= 0
        shown.keyboard.press("Enter")
        assert shown.evaluate("document.activeElement.id") == "content"
        stops = 0
        while stops < 200:
            shown.keyboard.press("Tab")
            style = shown.evaluate(
                "() => { const e = document.activeElement, s = getComputedStyle(e); return e === document.body"
                " ? null : [e.tagName, s.outlineStyle, parseFloat(s.outlineWidth), s.outlineColor]; }"
            )
            if style is None:
                break
            stops += 1
            assert style[1] == "solid" and style[2] >= 2 and "0)" not in style[3].split(",")[-1], style
        assert stops > 20
        head = shown.locator("#classes th", has_text="change").first
        head.locator("button").focus()
        shown.keyboard.press("Enter")
        assert head.get_attribute("aria-sort") == "ascending"
        values = (
            "[...document.querySelectorAll('#classes tbody tr')].map(r => +r.cells[4].querySelector('data').value)"
        )
        up = shown.evaluate(values)
        assert up == sorted(up) and len(up) == 100
        shown.keyboard.press("Space")
        assert head.get_attribute("aria-sort") == "descending" and shown.evaluate(values) == up[::-1]
        name = shown.locator("#classes th", has_text="class").first
        name.locator("button").click()
        first = shown.locator("#classes tbody tr th").all_inner_texts()
        assert first[:3] == ["class 0", "class 1", "class 2"] and head.get_attribute("aria-sort") is None


def test_long_tables_are_folded(browser: Any, tmp_path: Path) -> None:
    with opened(browser, written(tmp_path, html(hundred_classes))) as shown:
        rows, more = shown.locator("#classes tbody tr"), shown.get_by_role("button", name="Show all 100")
        assert sum(row.is_visible() for row in rows.all()) == page.MOST_CLASSES
        assert more.get_attribute("aria-expanded") == "false"
        more.click()
        assert all(row.is_visible() for row in rows.all())
        shown.get_by_role("button", name="Show fewer").click()
        assert sum(row.is_visible() for row in rows.all()) == page.MOST_CLASSES


def settled(shown: Any) -> None:
    """Events of a scroll come with the next frame."""
    shown.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def test_values_are_shown_under_a_pointer_and_by_keys(browser: Any, tmp_path: Path) -> None:
    text = html(plain)
    chosen = re.findall(r'data-id="chosen"><title>([^<]*)', text)[0]
    with opened(browser, written(tmp_path, text)) as shown:
        tip, chart = shown.locator(".tip"), shown.locator("#benefit svg.chart").first
        chart.scroll_into_view_if_needed()
        box = chart.locator("[data-id=chosen]").bounding_box()
        shown.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2 + 6)  # near is enough
        assert tip.inner_text() == chosen and chosen.startswith("this design: ")
        shown.mouse.move(0, 0)
        assert tip.inner_text() == ""
        chart.focus()
        said = []
        for _ in range(chart.locator("[data-id]").count()):
            shown.keyboard.press("ArrowRight")
            said.append(tip.inner_text())
            left, right = tip.bounding_box()["x"], tip.bounding_box()["x"] + tip.bounding_box()["width"]
            assert left >= 0 and right <= 1300
        assert chosen in said and len(set(said)) > 3
        shown.keyboard.press("Escape")
        assert tip.inner_text() == ""
        word = shown.locator("a.term").first
        word.hover()
        name = word.get_attribute("href").removeprefix("#")
        assert tip.inner_text() == shown.locator(f"#{name} + dd").inner_text()
        assert shown.locator("svg.chart title").count() == 0  # not twice
        shown.mouse.move(0, 0)
        for to in (0, 10**6):  # a word far away that is reached by keys: the browser scrolls to it
            shown.evaluate(f"scrollTo(0, {to})")
            word.focus()
            settled(shown)
            assert tip.inner_text() == shown.locator(f"#{name} + dd").inner_text()
            assert (
                0 <= tip.bounding_box()["y"] <= 900
                and abs(tip.bounding_box()["y"] - word.bounding_box()["y"]) < 300
            )
            word.blur()


def test_without_script_all_is_there(browser: Any, tmp_path: Path) -> None:
    path = written(tmp_path, html(hundred_classes))
    with opened(browser, path, java_script_enabled=False) as shown:
        assert all(row.is_visible() for row in shown.locator("#classes tbody tr").all())
        assert shown.locator("button").count() == 0 and shown.locator("svg.chart title").count() > 50
        for section in shown.locator("main section h2").all():
            assert section.is_visible()


def test_on_paper_it_is_light_and_whole(browser: Any, tmp_path: Path) -> None:
    with opened(browser, written(tmp_path, html(crowded)), A4) as shown:
        shown.emulate_media(media="print")
        assert shown.evaluate("document.documentElement.scrollWidth") <= A4
    with opened(browser, written(tmp_path, html(hundred_classes)), A4, "dark") as shown:
        shown.emulate_media(media="print")
        assert shown.evaluate("document.documentElement.scrollWidth") <= A4
        ground = shown.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == "rgb(255, 255, 255)"
        assert not shown.locator("nav").is_visible() and not shown.locator("button.more").is_visible()
        assert all(row.is_visible() for row in shown.locator("#classes tbody tr").all())
        assert shown.locator("#benefit details table").is_visible()
        assert shown.pdf()[:5] == b"%PDF-"


def test_a_server_may_set_the_same_policy(browser: Any, tmp_path: Path) -> None:
    text = html(plain)
    policy = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[0]
    with opened(browser, written(tmp_path, "<title>empty</title>")) as shown:
        headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy}
        shown.route("**/*", lambda route: route.fulfill(body=text, headers=headers))
        shown.goto("http://report.test/")
        assert shown.locator("thead button").count() > 3  # its script ran
        assert shown.evaluate("getComputedStyle(document.querySelector('.tiles')).display") == "grid"
