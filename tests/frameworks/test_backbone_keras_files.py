"""Model files of Keras 3 and 2: what is read, and what is refused in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from keras_nets import saved

from eeaug.backbone import keras_files, stored_model
from eeaug.backbone.keras2_config import input_shapes
from eeaug.errors import ConversionError, EeaugError, InputError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared real models are not on this machine")

SHAPE = (8, 8, 3)


def small(k: Any, name: str = "small") -> Any:
    start = k.Input(SHAPE)
    x = k.layers.Conv2D(4, 3, activation="relu", name="conv")(start)
    x = k.layers.GlobalAveragePooling2D(name="pool")(x)
    return k.Model(start, k.layers.Dense(3, activation="softmax", name="dense")(x), name=name)


def refusal(path: Path, kind: type[EeaugError]) -> str:
    with pytest.raises(kind) as caught:
        keras_files.load(path)
    message = str(caught.value)
    assert type(caught.value) is kind and "\n" not in message and message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


# -- Keras 3 files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".hdf5"])
def test_keras_3_files(keras: Any, tmp_path: Path, suffix: str) -> None:
    model = small(keras)
    model.compile(loss=lambda y, p: y - p)  # not stored with the model's layers, so no reason to refuse it
    path = saved(model, tmp_path / f"m{suffix}")
    loaded = keras_files.load(path)
    x = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype("float32")
    np.testing.assert_array_equal(loaded(x), model(x))
    assert not loaded.compiled


@pytest.mark.parametrize(("suffix", "wrong"), [(".keras", ".h5"), (".h5", ".keras"), (".h5", ".model")])
def test_content_decides_not_the_suffix(keras: Any, tmp_path: Path, suffix: str, wrong: str) -> None:
    path = saved(small(keras), tmp_path / f"m{suffix}").rename(tmp_path / f"renamed{wrong}")
    assert keras_files.load(path).count_params() == small(keras).count_params()


def test_import_is_quiet_and_on_tensorflow() -> None:
    code = (
        "import sys; from eeaug.backbone import keras_files; assert 'keras' not in sys.modules; "
        "print(keras_files.import_keras().backend.backend())"
    )
    env = {key: value for key, value in os.environ.items() if not key.startswith(("TF_", "KERAS_"))}
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=env | {"KERAS_BACKEND": "jax"},
    )
    assert (run.stdout, run.stderr) == ("tensorflow\n", "")


def test_another_backend_is_refused(keras: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(InputError, match="backend 'jax' in this process, eeaug needs 'tensorflow'"):
        keras_files.import_keras()


# -- Keras 2 files ------------------------------------------------------------------------------------


def body(k: Any, name: str) -> Any:
    start = k.Input(SHAPE)
    x = k.layers.Conv2D(3, 3, padding="same")(start)
    return k.Model(start, k.layers.BatchNormalization()(x), name=name)


def nested_and_shared(k: Any) -> Any:
    start, twice = k.Input(SHAPE), body(k, "twice")
    head = k.Sequential([k.layers.InputLayer(SHAPE), k.layers.Flatten(), k.layers.Dense(3)], name="head")
    first = twice(body(k, "once")(start))
    return k.Model(start, head(k.layers.Subtract()([first, twice(first)])))


def functional_at_the_end(k: Any) -> Any:
    start = k.Input(SHAPE)
    return k.Model(start, small(k, "end")(body(k, "begin")(start)))


def frozen_in_part(k: Any) -> Any:
    model = functional_at_the_end(k)
    model.get_layer("begin").layers[2].trainable = False
    return model


def mobile(k: Any) -> Any:
    start = k.Input(SHAPE)
    x = k.layers.DepthwiseConv2D(3, name="stem/depthwise")(start)
    x = k.layers.SeparableConv2D(6, 3, kernel_regularizer=k.regularizers.L2(0.1), name="stem/separable")(x)
    x = k.layers.SpatialDropout2D(0.2)(k.layers.LeakyReLU(0.2)(x))
    x = k.layers.Conv2DTranspose(4, 3, bias_initializer=k.initializers.Constant(0.1))(x)
    return k.Model(start, k.layers.Softmax(axis=-1)(k.layers.GlobalAveragePooling2D()(x)))


def attention(k: Any) -> Any:
    start = k.Input((8, 24))
    x = k.layers.MultiHeadAttention(2, 4, name="attend")(start, value=start)
    return k.Model(start, k.layers.Dense(3)(k.layers.LSTM(4)(k.layers.Add()([x, start]))))


def wrapped(k: Any) -> Any:
    start = k.Input((4, *SHAPE))
    x = k.layers.TimeDistributed(small(k, "wrapped"))(start)
    return k.Model(start, k.layers.Bidirectional(k.layers.GRU(3))(x))


def sequential(k: Any) -> Any:
    return k.Sequential([k.layers.Conv2D(4, 3, input_shape=SHAPE), body_of(k), k.layers.Flatten()])


def body_of(k: Any) -> Any:
    start = k.Input((6, 6, 4))
    return k.Model(start, k.layers.BatchNormalization()(start), name="inner")


BUILDERS = [nested_and_shared, functional_at_the_end, frozen_in_part, mobile, attention, wrapped, sequential]


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("build", BUILDERS)
def test_keras_2_files(old: Any, tmp_path: Path, build: Callable[[Any], Any], suffix: str) -> None:
    rng = np.random.default_rng(0)
    model = build(old)
    for variable in model.variables:  # also the statistics of batch norms, which start out equal
        variable.assign(rng.uniform(0.3, 0.9, variable.shape))
    path = saved(model, tmp_path / f"m{suffix}")
    x = rng.normal(size=(2, *model.input_shape[1:])).astype("float32")
    loaded = keras_files.load(path)
    np.testing.assert_allclose(loaded(x), model(x), rtol=1e-5, atol=1e-6)
    assert type(loaded).__module__.startswith("keras.")


def with_config(path: Path, change: Callable[[dict[str, Any]], None], version: str | None = None) -> Path:
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        change(config)
        file.attrs["model_config"] = json.dumps(config)
        if version is not None:
            file.attrs["keras_version"] = version
    return path


def test_sequential_stored_as_a_list(old: Any, tmp_path: Path) -> None:
    layers = [old.layers.Conv2D(4, 3, input_shape=SHAPE, name="c"), old.layers.Flatten(name="f")]
    model = old.Sequential(layers)

    def as_keras_2_1(config: dict[str, Any]) -> None:
        config["config"] = [layer for layer in config["config"]["layers"] if layer["class_name"] != "InputLayer"]

    path = with_config(saved(model, tmp_path / "m.h5"), as_keras_2_1, version="2.1.4")
    x = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype("float32")
    np.testing.assert_allclose(keras_files.load(path)(x), model(x), atol=1e-6)


def test_called_with_one_tensor_without_a_warning(old: Any, tmp_path: Path) -> None:
    loaded = keras_files.load(saved(small(old), tmp_path / "m.h5"))
    assert loaded.input_shape == (None, *SHAPE) and loaded.output_shape == (None, 3)


def test_another_input_shape_than_stored_is_noticed(
    keras: Any, old: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(small(old), tmp_path / "m.h5")
    other = keras.Sequential([keras.Input((9, 9, 3)), keras.layers.Flatten()])
    monkeypatch.setattr(keras_files, "_load_rewritten", lambda *_: other)
    assert "stores the input shapes [(8, 8, 3)], Keras 3 makes [(9, 9, 3)]" in refusal(path, ConversionError)


def test_input_shapes_follow_the_order_of_the_inputs(old: Any, tmp_path: Path) -> None:
    first, second = old.Input((4,), name="z"), old.Input((5,), name="a")
    model = old.Model([first, second], old.layers.Concatenate()([second, first]))
    path = saved(model, tmp_path / "m.h5")
    with h5py.File(path) as file:
        assert input_shapes(json.loads(file.attrs["model_config"])) == [(4,), (5,)]
    assert [tuple(tensor.shape) for tensor in keras_files.load(path).inputs] == [(None, 4), (None, 5)]


def test_weights_in_another_order_than_the_layers(old: Any, tmp_path: Path) -> None:
    start = old.Input((4,))
    model = old.Model(start, old.layers.Dense(4)(old.layers.Dense(4)(start)))
    path = saved(model, tmp_path / "m.h5")
    with h5py.File(path, "r+") as file:
        group = file["model_weights"]
        group.attrs["layer_names"] = group.attrs["layer_names"][::-1]
    with pytest.raises(ConversionError, match="another order than their stored weights"):
        keras_files._load_rewritten(path, stored_model.read_h5(path), tmp_path, True)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_hard_sigmoid_changed_its_meaning(old: Any, tmp_path: Path, suffix: str) -> None:
    model = old.Sequential([old.layers.Dense(3, activation="hard_sigmoid", input_shape=(4,), name="gate")])
    message = refusal(saved(model, tmp_path / f"m{suffix}"), ConversionError)
    assert message.startswith("layer 'gate' uses hard_sigmoid, which Keras 3 computes differently")


# -- code in files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("version", [2, 3])
def test_lambda_layers(keras: Any, old: Any, tmp_path: Path, version: int, suffix: str) -> None:
    k = keras if version == 3 else old
    inner = k.Sequential([k.layers.InputLayer((4,)), k.layers.Lambda(lambda x: x * 2, name="twice")])
    start = k.Input((4,))
    path = saved(k.Model(start, inner(start)), tmp_path / f"m{suffix}")
    message = refusal(path, ConversionError)
    assert message.startswith("layer 'twice' is a Lambda") and "--allow-unsafe" in message
    loaded = keras_files.load(path, allow_unsafe=True)
    np.testing.assert_array_equal(loaded(np.ones((1, 4), "float32")), np.full((1, 4), 2.0))


def test_subclassed_models(keras: Any, tmp_path: Path) -> None:
    class Own(keras.Model):
        def call(self, x: Any) -> Any:
            return x

    net = Own()
    net(np.zeros((1, 4)))
    message = refusal(saved(net, tmp_path / "m.keras"), ConversionError)
    assert message.startswith("the model is of class 'Own', a subclass of which the file does not hold the code")


def test_lambda_in_an_argument(keras: Any, tmp_path: Path) -> None:
    def change(config: dict[str, Any]) -> None:
        code = {"class_name": "__lambda__", "config": {"value": "4wEA"}}
        config["config"]["layers"][-1]["config"]["activation"] = code

    path = with_config(saved(small(keras), tmp_path / "m.h5"), change)
    assert refusal(path, ConversionError).startswith("layer 'dense' is a Lambda")


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_custom_classes(keras: Any, tmp_path: Path, suffix: str) -> None:
    class Odd(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x

    inner = keras.Sequential([keras.Input((4,)), Odd(name="strange")])
    path = saved(keras.Sequential([keras.Input((4,)), inner]), tmp_path / f"m{suffix}")
    assert refusal(path, ConversionError) == (
        "cannot be loaded: layer 'strange' is of class Odd, which Keras 3 does not have (a custom class); "
        "--custom-objects FILE names the code that has it"
    )
    with keras.saving.custom_object_scope({"Odd": Odd}):
        assert keras_files.load(path).input_shape == (None, 4)


def test_custom_functions_are_named(keras: Any, old: Any, tmp_path: Path) -> None:
    def change(config: dict[str, Any]) -> None:
        config["config"]["layers"][1]["config"]["activation"] = "mish_of_mine"

    path = with_config(saved(small(old), tmp_path / "m.h5"), change)
    message = refusal(path, ConversionError)
    assert "mish_of_mine" in message and len(message) < 300


def test_an_unbuilt_model(keras: Any, tmp_path: Path) -> None:
    path = saved(keras.Sequential([keras.layers.Flatten()]), tmp_path / "m.keras")
    assert "its input shape is unknown" in refusal(path, ConversionError)


# -- files that are no models -------------------------------------------------------------------------


def test_missing(tmp_path: Path) -> None:
    (tmp_path / "resnet8.h5").touch()
    assert refusal(tmp_path / "resent8.h5", InputError) == "no such model file; did you mean 'resnet8.h5'?"
    assert refusal(tmp_path / "no" / "m.h5", InputError) == "no such model file"


def test_directories(tmp_path: Path) -> None:
    message = (
        "a directory without saved_model.pb and model.weights.h5, neither a model file (.keras, .h5 or .hdf5) nor "
        "a SavedModel"
    )
    assert refusal(tmp_path, InputError) == message


@pytest.mark.parametrize(
    ("name", "content", "kind", "message"),
    [
        ("m.h5", b"", InputError, "the file is empty"),
        ("m.h5", b"some text", InputError, "neither a .keras nor an .h5 file"),
        ("m.keras", b"PK\x03\x04 and no more", InputError, "a damaged .keras file"),
        ("m.h5", b"\x89HDF\r\n\x1a\n and no more", InputError, "a damaged .h5 file"),
        ("m.bin", b"\x1c\0\0\0TFL3....", ConversionError, "a TFLite file"),
        ("m.onnx", b"\x08\x08\x12\x07pytorch", InputError, "an ONNX file without a graph"),
        ("m.pb", b"\x08\x01\x12", ConversionError, "a TensorFlow graph file"),
        ("m.index", b"\x00\x00\x03", ConversionError, "a TensorFlow checkpoint's (weights only) file"),
        ("m.json", b'{"class_name": "Model"}', InputError, "describes layers at most; its weights are missing"),
    ],
)
def test_other_content(tmp_path: Path, name: str, content: bytes, kind: type[EeaugError], message: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert refusal(tmp_path / name, kind).startswith(message)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_truncated(keras: Any, tmp_path: Path, suffix: str) -> None:
    path = saved(small(keras), tmp_path / f"m{suffix}")
    path.write_bytes(path.read_bytes()[:-200])
    assert refusal(path, InputError).startswith(f"a damaged {suffix} file")


def test_weights_only(keras: Any, old: Any, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        small(keras).save_weights(tmp_path / "three.weights.h5")
        small(old).save_weights(tmp_path / "two.h5")
    for name in ("three.weights.h5", "two.h5"):
        assert refusal(tmp_path / name, ConversionError).startswith("holds weights only")


def test_other_zip_and_hdf5_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x_train=np.zeros(3))
    assert "not a Keras model: holds x_train.npy" in refusal(tmp_path / "data.npz", InputError)
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["images"] = np.zeros(3)
    assert "an HDF5 file without model_config" in refusal(tmp_path / "data.h5", InputError)


def test_damaged_configuration(keras: Any, tmp_path: Path) -> None:
    path = with_config(saved(small(keras), tmp_path / "m.h5"), lambda config: config.pop("config"))
    assert refusal(path, InputError).startswith("the stored configuration is damaged")
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", "{")
    assert refusal(tmp_path / "m.keras", InputError).startswith("a damaged .keras file")


# -- real files ---------------------------------------------------------------------------------------


@needs_shared
def test_real_models_load(keras: Any) -> None:
    shapes = {path.name: keras_files.load(path).input_shape[1:] for path in sorted(SHARED.glob("models/*.h5"))}
    assert shapes == {
        "dscnn_kws.h5": (49, 10, 1),
        "ecg_kachuee_fcn.h5": (187, 1),
        "mobilenetv1_vww.h5": (96, 96, 3),
        "resnet110_cifar10.h5": (32, 32, 3),
        "resnet32_cifar10.h5": (32, 32, 3),
        "resnet8_cifar10.h5": (32, 32, 3),
    }


@needs_shared
def test_real_accuracy(keras: Any) -> None:
    with np.load(SHARED / "vww_eembc_1000.npz") as file:
        x, y = file["x_test"], file["y_test"]
    model = keras_files.load(SHARED / "models" / "mobilenetv1_vww.h5")
    predicted = model.predict(x.astype("float32") / 255, verbose=0).argmax(axis=1)
    assert (predicted == y).mean() == pytest.approx(0.853, abs=0.001)


@needs_shared
@pytest.mark.parametrize("path", sorted(SHARED.glob("models/odd/*")), ids=lambda path: path.name)
def test_odd_models_end_in_a_model_or_one_line(keras: Any, path: Path) -> None:
    if "qkeras" in path.name:
        assert "of class QConv2DBatchnorm, which Keras 3 does not have" in refusal(path, ConversionError)
    else:
        assert keras_files.load(path).inputs
