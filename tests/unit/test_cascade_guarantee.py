"""The guarantee errs as seldom as it says, stops where it must, and is worth having."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pytest
from instances import chosen, correlated

from eeaug.cascade import betting, learn_then_test
from eeaug.cascade.betting import GRID, mean_upper_bound
from eeaug.cascade.learn_then_test import Claim, certify, p_value
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.paired_test import PairedTest
from eeaug.cascade.passage import Passage
from eeaug.cascade.path import path

LEVELS = (0.01, 0.05, 0.1, 0.2, 0.5)


def draw(rng: np.random.Generator, n: int, worse: float, better: float) -> np.ndarray:
    return rng.choice([1, -1, 0], size=n, p=[worse, better, 1 - worse - better]).astype(np.int8)


def steps(losses: Iterable[np.ndarray], budget: float) -> Iterator[list[Claim]]:
    return ([Claim(of_one, budget)] for of_one in losses)


def at_most(hits: int, runs: int, rate: float) -> bool:
    """Whether so many hits are within three standard errors of a rate that is at most this."""
    return hits <= runs * rate + 3 * np.sqrt(runs * rate * (1 - rate))


@pytest.fixture
def few_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stakes that are set seldom: a test's validity does not depend on how often, its time does."""
    monkeypatch.setattr(betting, "BLOCKS", 12)


@pytest.mark.usefixtures("few_blocks")
@pytest.mark.parametrize(
    ("worse", "better", "budget"),
    [
        (0.02, 0.01, 0.01),  # the mean is the budget, as in all but the last
        (0.01, 0.0, 0.01),  # disagreement only
        (0.3, 0.29, 0.01),
        (0.05, 0.0, 0.05),
        (0.06, 0.02, 0.01),
    ],
)
def test_p_values_under_the_null_are_not_too_small(worse: float, better: float, budget: float) -> None:
    rng = np.random.default_rng(1)
    weights = np.ones(400)  # so that it bets
    p = np.array([p_value(draw(rng, 400, worse, better), budget, seed=i, weights=weights) for i in range(2000)])
    assert p.max() <= 1 and p.min() > 0
    assert [level for level in LEVELS if not at_most((p <= level).sum(), len(p), level)] == []


def test_p_values_of_few_samples_are_not_too_small() -> None:
    rng = np.random.default_rng(2)
    weights = np.ones(20)
    p = np.array([p_value(draw(rng, 20, 0.12, 0.02), 0.1, risk=0.2, seed=i, weights=weights) for i in range(2000)])
    assert [level for level in LEVELS if not at_most((p <= level).sum(), len(p), level)] == []
    assert (p <= 0.2).mean() > 0.04  # and not all 1


@pytest.mark.usefixtures("few_blocks")
def test_weighted_p_values_under_the_null_are_not_too_small() -> None:
    # two classes, one in ten samples is of the first; in the field it is every second: weights 5 and 5/9.
    # The first loses 3 points, the second gains 1: the mean is 1, though without weights it is −0.6.
    rng = np.random.default_rng(3)
    p, unweighted = [], []
    for i in range(2000):
        first = rng.random(600) < 0.1
        losses = np.where(first, draw(rng, 600, 0.05, 0.02), draw(rng, 600, 0.01, 0.02))
        weights = np.where(first, 5, 5 / 9)
        p.append(p_value(losses, 0.01, seed=i, weights=weights))
        unweighted.append(p_value(losses, 0.01, seed=i, weights=np.ones(600)))
    assert [level for level in LEVELS if not at_most((np.array(p) <= level).sum(), len(p), level)] == []
    assert not at_most((np.array(unweighted) <= 0.05).sum(), len(p), 0.05)


def test_heavy_weights_are_bet_on_with_care() -> None:
    losses = np.zeros(2000, dtype=np.int8)
    weights = np.where(np.arange(2000) < 100, 10.0, 1000 / 1900)
    assert p_value(losses, 0.01, weights=weights) > p_value(losses, 0.01, weights=np.ones(2000))
    losses[:100] = 1  # the heavy ones are lost: half of the field, a twentieth of the samples
    assert p_value(losses, 0.3) < 0.05 < p_value(losses, 0.3, weights=weights)


