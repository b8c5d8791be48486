"""What a decision with a state is.

Decisions are made for many *lanes* at once: a lane is one sequence with one set of parameters, or one of the
streams of a runtime. Arrays of lanes have any shape (...); parameters are numbers, or arrays that broadcast to it,
so that a whole grid walks along all sequences together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "NOTHING",
    "Heard",
    "Lanes",
    "Leaving",
    "Parameter",
    "Rule",
    "State",
    "StateField",
    "bytes_of",
]

Lanes = NDArray[np.bool_]
Parameter = float | NDArray[np.generic]
State = dict[str, NDArray[Any]]

NOTHING = -1  # in a state, for a class: none was heard


@dataclass(frozen=True)
class StateField:
    """A field of a state, for one stream: ``count`` values of a type (None: a single one), ``first`` after a reset.

    ``type`` is int16, uint16, uint8, or "probability": float32, and in int8 files int8.
    """

    name: str
    type: str
    count: int | None = None
    first: int = 0

    def width(self, *, int8: bool) -> int:
        """Bytes of one value."""
        return (1 if int8 else 4) if self.type == "probability" else np.dtype(self.type).itemsize

    def bytes(self, *, int8: bool) -> int:
        return self.width(int8=int8) * (1 if self.count is None else self.count)

    def begun(self, lanes: tuple[int, ...]) -> NDArray[Any]:
        """The field of lanes that have heard nothing, (*lanes) or (*lanes, count)."""
        shape = lanes if self.count is None else (*lanes, self.count)
        return np.full(shape, self.first, np.float32 if self.type == "probability" else self.type)


@dataclass(frozen=True)
class Heard:
    """What one classifier says of one sample of every lane.

    ``p`` (..., outputs): its probabilities, float32, which are known of the first classifier alone.
    """

    confidence: NDArray[np.float32]
    predicted: NDArray[np.integer]
    p: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Leaving:
    """Which lanes' samples leave at an exit, (...) each.

    ``sure``: by what the exit itself is sure of; ``remembered``: because of samples before, with ``answer``.
    """

    sure: Lanes
    remembered: Lanes
    answer: NDArray[np.integer]


class Rule(Protocol):
    """When a sample leaves, and what is answered, given what was before.

    ``begin`` makes a state; of every sample ``leaves`` is asked exit by exit, as far as it goes, then ``settled``.
    Both change the state of the lanes in ``on`` and of no other.
    """

    @property
    def kind(self) -> str: ...

    @property
    def alike(self) -> tuple[object, ...]:
        """What those have in common that can walk side by side: all but parameters that may be arrays."""

    def fields(self, exits: int, outputs: int) -> tuple[StateField, ...]:
        """Of the state of a stream, where so many early exits have so many outputs."""

    def leaves(self, k: int, heard: Heard, state: State, on: Lanes) -> Leaving:
        """At early exit ``k``, which the samples of ``on`` have reached."""

    def settled(
        self, answer: NDArray[np.integer], remembered: Lanes, state: State, on: Lanes
    ) -> NDArray[np.integer]:
        """What is answered, given what the sample left with, and whether from memory."""


def begin(rule: Rule, lanes: tuple[int, ...], exits: int, outputs: int) -> State:
    """The state of lanes that have heard nothing."""
    return {field.name: field.begun(lanes) for field in rule.fields(exits, outputs)}


def bytes_of(rule: Rule, exits: int, outputs: int, *, int8: bool = False) -> int:
    """Of the state of one stream, as a struct in C has it: padded to its widest type."""
    fields = rule.fields(exits, outputs)
    widths = [field.width(int8=int8) for field in fields]
    total = sum(field.bytes(int8=int8) for field in fields)
    return -(-total // max(widths)) * max(widths) if widths else 0


def sure(thresholds: Sequence[Parameter | None], k: int, heard: Heard, on: Lanes) -> Lanes:
    """Of ``on``, those that exit ``k`` is sure of: a confidence ≥ its threshold as float32; None is never."""
    threshold = thresholds[k]
    if threshold is None:
        return np.zeros(np.shape(on), bool)
    return np.asarray(on & (heard.confidence >= np.asarray(threshold, np.float32)))
