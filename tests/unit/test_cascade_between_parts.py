"""Tests of parts against each other: false alarms and power by simulation, groups, what the model has learnt."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eeaug.cascade import between_parts
from eeaug.cascade.between_parts import ALARM, Compared, Pair, compare
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import Decision
from eeaug.cascade.passage import Passage

CLASSES = 4
DECISION = Decision("softmax", CLASSES)
THRESHOLDS = (0.8, 0.85)


def drawn(
    rng: np.random.Generator, samples: int, *, harder: float = 0.0, learnt: float = 0.0, people: int = 0,
    classes: tuple[float, ...] = (0.25,) * CLASSES,
) -> Outcomes:  # fmt: skip
    """Two exits and a final classifier that grow surer and find the same samples hard.

    ``learnt``: how much surer, and as often right, the classifiers are by heart, the later the more; ``people``: so
    many groups, each harder or easier as a whole, and with a favourite class.
    """
    hard, labels = rng.normal(harder, 1, samples), rng.choice(CLASSES, samples, p=classes)
    groups = None
    if people:
        groups = np.arange(samples) * people // samples
        hard += rng.normal(0, 1, people)[groups]
        favourite = rng.integers(0, CLASSES, people)[groups]
        labels = np.where(rng.random(samples) < 0.5, favourite, labels)
    logits = [
        a - b * hard + learnt * k + rng.normal(0, 0.7, samples)
        for k, (a, b) in enumerate(((1.0, 1.5), (1.8, 1.5), (2.5, 1.5)), start=1)
    ]
    p = 1 / (1 + np.exp(-np.array(logits)))
    right = rng.random(samples) < p
    confidence = np.maximum(p, 1 / CLASSES).astype(np.float32)
    return Outcomes(confidence, np.where(right, labels, (labels + 1) % CLASSES), labels, groups=groups)


def chosen(choose: Outcomes, budget: float = 0.02) -> tuple[float | None, ...]:
    """The thresholds, of all that choose can tell apart, that let most leave within a budget on choose."""
    best: tuple[float, tuple[float | None, ...]] = (0.0, (None, None))
    grid = [*np.quantile(choose.confidence[0], np.linspace(0.1, 0.98, 23)), None]
    for one in grid:
        for other in grid:
            passage = Passage(choose, (one, other))
            leave = 1 - float(passage.leave_rates[-1])
            if leave > best[0] and passage.losses.mean() <= budget:
                best = leave, (one, other)
    return best[1]


def came_of(
    *pairs: Pair, thresholds: tuple[float | None, ...] = THRESHOLDS, **options: bool
) -> tuple[Compared, ...]:
    return compare(pairs, thresholds, DECISION, **{"labelled": True, **options})


def alarms(found: tuple[Compared, ...]) -> bool:
    return any(one.outside for one in found)


def share_of_alarms(runs: int, seed: int, *, old: dict[str, float], new: dict[str, float], learnt: bool) -> float:
    rng = np.random.default_rng(seed)
    hits = 0
    for _ in range(runs):
        reference, part = drawn(rng, 400, **old), drawn(rng, 300, **new)  # type: ignore[arg-type]
        hits += alarms(came_of(Pair(("choose", reference), ("test", part), learnt)))
    return hits / runs


def allowed(runs: int) -> float:
    return ALARM + 3 * float(np.sqrt(ALARM * (1 - ALARM) / runs))


# -- false alarms -------------------------------------------------------------------------------------


@pytest.mark.parametrize("people", [0, 12, 60])
def test_parts_of_one_kind_are_alike(people: int) -> None:
    runs = 300
    kind = {"people": people}
    assert share_of_alarms(runs, people, old=kind, new=kind, learnt=False) <= allowed(runs)


def test_samples_that_count_as_groups_without_being_named_so_would_cry_wolf() -> None:
    """What groups are for: the same data by samples."""
    rng, hits = np.random.default_rng(1), 0
    for _ in range(30):
        parts = [replace(drawn(rng, 400, people=12), groups=None) for _ in range(2)]
        hits += alarms(came_of(Pair(("choose", parts[0]), ("test", parts[1]))))
    assert hits > 15


@pytest.mark.parametrize("samples", [60, 500])
def test_thresholds_that_choose_has_chosen_are_no_shift(samples: int) -> None:
    """They let as many leave on choose as luck allows."""
    runs, rng, hits = 120, np.random.default_rng(samples), 0
    for _ in range(runs):
        choose, test = drawn(rng, samples), drawn(rng, 2000)
        thresholds = chosen(choose)
        hits += alarms(came_of(Pair(("choose", choose), ("test", test)), thresholds=thresholds))
    assert hits / runs <= allowed(runs)


@pytest.mark.parametrize("learnt", [0.0, 0.3, 2.0])
def test_what_a_model_has_learnt_by_heart_is_no_shift(learnt: float) -> None:
    runs = 200
    assert share_of_alarms(runs, 7, old={"learnt": learnt}, new={}, learnt=True) <= allowed(runs)


def test_every_statistic_of_what_was_learnt_rises_with_every_confidence() -> None:
    """Rates of single exits do not: those that leave at the first cannot leave at the second."""
    rng = np.random.default_rng(2)
    plain = drawn(rng, 2000)
    surer = replace(plain, confidence=np.minimum(1, plain.confidence + np.float32(0.2)))
    old, new = ({(d.statistic, d.at): d for d in _all(part)} for part in (plain, surer))
    assert {name for name, _ in old} == {"accuracy", "class_share", "left_by", "confidence"}
    for key, one in new.items():
        assert one.observed is not None and old[key].observed is not None
        assert one.observed >= old[key].observed
    rates = [Passage(part, THRESHOLDS).leave_rates[1] for part in (plain, surer)]
    assert rates[1] < rates[0]


def _all(part: Outcomes) -> tuple[between_parts.Difference, ...]:
    return came_of(Pair(("screen", part), ("choose", part), True))[0].differences


# -- power --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("new", "first"),
    [
        ({"harder": 0.5}, "accuracy"),  # a sensor that has grown dim
        ({"harder": -0.8}, "accuracy"),
        ({"classes": (0.4, 0.2, 0.2, 0.2)}, "class_share"),
    ],
)
def test_a_shift_is_told(new: dict[str, float], first: str) -> None:
    rng, told = np.random.default_rng(3), []
    for _ in range(20):
        (found,) = came_of(Pair(("choose", drawn(rng, 1000)), ("test", drawn(rng, 1000, **new))))  # type: ignore[arg-type]
        told += [found.outside[0].statistic] if found.outside else []
    assert len(told) >= 19 and set(told) == {first}


def test_other_people_are_told_where_there_are_enough_of_them() -> None:
    assert share_of_alarms(20, 4, old={"people": 60}, new={"people": 60, "harder": 2.0}, learnt=False) >= 0.9
    assert share_of_alarms(20, 4, old={"people": 3}, new={"people": 3, "harder": 2.0}, learnt=False) == 0


def test_samples_that_are_easier_than_what_was_learnt_are_told() -> None:
    assert share_of_alarms(20, 5, old={}, new={"harder": -1.0}, learnt=True) == 1
    assert share_of_alarms(20, 5, old={}, new={"harder": 1.0}, learnt=True) == 0
    mix = {"classes": (0.46, 0.18, 0.18, 0.18)}
    assert share_of_alarms(20, 5, old={"learnt": 1.0}, new=mix, learnt=True) >= 0.9  # type: ignore[dict-item]


# -- what is compared ---------------------------------------------------------------------------------


def test_every_test_is_counted_and_the_least_likely_class_is_named() -> None:
    rng = np.random.default_rng(6)
    choose, test, screen = (drawn(rng, n) for n in (300, 400, 200))
    pairs = Pair(("choose", choose), ("test", test)), Pair(("screen", screen), ("choose", choose), True)
    first, second = came_of(*pairs)
    assert (first.tests, second.tests) == (1 + CLASSES + 2 + 2 + 3, 1 + CLASSES + 2 + 3)
    assert (first.units, first.grouped, second.learnt) == ((300, 400), False, True)
    (worst,) = (d for d in first.differences if d.statistic == "class_share")
    shares = [abs(np.mean(choose.labels == c) - np.mean(test.labels == c)) for c in range(CLASSES)]
    assert worst.at == int(np.argmax(shares))
    (accuracy,) = (d for d in first.differences if d.statistic == "accuracy")
    assert (accuracy.expected, accuracy.observed) == (choose.baseline_right.mean(), test.baseline_right.mean())


@pytest.mark.parametrize("seed", range(5))
def test_classes_divide_one_share_of_the_level(seed: int) -> None:
    """9 and 7 statistics, all classes one of them."""
    rng = np.random.default_rng(seed)
    choose, test, screen = drawn(rng, 300), drawn(rng, 300, classes=(0.35, 0.25, 0.2, 0.2)), drawn(rng, 300)
    pairs = Pair(("choose", choose), ("test", test)), Pair(("screen", screen), ("choose", choose), True)
    for level in (0.01, 0.3, 0.9):
        for one in compare(pairs, THRESHOLDS, DECISION, labelled=True, level=level):
            for d in one.differences:
                assert d.outside == (d.p_value <= level / 16 / (CLASSES if d.statistic == "class_share" else 1))


def test_without_labels_or_with_weights_less_is_compared() -> None:
    rng = np.random.default_rng(8)
    choose, test = drawn(rng, 300), drawn(rng, 300)
    (bare,) = came_of(Pair(("choose", choose), ("test", test)), labelled=False)
    assert {d.statistic for d in bare.differences} == {"leave_rate", "left_confidence", "reached_confidence"}
    heavy = [replace(part, weights=np.where(part.labels == 0, 3.0, 1.0)) for part in (choose, test)]
    (weighted,) = came_of(Pair(("choose", heavy[0]), ("test", heavy[1])))
    assert {d.statistic for d in weighted.differences} == {d.statistic for d in bare.differences} | {"accuracy"}
    expected = np.average(choose.baseline_right, weights=heavy[0].weights)
    assert weighted.differences[0].expected == pytest.approx(expected)


def test_groups_are_the_unit_and_both_parts_must_have_them() -> None:
    rng = np.random.default_rng(9)
    choose, test = drawn(rng, 300, people=10), drawn(rng, 200, people=8)
    (found,) = came_of(Pair(("choose", choose), ("test", test)))
    assert (found.units, found.grouped) == ((10, 8), True)
    means = [choose.baseline_right[choose.groups == g].mean() for g in range(10)]
    assert found.differences[0].expected == pytest.approx(np.mean(means))
    assert came_of(Pair(("choose", choose), ("test", replace(test, groups=None)))) == ()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("people", [0, 40])
def test_outside_means_outside_of_the_interval(seed: int, people: int) -> None:
    rng = np.random.default_rng(seed)
    easier = drawn(rng, 400, harder=-0.5 * (seed % 3), people=people)
    for learnt in (False, True):
        for d in came_of(Pair(("screen", drawn(rng, 300, people=people)), ("choose", easier), learnt))[
            0
        ].differences:
            assert d.interval is not None and d.observed is not None
            low, high = d.interval
            assert d.outside == (not low - 1e-8 <= d.observed <= high + 1e-8), d
            assert not learnt or d.statistic == "class_share" or low == 0
