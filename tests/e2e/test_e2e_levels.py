"""Performance levels, periods and several memories of a processor, from the command to what a bundle says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import Bundle, Run

pytestmark = pytest.mark.e2e

BOARD = """\
schema_version: 1
name: board
exclusive: true
baseline: m33
processors:
  - name: m0p
    rates_macs_per_s: {default: 1.0e7}
    arithmetic: int8
    ram: [tcm, sram]
    flash: [near, outside]
    active_power_w: 0.002
    sleep_power_w: 1.0e-6
    clock_hz: 1.0e8
    operating_points:
      - {name: lp, clock_hz: 1.0e8, voltage_v: 1.1, switch_s: 1.0e-4}
      - {name: ulp, clock_hz: 2.5e7, voltage_v: 0.9}
  - name: m33
    rates_macs_per_s: {default: 7.5e7}
    arithmetic: int8
    ram: sram
    flash: outside
    active_power_w: 0.03
    sleep_power_w: 1.0e-6
memories:
  - {name: tcm, bytes: 2000, bandwidth_bytes_per_s: 4.0e8}
  - {name: sram, bytes: 262144, bandwidth_bytes_per_s: 2.0e8}
  - {name: near, bytes: 1500, bandwidth_bytes_per_s: 2.0e8}
  - {name: outside, bytes: 2097152, bandwidth_bytes_per_s: 2.0e7}
links:
  - {from: m0p, to: m33, bandwidth_bytes_per_s: 4.0e8}
"""


@pytest.fixture(scope="module")
def desk(bundle: Bundle, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the bundle, and two for the board: "energy" with a period, "macs" without."""
    folder = tmp_path_factory.mktemp("desk")
    shutil.copytree(bundle.path, folder / "made")
    (folder / "board.yaml").write_text(BOARD, encoding="utf-8")
    for name, options in (("energy", ("--objective", "energy", "--period", "10")), ("macs", ())):
        done = run(
            "retarget",
            "made",
            "--hw",
            "board.yaml",
            "--max-latency",
            "none",
            *options,
            "-o",
            name,
            "-q",
            cwd=folder,
        )
        assert (done.code, done.stdout) == (0, f"bundle: {name}\n"), done.stderr
    return folder


def read(place: Path, name: str = "report.json") -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((place / name).read_bytes())
    return loaded


def test_stages_have_a_level_and_memories_where_there_is_a_choice(desk: Path) -> None:
    report, manifest = read(desk / "energy"), read(desk / "energy", "manifest.json")
    segments = report["design"]["segments"]
    assert any(segment["processor"] == "m0p" for segment in segments)
    for segment, stage in zip(segments, manifest["stages"], strict=True):
        keys = {"level", "weights_in", "tensors_in"} if segment["processor"] == "m0p" else set()
        assert keys == {key for key in ("level", "weights_in", "tensors_in") if key in segment}
        assert {key: segment[key] for key in keys} == {key: stage[key] for key in keys}
    assert {segment["level"] for segment in segments if "level" in segment} == {"ulp"}  # less energy a MAC
    assert {segment["level"] for segment in read(desk / "macs")["design"]["segments"] if "level" in segment} <= {
        "lp"
    }
    assert report["settings"]["period_s"] == 10.0 and "period_s" not in read(desk / "macs")["settings"]
    for memory in ("tcm", "near"):
        lies = "tensors_in" if memory == "tcm" else "weights_in"
        size = "peak_activation_bytes" if memory == "tcm" else "storage_bytes"
        used = [segment[size] for segment in segments if segment.get(lies) == memory]
        limit = next(m["bytes"] for m in report["hardware"]["memories"] if m["memory"] == memory)
        assert (
            (max if memory == "tcm" else sum)(used, default=0) <= limit if memory == "tcm" else sum(used) <= limit
        )


def test_energies_of_a_period_are_the_inference_and_the_sleep_until_the_next(desk: Path) -> None:
    report = read(desk / "energy")
    design = report["design"]["predicted"]["exact"]
    reach = 1.0
    mean = 0.0
    for segment, leaves in zip(report["design"]["segments"], design["leave_rates"], strict=True):
        mean += reach * segment["energy_j"]
        reach -= leaves
    asleep = sum(report["hardware"]["sleep_power_w"].values())
    assert design["mean_energy_j"] == pytest.approx(mean + asleep * (10.0 - design["mean_latency_s"]))


def test_reports_say_where_and_how_stages_run(desk: Path, run: Run) -> None:
    text = " ".join(run("report", "energy", cwd=desk).stdout.split())
    assert "m0p at ulp" in text and "one inference every 10 s, energies with sleep until the next" in text
    segment = next(s for s in read(desk / "energy")["design"]["segments"] if s["processor"] == "m0p")
    assert f"storage in {segment['weights_in']}" in text
    page = run("report", "energy", "--format", "html", cwd=desk).stdout
    assert "m0p at ulp" in page and f"peak activations in {segment['tensors_in']}" in page
    markdown = run("report", "energy", "--format", "markdown", cwd=desk).stdout
    assert "m0p at ulp: " in markdown
    assert "--period 10.0" in page  # the command that makes it again


def test_a_bundle_is_checked_and_made_again_from_itself(desk: Path, run: Run) -> None:
    assert run("check", "energy", "--max-latency", "10", "--on", "choose", cwd=desk).code == 0
    done = run("retarget", "energy", "--hw", "energy/hardware.yaml", "-o", "again", "-q", cwd=desk)
    assert done.code == 0, done.stderr
    for part in ("design", "settings", "hardware", "baseline"):
        assert read(desk / "again")[part] == read(desk / "energy")[part]
    without = run("retarget", "energy", "--period", "none", "-o", "without", "-q", cwd=desk)
    assert without.code == 0, without.stderr
    assert "period_s" not in read(desk / "without")["settings"]


def test_a_period_that_no_design_keeps_is_refused(desk: Path, run: Run) -> None:
    done = run(
        "retarget", "made", "--hw", "board.yaml", "--max-latency", "none", "--period", "1ms", "-o", "x", cwd=desk
    )
    assert done.code == 3
    assert "no design meets --period 0.001 s: the fastest" in done.stderr and not (desk / "x").exists()
