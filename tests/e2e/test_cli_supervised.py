"""The end of the process of a run, whatever it is, in one line; and none that outlives the one before it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import environment

from eeaug.support.processes import FATAL, ended_by, for_want_of_memory

if not hasattr(os, "fork"):
    pytest.skip("no fork on this system", allow_module_level=True)

RUN = """
import os, signal, sys, time
from eeaug.cli import supervised
def work():
{}
def fail(message, code):
    sys.stderr.write(message + chr(10))
    return code
sys.exit(supervised.run(work, fail))
"""


def supervised(*lines: str, **variables: str) -> subprocess.Popen[str]:
    code = RUN.format("\n".join(f"    {line}" for line in lines))
    return subprocess.Popen(
        [sys.executable, "-c", code], env=environment(**variables), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background shell ignores it
    )  # fmt: skip


BAD_ALLOC = "terminate called after throwing an instance of 'std::bad_alloc'\\n  what():  std::bad_alloc\\n"


def test_codes_streams_and_what_native_code_says_come_through() -> None:
    done = supervised(
        "print('out', flush=True)", "print('err', file=sys.stderr)", "os.write(2, b'native')", "return 3"
    )
    out, err = done.communicate()
    assert (done.returncode, out) == (3, "out\n")
    assert "err\n" in err and "native" in err


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("os.abort()", "crashed (SIGABRT) inside a library; EEAUG_TRACEBACK=1 shows what it said"),
        (f'os.write(2, b"{BAD_ALLOC}"); os.abort()', "out of memory (SIGABRT)"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed (SIGKILL): most likely out of memory"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "crashed (SIGSEGV)"),
        ("import resource; os.kill(os.getpid(), signal.SIGBUS)", "crashed (SIGBUS)"),
    ],
)
def test_a_run_that_is_ended_is_one_line(line: str, words: str) -> None:
    done = supervised(line, "return 0")
    out, err = done.communicate()
    assert (done.returncode, out, err.count("\n")) == (1, "", 1), err
    assert err.startswith("error: ") and words in err


def test_all_that_was_said_is_told_on_request() -> None:
    _, err = supervised(f'os.write(2, b"{BAD_ALLOC}")', "os.abort()", EEAUG_TRACEBACK="1").communicate()
    assert "what():  std::bad_alloc" in err


def test_an_interrupt_is_for_the_run() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        with supervised(
            "signal.signal(signal.SIGINT, lambda *_: os._exit(130))",
            "signal.signal(signal.SIGTERM, lambda *_: os._exit(130))",
            "print('ready', flush=True)", "time.sleep(60)", "return 0",
        ) as done:  # fmt: skip
            assert done.stdout and done.stdout.readline() == "ready\n"
            done.send_signal(number)
            assert done.wait(30) == 130


def test_the_run_ends_with_the_one_that_waits_for_it() -> None:
    with supervised("print(os.getpid(), flush=True)", "time.sleep(600)", "return 0") as done:
        assert done.stdout
        child = int(done.stdout.readline())
        done.kill()
    for _ in range(500):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{child}/stat").exists() and Path(f"/proc/{child}/stat").read_text().split()[2] == "Z":
            return  # nobody has taken note of its end yet
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    raise AssertionError("it lives on")


@pytest.mark.parametrize(
    "said",
    [
        "std::bad_alloc", "OSError: [Errno 12] Cannot allocate memory", "RuntimeError: can't start new thread",
        "OOM when allocating tensor with shape", "Unable to allocate 3.0 GiB for an array", "MemoryError: ",
        "libtensorflow.so: failed to map segment from shared object: Cannot allocate memory",
    ],
)  # fmt: skip
def test_words_for_want_of_memory(said: str) -> None:
    assert for_want_of_memory(said) and "out of memory" in ended_by(int(signal.SIGABRT), said)


def test_what_native_code_says_when_it_gives_up() -> None:
    for line in (b"terminate called after", b"F0000 00:00:1.5 1 x.cc:1] Check", b"Fatal Python error: Aborted",
                 b"2026-11-29 16:00:00.123: F external/x.cc:1] Check failed"):  # fmt: skip
        assert FATAL.match(line)
    for line in (b"W0000 00:00", b"2026-11-29 16:00:00.123: W external/x.cc", b"epoch 1 of 3", b""):
        assert not FATAL.match(line)
