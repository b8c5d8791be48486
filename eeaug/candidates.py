"""From locations to trained exits with their outcomes: the expensive part of a search.

One pass over the data for pooled features, all dense heads at once, then whole maps and convolutional heads
at the few locations where screening says that it pays.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from eeaug import data, features
from eeaug.cascade import Outcomes
from eeaug.data import Splits, View
from eeaug.errors import InputError
from eeaug.features import Cache, Features, Wanted
from eeaug.heads import design, selection, training
from eeaug.heads.design import Head
from eeaug.heads.training import Plan, Trained
from eeaug.locations import Location
from eeaug.model import Classifier
from eeaug.preprocessing import Preprocessing
from eeaug.progress import Progress
from eeaug.settings import Effort

__all__ = ["Candidates", "Source", "planned", "search"]

DENSE = Plan(epochs=0, batch=512, rate=1e-2, seed=0)
MAPS = Plan(epochs=0, batch=256, rate=4e-3, seed=0)
WORTH_SAYING = 100_000_000  # bytes on disk
PARTS = ("choose", "screen", "fit")  # choose first: the given model's accuracy is on it


@dataclass(frozen=True)
class Source:
    """The data of a search and how it is read."""

    classifier: Classifier
    splits: Splits
    preprocessing: Preprocessing
    sha256: str
    cache: Cache
    threads: int
    labelled: bool = True
    priors: Mapping[int, float] | None = None

    def labels(self, features: Features) -> NDArray[np.int64]:
        """What is right: the labels, or without any what the given model says."""
        if self.labelled:
            return features.labels
        return self.classifier.decision.answers(np.asarray(features.probabilities))[1]

    def targets(self, features: Features, rows: NDArray[np.integer]) -> NDArray[np.float32]:
        """What heads learn on these rows, (rows, outputs): the labels, or the given model's probabilities."""
        if self.labelled:
            return self.classifier.decision.targets(features.labels[rows])
        return np.asarray(features.probabilities[rows])

    def weights(self, labels: NDArray[np.integer]) -> NDArray[np.float64] | None:
        """What each sample counts under ``--priors``; None if all count alike."""
        if self.priors is None:
            return None
        return data.weights(labels, self.priors, self.classifier.classes)


@dataclass(frozen=True)
class Candidates:
    """Trained heads ordered by location, then cost; their outcomes on choose, the final classifier last."""

    trained: tuple[Trained, ...]
    outcomes: Outcomes
    heads_trained: int


def planned(
    classifier: Classifier, locations: Sequence[Location], tail: Sequence[design.Dense], backbone_macs: int
) -> tuple[dict[Location, tuple[Head, ...]], dict[Location, tuple[Head, ...]]]:
    """Dense and convolutional heads by location, before any is trained."""
    dense = {at: design.dense_heads(at, tail, classifier.decision, backbone_macs) for at in locations}
    maps = {at: design.map_heads(at, classifier.decision) for at in locations}
    return dense, maps


def search(
    source: Source,
    dense: Mapping[Location, Sequence[Head]],
    maps: Mapping[Location, Sequence[Head]],
    effort: Effort,
    *,
    seed: int,
    max_drop: float,
    backbone_macs: int,
    pinned: Collection[str],
    given: Callable[[Outcomes], None],
    progress: Progress,
) -> Candidates:
    """Extract, train, screen.

    ``given`` sees the given model's outcomes on choose before anything else is done: its accuracy is
    checked there. ``max_drop`` is the accuracy drop at which savings are compared when heads are ranked.
    ``pinned`` locations keep their heads whatever screening says, and get convolutional ones.
    """
    heads = [head for at in dense for head in dense[at]]
    answers = source.classifier.decision.answers

    def first(features: Features) -> None:
        given(_outcomes(source, (), {}, features))

    wanted = [training.wanted(h) for h in heads]
    pooled = _extract(source, wanted, progress, _count(len(dense), "location"), first)
    choose = pooled["choose"]
    if not heads:
        return Candidates((), _outcomes(source, (), {}, choose), 0)
    screen, labels = pooled["screen"], source.labels(pooled["screen"])
    given_right = answers(screen.probabilities)[1] == labels
    chance = float(np.unique(labels, return_counts=True)[1].max() / len(labels))

    def targets(rows: NDArray[np.integer]) -> NDArray[np.float32]:
        return source.targets(pooled["fit"], rows)

    def keep(probabilities: Mapping[str, NDArray[np.float32]]) -> set[str]:
        right = {key: answers(p)[1] == labels for key, p in probabilities.items()}
        wanted_anyway = {h.key for h in heads if h.location.name in pinned}
        return selection.promising(heads, right, chance) | wanted_anyway

    def value(head: Head, probabilities: NDArray[np.float32]) -> float:
        confidence, predicted = answers(probabilities)
        return selection.saving(head, confidence, predicted == labels, given_right, backbone_macs, max_drop)

    with progress.step("heads", _count(len(heads), "dense head")):
        plan = Plan(effort.dense_epochs, DENSE.batch, DENSE.rate, seed)
        trained = training.train_dense(heads, pooled["fit"], targets, screen, plan, keep, progress.advance)
        on_screen = {t.head.key: training.predict(t, screen) for t in trained}
        on_choose = {t.head.key: training.predict(t, choose) for t in trained}
        worth: dict[Location, float] = {at: 0.0 for at in maps if maps[at]}
        for t in trained:
            if t.head.location in worth:
                gain = value(t.head, on_screen[t.head.key])
                worth[t.head.location] = max(worth[t.head.location], gain)
    count = len(heads)
    chosen = selection.for_maps(worth, effort.map_locations, backbone_macs)
    forced = [at for at in worth if at.name in pinned and at not in chosen and effort.map_locations]
    for at in (*chosen, *forced):
        mine = maps[at]
        whole = _extract(source, [Wanted(at, None)], progress, f"whole maps at {at.name}")

        def best(probabilities: Mapping[str, NDArray[np.float32]], mine: Sequence[Head] = mine) -> set[str]:
            values = {h.key: value(h, probabilities[h.key]) for h in mine}
            return selection.best_by_value(values, effort.map_sizes)

        with progress.step("heads", f"{_count(len(mine), 'convolutional head')} at {at.name}"):
            plan = Plan(effort.map_epochs, MAPS.batch, MAPS.rate, seed)
            more = training.train_maps(mine, whole["fit"], targets, whole["screen"], plan, best, progress.advance)
            on_screen |= {t.head.key: training.predict(t, whole["screen"]) for t in more}
            on_choose |= {t.head.key: training.predict(t, whole["choose"]) for t in more}
        trained += more
        count += len(mine)
    accuracy = {key: float((answers(p)[1] == labels).mean()) for key, p in on_screen.items()}
    for t in sorted(trained, key=_order):
        cost = sum(t.head.cost().macs.values())
        progress.detail(f"{t.head.key}: {accuracy[t.head.key]:.2%} right on screen, {cost:,} MACs")
    kept = set(selection.front([t.head for t in trained], accuracy))
    ordered = sorted((t for t in trained if t.head in kept), key=_order)
    return Candidates(tuple(ordered), _outcomes(source, ordered, on_choose, choose), count)


