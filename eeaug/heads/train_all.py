"""From locations to trained exits with their outcomes: the expensive part of a search.

One pass over the data for pooled features, the dense heads of all locations, then the convolutional heads that
promise most beside them. What an earlier run has left is not done again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade import temperature
from eeaug.cascade.outcomes import Outcomes
from eeaug.data import View
from eeaug.data.plausibility import Seen
from eeaug.features import Features, Wanted
from eeaug.heads import dense, maps, moving, selection, store, training
from eeaug.heads.candidates import Candidates
from eeaug.heads.judge import Judge
from eeaug.heads.layers import Head
from eeaug.heads.packing import Offer
from eeaug.heads.planning import dense_plan, map_plan
from eeaug.heads.store import Judged
from eeaug.heads.supervision import Source
from eeaug.heads.training import Plan
from eeaug.network.locations import Location
from eeaug.settings import Effort
from eeaug.support.progress import Progress, counted

__all__ = ["HeadWork", "search", "sources", "worth_training"]

COLDEST = 0.5  # a lower temperature would press most confidences of a good exit to 1, where none tells them apart
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
    calibrated = [_deployed(source, _calibrated(source, one, screen)) for one in kept]
    return Candidates(
        tuple(one.trained for one in calibrated),
        _outcomes(source, splits.screen, screen, [one.screen for one in calibrated]),
        _outcomes(source, splits.choose, choose, [one.choose for one in calibrated]),
        sum(map(len, [*groups, *places, limited])),
        lambda i: np.asarray(screen.probabilities if i < 0 else calibrated[i].screen()),
        lambda i: np.asarray(choose.probabilities if i < 0 else calibrated[i].choose()),
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


def _calibrated(source: Source, judged: Judged, screen: Features) -> Judged:
    """The head with a temperature in its last layer, fitted on screen: choose only says how well it does."""
    decision, weights = source.decision, source.weights(source.labels(screen))
    fitted = temperature.temperature(judged.screen(), source.codes(screen), decision, weights)
    heat = max(COLDEST, fitted)
    return replace(
        judged,
        trained=training.folded(judged.trained, heat),
        screen=lambda: temperature.tempered(judged.screen(), decision, heat),
        choose=lambda: temperature.tempered(judged.choose(), decision, heat),
    )


def _deployed(source: Source, judged: Judged) -> Judged:
    """The head as stages have it, with an output for every class."""
    specific = source.specific
    if specific is None:
        return judged
    return replace(
        judged,
        trained=specific.deployed(judged.trained),
        screen=lambda: specific.widened(judged.screen()),
        choose=lambda: specific.widened(judged.choose()),
    )


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
        plan, features = self.dense_plan, self.features
        lacking, unanswered = self.lacking(groups, plan), self.unanswered(groups, plan)
        # read here: NumPy parses headers by Python's compiler, which several threads at once may confuse
        files = {id(heads): self.file(heads, plan) for heads in unanswered}
        known = {id(heads): store.trained(files[id(heads)], heads) for heads in unanswered if heads not in lacking}

        def work(heads: Sequence[Head]) -> None:
            if heads in lacking:
                fit, screen = features["fit"], features["screen"]
                keep = partial(judge.promising, heads)
                targets = partial(self.source.distilled, fit)
                trained = dense.train(heads, fit, targets, screen, plan, keep, judge.loss)
                store.save(files[id(heads)], heads, trained, [dense.predict(t, screen) for t in trained])
            else:
                trained = known[id(heads)]
            answers = [dense.predict(t, features["choose"]) for t in trained]
            store.save_answers(self.answers_file(heads, plan), trained, answers)

        if unanswered:
            step, detail = "heads" if lacking else "answers", _count(sum(map(len, unanswered)), "dense head")
            unanswered.sort(key=lambda heads: sum(head.macs for head in heads), reverse=True)  # none waits long
            with self.progress.step(step, detail), dense.threads(self.source.extraction.threads) as pool:
                running = {pool.submit(work, heads): sum(head.macs for head in heads) for heads in unanswered}
                for one in counted(as_completed(running), sum(running.values()), running.__getitem__):
                    one.result()
        return self.loaded(groups, plan)

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
        """Trained convolutional heads, a location after the other; maps that had no room come one by one."""
        plan = self.map_plan
        lacking = self.lacking(groups, plan)
        for heads in self.unanswered(groups, plan):
            name, source, file = heads[0].location.name, training.wanted(heads[0]), self.file(heads, plan)
            parts = list(PARTS) if heads in lacking else ["choose"]
            if any(part not in self.features or source.key not in self.features[part].tensors for part in parts):
                self.extract([source], parts, f"whole maps at {name}")
            detail = f"{_count(len(heads), 'convolutional head')} at {name}"
            with self.progress.step("heads" if heads in lacking else "answers", detail):
                if heads in lacking:
                    fit, screen = self.features["fit"], self.features["screen"]
                    trained = maps.train(
                        heads, fit, partial(self.source.distilled, fit), screen, plan,
                        partial(judge.promising, heads), self.progress.advance, moving=self.moving,
                    )  # fmt: skip
                    store.save(file, heads, trained, [maps.predict(t, screen) for t in trained])
                trained = store.trained(file, heads)
                answers = [maps.predict(t, self.features["choose"]) for t in trained]
                store.save_answers(self.answers_file(heads, plan), trained, answers)
        return self.loaded(groups, plan)

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


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
