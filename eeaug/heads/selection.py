"""Which heads are worth going on with: judged on the screen part, which no head was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from eeaug.heads.design import Head
from eeaug.locations import Location

__all__ = ["DROPS", "best_by_value", "for_maps", "front", "promising", "saving"]

DROPS = (0.0, 0.005, 0.01, 0.02, 0.03)  # of accuracy, at which heads are compared


def promising(heads: Sequence[Head], right: Mapping[str, NDArray[np.bool_]], chance: float) -> set[str]:
    """Keys of heads that may become useful, after their first epoch.

    right: Head.key → bool (n,), where it is right on screen. Dropped are heads no better than ``chance``, the
    share of the largest class (within two standard errors), and those that a cheaper head at the same
    location beats by more than two standard errors.
    """
    share = {key: float(r.mean()) for key, r in right.items()}
    n = len(next(iter(right.values()), ()))
    spread = 2 * np.sqrt(0.25 / max(n, 1))
    least = chance + 2 * np.sqrt(chance * (1 - chance) / max(n, 1))
    kept = {h.key for h in heads if share.get(h.key, 0.0) > least}
    for head in heads:
        rivals = [r for r in heads if r.location == head.location and r.key in share and _macs(r) < _macs(head)]
        if head.key in kept and any(share[r.key] > share[head.key] + spread for r in rivals):
            kept.discard(head.key)
    return kept


def saving(
    head: Head,
    confidence: NDArray[np.float32],
    right: NDArray[np.bool_],
    given_right: NDArray[np.bool_],
    total_macs: int,
) -> float:
    """Share of mean MACs that this exit alone saves, ≥ 0: the mean over DROPS, which the drop may not exceed.

    confidence, right: (n,), the head's; given_right (n,): where the given model is right. Every confidence is
    tried as threshold: a ranking of heads, not a promise. It does not know the budget of the run, so that heads
    serve whatever budget comes next.
    """
    order = np.argsort(-confidence, kind="stable")
    lost = given_right.astype(np.int64) - right
    drop = np.concatenate([[0], np.cumsum(lost[order])]) / len(right)
    leave = np.array([np.flatnonzero(drop <= most).max() for most in DROPS]) / len(right)
    saved = leave * head.location.remaining_macs - _macs(head)
    return float(np.maximum(0.0, saved / total_macs).mean())


def front(heads: Sequence[Head], accuracy: Mapping[str, float]) -> tuple[Head, ...]:
    """Heads that no other at the same location beats in both cost and accuracy; order kept."""
    return tuple(
        h
        for h in heads
        if not any(
            r.location == h.location
            and (_macs(r), -accuracy[r.key]) != (_macs(h), -accuracy[h.key])
            and _macs(r) <= _macs(h)
            and accuracy[r.key] >= accuracy[h.key]
            for r in heads
        )
    )


def for_maps(value: Mapping[Location, float], count: int, total_macs: int) -> tuple[Location, ...]:
    """Locations that get convolutional heads: the most valuable, at least a tenth of the backbone apart.

    ``value`` is the best saving of a pooled head at each location. Neighbours would only do the same again.
    """
    chosen: list[Location] = []
    for location in sorted(value, key=lambda at: (-value[at], at.after)):
        apart = all(abs(location.remaining_macs - other.remaining_macs) >= 0.1 * total_macs for other in chosen)
        if apart and len(chosen) < count:
            chosen.append(location)
    return tuple(sorted(chosen, key=lambda at: at.after))


def best_by_value(value: Mapping[str, float], count: int) -> set[str]:
    """The keys with the highest values; ties by name."""
    return set(sorted(value, key=lambda key: (-value[key], key))[:count])


def _macs(head: Head) -> int:
    return sum(head.cost().macs.values())
