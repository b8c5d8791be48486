"""``--format vela`` before anything is compiled: what is refused, and what is said where the package is missing."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from boards import board, core, written
from reports import SAMPLE_FILE

from eeaug import hardware
from eeaug.bundle.device_entries import VelaStage
from eeaug.export import formats, vela
from eeaug.hardware.fields import ACCELERATORS
from eeaug.hardware.target import Level
from eeaug.report import needs
from eeaug.report.words import quantised
from eeaug.settings import Contradiction

CORE = core("m55", 1e9, 0.1)
FACTS = VelaStage(
    "ethos-u55-128", "Ethos_U55_High_End_Embedded", "Shared_Sram", 4e8, 20_000, 9_000, 5_000, ("ELU",)
)


def test_a_target_without_an_npu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda name: object())
    with pytest.raises(Contradiction, match="no processor of board has an `accelerator`, such as ethos-u55-128"):
        formats.check_possible(["vela"], board(CORE, links=()))
    formats.check_possible(["vela"], board(replace(CORE, accelerator="ethos-u65-512"), links=()))


def test_a_missing_package_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda name: None if name == "ethosu" else object())
    with pytest.raises(Contradiction, match=r"not installed: pip install 'eeaug\[npu\]'"):
        formats.check_possible(["vela"], board(replace(CORE, accelerator="ethos-u55-32"), links=()))


@pytest.mark.parametrize("accelerator", ACCELERATORS)
def test_every_npu_has_a_system_of_vela(accelerator: str) -> None:
    assert accelerator.rpartition("-")[0] in vela.SYSTEMS


def test_a_stage_is_compiled_for_its_level_and_its_memories() -> None:
    levels = (Level("fast", 4e8), Level("slow", 1e8))
    processor = replace(CORE, clock_hz=4e8, operating_points=levels, more_ram=("tcm",), more_flash=("ram",))
    target = board(replace(processor, accelerator="ethos-u55-128"), links=())
    chosen = {"level": "slow", "tensors_in": "tcm", "weights_in": "ram"}
    runs = hardware.mode_of(target, processor.name, chosen).processor
    assert (runs.clock_hz, runs.ram, runs.flash, runs.accelerator) == (1e8, "tcm", "ram", "ethos-u55-128")
    assert all(hardware.mode_of(target, m.processor.name, m.choices) == m for m in hardware.modes(target))


def test_an_accelerator_is_read_and_dumped(tmp_path: Any) -> None:
    target = board(replace(CORE, accelerator="ethos-u85-2048"), links=())
    assert hardware.read(written(tmp_path, hardware.dump(target))) == target


def test_the_manifest_s_entry_is_read_back() -> None:
    assert VelaStage.from_dict(json.loads(json.dumps(FACTS.as_dict()))) == FACTS


def compiled_report(*, npu: bool = True) -> dict[str, Any]:
    """As far as words and limits need it: two stages, the last compiled."""
    facts: dict[str, Any] = json.loads(SAMPLE_FILE.read_bytes())
    names = [segment["stage"] for segment in facts["design"]["segments"]]
    stages: list[dict[str, Any]] = [{"stage": name, "file_bytes": 1, "arena_bytes": None} for name in names]
    if npu:
        stages[-1]["vela"] = {**FACTS.as_dict(), "file_bytes": 7_000, "latency_s": 5e-5}
    facts["int8"] = {
        "calibration_samples": 500, "kernels": "optimised", "same_answer": 0.99, "measured": None,
        "predicted": {"split": "choose"}, "promise": {"statement": "Nothing."}, "stages": stages,
        "checks": {"vela": {"samples": 0, "disagreements": None, "near_threshold": None}},
    }  # fmt: skip
    facts["manifest"]["versions"]["ethos-u-vela"] = "5.2.0"
    return facts


def test_reports_say_whose_estimates_these_are() -> None:
    assert quantised.compiled(compiled_report(npu=False)) == ()
    assert "no stage runs on an NPU" in quantised.note(compiled_report(npu=False))
    header, row = quantised.compiled(compiled_report())
    assert dict(zip(header[1:], row[1:], strict=True)) == {
        "file": "7 kB", "weights": "5 kB", "SRAM": "9 kB", "cycles": "20,000", "time": "50 µs",
        "left to the processor": "ELU",
    }  # fmt: skip
    note = quantised.note(compiled_report())
    assert (
        "estimates of ethos-u-vela 5.2.0 for its system Ethos_U55_High_End_Embedded (Shared_Sram) at 400 MHz"
        in note
    )
    assert f"left to the processor: ELU of {row[0]}" in note


def test_what_was_compiled_must_fit_the_memories() -> None:
    (files,) = [files for files in needs.files(compiled_report()) if files.format == "vela"]
    (part,) = files.parts
    assert (part.flash, part.ram, files.worst_s) == (7_000, 9_000, None)
