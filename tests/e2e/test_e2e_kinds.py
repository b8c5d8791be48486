"""Sigmoid and multi-label classifiers, unlabelled data, priors and the dry run, by the real command."""

from __future__ import annotations

import json
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from conftest import AUGMENT, EXAMPLES, QUICK, Bundle, Run, small_data

from eeaug.backbone import keras_files

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # TF on NumPy 2
]

FOOTWEAR, TOPS = (5, 7, 9), (0, 2, 3, 4, 6)


def marks(y: np.ndarray) -> np.ndarray:
    """Three labels of a garment: worn on feet, worn on top, warm."""
    return np.stack([np.isin(y, FOOTWEAR), np.isin(y, TOPS), np.isin(y, (2, 4, 9))], axis=1).astype(np.uint8)


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's backbone with sigmoid classifiers trained on top, and data to match."""
    folder = tmp_path_factory.mktemp("kinds")
    keras = keras_files.import_keras()
    keras.utils.set_random_seed(0)
    data = small_data()
    del data["class_names"]
    given = keras.models.load_model(EXAMPLES / "fashion_resnet.h5", compile=False)
    x = data["x_train"].astype(np.float32)
    targets = {
        "binary": {k: np.isin(v, FOOTWEAR).astype(np.int64) for k, v in data.items() if k[0] == "y"},
        "labels": {k: marks(v) for k, v in data.items() if k[0] == "y"},
        "classes": {k: v for k, v in data.items() if k[0] == "y"},
    }
    pooled = keras.Model(given.inputs, given.get_layer("pool").output).predict(x, verbose=0)
    for kind, ys in targets.items():
        width = {"binary": 1, "labels": 3, "classes": 10}[kind]
        last = keras.layers.Dense(width, activation="sigmoid", name="answer")
        top = keras.Sequential([keras.Input(pooled.shape[1:]), last])
        top.compile(keras.optimizers.Adam(0.05), "binary_crossentropy")
        y = np.eye(10)[ys["y_train"].ravel()] if kind == "classes" else ys["y_train"].reshape(-1, width)
        top.fit(pooled, y, epochs=30, batch_size=64, verbose=0)
        net = keras.Model(given.inputs, last(given.get_layer("pool").output))
        if kind == "classes":  # weights, and their layers beside them, in a zip file
            net.save_weights(folder / "it.weights.h5")
            with zipfile.ZipFile(folder / f"{kind}.zip", "w") as archive:
                archive.write(folder / "it.weights.h5", "project/it.weights.h5")
                archive.writestr("project/it.json", net.to_json())
            np.save(folder / "sigmoids.npy", net.predict(data["x_test"].astype(np.float32), verbose=0))
        else:
            net.save(folder / f"{kind}.keras")
        np.savez(folder / f"{kind}.npz", **{k: ys.get(k, v) for k, v in data.items()})
    np.savez(folder / "plain.npz", **{k: v for k, v in data.items() if k[0] == "x"})
    return folder


def augmented(run: Run, folder: Path, model: str, *more: str) -> dict[str, Any]:
    done = run("augment", model, *QUICK, "--max-latency", "2.5", "--json", *more, cwd=folder)
    assert done.code == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["design"]["exits"], "the tests below need an early exit"
    return report


def answers(folder: Path, x: np.ndarray) -> tuple[list[np.ndarray], list[float]]:
    """Every stage's probabilities on all samples, and the thresholds; imports nothing of eeaug."""
    manifest = json.loads((folder / "manifest.json").read_text())
    tensor, out = x.astype(np.float32), []
    for stage in manifest["stages"]:
        session = onnxruntime.InferenceSession(folder / stage["files"]["onnx"])
        names = [stage["outputs"]["probabilities"], *(h["name"] for h in stage["outputs"]["handover"])]
        p, *onward = session.run(names, {stage["inputs"][0]: tensor})
        out.append(p)
        tensor = onward[0] if onward else tensor
    return out, [stage["threshold"] for stage in manifest["stages"][:-1]]


@pytest.mark.parametrize("kind", ["binary", "labels"])
def test_sigmoids_are_read_as_documented(kinds: Path, run: Run, kind: str) -> None:
    form = "tflm" if find_spec("tflite_micro") else "tflite-int8"
    c = ",c" if find_spec("emx_onnx_cgen") else ""
    report = augmented(run, kinds, f"{kind}.keras", "--format", f"{form}{c}")
    assert all(check["disagreements"] == 0 for check in report["int8"]["checks"].values())
    assert report["int8"]["same_answer"] > 0.9
    assert not c or report["verification"]["formats"]["c"]["disagreements"] in (0, None)  # None: no C compiler
    data = np.load(kinds / f"{kind}.npz")
    y = data["y_test"].reshape(len(data["y_test"]), -1)
    (early, final), (threshold,) = answers(kinds / f"{kind}-eeaug", data["x_test"])
    leave = np.maximum(early, 1 - early).min(axis=1) >= np.float32(threshold)
    right = ((np.where(leave[:, None], early, final) >= 0.5) == y).all(axis=1)
    measured = report["design"]["measured"]
    assert measured["accuracy"] == pytest.approx(right.mean())
    assert measured["leave_rates"] == pytest.approx([leave.mean(), 1 - leave.mean()])
    assert report["baseline"]["measured"]["accuracy"] == pytest.approx(((final >= 0.5) == y).all(axis=1).mean())
    again = run("evaluate", f"{kind}-eeaug", "--data", f"{kind}.npz", "--cache-dir", "cache", "--json", cwd=kinds)
    assert json.loads(again.stdout)["accuracy"] == measured["accuracy"]


