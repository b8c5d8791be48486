"""``--format vela`` through the command: files, manifest, report."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import AUGMENT, Run

from eeaug.frameworks import tflite_file

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(find_spec("ethosu") is None, reason="the package ethos-u-vela is not installed"),
]


def test_the_second_processor_s_stage_is_compiled_for_its_npu(work: Path, run: Run) -> None:
    options = ("--hw", "psoc-edge-e84", "--exit-at", "stem_relu:m33", "--mapping", "one-each")
    done = run(*AUGMENT, *options, "--format", "vela", "-o", "npu", cwd=work)
    assert done.code == 0, done.stderr
    manifest = json.loads((work / "npu" / "manifest.json").read_text(encoding="utf-8"))
    first, second = manifest["stages"]
    assert ("vela" in first, first["processor"], second["processor"]) == (False, "m33", "m55")
    assert second["vela"]["accelerator"] == "ethos-u55-128"
    assert manifest["versions"]["ethos-u-vela"]
    content = (work / "npu" / second["files"]["vela"]).read_bytes()
    assert tflite_file.operators(content) == ("CUSTOM",)
    report = json.loads(run("report", "npu", "--format", "json", cwd=work).stdout)
    facts = report["int8"]["stages"][1]["vela"]
    assert facts["latency_s"] == facts["cycles"] / 400e6
    assert report["int8"]["checks"]["vela"] == {"samples": 0, "disagreements": None, "near_threshold": None}
    assert "estimates of ethos-u-vela" in " ".join(run("report", "npu", cwd=work).stdout.split())


def test_a_target_without_an_npu_is_refused_before_any_work(work: Path, run: Run) -> None:
    done = run(*AUGMENT, "--hw", "psoc6", "--format", "vela", "-o", "none", cwd=work)
    assert done.code == 2
    assert "no processor of psoc6 has an `accelerator`" in done.stderr
    assert not (work / "none").exists()
