"""Constants in C: arrays of numbers, and structs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Constant", "braced", "numbers"]

WIDTH = 112  # of lines of numbers


@dataclass(frozen=True)
class Constant:
    """An array of numbers, or (``values`` None) a struct that is initialised by ``text``."""

    name: str
    type: str
    values: NDArray[Any] | None
    text: str = ""

    @property
    def bytes(self) -> int:
        """Of an array."""
        return 0 if self.values is None else self.values.nbytes

    def code(self, section: str) -> str:
        """Its definition; arrays go to ``section`` and start where a word does: kernels read several at once."""
        if self.values is None:
            return f"static const {self.type} {self.name} = {self.text};"
        aligned = "" if self.type == "int32_t" else "ALIGNED "
        lowest = np.iinfo(np.int32).min
        listed = "-2147483647 - 1" if self.type == "int32_t" and (self.values == lowest).any() else ""
        texts = [listed if listed and value == lowest else str(value) for value in self.values.tolist()]
        return f"static const {section} {self.type} {self.name}[{len(texts)}] {aligned}= {{\n{numbers(texts)}\n}};"


def braced(values: Iterable[object]) -> str:
    """An initialiser."""
    return f"{{{', '.join(map(str, values))}}}"


def numbers(texts: Iterable[str]) -> str:
    """Elements in lines, separated by commas."""
    lines, line = [], "   "
    for text in texts:
        if len(line) + len(text) + 2 > WIDTH:
            lines.append(line)
            line = "   "
        line += f" {text},"
    return "\n".join([*lines, line])
