"""From locations to trained exits with their outcomes: the expensive part of a search.

One pass over the data for pooled features, the dense heads of all locations, then the convolutional heads that
promise most beside them. What an earlier run has left is not done again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.outcomes import Outcomes
from eeaug.data import View
from eeaug.data.plausibility import Seen
from eeaug.features import Features, Wanted
from eeaug.heads import calibrated, maps, moving, selection, store, together, training
from eeaug.heads.candidates import Candidates
from eeaug.heads.judge import Judge
from eeaug.heads.layers import Head
from eeaug.heads.packing import Offer
from eeaug.heads.planning import dense_plan, map_plan
from eeaug.heads.store import Judged
from eeaug.heads.supervision import Source
from eeaug.heads.together import Common, Group, Outcome
from eeaug.heads.training import Plan
from eeaug.network.locations import Location
from eeaug.settings import Effort
from eeaug.support.progress import Progress, counted

__all__ = ["HeadWork", "search", "sources", "worth_training"]

WORTH_SAYING = 100_000_000  # bytes on disk
# Half precision for what only training reads; thresholds are found on full precision. choose first: the given
# model's accuracy is on it.
PARTS: Mapping[str, type] = {"choose": np.float32, "screen": np.float32, "fit": np.float16}
LEARNT = ("screen", "fit")  # parts that shape heads


def search(
    source: Source,
    dense_heads: Mapping[Location, Sequence[Head]],
    offer: Offer,
    effort: Effort,
    *,
    seed: int,
    pinned: Collection[str],
    given: Callable[[Outcomes], None],
    progress: Progress,
) -> Candidates:
    """Extract, train, screen.

    ``given`` sees the given model's outcomes on choose before anything else is done: its accuracy is
    checked there. The temperature of every head that goes on is fitted on screen. ``pinned`` locations keep
    their heads whatever screening says, and get convolutional ones.
    """
    splits = source.splits
    work = HeadWork(
        source, effort, seed, pinned, progress, lambda choose: given(_outcomes(source, splits.choose, choose, ()))
    )
    groups = [tuple(heads) for heads in dense_heads.values() if heads]
    if not groups and not any(offer.heads.values()):
        choose, screen = work.answers("choose"), work.answers("screen")
        return Candidates(
            (), _outcomes(source, splits.screen, screen, ()), _outcomes(source, splits.choose, choose, ()), 0
        )
    # maps that will probably be learnt from come with the same pass, unless dense heads are remembered
    likely = offer.chosen()
    new = work.unanswered(groups, work.dense_plan) or not groups
    screen = work.read(groups, list(likely.values()) if new else ())
    judge = Judge(source, screen, pinned)
    judged = judge.paying(work.dense(groups, judge))
    places = worth_training(offer, judge, judged if groups else None, likely)
    work.ready(places)
    judged = judge.helping([*judged, *work.maps(places, judge)], offer.macs)
    limited = judge.limited(judged)
    if limited:
        work.open([limited])
        judged += work.dense([limited], judge)
    ordered = sorted(judged, key=_order)
    accuracy = {one.trained.head.key: judge.accuracy(one.screen()) for one in ordered}
    in_field = {one.trained.head.key: judge.worth(one.trained.head, one.screen()) for one in ordered}
    for one in ordered:
        head = one.trained.head
        progress.detail(f"{head.key}: {accuracy[head.key]:.2%} right on the validation set, {head.macs:,} MACs")
    kept = ordered
    if source.specific is None:  # accuracy says little of how surely a head knows a single class
        heads = [one.trained.head for one in ordered]
        right = {h.key: in_field[h.key] if h.knows else accuracy[h.key] for h in heads}
        front = {*selection.front(heads, right), *selection.front(heads, in_field)}
        kept = [one for one in ordered if one.trained.head in front]
    choose = work.answers("choose")
    final = [calibrated.deployed(source, calibrated.calibrated(source, one, screen)) for one in kept]
    return Candidates(
        tuple(one.trained for one in final),
        _outcomes(source, splits.screen, screen, [one.screen for one in final]),
        _outcomes(source, splits.choose, choose, [one.choose for one in final]),
        sum(map(len, [*groups, *places, limited])),
        lambda i: np.asarray(screen.probabilities if i < 0 else final[i].screen()),
        lambda i: np.asarray(choose.probabilities if i < 0 else final[i].choose()),
        _seen(source, screen),
    )


def worth_training(
    offer: Offer, judge: Judge, judged: Sequence[Judged] | None, near: Collection[Location]
) -> list[Sequence[Head]]:
    """The convolutional heads that are trained beside these dense ones, by location.

    ``judged`` : None: no dense heads were tried; ``near`` : as in Offer.chosen
    """
    tried = judged or ()
    settled = {one.trained.head.location for one in tried if judge.as_good_as_given(one.screen())}
    # what lets go one class alone says nothing of what other heads let go of all
    known = None if judge.specific or judged is None else {
        one.trained.head: judge.surely_leaving(one.screen()) for one in tried
    }  # fmt: skip
    return list(offer.without(settled).chosen(known, near).values())


def _seen(source: Source, screen: Features) -> Seen | None:
    """The given model on screen, which is of x_train."""
    if not source.labelled or source.blank:
        return None
    right = source.classifier.decision.answers(np.asarray(screen.probabilities))[1] == screen.labels
    return Seen("training", float(right.mean()), len(right))


def _order(judged: Judged) -> tuple[int, int, str]:
    head = judged.trained.head
    return head.location.after, head.macs, head.name


def _outcomes(
    source: Source, view: View, features: Features, heads: Sequence[Callable[[], NDArray[np.float32]]]
) -> Outcomes:
    """What heads say of a part, by their probabilities (n, outputs) there, and the given model last."""
    if source.blank:
        sure = [source.classifier.decision.answers(np.asarray(probabilities()))[0] for probabilities in heads]
        return Outcomes.before_any(sure, source.labels(features), groups=view.groups)
    classifiers: list[Callable[[], Any]] = [*heads, lambda: features.probabilities]
    pairs = [source.classifier.decision.answers(np.asarray(probabilities())) for probabilities in classifiers]
    labels = source.labels(features)
    return Outcomes(
        np.array([c for c, _ in pairs]),
        np.array([p for _, p in pairs]),
        labels,
        source.weights(labels),
        groups=view.groups,
    )


class HeadWork:
    """Features and heads of one run: what is remembered is opened, what is missing is made."""

    def __init__(
        self, source: Source, effort: Effort, seed: int, pinned: Collection[str], progress: Progress,
        first: Callable[[Features], None] | None = None,
    ) -> None:  # fmt: skip
        self.source, self.effort, self.pinned, self.progress = source, effort, pinned, progress
        self.dense_plan = dense_plan(effort, seed)
        self.map_plan = map_plan(effort, seed)
        self.views: dict[str, View] = {name: getattr(source.splits, name) for name in PARTS}
        self.first = first
        self.features: dict[str, Features] = {}

    @cached_property
    def labels(self) -> list[str] | None:
        """Hashes; without labels, heads learn answers of the given model, which the files of features stand for."""
        return [store.hashed(self.views[part].y) for part in LEARNT] if self.source.labelled else None

    def answers(self, part: str) -> Features:
        """The given model's on a part, with all that was extracted last."""
        if part not in self.features:
            self.extract([], [part], "the given model alone")
        return self.features[part]

    def read(self, groups: Sequence[Sequence[Head]], places: Sequence[Sequence[Head]]) -> Features:
        """What heads read that are not remembered, whole maps too if they have room; gives screen.

        On choose also what only the answers of remembered heads lack.
        """
        planned = ((groups, self.dense_plan), (places, self.map_plan))
        to_train = sources(heads for of, plan in planned for heads in self.lacking(of, plan))
        to_answer = sources(heads for of, plan in planned for heads in self.unanswered(of, plan))
        if not self.fits({"choose": to_answer, "screen": to_train, "fit": to_train}):
            to_train, to_answer = ([w for w in of if w.window is not None] for of in (to_train, to_answer))
        detail = _count(len(groups), "location")
        parts = LEARNT if to_train else ["screen"]
        if to_train == to_answer:
            self.extract(to_train, ["choose", *parts], detail)
        else:
            self.extract(to_answer, ["choose"], detail)
            self.extract(to_train, parts, detail)
        return self.features["screen"]

    def open(self, groups: Sequence[Sequence[Head]]) -> None:
        """What these heads read, unless it is at hand."""
        if not self.has(PARTS, sources(groups)):
            self.read(groups, ())

    def has(self, parts: Iterable[str], wanted: Sequence[Wanted]) -> bool:
        """Whether these tensors of the parts are at hand."""
        keys = {want.key for want in wanted}
        return all(part in self.features and keys <= self.features[part].tensors.keys() for part in parts)

    def ready(self, places: Sequence[Sequence[Head]]) -> None:
        """The maps that these heads read, in one pass if they have room."""
        read = sources(self.lacking(places, self.map_plan)), sources(self.unanswered(places, self.map_plan))
        for parts, wanted in zip((LEARNT, ["choose"]), read, strict=True):
            keys = {want.key for want in wanted}
            if not all(
                part in self.features and keys <= self.features[part].tensors.keys() for part in parts if keys
            ):
                self.read((), places)
                return

    def fits(self, wanted: Mapping[str, Sequence[Wanted]]) -> bool:
        """Whether the cache may hold all of it at once, by part."""
        extraction = self.source.extraction
        limit = extraction.cache.limit_bytes
        return limit is None or limit >= sum(
            extraction.need_bytes({self.views[part]: PARTS[part]}, of) for part, of in wanted.items()
        )

    def dense(self, groups: Sequence[Sequence[Head]], judge: Judge) -> list[Judged]:
        """Trained dense heads of all groups, a group to a thread."""
        todo = self.todo(groups, self.dense_plan, maps=False)
        todo.sort(key=lambda group: group.macs, reverse=True)  # none waits long
        if todo:
            workers = self.source.extraction.workers
            given = self.common(judge), todo, self.features
            if workers is None:
                done = together.in_threads(*given, self.source.extraction.threads, self.save)
            else:
                done = together.on_workers(*given, workers, self.save)
            self.counted(todo, done, _count(_heads(todo), "dense head"))
        return self.loaded(groups, self.dense_plan)

    def counted(self, groups: Sequence[Group], done: Generator[Group, None, None], detail: str) -> None:
        """Groups in any order, as a step of the run."""
        step = "heads" if any(group.known is None for group in groups) else "answers"
        with self.progress.step(step, detail), closing(done):
            for _ in counted(done, sum(group.macs for group in groups), lambda group: group.macs):
                pass

    def common(self, judge: Judge) -> Common:
        labels = self.features["fit"].labels if "fit" in self.features else np.zeros(0, np.int64)
        return Common(self.source.lesson, judge, labels)

    def todo(self, groups: Sequence[Sequence[Head]], plan: Plan, *, maps: bool) -> list[Group]:
        """Groups that are to be trained, or asked what they say of choose."""
        lacking = self.lacking(groups, plan)
        # read here: NumPy parses headers by Python's compiler, which several threads at once may confuse
        return [
            Group(heads, plan, maps, None if heads in lacking else store.trained(self.file(heads, plan), heads))
            for heads in self.unanswered(groups, plan)
        ]

    def save(self, group: Group, outcome: Outcome) -> None:
        if outcome.screen is not None:
            store.save(self.file(group.heads, group.plan), group.heads, outcome.trained, outcome.screen)
        store.save_answers(self.answers_file(group.heads, group.plan), outcome.trained, outcome.choose)

    def lacking(self, groups: Sequence[Sequence[Head]], plan: Plan) -> list[Sequence[Head]]:
        """Groups that are to be trained."""
        trusted = self.source.extraction.trusted
        return [heads for heads in groups if not trusted(self.file(heads, plan), "trained heads")]

    def unanswered(self, groups: Sequence[Sequence[Head]], plan: Plan) -> list[Sequence[Head]]:
        """Groups that are to be trained, or of which is not known what they say of choose."""
        trusted, lacking = self.source.extraction.trusted, self.lacking(groups, plan)
        return [
            heads for heads in groups
            if heads in lacking or not trusted(self.answers_file(heads, plan), "answers of heads")
        ]  # fmt: skip

    def loaded(self, groups: Sequence[Sequence[Head]], plan: Plan) -> list[Judged]:
        files = [(self.file(heads, plan), self.answers_file(heads, plan)) for heads in groups]
        return [one for heads, of in zip(groups, files, strict=True) for one in store.load(*of, heads)]

    def maps(self, groups: Sequence[Sequence[Head]], judge: Judge) -> list[Judged]:
        """Trained convolutional heads; on workers all locations side by side whose maps have room at once."""
        ready: list[Group] = []
        for group in self.todo(groups, self.map_plan, maps=True):
            parts, source = PARTS if group.known is None else ["choose"], training.wanted(group.heads[0])
            if not self.has(parts, [source]):
                self.train_maps(ready, judge)
                ready = []
                self.extract([source], list(parts), f"whole maps at {group.heads[0].location.name}")
            ready.append(group)
        self.train_maps(ready, judge)
        return self.loaded(groups, self.map_plan)

    def train_maps(self, groups: Sequence[Group], judge: Judge) -> None:
        common, workers = self.common(judge), self.source.extraction.workers
        groups = [group if group.known is not None else replace(group, moving=self.moving) for group in groups]
        if workers is None:
            for group in groups:
                detail = f"{_count(len(group.heads), 'convolutional head')} at {group.heads[0].location.name}"
                with self.progress.step("answers" if group.known is not None else "heads", detail):
                    self.save(group, together.trained(common, group, self.features, self.progress.advance))
        elif groups:
            groups.sort(key=lambda group: sum(selection.training_s(head, 1) for head in group.heads), reverse=True)
            detail = f"{_count(_heads(groups), 'convolutional head')} at {_count(len(groups), 'location')}"
            self.counted(groups, together.on_workers(common, groups, self.features, workers, self.save), detail)

    @cached_property
    def moving(self) -> tuple[bool, ...]:
        """Of every axis of a sample, whether it moves where samples pass often."""
        often = self.map_plan.for_samples(len(self.views["fit"])).epochs > maps.MANY_PASSES
        return moving.axes(self.source, self.features["fit"]) if often else ()

    def file(self, heads: Sequence[Head], plan: Plan) -> Path:
        """Where these heads are kept once they are trained; its name holds all that shaped them."""
        source, extraction = self.source, self.source.extraction
        facts: dict[str, Any] = {
            "labels": self.labels,
            "pinned": heads[0].location.name in self.pinned,
            "threads": extraction.threads,
            "classes": None if source.specific is None else source.specific.classes,
        }
        if source.blank:  # their targets are labels alone
            facts["blank"] = True
        if heads[0].location.at_input and source.priors is not None:
            facts["priors"] = sorted(source.priors.items())  # which of them go on is weighted
        return store.file(extraction.folder, heads, plan, self.read_by(heads, LEARNT), facts)

    def answers_file(self, heads: Sequence[Head], plan: Plan) -> Path:
        """Where it is kept what these heads say of choose."""
        return store.answers_file(self.file(heads, plan), self.read_by(heads, ["choose"]))

    def read_by(self, heads: Sequence[Head], parts: Sequence[str]) -> list[Path]:
        """The files of features that heads read on these parts."""
        file = self.source.extraction.file
        return [file(self.views[part], want, PARTS[part]) for want in sources([heads]) for part in parts]

    def extract(self, wanted: Sequence[Wanted], parts: Sequence[str], detail: str) -> None:
        """Tensors on these parts into ``features``; the first pass over choose is shown to ``first``."""
        extraction, progress = self.source.extraction, self.progress
        views = {name: self.views[name] for name in parts}
        kept = {view: PARTS[name] for name, view in views.items()}
        missing, model = extraction.missing(kept, wanted), b""
        if missing:
            need = extraction.need_bytes(kept, wanted)
            tell = progress.note if need >= WORTH_SAYING else progress.detail
            tell(f"features ({detail}) take {need / 1e9:.2f} GB in {extraction.cache.directory}")
            extraction.cache.make_room(need)
            with progress.step("convert", detail):
                model = extraction.convert(missing)
        total, before = sum(map(len, views.values())), 0
        with progress.step("features", detail if missing else f"{detail}, kept from an earlier run"):
            for name, view in views.items():
                self.features[name] = extraction.extract(
                    view, wanted, (missing, model), precision=PARTS[name],
                    progress=lambda done, of, start=before: progress.advance(start + done, total),  # type: ignore[misc]
                )  # fmt: skip
                before += len(view)
                if name == "choose" and self.first is not None:
                    self.first(self.features[name])
                    self.first = None


def sources(groups: Iterable[Sequence[Head]]) -> list[Wanted]:
    """What these heads read, each once."""
    return list(dict.fromkeys(want for heads in groups for head in heads for want in training.sources(head)))


def _heads(groups: Iterable[Group]) -> int:
    return sum(len(group.heads) for group in groups)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
