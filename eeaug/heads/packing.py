"""Which convolutional heads to train: those that promise most beside the dense heads, which are trained by then.

What an untrained head will let leave is not known. Many possibilities are drawn; a set of heads is worth what the
best one or two exits of it, or of the dense heads, save on average. So a second head at a place is worth something,
as it is not known which will be the better one, and one is worth little where dense heads let nearly all leave.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eeaug.heads.layers import Head
from eeaug.heads.selection import pass_s, training_s
from eeaug.network.locations import Location

__all__ = ["Offer", "Worth", "helping", "packed"]

MOST_PLACES = 6  # locations with convolutional heads: each has its maps in the cache
# Of what dense heads keep, a head with so many MACs per value of its tensor lets half leave; with a tenth of them a
# tenth of it.
HALVING = 50
DRAWS = 64
# Standard deviations of the logarithm by which a head is better or worse than that: what heads of a place have in
# common, and what each has by itself.
PLACE_SPREAD, HEAD_SPREAD = 0.8, 0.4
KEPT_S = 6e-9  # seconds that an element of a sample's map takes until it is in the cache
# Of the backbone's MACs: what a head must promise to save that takes all of the time; others in proportion.
LEAST = 0.01


@dataclass(frozen=True)
class Offer:
    """Convolutional heads that may be trained, by location, the dearest first.

    samples : to train on; seen : how many a head sees, in all passes; limit_s : for all, in seconds of one core;
    macs : of the backbone; pinned : locations that get a head in any case
    """

    heads: Mapping[Location, tuple[Head, ...]]
    samples: int
    seen: int
    limit_s: float
    macs: int
    pinned: Collection[str] = ()

    def without(self, locations: Collection[Location]) -> Offer:
        """The same, but at these locations only where they are pinned."""
        kept = {at: h for at, h in self.heads.items() if at not in locations or at.name in self.pinned}
        return replace(self, heads=kept)

    def chosen(
        self, dense: Mapping[Head, float] | None = None, near: Collection[Location] | None = None
    ) -> dict[Location, tuple[Head, ...]]:
        """Those to train, in the order of :attr:`heads`.

        dense : trained heads → the share of samples that may leave at each by itself. None: they are not known;
        what has left by a place is then taken to be the share of the MACs that are done by then.
        near : locations with maps at hand, others take another pass of the backbone. None: maps come with the pass
        that is made anyway. Where they are not at hand, the time to keep them counts.
        """
        heads = [head for mine in self.heads.values() for head in mine]
        if not heads:
            return {}
        worth = Worth.of(heads, dense, self.macs)
        best = self._packed(heads, worth, self.limit_s, near)
        if near is not None:
            anywhere = self._packed(heads, worth, self.limit_s - pass_s(self.macs, self.samples), None)
            best = max(best, anywhere, key=lambda chosen: worth.with_each(chosen)[-1])
        chosen = {heads[i] for i in best}
        kept = {at: tuple(h for h in mine if h in chosen) for at, mine in self.heads.items()}
        return {at: mine for at, mine in kept.items() if mine}

    def _packed(
        self, heads: Sequence[Head], worth: Worth, limit_s: float, near: Collection[Location] | None
    ) -> list[int]:
        """At the locations ``near``; None: at all."""
        names = [head.location.name for head in heads]
        forced = [names.index(name) for name in dict.fromkeys(self.pinned) if name in names]
        seconds = np.array([training_s(head, self.seen) for head in heads])
        seconds[[near is not None and head.location not in near for head in heads]] = np.inf
        keeping = {at.name: self.samples * at.elements * KEPT_S for at in self.heads}
        return packed(
            worth, seconds, limit_s, names, keeping if near is None else dict.fromkeys(keeping, 0.0), forced
        )


class Worth:
    """What sets of exits save on average, as a share of the backbone's MACs.

    pairs (draws, n, n) : what exits a and b save together where a stands before b, a alone where they are the same,
    else nothing; exits from ``count`` on are there in any case
    """

    def __init__(self, pairs: NDArray[np.float32], count: int) -> None:
        self.pairs, self.count = pairs, count
        self.there = list(range(count, pairs.shape[1]))

    @classmethod
    def of(cls, heads: Sequence[Head], dense: Mapping[Head, float] | None, macs: int) -> Worth:
        """Of heads that are not trained, beside ``dense`` ones, as :meth:`Offer.chosen` has them.

        Of dense ones at one place the best is enough.
        """
        best: dict[Location, tuple[float, Head]] = {}
        for head, rate in (dense or {}).items():
            saved = rate * head.location.remaining_macs - head.macs
            best[head.location] = max(best.get(head.location, (saved, head)), (saved, head), key=lambda one: one[0])
        exits = [*heads, *(head for _, head in best.values())]
        if dense is None:
            gone = [1 - head.location.remaining_macs / macs for head in heads]
        else:
            gone = [
                max((q for d, q in dense.items() if d.location.after <= head.location.after), default=0.0)
                for head in heads
            ]
        known = np.array([dense[head] for _, head in best.values()] if dense else [], np.float32)
        q = np.concatenate([_drawn(heads, gone), np.tile(known, (DRAWS, 1))], axis=1)
        return cls(_pairs(exits, q, macs), len(heads))

    def with_each(self, chosen: Sequence[int]) -> NDArray[np.float64]:
        """What ``chosen`` are worth together with each of the heads, (count,), and by themselves, last."""
        rows = [*chosen, *self.there]
        best = np.zeros(len(self.pairs), np.float32)
        reach = np.zeros((len(self.pairs), self.count), np.float32)
        if rows:
            best = np.maximum(best, self.pairs[:, rows][:, :, rows].max(axis=(1, 2)))
            reach = np.maximum(
                self.pairs[:, rows, : self.count].max(axis=1), self.pairs[:, : self.count, rows].max(axis=2)
            )
        each = np.arange(self.count)
        reach = np.maximum(np.maximum(reach, self.pairs[:, each, each]), best[:, None])
        return np.append(reach.mean(axis=0, dtype=np.float64), best.mean(dtype=np.float64))


def _pairs(exits: Sequence[Head], q: NDArray[np.float32], macs: int) -> NDArray[np.float32]:
    """What exits that let ``q`` (draws, n) leave save alone and in pairs, as ``Worth.pairs``.

    What leaves early is what is easy, so an exit behind others lets go the difference; with MACs r behind the exits
    and h of their heads: q_a r_a − h_a + max(0, q_b − q_a) r_b − (1 − q_a) h_b.
    """
    r = np.array([head.location.remaining_macs / macs for head in exits], np.float32)
    h = np.array([head.macs / macs for head in exits], np.float32)
    after = np.array([head.location.after for head in exits], int)
    alone = q * r - h
    pairs = alone[:, :, None] + np.maximum(0, q[:, None] - q[:, :, None]) * r - (1 - q[:, :, None]) * h
    pairs[:, after[:, None] >= after] = 0
    each = np.arange(len(exits))
    pairs[:, each, each] = alone
    return np.asarray(pairs, np.float32)


def helping(shares: Mapping[Head, float], macs: int, tried: Collection[Head]) -> set[Head]:
    """Those of ``tried`` trained heads with which one or two exits save LEAST more than without any of them.

    shares : of all trained heads, what may leave at each
    """
    heads = list(shares)
    pairs = _pairs(heads, np.array([list(shares.values())], np.float32), macs)[0]
    others = [i for i, head in enumerate(heads) if head not in tried]
    without = float(pairs[np.ix_(others, others)].max(initial=0.0))
    best = np.maximum(pairs.max(axis=0, initial=0.0), pairs.max(axis=1, initial=0.0))
    return {head for head, saved in zip(heads, best, strict=True) if head in tried and saved > without + LEAST}


def _drawn(heads: Sequence[Head], gone: Sequence[float]) -> NDArray[np.float32]:
    """What untrained heads may let leave, (DRAWS, heads), where dense ones up to there let ``gone`` leave."""
    rng = np.random.default_rng(0)
    names = list(dict.fromkeys(head.location.name for head in heads))
    places = [names.index(head.location.name) for head in heads]
    luck = PLACE_SPREAD * rng.standard_normal((DRAWS, len(names)))[:, places]
    luck += HEAD_SPREAD * rng.standard_normal((DRAWS, len(heads)))
    size = np.array([head.macs / (HALVING * head.location.elements) for head in heads])
    return np.asarray(1 - (1 - np.array(gone)) / (1 + size * np.exp(luck)), np.float32)


def packed(
    worth: Worth, seconds: NDArray[np.float64], limit_s: float, places: Sequence[str], keeping: Mapping[str, float],
    forced: Sequence[int] = (),
) -> list[int]:  # fmt: skip
    """The heads to train: about the best set within ``limit_s`` and MOST_PLACES places.

    seconds, places (count,) : of each head; keeping : seconds that the maps of a place take.
    Best is what is worth most when all of the time costs LEAST. ``forced`` heads are in it whatever they take, and
    the quickest where none has room. Filled by gain per second and by gain, either improved by exchanges of
    one for one as long as that helps.
    """
    price = LEAST * seconds / max(limit_s, 1e-9)

    def values(chosen: Sequence[int]) -> NDArray[np.float64]:
        """Of the set with each head, and as it is, last."""
        return np.asarray(worth.with_each(chosen) - np.append(price, 0) - price[list(chosen)].sum())

    def room(chosen: Sequence[int]) -> bool:
        there = {places[i] for i in chosen}
        spent = seconds[list(chosen)].sum() + sum(keeping[name] for name in there)
        return bool(spent <= limit_s and len(there) <= MOST_PLACES)

    def filled(chosen: Sequence[int], priority: NDArray[np.float64]) -> list[int]:
        chosen = list(chosen)
        while True:
            *each, now = values(chosen)
            gains = np.array(each) - now
            fitting = [i for i in range(worth.count) if gains[i] > 0 and i not in chosen and room([*chosen, i])]
            if not fitting:
                return chosen
            chosen.append(max(fitting, key=lambda i: gains[i] * priority[i]))

    def exchanged(chosen: list[int]) -> list[int]:
        while True:
            value, better = values(chosen)[-1], chosen
            for out in sorted(set(chosen) - set(forced)):
                rest = [i for i in chosen if i != out]
                for i, other in enumerate(values(rest)[:-1]):
                    if i not in chosen and other > value + 1e-9 and room([*rest, i]):
                        value, better = other, [*rest, i]
            if better is chosen:
                return chosen
            chosen = filled(better, 1 / seconds)

    if not forced and worth.count and not any(room([i]) for i in range(worth.count)):
        return [int(seconds.argmin())]
    tried = [exchanged(filled(forced, priority)) for priority in (1 / seconds, np.ones_like(seconds))]
    best = max(tried, key=lambda chosen: float(values(chosen)[-1]))
    return sorted(best)
