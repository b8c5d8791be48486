"""Operators of ONNX one by one: the Keras layers that stand for them compute what ONNX Runtime does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from eeaug.backbone.from_onnx import convert
from eeaug.errors import ConversionError

MAP, LINE, ROW, TOKENS = (4, 9, 8), (4, 11), (6,), (5, 6)
RNG = np.random.default_rng(0)


def w(*shape: int) -> np.ndarray:
    return RNG.normal(0, 0.5, shape).astype(np.float32)


def i(*numbers: int) -> np.ndarray:
    return np.asarray(numbers, np.int64)


def f(number: float) -> np.ndarray:
    return np.float32(number)


# operator, shape of a sample, further inputs (arrays; None: left out), attributes
CASES: list[tuple[str, tuple[int, ...], Sequence[Any], dict[str, Any]]] = [
    ("Conv", MAP, [w(6, 4, 3, 3), w(6)], {"pads": [1, 1, 1, 1]}),
    ("Conv", MAP, [w(6, 4, 3, 3)], {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
    ("Conv", MAP, [w(6, 4, 3, 2)], {"pads": [0, 1, 2, 0], "strides": [2, 1]}),
    ("Conv", MAP, [w(6, 4, 3, 3)], {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    ("Conv", MAP, [w(6, 4, 2, 2)], {"auto_pad": "SAME_LOWER"}),
    ("Conv", MAP, [w(6, 4, 3, 3)], {"dilations": [2, 3], "pads": [2, 3, 2, 3]}),
    ("Conv", MAP, [w(6, 2, 3, 3), w(6)], {"group": 2}),
    ("Conv", MAP, [w(4, 1, 3, 3), w(4)], {"group": 4, "pads": [1, 1, 1, 1], "strides": [2, 2]}),
    ("Conv", MAP, [w(8, 1, 3, 3), w(8)], {"group": 4}),
    ("Conv", LINE, [w(5, 4, 3), w(5)], {"pads": [2, 0], "strides": [2]}),
    ("Conv", LINE, [w(4, 1, 3)], {"group": 4, "pads": [1, 1]}),
    ("Conv", (2, 4, 5, 6), [w(3, 2, 3, 3, 3), w(3)], {"pads": [1] * 6}),
    ("ConvTranspose", MAP, [w(4, 5, 3, 3), w(5)], {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
    ("ConvTranspose", MAP, [w(4, 5, 3, 3)], {"strides": [2, 2], "pads": [1] * 4, "output_padding": [1, 1]}),
    ("ConvTranspose", LINE, [w(4, 5, 4), w(5)], {"strides": [2], "pads": [1, 1]}),
    ("MaxPool", MAP, [], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    ("MaxPool", MAP, [], {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}),
    ("MaxPool", MAP, [], {"kernel_shape": [3, 3], "pads": [0, 1, 2, 1]}),
    ("MaxPool", LINE, [], {"kernel_shape": [3], "strides": [3]}),
    ("AveragePool", MAP, [], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
    ("AveragePool", MAP, [], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1}),
    ("AveragePool", MAP, [], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 0, 0, 1]}),
    ("AveragePool", MAP, [], {"kernel_shape": [2, 3], "strides": [2, 2]}),
    ("AveragePool", MAP, [], {"kernel_shape": [9, 8]}),
    ("GlobalAveragePool", MAP, [], {}),
    ("GlobalMaxPool", LINE, [], {}),
    ("BatchNormalization", MAP, [abs(w(4)) + 1, w(4), w(4), abs(w(4)) + 1], {"epsilon": 1e-3}),
    ("BatchNormalization", ROW, [abs(w(6)) + 1, w(6), w(6), abs(w(6)) + 1], {}),
    ("InstanceNormalization", MAP, [w(4), w(4)], {}),
    ("InstanceNormalization", LINE, [w(4), w(4)], {"epsilon": 1e-3}),
    ("LayerNormalization", TOKENS, [w(6), w(6)], {}),
    ("LayerNormalization", MAP, [w(9, 8), w(9, 8)], {"axis": -2}),
    ("LRN", MAP, [], {"size": 3, "alpha": 0.1}),
    ("LpNormalization", TOKENS, [], {"axis": -1, "p": 2}),
    ("Softmax", ROW, [], {}),
    ("Softmax", MAP, [], {"axis": 1}),
    ("LogSoftmax", ROW, [], {"axis": -1}),
    ("Gemm", ROW, [w(7, 6), w(7)], {"transB": 1}),
    ("Gemm", ROW, [w(6, 7), w(1)], {"alpha": 0.5, "beta": 2.0}),
    ("MatMul", TOKENS, [w(6, 4)], {}),
    ("MatMul", MAP, [w(8, 3)], {}),
    ("MatMul", (2, 3, 4), [w(2, 4, 5)], {}),
    ("Einsum", TOKENS, [w(6, 4)], {"equation": "bij,jk->bik"}),
    ("Einsum", TOKENS, [w(3, 6)], {"equation": "bij,kj->bki"}),
    ("Flatten", MAP, [], {"axis": 1}),
    ("Reshape", MAP, [i(0, -1)], {}),
    ("Reshape", MAP, [i(-1, 2, 2, 9, 8)], {}),
    ("Reshape", MAP, [i(-1, 8, 6, 6)], {}),
    ("Transpose", MAP, [], {"perm": [0, 2, 3, 1]}),
    ("Squeeze", (4, 1, 3), [i(2)], {}),
    ("Unsqueeze", TOKENS, [i(1, 3)], {}),
    ("Expand", (1, 4), [i(1, 3, 4)], {}),
    ("Tile", TOKENS, [i(1, 2, 1)], {}),
    ("DepthToSpace", MAP, [], {"blocksize": 2}),
    ("DepthToSpace", MAP, [], {"blocksize": 2, "mode": "CRD"}),
    ("SpaceToDepth", (2, 4, 6), [], {"blocksize": 2}),
    ("Slice", MAP, [i(1, 0), i(4, 6), i(1, 3), i(1, 2)], {}),
    ("Slice", TOKENS, [i(-1), i(-100), i(1), i(-1)], {}),
    ("Gather", TOKENS, [np.int64(-1)], {"axis": 1}),
    ("Gather", TOKENS, [i(3, 0, 0)], {"axis": 2}),
    ("Gather", TOKENS, [i(0, 2, 4)], {"axis": 1}),
    ("Pad", MAP, [i(0, 0, 1, 2, 0, 0, 0, 1)], {}),
    ("Pad", MAP, [i(0, 1, 0, 0, 0, 2, 0, 0), f(0.5)], {}),
    ("Pad", MAP, [i(0, 0, 1, 2, 0, 0, 1, 2)], {"mode": "reflect"}),
    ("Pad", MAP, [i(0, 0, -1, 0, 0, 0, 0, -2)], {}),
    ("Resize", MAP, [None, f([1, 1, 2, 2])], {"mode": "nearest", "coordinate_transformation_mode": "asymmetric",
                                              "nearest_mode": "floor"}),
    ("Resize", MAP, [None, None, i(1, 4, 18, 20)], {"mode": "linear"}),
    ("ReduceMean", MAP, [], {"axes": [2, 3], "keepdims": 0}),
    ("ReduceMean", TOKENS, [], {"axes": [-1]}),
    ("ReduceMax", MAP, [], {"axes": [1]}),
    ("ReduceSum", TOKENS, [i(1)], {"keepdims": 0}),
    ("ReduceL2", TOKENS, [], {"axes": [2]}),
    ("Relu", MAP, [], {}),
    ("Clip", MAP, [f(0), f(6)], {}),
    ("Clip", MAP, [f(-0.5), f(0.5)], {}),
    ("Clip", MAP, [None, f(0.5)], {}),
    ("LeakyRelu", MAP, [], {"alpha": 0.2}),
    ("PRelu", MAP, [w(4, 1, 1)], {}),
    ("PRelu", ROW, [w(6)], {}),
    ("Elu", ROW, [], {"alpha": 0.7}),
    ("Selu", ROW, [], {}),
    ("Sigmoid", ROW, [], {}),
    ("HardSigmoid", ROW, [], {"alpha": 1 / 6, "beta": 0.5}),
    ("HardSigmoid", ROW, [], {}),
    ("HardSwish", MAP, [], {}),
    ("Mish", MAP, [], {}),
    ("Softplus", ROW, [], {}),
    ("Softsign", ROW, [], {}),
    ("Tanh", ROW, [], {}),
    ("Erf", ROW, [], {}),
    ("Exp", ROW, [], {}),
    ("Abs", ROW, [], {}),
    ("Neg", ROW, [], {}),
    ("Pow", ROW, [f(2)], {}),
    ("ThresholdedRelu", ROW, [], {"alpha": 0.3}),
    ("Add", MAP, [w(4, 1, 1)], {}),
    ("Add", MAP, [w(9, 8)], {}),
    ("Sub", TOKENS, [w(5, 6)], {}),
    ("Mul", MAP, [w(1, 4, 1, 1)], {}),
    ("Mul", TOKENS, [w(5, 1)], {}),
    ("Mul", TOKENS, [f(0.25)], {}),
    ("Div", ROW, [w(6)], {}),
    ("Max", ROW, [f(0.1)], {}),
    ("Min", ROW, [f(0.1)], {}),
    ("LSTM", TOKENS[::-1], [w(1, 12, 5), w(1, 12, 3), w(1, 24)], {"hidden_size": 3, "layout": 0}),
    ("LSTM", TOKENS[::-1], [w(2, 12, 5), w(2, 12, 3), w(2, 24)], {"hidden_size": 3, "direction": "bidirectional"}),
    ("GRU", TOKENS[::-1], [w(1, 9, 5), w(1, 9, 3), w(1, 18)], {"hidden_size": 3, "linear_before_reset": 1}),
    ("GRU", TOKENS[::-1], [w(1, 9, 5), w(1, 9, 3), w(1, 18)], {"hidden_size": 3}),
    ("GRU", TOKENS[::-1], [w(1, 9, 5), w(1, 9, 3)], {"hidden_size": 3, "direction": "reverse"}),
    ("RNN", TOKENS[::-1], [w(1, 3, 5), w(1, 3, 3), w(1, 6)], {"hidden_size": 3}),
]  # fmt: skip
ON_SEQUENCES = ("LSTM", "GRU", "RNN")


def model_of(nodes: Sequence[Any], shape: tuple[int, ...], weights: dict[str, Any], opset: int = 17) -> Any:
    graph = helper.make_graph(
        nodes, "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *shape])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    return model


def differs(keras: Any, model: Any, path: Path) -> float:
    """How far both are apart, of the range of what ONNX Runtime gives."""
    onnx.save(model, path)
    made = convert.converted(path, keras).model
    x = np.random.default_rng(1).normal(size=(3, *made.inputs[0].shape[1:])).astype(np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = np.concatenate([session.run(None, {"x": row[None]})[0].reshape(1, -1) for row in x])
    answer = np.asarray(made(x, training=False)).reshape(len(x), -1)
    assert answer.shape == expected.shape
    again = keras.models.model_from_json(made.to_json())  # it can be stored
    assert [layer.name for layer in again.layers] == [layer.name for layer in made.layers]
    return float(np.abs(answer - expected).max() / max(np.ptp(expected), 1e-6))


@pytest.mark.parametrize(
    ("kind", "shape", "more", "values"), CASES, ids=[f"{k}-{n}" for n, (k, *_) in enumerate(CASES)]
)
def test_an_operator(
    keras: Any, tmp_path: Path, kind: str, shape: tuple[int, ...], more: Sequence[Any], values: dict[str, Any]
) -> None:
    weights = {f"w{k}": array for k, array in enumerate(more) if array is not None}
    names = ["x", *(f"w{k}" if array is not None else "" for k, array in enumerate(more))]
    nodes = [helper.make_node(kind, names, ["y"], name=f"/of/{kind}", **values)]
    opset = 18 if kind == "Mish" else 17
    if kind in ON_SEQUENCES:  # the batch stands second
        nodes[0].input[0] = "t"
        nodes.insert(0, helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0, 2]))
    assert differs(keras, model_of(nodes, shape, weights, opset), tmp_path / "m.onnx") < 1e-5


@pytest.mark.parametrize("kind", ["Add", "Mul", "Sub", "Max"])
def test_two_values_of_a_sample_in_different_orders(keras: Any, tmp_path: Path, kind: str) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["a"]),
        helper.make_node("ReduceMean", ["x"], ["b"], axes=[2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["b", "axes"], ["c"]),
        helper.make_node(kind, ["a", "c"], ["y"]),
    ]
    weights = {"k": w(4, 4, 1, 1), "axes": i(2, 3)}
    assert differs(keras, model_of(nodes, MAP, weights), tmp_path / "m.onnx") < 1e-5


def test_rows_meet_columns_of_the_same_value(keras: Any, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["x", "t"], ["s"]),
        helper.make_node("Add", ["s", "bias"], ["b"]),
        helper.make_node("Transpose", ["b"], ["turned"], perm=[0, 2, 1]),
        helper.make_node("Softmax", ["turned"], ["p"], axis=-1),
        helper.make_node("MatMul", ["p", "x"], ["y"]),
    ]
    assert differs(keras, model_of(nodes, TOKENS, {"bias": w(5, 5)}), tmp_path / "m.onnx") < 1e-5


def test_constants_are_put_before_and_after(keras: Any, tmp_path: Path) -> None:
    nodes = [helper.make_node("Concat", ["a", "x", "b", "x", "c"], ["y"], axis=1)]
    weights = {"a": w(1, 2, 6), "b": w(1, 1, 6), "c": w(1, 3, 6)}
    assert differs(keras, model_of(nodes, TOKENS, weights), tmp_path / "m.onnx") < 1e-5


def test_shapes_are_computed_once(keras: Any, tmp_path: Path) -> None:
    """What exporters write for ``x.view(x.size(0), -1)``."""
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["n"], axis=0),
        helper.make_node("Unsqueeze", ["n", "first"], ["m"]),
        helper.make_node("Concat", ["m", "rest"], ["r"], axis=0),
        helper.make_node("Reshape", ["x", "r"], ["y"]),
    ]
    weights = {"zero": np.int64(0), "first": i(0), "rest": i(-1)}
    assert differs(keras, model_of(nodes, MAP, weights), tmp_path / "m.onnx") == 0


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ([("NonZero", ["x"], {})], r"node '/n0' (NonZero): eeaug knows no layer of Keras for this operator"),
        ([("Softmax", ["x"], {"axis": 0})], "node '/n0' (Softmax): it is over the samples of a batch"),
        ([("ReduceMean", ["x"], {"axes": [1]}), ("Reshape", ["v0", "shape"], {})],
         "does not fit into (2, 3): if exported for batches of one size, export it with an open batch"),
        ([("RandomNormalLike", ["x"], {}), ("Add", ["v0", "x"], {})], "RandomNormalLike"),
        ([("Conv", ["x", "x"], {})], "node '/n0' (Conv): its kernel depends on the sample"),
    ],
)  # fmt: skip
def test_what_has_no_equal_names_the_node(
    keras: Any, tmp_path: Path, nodes: list[tuple[str, list[str], dict[str, Any]]], reason: str
) -> None:
    made = [
        helper.make_node(kind, inputs, ["y" if k == len(nodes) - 1 else f"v{k}"], name=f"/n{k}", **values)
        for k, (kind, inputs, values) in enumerate(nodes)
    ]
    path = tmp_path / "m.onnx"
    onnx.save(model_of(made, MAP, {"shape": i(2, 3)}), path)
    with pytest.raises(ConversionError) as caught:
        convert.converted(path, keras)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
