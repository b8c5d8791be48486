"""What a report says of C files: memory when linked, instructions, what times rest on."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from reports import SAMPLE_FILE, line_with, text

from eeaug.report.render import markdown
from eeaug.report.words import counted, facts

NOT_COUNTED: dict[str, Any] = {"paths": None, "mean": None, "cycles": [], "baseline": None}
PART = {
    "arena_bytes": 131_072, "weights_bytes": 153_064, "handover_bytes": 0, "cpu": None, "measured": None,
    "not_measured": None, "counted": None, "not_counted": None,
}  # fmt: skip
both = pytest.mark.parametrize("render", [text, markdown.render], ids=["terminal", "markdown"])


@pytest.fixture
def sample() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(SAMPLE_FILE.read_text())
    return loaded


def counted_files(sample: dict[str, Any], seconds: tuple[float | None, float | None]) -> None:
    """C files whose ways through were counted; ``seconds``: of both, by instructions."""
    stage = {"instructions": 8_000_000, "head_instructions": 50_000, "decision_instructions": 300}
    ways = [
        {"leave_rate": 0.75, "instructions": 8_050_300, "estimated_latency_s": 0.01, "latency_s": seconds[0]},
        {"leave_rate": 0.25, "instructions": 16_100_600, "estimated_latency_s": 0.02, "latency_s": seconds[1]},
    ]
    mean = None if None in seconds else 0.75 * (seconds[0] or 0) + 0.25 * (seconds[1] or 0)
    known = {"clock_hz": 1.5e8, "per_instruction": 1.25, "error": 0.1, "source": "tried"}
    sample["c"] = {
        "samples": 8, "compiler": "cc 12", "warnings": [], "baseline": None,
        "paths": [{"exit": "add", **ways[0]}, {"exit": None, **ways[1]}],
        "mean": {"instructions": 10_062_875.0, "latency_s": mean, "estimated_latency_s": 0.0125},
        "cycles": [{"processor": name, **known} for name in ("cm0p", "cm4f")],
        "processors": [
            {**PART, "processor": name, "cpu": "cortex-m4", "counted": [{"stage": k, **stage}]}
            for k, name in enumerate(("cm0p", "cm4f"))
        ],
    }  # fmt: skip


@both
def test_memory_of_c_files_stands_beside_the_estimates(render: Callable[..., str], sample: dict[str, Any]) -> None:
    assert "C files" not in render(sample)
    sizes = {"text_bytes": 160_000, "data_bytes": 1000, "bss_bytes": 140_000, "stack_bytes": 150}
    linked = {"compiler": "arm-gcc 12", **sizes, "flash_bytes": 161_000, "ram_bytes": 141_150}
    sample["c"] = {
        "samples": 1000, "compiler": "cc 12", "warnings": [], **NOT_COUNTED,
        "processors": [
            {**PART, "processor": "cm0p", "cpu": "cortex-m0plus", "measured": linked},
            {**PART, "processor": "cm4f", "not_measured": "nobody knows the cpu"},
        ],
    }  # fmt: skip
    rows = facts.c_memory(facts.c_blocks(sample)[0])
    # four times the int8 estimates: 38,266 B and 32,768 B, 65,152 B and 24,576 B
    assert rows[1] == ("cm0p", "153 kB", "161 kB", "131 kB", "141 kB", "131 kB", "150 B")
    assert rows[2] == ("cm4f", "261 kB", "unknown", "98.3 kB", "unknown", "131 kB", "unknown")
    said = " ".join(render(sample).split())
    assert "linked for cortex-m0plus by arm-gcc 12" in said
    assert "Not linked: nobody knows the cpu." in said


@both
def test_counted_ways_stand_beside_the_profile(render: Callable[..., str], sample: dict[str, Any]) -> None:
    counted_files(sample, (0.1, 0.2))
    page = render(sample)
    line_with(page, "add", "75", "8.05 M", "0.1 s", "10 ms", "900")
    line_with(page, "mean", "10.06 M", "0.125 s", "12.5 ms")
    assert "1.25 cycles each (±10 %) at 150 MHz on cm4f" in " ".join(page.split())


def test_what_differs_from_the_profile_is_said_first(sample: dict[str, Any]) -> None:
    for seconds, words in (
        ((0.1, 0.2), "10.0 times as long as"), ((0.001, 0.002), "10.0 times as fast as"), ((0.012, 0.02), None),
        ((None, None), None),
    ):  # fmt: skip
        counted_files(sample, seconds)
        sentences = list(counted.differing(sample))
        assert len(sentences) == (words is not None)
        assert all(s.startswith("Counted: ") and words is not None and words in s for s in sentences)


def test_what_times_rest_on(sample: dict[str, Any]) -> None:
    assert "of this runtime: cm0p TFLM, cm4f TFLM" in counted.basis(sample)
    sample["settings"]["formats"] = ["keras", "onnx"]
    assert "--format c" in counted.basis(sample)
    sample["settings"]["formats"] = ["keras", "onnx", "c"]
    counted_files(sample, (None, None))
    sample["c"]["processors"][1]["not_counted"] = "no emulator"
    assert counted.basis(sample).endswith("not counted: no emulator.")
    sample["hardware"]["basis"] = "counted"
    assert "instructions of the float C files" in counted.basis(sample)
