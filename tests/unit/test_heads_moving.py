"""Samples move along those axes along which the given model goes on saying the same."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from eeaug.cascade.output import Decision
from eeaug.data import Part, View
from eeaug.features import Features
from eeaug.heads import moving


class Asked:
    """An extraction of a model that sees where along ``axis`` a sample is largest: which half, or how far."""

    def __init__(self, axis: int, *, strict: bool) -> None:
        self.axis, self.strict = axis, strict

    def missing(self, views: Any, wanted: Any) -> list[Any]:
        return []

    def extract(self, view: View, wanted: Any, given: Any = None) -> Features:
        others = tuple(k for k in range(1, view.part.x.ndim) if k != self.axis)
        x = view.part.x[view.indices].sum(axis=others)
        place = x.argmax(axis=1)
        code = place % 2 if self.strict else place >= x.shape[1] // 2
        return Features({}, np.eye(2, dtype=np.float32)[code.astype(int)], np.zeros(0, np.int64))


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("shape", [(48, 1), (48, 64, 1), (48, 32, 3)])
def test_axes_are_those_that_the_model_does_not_mind(shape: tuple[int, ...], strict: bool) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(0, 0.01, (2000, *shape)).astype(np.float32)
    for sample in x:  # something at a place that is not close to the middle or an end
        sample[tuple(rng.choice([size // 4, 3 * size // 4]) for size in shape[:-1])] = 9
    extraction: Any = Asked(1, strict=strict)
    view = View(Part("train", x, None, None), np.arange(len(x)))
    before = extraction.extract(view, [])
    source: Any = SimpleNamespace(
        blank=False,
        splits=SimpleNamespace(fit=view),
        extraction=extraction,
        classifier=SimpleNamespace(decision=Decision("softmax", 2)),
    )
    assert moving.axes(source, before) == (not strict, *[True] * (len(shape) - 2))


def test_short_axes_and_vectors_do_not_move() -> None:
    for shape in ((12,), (6, 3), (7, 6, 1)):
        x = np.ones((5, *shape), np.float32)
        source: Any = SimpleNamespace(
            blank=False,
            splits=SimpleNamespace(fit=View(Part("train", x, None, None), np.arange(5))),
            classifier=SimpleNamespace(decision=Decision("softmax", 2)),
        )
        fit = Features({}, np.ones((5, 2), np.float32), np.zeros(0, np.int64))
        assert moving.axes(source, fit) == (False,) * (len(shape) - 1)


def test_samples_are_asked_about_all_along_their_way() -> None:
    x = np.stack([np.arange(32, dtype=np.float32)] * 6)[..., None]
    expected = [[2, *range(3, 32), 31, 31], [*range(1, 32), 31], [*range(32)], [0, *range(31)], [0, 0, *range(30)]]
    np.testing.assert_array_equal(moving._along(x, 1)[..., 0], [*expected, expected[0]])
