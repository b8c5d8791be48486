"""A model with an image and numbers beside it: every format, one exit on each side of the hand-over, the same data
again, another target, and Python."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import AUGMENT, Run
from tflm_parts import STUB, compiled
from tools import needs_host, needs_host_cpp, needs_make

import eeaug
from eeaug.backbone import keras_files
from eeaug.runtime import Cascade

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # TF on NumPy 2
]

FORMATS = "tflite,tflite-int8,c,c-int8,tflm"


def drawn(n: int, seed: int) -> dict[str, Any]:
    """The picture tells half of what the class is, the numbers the other half."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 4, n)
    image, meta = rng.normal(0.3, 0.25, (n, 8, 8, 3)), rng.normal(0, 1, (n, 3))
    image[:, :4] += (0.5 * (y // 2))[:, None, None, None]
    meta[:, 0] += 3 * (y % 2)
    return {"x": {"image": (np.clip(image, 0, 1) * 255).astype(np.uint8), "meta": meta.astype(np.float32)}, "y": y}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("several")
    keras = keras_files.import_keras()
    keras.utils.set_random_seed(0)
    layers = keras.layers
    image, meta = keras.Input((8, 8, 3), name="image", dtype="uint8"), keras.Input((3,), name="meta")
    x = layers.Rescaling(1 / 255, name="scale")(image)
    for name in ("first", "second"):
        x = layers.Conv2D(8, 3, padding="same", activation="relu", name=name)(x)
        x = layers.MaxPooling2D(name=f"{name}_pool")(x)
    parts = [layers.Flatten(name="flat")(x), layers.Dense(4, name="numbers")(meta)]
    joined = layers.Concatenate(name="join")(parts)
    x = layers.Dense(24, activation="relu", name="joint")(joined)
    net = keras.Model([image, meta], layers.Dense(4, activation="softmax", name="answer")(x))
    data = {part: drawn(n, seed) for seed, (part, n) in enumerate({"train": 600, "val": 300, "test": 300}.items())}
    net.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    net.fit(data["train"]["x"], data["train"]["y"], epochs=5, verbose=0)
    net.save(folder / "model.keras")
    arrays: dict[str, Any] = {f"y_{part}": one["y"] for part, one in data.items()}
    arrays |= {f"x_{part}.{name}": array for part, one in data.items() for name, array in one["x"].items()}
    np.savez(folder / "model.npz", **arrays)
    return folder


@pytest.fixture(scope="module")
def made(place: Path, run: Run) -> dict[str, Any]:
    words = [word if word != "model.h5" else "model.keras" for word in AUGMENT]
    pinned = [
        "--exit-at",
        "first_pool:cm0p",
        "--exit-at",
        "flat:cm4f",
        "--max-exits",
        "2",
        "--max-accuracy-drop",
        "3%",
    ]
    done = run(*words, *pinned, "--format", FORMATS, "-o", "made", "--json", cwd=place)
    assert done.code == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_every_format_decides_alike(made: dict[str, Any], place: Path) -> None:
    checked = made["verification"]["formats"]
    assert {*checked} == {"keras", "onnx", "tflite", "c"}
    assert {one["disagreements"] for one in checked.values()} <= {0, None}
    for name in ("c-int8", "tflm"):
        assert made["int8"]["checks"][name]["disagreements"] in (0, None), name
    manifest = json.loads((place / "made" / "manifest.json").read_bytes())
    assert [one["name"] for one in manifest["model_inputs"]] == ["image", "meta"]
    assert [one["dtype"] for one in manifest["model_inputs"]] == ["uint8", "float32"]
    first, second, *_ = manifest["stages"]
    assert first["inputs"] == ["image", "meta"], "the exit's head reads the numbers, too"
    assert [(t["name"], t["bytes"]) for t in first["outputs"]["handover"]] == [
        ("handover_first_pool", 4 * 4 * 4 * 8), ("meta", 4 * 3),  # of the widest files
    ]  # fmt: skip
    assert second["inputs"] == ["handover_first_pool", "meta"]


@needs_host
@needs_make
@pytest.mark.parametrize("folder", ["c", "c-int8"])
def test_c_decides_the_recorded_samples_alike(folder: str, made: dict[str, Any], place: Path) -> None:
    where = place / "made" / folder
    done = subprocess.run(["make", "test"], cwd=where, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "samples decided as in" in done.stdout


@needs_host_cpp
def test_tflm_s_drivers_compile(made: dict[str, Any], place: Path, tmp_path: Path) -> None:
    folder = place / "made" / "tflm"
    (code,) = re.findall(r"^```cpp\n(.*?)^```$", (folder / "README.md").read_text(), re.M | re.S)
    (tmp_path / "main.cc").write_text(code)
    compiled(tmp_path, [tmp_path / "main.cc", *folder.glob("*.cc")], STUB, folder)


def test_the_same_data_again_and_in_python(made: dict[str, Any], place: Path, run: Run) -> None:
    done = run("evaluate", "made", "--data", "model.npz", "--json", cwd=place)
    assert done.code == 0, done.stderr
    test = drawn(300, 2)
    found = Cascade.load(place / "made").predict(test["x"])
    measured = made["design"]["measured"]
    assert np.mean(found.classes == test["y"]) == measured["accuracy"]
    assert np.mean(found.exits == 0) == measured["leave_rates"][0]
    bundle = eeaug.open(place / "made")
    assert bundle.cascade().inputs == {"image": (8, 8, 3), "meta": (3,)}


def test_another_target_without_data(made: dict[str, Any], place: Path, run: Run) -> None:
    done = run("retarget", "made", "--hw", "stm32h7a3", "--exit-at", "none", "-o", "moved", cwd=place)
    assert done.code == 0, done.stderr
    manifest = json.loads((place / "moved" / "manifest.json").read_bytes())
    assert [one["name"] for one in manifest["model_inputs"]] == ["image", "meta"]


def test_its_firmware_is_timed_with_all_inputs(made: dict[str, Any], place: Path, run: Run) -> None:
    done = run("hw", "measure", "made", "-o", "firmware", cwd=place)
    assert done.code == 0, done.stderr
    text = (place / "firmware" / "measure_cm4f.c").read_text()
    assert "static int8_t sample[3];" in text and "model_stage_1(&arena, tensor_1, sample, probabilities" in text


def test_fine_tuning(place: Path, made: dict[str, Any], run: Run) -> None:
    words = [word if word != "model.h5" else "model.keras" for word in AUGMENT]
    done = run(*words, "--finetune", "1", "--max-accuracy-drop", "5%", "-o", "tuned", "--json", cwd=place)
    assert done.code == 0, done.stderr


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("x_train.imag", "x_train.imag: the model has no input 'imag'; did you mean 'image'?"),
        ("x_train", "x_train is one array, the model has several inputs: give x_train.image, x_train.meta"),
    ],
)
def test_a_wrong_array_ends_in_one_line(wrong: str, message: str, place: Path, run: Run) -> None:
    with np.load(place / "model.npz") as archive:
        arrays = {wrong if name == "x_train.image" else name: archive[name] for name in archive.files}
    if wrong == "x_train":
        arrays = {name: array for name, array in arrays.items() if name != "x_train.meta"}
    np.savez(place / "wrong.npz", **arrays)
    words = [word if word != "model.h5" else "model.keras" for word in AUGMENT]
    done = run(*words, "--data", "wrong.npz", "-o", "none", cwd=place)
    assert done.code == 2 and done.stderr.strip().splitlines()[-1] == f"error: wrong.npz: {message}"
