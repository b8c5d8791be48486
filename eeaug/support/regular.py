"""Files of a folder that somebody else may have made: nothing but regular ones below it, and no more than fits.

A name that leads out of the folder, a link, a device or a fifo is refused before anything is read of it.
"""

from __future__ import annotations

import hashlib
import os
import stat
from io import BufferedReader
from pathlib import Path

from eeaug.errors import ConversionError

__all__ = ["MOST_BYTES", "below", "digest", "opened", "shown"]

MOST_BYTES = 4 << 30  # of one file: no format of a stage can be larger than 2 GiB, the network in one piece may be
LONGEST = 60  # characters of a name in a message


def shown(text: str, longest: int = LONGEST) -> str:
    """A name or a value from a file as it may stand in a message of one line."""
    plain = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[: longest + 1])
    return plain if len(plain) <= longest else f"{plain[: longest - 3]}..."


def below(directory: Path, name: str) -> Path:
    """The path of a file, given by its name relative to ``directory``, with forward slashes.

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
            kind = os.lstat(path).st_mode
            if stat.S_ISLNK(kind):
                raise ConversionError(
                    f"{directory}: {shown(name)} leads through a link, {shown(str(path.relative_to(directory)))}: "
                    "files of a bundle are regular ones"
                )
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ConversionError(f"{directory}: {shown(name)} is missing") from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no name of a file"
        raise ConversionError(f"{directory}: {shown(name)}: {why}") from error
    if not stat.S_ISREG(kind):
        raise ConversionError(f"{directory}: {shown(name)} is no regular file")
    return path


def opened(path: Path, most: int = MOST_BYTES) -> BufferedReader:
    """A regular file of at most so many bytes, for reading; whatever else is there is not waited for.

    Raises
    ------
    ConversionError : it is no regular file, or larger
    OSError : it cannot be opened
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    file = os.fdopen(os.open(path, flags), "rb")
    found = os.fstat(file.fileno())
    if not stat.S_ISREG(found.st_mode) or found.st_size > most:
        file.close()
        what = f"has {found.st_size:,} bytes, more than the {most:,} that are read of it"
        raise ConversionError(f"{path} {what if stat.S_ISREG(found.st_mode) else 'is no regular file'}")
    return file


def digest(path: Path, most: int = MOST_BYTES) -> str:
    """SHA-256 of a regular file, read in pieces; raises as :func:`opened`."""
    with opened(path, most) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
