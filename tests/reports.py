"""The sample report: a bundle that has it, its renderings, and what is said of it."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from rich.console import Console, RenderableType

from eeaug.cli.report import report as command
from eeaug.report.render import terminal
from eeaug.report.words.battery import Use

SAMPLE_FILE = Path(__file__).parent / "data" / "report.json"
SAMPLE: dict[str, Any] = json.loads(SAMPLE_FILE.read_bytes())


def write_bundle(directory: Path, report: bytes = SAMPLE_FILE.read_bytes(), version: int = 1) -> Path:
    """A bundle with this report, whose other files hold their own names."""
    try:
        facts = json.loads(report)["manifest"]
    except (ValueError, LookupError, TypeError):  # no report
        facts = json.loads(SAMPLE_FILE.read_bytes())["manifest"]
    contents = {name: name.encode() for name in facts["files"]} | {"report.json": report}
    for name, content in contents.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(content)
    files = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(contents.items())}
    manifest = {**facts, "schema_version": version, "files": files}
    (directory / "manifest.json").write_text(json.dumps(manifest))
    return directory


def agreeing(report: dict[str, Any]) -> dict[str, Any]:
    """The report with the manifest that says the same as its figures."""
    facts, design = report["manifest"], report["design"]
    facts["settings"] = report["settings"]
    for stage, exit_ in zip(facts["stages"], design["exits"], strict=False):
        stage["threshold"] = exit_["threshold"]
    for point, other in zip(facts["operating_points"], report["operating_points"], strict=True):
        point |= {"name": other["name"], "thresholds": other["thresholds"]}
    return report


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def fails_with(result: Result, kind: type[Exception], *words: str) -> None:
    assert type(result.exception) is kind
    message = str(result.exception)
    assert "\n" not in message and all(word in message for word in words), message
    assert result.stdout == ""


def text(report: dict[str, Any], width: int = 80, encoding: str = "utf-8", use: Use | None = None) -> str:
    return printed(terminal.render(report, width, use), width, encoding)


def printed(page: RenderableType, width: int = 80, encoding: str = "utf-8") -> str:
    output = io.TextIOWrapper(io.BytesIO(), encoding, newline="\n")  # strict: refuses what it cannot encode
    Console(file=output, width=width).print(page)
    output.seek(0)
    return output.read()


def line_with(page: str, *words: str) -> str:
    found = [line for line in page.splitlines() if all(word in line for word in words)]
    assert len(found) == 1, f"{words}: {found}"
    return found[0]