def _order(trained: Trained) -> tuple[int, int, str]:
    head = trained.head
    return head.location.after, sum(head.cost().macs.values()), head.name


def _outcomes(
    source: Source,
    trained: Sequence[Trained],
    probabilities: Mapping[str, NDArray[np.float32]],
    choose: Features,
) -> Outcomes:
    rows = [*(probabilities[t.head.key] for t in trained), choose.probabilities]
    pairs = [source.classifier.decision.answers(np.asarray(row)) for row in rows]
    labels = source.labels(choose)
    return Outcomes(
        np.array([c for c, _ in pairs]), np.array([p for _, p in pairs]), labels, source.weights(labels)
    )


def _extract(
    source: Source,
    wanted: Sequence[Wanted],
    progress: Progress,
    detail: str,
    first: Callable[[Features], None] = lambda features: None,
) -> dict[str, Features]:
    """Features of all three parts; where nothing is wanted, the given model's answers on choose alone."""
    wanted = list(dict.fromkeys(wanted))
    session = cache(lambda: features.extractor(source.classifier, wanted, source.threads))
    made: dict[str, Features] = {}
    views: dict[str, View] = {name: getattr(source.splits, name) for name in (PARTS if wanted else PARTS[:1])}
    total, before = sum(map(len, views.values())), 0
    need = sum(
        features.need_bytes(wanted, len(view), source.classifier.decision.outputs, _precision(name))
        for name, view in views.items()
    )
    tell = progress.note if need >= WORTH_SAYING else progress.detail
    tell(f"features ({detail}) take {need / 1e9:.2f} GB in {source.cache.directory}")
    with progress.step("features", detail):
        for name, view in views.items():
            start = before
            made[name] = features.extract(
                source.classifier,
                wanted,
                view,
                source.preprocessing,
                data_sha256=source.sha256,
                cache=source.cache,
                precision=_precision(name),
                session=session,
                progress=lambda done, of, start=start: progress.advance(start + done, total),  # type: ignore[misc]
            )
            before += len(view)
            if name == "choose":
                first(made[name])
    return made


def _precision(part: str) -> type:
    """Half precision for what only training reads; thresholds are found on full precision."""
    return np.float16 if part == "fit" else np.float32


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def check_better_than_chance(outcomes: Outcomes, *, allow: bool) -> None:
    """Stop when the given model is no better than always naming the largest class (+ 2 standard errors).

    Raises
    ------
    InputError : most often the preprocessing is wrong
    """
    accuracy, labels = float(outcomes.correct[-1].mean()), outcomes.labels
    share = float(np.unique(labels, return_counts=True)[1].max() / len(labels))
    limit = share + 2 * float(np.sqrt(share * (1 - share) / len(labels)))
    if accuracy <= limit and not allow:
        raise InputError(
            f"the given model is right on {accuracy:.1%} of the choose samples, no better than chance "
            f"({limit:.1%}): is its preprocessing in the .data.yaml? --allow-chance goes on all the same"
        )