def test_sigmoids_of_samples_with_one_label_are_classes(kinds: Path, run: Run) -> None:
    """The largest of them; from a zip file of weights and a description."""
    report = augmented(run, kinds, "classes.zip", "--format", "tflite-int8")
    assert report["model"]["decision"] == "softmax"
    described, read = report["data"]["notes"][:2]
    assert "it.json describes" in described and "its 10 sigmoids are read as one of 10 classes, the largest" in read
    (early, final), (threshold,) = answers(kinds / "classes-eeaug", np.load(kinds / "classes.npz")["x_test"])
    sigmoids, y = np.load(kinds / "sigmoids.npy"), np.load(kinds / "classes.npz")["y_test"].ravel()
    np.testing.assert_array_equal(final.argmax(1), sigmoids.argmax(1))
    assert report["baseline"]["measured"]["accuracy"] == pytest.approx((sigmoids.argmax(1) == y).mean())
    leave = early.max(axis=1) >= np.float32(threshold)
    right = np.where(leave, early.argmax(1), final.argmax(1)) == y
    assert report["design"]["measured"]["accuracy"] == pytest.approx(right.mean())
    assert all(check["disagreements"] == 0 for check in report["int8"]["checks"].values())
    done = run("augment", "classes.zip", "--decision", "multilabel", "-o", "new", *QUICK, "--dry-run", cwd=kinds)
    assert "10 sigmoids" not in done.stderr, "the user has said what they are"


def test_integer_labels_do_not_fit_several_rows_of_ones(kinds: Path, run: Run) -> None:
    done = run("augment", "binary.keras", "--data", "labels.npz", "-o", "new", *QUICK, cwd=kinds)
    assert done.code == 2 and "y_train" in done.last_line


def test_without_labels_the_given_model_is_right(kinds: Path, run: Run, work: Path) -> None:
    done = run(*AUGMENT, "--data", kinds / "plain.npz", "-o", kinds / "unlabelled", cwd=work)
    assert done.code == 2 and "y" in done.last_line
    done = run(
        *AUGMENT, "--data", kinds / "plain.npz", "-o", kinds / "unlabelled", "--labels", "none", "--json",
        "--format", "tflite-int8", cwd=work,
    )  # fmt: skip
    assert done.code == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["int8"]["measured"]["accuracy"] > 0.9
    measured = report["design"]["measured"]
    assert report["baseline"]["measured"]["accuracy"] == 1
    (early, final), (threshold,) = answers(kinds / "unlabelled", np.load(kinds / "plain.npz")["x_test"])
    leave = early.max(axis=1) >= np.float32(threshold)
    agree = np.where(leave, early.argmax(axis=1), final.argmax(axis=1)) == final.argmax(axis=1)
    assert measured["accuracy"] == pytest.approx(agree.mean())
    assert "agreement" in run("report", kinds / "unlabelled", cwd=work).stdout


def test_priors_reweight_accuracy_and_leave_rates(bundle: Bundle, run: Run, work: Path) -> None:
    """With the features of the bundle's run."""
    done = run(*AUGMENT, "-o", "weighted", "--priors", "Bag=0.5,Sneaker=0.3", "--json", cwd=work)
    assert done.code == 0, done.stderr
    report, data = json.loads(done.stdout), np.load(bundle.data)
    (early, final), (threshold,) = answers(work / "weighted", data["x_test"])
    y, names = data["y_test"], list(data["class_names"])
    share = {names.index("Bag"): 0.5, names.index("Sneaker"): 0.3}
    others = sum(c not in share for c in y)
    weight = np.array([share[c] / (y == c).sum() if c in share else 0.2 / others for c in y])
    leave = early.max(axis=1) >= np.float32(threshold)
    right = np.where(leave, early.argmax(axis=1), final.argmax(axis=1)) == y
    measured = report["design"]["measured"]
    assert measured["accuracy"] == pytest.approx(weight @ right)
    assert measured["leave_rates"][0] == pytest.approx(weight @ leave)
    assert report["accuracy_drop_bound_95"] > report["baseline"]["measured"]["accuracy"] - measured["accuracy"]
    wrong = run(*AUGMENT, "-o", "new", "--priors", "Bagg=0.5", cwd=work)
    assert wrong.code == 2 and "Bag" in wrong.last_line
    wrong = run(*AUGMENT, "-o", "new", "--priors", "Bag=0.5", "--labels", "none", cwd=work)
    assert wrong.code == 2 and "--priors" in wrong.last_line


