"""What a report says of C files: memory when linked, instructions, what times rest on."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from reports import SAMPLE_FILE, line_with, text

from eeaug.errors import InfeasibleError
from eeaug.flow import kept
from eeaug.report import gate
from eeaug.report.content import build, verdict
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
    assert "(runtime of its rates: cm0p TFLM, cm4f TFLM)" in counted.basis(sample)
    sample["settings"]["formats"] = ["keras", "onnx"]
    assert "--format c" in counted.basis(sample)
    sample["settings"]["formats"] = ["keras", "onnx", "c"]
    counted_files(sample, (None, None))
    sample["c"]["processors"][1]["not_counted"] = "no emulator"
    assert counted.basis(sample).endswith("not counted: no emulator.")
    sample["hardware"]["basis"] = "counted"
    assert "instructions of the float C files" in counted.basis(sample)
    sample["c"] = None
    assert counted.basis(sample).endswith("those of the int8 cascade.")


# --- limits


LINKED = {
    "compiler": "arm-gcc 12", "text_bytes": 30_000, "data_bytes": 0, "bss_bytes": 60_000, "stack_bytes": 500,
    "flash_bytes": 30_000, "ram_bytes": 60_500,
}  # fmt: skip


def with_files(sample: dict[str, Any], *, memory: int) -> None:
    """Float C files of two processors that share a RAM of so many bytes, the second of which was not linked."""
    counted_files(sample, (0.1, 0.2))
    first, second = sample["c"]["processors"]
    first |= {"measured": LINKED, "arena_bytes": 40_000, "handover_bytes": 1_004}
    second |= {"arena_bytes": 20_000, "weights_bytes": 8_000}
    sample["settings"]["formats"] = ["keras", "onnx", "c"]
    sample["hardware"]["memories"][0]["bytes"] = memory


def test_files_that_need_more_than_a_memory_has_are_refused(sample: dict[str, Any]) -> None:
    with_files(sample, memory=60_500 + 20_000 + 1_004)
    kept.check(sample)
    with_files(sample, memory=60_500 + 20_000 + 1_003)
    with pytest.raises(InfeasibleError) as caught:
        kept.check(sample)
    error = caught.value
    assert (error.limit, error.given, error.best) == ("memory:sram", 81_503, 81_504)
    assert "need 81,504 bytes of memory 'sram'" in str(error)
    assert "cm0p: arena 40,000" in str(error) and "stack 500" in str(error)
    assert "--format c-int8, which needs about 20,376 bytes of it, or a memory of 81,504 bytes" in str(error)
    sample["settings"]["formats"] = ["keras", "onnx", "c", "c-int8"]
    sample["int8"] = {"c": copy.deepcopy(sample["c"]), "stages": []}
    for entry in sample["int8"]["c"]["processors"]:
        entry |= {"measured": None, "arena_bytes": 10_000}
    with pytest.raises(InfeasibleError, match="what would fit: c-int8: leave c out of --format"):
        kept.check(sample)


def test_files_that_take_too_long_are_refused(sample: dict[str, Any]) -> None:
    with_files(sample, memory=1 << 20)
    sample["settings"]["max_latency_s"] = 0.2
    kept.check(sample)
    sample["settings"]["max_latency_s"] = 0.19
    with pytest.raises(InfeasibleError, match=r"take 0\.2 s at worst .*, --max-latency allows 0\.19 s"):
        kept.check(sample)
    sample["settings"] |= {"max_latency_s": None, "period_s": 0.18}  # the next sample comes before this one leaves
    with pytest.raises(
        InfeasibleError, match=r"take 0\.2 s at worst .*, --period allows 0\.18 s; .*: --period 0\.2 s"
    ):
        kept.check(sample)
    counted_files(sample, (None, None))
    kept.check(sample)


def test_limits_of_ram_and_flash_hold_for_files(sample: dict[str, Any]) -> None:
    with_files(sample, memory=1 << 20)
    sample["settings"] |= {"max_ram_bytes": 81_504.0, "max_flash_bytes": 38_000.0}
    kept.check(sample)
    for name, needed in (("ram", 81_504), ("flash", 38_000)):
        key = f"max_{name}_bytes"
        tight = {**sample, "settings": {**sample["settings"], key: needed - 1.0}}
        with pytest.raises(InfeasibleError, match=f"--max-{name} {needed}") as caught:
            kept.check(tight)
        assert (caught.value.limit, caught.value.given, caught.value.best) == (key, needed - 1, needed)


def test_the_gate_looks_at_linked_files(sample: dict[str, Any]) -> None:
    with_files(sample, memory=1 << 20)
    part = gate.part(sample, "test", "default")
    (flash, ram) = gate.check(part, {"max-flash": 40_000, "max-ram": 64_000})
    assert (flash.value, flash.ok, flash.format, flash.name) == (38_000, True, "c", "max-flash c")
    assert (ram.value, ram.ok, ram.basis) == (81_504, False, "computed")
    assert ram.sentence.startswith("RAM of the c files 81.5 kB (computed), at most 64 kB")
    sample["c"] = None
    (shapes,) = gate.check(gate.part(sample, "test", "default"), {"max-ram": 64_000})
    assert (shapes.format, shapes.basis, shapes.name) == (None, "computed", "max-ram")


def test_the_gate_looks_at_the_times_of_both_formats(sample: dict[str, Any]) -> None:
    with_files(sample, memory=1 << 20)
    sample["int8"] = {
        "c": None, "stages": [], "operating_points": [],
        "predicted": sample["design"]["predicted"]["exact"] | {"basis": "counted"},
        "measured": sample["design"]["measured"] | {"basis": "counted", "worst_latency_s": 0.3},
    }  # fmt: skip
    rows = gate.check(gate.part(sample, "test", "default"), {"max-latency": 0.5})
    assert [(row.format, row.ok) for row in rows] == [("c", False), ("c-int8", True)]
    sample["c"] = None  # the int8 files alone: the design has their times
    sample["design"]["measured"] |= {"basis": "counted", "worst_latency_s": 0.3}
    (row,) = gate.check(gate.part(sample, "test", "default"), {"max-latency": 0.5})
    assert (row.format, row.value, row.basis, row.name) == (None, 0.3, "counted", "max-latency")


def test_without_float_files_times_are_those_of_the_int8_cascade(sample: dict[str, Any]) -> None:
    """No file runs the float cascade, so its exits and times of int8 files are not mixed."""
    exact, measured = sample["design"]["predicted"]["exact"], sample["design"]["measured"]
    points = sample["operating_points"]
    first, *others = (dict(point) for point in points)
    int8 = {
        "predicted": exact | {"mean_latency_s": 11.0, "accuracy": 0.1},
        "measured": measured | {"mean_latency_s": 12.0, "mean_energy_j": 13.0},
        "operating_points": [first | {"predicted": exact | {"mean_latency_s": 14.0}, "measured": None}],
    }
    accuracy = exact["accuracy"]
    build._take_times(exact, measured, points, int8)
    assert (exact["mean_latency_s"], exact["accuracy"], measured["mean_energy_j"]) == (11.0, accuracy, 13.0)
    assert points[0]["predicted"]["mean_latency_s"] == 14.0
    for point in points[1:]:  # which the int8 cascade does not have
        assert point["predicted"]["mean_latency_s"] is None and point["predicted"]["mean_macs"] is not None
    assert others  # or nothing of that was tested
    assert verdict.in_int8(
        {"mean_macs": 2.0, "accuracy": 0.9}, {"measured": {"mean_macs": 1.0, "accuracy": 0.88}}
    ) == (" In int8: 50.0% of the mean MACs saved, 2.0 pp less accuracy.")
