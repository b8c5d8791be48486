"""ONNX files: whole networks of many families, what is refused, and the comparison with ONNX Runtime."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_nets
import pytest
from onnx import TensorProto, helper, numpy_helper

from eeaug.backbone import model, stored_model
from eeaug.backbone.from_onnx import convert, file
from eeaug.errors import ConversionError, EeaugError, InputError
from eeaug.frameworks import onnx_agreement
from eeaug.network import graph, locations

KEPT = {  # layers that must not have become something else: depthwise convolutions, say, cost a ninth of others
    "residual": {"Conv2D": 6, "BatchNormalization": 6, "Add": 2, "MaxPooling2D": 1, "Permute": 1},
    "mobile": {"Conv2D": 7, "DepthwiseConv2D": 3, "ReLU": 7, "Permute": 1},
    "squeezing": {"DepthwiseConv2D": 2, "Multiply": 2, "Activation": 9, "Permute": 1},
    "next_generation": {"LayerNormalization": 4, "Dense": 5, "Permute": 1},
    "transformer": {"LayerNormalization": 5, "Matmul": 4, "Softmax": 2},
    "shuffled": {"DepthwiseConv2D": 2, "Permute": 3},
    "long_memory": {"LSTM": 2},
    "gated": {"Conv1D": 1, "Bidirectional": 1},
    "scikit": {"Dense": 4, "Softmax": 1},
}


@pytest.mark.parametrize("family", onnx_nets.FAMILIES)
def test_a_family_computes_what_onnx_runtime_does(keras: Any, tmp_path: Path, family: str) -> None:
    given = model.load(onnx_nets.written(family, tmp_path))
    x, _ = onnx_nets.samples(given.input_shape, 8, 3)
    blocks = graph.blocks(given)
    sentence = onnx_agreement.checked(given, [block.name for block in blocks], x, threads=1)
    assert "agree with ONNX Runtime" in sentence
    kinds = Counter(call.kind for call in given.calls)
    assert kinds.items() >= KEPT.get(family, {}).items(), dict(kinds)
    assert given.decision.classes == onnx_nets.CLASSES
    places, reasons = locations.find(blocks, given.decision.outputs, given.layout)
    assert len(places) >= 2, reasons
    if given.calls[0].name == "channels_last":  # heads see channels last
        assert places[0].name == "channels_last" and places[0].at_input and "input" in reasons


def test_layers_have_the_names_of_nodes(keras: Any, tmp_path: Path) -> None:
    given = model.load(onnx_nets.written("residual", tmp_path))
    names = [call.name for call in given.calls]
    assert {"stem_conv", "layer1_conv2", "layer1_add", "classifier"} <= set(names)
    again = model.load(onnx_nets.written("residual", tmp_path))
    assert [call.name for call in again.calls] == names


def test_modules_that_names_repeat_are_named_once(keras: Any, tmp_path: Path) -> None:
    made = onnx_nets.FAMILIES["plain"]()
    made.graph.node[0].name = "/features/features.0/features.0.1/Conv"
    onnx.save(made, tmp_path / "m.onnx")
    assert "features.0.1_Conv" in [call.name for call in model.load(tmp_path / "m.onnx").calls]


def test_a_fixed_batch_and_no_suffix(keras: Any, tmp_path: Path) -> None:
    path = onnx_nets.written("transformer", tmp_path).rename(tmp_path / "network")
    assert model.load(path).input_shape == onnx_nets.PICTURE


def test_weights_beside_the_file(keras: Any, tmp_path: Path) -> None:
    whole = onnx_nets.written("plain", tmp_path)
    folder = tmp_path / "two"
    folder.mkdir()
    onnx.save(onnx.load(whole), folder / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    given, other = model.load(folder / "m.onnx"), model.load(whole)
    x, _ = onnx_nets.samples(given.input_shape, 4, 3)
    np.testing.assert_array_equal(given.raw(x), other.raw(x))
    with (folder / "m.data").open("r+b") as weights:
        weights.write(b"\0\0\0\0")
    assert model.load(folder / "m.onnx").sha256 != given.sha256
    (folder / "m.data").unlink()
    with pytest.raises(InputError, match=r"its weights are in 'm.data', which is not beside it: copy both files"):
        stored_model.read(folder / "m.onnx")


@pytest.mark.parametrize("place", ["../m.data", "/etc/hostname", "a/../../m.data", "C:\\m.data", ""])
def test_weights_elsewhere_are_not_read(tmp_path: Path, place: str) -> None:
    made = onnx_nets.FAMILIES["plain"]()
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=place)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "m.onnx").write_bytes(made.SerializeToString())
    (tmp_path / "m.data").write_bytes(bytes(100_000))
    with pytest.raises(InputError, match="outside of its folder"):
        file.read(tmp_path / "in" / "m.onnx")


def custom(made: Any) -> None:
    made.graph.node[1].domain = "org.pytorch.aten"
    made.opset_import.add(domain="org.pytorch.aten", version=1)


def quantised(made: Any) -> None:
    node = made.graph.node[1]
    made.graph.node.insert(1, helper.make_node("QuantizeLinear", [node.input[0], "s"], ["q"], name="/q"))
    made.graph.node.insert(2, helper.make_node("DequantizeLinear", ["q", "s"], ["d"], name="/d"))
    made.graph.initializer.append(numpy_helper.from_array(np.float32(0.1), "s"))
    node.input[0] = "d"


def old(made: Any) -> None:
    made.opset_import[0].version = 3


def empty(made: Any) -> None:
    del made.graph.node[:]


def dangling(made: Any) -> None:
    made.graph.node[2].input[0] = "nowhere"


def labels_only(made: Any) -> None:
    made.graph.node.append(helper.make_node("ArgMax", ["/classifier_out"], ["label"], axis=1))
    del made.graph.output[:]
    made.graph.output.append(helper.make_tensor_value_info("label", TensorProto.INT64, None))


def open_sizes(made: Any) -> None:
    for dim in made.graph.input[0].type.tensor_type.shape.dim[2:]:
        dim.dim_param = "side"


@pytest.mark.parametrize(
    ("damage", "kind", "reason"),
    [
        (custom, ConversionError, "an operator of the domain 'org.pytorch.aten', whose code the file"),
        (quantised, ConversionError, "node '/q' (QuantizeLinear): the model is quantised; give the float model"),
        (old, ConversionError, "opset 3; eeaug reads 7 to"),
        (empty, InputError, "an ONNX file without a graph"),
        (dangling, InputError, "a damaged ONNX file"),
        (labels_only, ConversionError, "all that it gives out are labels; eeaug needs probabilities or logits"),
        (open_sizes, ConversionError, "its input 'x' has the open shape (3, None, None); --input-shape fixes it"),
    ],
)  # fmt: skip
def test_what_is_refused(keras: Any, tmp_path: Path, damage: Any, kind: type[EeaugError], reason: str) -> None:
    made = onnx_nets.FAMILIES["plain"]()
    damage(made)
    path = tmp_path / "m.onnx"
    path.write_bytes(made.SerializeToString())
    with pytest.raises(kind) as caught:
        model.load(path)
    assert reason in str(caught.value) and "\n" not in str(caught.value)


def test_truncated(tmp_path: Path) -> None:
    content = onnx_nets.written("plain", tmp_path).read_bytes()
    for length in (3, 100, len(content) // 2, len(content) - 1):
        (tmp_path / "t.onnx").write_bytes(content[:length])
        with pytest.raises(InputError):
            file.read(tmp_path / "t.onnx")


def test_a_layer_that_differs_is_named(keras: Any, tmp_path: Path) -> None:
    """As if one operator were converted wrongly."""
    given = model.load(onnx_nets.written("residual", tmp_path))
    layer = given.nodes["layer0_conv2"].operation
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel * 1.01, bias])
    x, _ = onnx_nets.samples(given.input_shape, 8, 3)
    ends = [block.name for block in graph.blocks(given)]
    with pytest.raises(
        ConversionError, match=r"differs from ONNX Runtime first at node '/layer0/conv2': by 6\.\d+e-03"
    ):
        onnx_agreement.checked(given, ends, x, threads=1)


def test_the_version_of_the_conversion_is_part_of_what_results_depend_on(
    keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = model.load(onnx_nets.written("plain", tmp_path))
    before = given.identity
    monkeypatch.setattr(convert, "VERSION", convert.VERSION + 1)
    assert given.identity != before
