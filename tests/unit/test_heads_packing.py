"""Which convolutional heads are trained: what sets of them are worth, and the best set that fits."""

from __future__ import annotations

from itertools import chain, combinations
from typing import Any

import numpy as np
import pytest

from eeaug.cascade.output import Decision
from eeaug.heads import families, packing, selection
from eeaug.heads.layers import Head
from eeaug.heads.packing import Offer, Worth, packed
from eeaug.network.locations import Location

DECISION = Decision("softmax", 10)
MACS = 10**8


def row_of(count: int) -> list[Location]:
    """Locations after each of ``count`` equal blocks of 100 million MACs together."""
    return [Location(f"b{i}", i, (16, 16, 8), MACS * (count - i) // count) for i in range(1, count)]


def offer(places: list[Location], limit_s: float, *pinned: str) -> Offer:
    heads = {at: families.map_heads(at, ["separable"], DECISION, 1e6) for at in places}
    return Offer(heads, 1000, 100_000, limit_s, MACS, pinned)


def seconds(chosen: dict[Location, tuple[Head, ...]]) -> list[float]:
    return [selection.training_s(head, 100_000) for heads in chosen.values() for head in heads]


def dense(places: list[Location], *shares: float) -> dict[Head, float]:
    """One head at each place that lets so many leave."""
    heads = [families.dense_heads(at, (), DECISION, MACS)[0] for at in places]
    return dict(zip(heads, shares, strict=True))


def random_worth(rng: np.random.Generator, count: int) -> Worth:
    pairs = rng.normal(0.1, 0.2, (20, count + 2, count + 2)).astype(np.float32)
    pairs[:, np.tri(count + 2, k=-1).astype(bool)] = 0
    return Worth(pairs, count)


def value(worth: Worth, chosen: Any, price: np.ndarray) -> float:
    """By the definition: the best pair, or single exit, or none, in every draw."""
    rows = [*chosen, *range(worth.count, worth.pairs.shape[1])]
    best = [max(0.0, *(draw[a, b] for a in rows for b in rows)) for draw in worth.pairs]
    return float(np.mean(best)) - float(price[list(chosen)].sum())


def test_the_set_is_nearly_the_best_of_all_that_fit() -> None:
    shares = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        count, limit = int(rng.integers(1, 9)), float(rng.uniform(2, 20))
        worth, spent, places = random_worth(rng, count), rng.uniform(1, 9, count), list(map(str, range(count)))
        price = packing.LEAST * spent / limit
        keeping = {name: float(rng.uniform(0, 1)) for name in places}
        every = chain.from_iterable(combinations(range(count), k) for k in range(count + 1))
        total = spent + [keeping[name] for name in places]
        fitting = [s for s in every if total[list(s)].sum() <= limit and len(s) <= packing.MOST_PLACES]
        chosen = packed(worth, spent, limit, places, keeping)
        if not any(len(s) for s in fitting):
            assert chosen == [int(spent.argmin())]
            continue
        assert tuple(chosen) in fitting
        nothing, best = value(worth, (), price), max(value(worth, s, price) for s in fitting)
        shares.append(1.0 if best == nothing else (value(worth, chosen, price) - nothing) / (best - nothing))
    assert min(shares) > 0.85 and np.mean(shares) > 0.99 and np.mean(np.array(shares) > 0.999) > 0.8


def test_a_set_is_worth_its_best_pair_in_every_draw() -> None:
    rng = np.random.default_rng(0)
    free = np.zeros(5)
    for _ in range(20):
        worth = random_worth(rng, 5)
        chosen = [i for i in range(5) if rng.random() < 0.4]
        each = worth.with_each(chosen)
        assert each[-1] == pytest.approx(value(worth, chosen, free), abs=1e-6)
        for i in range(5):
            assert each[i] == pytest.approx(value(worth, [*chosen, i], free), abs=1e-6)


def test_two_exits_save_what_easy_samples_leave_first() -> None:
    """Against samples that leave one by one, the easiest first."""
    places = row_of(5)
    known = dense(places, 0.3, 0.2, 0.7, 0.9)
    worth, exits = Worth.of([], known, MACS), list(known)
    easy = (np.arange(1000) + 0.5) / 1000
    for a, first in enumerate(exits):
        for b, second in enumerate(exits[a:], a):
            saved = np.zeros(1000)
            for exit_ in (second, first):
                here = easy < known[exit_]
                saved = np.where(here, exit_.location.remaining_macs, saved) - exit_.macs
            assert worth.pairs[:, a, b] == pytest.approx(float(saved.mean()) / MACS, abs=1e-5), (first, second)
    assert not worth.pairs[:, np.tri(4, k=-1).astype(bool)].any()


@pytest.mark.parametrize("limit_s", [0.0, 5.0, 20.0, 60.0, 1e9])
def test_training_stays_within_what_it_may_take(limit_s: float) -> None:
    asked = offer(row_of(12), limit_s)
    for known in (None, dense(row_of(12), *np.linspace(0.1, 0.9, 11))):
        chosen = asked.chosen(known)
        assert sum(seconds(chosen)) <= limit_s or len(seconds(chosen)) == 1
        assert all(set(heads) <= set(asked.heads[at]) for at, heads in chosen.items())
        assert len(chosen) <= packing.MOST_PLACES and (chosen or limit_s == 5)
        assert chosen == asked.chosen(known), "the same each time"


def test_more_time_is_used_where_a_head_fits() -> None:
    spent = [len(seconds(offer(row_of(12), limit).chosen())) for limit in (5.0, 20.0, 60.0)]
    assert spent == sorted(spent) and spent[-1] > spent[0]


def test_pinned_places_get_a_head_whatever_it_takes() -> None:
    places = row_of(12)
    chosen = offer(places, 0.0, "b9", "b11", "elsewhere").chosen()
    assert {at.name for at in chosen} == {"b9", "b11"}
    assert {at.name for at in offer(places, 1e9, "b9").without(places).chosen()} == {"b9"}
    assert Offer({}, 1000, 1000, 1e9, MACS).chosen() == {}


def test_dear_heads_are_for_where_dense_ones_let_little_leave() -> None:
    places = row_of(6)
    asked = offer(places, 40.0)
    assert asked.chosen(dense(places, *[1.0] * 5)) == {}, "nothing is left for them"
    early = asked.chosen(dense(places, 0.1, 0.1, 0.95, 0.95, 0.95))
    assert asked.heads[places[0]][0] in early[places[0]] and not {4, 5} & {at.after for at in early}
    little = asked.chosen(dense(places, *[0.995] * 5))
    assert sum(seconds(little)) < sum(seconds(early))


def test_places_whose_maps_are_not_at_hand_have_to_save_another_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    places = row_of(6)
    known = dense(places, *[0.1] * 5)
    asked, near = offer(places, 12.0), places[3:]
    monkeypatch.setattr(packing, "pass_s", lambda macs, samples: 1.0)
    assert min(at.after for at in asked.chosen(known, near)) < 4
    monkeypatch.setattr(packing, "pass_s", lambda macs, samples: 12.0)
    assert set(asked.chosen(known, near)) <= set(near)


def test_heads_help_with_which_two_exits_save_more_than_without() -> None:
    """By trying all pairs of exits."""
    rng = np.random.default_rng(4)
    places = row_of(6)
    seen = set()
    for _ in range(40):
        usual = dense(places, *np.sort(rng.uniform(0, 1, 5)))
        tried = {families.hidden_heads(at, DECISION)[-1]: float(rng.uniform(0, 0.7)) for at in places}
        every = {**usual, **tried}
        alone = {h: q * h.location.remaining_macs - h.macs for h, q in every.items()}

        def saved(a: Head, b: Head, q: dict[Head, float] = every, alone: dict[Head, float] = alone) -> float:
            if a == b or a.location.after >= b.location.after:
                return max(alone[a], 0.0)
            return alone[a] + max(0.0, q[b] - q[a]) * b.location.remaining_macs - (1 - q[a]) * b.macs

        def best(of: list[Head], must: Head | None = None) -> float:
            return max(saved(a, b) for a in of for b in of if must in (None, a, b))

        least = best(list(usual)) + packing.LEAST * MACS
        expected = {h for h in tried if best(list(every), h) > least}
        assert packing.helping(every, MACS, set(tried)) == expected
        seen.add(len(expected))
    assert len(seen) > 2 and min(seen) == 0
