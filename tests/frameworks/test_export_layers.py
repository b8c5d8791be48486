"""Layers that TFLite, int8 or TFLM have no operator of, or converters fail on: expressed, or refused by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_nets import saved

from eeaug import hardware
from eeaug.backbone import keras_files, model
from eeaug.errors import ConversionError
from eeaug.export import layerwise, rehearsal
from eeaug.frameworks import keras_to_tflite, tflite_file, tflite_layers, tflite_session
from eeaug.settings import Settings
from eeaug.support import native_process

Build = Callable[[Any, Any], Any]  # Keras' layers, a tensor → what the layer gives


def _dilated_first(layers: Any, x: Any) -> Any:
    x = layers.Permute((3, 1, 2))(x)
    return layers.Conv2D(4, 3, dilation_rate=2, padding="same", data_format="channels_first")(x)


def _last_axis(layers: Any, x: Any) -> Any:
    return layers.Dense(6)(layers.GlobalAveragePooling2D()(x))


def _steps(layers: Any, x: Any) -> Any:
    return layers.Reshape((4, 24))(x)


def _some_parts(layers: Any, x: Any) -> Any:
    """One of two, of three and of unlike ones, and the last row: the others are not needed."""
    from keras import ops

    parts = (ops.split(x, 2, axis=-1)[1], ops.array_split(x, 3, axis=-1)[1], ops.split(x, [1, 3], axis=-1)[1])
    row = ops.unstack(x, axis=1)[-1]
    return layers.Concatenate()(
        [*(_last_axis(layers, part) for part in parts), layers.Dense(6)(layers.Flatten()(row))]
    )


# every kind of layer that eeaug.frameworks.tflite_layers expresses otherwise
EXPRESSED: dict[str, Build] = {
    "elu": lambda layers, x: layers.Activation("elu")(x),
    "elu-half": lambda layers, x: layers.ELU(0.5)(x),
    "selu": lambda layers, x: layers.Activation("selu")(x),
    "celu": lambda layers, x: layers.Activation("celu")(x),
    "nearest": lambda layers, x: layers.UpSampling2D((2, 3))(x),
    "repeated": lambda layers, x: layers.RepeatVector(3)(_last_axis(layers, x)),
    "channels-first-dilated": _dilated_first,
    "prelu-vector": lambda layers, x: layers.PReLU("glorot_uniform")(_last_axis(layers, x)),
    "prelu": lambda layers, x: layers.PReLU("glorot_uniform", shared_axes=[1, 2])(x),
    "gelu": lambda layers, x: layers.Activation("gelu")(x),
    "layer-norm": lambda layers, x: layers.LayerNormalization()(x),
    "lstm": lambda layers, x: layers.LSTM(4)(_steps(layers, x)),
    "gru": lambda layers, x: layers.GRU(4)(_steps(layers, x)),
    "some-parts": _some_parts,
}


def graph(build: Build) -> tuple[Any, Any]:
    keras = keras_files.import_keras()
    keras.utils.set_random_seed(2)
    inputs = keras.Input((4, 6, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", name="first")(inputs)
    return inputs, build(keras.layers, x)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Conversions in this process, which takes no seconds to start another."""
    monkeypatch.setattr(native_process, "call", lambda function, *arguments, **_: function(*arguments))


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("name", EXPRESSED)
def test_it_says_the_same_in_float_and_nearly_so_in_int8(name: str) -> None:
    keras = keras_files.import_keras()
    inputs, made = graph(EXPRESSED[name])
    x = np.random.default_rng(1).normal(0, 1, (32, 4, 6, 3)).astype(np.float32)
    expected = np.asarray(keras.Model(inputs, made)(x, training=False))
    (floats,) = tflite_session.Session(keras_to_tflite.to_tflite(inputs, {"y": made}, input_name="x"), 1).run(
        ["y"], {"x": x}
    )
    np.testing.assert_allclose(floats, expected, atol=1e-5)
    content = keras_to_tflite.to_tflite(inputs, {"y": made}, input_name="x", samples=x)
    keras_to_tflite.check_int8(content)
    session = tflite_session.Session(content, 1)
    takes, gives = session.inputs["x"], session.outputs["y"]
    assert takes is not None and gives is not None
    (q,) = session.run(["y"], {"x": takes.quantised(x)})
    assert np.abs(gives.real(q) - expected).mean() < 0.04 * np.ptp(expected)


