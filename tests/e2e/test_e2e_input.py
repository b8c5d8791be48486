"""An exit on the model's input: in every format, by the real command; and where only some classes are known there."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from conftest import AUGMENT, QUICK, Run

from eeaug.backbone import keras_files
from eeaug.export.formats import FORMATS

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # TF on NumPy 2
]

OTHERS = ",".join(name for name in FORMATS if name not in ("keras", "onnx"))
QUIET, CLASSES = 0.8, 12  # share of samples that are class 0; classes, so that a head for one is cheaper


@pytest.fixture(scope="module")
def made(run: Run, work: Path) -> Path:
    """A bundle in every format whose first stage is a head alone, and hands over its own input."""
    options = ("--exit-at", "input:cm0p", "--threshold", "input=0.6", "--format", OTHERS, "-o", "at-input")
    done = run(*AUGMENT, *options, "--mapping", "one-each", cwd=work)
    assert done.code == 0, done.stderr
    return work / "at-input"


def read(bundle: Path, name: str = "report.json") -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((bundle / name).read_bytes())
    return loaded


def test_every_format_decides_alike(made: Path) -> None:
    report = read(made)
    (exit_,) = report["design"]["exits"]
    assert (exit_["location"], exit_["processor"]) == ("input", "cm0p")
    first, second = report["design"]["segments"]
    assert (first["from"], first["to"], first["macs"]) == (None, "input", 0)
    assert (second["from"], second["to"], second["macs"]) == ("input", "output", report["model"]["macs"])
    assert first["handover_bytes"] == 28 * 28
    leave = report["design"]["measured"]["leave_rates"]
    assert 0 < leave[0] < 1
    checks = {**report["verification"]["formats"], **report["int8"]["checks"]}
    assert {"keras", "onnx", "tflite", "c", "tflm"} <= set(checks)
    # None: nothing here can run them
    assert all(check["disagreements"] in (0, check["near_threshold"], None) for check in checks.values()), checks


def test_what_is_handed_over_is_the_input(made: Path) -> None:
    (stage, _) = read(made, "manifest.json")["stages"]
    assert [tensor["name"] for tensor in stage["outputs"]["handover"]] == ["handover_input"]
    x = np.load(made / "search" / "samples.npz")["x"]
    session = onnxruntime.InferenceSession(made / stage["files"]["onnx"], providers=["CPUExecutionProvider"])
    (handed,) = session.run(["handover_input"], {"input": x})
    np.testing.assert_array_equal(handed, x)


def test_it_is_evaluated_looked_at_and_taken_away_like_any_other(made: Path, work: Path, run: Run) -> None:
    done = run("evaluate", made, "--data", "model.npz", "--json", cwd=work)
    assert done.code == 0, done.stderr
    measured = read(made)["design"]["measured"]
    assert json.loads(done.stdout)["metrics"]["leave_rates"] == pytest.approx(measured["leave_rates"])
    done = run("report", made, "--format", "html", "-o", "input.html", cwd=work)
    assert done.code == 0 and "input" in (work / "input.html").read_text(), done.stderr
    without = ("--forbid", "input", "--exit-at", "none", "--threshold", "none", "-o", "elsewhere")
    done = run("retarget", made, *without, cwd=work)
    assert done.code == 0, done.stderr
    assert "input" not in [e["location"] for e in read(work / "elsewhere")["design"]["exits"]]


@pytest.fixture(scope="module")
def always_on(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Short signals that are mostly quiet (class 0), which any linear head knows, and a network that knows all."""
    folder = tmp_path_factory.mktemp("always-on")
    keras = keras_files.import_keras()
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    layers = keras.layers
    start = keras.Input((40, 1))
    x = layers.Rescaling(1e-3)(start)  # the head on the input reads what has not been scaled
    for filters in (16, 24):
        x = layers.Conv1D(filters, 5, strides=2, padding="same", activation="relu")(x)
    answer = layers.Dense(CLASSES, activation="softmax")(layers.Flatten()(x))
    net = keras.Model(start, answer)

    def signals(n: int) -> tuple[np.ndarray, np.ndarray]:
        y = rng.integers(0, CLASSES, n)
        wave = np.sin((0.15 + 0.25 * y[:, None]) * np.arange(40) + rng.uniform(0, 6.28, (n, 1)))
        loud = np.where(y == 0, 0.0, 1.0)[:, None]
        level = 3 * loud + loud * wave + 0.2 * rng.normal(size=(n, 40))
        return (1e5 + 1e3 * level[..., None]).astype(np.float32), y

    parts = {name: signals(n) for name, n in (("train", 3000), ("val", 1000), ("test", 1000))}
    net.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    net.fit(parts["train"][0] - np.float32(1e5), parts["train"][1], epochs=15, batch_size=64, verbose=0)
    # the offset goes into the model, too
    shifted = keras.Model(outer := keras.Input((40, 1)), net(layers.Rescaling(1.0, offset=-1e5)(outer)))
    shifted.save(folder / "model.keras")
    np.savez(folder / "model.npz", **{f"{k}_{name}": v for name, xy in parts.items() for k, v in zip("xy", xy)})
    return folder


def test_a_head_that_knows_the_usual_class_lets_it_leave(always_on: Path, run: Run) -> None:
    """Values of 100,000, which half precision cannot hold; a head for one class, in every format."""
    pinned = ("--exit-at", "input", "--threshold", "input=0.9", "--format", OTHERS, "--priors", f"0={QUIET}")
    done = run("augment", "model.keras", *QUICK, *pinned, "-o", "made", cwd=always_on)
    assert done.code == 0, done.stderr
    report = read(always_on / "made")
    (exit_,) = report["design"]["exits"]
    heads = read(always_on / "made", "search/exits.json")
    kinds = Counter(head["head"].partition("-only-")[2] for head in heads if head["location"]["name"] == "input")
    assert kinds["0"], kinds
    assert exit_["location"] == "input" and exit_["head"].endswith("-only-0"), exit_["head"]
    assert report["design"]["measured"]["leave_rates"][0] == pytest.approx(QUIET, abs=0.05)
    assert report["design"]["measured"]["mean_macs"] < 0.3 * report["model"]["macs"]
    checks = {**report["verification"]["formats"], **report["int8"]["checks"]}
    assert all(check["disagreements"] in (0, check["near_threshold"], None) for check in checks.values()), checks
