"""What a model's output is: told by its layers, decided by its answers to samples, held by verification."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_nets import saved

from eeaug.backbone import model
from eeaug.backbone import settled as understood
from eeaug.backbone.losses import Loss
from eeaug.backbone.model import Classifier
from eeaug.backbone.model_output import ONE_LABEL, SEVERAL_LABELS, Ending, OutputMeaning, told, with_added
from eeaug.cascade.output import Decision
from eeaug.errors import ConversionError, InputError
from eeaug.export import verify
from eeaug.export.int8 import int8_cascade
from eeaug.stages import partition

K = 4
X = np.random.default_rng(0).normal(0, 1, (80, 6, 6, 1)).astype(np.float32)


def dense(k: Any, x: Any, activation: Any = None, units: int = K) -> Any:
    wide = k.initializers.RandomNormal(stddev=2.0)  # far from uniform
    return k.layers.Dense(units, activation=activation, kernel_initializer=wide)(k.layers.Flatten()(x))


def maps(k: Any, x: Any, activation: Any = None) -> Any:
    return k.layers.Conv2D(K, 2, activation=activation, kernel_initializer=k.initializers.RandomNormal(stddev=2.0))(
        x
    )


def both(k: Any, x: Any, activation: str = "softmax", units: int = K) -> list[Any]:
    return [dense(k, x, activation, units), dense(k, x, activation, units)]


def normalised(k: Any, x: Any) -> Any:
    return x / k.ops.sum(x, axis=-1, keepdims=True)


def experts(k: Any, x: Any) -> Any:
    gate, (a, b) = dense(k, x, "softmax", 2), both(k, x)
    return k.layers.Add()([k.layers.Multiply()([gate[:, :1], a]), k.layers.Multiply()([gate[:, 1:], b])])


def frames(k: Any, x: Any) -> Any:
    x = k.layers.TimeDistributed(k.layers.Dense(K, activation="softmax"))(k.layers.Reshape((-1, 4))(maps(k, x)))
    return k.layers.GlobalAveragePooling1D()(x)


Build = Callable[[Any, Any], Any]
PROBABILITIES: dict[str, Build] = {
    "softmax": lambda k, x: dense(k, x, "softmax"),
    "average": lambda k, x: k.layers.Average()(both(k, x)),
    "weighted": lambda k, x: 0.3 * dense(k, x, "softmax") + 0.7 * dense(k, x, "softmax"),
    "half of a sum": lambda k, x: k.layers.Rescaling(0.5)(k.layers.Add()(both(k, x))),
    "average over places": lambda k, x: k.layers.GlobalAveragePooling2D()(maps(k, x, "softmax")),
    "average over frames": frames,
    "operation": lambda k, x: k.ops.softmax(dense(k, x)),
    "layer as activation": lambda k, x: dense(k, x, k.layers.Softmax()),
    "by hand": lambda k, x: normalised(k, k.ops.exp(dense(k, x))),
    "sigmoids made to sum to 1": lambda k, x: normalised(k, dense(k, x, "sigmoid")),
    "p and 1 - p": lambda k, x: (lambda p: k.layers.Concatenate()([1 - p, p]))(dense(k, x, "sigmoid", 1)),
    "experts": experts,
    "single precision at the end": lambda k, x: k.layers.Activation("linear", dtype="float32")(
        k.layers.Average()(both(k, x))
    ),
    "column turned": lambda k, x: k.layers.Reshape((K,))(
        k.layers.Softmax(axis=1)(k.layers.Reshape((K, 1))(dense(k, x)))
    ),
    "shuffled by a matrix": lambda k, x: k.ops.matmul(
        dense(k, x, "softmax"), np.eye(K, dtype=np.float32)[::-1].copy()
    ),
}  # fmt: skip
LOGITS: dict[str, Build] = {
    "dense": dense,
    "with a temperature": lambda k, x: k.layers.Rescaling(0.1)(dense(k, x)),
    "average of logits": lambda k, x: k.layers.Average()([dense(k, x), dense(k, x)]),
    "dense on softmax": lambda k, x: dense(k, dense(k, x, "softmax")),
    "gated": lambda k, x: dense(k, k.layers.Multiply()([x, dense(k, x, "sigmoid", 1)[:, None, None]])),
    "log softmax": lambda k, x: k.layers.Activation("log_softmax")(dense(k, x)),
    "logarithm of softmax": lambda k, x: k.ops.log(dense(k, x, "softmax") + 1e-12),
    "average over places": lambda k, x: k.layers.GlobalAveragePooling2D()(maps(k, x, "relu")),
}
LABELS: dict[str, Build] = {
    "sigmoid": lambda k, x: dense(k, x, "sigmoid"),
    "after an average of logits": lambda k, x: k.layers.Activation("sigmoid")(
        k.layers.Average()([dense(k, x), dense(k, x)])
    ),
    "side by side": lambda k, x: k.layers.Concatenate()([dense(k, x, "sigmoid", 1) for _ in range(K)]),
    "average": lambda k, x: k.layers.Average()(both(k, x, "sigmoid")),
    "operation": lambda k, x: k.ops.sigmoid(dense(k, x)),
}
NEITHER: dict[str, tuple[Build, str]] = {
    "sum": (lambda k, x: k.layers.Add()(both(k, x)), "Add of softmax (layers 'dense', 'dense_1')"),
    "maximum": (lambda k, x: k.layers.Maximum()(both(k, x)), "Maximum of softmax"),
    "largest place": (lambda k, x: k.layers.GlobalMaxPooling2D()(maps(k, x, "softmax")), "GlobalMaxPooling2D of"),
    "times ten": (lambda k, x: k.layers.Rescaling(10.0)(dense(k, x, "softmax")), "Rescaling of softmax"),
    "squared": (lambda k, x: dense(k, x, "softmax") ** 2, "Power of softmax"),
    "another axis": (
        lambda k, x: k.layers.GlobalAveragePooling2D()(k.layers.Softmax(axis=1)(maps(k, x))),
        "the sum of its 4 outputs is",
    ),
    "softmax and sigmoid": (
        lambda k, x: k.layers.Average()([dense(k, x, "softmax"), dense(k, x, "sigmoid")]),
        "Average of sigmoid and softmax",
    ),
    "not quite": (
        lambda k, x: (lambda e: e / (0.5 + k.ops.sum(e, -1, keepdims=True)))(k.ops.relu(dense(k, x))), "layer",
    ),
}  # fmt: skip


def read(keras: Any, build: Build, tmp_path: Path) -> Classifier:
    keras.utils.set_random_seed(3)
    keras.backend.clear_session()
    start = keras.Input((6, 6, 1))
    path = tmp_path / "net.keras"
    path.write_bytes(b"its hash alone is read")
    return model.from_keras(keras, keras.Model(start, build(keras, start)), path)


def settled(given: Classifier, labels: str | None = None, asked: str | None = None) -> Classifier:
    return understood.settled(given, X, "x_train", labels, asked)


def last_stage(keras: Any, given: Classifier) -> np.ndarray:
    end = given.replay({"input": given.inputs[0]}, [given.output])[given.output]
    return np.asarray(keras.Model(given.inputs[0], given.probabilities(end))(X))


@pytest.mark.parametrize("build", PROBABILITIES.values(), ids=PROBABILITIES)
def test_probabilities_are_taken_as_they_are(keras: Any, build: Build, tmp_path: Path) -> None:
    given = settled(read(keras, build, tmp_path))
    assert (given.decision.kind, given.logits) == ("softmax", False)
    np.testing.assert_allclose(last_stage(keras, given), given.given(X), atol=1e-6)
    np.testing.assert_allclose(given.own_probabilities(X), given.given(X), atol=1e-6)


@pytest.mark.parametrize("build", LOGITS.values(), ids=LOGITS)
def test_logits_get_one_softmax(keras: Any, build: Build, tmp_path: Path) -> None:
    given = settled(read(keras, build, tmp_path))
    assert (given.decision.kind, given.logits) == ("softmax", True)
    e = np.exp(np.asarray(given.given(X), np.float64))
    np.testing.assert_allclose(last_stage(keras, given), e / e.sum(1, keepdims=True), atol=1e-5)


@pytest.mark.parametrize("build", LABELS.values(), ids=LABELS)
def test_a_sigmoid_per_label(keras: Any, build: Build, tmp_path: Path) -> None:
    for labels, asked in ((SEVERAL_LABELS, None), (None, None), (ONE_LABEL, "multilabel")):
        given = settled(read(keras, build, tmp_path), labels, asked)
        assert (given.decision.kind, given.decision.classes, given.logits) == ("multilabel", K, False)


@pytest.mark.parametrize("build", LABELS.values(), ids=LABELS)
def test_a_sigmoid_per_class_of_samples_with_one_label(keras: Any, build: Build, tmp_path: Path) -> None:
    first = read(keras, build, tmp_path)
    sigmoids = first.raw(X).astype(np.float64)
    for labels, asked in ((ONE_LABEL, None), (SEVERAL_LABELS, "single-label"), (None, "single-label")):
        given = settled(first, labels, asked)
        assert (given.decision, len(given.notes)) == (Decision("softmax", K), 1)
        p = last_stage(keras, given)
        np.testing.assert_allclose(p, given.own_probabilities(X), atol=1e-6)
        sure = np.sort(sigmoids)[:, -1] - np.sort(sigmoids)[:, -2] > 1e-4  # in single precision two may be 1
        np.testing.assert_array_equal(p.argmax(1)[sure], sigmoids.argmax(1)[sure])
        if given.stripped:  # of one label that applies, the rest not: p / (1 − p), made to sum to 1
            safe = (sigmoids.max(1) < 0.999) & (sigmoids.min(1) > 1e-5)
            odds = sigmoids[safe] / (1 - sigmoids[safe])
            np.testing.assert_allclose(p[safe], odds / odds.sum(1, keepdims=True), atol=1e-3)
        assert given.stripped == (given.added == "softmax")


def test_what_is_stripped_is_read_again_and_kept_in_a_bundle(keras: Any, tmp_path: Path) -> None:
    first = read(keras, LABELS["sigmoid"], tmp_path)
    given = settled(first, ONE_LABEL)
    assert given.stripped and given.ending.activation == "linear" and given.sha256 == first.sha256
    again = understood.again(read(keras, LABELS["sigmoid"], tmp_path), given)
    np.testing.assert_array_equal(again.own_probabilities(X), given.own_probabilities(X))
    assert partition.backbone(partition.monolith(given, ()), tmp_path / "net.keras").added == "softmax"
    averaged = settled(read(keras, LABELS["average"], tmp_path), ONE_LABEL)
    assert partition.backbone(partition.monolith(averaged, ()), tmp_path / "net.keras").added == "sharpened"


@pytest.mark.parametrize("build", [LOGITS["log softmax"], lambda k, x: k.ops.log_softmax(dense(k, x))])
def test_a_log_softmax_is_replaced_by_a_softmax(keras: Any, build: Build, tmp_path: Path) -> None:
    first = read(keras, build, tmp_path)
    given = settled(first, ONE_LABEL)
    assert given.stripped and given.added == "softmax"
    np.testing.assert_allclose(last_stage(keras, given), np.exp(first.raw(X)), atol=1e-6)


def test_one_logit(keras: Any, tmp_path: Path) -> None:
    first = read(keras, lambda k, x: dense(k, x, None, 1), tmp_path)
    given = settled(first)
    assert (given.decision, given.added) == (Decision("binary", 2), "sigmoid")
    np.testing.assert_allclose(last_stage(keras, given), 1 / (1 + np.exp(-first.raw(X))), atol=1e-6)
    assert partition.backbone(partition.monolith(given, ()), tmp_path / "net.keras").added == "sigmoid"
    with pytest.raises(InputError, match="--decision multilabel: the model has a single output"):
        settled(first, None, "multilabel")


def test_logits_of_labels(keras: Any, tmp_path: Path) -> None:
    for labels, asked in ((SEVERAL_LABELS, None), (ONE_LABEL, "multilabel")):
        given = settled(read(keras, dense, tmp_path), labels, asked)
        assert (given.decision, given.added) == (Decision("multilabel", K), "sigmoid")
        np.testing.assert_allclose(last_stage(keras, given), given.own_probabilities(X), atol=1e-6)
    with pytest.raises(InputError, match="--decision multilabel: the outputs are probabilities of classes"):
        settled(read(keras, PROBABILITIES["softmax"], tmp_path), ONE_LABEL, "multilabel")


def test_the_loss_tells_where_no_labels_do() -> None:
    p = np.random.default_rng(1).uniform(0, 1, (100, 3))
    ends, scores = Ending("sigmoids", "sigmoid", "last", "Dense"), Ending("scores", computed=True)
    classes, each = Loss("categorical_crossentropy"), Loss("binary_crossentropy", from_logits=True)
    assert told("m:", "x", ends, p, loss=classes).decision.kind == "softmax"
    assert told("m:", "x", ends, p, loss=each).decision.kind == "multilabel"
    assert told("m:", "x", ends, p, SEVERAL_LABELS, loss=classes).decision.kind == "multilabel"
    assert told("m:", "x", scores, p * 9 - 3, loss=each).added == "sigmoid"
    assert told("m:", "x", scores, p * 9 - 3, ONE_LABEL, loss=each).added == "softmax"
    assert told("m:", "x", scores, p[:, :1], loss=each).added == "sigmoid"  # inside 0 to 1 by chance
    assert told("m:", "x", scores, p[:, :1]).added == ""
    with pytest.raises(ConversionError, match="not its logit, which lies on both sides of 0"):
        told("m:", "x", scores, p[:, :1] + 1)


def test_what_is_added_stays_finite() -> None:
    z = np.array([[-1e4, 1e4], [3e38, -3e38]])
    for added in ("", "softmax", "sigmoid", "sharpened"):
        assert np.isfinite(with_added(z, added)).all()


def test_a_regressor_is_refused(keras: Any, tmp_path: Path) -> None:
    start = keras.Input((6, 6, 1))
    net = keras.Model(start, dense(keras, start, None, 1))
    (tmp_path / "net.keras").touch()
    with pytest.raises(ConversionError, match="trained with mean_squared_error: a regressor"):
        model.from_keras(keras, net, tmp_path / "net.keras", loss=Loss("mean_squared_error"))


def test_an_input_of_open_size(keras: Any, tmp_path: Path) -> None:
    start = keras.Input((None, None, 1))
    net = keras.Model(start, keras.layers.GlobalAveragePooling2D()(maps(keras, start, "softmax")))
    path = saved(net, tmp_path / "net.keras")
    with pytest.raises(ConversionError, match=r"samples of shape \?×\?×1: --input-shape says .*, as 96,96,1"):
        model.load(path)
    with pytest.raises(InputError, match=r"takes samples of shape \?×\?×1, given 6×6×3"):
        model.load(path, input_shape=(6, 6, 3))
    for shape in ((6, 6, 1), lambda its_own: (6, 6, *its_own[2:])):
        given = model.load(path, input_shape=shape)
        assert given.input_shape == (6, 6, 1) and given.calls[0].shapes == ((5, 5, K),)
        np.testing.assert_allclose(given.raw(X), net(X), atol=1e-6)


@pytest.mark.parametrize(("build", "words"), NEITHER.values(), ids=NEITHER)
def test_what_is_neither_is_refused_in_one_line(keras: Any, build: Build, words: str, tmp_path: Path) -> None:
    given = read(keras, build, tmp_path)
    with pytest.raises(ConversionError) as refused:
        settled(given)
    said = str(refused.value)
    assert words in said and "neither probabilities nor logits" in said and len(said) <= 300 and "\n" not in said


def test_own_sigmoids_are_labels_where_there_are_several(keras: Any, tmp_path: Path) -> None:
    given = read(keras, lambda k, x: 1 / (1 + k.ops.exp(-dense(k, x))), tmp_path)
    assert settled(given, SEVERAL_LABELS).decision.kind == "multilabel"
    with pytest.raises(ConversionError, match="neither probabilities nor logits"):
        settled(given)


def test_one_sigmoid_however_it_is_made(keras: Any, tmp_path: Path) -> None:
    for build in (
        lambda k, x: k.layers.Average()(both(k, x, "sigmoid", 1)),
        lambda k, x: k.layers.Maximum()(both(k, x, "sigmoid", 1)),
        lambda k, x: 1 - dense(k, x, "sigmoid", 1),
    ):
        assert settled(read(keras, build, tmp_path)).decision == Decision("binary", 2)
    given = read(keras, lambda k, x: k.layers.Rescaling(0.4)(dense(k, x, "sigmoid", 1)), tmp_path)
    with pytest.raises(ConversionError, match="not the probability of class 1"):
        settled(given)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda k, x: k.ops.softmax(dense(k, x), axis=0), "depends on the other samples"),
        (lambda k, x: k.ops.exp(dense(k, x)), "ends in exponential"),
        (lambda k, x: k.layers.Activation("exponential")(dense(k, x)), "ends in exponential"),
        (lambda k, x: k.layers.ReLU()(dense(k, x)), "ends in relu"),
    ],
)
def test_some_endings_need_no_samples_to_be_refused(keras: Any, build: Build, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=words):
        read(keras, build, tmp_path)


def test_what_samples_have_told_is_kept_in_a_bundle(keras: Any, tmp_path: Path) -> None:
    """The layers alone would have a softmax added."""
    given = read(keras, PROBABILITIES["by hand"], tmp_path)
    assert given.logits and not settled(given).logits
    again = partition.backbone(partition.monolith(settled(given), ()), tmp_path / "net.keras")
    assert not again.logits
    added = partition.backbone(partition.monolith(read(keras, dense, tmp_path), ()), tmp_path / "net.keras")
    assert added.logits


def test_int8_is_refused_before_training_where_steps_are_others(keras: Any, tmp_path: Path) -> None:
    with pytest.raises(
        ConversionError, match=r"ends in Average of softmax \(layers .*leave tflite-int8 and tflm out"
    ):
        int8_cascade.check_ending(settled(read(keras, PROBABILITIES["average"], tmp_path)))
    for fine in (PROBABILITIES["softmax"], PROBABILITIES["column turned"], dense, LABELS["sigmoid"]):
        int8_cascade.check_ending(settled(read(keras, fine, tmp_path)))


def test_answers_decide_beyond_rounding() -> None:
    p = np.random.default_rng(1).dirichlet(np.ones(3), 100).astype(np.float32)
    averaged = Ending("derived", kind="Average", roots=(("softmax", "a"),), computed=False)
    assert told("m:", "x", averaged, p) == OutputMeaning(Decision("softmax", 3))
    assert told("m:", "x", averaged, p * 1.0005).added == ""
    off = p.copy()
    off[70] *= 0.99  # one sample is enough
    with pytest.raises(ConversionError, match=r"from 0\.99 to 1, not 1"):
        told("m:", "x", averaged, off)
    assert told("m:", "x", averaged, off, allowed=2e-2).decision.kind == "softmax"  # half precision
    assert told("m:", "x", Ending(), off) == OutputMeaning(
        Decision("softmax", 3), "softmax"
    )  # a dense layer may give that
    with pytest.raises(InputError, match="NaN or infinite probabilities on x_val"):
        told("m:", "x_val", Ending(), np.full((3, 3), np.nan))


def test_verification_holds_stages_against_the_given_model() -> None:
    decision = Decision("softmax", 3)
    own = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.34, 0.33, 0.33]], np.float32)
    verify.like_given("it", *decision.answers(own + np.float32(2e-4)), own, decision, 1e-3)
    twice = np.exp(own) / np.exp(own).sum(1, keepdims=True)
    with pytest.raises(
        ConversionError, match=r"on 3 of 3 samples another class \(0\) or a confidence that is off by"
    ):
        verify.like_given("it", *decision.answers(twice), own, decision, 1e-3)
    with pytest.raises(ConversionError, match=r"class \(2\)"):
        verify.like_given("it", *decision.answers(own[:, ::-1]), own, decision, 1e-3)
    for measure in ("margin", "entropy"):
        other = replace(decision, measure=measure)
        verify.like_given("it", *other.answers(own), own, other, 1e-3)
