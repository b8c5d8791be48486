"""Text from files as a terminal, a log or an XML file may have it.

A name in a file may hold sequences that move the cursor, rename the window or turn the direction of writing. What
Python does not call printable is shown as Python's own repr shows it: ``\\x1b``, ``\\n``, ``\\u202e``, and
``\\udcff`` for a byte of a path that is no UTF-8.
"""

from __future__ import annotations

import re

__all__ = ["LONGEST_LINE", "lines", "one_line", "printable", "quoted", "shortened", "shown"]

LONGEST_LINE = 300  # characters of a line that says what is wrong
_LONGEST_WORD = 120
_LONGEST_NAME = 60
_LONGEST_VALUE = 80
_JOINERS = "\u200c\u200d"  # between letters of Persian and Hindi, and in emoji
_SPACES = "\u00a0\u2009\u202f"


def printable(text: str) -> str:
    """The text on one line, with an escape for every character that cannot be seen."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in _JOINERS or c in _SPACES else repr(c)[1:-1] for c in text)


def lines(text: str) -> str:
    """The same of a page of several lines, which stay."""
    return "\n".join(map(printable, text.split("\n")))


def shortened(text: str, most: int = LONGEST_LINE) -> str:
    """At most so many characters: long words (paths) lose their middle first, then the text does."""
    if len(text) <= most:
        return text
    text = re.sub(rf"\S{{{_LONGEST_WORD},}}", lambda word: _without_middle(word[0], _LONGEST_WORD), text)
    return text if len(text) <= most else _without_middle(text, most)


def one_line(text: str, most: int = LONGEST_LINE) -> str:
    """What a message of somebody else's code says, on one line."""
    return shortened(printable(" ".join(text.split())), most)


def shown(text: str, most: int = _LONGEST_NAME) -> str:
    """A name as a message of one line may have it: escaped, its beginning if it is long."""
    return _beginning(printable(text[: most + 1]), most)


def quoted(value: object, most: int = _LONGEST_VALUE) -> str:
    """A value as messages quote it: as Python's repr, its beginning if it is long."""
    return _beginning(printable(repr(value)), most)


def _beginning(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _without_middle(text: str, most: int) -> str:
    kept = most - 3
    tail = kept * 2 // 5
    return f"{text[: kept - tail]}...{text[len(text) - tail :]}"
