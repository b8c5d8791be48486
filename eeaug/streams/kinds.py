"""The decisions by name, and the grid of their parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.streams.confidence import Confidence
from eeaug.streams.debounce import Debounce
from eeaug.streams.difference import DifferenceDetection
from eeaug.streams.patience import Patience
from eeaug.streams.rules import Rule
from eeaug.streams.walk import Course

__all__ = [
    "KINDS",
    "RULES",
    "Family",
    "Thresholds",
    "described",
    "distances",
    "families",
    "in_steps",
    "rule_of",
    "within",
]

Thresholds = tuple[float | None, ...]

AGES = (4, 12)  # in samples, besides the one that is asked for
TIMES = (2, 4, 8)  # in a row
FIXED = (0.0, 0.25, 0.5, 0.75)  # of a path: how far thresholds are opened before memory is
NEAREST, FARTHEST = 0.02, 0.995  # shares of samples that a distance takes for near the one before
Along = Callable[[Sequence[Thresholds]], tuple[Rule, ...]]


@dataclass(frozen=True)
class Family:
    """Decisions from strict to loose: ``along`` a path of thresholds whose first step is that nothing leaves.

    What is opened is one number: without memory the thresholds; with memory these up to a step of the path, then
    what is taken for the same; ``memory_first``: that alone. The first one is the given model. ``age``: of so many
    samples in a row one at least is decided without memory.
    """

    kind: str
    along: Along
    memory_first: bool = False
    age: int = 1

    def stable(self, wanted: int, window: int) -> Family:
        """The same with answers that change after ``wanted`` of ``window`` alone."""
        along = self.along
        return replace(self, along=lambda path: tuple(Debounce(rule, wanted, window) for rule in along(path)))


def _confidence(course: Course, most: int) -> Iterator[Family]:
    yield Family("confidence", lambda path: tuple(Confidence(step) for step in path))


def _difference(course: Course, most: int) -> Iterator[Family]:
    moved = _moved(course)
    if len(moved):
        for share in FIXED:
            for age in within(AGES, most):
                yield Family("difference", _difference_along(moved, share, age), not share, age)


def distances(course: Course, count: int) -> NDArray[np.float32]:
    """At most so many, ascending, at quantiles of how far the first classifier's probabilities move."""
    moved = _moved(course)
    return _quantiles(moved, count) if len(moved) else moved


def _moved(course: Course) -> NDArray[np.float32]:
    """Of every sample but the first of each sequence, the largest difference from the one before."""
    members = course.sequences.members
    apart = [np.abs(course.p[samples[1:]] - course.p[samples[:-1]]).max(axis=-1) for samples in members]
    return np.concatenate(apart)


def _quantiles(moved: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    return np.unique(np.quantile(moved, np.linspace(NEAREST, FARTHEST, count)).astype(np.float32))


def _difference_along(moved: NDArray[np.float32], share: float, age: int) -> Along:
    def along(path: Sequence[Thresholds]) -> tuple[Rule, ...]:
        start = round(share * (len(path) - 1))
        near = _quantiles(moved, len(path) - 1)
        return (
            *(DifferenceDetection(step, 0.0, 1) for step in path[: start + 1]),
            *(DifferenceDetection(path[start], float(distance), age) for distance in near),
        )

    return along


def _patience(course: Course, most: int) -> Iterator[Family]:
    for times in TIMES:
        for age in within(AGES, most):
            for share in FIXED:
                yield Family("patience", _patience_along(times, age, share), not share, age)


def _patience_along(times: int, age: int, share: float) -> Along:
    def along(path: Sequence[Thresholds]) -> tuple[Rule, ...]:
        start = round(share * (len(path) - 1))
        return (
            *(Patience(step, step, times, 1) for step in path[: start + 1]),
            *(Patience(path[start], low, times, age) for low in path[start + 1 :]),
        )

    return along


RULES: Mapping[str, Callable[..., Rule]] = {
    "confidence": Confidence,
    "difference": DifferenceDetection,
    "patience": Patience,
    "debounce": Debounce,
}
Grid = Callable[[Course, int], Iterator[Family]]
KINDS: Mapping[str, Grid] = {"confidence": _confidence, "difference": _difference, "patience": _patience}


def within(ages: Sequence[int], most: int) -> list[int]:
    """Those of ``ages`` below ``most``, and ``most``."""
    return [*(age for age in ages if age < most), most]


def families(course: Course, most: int) -> list[Family]:
    """All kinds with all parameters of the grid: the one without memory first.

    Parameters
    ----------
    course : of the samples that say how far probabilities move
    most : of so many samples in a row one at least is decided without memory; 1: there is no memory
    """
    kinds = KINDS if most > 1 else {"confidence": KINDS["confidence"]}
    return [family for grid in kinds.values() for family in grid(course, most)]


def in_steps(rule: Any, step: float) -> Rule:
    """The rule that decides the same where probabilities and confidences are multiples of ``step`` below 1.

    A distance lies midway between two of them, as whole numbers are compared with it on a device.
    """
    known = {field.name for field in fields(rule)}
    if "of" in known:
        changed: Rule = replace(rule, of=in_steps(rule.of, step))
        return changed
    most = 1 - step
    changes: dict[str, Any] = {
        name: tuple(None if t is None or t > most else t for t in getattr(rule, name))
        for name in ("thresholds", "lower")
        if name in known
    }
    if "distance" in known:
        changes["distance"] = float((np.floor(rule.distance / step) + 0.5) * step)
    other: Rule = replace(rule, **changes)
    return other


def described(rule: Any) -> dict[str, Any]:
    """A rule with its parameters, as files have it."""
    values = {field.name: getattr(rule, field.name) for field in fields(rule)}
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    return {"kind": rule.kind, **plain, **({"of": described(rule.of)} if "of" in plain else {})}


def rule_of(entry: Mapping[str, Any]) -> Rule:
    """The same, read."""
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in entry.items()}
    if "of" in values:
        values["of"] = rule_of(values["of"])
    return RULES[values.pop("kind")](**values)
