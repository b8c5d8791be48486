"""Confidence, class and targets of every kind of output, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from eeaug.decision import Decision

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
