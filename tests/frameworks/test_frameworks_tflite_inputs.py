"""Inputs of int8 TFLite files that are quantised in another way than the file was made with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from eeaug.frameworks import keras_to_tflite, tflite_file
from eeaug.frameworks.tflite_session import Quantisation, Session

RNG = np.random.default_rng(0)
IDS = np.arange(10).repeat(3).astype(np.float32)[:, None]
META = RNG.normal(size=(30, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def content(keras: Any) -> bytes:
    """An embedding of a number, joined with a vector."""
    place, meta = keras.Input((1,), name="place"), keras.Input((4,), name="meta")
    known = keras.layers.Flatten(name="flat")(keras.layers.Embedding(10, 4, name="known")(place))
    joined = keras.layers.Concatenate(name="join")([known, meta])
    out = keras.layers.Dense(3, activation="softmax", name="answer")(joined)
    return keras_to_tflite.to_tflite([place, meta], {"y": out}, input_name="", samples=[IDS, META])


def said(content: bytes) -> np.ndarray:
    session = Session(content, 1)
    feeds = {}
    for name, x in (("place", IDS), ("meta", META)):
        takes = session.inputs[name]
        assert takes is not None
        feeds[name] = takes.quantised(x)
    (y,) = session.run(["y"], feeds)
    return y.astype(int)


def test_names_are_in_the_order_of_the_file(content: bytes) -> None:
    assert {*tflite_file.inputs(content)} == {"place", "meta"} and tflite_file.outputs(content) == ("y",)


def test_what_is_converted_first_may_be_quantised_as_it_is_wanted(content: bytes) -> None:
    """So that numbers which stand for something stay whole."""
    assert tflite_file.is_converted_first(content, "place") and not tflite_file.is_converted_first(content, "meta")
    stated = tflite_file.with_input(content, "place", 1.0, -128)
    assert Session(stated, 1).inputs["place"] == Quantisation(1.0, -128)
    given = Session(content, 1).inputs["place"]
    assert given is not None and (np.trunc(given.real(given.quantised(IDS))) != IDS).any(), "it mattered"


def test_what_is_not_is_converted_in_the_file(content: bytes) -> None:
    takes = Session(content, 1).inputs["meta"]
    assert takes is not None
    with pytest.raises((RuntimeError, ValueError)):
        Session(tflite_file.with_input(content, "meta", takes.scale * 1.001, takes.zero_point), 1)
    finer = Quantisation(float(np.float32(0.8 * takes.scale)), takes.zero_point)
    changed = tflite_file.requantising(content, "meta", finer.scale, finer.zero_point)
    session = Session(changed, 1)
    assert session.inputs["meta"] == finer
    assert "QUANTIZE" in tflite_file.operators(changed) and [*session.inputs] == [*Session(content, 1).inputs]
    fits = (np.abs(finer.real(finer.quantised(META)) - META) < takes.scale).all(axis=1)
    assert fits.sum() > 5 and np.abs(said(changed) - said(content))[fits].max() <= 6
