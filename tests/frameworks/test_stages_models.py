"""Whatever a classifier is made of: it is read, has locations, and its stages in a chain are the given model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_nets import dense_head, saved, trained

from eeaug.backbone import keras_files, model
from eeaug.backbone.model import INPUT, Classifier
from eeaug.errors import ConversionError, InputError
from eeaug.frameworks import keras_to_onnx, onnx_session
from eeaug.network import graph, locations
from eeaug.stages import partition
from eeaug.stages.partition import PROBABILITIES

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # TF on NumPy 2

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "models"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared real models are not on this machine")

SHAPE, CLASSES = (12, 12, 3), 4


# -- what classifiers are made of ---------------------------------------------------------------------


def conv(k: Any, x: Any, name: str, channels: int = 6) -> Any:
    return k.layers.Conv2D(channels, 3, padding="same", activation="relu", name=name)(x)


def closed(k: Any, start: Any, x: Any, activation: str | None = "softmax", name: str = "net") -> Any:
    x = k.layers.GlobalAveragePooling2D(name="pool")(x)
    return k.Model(start, k.layers.Dense(CLASSES, activation=activation, name="classifier")(x), name=name)


def one_axis(k: Any) -> Any:
    start = k.Input((40, 2))
    x = k.layers.Conv1D(8, 5, strides=2, activation="relu", name="first")(start)
    x = k.layers.SeparableConv1D(8, 3, activation="relu", name="second")(x)
    x = k.layers.MaxPooling1D(name="halve")(k.layers.DepthwiseConv1D(3, name="third")(x))
    x = k.layers.Flatten(name="flat")(k.layers.Conv1D(16, 3, name="last")(x))
    return k.Model(start, k.layers.Dense(CLASSES, activation="softmax", name="classifier")(x))


def separable(k: Any) -> Any:
    start = k.Input(SHAPE)
    x = k.layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", name="depthwise")(start)
    x = k.layers.Conv2D(8, 1, activation="relu", name="pointwise")(x)
    x = k.layers.SeparableConv2D(8, 3, padding="same", activation="relu", name="separable")(x)
    return closed(k, start, k.layers.Conv2D(8, 3, groups=4, name="grouped")(x))


def attention(k: Any) -> Any:
    start = k.Input((8, 8, 3))
    x = k.layers.Reshape((16, 12), name="tokens")(k.layers.Conv2D(12, 2, strides=2, name="patches")(start))
    for block in ("first", "second"):
        y = k.layers.LayerNormalization(name=f"{block}_norm")(x)
        x = k.layers.Add(name=f"{block}_add")([x, k.layers.MultiHeadAttention(2, 6, name=f"{block}_attend")(y, y)])
        y = k.layers.Dense(24, activation="gelu", name=f"{block}_wide")(x)
        x = k.layers.Add(name=f"{block}_out")([x, k.layers.Dense(12, name=f"{block}_narrow")(y)])
    x = k.layers.GlobalAveragePooling1D(name="pool")(x)
    return k.Model(start, k.layers.Dense(CLASSES, activation="softmax", name="classifier")(x))


def wide_tail(k: Any) -> Any:
    start = k.Input(SHAPE)
    x = k.layers.Flatten(name="flat")(conv(k, conv(k, start, "first"), "second"))
    x = k.layers.Dropout(0.5, name="drop")(k.layers.Dense(64, activation="relu", name="wide")(x))
    return k.Model(start, k.layers.Dense(CLASSES, activation="softmax", name="classifier")(x))


def softmax_layer(k: Any) -> Any:
    start = k.Input(SHAPE)
    whole = closed(k, start, conv(k, conv(k, start, "first"), "second"), activation=None)
    return k.Model(start, k.layers.Softmax(name="softmax")(whole.output))


def softmax_activation(k: Any) -> Any:
    start = k.Input(SHAPE)
    whole = closed(k, start, conv(k, conv(k, start, "first"), "second"), activation=None)
    return k.Model(start, k.layers.Activation("softmax", name="softmax")(whole.output))


def sequential_in_sequential(k: Any) -> Any:
    body = k.Sequential([k.Input(SHAPE), k.layers.Conv2D(6, 3, name="conv"), k.layers.ReLU(name="out")], name="a")
    again = k.Sequential([k.Input((10, 10, 6)), k.layers.Conv2D(6, 3, name="conv")], name="b")
    tail = [k.layers.Flatten(name="flat"), k.layers.Dense(CLASSES, activation="softmax", name="classifier")]
    return k.Sequential([k.Input(SHAPE), body, again, k.Sequential(tail, name="c")], name="outer")


def shared(k: Any) -> Any:
    """A submodel in a submodel, one of them called twice, and a layer called twice."""
    inside = k.Input((12, 12, 6))
    x = k.layers.BatchNormalization(name="norm")(inside)
    inner = k.Model(inside, k.layers.ReLU(name="out")(x), name="inner")
    start = k.Input((12, 12, 6))
    body = k.Model(start, inner(conv(k, start, "conv")), name="body")
    start, twice = k.Input(SHAPE), k.layers.Conv2D(6, 3, padding="same", name="twice")
    x = k.layers.Add(name="join")([body(body(conv(k, start, "conv"))), conv(k, start, "side")])
    return closed(k, start, twice(twice(x)))


def prepared(k: Any) -> Any:
    """Preprocessing, and augmentation that must not act at inference."""
    start = k.Input((16, 14, 3))
    x = k.layers.Resizing(14, 14, name="resize")(k.layers.Rescaling(0.5, offset=-1.0, name="rescale")(start))
    x = k.layers.CenterCrop(12, 12, name="crop")(x)
    x = k.layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0], name="normalize")(x)
    for layer in (
        k.layers.RandomFlip(name="flip"), k.layers.RandomRotation(0.3, name="rotate"),
        k.layers.RandomZoom(0.3, name="zoom"), k.layers.RandomContrast(0.3, name="contrast"),
        k.layers.GaussianNoise(0.5, name="noise"),
    ):  # fmt: skip
        x = layer(x)
    return closed(k, start, conv(k, k.layers.Dropout(0.5, name="drop")(conv(k, x, "first")), "second"))


def operations(k: Any) -> Any:
    start = k.Input(SHAPE)
    x = conv(k, (start - 0.5) / 2.0, "first")
    x = k.ops.relu6(x + conv(k, x, "second"))
    return closed(k, start, conv(k, x * k.ops.relu6(x + 3.0) * (1.0 / 6.0), "third")[:, 1:, :-1])


def mixed(k: Any) -> Any:
    policy = k.config.dtype_policy()
    k.config.set_dtype_policy("mixed_float16")
    try:
        return wide_tail(k)
    finally:
        k.config.set_dtype_policy(policy)


def named(k: Any) -> Any:
    """Names that Keras takes and TensorFlow's scopes do not, some equal once they are made safe."""
    start = k.Input(SHAPE, name="Bild")
    x = conv(k, conv(k, conv(k, start, "größe"), "grosse"), "conv [1]")
    x = conv(k, conv(k, conv(k, x, "卷积"), "input"), "eeaug_final")
    return closed(k, start, k.layers.Reshape((12, 12, 6), name="_shape")(x), name="mein Netz [模型]")


