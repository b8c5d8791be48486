"""The choice of a design: from settings and costs to a search problem, and from its result to the design."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.outcomes import Outcomes, class_limit
from eeaug.cascade.output import Decision
from eeaug.hardware import KINDS, Hardware
from eeaug.network import costs as cost
from eeaug.network.costs import Costs
from eeaug.network.graph import Block
from eeaug.network.locations import Location
from eeaug.network.segments import Segments
from eeaug.search import solver
from eeaug.search.space import Problem
from eeaug.search.thresholds import PAPER_GRID, Objective, quantile_grid
from eeaug.settings import COSTS, Contradiction, Goal
from eeaug.settings.vocabulary import CONFIGURATIONS, usual_exits
from eeaug.support.spelling import nearest

__all__ = ["Baseline", "Rules", "baseline", "check_limits", "problem", "rules"]


@dataclass(frozen=True)
class Rules:
    """What the user pinned: locations that may have exits, those that must, on which processor, at what; in how
    many bytes."""

    locations: tuple[Location, ...]
    pinned: Mapping[str, int | None]
    thresholds: Mapping[str, float]
    max_exits: int
    max_ram_bytes: float | None = None
    max_flash_bytes: float | None = None
    reserved: Mapping[str, float] = field(default_factory=dict)

    def within(self, hardware: Hardware) -> Hardware:
        """The target with memories as large as the limits allow, named so that messages say why.

        ``reserved`` bytes of memories are for what is not estimated: code, stack, buffers.
        """
        limits: dict[str, float] = {}
        for of, limit in (("ram", self.max_ram_bytes), ("flash", self.max_flash_bytes)):
            used = {name for p in hardware.processors for name in (p.rams if of == "ram" else p.flashes)}
            for memory in hardware.memories:
                if limit is not None and memory.name in used:
                    limits[memory.name] = limits.get(memory.name, 0.0) + limit
                elif memory.name in used:  # the other use of it has no limit
                    limits[memory.name] = inf
        memories = tuple(
            replace(m, bytes=int(min(m.bytes, limits.get(m.name, inf)) - self.reserved.get(m.name, 0.0)))
            for m in hardware.memories
        )
        given = [("--max-ram", self.max_ram_bytes), ("--max-flash", self.max_flash_bytes)]
        words = " and ".join(f"{name} {int(limit):,}" for name, limit in given if limit is not None)
        name = f"{hardware.name} within {words}" if words else hardware.name
        return replace(hardware, name=name, memories=memories)


@dataclass(frozen=True)
class Baseline:
    """The whole model on one processor; ``choices`` as those of its mode (hardware.Mode)."""

    processor: str
    segments: Segments
    choices: Mapping[str, str]


def rules(goal: Goal, hardware: Hardware, locations: Sequence[Location], reasons: Mapping[str, str]) -> Rules:
    """Check the pins against the model and the target.

    Raises
    ------
    Contradiction : a location or processor that does not exist, or pins that contradict each other
    """
    names = [at.name for at in locations]
    for key, given in (("exit_at", goal.exit_at), ("threshold", goal.threshold), ("forbid", goal.forbid)):
        for name in given:
            if name not in names:
                why = f": {reasons[name]}" if name in reasons else nearest(name, names)
                no_such = f"{{{key}}}: no location of that name{{0}}; see eeaug inspect"
                raise Contradiction(no_such, why, **{key: name})
    both = sorted(set(goal.exit_at) & set(goal.forbid))
    if both:
        raise Contradiction("{exit_at} and {forbid} both name {0}", ", ".join(both))
    processors = [p.name for p in hardware.processors]
    pinned: dict[str, int | None] = {}
    for location, processor in goal.exit_at.items():
        if processor is not None and processor not in processors:
            hint = f"{nearest(processor, processors)}; it has {', '.join(processors)}"
            no_such = "{exit_at}: {0} has no such processor{1}"
            raise Contradiction(no_such, hardware.name, hint, exit_at=f"{location}:{processor}")
        pinned[location] = None if processor is None else processors.index(processor)
    usual = usual_exits(goal.mapping, goal.thresholds, len(processors))
    limit = usual if goal.max_exits is None else goal.max_exits
    if goal.thresholds**limit > CONFIGURATIONS:
        raise Contradiction(
            f"{{thresholds}} for {limit} exits are {goal.thresholds**limit:,} configurations of every "
            f"architecture; at most {CONFIGURATIONS:,} can be counted: lower it, or {{max_exits}}",
            thresholds=goal.thresholds,
        )
    if len(pinned) > limit:
        raise Contradiction(f"{len(pinned)} × {{exit_at}}, but {{max_exits}} is {limit}; raise it")
    allowed = tuple(at for at in locations if at.name not in goal.forbid)
    return Rules(allowed, pinned, dict(goal.threshold), limit, goal.max_ram_bytes, goal.max_flash_bytes)


def baseline(goal: Goal, costs: Costs) -> Baseline:
    """The given model on the target's ``baseline`` processor, else where it fits with the lowest latency.

    Without known latencies: the first processor that it fits on. If it fits nowhere, memory is ignored: it
    is a comparison, not a design. The processor is chosen at its own clock; then its level is the one that the
    goal would choose for the model, so that what a level saves is not said to be saved by exits.
    """
    hardware = costs.hardware
    whole = np.zeros((1, 0), dtype=np.intp)
    longest = np.inf if goal.longest_s is None else goal.longest_s * (1 + 1e-12)
    options = []
    for i, mode in enumerate(costs.modes):
        segments = costs.segments(whole, (i,))
        used = costs.memory_bytes(segments)
        fits = all(used[memory.name][0] <= memory.bytes for memory in hardware.memories)
        latency = _known(segments.worst_latency_s[0])
        cost, energy = (_known(segments.of(name)[0, 0]) for name in (goal.objective, "energy"))
        rank = (not fits, latency > longest, cost, energy, latency, i)
        options.append((mode, (not fits, latency, i), rank, segments))
    if hardware.baseline is not None:
        options = [option for option in options if option[0].processor.name == hardware.baseline]
    on, *_ = min((option for option in options if option[0].nominal), key=lambda option: option[1])
    options = [o for o in options if o[0].index == on.index and (o[0].nominal or not goal.own_clock)]
    mode, _, _, segments = min(options, key=lambda option: option[2])
    return Baseline(mode.processor.name, segments, mode.choices)


def _known(value: float) -> float:
    return float("inf") if np.isnan(value) else float(value)


def problem(
    goal: Goal,
    costs: Costs,
    outcomes: Outcomes,
    pins: Rules,
    base: Baseline,
    decision: Decision,
) -> Problem:
    """The search problem for these candidates; ``outcomes`` are theirs on choose, and mean ``decision``."""
    most = goal.max_class_drop
    objective = Objective(
        base_accuracy=float(outcomes.alone.accuracies[0]),
        base_cost=float(base.segments.of(goal.objective).sum()),
        budget=goal.max_accuracy_drop,
        weight=goal.efficiency_weight,
    )
    independent = goal.scoring == "independent"
    return Problem(
        costs=costs,
        outcomes=outcomes,
        grid=_grid(costs, outcomes, pins, goal.thresholds, paper=independent),
        objective=objective,
        cost=goal.objective,
        max_latency_s=goal.longest_s,
        latency_option="--max-latency" if goal.longest_s == goal.max_latency_s else "--period",
        own_clock=goal.own_clock,
        max_exits=pins.max_exits,
        one_each=goal.mapping == "one-each",
        independent=independent,
        pinned=pins.pinned,
        classes=None if most is None else class_limit(outcomes, decision, most),
    )


def _grid(costs: Costs, outcomes: Outcomes, pins: Rules, count: int, *, paper: bool) -> NDArray[np.float32]:
    """Thresholds of every exit, (C, count): the paper's fixed ones or quantiles; a pinned one alone."""
    rows = [paper_grid(count) if paper else quantile_grid(row, count) for row in outcomes.confidence[:-1]]
    for i, exit_ in enumerate(costs.exits):
        if exit_.location in pins.thresholds:
            rows[i] = np.full(count, pins.thresholds[exit_.location], dtype=np.float32)
    return np.array(rows, dtype=np.float32).reshape(len(rows), count)


