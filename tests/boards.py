"""Hardware descriptions to change, and the mistakes that are found in one."""

from __future__ import annotations

from pathlib import Path

import pytest

from eeaug import hardware
from eeaug.errors import InputError
from eeaug.hardware import Hardware, Link, Memory, Processor

BOARD = """\
schema_version: 1
name: board
processors:
  - {name: little, rates_macs_per_s: {default: 1e6, conv: 2.5e6}, arithmetic: int8, ram: sram, flash: flash,
     operating_points: [{name: fast, clock_hz: 8e6, voltage_v: 1.1}, {name: slow, clock_hz: 2e6, switch_s: 1e-5}]}
  - {name: big, rates_macs_per_s: {default: null}, arithmetic: float32, ram: sram, flash: sram,
     active_power_w: 0.5, sleep_power_w: 0, wakeup_s: 1.0e-3, runtime: TFLM, source: measured}
memories: [{name: sram, bytes: 0x40000}, {name: flash, bytes: 1_000_000, source: guess}]
links: [{from: little, to: big, bandwidth_bytes_per_s: null}]
"""


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "board.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def mistakes(tmp_path: Path, text: str) -> list[str]:
    """The lines of the error, without the file name and the summary."""
    path = written(tmp_path, text)
    with pytest.raises(InputError) as caught:
        hardware.read(path)
    first, *others = str(caught.value).splitlines()
    assert first.startswith(f"{path}: ")
    if not others:
        return [first.removeprefix(f"{path}: ")]
    assert first == f"{path}: {len(others)} mistakes"
    return [line.strip() for line in others]


def core(name: str, rate: float | None, power: float | None, *, ram: str = "ram") -> Processor:
    rates = dict.fromkeys(("default", *hardware.KINDS)) | {"default": rate}
    return Processor(name, rates, "int8", ram, "flash", active_power_w=power)


def board(*processors: Processor, links: tuple[tuple[str, str], ...], input_at: str | None = None) -> Hardware:
    memories = Memory("ram", 1000), Memory("flash", 1000)
    at = processors[0].name if input_at is None else input_at
    joined = tuple(Link(a, b, 1e6) for a, b in links)
    return Hardware("board", None, at, False, None, processors, memories, joined)
