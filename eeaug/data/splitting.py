"""Which samples serve what: fitting heads, screening them, choosing, and the measurement at the end."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from eeaug.data.samples import Data, Part, View
from eeaug.errors import InputError

__all__ = ["Splits", "split"]

SCREEN_SHARE = 0.1  # of x_train
CHOOSE_SHARE_OF_TRAIN = 0.2  # where neither x_val nor x_test is given
CHOOSE_SHARE_OF_TEST = 0.5  # where x_val is not given
SPLIT_SEEDS = {"screen": 1, "choose": 2}  # a stream of random numbers for each split
_SETS = {"screen": "validation", "choose": "calibration"}  # in messages


@dataclass(frozen=True, eq=False)
class Splits:
    """Which samples serve what; ``notes`` say what a user must know about it."""

    fit: View
    screen: View
    choose: View
    test: View | None
    notes: tuple[str, ...]

    def without_groups(self) -> Splits:
        """The same samples, as if each had been drawn by itself."""
        views = (
            View(replace(view.part, groups=None), view.indices) for view in (self.fit, self.screen, self.choose)
        )
        fit, screen, choose = views
        test = None if self.test is None else View(replace(self.test.part, groups=None), self.test.indices)
        return Splits(fit, screen, choose, test, self.notes)


def split(data: Data, *, seed: int, on_train: bool = False) -> Splits:
    """Decide which samples serve what; seeded, stratified by label where there are labels and no groups.

    Groups are kept whole and drawn at random.

    Parameters
    ----------
    on_train : a part of x_train serves as choose, whatever else is given

    Raises
    ------
    InputError
        Without ``x_train``, or where a part cannot be divided (one group, too few samples).
    """
    if data.train is None:
        raise InputError(f"{data.source}: x_train is missing; exit heads need training data")
    notes = list(data.notes)
    rest = np.arange(len(data.train))
    test = None if data.test is None else View(data.test, np.arange(len(data.test)))
    if on_train or (data.val is None and data.test is None):
        chosen, rest = _divide(data.train, rest, "choose", CHOOSE_SHARE_OF_TRAIN, seed)
        choose = View(data.train, chosen)
        why = "--calibrate-on train" if on_train else "no x_val and no x_test"
        notes.append(
            f"{why}: a fifth of {_units(data.train)} ({len(choose)} samples) is the calibration set; the "
            "model was probably trained on it, so confidences and thresholds found on it are too optimistic"
        )
    elif data.val is not None:
        choose = View(data.val, np.arange(len(data.val)))
    else:
        assert data.test is not None
        chosen, remaining = _divide(data.test, np.arange(len(data.test)), "choose", CHOOSE_SHARE_OF_TEST, seed)
        choose, test = View(data.test, chosen), View(data.test, remaining)
        notes.append(
            f"no x_val: half of {_units(data.test)} ({len(choose)} samples) is the calibration set, the other "
            f"half ({len(test)}) the test set"
        )
    if test is None:
        notes.append("no x_test: nothing is measured on samples that no choice has seen")
    screen, fit = _divide(data.train, rest, "screen", SCREEN_SHARE, seed)
    return Splits(View(data.train, fit), View(data.train, screen), choose, test, tuple(notes))


def _units(part: Part) -> str:
    """What a share is taken of."""
    return part.name if part.groups is None else f"the groups of {part.name}"


def _divide(
    part: Part, indices: np.ndarray, purpose: str, share: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sorted ``indices`` in two: about ``share`` of every class, or of the groups, and the rest."""
    rng = np.random.default_rng([seed, SPLIT_SEEDS[purpose]])
    if part.groups is None:
        # bit masks are large and few: numbered, both kinds of labels can be counted
        y = np.zeros(len(indices), int) if part.y is None else np.unique(part.y[indices], return_inverse=True)[1]
        taken = _stratified(y, share, rng)
    else:
        taken = _grouped(part.groups[indices], share, rng)
    if not taken.any() or taken.all():
        raise InputError(
            f"{part.name}: {len(indices)} samples"
            + (f" in {len(np.unique(part.groups[indices]))} group(s)" if part.groups is not None else "")
            + f" cannot be divided into {share:.0%} for the {_SETS[purpose]} set and the rest"
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


def _grouped(groups: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Mask (n,) of whole groups: a simple random sample of them, a share of their number, one at least.

    Neither size nor classes of a group matter: what is seen of some groups holds for the others only if chance
    alone decided which are which.
    """
    names, number = np.unique(groups, return_inverse=True)
    count = max(1, round(share * len(names)))
    return np.isin(number, rng.permutation(len(names))[:count])
