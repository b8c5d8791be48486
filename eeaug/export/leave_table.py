"""What is compiled in for the alarm on leave rates (cascade.alarm), as text that C and C++ share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eeaug.cascade import alarm
from eeaug.cascade.alarm import BETS, SCALE

__all__ = ["CAREFUL", "known"]

CAREFUL = "careful"  # the operating point that loses least


def known(points: Sequence[str], exits: int, reference: Mapping[str, Any] | None) -> dict[str, object]:
    """Words of a template: numbers, initialisers of tables, and what the ``reference`` (shift.recorded) are.

    Without a reference counters alone: no bet wins.
    """
    rows = max(exits, 1)
    if reference is None:
        steps, limit, source = [[[[0, 0]] * BETS] * rows for _ in points], 1 << 30, "There is no reference yet."
    else:
        made = alarm.of_reference(reference, points, exits)
        limit = made.limit
        steps = made.steps.tolist() if exits else [[[[0, 0]] * BETS] for _ in points]
        part = reference["part"]
        data_part = "calibration" if part == "choose" else part
        source = f"The reference is {reference['samples']:,} samples of the {data_part} set."
        if part != "test":
            source += (
                "\n * Thresholds were found on them, so leave rates may seem to shift although nothing has changed."
            )
        if reference["weighted"]:
            source += "\n * They are weighted, so the probability of a false alarm is approximate."
    return {
        "exits": exits, "rows": rows, "bets": BETS, "scale": SCALE, "limit": limit, "source": source,
        "floors": _row([alarm.floor_of(2**digits - 1) for digits in range(1, 32)]),
        "steps": ",\n".join(_braces(row, 4) for row in steps),
    }  # fmt: skip


def _row(numbers: Sequence[int]) -> str:
    lines = (numbers[i : i + 8] for i in range(0, len(numbers), 8))
    return ",\n".join("    " + ", ".join(map(str, line)) for line in lines)


def _braces(values: Any, indent: int) -> str:
    """Nested lists as an initialiser; the innermost pairs side by side."""
    if not isinstance(values[0][0], list):
        return " " * indent + "{" + ", ".join("{" + ", ".join(map(str, pair)) + "}" for pair in values) + "}"
    inner = ",\n".join(_braces(value, indent + 4) for value in values)
    return " " * indent + "{\n" + inner + "\n" + " " * indent + "}"
