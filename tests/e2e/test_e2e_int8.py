"""int8 files of the real command: boundaries, thresholds, what the report says of them, equal bytes, retarget."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import AS_BUNDLE, AUGMENT, Run, hashes, patched

from eeaug.runtime import Cascade

pytestmark = pytest.mark.e2e
INT8 = (*AS_BUNDLE, "--format", "tflite-int8", "--thresholds", "20")


@pytest.fixture(scope="module")
def made(run: Run, work: Path) -> Path:
    done = run(*INT8, "-o", "int8", cwd=work)
    assert done.code == 0, done.stderr
    return work / "int8"


def read(bundle: Path, name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((bundle / f"{name}.json").read_bytes())
    return loaded


def cascade(bundle: Path, x: np.ndarray, kernels: Any) -> tuple[np.ndarray, np.ndarray]:
    """Exit and class of every sample, by LiteRT alone, as its documentation and the manifest have it."""
    from ai_edge_litert.interpreter import Interpreter

    stages = read(bundle, "manifest")["stages"]
    runs = []
    for stage in stages:
        run = Interpreter(str(bundle / stage["files"]["tflite-int8"]), experimental_op_resolver_type=kernels)
        runs.append((run.get_signature_runner("serving_default"), stage))
    found = []
    for sample in x:
        takes = stages[0]["int8"]["inputs"]["input"]
        tensor = np.clip(np.round(sample[None] / takes["scale"]) + takes["zero_point"], -128, 127).astype(np.int8)
        said: list[np.ndarray] = []
        for k, (run, stage) in enumerate(runs):
            assert stage["int8"]["requantised_from"] is None
            given = run(**{stage["inputs"][0]: tensor})
            said.append((given["probabilities"][0].astype(int) + 128) / 256)
            p = said[-1]
            if stage["reuse"]:
                q = np.prod(
                    [np.maximum(p, 1 / 512) ** w for w, p in zip(stage["reuse"], said, strict=True)], axis=0
                )
                p = q / q.sum()
            constant = stage["int8"]["constant"]
            sure = min(np.floor(256 * p.max() + 0.5), 255) - 128
            if k + 1 == len(runs) or (constant is not None and sure >= constant):
                found.append((k, p.argmax()))
                break
            tensor = given[stage["outputs"]["handover"][0]["name"]]
    exits, classes = np.array(found).T
    return exits, classes


def test_the_runtime_predicts_what_the_report_measured(made: Path, work: Path) -> None:
    data, report = np.load(work / "model.npz"), read(made, "report")
    rates = {}
    for runtime, facts in (("tflite", report["design"]), ("tflite-int8", report["int8"])):
        loaded = Cascade.load(made, runtime=runtime)
        found = loaded.predict(data["x_test"], batch=48)
        measured = facts["measured"]
        assert np.mean(found.classes == data["y_test"]) == pytest.approx(measured["accuracy"], abs=1e-9), runtime
        rates[runtime] = [float(np.mean(found.exits == k)) for k in range(len(loaded.stages))]
        assert rates[runtime] == pytest.approx(measured["leave_rates"], abs=1e-9), runtime
    int8 = Cascade.load(made, runtime="tflite-int8")
    assert int8.thresholds == tuple(exit_["threshold"] for exit_ in report["int8"]["exits"])
    for point in report["int8"]["operating_points"]:
        assert int8.at(point["name"]).thresholds == tuple(point["thresholds"])


def test_the_report_is_what_the_files_do(made: Path, work: Path) -> None:
    from ai_edge_litert.interpreter import OpResolverType

    report, data = read(made, "report"), np.load(work / "model.npz")
    int8 = report["int8"]
    x = data["x_test"].astype(np.float32)
    exits, classes = cascade(made, x, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    assert int8["kernels"] == "optimised"
    assert int8["measured"]["samples"] == len(x)
    assert int8["measured"]["accuracy"] == pytest.approx((classes == data["y_test"]).mean(), abs=1e-9)
    rates = np.bincount(exits, minlength=len(int8["exits"]) + 1) / len(x)
    np.testing.assert_allclose(int8["measured"]["leave_rates"], rates, atol=1e-9)
    assert int8["same_answer"] > 0.9
    assert (
        int8["accuracy_drop_bound_95"] > report["baseline"]["measured"]["accuracy"] - int8["measured"]["accuracy"]
    )
    budget = report["baseline"]["choose"]["accuracy"] - int8["predicted"]["accuracy"]
    assert budget <= report["settings"]["max_accuracy_drop"] + 1e-9
    assert int8["predicted"]["leave_rates"][0] > 0.2  # something leaves


def test_boundaries_agree_and_constants_are_int8(made: Path) -> None:
    manifest, report = read(made, "manifest"), read(made, "report")
    stages = manifest["stages"]
    for stage, following in pairwise(stages):
        (handed,) = stage["outputs"]["handover"]
        assert stage["int8"]["outputs"][handed["name"]] == following["int8"]["inputs"][handed["name"]]
    for stage, exit_ in zip(stages[:-1], report["int8"]["exits"], strict=True):
        own = stage["int8"]
        assert own["outputs"]["probabilities"] == {"scale": 1 / 256, "zero_point": -128}
        assert (own["threshold"], own["constant"]) == (exit_["threshold"], exit_["constant"])
        assert -128 < own["constant"] <= 127 and own["constant"] == np.ceil(256 * own["threshold"]) - 128
    assert stages[-1]["int8"]["constant"] is None
    assert report["int8"]["calibration_samples"] == 60  # all of screen
    assert "quantise" in read(made, "timing")


def test_both_cascades_stand_side_by_side(made: Path, run: Run) -> None:
    report = read(made, "report")
    for form in ("text", "markdown"):
        shown = run("report", made, "--format", form, cwd=made.parent).stdout
        assert "Float and int8 on 300 test samples" in shown
        assert f"(int8 {report['int8']['exits'][0]['constant']})" in shown
        assert "Operating points in int8" in shown
    page = run("report", made, "--format", "html", cwd=made.parent).stdout
    assert "<h2>Float and int8 on 300 test samples</h2>" in page and "the same answer as the float cascade" in page
    (row,) = [line for line in shown.split("Float and int8")[1].splitlines() if line.startswith("| accuracy | ")]
    accuracies = [report["baseline"], report["design"], report["int8"]]
    assert row.count("%") == 3
    assert [float(cell.strip(" %")) for cell in row.split("|")[2:5]] == [
        pytest.approx(100 * block["measured"]["accuracy"], abs=0.01) for block in accuracies
    ]


def test_the_same_bytes_again(made: Path, run: Run, work: Path) -> None:
    done = run(*INT8, "-o", "again8", cwd=work)
    assert done.code == 0, done.stderr
    assert hashes(work / "again8") == hashes(made)


def test_a_proof_of_the_int8_cascade_itself(run: Run, work: Path) -> None:
    done = run(
        *AUGMENT, "--promise", "proven", "--risk", "0.1", "--max-accuracy-drop", "0.08", "--max-class-drop", "90%",
        "--format", "tflite-int8", "-o", "proven8",
        "--json", cwd=work,
    )  # fmt: skip
    assert done.code == 0, done.stderr
    int8 = json.loads(done.stdout)["int8"]
    assert int8["promise"]["samples"] == 300
    if int8["promise"]["kept"]:
        assert int8["promise"]["statement"].startswith("Proven: ")
    else:
        assert all(exit_["threshold"] is None for exit_ in int8["exits"])


def test_a_budget_that_int8_misses_writes_nothing(run: Run, work: Path) -> None:
    """Here int8 stages that always say the same class."""
    change = "from dataclasses import replace; import eeaug.export.int8.int8_cascade as i; compared = i.compared; "
    change += "i.compared = lambda own, given: compared(replace(own, predicted=0 * own.predicted), given)"
    with pytest.raises(AssertionError, match=r"the int8 stages lose .* leave tflite-int8 out of --format"):
        patched(change, *INT8, "-o", "missed", cwd=work)
    assert not (work / "missed").exists()


def test_int8_needs_data(made: Path, run: Run, work: Path) -> None:
    refused = run("retarget", made, "--format", "tflite-int8", "-o", "other8", cwd=work)
    assert refused.code == 2
    assert "int8 ranges and thresholds are found on data" in refused.last_line
    done = run("retarget", made, "--max-accuracy-drop", "0.03", "-o", "other8", cwd=work)
    assert done.code == 0, done.stderr
    assert "tflite-int8 files are left out" in done.stderr
    stages = read(work / "other8", "manifest")["stages"]
    assert all(set(stage["files"]) == {"keras", "onnx", "tflite"} for stage in stages)
    assert read(work / "other8", "report")["int8"] is None


@pytest.mark.parametrize(
    ("name", "words"), [("tflit", "did you mean 'tflite'?"), ("int8", "there are keras, onnx")]
)
def test_unknown_formats(run: Run, work: Path, name: str, words: str) -> None:
    done = run(*AUGMENT, "--format", f"onnx,{name}", "-o", "nowhere", cwd=work)
    assert done.code == 2 and f"--format {name}: no such format" in done.last_line and words in done.last_line
    assert not (work / "nowhere").exists()


def test_a_missing_package_is_named_before_any_work(work: Path) -> None:
    change = "import eeaug.export.formats as f; f.find_spec = lambda name: None"
    with pytest.raises(AssertionError, match=r"--format tflite needs a package .* pip install ai-edge-litert"):
        patched(change, *AUGMENT, "--format", "tflm", "-o", "nowhere", cwd=work)
    with pytest.raises(AssertionError, match=r"--format tflm needs a package .* pip install 'eeaug\[mcu\]'"):
        patched(change.replace("None", "name != 'tflite_micro' or None"), *AUGMENT, "--format", "tflm", cwd=work)
