"""Stages in a chain are the network in one piece, are the given model; and equal models are equal bytes."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_nets import NETS, classifier, dense_head, map_head, places, trained

from eeaug import hardware
from eeaug.backbone import keras_files
from eeaug.backbone.model import INPUT, Classifier
from eeaug.bundle.entries import Handover, Manifest
from eeaug.data.preprocessing import Preprocessing
from eeaug.export import formats, keras_onnx, verify
from eeaug.export.formats import Work
from eeaug.frameworks import keras_archive, keras_to_onnx, onnx_session
from eeaug.heads.training import Trained
from eeaug.runtime import Cascade
from eeaug.stages import partition
from eeaug.stages.partition import PROBABILITIES, Stage

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # TF on NumPy 2


def softmax(z: np.ndarray) -> np.ndarray:
    z = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(z / z.sum(axis=1, keepdims=True))


TARGET = hardware.read("psoc6")


def cut(given: Classifier, exits: list[Trained]) -> tuple[Stage, ...]:
    processors = [("small", 1), *[("large", 4)] * 3][: len(exits) + 1]
    return partition.stages(given, exits, [0.5] * len(exits), processors, [1] * (len(exits) + 1))


def samples(given: Classifier, n: int = 16) -> np.ndarray:
    return np.random.default_rng(3).normal(size=(n, *given.input_shape)).astype(np.float32)


@pytest.mark.parametrize("early", [0, 1, 3])
@pytest.mark.parametrize("kind", NETS)
def test_stages_monolith_and_given_model_agree(kind: str, early: int, tmp_path: Path) -> None:
    import keras

    net, given = classifier(kind, tmp_path)
    at = list(places(given).values())
    assert len(at) >= 3 and at[0].at_input
    at = at[:early]
    exits = [trained(dense_head(p) if i % 2 or len(p.shape) < 2 else map_head(p)) for i, p in enumerate(at)]
    x = samples(given)
    whole = partition.monolith(given, exits)(x, training=False)
    assert list(whole) == [f"exit_{p.name}" for p in at] + ["final"]
    expected = np.asarray(net(x, training=False))
    expected = softmax(expected) if kind == "logits" else expected
    coarse = 5e-3 if kind == "mixed" else 1e-5  # half floats round at every layer
    np.testing.assert_allclose(whole["final"], expected, atol=coarse)
    assert all(p.dtype == "float32" for p in whole.values())

    stages = cut(given, exits)
    tensors: dict[str, Any] = {INPUT: x}
    onnx: dict[str, np.ndarray] = {INPUT: x}
    for stage, name in zip(stages, whole, strict=True):
        inputs, outputs = partition.stage_graph(given, stage)
        made = keras.Model(inputs, outputs)(tensors[stage.input_name], training=False)
        proto = keras_to_onnx.to_onnx(inputs, outputs, input_name=stage.input_name)
        names = list(outputs)
        run = onnx_session.session(proto.SerializeToString(), 1).run(
            names, {stage.input_name: onnx[stage.input_name]}
        )
        np.testing.assert_allclose(made[PROBABILITIES], whole[name], atol=coarse)
        np.testing.assert_allclose(run[0], whole[name], atol=coarse)
        tensors, onnx = dict(made), dict(zip(names, run, strict=True))
        assert (stage.handover in made) == (stage is not stages[-1])


def test_what_a_stage_says_of_itself(tmp_path: Path) -> None:
    _, given = classifier("residual", tmp_path)
    at = places(given)["first_out"]
    first, last = partition.stages(given, [trained(dense_head(at))], [0.75], [("small", 1), ("large", 4)], [10, 20])
    assert (first.name, first.start, first.end, first.threshold) == ("0-small", None, "first_out", 0.75)
    assert (last.name, last.start, last.end, last.threshold) == ("1-large", "first_out", None, None)
    assert first.handover == last.input_name == "handover_first_out"
    assert first.handover_bytes == 8 * 8 * 6  # in the sender's width
    assert last.handover is None and last.handover_bytes == 0
    entry = keras_onnx.entry(first, "max-softmax")
    assert entry.handover == Handover("handover_first_out", (8, 8, 6), 384)
    assert (entry.macs, entry.input_name, entry.threshold) == (10, INPUT, 0.75)


def test_written_stages_are_read_back_and_compared(tmp_path: Path) -> None:
    _, given = classifier("residual", tmp_path)
    exits = [trained(map_head(places(given)["stem"]))]
    stages = cut(given, exits)
    keras_onnx.write(given, stages, tmp_path)
    manifest = Manifest(
        classes=(),
        decision=given.decision,
        preprocessing=Preprocessing(),
        stages=tuple(keras_onnx.entry(stage, "max-softmax") for stage in stages),
    )
    work = Work(tmp_path, manifest, given, stages, TARGET, samples(given, 100), 1)
    asked = formats.named(["tflite"])
    for name, kind in asked.items():
        work = work.adding(name, kind.write(work))
    assert [list(entry.files) for entry in work.manifest.stages] == [["keras", "onnx", "tflite"]] * 2
    onnx = Cascade.load(tmp_path, manifest, 1)
    facts = verify.verify(work, partition.monolith(given, exits), onnx, asked)
    assert facts.samples == 100
    assert {name: found.disagreements for name, found in facts.formats.items()} == dict.fromkeys(
        ("keras", "onnx", "tflite"), 0
    )
    other = partition.monolith(given, [trained(map_head(places(given)["stem"]), seed=2)])
    with pytest.raises(verify.ConversionError, match="the keras stages disagree with the model on"):
        verify.verify(work, other, onnx, {})
    with pytest.raises(verify.ConversionError, match="the tflite stages disagree with the model on"):
        wrong = [np.asarray(other(work.x, training=False)[name]) for name in ("exit_stem", "final")]
        asked["tflite"].check(work, verify.Reference.of(given.decision, manifest.stages, wrong))


# -- equal models, equal bytes ------------------------------------------------------------------------


def test_keras_archives_of_two_builds_have_equal_bytes(tmp_path: Path) -> None:
    found = []
    for i in range(2):
        folder = tmp_path / str(i)
        folder.mkdir()
        _, given = classifier("residual", folder)
        whole = partition.monolith(given, [trained(dense_head(places(given)["stem"]))])
        keras_archive.save(whole, folder / "whole.keras")
        found.append((folder / "whole.keras").read_bytes())
        assert sorted(p.name for p in folder.iterdir()) == ["residual.keras", "whole.keras"]
    assert found[0] == found[1]


def test_keras_archives_can_be_loaded(tmp_path: Path) -> None:
    import keras

    _, given = classifier("residual", tmp_path)
    whole = partition.monolith(given, [trained(map_head(places(given)["stem"]))])
    keras_archive.save(whole, tmp_path / "whole.keras")
    x = samples(given)
    again = keras.models.load_model(tmp_path / "whole.keras")(x, training=False)
    for name, value in whole(x, training=False).items():
        np.testing.assert_array_equal(again[name], value)


ONNX = """
import hashlib, pathlib, sys, warnings
warnings.simplefilter("ignore")
sys.path[:0] = sys.argv[2:]
from test_stages_partition import onnx_digest
print(onnx_digest(pathlib.Path(sys.argv[1])))
"""


def onnx_digest(folder: Path) -> str:
    _, given = classifier("nested", folder)
    inputs, outputs = partition.stage_graph(given, cut(given, [trained(map_head(places(given)["first_out"]))])[0])
    protos = [keras_to_onnx.to_onnx(inputs, outputs, input_name=INPUT), attention(), loop(), squeezes()]
    return hashlib.sha256(b"".join(p.SerializeToString(deterministic=True) for p in protos)).hexdigest()


def attention() -> Any:
    """tf2onnx orders the nodes of this by the hashes of their names."""
    import keras

    keras.utils.set_random_seed(1)
    inputs = keras.Input((8, 6))
    outputs = {"y": keras.layers.MultiHeadAttention(2, 4)(inputs, inputs)}
    return keras_to_onnx.to_onnx(inputs, outputs, input_name=INPUT)


def loop() -> Any:
    """Names in the body of a loop are numbered over all conversions."""
    import keras

    keras.utils.set_random_seed(1)
    inputs = keras.Input((8, 6))
    return keras_to_onnx.to_onnx(inputs, {"y": keras.layers.GRU(4)(inputs)}, input_name=INPUT)


def squeezes() -> Any:
    """The order of sets decides which reshapes are left of this."""
    import keras

    keras.utils.set_random_seed(1)
    net = keras.applications.MobileNetV3Small(weights=None, input_shape=(32, 32, 3), classes=4)
    return keras_to_onnx.to_onnx(net.inputs[0], {"y": net.outputs[0]}, input_name=INPUT)


def test_onnx_of_equal_models_has_equal_bytes_in_any_process(tmp_path: Path) -> None:
    here = [onnx_digest(tmp_path) for _ in range(2)]
    assert here[0] == here[1]
    done = subprocess.run(
        [sys.executable, "-c", ONNX, str(tmp_path), *map(str, Path(__file__).parents[:2])],
        capture_output=True, text=True, check=True, cwd=tmp_path,
        env={"PATH": "", "HOME": str(tmp_path), "PYTHONHASHSEED": "7", "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    assert done.stdout.split()[-1] == here[0]


def test_onnx_names_tell_of_the_graph_alone(tmp_path: Path) -> None:
    _, given = classifier("residual", tmp_path)
    first = cut(given, [trained(dense_head(places(given)["first_out"]))])[0]
    proto = keras_to_onnx.to_onnx(*partition.stage_graph(given, first), input_name=INPUT)
    assert [v.name for v in proto.graph.input] == [INPUT]
    assert [v.name for v in proto.graph.output] == [PROBABILITIES, "handover_first_out"]
    for value in (*proto.graph.input, *proto.graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param == "batch"
    assert proto.opset_import[0].version == keras_to_onnx.OPSET
    names = {n for node in proto.graph.node for n in (node.name, *node.input, *node.output)}
    assert not [n for n in names if "/" in n or ":" in n]


def test_sizes_that_are_known_are_not_computed_for_each_run() -> None:
    keras = keras_files.import_keras()
    inputs = keras.Input((6, 6, 3))
    y = keras.layers.Flatten()(keras.layers.AveragePooling2D(2)(inputs))
    y = keras.layers.Flatten()(keras.layers.Reshape((3, 9))(y))
    proto = keras_to_onnx.to_onnx(inputs, {"y": y}, input_name=INPUT)
    kinds = [node.op_type for node in proto.graph.node]
    assert "Reshape" in kinds and not {"Shape", "Concat", "Slice", "Cast", "Gather"} & set(kinds)
    session = onnx_session.session(proto.SerializeToString(), 1)
    for n in (0, 1, 5):
        x = np.random.default_rng(n).normal(size=(n, 6, 6, 3)).astype(np.float32)
        pooled = x.reshape(n, 3, 2, 3, 2, 3).mean((2, 4)).reshape(n, 27)
        np.testing.assert_allclose(session.run(["y"], {INPUT: x})[0], pooled, atol=1e-6)


def test_what_onnx_cannot_express_is_one_line(tmp_path: Path) -> None:
    keras = keras_files.import_keras()
    import tensorflow as tf

    class Odd(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, x: Any) -> Any:
            return tf.cast(tf.signal.rfft(x), tf.float32)

    inputs = keras.Input((8,))
    with pytest.raises(keras_to_onnx.ConversionError, match="it has no operator for RFFT") as caught:
        keras_to_onnx.to_onnx(inputs, {"y": Odd()(inputs)}, input_name="x")
    assert "\n" not in str(caught.value)


def test_a_tie_is_no_disagreement() -> None:
    from eeaug.cascade.outcomes import Outcomes

    def outcomes(confidence: list[list[float]], predicted: list[list[int]]) -> Outcomes:
        return Outcomes(np.array(confidence, np.float32), np.array(predicted), np.zeros(3, np.int64))

    a = outcomes([[0.9, 0.50001, 0.2], [0.6, 0.6, 0.6]], [[0, 0, 0], [1, 1, 1]])
    b = outcomes([[0.9, 0.49999, 0.2], [0.6, 0.6, 0.6]], [[0, 0, 0], [1, 1, 2]])
    wide, equal = np.full((2, 3), 0.4), np.array([[0.4, 0.4, 0.4], [0.4, 0.4, 1e-6]])
    assert verify.compare(a, a, [0.5], wide) == (0, 0)
    assert verify.compare(a, b, [0.5], wide) == (2, 1)  # sample 1 is at the threshold, sample 2 is wrong
    assert verify.compare(a, b, [0.5], equal) == (2, 2)  # unless its two classes are equally probable
