"""Files of the user: regular ones, whose size is known before memory is taken; none that never ends.

A folder of data or a path of a file may name a pipe that nobody writes to, a device or a socket: opening one of
them may wait for ever, or change something. So what it is is asked first.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from eeaug.errors import InputError
from eeaug.support import regular as files
from eeaug.support.regular import Unreadable

__all__ = ["TEXT_BYTES", "check_directory", "check_name", "measured", "naming", "read", "regular", "why"]

TEXT_BYTES = 1 << 20  # the most of a file that people write: hardware description, options, data sidecar
PIPE_S = 10.0  # to wait for what is written to a pipe (--hw <(...))


def why(error: OSError) -> str:
    """What an OSError says, on one line without the number and the name."""
    return error.strerror or " ".join(str(error).split()) or type(error).__name__


def check_name(path: str | os.PathLike[str]) -> None:
    """Raise InputError for a path that no file can have, or that may not be looked at; nothing need be there."""
    try:
        Path(path).stat()
    except ValueError as error:  # a NUL byte
        raise InputError(f"{path}: no path: {error}") from None
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            raise InputError(f"{path}: {why(error)}") from None


def regular(path: Path, most: int | None = None) -> os.stat_result:
    """The facts of a regular file of at most so many bytes (None: of any size), links followed.

    Raises
    ------
    InputError : it is something else, larger, or cannot be looked at
    """
    try:
        return files.facts(path, most)
    except Unreadable as error:
        raise InputError(f"{path}: {error}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {_why(path, error)}") from None


def check_directory(path: Path) -> None:
    """Raise OSError where no such directory is and none can be made; what is made to find out is removed again."""
    place = path.absolute()
    missing = [each for each in (place, *place.parents) if not (each.exists() or each.is_symlink())]
    try:
        place.mkdir(parents=True, exist_ok=True)
    finally:
        for each in missing:
            with suppress(OSError):  # not made, or another run has begun to use it
                each.rmdir()


def measured(path: Path) -> tuple[int, float]:
    """Bytes, and the time of the last change in it."""
    facts = path.lstat()
    if not stat.S_ISDIR(facts.st_mode):
        return facts.st_size, facts.st_mtime
    total, used_s = 0, facts.st_mtime
    with suppress(OSError):  # another run may be tidying up, or it is somebody else's
        for entry in path.iterdir():
            with suppress(FileNotFoundError):
                size, changed_s = measured(entry)
                total, used_s = total + size, max(used_s, changed_s)
    return total, used_s


def read(path: Path, most: int = TEXT_BYTES) -> bytes:
    """What a file holds, or a pipe that something writes to (``<(...)``): at most so many bytes.

    Raises
    ------
    InputError : it cannot be read, is larger, or is neither
    """
    try:
        if stat.S_ISFIFO(path.stat().st_mode):
            return _from_pipe(path, most)
        return files.content(path, most, links=True)
    except Unreadable as error:
        raise InputError(f"{path}: {error}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {_why(path, error)}") from None


def _from_pipe(path: Path, most: int) -> bytes:
    """What comes through a pipe; opened so that one that nobody writes to is refused, not waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    content, until = b"", time.monotonic() + PIPE_S
    try:
        while len(content) <= most:
            try:
                piece = os.read(descriptor, 1 << 16)
            except BlockingIOError:
                if not select.select([descriptor], [], [], max(0.0, until - time.monotonic()))[0]:
                    raise InputError(f"{path}: nothing came through this pipe for {PIPE_S:g} s") from None
                continue
            if not piece and not content:
                raise InputError(f"{path}: is a pipe that nobody writes to")
            if not piece:
                break
            content += piece
    finally:
        os.close(descriptor)
    if len(content) > most:
        raise files.too_large("more", most)
    return content


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """An OSError within that names no file (a full disk does not) names this one."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = os.fspath(path)
        raise


def _why(path: Path, error: OSError | ValueError) -> str:
    if isinstance(error, ValueError):
        return "a path holds no NUL byte"
    if error.errno == errno.ENOENT and path.is_symlink():
        return "the link leads nowhere"
    return why(error)