def check_limits(goal: Goal, costs: Costs, pins: Rules, blocks: Sequence[Block]) -> None:
    """Before anything is trained: are the figures there that limits need, and can any design meet them?

    Raises
    ------
    Contradiction : a figure that a limit or the objective needs is null in the hardware description
    InfeasibleError : no placement of the planned heads meets the limits
    """
    macs = [block.macs for block in blocks] + [exit_.macs for exit_ in costs.exits]
    kinds = [kind for kind in KINDS if any(m.get(kind) for m in macs)]
    needs = COSTS[goal.objective].needs
    if goal.longest_s is not None:
        option = "period_s" if goal.max_latency_s is None else "max_latency_s"
        cost.require_rates(costs, kinds, option)
    elif "rates" in needs:
        cost.require_rates(costs, kinds, "objective", goal.objective)
    if "powers" in needs:
        cost.require_energies(costs.hardware, "objective", goal.objective)
    nothing = np.zeros((len(costs.exits) + 1, 1))
    unknown = Outcomes(nothing.astype(np.float32), nothing.astype(np.int64), np.zeros(1, np.int64))
    one_class = Decision("softmax", 1)
    solver.check_feasible(problem(goal, costs, unknown, pins, baseline(goal, costs), one_class))


def paper_grid(count: int) -> NDArray[np.float32]:
    return np.linspace(PAPER_GRID[0], PAPER_GRID[-1], count).astype(np.float32)
