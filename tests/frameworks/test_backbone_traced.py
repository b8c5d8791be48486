"""MACs in TensorFlow's graph of a layer: those of the rules where there is one, worked out by hand elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_nets import saved

from eeaug.backbone import model, traced
from eeaug.errors import ConversionError
from eeaug.frameworks import keras_to_onnx, onnx_session
from eeaug.network import graph, locations, macs

STEPS, CHANNELS, UNITS, K = 6, 5, 4, 3
_LSTM = STEPS * (CHANNELS + UNITS) * 4 * UNITS
_GRU = STEPS * (CHANNELS + UNITS) * 3 * UNITS


def closed(k: Any, start: Any, x: Any) -> Any:
    flat = k.layers.Flatten()(x) if len(x.shape) > 2 else x
    return k.Model(start, k.layers.Dense(K, activation="softmax", name="classifier")(flat))


def sequence(layer: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def build(k: Any) -> Any:
        start = k.Input((STEPS, CHANNELS))
        return closed(k, start, layer(k.layers)(start))

    return build


def film(layer: Callable[[Any], Any], shape: tuple[int, ...] = (STEPS, 8, 8, 2)) -> Callable[[Any], Any]:
    def build(k: Any) -> Any:
        start = k.Input(shape)
        return closed(k, start, layer(k.layers)(start))

    return build


def seen(layers: Any) -> Any:
    import keras

    inner = [keras.Input((8, 8, 2)), layers.Conv2D(3, 3), layers.Flatten(), layers.Dense(4)]
    return layers.TimeDistributed(keras.Sequential(inner))


# layer → the MACs of its call
LAYERS: dict[str, tuple[Callable[[Any], Any], dict[str, int]]] = {
    "LSTM": (sequence(lambda of: of.LSTM(UNITS)), {"dense": _LSTM}),
    "GRU, reset before": (sequence(lambda of: of.GRU(UNITS, reset_after=False)), {"dense": _GRU}),
    "RNN of a cell": (sequence(lambda of: of.RNN(of.LSTMCell(UNITS))), {"dense": _LSTM}),
    "backwards": (sequence(lambda of: of.SimpleRNN(UNITS, go_backwards=True)), {"dense": _LSTM // 4}),
    "unrolled": (sequence(lambda of: of.GRU(UNITS, unroll=True)), {"dense": _GRU}),
    "stacked cells": (
        sequence(lambda of: of.RNN([of.LSTMCell(UNITS), of.GRUCell(2)])),
        {"dense": _LSTM + STEPS * (UNITS + 2) * 3 * 2},
    ),
    "both ways, summed": (
        sequence(lambda of: of.Bidirectional(of.LSTM(UNITS, return_sequences=True), merge_mode="sum")),
        {"dense": 2 * _LSTM},
    ),
    "dense of steps": (sequence(lambda of: of.TimeDistributed(of.Dense(7))), {"dense": STEPS * CHANNELS * 7}),
    # a step: 6 · 6 positions, windows of 9, gates of 2 + 3 channels for 4 · 3 filters
    "ConvLSTM2D": (film(lambda of: of.ConvLSTM2D(3, 3)), {"conv": STEPS * 36 * 9 * (2 + 3) * 12}),
    "ConvLSTM1D": (
        film(lambda of: of.ConvLSTM1D(3, 3, padding="same", return_sequences=True), (STEPS, 8, 2)),
        {"conv": STEPS * 8 * 3 * (2 + 3) * 12},
    ),
    "convolution of steps": (film(lambda of: of.TimeDistributed(of.Conv2D(3, 3))), {"conv": STEPS * 36 * 18 * 3}),
    "model of steps": (film(seen), {"conv": STEPS * 36 * 18 * 3, "dense": STEPS * 108 * 4}),
}


@pytest.mark.parametrize("name", LAYERS)
def test_steps_are_counted_and_onnx_says_the_same(keras: Any, tmp_path: Path, name: str) -> None:
    build, expected = LAYERS[name]
    given = model.load(saved(build(keras), tmp_path / "net.keras"))
    first = given.calls[0]
    assert macs.count(first) == expected
    assert first.traced is not None and first.traced() == expected  # where a rule counts, too
    as_onnx_says(keras, given)


def as_onnx_says(keras: Any, given: Any) -> None:
    start = keras.Input(given.input_shape)
    ours = given.replay({"input": start}, [given.output])[given.output]
    proto = keras_to_onnx.to_onnx(start, {"y": ours}, input_name="x")
    x = np.random.default_rng(0).integers(0, 5, (7, *given.input_shape)).astype(np.float32)
    (answers,) = onnx_session.session(proto.SerializeToString(), 1).run(["y"], {"x": x})
    np.testing.assert_allclose(answers, given.raw(x), atol=1e-5)


RULED: dict[str, tuple[tuple[int, ...], Callable[[Any], Any]]] = {
    "dense": ((7, 6), lambda of: of.Dense(5)),
    "convolution": ((9, 9, 6), lambda of: of.Conv2D(4, 3, strides=2, dilation_rate=1, padding="same")),
    "dilated": ((9, 9, 6), lambda of: of.Conv2D(4, 3, dilation_rate=2)),
    "groups": ((9, 9, 6), lambda of: of.Conv2D(4, 3, groups=2)),
    "a group for each channel": ((9, 9, 6), lambda of: of.Conv2D(12, 3, groups=6)),
    "pointwise": ((9, 6), lambda of: of.Conv1D(4, 1)),
    "of three axes": ((5, 5, 5, 2), lambda of: of.Conv3D(3, 2)),
    "depthwise": ((9, 9, 6), lambda of: of.DepthwiseConv2D(3, depth_multiplier=2)),
    "separable": ((9, 9, 6), lambda of: of.SeparableConv2D(4, 3)),
    "transposed": ((5, 5, 6), lambda of: of.Conv2DTranspose(4, 3, strides=2)),
    "einsum": ((7, 6), lambda of: of.EinsumDense("abc,cde->abde", output_shape=(7, 2, 3))),
    "GRU": ((6, 5), lambda of: of.GRU(4)),
    "both ways": ((6, 5), lambda of: of.Bidirectional(of.GRU(4))),
}


@pytest.mark.parametrize("name", RULED)
def test_graphs_and_rules_count_alike(keras: Any, tmp_path: Path, name: str) -> None:
    shape, layer = RULED[name]
    start = keras.Input(shape)
    given = model.load(saved(closed(keras, start, layer(keras.layers)(start)), tmp_path / "net.keras"))
    for call in given.calls:
        assert call.traced is not None and call.traced() == macs.count(replace(call, traced=None)), call.name


def test_a_loop_of_unknown_length_is_none_that_is_counted(keras: Any) -> None:
    import tensorflow as tf

    def call(x: Any) -> Any:
        return tf.while_loop(lambda y: tf.reduce_sum(y) < 9, lambda y: [y + tf.matmul(y, y)], [x])[0]

    with pytest.raises(traced.Uncounted, match="a loop of unknown length"):
        traced.macs(call, [((1,), "float32")])
    assert traced.macs(lambda x: tf.matmul(x, tf.ones((3, 5))), [((3,), "float32")]) == {"dense": 15}


def test_what_has_no_rule_and_no_graph_is_refused() -> None:
    call = model.Call("odd", "Odd", ("input",), ((4,),), ((4,),), ((4, 4),))

    def unknown() -> dict[str, int]:
        raise traced.Uncounted("it has a loop of unknown length")

    for more, words in (
        ({}, "cannot count its MACs$"),
        ({"traced": unknown}, "MACs: it has a loop of unknown length$"),
    ):
        with pytest.raises(ConversionError, match=words):
            macs.count(replace(call, **more))


# -- masks and states ---------------------------------------------------------------------------------


def words_of(k: Any) -> Any:
    start = k.Input((8,))
    x = k.layers.Embedding(9, 6, mask_zero=True, name="words")(start)
    x = k.layers.LSTM(5, return_sequences=True, name="first")(x)
    x = k.layers.LSTM(4, name="second")(k.layers.Dropout(0.1)(x))
    return closed(k, start, k.layers.Dense(6, activation="relu", name="tail")(x))


def padded(k: Any) -> Any:
    start = k.Input((6, 3))
    x = k.layers.Masking(name="pad")(start)
    x = k.layers.Bidirectional(k.layers.GRU(4, return_sequences=True), name="first")(x)
    x = k.layers.Conv1D(5, 1, name="loses the mask")(k.layers.GRU(4, return_sequences=True, name="second")(x))
    return closed(k, start, k.layers.GRU(4, name="third")(x))


@pytest.mark.filterwarnings("ignore:Layer 'loses:UserWarning")
@pytest.mark.parametrize(("build", "cuts"), [(words_of, ["second", "tail"]), (padded, ["second", "third"])])
def test_masks_are_used_and_never_cut(keras: Any, tmp_path: Path, build: Any, cuts: list[str]) -> None:
    """A mask is a tensor like others: no exit stands where one crosses, and beyond it all is as it was."""
    given = model.load(saved(build(keras), tmp_path / "net.keras"))
    as_onnx_says(keras, given)
    blocks = graph.blocks(given)
    names = [block.name for block in blocks]
    assert [name for name in names if name in ("words", "pad", "first", "second", "third", "tail")] == cuts
    x = np.random.default_rng(1).integers(0, 4, (5, *given.input_shape)).astype(np.float32)
    x[:, -2:] = 0  # masked steps
    at = locations.find(blocks, K, given.layout)[0][1].name
    start = keras.Input(given.input_shape)
    early = keras.Model(start, given.replay({"input": start}, [at])[at])
    middle = keras.Input(early.output.shape[1:])
    late = keras.Model(middle, given.replay({at: middle}, [given.output])[given.output])
    np.testing.assert_allclose(late(np.asarray(early(x))), given.raw(x), atol=1e-6)


@pytest.mark.parametrize("wrapped", [False, True])
def test_stateful_layers_forget_between_samples(keras: Any, tmp_path: Path, wrapped: bool) -> None:
    start = keras.Input(batch_shape=(2, STEPS, CHANNELS))
    layer = keras.layers.LSTM(UNITS, stateful=True, name="memory")
    x = keras.layers.Bidirectional(layer)(start) if wrapped else layer(start)
    given = model.load(saved(closed(keras, start, x), tmp_path / "net.keras"))
    (note,) = given.notes
    assert note.startswith("stateful layers (") and "memory" in note
    sample = np.random.default_rng(0).normal(size=(2, STEPS, CHANNELS)).astype(np.float32)
    np.testing.assert_array_equal(given.raw(sample), given.raw(sample))
    assert macs.count(given.calls[0]) == {"dense": (1 + wrapped) * _LSTM}
    as_onnx_says(keras, given)


def test_states_that_later_layers_use_stay_in_their_block(keras: Any, tmp_path: Path) -> None:
    start = keras.Input((STEPS, CHANNELS))
    every, h, c = keras.layers.LSTM(UNITS, return_sequences=True, return_state=True, name="encoder")(start)
    x = keras.layers.LSTM(UNITS, name="decoder")(every, initial_state=[h, c])
    given = model.load(saved(closed(keras, start, x), tmp_path / "net.keras"))
    assert [block.name for block in graph.blocks(given)] == ["decoder", "classifier"]
    assert macs.count(given.calls[1]) == {"dense": STEPS * 2 * UNITS * 4 * UNITS}
    as_onnx_says(keras, given)