@pytest.mark.parametrize(
    ("worse", "better", "n", "least"),
    [
        (0.015, 0.015, 3300, 0.90),
        (0.025, 0.025, 3300, 0.72),
        (0.005, 0.005, 1300, 0.88),
        (0.0015, 0.0015, 660, 0.85),
    ],
)
def test_power(worse: float, better: float, n: int, least: float) -> None:
    # bets reach 0.92, 0.75, 0.82 and 0.81 here
    rng = np.random.default_rng(5)
    test = PairedTest(n, 0.01)
    drawn = rng.multinomial(n, [worse, better, 1 - worse - better], 1000)
    assert np.mean([test.passes(a, c) for a, c, _ in drawn.tolist()]) > least


def test_smallest_number_of_samples_without_any_loss() -> None:
    # nothing can be proven of a budget b with fewer than n samples, (1 − b)ⁿ ≤ risk: 299 here
    for bets in (None, np.ones):
        weights = [None if bets is None else bets(n) for n in (290, 330, 0, 5000)]
        assert p_value(np.zeros(290, dtype=np.int8), 0.01, weights=weights[0]) > 0.05
        assert p_value(np.zeros(330, dtype=np.int8), 0.01, weights=weights[1]) <= 0.05
        assert p_value(np.zeros(0, dtype=np.int8), 0.01, weights=weights[2]) == 1
        assert p_value(np.zeros(5000, dtype=np.int8), 0.0, weights=weights[3]) == 1


def test_same_seed_same_result_and_order_of_the_chain_kept() -> None:
    losses = [draw(np.random.default_rng(6), 700, 0.01, 0.012) for _ in range(3)]
    assert certify(steps(losses, 0.01), risk=0.1, seed=3) == certify(list(steps(losses, 0.01)), risk=0.1, seed=3)
    assert len({p_value(losses[0], 0.01, seed=seed, weights=np.ones(700)) for seed in range(5)}) > 1
    assert len({p_value(losses[0], 0.01, seed=seed) for seed in range(5)}) == 1  # the exact test draws no order


def test_stops_at_the_first_that_is_not_proven() -> None:
    good, bad = np.zeros(2000, dtype=np.int8), draw(np.random.default_rng(7), 2000, 0.1, 0.0)
    asked = []

    def designs() -> Iterator[list[Claim]]:
        for i, losses in enumerate([good, good, bad, good]):
            asked.append(i)
            yield [Claim(losses, 0.01, name="drop")]

    result = certify(designs(), risk=0.05)
    assert asked == [0, 1, 2]
    assert (result.index, result.tested, result.failed) == (1, 3, "drop")
    assert result.p_value == p_value(good, 0.01) <= 0.05
    assert (result.samples, result.units, result.smallest_drop) == (2000, 2000, None)
    everything = certify(steps([good, good], 0.01), risk=0.05)
    assert (everything.index, everything.tested, everything.failed) == (1, 2, None)


def test_all_claims_of_a_step_must_hold() -> None:
    good, fair = np.zeros(2000, np.int8), draw(np.random.default_rng(8), 400, 0.03, 0.01)
    chain = [[Claim(good, 0.01, name="all"), Claim(fair, budget, name="class")] for budget in (0.1, 0.06, 0.01)]
    result = certify(chain, risk=0.05)
    assert (result.index, result.tested, result.failed) == (1, 3, "class")
    assert result.p_value == p_value(fair, 0.06) > p_value(good, 0.01)
    alone = certify(chain[2:], risk=0.05)
    assert (alone.index, alone.tested, alone.failed, alone.samples) == (None, 1, "class", 2000)
    assert alone.p_value == p_value(fair, 0.01) > 0.05
    assert alone.smallest_drop is not None and p_value(fair, alone.smallest_drop) <= 0.05
    assert certify([chain[2][:1]], risk=0.05).index == 0


def test_an_empty_chain_proves_nothing() -> None:
    result = certify([], risk=0.05)
    assert (result.index, result.tested, result.p_value, result.smallest_drop) == (None, 0, None, None)
    nothing = certify([[Claim(np.zeros(0, np.int8), 0.01)]], risk=0.05)
    assert (nothing.index, nothing.samples, nothing.p_value, nothing.smallest_drop) == (None, 0, 1.0, 1.0)


