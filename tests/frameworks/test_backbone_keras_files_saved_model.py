"""SavedModel directories: read by way of Keras 2, or refused without running anything from them."""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_nets import saved

from eeaug.backbone import keras_files, model, model_files, saved_model, stored_model
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
    digest = model_files.sha256(path)
    assert model_files.sha256(shutil.copytree(path, tmp_path / "copy")) == digest
    (path / "assets" / "note").write_text("x")
    assert model_files.sha256(path) != digest


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


def test_its_graph_is_not_run(old: Any, tmp_path: Path) -> None:
    """TensorFlow's loader initialises every resource that a SavedModel has: by whatever its graph does."""
    import tensorflow as tf

    written = tmp_path / "written"

    class Resource(tf.saved_model.experimental.TrackableResource):
        def _create_resource(self) -> Any:
            return tf.raw_ops.HashTableV2(key_dtype=tf.int64, value_dtype=tf.int64)

        def _initialize(self) -> None:
            tf.io.write_file(str(written), "x")

        def _destroy_resource(self) -> None:
            pass

    net = small(old)
    net.resource = Resource()
    path = saved(net, tmp_path / "net")
    written.unlink(missing_ok=True)
    assert keras_files.load(path).inputs and not written.exists()
    keras_files.load(path, allow_unsafe=True)
    assert written.exists(), "that is what --allow-unsafe allows"


def field(number: int, content: bytes) -> bytes:
    """A field of a protocol buffer."""
    size, length = b"", len(content)
    while length > 127:
        size, length = size + bytes([length & 127 | 128]), length >> 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + content


@pytest.mark.parametrize("name", ["metadata", "node_path", "node_id", "identifier", "the model"])
def test_fields_that_stand_twice(old: Any, tmp_path: Path, name: str) -> None:
    """A parser takes the last, others may take the first."""
    from tf_keras.protobuf import saved_metadata_pb2

    path, metadata = saved(small(old), tmp_path / "net"), saved_metadata_pb2.SavedMetadata()
    metadata.ParseFromString((path / "keras_metadata.pb").read_bytes())
    root, *others = sorted(metadata.nodes, key=lambda node: node.node_path != "root")
    lambdas = root.metadata.replace('"Flatten"', '"Lambda"').encode()
    more = {
        "metadata": field(5, lambdas), "node_path": field(3, b"root"), "identifier": field(4, b"x"),
        "node_id": b"\x10\x00",
    }  # fmt: skip
    nodes = [root.SerializeToString() + more.get(name, b""), *(node.SerializeToString() for node in others)]
    nodes += [root.SerializeToString()] if name == "the model" else []
    if name == "node_id":  # 0 is not written
        nodes[0] += more[name]
    (path / "keras_metadata.pb").write_bytes(b"".join(field(1, node) for node in nodes))
    assert "twice" in refusal(path, InputError) or "stands 2 times" in refusal(path, InputError)


def test_two_graphs(old: Any, tmp_path: Path) -> None:
    path = saved(small(old), tmp_path / "net")
    (path / "saved_model.pb").write_bytes((path / "saved_model.pb").read_bytes() * 2)
    with pytest.raises(InputError, match="the field meta_graphs stands 2 times"):
        keras_files.load(path)


def branches(k: Any) -> Any:
    """Layers that stand side by side, in another order than their names."""
    start = k.Input((6,))
    z, a, m = (k.layers.Dense(4, name=name)(start) for name in "zam")
    return k.Model(start, k.layers.Add()([k.layers.Concatenate()([m, z]), k.layers.Concatenate()([a, z])]))


def sequences(k: Any) -> Any:
    start = k.Input((5, 4))
    x = k.layers.Bidirectional(k.layers.LSTM(3, return_sequences=True))(start)
    x = k.layers.RNN([k.layers.LSTMCell(3), k.layers.GRUCell(2)], return_sequences=True)(x)
    x = k.layers.MultiHeadAttention(2, 4)(x, x)
    return k.Model(start, k.layers.TimeDistributed(small_inner(k))(x))


def small_inner(k: Any) -> Any:
    start = k.Input((2,))
    return k.Model(start, k.layers.PReLU()(k.layers.Dense(3)(k.layers.LayerNormalization()(start))))


def shared(k: Any) -> Any:
    start, inner = k.Input((2,)), small_inner(k)
    return k.Model(start, k.layers.Concatenate()([inner(start), inner(start / 2.0)]))


def built_by_a_call(k: Any) -> Any:
    net = k.Sequential([k.layers.SeparableConv2D(3, 3), k.layers.Flatten(), k.layers.Dense(2)])
    net(np.zeros((1, 8, 8, 3), np.float32))
    return net


@pytest.mark.parametrize("build", [branches, sequences, shared, built_by_a_call])
def test_variables_find_their_layers(old: Any, tmp_path: Path, build: Any) -> None:
    net, rng = build(old), np.random.default_rng(0)
    for variable in net.weights:
        variable.assign(rng.uniform(0.3, 0.9, variable.shape))
    shape = (8, 8, 3) if build is built_by_a_call else net.input_shape[1:]
    x = rng.normal(size=(2, *shape)).astype(np.float32)
    loaded = keras_files.load(saved(net, tmp_path / "net"))
    np.testing.assert_allclose(loaded(x), net(x), rtol=1e-5, atol=1e-6)


def test_damaged_variables(old: Any, tmp_path: Path) -> None:
    path = saved(small(old), tmp_path / "net")
    index, data = path / "variables" / "variables.index", path / "variables" / "variables.data-00000-of-00001"
    content = data.read_bytes()
    data.write_bytes(content[:90])
    with pytest.raises(InputError, match=r"its variables are said to have [\d,]+ bytes, its files have"):
        keras_files.load(path)
    data.write_bytes(content)
    index.write_bytes(index.read_bytes()[:-20])
    with pytest.raises(InputError, match="damaged variables"):
        keras_files.load(path)
    index.unlink()
    os.mkfifo(index)
    with pytest.raises(InputError, match=r"variables\.index is .*, not a file"):
        keras_files.load(path)


def test_variables_of_another_model(old: Any, tmp_path: Path) -> None:
    path, other = saved(small(old), tmp_path / "net"), saved(branches(old), tmp_path / "other")
    shutil.rmtree(path / "variables")
    shutil.copytree(other / "variables", path / "variables")
    with pytest.raises(ConversionError, match=r"no value for the variable|stored") as caught:
        keras_files.load(path)
    assert "--allow-unsafe" in str(caught.value) and "\n" not in str(caught.value)


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
