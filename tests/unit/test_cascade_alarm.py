"""The alarm on leave rates: no bet can win on average inside the interval, false alarms, delays."""

from __future__ import annotations

from math import log2

import numpy as np
import pytest
from numpy.typing import NDArray

from eeaug.cascade import alarm, shift
from eeaug.cascade.alarm import BETS, LEVEL, SCALE, LeaveAlarm
from eeaug.cascade.outcomes import Outcomes


def reference(rates: list[float], samples: int = 1000) -> LeaveAlarm:
    """Of a point at which these shares of those that reach an exit leave there."""
    confidence, reached = np.zeros((len(rates) + 1, samples), np.float32), samples
    left = 0
    for k, rate in enumerate(rates):
        here = round(rate * reached)
        confidence[k, left : left + here] = 1
        left, reached = left + here, reached - here
    outcomes = Outcomes(confidence, np.zeros(confidence.shape, int), np.zeros(samples, int))
    recorded = shift.recorded(outcomes, {"default": [0.5] * len(rates)}, "test")
    return alarm.of_reference(recorded, ["default"], len(rates))


def first_alarm(steps: NDArray[np.int64], limit: int, leaves: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Per stream (n, samples) the sample at which there is an alarm, from 1; 0: none. As the C code computes."""
    n, samples = leaves.shape
    evidence = np.zeros((n, BETS), np.int64)
    found = np.zeros(n, np.int64)
    for t in range(1, samples + 1):
        evidence = np.maximum(evidence, alarm.floor_of(t)) + steps[:, leaves[:, t - 1].astype(int)].T
        new = (evidence >= limit).any(axis=1) & (found == 0)
        found[new] = t
    return found


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.3, 0.645, 0.99, 1.0])
@pytest.mark.parametrize("samples", [20, 1000])
def test_no_bet_wins_on_average_inside_the_interval(rate: float, samples: int) -> None:
    made = reference([rate], samples)
    error = LEVEL / 2 / 2
    low, high = alarm._interval(round(rate * samples), samples, error)
    assert low <= rate <= high
    factors = 2.0 ** (made.steps[0, 0] / SCALE)
    for p in np.linspace(low, high, 50):
        assert ((1 - p) * factors[:, 0] + p * factors[:, 1] <= 1 + 1e-12).all()
    assert np.abs(made.steps).max() < 2**15, "they fit 16 bits"


def test_the_interval_holds_as_often_as_it_says() -> None:
    """By the binomial distribution itself: each limit is wrong with at most its error."""
    from scipy import stats

    n, error = 40, 0.01
    limits = [alarm._interval(a, n, error) for a in range(n + 1)]
    for p in np.linspace(0.001, 0.999, 97):
        chances = stats.binom.pmf(range(n + 1), n, p)
        assert sum(c for c, (low, _) in zip(chances, limits, strict=True) if low > p) <= error
        assert sum(c for c, (_, high) in zip(chances, limits, strict=True) if high < p) <= error


def test_what_is_put_in_sums_to_one() -> None:
    """By blocks of numbers with as many digits, each of which is one over its digits and one less."""
    total = sum(2.0 ** (alarm.floor_of(t) / SCALE) for t in range(1, 2**16 - 1))
    assert 0.999 * (1 - 1 / 16) < total <= 1 - 1 / 16
    assert alarm.floor_of(1) == -2 * SCALE
    assert all(alarm.floor_of(2**b - 1) == alarm.floor_of(2 ** (b + 1) - 2) for b in range(1, 31))


def test_false_alarms_are_rare_even_at_the_interval_s_ends() -> None:
    made = reference([0.645])
    rng = np.random.default_rng(0)
    low, high = alarm._interval(645, 1000, LEVEL / 2 / 2)
    for p in (low, 0.645, high):
        found = first_alarm(made.steps[0, 0], made.limit, rng.random((2000, 3000)) < p)
        assert (found > 0).mean() <= LEVEL / 2


@pytest.mark.parametrize(
    ("rate", "after", "quiet", "delay"),
    [(0.645, 0.45, 0, 200), (0.645, 0.85, 0, 250), (0.645, 0.45, 3000, 500), (0.645, 0.1, 3000, 60),
     (0.95, 0.8, 0, 150), (0.02, 0.2, 0, 120)],
)  # fmt: skip
def test_shifts_are_seen_soon(rate: float, after: float, quiet: int, delay: int) -> None:
    """Also after a long quiet time, in which bets have lost."""
    made = reference([rate])
    rng = np.random.default_rng(1)
    before, then = rng.random((200, quiet)) < rate, rng.random((200, 3 * delay)) < after
    found = first_alarm(made.steps[0, 0], made.limit, np.hstack([before, then]))
    assert (found > 0).all()
    assert np.median(found) - quiet <= delay
    assert ((found > 0) & (found <= quiet)).mean() <= LEVEL


def test_exits_share_the_level() -> None:
    one, two = reference([0.6]), reference([0.6, 0.5])
    assert two.limit - one.limit == pytest.approx(SCALE, abs=1)
    assert one.limit == pytest.approx(SCALE * log2(2 * BETS / (LEVEL / 2)), abs=1)
    assert two.steps.shape == (1, 2, BETS, 2)


def test_where_nothing_ever_leaves_or_everything_does() -> None:
    """Bets on what is beyond the end of an interval at 0 or 1 do not exist."""
    never, always = reference([0.0]).steps[0, 0], reference([1.0]).steps[0, 0]
    assert not never[BETS // 2 :].any() and never[: BETS // 2, 1].min() > 0
    assert not always[: BETS // 2].any() and always[BETS // 2 :, 0].min() > 0
