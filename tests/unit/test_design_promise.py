"""How far a path is opened for what is promised: proofs, expectations, which is taken, by groups and by class."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eeaug.cascade import learn_then_test
from eeaug.cascade.learn_then_test import Claim
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import Decision
from eeaug.cascade.passage import Passage
from eeaug.design.promise import LEAST_SHARE, Opening, Promise, Terms, estimated, units_without_loss

BOTH = Terms(("proven", "expected"), 0.05)
PROVEN, EXPECTED = Terms(("proven",), 0.05), Terms(("expected",), 0.05)
COSTS, WHOLE = np.array([1.0, 9.0]), 9.5


def field(rng: np.random.Generator, samples: int, groups: int | None = None) -> Outcomes:
    """One exit that is the surer the likelier it is right, and a given model that is mostly wrong where it is."""
    hard = rng.random(samples)
    group = None if groups is None else rng.integers(0, groups, samples)
    if group is not None:  # all that is hard about a group is hard in all its samples
        hard = np.clip(0.6 * rng.random(groups or 1)[group] + 0.4 * hard, 0, 1)
    confidence = np.array([1 - 0.7 * hard, np.ones(samples)], np.float32)
    luck, gained = rng.random(samples), rng.random(samples) < 0.02 * hard
    right = np.array([luck > 0.45 * hard**2, (luck > 0.3 * hard**2) & ~gained])
    labels = np.zeros(samples, np.int64)
    return Outcomes(confidence, np.where(right, 0, 1), labels, groups=group)


STEPS = tuple((float(t),) for t in np.linspace(0.99, 0.31, 60))


def opening(outcomes: Outcomes, **changes: object) -> Opening:
    return replace(Opening(STEPS, outcomes, COSTS, WHOLE, Decision("softmax", 2)), **changes)  # type: ignore[arg-type]


def drops(outcomes: Outcomes) -> np.ndarray:
    return np.array([Passage(outcomes, step).losses.mean() for step in STEPS])


TRUTH = drops(field(np.random.default_rng(99), 400_000))


def over(terms: Terms, samples: int, draws: int = 300, budget: float = 0.01) -> tuple[float, float]:
    """How often the true drop of what is promised exceeds the budget, and what it saves on average."""
    missed, saved = 0, 0.0
    for seed in range(draws):
        path = opening(field(np.random.default_rng(seed), samples))
        index, _ = path.promised(terms, budget, 0)
        missed += index is not None and TRUTH[index] > budget
        saved += path.saved(index)
    return missed / draws, saved / draws


def test_what_is_proven_is_missed_as_seldom_as_the_risk_and_less_saves_less() -> None:
    noise = 3 * np.sqrt(0.05 * 0.95 / 300)
    few, more = over(PROVEN, 500), over(PROVEN, 3000)
    assert few[0] <= 0.05 + noise and more[0] <= 0.05 + noise
    assert 0 < few[1] < more[1]


def test_what_is_expected_saves_more_and_is_missed_more_often() -> None:
    proven, expected = over(PROVEN, 1000), over(EXPECTED, 1000)
    assert expected[1] > proven[1]
    assert 0.02 < expected[0] <= 0.16 + 3 * np.sqrt(0.16 * 0.84 / 300)


def test_the_expected_step_is_the_last_of_those_whose_drop_and_error_fit() -> None:
    path = opening(field(np.random.default_rng(3), 800))
    index, promise = path.promised(EXPECTED, 0.01, 0)
    losses = np.array([p.losses for p in path.passages], float)
    drop, counting = losses.mean(1), np.abs(losses).mean(1)
    # the variance if so many more were lost that the drop were the budget
    error = np.sqrt((counting - drop**2 + 0.01 - drop) / 800)
    fits = drop + error <= 0.01
    assert index == int(np.argmin(fits)) - 1 and promise.kept and 5 < index < 55
    assert promise.drop == pytest.approx(drop[index])
    assert promise.error == pytest.approx(error[index], rel=0.01)


def test_a_proof_is_taken_unless_it_saves_less_than_half() -> None:
    taken = set()
    for samples in (250, 350, 600, 2000):
        for seed in range(10):
            path = opening(field(np.random.default_rng(seed), samples))
            proven, expected = path.promised(PROVEN, 0.01, 0), path.promised(EXPECTED, 0.01, 0)
            enough = path.saved(proven[0]) >= LEAST_SHARE * path.saved(expected[0])
            assert path.promised(BOTH, 0.01, 0) == (proven if enough else expected)
            taken.add(enough)
    assert taken == {True, False}


def test_how_many_samples_would_prove_it_is_about_so_many() -> None:
    """As many samples as that, losing as much, prove it; a third fewer do not."""
    outcomes = field(np.random.default_rng(5), 400)
    index, promise = opening(outcomes).promised(EXPECTED, 0.01, 0)
    assert index is not None and promise.needed is not None and promise.needed > 400

    def proven(samples: int) -> bool:
        same = outcomes.only(np.resize(np.arange(400), samples))
        return opening(same, steps=(STEPS[index],)).promised(PROVEN, 0.01, 0)[1].kept

    assert proven(round(1.05 * promise.needed))
    assert not proven(round(promise.needed / 1.5))


def test_few_samples_prove_nothing_and_say_what_would() -> None:
    path = opening(field(np.random.default_rng(1), 100))
    index, promise = path.promised(PROVEN, 0.01, 0)
    assert index is None and not promise.kept and promise.tested == 1
    assert promise.needed == 299 == units_without_loss(0.01, 0.05, grouped=False)  # 0.99 ** 299 < 0.05
    assert promise.smallest_drop is not None and 0.01 < promise.smallest_drop < 1


def test_groups_are_what_counts() -> None:
    """Three patients prove nothing, however many samples they have; nor is their error that of samples."""
    rng = np.random.default_rng(7)
    samples, whole = field(rng, 6000), field(rng, 6000, groups=3)
    index, promise = opening(whole).promised(PROVEN, 0.02, 0)
    assert index is None and promise.grouped and (promise.units, promise.samples) == (3, 6000)
    assert promise.needed is not None and 100 < promise.needed < 400
    assert opening(replace(whole, groups=None)).promised(PROVEN, 0.02, 0)[0] is not None
    many = replace(samples, groups=np.arange(6000) // 4)
    assert opening(many).promised(PROVEN, 0.02, 0)[1].units == 1500
    assert opening(whole).promised(EXPECTED, 0.02, 0)[1].units == 3


def test_a_proof_by_groups_keeps_the_budget_by_sample_too() -> None:
    """Small groups gain, large ones lose: their mean is within the budget, the mean of samples is not."""
    rng = np.random.default_rng(9)
    groups = np.concatenate([np.repeat(np.arange(400), 2), np.repeat(np.arange(400, 500), 60)])
    lost = rng.random(len(groups)) < np.where(groups < 400, 0.0, 0.05)
    n = len(groups)
    confidence = np.array([np.full(n, 0.9), np.ones(n)], np.float32)
    rows = Outcomes(
        confidence, np.array([lost, np.zeros(n, bool)]).astype(np.int64), np.zeros(n, np.int64), groups=groups
    )
    path = opening(rows, steps=((None,), (0.8,)))
    index, promise = path.promised(Terms(("proven",), 0.05), 0.02, 0)
    losses = path.passages[1].losses
    assert losses.mean() > 0.04 and np.bincount(groups, losses).sum() / np.bincount(groups).sum() > 0.04
    assert learn_then_test.p_value(losses, 0.02, groups=groups) < 0.05  # by groups it is proven
    assert index == 0 and promise.kept and promise.drop == 0


def test_a_class_that_loses_too_much_stops_the_path() -> None:
    outcomes = field(np.random.default_rng(2), 4000)
    labels = (np.random.default_rng(3).random(4000) < 0.2).astype(np.int64)
    worse = (labels == 1) & (np.arange(4000) % 4 == 0)  # of class 1 the exit is wrong on a quarter more
    predicted = np.where(outcomes.predicted == 0, labels, 1 - labels)
    predicted[0] = np.where(worse, 1 - labels, predicted[0])
    outcomes = replace(outcomes, labels=labels, predicted=predicted)
    free, bound = opening(outcomes), opening(outcomes, class_drop=0.06)
    for terms in (PROVEN, EXPECTED):
        far, _ = free.promised(terms, 0.05, 0)
        near, _ = bound.promised(terms, 0.05, 0)
        assert far is not None and (near is None or near < far)
        if near is not None:
            of_class = labels == 1
            assert bound.passages[near].losses[of_class].mean() < 0.06 < free.passages[far].losses[of_class].mean()


def test_what_fails_first_is_told_of_the_class_or_of_the_budget() -> None:
    outcomes = field(np.random.default_rng(2), 4000)
    labels = (np.arange(4000) < 10).astype(np.int64)  # ten samples prove next to nothing of class 1
    outcomes = replace(outcomes, labels=labels, predicted=np.where(outcomes.predicted == 0, labels, 1 - labels))
    index, promise = opening(outcomes, class_drop=0.06).promised(PROVEN, 0.05, 0)
    assert index is None and promise.class_drop == 0.06
    assert promise.smallest_drop is None and promise.needed is None
    assert promise.smallest_class_drop == pytest.approx(1 - 0.05 ** (1 / 10), rel=0.01)  # not one of ten is lost
    index, promise = opening(outcomes, class_drop=0.06).promised(PROVEN, 1e-4, 0)
    assert index is None and promise.smallest_class_drop is None and promise.smallest_drop is not None
    assert promise.needed is not None


def test_without_steps_nothing_is_tested() -> None:
    path = opening(field(np.random.default_rng(0), 50), steps=())
    for terms in (PROVEN, EXPECTED):
        index, promise = path.promised(terms, 0.01, 0)
        assert index is None and not promise.kept and promise.tested == 0 and isinstance(promise, Promise)


def test_a_jitter_of_the_last_digit_changes_little() -> None:
    """Confidences of another machine's arithmetic: the saving moves by two points at most."""
    outcomes = field(np.random.default_rng(11), 2000)
    before = opening(outcomes)
    for seed in range(5):
        noise = np.random.default_rng(seed).normal(0, 1e-6, outcomes.confidence.shape).astype(np.float32)
        after = opening(replace(outcomes, confidence=np.clip(outcomes.confidence + noise, 0, 1)))
        for terms in (PROVEN, EXPECTED):
            saved = [path.saved(path.promised(terms, 0.01, 0)[0]) for path in (before, after)]
            assert abs(saved[0] - saved[1]) <= 0.02


def test_one_sample_that_is_gained_and_weighs_much_is_no_reason_against_a_step() -> None:
    """Of 500 samples 40 weigh 0.9 together: a loss of one of them is 2.25 points, a gain of one is none."""
    weights = np.where(np.arange(500) < 40, 0.9 / 40, 0.1 / 460) * 500
    gained, lost, nothing = np.zeros(500, int), np.zeros(500, int), np.zeros(500, int)
    gained[0], lost[0] = -1, 1
    (drop, error), (worse, _) = (estimated(Claim(losses, 0.01, weights)) for losses in (gained, lost))
    assert drop == pytest.approx(-0.0225) and worse == pytest.approx(0.0225)
    assert drop + error == pytest.approx(sum(estimated(Claim(nothing, 0.01, weights))))
    assert drop + error < 0.01
    rng = np.random.default_rng(0)
    for _ in range(100):  # never less than what is lost, whatever is gained; never more than it was without gains
        losses = rng.integers(-1, 2, 50) * (rng.random(50) < 0.3)
        drop, error = estimated(Claim(losses, 0.01))
        assert drop == pytest.approx(losses.mean()) and error > 0
        assert drop + error <= sum(estimated(Claim(np.maximum(losses, 0), 0.01))) + 1e-12
