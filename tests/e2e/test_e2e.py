"""The real command, from a model file to a bundle, and what a user can do wrong on the way."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import AS_BUNDLE, Bundle, Run, hashes, left_over

from eeaug.bundle.directory import dump_json
from eeaug.bundle.entries import Manifest

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # TensorFlow on NumPy 2
]


# -- what the bundle says is what its stages do -------------------------------------------------------


def test_a_manifest_is_written_byte_by_byte_as_it_is_read(bundle: Bundle) -> None:
    text = (bundle.path / "manifest.json").read_text(encoding="utf-8")
    assert dump_json(Manifest.from_dict(json.loads(text)).as_dict()) == text


def test_the_stages_do_what_the_report_says_without_eeaug(bundle: Bundle) -> None:
    """As a user would deploy them: a manifest, ONNX Runtime and NumPy."""
    import onnxruntime

    manifest = json.loads((bundle.path / "manifest.json").read_text())
    data = np.load(bundle.data)
    x, labels = data["x_test"].astype(np.float32), data["y_test"]
    rest, answers, left, cost = np.arange(len(x)), np.zeros(len(x), int), [], 0.0
    for stage in manifest["stages"]:
        session = onnxruntime.InferenceSession(bundle.path / stage["files"]["onnx"])
        names = [stage["outputs"]["probabilities"], *(h["name"] for h in stage["outputs"]["handover"])]
        cost += stage["macs"] * len(rest)
        made = session.run(names, {stage["inputs"][0]: x})
        leaves = made[0].max(axis=1) >= np.float32(-np.inf if len(names) == 1 else stage["threshold"])
        answers[rest[leaves]] = made[0].argmax(axis=1)[leaves]
        left.append(int(leaves.sum()))
        rest, x = rest[~leaves], made[-1][~leaves]
    measured = bundle.report["design"]["measured"]
    assert measured["split"] == "test" and measured["samples"] == len(labels) == sum(left)
    assert measured["accuracy"] == np.mean(answers == labels)
    assert measured["leave_rates"] == [n / len(labels) for n in left]
    assert measured["mean_macs"] == pytest.approx(cost / len(labels), rel=1e-12)
    assert 0 < left[0] < len(labels), "an exit that is used, or the test tests nothing"


def test_evaluate_says_the_same(bundle: Bundle, run: Run, work: Path) -> None:
    done = run("evaluate", "made", "--data", "model.npz", "--cache-dir", "cache", "--json", cwd=work)
    assert (done.code, done.stderr) == (0, "")
    facts, measured = json.loads(done.stdout), bundle.report["design"]["measured"]
    for key in ("samples", "accuracy", "leave_rates"):
        assert facts[key] == measured[key]
    assert facts["mean_macs"] == pytest.approx(measured["mean_macs"], rel=1e-12)


def test_figures_of_the_report_agree_with_each_other(bundle: Bundle) -> None:
    report, manifest = bundle.report, bundle.manifest
    (exit_,) = report["design"]["exits"]
    stages = manifest["stages"]
    assert exit_["threshold"] == stages[0]["threshold"] and stages[-1]["threshold"] is None
    assert exit_["macs"] == stages[0]["macs"]
    assert sum(s["macs"] for s in stages) == report["model"]["macs"] + exit_["head_macs"]
    assert stages[1]["inputs"] == [stages[0]["outputs"]["handover"][0]["name"]]
    budget = report["settings"]["max_accuracy_drop"]
    exact, base = report["design"]["predicted"]["exact"], report["baseline"]["choose"]
    assert base["accuracy"] - exact["accuracy"] <= budget + 1e-9
    assert exact["mean_macs"] < base["mean_macs"] == 9_345_920
    (chosen,) = [p for p in report["benefit_curve"] if p["chosen"]]
    assert chosen["mean_macs"] == exact["mean_macs"]
    assert all(f["disagreements"] == f["near_threshold"] for f in report["verification"]["formats"].values())


# -- streams and files --------------------------------------------------------------------------------


def test_json_on_stdout_is_the_report_and_nothing_else(bundle: Bundle) -> None:
    assert bundle.done.stdout.encode() == (bundle.path / "report.json").read_bytes()
    steps = ("start TensorFlow", "read: data", "read: model", "train: 12 dense heads", "write the stages")
    for step in steps:
        assert re.search(rf"^{step}: \d+\.\d s$", bundle.done.stderr, re.M)
    assert "\x1b" not in bundle.done.stderr and "\r" not in bundle.done.stderr


def test_files_of_the_bundle(bundle: Bundle) -> None:
    found = hashes(bundle.path)
    del found["manifest.json"]
    assert bundle.manifest["files"] == found
    stages = {f"stages/{n}/model.{kind}" for n in ("0-cm4f", "1-cm4f") for kind in ("keras", "onnx")}
    assert set(found) == stages | {
        "report.json", "augmented.keras", "hardware.yaml",
        "search/heads.npz", "search/screen.npz", "search/choose.npz", "search/samples.npz", "search/exits.json",
    }  # fmt: skip
    times = json.loads((bundle.path / "timing.json").read_text())
    assert set(times) == {
        "import", "load", "graph", "convert", "features", "heads", "answers", "search", "finetune", "export",
        "handover", "quantise", "verify", "total",
    }  # fmt: skip
    assert not left_over(bundle.path.parent)
    for path in bundle.path.rglob("*.json"):
        assert str(Path.home()) not in path.read_text() and str(bundle.path.parent) not in path.read_text()


def test_the_augmented_model_and_hardware_can_be_used_again(bundle: Bundle, run: Run) -> None:
    done = run("hw", "check", "hardware.yaml", cwd=bundle.path)
    assert (done.code, done.stdout.split(":")[0]) == (0, "psoc6")


@pytest.mark.parametrize("form", ["text", "json", "markdown"])
def test_report_formats(bundle: Bundle, run: Run, form: str) -> None:
    done = run("report", "made", "--format", form, cwd=bundle.path.parent, env={"PYTHONUTF8": "1"})
    assert (done.code, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    if form == "json":
        assert json.loads(done.stdout) == bundle.report
    else:
        assert f"{100 * bundle.report['design']['measured']['accuracy']:.2f}" in done.stdout
        assert "stem_relu" in done.stdout


@pytest.mark.parametrize("name", ["stages/0-cm4f/model.onnx", "report.json"])
def test_a_changed_byte_is_noticed(copied: Path, run: Run, work: Path, name: str) -> None:
    path = copied / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    for arguments in (("report", copied), ("evaluate", copied, "--data", "model.npz", "--cache-dir", "cache")):
        done = run(*arguments, cwd=work)
        assert (done.code, done.stdout, done.stderr.count("\n")) == (4, "", 1)
        assert name in done.last_line and "has changed" in done.last_line


# -- the same again gives the same bytes --------------------------------------------------------------


def test_equal_runs_give_equal_bytes(bundle: Bundle, run: Run, work: Path) -> None:
    """With the features of the first run; without: test_e2e_cache."""
    done = run(*AS_BUNDLE, "-o", "again", "-q", cwd=work)
    assert done.code == 0, done.stderr
    assert done.stdout == "bundle: again\n"
    assert all(line.startswith("warning: ") for line in done.stderr.splitlines())
    assert hashes(work / "again") == hashes(bundle.path)


@pytest.mark.e2e
def test_the_same_bundle_from_a_file(bundle: Bundle, run: Run, work: Path) -> None:
    """What the fixture gives on the command line, given by a file in another directory."""
    assert AS_BUNDLE[2:] == (
        "--hw", "psoc6", "--effort", "quick", "--promise", "none", "--max-exits", "1", "--cache-dir", "cache",
        "--max-latency", "2.5",
    )  # fmt: skip
    folder = work / "settings"
    folder.mkdir()
    (folder / "run.yaml").write_text(
        "hw: psoc6\neffort: quick\npromise: none\ncache-dir: ../cache\nmax-latency: 2.5\nmax-exits: 1\n"
    )
    done = run("augment", "model.h5", "--config", "settings/run.yaml", "-o", "from-file", cwd=work)
    assert done.code == 0, done.stderr
    assert hashes(work / "from-file") == hashes(bundle.path)
