"""Labels only where they matter: the order, equality with the proof by all labels, no guess proves more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eeaug.cascade.label_order import LabelOrder, assumed, label_order
from eeaug.cascade.learn_then_test import Certified, Claim, certify
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.paired_test import PairedTest
from eeaug.cascade.passage import Passage

PATH: tuple[tuple[float | None, ...], ...] = ((0.97, None), (0.95, 0.97), (0.9, 0.95), (0.8, 0.9), (0.5, 0.8))
BUDGET, RISK = 0.02, 0.05


def drawn(seed: int, samples: int = 600, groups: int = 0) -> Outcomes:
    """Three classifiers that agree mostly, the more the surer they are."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 5, samples)
    hard = rng.normal(size=samples)
    p = 1 / (1 + np.exp(-(np.array([[3.0], [4.0], [5.0]]) - 1.5 * hard + rng.normal(0, 0.6, (3, samples)))))
    right = rng.random((3, samples)) < p
    predicted = np.where(right, labels, (labels + rng.integers(1, 5, (3, samples))) % 5)
    of = None if not groups else np.sort(rng.integers(0, groups, samples))
    return Outcomes(p.astype(np.float32), predicted, labels, groups=of)


def proof(rows: Outcomes, path: tuple[tuple[float | None, ...], ...] = PATH) -> Certified:
    return certify(([Claim(Passage(rows, step).losses, BUDGET, groups=rows.groups)] for step in path), risk=RISK)


def known(order: LabelOrder, count: int, samples: int) -> np.ndarray:
    """The first ``count`` of the samples to be labelled."""
    mask = np.zeros(samples, dtype=bool)
    mask[order.samples[:count]] = True
    return mask


@pytest.mark.parametrize("seed", range(5))
def test_the_order_by_brute_force(seed: int) -> None:
    rows = drawn(seed)
    order = label_order(rows, PATH)
    said = [Passage(rows, step).predicted for step in PATH]
    listed = []
    for i in range(rows.samples):
        differ = [k for k in range(len(PATH)) if said[k][i] != rows.baseline[i]]
        assert order.first[i] == (differ[0] if differ else len(PATH))
        assert order.answer[i] == (said[differ[0]][i] if differ else rows.baseline[i])
        listed += [(differ[0], i)] if differ else []
    assert order.samples.tolist() == [i for _, i in sorted(listed)]
    for k in range(len(PATH)):
        assert order.up_to(k) == sum(step <= k for step, _ in listed)
        assert order.labelled_steps(known(order, order.up_to(k), rows.samples)) > k
        if order.up_to(k) and order.first[order.samples[order.up_to(k) - 1]] == k:
            assert order.labelled_steps(known(order, order.up_to(k) - 1, rows.samples)) == k


@pytest.mark.parametrize("groups", [0, 200])
@pytest.mark.parametrize("seed", range(8))
def test_labels_where_the_two_differ_are_as_good_as_all(seed: int, groups: int) -> None:
    """Bit for bit, p-value included; labels beyond the step at which the proof ends are of no use."""
    rows = drawn(seed, 1500, groups)
    whole, order = proof(rows), label_order(rows, PATH)
    needed = order.up_to(whole.tested - 1)
    assert needed < rows.samples / 4
    for count in (needed, len(order.samples)):
        assert proof(assumed(rows, known(order, count, rows.samples), rows.labels)) == whole


def test_some_of_these_proofs_succeed_and_some_end() -> None:
    """Else the test above compares nothing."""
    ends = {proof(drawn(seed, 1500)).index for seed in range(8)}
    assert ends - {None} and ends != {len(PATH) - 1}


@pytest.mark.parametrize("seed", range(6))
def test_what_is_not_labelled_proves_less_never_more(seed: int) -> None:
    rows = drawn(seed, 1500)
    order = label_order(rows, PATH)
    reached = []
    for count in range(0, len(order.samples) + 1, 7):
        mask = known(order, count, rows.samples)
        guess = assumed(rows, mask, np.where(mask, rows.labels, -1))
        for step in PATH:
            assert (Passage(guess, step).losses >= Passage(rows, step).losses).all()
        index = proof(guess).index
        reached.append(-1 if index is None else index)
    whole = proof(rows).index
    assert max(reached) <= (-1 if whole is None else whole)
    assert reached == sorted(reached)


def test_without_labels_the_disagreement_is_bounded() -> None:
    rows = drawn(1, 1500)
    blind = assumed(rows, np.zeros(rows.samples, bool), rows.labels)
    for step in PATH:
        passage = Passage(blind, step)
        assert (passage.losses == (passage.predicted != rows.baseline)).all()


@pytest.mark.parametrize("samples", [12, 40])
def test_true_losses_prove_all_that_assumed_ones_prove(samples: int) -> None:
    """The order that the exact test's region has, for every table."""
    test = PairedTest(samples, 0.15, 0.1)
    passes = {(a, c): test.passes(a, c) for a in range(samples + 1) for c in range(samples + 1 - a)}
    assert any(passes.values()) and not all(passes.values())
    for (a, c), proven in passes.items():
        if proven and a:
            assert passes[a - 1, c]  # the label says: both wrong
            assert passes[a - 1, c + 1]  # it says: the cascade is right


def test_reuse_compares_with_the_given_model() -> None:
    rows = drawn(3)
    given = np.where(np.arange(rows.samples) < 5, (rows.predicted[-1] + 1) % 5, rows.predicted[-1])
    order = label_order(replace(rows, given=given), ((None, None),))
    assert order.samples.tolist() == [0, 1, 2, 3, 4]
