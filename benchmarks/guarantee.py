#!/usr/bin/env python3
"""How often an accuracy budget is missed under each promise, and what the promise costs: draws of x_val.

    python benchmarks/guarantee.py --data-dir DIR [--models resnet8 ecg] [--draws 200] [--points 0.5] [--risk 0.05]

DIR: see public_models.py. Heads are trained once per model, with all samples beside x_train as x_val; outcomes stay
in --work-dir and serve again. These samples then stand for the world: calibration samples are drawn from them with
replacement, the tool promises what it can of the design that screen has fixed, and its drop and its MACs on all of
the world are the true ones, exactly. Where groups are what is drawn (dscnn: speakers), so many that they have the
stated number of samples on average; what is proven of them is judged by the mean over groups, too.

proven     --promise proven
expected   --promise expected
default    neither: the proof, and where it saves less than half of what is expected, that
none       --promise none: what just fits, exits, thresholds and all, on the drawn samples
shared     Jazbec et al., "Fast yet safe: early-exiting with risk control" (2024): one threshold for all exits,
           lowered from 1 in steps of 0.01 as long as an upper confidence bound of the drop (by betting) is within
           the budget; for the exits that screen has fixed for a proof, and not knowing groups
oracle     what just fits on all of the world
"""

from __future__ import annotations

import argparse
import pickle
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from public_models import MODELS, prepare

from eeaug.cascade import betting
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.passage import Passage
from eeaug.design import choose, compared, refine, reuse, screened
from eeaug.design.network import Network
from eeaug.design.promise import Terms
from eeaug.design.reuse import Reuse
from eeaug.heads.candidates import Candidates
from eeaug.search.space import Design, Problem
from eeaug.settings import EFFORTS, Goal, Settings
from eeaug.support.progress import Lines, Progress

KINDS = {"proven": ("proven",), "expected": ("expected",), "default": ("proven", "expected")}
PROMISES = (*KINDS, "none", "shared")
HEADER = (
    "samples of x_val", "promise", "over the budget (95 %)", "mean drop (points)", "MACs saved", "± between draws",
    "nothing leaves",
)  # fmt: skip


@dataclass(frozen=True)
class Truth:
    """Of one design on all of the world: accuracy lost, by sample and by group; share of the MACs saved."""

    drop: float
    group_drop: float
    saved: float
    proven: bool = False


@dataclass(frozen=True)
class World:
    """A network, its trained heads, and what they say of all samples (as choose)."""

    settings: Settings
    network: Network
    candidates: Candidates

    @cached_property
    def task(self) -> Problem:
        return self.problem(self.candidates.outcomes)

    @property
    def goal(self) -> Goal:
        return self.settings.goal

    @property
    def budget(self) -> float:
        assert self.goal.max_accuracy_drop is not None
        return self.goal.max_accuracy_drop

    def problem(self, outcomes: Outcomes) -> Problem:
        return self.network.problems(self.goal, self.candidates.trained)(outcomes)

    @cached_property
    def groups(self) -> list[np.ndarray] | None:
        """The rows of each."""
        groups = self.candidates.outcomes.groups
        return None if groups is None else [np.flatnonzero(groups == name) for name in np.unique(groups)]

    def drawn(self, samples: int, seed: int) -> Candidates:
        """The candidates with so many samples of the world, or groups that have as many on average, as choose."""
        rng = np.random.default_rng([samples, seed])
        outcomes, answers = self.candidates.outcomes, self.candidates.answers
        names = None
        if self.groups is None:
            rows = rng.integers(0, outcomes.samples, samples)
        else:
            drawn = rng.integers(0, len(self.groups), self.units(samples))
            rows = np.concatenate([self.groups[k] for k in drawn])
            names = np.repeat(np.arange(len(drawn)), [len(self.groups[k]) for k in drawn])
        some = Outcomes(
            outcomes.confidence[:, rows], outcomes.predicted[:, rows], outcomes.labels[rows], groups=names
        )
        return replace(
            self.candidates, outcomes=some, answers=lambda i: None if (p := answers(i)) is None else p[rows]
        )

    def units(self, samples: int) -> int:
        if self.groups is None:
            return samples
        return round(samples * len(self.groups) / self.candidates.outcomes.samples)

    def truth(self, design: Design, hears: Reuse | None, *, proven: bool = False) -> Truth:
        candidates = self.candidates
        rows = candidates.outcomes.rows(design.exits)
        if hears is not None:
            probabilities = reuse.known(candidates.answers, design.exits)
            assert probabilities is not None
            rows = reuse.heard(rows, probabilities, hears, self.network.classifier.decision)
        passage = Passage(rows, design.thresholds)
        segments = self.task.segments([design.exits], design.modes)
        total = self.network.baseline(self.goal).segments.macs.sum()
        losses = passage.losses
        by_group = losses.mean() if self.groups is None else np.mean([losses[of].mean() for of in self.groups])
        saved = 1 - passage.mean(segments.macs[0]) / total
        return Truth(float(losses.mean()), float(by_group), float(saved), proven)