@pytest.mark.usefixtures("here")
def test_prelu_stays_one_operator() -> None:
    inputs, made = graph(EXPRESSED["prelu"])
    assert "PRELU" in tflite_file.operators(keras_to_tflite.to_tflite(inputs, {"y": made}, input_name="x"))


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("name", ["lstm", "gru", "some-parts"])
def test_no_result_that_is_not_needed_keeps_an_operator_in_float(name: str) -> None:
    """TensorFlow's converter brings SPLIT to int8 only sometimes where one of its results is not read."""
    inputs, made = graph(EXPRESSED[name])
    x = np.random.default_rng(1).normal(0, 1, (8, 4, 6, 3)).astype(np.float32)
    contents = [keras_to_tflite.to_tflite(inputs, {"y": made}, input_name="x", samples=x) for _ in range(2)]
    assert contents[0] == contents[1]
    several = {"SPLIT", "SPLIT_V"} | ({"UNPACK"} if name == "some-parts" else set())
    assert not several & set(tflite_file.operators(contents[0]))


def test_slices_are_what_keras_splits() -> None:
    from keras import ops

    x = np.random.default_rng(1).normal(0, 1, (4, 6, 5)).astype(np.float32)
    ways: list[Callable[[], Any]] = []
    for axis in range(-3, 3):
        size = x.shape[axis]
        ways += [lambda n=n, axis=axis: ops.split(x, n, axis) for n in range(1, size + 1) if size % n == 0]
        ways += [lambda n=n, axis=axis: ops.array_split(x, n, axis) for n in range(1, size + 1)]
        ways += [lambda b=b, axis=axis: ops.split(x, b, axis) for b in ([1], [2, 3], [0, 2, 2, 4])]
        ways.append(lambda axis=axis: ops.unstack(x, axis=axis))
    for way in ways:
        expected = way()
        with tflite_layers.quantisable([]):
            parts = way()
        assert len(parts) == len(expected)
        for part, other in zip(parts, expected, strict=True):
            np.testing.assert_array_equal(part, other, strict=True)
    with pytest.raises(Exception, match="evenly"), tflite_layers.quantisable([]):
        ops.split(x, 4, axis=2)


def classifier(tmp_path: Path, build: Build) -> model.Classifier:
    keras = keras_files.import_keras()
    inputs, made = graph(build)
    x = keras.layers.GlobalAveragePooling2D()(made) if len(made.shape) > 3 else keras.layers.Flatten()(made)
    net = keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="last")(x))
    return model.load(saved(net, tmp_path / "net.keras"))


def bicubic(layers: Any, x: Any) -> Any:
    return layers.UpSampling2D(2, interpolation="bicubic", name="finer")(x)


def grouped(layers: Any, x: Any) -> Any:
    return layers.Conv2D(8, 3, groups=2, name="grouped")(x)


def mish(layers: Any, x: Any) -> Any:
    return layers.Activation("mish", name="odd")(x)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("build", "asked", "says"),
    [
        (bicubic, "tflite", "layer 'finer' (UpSampling2D): --format tflite is not possible: .*ResizeBicubic; "
         "keras, onnx are: leave tflite and tflite-int8 and tflm and c-int8 and vela out"),
        (mish, "tflm", "layer 'odd' (Activation): --format tflm is not possible: .*exp.cc.*; keras, onnx, tflite, "
         "tflite-int8 are: leave tflm out"),
        (grouped, "c-int8", "layer 'grouped' (Conv2D): --format c-int8 is not possible: "
         "there is no int8 C for .*CONV_2D in groups; keras, onnx, tflite, tflite-int8 are: leave c-int8 out"),
    ],
)  # fmt: skip
def test_a_layer_that_cannot_be_is_named_before_any_training(
    tmp_path: Path, build: Build, asked: str, says: str
) -> None:
    pytest.importorskip("tflite_micro")
    given = classifier(tmp_path, build)
    settings = Settings.of(model=tmp_path / "net.keras", hardware="psoc6", formats=(asked,), threads=1)
    x = np.random.default_rng(1).normal(0, 1, (8, 4, 6, 3)).astype(np.float32)
    pattern = re.escape("net.keras: ") + says.replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(ConversionError, match=pattern) as raised:
        rehearsal.check(settings.running, given, hardware.read("psoc6"), (), x)
    assert len(str(raised.value)) <= 300 and "\n" not in str(raised.value)


def test_a_crash_is_blamed_on_the_layer_that_does_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = classifier(tmp_path, mish)

    def write(tensor: Any, made: Any) -> None:
        if "odd" in made._keras_history.operation.name:
            raise native_process.Ended("the graph cannot be written: its process ended by signal 11 (SIGSEGV)")

    monkeypatch.setitem(layerwise.WRITERS, "tflite-int8", write)  # type: ignore[arg-type]
    found = layerwise.blamed(given, "tflite-int8", "the graph cannot be written: its process ended by signal 11")
    assert found is not None and found[0].name == "odd" and "SIGSEGV" in found[1]


def test_random_numbers_are_as_they_were(tmp_path: Path) -> None:
    """Heads are trained from the same weights whatever formats were asked for."""
    import random

    random.seed(3), np.random.seed(3)
    with rehearsal._same_numbers():
        random.random(), np.random.random()
    again = random.random(), np.random.random()
    random.seed(3), np.random.seed(3)
    assert again == (random.random(), np.random.random())
