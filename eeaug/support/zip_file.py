"""Zip files that somebody else may have made: how much is in one is known before memory is taken for it."""

from __future__ import annotations

import hashlib
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from eeaug.support import regular
from eeaug.support.printable import quoted
from eeaug.support.regular import Unreadable

__all__ = ["DAMAGE", "END", "check_list", "opened", "packed"]

MOST_MEMBERS = 10_000
LISTED_BYTES = 104  # of the list of members, for each that there may be; names of weights take 60 to 80
# what reading a damaged one raises, or one with a password or a compression that Python does not know
DAMAGE = (
    zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, struct.error, UnicodeDecodeError,
)  # fmt: skip
AT_ONCE = 1 << 20  # bytes read in one go
LENGTHS_AT = 26  # in a member's header: of its name and of what follows the name, before the content
END, END_64 = b"PK\x05\x06", b"PK\x06\x06"  # of the list of members, how long it is said to be
END_BYTES, END_64_BYTES, LOCATOR_BYTES = 22, 56, 20
LONGEST_COMMENT = 0xFFFF
IN_END_64 = 0xFFFFFFFF


@contextmanager
def opened(
    path: Path, most: int, *, members: int = MOST_MEMBERS, links: bool = True, backslashes: bool = False,
    advice: str = "",
) -> Iterator[zipfile.ZipFile]:  # fmt: skip
    """The archive: every member has its own plain name, and all of them unpack to at most ``most`` bytes.

    Parameters
    ----------
    members : how many there may be
    links : whether ``path`` may be one
    backslashes : whether names may have some, for slashes, as programs of Windows wrote them
    advice : what follows in the message about what unpacks to more

    Raises
    ------
    Unreadable : it is no regular file, or anything of that does not hold
    OSError, or one of DAMAGE
    """
    with regular.opened(path, None, links=links) as file:
        check_list(file, members)
        with zipfile.ZipFile(file) as archive:
            listed = archive.infolist()
            if len(listed) > members:
                raise Unreadable(f"{len(listed):,} members, more than {members:,}")
            names: set[str] = set()
            for member in listed:
                name = member.filename
                if name in names:
                    raise Unreadable(f"two members are called {quoted(name)}")
                plain = name.replace("\\", "/") if backslashes else name
                if plain.startswith("/") or "\\" in plain or ":" in plain or ".." in plain.split("/"):
                    raise Unreadable(f"the member {quoted(name)} is a path out of the file")
                names.add(name)
            total = sum(member.file_size for member in listed)
            if total > most:
                raise Unreadable(f"unpacks to {total:,} bytes, more than the {most:,} that are read{advice}")
            yield archive


def packed(path: Path, member: zipfile.ZipInfo) -> str:
    """Hash of what a member takes in the archive, as it is packed: equal ones unpack to equal bytes."""
    digest = hashlib.sha256(f"{member.compress_type} {member.file_size} {member.CRC}\n".encode())
    with regular.opened(path, None) as file:
        file.seek(member.header_offset + LENGTHS_AT)
        file.seek(sum(struct.unpack("<HH", file.read(4))), os.SEEK_CUR)
        left = member.compress_size
        while left and (piece := file.read(min(left, AT_ONCE))):
            digest.update(piece)
            left -= len(piece)
    return digest.hexdigest()


def check_list(file: IO[bytes], members: int = MOST_MEMBERS) -> None:
    """Raise Unreadable for a list of more members: Python reads it whole, however long it is said to be."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - LONGEST_COMMENT - END_BYTES - LOCATOR_BYTES - END_64_BYTES))
    tail = file.read()
    file.seek(0)
    last = tail[-END_BYTES:]  # without a comment; what is in it may look like another one
    at = len(tail) - END_BYTES if last[:4] == END and last[-2:] == b"\0\0" else tail.rfind(END)
    if not 0 <= at <= len(tail) - END_BYTES:
        return  # no zip file: zipfile itself says so when it opens it
    length = struct.unpack_from("<L", tail, at + 12)[0]
    if length == IN_END_64:
        large = at - LOCATOR_BYTES - END_64_BYTES
        if large < 0 or tail[large : large + 4] != END_64:
            raise Unreadable("its list of members has no length")
        length = struct.unpack_from("<Q", tail, large + 40)[0]
    if length > members * LISTED_BYTES:
        raise Unreadable(f"its list of members has {length:,} bytes, more than {members:,} members take")
