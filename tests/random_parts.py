"""Random processors, blocks and exits, of which instances.py makes searches."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np

from eeaug.hardware import KINDS, Hardware, Level, Link, Memory, Processor
from eeaug.network.costs import ExitCosts
from eeaug.network.graph import Block

WIDTH = {"int8": 1, "int16": 2, "float32": 4}
PLENTY = 10**9  # bytes


def _some_macs(rng: np.random.Generator, most: int) -> dict[str, int]:
    return {kind: int(rng.integers(1, most)) for kind in KINDS if rng.random() < 0.5}


def some_block(rng: np.random.Generator, name: str) -> Block:
    elements = int(rng.integers(5, 100))
    peak = elements + int(rng.integers(10, 200))
    return Block(name, (name,), (elements,), _some_macs(rng, 5000), int(rng.integers(0, 300)), peak)


def some_exit(rng: np.random.Generator, after: int, head: int) -> ExitCosts:
    peak = int(rng.integers(1, 150))
    return ExitCosts(f"b{after - 1}", after, f"h{head}", _some_macs(rng, 500), int(rng.integers(1, 60)), peak)


def some_hardware(rng: np.random.Generator, known: bool) -> Hardware:
    def maybe(value: float, share: float) -> float | None:
        return None if rng.random() < share else value

    count = int(rng.integers(1, 4))
    names = [f"p{i}" for i in range(count)]
    shared_ram, shared_flash, one_memory = rng.random(3) < (0.6, 0.5, 0.2)
    processors = []
    for i, name in enumerate(names):
        ram = "ram" if shared_ram else f"ram{i}"
        rates = {"default": float(rng.uniform(1e5, 1e6) * 3**i)}
        rates |= {kind: maybe(float(rng.uniform(1e5, 3e6)), 0.6) for kind in KINDS}
        processors.append(
            Processor(
                name=name,
                rates_macs_per_s=rates,
                arithmetic=str(rng.choice(list(WIDTH))),
                ram=ram,
                flash=ram if one_memory else "flash" if shared_flash else f"flash{i}",
                active_power_w=float(rng.uniform(0.01, 0.2)) if known else maybe(0.1, 0.4),
                sleep_power_w=maybe(float(rng.uniform(0.0, 0.01)), 0.4),
                wakeup_s=maybe(float(rng.uniform(0.0, 2e-3)), 0.4),
            )
        )
    spread = rng.spawn(1)[0]  # draws of its own, so that all else stays as it is
    links = [
        Link(
            sender=a,
            receiver=b,
            bandwidth_bytes_per_s=float(rng.uniform(1e4, 1e6)) if known else maybe(1e5, 0.4),
            latency_s=float(rng.choice([0.0, 1e-3])),
            energy_j_per_byte=maybe(float(rng.uniform(1e-8, 1e-6)), 0.5),
            latency_p95_s=float(spread.uniform(1e-3, 3e-3)) if spread.random() < 0.3 else None,
            bandwidth_p5_bytes_per_s=5e3 if spread.random() < 0.3 else None,
        )
        for a, b in product(names, names)
        if a != b and rng.random() < 0.85
    ]
    used = sorted({m for p in processors for m in (p.ram, p.flash)})
    return Hardware(
        name="board",
        source=None,
        input_at=names[0] if rng.random() < 0.7 else str(rng.choice(names)),
        exclusive=bool(rng.random() < 0.5),
        baseline=None,
        processors=tuple(processors),
        memories=tuple(Memory(name, PLENTY) for name in used),
        links=tuple(links),
    )


def with_levels(rng: np.random.Generator, hardware: Hardware) -> Hardware:
    """The target where some processors have two or three performance levels; the first is their own clock."""
    processors = []
    for p in hardware.processors:
        levels = [Level("high", 1e8, 1.2, switch_s=float(rng.choice([0.0, 1e-3])))]
        for name in ("low", "lowest")[: int(rng.integers(0, 3))]:
            slower = float(rng.uniform(1.2, 4.0)) * (1 if name == "low" else 3)
            power = None if p.active_power_w is None else p.active_power_w / slower * float(rng.uniform(0.6, 1.3))
            voltage = None if rng.random() < 0.2 else 1.2 / slower**0.3  # scaled, or said, or unknown
            said = power if rng.random() < 0.5 else None
            switch = float(rng.choice([0.0, 1e-3, 5e-3]))
            levels.append(Level(name, 1e8 / slower, voltage, said, switch if rng.random() < 0.8 else None))
        several = len(levels) > 1
        processors.append(replace(p, clock_hz=1e8, operating_points=tuple(levels)) if several else p)
    return replace(hardware, processors=tuple(processors))


def with_memories(rng: np.random.Generator, hardware: Hardware) -> Hardware:
    """The target where most processors have two memories for weights, tensors or both, fast and slow ones."""
    extra = [Memory(name, PLENTY) for name in ("tcm", "outside")]
    processors = []
    for p in hardware.processors:
        more_ram = tuple(m.name for m in extra if rng.random() < 0.5)[:1]
        more_flash = tuple(m.name for m in extra if rng.random() < 0.4)[:1]
        processors.append(replace(p, more_ram=more_ram, more_flash=more_flash))
    memories = tuple(
        replace(m, bandwidth_bytes_per_s=None if rng.random() < 0.3 else float(10 ** rng.uniform(4, 6.5)))
        for m in (*hardware.memories, *extra)
    )
    return replace(hardware, processors=tuple(processors), memories=memories)