def record(name: str, directory: Path, work: Path, effort: str, threads: int, points: float | None = None) -> World:
    """All that the command does before it chooses, with every sample beside x_train as x_val.

    ``points`` of accuracy may be lost; None: the tool's default.
    """
    from eeaug.flow.prepare import prepare as prepared
    from eeaug.heads import train_all

    model, spec, options = prepare(name, directory, work, whole=True)
    settings = Settings.of(
        model=model, data=str(spec), hardware="psoc6", max_latency_s=float(options[1]), max_exits=3, effort=effort,
        threads=threads, cache=work / "cache", **({} if points is None else {"max_accuracy_drop": points / 100}),
    )  # fmt: skip
    progress = Progress(Lines(lambda text: print(text, file=sys.stderr, flush=True)))
    ready = prepared(settings, progress)
    stored = work / f"{name}-{effort}.pickle"
    if not stored.is_file():
        found = train_all.search(
            ready.source, ready.dense, ready.maps, EFFORTS[effort],
            seed=0, pinned=(), given=lambda outcomes: None, progress=progress,
        )  # fmt: skip
        answers = [
            {i: np.array(of(i)) for i in range(-1, len(found.trained))}
            for of in (found.screen_answers, found.answers)
        ]
        arrays = found.trained, found.screen, found.outcomes, found.heads_trained
        stored.write_bytes(pickle.dumps((arrays, answers)))
    arrays, (screen, answers) = pickle.loads(stored.read_bytes())
    return World(settings, ready.network, Candidates(*arrays, screen.get, answers.get))


def promises(
    world: World, risk: float, samples: int, draws: int, asked: Sequence[str] = PROMISES
) -> dict[str, list[Truth]]:
    """Of every kind of promise that is asked for, what came of it in every draw."""
    rules, decision, goal = world.network.rules, world.network.classifier.decision, world.goal
    terms = {name: Terms(kinds, risk) for name, kinds in KINDS.items()}
    on_screen, screen_answers = world.problem(world.candidates.screen), world.candidates.screen_answers
    # what few drawn samples have no part in, but for their number
    fixes = {
        name: screened.screened(on_screen, rules, term, screen_answers, decision, world.units(samples))[1]
        for name, term in terms.items()
    }
    known = compared.OnScreen(on_screen, rules, screen_answers, decision)
    truths: dict[str, list[Truth]] = {name: [] for name in asked}
    for seed in range(draws):
        candidates = world.drawn(samples, seed)
        on_choose = world.problem(candidates.outcomes)
        compares, proves = compared.divided(candidates.outcomes, seed)
        for name, term in terms.items():
            if name not in asked:
                continue
            fixed = fixes[name]
            if len(compares):
                here = candidates.outcomes.only(compares)
                left = candidates.outcomes.units - here.units
                fixed = known.best(
                    world.problem(here), lambda i, of=compares, a=candidates.answers: a(i)[of], term, left
                )
            path = fixed.opening(fixed.on(on_choose, candidates.answers, decision), decision, proves)
            design, hears, promise = choose._opened(on_choose, fixed, path, term, goal, seed)
            truths[name].append(world.truth(design, hears, proven=promise.kind == "proven"))
        if "none" in asked:
            _, _, design, hears = choose._that_fits(goal, on_choose, rules, None, candidates, decision)
            truths["none"].append(world.truth(design, hears))
        if "shared" in asked:
            allowed = shared(on_choose, fixes["proven"].design, world.budget, risk, seed)
            truths["shared"].append(Truth(0.0, 0.0, 0.0) if allowed is None else world.truth(allowed, None))
    return truths


