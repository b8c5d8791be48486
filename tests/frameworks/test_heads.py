"""Heads: their costs and weights as counted are those of the Keras layers that are built."""

from __future__ import annotations

from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from head_parts import DECISION, TAIL, at, of_tensor, targets
from keras_nets import CLASSES, dense_head, map_head, trained

from eeaug.backbone import keras_files, model
from eeaug.data import shifted
from eeaug.features import Features
from eeaug.heads import dense, families, keras_head, maps, moving, trainee, training
from eeaug.heads import layers as design
from eeaug.heads.activations import ACTIVATIONS
from eeaug.heads.layers import Dense, Head
from eeaug.heads.trainee import Trainee
from eeaug.heads.training import Plan
from eeaug.network import macs
from eeaug.network.locations import Location

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # TF on NumPy 2

SHAPES = [(16, 12, 8), (7, 9, 5), (4, 4, 16), (20, 6), (12,)]


def heads() -> list[Head]:
    found = [h for s in SHAPES for h in families.dense_heads(at(s), TAIL, DECISION, 10**7)]
    found += [families.limited(h, (0, 2)) for h in found if len(h.dense) == 1]
    found += [h for s in SHAPES for h in families.hidden_heads(at(s), DECISION)]
    found += [h for s in SHAPES for h in families.map_heads(at(s), list(families.MAP_FAMILIES), DECISION, 1e9)]
    assert {h.family for h in found} == set(families.FAMILIES) - {"dense-connection"}
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
    computing = [(macs.count(c), prod(c.shapes[0])) for c in calls if macs.count(c)]
    assert cost.operations == sum(len(kinds) for kinds, _ in computing)
    assert cost.results == sum(elements for _, elements in computing)
    assert (cost.location, cost.after, cost.head) == ("here/it is", 1, head.name)
    sizes = [prod(c.shapes[0]) for c in calls if c.kind != "Flatten"]
    chain = max([sizes[0], *(a + b for a, b in pairwise(sizes))])
    shapes = [(b, a) for step, b, a in head.shapes() if isinstance(step, design.Residual)]
    blocks = [prod(before) + 2 * prod(after) for before, after in shapes]
    assert cost.peak_elements == max([chain, *blocks])  # a block's input waits for the end of its branch


def test_attached_layers_are_frozen_and_carry_their_place_in_the_name() -> None:
    net = built(map_head(at((8, 8, 3))))
    assert not net.trainable_weights
    assert all(layer.name.startswith("head_") for layer in net.layers[1:])


MAP_HEADS = [h for h in heads() if h.family in families.MAP_FAMILIES]


@pytest.mark.parametrize("head", MAP_HEADS, ids=lambda h: f"{h.name}-{'x'.join(map(str, h.location.shape))}")
def test_the_deployed_head_is_the_trained_one(head: Head) -> None:
    """On the maps that gave it its statistics, in two batches of one kind."""
    rng = np.random.default_rng(5)
    one = Trainee(head, np.float32(0.3), 0.0, rng)
    one.values.assign(np.abs(one.values + rng.normal(0.1, 0.2, one.values.shape)))
    x = rng.normal(0, 2, (32, *head.location.shape)).astype(np.float32)
    logits = np.asarray(one.logits(x)[0], np.float64)
    expected = np.exp(logits - logits.max(axis=1, keepdims=True))
    deployed = keras_head.deployed_model(head, one.folded(iter([x, x])))
    np.testing.assert_allclose(
        deployed(x, training=False), expected / expected.sum(axis=1, keepdims=True), atol=2e-4
    )


