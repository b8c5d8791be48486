"""`eeaug check` as a process, and the examples of it in continuous integration."""

from __future__ import annotations

import json
import re
import shlex
import string
from pathlib import Path
from xml.etree import ElementTree

import click
import pytest
from ci_files import NAMES, scripts
from conftest import Bundle, Run
from junit import junit_valid

from eeaug.cli.main import group


def commands(name: str) -> list[list[str]]:
    """Every eeaug command line of a CI file, variables replaced."""
    found = []
    for text, variables in scripts(name):
        for line in re.sub(r"\\\n", " ", text).splitlines():
            words = shlex.split(string.Template(line).safe_substitute(variables))
            if words[:1] == ["eeaug"]:
                found.append(words[1:])
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_commands_exist(name: str) -> None:
    lines = commands(name)
    assert {line[0] for line in lines} == {"augment", "check", "report"}
    for line in lines:
        line = line[: line.index(">")] if ">" in line else line
        found = group.get_command(click.Context(group), line[0])
        assert found is not None
        found.make_context(line[0], line[1:])  # raises for an option or a value that is none


@pytest.mark.e2e
@pytest.mark.parametrize("name", NAMES)
def test_the_examples_check_and_report_a_real_bundle(name: str, bundle: Bundle, run: Run, tmp_path: Path) -> None:
    (tmp_path / "model-eeaug").symlink_to(bundle.path)
    for line in commands(name):
        if line[0] == "report":
            done = run(*line[: line.index(">")], cwd=tmp_path)
            assert done.code == 0 and done.stdout.startswith("### ")
        elif line[0] == "check":
            done = run(*line, cwd=tmp_path)
            page = ElementTree.parse(tmp_path / "check.xml").getroot()
            assert junit_valid(page) and page.get("tests") == "5"
            assert done.code == (0 if page.get("failures") == "0" else 3), done.stderr


@pytest.mark.e2e
def test_exit_codes_of_the_process(bundle: Bundle, copied: Path, run: Run, tmp_path: Path) -> None:
    done = run("check", bundle.path, "--min-macs-saved", "0.999", "--json", cwd=tmp_path)
    assert done.code == 3 and done.last_line.startswith("error: 1 of 1 limits is not kept: --min-macs-saved:")
    assert json.loads(done.stdout)["ok"] is False
    (copied / "stages" / "0-cm4f" / "model.onnx").write_bytes(b"another")
    done = run("check", copied, "--min-macs-saved", "0.1", cwd=tmp_path)
    assert done.code == 4 and "has changed" in done.last_line and done.stdout == ""