@pytest.mark.usefixtures("few_blocks")
@pytest.mark.parametrize("drops", [(0.02,), (0.02, 0.02, 0.02, 0.02), (-0.05, 0.0, 0.02, 0.025, 0.03)])
def test_a_design_over_budget_passes_as_seldom_as_the_risk(
    drops: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learn_then_test, "_smallest_drop", lambda *_: None)  # which takes longer
    rng, runs, risk, budget = np.random.default_rng(8), 600, 0.1, 0.02
    broken = 0
    for i in range(runs):
        shared = rng.random(500)  # neighbours err on the same samples
        losses = [(shared < 0.06 + drop).astype(np.int8) - (rng.random(500) < 0.06) for drop in drops]
        index = certify(steps(losses, budget), risk=risk, seed=i).index
        broken += index is not None and drops[index] >= budget
    assert at_most(broken, runs, risk)


def test_smallest_drop_is_the_first_that_is_proven() -> None:
    grid = np.sinh(np.linspace(-5, 5, GRID)) / np.sinh(5)
    weights = np.ones(400)
    for i in range(5):
        losses = draw(np.random.default_rng(i), 400, 0.03, 0.01)
        result = certify([[Claim(losses, 0.01)]] * 2, risk=0.1, seed=i)
        assert result.index is None and result.tested == 1
        smallest = result.smallest_drop
        assert smallest is not None and smallest > 0.01
        assert p_value(losses, smallest, risk=0.1) <= 0.1 < p_value(losses, 0.998 * smallest, risk=0.1)
        # by bets, a grid of means is tested from the largest down
        smallest = certify([[Claim(losses, 0.01, weights)]], risk=0.1, seed=i).smallest_drop
        assert smallest is not None and smallest == mean_upper_bound(losses, error=0.1, seed=i) > 0.01
        above = grid[grid >= smallest - 1e-12]
        assert all(p_value(losses, m, risk=0.1, seed=i, weights=weights) <= 0.1 for m in above[::20].tolist())
        below = max(0.01, float(grid[grid < smallest - 1e-12][-1]))
        assert p_value(losses, below, risk=0.1, seed=i, weights=weights) > 0.1
    assert certify([[Claim(np.ones(50, dtype=np.int8), 0.01)]], risk=0.1).smallest_drop == 1.0


def test_paired_losses_are_those_of_a_replay() -> None:
    outcomes, thresholds, _ = chosen(np.random.default_rng(14), samples=50)
    right = outcomes.predicted == outcomes.labels
    for i, loss in enumerate(Passage(outcomes, thresholds).losses):
        leaves = [k for k in range(2) if outcomes.confidence[k, i] >= np.float32(thresholds[k])]
        assert loss == int(not right[leaves[0] if leaves else 2, i]) - int(not right[2, i])
    assert not Passage(outcomes, [np.inf, None]).losses.any()


@pytest.mark.usefixtures("few_blocks")
def test_budget_holds_from_choose_to_the_field() -> None:
    """The whole way: a design is picked where it just fits, its chain tested on other samples."""
    rng, runs, risk, budget = np.random.default_rng(15), 200, 0.1, 0.03
    field = correlated(rng, 1, 20000)
    broken = unguarded = passed = 0
    grid = np.quantile(field.confidence[0], np.linspace(0, 1, 40)[1:-1]).astype(np.float32)
    for i in range(runs):
        drawn = rng.integers(0, field.samples, 1200)
        choose, test = (
            Outcomes(field.confidence[:, part], field.predicted[:, part], field.labels[part])
            for part in (drawn[:400], drawn[400:])
        )
        fitting = [t for t in grid if Passage(choose, [t]).losses.mean() <= budget]
        if not fitting:
            continue
        unguarded += Passage(field, [fitting[0]]).losses.mean() > budget
        designs = path(choose, [1.0, 9.0], 9.9)
        index = certify(steps((Passage(test, t).losses for t in designs), budget), risk=risk, seed=i).index
        if index is not None:
            passed += 1
            broken += Passage(field, designs[index]).losses.mean() > budget
    assert at_most(broken, runs, risk)
    assert passed > 0.8 * runs
    assert unguarded > 0.3 * runs  # what the guarantee is for
