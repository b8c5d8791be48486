#!/usr/bin/env python3
"""How often an accuracy budget is missed, and what a guarantee costs: resplits of recorded outcomes.

    python benchmarks/guarantee.py --data-dir DIR [--models resnet8 resnet32] [--resplits 200] [--risk 0.05 0.1]

DIR: see public_models.py. The command runs once per model with all 10,000 CIFAR-10 test images as x_val; its bundle
stays in --work-dir and serves again. Those 10,000 images then stand for the world: calibration samples are drawn
from them with replacement, a design is found on these as the command does, and its drop and its MACs on all 10,000
are the true ones, exactly.

Heads were trained on other images. Their temperatures were fitted on the 10,000, so confidences are a little better
calibrated than few samples would make them: what is saved may be flattered by that, for all methods alike.
Violations are not: for the test, heads and temperatures are fixed before samples are drawn.

independent   --scoring independent: thresholds as the paper finds them; all samples choose
exact         the default; all samples choose
risk          --risk: a third of the samples chooses, two thirds certify; nothing proven saves nothing
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from public_models import MODELS, prepare

from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import Decision
from eeaug.cascade.passage import Passage
from eeaug.data import splitting
from eeaug.design import certify as certification
from eeaug.design import problem as choice
from eeaug.design import refine
from eeaug.design.problem import Baseline, Rules
from eeaug.network.costs import Costs
from eeaug.search.space import Design, Problem
from eeaug.settings import Settings

NAMES = tuple(name for name, (_, data, *_) in MODELS.items() if data == "cifar10")
ASKED = ("max_latency_s", "max_accuracy_drop", "max_class_drop", "objective", "mapping", "max_exits", "thresholds")
HEADER = (
    "calibration samples", "method", "over the budget (95 %)", "mean drop (points)", "MACs saved",
    "of what exact saves", "nothing proven",
)  # fmt: skip


@dataclass(frozen=True)
class Recorded:
    """What a choice needs of a bundle; ``outcomes`` are those of all images."""

    settings: Settings
    costs: Costs
    rules: Rules
    base: Baseline
    decision: Decision
    outcomes: Outcomes

    @property
    def budget(self) -> float:
        assert self.settings.goal.max_accuracy_drop is not None, "read refuses other bundles"
        return self.settings.goal.max_accuracy_drop


@dataclass(frozen=True)
class Truth:
    """Of one design on all images: accuracy lost, share of the MACs saved; whether any exit is open."""

    drop: float
    saved: float
    early: bool


def record(name: str, directory: Path, work: Path, effort: str, threads: int) -> Path:
    """Run the command with all test images as x_val; returns the bundle, an earlier one if it is there."""
    out = work / f"{name}-{effort}"
    if out.is_dir():
        return out
    model, spec, options = prepare(name, directory, work)
    parts = dict(np.load(work / json.loads(spec.read_text())["source"]))
    for key in ("x", "y"):
        parts[f"{key}_val"] = np.concatenate([parts[f"{key}_val"], parts.pop(f"{key}_test")])
    np.savez(work / "held.npz", **parts)
    spec.write_text(json.dumps({**json.loads(spec.read_text()), "source": "held.npz"}))
    command = [sys.executable, "-m", "eeaug", "augment", str(model), "--hw", "psoc6", "--data", str(spec),
               "-o", str(out), "--effort", effort, "--threads", str(threads), "--cache-dir", str(work / "cache"),
               *options]  # fmt: skip
    subprocess.run(command, cwd=work, stdout=subprocess.DEVNULL, check=True)
    return out


def read(bundle: Path, directory: Path) -> Recorded:
    """The search that a bundle came from, without its data: costs need the model file, exits ``search/``."""
    from eeaug import hardware
    from eeaug.backbone import model
    from eeaug.bundle import search_files
    from eeaug.network import graph, locations

    manifest = json.loads((bundle / "manifest.json").read_text())
    given = manifest["inputs"][0]
    classifier = model.load(directory / "models" / given["name"], allow_unsafe=False, output=None)
    if classifier.sha256 != given["sha256"]:
        raise SystemExit(f"{bundle} was not made from {given['name']} of {directory}")
    asked = {key: manifest["settings"][key] for key in ASKED}
    settings = Settings.of(model=Path(given["name"]), hardware=str(bundle / "hardware.yaml"), **asked)
    if settings.goal.max_accuracy_drop is None:
        raise SystemExit(f"{bundle} was made for --efficiency-weight: there is no budget to miss")
    found, target = search_files.read(bundle), hardware.read(settings.input.hardware)
    if found is None:
        raise SystemExit(f"{bundle} has no search/: it was made with --slim")
    blocks = graph.blocks(classifier)
    places, reasons = locations.find(blocks, classifier.decision.outputs)
    exits = [trained.head.cost() for trained in found.trained]
    costs = Costs(target, blocks, exits, int(np.prod(classifier.input_shape)))
    rules = choice.rules(settings.goal, target, places, reasons)
    return Recorded(settings, costs, rules, choice.baseline(costs), classifier.decision, found.outcomes)


def some(outcomes: Outcomes, rows: np.ndarray) -> Outcomes:
    return Outcomes(outcomes.confidence[:, rows], outcomes.predicted[:, rows], outcomes.labels[rows])


def truth(recorded: Recorded, design: Design) -> Truth:
    every, costs = recorded.outcomes, recorded.costs
    leaves = Passage(every.rows(design.exits), design.thresholds).at
    right = every.rows(design.exits).correct[leaves, np.arange(every.samples)]
    segments = costs.segments(np.array([design.exits], np.intp).reshape(1, -1), design.processors)
    mean_macs = float(np.cumsum(segments.macs[0])[leaves].mean())
    drop = float(every.correct[-1].mean() - right.mean())
    return Truth(drop, 1 - mean_macs / costs.total_macs, bool((leaves < len(design.exits)).any()))


def trial(recorded: Recorded, samples: int, seed: int, risks: Sequence[float]) -> list[Truth]:
    """One draw of calibration samples: the truth of the designs of independent, exact, and every risk."""
    rng = np.random.default_rng([samples, seed])
    held = some(recorded.outcomes, rng.integers(0, recorded.outcomes.samples, samples))
    first = splitting._stratified(held.labels, 1 / 3, rng)
    choose, certify = some(held, np.flatnonzero(first)), some(held, np.flatnonzero(~first))

    def problem(outcomes: Outcomes, scoring: str = "exact") -> Problem:
        goal = replace(recorded.settings.goal, scoring=scoring)
        return choice.problem(goal, recorded.costs, outcomes, recorded.rules, recorded.base, recorded.decision)

    tasks = [problem(held, "independent"), problem(held), problem(choose)]
    *designs, chosen = (refine.choose(task, recorded.rules)[1] for task in tasks)
    for risk in risks:
        proven, _ = certification.certified(
            tasks[-1], recorded.rules, chosen, certify, budget=recorded.budget, risk=risk, seed=seed
        )
        designs.append(proven)
    return [truth(recorded, design) for design in designs]


def interval(hits: int, runs: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a rate."""
    z, rate = 1.96, hits / runs
    middle, half = rate + z**2 / (2 * runs), z * np.sqrt(rate * (1 - rate) / runs + (z / (2 * runs)) ** 2)
    return max(0.0, (middle - half) / (1 + z**2 / runs)), min(1.0, (middle + half) / (1 + z**2 / runs))


