"""What shells and people ask of the commands: completion, help, version, the manual page."""

from __future__ import annotations

import importlib
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import eeaug
from eeaug import hardware
from eeaug.cli import man

group: Any = importlib.import_module("eeaug.cli.main").group  # the package has a function of the module's name
run: Any = importlib.import_module("eeaug.cli.main").run
DOCS = Path(__file__).parents[2] / "docs"


def said(*words: str, **environment: str) -> str:
    done = CliRunner().invoke(group, words, prog_name="eeaug", env=environment, terminal_width=80)
    assert done.exit_code == 0, done.output
    return done.output


def completed(line: str) -> list[str]:
    """What bash is offered for the last word."""
    count = str(len(line.split(" ")) - 1)
    return said(_EEAUG_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=count).splitlines()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_of_the_shell(shell: str) -> None:
    script = said("completion", shell)
    assert "_EEAUG_COMPLETE" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


def test_what_is_completed() -> None:
    assert completed("eeaug aug") == ["plain,augment"]
    assert completed("eeaug augment --max-lat") == ["plain,--max-latency"]
    assert completed("eeaug augment mod") == ["file,mod"]
    assert completed("eeaug augment --hw psoc6") == [f"plain,{n}" for n in hardware.shipped() if n[:5] == "psoc6"]
    assert completed("eeaug augment --hw boards/m") == ["file,boards/m"]


def test_help_is_that_of_the_command() -> None:
    assert said("help", "hw", "check").split() == said("hw", "check", "--help").split()
    assert said("help").split() == said("--help").split()
    assert said("-V") == said("--version") == f"eeaug, version {eeaug.__version__}\n"


def test_help_of_what_is_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["help", "agument"]) == 2
    assert "'augment'" in capsys.readouterr().err
    assert run(["help", "report", "html"]) == 2
    assert "eeaug report has no command 'html'" in capsys.readouterr().err


def test_a_missing_target_lists_the_targets(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["augment", __file__]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: Missing option '--hw'") and all(name in line for name in hardware.shipped())


def test_the_manual_page_is_what_the_commands_are() -> None:
    text = (DOCS / "eeaug.1").read_text(encoding="utf-8")
    assert text == man.render(), "run: python -m eeaug.cli.man > docs/eeaug.1"
    if shutil.which("groff"):
        done = subprocess.run(["groff", "-man", "-Tutf8", "-wall"], input=text, capture_output=True, text=True)
        assert done.returncode == 0 and not done.stderr and "--max-accuracy-drop" in done.stdout


def test_a_checked_description_as_json() -> None:
    import json

    facts = json.loads(said("hw", "check", "psoc6", "--json"))
    assert facts["name"] == "psoc6" and facts["ok"] and isinstance(facts["warnings"], list)
