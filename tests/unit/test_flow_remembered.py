"""What a run took is recalled for the same settings and inputs, as long as all that it used is there."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eeaug.flow import remembered
from eeaug.settings import Settings

FACTS = {"model": "m.h5", "locations": [], "search": {"dense_heads": 13, "convolutional_heads": 5}}
SECONDS = {"import": 3.0, "load": 0.5, "features": 9.0, "heads": 90.0, "search": 2.0, "export": 1.0, "verify": 0.5}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "m.h5").write_bytes(b"a model")
    np.savez(tmp_path / "m.npz", x_test=np.zeros((4, 2), np.float32), y_test=np.arange(4))
    return Settings.of(model=tmp_path / "m.h5", hardware="psoc6", cache=tmp_path / "cache", threads=1)


def used(settings: Settings) -> Path:
    """A file that a run of now has used, and one that it has not."""
    folder = settings.running.cache / "networks" / "0" / "heads"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("old.npz", "new.npz"):
        (folder / name).write_bytes(b"weights")
    os.utime(folder / "old.npz", (1e9, 1e9))
    return folder / "new.npz"


def saved(settings: Settings) -> Path:
    file = used(settings)
    remembered.save(settings, FACTS, SECONDS, begun_s=1.0, since_s=time.time() - 60)
    return file


def test_what_the_cache_keeps_takes_nothing_again(settings: Settings) -> None:
    assert remembered.recall(settings) is None
    saved(settings)
    facts: Any = remembered.recall(settings)
    estimate = facts["estimate"]
    assert {part: estimate[part] for part in remembered.AGAIN} == {
        "start_s": 5.0, "features_s": 0, "heads_s": 0, "search_s": 2.0, "bundle_s": 1.5,
    }  # fmt: skip
    assert estimate["total_s"] == 8.5
    assert (estimate["heads_kept"], estimate["heads_to_train"], facts["disk_bytes"]) == (18, 0, 0)
    assert json.loads(json.dumps(facts)) == facts


def test_where_something_was_dropped_nothing_is_recalled(settings: Settings) -> None:
    file = saved(settings)
    (file.parent / "old.npz").unlink()  # of another run
    assert remembered.recall(settings) is not None
    file.unlink()
    assert remembered.recall(settings) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"max_latency_s": 2.5}, {"effort": "quick"}, {"threads": 2}, {"seed": 1}, {"formats": ("tflite",)},
        {"hardware": "stm32l4r5"}, {"labels": "none"},
    ],
)  # fmt: skip
def test_other_settings_are_another_run(settings: Settings, changes: dict[str, Any]) -> None:
    saved(settings)
    same = {"model": settings.input.model, "hardware": "psoc6", "cache": settings.running.cache, "threads": 1}
    assert remembered.recall(Settings.of(**same)) is not None
    assert remembered.recall(Settings.of(**{**same, **changes})) is None


def test_the_place_of_the_bundle_and_its_files_do_not_matter(settings: Settings, tmp_path: Path) -> None:
    saved(settings)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("m.h5", "m.npz"):
        (tmp_path / name).rename(elsewhere / name)
    asked = replace(settings.input, model=elsewhere / "m.h5", data=str(elsewhere / "m.npz"))
    running = replace(settings.running, output=tmp_path / "out", force=True, max_cache_bytes=10**9)
    assert remembered.recall(replace(settings, input=asked, running=running)) is not None


@pytest.mark.parametrize("name", ["m.h5", "m.npz"])
def test_other_contents_are_another_run(settings: Settings, tmp_path: Path, name: str) -> None:
    saved(settings)
    if name == "m.h5":
        (tmp_path / name).write_bytes(b"another model")
    else:
        np.savez(tmp_path / name, x_test=np.ones((4, 2), np.float32), y_test=np.arange(4))
    assert remembered.recall(settings) is None


def test_a_damaged_file_says_nothing(settings: Settings) -> None:
    saved(settings)
    (file,) = (settings.running.cache / "runs").iterdir()
    file.write_bytes(file.read_bytes()[:-9])
    assert remembered.recall(settings) is None


def test_what_is_no_single_file_is_not_remembered(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    given = replace(settings, input=replace(settings.input, data=str(tmp_path / "images")))
    remembered.save(given, FACTS, SECONDS, 1.0, 0.0)
    assert not (settings.running.cache / "runs").exists() and remembered.recall(given) is None
