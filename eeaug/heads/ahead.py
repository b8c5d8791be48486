"""What a search has still to train, and how long that takes: real steps of the real heads are timed, and scaled.

Which convolutional heads are worth training is known once dense ones are trained. Before that these are tried on
a few samples.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eeaug.data import View
from eeaug.features import Extraction, Features, Wanted
from eeaug.heads import dense, hidden, logistic, maps
from eeaug.heads.judge import Judge
from eeaug.heads.layers import Head
from eeaug.heads.logistic import LEAST_PART, PART, PART_STEPS, PASSES
from eeaug.heads.packing import Offer
from eeaug.heads.planning import dense_plan
from eeaug.heads.pooled import SEEN_ROWS, joined
from eeaug.heads.selection import spread, training_s
from eeaug.heads.store import Judged
from eeaug.heads.supervision import Source
from eeaug.heads.train_all import PARTS, HeadWork, sources, worth_training
from eeaug.heads.training import Plan
from eeaug.network.locations import Location
from eeaug.settings import Effort
from eeaug.support.cache import Cache
from eeaug.support.progress import Progress

__all__ = ["FEW", "Ahead", "Few", "ahead", "dense_s", "few", "maps_s"]

FEW = 1024  # samples that dense heads are tried and timed on, at most
LEAST_FEW, SOME = 128, 1 / 24  # as few where a pass is dear: a share of all samples
WARM = 32  # samples of the first, slower run of the extractor
TRIED = 6  # locations where dense heads are tried
TIMED = 2  # locations whose convolutional heads, and whose dense heads, are timed; others by their sizes
# Steps of a dense head with one layer: on five networks 8 to 12 on the part that is learnt from first and 5 to 8 on
# all samples, 10 to 23 where these are the same.
FIRST_STEPS, ALL_STEPS = 10, 7
FORWARD = 1 / 3  # of a step forward and back

Groups = Sequence[Sequence[Head]]
Clock = Callable[[], float]


@dataclass(frozen=True)
class Few:
    """Dense heads' features of a few samples, and how long they took.

    sample_s : seconds of a sample through the backbone to all that is wanted; fixed_s : until the first
    """

    fit: Features
    screen: Features
    sample_s: float
    fixed_s: float
    source: Source


@dataclass(frozen=True)
class Ahead:
    """What earlier runs have not left.

    Parameters
    ----------
    dense, maps : heads to train, by location
    passed : samples to go through the backbone, in all passes
    kept : heads that are trained already
    """

    dense: Groups
    maps: Groups
    passed: int
    kept: int

    @property
    def heads(self) -> int:
        return sum(map(len, (*self.dense, *self.maps)))


def ahead(
    source: Source, dense_heads: Mapping[Location, Sequence[Head]], offer: Offer, effort: Effort,
    features: Callable[[], Few], *, seed: int, pinned: Collection[str], progress: Progress,
) -> Ahead:  # fmt: skip
    """What :func:`train_all.search` would train and send through the backbone; nothing is trained.

    ``features`` : gives those that dense heads are tried on, where they are not trained yet
    """
    quick = replace(source, extraction=replace(source.extraction, looks=False))
    work = HeadWork(quick, effort, seed, pinned, progress)
    groups: Groups = [tuple(heads) for heads in dense_heads.values() if heads]
    likely = offer.chosen()
    unknown = work.unanswered(groups, work.dense_plan)
    if not offer.heads or not likely:
        places: Groups = []
    elif not groups:
        places = list(likely.values())
    elif unknown or not _answers_there(work):
        places = _tried(features(), dense_heads, offer, likely, effort, seed, pinned)
    else:
        screen = quick.extraction.extract(work.views["screen"], [], precision=PARTS["screen"])
        judge = Judge(quick, screen, pinned)
        places = worth_training(offer, judge, judge.paying(work.loaded(groups, work.dense_plan)), likely)
    to_train = work.lacking(groups, work.dense_plan), work.lacking(places, work.map_plan)
    every = sum(map(len, (*groups, *places)))
    lacking = Ahead(*to_train, _passed(work, groups, places, list(likely.values())), 0)
    return replace(lacking, kept=every - lacking.heads)


def _answers_there(work: HeadWork) -> bool:
    """Whether the given model's answers on screen are in the cache."""
    return not work.source.extraction.missing({work.views["screen"]: PARTS["screen"]}, [])


def _passed(work: HeadWork, groups: Groups, places: Groups, likely: Groups) -> int:
    """Samples through the backbone: one pass for all that is missing, and where maps have no room one for each."""
    extraction, plans = work.source.extraction, (work.dense_plan, work.map_plan)
    near = likely if work.unanswered(groups, work.dense_plan) else places
    train = sources(h for of, plan in zip((groups, near), plans, strict=True) for h in work.lacking(of, plan))
    answer = sources(h for of, plan in zip((groups, near), plans, strict=True) for h in work.unanswered(of, plan))
    of_part = {"choose": answer, "screen": train, "fit": train}
    alone = not work.fits(of_part)
    total = 0
    for name, wanted in of_part.items():
        read = [want for want in wanted if want.window is not None] if alone else wanted
        view = work.views[name]
        if (name != "fit" or read) and extraction.missing({view: PARTS[name]}, read):
            total += len(view)
        total += alone * len(places) * len(view)
    return total


