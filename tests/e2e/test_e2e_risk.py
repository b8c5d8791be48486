"""The command's promises: a proven budget, other confidences, thresholds from training data, operating points."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from conftest import AS_BUNDLE, AUGMENT, Bundle, Run


def made(run: Run, work: Path, name: str, *options: object) -> tuple[dict[str, Any], str]:
    done = run(*AUGMENT, *options, "-o", name, "--force", "--json", cwd=work)
    assert done.code == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def probabilities(bundle: Path, x: np.ndarray) -> list[np.ndarray]:
    """Every stage's, on all samples, by ONNX Runtime alone."""
    manifest, tensor, found = json.loads((bundle / "manifest.json").read_text()), x, []
    for stage in manifest["stages"]:
        session = onnxruntime.InferenceSession(bundle / stage["files"]["onnx"])
        names = [stage["outputs"]["probabilities"], *(t["name"] for t in stage["outputs"]["handover"])]
        p, *onward = session.run(names, {stage["inputs"][0]: tensor})
        found.append(p)
        tensor = onward[0] if onward else None
    return found


def test_a_budget_that_samples_can_prove(run: Run, work: Path, bundle: Bundle) -> None:
    report, _ = made(run, work, "proven", "--promise", "proven", "--risk", "0.1", "--max-accuracy-drop", "0.08")
    parts, given = report["data"]["parts"], report["promise"]
    assert parts["choose"] == {"samples": 300, "of": "x_val"} and set(parts) == {"fit", "screen", "choose", "test"}
    assert (given["promise"], given["kept"], given["samples"], given["unit"]) == ("proven", True, 300, "sample")
    assert given["p_value"] <= 0.1 and given["steps_tested"] >= 1 and given["drop"] < 0.08
    assert "ith probability 0.9" in given["statement"] and "at most 8.0 percentage points" in given["statement"]
    assert report["design"]["exits"]
    loose, _ = made(run, work, "unproven", "--max-accuracy-drop", "0.08")
    assert loose["promise"]["promise"] == "none" and "often larger on new data" in loose["promise"]["statement"]
    assert report["design"]["summary"].count("; proven: at most 8.0 pp on new data, with probability 0.9.") == 1
    cost = [r["design"]["measured"]["mean_macs"] for r in (loose, report)]
    assert cost[0] <= cost[1] < report["baseline"]["measured"]["mean_macs"]


def test_what_cannot_be_proven_is_said_with_what_could_be(run: Run, work: Path, bundle: Bundle) -> None:
    """300 samples without a single error would prove a drop of 0.77 points at a risk of 0.1, not one of 0.5."""
    report, _ = made(run, work, "nothing", "--promise", "proven", "--risk", "0.1", "--max-accuracy-drop", "0.005")
    given = report["promise"]
    assert not given["kept"] and report["design"]["exits"] == []
    assert given["smallest_provable_drop"] > 0.005
    assert "could be proven" in given["statement"]
    assert given["units_for_proof"] == 460  # 0.995 ** 460 < 0.1


def test_few_samples_expect_what_they_cannot_prove(run: Run, work: Path, bundle: Bundle) -> None:
    """By default, and the first line says so, with how many samples would prove it."""
    options = [option for option in AUGMENT if option not in ("--promise", "none")]
    done = run(*options, "--max-accuracy-drop", "0.008", "-o", "expected", "--force", cwd=work)
    assert done.code == 0, done.stderr
    report = json.loads((work / "expected" / "report.json").read_bytes())
    given = report["promise"]
    assert (given["promise"], given["kept"]) == ("expected", True)
    assert given["drop"] + given["standard_error"] <= 0.008 + 1e-9 and given["units_for_proof"] > 300
    lines = " ".join(done.stdout.split())
    assert (f"(about {given['units_for_proof']:,} calibration samples would prove it)") in lines.partition(
        "Expected,"
    )[0]
    assert report["design"]["predicted"]["exact"]["split"] == "choose"
    for point in report["operating_points"]:
        promise = point["promise"]
        assert promise["promise"] == "expected"
        assert (
            not promise["kept"] or promise["drop"] + promise["standard_error"] <= point["max_accuracy_drop"] + 1e-9
        )


