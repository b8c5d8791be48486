"""Choices and refusals, many runs in one process, for what needs no process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import AUGMENT, QUICK, Bundle, Done, Run, environment, hashes, left_over, small_data, valid

from eeaug import hardware

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # TensorFlow on NumPy 2
]

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
    "forbid": ("--forbid", "input", "--forbid", STEM, "--forbid", FIRST),
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
    "exit-without-heads": (
        2,
        (*AUGMENT, "--exit-at", "input", "--heads", "separable"),
        "no head of --heads separable fits there",
    ),
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
    assert location in ("input", STEM, FIRST)
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
