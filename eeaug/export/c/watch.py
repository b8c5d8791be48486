"""``<prefix>_watch.h`` and ``.c``: leave counters on the device, and an alarm (cascade.alarm)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eeaug.export import leave_table
from eeaug.export.c.cascade_source import Facts
from eeaug.export.c.text import filled, point
from eeaug.export.leave_table import CAREFUL

__all__ = ["files", "names"]


def names(prefix: str) -> tuple[str, str]:
    return f"{prefix}_watch.h", f"{prefix}_watch.c"


def files(
    facts: Facts, processors: Sequence[tuple[str, range]], reference: Mapping[str, Any] | None
) -> dict[str, str]:
    """Both files by name, for processors (name in C, stages). Without a reference counters alone: no bet wins."""
    prefix, points = facts.prefix, list(facts.points)
    known = {
        **leave_table.known(points, len(facts.stages) - 1, reference),
        "advised": point(CAREFUL if CAREFUL in points else points[0], prefix),
        "stem": processors[0][0],
        "declared": "\n".join(f"{_signature(prefix, stem)};" for stem, _ in processors),
        "functions": "\n".join(_function(prefix, stem, stages) for stem, stages in processors),
    }
    header, code = names(prefix)
    return {header: filled("watch.h", prefix, **known), code: filled("watch.c", prefix, **known)}


def _signature(prefix: str, stem: str) -> str:
    return (
        f"void {prefix}_watch_{stem}({prefix}_watch *watch, {prefix}_point point, {prefix}_outcome outcome,\n"
        f"    const {prefix}_result *result)"
    )


def _function(prefix: str, stem: str, stages: range) -> str:
    call = f"count(watch, point, {stages[0]}, {stages[-1]}, outcome, result);"
    return f"{_signature(prefix, stem)}\n{{\n    {call}\n}}\n"
