"""Models with several inputs: read, cut, written as files with named inputs, run as the cascade that they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from feature_parts import extraction, view
from keras_nets import CLASSES, randomized, saved, trained

from eeaug import hardware
from eeaug.backbone import model
from eeaug.backbone.model import Classifier
from eeaug.bundle.entries import Manifest
from eeaug.cascade.output import Decision
from eeaug.data.preprocessing import Preprocessing
from eeaug.errors import ConversionError, InputError
from eeaug.export import keras_onnx, verify
from eeaug.export.formats import Work
from eeaug.features import Wanted
from eeaug.flow.write_bundle import _model_inputs
from eeaug.frameworks import keras_archive, keras_to_tflite, onnx_session
from eeaug.frameworks.tflite_session import Session
from eeaug.heads import families
from eeaug.heads.layers import Dense, Head, Pool
from eeaug.network import graph, locations
from eeaug.runtime import Cascade
from eeaug.stages import partition
from eeaug.stages.partition import Stage

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # TF on NumPy 2


def eyes(k: Any, start: Any, name: str = "eye") -> Any:
    x = k.layers.Conv2D(6, 3, padding="same", activation="relu", name=f"{name}_a")(start)
    x = k.layers.MaxPooling2D(name=f"{name}_pool")(x)
    return k.layers.Conv2D(8, 3, padding="same", activation="relu", name=f"{name}_b")(x)


def judged(k: Any, parts: list[Any]) -> Any:
    joint = k.layers.Dense(12, activation="relu", name="joint")(k.layers.Concatenate(name="join")(parts))
    return k.layers.Dense(CLASSES, activation="softmax", name="classifier")(joint)


def late(k: Any) -> Any:
    image, meta = k.Input((8, 8, 3), name="image", dtype="uint8"), k.Input((5,), name="meta")
    seen = k.layers.Flatten(name="flat")(eyes(k, k.layers.Rescaling(1 / 255, name="scale")(image)))
    return k.Model([image, meta], judged(k, [seen, k.layers.Dense(4, activation="relu", name="numbers")(meta)]))


def nested(k: Any) -> Any:
    """Submodels, one of which has several inputs itself, and a layer called as an input is."""
    a, b, c = k.Input((8, 8, 3)), k.Input((512 // 4,)), k.Input((4,))
    eye = k.Model(a, k.layers.Flatten(name="meta")(eyes(k, a)), name="eye_model")
    judge = k.Model([b, c], judged(k, [b, c]), name="judge")
    image, meta = k.Input((8, 8, 3), name="image"), k.Input((4,), name="meta")
    return k.Model([image, meta], judge([eye(image), meta]))


def siamese(k: Any) -> Any:
    start = k.Input((8, 8, 3))
    twin = k.Model(start, k.layers.GlobalAveragePooling2D(name="mean")(eyes(k, start)), name="twin")
    left, right = k.Input((8, 8, 3), name="left"), k.Input((8, 8, 3), name="right")
    return k.Model([left, right], judged(k, [twin(left), twin(right)]))


def words(k: Any) -> Any:
    """A number that stands for something, through an embedding."""
    image, place = k.Input((8, 8, 3), name="image"), k.Input((1,), dtype="int32", name="place")
    known = k.layers.Flatten(name="place_flat")(k.layers.Embedding(10, 4, name="known")(place))
    return k.Model([image, place], judged(k, [k.layers.GlobalAveragePooling2D(name="mean")(eyes(k, image)), known]))


def three(k: Any) -> Any:
    """The second joins in the middle, the third at the end and as a map; given as a mapping."""
    image, gain, sound = (
        k.Input((8, 8, 3), name="image"),
        k.Input((6,), name="gain"),
        k.Input((16, 2), name="sound"),
    )
    x = k.layers.Conv2D(6, 3, padding="same", activation="relu", name="first")(image)
    x = k.layers.Multiply(name="gate")([x, k.layers.Reshape((1, 1, 6), name="spread")(gain)])
    heard = k.layers.GlobalAveragePooling1D(name="heard")(k.layers.Conv1D(4, 3, name="ear")(sound))
    out = judged(k, [k.layers.GlobalAveragePooling2D(name="mean")(eyes(k, x)), heard, gain])
    return k.Model({"image": image, "gain": gain, "sound": sound}, out)


KINDS: dict[str, Callable[[Any], Any]] = {
    "late": late, "nested": nested, "siamese": siamese, "words": words, "three": three,
}  # fmt: skip


def read(kind: str, folder: Path, k: Any) -> tuple[Any, Classifier]:
    k.backend.clear_session()
    net = randomized(KINDS[kind](k))
    net.save(folder / f"{kind}.keras")
    return net, model.load(folder / f"{kind}.keras")


def samples(given: Classifier, n: int = 12) -> np.ndarray:
    """Whole numbers, which every type of an input holds."""
    return np.random.default_rng(3).integers(0, 9, (n, *given.input_shape)).astype(np.float32)


def cut(given: Classifier, most: int = 3) -> tuple[list[Any], tuple[Stage, ...]]:
    """A head on every place, with the vectors that go past it, up to ``most``."""
    places, _ = locations.find(graph.blocks(given), CLASSES, given.layout)
    heads = [
        Head(at, "blueprint", "mean", (Pool(at.shape[:-1]), Dense(CLASSES, "softmax")), at.shape[:-1])
        for at in places[:most]
    ]
    exits = [trained(head, seed) for seed, head in enumerate(families.with_inputs(heads, families.vectors(given)))]
    processors = [("small", 1), *[("large", 4)] * most][: len(exits) + 1]
    return exits, partition.stages(given, exits, [0.5] * len(exits), processors, [1] * (len(exits) + 1))


@pytest.mark.parametrize("kind", KINDS)
def test_stages_are_the_network_are_the_given_model(kind: str, keras: Any, tmp_path: Path) -> None:
    net, given = read(kind, tmp_path, keras)
    x, names = samples(given), given.layout.names
    assert {*names} == {t._keras_history.operation.name for t in net.inputs}
    exits, stages = cut(given)
    assert exits and stages[0].start is None
    tensors = given.layout.split(x)
    own = np.asarray(net({name: tensors[name] for name in names}, training=False))
    np.testing.assert_allclose(given.own_probabilities(x), own, atol=1e-5)
    whole = partition.monolith(given, exits)
    answers = whole(given.fed(x), training=False)
    np.testing.assert_allclose(answers["final"], own, atol=1e-5)
    handed = dict(tensors)
    for stage in stages:
        inputs, outputs = partition.stage_graph(given, stage)
        assert [stage.row.shape_of(name) for name in stage.takes] == [
            tuple(t.shape[1:]) for t in (inputs if isinstance(inputs, list) else [inputs])
        ]
        proto = keras_onnx.keras_to_onnx.to_onnx(inputs, outputs, input_name=stage.takes[0])
        assert [value.name for value in proto.graph.input] == [*stage.takes]
        session = onnx_session.session(proto.SerializeToString(), 1)
        results = session.run(list(outputs), {name: handed[name] for name in stage.takes})
        if kind in ("late", "words"):
            lite = Session(keras_to_tflite.to_tflite(inputs, outputs, input_name=stage.takes[0]), 1)
            others = lite.run([*outputs], {name: handed[name] for name in stage.takes})
            for other, result in zip(others, results, strict=True):
                np.testing.assert_allclose(other, result, atol=1e-4)
        output = "final" if stage.exit is None else partition.exit_name(stage.exit)
        np.testing.assert_allclose(results[0], answers[output], atol=1e-4)
        if stage.onward is not None:
            assert {*stage.onward.names[1:]} <= {*names} & {*stage.row.names}
            handed = {stage.onward.names[0]: results[1], **{name: handed[name] for name in stage.onward.names[1:]}}


def test_places_and_what_goes_past_them(keras: Any, tmp_path: Path) -> None:
    def carried(kind: str) -> list[tuple[str, tuple[str, ...]]]:
        given = read(kind, tmp_path, keras)[1]
        places = locations.find(graph.blocks(given), CLASSES, given.layout)[0]
        return [(at.name.partition("@")[0], at.carries) for at in places]

    assert carried("late")[:2] == [("eye_pool", ("meta",)), ("flat", ("meta",))]
    assert carried("nested")[0] == ("eye_pool", ("meta",))
    assert carried("siamese")[0] == ("eye_pool", ("right",))
    assert carried("three")[0] == ("gate", ("gain", "sound")), "a layer without MACs joins the one before"


def test_a_head_sees_the_vectors_that_go_past_it(keras: Any, tmp_path: Path) -> None:
    given = read("three", tmp_path, keras)[1]
    exits, stages = cut(given, 1)
    (head,) = [one.head for one in exits]
    assert [read.location.name for read in head.earlier] == ["input:gain"], "a map is none"
    assert head.name == "blueprint-mean+gain" and head.macs == (6 + 6) * CLASSES
    assert stages[0].takes == ("gain", "image") and stages[1].takes[1:] == ("gain", "sound")


def test_features_are_those_of_keras(keras: Any, tmp_path: Path) -> None:
    net, given = read("late", tmp_path, keras)
    places = {at.name: at for at in locations.find(graph.blocks(given), CLASSES, given.layout)[0]}
    vectors = families.vectors(given)
    wanted = [Wanted(places["eye_pool"]), Wanted(vectors["meta"], ())]
    samples_, made = view(given), extraction(given, tmp_path / "cache")
    found = made.extract(samples_, wanted, (wanted, made.convert([*wanted, Wanted(None, outputs=CLASSES)])))
    x = np.asarray(samples_.part.x[samples_.indices])
    np.testing.assert_allclose(found.tensors["input:meta ()"], given.layout.split(x)["meta"], atol=1e-6)
    inner = keras.Model(net.inputs, net.get_layer("eye_pool").output)
    image = given.layout.split(x)["image"]
    assert found.tensors["eye_pool None"].shape == (len(x), 4, 4, 6) and inner([image, x[:, -5:]]).shape[1:] == (
        4,
        4,
        6,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_files_are_the_network_in_keras_and_onnx(kind: str, keras: Any, tmp_path: Path) -> None:
    """And the augmented model is read back as a classifier with the same inputs in the same order."""
    _, given = read(kind, tmp_path, keras)
    exits, stages = cut(given)
    x, folder = samples(given, 40), tmp_path / "made"
    keras_onnx.write(given, stages, folder)
    keras_archive.save(partition.monolith(given, exits), folder / "augmented.keras")
    manifest = Manifest(
        tuple("abcd"), Decision("softmax", CLASSES), Preprocessing(),
        tuple(keras_onnx.entry(stage, "max-softmax") for stage in stages), model_inputs=_model_inputs(given),
    )  # fmt: skip
    assert Manifest.from_dict(manifest.as_dict()).stages == manifest.stages
    assert Manifest.from_dict(manifest.as_dict()).layout == given.layout
    work = Work(folder, manifest, given, stages, hardware.read("psoc6"), x, 1)
    whole = keras.models.load_model(folder / "augmented.keras", compile=False)
    checked = verify.verify(work, whole, Cascade.load(folder, manifest, 1), {})
    assert {name: one.disagreements for name, one in checked.formats.items()} == {"keras": 0, "onnx": 0}
    again = partition.backbone(whole, tmp_path / f"{kind}.keras")
    assert again.layout == given.layout
    np.testing.assert_allclose(again.own_probabilities(x), given.own_probabilities(x), atol=1e-5)
    cascade = Cascade.load(folder, manifest, 1)
    found = cascade.predict(given.layout.split(x), batch=7)
    np.testing.assert_array_equal(found.exits, cascade.run([x]).exits)
    assert cascade.inputs == dict(zip(given.layout.names, given.layout.shapes, strict=True))
    with pytest.raises(InputError, match="give an array for each, by name"):
        cascade.predict(x)


def test_inputs_that_change_nothing_are_left_out(keras: Any, tmp_path: Path) -> None:
    image, meta, weight = (keras.Input(s, name=n) for n, s in (("image", (4,)), ("meta", (2,)), ("weight", (1,))))
    joined = keras.layers.Concatenate()([image, meta])
    dense = keras.layers.Dense(CLASSES, activation="softmax")
    path = tmp_path / "net.keras"
    path.write_bytes(b"its hash alone is read")
    two = model.from_keras(keras, keras.Model([weight, image, meta], dense(joined)), path)
    assert (two.layout.names, two.unused) == (("image", "meta"), ("weight",))
    one = model.from_keras(
        keras, keras.Model([image, weight], keras.layers.Dense(3, activation="softmax")(image)), path
    )
    assert (one.layout.names, one.unused, one.input_shape) == (("image",), ("weight",), (4,))
    assert one.raw(np.zeros((2, 4), np.float32)).shape == (2, 3)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_mapping_of_inputs_is_read_whatever_its_order(suffix: str, keras: Any, old: Any, tmp_path: Path) -> None:
    """Keras sorts mappings by name, the file has them as they were given."""
    for number, k in enumerate((keras, old)):
        b, a = k.Input((4,), name="b"), k.Input((2,), name="a")
        net = k.Model({"b": b, "a": a}, k.layers.Dense(3, activation="softmax")(k.layers.Concatenate()([b, a])))
        given = model.load(saved(net, tmp_path / f"net{number}{suffix}"))
        x = samples(given)
        theirs = np.asarray(net(given.layout.split(x), training=False))
        np.testing.assert_allclose(given.own_probabilities(x), theirs, atol=1e-6)


def test_inputs_without_names_have_those_of_their_layers(keras: Any, tmp_path: Path) -> None:
    a, b = keras.Input((4,)), keras.Input((2,))
    net = keras.Model([a, b], keras.layers.Dense(3, activation="softmax")(keras.layers.Concatenate()([a, b])))
    net.save(tmp_path / "net.keras")
    names = model.load(tmp_path / "net.keras").layout.names
    assert names == tuple(t._keras_history.operation.name for t in net.inputs) and "keras_tensor" not in names[0]


def test_text_among_the_inputs_is_refused(keras: Any, tmp_path: Path) -> None:
    text, image = keras.Input((1,), dtype="string", name="title"), keras.Input((4,), name="image")
    vocabulary = keras.layers.TextVectorization(vocabulary=["a", "b"], output_sequence_length=2)
    joined = keras.layers.Concatenate()([keras.layers.Embedding(4, 2)(vocabulary(text))[:, 0], image])
    net = keras.Model([text, image], keras.layers.Dense(3, activation="softmax")(joined))
    (tmp_path / "net.keras").write_bytes(b"its hash alone is read")
    with pytest.raises(ConversionError, match="its input 'title' is text; give the part of the model that takes"):
        model.from_keras(keras, net, tmp_path / "net.keras")
