"""``eeaug report``: formats, the bundle that is meant, and what is refused."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from eeaug.cli.report import report as command
from eeaug.errors import ConversionError, InputError
from eeaug.report import markdown

SAMPLE = Path(__file__).parent / "data" / "report.json"


def write_bundle(directory: Path, report: bytes = SAMPLE.read_bytes(), version: int = 1) -> Path:
    directory.mkdir(parents=True)
    (directory / "report.json").write_bytes(report)
    manifest = {"schema_version": version, "files": {"report.json": hashlib.sha256(report).hexdigest()}}
    (directory / "manifest.json").write_text(json.dumps(manifest))
    return directory


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def fails_with(result: Result, kind: type[Exception], *words: str) -> None:
    assert type(result.exception) is kind
    message = str(result.exception)
    assert "\n" not in message and all(word in message for word in words), message
    assert result.stdout == ""


def test_formats(tmp_path: Path) -> None:
    sample = json.loads(SAMPLE.read_text())
    bundle = write_bundle(tmp_path / "out")
    assert sample["design"]["summary"][:40] in run(bundle).stdout
    assert run(bundle, "--format", "json").stdout_bytes == SAMPLE.read_bytes()
    assert run(bundle, "--format", "markdown").stdout == markdown.render(sample)


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
    (bundle / "report.json").write_bytes(SAMPLE.read_bytes().replace(b"0.8636", b"0.9636"))
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
        (b'{"schema_version": 1}', "schema_version 1: this eeaug reads 3"),
        (b"[]", "schema_version None"),
    ],
)
def test_wrong_reports(tmp_path: Path, content: bytes, words: str) -> None:
    fails_with(run(write_bundle(tmp_path / "out", content)), InputError, "report.json", words)


def test_wrong_manifests(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "out", version=7)
    fails_with(run(bundle), InputError, "manifest.json", "schema_version 7", "reads 1")
    (bundle / "manifest.json").write_text('{"schema_version": 1, "files": {}}')
    fails_with(run(bundle), InputError, "lists no sha256 of report.json")


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
