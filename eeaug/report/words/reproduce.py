"""How to get the same bundle again: the command, its inputs, the versions; and settings as options."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eeaug.report.words.facts import Report
from eeaug.settings import Settings
from eeaug.settings.vocabulary import INHERITED, flag, usual_exits
from eeaug.support.quantities import DROP, as_given

__all__ = ["command", "inputs", "sidecar", "sidecar_name", "versions"]

_BLANK = ("blank", "blank_when", "max_blank_loss")  # what other settings follow from
_DROPS = ("max_accuracy_drop", "max_class_drop", "max_blank_loss")
_TAKEN_AWAY = (
    "max_latency_s", "period_s", "max_ram_bytes", "max_flash_bytes", "max_class_drop", "risk", "exit_at",
    "threshold", "forbid",
)  # fmt: skip


def command(report: Report, manifest: Report, place: str) -> str:
    """The command line that makes this bundle again; ``place`` is the name of its directory.

    The target is the bundle's own hardware.yaml: a profile or a file of that name may have changed since. Model,
    data and earlier bundle have only their base names.
    """
    settings = report["settings"]
    hardware = f"{place}/hardware.yaml"
    earlier = manifest.get("retargeted_from")
    if earlier is not None:
        words = ["eeaug", "retarget", earlier["name"], "--hw", hardware]
        given = {key: settings.get(key) for key in INHERITED}
        none = [part for key in _TAKEN_AWAY if not given[key] for part in (flag(key), "none")]
        words += [*_options({k: v for k, v in given.items() if v not in (None, [])}), *none]
    else:
        source = sidecar_name(report) if sidecar(report, manifest) else report["data"]["source"]
        words = ["eeaug", "augment", report["model"]["file"], "--hw", hardware, "--data", source]
        words += _options(_changed(report))
    return shlex.join([*words, "--threads", str(settings["threads"]), "-o", f"{place}-again"])


def _changed(report: Report) -> dict[str, Any]:
    """Settings that differ from what `eeaug augment` takes without options."""
    asked = report["settings"]
    most_exits = usual_exits(asked["mapping"], asked["thresholds"], len(report["hardware"]["processors"]))
    asks = {key: asked[key] for key in _BLANK if key in asked}
    usual = Settings.of(model=Path(), hardware="", cache=Path(), **asks).as_dict(most_exits)
    usual = {key: value for key, value in usual.items() if key not in asks}
    given = {k: value for k, value in asked.items() if k != "threads" and value is not None}
    return {k: value for k, value in given.items() if value != usual.get(k)}


def _options(settings: Mapping[str, Any]) -> list[str]:
    words: list[str] = []
    for key, value in settings.items():
        if key in ("heads", "target_class", "formats", "background"):
            words += [flag(key), ",".join(value)]
        elif isinstance(value, bool):
            words.append(flag(key) if value else flag(key).replace("--", "--no-", 1))
        elif isinstance(value, list):
            words += [word for one in value for word in (flag(key), str(one))]
        elif key in _DROPS:
            words += [flag(key), as_given(value, DROP)]
        else:
            words += [flag(key), str(value)]
    return words


def sidecar_name(report: Report) -> str:
    return f"{report['model']['file'].partition('.')[0]}.data.yaml"


def sidecar(report: Report, manifest: Report) -> str:
    """What a .data.yaml must say for the samples to be prepared the same way; empty where that needs no saying."""
    if "retargeted_from" in manifest:
        return ""
    raw = {"scale": 1.0, "offset": 0.0, "mean": None, "std": None}
    values: dict[str, Any] = manifest.get("preprocessing") or raw
    parts = values.get("inputs") or {"": values}  # by input, of a model that has several
    lines = []
    for name, steps in parts.items():
        lines += [f"  {name}:"] if name else []
        indent = "    " if name else "  "
        lines += [f"{indent}{key}: {_values(value)}" for key, value in steps.items() if value != raw.get(key)]
    return "\n".join([f"source: {report['data']['source']}", "preprocessing:", *lines]) if lines else ""


def _values(value: Any) -> str:
    if not (isinstance(value, list) and value and isinstance(value[0], list)):
        return str(value)
    shape: list[int] = []
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0]
    return f"array.npy  # {'×'.join(map(str, shape))} values, in manifest.json under preprocessing"


def inputs(manifest: Report) -> tuple[tuple[str, str], ...]:
    """Base name and SHA-256 of what the bundle was made from."""
    earlier = manifest.get("retargeted_from")
    return tuple((i["name"], i["sha256"]) for i in [*([earlier] if earlier else []), *manifest["inputs"]])


def versions(report: Report, manifest: Report) -> str:
    """All that equal bytes need besides, in one line."""
    every = {"eeaug": report["eeaug"], **manifest["versions"]}
    return ", ".join(f"{name} {version}" for name, version in every.items())
