"""Times and energies by the instructions that were counted of the written C files, in place of the profile's rates.

A segment takes its instructions, times cycles per instruction of its core (hardware.cycles), over the clock of its
mode, and what its hand-over and wake-up take by the description, in the width of the files. Energies are
powers of the description times these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.design.design import Chosen
from eeaug.hardware import Processor, cycles
from eeaug.network.costs import Costs

__all__ = ["COUNTED", "Timed", "block", "handed", "timed"]

COUNTED = "counted"


@dataclass(frozen=True)
class Timed:
    """A design with counted times.

    Parameters
    ----------
    chosen : with counted times and energies of its segments, and of the given model where that was counted, too
    received_s, head_s : per segment, the parts of its time that are hand-over with wake-up, and the head
    """

    chosen: Chosen
    received_s: tuple[float, ...]
    head_s: tuple[float, ...]


def timed(chosen: Chosen, costs: Costs, figures: Mapping[str, Any] | None) -> Timed | None:
    """The design by what was counted of its files; ``figures``: their block of the report.

    None: there are no such files, something of them was not counted, or no time can be made of it.
    """
    stages = _stages(figures)
    if figures is None or stages is None or len(stages) != len(chosen.design.modes):
        return None
    times, energies, received, heads = [], [], [], []
    sender: int | None = None
    sent_bytes = {entry["processor"]: entry["handover_bytes"] for entry in figures["processors"]}
    names = [mode.processor.name for mode in costs.modes]
    for p, row in zip(chosen.design.modes, stages, strict=True):
        each = _seconds(costs.modes[p].processor)
        if each is None:
            return None
        sent = float(chosen.segments.handover_bytes[0, 0]) if sender is None else float(sent_bytes[names[sender]])
        waits, spent, _ = costs.transfer(np.array([sent]), sender, p)
        own = each * sum(row[key] for key in _KEYS)
        times.append(waits[0] + own)
        energies.append(spent[0] + own * costs.power_w[p])
        received.append(float(waits[0]))
        heads.append(each * row["head_instructions"])
        sender = p
    counted = replace(chosen, basis=COUNTED, segments=_with(chosen, times, energies))
    return Timed(_with_baseline(counted, costs, figures["baseline"]), tuple(received), tuple(heads))


_KEYS = ("instructions", "head_instructions", "decision_instructions")


def handed(chosen: Chosen, costs: Costs, figures: Mapping[str, Any] | None) -> list[tuple[int, int]]:
    """Per segment the bytes that it receives and that it hands to another processor, in the width of its files.

    ``figures``: None: there are no such files, the description's widths count.
    """
    modes = [costs.modes[m] for m in chosen.design.modes]
    received = [int(n) for n in chosen.segments.handover_bytes[0]]
    if figures is not None:
        sent = {entry["processor"]: entry["handover_bytes"] for entry in figures["processors"]}
        for k, (before, mode) in enumerate(pairwise(modes), 1):
            received[k] = sent[before.processor.name] if mode.index != before.index else 0
    return [(mine, onward) for mine, onward in zip(received, [*received[1:], 0], strict=True)]


def _with(chosen: Chosen, times: Sequence[float], energies: Sequence[float]) -> Any:
    return replace(chosen.segments, time_s=np.array([times]), energy_j=np.array([energies]))


def _with_baseline(chosen: Chosen, costs: Costs, baseline: Mapping[str, Any] | None) -> Chosen:
    """With counted figures of the given model; where it was not counted they are unknown, no other measure's."""
    (p,) = chosen.baseline_segments.modes
    each = _seconds(costs.modes[p].processor)
    own = np.nan
    if baseline is not None and baseline["instructions"] is not None and each is not None:
        own = each * baseline["instructions"]
    base = chosen.baseline_segments
    waits, spent, _ = costs.transfer(base.handover_bytes[0, :1], None, p)
    time, energy = waits + own, spent + own * costs.power_w[p]
    return replace(chosen, baseline_segments=replace(base, time_s=time[None], energy_j=energy[None]))


def block(
    figures: Mapping[str, Any], chosen: Chosen, costs: Costs, leave: NDArray[np.float64] | Sequence[float]
) -> dict[str, Any]:
    """The block of C files with the ways through them, and what their times rest on.

    Parameters
    ----------
    chosen : with the estimates of the description
    leave : (m + 1,) shares of samples that leave at each classifier
    """
    stages = _stages(figures)
    counted = timed(chosen, costs, figures)
    ways = None
    if stages is not None and len(stages) == len(chosen.design.modes):
        ways = []
        for k, rate in enumerate(leave):
            instructions = sum(row[key] for row in stages[: k + 1] for key in _KEYS)
            ways.append({
                "exit": costs.exits[chosen.design.exits[k]].location if k < len(chosen.design.exits) else None,
                "leave_rate": float(rate),
                "instructions": instructions,
                "latency_s": None if counted is None else float(counted.chosen.segments.time_s[0, : k + 1].sum()),
                "estimated_latency_s": _known(chosen.by_profile[0].time_s[0, : k + 1].sum()),
            })  # fmt: skip
    used = {mode.index: mode.processor for mode in (costs.modes[m] for m in reversed(chosen.design.modes))}
    return {
        **figures,
        "baseline": _baseline(figures["baseline"], chosen, counted),
        "paths": ways,
        "mean": None if ways is None else _mean(ways),
        "cycles": [_cycles(used[index]) for index in sorted(used)],
    }


def _baseline(baseline: Mapping[str, Any] | None, chosen: Chosen, counted: Timed | None) -> dict[str, Any] | None:
    """The given model with its times, where it runs for comparison."""
    if baseline is None:
        return None
    return {
        **baseline,
        "latency_s": None if counted is None else _known(counted.chosen.baseline_segments.time_s[0, 0]),
        "estimated_latency_s": _known(chosen.by_profile[1].time_s[0, 0]),
    }


def _mean(ways: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Of a sample, by how many leave where."""

    def mean(key: str) -> float | None:
        values = [way[key] for way in ways]
        if any(value is None for value in values):
            return None
        return float(sum(way["leave_rate"] * value for way, value in zip(ways, values, strict=True)))

    return {key: mean(key) for key in ("instructions", "latency_s", "estimated_latency_s")}


def _stages(figures: Mapping[str, Any] | None) -> list[Mapping[str, Any]] | None:
    """What was counted of every stage, in order; None: not of every processor."""
    if figures is None or any(entry["counted"] is None for entry in figures["processors"]):
        return None
    return sorted(
        (row for entry in figures["processors"] for row in entry["counted"]), key=lambda row: row["stage"]
    )


def _seconds(processor: Processor) -> float | None:
    """Of an instruction on this processor; None where its clock, or what its core does in a cycle, is unknown."""
    known = cycles.of(processor)
    return None if known is None or processor.clock_hz is None else known.seconds(1.0, processor.clock_hz)


def _cycles(processor: Processor) -> dict[str, Any]:
    known = cycles.of(processor)
    return {
        "processor": processor.name,
        "clock_hz": processor.clock_hz,
        "per_instruction": None if known is None else known.cycles,
        "error": None if known is None else known.error,
        "source": None if known is None else known.source,
    }


def _known(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)
