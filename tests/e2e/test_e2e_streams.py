"""--stream: the real command on scenes made of the example's images, its bundle pushed sample by sample."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import AUGMENT, Run, small_data

from eeaug.bundle.directory import read_manifest
from eeaug.runtime import Cascade

pytestmark = pytest.mark.e2e

LASTS, SCENES = 6, 8  # samples of a scene, scenes of a recording


def scenes(part: str, data: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Each image several times, with a little noise, in recordings."""
    x, y = (np.repeat(data[f"{kind}_{part}"], LASTS, axis=0) for kind in ("x", "y"))
    noisy = np.clip(x.astype(int) + np.random.default_rng(0).integers(-2, 3, x.shape), 0, 255).astype(x.dtype)
    return {f"x_{part}": noisy, f"y_{part}": y, f"groups_{part}": np.arange(len(x)) // (LASTS * SCENES)}


def test_scenes(work: Path, run: Run) -> None:
    data = {key: value[:160] for key, value in small_data().items() if key != "class_names"}
    arrays = {key: array for part in ("train", "val", "test") for key, array in scenes(part, data).items()}
    np.savez(work / "scenes.npz", **arrays)  # type: ignore[arg-type]
    options = (
        "--data",
        "scenes.npz",
        "--stream",
        "--refresh",
        "12",
        "--promise",
        "none",
        "--max-accuracy-drop",
        "0.05",
    )
    done = run(*AUGMENT, *options, "--period", "10s", "--format", "c,c-int8", "--json", "-o", "streams", cwd=work)
    assert done.code == 0, done.stderr
    report, manifest = json.loads(done.stdout), read_manifest(work / "streams")
    stream = report["stream"]
    assert manifest["stream"]["rule"] == stream["rule"] and stream["split"] == "test"
    figures = stream["figures"]
    assert stream["remembers"] and sum(stream["decided_by"]["remembered"]) > 0.3
    assert figures["memory"]["metrics"]["mean_macs"] < 0.8 * figures["alone"]["metrics"]["mean_macs"]

    x, y, groups = (arrays[f"{kind}_test"] for kind in ("x", "y", "groups"))
    recordings = [np.flatnonzero(groups == g) for g in np.unique(groups)]

    def pushed(runtime: str) -> tuple[float, np.ndarray]:
        """How many are right, and where they leave, as shares."""
        cascade = Cascade.load(work / "streams", runtime=runtime)
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
        header = (work / "streams" / folder / "model.h").read_text()
        assert "model_stream_reset" in header and "MODEL_REMEMBERED" in header
    again = run("retarget", "streams", "--max-accuracy-drop", "0.1", "-o", "other", cwd=work)
    assert again.code == 2 and "made with --stream" in again.stderr


def test_which_follows_which_must_be_known(work: Path, run: Run) -> None:
    done = run(*AUGMENT, "--stream", "-o", "none", cwd=work)
    assert done.code == 2 and "has no groups_train and no sequence_train: --stream needs to know" in done.stderr
    assert not (work / "none").exists()
