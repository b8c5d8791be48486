"""What counted instructions say, beside the estimates of the hardware description."""

from __future__ import annotations

from collections.abc import Iterator

from eeaug.report.units import UNKNOWN, relative, seconds, share, size
from eeaug.report.words.facts import Report, c_blocks, is_blank
from eeaug.support.progress import OTHERWISE

__all__ = ["DEVICE_FORMATS", "basis", "differing", "note", "rows", "title"]

DEVICE_FORMATS = ("c", "c-int8", "tflm")  # what microcontrollers run
FAR = 1.5  # estimates that are off by more are said first


def title(block: Report) -> str:
    return f"Instructions of the C files{' in int8' if block['width'] == 1 else ''}, counted"


def rows(block: Report) -> tuple[tuple[str, ...], ...]:
    """Header and rows: every way through the cascade, and their mean; empty where nothing was counted."""
    if block["paths"] is None:
        return ()
    table: list[tuple[str, ...]] = [
        ("leaves at", "samples", "instructions", "time, counted", "time by the profile", "difference")
    ]
    for way in block["paths"]:
        table.append((way["exit"] or "output", share(way["leave_rate"]), *_figures(way)))
    table.append(("mean", "", *_figures(block["mean"])))
    given = block["baseline"]
    if given is not None and given["instructions"] is not None:
        table.append((f"given model, whole, on {given['processor']}", "", *_figures(given)))
    return tuple(table)


def note(block: Report) -> str:
    """How it was counted, by processor, and what was not."""
    parts = []
    for entry, cycles in zip(block["processors"], block["cycles"], strict=True):
        for row in entry["counted"] or ():
            head = f", head {_count(row['head_instructions'])}" if row["head_instructions"] else ""
            decision = _count(row["decision_instructions"])
            where = f"stage {row['stage']} on {entry['processor']} ({entry['cpu']})"
            parts.append(f"{where}: {_count(row['instructions'])}{head}, decision {decision}")
        if entry["counted"] and cycles["per_instruction"] is not None and cycles["clock_hz"] is not None:
            error = f"±{100 * cycles['error']:.0f} %"
            clock = f"{cycles['clock_hz'] / 1e6:g} MHz"
            parts.append(f"{cycles['per_instruction']:g} cycles each ({error}) at {clock} on {entry['processor']}")
        elif entry["counted"]:
            missing = "clock_hz in the hardware description" if cycles["clock_hz"] is None else "cycles of its core"
            parts.append(f"no time on {entry['processor']}: {missing} unknown")
    for why in dict.fromkeys(entry["not_counted"] for entry in block["processors"]):
        if why is not None:
            parts.append(f"not counted: {why}")
    handed = [entry for entry in block["processors"] if entry["handover_bytes"]]
    parts += [f"{size(entry['handover_bytes'])} handed over by {entry['processor']}" for entry in handed]
    return f"One sample in QEMU; {'; '.join(parts)}."


def basis(report: Report) -> str:
    """What latencies and energies rest on, in one sentence."""
    written = [name for name in report["settings"]["formats"] if name in DEVICE_FORMATS]
    if report["hardware"]["basis"] == "counted":
        which = "float" if report["c"] is not None else "int8"
        of_int8 = "; they are those of the int8 cascade"
        return (
            f"Latencies are the instructions of the {which} C files, counted in QEMU, times cycles per "
            "instruction, over the clock; energies are these times the powers of the hardware description"
            f"{of_int8 if which == 'int8' else ''}."
        )
    if report["hardware"]["basis"] != "profile":
        return _by_kernels(report)
    runtimes = {name: report["hardware"]["runtimes"][name] for name in _used(report)}
    measured = ", ".join(f"{name} {runtime or 'unknown'}" for name, runtime in runtimes.items())
    beginning = f"Latencies and energies are estimated from the hardware profile (runtime of its rates: {measured})"
    if not written:
        better = "" if is_blank(report) else " With --format c or c-int8 they come from counted instructions."
        return f"{beginning}.{better}"
    lacking = [f"{why} of {name}" for name, why in report["hardware"]["by_rates"].items() if why is not None]
    missing = dict.fromkeys([*_missing(report), *lacking])
    return f"{beginning}; not counted: {'; '.join(missing)}." if missing else f"{beginning}."


def _by_kernels(report: Report) -> str:
    """Of estimates by counted kernels."""
    which = "float" if "c" in report["settings"]["formats"] else "int8"
    sentence = (
        f"Latencies are the instructions of the {which} C kernels, counted by shape and core, times cycles per "
        "instruction, over the clock; energies are these times the powers of the hardware description"
    )
    lacking = [f"{name} ({why})" for name, why in report["hardware"]["by_rates"].items() if why is not None]
    if lacking:
        sentence += f"; rates of the profile serve for {', '.join(lacking)}"
    missing = dict.fromkeys(_missing(report))
    return sentence + (f"; the files were not counted: {'; '.join(missing)}." if missing else ".")


def differing(report: Report) -> Iterator[str]:
    """Where profile and counted instructions are far apart: first lines of the report."""
    for block in c_blocks(report):
        mean = block["mean"]
        if mean is None or mean["latency_s"] is None or not mean["estimated_latency_s"]:
            continue
        times = mean["latency_s"] / mean["estimated_latency_s"]
        if 1 / FAR <= times <= FAR:
            continue
        factor = f"{times:.1f} times as long as" if times > 1 else f"{1 / times:.1f} times as fast as"
        yield (
            f"{OTHERWISE}the {block['words']} C files take {seconds(mean['latency_s'])} a sample on average by "
            f"instructions, {factor} the rates of {report['hardware']['name']} say "
            f"({seconds(mean['estimated_latency_s'])}); `eeaug hw measure` times them on the board"
        )


def _missing(report: Report) -> Iterator[str]:
    blocks = c_blocks(report)
    for block in blocks:
        for entry, cycles in zip(block["processors"], block["cycles"], strict=True):
            if entry["not_counted"] is not None:
                yield entry["not_counted"]
            elif cycles["clock_hz"] is None:
                yield f"{entry['processor']} has no clock_hz in the hardware description"
            elif cycles["per_instruction"] is None:
                yield f"nothing says how many cycles an instruction takes on {entry['cpu']}"
    if not blocks and "tflm" in report["settings"]["formats"]:
        yield "TFLM's library is not among the written files; those of --format c-int8 can be counted"


def _used(report: Report) -> Iterator[str]:
    yield from dict.fromkeys(str(segment["processor"]) for segment in report["design"]["segments"])


def _figures(way: Report) -> tuple[str, ...]:
    counted, estimated = way["latency_s"], way["estimated_latency_s"]
    change = UNKNOWN if counted is None or not estimated else relative(estimated, counted)
    return _count(way["instructions"]), seconds(counted), seconds(estimated), change


def _count(number: float) -> str:
    """Instructions in three digits and more."""
    for factor, prefix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= 0.9995 * factor:
            return f"{number / factor:.4g}{prefix}"
    return f"{number:.0f}"