NETS = [
    one_axis, separable, attention, wide_tail, softmax_layer, softmax_activation, sequential_in_sequential,
    shared, prepared, operations, mixed, named,
]  # fmt: skip


def randomized(net: Any) -> Any:
    """Kernels as they are drawn, so that answers stay undecided; biases and norms that are not zero or one."""
    rng = np.random.default_rng(0)
    for variable in net.weights:
        if len(variable.shape) > 1:
            variable.assign(rng.normal(0, float(np.prod(variable.shape[:-1])) ** -0.5, variable.shape))
        else:
            variable.assign(rng.uniform(0.3, 0.9, variable.shape))
    return net


def read(net: Any, folder: Path) -> Classifier:
    return model.load(saved(net, folder / "net.keras"))


def chained(given: Classifier, x: np.ndarray, at: locations.Location, *, onnx: bool) -> np.ndarray:
    """What the last of two stages says of what the first hands over."""
    import keras

    cut = partition.stages(given, [trained(dense_head(at))], [0.5], [("small", 1), ("large", 4)], [1, 1])
    for stage in cut:
        inputs, outputs = partition.stage_graph(given, stage)
        names = list(outputs)
        if onnx:
            proto = keras_to_onnx.to_onnx(inputs, outputs, input_name=stage.input_name)
            made = dict(
                zip(
                    names,
                    onnx_session.session(proto.SerializeToString(), 1).run(names, {stage.input_name: x}),
                    strict=True,
                )
            )
        else:  # called as anybody would, without saying that this is no training
            made = keras.Model(inputs, outputs)(x)
        x = np.asarray(made[stage.handover or PROBABILITIES])
    return x


