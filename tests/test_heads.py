"""Heads: their costs and weights as counted are those of the Keras layers that are built."""

from __future__ import annotations

from itertools import pairwise
from math import prod
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from keras_nets import CLASSES, dense_head, map_head, trained

from eeaug import keras_files, macs, model
from eeaug.decision import Decision
from eeaug.features import Features
from eeaug.heads import design, keras_head, selection, training
from eeaug.heads.design import Dense, Head
from eeaug.heads.training import Plan
from eeaug.locations import Location

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # TF on NumPy 2

DECISION = Decision("softmax", CLASSES)
SHAPES = [(16, 12, 8), (7, 9, 5), (4, 4, 16), (20, 6), (12,)]
TAIL = (Dense(10, "relu"), Dense(CLASSES, "softmax"))


def at(shape: tuple[int, ...]) -> Location:
    return Location("here/it is", 1, shape, 10**7)


def heads() -> list[Head]:
    found = [h for s in SHAPES for h in design.dense_heads(at(s), TAIL, DECISION, 10**7)]
    found += [h for s in SHAPES for h in design.map_heads(at(s), DECISION)]
    assert {h.family for h in found} == {"blueprint", "trecx"}
    return found


def built(head: Head) -> Any:
    """The deployed head as a Keras model of its own."""
    keras = keras_files.import_keras()
    inputs = keras.Input(head.location.shape)
    return keras.Model(inputs, keras_head.attach(head, trained(head).weights, inputs, "head"))


@pytest.mark.parametrize("head", heads(), ids=lambda h: f"{h.name}-{'x'.join(map(str, h.location.shape))}")
def test_cost_is_that_of_the_layers_which_are_built(head: Head, tmp_path: Path) -> None:
    keras = keras_files.import_keras()
    net = built(head)
    (tmp_path / "head.keras").write_bytes(b"a file to hash")
    calls = model.from_keras(keras, net, tmp_path / "head.keras").calls
    counted: dict[str, int] = {}
    for call in calls:
        for kind, number in macs.count(call).items():
            counted[kind] = counted.get(kind, 0) + number
    cost = head.cost()
    assert dict(cost.macs) == counted
    assert cost.parameters == net.count_params()
    assert (cost.location, cost.after, cost.head) == ("here/it is", 1, head.name)
    sizes = [prod(c.shapes[0]) for c in calls if c.kind != "Flatten"]
    assert cost.peak_elements == max([sizes[0], *(a + b for a, b in pairwise(sizes))])


def test_attached_layers_are_frozen_and_carry_their_place_in_the_name() -> None:
    net = built(map_head(at((8, 8, 3))))
    assert not net.trainable_weights
    assert all(layer.name.startswith("head_") for layer in net.layers[1:])


@pytest.mark.parametrize("shape", [(8, 8, 3), (16, 5)])
def test_folded_batch_normalisation_is_the_trained_head(shape: tuple[int, ...]) -> None:
    """On random maps, with statistics that are not zero and one."""
    keras_files.import_keras()
    head, rng = map_head(at(shape)), np.random.default_rng(5)
    net = keras_head.training_model(head, np.float32(0.3))
    for layer in net.layers:
        weights = [np.abs(rng.normal(0.5, 0.4, w.shape)) + 0.1 for w in layer.weights]
        if weights:
            layer.set_weights(weights)
    x = rng.normal(0, 2, (64, *shape)).astype(np.float32)
    logits = np.asarray(net(x, training=False))
    expected = np.exp(logits - logits.max(axis=1, keepdims=True))
    deployed = keras_head.deployed_model(head, keras_head.folded(head, net, np.float32(0.3)))
    np.testing.assert_allclose(
        deployed(x, training=False), expected / expected.sum(axis=1, keepdims=True), atol=1e-4
    )


