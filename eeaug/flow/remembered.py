"""What a run took, for a dry run with the same settings: it says so without starting TensorFlow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from eeaug import data, hardware
from eeaug.backbone.model_files import sha256
from eeaug.errors import EeaugError
from eeaug.settings import Settings
from eeaug.support import cache, checksums

__all__ = ["recall", "save"]

FORMAT = 1  # of the files; part of their key
PACKAGES = ("eeaug", "tensorflow", "keras", "numpy", "onnxruntime", "tf2onnx")
# what the cache does not keep: part of the estimate → steps, as timing.json names them
AGAIN = {
    "start_s": ("import", "load", "graph"),
    "features_s": (),
    "heads_s": ("finetune",),
    "search_s": ("search",),
    "bundle_s": ("export", "handover", "quantise", "verify"),
}


def save(
    settings: Settings, facts: Mapping[str, Any], seconds: Mapping[str, float], begun_s: float, since_s: float
) -> None:
    """Remember a run that has ended well.

    Parameters
    ----------
    facts : as outlook.outlook gives them
    seconds : by step
    begun_s : of the process before the first step; since_s : when that was (Unix time)
    """
    with suppress(EeaugError, OSError):  # the run has ended well whatever becomes of this
        _save(settings, facts, seconds, begun_s, since_s)


def _save(
    settings: Settings, facts: Mapping[str, Any], seconds: Mapping[str, float], begun_s: float, since_s: float
) -> None:
    file = _file(settings)
    if file is None:
        return
    used = [
        path.relative_to(settings.running.cache).as_posix()
        for kind in ("features", "heads")
        for path in settings.running.cache.glob(f"networks/*/{kind}/*.np[yz]")
        if path.stat().st_mtime >= since_s
    ]
    took = {part: sum(seconds.get(step, 0.0) for step in steps) for part, steps in AGAIN.items()}
    took["start_s"] += 1.5 * begun_s
    with cache.writing(settings.running.cache):
        file.parent.mkdir(parents=True, exist_ok=True)
    with cache.publishing(file) as partial_file:
        checksums.write_json(partial_file, file, {"facts": dict(facts), "took": took, "used": sorted(used)})


def recall(settings: Settings) -> dict[str, Any] | None:
    """What a dry run says where such a run has ended well and all that it used is there; else None."""
    try:
        file = _file(settings)
    except (EeaugError, OSError):  # the run says in its order what is wrong
        return None
    kept = None if file is None or not cache.is_there(file) else checksums.read_json(file)
    if file is None or kept is None or not all((settings.running.cache / name).is_file() for name in kept["used"]):
        return None
    cache.touch(file)
    search, took = kept["facts"]["search"], kept["took"]
    return {
        **kept["facts"],
        "estimate": {
            **took,
            "total_s": sum(took.values()),
            "timed_samples": 0,
            "heads_kept": search["dense_heads"] + search["convolutional_heads"],
            "heads_to_train": 0,
            "samples_to_pass": 0,
            "from": "an earlier run",
        },
        "disk_bytes": 0,
        "cache": settings.running.cache.as_posix(),
    }


def _file(settings: Settings) -> Path | None:
    """Where such a run is remembered; None: what it reads is no single file, and may be another one next time."""
    asked, running = settings.input, settings.running
    source = data.locate(asked.data, asked.model)
    if not asked.model.is_file() or source.kind != "npz" or asked.custom_objects or running.dask is not None:
        return None
    read = {
        "model": sha256(asked.model),
        "architecture": None if asked.architecture is None else sha256(asked.architecture),
        "beside": [sha256(path) for path in sorted(asked.model.parent.glob(f"{asked.model.stem}.json"))],
        "data": sha256(Path(source.given)),
        "preprocessing": source.preprocessing.as_dict(),
        "hardware": asdict(hardware.read(asked.hardware)),
    }
    same = replace(running, output=None, force=False, cache=Path(), max_cache_bytes=0)
    named = replace(asked, hardware="", data=None, architecture=None, model=Path(asked.model.name))
    options = [asdict(part) for part in (named, settings.goal, settings.training, same)]
    facts = {**read, "options": options, "format": FORMAT, "versions": [version(name) for name in PACKAGES]}
    return running.cache / "runs" / f"{cache.key(json.loads(json.dumps(facts, default=str)))}.json"