def test_statistics_are_those_of_all_batches() -> None:
    head, rng = map_head(at((8, 8, 3))), np.random.default_rng(6)
    one = Trainee(head, np.float32(1), 0.0, rng)
    x = rng.normal(0, 2, (30, 8, 8, 3)).astype(np.float32)
    (mean, variance), *_ = one.moments(iter([x[:7], x[7:]]))
    (expected, spread), *_ = one.moments(iter([x]))
    np.testing.assert_allclose(mean, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(variance, spread, rtol=1e-4)


@pytest.mark.parametrize("shape", [(3, 3, 8, 5), (1, 1, 6, 6), (1, 1, 4, 16)])
def test_updates_of_kernels_turn_all_directions_alike(shape: tuple[int, ...]) -> None:
    """An update has the singular vectors of what it is made of, and singular values near one."""
    import tensorflow as tf

    rng = np.random.default_rng(1)
    wide = rng.normal(size=(prod(shape[:-1]), shape[-1])).astype(np.float32)
    result = np.asarray(trainee._orthogonal(tf.constant(wide.reshape(shape)))).reshape(wide.shape)
    u, _, v = np.linalg.svd(wide, full_matrices=False)
    turned = u.T @ result @ v.T / np.sqrt(max(1, wide.shape[1] / wide.shape[0]))
    assert np.all((np.diag(turned) > 0.6) & (np.diag(turned) < 1.3))
    np.testing.assert_allclose(turned - np.diag(np.diag(turned)), 0, atol=1e-4)


def test_maps_move_one_by_one() -> None:
    rng = np.random.default_rng(2)
    x, rows = rng.normal(size=(9, 6, 5, 2)).astype(np.float16), np.array([1, 4, 4, 8])
    by = [np.array([0, 2, -1, 0]), np.array([-2, 0, 1, 0])]
    expected = [shifted(x[r : r + 1], [int(far[i]) for far in by])[0] for i, r in enumerate(rows)]
    np.testing.assert_array_equal(moving.moved(x, rows, by), expected)


@pytest.mark.parametrize("size", ["average", "2x2", "4x4"])
def test_a_dense_connection_reads_what_its_layers_read(size: str) -> None:
    """Numpy from cached averages of three tensors, Keras from the tensors, the costs from the built layers."""
    keras = keras_files.import_keras()
    shapes = [(16, 12, 8), (8, 6, 5), (4, 4, 3)]
    places = [Location(str(i), i, shape, 10**7) for i, shape in enumerate(shapes)]
    (head,) = [h for h in families.dense_connections(places[2], places[:2], DECISION) if h.size == size]
    rng = np.random.default_rng(4)
    x = [rng.normal(size=(30, *shape)).astype(np.float32) for shape in shapes]
    cached = {}
    for source, tensor in zip(training.sources(head), x, strict=True):
        h, w = source.window or (1, 1)
        rows, columns = tensor.shape[1] // h, tensor.shape[2] // w
        cells = tensor[:, : rows * h, : columns * w].reshape(30, rows, h, columns, w, -1).mean(axis=(2, 4))
        cached[source.key] = cells
    features = Features(cached, np.zeros((30, CLASSES), np.float32), np.zeros(0, int))
    (read,) = [before for step, before, _ in head.shapes() if isinstance(step, Dense)]
    weights = [rng.normal(size=w).astype(np.float32) for w in ((prod(read), CLASSES), (CLASSES,))]
    given = training.Trained(head, tuple(weights))
    inputs = [keras.Input(shape) for shape in shapes]
    net = keras.Model(inputs, keras_head.attach(head, given.weights, inputs[2], "head", inputs[:2]))
    np.testing.assert_allclose(dense.predict(given, features), net(x, training=False), atol=1e-5)
    assert head.cost().parameters == net.count_params()


@pytest.mark.parametrize("activation", sorted(set(ACTIVATIONS) - {"softmax"}))
def test_dense_heads_predict_what_their_layers_do(activation: str) -> None:
    place = at((8, 8, 3))
    pool, hidden, last = dense_head(place).steps
    assert isinstance(hidden, Dense)
    head = Head(place, "blueprint", "grid", (pool, Dense(hidden.units, activation), last))
    weights = trained(head)
    rng = np.random.default_rng(2)
    x = rng.normal(size=(20, 8, 8, 3)).astype(np.float32)
    cells = x.reshape(20, 4, 2, 4, 2, 3).mean(axis=(2, 4))
    deployed = keras_head.deployed_model(head, weights.weights)
    np.testing.assert_allclose(
        dense.predict(weights, of_tensor(head, cells)), deployed(x, training=False), atol=1e-5
    )


def test_map_heads_predict_what_their_layers_do() -> None:
    head = map_head(at((8, 8, 3)))
    x = np.random.default_rng(2).normal(size=(20, 8, 8, 3)).astype(np.float16)
    deployed = keras_head.deployed_model(head, trained(head).weights)
    expected = deployed(x.astype(np.float32), training=False)
    np.testing.assert_allclose(maps.predict(trained(head), of_tensor(head, x), batch=7), expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(8, 8, 3), (9, 10, 3), (14, 14, 2), (25, 5, 2), (16, 4), (4, 4, 4, 2), (5,)])
