"""Heads of one location that train together: plain data, here or on a worker of a cluster, with the same result."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.features import Cluster, Features
from eeaug.heads import dense, maps, training
from eeaug.heads.judge import Judge
from eeaug.heads.layers import Head
from eeaug.heads.supervision import Lesson
from eeaug.heads.training import Plan, Targets, Trained

__all__ = ["Common", "Group", "Outcome", "in_threads", "on_workers", "trained"]

PROBABILITIES = "probabilities"


@dataclass(frozen=True)
class Common:
    """What all heads learn and are judged by; ``labels`` (n,) of fit."""

    lesson: Lesson
    judge: Judge
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Group:
    """Heads that train together, on whole ``maps`` or pooled values.

    ``known``: what came of their training, where only answers are missing. ``moving``: as in :func:`maps.train`.
    """

    heads: Sequence[Head]
    plan: Plan
    maps: bool
    known: Sequence[Trained] | None = None
    moving: Sequence[bool] = ()

    @property
    def macs(self) -> int:
        return sum(head.macs for head in self.heads)


@dataclass(frozen=True)
class Outcome:
    """Heads that were kept, and their probabilities (n, outputs) on screen, None if they were known, and choose."""

    trained: Sequence[Trained]
    screen: Sequence[NDArray[np.float32]] | None
    choose: Sequence[NDArray[np.float32]]


Passes = Callable[[int, int], None]


def trained(
    common: Common, group: Group, features: Mapping[str, Features],
    passes: Passes = lambda done, of: None, wanted: Callable[[], None] = lambda: None,
) -> Outcome:  # fmt: skip
    """Train a group, if it is not known, and ask it; ``features``: on choose, and to train on fit and screen.

    ``wanted`` is called often; what it raises ends the training.
    """
    predict = maps.predict if group.maps else dense.predict
    kept, screen = group.known, None
    if kept is None:
        fit, seen = features["fit"], features["screen"]
        keep = partial(common.judge.promising, group.heads)
        targets = _watched(partial(common.lesson.distilled, fit), wanted)
        if group.maps:
            kept = maps.train(group.heads, fit, targets, seen, group.plan, keep, passes, moving=group.moving)
        else:
            kept = dense.train(group.heads, fit, targets, seen, group.plan, keep, common.judge.loss)
        screen = [predict(one, seen) for one in kept]
    return Outcome(kept, screen, [predict(one, features["choose"]) for one in kept])


def _watched(targets: Targets, wanted: Callable[[], None]) -> Targets:
    def watched(rows: NDArray[np.integer]) -> NDArray[np.float32]:
        wanted()
        return targets(rows)

    return watched


def in_threads(
    common: Common, groups: Sequence[Group], features: Mapping[str, Features], threads: int,
    save: Callable[[Group, Outcome], None],
) -> Generator[Group, None, None]:  # fmt: skip
    """Dense heads, a group to a thread of this process; yields each that was trained and saved."""

    def work(group: Group) -> Group:
        save(group, trained(common, group, features))
        return group

    with dense.threads(threads) as pool:
        for done in as_completed([pool.submit(work, group) for group in groups]):
            yield done.result()


def on_workers(
    common: Common, groups: Sequence[Group], features: Mapping[str, Features], workers: Cluster,
    save: Callable[[Group, Outcome], None],
) -> Generator[Group, None, None]:  # fmt: skip
    """The same on the workers of a cluster; convolutional heads use all of a worker, and come one at a time."""
    tasks = ((i, (common, (group,), _arrays(group, features))) for i, group in enumerate(groups))
    alone = any(group.maps for group in groups)
    for i, outcome in workers.reading("the training of heads", _on_worker, tasks, alone=alone):
        save(groups[i], outcome)
        yield groups[i]


def _arrays(group: Group, features: Mapping[str, Features]) -> dict[str, NDArray[Any]]:
    """What the group reads, by part and name."""
    names = {want.key for head in group.heads for want in training.sources(head)}
    parts = ["choose"] if group.known is not None else ["fit", "screen", "choose"]
    arrays: dict[str, NDArray[Any]] = {}
    for part in parts:
        of = features[part]
        arrays |= {_name(part, key): of.tensors[key] for key in sorted(names)}
        arrays[_name(part, PROBABILITIES)] = of.probabilities
    return arrays


def _name(part: str, key: str) -> str:
    return f"{part}:{key}"


def _on_worker(common: Common, group: Group, arrays: Mapping[str, Any], wanted: Callable[[], None]) -> Outcome:
    parts: dict[str, dict[str, Any]] = {}
    for name, array in arrays.items():
        part, _, key = name.partition(":")
        parts.setdefault(part, {})[key] = array
    features = {
        part: Features(
            {key: array for key, array in of.items() if key != PROBABILITIES},
            of[PROBABILITIES],
            common.labels if part == "fit" else np.zeros(0, np.int64),
        )
        for part, of in parts.items()
    }
    with dense.one_thread():
        return trained(common, group, features, wanted=wanted)
