"""Which heads are worth training, and which of them going on with: judged on screen, which none was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from eeaug.heads.layers import Head, convolutions
from eeaug.network.locations import Location

__all__ = ["front", "leaving", "pass_s", "promising", "spread", "training_s"]

FIRST, LAST = (
    0.08,
    0.63,
)  # shares of the backbone's MACs between which heads are tried that are not tried everywhere
ALLOWED = 0.01  # of the accuracy, for what leaves at a head by itself
# Seconds of one core per sample that trains: of every convolution, of each element that it reads and writes (writes
# twice, where batch normalisation follows), and of each MAC, forward and back.
LAYER_S, ELEMENT_S, MAC_S = 5.6e-6, 5.5e-10, 4.6e-11
PASSED_MACS_PER_S = 1.5e11


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
        rivals = [r for r in heads if r.location == head.location and r.key in share and r.macs < head.macs]
        if head.key in kept and any(share[r.key] > share[head.key] + spread for r in rivals):
            kept.discard(head.key)
    return kept


def leaving(
    confidence: NDArray[np.float32],
    right: NDArray[np.bool_],
    given_right: NDArray[np.bool_],
    here: NDArray[np.bool_],
    weights: NDArray[np.float64] | None = None,
    allowed: float = ALLOWED,
) -> float:
    """The largest share of samples (n,) that leaves at a threshold and costs at most ``allowed`` of the accuracy.

    right, given_right : whether head and given model are; here : the samples that may leave at all
    """
    counts = np.ones(len(right)) if weights is None else weights
    order = np.flatnonzero(here)[np.argsort(-confidence[here], kind="stable")]
    left = np.cumsum(counts[order]) / counts.sum()
    lost = np.cumsum((counts * (given_right.astype(int) - right))[order]) / counts.sum()
    ends = np.append(np.diff(confidence[order]) != 0, True)[: len(order)]  # equal confidences leave together
    return float(left[ends & (lost <= allowed)].max(initial=0.0))


def front(heads: Sequence[Head], accuracy: Mapping[str, float]) -> tuple[Head, ...]:
    """Heads that no other at the same location, for the same classes, beats in cost and accuracy; order kept."""
    return tuple(
        h
        for h in heads
        if not any(
            (r.location, r.knows) == (h.location, h.knows)
            and (r.macs, -accuracy[r.key]) != (h.macs, -accuracy[h.key])
            and r.macs <= h.macs
            and accuracy[r.key] >= accuracy[h.key]
            for r in heads
        )
    )


def spread(locations: Sequence[Location], count: int, total_macs: int) -> tuple[Location, ...]:
    """``count`` locations, evenly over the backbone's MACs from FIRST to LAST.

    How much one exit saves hardly depends on its place once its head is good: 41, 37 and 37 % on a ResNet-110
    after 11, 19 and 33 % of its MACs. Of all pairs on three backbones an early one and one past the middle save
    most.
    """
    chosen: list[Location] = []
    for share in np.linspace(FIRST, LAST, count):
        target = (1 - share) * total_macs
        rest = [at for at in locations if at not in chosen]
        chosen += sorted(rest, key=lambda at: (abs(at.remaining_macs - target), at.after))[:1]
    return tuple(sorted(chosen, key=lambda at: at.after))


def training_s(head: Head, samples: int) -> float:
    """About how long ``samples`` take through a convolutional head and back, in seconds of one core.

    Fitted to 34 heads of all families on maps and signals, in batches of 64, 1.3 to 17 ms a step: 0.5 to 1.4 times
    what was measured. By MACs alone it is 0.3 to 2: 380,000 on a 48×48 map take as long as 2.2 million on 16×16.
    """
    layers = elements = 0
    for step, before, _ in head.shapes():
        for convolution, read in convolutions(step, before):
            layers += 1
            elements += prod(read) + (2 if convolution.then else 1) * prod(convolution.shape(read))
    return samples * (LAYER_S * layers + ELEMENT_S * elements + MAC_S * head.macs)


def pass_s(macs: int, samples: int) -> float:
    """About how long the backbone takes for ``samples``, in seconds of two cores."""
    return samples * macs / PASSED_MACS_PER_S
