"""Random small searches, and what is best in them by brute force over the definitions.

Nothing here calls the code under test for a score: costs are sums over blocks, accuracies are replayed
sample by sample (or multiplied up, under independence), and every design is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, combinations_with_replacement, pairwise, product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from random_parts import WIDTH, some_block, some_exit, some_hardware

from eeaug.cascade.outcomes import Outcomes
from eeaug.hardware import Hardware
from eeaug.network.costs import Costs, ExitCosts
from eeaug.network.graph import Block
from eeaug.search.space import Design, Problem
from eeaug.search.thresholds import Objective, of_design


@dataclass(frozen=True)
class Instance:
    """Everything of a search but its objective and limits."""

    hardware: Hardware
    blocks: tuple[Block, ...]
    exits: tuple[ExitCosts, ...]
    input_elements: int
    outcomes: Outcomes
    grid: NDArray[np.float32]

    def problem(self, **options: Any) -> Problem:
        costs = Costs(self.hardware, self.blocks, self.exits, self.input_elements)
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
) -> Instance:
    """A random instance; not ``known``: some powers and bandwidths may be null; ``weighted``: samples are."""
    count = locations or int(rng.integers(2, 6))
    samples = samples or int(rng.integers(20, 61))
    after = np.sort(rng.choice(np.arange(count + 2), count, replace=False))  # 0: on the input
    blocks = [some_block(rng, f"b{b}") for b in range(count + 2)]
    exits = [some_exit(rng, int(a), h) for a in after for h in range(1 + (rng.random() < 0.25))]
    outcomes = correlated(rng, len(exits), samples)
    if weighted:
        outcomes = replace(outcomes, weights=rng.uniform(0.2, 3.0, samples))
    return Instance(
        hardware=some_hardware(rng, known),
        blocks=tuple(blocks),
        exits=tuple(exits),
        input_elements=int(rng.integers(10, 100)),
        outcomes=outcomes,
        grid=some_grid(rng, outcomes, thresholds or int(rng.integers(2, 5))),
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


@dataclass(frozen=True)
class Row:
    """One architecture on one placement: exits, processors, and what that needs."""

    exits: tuple[int, ...]
    processors: tuple[int, ...]
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

    def __init__(self, problem: Problem, input_elements: int, kind: str = "softmax") -> None:
        self.problem, self.input_elements, self.kind = problem, input_elements, kind
        self.hardware, self.exits = problem.costs.hardware, problem.costs.exits
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

    def winners(self) -> list[Design]:
        """All designs that are best and stay so through the ties, in their documented order."""
        each = []
        for row in self.rows:
            if row.fits(self.problem):
                each += [
                    (Design(row.exits, row.processors, of_design(row.thresholds[c])), key)
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
        rest = (known(row.worst_latency_s), len(set(row.processors)), where)
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
                found.append(on)
        return found

    def _pins_hold(self, arch: tuple[int, ...], on: tuple[int, ...]) -> bool:
        wanted = (self.problem.pinned.get(self.exits[e].location) for e in arch)
        return all(pin in (None, p) for pin, p in zip(wanted, on, strict=False))

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
        sender, start, stages = self.hardware.input_at, 0, []
        names = [p.name for p in self.hardware.processors]
        for k, p in enumerate(on):
            head = arch[k] if k < len(arch) else None
            stages.append(self._stage(start, head, sender, p))
            start = self.exits[head].after if head is not None else start
            sender = names[p]
        macs, time, energy, weights, tensors = (np.array(column) for column in zip(*stages, strict=True))
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
            arch, on, time.sum(), memory, thresholds, value, accuracy, reach @ energy, reach @ time, lost
        )  # fmt: skip

    def _stage(self, start: int, head: int | None, sender: str, p: int) -> tuple[float, ...]:
        key = (start, head, sender, p)
        if key not in self._stages:
            self._stages[key] = self._computed_stage(*key)
        return self._stages[key]

    def _computed_stage(self, start: int, head: int | None, sender: str, p: int) -> tuple[float, ...]:
        """MACs, seconds, joules, bytes of weights, bytes of tensors."""
        mine = self.hardware.processors[p]
        work = list(self.blocks[start : len(self.blocks) if head is None else self.exits[head].after])
        parts: list[Block | ExitCosts] = [*work]
        tensors = max((b.peak_elements for b in work), default=0)
        if head is not None:
            parts.append(self.exits[head])
            end = self.exits[head].after
            read = self.blocks[end - 1].elements if end else self.input_elements
            tensors = max(tensors, read + self.exits[head].peak_elements)
        macs = time = weights = 0.0
        for part in parts:
            weights += part.parameters
            for kind, number in part.macs.items():
                macs += number
                time += number / (mine.rates_macs_per_s[kind] or mine.rates_macs_per_s["default"] or np.nan)
        energy = time * self._power(mine.name)
        if sender != mine.name:
            link = self._links[sender, mine.name]
            elements = self.blocks[start - 1].elements if start else self.input_elements
            sent = elements * WIDTH[self.hardware.processor(sender).arithmetic]
            on_the_way = link.latency_s + sent / (link.bandwidth_bytes_per_s or np.nan)
            wakeup = mine.wakeup_s or 0.0
            time += on_the_way + wakeup
            energy += on_the_way * self._power(sender) + wakeup * self._power(mine.name)
            energy += sent * (link.energy_j_per_byte or 0.0)
        width = WIDTH[mine.arithmetic]
        return macs, time, energy, weights * width, tensors * width

    def _power(self, working: str) -> float:
        """Watts while one processor works and the others sleep."""
        watts = 0.0
        for p in self.hardware.processors:
            if p.name == working:
                watts += np.nan if p.active_power_w is None else p.active_power_w
            else:
                watts += p.sleep_power_w or 0.0
        return watts

    def _memory(self, on: tuple[int, ...], weights: Any, tensors: Any) -> dict[str, float]:
        used = {m.name: 0.0 for m in self.hardware.memories}
        arena: dict[str, dict[int, float]] = {name: {} for name in used}
        for k, p in enumerate(on):
            processor = self.hardware.processors[p]
            used[processor.flash] += weights[k]
            here = arena[processor.ram]
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
    made = {key: fixed.pop(key) for key in ("locations", "weighted") if key in fixed}
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
    rows = Brute(instance.problem(**options), instance.input_elements).rows
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
