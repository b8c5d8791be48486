"""Doubts about data and model: what is said where the scale is wrong, and nothing where it is right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import EXAMPLES, small_data
from keras_nets import randomized, residual
from reports import SAMPLE

from eeaug.backbone import model
from eeaug.backbone.model import Classifier
from eeaug.cascade.outcomes import Outcomes
from eeaug.data import Data, Part, plausibility
from eeaug.data.plausibility import DOUBT, Seen
from eeaug.data.preprocessing import Preprocessing
from eeaug.errors import InputError
from eeaug.flow import prepare
from eeaug.heads import judge
from eeaug.report.render import terminal
from eeaug.support.progress import Lines, Progress


@pytest.fixture(scope="module")
def example(keras: Any) -> tuple[Classifier, np.ndarray]:
    return model.load(EXAMPLES / "fashion_resnet.h5"), small_data()["x_train"][:96].astype(np.float32)


def test_samples_as_in_training_raise_no_doubt(example: tuple[Classifier, np.ndarray]) -> None:
    given, x = example
    assert plausibility.normalisation(given, x) is None
    assert plausibility.normalisation(given, x[:20] * 7) is None  # too few to tell


@pytest.mark.parametrize(
    ("scale", "offset", "words"),
    [
        (255.0, 0.0, "values spread 2"),  # scaled twice
        (2.0, 0.0, "values spread"),
        (2 / 255, -1.0, "begins with a Rescaling by 0.00392, but the samples go from -1 to 1 only"),
        (1 / 255, 0.0, "but the samples go from 0 to 1 only"),
        (0.4, 0.0, "values spread 1/2."),
        (-1.0, 255.0, "means of values are"),  # black for white
    ],
)
def test_another_scale_is_seen(
    example: tuple[Classifier, np.ndarray], scale: float, offset: float, words: str
) -> None:
    given, x = example
    said = plausibility.normalisation(given, x * np.float32(scale) + np.float32(offset))
    assert said is not None and said.startswith(DOUBT) and words in said and len(said) <= 300
    named = plausibility.normalisation(given, x * np.float32(scale) + np.float32(offset), "x_val")
    assert named == said.replace(DOUBT, f"{DOUBT}x_val: ")


def test_one_part_of_another_sensor_is_named(example: tuple[Classifier, np.ndarray]) -> None:
    given, x = example
    train, val = (Part(f"x_{name}", x[k * 48 : k * 48 + 48], None, None) for k, name in enumerate(("train", "val")))
    dim = replace(val, x=val.x * np.float32(0.4))

    def told(train: Part, val: Part) -> str | None:
        data = Data("d.npz", "", train, val, None, None, Preprocessing())
        asked = prepare._asked(given, data)
        assert asked is not None
        return prepare._scaled_otherwise(given, data, asked)

    assert told(train, val) is None
    assert str(told(train, dim)).startswith(f"{DOUBT}x_val: at the model's first normalisation layer")
    assert str(told(dim, dim)).startswith(f"{DOUBT}at the model's first normalisation layer")


def test_normalisation_that_was_adapted_or_never_trained(keras: Any, tmp_path: Path) -> None:
    layers, x = keras.layers, np.random.default_rng(0).normal(5, 2, (64, 8, 8, 3)).astype(np.float32)
    start = keras.Input((8, 8, 3))
    path = tmp_path / "net.keras"
    path.write_bytes(b"")

    def read(first: Any) -> Classifier:
        y = layers.Dense(3, activation="softmax")(layers.Flatten()(first(start)))
        return model.from_keras(keras, keras.Model(start, y), path)

    adapted = read(layers.Normalization(mean=[5.0] * 3, variance=[4.0] * 3))
    assert plausibility.normalisation(adapted, x) is None
    assert "spread" in str(plausibility.normalisation(adapted, x / 255))
    assert plausibility.normalisation(read(layers.BatchNormalization()), x) is None  # mean 0, variance 1: as made
    assert plausibility.normalisation(model.from_keras(keras, randomized(residual(keras)), path), x) is not None


def outcomes(given: float, exits: list[float], n: int = 1000, seed: int = 0) -> Outcomes:
    rng = np.random.default_rng(seed)
    hard = rng.random(n)  # the same samples are hard for all
    right = np.array([hard < share for share in (*exits, given)])
    return Outcomes(np.zeros(right.shape, np.float32), np.where(right, 1, 0), np.ones(n, np.int64))


def test_an_exit_that_outdoes_the_model() -> None:
    said = plausibility.outdone(outcomes(0.37, [0.5, 0.78]), ["a", "b"])
    assert said is not None and "an exit at b is right on 7" in said and len(said) <= 300
    assert "preprocessing" in said and "other people" in said
    assert plausibility.outdone(outcomes(0.90, [0.85, 0.915]), ["a", "b"]) is None  # a little is usual
    few = Outcomes(np.zeros((2, 60), np.float32), np.ones((2, 60), int), np.ones(60, int))
    few.predicted[1, :5] = 0
    assert plausibility.outdone(few, ["a"]) is None  # 8 points of 60 samples: chance


def test_a_model_that_knows_its_training_samples_by_heart() -> None:
    choose = Seen("choose", 0.95, 1000)
    assert plausibility.overrated(Seen("training", 0.999, 900), choose) is None
    said = plausibility.overrated(Seen("training", 0.999, 900), replace(choose, right=0.78))
    assert said is not None and "by heart" in said and len(said) <= 300
    assert plausibility.overrated(replace(choose, right=0.78), Seen("choose", 0.999, 900)) is None
    every = list(plausibility.doubts(outcomes(0.5, [0.8]), ["a"], Seen("training", 0.99, 1000)))
    assert len(every) == 2 and "an exit at a" in every[0] and "by heart" in every[1]


def test_chance_is_refused_with_all_reasons() -> None:
    few = outcomes(0.78, [])
    with pytest.raises(InputError) as refused:
        judge.check_better_than_chance(few, allow=False)  # one class only: 100 % by naming it
    said = str(refused.value)
    assert all(words in said for words in ("preprocessing", "elsewhere", "labels", "--allow-chance"))
    assert len(said) <= 320 and "\n" not in said
    judge.check_better_than_chance(few, allow=True)


def test_always_naming_the_background_is_no_measure_of_a_stream() -> None:
    labels = np.repeat([0, 1, 2], [900, 50, 50])
    predicted = np.where(np.arange(1000) % 10 == 0, (labels + 1) % 3, labels)  # nine in ten are right
    stream = Outcomes(np.zeros((1, 1000), np.float32), predicted[None], labels)
    judge.check_better_than_chance(stream, allow=False, background=(0,))
    with pytest.raises(InputError, match=r"90\.0% of the calibration samples, no better"):
        judge.check_better_than_chance(stream, allow=False)
    wrong = Outcomes(stream.confidence, np.zeros((1, 1000), int), labels)
    with pytest.raises(InputError, match="no better"):
        judge.check_better_than_chance(wrong, allow=False, background=(0,))
    largest = np.where(labels == 0, 0, 1)  # of events no better than naming one of them, of all samples it is
    events = Outcomes(stream.confidence, largest[None], labels)
    judge.check_better_than_chance(events, allow=False, background=(0,))


def test_doubts_are_said_first() -> None:
    lines: list[str] = []
    progress = Progress(Lines(lines.append))
    progress.warn("some other")
    progress.warn_first(f"{DOUBT}one")
    progress.warn_first(f"{DOUBT}two")
    assert progress.warnings == [f"{DOUBT}one", f"{DOUBT}two", "some other"]
    assert lines[1] == f"warning: {DOUBT}one"
    report = {**SAMPLE, "warnings": progress.warnings}
    shown = terminal.plain(lambda console: console.print(terminal.render(report)))
    words = (f"{DOUBT}one", f"{DOUBT}two", report["design"]["summary"][:30], "some other")
    order = [shown.index(each) for each in words]
    assert order == sorted(order)
    assert shown.count(f"{DOUBT}one") == 1
