"""Which calls of a stage are its head's: comments in its C say so, for people and for what counts instructions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

__all__ = ["HEAD", "NETWORK", "heads", "marked"]

NETWORK = "    /* the network */"  # what is handed over comes of it; in the last stage, everything
HEAD = "    /* the exit's head */"


class Reading(Protocol):
    """A call with the names of the tensors that it reads and writes."""

    @property
    def reads(self) -> tuple[str, ...]: ...

    @property
    def writes(self) -> tuple[str, ...]: ...


def heads(calls: Sequence[Reading], handover: str | None) -> list[bool]:
    """Of every call, in an order in which they can run, whether nothing that is handed over comes of it.

    ``handover``: the tensor that goes on; None: this is the last stage, no call is a head's.
    """
    needed, alone = {handover}, []
    for call in reversed(calls):
        goes_on = handover is None or bool(needed.intersection(call.writes))
        if goes_on:
            needed.update(call.reads)
        alone.append(not goes_on)
    return alone[::-1]


def marked(lines: Sequence[str], of_head: Sequence[bool]) -> list[str]:
    """The line of every call, with a comment wherever the other part begins; none where there is only one."""
    text: list[str] = []
    before = None
    for line, head in zip(lines, of_head, strict=True):
        if head != before and any(of_head):
            text.append(HEAD if head else NETWORK)
        before = head
        text.append(line)
    return text