@pytest.mark.parametrize("build", NETS)
def test_stages_in_a_chain_are_the_model(keras: Any, build: Callable[[Any], Any], tmp_path: Path) -> None:
    net = randomized(build(keras))
    given = read(net, tmp_path)
    blocks = graph.blocks(given)
    found, reasons = locations.find(blocks, CLASSES, given.layout)
    assert found and {at.name for at in found} | set(reasons) == {INPUT, *(block.name for block in blocks)}
    assert sum(block.parameters for block in blocks) == net.count_params()
    x = np.random.default_rng(3).normal(size=(4, *given.input_shape)).astype(np.float32)
    expected = np.asarray(net(x, training=False))  # predict() would refuse some names
    assert np.ptp(expected) > 1e-3 and expected.max() < 0.999
    coarse = 5e-3 if build is mixed else 1e-5  # half floats round at every layer
    np.testing.assert_allclose(chained(given, x, found[len(found) // 2], onnx=False), expected, atol=coarse)
    np.testing.assert_allclose(chained(given, x, found[0], onnx=True), expected, atol=coarse)


def test_names_become_safe_and_stay_different(keras: Any, tmp_path: Path) -> None:
    names = [call.name for call in read(named(keras), tmp_path).calls]
    assert names == [
        "grosse", "grosse_", "conv__1_", "layer__", "input_", "eeaug_final_", "layer_shape", "pool", "classifier",
    ]  # fmt: skip


def test_names_inside_of_wrappers_become_safe(keras: Any, tmp_path: Path) -> None:
    wrapped = keras.layers.Bidirectional(keras.layers.LSTM(3, name="innen [ü]"), name="beide")
    net = randomized(keras.Sequential([keras.Input((4, 5)), wrapped]))
    given = read(net, tmp_path)
    start = keras.Input(given.input_shape)
    end = given.replay({"input": start}, [given.output])[given.output]
    proto = keras_to_onnx.to_onnx(start, {"y": end}, input_name="x")
    x = np.random.default_rng(0).normal(size=(2, 4, 5)).astype(np.float32)
    np.testing.assert_allclose(
        onnx_session.session(proto.SerializeToString(), 1).run(["y"], {"x": x})[0], net(x), atol=1e-6
    )


def test_a_layer_called_twice_counts_its_weights_once(keras: Any, tmp_path: Path) -> None:
    given = read(shared(keras), tmp_path)
    names = [call.name for call in given.calls]
    assert {"twice", "twice@2", "body_conv", "body_conv@2", "norm", "norm@2"} <= set(names)
    assert len(set(names)) == len(names)


# -- several outputs ----------------------------------------------------------------------------------


def two_outputs(k: Any) -> Any:
    start = k.Input(SHAPE)
    x = conv(k, start, "stem")
    side = k.layers.Dense(7, activation="softmax", name="side")(k.layers.Flatten(name="flat")(x))
    return k.Model(start, [side, closed(k, start, conv(k, conv(k, x, "second"), "third")).output])


@pytest.mark.parametrize("output", ["classifier", "1"])
def test_one_of_several_outputs(keras: Any, tmp_path: Path, output: str) -> None:
    net = two_outputs(keras)
    given = model.load(saved(net, tmp_path / "net.keras"), output=output)
    assert [call.name for call in given.calls] == ["stem", "second", "third", "pool", "classifier"]
    x = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype(np.float32)
    start = keras.Input(SHAPE)
    np.testing.assert_allclose(
        keras.Model(start, given.replay({"input": start}, ["classifier"])["classifier"])(x), net(x)[1], atol=1e-6
    )


def test_outputs_are_listed(keras: Any, tmp_path: Path) -> None:
    path = saved(two_outputs(keras), tmp_path / "net.keras")
    with pytest.raises(ConversionError, match=r"has 2 outputs \(0: side, 1: classifier\); name the classifier by"):
        model.load(path)
    with pytest.raises(InputError, match=r"no output 'classifer'; did you mean 'classifier'.*it has 0: side, 1: c"):
        model.load(path, output="classifer")
    with pytest.raises(InputError, match="no output '2'"):
        model.load(path, output="2")


def test_outputs_of_a_dictionary_and_of_one_layer(keras: Any, tmp_path: Path) -> None:
    start = keras.Input((4,))
    dense = keras.layers.Dense(3, activation="softmax", name="dense")
    wide = keras.layers.Dense(4, name="wide")(start)
    outputs = {"final": dense(wide), "exit": dense(start)}
    path = saved(keras.Model(start, outputs), tmp_path / "named.keras")
    assert [c.name for c in model.load(path, output="exit").calls] == ["dense"]
    assert [c.name for c in model.load(path, output="final").calls] == ["wide", "dense"]
    path = saved(keras.Model(start, list(outputs.values())), tmp_path / "listed.keras")
    with pytest.raises(InputError, match="2 outputs are called 'dense'; give a number: 0: dense, 1: dense"):
        model.load(path, output="dense")
    assert [c.name for c in model.load(path, output="0").calls] == ["wide", "dense"]


# -- SavedModel directories ---------------------------------------------------------------------------


@needs_shared
@pytest.mark.parametrize(
    ("name", "output", "layers"),
    [("dscnn_kws_savedmodel", None, 32), ("trecx/ic/model_without_ev_assist", "ef_out", 29),
     ("trecx/ic/model_with_ev_assist", "ef_out", 34)],
)  # fmt: skip
def test_shared_saved_models(old: Any, name: str, output: str | None, layers: int) -> None:
    given = model.load(SHARED / name, output=output)
    assert len(given.calls) == layers
    theirs = old.models.load_model(SHARED / name, compile=False)
    theirs = old.Model(theirs.inputs, theirs.get_layer(output).output) if output else theirs
    keras = keras_files.import_keras()
    start = keras.Input(given.input_shape)
    ours = keras.Model(start, given.replay({"input": start}, [given.output])[given.output])
    x = np.random.default_rng(0).normal(size=(4, *given.input_shape)).astype(np.float32)
    np.testing.assert_allclose(ours(x), theirs(x), atol=1e-5)


# -- refusals -----------------------------------------------------------------------------------------


def open_input(k: Any) -> Any:
    a, b = k.Input((4,), name="sound"), k.Input((None, 5), name="image")
    joined = k.layers.Concatenate()([a, k.layers.GlobalAveragePooling1D()(b)])
    return k.Model([a, b], k.layers.Dense(3, activation="softmax")(joined))


def quantized(k: Any) -> Any:
    net = k.Sequential([k.Input((4,)), k.layers.Dense(8, name="int"), k.layers.Dense(3, activation="softmax")])
    net.layers[0].quantize("int8")
    return net


def open_size(k: Any) -> Any:
    start = k.Input((None, None, 3))
    return closed(k, start, conv(k, start, "first"))


def text(k: Any) -> Any:
    start = k.Input((1,), dtype="string")
    x = k.layers.Hashing(4, output_mode="count")(start)
    return k.Model(start, k.layers.Dense(3, activation="softmax")(x))


def test_names_that_tensorflow_does_not_take_are_written_as_tflite(keras: Any, tmp_path: Path) -> None:
    """The layers get other names when the file is read; their variables had been made before."""
    from eeaug.frameworks.keras_to_tflite import to_tflite

    start = keras.Input(SHAPE)
    x = keras.layers.GlobalAveragePooling2D()(conv(keras, start, "größe [1]"))
    net = keras.Model(start, keras.layers.Dense(3, activation="softmax", name="letzte Schicht")(x))
    read = model.load(saved(net, tmp_path / "net.keras"))
    assert to_tflite(read.given.inputs[0], {"y": read.given.outputs[0]}, input_name="x")[4:8] == b"TFL3"


REFUSED: list[tuple[Callable[[Any], Any], str]] = [
    (open_input, r"the input 'image' has the shape \(None, 5\) with open dimensions; fix them and save again"),
    (quantized, r"layer 'int' \(Dense\) is quantized to int8: give the float model"),
    (open_size, r"takes samples of shape \?×\?×3: --input-shape says"),
    (text, "its input is text; give the part of the model that takes numbers"),
]


@pytest.mark.parametrize(("build", "message"), REFUSED)
def test_refused_in_one_line(keras: Any, build: Callable[[Any], Any], message: str, tmp_path: Path) -> None:
    path = saved(build(keras), tmp_path / "net.keras")
    with pytest.raises(ConversionError, match=message) as caught:
        model.load(path)
    assert "\n" not in str(caught.value) and str(caught.value).startswith("net.keras: ")
