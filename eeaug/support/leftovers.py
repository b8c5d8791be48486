"""What killed runs leave beside results and in the temporary directory: told from what is at work, and removed.

A name holds the number of the process that made it, and the process holds a lock on it while it lives: numbers are
used again, and in containers they are nearly always the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # no file locks on this system: process numbers alone decide
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "abandoned",
    "hidden",
    "hold",
    "is_held",
    "is_left",
    "machine",
    "own_temporary",
    "remove",
    "scratch",
    "sweep",
]

YOUNG_S = 60.0  # a younger one may not be locked yet, if its process lives
NAME_BYTES = 255  # of a file name, on usual file systems
TAIL_BYTES = 32  # of those, for the dot in front, the kind and the process number


def hidden(place: Path, kind: str) -> Path:
    """A hidden sibling of ``place``, by this process; a long name is cut to what a file system takes."""
    return place.with_name(f"{_stem(place)}.{kind}-{os.getpid()}")


def abandoned(place: Path, kind: str) -> list[Path]:
    """Siblings as :func:`hidden` names them, of processes that are no more; the youngest first."""
    leftovers = []
    with contextlib.suppress(OSError):
        for entry in place.parent.iterdir():
            match = re.fullmatch(rf"{re.escape(_stem(place))}\.{kind}-(\d+)", entry.name)
            if match and _is_dead(entry, int(match[1])):
                leftovers.append(entry)
    return sorted(leftovers, key=lambda path: path.lstat().st_ctime_ns, reverse=True)


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Within, a lock tells other processes that this directory or file is in use; it may be renamed."""
    if fcntl is None:
        yield
        return
    opened = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # no locks on this file system
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield
    finally:
        os.close(opened)


def is_held(path: Path) -> bool:
    """Whether a process is at work on it; True also where nobody can tell."""
    if fcntl is None:
        return True
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return True
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # another process holds it, or this file system has no locks
        return True
    finally:
        os.close(opened)
    return False


def machine() -> str:
    """Eight characters for this machine in the names of what it works on: locks need not reach another one."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def is_left(path: Path) -> bool:
    """Whether a process of this :func:`machine` was at work on it, and is no more."""
    try:
        return machine() in path.name and time.time() - path.lstat().st_ctime > YOUNG_S and not is_held(path)
    except OSError:  # gone meanwhile
        return False


def remove(path: Path) -> None:
    """Delete it, whatever it is, as far as that is allowed; no link is followed."""
    with contextlib.suppress(OSError):
        if stat.S_ISDIR(path.lstat().st_mode):
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory of its own for files that are needed for a moment; takes away what killed runs left there.

    It stands where $TMPDIR says and bears the number of this process: ``eeaug-<number>-<random>``.
    """
    sweep(Path(tempfile.gettempdir()))
    prefix = f"eeaug-{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as folder, hold(Path(folder)):
        yield Path(folder)


@contextmanager
def own_temporary() -> Iterator[None]:
    """Within, all temporary files of this process, its libraries and those it starts are in one :func:`scratch`.

    TensorFlow and ONNX Runtime leave files behind when they are killed, or always. Only for a process that is ours
    alone: whatever is in there is gone at the end.
    """
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(scratch())
        except OSError:  # no place to write: whoever needs one reports it
            yield
            return
        before, variable = tempfile.tempdir, os.environ.get("TMPDIR")
        tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
        try:
            yield
        finally:
            tempfile.tempdir = before
            del os.environ["TMPDIR"]
            if variable is not None:
                os.environ["TMPDIR"] = variable


def sweep(place: Path) -> None:
    """Remove the directories of :func:`scratch` below ``place`` whose processes are no more."""
    with contextlib.suppress(OSError):
        for entry in place.iterdir():
            match = re.fullmatch(r"eeaug-(\d+)-[a-z0-9_]{8}", entry.name)
            if match and _is_dead(entry, int(match[1])) and stat.S_ISDIR(entry.lstat().st_mode):
                remove(entry)


def _stem(place: Path) -> str:
    return "." + os.fsdecode(os.fsencode(place.name)[: NAME_BYTES - TAIL_BYTES])


def _is_dead(path: Path, process: int) -> bool:
    """Whether what bears the number of this process is ours and nobody is at work on it."""
    try:
        facts = path.lstat()
        if hasattr(os, "geteuid") and facts.st_uid != os.geteuid():
            return False
        if not (stat.S_ISDIR(facts.st_mode) or stat.S_ISREG(facts.st_mode)):
            return False
        if fcntl is None:
            return not _lives(process)
        not_locked_yet = _lives(process) and time.time() - facts.st_ctime < YOUNG_S
        return not (not_locked_yet or is_held(path))
    except OSError:  # gone meanwhile, or not readable
        return False


def _lives(process: int) -> bool:
    if os.name != "posix":  # on Windows, os.kill with signal 0 ends the process
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # the process of another user
        return True
    return True
