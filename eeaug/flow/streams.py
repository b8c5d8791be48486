"""Streams: whether data and model can be one, and what a run knows of their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eeaug.cascade.output import Decision
from eeaug.data import Part, Splits
from eeaug.errors import InputError
from eeaug.settings import Contradiction, Goal
from eeaug.settings.contradictions import classes_named
from eeaug.streams.sequences import Sequences

__all__ = ["check", "need_order", "sequences"]

MOST_CLASSES = 32_767  # a class of a state has two bytes


def check(goal: Goal, source: str, splits: Splits, decision: Decision, names: Sequence[str]) -> None:
    """Refuse now what would show after an hour of training.

    Raises
    ------
    Contradiction : a sample of this model has several labels, or a class of --background is not there
    InputError : as need_order
    """
    if decision.kind not in ("softmax", "binary"):
        raise Contradiction("{stream}: a sample of this model may have several labels, a stream is answered by one")
    if decision.classes > MOST_CLASSES:
        raise Contradiction(f"{{stream}}: for at most {MOST_CLASSES:,} classes, the model has {decision.classes:,}")
    classes_named("background", goal.background, names)
    for view in (splits.fit, splits.screen, splits.choose, splits.test):
        if view is not None:
            need_order(source, view.part, "--stream")


def need_order(source: str, part: Part, who: str) -> None:
    """Raise InputError where a part of the data says of no sample which one it follows; ``who`` needs to know."""
    if part.groups is None:
        name = part.name.removeprefix("x_")
        raise InputError(
            f"{source}: {part.name} has no groups_{name} and no sequence_{name}: {who} needs to know which samples "
            "are of one recording, each in order of time"
        )


def sequences(goal: Goal, splits: Splits) -> Mapping[str, Sequences]:
    """By part which samples follow which; empty without --stream."""
    views = {"screen": splits.screen, "choose": splits.choose, "test": splits.test}
    return {name: view.sequences for name, view in views.items() if goal.stream and view is not None}