def rows(recorded: Recorded, samples: int, resplits: int, risks: Sequence[float]) -> list[str]:
    """Markdown rows, one for each method."""
    trials = [trial(recorded, samples, seed, risks) for seed in range(resplits)]
    names = ["independent", "exact", *(f"risk {risk:g}" for risk in risks)]
    saved = [float(np.mean([t.saved for t in of])) for of in zip(*trials, strict=True)]
    made = []
    for k, (name, of) in enumerate(zip(names, zip(*trials, strict=True), strict=True)):
        over = sum(t.drop > recorded.budget + 1e-9 for t in of)
        low, high = interval(over, resplits)
        cells = [
            f"{samples:,}", name, f"{over / resplits:.1%} ({low:.1%} to {high:.1%})",
            f"{100 * np.mean([t.drop for t in of]):.2f}", f"{saved[k]:.1%}",
            f"**{saved[k] / saved[1]:.0%}**" if k > 1 else "",
            f"{np.mean([not t.early for t in of]):.1%}" if k > 1 else "",
        ]  # fmt: skip
        made.append("| " + " | ".join(cells) + " |")
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--models", nargs="*", choices=NAMES, default=["resnet8", "resnet32"])
    parser.add_argument("--outcomes", nargs="*", type=Path, default=[], help="bundles to read instead of --models")
    parser.add_argument("--resplits", type=int, default=200)
    parser.add_argument("--samples", nargs="*", type=int, default=[500, 1000, 2000, 5000])
    parser.add_argument("--risk", nargs="*", type=float, default=[0.05, 0.1])
    parser.add_argument("--effort", choices=("quick", "normal", "thorough"), default="quick")
    parser.add_argument("--threads", type=int, default=2, help="of the recording run")
    parser.add_argument("--work-dir", type=Path, help="keeps bundles for the next time; default: a new directory")
    known = parser.parse_args()
    directory = known.data_dir.resolve()
    work = (known.work_dir or Path(tempfile.mkdtemp(prefix="eeaug-benchmark-"))).resolve()
    work.mkdir(parents=True, exist_ok=True)
    recording = (record(name, directory, work, known.effort, known.threads) for name in known.models)
    for bundle in known.outcomes or recording:
        recorded = read(bundle, directory)
        print(f"\n{recorded.settings.input.model.stem}: {len(recorded.costs.exits)} trained exits, "
              f"{recorded.outcomes.samples:,} images, budget {100 * recorded.budget:g} points, "
              f"{known.resplits} resplits\n")  # fmt: skip
        print("| " + " | ".join(HEADER) + " |\n" + "|---" * len(HEADER) + "|", flush=True)
        for samples in known.samples:
            print("\n".join(rows(recorded, samples, known.resplits, known.risk)), flush=True)


if __name__ == "__main__":
    main()
