"""--stream: the real command on scenes made of the example's images, its bundle pushed sample by sample."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import AUGMENT, Run, small_data
from tflm_parts import STUB, compiled, pushing, recorded
from tools import needs_host_cpp

from eeaug.bundle.directory import read_manifest
from eeaug.runtime import Cascade

pytestmark = pytest.mark.e2e

LASTS, SCENES = 6, 8  # samples of a scene, scenes of a recording


def scenes(part: str, data: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Each image several times, with a little noise, in recordings."""
    x, y = (np.repeat(data[f"{kind}_{part}"], LASTS, axis=0) for kind in ("x", "y"))
    noisy = np.clip(x.astype(int) + np.random.default_rng(0).integers(-2, 3, x.shape), 0, 255).astype(x.dtype)
    return {f"x_{part}": noisy, f"y_{part}": y, f"groups_{part}": np.arange(len(x)) // (LASTS * SCENES)}


@pytest.fixture(scope="module")
def made(work: Path, run: Run) -> tuple[Path, dict[str, np.ndarray], dict[str, Any]]:
    """A bundle whose stages are on two processors, its data, and its report."""
    data = {key: value[:160] for key, value in small_data().items() if key != "class_names"}
    arrays = {key: array for part in ("train", "val", "test") for key, array in scenes(part, data).items()}
    np.savez(work / "scenes.npz", **arrays)  # type: ignore[arg-type]
    options = ("--data", "scenes.npz", "--stream", "--refresh", "12", "--promise", "none", "--period", "10s")
    options += ("--max-accuracy-drop", "0.05", "--mapping", "one-each", "--format", "c,c-int8,tflm")
    done = run(*AUGMENT, *options, "--json", "-o", "streams", cwd=work)
    assert done.code == 0, done.stderr
    return work / "streams", arrays, json.loads(done.stdout)


def test_scenes(made: tuple[Path, dict[str, np.ndarray], dict[str, Any]], run: Run) -> None:
    bundle, arrays, report = made
    manifest, stream = read_manifest(bundle), report["stream"]
    assert manifest["stream"]["rule"] == stream["rule"] and stream["split"] == "test"
    figures = stream["figures"]
    assert stream["remembers"] and sum(stream["decided_by"]["remembered"]) > 0.3
    assert figures["memory"]["metrics"]["mean_macs"] < 0.8 * figures["alone"]["metrics"]["mean_macs"]

    x, y, groups = (arrays[f"{kind}_test"] for kind in ("x", "y", "groups"))
    recordings = [np.flatnonzero(groups == g) for g in np.unique(groups)]

    def pushed(runtime: str) -> tuple[float, np.ndarray]:
        """How many are right, and where they leave, as shares."""
        cascade = Cascade.load(bundle, runtime=runtime)
        streams, right, at = cascade.stream(len(recordings)), 0, np.zeros(len(cascade.stages))
        for t in range(max(map(len, recordings))):
            there = np.array([i for i, rows in enumerate(recordings) if t < len(rows)])
            rows = np.array([recordings[i][t] for i in there])
            said = streams.push(x[rows], there)
            right += int((said.classes == y[rows]).sum())
            at += np.bincount(said.exits, minlength=len(at))
        return right / len(y), at / len(y)

    right, at = pushed("onnx")
    assert right == figures["memory"]["metrics"]["accuracy"]
    np.testing.assert_allclose(at, figures["memory"]["metrics"]["leave_rates"])
    right, at = pushed("tflite-int8")
    int8 = stream["int8"]
    assert int8["rule"] == manifest["stream"]["int8"]["rule"] and int8["state_bytes"] < stream["state_bytes"]
    of_int8 = int8["figures"]["memory" if int8["remembers"] else "alone"]
    assert right == of_int8["accuracy"]
    macs = np.cumsum([stage["macs"] for stage in manifest["stages"]])
    assert at @ macs == pytest.approx(of_int8["mean_macs"])

    for folder in ("c", "c-int8"):
        header = (bundle / folder / "model.h").read_text()
        assert "model_stream_reset" in header and "MODEL_REMEMBERED" in header
    again = run("retarget", "streams", "--max-accuracy-drop", "0.1", "-o", "other", cwd=bundle.parent)
    assert again.code == 2 and "made with --stream" in again.stderr


@needs_host_cpp
def test_the_drivers_of_tflm(made: tuple[Path, dict[str, np.ndarray], dict[str, Any]], tmp_path: Path) -> None:
    """Push() on what TFLM gives for recorded samples decides as the same stream does in Python."""
    bundle, _, _ = made
    with np.load(bundle / "search" / "samples.npz") as samples:
        x = samples["x"]
    loaded = recorded(bundle, x, tmp_path)[-1]
    (tmp_path / "main.cc").write_text(pushing(bundle, loaded))
    program = compiled(tmp_path, [tmp_path / "main.cc", *(bundle / "tflm").glob("*.cc")], STUB, bundle / "tflm")
    printed = subprocess.run([program], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    stream = Cascade.load(bundle, runtime="tflite-int8").stream(1)
    pushed = [stream.push(sample[None], prepared=True) for sample in x]
    expected = [(int(p.exits[0]), int(p.classes[0]), int(p.remembered[0])) for p in pushed]
    assert [tuple(map(int, line.split())) for line in printed.splitlines()] == expected
    assert (
        len({remembered for _, _, remembered in expected}) == 2
        and "cm0p::Push" in (tmp_path / "main.cc").read_text()
    )


def test_other_recordings_are_judged_as_streams(
    made: tuple[Path, dict[str, np.ndarray], dict[str, Any]], run: Run
) -> None:
    """What eeaug evaluate counts of the test part is what the report says of it."""
    bundle, arrays, report = made
    work, stream = bundle.parent, report["stream"]
    figures = stream["figures"]
    told = json.loads(run("evaluate", "streams", "--data", "scenes.npz", "--json", cwd=work).stdout)
    assert told["stream"]["figures"]["memory"]["metrics"]["accuracy"] == told["accuracy"]
    assert told["leave_rates"] == pytest.approx(figures["memory"]["metrics"]["leave_rates"])
    for name, known in figures.items():
        again = told["stream"]["figures"][name]
        assert again["events"] == known["events"] and again["worst_sequence"] == known["worst_sequence"]
        assert again["metrics"]["mean_macs"] == pytest.approx(known["metrics"]["mean_macs"])
    assert told["stream"]["decided_by"] == stream["decided_by"]
    assert told["baseline"]["drop_bound_95"] == stream["drop_bound_95"]
    np.savez(work / "loose.npz", **{key: arrays[key] for key in ("x_test", "y_test")})
    for options, why in (
        (("--data", "loose.npz"), "has no groups_test and no sequence_test: streams decides streams and needs"),
        (("--data", "scenes.npz", "--point", "frugal"), "--point frugal: streams decides streams in one way"),
    ):
        refused = run("evaluate", "streams", *options, cwd=work)
        assert refused.code == 2 and why in refused.last_line
    blind = run("evaluate", "streams", "--data", "scenes.npz", "--labels", "none", cwd=work)
    assert blind.code == 0 and "false alarms" not in blind.stdout.partition("Streams are decided")[0]


def test_which_follows_which_must_be_known(work: Path, run: Run) -> None:
    done = run(*AUGMENT, "--stream", "-o", "none", cwd=work)
    assert done.code == 2 and "has no groups_train and no sequence_train: --stream needs to know" in done.stderr
    assert not (work / "none").exists()
