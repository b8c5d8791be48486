"""The terminal: what is drawn where, colours, and what an interrupt leaves and says."""

from __future__ import annotations

import importlib
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from conftest import EXAMPLES, Run, environment
from tools import needs_terminal

from eeaug.cli import shared
from eeaug.support import streams

entry: Any = importlib.import_module("eeaug.cli.main")  # the package has a function of that name


def test_no_colours_off_a_terminal(run: Run, tmp_path: Path) -> None:
    assert "\x1b" not in run("hw", "list", cwd=tmp_path, env={"TERM": "xterm-256color"}).stdout


def on_a_terminal(code: str, **variables: str) -> tuple[int, str]:
    """Run Python code whose three streams are a terminal: its exit code and all that the terminal got."""
    master, slave = os.openpty()
    changes = {"TERM": "xterm-256color", "CI": None, "NO_COLOR": None, **variables}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment(**changes), stdin=slave, stdout=slave, stderr=slave
    ) as process:
        os.close(slave)
        got = b""
        with suppress(OSError):  # how Linux tells that the other end is closed
            while block := os.read(master, 4096):
                got += block
    os.close(master)
    return process.returncode, got.decode()


STEPS = """
import time
from eeaug.cli import show
with show.observer(quiet=False, verbose=True) as observer:
    observer.step("load", "model")
    observer.advance(1, 2)
    time.sleep(0.3)
    observer.warning("a [b]")
    observer.finished("load", "model", 0.3)
"""
COLOUR = re.compile(r"\x1b\[[0-9;]*\b(3[0-8]|9[0-7])\b[0-9;]*m")


@needs_terminal
def test_bars_on_a_terminal_and_the_cursor_is_there_again() -> None:
    code, got = on_a_terminal(STEPS)
    assert code == 0 and "read: model" in got and "warning: a [b]" in got
    assert COLOUR.search(got) and got.rindex("\x1b[?25h") > got.rindex("\x1b[?25l")


LONG = """
import time
from eeaug.cli import show
from eeaug.support import progress
now = 0.0
time.monotonic = progress.time.monotonic = lambda: now
with show.observer(quiet=False, verbose=False, brief=BRIEF) as observer:
    for name, pieces in (("features", 1), ("heads", 7)):
        observer.step(name, "4 locations")
        for done in range(pieces + 1):
            now += 4.0 * bool(done)
            observer.advance(done, pieces)
            time.sleep(0.15)
        observer.finished(name, "4 locations", 5.0 * pieces)
"""


@needs_terminal
def test_a_terminal_has_one_live_line_with_the_time_left_and_keeps_what_is_done() -> None:
    code, got = on_a_terminal(LONG.replace("BRIEF", "False"))
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", got)
    assert code == 0 and "about " in shown and " left" in shown
    assert "one pass of the frozen model: 4 locations: 5.0 s" in shown
    kept = shown.splitlines()[-1].rpartition("\r")[2]
    assert "%" not in kept, "the live line is gone at the end"
    assert "train: 4 locations: 35.0 s" in shown


@pytest.mark.parametrize(
    ("brief", "short"), [(False, ["one pass of the frozen model: 4 locations: 5.0 s"]), (True, [])]
)
def test_a_pipe_gets_plain_lines_on_stderr_alone(brief: bool, short: list[str]) -> None:
    code = LONG.replace("BRIEF", str(brief))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment(), check=True)
    assert done.stdout == b"" and b"\r" not in done.stderr and b"\x1b" not in done.stderr
    lines = done.stderr.decode().splitlines()
    assert lines[-1] == "train: 4 locations: 35.0 s"
    assert [line for line in lines if line.startswith("one pass")] == short
    told = [line for line in lines if line.startswith("  train")]
    assert told and all(
        re.fullmatch(r"  train: 4 locations: \d+ %, .* so far, about .* left", line) for line in told
    )


@needs_terminal
def test_no_color_is_kept_to() -> None:
    code, got = on_a_terminal(STEPS, NO_COLOR="1")
    assert code == 0 and "read: model" in got and not COLOUR.search(got)
    code, got = on_a_terminal("from eeaug.cli.main import main; main()", NO_COLOR="1")
    assert "Usage: eeaug" in got and "\x1b" not in got


@needs_terminal
@pytest.mark.parametrize("variables", [{"CI": "true"}, {"CI": "1"}, {"TERM": "dumb"}])
def test_nothing_live_where_lines_are_kept(variables: dict[str, str]) -> None:
    assert on_a_terminal(STEPS, **variables) == (0, "warning: a [b]\r\nread: model: 0.3 s\r\n")


def test_a_ci_variable_that_says_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", type("Terminal", (), {"isatty": lambda self: True})())
    for value, live in (("", True), ("false", True), ("0", True), ("true", False), ("woodpecker", False)):
        monkeypatch.setenv("CI", value)
        assert streams.live() is live
    monkeypatch.setattr(sys, "stderr", None)  # closed by the caller
    assert not streams.live()


# -- interruption -------------------------------------------------------------------------------------


def test_a_second_interrupt_right_after_the_first_does_not_disturb_the_cleaning_up() -> None:
    interrupt = entry._interrupt()
    with pytest.raises(KeyboardInterrupt):
        interrupt(signal.SIGINT, None)
    interrupt(signal.SIGINT, None)


def test_a_later_interrupt_counts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt = entry._interrupt()
    now = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        interrupt(signal.SIGINT, None)
    monkeypatch.setattr(time, "monotonic", lambda: now + 10)
    with pytest.raises(KeyboardInterrupt):
        interrupt(signal.SIGINT, None)


@needs_terminal
def test_an_interrupt_at_the_bars_leaves_the_terminal_as_it_was() -> None:
    raised = STEPS.replace("time.sleep(0.3)", "raise KeyboardInterrupt")
    _, got = on_a_terminal(raised)
    assert got.rindex("\x1b[?25h") > got.rindex("\x1b[?25l")


@pytest.mark.parametrize(("again", "hint"), [(False, "; the same goes on"), (True, "")])
def test_what_an_interrupt_says(tmp_path: Path, again: bool, hint: str) -> None:
    place = tmp_path / "bundle"
    if again:  # one that is to be replaced does not count
        place.mkdir()
        (place / "manifest.json").write_text("{}")
    with pytest.raises(KeyboardInterrupt, match=f"^nothing was written{hint}$"), shared.interruptible(place, hint):
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt, match=r"bundle is complete$"), shared.interruptible(place, hint):
        place.mkdir(exist_ok=True)
        (tmp_path / "new").write_text("{}")
        (tmp_path / "new").replace(place / "manifest.json")
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt, match=r"^nothing was written$"), shared.interruptible(None):
        raise KeyboardInterrupt


GOES_ON = "; the cache keeps what is finished, the same command goes on from there"


@pytest.mark.parametrize(("more", "hint"), [((), GOES_ON), (("--dry-run",), GOES_ON), (("--no-cache",), "")])
def test_an_interrupted_search_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], more: tuple[str, ...],
    hint: str,
) -> None:  # fmt: skip
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    for module, name in (("flow.augment", "augment"), ("flow.forecast", "forecast")):
        monkeypatch.setattr(importlib.import_module(f"eeaug.{module}"), name, interrupted)
    model = str(EXAMPLES / "fashion_resnet.h5")
    assert entry.run(["augment", model, "--hw", "psoc6", "--cache-dir", "cache", *more]) == 130
    out, err = capsys.readouterr()
    assert (out, err.strip()) == ("", f"interrupted: nothing was written{hint}")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
