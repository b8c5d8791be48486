"""Text of C: names, numbers, strings, and the files of ``templates/``."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from importlib import resources

import numpy as np

__all__ = ["c_name", "filled", "literal", "point", "stems", "values"]

OTHERS = ("stage_", "op_", "watch_")  # after the prefix: names of stages, kernels and counters begin so


def filled(template: str, prefix: str = "cascade", **known: object) -> str:
    """A file of ``templates/`` with every ``@{name}`` replaced."""
    known |= {"prefix": prefix, "PREFIX": prefix.upper()}
    text = resources.files("eeaug.export.c").joinpath("templates", *template.split("/")).read_text(encoding="utf-8")
    return re.sub(r"@\{(\w+)\}", lambda match: str(known[match[1]]), text)


def c_name(text: str, taken: Collection[str] = ()) -> str:
    """An identifier made of a processor's or a point's name, that is not ``taken``."""
    stem = re.sub(r"\W", "_", text.lower(), flags=re.ASCII)
    name, again = stem, 2
    while name in taken:
        name, again = f"{stem}_{again}", again + 1
    return name


def stems(names: Sequence[str]) -> list[str]:
    """Names in C of processors, such that no name of the interface stands for two things."""
    chosen: list[str] = []
    taken = {
        "advised",
        "classes",
        "outcome",
        "point",
        "result",
        "state",
        "status",
        "stream",
        "stream_reset",
        "watch",
    }
    for name in names:
        plain = c_name(name)
        plain = f"on_{plain}" if plain.startswith(OTHERS) else plain
        stem, again = plain, 2
        while taken & _derived(stem):
            stem, again = f"{plain}_{again}", again + 1
        chosen.append(stem)
        taken |= _derived(stem)
    return chosen


def _derived(stem: str) -> set[str]:
    """What of a processor's follows the prefix."""
    return {stem, f"{stem}_in", f"{stem}_context", f"{stem}_push", f"{stem}_push_in", f"to_{stem}"}


def point(name: str, prefix: str = "cascade") -> str:
    """An operating point in C."""
    return f"{prefix}_{c_name(name)}".upper()


def literal(value: float) -> str:
    """A float in C, exact: the shortest decimal that is read back as the same float32."""
    text = str(np.float32(value))
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


def values(array: np.ndarray, width: int = 110) -> str:
    """All elements in lines, separated by commas."""
    lines, line = [], "   "
    for value in array.ravel():
        text = literal(value)
        if len(line) + len(text) + 2 > width:
            lines.append(line)
            line = "   "
        line += f" {text},"
    return "\n".join([*lines, line])
