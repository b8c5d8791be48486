"""Instructions of kernels on Cortex-M cores, from a table that was counted once (benchmarks/kernel_table.py)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from eeaug.hardware.loops import KERNELS, KernelRun, loops

__all__ = ["WIDTHS", "cores", "instruction_set", "instructions", "table"]

WIDTHS: Mapping[str, int] = {"c": 4, "c-int8": 1}  # bytes of a weight, an activation, what is handed over
assert set(WIDTHS) == set(KERNELS)
DSP = ("cortex-m4", "cortex-m7", "cortex-m33")
VECTORS = ("cortex-m55",)
# cores without a count of their own → one with the same instructions
SAME = {"cortex-m0": "cortex-m0plus", "cortex-m1": "cortex-m0plus", "cortex-m7+nofp.dp": "cortex-m7"}


@cache
def table() -> Mapping[str, Any]:
    """The table: "made_by" says with what; "formats": format → core → kernel → variant → instructions per run."""
    text = resources.files("eeaug.hardware").joinpath("kernel_table.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def instruction_set(cpu: str) -> str:
    """What of a core the kernels ask for: "plain", "dsp" or "vectors"."""
    name, *without = cpu.split("+")
    return "vectors" if name in VECTORS else "dsp" if name in DSP and "nodsp" not in without else "plain"


def counted_as(format: str, cpu: str) -> str | None:
    """The core of the table that executes the same instructions; None: there is none."""
    name = SAME.get(cpu, cpu)
    if format == "c-int8":
        name = "cortex-m3" if "+nodsp" in name else name.split("+")[0]  # no floats there
    else:
        name = name.replace("+nodsp", "")
    return name if name in table()["formats"].get(format, {}) else None


def cores(format: str) -> tuple[str, ...]:
    """Cores that the table has for a format."""
    return tuple(table()["formats"].get(format, {}))


@cache
def instructions(format: str, cpu: str, call: KernelRun) -> float | None:
    """Instructions of one call of a kernel; None: the table has no such kernel or core."""
    name = counted_as(format, cpu)
    counts = loops(format, instruction_set(cpu), call)
    if name is None or counts is None:
        return None
    variants = table()["formats"][format][name].get(call.kernel, {})
    if counts[0] not in variants:
        return None
    per_run: Mapping[str, float] = variants[counts[0]]["per_run"]
    return sum(per_run.get(loop, 0.0) * number for loop, number in counts[1].items())
