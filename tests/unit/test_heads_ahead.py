"""How long training will take: what is timed, how it is scaled; the clock goes a second for each look at it."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest
from head_parts import DECISION, TAIL, at

from eeaug.features import Features
from eeaug.heads import ahead, families, training
from eeaug.heads.layers import Head
from eeaug.heads.planning import dense_plan
from eeaug.settings import EFFORTS

FEW = 64
PLAN = dense_plan(EFFORTS["normal"], 0)


def ticking() -> ahead.Clock:
    seconds = count()
    return lambda: float(next(seconds))


def features(heads: list[Head]) -> Features:
    rng = np.random.default_rng(0)
    tensors = {
        w.key: rng.normal(size=(FEW, *w.shape)).astype(np.float16) for h in heads for w in training.sources(h)
    }
    return Features(tensors, np.zeros((FEW, 10), np.float32), np.zeros(0, np.int64))


@pytest.mark.parametrize("sizes", [[5.0], [1.0, 8.0, 4.0, 2.0, 6.0]])
def test_the_largest_are_timed_and_the_rest_follow_by_size(sizes: list[float]) -> None:
    timed = []

    def measured(heads: tuple[float, ...]) -> float:
        timed.append(heads[0])
        return 3 * heads[0]

    seconds = ahead._scaled([(size,) for size in sizes], measured, lambda heads: heads[0])  # type: ignore[list-item, arg-type, return-value]
    assert timed == sorted(sizes, reverse=True)[: ahead.TIMED]
    assert sorted(seconds) == pytest.approx(sorted(3 * size for size in sizes))
    assert ahead._scaled([], measured, lambda heads: heads[0]) == []  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("family", ["blueprint", "hidden"])
def test_more_samples_take_as_much_longer(family: str) -> None:
    place = at((8, 8, 3))
    blueprint = family == "blueprint"
    dense = families.dense_heads(place, TAIL[1:], DECISION, 10**7)
    heads = list(dense if blueprint else families.hidden_heads(place, DECISION))

    def seconds(*sizes: int) -> float:
        return ahead._group_s(heads, features(heads), sizes, PLAN, ticking())  # type: ignore[arg-type]

    small, large = seconds(20_000, 2_000, 2_000), seconds(40_000, 4_000, 4_000)
    assert small < large < 2 * small  # but for what is done once
    assert seconds(20_000, 2_000, 4_000) > small and seconds(20_000, 4_000, 2_000) > small
    if blueprint:  # one pass over FEW samples took a second
        steps = ahead.FIRST_STEPS / 4 + ahead.ALL_STEPS
        begun = 4096 / FEW
        passed = steps * 20_000 + ahead.FORWARD * ((ahead.FIRST_STEPS + ahead.ALL_STEPS + 1) * 2_000 + 2_000)
        assert small == pytest.approx(begun + passed / FEW)


def test_threads_share_the_work_but_no_location() -> None:
    heads = [tuple(families.dense_heads(at((8, 8, 3)), TAIL[1:], DECISION, 10**7)) for _ in range(4)]
    fit = features([head for group in heads for head in group])
    one, two, many = (
        ahead.dense_s(heads, fit, (5000, 500, 500), PLAN, threads, ticking()) for threads in (1, 2, 100)
    )
    assert two == pytest.approx(one / 2) and many == pytest.approx(one / 4)
    assert ahead.dense_s([], fit, (5000, 500, 500), PLAN, 1, ticking()) == 0