def few(source: Source, wanted: Sequence[Wanted], scratch: Path, clock: Clock) -> Few:
    """The first step of a search on a few samples, evenly over all: the extractor is written and run.

    ``wanted`` : all that will be kept; of the few, whole maps are kept of the last of them only, as they take room
    """
    (scratch / "features").mkdir(parents=True, exist_ok=True)
    extraction: Extraction = replace(source.extraction, cache=Cache(scratch), folder=scratch, sound=set())
    start = clock()
    model = extraction.convert(given := [*wanted, *_answers(source)])
    pooled = [want for want in wanted if want.window is not None]
    extraction.extract(_some(source.splits.fit, WARM), pooled, (given, model))
    fixed = clock() - start
    splits = source.splits
    total = sum(len(getattr(splits, name)) for name in PARTS)
    most = int(max(LEAST_FEW, min(FEW, SOME * total)))
    views = [_some(view, most) for view in (splits.fit, splits.screen)]
    start = clock()
    fit, screen = (extraction.extract(view, pooled, (given, model)) for view in views)
    sample_s = (clock() - start) / sum(map(len, views))
    small = replace(splits, fit=views[0], screen=views[1])
    return Few(fit, screen, sample_s, fixed, replace(source, splits=small, extraction=extraction))


def _answers(source: Source) -> list[Wanted]:
    return [] if source.classifier.answers else [Wanted(None, outputs=source.classifier.decision.outputs)]


def _some(view: View, most: int) -> View:
    """At most so many of its samples, evenly over it, as it may be sorted."""
    return View(view.part, view.indices[np.unique(np.linspace(0, len(view) - 1, most).astype(np.intp))])


def _tried(
    few: Few, dense_heads: Mapping[Location, Sequence[Head]], offer: Offer, near: Mapping[Location, Sequence[Head]],
    effort: Effort, seed: int, pinned: Collection[str],
) -> Groups:  # fmt: skip
    """The convolutional heads that a search would train if dense heads on all samples were as on these."""
    judge, plan = Judge(few.source, few.screen, pinned), dense_plan(effort, seed)
    places = [at for at in near if dense_heads.get(at)]
    judged: list[Judged] = []
    with dense.threads(1):
        for at in spread(places, TRIED, offer.macs) if len(places) > TRIED else places:
            heads = [head for head in dense_heads[at] if len(head.dense) == 1 and not head.earlier]
            if heads:
                targets = partial(few.source.lesson.distilled, few.fit)
                for one in dense.train(heads, few.fit, targets, few.screen, plan, set, judge.loss):
                    answers = partial(dense.predict, one, few.screen)
                    judged.append(Judged(one, answers, answers))
    return worth_training(offer, judge, judged or None, near)


def dense_s(
    groups: Groups, fit: Features, sizes: tuple[int, int, int], plan: Plan, threads: int, clock: Clock
) -> float:
    """Seconds that dense heads will take, a location to a thread.

    ``fit`` : features of a few samples; ``sizes`` : samples of fit, screen and choose
    """
    with dense.threads(1):
        each = _scaled(groups, partial(_group_s, fit=fit, sizes=sizes, plan=plan, clock=clock), _dense_size)
    return max(sum(each) / threads, max(each, default=0.0))


def _group_s(heads: Sequence[Head], fit: Features, sizes: tuple[int, int, int], plan: Plan, clock: Clock) -> float:
    """The same of one location: a pass over ``fit`` is timed."""
    n, screen, choose = sizes
    few, features = len(fit.probabilities), joined(fit, heads)
    single = [head for head in heads if len(head.dense) == 1 or head.knows]
    deep = [head for head in heads if head not in single]
    more, seconds = min(n, SEEN_ROWS) / few, 0.0

    def targets(rows: NDArray[np.integer]) -> NDArray[np.float32]:
        outputs = heads[0].dense[-1].units
        return np.full((len(rows), outputs), 1 / outputs, np.float32)

    if single:
        begin_s, pass_s = logistic.timed(single, features, targets, plan, clock)
        part, most = max(n // PART, min(n, LEAST_PART)), PASSES * plan.epochs
        first, every = min(FIRST_STEPS, PART_STEPS * most), min(ALL_STEPS, most)
        rows = first * part + every * n + FORWARD * ((first + every + 1) * screen + choose)
        seconds += more * begin_s + rows * pass_s / few
    if deep:
        plan = plan.for_samples(n)
        begin_s, step_s = hidden.timed(deep, features, targets, plan, clock)
        rows = plan.epochs * n + FORWARD * (2 * screen + choose)
        seconds += more * begin_s + rows * step_s / min(plan.batch, few)
    return seconds


def _dense_size(heads: Sequence[Head]) -> float:
    return float(sum(head.macs + 1000 for head in heads))


def maps_s(groups: Groups, sizes: tuple[int, int, int], plan: Plan, clock: Clock) -> float:
    """Seconds that convolutional heads will take, one location after the other; ``sizes`` as in :func:`dense_s`."""
    n, screen, choose = sizes
    plan = plan.for_samples(n)
    steps = plan.epochs * (n // plan.batch)

    def group_s(heads: Sequence[Head]) -> float:
        first_s, step_s = maps.timed(heads, n, plan, clock)
        looked_at = 2 * (min(n, maps.SEEN) + screen) + choose  # after the first pass and in the end
        return first_s + step_s * (steps + FORWARD * looked_at / plan.batch)

    return sum(_scaled(groups, group_s, lambda heads: sum(training_s(head, 1) for head in heads)))


def _scaled(
    groups: Groups, measured: Callable[[Sequence[Head]], float], size: Callable[[Sequence[Head]], float]
) -> list[float]:
    """Seconds of every group: of the TIMED largest as they are measured, of others by their sizes."""
    ordered = sorted(groups, key=size, reverse=True)
    timed = [measured(heads) for heads in ordered[:TIMED]]
    whole = sum(map(size, ordered[:TIMED]))
    return timed + [sum(timed) * size(heads) / whole for heads in ordered[TIMED:]]
