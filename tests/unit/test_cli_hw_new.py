"""``eeaug hw new``: options, questions, and what is written."""

from __future__ import annotations

import builtins
import fcntl
import os
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tools import needs_terminal

from eeaug import hardware
from eeaug.cli import hw_new
from eeaug.cli.hw import hw
from eeaug.cli.main import run as run_eeaug
from eeaug.errors import InputError
from eeaug.hardware import Hardware

ONE = ("--name", "board", "--cpu", "m4", "--clock", "120MHz", "--ram", "128KiB", "--flash", "1MiB")
TWO = (*ONE[:2], "--cpu", "M0+", "--clock", "100MHz", "--cpu", "Cortex-M4", "--clock", "150MHz", "--flash", "2MiB")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(hw, ("new", *arguments))


def read(text: str, tmp_path: Path) -> Hardware:
    path = tmp_path / "written.yaml"
    path.write_text(text, encoding="utf-8")
    return hardware.read(str(path))


def refused(*arguments: str) -> str:
    result = run(*arguments)
    assert result.exit_code
    assert result.stdout == ""
    if isinstance(result.exception, InputError):
        return str(result.exception)
    return " ".join(result.stderr.split())


def test_options_alone_write_a_description_that_check_accepts(tmp_path: Path) -> None:
    place = tmp_path / "board.yaml"
    result = run(*ONE, "--power", "20mW", "-o", str(place))
    assert (result.exit_code, result.stdout) == (0, ""), result.output
    assert f"written: {place}" in result.stderr
    assert "board: ok: 1 processor, 2 memories, 0 links" in result.stderr
    (m4,) = hardware.read(str(place)).processors
    assert (m4.name, m4.cpu, m4.clock_hz, m4.active_power_w) == ("m4", "cortex-m4", 120e6, 0.02)
    assert (m4.ram, m4.flash, m4.arithmetic, m4.basis) == ("sram", "flash", "int8", "counted")
    assert all(m4.rate(kind) for kind in hardware.KINDS)
    assert {m.name: m.bytes for m in hardware.read(str(place)).memories} == {"sram": 1 << 17, "flash": 1 << 20}
    checked = CliRunner().invoke(hw, ("check", str(place)))
    assert checked.stdout == "board: ok: 1 processor, 2 memories, 0 links\n"


def test_two_processors_may_share_their_memory(tmp_path: Path) -> None:
    target = read(run(*TWO, "--ram", "1MiB").stdout, tmp_path)
    assert [(p.name, p.ram, p.flash) for p in target.processors] == [
        ("m0p", "sram", "flash"),
        ("m4", "sram", "flash"),
    ]
    (link,) = target.links
    assert (link.sender, link.receiver, link.bandwidth_bytes_per_s) == ("m0p", "m4", 4 * 100e6)
    assert link.source is not None
    assert link.source.startswith("not measured")


@pytest.mark.parametrize(
    ("link", "links"), [("4MB/s", [(4e6, "as given to eeaug hw new")]), ("unknown", [(None, None)]), ("none", [])]
)
def test_two_processors_with_memory_of_their_own(tmp_path: Path, link: str, links: list[object]) -> None:
    assert "--link is missing" in refused(*TWO, "--ram", "1MiB", "--ram", "64KiB")
    result = run(*TWO, "--ram", "1MiB", "--ram", "64KiB", "--link", link)
    target = read(result.stdout, tmp_path)
    assert [(p.ram, p.flash) for p in target.processors] == [("m0p-ram", "flash"), ("m4-ram", "flash")]
    assert [(k.bandwidth_bytes_per_s, k.source) for k in target.links] == links
    assert ("no design can use it" in result.stderr) == (link == "none")


def test_equal_cores_are_numbered(tmp_path: Path) -> None:
    twice = ("--cpu", "m33", "--clock", "150MHz") * 2
    target = read(run("--name", "duo", *twice, "--ram", "520KiB", "--flash", "4MiB").stdout, tmp_path)
    assert [p.name for p in target.processors] == ["m33-1", "m33-2"]


def test_a_core_that_was_not_counted_has_no_rates(tmp_path: Path) -> None:
    result = run(*ONE[:2], "--cpu", "other", *ONE[4:])
    (cpu,) = read(result.stdout, tmp_path).processors
    assert (cpu.name, cpu.cpu, cpu.clock_hz, cpu.basis, cpu.runtime) == ("cpu", None, 120e6, None, None)
    assert set(cpu.rates_macs_per_s.values()) == {None}
    assert "no latency can be estimated on cpu" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "--name, --cpu, --clock, --ram and --flash are missing, and there is no terminal to ask on"),
        (ONE[:8], "--flash is missing, and there is no terminal"),
        ((*ONE, "--clock", "1MHz"), "--clock is given 2 times, --cpu once: must be 1"),
        (
            (*TWO, "--ram", "1k", "--ram", "1k", "--ram", "1k"),
            "--ram is given 3 times, --cpu 2 times: must be 1",
        ),
        ((*ONE, "--link", "1MB/s"), "--link is given once, --cpu once: must be 0"),
        ((*ONE, "--cpu", "m5"), "there is no core 'm5'; did you mean 'cortex-m55'?"),
        ((*ONE, "--clock", "150"), "150 is 150 Hz; did you mean 150MHz?"),
        ((*ONE, "--ram", "1.5"), "1.5 are 1.5 bytes"),
        ((*ONE, "--power", "20"), ""),
        ((*ONE, "--link", "400MB"), "did you mean 400MB/s?"),
        ((*ONE[2:], "--name", " "), "--name is empty"),
    ],
)
def test_wrong_options_are_answered_with_what_is_wanted(arguments: tuple[str, ...], words: str) -> None:
    if words:
        assert words in refused(*arguments)
    else:
        assert run(*arguments).exit_code == 0


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    place = tmp_path / "board.yaml"
    place.write_text("mine", encoding="utf-8")
    assert "exists; --force replaces it" in refused(*ONE, "-o", str(place))
    assert place.read_text(encoding="utf-8") == "mine"
    assert run(*ONE, "-o", str(place), "--force").exit_code == 0
    assert hardware.read(str(place)).name == "board"


