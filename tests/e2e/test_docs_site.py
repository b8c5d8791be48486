"""The site that is built of docs/: without a warning, every link leads somewhere, nothing comes from a network."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
MISSING = [name for name in ("sphinx", "myst_parser", "furo") if find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"the extra docs is not installed: {', '.join(MISSING)}")
# what a browser fetches by itself, unlike a link that somebody follows
LOADED = {
    "script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src", "embed": "src",
    "object": "data", "link": "href", "input": "src",
}  # fmt: skip
# links of these kinds name a page, and load nothing
NAMES = {"index", "search", "next", "prev", "canonical", "author", "copyright", "top", "up"}
# reports and messages may link to these: docs/glossary.md keeps the names of its headings
ANCHORS = {
    "accuracy-drop", "arena", "backbone", "block", "budget", "bundle", "calibration-set", "cascade", "choose",
    "confidence", "counted", "design", "exit", "expected", "fit", "given-model", "group", "guarantee", "hand-over",
    "head", "leave-rate", "location", "macs", "manifest", "mode", "objective", "operating-point", "oracle",
    "overhead", "path", "peak-activations", "percentage-point", "placement", "priors", "profile", "promise",
    "proven", "rate", "reuse", "risk", "screen", "shift", "stage", "temperature", "test", "threshold", "validation",
    "worst-case",
}  # fmt: skip


class Page(HTMLParser):
    """Anchors of a page, its links, and what it loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.buttons: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "button":
            self.buttons.append(given.get("class", ""))
        if tag in LOADED and LOADED[tag] in given and not set(given.get("rel", "").split()) & NAMES:
            self.loads.append(given[LOADED[tag]])
        self.loads += re.findall(r"url\(['\"]?([^'\")]+)", given.get("style", ""))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("docs")
    line = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-d", str(place / "trees")]
    done = subprocess.run(
        [*line, str(ROOT / "docs"), str(place / "site")], cwd=place, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return place / "site"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    return {path.relative_to(site).as_posix(): Page(path) for path in sorted(site.rglob("*.html"))}


def test_every_chapter_is_there(pages: dict[str, Page]) -> None:
    chapters = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert {f"{name}.html" for name in chapters} | {"search.html"} <= set(pages)
    begin = {urlsplit(link).path for link in pages["index.html"].links}
    assert {f"{name}.html" for name in chapters - {"index"}} <= begin, "index.md does not lead to all chapters"


def test_every_link_leads_somewhere(site: Path, pages: dict[str, Page]) -> None:
    wrong = []
    for name, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (site / name).parent / unquote(parts.path) if parts.path else site / name
            key = target.resolve().relative_to(site.resolve()).as_posix()
            if not target.is_file():
                wrong.append(f"{name}: {link}: no such file")
            elif parts.fragment and key in pages and unquote(parts.fragment) not in pages[key].ids:
                wrong.append(f"{name}: {link}: no such place on the page")
    assert not wrong


def test_nothing_is_loaded_from_a_network(site: Path, pages: dict[str, Page]) -> None:
    outside = [
        f"{name}: {what}"
        for name, page in pages.items()
        for what in page.loads
        if urlsplit(what).netloc or urlsplit(what).scheme not in ("", "data")
    ]
    for path in site.rglob("*.css"):
        text = path.read_text(encoding="utf-8")
        fetched = [*re.findall(r"url\(['\"]?([^'\")]+)", text), *re.findall(r"@import\s+['\"]([^'\"]+)", text)]
        outside += [f"{path.name}: {what}" for what in fetched if what.startswith(("http", "//"))]
    assert not outside


def test_search_and_both_themes_need_no_server(site: Path, pages: dict[str, Page]) -> None:
    """Without a server a browser fetches nothing: the index is a script, and no page is read for a summary."""
    assert "searchindex.js" in pages["search.html"].loads
    assert (site / "searchindex.js").read_text(encoding="utf-8").startswith("Search.setIndex(")
    options = (site / "_static" / "documentation_options.js").read_text(encoding="utf-8")
    assert re.search(r"SHOW_SEARCH_SUMMARY: false", options)
    for name, page in pages.items():
        assert any("theme-toggle" in button for button in page.buttons), f"{name} has no switch for light and dark"


def test_the_glossary_keeps_its_anchors(pages: dict[str, Page]) -> None:
    assert pages["glossary.html"].ids >= ANCHORS, "a link from elsewhere would lead nowhere"


def test_the_public_names_are_in_the_reference(pages: dict[str, Page]) -> None:
    import eeaug

    known = pages["python-reference.html"].ids
    assert {f"eeaug.{name}" for name in eeaug.__all__} <= known
