"""Networks as they are published: graphs, locations, stages, and MACs as an independent count on ONNX has them."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_nets import trained

from eeaug.backbone import keras_files, model
from eeaug.backbone.model import INPUT, Classifier
from eeaug.frameworks import keras_to_onnx, onnx_session
from eeaug.heads import families
from eeaug.network import graph, locations, macs
from eeaug.network.locations import Location
from eeaug.stages import partition
from eeaug.stages.partition import PROBABILITIES

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # TF on NumPy 2

# name: (input size, blocks, locations, names of some of them); the large ones take too long for every run
SMALL = {
    "MobileNetV2": (64, 33, 31, ("block_2_add", "block_15_add", "block_16_project_BN")),
    "MobileNetV3Small": (64, 28, 26, ("expanded_conv_2_add", "expanded_conv_3_squeeze_excite_mul")),
}
LARGE = {
    "VGG16": (32, 16, 14, ("block1_conv1", "block1_pool", "block5_conv2")),
    "ResNet50": (64, 18, 16, ("conv1_relu", "conv2_block1_out", "conv5_block2_out")),
    "DenseNet121": (64, 63, 61, ("conv1_relu", "conv2_block1_concat", "pool2_relu", "pool2_pool")),
    "EfficientNetB0": (64, 39, 37, ("block1a_se_excite", "block2b_add", "block7a_project_bn")),
    "Xception": (75, 17, 15, ("block1_conv2_act", "block14_sepconv1_act")),
    "InceptionV3": (75, 17, 15, ("mixed0", "mixed9")),
    "ConvNeXtTiny": (64, 23, 21, ("convnext_tiny_stem_layernorm", "convnext_tiny_downsampling_conv_2")),
}


def build(name: str, size: int, folder: Path) -> tuple[Any, Classifier, np.ndarray]:
    """A published network without trained weights, what eeaug makes of it, and samples that it tells apart."""
    keras = keras_files.import_keras()
    keras.utils.set_random_seed(0)
    net = getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3), classes=10)
    x = np.random.default_rng(0).uniform(0, 255, (6, size, size, 3)).astype(np.float32)
    layers = list(net._flatten_layers(include_self=False))
    norms = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in layers:
        if type(layer).__name__ == "LayerScale":  # begins at 1e-6: the branch would not be seen
            layer.gamma.assign(np.ones(layer.gamma.shape))
        elif not norms and hasattr(layer, "kernel"):
            layer.kernel.assign(1.2 * layer.kernel)
    for norm in norms:
        norm.momentum = 0.0
    if norms:
        net(x, training=True)  # statistics of these samples
    for norm in norms:  # without division by almost zero, which would make rounding large
        variance = np.asarray(norm.moving_variance)
        norm.moving_variance.assign(np.maximum(variance, variance.mean()))
    path = folder / f"{name}.keras"
    path.write_bytes(name.encode())
    return net, model.from_keras(keras, net, path), x


def places(given: Classifier) -> tuple[tuple[Location, ...], dict[str, str], tuple[graph.Block, ...]]:
    """Those between blocks; the input is one of every network."""
    blocks = graph.blocks(given)
    (start, *found), reasons = locations.find(blocks, given.decision.outputs, given.layout)
    assert start.at_input
    return tuple(found), reasons, blocks


def onnx_macs(proto: Any) -> int:
    """MACs of one sample, from the shapes of all tensors when the ONNX graph runs on one (ONNX's own shape
    inference gives up where shapes are computed, as in attention)."""
    import onnx

    proto = onnx.ModelProto.FromString(proto.SerializeToString())
    (start,) = proto.graph.input
    known = {value.name for value in proto.graph.output}
    made = [name for node in proto.graph.node for name in node.output if name]
    proto.graph.output.extend(onnx.helper.make_empty_tensor_value_info(n) for n in made if n not in known)
    names = [value.name for value in proto.graph.output]
    sample = np.zeros((1, *(d.dim_value for d in start.type.tensor_type.shape.dim[1:])), np.float32)
    run = onnx_session.session(proto.SerializeToString(), 1).run(names, {start.name: sample})
    shapes = {t.name: tuple(t.dims) for t in proto.graph.initializer} | {start.name: sample.shape}
    shapes |= {name: np.shape(tensor) for name, tensor in zip(names, run, strict=True)}
    count = 0
    for node in proto.graph.node:
        reads, gives = [shapes[name] for name in node.input if name], shapes[node.output[0]]
        if node.op_type == "Conv":
            number = prod(gives) * prod(reads[1][1:])
        elif node.op_type == "ConvTranspose":
            number = prod(reads[0]) * prod(reads[1][1:])
        elif node.op_type in ("MatMul", "Gemm"):
            assert not any(a.name == "transA" and a.i for a in node.attribute)
            number = prod(gives) * reads[0][-1]
        elif node.op_type == "LSTM":
            number = reads[0][0] * (prod(reads[1]) + prod(reads[2]))  # steps · (all gates of all directions)
        else:
            assert node.op_type not in ("Einsum", "GRU", "RNN", "Loop", "Scan", "If"), node.op_type
            continue
        count += number
    return count


def chained(net: Any, given: Classifier, x: np.ndarray, at: list[Location], *, onnx: bool) -> tuple[float, int]:
    """Cut at these locations, a small head at each. Stages in a chain against the given model: the largest
    difference of any probability, and the MACs of their backbone by ONNX (0 without)."""
    import keras

    exits = [trained(families.dense_heads(place, (), given.decision, 10**12)[0]) for place in at]
    whole = partition.monolith(given, exits)(x, training=False)
    expected = np.asarray(net(x, training=False))
    assert np.ptp(expected, axis=0).max() > 0.01  # else a stage that forgets its input would pass
    differences, count = [np.abs(whole["final"] - expected).max()], 0
    tensors: dict[str, Any] = {INPUT: x}
    exported: dict[str, np.ndarray] = {INPUT: x}
    cuts = len(exits) + 1
    for stage, name in zip(
        partition.stages(given, exits, [0.5] * len(exits), [("cpu", 4)] * cuts, [1] * cuts), whole, strict=True
    ):
        inputs, outputs = partition.stage_graph(given, stage)
        tensors = keras.Model(inputs, outputs)(tensors[stage.input_name], training=False)
        differences.append(np.abs(tensors[PROBABILITIES] - whole[name]).max())
        if onnx:
            proto = keras_to_onnx.to_onnx(inputs, outputs, input_name=stage.input_name)
            head = sum(stage.exit.head.cost().macs.values()) if stage.exit else 0
            count += onnx_macs(proto) - head
            run = onnx_session.session(proto.SerializeToString(), 1).run(
                list(outputs), {stage.input_name: exported[stage.input_name]}
            )
            exported = dict(zip(outputs, run, strict=True))
            differences.append(np.abs(exported[PROBABILITIES] - whole[name]).max())
    return float(max(differences)), count


@pytest.mark.parametrize(
    "name", [*SMALL, *(pytest.param(name, marks=pytest.mark.e2e) for name in LARGE)]
)  # fmt: skip
def test_a_published_network_is_cut_and_counted(name: str, tmp_path: Path) -> None:
    size, blocks_, locations_, some = (SMALL | LARGE)[name]
    net, given, x = build(name, size, tmp_path)
    found, reasons, blocks = places(given)
    assert (len(blocks), len(found)) == (blocks_, locations_)
    assert {at.name for at in found} | set(reasons) == {block.name for block in blocks}
    assert set(some) <= {at.name for at in found}
    assert sum(block.parameters for block in blocks) == net.count_params()
    before = prod(given.input_shape)
    for block in blocks:
        assert block.total_macs > 0
        assert max(before, block.elements) <= block.peak_elements
        before = block.elements
    difference, count = chained(net, given, x, [found[len(found) // 3], found[2 * len(found) // 3]], onnx=True)
    assert difference < 1e-4
    assert count == sum(block.total_macs for block in blocks)


@pytest.mark.e2e
def test_a_very_deep_network(tmp_path: Path) -> None:
    net, given, x = build("ResNet152", 32, tmp_path)
    found, _, blocks = places(given)
    assert (len(given.calls), len(blocks), len(found)) == (516, 52, 50)
    adds = {call.name.replace("_add", "_out") for call in given.calls if call.kind == "Add"}
    assert adds - {at.name for at in found} == {"conv5_block3_out"}  # the last: only the classifier follows
    assert chained(net, given, x, [found[2], found[20], found[45]], onnx=False)[0] < 1e-4


@pytest.mark.e2e
def test_a_network_in_one_piece_has_no_location_in_its_body(tmp_path: Path) -> None:
    _, given, _ = build("NASNetMobile", 64, tmp_path)
    found, reasons, blocks = places(given)
    assert [at.shape[-1] for at in found] == [32]  # after the first convolution
    assert len(blocks) == 3 and blocks[1].total_macs > 0.95 * sum(block.total_macs for block in blocks)
    assert "no single tensor cuts the 767 layers of this block" in reasons[blocks[1].name]


# -- layers that published networks of other kinds are made of ----------------------------------------


def _self_attention(layers: Any, x: Any) -> Any:
    return layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 4, value_dim=3)(x, x))


def _cross_attention(layers: Any, x: Any) -> Any:
    other = layers.Conv1D(5, 3)(x)
    return layers.MultiHeadAttention(2, 4, use_bias=False)(query=x, value=other, key=other)


def _grouped_query(layers: Any, x: Any) -> Any:
    return layers.GroupQueryAttention(4, 4, 2)(x, x)


def _attention(layers: Any, x: Any) -> Any:
    return layers.Attention()([x, layers.Conv1D(6, 3)(x)])


def _additive(layers: Any, x: Any) -> Any:
    return layers.AdditiveAttention()([x, layers.Conv1D(6, 3)(x)])


def _dot(layers: Any, x: Any) -> Any:
    return layers.Dot(axes=2)([x, layers.Conv1D(6, 3)(x)])


def _matmul(layers: Any, x: Any) -> Any:
    import keras

    return keras.ops.matmul(x, keras.ops.transpose(layers.Conv1D(6, 3)(x), (0, 2, 1)))


def _excite(layers: Any, x: Any) -> Any:
    weight = layers.GlobalAveragePooling1D(keepdims=True)(x)
    weight = layers.Activation("hard_sigmoid")(layers.Conv1D(6, 1)(weight))
    return layers.Multiply()([x, weight])


BODIES: dict[str, Callable[[Any, Any], Any]] = {
    "self-attention": _self_attention,
    "cross-attention": _cross_attention,
    "grouped-query": _grouped_query,
    "attention": _attention,
    "additive": _additive,
    "dot": _dot,
    "matmul": _matmul,
    "squeeze-and-excite": _excite,
    "grouped": lambda layers, x: layers.Conv1D(12, 3, groups=3, padding="same")(x),
    "separable": lambda layers, x: layers.SeparableConv1D(8, 3, depth_multiplier=2)(x),
    "transposed": lambda layers, x: layers.Conv1DTranspose(4, 3, strides=2)(x),
    "lstm": lambda layers, x: layers.LSTM(5, return_sequences=True)(x),
    "both-ways": lambda layers, x: layers.Bidirectional(layers.LSTM(5, return_sequences=True))(x),
    "einsum-dense": lambda layers, x: layers.EinsumDense("abc,cd->abd", output_shape=(8, 5))(x),
}


@pytest.mark.parametrize("name", BODIES)
def test_macs_of_layers_are_those_of_the_exported_graph(name: str, tmp_path: Path) -> None:
    keras = keras_files.import_keras()
    layers = keras.layers
    start = keras.Input((8, 6))
    x = BODIES[name](layers, layers.Dense(6)(start))
    x = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling1D()(x))
    net = keras.Model(start, x)
    path = tmp_path / "net.keras"
    path.write_bytes(b"net")
    given = model.from_keras(keras, net, path)
    proto = keras_to_onnx.to_onnx(start, {"y": x}, input_name="x")
    sample = np.random.default_rng(0).normal(size=(2, 8, 6)).astype(np.float32)
    (run,) = onnx_session.session(proto.SerializeToString(), 1).run(["y"], {"x": sample})
    np.testing.assert_allclose(run, net(sample, training=False), atol=1e-5)
    assert sum(macs.total(macs.count(call)) for call in given.calls) == onnx_macs(proto)


def test_a_squeeze_and_excite_exports_without_needless_transpositions() -> None:
    """tf2onnx fails to remove any where a scalar is added to a convolution."""
    keras = keras_files.import_keras()
    layers = keras.layers
    start = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, use_bias=False)(start)
    x = layers.ReLU(6.0)(x + 3.0)
    for _ in range(3):
        x = layers.Conv2D(4, 3, padding="same")(x)
    proto = keras_to_onnx.to_onnx(start, {"y": layers.GlobalAveragePooling2D()(x)}, input_name="x")
    assert [node.op_type for node in proto.graph.node].count("Transpose") <= 1
