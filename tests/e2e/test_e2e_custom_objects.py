"""A network with a layer of the user, on masked steps: which files and commands need its code, and which do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import QUICK, Run

from eeaug.backbone import custom_objects, keras_files
from eeaug.errors import InputError
from eeaug.runtime import Cascade

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # TF on NumPy 2
]

CODE = """
import keras
from keras import ops


class Attention(keras.layers.Layer):
    def build(self, shape):
        self.query = self.add_weight(shape=(shape[-1], 1), name="query")

    def call(self, x):
        return ops.sum(x * ops.softmax(ops.matmul(x, self.query), axis=1), axis=1)
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network, its code in a folder, and samples without labels."""
    folder = tmp_path_factory.mktemp("custom")
    (folder / "code").mkdir()
    (folder / "code" / "my_layers.py").write_text(CODE)
    keras = keras_files.import_keras()
    keras.utils.set_random_seed(0)
    names: dict[str, Any] = {}
    exec(CODE, names)
    layers = keras.layers
    start = keras.Input((12,))
    x = layers.Embedding(9, 6, mask_zero=True, name="words")(start)
    x = layers.GRU(8, return_sequences=True, name="steps")(x)
    x = names["Attention"](name="attention")(layers.Conv1D(8, 3, name="conv")(x))
    for name in ("first", "second"):
        x = layers.Dense(32, activation="relu", name=name)(x)
    keras.Model(start, layers.Dense(4, activation="softmax", name="classifier")(x)).save(folder / "net.keras")
    x = np.random.default_rng(0).integers(1, 9, (900, 12)).astype(np.float32)
    x[:, -3:] *= np.random.default_rng(1).random((900, 1)) < 0.5  # steps that are masked
    np.savez(folder / "net.npz", x_train=x[:500], x_val=x[500:700], x_test=x[700:])
    return folder


def test_code_is_named_where_keras_loads_its_layers_and_nowhere_else(desk: Path, run: Run) -> None:
    call = ("augment", "net.keras", *QUICK, "--labels", "none", "-o", "made", "-q")
    refused = run(*call, cwd=desk)
    assert refused.code == 4 and "--custom-objects FILE names the code that has it" in refused.stderr
    code = ("--custom-objects", "code/my_layers.py")
    refused = run(*call, *code, "--format", "c", cwd=desk)
    assert refused.code == 4 and "--format c is not possible" in refused.stderr
    done = run(*call, *code, "--exit-at", "conv", "--format", "tflite", cwd=desk)
    assert done.code == 0, done.stderr
    manifest = json.loads((desk / "made" / "manifest.json").read_text())
    held = manifest["custom_objects"]
    assert held["names"] == ["Attention"] and [file["name"] for file in held["files"]] == ["my_layers.py"]
    assert manifest["settings"]["custom_objects"] == ["my_layers.py"]
    assert not list((desk / "made").rglob("*.py"))

    for command in (("evaluate", "made", "--data", "net.npz", "--labels", "none"), ("report", "made")):
        done = run(*command, cwd=desk)
        assert done.code == 0, done.stderr
    assert "attention (my_layers.Attention): code that was named" in done.stdout.replace("\n", " ")

    retarget = ("retarget", "made", "--max-accuracy-drop", "0.05", "-o", "again", "-q")
    refused = run(*retarget, cwd=desk)
    assert refused.code == 2 and "its model has Attention: give --custom-objects my_layers.py" in refused.stderr
    done = run(*retarget, *code, cwd=desk)
    assert done.code == 0, done.stderr
    assert json.loads((desk / "again" / "manifest.json").read_text())["custom_objects"] == held
    (desk / "code" / "my_layers.py").write_text(CODE.replace("axis=1)", "axis=-2)"))
    done = run(*retarget, *code, "--force", cwd=desk)
    assert done.code == 0 and "my_layers.py: not the code that made was made with" in done.stderr
    (desk / "code" / "my_layers.py").write_text(CODE)


def test_keras_stages_in_python(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for held in ("_objects", "_run", "_files"):
        monkeypatch.setattr(custom_objects, held, {})
    with pytest.raises(InputError, match=r"Keras stages have Attention: give custom_objects=\['my_layers.py'\]"):
        Cascade.load(desk / "made", runtime="keras")
    x = np.load(desk / "net.npz")["x_test"]
    ours = Cascade.load(desk / "made", runtime="keras", custom_objects=[str(desk / "code" / "my_layers.py")])
    onnx = Cascade.load(desk / "made", threads=1).predict(x)
    np.testing.assert_allclose(ours.predict(x).probabilities, onnx.probabilities, atol=1e-5)
