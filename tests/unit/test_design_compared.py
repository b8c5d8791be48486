"""Designs compared on a part of choose: what belongs to it, and what a design will save by it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from instances import make

from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import Decision
from eeaug.design import compared, screened
from eeaug.design.compared import LEAST, OnScreen, divided
from eeaug.design.problem import Rules
from eeaug.design.promise import Terms
from eeaug.search.space import Problem
from eeaug.search.thresholds import Objective

NO_PINS, SOFTMAX = Rules((), {}, {}, 2), Decision("softmax", 4)
PROVEN = Terms(("proven",), 0.05)


def task(seed: int, samples: int = 500) -> Problem:
    instance = make(np.random.default_rng(seed), locations=4, samples=samples)
    base = float(instance.outcomes.accuracies[-1])
    problem = instance.problem(objective=Objective(base, 1.0), max_exits=2)
    return replace(problem, objective=Objective(base, float(problem.costs.total_macs), 0.03))


def outcomes(samples: int, groups: int | None = None) -> Outcomes:
    rng = np.random.default_rng(1)
    of = None if groups is None else np.concatenate([np.arange(groups), rng.integers(0, groups, samples - groups)])
    return Outcomes(
        rng.random((2, samples), np.float32),
        rng.integers(0, 4, (2, samples)),
        rng.integers(0, 4, samples),
        groups=of,
    )


def test_a_part_of_many_samples_compares_and_the_others_prove() -> None:
    compares, proves = divided(outcomes(LEAST), 0)
    assert len(compares) == round(compared.SHARE * LEAST)
    assert sorted([*compares, *proves]) == list(range(LEAST))
    again, other = divided(outcomes(LEAST), 0)[0], divided(outcomes(LEAST), 1)[0]
    assert np.array_equal(compares, again) and not np.array_equal(compares, other)
    few, every = divided(outcomes(LEAST - 1), 0)
    assert not len(few) and len(every) == LEAST - 1


def test_groups_stay_whole_and_are_what_counts() -> None:
    many = outcomes(3 * LEAST, LEAST)
    assert many.groups is not None
    compares, proves = divided(many, 0)
    names = set(many.groups[compares])
    assert len(names) == round(compared.SHARE * LEAST) and not names & set(many.groups[proves])
    assert not len(divided(outcomes(3 * LEAST, LEAST - 1), 0)[0])


def test_the_design_is_the_one_that_saves_most_by_the_samples_that_compare() -> None:
    others = 0
    for seed in range(10):
        both = task(seed, 1000)
        on_screen, here = (
            replace(both, outcomes=both.outcomes.only(part)) for part in np.split(np.arange(1000), 2)
        )
        known = OnScreen(on_screen, NO_PINS, None, SOFTMAX)
        best = known.best(here, lambda _: None, PROVEN, 2000)
        designs = [design for design in known.searched[1] if design.exits]
        listed = [one for design in designs for _, _, one in known._variants(design)]
        scores = [
            0.75 * compared.saves(one, here, lambda _: None, SOFTMAX)
            + 0.25 * screened.saved(on_screen, one.design, one.steps, 2000)
            for one in (best, *listed)
        ]
        assert scores[0] == max(scores)
        others += best.design.exits not in [design.exits for design in designs[:1]]
    assert others >= 1


def test_what_is_saved_is_a_mean_over_drops() -> None:
    here = task(3)
    one = OnScreen(here, NO_PINS, None, SOFTMAX).best(here, lambda _: None, PROVEN, 2000)
    assert one.design.exits
    opening, expected = one.opening(here, SOFTMAX), []
    for multiple in compared.BUDGETS:
        fits = [passage.losses.mean() <= multiple * 0.03 + 1e-9 for passage in opening.passages]
        first = fits.index(False) if False in fits else len(fits)
        expected.append(opening.saved(first - 1 if first else None))
    assert np.isclose(compared.saves(one, here, lambda _: None, SOFTMAX), np.mean(expected))


def test_architectures_and_shares_are_judged_by_means() -> None:
    """Whatever is added by chance to a single pair: the best of each is best together."""
    archs, shares = [((k,), (0, 0)) for k in range(4)], (0.0, *compared.SHARES)
    rng = np.random.default_rng(0)
    table = rng.random((4, 1)) + rng.random((1, 4))
    scores = {(arch, share): table[i, k] for i, arch in enumerate(archs) for k, share in enumerate(shares)}
    assert np.allclose(list(compared.evened(scores).values()), table.ravel())
    noisy = {key: score + 0.3 * rng.standard_normal() for key, score in scores.items()}
    evened = compared.evened(noisy)
    assert np.std([evened[k] - scores[k] for k in scores]) < 0.9 * np.std([noisy[k] - scores[k] for k in scores])
    # one that is alone keeps what it has
    alone = {k: s for k, s in scores.items() if k[0] != archs[0] or k[1] == 0}
    assert np.isclose(compared.evened(alone)[archs[0], 0.0], table[0, 0])
