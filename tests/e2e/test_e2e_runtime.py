"""A real bundle in Python: what runs its files predicts what its report measured."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import EXAMPLES, Bundle

from eeaug.data.preprocessing import Preprocessing
from eeaug.errors import ConversionError
from eeaug.frameworks import runners
from eeaug.runtime import Cascade


@pytest.mark.e2e
def test_both_runtimes_predict_what_the_report_measured(bundle: Bundle) -> None:
    with np.load(bundle.data) as data:
        x, labels = data["x_test"], data["y_test"]
    measured = bundle.report["design"]["measured"]
    found = {name: Cascade.load(bundle.path, runtime=name).predict(x) for name in ("onnx", "keras")}
    for name, said in found.items():
        assert np.mean(said.classes == labels) == measured["accuracy"], name
        assert [float(np.mean(said.exits == k)) for k in range(2)] == measured["leave_rates"], name
    np.testing.assert_allclose(found["onnx"].probabilities, found["keras"].probabilities, atol=1e-5)
    assert (found["onnx"].names[0],) == (bundle.manifest["classes"][found["onnx"].classes[0]],)


@pytest.mark.e2e
def test_a_keras_model_answers_alike_layer_by_layer_and_as_a_graph(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    with np.load(bundle.data) as data:
        x = Preprocessing.from_dict(bundle.manifest["preprocessing"])(data["x_test"][:40])
    model = keras.models.load_model(bundle.path / "augmented.keras", compile=False)
    plain = runners.answering(model)(x)
    monkeypatch.setattr(runners, "KEPT", 0)
    graph = runners.answering(model)
    assert hasattr(graph, "get_concrete_function")
    for name, said in graph(x).items():
        np.testing.assert_allclose(said, plain[name], atol=1e-5)
    assert len(graph(x[:7])[name]) == 7


@pytest.mark.e2e
def test_a_changed_file_is_not_run(copied: Path) -> None:
    (copied / "stages" / "0-cm4f" / "model.onnx").write_bytes(b"another")
    with pytest.raises(ConversionError, match=r"stages/0-cm4f/model\.onnx has changed"):
        Cascade.load(copied)


@pytest.mark.e2e
def test_the_documented_lines_run(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[2] / "docs" / "python.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"```pycon\n(.*?)```", text, flags=re.DOTALL)
    (tmp_path / "examples").mkdir()
    (tmp_path / "fashion_resnet-eeaug").symlink_to(bundle.path)
    (tmp_path / "examples" / "fashion_resnet.npz").symlink_to(EXAMPLES / "fashion_resnet.npz")
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest(lines, {}, "python.md", "python.md", 0)
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert runner.run(test, out=said.append).failed == 0, "".join(said)
    assert len(test.examples) > 5
