"""Layers, activations and models from code that the user names: found by name, in files of Keras 3 and 2."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_parts import with_config

from eeaug.backbone import custom_objects, model
from eeaug.errors import ConversionError, InputError
from eeaug.frameworks import keras_to_onnx, onnx_session
from eeaug.network import graph, macs

pytestmark = pytest.mark.filterwarnings("ignore")  # of Keras, while it saves


@pytest.fixture(autouse=True)
def no_module_of_another_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of that name that is there would have the code of the test called otherwise."""
    monkeypatch.delitem(sys.modules, "my_layers", raising=False)


# runs with Keras 3 and with Keras 2, whose layers name a weight first
CODE = '''
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers


@keras.utils.register_keras_serializable(package="mine")
class Scale(layers.Layer):
    def __init__(self, start=1.0, **kwargs):
        super().__init__(**kwargs)
        self.start = start

    def build(self, shape):
        self.factors = self.add_weight("factors", shape=(int(shape[-1]),), initializer="uniform")
        super().build(shape)

    def call(self, x):
        return x * (self.factors + self.start)

    def get_config(self):
        return {**super().get_config(), "start": self.start}


class LayerNormalization(layers.Layer):
    """Called like one of Keras, and computes something else."""

    def build(self, shape):
        self.kernel = self.add_weight(name="kernel", shape=(int(shape[-1]), 4), initializer="glorot_uniform")
        super().build(shape)

    def call(self, x):
        return tf.matmul(x, self.kernel)

    def compute_output_shape(self, shape):
        return (*shape[:-1], 4)


class Counted(LayerNormalization):
    def macs(self, input_shapes, output_shapes):
        return 7 * input_shapes[0][-1] + output_shapes[0][-1]


class Fails(layers.Layer):
    def call(self, x):
        return x + self.nothing_of_this_name


def twice(x):
    return 2 * tf.nn.relu(x)
'''
SHAPE, K = (6, 5), 3
Build = Callable[[Any, Any], Any]


