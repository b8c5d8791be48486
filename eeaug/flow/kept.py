"""Limits, kept by what was written: linked and counted figures of the files for devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from eeaug.design.design import Decided
from eeaug.design.problem import Rules
from eeaug.errors import InfeasibleError
from eeaug.report import needs, units
from eeaug.report.needs import DeviceFiles
from eeaug.settings import Goal
from eeaug.settings.vocabulary import flag

__all__ = ["NotKept", "check", "tighter"]

Report = Mapping[str, Any]


class NotKept(InfeasibleError):
    """What was written needs more than was estimated when its design was chosen."""


def tighter(goal: Goal, rules: Rules, decided: Decided, error: NotKept) -> tuple[Goal, Rules]:
    """Goal and rules under which another design is chosen: what the files took over the estimate is counted in."""
    costs, segments = decided.searched.costs, decided.chosen.segments
    assert error.best is not None
    used = {name: float(sizes[0]) for name, sizes in costs.memory_bytes(segments).items()}
    if error.limit in ("max_latency_s", "period_s"):
        estimate = float(segments.worst_latency_s[0])
        return replace(goal, max_latency_s=estimate * error.given / error.best), rules
    if error.limit == "max_ram_bytes":
        estimate = max(used[name] for p in costs.hardware.processors for name in p.rams)
        return goal, replace(rules, max_ram_bytes=error.given - (error.best - estimate))
    if error.limit == "max_flash_bytes":
        estimate = float(segments.parameters_bytes.sum())
        return goal, replace(rules, max_flash_bytes=error.given - (error.best - estimate))
    name = error.limit.removeprefix("memory:")
    return goal, replace(rules, reserved={**rules.reserved, name: error.best - used[name]})


def check(report: Report) -> None:
    """Compare every format for devices with the memories of the target, --max-latency and --period.

    Raises
    ------
    NotKept : one of them needs more; says what would fit
    """
    written = needs.files(report)
    for files in written:
        for memory in report["hardware"]["memories"]:
            needed = files.of_memory(memory)
            if needed > memory["bytes"]:
                raise _too_large(report, files, memory, needed, written)
    asked = report["settings"]
    for files in written:
        sizes = {"ram": files.ram(report["hardware"]["memories"]), "flash": files.flash}
        for name, needed in sizes.items():
            given = asked[f"max_{name}_bytes"]
            if given is not None and needed > given:
                raise _over(name, files, needed, given)
    for name in ("max_latency_s", "period_s"):
        limit = asked.get(name)
        for files in written:
            if limit is not None and files.worst_s is not None and files.worst_s > limit:
                raise _too_slow(name, files, limit, written)


def _too_large(
    report: Report, files: DeviceFiles, memory: Report, needed: int, written: Sequence[DeviceFiles]
) -> NotKept:  # fmt: skip
    how = "linked" if files.linked else "without code and stack"
    users = {*memory["ram_of"], *memory["flash_of"]}
    parts = "; ".join(part.words for part in files.parts if part.processor in users)
    fits = [f.format for f in written if all(f.of_memory(m) <= m["bytes"] for m in report["hardware"]["memories"])]
    would = f"a memory of {needed:,} bytes"
    if fits:
        would = f"{', '.join(fits)}: leave {files.format} out of --format"
    elif files.format == "c" and "c-int8" not in report["settings"]["formats"]:
        small = needs.estimated_in(files, 1).of_memory(memory)
        if small <= memory["bytes"]:
            would = f"--format c-int8, which needs about {small:,} bytes of it, or {would}"
    return NotKept(
        f"the {files.format} files need {needed:,} bytes of memory {memory['memory']!r} ({how}; {parts}), it has "
        f"{memory['bytes']:,}; what would fit: {would}",
        limit=f"memory:{memory['memory']}", given=float(memory["bytes"]), best=float(needed),
    )  # fmt: skip


def _over(name: str, files: DeviceFiles, needed: int, given: float) -> NotKept:
    parts = "; ".join(part.words for part in files.parts)
    how = "linked" if files.linked else "without code and stack"
    more = f" ({how}; {parts})" if name == "ram" else f" ({how})"
    return NotKept(
        f"the {files.format} files need {needed:,} bytes of {name.replace('ram', 'RAM')}{more}, --max-{name} "
        f"allows {given:,.0f}; what would be enough: --max-{name} {needed}, or a format with smaller numbers",
        limit=f"max_{name}_bytes", given=given, best=float(needed),
    )  # fmt: skip


def _too_slow(name: str, files: DeviceFiles, limit: float, written: Sequence[DeviceFiles]) -> NotKept:
    assert files.worst_s is not None
    within = [f for f in written if f.worst_s is not None and f.worst_s <= limit]
    would = f"{flag(name)} {units.seconds(files.worst_s)}, a faster processor, or exits and stages elsewhere"
    if within:
        ways = ", ".join(f"{f.format} ({units.seconds(f.worst_s)})" for f in within)
        would = f"{ways}: leave {files.format} out of --format"
    return NotKept(
        f"the {files.format} files take {units.seconds(files.worst_s)} at worst by counted instructions, "
        f"{flag(name)} allows {units.seconds(limit)}; what would be enough: {would}",
        limit=name, given=limit, best=files.worst_s,
    )  # fmt: skip
