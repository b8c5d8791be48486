"""Which samples serve what: fitting heads, screening them, choosing, and the measurement at the end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eeaug.data.samples import Data, Part, View
from eeaug.errors import InputError

__all__ = ["Splits", "split"]

SCREEN_SHARE = 0.1  # of x_train
CHOOSE_SHARE_OF_TRAIN = 0.2  # where neither x_val nor x_test is given
CHOOSE_SHARE_OF_TEST = 0.5  # where x_val is not given
CHOOSE_SHARE_OF_HELD = 1 / 3  # where the rest has to certify
SPLIT_SEEDS = {"screen": 1, "choose": 2, "certify": 3}  # a stream of random numbers for each split


@dataclass(frozen=True, eq=False)
class Splits:
    """Which samples serve what; ``notes`` say what a user must know about it.

    ``held`` are choose and certify together: features do not depend on how they are divided.
    """

    fit: View
    screen: View
    held: View
    choose: View
    certify: View | None
    test: View | None
    notes: tuple[str, ...]

    def rows(self, view: View) -> np.ndarray:
        """Where the samples of choose or certify are among those of held, (len(view),)."""
        return np.searchsorted(self.held.indices, view.indices)


def split(data: Data, *, seed: int, certify: bool = False, on_train: bool = False) -> Splits:
    """Decide which samples serve what; seeded, stratified by label (where there are labels), groups kept whole.

    Parameters
    ----------
    certify : two thirds of what would serve as choose prove a guarantee instead
    on_train : a part of x_train serves as choose, whatever else is given

    Raises
    ------
    InputError
        Without ``x_train``, where a part cannot be divided (one group, too few samples), or where samples that
        the model has seen would have to certify.
    """
    if data.train is None:
        raise InputError(f"{data.source}: x_train is missing; exit heads need training data")
    notes = list(data.notes)
    rest = np.arange(len(data.train))
    test = None if data.test is None else View(data.test, np.arange(len(data.test)))
    unseen = not on_train and (data.val is not None or data.test is not None)
    if not unseen:
        chosen, rest = _divide(data.train, rest, "choose", CHOOSE_SHARE_OF_TRAIN, seed)
        held = View(data.train, chosen)
        why = "--calibrate-on train" if on_train else "no x_val and no x_test"
        notes.append(
            f"{why}: a fifth of x_train ({len(held)} samples) serves as choose; "
            "the model has probably seen it, so confidences and thresholds found on it are too optimistic"
        )
    elif data.val is not None:
        held = View(data.val, np.arange(len(data.val)))
    else:
        assert data.test is not None
        chosen, remaining = _divide(data.test, np.arange(len(data.test)), "choose", CHOOSE_SHARE_OF_TEST, seed)
        held, test = View(data.test, chosen), View(data.test, remaining)
        notes.append(
            f"no x_val: half of x_test ({len(held)} samples) serves as choose, the other half ({len(test)}) as test"
        )
    if test is None:
        notes.append("no x_test: nothing is measured on samples that no choice has seen")
    screen, fit = _divide(data.train, rest, "screen", SCREEN_SHARE, seed)
    choose, proof = held, None
    if certify:
        if not unseen:
            raise InputError(
                f"--risk needs samples that the model was not trained on: {data.source} would have to certify on "
                "x_train; give x_val or x_test"
            )
        some, others = _divide(held.part, held.indices, "certify", CHOOSE_SHARE_OF_HELD, seed)
        choose, proof = View(held.part, some), View(held.part, others)
    return Splits(View(data.train, fit), View(data.train, screen), held, choose, proof, test, tuple(notes))


def _divide(
    part: Part, indices: np.ndarray, purpose: str, share: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sorted ``indices`` in two: about ``share`` of every class, and the rest."""
    rng = np.random.default_rng([seed, SPLIT_SEEDS[purpose]])
    # bit masks are large and few: numbered, both kinds of labels can be counted
    y = np.zeros(len(indices), np.int64) if part.y is None else np.unique(part.y[indices], return_inverse=True)[1]
    if part.groups is None:
        taken = _stratified(y, share, rng)
    else:
        taken = _grouped(part.groups[indices], y, share, rng)
    if not taken.any() or taken.all():
        raise InputError(
            f"{part.name}: {len(indices)} samples"
            + (f" in {len(np.unique(part.groups[indices]))} group(s)" if part.groups is not None else "")
            + f" cannot be divided into {share:.0%} for {purpose} and the rest"
        )
    return indices[taken], indices[~taken]


def _stratified(y: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Mask (n,) of a share of each class; classes round so that the total is as near as can be."""
    counts = np.bincount(y)
    quota = counts * share
    take = np.floor(quota).astype(np.int64)
    missing = round(len(y) * share) - int(take.sum())
    take[np.argsort(take - quota, kind="stable")[:missing]] += 1
    order = rng.permutation(len(y))
    order = order[np.argsort(y[order], kind="stable")]  # by class, in random order within one
    rank = np.arange(len(y)) - np.repeat(np.cumsum(counts) - counts, counts)
    taken = np.zeros(len(y), dtype=bool)
    taken[order] = rank < take[y[order]]
    return taken


def _grouped(groups: np.ndarray, y: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Mask (n,) of whole groups, taken greedily, large ones first, while the class counts come nearer."""
    names, number = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(names), int(y.max()) + 1))
    np.add.at(counts, (number, y), 1)
    order = rng.permutation(len(names))
    order = order[np.argsort(-counts.sum(axis=1)[order], kind="stable")]
    lacking = counts.sum(axis=0) * share
    taken = np.zeros(len(names), dtype=bool)
    for group in order:
        if np.abs(lacking - counts[group]).sum() < np.abs(lacking).sum():
            lacking = lacking - counts[group]
            taken[group] = True
    if not taken.any() and len(names) > 1:  # every group is larger than the share
        taken[order[-1]] = True
    return taken[number]
