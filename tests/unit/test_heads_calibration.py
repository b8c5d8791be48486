"""Temperatures against a grid, against labels drawn at a known one, and folded into heads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from keras_nets import trained

from eeaug.cascade import temperature as calibration
from eeaug.cascade.output import Decision
from eeaug.cascade.temperature import LIMIT, calibration_error, temperature, tempered
from eeaug.features import Features
from eeaug.heads import dense, families
from eeaug.heads.layers import Dense
from eeaug.heads.training import folded, wanted
from eeaug.network.locations import Location

KINDS = [Decision("softmax", 5), Decision("softmax", 2), Decision("binary", 2), Decision("multilabel", 3)]
SOFTMAX, PAIR, BINARY, LABELS = KINDS
kinds = pytest.mark.parametrize("decision", KINDS, ids=lambda d: f"{d.kind}-{d.classes}")


def at(z: np.ndarray, decision: Decision) -> np.ndarray:
    """Probabilities of logits (n, outputs), float32."""
    if decision.kind == "softmax":
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return (e / e.sum(axis=1, keepdims=True)).astype(np.float32)
    return (1 / (1 + np.exp(-z))).astype(np.float32)


def drawn(p: np.ndarray, decision: Decision, rng: np.random.Generator) -> np.ndarray:
    """Labels that are right as often as p says."""
    u = rng.random((len(p), 1))
    if decision.kind == "softmax":
        return np.minimum((p.cumsum(axis=1) < u).sum(axis=1), decision.classes - 1)
    return ((rng.random(p.shape) < p) << np.arange(p.shape[1])).sum(axis=1)


def samples(decision: Decision, n: int, true: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A head's probabilities, and labels for which the temperature ``true`` would be right."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 2, (n, decision.outputs))
    return at(z * true, decision), drawn(at(z, decision), decision, rng)


def loss(p: np.ndarray, codes: np.ndarray, decision: Decision, t: float, weights: np.ndarray | float) -> float:
    """Negative log-likelihood at a temperature, straight from its definition."""
    p = p.astype(np.float64)
    if decision.kind == "softmax":
        z = np.log(p) / t
        each = np.logaddexp.reduce(z, axis=1) - z[np.arange(len(p)), codes]
    else:
        z = np.log(p / (1 - p)) / t
        each = np.logaddexp(0, np.where(decision.targets(codes) == 1, -z, z)).sum(axis=1)
    return float((each * weights).sum())


@kinds
@pytest.mark.parametrize("true", [0.4, 1.0, 3.0])
def test_labels_drawn_at_a_temperature_give_it_back(decision: Decision, true: float) -> None:
    found = temperature(*samples(decision, 20000, true), decision)
    assert found == pytest.approx(true, rel=0.06)


@kinds
@pytest.mark.parametrize("weighted", [False, True])
def test_no_other_temperature_on_a_grid_is_better(decision: Decision, weighted: bool) -> None:
    for seed in range(5):
        p, codes = samples(decision, 60, 1.7, seed)
        weights = np.random.default_rng(seed).choice([0.0, 0.2, 5.0], 60) if weighted else None
        count = 1.0 if weights is None else weights
        found = temperature(p, codes, decision, weights)
        grid = np.geomspace(1 / LIMIT, LIMIT, 3000)
        losses = [loss(p, codes, decision, t, count) for t in grid]
        assert found == pytest.approx(grid[np.argmin(losses)], rel=0.0025)


def test_one_answer_in_four_is_wrong_by_hand() -> None:
    """All say 0.9: right on three of four, they should say 0.75, so T is ln 9 / ln 3."""
    p = np.full((4, 1), 0.9, np.float32)
    found = temperature(p, np.array([1, 1, 0, 1]), BINARY)
    assert found == pytest.approx(2, rel=1e-5)
    np.testing.assert_allclose(tempered(p, BINARY, found), 0.75, rtol=1e-5)
    # a weight of three, or three of them, are the same
    assert temperature(p[:2], np.array([1, 0]), BINARY, np.array([3.0, 1.0])) == pytest.approx(found)


@kinds
def test_without_a_best_temperature_it_is_the_nearest_end(decision: Decision) -> None:
    p, _ = samples(decision, 50, 1.0)
    right = decision.answers(p)[1]
    assert temperature(p, right, decision) == pytest.approx(1 / LIMIT)
    wrong = (right + 1) % decision.classes if decision.kind != "multilabel" else 7 - right
    assert temperature(p, wrong, decision) == pytest.approx(LIMIT)


def test_where_nothing_depends_on_it_it_is_one() -> None:
    assert temperature(np.full((3, 5), 0.2, np.float32), np.array([0, 1, 1]), SOFTMAX) == 1
    assert temperature(np.empty((0, 5), np.float32), np.empty(0, int), SOFTMAX) == 1
    p, codes = samples(SOFTMAX, 20, 2.0)
    assert temperature(p, codes, SOFTMAX, np.zeros(20)) == 1


@pytest.mark.parametrize("decision", [SOFTMAX, BINARY], ids=["softmax", "binary"])
def test_saturated_probabilities_are_borne(decision: Decision) -> None:
    """Exactly 0 and 1, right nine times of ten: sharper cannot be better, softer is."""
    said = np.arange(100) % decision.classes
    codes = np.where(np.arange(100) % 10 == 0, (said + 1) % decision.classes, said)
    p = decision.targets(said)
    found = temperature(p, codes, decision)
    confidence, predicted = decision.answers(tempered(p, decision, found))
    assert predicted.tolist() == said.tolist()
    if decision is SOFTMAX:  # nothing softens that much
        assert found == pytest.approx(LIMIT)
    else:
        np.testing.assert_allclose(confidence, 0.9, rtol=1e-4)


@kinds
@pytest.mark.parametrize("t", [1 / LIMIT, 0.5, 2.0, LIMIT])
def test_the_predicted_class_stays(decision: Decision, t: float) -> None:
    rng = np.random.default_rng(3)
    p = at(rng.normal(0, 4, (2000, decision.outputs)), decision)
    if decision.kind == "softmax":
        near = np.full((2, decision.classes), 1 / decision.classes, np.float32)
        near[0, -1] = np.nextafter(near[0, -1], np.float32(1))  # the last wins by the smallest step
        extra = [near, np.eye(decision.classes, dtype=np.float32)]
    else:
        edges = [0, 1e-45, np.nextafter(np.float32(0.5), np.float32(0)), 0.5, 1]
        extra = [np.full((1, decision.outputs), e, np.float32) for e in edges]
    p = np.concatenate([p, *extra])
    warm = tempered(p, decision, t)
    assert warm.dtype == np.float32 and warm.shape == p.shape and (warm >= 0).all() and (warm <= 1).all()
    assert (decision.answers(warm)[1] == decision.answers(p)[1]).all()


@pytest.mark.parametrize("decision", [PAIR, BINARY], ids=["softmax-2", "binary"])
@pytest.mark.parametrize("t", [0.3, 4.0])
def test_between_two_classes_the_order_of_samples_stays(decision: Decision, t: float) -> None:
    yes = np.random.default_rng(1).permutation(np.linspace(0.01, 0.99, 733)).astype(np.float32)[:, None]
    p = yes if decision.kind == "binary" else np.concatenate([1 - yes, yes], axis=1)
    before, after = decision.answers(p)[0], decision.answers(tempered(p, decision, t))[0]
    order = np.argsort(before)
    pairs = np.diff(before[order]) > 1e-6
    assert pairs.sum() > 300
    assert (np.diff(after[order])[pairs] >= 0).all() and len(np.unique(after)) > 300


def test_among_more_classes_the_order_may_change() -> None:
    p = np.array([[0.5, 0.5, 0.0], [0.45, 0.275, 0.275]], np.float32)
    assert np.argmax(tempered(p, Decision("softmax", 3), 0.25)[:, 0]) == 1 != np.argmax(p[:, 0])


@kinds
@pytest.mark.parametrize("t", [0.5, 3.0])
def test_a_folded_head_is_a_tempered_one(decision: Decision, t: float) -> None:
    tail = (Dense(9, "relu"), Dense(decision.outputs, decision.activation))
    for head in families.dense_heads(Location("here", 1, (6, 6, 4), 10**9), tail, decision, 10**9):
        given = trained(head)
        tensor = np.random.default_rng(2).normal(0, 1, (40, *wanted(head).shape)).astype(np.float32)
        features = Features({wanted(head).key: tensor}, np.empty(0, np.float32), np.empty(0, np.int64))
        before, after = dense.predict(given, features), dense.predict(folded(given, t), features)
        np.testing.assert_allclose(after, tempered(before, decision, t), rtol=1e-4, atol=2e-6)
        assert np.abs(after - before).max() > 0.01
        assert all(w.dtype == np.float32 for w in folded(given, t).weights)


@kinds
def test_too_sure_a_head_is_better_calibrated_afterwards(decision: Decision) -> None:
    p, codes = samples(decision, 20000, 3.0)
    before = calibration_error(p, codes, decision)
    after = calibration_error(tempered(p, decision, temperature(p, codes, decision)), codes, decision)
    assert before > 0.05 and after < 0.015


def test_calibration_error_by_hand() -> None:
    """Two bins: 0.6 and right on one of two, 0.9 and right on both; then the wrong one counts twice."""
    p = np.array([0.6, 0.9, 0.4, 0.1], np.float32)[:, None]
    codes = np.array([1, 1, 1, 0])
    assert calibration_error(p, codes, BINARY, bins=2) == pytest.approx((0.1 + 0.1) / 2, rel=1e-5)
    # what is equally probable shares a bin, however many there are
    assert calibration_error(p[[0, 2]], codes[[0, 2]], BINARY) == pytest.approx(0.1, rel=1e-5)
    heavy = calibration_error(p[[0, 2]], codes[[0, 2]], BINARY, np.array([1.0, 3.0]))
    assert heavy == pytest.approx(0.35, rel=1e-5)
    # a bin is what the middle of equal probabilities falls into: three of four do not share one with the first
    many = np.array([0.6, 0.9, 0.9, 0.9], np.float32)[:, None]
    assert calibration_error(many, np.array([1, 1, 0, 1]), BINARY, bins=2) == pytest.approx(1.1 / 4, rel=1e-5)
    # of several labels each is a prediction: 0.9 right, 0.8 wrong
    two = np.array([[0.9, 0.2]], np.float32)
    assert calibration_error(two, np.array([0b11]), Decision("multilabel", 2)) == pytest.approx(0.45, rel=1e-5)


def test_newton_takes_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """On hard cases too: every step is a pass over the samples."""
    calls: list[float] = []
    slope = calibration._slope
    monkeypatch.setattr(calibration, "_slope", lambda *given: calls.append(given[2]) or slope(*given))
    for decision in KINDS:
        for true in (0.02, 0.1, 1.0, 10.0, 60.0):
            for n in (3, 30, 1000):
                calls.clear()
                found = temperature(*samples(decision, n, true, seed=n), decision)
                assert 1 / LIMIT - 1e-9 <= found <= LIMIT + 1e-9
                assert len(calls) <= 15, (decision, true, n, calls)


def test_equal_rows_count_as_their_weight() -> None:
    p, codes = samples(SOFTMAX, 200, 2.0)
    counts = np.random.default_rng(0).integers(0, 4, 200)
    repeated = temperature(np.repeat(p, counts, axis=0), np.repeat(codes, counts), SOFTMAX)
    assert temperature(p, codes, SOFTMAX, counts.astype(float)) == pytest.approx(repeated, rel=1e-5)
    assert temperature(p, codes, replace(SOFTMAX, measure="entropy")) == temperature(p, codes, SOFTMAX)
