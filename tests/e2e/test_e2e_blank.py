"""Exits that say "nothing here" before models that are no classifiers, by the real command."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Run, valid
from test_docs import ROOT, commands

from eeaug.backbone import keras_files
from eeaug.runtime import Cascade

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # TF on NumPy 2
]

QUICK = ("--hw", "psoc6", "--effort", "quick", "--cache-dir", "cache")


def frames(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise, with a bright square in every third, and whether there is one."""
    x = rng.normal(0, 0.2, (count, 16, 16, 1)).astype(np.float32)
    y = np.arange(count) % 3 == 0
    for i in np.flatnonzero(y):
        top, left = rng.integers(0, 10, 2)
        x[i, top : top + 6, left : left + 6] += 0.8
    return x, y.astype(np.int64)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A U-Net with two skips, whose mask is of no use, and frames with names of what is there."""
    folder = tmp_path_factory.mktemp("blank")
    keras, rng = keras_files.import_keras(), np.random.default_rng(0)
    keras.utils.set_random_seed(0)
    layers = keras.layers
    start = keras.Input((16, 16, 1))
    stem = layers.Conv2D(8, 3, padding="same", activation="relu", name="stem")(start)
    skip = layers.Conv2D(8, 3, padding="same", activation="relu", name="skip")(stem)
    down = layers.Conv2D(16, 3, strides=2, padding="same", activation="relu", name="down")(skip)
    deep = layers.Conv2D(16, 3, strides=2, padding="same", activation="relu", name="deep")(down)
    up = layers.Concatenate(name="join")([layers.UpSampling2D(name="up")(deep), down])
    up = layers.Conv2D(8, 3, padding="same", activation="relu", name="up_conv")(up)
    up = layers.Concatenate(name="join_again")([layers.UpSampling2D(name="up_again")(up), skip])
    keras.Model(start, layers.Conv2D(2, 1, activation="softmax", name="mask-all")(up)).save(folder / "unet.keras")
    parts = {name: frames(rng, count) for name, count in (("train", 900), ("val", 600), ("test", 300))}
    x = {f"x_{name}": part[0] for name, part in parts.items()}
    named = np.array(["empty", "car"])
    np.savez(folder / "frames.npz", **x, **{f"y_{name}": named[part[1]] for name, part in parts.items()})
    np.savez(folder / "plain.npz", **x)
    return folder


def test_a_segmenter_keeps_its_masks_and_loses_no_more_than_was_proven(places: Path, run: Run) -> None:
    done = run(
        "augment", "unet.keras", "--blank", "--data", "frames.npz", *QUICK, "--max-blank-loss", "5%",
        "--promise", "proven", "--format", "tflite", cwd=places,
    )  # fmt: skip
    assert done.code == 0, done.stderr
    assert "66.7% of the 600 calibration samples (from x_val) are empty" in done.stderr + done.stdout
    report = valid(places / "unet-eeaug")
    design, promise = report["design"], report["promise"]
    assert report["model"]["decision"] == "blank" and report["model"]["classes"] == ["nothing", "something"]
    assert {exit_["location"] for exit_ in design["exits"]} <= {"input", "stem", "skip"}  # before a skip goes on
    assert promise["kept"] and promise["samples"] == 200 and promise["max_accuracy_drop"] == 0.05
    assert (
        "non-empty calibration samples" in promise["statement"]
        and "of samples leave early as empty" in design["summary"]
    )
    given = keras_files.import_keras().models.load_model(places / "unet.keras")
    with np.load(places / "frames.npz") as arrays:
        x, y = arrays["x_test"], arrays["y_test"]
    whole = np.asarray(given(x, training=False))
    for runtime in ("onnx", "keras", "tflite"):
        cascade = Cascade.load(places / "unet-eeaug", runtime=runtime)
        seen = cascade.predict(x)
        blank = np.array(seen.names) == "nothing"
        assert blank.any() and seen.rows.tolist() == np.flatnonzero(~blank).tolist()
        np.testing.assert_allclose(seen.outputs["mask_all"], whole[seen.rows], atol=1e-4)
        lost = float((blank & (y == "car")).sum() / (y == "car").sum())
        assert lost == pytest.approx(1 - design["measured"]["accuracy"], abs=0.011)  # one sample near a threshold
        assert ((seen.exits < len(cascade.stages) - 1) == blank).all()
        least = [cascade.thresholds[k] for k in seen.exits[blank]]
        assert (seen.confidences[blank] >= np.array(least, np.float32)).all()
        np.testing.assert_array_equal(seen.probabilities[blank, 0], seen.confidences[blank])


def test_what_is_about_classes_is_not_for_such_a_bundle(places: Path, run: Run) -> None:
    for words in (("retarget", "unet-eeaug", "-o", "x"), ("evaluate", "unet-eeaug", "--data", "frames.npz")):
        done = run(*words, cwd=places)
        assert done.code == 2 and "unet-eeaug was made with --blank" in done.last_line


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--data", "frames.npz"), "exits before any other model can recognise empty samples: --blank"),
        (
            ("--blank-when", "max(output) < 0", "--data", "plain.npz"),
            "is true of none of the 900 samples of x_train",
        ),
    ],
)
def test_what_does_not_fit_is_told_in_a_line(places: Path, run: Run, words: tuple[str, ...], why: str) -> None:
    done = run("augment", "unet.keras", *words, *QUICK, "-o", "not-there", cwd=places)
    assert done.code in (2, 4) and why in done.last_line and not (places / "not-there").exists()


def test_the_page_works_as_typed(tmp_path: Path, run: Run) -> None:
    """A detector with two outputs; labels, then the model's own scores."""
    page = ROOT / "docs" / "blank.md"
    first, last = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    _python(first, tmp_path)
    for line in commands(page):
        done = run(*shlex.split(line)[1:], cwd=tmp_path, env={"EEAUG_AUGMENT_CACHE_DIR": "cache"})
        assert done.code == 0, f"{line}\n{done.stderr}"
    said = _python(last, tmp_path)
    left = re.match(r"(\d+)% of 800 samples left as nothing", said)
    assert left and int(left[1]) >= 30 and len(said.splitlines()) == 4
    report: dict[str, Any] = valid(tmp_path / "by-scores")
    assert report["settings"]["blank_when"] == "max(scores) < 0.3"
    assert {each["name"]: each["shape"] for each in report["manifest"]["stages"][-1]["outputs"]["returns"]} == {
        "boxes": [4], "scores": [1],
    }  # fmt: skip


def _python(code: str, folder: Path) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
