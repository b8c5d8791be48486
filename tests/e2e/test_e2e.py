"""The real command, from a model file to a bundle, and what a user can do wrong on the way."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import AS_BUNDLE, AUGMENT, QUICK, Bundle, Done, Run, environment, hashes, left_over, small_data, valid

from eeaug import hardware
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
    steps = ("start TensorFlow", "read: data", "read: model", "train: 8 dense heads", "write the stages")
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
        "search/heads.npz", "search/choose.npz", "search/samples.npz", "search/exits.json",
    }  # fmt: skip
    times = json.loads((bundle.path / "timing.json").read_text())
    assert set(times) == {
        "import", "load", "graph", "convert", "features", "heads", "search", "finetune", "export", "quantise",
        "verify", "total",
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
    """With the features of the first run, and without."""
    for cache in ("cache", "fresh"):
        done = run(*AS_BUNDLE, "--cache-dir", cache, "-o", f"again-{cache}", "-q", cwd=work)
        assert done.code == 0, done.stderr
        assert done.stdout == f"bundle: again-{cache}\n"
        assert all(line.startswith("warning: ") for line in done.stderr.splitlines())
        assert hashes(work / f"again-{cache}") == hashes(bundle.path)


# -- many runs in one process, for what needs no process of its own -----------------------------------

BATCH = """
import contextlib, io, json, sys
from eeaug.cli.main import run
for name, arguments in json.load(sys.stdin).items():
    out, err = io.StringIO(), io.StringIO()
    out.buffer = io.BytesIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(arguments)
    raw = out.buffer.getvalue().decode()
    print(json.dumps([name, code, out.getvalue() + raw, err.getvalue()]), flush=True)
