"""Small bundles without a model, and what lies below a folder."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

from eeaug.bundle import directory as bundle


def whole(place: Path, content: str = "x", *, there: bool = False) -> Path:
    """A bundle of one file, and of what is ``there``."""
    place.mkdir(parents=True, exist_ok=there)
    (place / "report.json").write_text(content)
    manifest = {
        "schema_version": bundle.SCHEMA_VERSION, "tool": {"eeaug": "0"}, "files": bundle.hashes(place),
        "stages": [{}], "classes": ["a", "b"], "preprocessing": {"scale": 1.0},
        "decision": {"kind": "softmax", "classes": 2},
    }  # fmt: skip
    (place / "manifest.json").write_text(json.dumps(manifest))
    return place


def deep(place: Path) -> Path:
    """A bundle with a stage and times."""
    (place / "stages" / "0-a").mkdir(parents=True)
    (place / "stages" / "0-a" / "model.onnx").write_text("x")
    whole(place, there=True)
    (place / "timing.json").write_text("{}")
    return place


def snapshot(folder: Path) -> dict[str, Any]:
    return {
        str(path.relative_to(folder)): path.lstat().st_ino
        if path.is_dir() or path.is_symlink()
        else path.read_bytes()
        for path in folder.rglob("*")
        if not stat.S_ISFIFO(path.lstat().st_mode)
    }


def written(place: Path, content: str = "new") -> None:
    with bundle.being_written(place, force=True) as directory:
        assert directory.parent == place.resolve().parent
        (directory / "report.json").write_text(content)
