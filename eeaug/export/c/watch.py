"""``<prefix>_watch.h`` and ``.c``: leave counters on the device, and an alarm (cascade.alarm)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eeaug.cascade import alarm
from eeaug.cascade.alarm import BETS, SCALE
from eeaug.export.c.cascade_source import Facts
from eeaug.export.c.text import filled, point

__all__ = ["files", "names"]

CAREFUL = "careful"  # the operating point that loses least


def names(prefix: str) -> tuple[str, str]:
    return f"{prefix}_watch.h", f"{prefix}_watch.c"


def files(
    facts: Facts, processors: Sequence[tuple[str, range]], reference: Mapping[str, Any] | None
) -> dict[str, str]:
    """Both files by name, for processors (name in C, stages). Without a reference counters alone: no bet wins."""
    exits, prefix = len(facts.stages) - 1, facts.prefix
    points = list(facts.points)
    rows = max(exits, 1)
    if reference is None:
        steps, limit, source = [[[[0, 0]] * BETS] * rows for _ in points], 1 << 30, "There is no reference yet."
    else:
        made = alarm.of_reference(reference, points, exits)
        limit = made.limit
        steps = made.steps.tolist() if exits else [[[[0, 0]] * BETS] for _ in points]
        part = reference["part"]
        source = f"The reference are {reference['samples']:,} samples of the {part} part."
        if part != "test":
            source += (
                "\n * Thresholds were found on them, so that leave rates may seem to shift where nothing does."
            )
        if reference["weighted"]:
            source += "\n * They are weighted: what is said of the probability is approximate."
    advised = point(CAREFUL if CAREFUL in points else points[0], prefix)
    known = {
        "exits": exits, "rows": rows, "bets": BETS, "scale": SCALE, "limit": limit, "source": source,
        "floors": _row([alarm.floor_of(2**digits - 1) for digits in range(1, 32)]),
        "advised": advised, "stem": processors[0][0],
        "steps": ",\n".join(_braces(row, 4) for row in steps),
        "declared": "\n".join(f"{_signature(prefix, stem)};" for stem, _ in processors),
        "functions": "\n".join(_function(prefix, stem, stages) for stem, stages in processors),
    }  # fmt: skip
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


def _row(numbers: Sequence[int]) -> str:
    lines = (numbers[i : i + 8] for i in range(0, len(numbers), 8))
    return ",\n".join("    " + ", ".join(map(str, line)) for line in lines)


def _braces(values: Any, indent: int) -> str:
    """Nested lists as an initialiser; the innermost pairs side by side."""
    if not isinstance(values[0][0], list):
        return " " * indent + "{" + ", ".join("{" + ", ".join(map(str, pair)) + "}" for pair in values) + "}"
    inner = ",\n".join(_braces(value, indent + 4) for value in values)
    return " " * indent + "{\n" + inner + "\n" + " " * indent + "}"
