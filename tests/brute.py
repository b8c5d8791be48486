"""What is best in a small search, by brute force over the definitions.

Nothing here calls the code under test for a score: costs are sums over blocks, accuracies are replayed
sample by sample (or multiplied up, under independence), and every design is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, combinations_with_replacement, pairwise, product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from random_parts import WIDTH

from eeaug.cascade.outcomes import Outcomes
from eeaug.hardware import Level
from eeaug.network.costs import ExitCosts
from eeaug.network.graph import Block
from eeaug.search.space import Design, Problem
from eeaug.search.thresholds import of_design


@dataclass(frozen=True)
class Row:
    """One architecture on one placement: exits, modes, and what that needs."""

    exits: tuple[int, ...]
    modes: tuple[int, ...]
    worst_latency_s: float
    memory_bytes: dict[str, float]
    thresholds: NDArray[np.float32]  # (configurations, m)
    value: NDArray[np.float64]  # of the objective; infinite where the budget is missed
    accuracy: NDArray[np.float64]
    mean_energy_j: NDArray[np.float64]
    mean_latency_s: NDArray[np.float64]
    class_drop: NDArray[np.float64]  # of the class that loses most; 0 if classes are not limited

    def fits(self, problem: Problem) -> bool:
        limit = np.inf if problem.max_latency_s is None else problem.max_latency_s * (1 + 1e-9)
        sizes = {m.name: m.bytes for m in problem.costs.hardware.memories}
        return not self.worst_latency_s > limit and all(
            used <= sizes[name] for name, used in self.memory_bytes.items()
        )


class Brute:
    """Every design of a problem, limits aside; ``kind`` as in output.Decision says what labels mean."""

    def __init__(
        self, problem: Problem, input_elements: int, kind: str = "softmax", period_s: float | None = None
    ) -> None:
        self.problem, self.input_elements, self.kind, self.period_s = problem, input_elements, kind, period_s
        self.hardware, self.exits = problem.costs.hardware, problem.costs.exits
        self.modes = [
            (p, level, flash, ram)
            for p, processor in enumerate(self.hardware.processors)
            for level in processor.operating_points or (None,)
            for flash in (processor.flash, *processor.more_flash)
            for ram in (processor.ram, *processor.more_ram)
        ]
        self.blocks = problem.costs.blocks
        self._stages: dict[Any, tuple[float, ...]] = {}
        self._links = {(k.sender, k.receiver): k for k in self.hardware.links}

    @cached_property
    def rows(self) -> list[Row]:
        return [
            self._row(arch, on, *scores)
            for m in range(self.problem.max_exits + 1)
            for arch in self._architectures(m)
            for scores in [self._scores(arch)]
            for on in self._placements(m)
            if self._pins_hold(arch, on)
        ]

    def best(self, rows: Sequence[Row] | None = None) -> float | None:
        """The objective of the best design that meets all limits, None if there is none."""
        fitting = [row for row in (self.rows if rows is None else rows) if row.fits(self.problem)]
        lowest = min((row.value.min() for row in fitting), default=np.inf)
        return float(lowest) if np.isfinite(lowest) else None

    def limits_bind(self) -> bool:
        """Whether a design would be better that misses a limit; one that misses the budget counts as none."""
        best = self.best()
        return best is not None and best > min(row.value.min() for row in self.rows) * (1 + 1e-9)

    def winners(self) -> list[Design]:
        """All designs that are best and stay so through the ties, in their documented order."""
        each = []
        for row in self.rows:
            if row.fits(self.problem):
                each += [
                    (Design(row.exits, row.modes, of_design(row.thresholds[c])), key)
                    for c, key in enumerate(self._keys(row))
                    if np.isfinite(key[0])
                ]
        for position in range(len(each[0][1])):
            least = min(key[position] for _, key in each)
            slack = least if isinstance(least, tuple) else least + 1e-11 * abs(least) + 1e-15
            each = [(design, key) for design, key in each if key[position] <= slack]
        return [design for design, _ in each]

    def _keys(self, row: Row) -> list[tuple[Any, ...]]:
        def known(value: float) -> float:  # an unknown energy or latency loses against a known one
            return float("inf") if np.isnan(value) else float(value)

        where = tuple(self.exits[e].after for e in row.exits)
        processors = {self.modes[mode][0] for mode in row.modes}
        rest = (known(row.worst_latency_s), len(processors), len(set(row.modes)), where)
        means = zip(row.value, row.mean_energy_j, row.mean_latency_s, strict=True)
        return [(float(v), known(e), known(t), *rest) for v, e, t in means]

    def _architectures(self, m: int) -> list[tuple[int, ...]]:
        pins = {e.after for e in self.exits if e.location in self.problem.pinned}
        found = []
        for arch in combinations(range(len(self.exits)), m):
            after = [self.exits[e].after for e in arch]
            if all(a < b for a, b in pairwise(after)) and pins <= set(after):
                found.append(arch)
        return found

    def _placements(self, m: int) -> list[tuple[int, ...]]:
        names = [p.name for p in self.hardware.processors]
        choose = combinations if self.problem.one_each else combinations_with_replacement
        found = []
        for on in choose(range(len(names)), m + 1):
            way = [self.hardware.input_at, *(names[p] for p in on)]
            if all(a == b or (a, b) in self._links for a, b in pairwise(way)):
                found += product(*(self._levels(p) for p in on))
        return found

    def _levels(self, processor: int) -> list[int]:
        """Its modes that may be used."""
        own = self.hardware.processors[processor].clock_hz
        return [
            mode
            for mode, (p, level, _, _) in enumerate(self.modes)
            if p == processor and (level is None or level.clock_hz == own or not self.problem.own_clock)
        ]

    def _pins_hold(self, arch: tuple[int, ...], on: tuple[int, ...]) -> bool:
        wanted = (self.problem.pinned.get(self.exits[e].location) for e in arch)
        return all(pin in (None, self.modes[mode][0]) for pin, mode in zip(wanted, on, strict=False))

    def _scores(self, arch: tuple[int, ...]) -> tuple[NDArray[Any], ...]:
        """Of every configuration: its thresholds (·, m), reach (·, m + 1), accuracy and class drop."""
        problem, m = self.problem, len(arch)
        thresholds = np.array(list(product(*(problem.grid[e] for e in arch))), dtype=np.float32)
        rows = [*arch, len(self.exits)]
        right = problem.outcomes.predicted[rows] == problem.outcomes.labels
        counts = problem.outcomes.weights
        counts = np.ones(right.shape[1]) if counts is None else counts
        leaves = problem.outcomes.confidence[list(arch)][None] >= thresholds[:, :, None]
        reach, accuracy = cascaded(leaves, right, counts, independent=problem.independent)
        judged = problem.outcomes.judged
        if judged is not None:  # accuracy is a share of these alone, whatever becomes of the others
            _, accuracy = cascaded(leaves[:, :, judged], right[:, judged], counts[judged], independent=False)
        lost = np.zeros(len(thresholds))
        if problem.classes is not None:
            for own, right_about in by_class(problem.outcomes, self.kind):
                if own.any():
                    right = right_about[rows]
                    _, mine = cascaded(leaves, right, counts * own, independent=problem.independent)
                    given = (right[m] * counts * own).sum() / (counts * own).sum()
                    lost = np.maximum(lost, given - mine)
        return thresholds, reach, accuracy, lost

    def _row(
        self, arch: tuple[int, ...], on: tuple[int, ...], thresholds: Any, reach: Any, accuracy: Any, lost: Any
    ) -> Row:
        sender, start, stages = None, 0, []
        for k, mode in enumerate(on):
            head = arch[k] if k < len(arch) else None
            stages.append(self._stage(start, head, sender, mode))
            start = self.exits[head].after if head is not None else start
            sender = mode
        macs, time, energy, weights, tensors, late = (np.array(column) for column in zip(*stages, strict=True))
        if self.period_s is not None:  # all asleep, but for what segments draw
            asleep = sum(p.sleep_power_w or 0.0 for p in self.hardware.processors)
            energy = energy - asleep * time
            energy[0] += asleep * self.period_s
        objective = self.problem.objective
        cost = reach @ {"macs": macs, "latency": time, "energy": energy}[self.problem.cost]
        if objective.weight is None:
            assert objective.budget is not None
            value = np.where(accuracy >= objective.base_accuracy - objective.budget - 1e-9, cost, np.inf)
        else:
            missing = np.maximum(0, objective.base_accuracy - accuracy)
            value = objective.weight * cost / objective.base_cost + (1 - objective.weight) * missing
        if self.problem.classes is not None:
            value = np.where(lost <= self.problem.classes.most + 1e-9, value, np.inf)
        memory = self._memory(on, weights, tensors)
        return Row(
            arch, on, (time + late).sum(), memory, thresholds, value, accuracy, reach @ energy, reach @ time, lost
        )  # fmt: skip

    def _stage(self, start: int, head: int | None, sender: int | None, mode: int) -> tuple[float, ...]:
        key = (start, head, sender, mode)
        if key not in self._stages:
            self._stages[key] = self._computed_stage(*key)
        return self._stages[key]

    def _computed_stage(self, start: int, head: int | None, sender: int | None, mode: int) -> tuple[float, ...]:
        """MACs, seconds, joules, bytes of weights, of tensors, seconds that a slow hand-over takes besides."""
        p, level, flash, ram = self.modes[mode]
        mine = self.hardware.processors[p]
        slower = 1.0 if level is None else (mine.clock_hz or np.nan) / level.clock_hz
        work = list(self.blocks[start : len(self.blocks) if head is None else self.exits[head].after])
        parts: list[Block | ExitCosts] = [*work]
        tensors = max((b.peak_elements for b in work), default=0)
        if head is not None:
            parts.append(self.exits[head])
            end = self.exits[head].after
            read = self.blocks[end - 1].elements if end else self.input_elements
            tensors = max(tensors, read + self.exits[head].peak_elements)
        macs = time = weights = 0.0
        speed = {m.name: m.bandwidth_bytes_per_s or np.inf for m in self.hardware.memories}
        for number, part in enumerate(parts):
            weights += part.parameters
            computes = 0.0
            for kind, count in part.macs.items():
                macs += count
                rate = mine.rates_macs_per_s[kind] or mine.rates_macs_per_s["default"] or np.nan
                computes += slower * count / rate
            at = self.exits[head].after if isinstance(part, ExitCosts) and head is not None else start + number
            moved = self.blocks[at - 1].elements if at else self.input_elements
            if not isinstance(part, ExitCosts):
                moved += part.elements
            bytes_of = {flash: part.parameters * WIDTH[mine.arithmetic]}
            bytes_of[ram] = bytes_of.get(ram, 0) + moved * WIDTH[mine.arithmetic]
            waits = max(count / speed[name] for name, count in bytes_of.items())
            time += computes if np.isnan(computes) else max(computes, waits)
        energy = time * self._power(p, level)
        names = [each.name for each in self.hardware.processors]
        wakeup = late = 0.0
        if sender is None:  # where samples arrive, at its own clock
            here = names.index(self.hardware.input_at)
            before = next((x for x in self.hardware.processors[here].operating_points), None)
        else:
            here, before, _, _ = self.modes[sender]
            if level is not None and before is not None and level.name != before.name:
                wakeup += level.switch_s or 0.0
        if here != p:
            link = self._links[names[here], mine.name]
            elements = self.blocks[start - 1].elements if start else self.input_elements
            sent = elements * WIDTH[self.hardware.processors[here].arithmetic]
            on_the_way = link.latency_s + sent / (link.bandwidth_bytes_per_s or np.nan)
            wakeup += mine.wakeup_s or 0.0
            time += on_the_way
            slow_s = (link.latency_p95_s or link.latency_s) + sent / (
                link.bandwidth_p5_bytes_per_s or link.bandwidth_bytes_per_s or np.nan
            )
            late = 0.0 if np.isnan(on_the_way) else slow_s - on_the_way
            energy += on_the_way * self._power(here, before)
            energy += sent * (link.energy_j_per_byte or 0.0)
        time += wakeup
        energy += wakeup * self._power(p, level)
        width = WIDTH[mine.arithmetic]
        return macs, time, energy, weights * width, tensors * width, late

    def _power(self, working: int, level: Level | None) -> float:
        """Watts while one processor works at a level and the others sleep."""
        watts = 0.0
        for i, p in enumerate(self.hardware.processors):
            if i != working:
                watts += p.sleep_power_w or 0.0
            elif p.active_power_w is None or level is None:
                watts += np.nan if p.active_power_w is None else p.active_power_w
            elif level.active_power_w is not None:
                watts += level.active_power_w
            elif level.clock_hz == p.clock_hz:
                watts += p.active_power_w
            else:
                own = next(x for x in p.operating_points if x.clock_hz == p.clock_hz)
                volts = (np.nan if level.voltage_v is None else level.voltage_v) / (own.voltage_v or np.nan)
                watts += p.active_power_w * level.clock_hz / own.clock_hz * volts**2
        return watts

    def _memory(self, on: tuple[int, ...], weights: Any, tensors: Any) -> dict[str, float]:
        used = {m.name: 0.0 for m in self.hardware.memories}
        arena: dict[str, dict[int, float]] = {name: {} for name in used}
        for k, mode in enumerate(on):
            p, _, flash, ram = self.modes[mode]
            used[flash] += weights[k]
            here = arena[ram]
            here[p] = max(here.get(p, 0.0), tensors[k])
        for name, of in arena.items():
            at_once = max if self.hardware.exclusive else sum
            used[name] += at_once(of.values()) if of else 0.0
        return used


def cascaded(
    leaves: NDArray[np.bool_], right: NDArray[np.bool_], counts: NDArray[np.float64], *, independent: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Reach (·, m + 1) and accuracy of configurations; leaves (·, m, n), right (m + 1, n), counts (n,)."""
    configurations, m, samples = leaves.shape

    def share(chosen: NDArray[np.bool_]) -> Any:
        return (chosen * counts).sum(axis=-1) / counts.sum()

    if independent:
        reach, accuracy = [np.ones(configurations)], np.zeros(configurations)
        for k in range(m):
            accuracy = accuracy + reach[k] * share(leaves[:, k] & right[k])
            reach.append(reach[k] * (1 - share(leaves[:, k])))
        return np.stack(reach, axis=1), accuracy + reach[m] * share(right[m])
    last = np.ones((configurations, 1, samples), dtype=bool)
    at = np.concatenate([leaves, last], axis=1).argmax(axis=1)  # (configurations, samples)
    return np.stack([share(at >= k) for k in range(m + 1)], axis=1), share(right[at, np.arange(samples)])


def by_class(outcomes: Outcomes, kind: str) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Of every class of ``correlated``: the samples (n,) that tell, and who is right about it there, (C + 1, n).

    As labels of several classes at once its codes 0 to 3 are two bits.
    """
    labels, predicted = outcomes.labels, outcomes.predicted
    if kind == "multilabel":
        bits = [bit for bit in (1, 2) if (labels & bit).any()]
        return [(np.ones(len(labels), bool), (predicted & bit) == (labels & bit)) for bit in bits]
    return [(labels == c, predicted == labels) for c in range(4)]