@pytest.mark.parametrize("measure", ["margin", "entropy"])
def test_another_confidence(run: Run, work: Path, bundle: Bundle, measure: str) -> None:
    report, _ = made(run, work, measure, "--confidence", measure, "--max-latency", "2.5")
    manifest = json.loads((work / measure / "manifest.json").read_text())
    assert manifest["stages"][0]["metric"] == f"{measure}-softmax"
    data = np.load(work / "model.npz")
    early, final = probabilities(work / measure, data["x_test"].astype(np.float32))
    if measure == "margin":
        ordered = np.sort(early, axis=1)
        sure = ordered[:, -1] - ordered[:, -2]
    else:
        sure = 1 + (early * np.log(np.maximum(early, 1e-30))).sum(axis=1) / np.log(early.shape[1])
    leave = sure >= np.float32(manifest["stages"][0]["threshold"])
    right = np.where(leave, early.argmax(axis=1), final.argmax(axis=1)) == data["y_test"]
    measured = report["design"]["measured"]
    assert measured["leave_rates"][0] == pytest.approx(leave.mean(), abs=1 / 300 + 1e-9)  # one near the threshold
    assert measured["accuracy"] == pytest.approx(right.mean(), abs=1 / 300 + 1e-9)


def test_a_correction_multiplies_thresholds(run: Run, work: Path, bundle: Bundle) -> None:
    report, said = made(run, work, "corrected", "--correction", "0.9", "--max-latency", "2.5")
    (before,), (after,) = bundle.report["design"]["exits"], report["design"]["exits"]
    assert after["threshold"] == float(np.float32(before["threshold"] * 0.9))
    assert report["design"]["measured"]["leave_rates"][0] > bundle.report["design"]["measured"]["leave_rates"][0]
    assert "--correction 0.9" in said and any("--correction 0.9" in text for text in report["warnings"])


def test_thresholds_from_training_data(run: Run, work: Path, bundle: Bundle) -> None:
    report, said = made(run, work, "trained", "--calibrate-on", "train")
    assert report["data"]["parts"]["choose"]["of"] == "x_train"
    assert "--calibrate-on train" in said and "too optimistic" in said
    refused = run(*AUGMENT, "--calibrate-on", "train", "--promise", "proven", "-o", "no", cwd=work)
    assert refused.code == 2 and "--calibrate-on train" in refused.last_line


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--risk", "0.1"), "--risk is about proofs: it cannot be combined with --promise none"),
        (("--promise", "proven", "--efficiency-weight", "0.5"), "--efficiency-weight has no accuracy budget"),
        (("--promise", "expected", "--correction", "0.5"), "--correction changes thresholds"),
        (("--promise", "sure"), "--promise"),
        (("--risk", "1"), "--risk"),
        (("--risk", "nan"), "--risk"),
        (("--correction", "0"), "--correction"),
        (("--confidence", "luck"), "--confidence"),
        (("--points", "2"), "--points"),
    ],
)
def test_contradictions_are_one_line(run: Run, work: Path, options: tuple[str, ...], said: str) -> None:
    done = run(*AUGMENT, *options, "-o", "no", cwd=work)
    assert done.code == 2 and said in done.last_line
    assert not (work / "no").exists()


def test_operating_points_are_a_front(bundle: Bundle) -> None:
    points = bundle.report["operating_points"]
    assert [p["name"] for p in points] == ["careful", "default", "frugal"]
    assert [p["max_accuracy_drop"] for p in points] == [0.005, 0.01, 0.02]
    cost = [p["predicted"]["mean_macs"] for p in points]
    assert cost == sorted(cost, reverse=True) and cost[0] > cost[-1]
    exact = bundle.report["baseline"]["choose"]["accuracy"]
    for point in points:
        assert exact - point["predicted"]["accuracy"] <= point["max_accuracy_drop"] + 1e-9
        assert point["measured"]["samples"] == 300
    default = bundle.report["design"]
    assert points[1]["thresholds"] == [e["threshold"] for e in default["exits"]]
    assert points[1]["measured"] == default["measured"]
    written = {p["name"]: p["thresholds"] for p in bundle.manifest["operating_points"]}
    assert written == {p["name"]: p["thresholds"] for p in points}


def test_one_point_is_the_design(run: Run, work: Path, bundle: Bundle) -> None:
    report, _ = made(run, work, "single", *AS_BUNDLE[len(AUGMENT) :], "--points", "1")
    assert [p["name"] for p in report["operating_points"]] == ["default"]
    five, _ = made(run, work, "five", *AS_BUNDLE[len(AUGMENT) :], "--points", "5")
    assert [p["max_accuracy_drop"] for p in five["operating_points"]] == [0.0025, 0.005, 0.01, 0.02, 0.04]
