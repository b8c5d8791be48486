"""What reaches a terminal, a log, Markdown and XML of names that somebody else has chosen."""

from __future__ import annotations

import copy
import importlib
import json
import os
import re
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eeaug.cli import environment, out, show
from eeaug.errors import ConversionError, InputError
from eeaug.report import gate
from eeaug.report.render import block_picture, markdown, page, terminal
from eeaug.support.printable import one_line, printable, shortened

entry: Any = importlib.import_module("eeaug.cli.main")
REPORT = json.loads((Path(__file__).parents[1] / "data" / "report.json").read_text(encoding="utf-8"))
EVIL = "a\x1b]0;owned\x07\r\nb\u202ec\x9b31m[red]d[/red][link=http://x]\u2028\udcff|`<b>&\t"
COLUMN = re.compile(r"(?<!\\)\|")  # that is not escaped


def harmless(text: str) -> bool:
    return all(c.isprintable() or c == "\n" for c in text)


@given(st.text())
def test_printable_text_is_printable_and_keeps_what_is(text: str) -> None:
    shown = printable(text)
    assert all(c.isprintable() or c in "\u200c\u200d\u00a0\u2009\u202f" for c in shown)
    assert shown == text if text.isprintable() else len(shown) >= len(text)
    shown.encode()


def test_escapes_are_those_of_python() -> None:
    assert printable("\x1b\n\r\x9b\u202e\udcff\0é日") == "\\x1b\\n\\r\\x9b\\u202e\\udcff\\x00é日"


@given(st.text(), st.integers(20, 400))
def test_lines_are_as_long_as_they_may_be(text: str, most: int) -> None:
    assert len(shortened(text, most)) <= most
    assert "\n" not in one_line(text)


def test_both_ends_of_a_long_path_stay() -> None:
    text = shortened(f"error: {'/very' * 900}/model.h5: no such model file")
    assert text.startswith("error: /very") and text.endswith("model.h5: no such model file") and len(text) <= 300


# -- stdout and stderr --------------------------------------------------------------------------------


def test_errors_are_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (InputError(EVIL), click.UsageError(EVIL), OSError(2, "No such file", EVIL), ValueError(EVIL)):

        def fails(*_: Any, _error: BaseException = error, **__: Any) -> None:
            raise _error

        monkeypatch.setattr(entry.group, "main", fails)
        entry.run([])
        text = capsys.readouterr().err
        assert text.count("\n") == 1 and harmless(text) and "\\x1b]0;owned\\x07" in text