@pytest.fixture
def code(keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file of code; what is known of it is forgotten after the test."""
    file = tmp_path / "my_layers.py"
    file.write_text(CODE)
    known, modules = dict(keras.saving.get_custom_objects()), set(sys.modules)
    for held in ("_objects", "_run", "_files"):
        monkeypatch.setattr(custom_objects, held, {})
    yield file
    keras.saving.get_custom_objects().clear()
    keras.saving.get_custom_objects().update(known)
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def net(k: Any, mine: Any) -> Any:
    start = k.Input(SHAPE)
    x = k.layers.Conv1D(8, 3, activation=mine.twice, name="conv")(start)
    x = mine.LayerNormalization(name="norm")(mine.Scale(0.5, name="scale")(x))
    x = k.layers.GlobalAveragePooling1D(name="mean")(x)
    return k.Model(start, k.layers.Dense(K, activation="softmax", name="classifier")(x))


def stored(k: Any, code: Path, path: Path, build: Build = net) -> tuple[Path, np.ndarray]:
    """A model saved by code that runs on its own, forgotten by Keras 3; and what it says."""
    made = build(k, _module(code))
    made.save(path)
    x = np.random.default_rng(0).normal(size=(4, *SHAPE)).astype(np.float32)
    k.saving.get_custom_objects().clear()
    return path, np.asarray(made(x))


def _module(code: Path) -> Any:
    """The code as a module that nobody else has."""
    spec = importlib.util.spec_from_file_location("elsewhere", code)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_of_keras_3(keras: Any, code: Path, tmp_path: Path, suffix: str) -> None:
    path, said = stored(keras, _new_style(code), tmp_path / f"net{suffix}")
    with pytest.raises(ConversionError, match="--custom-objects FILE names the code that has it"):
        model.load(path)
    custom_objects.load([str(code)])
    given = model.load(path)
    x = np.random.default_rng(0).normal(size=(4, *SHAPE)).astype(np.float32)
    np.testing.assert_allclose(given.raw(x), said, atol=1e-6)
    assert given.code == ("LayerNormalization", "Scale", "twice")
    assert [file["name"] for file in custom_objects.files()] == ["my_layers.py"]
    by_name = {call.name: call for call in given.calls}
    assert by_name["norm"].kind == "my_layers.LayerNormalization"
    assert macs.count(by_name["norm"]) == {"dense": 4 * 8 * 4} and macs.count(by_name["scale"]) == {}
    assert [block.name for block in graph.blocks(given)] == ["scale", "mean", "classifier"]
    assert "norm (my_layers.LayerNormalization), " in given.notes[0] or "scale" in given.notes[0]
    assert custom_objects.files()[0]["sha256"] in given.identity


def _new_style(code: Path) -> Path:
    """Keras 3 takes the shape of a weight first where eeaug does not load the layer."""
    code.write_text(code.read_text().replace('add_weight("factors", ', 'add_weight(name="factors", '))
    return code


@pytest.mark.parametrize("kind", [".h5", ".keras", ""], ids=["h5", "keras", "saved model"])
def test_of_keras_2(keras: Any, old: Any, code: Path, tmp_path: Path, kind: str) -> None:
    import tensorflow as tf

    before = {name: sys.modules[name] for name in list(sys.modules) if name.split(".")[0] == "keras"}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tf, "keras", old)
        for name in ("layers", "utils"):
            patched.setitem(sys.modules, f"tensorflow.keras.{name}", getattr(old, name))
        patched.setitem(sys.modules, "tensorflow.keras", old)
        module = _module(code)
    made = net(old, module)
    made.save(tmp_path / f"net{kind}", **({} if kind else {"save_format": "tf"}))
    x = np.random.default_rng(0).normal(size=(4, *SHAPE)).astype(np.float32)
    said = made.predict(x, verbose=0)
    old.saving.get_custom_objects().clear()
    custom_objects.load([str(code)])
    given = model.load(tmp_path / f"net{kind}")
    np.testing.assert_allclose(given.raw(x), said, atol=1e-6)
    assert {name: sys.modules[name] for name in before} == before and tf.keras is not old


def test_a_name_of_another_package_is_the_same_class(keras: Any, code: Path, tmp_path: Path) -> None:
    """What the file says of modules and packages leads nowhere: the user's own names count."""

    def change(config: dict[str, Any]) -> None:
        for layer in config["config"]["layers"]:
            if layer["config"]["name"] == "scale":
                layer["registered_name"], layer["module"] = "theirs>Scale", "os"

    path, said = stored(keras, _new_style(code), tmp_path / "net.keras")
    path = with_config(path, tmp_path / "other.keras", change)
    custom_objects.load([str(code)])
    x = np.random.default_rng(0).normal(size=(4, *SHAPE)).astype(np.float32)
    np.testing.assert_allclose(model.load(path).raw(x), said, atol=1e-6)


def test_a_class_that_the_code_lacks_is_named_with_the_nearest(keras: Any, code: Path, tmp_path: Path) -> None:
    def change(config: dict[str, Any]) -> None:
        for layer in config["config"]["layers"]:
            if layer["config"]["name"] == "scale":
                layer["class_name"], layer["registered_name"] = "Scales", "mine>Scales"

    path, _ = stored(keras, _new_style(code), tmp_path / "net.keras")
    custom_objects.load([str(code)])
    with pytest.raises(
        ConversionError, match=r"'scale' is of class Scales, .*; my_layers.py has no Scales; did you "
    ):
        model.load(with_config(path, tmp_path / "other.keras", change))


def failing(k: Any, mine: Any) -> Any:
    start = k.Input(SHAPE)
    x = k.layers.Flatten()(mine.Scale(name="scale")(start))
    return k.Model(start, k.layers.Dense(K, activation="softmax")(x))


def test_an_error_of_the_code_is_one_line_with_its_place(keras: Any, code: Path, tmp_path: Path) -> None:
    path, _ = stored(keras, _new_style(code), tmp_path / "net.keras", failing)
    code.write_text(code.read_text().replace("return x * (self.factors + self.start)", "return x * self.factor"))
    line = next(i for i, text in enumerate(code.read_text().splitlines(), 1) if "return x * self.factor" in text)
    custom_objects.load([str(code)])
    with pytest.raises(InputError, match=f"net.keras: my_layers.py, line {line}: AttributeError: ") as caught:
        model.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import keras\n1 / 0\n", "line 2: ZeroDivisionError: division by zero"),
        ("import no_such_module_here\n", "line 1: ModuleNotFoundError: No module named 'no_such_module_here'"),
        ("from .other import Layer\n", "give it as package.module"),
        ("import sys\nsys.exit(3)\n", "line 2: SystemExit: 3"),
        (
            "import tf_keras\nclass A(tf_keras.layers.Layer):\n  pass\n",
            "A is a class of tf_keras, ",
        ),
    ],
)
def test_code_that_does_not_load_is_refused(code: Path, text: str, message: str) -> None:
    code.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        custom_objects.load([str(code)])
    assert "\n" not in str(caught.value) and str(caught.value).startswith("--custom-objects ")


def test_code_beside_it_and_modules_are_found(
    keras: Any, code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "helpers_of_mine.py").write_text("FACTOR = 3\n")
    code.write_text("import helpers_of_mine\n" + code.read_text())
    (tmp_path / "package_of_mine").mkdir()
    (tmp_path / "package_of_mine" / "__init__.py").touch()
    (tmp_path / "package_of_mine" / "deep.py").write_text("import keras\nclass Deep(keras.Layer):\n  pass\n")
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    custom_objects.load([str(code), "package_of_mine.deep"])
    names = [file["name"] for file in custom_objects.files()]
    assert names == ["__init__.py", "deep.py", "helpers_of_mine.py", "my_layers.py"]
    assert keras.saving.get_registered_object("Deep") is not None and sys.path == path
    assert not list(tmp_path.rglob("__pycache__"))


