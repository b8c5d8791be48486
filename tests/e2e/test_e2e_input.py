"""An exit on the model's input, which knows the usual class only: in every format, by the real command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from conftest import QUICK, Run

from eeaug.backbone import keras_files
from eeaug.export.formats import FORMATS

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # TF on NumPy 2
]

OTHERS = ",".join(name for name in FORMATS if name not in ("keras", "onnx", "triton", "vela"))
QUIET, CLASSES, LENGTH = 0.8, 12, 40  # share of samples that are class 0; of a signal


@pytest.fixture(scope="module")
def always_on(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Signals that are mostly quiet (class 0), which a linear head can tell, and a network that tells all."""
    folder = tmp_path_factory.mktemp("always-on")
    keras = keras_files.import_keras()
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    # values of 100,000: half precision has none, and the head on the input reads what no layer has scaled
    start = keras.Input((LENGTH, 1))
    x = keras.layers.Rescaling(1e-3, offset=-100)(start)
    for filters in (16, 24):
        x = keras.layers.Conv1D(filters, 5, strides=2, padding="same", activation="relu")(x)
    answer = keras.layers.Dense(CLASSES, activation="softmax")(keras.layers.Flatten()(x))
    net = keras.Model(start, answer)

    def signals(n: int) -> tuple[np.ndarray, np.ndarray]:
        y = rng.integers(0, CLASSES, n)
        phase = rng.uniform(0, 2 * np.pi, (n, 1))
        # a mark of five positions up, five down: on fewer than eight cells nothing is left of it
        mark = 3 * (-1.0) ** (np.arange(LENGTH) // 5)
        wave = mark + np.sin((0.15 + 0.25 * y[:, None]) * np.arange(LENGTH) + phase)
        level = np.where(y[:, None] == 0, 0, wave) + 0.2 * rng.normal(size=(n, LENGTH))
        return (1e5 + 1e3 * level[..., None]).astype(np.float32), y

    parts = {name: signals(n) for name, n in (("train", 3000), ("val", 1000), ("test", 1000))}
    net.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    net.fit(*parts["train"], epochs=15, batch_size=64, verbose=0)
    net.save(folder / "model.keras")
    np.savez(folder / "model.npz", **{f"{k}_{part}": parts[part]["xy".index(k)] for part in parts for k in "xy"})
    return folder


@pytest.fixture(scope="module")
def made(always_on: Path, run: Run) -> Path:
    """A bundle in every format whose first stage is a head alone, and hands over its own input."""
    pinned = ("--exit-at", "input:cm0p", "--threshold", "input=0.9", "--mapping", "one-each")
    asked = ("--format", OTHERS, "--priors", f"0={QUIET}")
    done = run("augment", "model.keras", *QUICK, *pinned, *asked, "-o", "made", cwd=always_on)
    assert done.code == 0, done.stderr
    return always_on / "made"


def read(bundle: Path, name: str = "report.json") -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((bundle / name).read_bytes())
    return loaded


def test_the_usual_class_leaves_before_the_first_layer(made: Path) -> None:
    report = read(made)
    (exit_,) = report["design"]["exits"]
    assert (exit_["location"], exit_["processor"]) == ("input", "cm0p")
    assert exit_["head"].endswith("-only-0"), exit_["head"]
    first, second = report["design"]["segments"]
    assert (first["from"], first["to"], first["macs"]) == (None, "input", 0)
    assert (second["from"], second["to"], second["macs"]) == ("input", "output", report["model"]["macs"])
    assert first["handover_bytes"] == 4 * LENGTH + 4  # in float C, behind the number of the build
    measured = report["design"]["measured"]
    assert measured["leave_rates"][0] == pytest.approx(QUIET, abs=0.05)
    assert measured["mean_macs"] < 0.3 * report["model"]["macs"]
    assert report["baseline"]["measured"]["accuracy"] - measured["accuracy"] < 0.02


def test_every_format_decides_alike(made: Path) -> None:
    report = read(made)
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


def test_it_is_evaluated_shown_and_taken_away_like_any_other(made: Path, always_on: Path, run: Run) -> None:
    done = run("evaluate", made, "--data", "model.npz", "--json", cwd=always_on)
    assert done.code == 0, done.stderr
    evaluated = json.loads(done.stdout)
    # not weighted: as many as are of that class
    assert evaluated["samples"] == 1000 and evaluated["leave_rates"][0] == pytest.approx(1 / CLASSES, abs=0.03)
    done = run("report", made, "--format", "html", "-o", "input.html", cwd=always_on)
    assert done.code == 0 and "input" in (always_on / "input.html").read_text(), done.stderr
    without = ("--forbid", "input", "--exit-at", "none", "--threshold", "none", "-o", "elsewhere")
    done = run("retarget", made, *without, cwd=always_on)
    assert done.code == 0, done.stderr
    assert "input" not in [e["location"] for e in read(always_on / "elsewhere")["design"]["exits"]]