def shared(task: Problem, design: Design, budget: float, risk: float, seed: int) -> Design | None:
    """The rule of Jazbec et al.: the lowest threshold down to which the bound is within the budget.

    None if there is none that saves anything of the drawn samples.
    """
    rows, lowest = task.outcomes.rows(design.exits), None
    for threshold in np.arange(100, -1, -1) / 100:
        losses = Passage(rows, [float(threshold)] * len(design.exits)).losses
        if betting.log_capital(losses, np.array([budget]), error=risk, seed=seed)[0] < np.log(1 / risk):
            break
        lowest = float(threshold)
    allowed = replace(design, thresholds=(lowest,) * len(design.exits))
    saves = refine.mean_cost(task, allowed) < task.objective.base_cost
    return allowed if lowest is not None and saves else None


def oracle(world: World) -> Truth:
    network = world.network
    decision = network.classifier.decision
    _, _, design, hears = choose._that_fits(
        world.goal, world.task, network.rules, None, world.candidates, decision
    )  # fmt: skip
    return world.truth(design, hears)


def interval(hits: int, runs: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a rate."""
    z, rate = 1.96, hits / runs
    middle, half = rate + z**2 / (2 * runs), z * np.sqrt(rate * (1 - rate) / runs + (z / (2 * runs)) ** 2)
    return max(0.0, (middle - half) / (1 + z**2 / runs)), min(1.0, (middle + half) / (1 + z**2 / runs))


def row(world: World, samples: int, name: str, truths: Sequence[Truth]) -> str:
    """Of a Markdown table."""
    runs = len(truths)
    drops = [truth.drop for truth in truths]
    saved = [truth.saved for truth in truths]
    worst = [max(truth.drop, truth.group_drop if truth.proven else truth.drop) for truth in truths]
    over = sum(drop > world.budget + 1e-9 for drop in worst)
    low, high = interval(over, runs)
    count = f"{samples:,}" + ("" if world.groups is None else f" ({world.units(samples):,} groups)")
    cells = [
        count, name, f"{over / runs:.1%} ({low:.1%} to {high:.1%})", f"{100 * np.mean(drops):.2f}",
        f"**{np.mean(saved):.1%}**", f"{np.std(saved):.1%}", f"{np.mean(np.array(saved) <= 0):.1%}",
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--models", nargs="*", choices=MODELS, default=["resnet8", "resnet32", "dscnn", "ecg"])
    parser.add_argument("--promises", nargs="*", choices=PROMISES, default=PROMISES)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--samples", nargs="*", type=int, default=[250, 500, 1000, 2000, 5000])
    parser.add_argument("--points", type=float, help="of accuracy that may be lost; default: the tool's")
    parser.add_argument("--risk", type=float, default=0.05)
    parser.add_argument("--effort", choices=EFFORTS, default="normal")
    parser.add_argument("--threads", type=int, default=2, help="that heads are trained with")
    parser.add_argument("--work-dir", type=Path, help="keeps outcomes for the next time; default: a new directory")
    asked = parser.parse_args()
    directory = asked.data_dir.resolve()
    work = (asked.work_dir or Path(tempfile.mkdtemp(prefix="eeaug-benchmark-"))).resolve()
    work.mkdir(parents=True, exist_ok=True)
    for name in asked.models:
        world = record(name, directory, work, asked.effort, asked.threads, asked.points)
        outcomes, best = world.candidates.outcomes, oracle(world)
        print(f"\n{name}: {len(world.candidates.trained)} trained exits, {outcomes.samples:,} samples"
              + ("" if world.groups is None else f" in {len(world.groups)} groups")
              + f", budget {100 * world.budget:g} points, {asked.draws} draws, risk {asked.risk:g}; oracle: "
              f"{best.saved:.1%} saved at a drop of {100 * best.drop:.2f} points\n")  # fmt: skip
        print("| " + " | ".join(HEADER) + " |\n" + "|---" * len(HEADER) + "|", flush=True)
        for samples in asked.samples:
            for kind, truths in promises(world, asked.risk, samples, asked.draws, asked.promises).items():
                print(row(world, samples, kind, truths), flush=True)


if __name__ == "__main__":
    main()
