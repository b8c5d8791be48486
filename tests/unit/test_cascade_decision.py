"""Confidence, class and targets of every kind of output, by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from math import log

import numpy as np
import pytest

from eeaug.cascade.output import MEASURES, Decision
from eeaug.errors import InputError

SOFTMAX, BINARY, LABELS = Decision("softmax", 3), Decision("binary", 2), Decision("multilabel", 3)


def f(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)


def test_softmax_takes_the_largest() -> None:
    confidence, predicted = SOFTMAX.answers(f([0.1, 0.7, 0.2], [0.5, 0.25, 0.25]))
    assert confidence.dtype == np.float32
    assert (confidence.tolist(), predicted.tolist()) == ([pytest.approx(0.7), 0.5], [1, 0])
    np.testing.assert_allclose(SOFTMAX.margins(f([0.1, 0.7, 0.2])), [0.5], rtol=1e-6)
    assert SOFTMAX.targets(np.array([2, 0])).tolist() == [[0, 0, 1], [1, 0, 0]]


def test_a_single_sigmoid_says_class_1_from_one_half_on() -> None:
    confidence, predicted = BINARY.answers(f([0.5], [0.25], [0.9]))
    assert predicted.tolist() == [1, 0, 1]
    np.testing.assert_allclose(confidence, [0.5, 0.75, 0.9], rtol=1e-6)
    assert (BINARY.outputs, BINARY.activation) == (1, "sigmoid")
    assert BINARY.targets(np.array([0, 1])).tolist() == [[0], [1]]
    np.testing.assert_allclose(BINARY.margins(f([0.25])), [0.5])


def test_several_labels_are_as_sure_as_the_least_sure() -> None:
    confidence, predicted = LABELS.answers(f([0.9, 0.2, 0.5], [0.1, 0.1, 0.3]))
    assert predicted.tolist() == [0b101, 0]
    np.testing.assert_allclose(confidence, [0.5, 0.7], rtol=1e-6)
    assert LABELS.marks(np.array([0b101, 0b010])).tolist() == [[True, False, True], [False, True, False]]
    assert LABELS.targets(np.array([0b110])).tolist() == [[0, 1, 1]]


@pytest.mark.parametrize("decision", [SOFTMAX, BINARY, LABELS])
def test_targets_are_answered_with_their_own_code(decision: Decision) -> None:
    codes = np.arange(2**3 if decision.kind == "multilabel" else decision.classes)
    confidence, predicted = decision.answers(decision.targets(codes))
    assert (predicted == codes).all() and (confidence == 1).all()


def test_sixty_two_labels_fit_a_code() -> None:
    wide = Decision("multilabel", 62)
    p = np.zeros((1, 62), np.float32)
    p[0, [0, 61]] = 1
    (code,) = wide.answers(p)[1]
    assert code == 1 + (1 << 61) and wide.marks(np.array([code])).sum() == 2


def test_margin_is_between_the_two_largest() -> None:
    p = f([0.1, 0.7, 0.2], [0.5, 0.0, 0.5], [0, 1, 0])
    confidence, predicted = replace(SOFTMAX, measure="margin").answers(p)
    assert confidence.dtype == np.float32 and predicted.tolist() == [1, 0, 1]
    np.testing.assert_allclose(confidence, [0.5, 0, 1], rtol=1e-6)
    np.testing.assert_allclose(
        replace(BINARY, measure="margin").answers(f([0.9], [0.25]))[0], [0.8, 0.5], rtol=1e-6
    )
    labels, code = replace(LABELS, measure="margin").answers(f([0.9, 0.2, 0.7]))
    np.testing.assert_allclose(labels, [0.4], rtol=1e-6)
    assert code.tolist() == [0b101]


def test_entropy_is_one_less_its_share_of_the_most() -> None:
    third, p = 1 / 3, f([0.5, 0.25, 0.25], [0, 1, 0], [0.5, 0.5, 0])
    given = replace(SOFTMAX, measure="entropy")
    confidence, predicted = given.answers(p)
    assert confidence.dtype == np.float32 and predicted.tolist() == [0, 1, 0]
    np.testing.assert_allclose(confidence, [1 - 1.5 * log(2) / log(3), 1, 1 - log(2) / log(3)], rtol=1e-6)
    np.testing.assert_allclose(given.answers(f([third, third, third]))[0], 0, atol=1e-7)
    sure = 1 + (0.9 * log(0.9) + 0.1 * log(0.1)) / log(2)
    for p in (0.9, 0.1):
        np.testing.assert_allclose(replace(BINARY, measure="entropy").answers(f([p]))[0], sure, rtol=1e-6)
    np.testing.assert_allclose(replace(LABELS, measure="entropy").answers(f([0, 0.9, 1]))[0], sure, rtol=1e-6)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("kind", [SOFTMAX, Decision("softmax", 700), BINARY, LABELS], ids=lambda d: d.kind)
def test_measures_stay_within_their_range_and_leave_the_class(kind: Decision, measure: str) -> None:
    rng, given = np.random.default_rng(0), replace(kind, measure=measure)
    p = rng.random((300, kind.outputs)) ** rng.choice([0.01, 1, 60], (300, 1))
    p = (p / p.sum(axis=1, keepdims=True) if kind.kind == "softmax" else p).astype(np.float32)
    even = np.full((1, kind.outputs), 1 / kind.classes if kind.kind == "softmax" else 0.5, np.float32)
    p = np.concatenate([p, even, kind.targets(np.array([0, 1]))])
    confidence, predicted = given.answers(p)
    assert confidence.shape == (303,) and (confidence >= 0).all() and (confidence <= 1).all()
    assert (predicted == kind.answers(p)[1]).all() and (given.margins(p) == kind.margins(p)).all()
    assert (confidence[-2:] == 1).all()
    assert confidence[-3] == pytest.approx(even.max() if measure == "max-softmax" else 0, abs=1e-6)


def test_between_two_classes_all_measures_order_alike_and_among_three_they_do_not() -> None:
    yes = np.linspace(0.5, 1, 50, dtype=np.float32)
    for measure in MEASURES:
        confidence = Decision("softmax", 2, measure).answers(np.stack([1 - yes, yes], axis=1))[0]
        assert (np.diff(confidence) > 0).all()
    p = f([0.55, 0.45, 0], [0.5, 0.25, 0.25])
    surer = {m: int(replace(SOFTMAX, measure=m).answers(p)[0].argmax()) for m in MEASURES}
    assert surer == {"max-softmax": 0, "margin": 1, "entropy": 0}


def test_confidences_are_named_in_files() -> None:
    names = {m: [replace(d, measure=m).metric for d in (SOFTMAX, BINARY, LABELS)] for m in MEASURES}
    assert names == {
        "max-softmax": ["max-softmax", "max-sigmoid", "min-max-sigmoid"],
        "margin": ["margin-softmax", "margin-sigmoid", "min-margin-sigmoid"],
        "entropy": ["entropy-softmax", "entropy-sigmoid", "min-entropy-sigmoid"],
    }


def test_a_stored_decision_is_the_same_and_an_old_one_means_the_largest() -> None:
    for measure in MEASURES:
        given = Decision("softmax", 4, measure)
        assert Decision(**json.loads(json.dumps(given.as_dict()))) == given
    assert Decision(**{"kind": "binary", "classes": 2}) == Decision("binary", 2, "max-softmax")
    with pytest.raises(InputError, match=r"confidence 'surest' is not known; one of max-softmax, margin, entropy"):
        Decision("softmax", 3, "surest")


@pytest.mark.parametrize("classes", [2, 3, 10, 1000])
def test_wrong_logits_move_no_measure_by_more_than_they_are_wrong(classes: int) -> None:
    """What verify's one tolerance for all of them rests on; the shares are those that its comment names."""
    rng, d = np.random.default_rng(4), 1e-3
    z = rng.normal(0, 1, (2000, classes)) * rng.uniform(0, 10, (2000, 1))
    z[:1000, 0] += rng.uniform(0, 2 * np.log(classes) + 4, 1000)  # one stands out of many
    p, q = (np.exp(v) / np.exp(v).sum(axis=1, keepdims=True) for v in (z, z + rng.choice([-d, d], z.shape)))
    for measure, share in zip(MEASURES, (0.5, 1.0, 0.65), strict=True):
        given = Decision("softmax", classes, measure)
        moved = np.abs(given.answers(p.astype(np.float32))[0] - given.answers(q.astype(np.float32))[0])
        assert moved.max() <= 1.01 * share * d
        assert moved.max() >= 0.1 * share * d
