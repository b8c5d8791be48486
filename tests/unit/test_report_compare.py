"""Several designs side by side: what differs, what is comparable, which is best."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from report_kinds import EVIL, Reader, evil, untested
from reports import SAMPLE, agreeing, fails_with, line_with, printed, run, write_bundle

from eeaug.errors import InputError
from eeaug.report.render import markdown, page, terminal
from eeaug.report.words import compare
from eeaug.report.words.battery import Use
from eeaug.report.words.compare import Named
from eeaug.report.words.facts import shown


def frugal() -> dict[str, Any]:
    """Another budget: fewer MACs, less accuracy, as much memory."""
    report = copy.deepcopy(SAMPLE)
    report["settings"]["max_accuracy_drop"] = 0.02
    report["design"]["measured"] |= {"accuracy": 0.8516, "mean_macs": 9.302e6, "mean_energy_j": None}
    return report


def designs(**reports: dict[str, Any]) -> list[Named]:
    return [Named("careful", SAMPLE), *(Named(name, report) for name, report in reports.items())]


def by_key(compared: list[Named]) -> dict[str, compare.Line]:
    return {line.key: line for line in compare.lines(compared)}


def test_best_is_marked_quantity_by_quantity() -> None:
    rows = by_key(designs(frugal=frugal()))
    assert {key: line.best for key, line in rows.items() if line.best} == {
        "accuracy": (0,), "drop": (0,), "mean_macs": (1,), "macs_saved": (1,), "mean_energy_j": (0,),
    }  # fmt: skip
    assert rows["drop"].cells == ("0.82 pp", "2.02 pp")
    assert rows["macs_saved"].cells == ("−19.0 %", "−25.6 %")
    assert rows["mean_energy_j"].marked[0].endswith("✓") and rows["mean_energy_j"].cells[1] == "unknown"


def test_what_reads_alike_is_best_alike() -> None:
    other = frugal()
    other["design"]["measured"]["accuracy"] = 0.86362
    third = copy.deepcopy(SAMPLE)
    third["design"]["measured"]["accuracy"] = 0.85
    assert by_key(designs(other=other, third=third))["accuracy"].best == (0, 1)


@pytest.mark.parametrize("kind", ["measured", "seed", "data"])
def test_figures_of_other_samples_are_not_compared(kind: str) -> None:
    other = frugal()
    if kind == "measured":
        untested(other)
    elif kind == "seed":
        other["settings"]["seed"] = 1
    else:
        other["data"]["sha256"] = "0" * 64
    shown(other)[1]["storage_bytes"] = 1  # type: ignore[index]
    compared = designs(other=other)
    marked = {key for key, line in by_key(compared).items() if line.best}
    assert marked == ({"storage_bytes"} if kind != "data" else set())
    assert any("cannot be compared" in note for note in compare.notes(compared))


def test_the_sentence_says_what_differs() -> None:
    assert compare.sentence(designs(frugal=frugal())) == (
        "The 2 designs have the same model, data and hardware; they differ in --max-accuracy-drop (0.01 / 0.02). "
        "Fewest mean MACs: frugal (9.302 M); least accuracy lost: careful (0.82 percentage points, pp)."
    )
    assert "have the same settings" in compare.sentence(designs(again=copy.deepcopy(SAMPLE)))
    other = frugal()
    other["hardware"] |= {"name": "stm32l4r5", "sha256": "0" * 64, "processors": ["m4"]}
    other["settings"] |= {"max_exits": 3, "threads": 7, "max_latency_s": None, "exit_at": ["a", "b"]}
    said = compare.sentence(designs(other=other))
    assert "differ in hardware, --max-latency, --max-accuracy-drop and --exit-at." in said
    cells = {line.quantity: line.cells for line in compare.rows(designs(other=other))}
    assert cells["hardware"] == ("psoc6", "stm32l4r5") and cells["--max-latency"] == ("2.5", "none")
    assert cells["--exit-at"] == ("none", "a, b")
    assert "threads" not in said and "max-exits" not in said  # both follow
    assert "same model and data;" in said
    other["hardware"]["name"] = "psoc6"
    assert "psoc6 00000000" in dict(compare.differences(designs(other=other)))["hardware"]  # another file


def test_renderings_show_the_same(tmp_path: Path) -> None:
    compared = designs(frugal=frugal())
    use = Use(10, 2430)
    html = page.compare(compared, use)
    pages = [printed(terminal.compare(compared, use), 100), markdown.compare(compared, use)]
    rows = Reader(html).tables["quantities"]
    for line in compare.rows(compared, use):
        for text in pages:
            table = text.replace("\\", "").partition(").")[2]
            line_with(table, f"{line.quantity} ", *line.marked)
        assert [line.quantity, *line.marked] in rows
    assert "battery life*" in pages[0] and "Sleep power" in pages[0]


def test_many_designs_fit_a_narrow_terminal() -> None:
    compared = [Named(f"a-rather-long-name-{i}", SAMPLE) for i in range(7)]
    text = printed(terminal.compare(compared), 80)
    assert max(map(len, text.splitlines())) <= 80
    assert all(design.name in text for design in compared)
    assert "✓" not in printed(terminal.compare(designs(f=frugal())), 80, "ascii")


def test_the_page_leaves_out_the_directories_that_all_have_in_common() -> None:
    def heads(*names: str) -> list[str]:
        return Reader(page.compare([Named(name, SAMPLE) for name in names])).tables["quantities"][0][1:]

    assert heads("a/b/c", "a/b/d/e", "a/b/cc") == ["c", "d/e", "cc"]
    assert heads("/a/b", "/a/c") == ["b", "c"]
    assert heads("b", "a/b") == ["b", "a/b"]
    assert heads("/b", "a/b") == ["/b", "a/b"]


def test_names_are_text() -> None:
    report = frugal()
    evil(report)
    html = page.compare([Named(EVIL, report), Named("b", SAMPLE)])
    assert html.count("<script") == 1 and EVIL in "".join(Reader(html).words)


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_bundle(Path("a"))
    write_bundle(Path("b"), json.dumps(agreeing(frugal())).encode())
    facts = json.loads(run("a", "b", "--format", "json").stdout)
    assert facts["designs"] == ["a", "b"] and facts["differences"] == {"--max-accuracy-drop": ["0.01", "0.02"]}
    assert facts["quantities"]["mean_macs"] == {"values": [10121319.2, 9302000.0], "best": ["b"]}
    assert "✓" in run("a", "b").stdout
    assert run("a", "b", "--format", "html", "-o", "c.html").exit_code == 0
    assert Path("c.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert run("a", "b", "--format", "markdown").stdout.startswith("**The 2 designs")
    fails_with(run("a", "nowhere"), InputError, "nowhere")
    assert "twice" in run("a", "a").stderr
