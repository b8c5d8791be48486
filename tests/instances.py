"""Random small searches; brute.py knows what is best in them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from brute import Brute
from numpy.typing import NDArray
from random_parts import some_block, some_exit, some_hardware, with_levels, with_memories

from eeaug.cascade.outcomes import Outcomes
from eeaug.hardware import Hardware
from eeaug.network.costs import Costs, ExitCosts
from eeaug.network.graph import Block
from eeaug.search.space import Problem
from eeaug.search.thresholds import Objective


@dataclass(frozen=True)
class Instance:
    """Everything of a search but its objective and limits."""

    hardware: Hardware
    blocks: tuple[Block, ...]
    exits: tuple[ExitCosts, ...]
    input_elements: int
    outcomes: Outcomes
    grid: NDArray[np.float32]
    period_s: float | None = None

    def problem(self, **options: Any) -> Problem:
        costs = Costs(self.hardware, self.blocks, self.exits, self.input_elements, period_s=self.period_s)
        return Problem(costs, self.outcomes, self.grid, **options)

    def with_memories(self, sizes: dict[str, int]) -> Instance:
        memories = tuple(replace(m, bytes=sizes.get(m.name, m.bytes)) for m in self.hardware.memories)
        return replace(self, hardware=replace(self.hardware, memories=memories))


def make(
    rng: np.random.Generator,
    *,
    locations: int | None = None,
    thresholds: int | None = None,
    samples: int | None = None,
    known: bool = True,
    weighted: bool = False,
    levels: bool = False,
    memories: bool = False,
) -> Instance:
    """A random instance; not ``known``: some powers and bandwidths may be null; ``weighted``: samples are.

    ``levels``: processors may have several, and a period may be known; ``memories``: they may have several.
    """
    count = locations or int(rng.integers(2, 6))
    samples = samples or int(rng.integers(20, 61))
    after = np.sort(rng.choice(np.arange(count + 2), count, replace=False))  # 0: on the input
    blocks = [some_block(rng, f"b{b}") for b in range(count + 2)]
    exits = [some_exit(rng, int(a), h) for a in after for h in range(1 + (rng.random() < 0.25))]
    outcomes = correlated(rng, len(exits), samples)
    if weighted:
        outcomes = replace(outcomes, weights=rng.uniform(0.2, 3.0, samples))
    hardware = some_hardware(rng, known)
    if memories:
        hardware = with_memories(rng, hardware)
    return Instance(
        hardware=with_levels(rng, hardware) if levels else hardware,
        blocks=tuple(blocks),
        exits=tuple(exits),
        input_elements=int(rng.integers(10, 100)),
        outcomes=outcomes,
        grid=some_grid(rng, outcomes, thresholds or int(rng.integers(2, 5))),
        period_s=float(rng.uniform(0.1, 2.0)) if levels and rng.random() < 0.6 else None,
    )


def correlated(rng: np.random.Generator, exits: int, samples: int) -> Outcomes:
    """Exits that err on the same hard samples; later ones err less; some confidences are equal."""
    classes = 4
    hardness = rng.normal(size=samples)
    skill = np.sort(rng.uniform(0.0, 2.0, exits + 1))
    margin = skill[:, None] - 1.2 * hardness + 0.7 * rng.normal(size=(exits + 1, samples))
    labels = rng.integers(0, classes, samples)
    wrong = (labels + rng.integers(1, classes, (exits + 1, samples))) % classes
    predicted = np.where(margin > 0, labels, wrong)
    confidence = 1 / (1 + np.exp(-np.abs(margin + 0.5 * rng.normal(size=margin.shape))))
    return Outcomes(np.round(confidence, 2).astype(np.float32), predicted, labels)


def some_grid(rng: np.random.Generator, outcomes: Outcomes, count: int) -> NDArray[np.float32]:
    """Ascending thresholds that lie on confidences or beside them, then never."""
    rows = []
    for confidence in outcomes.confidence[:-1]:
        row = np.sort(rng.choice(confidence, count - 1) + rng.choice([0.0, 0.003], count - 1))
        rows.append([*row.astype(np.float32), np.inf])
    return np.array(rows, dtype=np.float32).reshape(-1, count)


def random_objective(rng: np.random.Generator, instance: Instance) -> Objective:
    base = float(instance.outcomes.correct[-1].mean())
    if rng.random() < 0.4:
        return Objective(base, float(rng.uniform(0.5, 2.0)) * 10_000, weight=float(rng.uniform(0.1, 0.9)))
    return Objective(base, 10_000.0, budget=(float(rng.choice([0.0, 0.02, 0.05, 0.1, 0.2]))))


def random_pins(rng: np.random.Generator, instance: Instance) -> dict[str, int | None]:
    if rng.random() < 0.7:
        return {}
    chosen = rng.choice([e.location for e in instance.exits], int(rng.integers(1, 3)))
    count = len(instance.hardware.processors)
    return {str(at): None if rng.random() < 0.5 else int(rng.integers(0, count)) for at in chosen}


def random_problem(seed: int, **fixed: Any) -> tuple[Instance, Problem]:
    """An instance and a search on it; limits are set to what some designs need, so that they just bind."""
    rng = np.random.default_rng(seed)
    cost = str(rng.choice(["macs", "latency", "energy"]))
    max_exits = int(rng.integers(1, 5))
    timed = bool(rng.random() < 0.5)
    max_exits = fixed.pop("max_exits", max_exits)
    known = fixed.pop("known", timed or cost != "macs")
    made = {key: fixed.pop(key) for key in ("locations", "weighted", "levels", "memories") if key in fixed}
    instance = make(rng, known=known, thresholds=2 if max_exits == 4 else None, **made)
    options: dict[str, Any] = {
        "objective": random_objective(rng, instance),
        "cost": cost,
        "max_exits": max_exits,
        "one_each": bool(rng.random() < 0.25),
        "independent": bool(rng.random() < 0.5),
        "pinned": random_pins(rng, instance),
        **fixed,
    }
    rows = Brute(instance.problem(**options), instance.input_elements, period_s=instance.period_s).rows
    if not rows:
        return instance, instance.problem(**options)
    if timed:
        known_s = [row.worst_latency_s for row in rows if not np.isnan(row.worst_latency_s)] or [1.0]
        worst = np.quantile(known_s, rng.choice([0.0, 0.1, 0.4, 0.9]))
        options["max_latency_s"] = float(worst) * (0.9 if rng.random() < 0.1 else 1.0)
    sizes = {}
    for memory in instance.hardware.memories:
        if rng.random() < 0.5:
            used = [row.memory_bytes[memory.name] for row in rows]
            sizes[memory.name] = max(1, int(np.quantile(used, rng.choice([0.0, 0.3, 0.8]))))
    instance = instance.with_memories(sizes)
    return instance, instance.problem(**options)


def chosen(
    rng: np.random.Generator, exits: int = 2, samples: int = 900
) -> tuple[Outcomes, list[float], list[float]]:
    """Outcomes of an architecture, its thresholds at the upper third of confidences, its costs."""
    outcomes = correlated(rng, exits, samples)
    thresholds = [float(np.quantile(row, 0.67)) for row in outcomes.confidence[:-1]]
    return outcomes, thresholds, [3.0, 2.0, 5.0][: exits + 1]
