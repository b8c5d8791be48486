"""Operating points and new data, by the real command: what is expected, what is outside, and how it is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from conftest import AUGMENT, EXAMPLES, SIZES, Bundle, Run

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # TensorFlow on NumPy 2
]

SAME = "Leave rates and confidences are as on the test set."


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """New samples of the same kind (images that the bundle has not seen), the same ones darker, and unlabelled."""
    folder = tmp_path_factory.mktemp("fresh")
    with np.load(EXAMPLES / "fashion_resnet.npz") as data:
        x, y = (data[f"{kind}_test"][SIZES["test"] :] for kind in "xy")
    dark = (x * 0.4).astype(x.dtype)
    np.savez(folder / "same.npz", x_test=x, y_test=y)
    np.savez(folder / "dark.npz", x_test=dark, y_test=y)
    np.savez(folder / "unlabelled.npz", x_test=x)
    np.savez(folder / "unlabelled-dark.npz", x_test=dark)
    np.savez(folder / "few.npz", x_test=x[:7], y_test=y[:7])
    return folder


@pytest.fixture
def said(run: Run, work: Path, bundle: Bundle) -> Any:
    """Facts of ``evaluate --json``."""

    def said(data: Path, *more: object, place: Path | None = None) -> dict[str, Any]:
        options = ("--data", data, "--cache-dir", "cache", "--json", *more)
        done = run("evaluate", place or bundle.path, *options, cwd=work)
        assert (done.code, done.stderr) == (0, ""), done.stderr
        facts: dict[str, Any] = json.loads(done.stdout)
        return facts

    return said


def stages_alone(bundle: Bundle, x: np.ndarray) -> list[np.ndarray]:
    """Probabilities of every stage on every sample; imports nothing of eeaug."""
    tensor, out = x.astype(np.float32), []
    for stage in bundle.manifest["stages"]:
        session = onnxruntime.InferenceSession(bundle.path / stage["files"]["onnx"])
        names = [stage["outputs"]["probabilities"], *(h["name"] for h in stage["outputs"]["handover"])]
        p, *onward = session.run(names, {stage["inputs"][0]: tensor})
        out.append(p)
        tensor = onward[0] if onward else tensor
    return out


def outside(facts: dict[str, Any]) -> set[tuple[str, str]]:
    return {(s["stage"], s["statistic"]) for s in facts["reference"]["statistics"] if s["outside"]}


# -- operating points ---------------------------------------------------------------------------------


def test_points_use_their_thresholds_and_the_report_measured_the_same(bundle: Bundle, said: Any) -> None:
    listed = {point["name"]: point for point in bundle.report["operating_points"]}
    thresholds = {point["name"]: point["thresholds"] for point in bundle.manifest["operating_points"]}
    assert set(thresholds) == {"careful", "default", "frugal"}
    early, final = stages_alone(bundle, np.load(bundle.data)["x_test"])
    y, rates = np.load(bundle.data)["y_test"], []
    for name, (threshold,) in thresholds.items():
        leave = early.max(axis=1) >= np.float32(np.inf if threshold is None else threshold)
        facts = said(bundle.data, "--point", name)
        assert facts["point"] == name
        assert facts["leave_rates"] == [leave.mean(), (~leave).mean()] == listed[name]["measured"]["leave_rates"]
        right = np.where(leave, early.argmax(axis=1), final.argmax(axis=1)) == y
        assert facts["accuracy"] == right.mean() == listed[name]["measured"]["accuracy"]
        assert facts["reference"]["outside"] == 0
        rates.append(leave.mean())
    assert rates == sorted(rates) and rates[0] < rates[-1], "careful keeps more samples than frugal"


def test_unknown_points_are_named(bundle: Bundle, run: Run, work: Path) -> None:
    done = run("evaluate", "made", "--data", "model.npz", "--point", "lavish", "--cache-dir", "cache", cwd=work)
    assert (done.code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "'lavish'" in done.last_line and "careful, default, frugal" in done.last_line


# -- new data -----------------------------------------------------------------------------------------


def test_the_manifest_records_the_test_part(bundle: Bundle) -> None:
    recorded = bundle.manifest["reference"]
    measured = {point["name"]: point["measured"] for point in bundle.report["operating_points"]}
    assert (recorded["part"], recorded["samples"]) == ("test", SIZES["test"])
    early, _ = stages_alone(bundle, np.load(bundle.data)["x_test"])
    for point in recorded["points"]:
        assert [e["leave_rate"] for e in point["exits"]] == measured[point["name"]]["leave_rates"]
        mean = point["exits"][0]["reached"]["mean_confidence"]
        assert mean == pytest.approx(early.max(axis=1).mean(), abs=1e-5)


def test_new_data_of_the_same_kind_is_within(said: Any, fresh: Path) -> None:
    facts = said(fresh / "same.npz")
    assert outside(facts) == set() and facts["verdict"] == SAME
    assert facts["reference"]["samples_served_as"] == []
    facts = said(fresh / "few.npz")
    assert (facts["samples"], outside(facts)) == (7, set())


def test_darker_images_are_a_shift(said: Any, fresh: Path, bundle: Bundle) -> None:
    facts = said(fresh / "dark.npz")
    assert {("0-cm4f", "leave_rate"), ("0-cm4f", "reached_confidence")} <= outside(facts)
    rate = facts["reference"]["statistics"][0]
    low, high = rate["interval"]
    assert rate["observed"] == facts["leave_rates"][0] < low < rate["expected"] < high
    assert rate["expected"] == bundle.report["design"]["measured"]["leave_rates"][0]
    said_so = (
        f"Shift from the test set: {100 * rate['observed']:.2f} % leave at 0-cm4f, {100 * low:.2f} to "
        f"{100 * high:.2f} % expected"
    )
    assert facts["verdict"].startswith(said_so)
    assert facts["verdict"].endswith("The thresholds are for other data.")


def test_no_labels_are_needed_to_tell(said: Any, fresh: Path, run: Run, work: Path) -> None:
    for kind in ("", "-dark"):
        facts = said(fresh / f"unlabelled{kind}.npz", "--labels", "none")
        labelled = said(fresh / ("dark.npz" if kind else "same.npz"))
        assert labelled["accuracy"] is not None and facts["accuracy"] is None
        assert {stage["accuracy"] for stage in facts["stages"]} == {None}
        for key in ("leave_rates", "mean_macs", "reference", "verdict"):
            assert facts[key] == labelled[key]
    done = run("evaluate", "made", "--data", fresh / "unlabelled.npz", "--cache-dir", "cache", cwd=work)
    assert done.code == 2 and "y_test" in done.last_line


def test_a_terminal_says_it_in_a_sentence(bundle: Bundle, run: Run, work: Path, fresh: Path) -> None:
    for name, ending in (("same", SAME), ("dark", "The thresholds are for other data.")):
        options = ("--data", fresh / f"{name}.npz", "--cache-dir", "cache")
        done = run("evaluate", "made", *options, cwd=work, env={"PYTHONUTF8": "1"})
        assert (done.code, done.stderr) == (0, "")
        assert done.stdout.splitlines()[-1].endswith(ending)
        assert ("outside" in done.stdout) == (name == "dark")


# -- the parts of augment's own data -------------------------------------------------------------------


def test_parts_of_one_kind_are_no_shift(bundle: Bundle) -> None:
    compared = bundle.report["shift"]
    assert [(c["reference"], c["part"], c["outside"]) for c in compared["comparisons"]] == [
        ("choose", "test", 0), ("screen", "choose", 0),
    ]  # fmt: skip
    rate = next(s for s in compared["comparisons"][0]["statistics"] if s["statistic"] == "leave_rate")
    assert rate["expected"] == bundle.report["design"]["predicted"]["exact"]["leave_rates"][0]
    assert rate["observed"] == bundle.report["design"]["measured"]["leave_rates"][0]
    assert not any(warning.startswith("Doubtful") for warning in bundle.report["warnings"])


def test_another_sensor_is_the_first_thing_said(work: Path, run: Run) -> None:
    arrays = dict(np.load(work / "model.npz"))
    arrays["x_test"] = (arrays["x_test"] * 0.2).astype(arrays["x_test"].dtype)
    np.savez(work / "dim.npz", **arrays)  # type: ignore[arg-type]
    options = ("--max-latency", "2.5", "--data", "dim.npz", "-o", "dim", "-q")
    done = run(*AUGMENT, *options, cwd=work)
    assert done.code == 0, done.stderr
    report = json.loads((work / "dim" / "report.json").read_bytes())
    test, screen = report["shift"]["comparisons"]
    assert test["outside"] > 1 and test["statistics"][0]["statistic"] == "accuracy" and not screen["outside"]
    layer, said = report["warnings"][:2]
    assert layer.startswith("Doubtful: x_test: at the model's first normalisation layer")
    assert said.startswith("Doubtful: the test set is not like the calibration set: the given model is right on ")
    right = f"{100 * report['baseline']['measured']['accuracy']:.2f} % of its samples"
    assert right in said and "other people" in said
    assert f"warning: {said}" in done.stderr


# -- what is no new data, or no reference -------------------------------------------------------------


def test_samples_that_the_bundle_was_made_with_are_no_new_data(bundle: Bundle, said: Any) -> None:
    facts = said(bundle.data)
    assert facts["reference"]["samples_served_as"] == ["test"]
    assert facts["verdict"] == f"x_test is no new data: it was the test set when the bundle was made. {SAME}"
    assert said(bundle.data, "--part", "val")["reference"]["samples_served_as"] == ["choose"]


# -- against the given model --------------------------------------------------------------------------


def test_baseline_says_what_is_lost_on_new_data(bundle: Bundle, said: Any, fresh: Path) -> None:
    with np.load(fresh / "dark.npz") as data:
        (early, final), y = stages_alone(bundle, data["x_test"]), data["y_test"]
    (threshold,) = (stage["threshold"] for stage in bundle.manifest["stages"][:-1])
    leave = early.max(axis=1) >= np.float32(threshold)
    answers, given = np.where(leave, early.argmax(axis=1), final.argmax(axis=1)), final.argmax(axis=1)
    facts, plain = said(fresh / "dark.npz", "--baseline"), said(fresh / "dark.npz")
    against = facts.pop("baseline")
    assert plain.pop("baseline") is None and facts == plain
    assert against["accuracy"] == (given == y).mean()
    assert against["drop"] == pytest.approx((given == y).mean() - (answers == y).mean())
    assert against["drop"] < against["drop_bound_95"] < against["drop"] + 0.05
    unlabelled = said(fresh / "unlabelled-dark.npz", "--labels", "none", "--baseline")["baseline"]
    assert unlabelled["accuracy"] is None
    assert unlabelled["drop"] == pytest.approx((answers != given).mean())


def test_no_bound_from_samples_that_a_choice_has_seen(bundle: Bundle, said: Any) -> None:
    against = said(bundle.data, "--part", "val", "--baseline")["baseline"]
    assert against["drop_bound_95"] is None and against["drop_bound_95_missing"] == (
        "x_val was used as calibration set"
    )
    test = said(bundle.data, "--baseline")["baseline"]
    assert test["drop_bound_95"] == bundle.report["accuracy_drop_bound_95"]
