"""Files of the cache that say by themselves whether they are what was written.

A file ends with CRC-32 sums of its pieces and a footer that has a sum of its own::

    content | sum of the first ``start`` bytes, sums of pieces of ``piece`` bytes (uint32 each) | footer

so that a file of gigabytes can be written in any order, piece by piece, and is never read again for its sums; one
look at the whole file tells any change of a few bits, and any longer one but for one in four billion. The footer's
sum takes in where the file belongs: a sound file in the place of another one is found, too. Readers of ``.npy`` and
``.npz`` do not look at what follows the content. Small facts are JSON with a sum among them.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from eeaug.support import regular

__all__ = [
    "agrees", "append", "footer", "footer_bytes", "measured", "read_json", "seal", "sum_of", "write_json",
]  # fmt: skip

MAGIC = b"eeaugCRC"
FIELDS = struct.Struct("<QQQI")  # start, piece, content in bytes; number of sums
ENDING = struct.Struct("<I8s")  # sum of place, sums and fields; MAGIC
AT_ONCE = 1 << 22  # bytes read in one go
PIECE_BYTES = 1 << 26  # bytes for each sum, of a file written from beginning to end
FACTS_BYTES = 1 << 24  # the most that the facts of a file take
SUM = "crc32"


def footer(path: Path, start: int, piece: int, content: int, sums: Sequence[int]) -> bytes:
    """What follows ``content`` bytes in the file that will be at ``path``; ``sums`` as the module describes."""
    data = struct.pack(f"<{len(sums)}I", *sums) + FIELDS.pack(start, piece, content, len(sums))
    return data + ENDING.pack(zlib.crc32(data, _seed(path)), MAGIC)


def footer_bytes(start: int, piece: int, content: int) -> int:
    """How long that is."""
    return 4 * _count(start, piece, content) + FIELDS.size + ENDING.size


def append(file: Path, path: Path) -> None:
    """Add the footer to a finished ``file`` that will be at ``path``."""
    with file.open("r+b") as stream:
        content = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        sums = [sum_of(stream, size) for size in _pieces(0, PIECE_BYTES, content)]
        stream.write(footer(path, 0, PIECE_BYTES, content, sums))


def agrees(path: Path) -> bool:
    """Whether this is a file with a footer, all of it as it was written for this place; it is read once."""
    try:
        with regular.opened(path, None, buffering=0) as stream:
            size = stream.seek(0, os.SEEK_END)
            least = FIELDS.size + ENDING.size
            if size < least:
                return False
            stream.seek(size - least)
            start, piece, content, count = FIELDS.unpack(stream.read(FIELDS.size))
            expected, magic = ENDING.unpack(stream.read(ENDING.size))
            if magic != MAGIC or size != content + 4 * count + least or not piece:
                return False
            if start > content or count != _count(start, piece, content):
                return False
            stream.seek(content)
            data = stream.read(4 * count + FIELDS.size)
            if zlib.crc32(data, _seed(path)) != expected:
                return False
            stream.seek(0)
            sums = struct.unpack(f"<{count}I", data[: 4 * count])
            return all(
                sum_of(stream, of) == one for of, one in zip(_pieces(start, piece, content), sums, strict=True)
            )
    except (OSError, EOFError, ValueError):
        return False


def seal(path: Path) -> bytes | None:
    """The end of a file's footer, which has a sum of all other sums; None if there is no file with one."""
    try:
        with regular.opened(path, None, buffering=0) as stream:
            stream.seek(-(FIELDS.size + ENDING.size), os.SEEK_END)
            ending: bytes = stream.read(FIELDS.size + ENDING.size)
            return ending if ending.endswith(MAGIC) else None
    except (OSError, ValueError):
        return None


def measured(path: Path) -> tuple[int, int] | None:
    """Bytes and CRC-32 of a regular file; None if it is none, or cannot be read."""
    try:
        with regular.opened(path, None, buffering=0) as stream:
            size = os.fstat(stream.fileno()).st_size
            return size, sum_of(stream, size)
    except (OSError, EOFError, ValueError):
        return None


def write_json(file: Path, path: Path, facts: Mapping[str, Any]) -> None:
    """Write facts, and a sum of them, to a ``file`` that will be at ``path``."""
    file.write_text(json.dumps({**facts, SUM: _sum_of_facts(path, facts)}), encoding="utf-8")


def read_json(path: Path) -> dict[str, Any] | None:
    """The facts as they were written for this place; None where they are missing or were changed."""
    try:
        facts = json.loads(regular.content(path, FACTS_BYTES))
        return facts if facts.pop(SUM) == _sum_of_facts(path, facts) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _sum_of_facts(path: Path, facts: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(facts, sort_keys=True).encode(), _seed(path))


def _seed(path: Path) -> int:
    """Where sums begin: it depends on the place within the cache, not on where the cache is."""
    return zlib.crc32("/".join(path.parts[-3:]).encode("utf-8", "surrogateescape"))


def _count(start: int, piece: int, content: int) -> int:
    return 1 + -(-(content - start) // piece)


def _pieces(start: int, piece: int, content: int) -> list[int]:
    """Their bytes."""
    return [start, *(min(piece, content - at) for at in range(start, content, piece))]


def sum_of(stream: IO[bytes], size: int) -> int:
    """CRC-32 of the next ``size`` bytes; an EOFError if there are fewer."""
    value = 0
    buffer = memoryview(bytearray(min(AT_ONCE, size)))
    while size:
        read = stream.readinto(buffer[: min(len(buffer), size)])  # type: ignore[attr-defined]
        if not read:
            raise EOFError
        value = zlib.crc32(buffer[:read], value)
        size -= read
    return value
