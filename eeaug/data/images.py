"""How large a picture is, from its first bytes: before a decoder takes memory for it."""

from __future__ import annotations

import struct

from eeaug.errors import InputError

__all__ = ["MOST_PIXELS", "check"]

MOST_PIXELS = 1 << 26  # 8,192 × 8,192, of all frames of an animation together
_PNG, _BMP, _GIF, _JPEG = b"\x89PNG\r\n\x1a\n", b"BM", (b"GIF87a", b"GIF89a"), b"\xff\xd8"


def check(where: str, content: bytes) -> None:
    """Raise InputError where the header says that decoding would take more than MOST_PIXELS.

    What is no PNG, BMP, GIF or JPEG, or is damaged, is for the decoder to say.
    """
    try:
        width, height, frames = _size(content)
    except (struct.error, IndexError, ValueError):
        return
    if width * height * frames > MOST_PIXELS:
        times = f", {frames:,} times" if frames > 1 else ""
        raise InputError(
            f"{where}: is {width:,} × {height:,} pixels{times}; at most {MOST_PIXELS:,} are read: make it smaller"
        )


def _size(content: bytes) -> tuple[int, int, int]:
    """Width, height, frames."""
    if content.startswith(_PNG):
        return (*struct.unpack_from(">II", content, 16), 1)
    if content.startswith(_BMP):
        width, height = struct.unpack_from("<ii", content, 18)
        return abs(width), abs(height), 1
    if content.startswith(_GIF):
        return _gif(content)
    if content.startswith(_JPEG):
        return _jpeg(content)
    raise ValueError("another format")


def _jpeg(content: bytes) -> tuple[int, int, int]:
    """From the frame header, behind segments that each say how long they are."""
    at = 2
    while True:
        while content[at] == 0xFF and content[at + 1] == 0xFF:
            at += 1
        marker = content[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", content, at + 5)
            return width, height, 1
        if marker == 0x01 or 0xD0 <= marker <= 0xD9:
            at += 2
        else:
            at += 2 + max(2, struct.unpack_from(">H", content, at + 2)[0])


def _gif(content: bytes) -> tuple[int, int, int]:
    """The largest of the screen and the frames, and how many frames there are."""
    width, height, flags = struct.unpack_from("<HHB", content, 6)
    at = 13 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
    frames = 0
    while at < len(content):
        kind = content[at]
        if kind == 0x2C:
            frames += 1
            own_width, own_height, flags = struct.unpack_from("<HHB", content, at + 5)
            width, height = max(width, own_width), max(height, own_height)
            at += 11 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
        elif kind == 0x21:
            at += 2
        else:
            break
        while at < len(content) and content[at]:
            at += 1 + content[at]
        at += 1
    return width, height, max(1, frames)
