"""The command and its cache: killed and started again, another budget, none at all, a cluster."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import AS_BUNDLE, AUGMENT, EXAMPLES, Bundle, Run, command, environment, hashes, small_data

PARTS = ("start_s", "features_s", "heads_s", "search_s", "bundle_s")  # of a dry run's estimate
CHANGING = ("estimate", "disk_bytes", "cache")  # of what a dry run says: where, and what is there


@pytest.fixture
def place(work: Path, tmp_path: Path) -> Path:
    """A directory of its own with the model and its data."""
    for name in ("model.h5", "model.npz"):
        shutil.copy(work / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("reached", ["data/*", "networks/*/features/*.part", "networks/*/heads/*.npz"])
def test_killed_and_started_again_gives_the_same_bytes(place: Path, bundle: Bundle, run: Run, reached: str) -> None:
    process = subprocess.Popen(
        command(*AS_BUNDLE, "-o", "made"),
        cwd=place, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    for _ in range(3000):
        if any((place / "cache").glob(reached)) or process.poll() is not None:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it had ended before it could be killed"
    assert any((place / "cache").glob(reached)) and not (place / "made").exists()
    done = run(*AS_BUNDLE, "-o", "made", cwd=place)
    assert done.code == 0, done.stderr
    assert hashes(place / "made") == hashes(bundle.path)


def test_another_budget_target_and_places_extract_and_train_nothing(run: Run, bundle: Bundle, work: Path) -> None:
    other = [argument if argument != "psoc6" else "stm32l4r5" for argument in AUGMENT]
    options = (
        "--objective",
        "latency",
        "--max-accuracy-drop",
        "0.03",
        "--forbid",
        "stem_relu",
        "--thresholds",
        "7",
    )
    done = run(*other, *options, "-o", "other", cwd=work)
    assert done.code == 0, done.stderr
    assert "kept from an earlier run" in done.stderr
    assert "train" not in done.stderr and "write the model as ONNX" not in done.stderr


def test_a_dry_run_knows_what_is_kept_and_what_a_run_took(run: Run, bundle: Bundle, work: Path) -> None:
    def dry(*arguments: str) -> dict[str, Any]:
        done = run(*arguments, "--dry-run", "--json", cwd=work)
        assert done.code == 0, done.stderr
        facts: dict[str, Any] = json.loads(done.stdout)
        assert facts["estimate"]["total_s"] == pytest.approx(sum(facts["estimate"][part] for part in PARTS))
        return facts

    new = dry(*AS_BUNDLE, "--no-cache")
    heads = new["search"]["dense_heads"] + new["search"]["convolutional_heads"]
    assert (new["estimate"]["heads_kept"], new["estimate"]["heads_to_train"]) == (0, heads)
    parts = bundle.report["data"]["parts"]
    assert new["estimate"]["samples_to_pass"] == sum(parts[name]["samples"] for name in ("fit", "screen", "choose"))
    other = dry(*AUGMENT, "--max-accuracy-drop", "0.02")  # the same heads, but no run took so long
    same = dry(*AS_BUNDLE)
    for facts in (other, same):
        estimate = facts["estimate"]
        assert (estimate["heads_kept"], estimate["heads_to_train"], estimate["samples_to_pass"]) == (heads, 0, 0)
        assert estimate["features_s"] == estimate["heads_s"] == facts["disk_bytes"] == 0
    assert (other["estimate"].get("from"), same["estimate"].get("from")) == (None, "an earlier run")
    assert {**same, **dict.fromkeys(CHANGING)} == {**new, **dict.fromkeys(CHANGING)}
    text = run(*AS_BUNDLE, "--dry-run", cwd=work)
    assert "start TensorFlow" not in text.stderr and "an earlier run with these settings" in text.stdout


def test_another_x_val_trains_nothing_and_costs_its_own_pass(
    place: Path, bundle: Bundle, work: Path, run: Run
) -> None:
    """Keys follow the part: what fit, screen and test gave stays, and the result is that of an empty cache."""
    shutil.copytree(work / "cache", place / "cache")
    with np.load(EXAMPLES / "fashion_resnet.npz") as every:
        drawn = {"x_val": every["x_val"][300:550], "y_val": every["y_val"][300:550]}
    np.savez(place / "model.npz", **{**small_data(), **drawn})
    before = {path: path.stat().st_size for path in (place / "cache" / "networks").rglob("*.np?")}
    done = run(*AS_BUNDLE, "-o", "made", cwd=place)
    assert done.code == 0, done.stderr
    assert "write the model as ONNX" in done.stderr and "train: " not in done.stderr
    assert "run heads of an earlier run: 12 dense heads" in done.stderr
    after = {path: path.stat().st_size for path in (place / "cache" / "networks").rglob("*.np?")}
    assert before.items() <= after.items()
    heads = [path.stem for path in before if path.parent.name == "heads" and "-" not in path.stem]
    added = [path for path in after.keys() - before.keys() if path.parent.name == "heads"]
    asked = [path.stem.partition("-")[0] for path in added]  # other tests may have left other heads
    assert asked and len(set(asked)) == len(asked) and set(asked) <= set(heads), "answers alone, one file for each"
    tensors = [np.load(path, mmap_mode="r") for path in after.keys() - before.keys() if path.suffix == ".npy"]
    assert tensors and {len(tensor) for tensor in tensors} == {250}
    done = run(*AS_BUNDLE, "-o", "afresh", "--no-cache", cwd=place)
    assert done.code == 0, done.stderr
    one = hashes(place / "made")
    assert one == hashes(place / "afresh")
    of_first = hashes(bundle.path)
    same = {name for name in of_first if name.startswith("search/") and one[name] == of_first[name]}
    assert same == {"search/exits.json", "search/heads.npz", "search/screen.npz"}, "all of it, temperatures too"


def test_other_labels_of_x_val_compute_nothing(place: Path, bundle: Bundle, work: Path, run: Run) -> None:
    shutil.copytree(work / "cache", place / "cache")
    given = small_data()
    given["y_val"] = np.roll(given["y_val"], 3)
    np.savez(place / "model.npz", **given)
    before = {path.name for path in (place / "cache" / "networks").rglob("*.np?")}
    done = run(*AS_BUNDLE, "-o", "made", "--allow-chance", cwd=place)
    assert done.code == 0, done.stderr
    assert {path.name for path in (place / "cache" / "networks").rglob("*.np?")} == before
    assert json.loads((place / "made" / "report.json").read_bytes())["baseline"]["choose"]["accuracy"] < 0.5


def test_no_cache_leaves_none_and_changes_nothing(place: Path, bundle: Bundle, run: Run) -> None:
    done = run(*AS_BUNDLE, "--no-cache", "-o", "made", cwd=place)
    assert done.code == 0, done.stderr
    assert [p.name for p in (place / "cache").rglob("*")] == []
    assert hashes(place / "made") == hashes(bundle.path)


def test_the_cache_is_shown_and_cleared(place: Path, bundle: Bundle, work: Path, run: Run) -> None:
    shutil.copytree(work / "cache", place / "cache")
    shown = run("cache", "show", "--cache-dir", "cache", cwd=place)
    assert shown.code == 0 and "model.h5" in shown.stdout
    assert run("cache", "clear", "--cache-dir", "cache", cwd=place).code == 0
    assert not [p for p in (place / "cache").rglob("*") if p.is_file()]


def test_a_cluster_gives_the_same_bytes(place: Path, bundle: Bundle, run: Run) -> None:
    distributed = pytest.importorskip("distributed", reason="the extra eeaug[distributed] is not installed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as local:
        done = run(*AS_BUNDLE, "--dask", local.scheduler_address, "-o", "made", cwd=place)
    assert done.code == 0, done.stderr
    assert hashes(place / "made") == hashes(bundle.path)


def test_no_cluster_there_is_one_line(place: Path, run: Run) -> None:
    done = run(*AUGMENT, "--dask", "tcp://127.0.0.1:1", cwd=place)
    assert done.code == 2
    assert done.last_line == "error: --dask tcp://127.0.0.1:1: no Dask scheduler answers there"
    both = run(*AUGMENT, "--dask", "tcp://127.0.0.1:1", "--dry-run", cwd=place)
    assert both.code == 2 and "leave --dask out" in both.last_line
