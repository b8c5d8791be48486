"""The command in a process of its own, and one that waits for it: whatever ends it is said in a line.

A ``std::bad_alloc`` on a thread of TensorFlow, a crash in native code or the system's own killer end a process
without Python's leave. So a small one stands before it: it hands on signals and what native code writes to stderr,
and says what happened. It is a copy made before anything large is imported, which takes two milliseconds.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any

from eeaug.support.processes import FATAL, die_with, ended_by

__all__ = ["run"]

LOOK_S = 0.2  # between looks whether the child has ended, as its own children may keep stderr open
FORWARDED = (signal.SIGINT, signal.SIGTERM)
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGQUIT)
KEPT_BYTES = 1 << 16  # of what native code says when it gives up


def run(work: Callable[[], int], fail: Callable[[str, int], int]) -> int:
    """The exit code of ``work``, done in another process; ``fail`` says why that ended without one, in a line."""
    parent, child = os.getpid(), 0
    early: list[int] = []

    def hand_on(number: int, frame: Any) -> None:
        if not child:
            early.append(number)
            return
        with suppress(ProcessLookupError):
            os.kill(child, number)

    before = {}
    for number in FORWARDED:
        if signal.getsignal(number) is not signal.SIG_IGN:  # a background job of a script ignores Ctrl-C
            before[number] = signal.signal(number, hand_on)
    ours, theirs = os.pipe()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    try:
        child = os.fork()
    except OSError:  # no further process, or no memory for one: the work is done in this one
        os.close(ours)
        os.close(theirs)
        for number, handler in before.items():
            signal.signal(number, handler)
        return work()
    if not child:
        die_with(parent)
        os.close(ours)
        _redirect(theirs)
        for number, handler in before.items():
            signal.signal(number, handler)
        return work()
    os.close(theirs)
    for missed in early:
        hand_on(missed, None)
    status, last_output = _wait(child, ours)
    for number in before:  # another Ctrl-C while Python shuts down would change the exit code
        signal.signal(number, signal.SIG_IGN)
    if os.WIFEXITED(status):
        return os.WEXITSTATUS(status)
    ended = os.WTERMSIG(status)
    if ended in PASSED_ON:
        signal.signal(ended, signal.SIG_DFL)
        os.kill(parent, ended)
    return fail(f"error: {ended_by(ended, last_output.decode(errors='replace'))}", 1)


def _redirect(pipe: int) -> None:
    """Python goes on writing to stderr; what native code writes to it goes through the pipe."""
    if sys.stderr is None:
        return
    with suppress(OSError, ValueError, AttributeError):
        copied = os.dup(sys.stderr.fileno())
        encoding = sys.stderr.encoding
        stream = os.fdopen(copied, "w", encoding=encoding, errors="replace", buffering=1)
        os.dup2(pipe, 2)
        sys.stderr = sys.__stderr__ = stream  # type: ignore[misc]
    os.close(pipe)


def _wait(child: int, pipe: int) -> tuple[int, bytes]:
    """Status of the ended child, and what native code said when it gave up; anything else is handed on."""
    status: int | None = None
    held: bytes | None = None  # None: nothing fatal so far
    line = b""
    while True:
        ready = bool(select.select([pipe], [], [], LOOK_S)[0])
        if not ready and status is None:
            done, wait_status = os.waitpid(child, os.WNOHANG)
            status = wait_status if done else None
        piece = os.read(pipe, 1 << 16) if ready else b""
        for part in piece.splitlines(keepends=True):
            line += part
            if held is None and FATAL.match(line):
                held = b""
            if held is not None:
                held, line = (held + line)[:KEPT_BYTES], b""
            elif line.endswith((b"\n", b"\r")):
                _hand_on(line)
                line = b""
        if not ready:
            _hand_on(line)
            line = b""
        if (ready and not piece) or (not ready and status is not None):
            break
    os.close(pipe)
    if status is None:
        status = os.waitpid(child, 0)[1]
    _hand_on(line)
    if held and (os.WIFEXITED(status) or os.environ.get("EEAUG_TRACEBACK")):
        _hand_on(held)
    return status, held or b""


def _hand_on(output: bytes) -> None:
    stream: IO[str] | None = sys.stderr
    if output and stream is not None:
        with suppress(OSError, ValueError):
            os.write(stream.fileno(), output)
