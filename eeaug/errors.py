"""Every error that a user can cause, and the exit code that it ends with.

EeaugError                 1  eeaug itself failed
├── InputError             2  usage, configuration or input
├── InfeasibleError        3  no design meets the limits
└── ConversionError        4  model not supported, an exported file disagrees, a hash changed

A message is one line: what was wrong, where, what was given, what would be right. All mistakes of a file are one
line each below it (``lines`` of an InputError).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["ConversionError", "EeaugError", "InfeasibleError", "InputError"]


class EeaugError(Exception):
    """Base of all errors that eeaug raises on purpose."""

    exit_code = 1


class InputError(EeaugError):
    """The command line, a configuration file or the data is wrong.

    ``lines`` are the mistakes of a file, where ``message`` says how many it has.
    """

    exit_code = 2

    def __init__(self, message: str = "", *, lines: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.lines = tuple(lines)

    def __str__(self) -> str:
        return "\n  ".join([super().__str__(), *self.lines])


class InfeasibleError(EeaugError):
    """No design meets the limits.

    Parameters
    ----------
    limit, given, best
        Which limit, the value that was asked for, and the best value that any design reaches while it
        meets the other limits; printed by ``--json``.
    """

    exit_code = 3

    def __init__(self, message: str, *, limit: str, given: float, best: float | None) -> None:
        super().__init__(message)
        self.limit, self.given, self.best = limit, given, best

    def as_json(self) -> dict[str, Any]:
        return {"error": str(self), "limit": self.limit, "given": self.given, "best": self.best}


class ConversionError(EeaugError):
    """The model cannot be read or converted, or a written file does not agree with it."""

    exit_code = 4
