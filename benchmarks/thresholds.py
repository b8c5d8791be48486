#!/usr/bin/env python3
"""The search for exits, processors and thresholds at scale: how long it takes, and whether it is right.

    OMP_NUM_THREADS=1 taskset -c 0 python benchmarks/thresholds.py

Networks, targets and outcomes are made up, with fixed seeds: correlated confidences, accuracies that rise
with depth, small heads, processors that get faster and memories that hold only a part of the network.
Seconds are processor time of one ``solve``, from a new problem to its result. Figures are printed as Markdown
tables.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from eeaug.cascade.outcomes import Outcomes, class_limit
from eeaug.cascade.output import Decision
from eeaug.errors import InfeasibleError
from eeaug.hardware import KINDS, Hardware, Link, Memory, Processor
from eeaug.network.costs import Costs, ExitCosts
from eeaug.network.graph import Block
from eeaug.search import labels, solver
from eeaug.search.placing import architectures, placements
from eeaug.search.space import LATENCY, Problem
from eeaug.search.thresholds import Objective, quantile_grid

THRESHOLDS = 13
# of four processors: type of tensors, share of all weights that flash holds, bytes of RAM
KINDS_OF_PROCESSORS = (("int8", 0.3, 10**6), ("int8", 0.6, 10**6), ("float32", 0.9, 250_000), ("float32", 2, 10**7))


def outcomes(rng: np.random.Generator, exits: int, samples: int) -> Outcomes:
    """Exits that err on the same hard samples, later ones less often."""
    hardness = rng.normal(size=samples)
    labels_ = rng.integers(0, 10, samples).astype(np.int16)
    confidence = np.empty((exits + 1, samples), np.float32)
    predicted = np.empty((exits + 1, samples), np.int16)
    for k, depth in enumerate(np.linspace(0, 1, exits + 1)):
        margin = 0.4 + 2.2 * depth - 1.4 * hardness + 0.6 * rng.normal(size=samples)
        predicted[k] = np.where(margin > 0, labels_, (labels_ + rng.integers(1, 10, samples)) % 10)
        confidence[k] = 1 / (1 + np.exp(-1.3 * np.abs(margin) + 0.3 * rng.normal(size=samples)))
    return Outcomes(confidence, predicted, labels_)


def problem(locations: int, processors: int, samples: int, *, seed: int = 0, **options: Any) -> Problem:
    """A network of as many blocks as locations and one more, an exit at each location, and a target."""
    rng = np.random.default_rng(seed)
    depth = np.linspace(0, 1, locations + 1)
    macs = (rng.uniform(0.3, 1, len(depth)) * 1e8 / locations).astype(int)
    parameters = (rng.uniform(0.3, 1, len(depth)) * np.exp(3 * depth) * 4e5 / locations).astype(int)
    elements = (rng.uniform(0.7, 1, len(depth)) * np.exp(-2 * depth) * 40_000).astype(int)
    peak = 2 * elements + rng.integers(0, 20_000, len(depth))
    of_kind, names = rng.choice(KINDS, len(depth)), [f"b{i}" for i in range(len(depth))]
    blocks = [
        Block(name, (name,), (int(elements[i]),), {str(of_kind[i]): int(macs[i])}, int(parameters[i]), int(peak[i]))
        for i, name in enumerate(names)
    ]
    exits = [
        ExitCosts(names[i], i + 1, "head", {"dense": int(macs.sum() * rng.uniform(2e-4, 2e-3))},
             int(rng.integers(1000, 20_000)), int(rng.integers(100, 4000)))
        for i in range(locations)
    ]  # fmt: skip
    made = outcomes(rng, locations, samples)
    thresholds = options.pop("thresholds", THRESHOLDS)
    grid = np.array([quantile_grid(row, thresholds) for row in made.confidence[:-1]])
    costs = Costs(_hardware(rng, processors, int(parameters.sum())), blocks, exits, 30_000)
    objective = Objective(float(made.accuracies[-1]), float(macs.sum()), budget=0.01)
    settings: dict[str, Any] = {"objective": objective, "max_exits": processors - 1}
    return Problem(costs, made, grid, **settings | options)


def _hardware(rng: np.random.Generator, count: int, parameters: int) -> Hardware:
    processors, memories = [], []
    for p, (arithmetic, share, ram) in enumerate(KINDS_OF_PROCESSORS[:count]):
        rates = {"default": 1e7 * 6**p} | {kind: 1e7 * 6**p * rng.uniform(0.4, 1.6) for kind in KINDS}
        processors.append(
            Processor(f"p{p}", rates, arithmetic, f"ram{p}", f"flash{p}", wakeup_s=1e-3,
                      active_power_w=0.01 * 9**p * rng.uniform(0.7, 1.3), sleep_power_w=1e-3 * 2**p)
        )  # fmt: skip
        width = 1 if arithmetic == "int8" else 4
        # the last one of the target holds everything
        flash = int(parameters * width * (2 if p == count - 1 else share)) + 10**5
        memories += [Memory(f"ram{p}", 10**7 if p == count - 1 else ram), Memory(f"flash{p}", flash)]
    links = [
        Link(a.name, b.name, 10 ** (5.5 + i), 1e-3, 1e-8)
        for i, a in enumerate(processors)
        for b in processors[i + 1 :]
    ]
    return Hardware("made up", None, "p0", False, None, tuple(processors), tuple(memories), tuple(links))


class Kept:
    """Counts the labels of every state while it is watched."""

    most = 0

    def __enter__(self) -> Kept:
        self.original: Any = labels._Pass._tidied

        def counted(*given: Any) -> Any:
            kept = self.original(*given)
            self.most = max(self.most, len(kept.rows))
            return kept

        setattr(labels._Pass, "_tidied", counted)  # noqa: B010
        return self

    def __exit__(self, *_: object) -> None:
        setattr(labels._Pass, "_tidied", self.original)  # noqa: B010


def row(task: Problem, *names: Any) -> str:
    """Seconds and counts of one search; what limits rejected of the placements that were settled."""
    start = time.process_time()
    with Kept() as kept:
        result = solver.solve(task)
    spent = time.process_time() - start
    settled = result.settled
    rejected = {name: number for name, number in settled.rejected.items() if number}
    looked_at = settled.placements + sum(rejected.values())
    shares = [
        f"{number / looked_at:.0%} {'latency' if name == LATENCY else name.removeprefix('memory:')}"
        for name, number in rejected.items()
    ]
    cells = [
        *names, f"**{spent:.2f}**", f"{result.architectures:,}", f"{result.placements:,}",
        f"{settled.configurations:,}", ", ".join(shares) or "none", f"{kept.most:,}", len(result.design.exits),
    ]  # fmt: skip
    return "| " + " | ".join(map(str, cells)) + " |"


COUNTS = ("seconds", "architectures", "placements", "configurations settled", "rejected", "labels at most", "exits")


def table(*names: str) -> None:
    print("\n| " + " | ".join([*names, *COUNTS]) + " |\n|" + "---|" * (len(names) + len(COUNTS)))


def designs(task: Problem, m: int) -> Iterator[tuple[float, float, float]]:
    """Brute force: (mean cost, accuracy, worst latency) of every design with m exits that meets the limits."""
    right = task.outcomes.predicted == task.outcomes.labels
    archs, final = architectures(task, m), len(right) - 1
    for sequence in placements(task, m) if len(archs) else ():
        segments = task.costs.segments(archs, sequence)
        fits = ~np.any([over > 0 for over in task.excess(segments).values()], axis=0)
        for a, config in product(np.flatnonzero(fits), product(range(task.thresholds), repeat=m)):
            alive, reach, cost, accuracy = np.ones(right.shape[1], bool), 1.0, 0.0, 0.0
            for k, exit_ in enumerate([*archs[a], final]):
                leaves = task.outcomes.confidence[exit_] >= (task.grid[exit_, config[k]] if k < m else 0)
                here = np.ones(right.shape[1], bool) if task.independent else alive
                reach = reach if task.independent else alive.mean()
                cost += reach * task.cost_of(segments)[a, k]
                accuracy += (reach if task.independent else 1.0) * (here & leaves & right[exit_]).mean()
                reach, alive = reach * (1 - leaves.mean()), alive & ~leaves
            yield cost, accuracy, segments.worst_latency_s[a]


def agrees(seed: int) -> bool:
    """Whether the search finds what brute force does on a small random instance with limits that bind.

    With independent scoring labels alone must find it: of architectures with three exits one is settled.
    """
    rng = np.random.default_rng(seed)
    processors, independent = int(rng.integers(1, 4)), bool(rng.random() < 0.5)
    task = problem(4, processors, 40, seed=seed, thresholds=3, max_exits=3, independent=independent,
                   cost=str(rng.choice(["macs", "latency", "energy"])))  # fmt: skip
    worst = [latency for m in (0, 1) for *_, latency in designs(task, m)]
    if rng.random() < 0.7:
        task = replace(task, max_latency_s=float(np.quantile(worst, rng.uniform(0, 0.5))))
    drop = float(rng.choice([0.0, 0.05, 0.1]))
    task = replace(task, objective=replace(task.objective, budget=drop))
    every = (task.objective.value(cost, right) for m in range(4) for cost, right, _ in designs(task, m))
    best = min(map(float, every), default=np.inf)
    settled = solver.SETTLED_PER_COUNT
    solver.SETTLED_PER_COUNT = 1 if independent else settled
    try:
        key = solver.solve(task).settled.key
    except InfeasibleError:
        return not np.isfinite(best)
    finally:
        solver.SETTLED_PER_COUNT = settled
    return key is not None and abs(key[0] - best) <= 1e-9 * best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instances", type=int, default=200, help="compared with brute force (default: 200)")
    instances = parser.parse_args().instances
    print("The paper's size: 74 locations, three processors, at most two exits.")
    table("samples", "cost", "latency limit (s)")
    for samples, cost, limit in (
        (10_000, "macs", None), (10_000, "macs", 1.0), (10_000, "latency", None), (10_000, "latency", 1.0),
        (10_000, "energy", None), (10_000, "energy", 1.0), (20_000, "macs", 1.0), (50_000, "macs", 1.0),
    ):  # fmt: skip
        print(row(problem(74, 3, samples, cost=cost, max_latency_s=limit), f"{samples:,}", cost, limit or "none"))
    print("\nThe same, and no class may lose more (ten classes).")
    table("scoring", "most")
    for independent, most in product((False, True), (0.02, 0.01, 0.0)):
        task = problem(74, 3, 10_000, independent=independent)
        task = replace(task, classes=class_limit(task.outcomes, Decision("softmax", 10), most))
        print(row(task, "independent" if independent else "exact", most))
    print("\n200 locations, four processors, at most three exits, 10,000 samples.")
    table("cost", "latency limit (s)")
    for cost, limit in (("macs", None), ("macs", 0.5), ("latency", 0.5), ("energy", 0.25), ("energy", 1.0)):
        print(row(problem(200, 4, 10_000, cost=cost, max_latency_s=limit), cost, limit or "none"))
    print("\nGrowth: energy, at most three exits, 5,000 samples.")
    table("processors", "latency limit (s)", "locations")
    for (processors, limit), locations in product(((2, 4.0), (3, 1.0), (4, 0.5)), (25, 50, 100, 200)):
        task = problem(locations, processors, 5_000, cost="energy", max_latency_s=limit, max_exits=3)
        print(row(task, processors, limit, locations))
    agree = sum(agrees(seed) for seed in range(instances))
    print(f"\n{agree} of {instances} small random instances agree with brute force.")
    raise SystemExit(agree != instances)


if __name__ == "__main__":
    main()
