"""Models that are no classifiers behind an exit that says "nothing here": their outputs are what they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_nets import randomized, trained

from eeaug import hardware
from eeaug.backbone import keras_files, model
from eeaug.backbone.answers import differ
from eeaug.backbone.model import Classifier
from eeaug.bundle.entries import Manifest, OperatingPoint
from eeaug.data.preprocessing import Preprocessing
from eeaug.errors import ConversionError
from eeaug.export import formats, keras_onnx, tflite, verify
from eeaug.export.formats import Work
from eeaug.flow import blank
from eeaug.heads.layers import Dense, Head, Pool
from eeaug.network import graph, locations
from eeaug.runtime import Cascade
from eeaug.stages import partition

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # TF on NumPy 2

SHAPE = (8, 8, 3)


def given(net: Any, folder: Path, name: str = "any") -> Classifier:
    path = folder / f"{name}.keras"
    randomized(net).save(path)
    return model.load(path, blank=True)


def tapped(keras: Any) -> Any:
    """Two outputs of which the first is what the second comes from, and names that files do not take."""
    layers, start = keras.layers, keras.Input(SHAPE)
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="first")(start)
    tap = layers.Conv2D(4, 3, padding="same", activation="relu", name="second")(x)
    end = layers.Dense(5, name="third")(layers.Flatten(name="flat")(layers.Conv2D(6, 3, name="deep")(tap)))
    return keras.Model(start, {"the map": tap, "2 boxes": end})


def parts(keras: Any) -> Any:
    """A layer of several tensors, each an output, beside whole numbers."""
    layers, start = keras.layers, keras.Input(SHAPE)
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="first")(start)
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="second")(x)
    left, right = keras.ops.split(x, 2, axis=-1)
    return keras.Model(start, [left, right, layers.Conv2D(1, 1, name="third")(x)])


def mixed(keras: Any) -> Any:
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        return tapped(keras)
    finally:
        keras.config.set_dtype_policy(policy)


@pytest.mark.parametrize(
    ("net", "at", "names"),
    [
        (tapped, ["first"], ["output2_boxes", "the_map"]),
        (tapped, ["input", "second"], ["output2_boxes", "the_map"]),  # what is handed over is an output
        (tapped, [], ["output2_boxes", "the_map"]),
        (parts, ["first"], ["split", "split_2", "third"]),
        (mixed, ["first"], ["output2_boxes", "the_map"]),
    ],
)
def test_all_files_give_the_given_models_outputs(net: Any, at: list[str], names: list[str], tmp_path: Path) -> None:
    keras = keras_files.import_keras()
    keras.backend.clear_session()  # names without numbers that count up
    classifier = given(net(keras), tmp_path)
    assert [answer.name for answer in classifier.answers] == names and classifier.decision.kind == "blank"
    blocks = graph.blocks(classifier)
    places = {place.name: place for place in locations.find(blocks, 1, classifier.layout)[0]}
    exits = [trained(Head(places[name], "blueprint", "g", (Pool((4, 4)), Dense(1, "sigmoid")))) for name in at]
    thresholds = [0.5] * len(at)
    on = [("cm4f", 4)] * (len(at) + 1)
    stages = partition.stages(classifier, exits, thresholds, on, [1] * len(on))
    decision, x = classifier.decision, np.random.default_rng(0).normal(size=(20, *SHAPE)).astype(np.float32)
    manifest = Manifest(
        ("nothing", "something"), decision, Preprocessing(),
        tuple(keras_onnx.entry(stage, decision.metric, classifier.answers) for stage in stages),
        (OperatingPoint("default", tuple(thresholds)),),
    )  # fmt: skip
    assert Manifest.from_dict(manifest.as_dict()).stages == manifest.stages
    keras_onnx.write(classifier, stages, tmp_path)
    augmented = partition.monolith(classifier, exits)
    work = Work(tmp_path, manifest, classifier, stages, hardware.read("psoc6"), x, 1)
    asked = {} if net is mixed else {"tflite": formats.FORMATS["tflite"]}  # which has no half precision
    if asked:
        work = work.adding("tflite", tflite.write(work))
    onnx = Cascade.load(tmp_path, work.manifest, 1)
    checked = verify.verify(work, augmented, onnx, asked)
    assert {*checked.formats} == {"keras", "onnx", *asked}

    whole = dict(zip(names, classifier.given_outputs(x).values(), strict=True))
    seen = onnx.predict(x, prepared=True, batch=3)
    kept = np.array(seen.names) == "something"
    np.testing.assert_array_equal(seen.rows, np.flatnonzero(kept))
    returned = {name: array[kept] for name, array in whole.items()}
    assert differ(returned, seen.outputs, classifier.tolerance) is None
    if not at:
        assert kept.all()
    wrong = {name: array + 1 for name, array in onnx.whole(x).items()}
    with pytest.raises(ConversionError, match="do not give the given model's outputs: output '"):
        verify.same_outputs("changed stages", work, wrong)


def test_a_model_that_answers_at_random_is_refused(tmp_path: Path) -> None:
    keras = keras_files.import_keras()

    class Noisy(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, x: Any) -> Any:
            return x + keras.random.normal(keras.ops.shape(x))

    start = keras.Input(SHAPE)
    net = keras.Model(start, Noisy()(keras.layers.Conv2D(2, 3)(start)))
    classifier = model.from_keras(keras, net, tmp_path / "noisy.keras", digest="0", blank=True)
    with pytest.raises(ConversionError, match="the same samples give other outputs when asked again"):
        blank.in_onnx(classifier, np.zeros((4, *SHAPE), np.float32), 1)


def test_an_output_that_is_none_of_a_sample_is_refused(tmp_path: Path) -> None:
    keras = keras_files.import_keras()
    start = keras.Input(SHAPE)
    x = keras.layers.Conv2D(2, 3, name="only")(start)
    for outputs, why in (([x, start], "is the input itself"), ([x, keras.ops.mean(x)], "has the shape \\(\\)")):
        with pytest.raises(ConversionError, match=why):
            model.from_keras(keras, keras.Model(start, outputs), tmp_path / "a.keras", digest="0", blank=True)


def test_what_differs_is_told_and_rounding_is_not() -> None:
    own = {"a": np.array([[0.5, 100.0]], np.float32), "b": np.arange(2000)}
    assert differ(own, {"a": own["a"] + 5e-4, "b": own["b"]}, 1e-4) is None
    assert "'a' is off by up to 0.5" in str(differ(own, {**own, "a": own["a"] + 0.5}, 1e-4))
    assert "'a' has the shape (2,)" in str(differ(own, {**own, "a": np.zeros(2)}, 1e-4))
    assert "0.20% of the values of output 'b'" in str(differ(own, {**own, "b": own["b"] + (own["b"] < 4)}, 1e-4))
    assert "'a' is not finite" in str(differ(own, {**own, "a": np.full((1, 2), np.nan, np.float32)}, 1e-4))
