"""Regular files that somebody else may have made: no more is read than fits, what is none is never waited for.

The one place that opens such files. Who reads them says whose they are: a file of the user (InputError, see
``places``), one of a bundle (ConversionError), one of the cache (dropped).
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import IO

from eeaug.errors import ConversionError
from eeaug.support.printable import shown

__all__ = ["MOST_BYTES", "Unreadable", "below", "content", "digest", "facts", "opened", "too_large"]

MOST_BYTES = 4 << 30  # of one file: no format of a stage can be larger than 2 GiB, the network in one piece may be
_KINDS = {
    stat.S_IFDIR: "a directory", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device", stat.S_IFLNK: "a link",
}  # fmt: skip
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


class Unreadable(ValueError):
    """Why a file, or a part of it, is not read: a phrase that follows its name."""


def facts(path: Path, most: int | None = None, *, links: bool = True) -> os.stat_result:
    """What the system says of a regular file of at most so many bytes; ``links``: whether one is followed.

    Raises
    ------
    Unreadable : it is something else, or larger
    OSError, ValueError : it cannot be looked at
    """
    return _checked(path.stat() if links else path.lstat(), most)


def opened(path: Path, most: int | None = MOST_BYTES, *, links: bool = False, buffering: int = -1) -> IO[bytes]:
    """A regular file of at most so many bytes (None: of any size), to read.

    Raises
    ------
    Unreadable : it is something else, or larger
    OSError, ValueError : it cannot be opened
    """
    facts(path, most, links=links)  # opening a device may already do something
    file = os.fdopen(os.open(path, _FLAGS | (0 if links else getattr(os, "O_NOFOLLOW", 0))), "rb", buffering)
    try:
        _checked(os.fstat(file.fileno()), most)
    except BaseException:
        file.close()
        raise
    return file


def content(path: Path, most: int, *, links: bool = False) -> bytes:
    """What a regular file holds; raises as :func:`opened`."""
    with opened(path, most, links=links) as file:
        data = file.read(most + 1)
    if len(data) > most:  # it is growing, or its size is not known (/proc)
        raise too_large("more", most)
    return data


def digest(path: Path) -> str:
    """SHA-256 of a regular file of at most MOST_BYTES, read in pieces; raises as :func:`opened`."""
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def below(directory: Path, name: str) -> Path:
    """The path of a regular file of a bundle, given relative to its ``directory``, with forward slashes.

    Raises
    ------
    ConversionError : the name is no such one, or it leads through a link, or to what is no regular file
    """
    pieces = name.split("/")
    if not name or "\\" in name or "\0" in name or any(piece in ("", ".", "..") for piece in pieces):
        raise ConversionError(f"{directory}: {shown(name)!r} is no path of a file below it")
    path = directory
    try:
        for piece in pieces:
            path = path / piece
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                raise ConversionError(
                    f"{directory}: {shown(name)} leads through a link, {shown(str(path.relative_to(directory)))}: "
                    "files of a bundle are regular ones"
                )
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ConversionError(f"{directory}: {shown(name)} is missing") from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no name of a file"
        raise ConversionError(f"{directory}: {shown(name)}: {why}") from error
    if not stat.S_ISREG(mode):
        raise ConversionError(f"{directory}: {shown(name)} is no regular file")
    return path


def too_large(size: str, most: int) -> Unreadable:
    return Unreadable(f"is too large: {size}, at most {most:,} bytes are read")


def _checked(of: os.stat_result, most: int | None) -> os.stat_result:
    if not stat.S_ISREG(of.st_mode):
        raise Unreadable(f"is {_KINDS.get(stat.S_IFMT(of.st_mode), 'something else')}, not a file")
    if most is not None and of.st_size > most:
        raise too_large(f"{of.st_size:,} bytes", most)
    return of