def test_mistakes_of_a_file_are_a_line_each(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise InputError("f.yaml: 2 mistakes", lines=[f"{EVIL}: unknown key", "x" * 5000])

    monkeypatch.setattr(entry.group, "main", fails)
    assert entry.run([]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "error: f.yaml: 2 mistakes" and len(lines) == 3
    assert all(harmless(line) and len(line) <= 302 for line in lines)


def test_lines_and_tables(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.table import Table
    from rich.text import Text

    out.say(EVIL)
    out.say(EVIL, err=True)
    table = Table(EVIL, title=EVIL)
    table.add_row(EVIL)
    table.add_row(Text(EVIL))
    console = out.console()
    console.width = 400
    console.print(table)
    console.print(EVIL, soft_wrap=True)
    with show.observer(quiet=False, verbose=True) as observer:
        observer.note(EVIL)
        observer.detail(EVIL)
        observer.warning(EVIL)
        observer.finished("load", EVIL, 0.1)
    got = capsys.readouterr()
    assert harmless(got.out) and harmless(got.err)
    assert got.out.count("[red]d[/red]") >= 4, "no markup is read"
    assert got.err.count("\n") == 5


def test_bars_show_names_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    with show._Bar(True, False) as bars:
        bars.step("load", EVIL)
        bars.warning(EVIL)
        bars.finished("load", EVIL, 0.1)
    assert harmless(capsys.readouterr().err)


def test_json_takes_names_that_are_no_utf8(capfdbinary: Any) -> None:
    out.json({"a": EVIL})
    assert json.loads(capfdbinary.readouterr().out) == {"a": EVIL}


# -- reports ------------------------------------------------------------------------------------------


def evil(value: Any) -> Any:
    """Every name in a report made one that wants to be more, but for the words that code looks at."""
    if isinstance(value, dict):
        return {k: EVIL if k in NAMES and isinstance(v, str) else evil(v) for k, v in value.items()}
    if isinstance(value, list):
        return [evil(one) for one in value]
    return value


NAMES = {"file", "summary", "source", "head", "statement", "sha256"}


def bad_report() -> dict[str, Any]:
    report: dict[str, Any] = evil(copy.deepcopy(REPORT))
    report["model"]["name"] = report["hardware"]["name"] = EVIL
    report["warnings"] = [EVIL]
    report["data"]["notes"] = [EVIL]
    for segment in report["design"]["segments"]:
        segment["from"], segment["to"] = EVIL, EVIL if segment["to"] != "output" else "output"
    return report


def test_reports_of_all_kinds() -> None:
    report = bad_report()
    text = terminal.plain(lambda console: console.print(terminal.render(report)))
    assert harmless(text) and "\\x1b" in text
    words = markdown.render(report)
    assert harmless(words)
    assert "`<b>" not in words and r"\|\`\<b\>\&" in words
    for above, row in pairwise(words.splitlines()):
        if above.startswith("|") and row.startswith("|"):
            assert len(COLUMN.findall(above)) == len(COLUMN.findall(row)), row
    html = page.render(report, {"versions": {}, "inputs": [], "settings": {}, "preprocessing": None}, {}, EVIL)
    assert harmless(html) and "`<b>" not in html


def test_pictures_are_xml_that_parsers_read() -> None:
    block = {
        "block": EVIL, "layers": [EVIL], "shape": [1], "macs": 1, "macs_by_type": {"conv": 1}, "parameters": 1,
        "activation_elements": 1, "peak_elements": 1, "location": False, "reason": EVIL, "heads": [],
        "head_macs": None,
    }  # fmt: skip
    call = {"name": EVIL, "kind": EVIL, "inputs": [], "shape": [1], "kernel": [], "macs": 1}
    facts = {
        "model": EVIL, "input_shape": [1], "classes": 2, "macs": 1, "parameters": 1, "locations": 0,
        "blocks": [block], "calls": [call], "hardware": None, "input": block,
    }  # fmt: skip
    ElementTree.fromstring(block_picture.svg(facts))


def test_junit_is_xml_that_parsers_read() -> None:
    rows = gate.check(gate.part(REPORT, "test", "default"), {"max-accuracy-drop": 0.0, "min-macs-saved": 0.0})
    for name in (EVIL, "\ufffe\uffff\x00\x0b", "x\ud800"):
        top = ElementTree.fromstring(gate.junit(rows, name))
        assert top[0].get("name") == printable(name)


# -- paths and the environment ------------------------------------------------------------------------


def test_paths_that_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each at every option and argument that takes one: exit code 2, one line, nothing made."""
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    Path("dangling").symlink_to("nowhere")
    os.mkfifo("pipe")
    Path("file").write_text("x")
    before = sorted(Path().iterdir())
    strange = [
        "loop",
        "dangling",
        "pipe",
        "x" * 5000,
        "y/" * 3000,
        "",
        "file/below",
        "bytes-\udcff\x1b\n",
        "/dev/zero",
    ]
    uses: list[list[str]] = []
    for path in strange:
        uses += [
            ["hw", "show", path], ["hw", "check", path], ["augment", "m.h5", "--hw", path],
            ["augment", "m.h5", "--hw", "psoc6", "--config", path],
            ["report", path], ["check", path, "--max-latency", "1"], ["retarget", path, "--dry-run"],
            ["evaluate", path, "--data", "x.npz"], ["hw", "fit", "psoc6", "--measured", path],
            ["cache", "show", "--cache-dir", path],
        ]  # fmt: skip
    for use in uses:
        code = entry.run(use)
        got = capsys.readouterr()
        if use[:2] == ["cache", "show"] and code == 0:  # nothing is there, so nothing is kept
            continue
        assert code == 2, (use, code, got.err)
        assert not got.out and harmless(got.err) and got.err.count("\n") == 1 and len(got.err) <= 301, (
            use,
            got.err,
        )
    assert sorted(Path().iterdir()) == before


def test_misspelt_variables_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    with click.Context(entry.group) as context:
        environment.warn(context, {"EEAUG_AUGMENT_MAX_LATENCI": "1", "EEAUG_FOO": "", "HOME": "/"})
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 2 and all(line.startswith("warning: ") for line in lines)
        assert "EEAUG_AUGMENT_MAX_LATENCI; did you mean 'EEAUG_AUGMENT_MAX_LATENCY'?" in lines[0]
        known = set(environment.known(entry.group, "EEAUG"))
        assert {"EEAUG_AUGMENT_MAX_LATENCY", "EEAUG_CHECK_POINT", "EEAUG_HW_FIT_MEASURED"} & known
        environment.warn(context, dict.fromkeys({*known, *environment.OWN}, "1"))
        assert capsys.readouterr().err == ""


def test_a_full_disk_is_not_a_damaged_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        try:
            raise OSError(28, "No space left on device")
        except OSError as error:
            raise ConversionError("model.keras: a damaged .keras file: No space left on device") from error

    monkeypatch.setattr(entry.group, "main", fails)
    monkeypatch.setattr(entry.shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    assert entry.run([]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: No space left on device: ") and err.endswith(" has 0.0 MB free\n")
