"""What screen, which no head was trained on, says of heads: which of them training goes on with."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade import temperature
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import BLANK, SOMETHING
from eeaug.features import Features
from eeaug.heads import families, packing, selection
from eeaug.heads.layers import Head
from eeaug.heads.store import Judged
from eeaug.heads.supervision import Source
from eeaug.settings import Contradiction

__all__ = ["Judge", "check_better_than_chance"]

LEAVING = 0.05  # of all samples: what a head on the input must let go for a point, or is given up
KNOWN = 2  # classes at most that a head for some of them knows


class Judge:
    """Heads judged on screen."""

    def __init__(self, source: Source, screen: Features, pinned: Collection[str]) -> None:
        self.decision, self.specific, self.blank = source.decision, source.specific is not None, source.blank
        self.labels = source.codes(screen)
        self.given_right = self.decision.answers(source.given_answers(screen))[1] == self.labels
        self.chance = float(np.unique(self.labels, return_counts=True)[1].max() / len(self.labels))
        self.weights = source.weights(source.labels(screen))
        self.pinned = pinned

    def right(self, probabilities: NDArray[np.float32]) -> NDArray[np.bool_]:
        return np.asarray(self.decision.answers(probabilities)[1] == self.labels)

    def accuracy(self, probabilities: NDArray[np.float32]) -> float:
        return float(self.right(probabilities).mean())

    def loss(self, probabilities: NDArray[np.float32]) -> float:
        """The mean cross entropy: what training makes small, and finer than shares of what is right."""
        return temperature.cross_entropy(probabilities, self.labels, self.decision)

    def worth(self, head: Head, probabilities: NDArray[np.float32]) -> float:
        """What a head is good for where classes are as frequent as priors say: how often it is right, on the input
        what it lets leave."""
        if head.location.at_input or self.blank:
            return self.leaving(probabilities)
        return float(np.average(self.right(probabilities), weights=self.weights))

    def as_good_as_given(self, probabilities: NDArray[np.float32]) -> bool:
        """Beyond two standard errors: no other head could let more samples leave."""
        if self.specific or self.blank:
            return False
        margin = 2 * np.sqrt(0.25 / len(self.labels))
        return bool(self.accuracy(probabilities) - margin >= float(self.given_right.mean()))

    def promising(self, heads: Sequence[Head], probabilities: Mapping[str, NDArray[np.float32]]) -> set[str]:
        """Keys of the heads of one location that training goes on with.

        On the input a head may be right about little and still pay, if it knows what it is right about.
        """
        known = self.specific or self.blank  # accuracy says little of what such heads let go
        anyway = {h.key for h in heads if known or h.location.name in self.pinned}
        if heads[0].location.at_input:
            return anyway | {key for key, p in probabilities.items() if self.leaving(p) >= LEAVING}
        right = {key: self.right(p) for key, p in probabilities.items()}
        return selection.promising(heads, right, self.chance) | anyway

    def paying(self, judged: Sequence[Judged]) -> list[Judged]:
        """Without ``hidden`` heads that are not clearly better than each cheaper dense one of their place.

        Clearly: by a standard error, of the samples that one of the two alone is right about. Of more heads one is
        more often best by chance, and of few samples that is most of it.
        """
        kept = [one for one in judged if one.trained.head.family != "hidden"]
        for one in judged:
            head = one.trained.head
            rivals = [
                r for r in judged if r.trained.head.location == head.location and r.trained.head.macs < head.macs
            ]
            if head.family == "hidden" and all(self._clearly(one.screen(), r.screen()) for r in rivals):
                kept.append(one)
        return kept

    def helping(self, judged: Sequence[Judged], macs: int) -> list[Judged]:
        """Without ``hidden`` heads of no help: the best one or two exits save hardly more with them.

        ``macs``: of the backbone. It knows screen by heart: designs that save nearly the same are told apart badly.
        """
        shares = {one.trained.head: self.surely_leaving(one.screen()) for one in judged}
        tried = {h for h in shares if h.family == "hidden" and h.location.name not in self.pinned}
        if self.specific or len(tried) == len(shares):
            return list(judged)
        dropped = tried - packing.helping(shares, macs, tried)
        return [one for one in judged if one.trained.head not in dropped]

    def _clearly(self, probabilities: NDArray[np.float32], rival: NDArray[np.float32]) -> bool:
        a, b = self.right(probabilities), self.right(rival)
        return bool(float(a.sum()) - float(b.sum()) > np.sqrt((a != b).sum()))

    def leaving(self, probabilities: NDArray[np.float32], cls: int | None = None) -> float:
        """Share of samples, weighted by priors, that may leave at a head for a point; ``cls``: as that class."""
        if self.blank:
            return self._leaving_as_nothing(probabilities, selection.ALLOWED)
        confidence, predicted = self.decision.answers(probabilities)
        here = np.ones(len(predicted), bool) if cls is None else predicted == cls
        return selection.leaving(confidence, predicted == self.labels, self.given_right, here, self.weights)

    def surely_leaving(self, probabilities: NDArray[np.float32]) -> float:
        """The same, if one sample more were lost than is: of few samples little is known."""
        if self.blank:
            something = max(1, int((self.labels == SOMETHING).sum()))
            return self._leaving_as_nothing(probabilities, selection.ALLOWED - 1 / something)
        confidence, predicted = self.decision.answers(probabilities)
        right, here = predicted == self.labels, np.ones(len(predicted), bool)
        allowed = selection.ALLOWED - 1 / len(predicted)
        return selection.leaving(confidence, right, self.given_right, here, self.weights, allowed)

    def _leaving_as_nothing(self, probabilities: NDArray[np.float32], allowed: float) -> float:
        """Share of samples that may leave as nothing where so much of those with something may be lost."""
        nothing, everyone = self.labels == BLANK, np.ones(len(self.labels), bool)
        most = allowed * float((~nothing).mean())
        return selection.leaving(1 - probabilities[:, 0], nothing, everyone, everyone, allowed=most)

    def limited(self, judged: Sequence[Judged]) -> tuple[Head, ...]:
        """Of trained heads on the input, the same for the class, or the two, that most would leave as.

        None where no class brings enough, or where a head's answer is not one of three classes or more.
        """
        at_input = [one for one in judged if one.trained.head.location.at_input]
        if not at_input or self.specific or self.decision.kind != "softmax":
            return ()
        answers = [one.screen() for one in at_input]
        share = {c: max(self.leaving(p, c) for p in answers) for c in range(self.decision.classes)}
        known = [c for c in sorted(share, key=lambda c: -share[c]) if share[c] >= LEAVING][:KNOWN]
        return tuple(
            families.limited(one.trained.head, sorted(known[:count]))
            for one in at_input
            if len(one.trained.head.dense) == 1
            for count in range(1, min(len(known), self.decision.classes - 2) + 1)
        )


def check_better_than_chance(outcomes: Outcomes, *, allow: bool, background: Collection[int] = ()) -> None:
    """Stop when the given model is no better than always naming the largest class (+ 2 standard errors).

    ``background``: classes of streams that are no event. Always naming silence is hard to beat where it lasts, so
    being better than chance on the events is enough.

    Raises
    ------
    Contradiction : the preprocessing is wrong, or the samples are from elsewhere
    """
    events = ~np.isin(outcomes.labels, list(background))
    accuracy, limit = _and_by_chance(outcomes)
    if allow or accuracy > limit:
        return
    if background and events.any() and np.greater(*_and_by_chance(outcomes.only(events))):
        return
    raise Contradiction(
        f"the given model is right on {accuracy:.1%} of the calibration samples, no better than chance "
        f"({limit:.1%}, from the largest class): samples are not prepared as in training (preprocessing in "
        ".data.yaml), or come from elsewhere (other people, devices), or labels are numbered in another way; "
        "{allow_chance} goes on"
    )


def _and_by_chance(outcomes: Outcomes) -> tuple[float, float]:
    """The given model's accuracy, and what always naming the largest class comes to, with 2 standard errors."""
    accuracy, labels = float(outcomes.correct[-1].mean()), outcomes.labels
    share = float(np.unique(labels, return_counts=True)[1].max() / len(labels))
    return accuracy, share + 2 * float(np.sqrt(share * (1 - share) / len(labels)))
