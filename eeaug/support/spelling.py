"""The known name that is nearest to a given one: what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["nearest"]

LONGEST_NAME = 200  # characters that are compared with known names


def nearest(word: str, known: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the known word most like this one, or the empty string."""
    by_lower = {name.lower(): name for name in known}
    if len(word) > LONGEST_NAME:  # no misspelt name is so long, and comparing takes quadratic time
        return ""
    close = difflib.get_close_matches(word.lower(), by_lower, n=1)
    return f"; did you mean '{by_lower[close[0]]}'?" if close else ""