def features(head: Head, n: int = 200, seed: int = 0) -> Features:
    """Two clouds per class in the pooled values that the head reads, after a column that another one reads."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % CLASSES
    width = prod(training.wanted(head).shape)
    pooled = 5 + 3 * rng.normal(size=(n, width + 1)) * np.linspace(0.1, 2, width + 1)
    pooled[:, 1 : 1 + CLASSES] += 8 * np.eye(CLASSES)[labels]
    return Features(
        pooled=pooled.astype(np.float32),
        columns={training.wanted(head).key: slice(1, width + 1)},
        maps={},
        probabilities=np.full((n, CLASSES), 1 / CLASSES, np.float32),
        labels=labels.astype(np.int64),
    )


def targets(fit: Features) -> training.Targets:
    return lambda rows: DECISION.targets(fit.labels[rows])


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_dense_heads_predict_what_their_layers_do(activation: str) -> None:
    place = at((8, 8, 3))
    pool, hidden, last = dense_head(place).steps
    assert isinstance(hidden, Dense)
    head = Head(place, "blueprint", "grid", (pool, Dense(hidden.units, activation), last))
    weights = trained(head)
    rng = np.random.default_rng(2)
    x = rng.normal(size=(20, 8, 8, 3)).astype(np.float32)
    cells = x.reshape(20, 4, 2, 4, 2, 3).mean(axis=(2, 4)).reshape(20, -1)
    given = Features(cells, {training.wanted(head).key: slice(0, 48)}, {}, cells, np.zeros(20, np.int64))
    deployed = keras_head.deployed_model(head, weights.weights)
    np.testing.assert_allclose(training.predict(weights, given), deployed(x, training=False), atol=1e-5)


def test_map_heads_predict_what_their_layers_do() -> None:
    head = map_head(at((8, 8, 3)))
    x = np.random.default_rng(2).normal(size=(20, 8, 8, 3)).astype(np.float16)
    given = Features(x, {}, {training.wanted(head).key: x}, x, np.zeros(20, np.int64))
    deployed = keras_head.deployed_model(head, trained(head).weights)
    expected = deployed(x.astype(np.float32), training=False)
    np.testing.assert_allclose(training.predict(trained(head), given, batch=7), expected, atol=1e-6)


def test_training_learns_and_is_the_same_again() -> None:
    keras_files.import_keras()
    head = dense_head(at((8, 8, 3)))
    fit, screen = features(head, 400), features(head, 200, seed=1)

    def everything(probabilities: Any) -> set[str]:
        return set(probabilities)

    first, second = (
        training.train_dense([head], fit, targets(fit), screen, Plan(3, 64, 1e-2, seed), everything)[0]
        for seed in (0, 0)
    )
    (other,) = training.train_dense([head], fit, targets(fit), screen, Plan(3, 64, 1e-2, 1), everything)
    for a, b in zip(first.weights, second.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(first.weights, other.weights, strict=True))
    _, predicted = DECISION.answers(training.predict(first, screen))
    assert np.mean(predicted == screen.labels) > 0.9


def test_heads_that_are_not_kept_are_not_trained_on() -> None:
    keras_files.import_keras()
    head = dense_head(at((8, 8, 3)))
    fit = features(head)
    plan = Plan(3, 64, 1e-2, 0)
    assert training.train_dense([head], fit, targets(fit), fit, plan, lambda probabilities: set()) == []


# -- which are tried, which are kept ------------------------------------------------------------------


def test_the_blueprint_is_the_tail_of_the_given_model() -> None:
    calls = [
        model.Call("conv", "Conv2D", ("input",), ((8, 8, 3),), ((8, 8, 4),), ((3, 3, 3, 4),)),
        model.Call("wide", "Dense", ("conv",), ((256,),), ((10,),), ((256, 10), (10,)), activation="relu"),
        model.Call("norm", "BatchNormalization", ("wide",), ((10,),), ((10,),), ((10,),) * 4),
        model.Call("last", "Dense", ("norm",), ((10,),), ((4,),), ((10, 4), (4,)), activation="softmax"),
    ]
    blocks: Any = [SimpleNamespace(layers=layers) for layers in (("conv",), ("wide", "norm"), ("last",))]
    assert design.blueprint_units(calls, blocks) == (Dense(10, "relu"), Dense(4, "softmax"))


def test_heads_cost_less_than_what_they_can_save() -> None:
    near = Location("near", 5, (8, 8, 16), 500)
    assert all(sum(h.cost().macs.values()) < 500 for h in design.dense_heads(near, TAIL, DECISION, 10**6))
    assert design.map_heads(near, DECISION) == ()


def test_promising_drops_guessers_and_those_that_a_cheaper_one_beats() -> None:
    small, large = design.dense_heads(at((8, 8, 3)), (), Decision("softmax", 2), 10**7)[:2]

    def kept(a: float, b: float) -> set[str]:
        right = {h.key: np.arange(1000) < share * 1000 for h, share in ((small, a), (large, b))}
        return selection.promising([small, large], right, 0.5)

    assert kept(0.8, 0.82) == {small.key, large.key}
    assert kept(0.8, 0.7) == {small.key}
    assert kept(0.51, 0.9) == {large.key}


def test_saving_by_hand() -> None:
    """Ten samples; the head is right on the six it is surest of, the given model on all."""
    place = Location("here", 1, (4,), 1000)
    head = Head(place, "blueprint", "vector", (Dense(2, "softmax"),))  # 8 MACs
    sure, right = np.linspace(0.99, 0.6, 10).astype(np.float32), np.arange(10) < 6
    given = np.ones(10, dtype=bool)
    assert selection.saving(head, sure, right, given, 2000, 0.0) == pytest.approx((600 - 8) / 2000)
    assert selection.saving(head, sure, right, given, 2000, 0.1) == pytest.approx((700 - 8) / 2000)


def test_front_keeps_what_no_other_beats() -> None:
    small, middle, large = design.dense_heads(at((8, 8, 3)), (), DECISION, 10**7)
    accuracy = {small.key: 0.5, middle.key: 0.4, large.key: 0.6}
    assert selection.front([small, middle, large], accuracy) == (small, large)
