"""The command that a page gives asks for what the report says: parsed by the real command line."""

from __future__ import annotations

import copy
import importlib
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
from reports import SAMPLE

from eeaug.report.words import reproduce
from eeaug.settings import Settings
from eeaug.settings.vocabulary import usual_exits

RAW = {"scale": 1.0, "offset": 0.0, "mean": None, "std": None}
augment: Any = importlib.import_module("eeaug.cli.augment")
retarget: Any = importlib.import_module("eeaug.cli.retarget")

CHANGES: list[dict[str, Any]] = [
    {},
    {"max_latency_s": None, "max_exits": 3, "effort": "quick", "seed": 7, "reuse": False},
    {"heads": ["trecx", "separable"], "output_name": "x", "thresholds": 9, "max_locations": 4},
    {"max_accuracy_drop": None, "efficiency_weight": 0.3, "objective": "energy", "scoring": "independent"},
    {"target_class": ["cat", "a b"], "least_alpha": 0.9},
    {"formats": ["keras", "onnx", "tflite"]},
    {"formats": ["keras", "onnx", "c"], "c_prefix": "kws"},
    {"promise": "none"},
    {"architecture": "layers.json", "input_shape": "96,96,3", "decision": "single-label"},
    {"promise": "expected"},
    {"recipe": "trecx", "exit_weight": 0.4, "heads": ["trecx"], "max_exits": 1, "reuse": False, "finetune": 10},
    {"exit_at": ["a b:cm0p", "c"], "threshold": ["a b=0.8302000164985657"], "forbid": ["d", "e"], "points": 5},
    {
        "promise": "proven", "risk": 0.05, "confidence": "margin", "labels": "none", "max_class_drop": 0.03,
        "mapping": "one-each",
    },
    {"finetune": 3, "correction": 2 / 3, "calibrate_on": "train", "priors": "cat=0.5"},
]  # fmt: skip


def report_with(changes: dict[str, Any]) -> dict[str, Any]:
    report = copy.deepcopy(SAMPLE)
    report["settings"] |= changes
    return report


def parsed(command: click.Command, words: list[str]) -> dict[str, Any]:
    options = command.make_context("x", list(words)).params
    for name in ("as_json", "quiet", "verbose", "dry_run"):
        options.pop(name)
    return options


@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_augment_is_asked_for_the_same(changes: dict[str, Any]) -> None:
    report = report_with(changes)
    words = shlex.split(reproduce.command(report, {"preprocessing": RAW}, "out"))
    assert words[:2] == ["eeaug", "augment"]
    options = parsed(augment.augment, words[2:])
    options.pop("no_cache")
    settings: Settings = augment._settings(options)
    asked = report["settings"]
    usual = usual_exits(asked["mapping"], asked["thresholds"], len(report["hardware"]["processors"]))
    assert settings.as_dict(usual if options["max_exits"] is None else options["max_exits"]) == asked
    assert (settings.input.model.name, settings.input.hardware, settings.input.data) == (
        "resnet8.h5",
        "out/hardware.yaml",
        "cifar10.npz",
    )


@pytest.mark.parametrize("changes", [c for c in CHANGES if "finetune" not in c], ids=str)
def test_retarget_is_asked_for_the_same(changes: dict[str, Any]) -> None:
    report = report_with(changes)
    manifest = {"retargeted_from": {"name": "first", "sha256": "ab" * 32}, "inputs": []}
    words = shlex.split(reproduce.command(report, manifest, "out"))
    assert words[:3] == ["eeaug", "retarget", "first"]
    options = parsed(retarget.retarget, words[2:])
    given = retarget._changes({k: v for k, v in options.items() if k not in ("directory", "output")})
    wanted = report["settings"]
    found = Settings.of(model=Path(), cache=Path(), **{"max_accuracy_drop": None, **given}).as_dict(
        given["max_exits"]
    )
    for key in reproduce.INHERITED:
        assert found.get(key) == wanted.get(key), key
    assert reproduce.inputs(manifest) == (("first", "ab" * 32),)
    assert reproduce.sidecar(report, manifest | {"preprocessing": RAW | {"scale": 2.0}}) == ""


def test_preprocessing_goes_into_a_sidecar() -> None:
    manifest = {
        "preprocessing": RAW | {"scale": 0.5, "mean": [1.0, 2.0], "std": [[[1.0, 2.0]] * 3] * 4},
        "inputs": [],
    }
    assert reproduce.sidecar(SAMPLE, manifest) == (
        "source: cifar10.npz\npreprocessing:\n  scale: 0.5\n  mean: [1.0, 2.0]\n"
        "  std: array.npy  # 4×3×2 values, in manifest.json under preprocessing"
    )
    assert "--data resnet8.data.yaml " in reproduce.command(SAMPLE, manifest, "out")
