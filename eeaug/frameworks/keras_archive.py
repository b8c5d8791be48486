"""Keras archives whose bytes depend on the model alone."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

__all__ = ["save"]

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip archive can hold


def save(model: Any, path: Path) -> None:
    """Save a Keras model as ``.keras``, without dates and memory addresses.

    Keras writes the time into metadata.json and into every zip entry, and addresses of objects
    (``shared_object_id``) into config.json; the latter are numbered in order of appearance.
    """
    raw = path.with_suffix(".raw.keras")
    model.save(raw)
    try:
        with zipfile.ZipFile(raw) as source, zipfile.ZipFile(path, "w") as target:
            for name in sorted(source.namelist()):
                content = source.read(name)
                if name == "metadata.json":
                    metadata = json.loads(content)
                    metadata.pop("date_saved", None)
                    content = json.dumps(metadata).encode()
                elif name == "config.json":
                    content = json.dumps(_renumbered(json.loads(content), {})).encode()
                target.writestr(zipfile.ZipInfo(name, EPOCH), content)
    finally:
        raw.unlink()


def _renumbered(value: Any, seen: dict[int, int]) -> Any:
    if isinstance(value, dict):
        return {
            key: seen.setdefault(inner, len(seen) + 1) if key == "shared_object_id" else _renumbered(inner, seen)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_renumbered(inner, seen) for inner in value]
    return value
