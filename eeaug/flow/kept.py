"""Limits, kept by what was written: linked and counted figures of the files for devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eeaug.errors import InfeasibleError
from eeaug.report import needs, units
from eeaug.report.needs import DeviceFiles

__all__ = ["check"]

Report = Mapping[str, Any]


def check(report: Report) -> None:
    """Compare every format for devices with the memories of the target and with --max-latency.

    Raises
    ------
    InfeasibleError : one of them needs more; says what would fit
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
    limit = asked["max_latency_s"]
    for files in written:
        if limit is not None and files.worst_s is not None and files.worst_s > limit:
            raise _too_slow(files, limit, written)


def _too_large(
    report: Report, files: DeviceFiles, memory: Report, needed: int, written: Sequence[DeviceFiles]
) -> InfeasibleError:  # fmt: skip
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
    return InfeasibleError(
        f"the {files.format} files need {needed:,} bytes of memory {memory['memory']!r} ({how}; {parts}), it has "
        f"{memory['bytes']:,}; what would fit: {would}",
        limit=f"memory:{memory['memory']}", given=float(memory["bytes"]), best=float(needed),
    )  # fmt: skip


def _over(name: str, files: DeviceFiles, needed: int, given: float) -> InfeasibleError:
    parts = "; ".join(part.words for part in files.parts)
    how = "linked" if files.linked else "without code and stack"
    more = f" ({how}; {parts})" if name == "ram" else f" ({how})"
    return InfeasibleError(
        f"the {files.format} files need {needed:,} bytes of {name.replace('ram', 'RAM')}{more}, --max-{name} "
        f"allows {given:,.0f}; what would do: --max-{name} {needed}, or a format with smaller numbers",
        limit=f"max_{name}_bytes", given=given, best=float(needed),
    )  # fmt: skip


def _too_slow(files: DeviceFiles, limit: float, written: Sequence[DeviceFiles]) -> InfeasibleError:
    assert files.worst_s is not None
    within = [f for f in written if f.worst_s is not None and f.worst_s <= limit]
    would = f"--max-latency {units.seconds(files.worst_s)}, a faster processor, or exits and stages elsewhere"
    if within:
        ways = ", ".join(f"{f.format} ({units.seconds(f.worst_s)})" for f in within)
        would = f"{ways}: leave {files.format} out of --format"
    return InfeasibleError(
        f"the {files.format} files take {units.seconds(files.worst_s)} at worst by counted instructions, "
        f"--max-latency allows {units.seconds(limit)}; what would do: {would}",
        limit="max_latency_s", given=limit, best=files.worst_s,
    )  # fmt: skip
