"""The target in report.json: as far as figures depend on it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from eeaug.design.design import Chosen
from eeaug.hardware import Hardware, dump
from eeaug.network.costs import Costs
from eeaug.report.content import idle
from eeaug.stages.partition import Stage

__all__ = ["block"]


def block(chosen: Chosen, stages: Sequence[Stage], costs: Costs) -> dict[str, Any]:
    """The report's ``hardware`` for a design with these stages."""
    hardware = costs.hardware
    levels = {p.name: p.operating_points for p in hardware.processors if p.operating_points}
    return {
        "name": hardware.name,
        "sha256": hashlib.sha256(dump(hardware).encode()).hexdigest(),
        "source": hardware.source,
        "processors": [p.name for p in hardware.processors],
        "input_at": hardware.input_at,
        "baseline": chosen.baseline_processor,
        **({"levels": _levels(hardware)} if levels else {}),
        "exclusive": hardware.exclusive,
        "basis": chosen.basis,
        "by_rates": {basis.processor: basis.lacks for basis in costs.bases},
        "runtimes": {p.name: p.runtime for p in hardware.processors},
        "memories": [
            {
                "memory": memory.name,
                "bytes": memory.bytes,
                "ram_of": _users(hardware, stages, memory.name, "tensors_in"),
                "flash_of": _users(hardware, stages, memory.name, "weights_in"),
            }
            for memory in hardware.memories
        ],
        "sleep_power_w": {p.name: p.sleep_power_w for p in hardware.processors},
        "not_counted": _not_counted(hardware, stages, sleeps=costs.period_s is not None),
        "idle": idle.reasons(costs, {costs.modes[m].index for m in chosen.design.modes}),
    }


def _levels(hardware: Hardware) -> dict[str, list[dict[str, Any]]]:
    """Of every processor that has several: clock, voltage and power of its performance levels."""
    return {
        p.name: [
            {
                "name": level.name,
                "clock_hz": level.clock_hz,
                "voltage_v": level.voltage_v,
                "active_power_w": p.power_w(level),
            }
            for level in p.operating_points
        ]
        for p in hardware.processors
        if p.operating_points
    }


def _users(hardware: Hardware, stages: Sequence[Stage], memory: str, key: str) -> list[str]:
    """Processors whose tensors or weights, by ``key`` of Stage.choices, lie in a memory.

    Of several memories those that any of its stages has chosen; without stages the first.
    """
    users = []
    for p in hardware.processors:
        first, several = (p.ram, p.more_ram) if key == "tensors_in" else (p.flash, p.more_flash)
        mine = {stage.choices[key] for stage in stages if several and stage.processor == p.name}
        users += [p.name] if memory in (mine or {first}) else []
    return users


def _not_counted(hardware: Hardware, stages: Sequence[Stage], *, sleeps: bool) -> list[str]:
    """What the description leaves unknown and the estimates therefore take as 0.

    ``sleeps``: there is a period, in which all processors sleep.
    """
    several = len(hardware.processors) > 1  # one alone neither sleeps nor wakes while it works
    used = {(stage.processor, stage.choices.get("level")) for stage in stages}
    changes = len({level for _, level in used} - {None}) > 1
    groups = {
        "sleep power": [p.name for p in hardware.processors if p.sleep_power_w is None and (several or sleeps)],
        "wake-up time": [p.name for p in hardware.processors if p.wakeup_s is None and several],
        "change of level": [
            f"to {level.name} of {p.name}"
            for p in hardware.processors
            for level in p.operating_points
            if changes and level.switch_s is None and (p.name, level.name) in used
        ],
        "energy of link": [
            f"{link.sender} to {link.receiver}" for link in hardware.links if link.energy_j_per_byte is None
        ],
    }
    return [f"{what} ({', '.join(names)})" for what, names in groups.items() if names]