def test_coarse_grids_follow_from_the_finest_one(shape: tuple[int, ...]) -> None:
    heads = [*families.dense_heads(at(shape), TAIL, DECISION, 10**7), *families.hidden_heads(at(shape), DECISION)]
    x = np.random.default_rng(3).normal(size=(6, *shape)).astype(np.float32)
    for head in heads:
        window = training.wanted(head).window or ()
        cells = x
        for axis, size in enumerate(window, start=1):
            cells = np.add.reduceat(cells, np.arange(0, cells.shape[axis], size), axis=axis)
            cells = cells.take(range(training.wanted(head).shape[axis - 1]), axis=axis) / size
        deployed = keras_head.deployed_model(head, trained(head).weights) if len(shape) < 4 else None
        if deployed is not None:
            expected = deployed(x, training=False)
            np.testing.assert_allclose(dense.predict(trained(head), of_tensor(head, cells)), expected, atol=1e-5)
    kept = {(25, 5, 2): 2, (14, 14, 2): 2, (9, 10, 3): 3}  # where sizes are no multiples
    assert len({training.wanted(h) for h in heads}) == kept.get(shape, 1)


@pytest.mark.parametrize("activation", sorted(set(ACTIVATIONS) - {"softmax"}))
def test_slopes_are_those_of_the_values(activation: str) -> None:
    value, slope = ACTIVATIONS[activation]
    z = np.linspace(-4, 4, 81) + 0.013  # not the kink of relu
    numeric = (value(z + 1e-5) - value(z - 1e-5)) / 2e-5
    np.testing.assert_allclose(slope(z), numeric, atol=3e-3 if activation == "gelu" else 1e-6)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("size", [7, 8])
def test_strided_pointwise_convolutions_train_without_stride(keras: Any, padding: str, size: int) -> None:
    """With it, TensorFlow 2.21's gradient of their weights writes past its memory."""
    inputs = keras.Input((size, size, 3))
    layer = keras.layers.Conv2D(4, 1, strides=(2, 3), padding=padding)
    net = keras.Model(inputs, keras.layers.Conv2D(2, 3, strides=2)(layer(inputs)))
    x = np.random.default_rng(0).normal(size=(5, size, size, 3)).astype(np.float32)
    expected = np.asarray(net(x))
    with keras_head.trainable_strides(net):
        assert [one for one in net.layers if "convolution_op" in vars(one)] == [layer]
        np.testing.assert_allclose(np.asarray(net(x)), expected, atol=1e-6)
    assert "convolution_op" not in vars(layer)
    np.testing.assert_array_equal(np.asarray(net(x)), expected)


def test_map_heads_learn_are_the_same_again_and_those_not_kept_stop() -> None:
    keras_files.import_keras()
    tried = families.map_heads(Location("here", 1, (8, 8, 6), 10**6), ["trecx"], DECISION, 1e6)
    rng = np.random.default_rng(0)
    labels = np.arange(256) % CLASSES
    x = rng.normal(size=(256, 8, 8, 6)).astype(np.float16)
    x[..., 0] += labels[:, None, None]
    fit = Features({training.wanted(tried[0]).key: x}, np.zeros((256, CLASSES), np.float32), labels)
    chosen = tried[-1].key
    plan = Plan(6, 60, 32, 1e-2, 0)
    (result,) = maps.train(tried, fit, targets(fit), fit, plan, lambda probabilities: {chosen})
    assert result.head.key == chosen
    assert np.mean(maps.predict(result, fit).argmax(axis=1) == labels) > 0.8
    (again,) = maps.train(tried, fit, targets(fit), fit, plan, lambda probabilities: {chosen})
    for a, b in zip(result.weights, again.weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_few_samples_get_smaller_batches_and_more_epochs() -> None:
    plan = Plan(epochs=2, steps=100, batch=512, rate=1e-2, seed=0)
    assert (plan.for_samples(100_000).batch, plan.for_samples(100_000).epochs) == (512, 2)
    few = plan.for_samples(640)
    assert few.batch == 32 and few.epochs * (640 // 32) >= 100
    assert plan.for_samples(10).batch == 10