"""
STEM, FIRST, SECOND = "stem_relu", "stack1_out", "stack2_out"
CHOICES: dict[str, tuple[str, ...]] = {
    "exit-at": ("--exit-at", f"{SECOND}:cm0p"),
    "threshold": ("--exit-at", STEM, "--threshold", f"{STEM}=0.875"),
    "forbid": ("--forbid", STEM, "--forbid", FIRST),
    "no-exits": ("--max-exits", "0"),
    "one-each": ("--mapping", "one-each", "--exit-at", STEM),
    "latency": ("--objective", "latency"),
    "energy": ("--objective", "energy"),
    "weight-0.9": ("--efficiency-weight", "0.9"),
    "weight-0.01": ("--efficiency-weight", "0.01"),
    "independent": ("--scoring", "independent"),
    "two-exits": ("--max-exits", "2", "--exit-at", STEM, "--exit-at", FIRST),
    "slim": ("--slim",),
    "seed": ("--max-latency", "2.5", "--seed", "1"),
    "latency-that-fits": ("--max-latency", "0.125"),
    "zero-drop": ("--max-accuracy-drop", "0"),
    "same-in-a-used-process": ("--max-latency", "2.5"),
}


@pytest.fixture(scope="module")
def broken(work: Path) -> Path:
    """Data files that are wrong, each in its own way."""
    folder = work / "broken"
    folder.mkdir()
    good = small_data()

    def write(name: str, **changes: np.ndarray | None) -> None:
        arrays = {k: v for k, v in {**good, **changes}.items() if v is not None}
        np.savez(folder / f"{name}.npz", **arrays)  # type: ignore[arg-type]

    holes = good["x_val"].astype(np.float32)
    holes[7, 3, 3] = np.nan
    write("nan", x_val=holes)
    late = good["x_test"].astype(np.float32)
    late[299, 0, 0] = np.inf
    write("nan-in-test", x_test=late)
    write("labels", y_val=good["y_val"] + 1)
    write("one-class", y_train=np.zeros_like(good["y_train"]))
    write("no-train", x_train=None, y_train=None)
    write("shape", x_test=good["x_test"][:, :14])
    write("chance", **{f"x_{part}": good[f"x_{part}"][:, ::-1, :] // 64 for part in ("train", "val", "test")})
    write("names", class_names=good["class_names"][:3])
    board = hardware.dump(hardware.read("psoc6")).replace("bytes: 1048576", "bytes: 30000")
    (folder / "small.yaml").write_text(board, encoding="utf-8")
    whole = (work / "model.npz").read_bytes()
    (folder / "cut.npz").write_bytes(whole[: len(whole) // 2])
    return folder


REFUSED: dict[str, tuple[int, tuple[str, ...], str]] = {
    "no-model": (2, ("augment", "modl.h5", *QUICK), "did you mean 'model.h5'"),
    "no-data": (2, (*AUGMENT, "--data", "modle.npz"), "did you mean 'model.npz'"),
    "exit-nowhere": (2, (*AUGMENT, "--exit-at", "stem_rel"), "--exit-at stem_rel: no location of that name"),
    "exit-classifier": (2, (*AUGMENT, "--exit-at", "classifier"), "the classifier itself"),
    "exit-inside": (2, (*AUGMENT, "--exit-at", "stack1_conv1"), "--exit-at stack1_conv1: no location"),
    "processor": (2, (*AUGMENT, "--exit-at", f"{STEM}:cm0"), "did you mean 'cm0p'"),
    "threshold-nowhere": (2, (*AUGMENT, "--threshold", "x=0.5"), "--threshold x: no location"),
    "forbid-nowhere": (2, (*AUGMENT, "--forbid", "x"), "--forbid x: no location"),
    "forbid-and-pin": (2, (*AUGMENT, "--forbid", STEM, "--exit-at", STEM), "both name stem_relu"),
    "too-many-pins": (2, (*AUGMENT, "--exit-at", STEM, "--exit-at", FIRST), "--max-exits is 1"),
    "null-rate": (
        2,
        ("augment", "model.h5", "--hw", "rk3588-cloud", "--max-latency", "1"),
        "processors[0].rates_macs_per_s.default (cpu)",
    ),
    "cache-limit": (2, (*AUGMENT, "--cache-dir", "tiny", "--max-cache", "0.0001"), "--max-cache allows 0.0001 GB"),
    "cache-in-a-file": (2, (*AUGMENT, "--cache-dir", "model.npz/x"), "Not a directory"),
    "nan": (2, (*AUGMENT, "--data", "broken/nan.npz"), "x_val: sample 7 holds NaN"),
    "nan-in-test": (2, (*AUGMENT, "--data", "broken/nan-in-test.npz"), "x_test: sample 299 holds NaN"),
    "labels": (2, (*AUGMENT, "--data", "broken/labels.npz"), "y_val holds the label 10"),
    "one-class": (2, (*AUGMENT, "--data", "broken/one-class.npz"), "one class only"),
    "no-train": (2, (*AUGMENT, "--data", "broken/no-train.npz"), "x_train is missing"),
    "shape": (2, (*AUGMENT, "--data", "broken/shape.npz"), "samples of shape (14, 28, 1)"),
    "chance": (2, (*AUGMENT, "--data", "broken/chance.npz"), "no better than chance"),
    "names": (2, (*AUGMENT, "--data", "broken/names.npz"), "class_names has 3 names"),
    "cut": (2, (*AUGMENT, "--data", "broken/cut.npz"), "truncated"),
    "latency": (3, (*AUGMENT, "--max-latency", "0.1"), "--max-latency 0.125 would fit"),
    "memory": (
        3,
        (*AUGMENT, "--hw", "broken/small.yaml"),
        "memory 'sram' of psoc6: it has 30,000 bytes, the small",
    ),
    "budget": (
        3,
        (*AUGMENT, "--exit-at", STEM, "--threshold", f"{STEM}=0.4", "--max-accuracy-drop", "0"),
        "--max-accuracy-drop",
    ),
}


@pytest.fixture(scope="module")
def batch(bundle: Bundle, work: Path, broken: Path) -> dict[str, Done]:
    """Every choice, then every refusal, in one process after the other runs of its kind."""
    runs = {name: [*AUGMENT, *more, "-o", f"choice-{name}"] for name, more in CHOICES.items()}
    runs |= {f"refused-{name}": [*map(str, args), "-o", "refused"] for name, (_, args, _) in REFUSED.items()}
    runs["refused-json"] = [*AUGMENT, "--max-latency", "0.1", "--json", "-o", "refused"]
    runs["inspect-autoencoder"] = ["inspect", "autoencoder.keras"]
    autoencoder(work / "autoencoder.keras")
    done = subprocess.run(
        [sys.executable, "-c", BATCH],
        input=json.dumps(runs), cwd=work, env=environment(), capture_output=True, text=True, check=True,
        timeout=300,
    )  # fmt: skip
    assert done.stderr == ""
    return {name: Done(*rest) for name, *rest in map(json.loads, done.stdout.splitlines())}


def autoencoder(path: Path) -> None:
    from eeaug.backbone import keras_files

    keras = keras_files.import_keras()
    start = keras.Input((16,))
    middle = keras.layers.Dense(4, activation="relu")(start)
    keras.Model(start, keras.layers.Dense(16, activation="sigmoid")(middle)).save(path)


@pytest.fixture
def choice(batch: dict[str, Done], work: Path) -> Callable[[str], dict[str, Any]]:
    def choice(name: str) -> dict[str, Any]:
        assert batch[name].code == 0, batch[name].stderr
        return valid(work / f"choice-{name}")

    return choice


Choice = Callable[[str], dict[str, Any]]


def exits(report: dict[str, Any]) -> list[tuple[str, str]]:
    return [(e["location"], e["processor"]) for e in report["design"]["exits"]]


def test_exit_at_puts_the_exit_there(choice: Choice) -> None:
    assert exits(choice("exit-at")) == [(SECOND, "cm0p")]


def test_threshold_is_taken_as_given(choice: Choice, work: Path) -> None:
    assert choice("threshold")["design"]["exits"][0]["threshold"] == 0.875
    manifest = json.loads((work / "choice-threshold" / "manifest.json").read_bytes())
    assert [s["threshold"] for s in manifest["stages"]] == [0.875, None]


def test_forbid_takes_the_exit_elsewhere(choice: Choice, bundle: Bundle) -> None:
    ((location, _),) = exits(bundle.report)
    assert location in (STEM, FIRST)
    assert [location for location, _ in exits(choice("forbid"))] == [SECOND]


def test_without_exits_the_model_is_one_stage(choice: Choice, work: Path, run: Run) -> None:
    report = choice("no-exits")
    assert report["design"]["exits"] == []
    assert report["design"]["measured"]["accuracy"] == report["baseline"]["measured"]["accuracy"]
    assert [p.name for p in (work / "choice-no-exits" / "stages").iterdir()] == ["0-cm4f"]
    done = run("evaluate", "choice-no-exits", "--data", "model.npz", "--cache-dir", "cache", "--json", cwd=work)
    assert json.loads(done.stdout)["accuracy"] == report["baseline"]["measured"]["accuracy"]


def test_one_each_uses_every_processor_in_order(choice: Choice) -> None:
    assert [s["processor"] for s in choice("one-each")["design"]["segments"]] == ["cm0p", "cm4f"]
    assert choice("one-each")["design"]["segments"][0]["handover_bytes"] == 28 * 28 * 16


def test_objectives_are_met_best_by_those_who_ask_for_them(choice: Choice, bundle: Bundle) -> None:
    reports = {"macs": bundle.report, "latency": choice("latency"), "energy": choice("energy")}
    for key, name in (("mean_macs", "macs"), ("mean_latency_s", "latency"), ("mean_energy_j", "energy")):
        values = {n: r["design"]["predicted"]["exact"][key] for n, r in reports.items()}
        assert values[name] == min(values.values()), (key, values)
        assert reports[name]["settings"]["objective"] == name


def test_efficiency_weight_trades_cost_for_accuracy(choice: Choice) -> None:
    dear, cheap = (choice(n)["design"]["predicted"]["exact"] for n in ("weight-0.01", "weight-0.9"))
    assert cheap["mean_macs"] < dear["mean_macs"]
    assert cheap["accuracy"] < dear["accuracy"]
    assert choice("weight-0.9")["settings"]["max_accuracy_drop"] is None


def test_independent_scoring_believes_its_own_prediction(choice: Choice) -> None:
    report = choice("independent")
    limit = report["baseline"]["choose"]["accuracy"] - 0.01 - 1e-9
    assert report["design"]["predicted"]["independent"]["accuracy"] >= limit
    assert all(e["threshold"] is None or 0.4 <= e["threshold"] <= 1 for e in report["design"]["exits"])


def test_two_exits_give_three_stages(choice: Choice, work: Path) -> None:
    report = choice("two-exits")
    assert [location for location, _ in exits(report)] == [STEM, FIRST]
    measured = report["design"]["measured"]
    assert len(measured["leave_rates"]) == 3 and sum(measured["leave_rates"]) == pytest.approx(1)
    manifest = json.loads((work / "choice-two-exits" / "manifest.json").read_bytes())
    for before, after in zip(manifest["stages"], manifest["stages"][1:], strict=False):
        assert after["inputs"] == [h["name"] for h in before["outputs"]["handover"]]


def test_slim_leaves_the_search_out(choice: Choice, work: Path) -> None:
    choice("slim")
    assert not (work / "choice-slim" / "search").exists()


def test_another_seed_gives_other_heads(choice: Choice, work: Path, bundle: Bundle) -> None:
    choice("seed")
    heads = "search/heads.npz"
    assert hashes(work / "choice-seed")[heads] != hashes(bundle.path)[heads]


def test_the_latency_that_was_suggested_fits(choice: Choice) -> None:
    assert choice("latency-that-fits")["design"]["measured"]["worst_latency_s"] <= 0.125


def test_no_drop_at_all(choice: Choice) -> None:
    report = choice("zero-drop")
    assert report["design"]["predicted"]["exact"]["accuracy"] >= report["baseline"]["choose"]["accuracy"] - 1e-9


def test_a_used_process_gives_the_same_bytes(choice: Choice, work: Path, bundle: Bundle) -> None:
    choice("same-in-a-used-process")
    assert hashes(work / "choice-same-in-a-used-process") == hashes(bundle.path)


def test_bundles_of_all_choices_are_whole(batch: dict[str, Done], work: Path) -> None:
    for name in CHOICES:
        folder = work / f"choice-{name}"
        valid(folder)
        manifest = json.loads((folder / "manifest.json").read_bytes())
        found = hashes(folder)
        del found["manifest.json"]
        assert manifest["files"] == found
        assert batch[name].stdout.splitlines()[-1] == f"bundle: choice-{name}"


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(batch: dict[str, Done], work: Path, name: str) -> None:
    code, _, words = REFUSED[name]
    done = batch[f"refused-{name}"]
    assert (done.code, done.stdout) == (code, ""), done
    assert done.last_line.startswith("error: ") and words in done.last_line, done.last_line
    assert not (work / "refused").exists() and not left_over(work)


def test_what_fits_no_processor_is_refused_before_training(batch: dict[str, Done]) -> None:
    for name in ("memory", "latency"):
        said = batch[f"refused-{name}"].stderr
        assert "train" not in said and "one pass" not in said


def test_a_limit_that_cannot_be_met_as_json(batch: dict[str, Done]) -> None:
    done = batch["refused-json"]
    facts = json.loads(done.stdout)
    assert done.code == 3 and set(facts) == {"error", "limit", "given", "best"}
    assert (facts["limit"], facts["given"]) == ("max_latency_s", 0.1)
    assert 0.1 < facts["best"] <= 0.125
    assert done.last_line == f"error: {facts['error']}"


def test_an_autoencoder_is_not_supported(batch: dict[str, Done]) -> None:
    done = batch["inspect-autoencoder"]
    assert (done.code, done.stdout) == (4, "")
    assert "not a classifier" in done.last_line
