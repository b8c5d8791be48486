"""Changed copies of samples: as many as pay, only by changes that the given model takes for nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from eeaug.cascade.output import Decision
from eeaug.data import Part, View
from eeaug.features import Features
from eeaug.heads import copies
from eeaug.heads.training import Plan

PLAN = Plan(7, 800, 64, 16e-3, 0)


class Asked:
    """An extraction of a model that answers by ``says``: x (n, ...) → (n,), 0 or 1."""

    def __init__(self, says: Any) -> None:
        self.says = says

    def missing(self, views: Any, wanted: Any) -> list[Any]:
        return []

    def extract(self, view: View, wanted: Any, given: Any = None) -> Features:
        code = np.asarray(self.says(view.part.x[view.indices])).astype(int)
        return Features({}, np.eye(2, dtype=np.float32)[code], np.zeros(0, np.int64))


def source(x: np.ndarray, says: Any = lambda x: np.zeros(len(x)), y: np.ndarray | None = None) -> Any:
    part = Part("train", x, np.arange(len(x)) if y is None else y, None)
    return SimpleNamespace(
        splits=SimpleNamespace(fit=View(part, np.arange(0, len(x), 2))),
        extraction=Asked(says),
        classifier=SimpleNamespace(decision=Decision("softmax", 2)),
    )


def images(n: int = 40) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (n, 32, 32, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    ("samples", "macs", "times"),
    [(450, 7_500_000, 8), (999, 2_700_000, 3), (1000, 1, 1), (50_000, 1, 1), (450, 10**9, 3), (450, 10**11, 1)],
)
def test_how_many_follow_samples_and_the_model(samples: int, macs: int, times: int) -> None:
    x = np.broadcast_to(np.uint8(0), (2 * samples, 49, 10, 1))
    assert copies.worthwhile(source(x), PLAN, 8, macs) == times


def test_they_take_memory_that_is_bounded() -> None:
    x = np.broadcast_to(np.float32(0), (1000, 224, 224, 3))
    assert copies.worthwhile(source(x), PLAN, 8, 1) == 1


def test_what_was_given_comes_first_and_labels_go_along() -> None:
    x = images()
    view = copies.with_copies(source(x), 3, 0)
    assert np.array_equal(view.part.x[:20], x[::2])
    assert np.array_equal(view.y, np.tile(np.arange(0, 40, 2), 3))
    assert view.part.x.dtype == x.dtype
    assert not np.array_equal(view.part.x[20:40], view.part.x[40:])
    again = copies.with_copies(source(x), 3, 0)
    assert view.part.digest == again.part.digest != copies.with_copies(source(x), 3, 1).part.digest


def test_without_labels_there_are_none() -> None:
    of = source(images())
    of.splits.fit = View(Part("train", images(), None, None), np.arange(40))
    assert copies.with_copies(of, 2, 0).part.y is None


def test_a_model_that_minds_every_change_gets_none() -> None:
    x = images()
    hashed = source(x, lambda x: x.astype(int).reshape(len(x), -1) @ np.arange(3072) % 2)
    assert copies.kept(hashed) == []
    assert copies.with_copies(hashed, 8, 0) is hashed.splits.fit


def test_only_changes_that_the_model_does_not_mind() -> None:
    x = images()
    x[:, :, :16] //= 2  # the left half is darker
    kept = copies.kept(source(x, lambda x: x[:, :, :16].mean((1, 2, 3)) > x[:, :, 16:].mean((1, 2, 3))))
    mirrored = copies.CHANGES["mirrored"][1]
    assert mirrored not in kept
    assert len(kept) == len(copies.CHANGES) - 1


@pytest.mark.parametrize("name", copies.CHANGES)
@pytest.mark.parametrize("shape", [(96, 96, 3), (49, 10, 1), (187, 1), (64,)])
def test_changes_keep_shape_range_and_what_is_constant(name: str, shape: tuple[int, ...]) -> None:
    fits, change = copies.CHANGES[name]
    if not fits(shape):
        return
    x = np.random.default_rng(1).normal(0, 1, (30, *shape)).astype(np.float32)
    after = change(x, np.random.default_rng(2))
    assert (after.shape, after.dtype) == (x.shape, x.dtype)
    assert after.min() >= x.min() and after.max() <= x.max()
    assert not np.array_equal(after, x)
    assert np.array_equal(change(x, np.random.default_rng(2)), after)
    if name != "amplified":
        assert np.isin(after, x).all()  # values are moved, not made


def test_a_plan_takes_as_many_steps_with_copies() -> None:
    for n in (100, 450, 900):
        alone, plan = PLAN.for_samples(n), copies.as_without(PLAN, n)
        times = copies.worthwhile(source(np.broadcast_to(np.uint8(0), (2 * n, 49, 10, 1))), PLAN, 8, 1)
        with_them = plan.for_samples(n * times)
        steps = with_them.epochs * (n * times // with_them.batch)
        assert with_them.batch == alone.batch
        assert steps <= 1.25 * alone.epochs * (n // alone.batch)
