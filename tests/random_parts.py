"""Random processors, blocks and exits, of which instances.py makes searches."""

from __future__ import annotations

from itertools import product

import numpy as np

from eeaug.hardware import KINDS, Hardware, Link, Memory, Processor
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
    links = [
        Link(
            sender=a,
            receiver=b,
            bandwidth_bytes_per_s=float(rng.uniform(1e4, 1e6)) if known else maybe(1e5, 0.4),
            latency_s=float(rng.choice([0.0, 1e-3])),
            energy_j_per_byte=maybe(float(rng.uniform(1e-8, 1e-6)), 0.5),
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
