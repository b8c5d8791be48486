"""What classes lose: the bound that holds of whichever class is picked, and losses that chance does not explain."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from eeaug.cascade import class_drop, learn_then_test, paired_test
from eeaug.cascade.betting import mean_upper_bound
from eeaug.cascade.learn_then_test import Claim, upper_bound
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import Decision
from eeaug.cascade.passage import Passage

CLASSES = 4
DECISION = Decision("softmax", CLASSES)


def passage(losses: np.ndarray, labels: np.ndarray, **more: np.ndarray) -> Passage:
    """Every sample leaves at the exit; where the loss is 0 both are right."""
    wrong = (labels + 1) % CLASSES
    said = np.where([losses > 0, losses < 0], wrong, labels)
    return Passage(Outcomes(np.ones((2, len(labels)), np.float32), said, labels, **more), (0.5,))


def drawn(rng: np.random.Generator, each: int, worse: float, better: float) -> Passage:
    """As many samples of every class, all with the same true drop of ``worse`` − ``better``."""
    labels = np.repeat(np.arange(CLASSES), each)
    losses = rng.choice([1, -1, 0], len(labels), p=[worse, better, 1 - worse - better])
    return passage(losses, labels)


def test_claims_are_of_the_samples_of_a_class() -> None:
    labels, losses = np.array([2, 0, 2, 0, 3]), np.array([1, 0, -1, 1, 0])
    weights, groups = np.array([1.0, 2.0, 3.0, 2.0, 0.0]), np.array([7, 8, 7, 9, 9])
    claims = class_drop.claims(passage(losses, labels, weights=weights, groups=groups), DECISION, 0.1)
    assert list(claims) == [0, 2]  # 1 does not occur, 3 counts nothing
    assert claims[0].weights is None  # equal ones
    assert claims[2].weights is not None and claims[2].weights.tolist() == [0.5, 1.5]
    for c, lost, of in ((0, [0, 1], [8, 9]), (2, [1, -1], [7, 7])):
        assert claims[c].groups is not None and claims[c].groups.tolist() == of
        assert claims[c].losses.tolist() == lost and claims[c].budget == 0.1


def test_a_label_counts_all_samples() -> None:
    labels, cascade, given = (
        np.array([0b01, 0b11, 0b10]),
        np.array([0b01, 0b10, 0b01]),
        np.array([0b11, 0b11, 0b10]),
    )
    rows = Outcomes(np.ones((2, 3), np.float32), np.stack([cascade, given]), labels)
    claims = class_drop.claims(Passage(rows, (0.5,)), Decision("multilabel", 2), 0.0)
    assert claims[0].losses.tolist() == [0, 1, 1] and claims[1].losses.tolist() == [-1, 0, 1]


def test_the_bound_is_at_its_share_of_the_error() -> None:
    labels = np.repeat([0, 1], [100, 300])
    losses = np.zeros(400, np.int8)
    losses[:9], losses[9:11], losses[100:120] = 1, -1, 1
    alike = passage(losses, labels)
    assert class_drop.bound(alike, DECISION, 0, error=0.05) == paired_test.smallest_margin(9, 2, 100, 0.025)
    assert class_drop.bound(alike, DECISION, 1, error=0.05) == paired_test.smallest_margin(20, 0, 300, 0.025)
    groups = np.repeat(np.arange(80), 5)
    grouped = passage(losses, labels, groups=groups)
    means = losses[:100].reshape(20, 5).mean(axis=1)
    expected = mean_upper_bound(means, error=0.025, seed=3, least=0.0)
    assert class_drop.bound(grouped, DECISION, 0, error=0.05, seed=3) == expected > 0.2  # 20 groups say little
    # by bets where samples weigh differently
    weighted = passage(losses, labels, weights=np.tile([0.5, 1.5], 200))
    assert class_drop.bound(weighted, DECISION, 0, error=0.05) > 0.07


def test_the_bound_holds_of_whichever_class_is_picked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Picked in the meanest way, the one whose bound is lowest; 0.05 for each class would fail too often."""
    monkeypatch.setattr(learn_then_test, "smallest_margin", lru_cache(paired_test.smallest_margin))
    rng, drop, draws = np.random.default_rng(0), 0.2, 600
    failed = alone = 0
    for _ in range(draws):
        case = drawn(rng, 25, 0.25, 0.05)
        failed += min(class_drop.bound(case, DECISION, c, error=0.05) for c in range(CLASSES)) < drop
        claims = class_drop.claims(case, DECISION, 0.0).values()
        alone += min(upper_bound(claim, error=0.05) for claim in claims) < drop
    most = 0.05 * draws + 3 * np.sqrt(0.05 * 0.95 * draws)
    assert failed <= most < alone


@pytest.mark.parametrize("kind", ["samples", "groups", "weights"])
def test_chance_does_not_cry_wolf(kind: str) -> None:
    """All classes lose exactly what is allowed: the worst case."""
    rng, draws = np.random.default_rng(1), 300
    cried = 0
    for _ in range(draws):
        case = drawn(rng, 60, 0.06, 0.03)
        outcomes = case.outcomes
        if kind == "groups":  # five samples that lose together
            labels = np.repeat(np.arange(CLASSES), 60)
            losses = np.repeat(rng.choice([1, -1, 0], CLASSES * 12, p=[0.06, 0.03, 0.91]), 5)
            outcomes = passage(losses, labels, groups=np.repeat(np.arange(CLASSES * 12), 5)).outcomes
        elif kind == "weights":
            outcomes = passage(
                case.losses, outcomes.labels, weights=rng.permutation(np.tile([0.5, 1.5], 120))
            ).outcomes
        cried += bool(class_drop.above(Passage(outcomes, (0.5,)), DECISION, 0.03, error=0.05))
    assert cried <= 0.05 * draws + 3 * np.sqrt(0.05 * 0.95 * draws)


def test_what_a_class_clearly_loses_is_told() -> None:
    """As class A of the ECG, from 90.6 to 71.8 %; the others lose nothing."""
    labels = np.repeat(np.arange(CLASSES), [500, 85, 300, 5])
    losses = np.zeros(len(labels), np.int8)
    losses[500:517], losses[517:518] = 1, -1
    losses[-5:-2] = 1  # three of five samples: chance
    losses[:10] = 1  # 2 %, where 1 is allowed
    assert class_drop.above(passage(losses, labels), DECISION, 0.01, error=0.05) == {1: 85}
    for number, told in ((8, {1: 85}), (6, {})):  # McNemar's test asks for 7: 2^−7 < 0.05 / 4
        few = np.where((labels == 1) & (np.cumsum(labels == 1) <= number), 1, 0)
        assert class_drop.above(passage(few, labels), DECISION, 0.01, error=0.05) == told
    # the same 17 losses, of two patients out of ten
    groups = np.zeros(len(labels), np.int64)
    groups[500:585] = np.repeat(np.arange(10), 9)[:85]
    groups[labels != 1] = 100 + np.arange((labels != 1).sum())
    assert class_drop.above(passage(losses, labels, groups=groups), DECISION, 0.01, error=0.05) == {}


def test_equal_weights_are_none() -> None:
    outcomes = drawn(np.random.default_rng(2), 10, 0.2, 0.1).outcomes
    weighted = Outcomes(outcomes.confidence, outcomes.predicted, outcomes.labels, np.full(40, 0.3))
    losses = Passage(weighted, (0.5,)).losses
    assert Claim.of(weighted, losses, 0.1).weights is None
    assert Claim.of(weighted.only(np.zeros(0, np.intp)), losses[:0], 0.1).weights is None