# --- questions


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(hw_new, "_terminal", lambda stream: True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answering(monkeypatch: pytest.MonkeyPatch, *answers: str | type[BaseException]) -> None:
    left: Iterator[str | type[BaseException]] = iter(answers)

    def answer() -> str:
        given = next(left)
        if isinstance(given, str):
            return given
        raise given

    monkeypatch.setattr(builtins, "input", answer)


def test_questions_are_few_and_asked_again(monkeypatch: pytest.MonkeyPatch, terminal: Path) -> None:
    (terminal / "my-board.yaml").write_text("mine", encoding="utf-8")
    answering(
        monkeypatch, "", "m6", "m33", "160", "160MHz", "256KiB", "1MiB", "", "maybe", "y", "m55", "400MHz", "", "",
        "", "", "", "other.yaml",
    )  # fmt: skip
    result = run()
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    for words in (
        "there is no core 'm6'",
        "did you mean 160MHz?",
        "'maybe' is not a valid boolean",
        "exists; --force",
    ):
        assert words in result.stderr
    assert result.stderr.count("?") - result.stderr.count("did you mean") == 18
    target = hardware.read("other.yaml")
    assert (target.name, [p.name for p in target.processors]) == ("my-board", ["m33", "m55"])
    assert len({p.ram for p in target.processors}) == 1
    assert (terminal / "my-board.yaml").read_text(encoding="utf-8") == "mine"


def test_what_options_say_is_not_asked(monkeypatch: pytest.MonkeyPatch, terminal: Path) -> None:
    answering(monkeypatch, "1MiB", "")
    assert run(*ONE[:8], "-o", "board.yaml").exit_code == 0
    assert hardware.read("board.yaml").memory("flash").bytes == 1 << 20


def test_with_all_options_nothing_is_asked(monkeypatch: pytest.MonkeyPatch, terminal: Path) -> None:
    answering(monkeypatch)
    assert run(*ONE).stdout.startswith("schema_version: 1\n")


@pytest.mark.parametrize(
    ("end", "code", "words"), [(KeyboardInterrupt, 130, "interrupted: nothing was written"),
                               (EOFError, 2, "the answers ended before the questions; nothing was written")],
)  # fmt: skip
def test_nothing_is_written_before_the_last_answer(
    monkeypatch: pytest.MonkeyPatch, terminal: Path, capsys: pytest.CaptureFixture[str], end: type[BaseException],
    code: int, words: str,
) -> None:  # fmt: skip
    answering(monkeypatch, "", "m33", end)
    assert run_eeaug(["hw", "new", "-o", "board.yaml"]) == code
    assert words in capsys.readouterr().err
    assert list(terminal.iterdir()) == []


@needs_terminal
@pytest.mark.parametrize(("last", "code"), [(b"board.yaml\n", 0), (b"\x03", 130)])
def test_a_terminal_asks_and_ctrl_c_writes_nothing(tmp_path: Path, last: bytes, code: int) -> None:
    """The command itself, with a pseudo-terminal for its three streams."""
    master, slave = os.openpty()
    line = [sys.executable, "-c", "from eeaug.cli.main import main; main()", "hw", "new"]

    def own_terminal() -> None:
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)  # Ctrl-C goes to those of this terminal
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a background shell ignores it

    with subprocess.Popen(
        line, cwd=tmp_path, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, preexec_fn=own_terminal
    ) as process:
        os.close(slave)
        got = b""
        for answer in (b"\n", b"m4\n", b"120MHz\n", b"128KiB\n", b"1MiB\n", b"20mW\n", b"n\n", last):
            asked = got.count(b"?")
            # the next question; one that came in two pieces has been answered already
            while got.count(b"?") == asked and select.select([master], [], [], 20)[0]:
                got += os.read(master, 4096)
            os.write(master, answer)
        with suppress(OSError):  # how Linux tells that the other end is closed
            while True:
                # an interrupt that comes just before Python waits for input is seen with the next one only
                while code and not select.select([master], [], [], 5)[0]:
                    os.write(master, last)
                if not (block := os.read(master, 4096)):
                    break
                got += block
    os.close(master)
    assert process.returncode == code, got
    assert [path.name for path in tmp_path.iterdir()] == ([] if code else ["board.yaml"])
    assert (b"my-board: ok" if not code else b"interrupted: nothing was written") in got
