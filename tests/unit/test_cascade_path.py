"""The path of thresholds that a design is opened along."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from instances import chosen

from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.passage import Passage
from eeaug.cascade.path import FINEST, path


def test_it_runs_from_strict_to_loose_and_gets_cheaper() -> None:
    outcomes, thresholds, costs = chosen(np.random.default_rng(9))
    designs = path(outcomes, costs, 10.0)
    assert len(designs) > 5
    spent = np.cumsum(costs)
    means = [spent[Passage(outcomes, t).at].mean() for t in designs]
    assert all(a - b >= 10 * FINEST - 1e-9 for a, b in zip([10.0, *means], means, strict=False))
    strictness = [[np.inf if t is None else t for t in design] for design in designs]
    assert all(a >= b for one, next_ in pairwise(strictness) for a, b in zip(one, next_, strict=True))
    # the chosen design's decisions lie on the path: some are stricter, some looser
    assert means[0] > spent[Passage(outcomes, thresholds).at].mean() > means[-1]


def test_it_thresholds_are_apart_from_every_confidence() -> None:
    outcomes, _, costs = chosen(np.random.default_rng(10))
    for design in path(outcomes, costs, 10.0):
        for row, threshold in zip(outcomes.confidence, design, strict=False):
            assert threshold == np.float32(threshold) and threshold != 1.0
            assert threshold not in row or threshold == row.min()


def test_it_leaves_fixed_thresholds_alone() -> None:
    outcomes, thresholds, costs = chosen(np.random.default_rng(11))
    fixed = path(outcomes, costs, 10.0, fixed=[thresholds[0], None])
    assert {design[0] for design in fixed} == {thresholds[0]} and len(fixed) > 2
    assert path(outcomes, costs, 10.0, fixed=thresholds) == (tuple(thresholds),)


def test_all_exits_have_the_same_threshold_up_to_rounding() -> None:
    outcomes, _, costs = chosen(np.random.default_rng(17))
    for first, second in path(outcomes, costs, 10.0):
        if first is not None and second is not None:
            between = np.sort(np.concatenate([np.unique(row) for row in outcomes.confidence[:2]]))
            low, high = sorted((first, second))
            assert ((between > low) & (between < high)).sum() <= 3


def test_it_holds_nothing_that_costs_more_than_no_exits() -> None:
    outcomes, _, costs = chosen(np.random.default_rng(12))
    everything = path(outcomes, costs, 10.0)
    spent = np.cumsum(costs)
    limit = float(spent[Passage(outcomes, everything[3]).at].mean()) + 10 * FINEST
    assert path(outcomes, costs, limit)[0] == everything[3]
    assert path(outcomes, costs, 0.5) == ()


def test_it_counts_samples_by_their_weights() -> None:
    outcomes, _, costs = chosen(np.random.default_rng(13))
    # only samples that stay to the end count: until these leave, no threshold saves anything
    designs = path(outcomes, costs, 10.0)
    middle = len(designs) // 2
    stays = Passage(outcomes, designs[middle]).at == 2
    weights = stays * len(stays) / stays.sum()
    weighted = Outcomes(outcomes.confidence, outcomes.predicted, outcomes.labels, weights)
    cheaper = path(weighted, costs, 10.0)
    assert 0 < len(cheaper) < len(designs) and not set(cheaper) & set(designs[: middle + 1])
