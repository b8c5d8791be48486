"""How long the rest of a step takes, by how long what is done of it has taken; and durations in words."""

from __future__ import annotations

__all__ = ["Pace", "lasting"]

ROUNDED = 0.001  # by which a share may be less than before, as parts of parts are told in ten thousandths


class Pace:
    """Shares of a step that are done, with the times when they were told.

    The newer half of what is done says how fast the rest will be: the first pieces of work often take longer,
    and no table of earlier runs is asked.
    """

    def __init__(self) -> None:
        self._told: list[tuple[float, float]] = []  # (seconds, share), the oldest that is still needed first

    @property
    def share(self) -> float | None:
        """Done of the step, 0 to 1; None: nothing was told."""
        return self._told[-1][1] if self._told else None

    def tell(self, share: float, now_s: float) -> None:
        """So much is done; what the first call tells is not measured, as it may be of an earlier run."""
        if self._told and share < self._told[-1][1] - ROUNDED:  # something else is counted from here on
            self._told = []
        if self._told and share <= self._told[-1][1]:
            return
        self._told.append((now_s, share))
        middle = (self._told[0][1] + share) / 2
        while len(self._told) > 2 and self._told[1][1] <= middle:
            del self._told[0]

    def left_s(self, now_s: float) -> float | None:
        """Seconds until the step is done; None: nothing is known."""
        if len(self._told) < 2:
            return None
        (begun_s, first), (last_s, last) = self._told[0], self._told[-1]
        each = (last_s - begun_s) / (last - first)
        # what is at work now may take longer than what was before it, but it is one piece of the rest
        piece = min(1 - last, last - self._told[-2][1])
        return max(each * (1 - last) - (now_s - last_s), each * (1 - last - piece), 0.0)


def lasting(seconds: float) -> str:
    """A duration in the two largest units that say something: "45 s", "3 min 20 s", "1 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        return f"{minutes} min" + (f" {rest} s" if rest else "")
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours:,} h" + (f" {minutes} min" if minutes else "")
