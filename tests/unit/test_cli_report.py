"""``eeaug report``: formats, the bundle that is meant, and what is refused."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from reports import SAMPLE_FILE, fails_with, run, write_bundle

from eeaug.api import Report
from eeaug.errors import ConversionError, InputError
from eeaug.report.render import markdown


def test_formats(tmp_path: Path) -> None:
    sample = json.loads(SAMPLE_FILE.read_text())
    bundle = write_bundle(tmp_path / "out")
    shown = run(bundle).stdout
    assert sample["design"]["summary"][:40] in shown
    assert shown.endswith(
        f"manifest sha256: {hashlib.sha256((bundle / 'manifest.json').read_bytes()).hexdigest()}\n"
    )
    assert run(bundle, "--format", "json").stdout_bytes == SAMPLE_FILE.read_bytes()
    assert run(bundle, "--json").stdout_bytes == SAMPLE_FILE.read_bytes()
    both = run(bundle, "--json", "--format", "html")
    assert both.exit_code != 0 and "contradict" in both.stderr
    assert run(bundle, "--format", "markdown").stdout == markdown.render(sample)


def test_the_name_of_a_file_says_its_format(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "out")
    for form, ends in (
        ("html", ("html", "HTM")),
        ("markdown", ("md",)),
        ("json", ("json",)),
        ("text", ("txt", "svg")),
    ):
        said = run(bundle, "--format", form, "-o", tmp_path / "said")
        assert said.exit_code == 0
        for end in ends:
            assert run(bundle, "-o", tmp_path / f"report.{end}").exit_code == 0
            assert (tmp_path / f"report.{end}").read_bytes() == (tmp_path / "said").read_bytes()
        (tmp_path / "said").unlink()
    assert run(bundle, "--format", "json", "-o", tmp_path / "as-said.html").exit_code == 0
    assert (tmp_path / "as-said.html").read_bytes() == SAMPLE_FILE.read_bytes()


def test_default_is_the_only_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "no-bundle").mkdir()
    fails_with(run(), InputError, "no bundle", "eeaug augment")
    write_bundle(tmp_path / ".b.partial")
    bundle = write_bundle(tmp_path / "b")
    assert run().exit_code == 0
    write_bundle(tmp_path / "a")
    fails_with(run(), InputError, "2 bundles", "a, b")
    monkeypatch.chdir(bundle)
    assert run().exit_code == 0


def test_changed_report_is_refused(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "out")
    (bundle / "report.json").write_bytes(SAMPLE_FILE.read_bytes().replace(b"0.8636", b"0.9636"))
    fails_with(run(bundle), ConversionError, "report.json", "changed")


def test_wrong_directories(tmp_path: Path) -> None:
    fails_with(run(tmp_path / "nowhere"), InputError, "no directory", "nowhere")
    fails_with(run(tmp_path), InputError, "no bundle", "manifest.json")
    bundle = write_bundle(tmp_path / "out")
    fails_with(run(bundle / "report.json"), InputError, "is a file")
    (bundle / "report.json").unlink()
    fails_with(run(bundle), ConversionError, "report.json is missing")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"schema_version": 1,\n', "broken JSON at line 2"),
        (b"\xff\xfe\xfa", "broken JSON"),
        (b'{"schema_version": 1}', "schema_version 1: this eeaug reads 6"),
        (b"[]", "schema_version null"),
    ],
)
def test_wrong_reports(tmp_path: Path, content: bytes, words: str) -> None:
    fails_with(run(write_bundle(tmp_path / "out", content)), InputError, "report.json", words)


def test_wrong_manifests(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "out", version=7)
    fails_with(run(bundle), InputError, "manifest.json", "schema_version 7", "reads 1")
    (bundle / "manifest.json").write_text('{"schema_version": 1, "files": {}}')
    fails_with(run(bundle), ConversionError, "manifest.json: the file: ", "missing")


def test_starts_without_heavy_imports(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "out")
    code = (
        "import sys; from eeaug.cli.report import report; report([sys.argv[1]], standalone_mode=False); "
        "print({'tensorflow', 'keras', 'onnx', 'networkx', 'numpy'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(bundle)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stderr == "set()\n"
    assert "Where samples leave" in done.stdout


# -- files and options --------------------------------------------------------------------------------


def test_a_file_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    bundle = write_bundle(tmp_path / "out")
    for form, begins in (("text", ""), ("markdown", "### "), ("html", "<!doctype"), ("json", "{")):
        done = run(bundle, "--format", form, "-o", f"r.{form}")
        assert (done.exit_code, done.stdout, done.stderr) == (0, "", f"written: r.{form}\n")
        content = Path(f"r.{form}").read_text(encoding="utf-8")
        assert content.startswith(begins) and "\x1b" not in content and len(content) > 2000
    fails_with(run(bundle, "-o", "r.text"), InputError, "r.text exists", "--force")
    assert run(bundle, "-o", "r.text", "--force").exit_code == 0
    fails_with(run(bundle, "-o", "nowhere/r"), InputError, "nowhere does not exist")
    fails_with(run(bundle, "-o", tmp_path), InputError, "is a directory")
    assert not [path for path in tmp_path.rglob("*") if "partial" in path.name]


def test_times_that_cannot_be_read_are_unknown(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "out")
    for content in ("{", "[]", '{"total": "x"}'):
        (bundle / "timing.json").write_text(content)
        assert "no timing.json" in run(bundle, "--format", "html").stdout
    (bundle / "timing.json").write_text('{"heads": 51.06, "total": 62.5}')
    assert "51.1 s" in run(bundle, "--format", "html").stdout


def test_battery_options(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "out")
    use = ("--period", "10", "--battery", "225mAh@3V")
    for form in ("text", "markdown", "html"):
        assert "battery life" in run(bundle, "--format", form, *use).stdout
    assert "--battery needs --period" in run(bundle, *use[2:]).stderr
    assert "--period needs --battery" in run(bundle, *use[:2]).stderr
    assert "as it was written" in run(bundle, "--format", "json", *use).stderr
    fails_with(run(bundle, *use[:3], "225mAh"), InputError, "225mAh", "225mAh@3V")
    assert run(bundle, "--period", "0", *use[2:]).exit_code == 2


def test_figures_that_do_not_fit_together_from_python(tmp_path: Path) -> None:
    """As the command says it, with the file."""
    content = json.loads(SAMPLE_FILE.read_bytes())
    content["design"]["measured"]["leave_rates"] = []
    read = Report(tmp_path, content, {}, {})
    for render in (str, lambda report: report.html(), lambda report: report.exits):
        with pytest.raises(ConversionError, match=r"report\.json: figures do not fit together"):
            render(read)