def test_the_dry_run_writes_nothing_and_promises_no_more_than_can_be(run: Run, work: Path) -> None:
    before = sorted(p.name for p in work.iterdir())
    done = run(*AUGMENT, "--max-latency", "0.3", "--dry-run", "--no-cache", "--json", cwd=work)
    assert done.code == 0, done.stderr
    facts = json.loads(done.stdout)
    assert set(before) | {"cache"} == {p.name for p in work.iterdir()} | {"cache"}
    assert facts["estimate"]["total_s"] > 0 and facts["disk_bytes"] > 0
    last = facts["locations"][-1]
    # after stack2 the classifier and 2.81 M of 9.35 M MACs remain; the smallest head costs 320
    assert max(last["best_saving"].values()) == pytest.approx((2_809_856 + 640 - 320) / 9_345_920, abs=1e-6)
    # on psoc6 everything on the small core takes 0.93 s, and two thirds of it more than 0.3 s
    assert last["ruled_out_by"]["latency"] > 0
    text = run(*AUGMENT, "--dry-run", cwd=work)
    assert "stack2_out" in text.stdout and "timed on" in text.stdout


def test_code_in_a_model_is_run_only_if_that_is_allowed(keras: Any, run: Run, work: Path, tmp_path: Path) -> None:
    inner = keras.models.load_model(work / "model.h5", compile=False)
    inputs = keras.Input(inner.input_shape[1:])
    doubled = keras.layers.Lambda(lambda x: x * 2.0, output_shape=inner.input_shape[1:])(inputs)
    keras.Model(inputs, inner(keras.layers.Rescaling(0.5)(doubled))).save(tmp_path / "code.keras")
    options = ("--hw", "psoc6", "--effort", "quick", "--data", work / "model.npz", "--cache-dir", "cache")
    refused = run("augment", "code.keras", *options, cwd=tmp_path)
    assert refused.code != 0 and "--allow-unsafe" in refused.last_line
    done = run("augment", "code.keras", *options, "--allow-unsafe", cwd=tmp_path)
    assert done.code == 0, done.stderr


@pytest.mark.parametrize("family", ["blueprint", "hidden"])
def test_a_signal_leaves_by_a_grid_in_time(run: Run, tmp_path: Path, family: str) -> None:
    """When something happens tells the class, which averages forget; what is cut goes into every format."""
    keras = keras_files.import_keras()
    keras.utils.set_random_seed(0)
    rng, length = np.random.default_rng(0), 67
    y = np.arange(1200) % 8
    x = rng.normal(0, 0.2, (len(y), length, 2)).astype(np.float32)
    start = 8 * y + rng.integers(0, 4, len(y))
    for i in range(4):
        x[np.arange(len(y)), start + i] += 1.0
    cuts = {"train": slice(0, 600), "val": slice(600, 900), "test": slice(900, 1200)}
    np.savez(
        tmp_path / "beats.npz",
        **{f"{n}_{part}": v[at] for part, at in cuts.items() for n, v in (("x", x), ("y", y))},
    )
    layers = keras.layers
    given = keras.Sequential([
        keras.Input((length, 2)),
        *(layers.Conv1D(n, 5, padding="same", activation="relu", name=f"conv_{n}") for n in (4, 8, 16)),
        layers.Flatten(name="flat"),
        layers.Dense(8, activation="softmax", name="classifier"),
    ])  # fmt: skip
    given.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    given.fit(x[:600], y[:600], epochs=3, verbose=0)
    given.save(tmp_path / "beats.keras")
    form = "tflm" if find_spec("tflite_micro") else "tflite-int8"
    c = ",c" if find_spec("emx_onnx_cgen") else ""
    done = run(
        "augment", "beats.keras", "--data", "beats.npz", "--hw", "psoc6", "--promise", "none",
        "--heads", family, "--exit-at", "conv_4", "--cache-dir", "cache", "--format", f"{form}{c},c-int8", "--json",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.code == 0, done.stderr
    report = json.loads(done.stdout)
    head = report["design"]["exits"][0]["head"]
    assert head in {f"{family}-{cells}" for cells in (8, 16, 22)}, "four cells are too few"
    assert report["design"]["measured"]["leave_rates"][0] > 0.5
    checks = {**report["verification"]["formats"], **report["int8"]["checks"]}
    assert all(check["disagreements"] in (0, None) for check in checks.values()), checks
