"""``<prefix>_watch.h`` and ``.cc``: leave counters on the device, and an alarm (cascade.alarm)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.resources import files as resources
from typing import Any

from eeaug.export import leave_table
from eeaug.export.leave_table import CAREFUL
from eeaug.export.tflm.source import constant, identifier

__all__ = ["files"]


def files(
    prefix: str, points: Sequence[str], exits: int, parts: Mapping[str, Sequence[int]],
    reference: Mapping[str, Any] | None,
) -> dict[str, str]:  # fmt: skip
    """Both files by name, for processors with the numbers of their stages. Without a reference no bet wins."""
    first, known = next(iter(parts)), leave_table.known(points, exits, reference)
    known |= {
        "prefix": prefix, "PREFIX": prefix.upper(), "stem": identifier(first), "default": constant("default"),
        "advised": constant(CAREFUL if CAREFUL in points else points[0]),
        "declared": "".join(_within(name, f"{_SIGNATURE};") for name in parts),
        "functions": "".join(
            _within(
                name, f"{_SIGNATURE} {{\n  CountStages(watch, point, {mine[0]}, {mine[-1]}, status, answer);\n}}"
            )
            for name, mine in parts.items()
        ),
    }  # fmt: skip
    return {f"{prefix}_watch{end}": _filled(f"watch{end}", known) for end in (".h", ".cc")}


_SIGNATURE = "void Count(Watch* watch, Point point, Status status, const Answer& answer)"


def _within(name: str, text: str) -> str:
    stem = identifier(name)
    return f"\nnamespace {stem} {{\n{text}\n}}  // namespace {stem}\n"


def _filled(template: str, known: Mapping[str, object]) -> str:
    text = resources("eeaug.export.tflm").joinpath("templates", template).read_text(encoding="utf-8")
    return re.sub(r"@\{(\w+)\}", lambda match: str(known[match[1]]), text)
