"""Functions of native code that may end their process, in a process of their own.

TensorFlow's converter dies by a signal on some graphs (an LSTM quantised to int8), TFLM on some arenas: that must
not end a run of hours. A server imports what such functions need, once for this process (TensorFlow: two seconds),
and forks for every call (TensorFlow: 20 ms), so that what a call takes of memory is free again behind it.
"""

from __future__ import annotations

import atexit
import importlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Lock
from typing import IO, Any

from eeaug.errors import ConversionError, EeaugError
from eeaug.support.processes import import_path

__all__ = ["Ended", "call", "start"]

FORKS = sys.platform == "linux"  # elsewhere the server itself runs a call and ends; the next starts a new one
CLOSING_S = 5.0  # for the server to end when it is asked to


class Ended(ConversionError):
    """The process of a call ended before the function did."""


def start(needs: Sequence[str] = ()) -> None:
    """Let the server of these modules begin to import them, without waiting for it."""
    _server(needs).ask(None)


def call(function: Callable[..., Any], *arguments: Any, doing: str, needs: Sequence[str] = ()) -> Any:
    """What a function of a module gives; it, its arguments and its result are pickled.

    ``doing`` begins the message if its process ends; ``needs``: modules that a server imports for it and
    others with the same needs, once.

    Raises
    ------
    Ended : it died by a signal, was killed for its memory, or left by itself
    EeaugError : those that the function raised
    RuntimeError : what else it raised, with its text
    """
    return _server(needs).ask((function, arguments), doing)


class _Server:
    """The process that forks; started when it is first asked."""

    def __init__(self, needs: tuple[str, ...]) -> None:
        self._needs = needs
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._heard: IO[bytes] | None = None
        self._pid = 0

    def ask(self, work: Any, doing: str = "") -> Any:
        with self._lock:
            process = self._running()
            if work is None:
                return None
            assert process.stdin and process.stdout
            try:
                # unpickled in the child, so that the server does not import what the function needs
                pickle.dump(pickle.dumps(work), process.stdin)
                process.stdin.flush()
                status, content = pickle.load(process.stdout)
            except (EOFError, BrokenPipeError, pickle.UnpicklingError):
                status, content, last_line = process.wait(), b"", self._last_words()
                self._forget()
            except BaseException:  # an interrupt: nobody waits for the result any more
                self.close()
                raise
            else:
                last_line = self._last_words()
        if status or not content:
            raise Ended(f"{doing}: {_how(status)}{f' ({last_line})' if last_line else ''}")
        kind, result = pickle.loads(content)
        if kind == "made":
            return result
        if isinstance(result, EeaugError):
            raise result
        raise RuntimeError(result)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._pid != os.getpid():  # the first call, or that of a child of the process that made it
            self._process, self._heard, self._pid = None, None, os.getpid()
        if self._process is None or self._process.poll() is not None:
            self._forget()
            self._heard = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", f"from {__name__} import serve; serve()", *self._needs],
                env={**os.environ, "PYTHONPATH": import_path()},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._heard,
                start_new_session=True,  # Ctrl-C is for this process, which then ends that one
            )  # fmt: skip
        return self._process

    def _last_words(self) -> str:
        """The last line that native code wrote, which often tells why it ended; the next call's begin anew."""
        if self._heard is None:
            return ""
        self._heard.seek(0)
        lines = [line.strip() for line in self._heard.read().decode(errors="replace").splitlines()]
        self._heard.seek(0)
        self._heard.truncate()
        told = [line for line in lines if line and not line.startswith(("@", "***", "#", "I0000", "WARNING"))]
        return " ".join(told[-1].split())[:120] if told else ""

    def _forget(self) -> None:
        if self._process is not None:
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    with suppress(OSError):
                        stream.close()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(CLOSING_S)
        if self._heard is not None:
            self._heard.close()
        self._process = self._heard = None

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None and self._pid == os.getpid():
            with suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)  # and what it has forked
        self._forget()


_SERVERS: dict[tuple[str, ...], _Server] = {}


def _server(needs: Sequence[str]) -> _Server:
    return _SERVERS.setdefault(tuple(needs), _Server(tuple(needs)))


@atexit.register
def _close() -> None:
    for server in _SERVERS.values():
        server.close()


def _how(status: int) -> str:
    if status >= 0:
        return f"its process ended by itself with {status}"
    name = signal.Signals(-status).name
    return f"its process ended by signal {-status} ({name})" + (", out of memory?" if name == "SIGKILL" else "")


def serve() -> None:
    """The server of the modules in its arguments: work on stdin, exit status and result on stdout, pickled."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with os.fdopen(os.dup(1), "wb") as wire:
        os.dup2(2, 1)
        for name in sys.argv[1:]:
            importlib.import_module(name)
        while True:
            try:
                work = pickle.load(sys.stdin.buffer)
            except EOFError:
                return
            pickle.dump(_forked(work) if FORKS else (0, _done(work)), wire)
            wire.flush()


def _forked(work: bytes) -> tuple[int, bytes]:
    """How the child ended (negative: the signal), and what it made."""
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        os.close(reads)
        try:
            with os.fdopen(writes, "wb") as result:
                result.write(_done(work))
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writes)
    with os.fdopen(reads, "rb") as result:
        content = result.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), content


def _done(work: bytes) -> bytes:
    try:
        function, arguments = pickle.loads(work)
        return pickle.dumps(("made", function(*arguments)))
    except EeaugError as error:
        return pickle.dumps(("raised", error))
    except MemoryError:
        return pickle.dumps(("raised", "out of memory"))
    except Exception as error:
        return pickle.dumps(("raised", str(error) or type(error).__name__))
