"""Heads: what earlier runs have left, which are tried, which are kept."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import prod
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from head_parts import DECISION, TAIL, at
from hypothesis import given
from hypothesis import strategies as st
from keras_nets import CLASSES, trained

from eeaug import data, settings
from eeaug.backbone import model
from eeaug.cascade.output import Decision
from eeaug.heads import families, planning, selection, store
from eeaug.heads.judge import Judge
from eeaug.heads.layers import Dense, Pool
from eeaug.heads.planning import planned
from eeaug.heads.training import Plan
from eeaug.network.locations import Location, pooled_shape

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # TF on NumPy 2


def test_heads_come_back_as_they_were(tmp_path: Path) -> None:
    heads = families.dense_heads(at((8, 8, 3)), TAIL, DECISION, 10**7)
    rng = np.random.default_rng(0)
    kept = [trained(h) for h in heads[1:]]
    screen, choose = ([rng.random((n, CLASSES), np.float32) for _ in kept] for n in (7, 5))
    file = tmp_path / "heads.npz"
    answers, other = (store.answers_file(file, [tmp_path / name]) for name in ("a.npy", "b.npy"))
    store.save(file, heads, kept, screen)
    store.save_answers(answers, kept, choose)
    store.save_answers(other, kept, [c[:2] for c in choose])
    found = store.load(file, answers, heads)
    assert [f.trained.head for f in found] == [t.head for t in store.trained(file, heads)] == list(heads[1:])
    for a, b, on_screen, on_choose in zip(kept, found, screen, choose, strict=True):
        np.testing.assert_array_equal(on_screen, b.screen())
        np.testing.assert_array_equal(on_choose, b.choose())
        for v, w in zip(a.weights, b.trained.weights, strict=True):
            np.testing.assert_array_equal(v, w)
    assert set(tmp_path.iterdir()) == {file, answers, other}


def test_a_file_of_heads_stands_for_all_that_shaped_them(tmp_path: Path) -> None:
    heads = families.dense_heads(at((8, 8, 3)), TAIL, DECISION, 10**7)
    plan, read = Plan(3, 1, 64, 1e-2, 0), [Path("a.npy")]
    given: list[tuple[Any, ...]] = [
        (heads, plan, read, {"pinned": False}),
        (heads[1:], plan, read, {"pinned": False}),
        (heads, Plan(3, 1, 64, 1e-2, 1), read, {"pinned": False}),
        (heads, plan, [Path("b.npy")], {"pinned": False}),
        (heads, plan, read, {"pinned": True}),
    ]
    assert len({store.file(tmp_path, *one) for one in given}) == len(given)


def test_the_blueprint_is_the_tail_of_the_given_model() -> None:
    calls = [
        model.Call("conv", "Conv2D", ("input",), ((8, 8, 3),), ((8, 8, 4),), ((3, 3, 3, 4),)),
        model.Call("wide", "Dense", ("conv",), ((256,),), ((10,),), ((256, 10), (10,)), activation="relu"),
        model.Call("norm", "BatchNormalization", ("wide",), ((10,),), ((10,),), ((10,),) * 4),
        model.Call("last", "Dense", ("norm",), ((10,),), ((4,),), ((10, 4), (4,)), activation="softmax"),
    ]
    blocks: Any = [SimpleNamespace(layers=layers) for layers in (("conv",), ("wide", "norm"), ("last",))]
    assert families.blueprint_units(calls, blocks) == (Dense(10, "relu"), Dense(4, "softmax"))


def test_heads_cost_less_than_what_they_can_save() -> None:
    near = Location("near", 5, (8, 8, 16), 500)
    assert all(sum(h.cost().macs.values()) < 500 for h in families.dense_heads(near, TAIL, DECISION, 10**6))
    assert families.map_heads(near, ["separable"], DECISION, 1e9) == ()


def test_promising_drops_guessers_and_those_that_a_cheaper_one_beats() -> None:
    small, large = families.dense_heads(at((8, 8, 3)), (), Decision("softmax", 2), 10**7)[:2]

    def kept(a: float, b: float) -> set[str]:
        right = {h.key: np.arange(1000) < share * 1000 for h, share in ((small, a), (large, b))}
        return selection.promising([small, large], right, 0.5)

    assert kept(0.8, 0.82) == {small.key, large.key}
    assert kept(0.8, 0.7) == {small.key}
    assert kept(0.51, 0.9) == {large.key}


def row_of(count: int) -> list[Location]:
    """Locations after each of ``count`` equal blocks of 100 million MACs together."""
    return [Location(f"b{i}", i, (16, 16, 8), 10**8 * (count - i) // count) for i in range(1, count)]


def test_settings_name_the_families_that_there_are() -> None:
    assert set(settings.FAMILIES) == set(families.FAMILIES)


def test_places_are_spread_from_the_front_to_past_the_middle() -> None:
    places = row_of(100)
    assert [at.after for at in selection.spread(places, 1, 10**8)] == [8]
    assert [at.after for at in selection.spread(places, 2, 10**8)] == [8, 63]
    assert [at.after for at in selection.spread(places, 6, 10**8)] == [8, 19, 30, 41, 52, 63]
    assert selection.spread(places[:2], 5, 10**8) == tuple(places[:2])


def test_training_takes_as_long_as_its_maps_are_large() -> None:
    """Of two heads with nearly the same MACs, the one on larger maps takes longer."""
    (wide, *_), (small, *_) = (
        families.map_heads(at(shape), ["separable"], DECISION, 5e5) for shape in ((48, 48, 8), (16, 16, 64))
    )
    assert abs(wide.macs - small.macs) < 0.3 * small.macs
    assert selection.training_s(wide, 1000) > 1.4 * selection.training_s(small, 1000)
    assert selection.training_s(wide, 2000) == 2 * selection.training_s(wide, 1000)


def test_sizes_of_a_family_are_apart_and_within_limits() -> None:
    place = Location("here", 1, (32, 32, 16), 12_000_000)
    for family in families.MAP_FAMILIES:
        found = [sum(h.cost().macs.values()) for h in families.map_heads(place, [family], DECISION, 1e6)]
        assert found == sorted(found, reverse=True) and 1 <= len(found) <= len(families.SIZES)
        assert found[0] <= 1e6 and all(b * 3 <= found[0] for b in found[1:])
    tight = Location("here", 1, (32, 32, 16), 400_000)
    assert all(
        sum(h.cost().macs.values()) <= families.MAP_SHARE * 400_000
        for h in families.map_heads(tight, list(families.MAP_FAMILIES), DECISION, 1e9)
    )


def test_front_keeps_what_no_other_beats() -> None:
    small, middle, large = families.dense_heads(at((8, 8, 3)), (), DECISION, 10**7)
    accuracy = {small.key: 0.5, middle.key: 0.4, large.key: 0.6}
    assert selection.front([small, middle, large], accuracy) == (small, large)


def grids_of(*shape: int) -> list[str]:
    """Sizes of the dense heads without hidden layers, from the coarsest grid."""
    return [head.size for head in families.dense_heads(at((*shape, 2)), (), DECISION, 10**7)]


def test_grids_have_cells_where_a_tensor_is_long() -> None:
    assert grids_of(187) == ["average", "2", "4", "8", "15", "31"]
    assert grids_of(128) == ["average", "2", "4", "8", "16", "32"]
    assert grids_of(20) == ["average", "2", "4", "6", "10", "20"], "a cell for every position, no more"
    assert grids_of(3) == ["average", "3"]
    assert grids_of(1) == ["average"]
    assert grids_of(49, 10) == ["average", "2x2", "4x5", "8x5"], "cells are about square"
    assert grids_of(10, 49)[-1] == "5x8"
    assert grids_of(128, 1)[-1] == "32x1" and grids_of(1, 128)[-1] == "1x32", "one axis, whatever the rank"
    assert grids_of(4, 300)[-1] == "4x8"


@pytest.mark.parametrize("shape", [(32, 32), (16, 16), (8, 8), (28, 28), (96, 64), (7, 7)])
def test_images_keep_four_cells_per_axis(shape: tuple[int, int]) -> None:
    sizes = grids_of(*shape)
    assert len(sizes) == 3 and sizes[0] == "average"
    assert sizes[-1] == ("7x7" if shape == (7, 7) else "4x4")
    assert families._coarse((*shape, 2)).window == tuple(s // 2 for s in shape)


def test_on_the_input_grids_go_on_to_the_tensor_itself() -> None:
    def sizes(*shape: int) -> list[str]:
        start = Location("input", 0, shape, 10**7)
        heads = families.dense_heads(start, (), DECISION, 10**7)
        assert all(prod(next(head.shapes())[2]) <= families.INPUT_LIMIT for head in heads)
        return [head.size for head in heads]

    assert sizes(49, 10, 1) == ["average", "2x2", "4x5", "8x5", "16x10", "49x10"]
    assert sizes(187, 1)[-3:] == ["31", "62", "187"]
    assert sizes(32, 32, 3) == ["average", "2x2", "4x4", "8x8"], "of an image no more than pays to look at"
    assert sizes(40) == ["vector"]


def test_on_the_input_only_dense_heads_stand_and_none_reads_it_from_elsewhere() -> None:
    places = [Location("input", 0, (16, 16, 3), 10**7), *(Location(f"b{i}", i, (16, 16, 8), 10**6) for i in (1, 2))]
    chosen = ("blueprint", "separable", "dense-connection")
    dense, maps = planned(
        DECISION, places, (), 10**7, chosen, settings.EFFORTS["normal"], 1000, ["input"], reaching_back=True
    )
    assert {h.family for h in dense[places[0]]} == {"blueprint"} and places[0] not in maps.heads
    assert maps.heads[places[1]] and maps.pinned == ("input",)
    connected = [h for h in dense[places[2]] if h.earlier]
    assert connected and all(e.location == places[1] for h in connected for e in h.earlier)
    assert not any(h.earlier for h in dense[places[1]])


def test_hidden_heads_are_on_the_two_finest_grids_and_at_few_places() -> None:
    signal = families.hidden_heads(at((187, 8)), DECISION)
    assert [head.name for head in signal] == ["hidden-15", "hidden-31"]
    assert signal[1].macs == 31 * 8 * families.HIDDEN_UNITS + families.HIDDEN_UNITS * CLASSES
    assert [head.size for head in families.hidden_heads(at((6,)), DECISION)] == ["vector"]
    near = Location("near", 5, (8, 8, 16), 2000)
    assert families.hidden_heads(near, DECISION) == (), "none may cost more than a quarter of what it could save"
    places = [Location("input", 0, (16, 16, 8), 10**8), *row_of(40)]
    dense, _ = planned(
        DECISION, places, (), 10**8, ("blueprint", "hidden"), settings.EFFORTS["normal"], 10**5, ["b39"],
        reaching_back=False,
    )  # fmt: skip
    having = [place for place, heads in dense.items() if any(h.family == "hidden" for h in heads)]
    assert len(dense) == 40 and len(having) == planning.HIDDEN_PLACES + 2
    assert having[0].at_input and having[-1].name == "b39"


def test_what_may_leave_is_the_most_that_a_threshold_lets_go_for_a_point() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        n = int(rng.integers(1, 60))
        confidence = rng.integers(0, 12, n).astype(np.float32) / 12  # with ties
        right, given_right, here = rng.random(n) < 0.9, rng.random(n) < 0.95, rng.random(n) < 0.7
        weights = rng.uniform(0.1, 3, n)
        best = 0.0
        for threshold in np.unique(confidence):
            leave = here & (confidence >= threshold)
            lost = (weights * (given_right.astype(int) - right) * leave).sum() / weights.sum()
            if lost <= selection.ALLOWED:
                best = max(best, float(weights[leave].sum() / weights.sum()))
        assert selection.leaving(confidence, right, given_right, here, weights) == pytest.approx(best)
    nobody = np.zeros(3, bool)
    assert selection.leaving(np.ones(3, np.float32), nobody, nobody, nobody) == 0


def judge(labels: np.ndarray, priors: dict[int, float] | None = None, kind: str = "softmax") -> Judge:
    """On a screen where the given model is always right, of three classes."""
    decision = Decision(kind, 3)
    source: Any = SimpleNamespace(
        decision=decision, specific=None, blank=False, codes=lambda _: labels, labels=lambda _: labels,
        given_answers=lambda _: np.eye(3, dtype=np.float32)[labels],
        weights=lambda y: None if priors is None else data.weights(y, priors, 3),
    )  # fmt: skip
    return Judge(source, None, ())  # type: ignore[arg-type]


def test_a_head_on_the_input_goes_on_if_it_lets_enough_leave_however_often_it_is_right() -> None:
    """One that knows silence (class 0, 4 of 100 samples) and nothing else: enough only where that is usual."""
    labels = np.repeat([0, 1, 2], [4, 48, 48])
    knows = np.where(labels[:, None] == 0, [0.98, 0.01, 0.01], [0.5, 0.25, 0.25]).astype(np.float32)
    start = families.dense_heads(Location("input", 0, (40,), 10**7), (), Decision("softmax", 3), 10**7)
    inside = families.dense_heads(at((40,)), (), Decision("softmax", 3), 10**7)
    usual = judge(labels, {0: 0.9})
    assert usual.promising(start, {start[0].key: knows}) == {start[0].key}
    assert judge(labels).promising(start, {start[0].key: knows}) == set()
    assert usual.promising(inside, {inside[0].key: knows}) == set(), "elsewhere it must be right"
    assert usual.leaving(knows) == usual.leaving(knows, 0) == pytest.approx(0.9) and usual.leaving(knows, 1) == 0


def test_heads_that_know_a_class_or_two_are_made_of_those_that_let_them_leave() -> None:
    labels = np.repeat([0, 1, 2], [40, 30, 30])
    p = np.eye(3)[labels] * 0.6 + 0.1
    p[labels == 2] = [0.3, 0.3, 0.4]  # the others are sure
    p[labels == 0] = [0.9, 0.05, 0.05]
    (head,) = families.dense_heads(Location("input", 0, (40,), 10**7), (), Decision("softmax", 3), 10**7)
    one = store.Judged(trained(head), lambda: p.astype(np.float32), lambda: p.astype(np.float32))
    (limited,) = judge(labels).limited([one])  # not two: nothing would be left to tell apart
    assert limited.knows == (0,) and limited.name == "blueprint-vector-only-0"
    assert limited.macs == 40 * 2 + 2 * 3 and limited.key != head.key
    assert judge(labels, kind="multilabel").limited([one]) == ()
    inside = replace(one, trained=trained(families.dense_heads(at((40,)), (), DECISION, 10**7)[0]))
    assert judge(labels).limited([inside]) == ()
    assert set(selection.front([head, limited], {head.key: 0.5, limited.key: 0.4})) == {head, limited}


@given(shape=st.lists(st.integers(1, 400), min_size=1, max_size=2))
def test_no_grid_has_more_cells_than_there_are_or_may_be(shape: list[int]) -> None:
    windows = list(families._windows((*shape, 2)).values())
    grids = [pooled_shape((*shape, 2), window)[:-1] for window in windows]
    assert grids[0] == (1,) * len(shape)
    for coarse, fine in pairwise(grids):
        assert all(a <= b for a, b in zip(coarse, fine, strict=True)) and coarse != fine
    for window, cells in zip(windows, grids, strict=True):
        assert all(1 <= c <= s and w <= s for c, s, w in zip(cells, shape, window, strict=True))
        assert prod(cells) <= max(families.CELLS, 7 * 8)  # up to seven positions are a cell each
    assert prod(families._coarse((*shape, 2)).window) >= 1
    assert prod(pooled_shape((*shape, 2), families._coarse((*shape, 2)).window)[:-1]) <= families.MAP_CELLS + 4


def test_a_signal_is_read_in_time_within_what_effort_allows() -> None:
    heads = families.dense_heads(at((187, 8)), (), DECISION, 10**7, values=70)
    assert [head.size for head in heads] == ["average", "2", "4", "8"]
    head = families.map_heads(at((187, 8)), ["separable"], DECISION, 1e9)[0]
    (pooled,) = [after for step, _, after in head.shapes() if isinstance(step, Pool)]
    assert 4 < pooled[0] <= families.MAP_CELLS


def test_hidden_heads_are_kept_where_they_are_clearly_better_than_cheaper_ones() -> None:
    place = at((8, 8, 3))
    linear = families.dense_heads(place, (), Decision("softmax", 3), 10**7)[-1]
    wide = families.hidden_heads(place, Decision("softmax", 3))[-1]
    labels = np.zeros(400, int)

    def one(head: Any, right: int) -> store.Judged:
        p = np.eye(3, dtype=np.float32)[np.where(np.arange(400) < right, 0, 1)]
        return store.Judged(trained(head), lambda: p, lambda: p)

    def kept(few: int, many: int) -> list[str]:
        return [j.trained.head.family for j in judge(labels).paying([one(linear, few), one(wide, many)])]

    assert linear.macs < wide.macs
    assert kept(300, 302) == ["blueprint", "hidden"], "two more, and none the other way: sqrt(2) is the error"
    assert kept(300, 301) == kept(300, 300) == kept(300, 200) == ["blueprint"]
    assert [j.trained.head.family for j in judge(labels).paying([one(wide, 10)])] == ["hidden"], "no rival"


def test_a_head_that_says_nothing_here_is_worth_what_it_lets_leave_without_losing_what_is_there() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 4 == 0  # every fourth holds something
    p = np.where(labels, rng.uniform(0.3, 1, 400), rng.uniform(0, 0.6, 400)).astype(np.float32)
    source: Any = SimpleNamespace(
        decision=Decision("binary", 2), specific=None, blank=True, codes=lambda _: labels.astype(int),
        labels=lambda _: labels.astype(int), given_answers=lambda _: labels[:, None].astype(np.float32),
        weights=lambda _: None,
    )  # fmt: skip
    judge = Judge(source, None, ())  # type: ignore[arg-type]
    allowed = selection.ALLOWED * labels.sum()
    best = max(float((p <= limit).mean()) for limit in p if (labels & (p <= limit)).sum() <= allowed)
    (head,) = families.dense_heads(at((40,)), (), Decision("binary", 2), 10**7)
    assert judge.worth(head, p[:, None]) == judge.leaving(p[:, None]) == pytest.approx(best) and best > 0.3
    assert judge.surely_leaving(p[:, None]) < best  # of few somethings little is known
    assert judge.promising([head], {head.key: np.full((400, 1), 0.5, np.float32)}) == {head.key}
    assert not judge.as_good_as_given(labels[:, None].astype(np.float32))