# -- MACs ---------------------------------------------------------------------------------------------


def counted(k: Any, mine: Any) -> Any:
    start = k.Input(SHAPE)
    x = k.layers.Flatten()(mine.Counted(name="counted")(start))
    return k.Model(start, k.layers.Dense(K, activation="softmax")(x))


@pytest.mark.parametrize(
    ("gives", "expected"),
    [
        ("7 * input_shapes[0][-1] + output_shapes[0][-1]", {"dense": 39}),
        ("{'conv': 5, 'dense': 0}", {"conv": 5}),
        ("-1", "Counted.macs gives -1, must give a whole number of at least 0"),
        ("1.5", "must give a whole number"),
        ("{'odd': 1}", "by conv, pointwise, depthwise, dense"),
        ("1 // 0", r"layer 'counted': my_layers.py, line \d+: ZeroDivisionError"),
    ],
)
def test_a_layer_says_its_macs(
    keras: Any, code: Path, tmp_path: Path, gives: str, expected: dict[str, int] | str
) -> None:
    path, _ = stored(keras, _new_style(code), tmp_path / "net.keras", counted)
    text = code.read_text().replace("7 * input_shapes[0][-1] + output_shapes[0][-1]", gives)
    code.write_text(text)
    custom_objects.load([str(code)])
    given = model.load(path)
    assert given.notes == (
        "counted (my_layers.Counted): code that was named, each one block, its MACs as its function macs says",
    )
    if isinstance(expected, dict):
        assert macs.count(given.calls[0]) == expected
    else:
        with pytest.raises(InputError, match=expected):
            macs.count(given.calls[0])


# -- subclassed models --------------------------------------------------------------------------------

MODEL = """
import keras
import tensorflow as tf


class Net(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first, self.second = keras.layers.Conv1D(6, 3, name="first"), keras.layers.Conv1D(4, 3, name="second")
        self.mean, self.drop = keras.layers.GlobalAveragePooling1D(), keras.layers.Dropout(0.5, name="dropped")
        self.head = keras.layers.Dense(3, activation="softmax", name="head")

    def call(self, x, training=None):
        x = self.second(self.first(x))
        return self.head(self.drop(self.mean(x), training=training))


class Opaque(Net):
    def call(self, x, training=None):
        return super().call(tf.nn.relu(x), training)
"""


@pytest.mark.parametrize("name", ["Net", "Opaque"])
def test_a_subclassed_model_is_a_graph_where_it_calls_layers_only(
    keras: Any, code: Path, tmp_path: Path, name: str
) -> None:
    code.write_text(MODEL)
    made = getattr(_module(code), name)()
    x = np.random.default_rng(0).normal(size=(4, *SHAPE)).astype(np.float32)
    said = np.asarray(made(x))
    made.save(tmp_path / "net.keras")
    with pytest.raises(ConversionError, match=f"of class '{name}', a subclass .*--custom-objects FILE names it"):
        model.load(tmp_path / "net.keras")
    custom_objects.load([str(code)])
    if name == "Opaque":
        with pytest.raises(ConversionError, match=r"Opaque.call is no graph of layers: my_layers.py, line 20: "):
            model.load(tmp_path / "net.keras")
        return
    given = model.load(tmp_path / "net.keras")
    np.testing.assert_allclose(given.raw(x), said, atol=1e-6)
    assert [block.name for block in graph.blocks(given)] == ["first", "dropped", "head"]


PATCHES = """
import tensorflow as tf
from tensorflow.keras import layers


class Patches(layers.Layer):
    def call(self, x):
        shape, four = tf.shape(x), [1, 2, 2, 1]
        pieces = tf.image.extract_patches(x, sizes=four, strides=four, rates=[1, 1, 1, 1], padding="VALID")
        return tf.reshape(pieces, [shape[0], 9, 12])
"""


def test_patches_of_images_are_written_as_onnx(keras: Any, code: Path, tmp_path: Path) -> None:
    """As transformers for images have them; tf2onnx lacks the operation where the batch is open."""
    code.write_text(PATCHES)
    start = keras.Input((6, 6, 3))
    x = keras.layers.Flatten()(keras.layers.Dense(5)(_module(code).Patches(name="patches")(start)))
    keras.Model(start, keras.layers.Dense(K, activation="softmax")(x)).save(tmp_path / "net.keras")
    custom_objects.load([str(code)])
    given = model.load(tmp_path / "net.keras")
    assert macs.count(given.calls[0]) == {}
    inputs = keras.Input((6, 6, 3))
    ours = given.replay({"input": inputs}, [given.output])[given.output]
    proto = keras_to_onnx.to_onnx(inputs, {"y": ours}, input_name="x")
    sample = np.random.default_rng(0).normal(size=(4, 6, 6, 3)).astype(np.float32)
    (answers,) = onnx_session.session(proto.SerializeToString(), 1).run(["y"], {"x": sample})
    np.testing.assert_allclose(answers, given.raw(sample), atol=1e-6)
