"""Heads that know some classes only: what they say, and which classes they are."""

from __future__ import annotations

import numpy as np
import pytest

from eeaug.cascade.output import Decision
from eeaug.heads.layers import Dense, Head, Pool
from eeaug.heads.specific import Specific
from eeaug.heads.training import Trained
from eeaug.network.locations import Location
from eeaug.settings import Contradiction
from eeaug.settings.contradictions import python


@pytest.mark.parametrize("classes", [(2,), (0, 3)])
def test_the_deployed_head_says_what_the_trained_one_says(classes: tuple[int, ...]) -> None:
    rng, specific = np.random.default_rng(0), Specific(classes, 6)
    place = Location("here", 1, (5,), 100)
    head = Head(place, "blueprint", "vector", (Pool(()), Dense(len(classes) + 1, "softmax")))
    weights = tuple(
        rng.normal(0, 3, shape).astype(np.float32) for shape in ((5, len(classes) + 1), len(classes) + 1)
    )
    wide = specific.deployed(Trained(head, weights))
    x = rng.normal(size=(500, 5)).astype(np.float32)
    inner, outer = (softmax(x @ kernel + bias) for kernel, bias in (weights, wide.weights))
    np.testing.assert_allclose(outer, specific.widened(inner), atol=1e-6)
    np.testing.assert_allclose(specific.narrowed(outer), inner, atol=1e-6)
    assert wide.head.steps[-1] == Dense(6, "softmax")
    sure, said = Decision("softmax", 6).answers(outer)
    assert set(said[sure > 0.5]) == set(classes), "sure of a class that it does not know"


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True), np.float32)


def test_labels_of_a_head() -> None:
    specific = Specific((1, 3), 5)
    np.testing.assert_array_equal(specific.codes(np.arange(5)), [2, 0, 2, 1, 2])
    np.testing.assert_array_equal(specific.hits(np.arange(5)), [False, True, False, True, False])


def test_classes_by_name_or_number() -> None:
    names = ("cat", "dog", "2", "cow")
    decision = Decision("softmax", 4)
    assert Specific.named(("dog", "0"), names, decision) == Specific((0, 1), 4)
    assert Specific.named((), names, decision) is None
    with pytest.raises(Contradiction, match="--target-class dgo: no such class; did you mean 'dog'") as caught:
        Specific.named(("dgo",), names, decision)
    assert caught.value.worded(python).startswith("target_class='dgo': no such class; did you mean 'dog'?; there")
    with pytest.raises(Contradiction, match="--target-class dog: 2 classes are named dog; give the number"):
        Specific.named(("dog",), ("dog", "cat", "dog", "cow"), decision)
    assert Specific.named(("2",), ("dog", "cat", "dog", "cow"), decision) == Specific((2,), 4)
    with pytest.raises(Contradiction, match=r"^--target-class: 3 of 4 classes"):
        Specific.named(("0", "1", "3"), names, decision)
    with pytest.raises(Contradiction, match=r"^--target-class is for .*multilabel"):
        Specific.named(("dog",), names, Decision("multilabel", 4))
