"""SavedModel directories: read by way of Keras 2, or refused without running anything from them."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_nets import saved

from eeaug import keras_files, model, saved_model, stored_model
from eeaug.errors import ConversionError, EeaugError, InputError

SHAPE = (6, 6, 3)


def small(k: Any) -> Any:
    start = k.Input(SHAPE)
    x = k.layers.BatchNormalization()(k.layers.DepthwiseConv2D(3, name="stem/depthwise")(start))
    inner = k.Sequential([k.layers.InputLayer((4, 4, 3)), k.layers.Conv2D(5, 3), k.layers.ReLU(6.0)], name="inner")
    return k.Model(start, k.layers.Dense(4, activation="softmax")(k.layers.Flatten()(inner(x))), name="small")


def refusal(path: Path, kind: type[EeaugError]) -> str:
    with pytest.raises(kind) as caught:
        stored_model.read(path)  # without any framework
    message = str(caught.value)
    assert type(caught.value) is kind and "\n" not in message and message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def test_gives_what_keras_2_gives(old: Any, tmp_path: Path) -> None:
    net = small(old)
    rng = np.random.default_rng(0)
    for variable in net.variables:
        variable.assign(rng.uniform(0.3, 0.9, variable.shape))
    path = saved(net, tmp_path / "net")
    x = rng.normal(size=(2, *SHAPE)).astype(np.float32)
    np.testing.assert_allclose(keras_files.load(path)(x), net(x), rtol=1e-5, atol=1e-6)
    given = model.load(path)
    assert (given.file, given.classes, given.calls[0].name) == ("net", 4, "stem_depthwise")


def test_the_hash_is_that_of_all_files(old: Any, tmp_path: Path) -> None:
    path = saved(small(old), tmp_path / "net")
    digest = model.sha256(path)
    assert model.sha256(shutil.copytree(path, tmp_path / "copy")) == digest
    (path / "assets" / "note").write_text("x")
    assert model.sha256(path) != digest


def test_description_within_the_graph_file(old: Any, tmp_path: Path) -> None:
    """As TensorFlow before 2.5 wrote it: the metadata of every object stands in saved_model.pb."""
    from tensorflow.core.protobuf import saved_model_pb2
    from tf_keras.protobuf import saved_metadata_pb2

    path = saved(small(old), tmp_path / "net")
    expected = saved_model.read(path)
    metadata, graphs = saved_metadata_pb2.SavedMetadata(), saved_model_pb2.SavedModel()
    metadata.ParseFromString((path / "keras_metadata.pb").read_bytes())
    graphs.ParseFromString((path / "saved_model.pb").read_bytes())
    for node in metadata.nodes:
        graphs.meta_graphs[0].object_graph_def.nodes[node.node_id].user_object.metadata = node.metadata
    (path / "keras_metadata.pb").unlink()
    (path / "saved_model.pb").write_bytes(graphs.SerializeToString())
    found = saved_model.read(path)
    assert found[0] == expected[0] and found[2] == expected[2]
    assert found[1][0]["class_name"] == "Functional" and len(found[1]) == len(expected[1])


def test_lambda_layers(old: Any, tmp_path: Path) -> None:
    net = old.Sequential([old.layers.InputLayer((4,)), old.layers.Lambda(lambda x: x * 2, name="twice")])
    path = saved(net, tmp_path / "net")
    assert refusal(path, ConversionError).startswith("layer 'twice' is a Lambda")
    loaded = keras_files.load(path, allow_unsafe=True)
    np.testing.assert_array_equal(loaded(np.ones((1, 4), np.float32)), np.full((1, 4), 2.0))


def test_lambda_that_only_its_own_description_shows(old: Any, tmp_path: Path) -> None:
    """Keras 2 builds every object from its own description, whatever the model's says."""
    from tf_keras.protobuf import saved_metadata_pb2

    path = saved(small(old), tmp_path / "net")
    metadata = saved_metadata_pb2.SavedMetadata()
    metadata.ParseFromString((path / "keras_metadata.pb").read_bytes())
    node = next(node for node in metadata.nodes if '"Flatten"' in node.metadata and node.node_path != "root")
    node.metadata = node.metadata.replace('"Flatten"', '"Lambda"')
    (path / "keras_metadata.pb").write_bytes(metadata.SerializeToString())
    assert "is a Lambda" in refusal(path, ConversionError)


def test_custom_layers(old: Any, tmp_path: Path) -> None:
    class Odd(old.layers.Layer):
        def call(self, x: Any) -> Any:
            return x + 1.0

    path = saved(old.Sequential([old.layers.InputLayer((4,)), Odd(name="strange")]), tmp_path / "net")
    with pytest.raises(ConversionError, match="layer 'strange' is of class Odd, which Keras 3 does not have"):
        keras_files.load(path)


def test_subclassed_models(old: Any, tmp_path: Path) -> None:
    class Own(old.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = old.layers.Dense(3)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    net = Own()
    net(np.zeros((1, 4), np.float32))
    message = refusal(saved(net, tmp_path / "net"), ConversionError)
    assert message.startswith("this SavedModel only says that its class is 'Own' (subclassed, or")


def test_only_graphs(keras: Any, tmp_path: Path) -> None:
    net = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net.export(tmp_path / "net", verbose=False)
    message = refusal(tmp_path / "net", ConversionError)
    assert message.startswith("this SavedModel has no description of Keras layers (subclassed, or written by mod")


@pytest.mark.parametrize("name", ["keras_metadata.pb", "saved_model.pb"])
def test_damaged(old: Any, name: str, tmp_path: Path) -> None:
    path = saved(small(old), tmp_path / "net")
    if name == "saved_model.pb":
        (path / "keras_metadata.pb").unlink()
    (path / name).write_bytes((path / name).read_bytes()[:-50])
    assert refusal(path, InputError).startswith("a damaged SavedModel directory: ")


def test_without_its_variables(old: Any, tmp_path: Path) -> None:
    path = saved(small(old), tmp_path / "net")
    shutil.rmtree(path / "variables")
    with pytest.raises(InputError, match=r"cannot be loaded: no variables/variables\.index in it"):
        keras_files.load(path)
