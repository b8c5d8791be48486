"""What every rendering says of the int8 cascade, beside the float one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eeaug.report.units import (
    UNKNOWN,
    at_most,
    data_part,
    joules,
    macs,
    points,
    relative,
    seconds,
    share,
    size,
    threshold,
)
from eeaug.report.words import alternatives, facts
from eeaug.report.words.facts import Report, runs_on

__all__ = ["comparison", "compiled", "files", "note", "operating_points", "operating_points_title", "title"]


def title(report: Report) -> str:
    shown = _int8(report)["measured"] or _int8(report)["predicted"]
    unseen = "" if shown["split"] == "test" else ", on which thresholds were decided"
    return f"Float and int8 on {shown['samples']:,} {data_part(shown['split'])} samples{unseen}"


def comparison(report: Report) -> tuple[tuple[str, ...], ...]:
    """Header and rows: both cascades against the given float model; empty where there is no int8 cascade."""
    if report.get("int8") is None:
        return ()
    int8, design = _int8(report), report["design"]
    split = "measured" if int8["measured"] is not None else "choose"
    given = report["baseline"][split]
    both = [design["measured"], int8["measured"]]
    if split == "choose":
        both = [design["predicted"]["exact"], int8["predicted"]]

    def row(name: str, text: Callable[[Report], str]) -> tuple[str, ...]:
        return (name, text(given), *(text(metrics) for metrics in both))

    rows: list[tuple[str, ...]] = [("", f"given model ({runs_on(report['baseline'])})", "float", "int8")]
    for exit_, int8_exit in zip(design["exits"], int8["exits"], strict=True):
        constant = "" if int8_exit["constant"] is None else f" (int8 {int8_exit['constant']})"
        limits = threshold(exit_["threshold"]), f"{threshold(int8_exit['threshold'])}{constant}"
        rows.append((f"threshold at {exit_['location']}", "", *limits))
        rows.append(
            (
                f"right at {exit_['location']} if used alone",
                "",
                *(share(each["accuracy"]) for each in (exit_, int8_exit)),
            )
        )
    word = facts.accuracy_name(report)
    rows += [
        row(word, lambda metrics: share(metrics["accuracy"])),
        (
            "against given model", "",
            *(points(metrics["accuracy"] - given["accuracy"]) for metrics in both),
        ),
        ("worst class", "", *(_worst(metrics["worst_class"]) for metrics in both)),
        row("mean MACs", lambda metrics: macs(metrics["mean_macs"])),
        ("MACs against given model", "", *(relative(given["mean_macs"], m["mean_macs"]) for m in both)),
    ]  # fmt: skip
    if int8["predicted"]["basis"] == "counted":
        base = report["int8"]["c"]["baseline"]
        given_s = None if base is None else base["latency_s"]
        mine = seconds(both[1]["mean_latency_s"])
        rows.append(("mean latency of the int8 C files, counted", seconds(given_s), "", mine))
        rows.append(("mean energy of the int8 C files, counted", "", "", joules(both[1]["mean_energy_j"])))
    places = [f"leave at {exit_['location']}" for exit_ in design["exits"]] + ["reach the output"]
    for k, place in enumerate(places):
        rows.append((place, "", *(share(metrics["leave_rates"][k]) for metrics in both)))
    for name, key in (
        (facts.drop_name(report), "accuracy_drop_bound_95"), ("worst class's drop", "worst_class_drop_bound_95"),
    ):  # fmt: skip
        rows.append((f"{name} at most (95 %)", "", *(_bound(block[key]) for block in (report, int8))))
    rows.append(("promise", "", *(alternatives.promise_word(block["promise"]) for block in (report, int8))))
    return tuple(rows)


def note(report: Report) -> str:
    """How the int8 stages were made and run, and how their decisions compare."""
    int8 = _int8(report)
    shown = int8["measured"] or int8["predicted"]
    sentences = [
        f"Ranges of numbers come from {int8['calibration_samples']:,} validation samples, thresholds from the "
        "answers of the int8 files to the calibration samples",
        f"run in LiteRT with its {int8['kernels']} kernels",
        f"the same answer as the float cascade on {share(int8['same_answer'])} of the {data_part(shown['split'])} "
        "set",
    ]
    for name, words in (("tflm", "TFLM"), ("c-int8", "the int8 C files")):
        check = int8["checks"].get(name)
        if check is None:
            continue
        differ = check["disagreements"]
        if differ is None:
            sentences.append(f"{words} could not be run here")
            continue
        outcome = "the same decisions" if not differ else f"other decisions on {differ:,}, each near a threshold,"
        sentences.append(f"{words} gave {outcome} on {check['samples']:,} samples")
    if "vela" in int8["checks"]:
        sentences.append(_compiled(report))
    if "tflm" in report["settings"]["formats"]:
        sentences.append("instructions of TFLM are not counted: its library is not among the written files")
    return f"{'; '.join(sentences)}. int8: {int8['promise']['statement']}"


def _compiled(report: Report) -> str:
    """What Vela did, and what of it was verified."""
    stages = [stage for stage in _int8(report)["stages"] if "vela" in stage]
    if not stages:
        return "no stage runs on an NPU, so Vela compiled none"
    version = report.get("manifest", {}).get("versions", {}).get("ethos-u-vela", "")
    first = stages[0]["vela"]
    left = {stage["stage"]: stage["vela"]["on_cpu"] for stage in stages if stage["vela"]["on_cpu"]}
    on_cpu = "; ".join(f"{', '.join(kinds)} of {stage}" for stage, kinds in left.items())
    return (
        f"cycles and SRAM on the {first['accelerator']} are estimates of ethos-u-vela {version} for its system "
        f"{first['system']} ({first['memory_mode']}) at {first['clock_hz'] / 1e6:g} MHz; nothing here runs its "
        "files, whose inputs and outputs are those of the int8 files in shape, type and quantisation; "
        + (f"left to the processor: {on_cpu}" if on_cpu else "all operators run on the NPU")
    )


def compiled(report: Report) -> tuple[tuple[str, ...], ...]:
    """Header and rows: the stages that Vela compiled for an NPU; empty where there are none."""
    stages = [stage for stage in (report.get("int8") or {}).get("stages", ()) if "vela" in stage]
    if not stages:
        return ()
    header = ("stage for the NPU", "file", "weights", "SRAM", "cycles", "time", "left to the processor")
    return (
        header,
        *(
            (
                stage["stage"], size(vela["file_bytes"]), size(vela["storage_bytes"]), size(vela["sram_bytes"]),
                f"{vela['cycles']:,}", seconds(vela["latency_s"]), ", ".join(vela["on_cpu"]) or "nothing",
            )
            for stage in stages
            for vela in [stage["vela"]]
        ),
    )  # fmt: skip


def operating_points_title(report: Report) -> str:
    return alternatives.operating_points_title(report).replace("points", "points in int8", 1)


def operating_points(report: Report) -> tuple[tuple[str, ...], ...]:
    """Those of the int8 cascade, as alternatives.operating_points has those of the float one."""
    if report.get("int8") is None:
        return ()
    return alternatives.operating_points({**report, "operating_points": _int8(report)["operating_points"]})


def files(report: Report) -> tuple[tuple[str, ...], ...]:
    """Header and rows: what every int8 stage takes, measured beside the estimate; empty without int8."""
    if report.get("int8") is None:
        return ()
    rows = [("int8 stage", "file", "peak activations, estimated", "TFLM arena, measured")]
    for stage, segment in zip(_int8(report)["stages"], report["design"]["segments"], strict=True):
        estimate = segment["peak_activation_bytes"]
        rows.append((stage["stage"], size(stage["file_bytes"]), size(estimate), size(stage["arena_bytes"])))
    arenas = "tflm" in report["settings"]["formats"]
    return tuple(row if arenas else row[:-1] for row in rows)


def _int8(report: Report) -> dict[str, Any]:
    return dict(report["int8"])


def _worst(worst: Report | None) -> str:
    return UNKNOWN if worst is None else f"{worst['name']} {share(worst['accuracy'])}"


def _bound(value: float | None) -> str:
    return UNKNOWN if value is None else at_most(value)
