"""Bundles of designs for target classes, of decisions with what earlier exits said, of few samples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import AUGMENT, Run, patched

from eeaug.frameworks import onnx_session
from eeaug.settings.vocabulary import LEAST_ALPHA

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # TF on NumPy 2


@pytest.mark.e2e
def test_what_leaves_early_is_of_the_target(work: Path, run: Run) -> None:
    import onnxruntime

    options = (
        "--target-class",
        "Bag",
        "--max-exits",
        "1",
        "--heads",
        "blueprint,dense-connection",
        "-o",
        "specific",
    )
    done = run(*AUGMENT, *options, cwd=work)
    assert done.code == 0, done.stderr
    report = json.loads((work / "specific" / "report.json").read_bytes())
    manifest = json.loads((work / "specific" / "manifest.json").read_bytes())
    target = report["design"]["target"]
    assert target["choose"]["classes"] == ["Bag"]
    assert len(report["design"]["exits"]) == 1, "an exit that is used, or the test tests nothing"
    assert target["choose"]["costs"]["macs"]["gain"] > 1
    first = manifest["stages"][0]
    assert first["threshold"] >= np.float32(LEAST_ALPHA)
    with np.load(work / "model.npz") as data:
        x, y, number = data["x_test"].astype(np.float32), data["y_test"], list(data["class_names"]).index("Bag")
    session = onnxruntime.InferenceSession(work / "specific" / first["files"]["onnx"])
    (p,) = session.run([first["outputs"]["probabilities"]], {first["inputs"][0]: x})
    leaves = p.max(axis=1) >= np.float32(first["threshold"])
    assert leaves.any() and set(p[leaves].argmax(axis=1)) == {number}
    (exit_,) = target["measured"]["exits"]
    assert exit_["true_positives"] == (leaves & (y == number)).sum()
    assert exit_["false_positives"] == (leaves & (y != number)).sum()
    costs = np.cumsum([stage["macs"] for stage in manifest["stages"]])
    spent = np.where(leaves, *costs)
    whole = report["model"]["macs"]
    assert target["measured"]["costs"]["macs"]["gain"] == pytest.approx(whole / spent[y == number].mean())
    assert target["measured"]["costs"]["macs"]["loss"] == pytest.approx(spent[y != number].mean() / whole)
    assert {stage["processor"] for stage in manifest["stages"]} == {"cm4f"}, "equal MACs: energy decides"
    shown = run("report", "specific", cwd=work)
    assert "Bag" in shown.stdout and "gain" in shown.stdout
    again = run("retarget", "specific", "--max-accuracy-drop", "0.02", "-o", "specific-again", cwd=work)
    assert again.code == 0, again.stderr


@pytest.mark.e2e
def test_a_class_that_is_not_there(work: Path, run: Run) -> None:
    done = run(*AUGMENT, "--target-class", "Trousers", "-o", "nothing", cwd=work)
    assert done.code == 2
    assert done.last_line.startswith("error: --target-class Trousers: no such class; did you mean 'Trouser'?")
    assert not (work / "nothing").exists()


@pytest.fixture(scope="module")
def hearing(work: Path) -> Path:
    arguments = [*AUGMENT, "--max-exits", "2", "--max-accuracy-drop", "0.05", "-o", "hearing", "-q"]
    patched("from eeaug.design import reuse; reuse.WORTH = -1", *arguments, cwd=work)
    return work / "hearing"


@pytest.mark.e2e
def test_stages_say_how_they_hear_and_another_runtime_agrees(hearing: Path, work: Path) -> None:
    manifest, report = (json.loads((hearing / f"{name}.json").read_bytes()) for name in ("manifest", "report"))
    stages, weights = manifest["stages"], report["design"]["reuse"]["weights"]
    assert [stage["reuse"] for stage in stages] == [None, *weights[1:]]
    assert all(row[-1] == 1 and len(row) == k + 1 for k, row in enumerate(weights))
    with np.load(work / "model.npz") as stored:
        x, y = stored["x_test"].astype(np.float32), stored["y_test"]
    said: list[np.ndarray] = []
    tensor = x
    for stage in stages:
        names = [stage["outputs"]["probabilities"], *(t["name"] for t in stage["outputs"]["handover"])]
        p, *onward = onnx_session.session(hearing / stage["files"]["onnx"], 1).run(
            names, {stage["inputs"][0]: tensor}
        )
        said.append(p)
        tensor = onward[0] if onward else tensor
    at, answer = np.full(len(x), len(stages) - 1), np.zeros(len(x), int)
    open_ = np.ones(len(x), bool)
    for k, stage in enumerate(stages):
        log = sum(w * np.log(np.maximum(p, 1e-7)) for w, p in zip(weights[k], said, strict=False))
        q = np.exp(log) / np.exp(log).sum(1, keepdims=True)
        last = k == len(stages) - 1
        leaves = open_ & (last or (stage["threshold"] is not None and q.max(1) >= stage["threshold"]))
        at[leaves], answer[leaves] = k, q[leaves].argmax(1)
        open_ &= ~leaves
    measured = report["design"]["measured"]
    np.testing.assert_allclose(
        np.bincount(at, minlength=len(stages)) / len(x), measured["leave_rates"], atol=1 / len(x)
    )
    assert measured["accuracy"] == pytest.approx((answer == y.ravel()).mean(), abs=1 / len(x))
    assert report["baseline"]["measured"]["accuracy"] == pytest.approx((said[-1].argmax(1) == y.ravel()).mean())


@pytest.mark.e2e
def test_evaluate_and_retarget_hear_too(hearing: Path, work: Path, run: Any) -> None:
    done = run("evaluate", "hearing", "--data", "model.npz", "--baseline", "--json", cwd=work)
    assert done.code == 0, done.stderr
    facts, report = json.loads(done.stdout), json.loads((hearing / "report.json").read_bytes())
    assert facts["accuracy"] == report["design"]["measured"]["accuracy"]
    assert facts["baseline"]["accuracy"] == report["baseline"]["measured"]["accuracy"]
    again = run("retarget", "hearing", "--no-reuse", "-o", "alone", "-q", cwd=work)
    assert again.code == 0, again.stderr
    assert json.loads((work / "alone" / "report.json").read_bytes())["design"]["reuse"] is None
