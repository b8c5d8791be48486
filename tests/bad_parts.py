"""What kinds of bad inputs share: one change of a good document, and what an example is."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

DEEP = 100_000  # brackets
LONG = "9" * 6_000
CONTROLS = "\x1b]0;owned\x07\x1b[31m"


# what may stand where something else is meant
ODD: tuple[Any, ...] = (
    None, True, -1, 0, 3.7, 1e300, -1e300, float("nan"), float("inf"), "", "evil", CONTROLS, "../../etc/passwd",
    "/dev/zero", [], {}, [[]], {"a": 1}, "x" * 5_000, list(range(2_000)),
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """Where an example is tried: an empty folder, and good inputs that are copied, never changed."""

    folder: Path
    model: Path
    data: Path
    bundle: Path


@dataclass(frozen=True)
class Bad:
    """Arguments of ``eeaug``; ``certain``: they cannot be right, exit code 0 is a failure, too.

    ``lines``: the message may be a list of mistakes, one a line. ``call``: the part of the command that must
    notice, where the whole of it takes seconds; it serves where no process is started.
    """

    arguments: list[str]
    what: str
    certain: bool = True
    lines: bool = False
    call: Callable[[], object] | None = None


Kind = Callable[[Any, Place], Bad]


def _paths(node: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Ways to every node of a document but its root."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield (*at, key)
        yield from _paths(child, (*at, key))


def changed(draw: Any, document: Any, below: tuple[Any, ...] = ()) -> tuple[Any, str]:
    """A copy with one node taken away or replaced, and what was done."""
    made = copy.deepcopy(document)
    ways = [path for path in _paths(made) if path[: len(below)] == below and path != below]
    way = draw(st.sampled_from(ways))
    parent = made
    for key in way[:-1]:
        parent = parent[key]
    name = ".".join(map(str, way))
    if draw(st.integers(0, 4)) == 0:
        del parent[way[-1]]
        return made, f"without {name}"
    old = parent[way[-1]]
    parent[way[-1]] = draw(
        st.sampled_from([value for value in ODD if type(value) is not type(old) or value != old])
    )
    return made, f"{name} = {parent[way[-1]]!r:.40}"


def text(draw: Any, good: bytes) -> tuple[bytes, str]:
    """The text of a document, spoilt as a whole."""
    bombs: dict[str, bytes] = {
        "empty": b"",
        "cut": good[: draw(st.integers(0, len(good) - 1))],
        "brackets": b"[" * DEEP,
        "braces": b'{"a":' * DEEP,
        "a long number": b'{"schema_version": ' + LONG.encode() + b"}",
        "not UTF-8": good[:40] + b"\xff\xfe\x80" + good[40:],
        "NUL": good[:40] + b"\0" + good[40:],
        "another type": b"[]",
        "a number": b"7",
        "NaN": b'{"schema_version": NaN}',
    }
    name = draw(st.sampled_from(sorted(bombs)))
    return bombs[name], name


def copied(place: Place) -> Path:
    return Path(shutil.copytree(place.bundle, place.folder / "bundle", symlinks=True))
