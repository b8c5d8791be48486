#!/usr/bin/env python3
"""What exits save on a frozen backbone at several budgets, on test samples: means and spreads over splits.

    python benchmarks/quality.py --data-dir DIR [--only resnet8 ...] [--splits N] [--effort normal] [--max-exits 3]
                                 [--budgets 0.005 0.01 0.02] [--promises expected proven]

DIR: see public_models.py. Every split has its own choose and test samples and its own training seed; of CIFAR-10,
images that the given model was not trained on. The command runs once per split, budget and promise. *Saved* and
*drop* are those of the test samples at thresholds that were found on choose, *over* counts splits whose drop on
test is larger than the budget, *none* those where nothing could be promised, so that nothing leaves early. *Oracle*
is what the same exits save at the thresholds that are best for the test samples themselves, as T-RecX reports its
curves: nobody can know them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from public_models import MODELS, prepare

BUDGETS = (0.005, 0.01, 0.02)
PROMISES = ("expected", "proven")
HEADER = (
    "model", "splits", "promise", "budget (points)", "MACs saved", "drop on test (points)", "over", "none",
    "oracle saves",
)  # fmt: skip
SPLITS = {
    "resnet8": 3,
    "resnet32": 3,
    "resnet110": 3,
    "dscnn": 10,
    "ecg": 1,
    "mobilenetv1": 20,
}  # of ecg parts are given
PAPERS = """
Papers, at one point unless said otherwise. T-RecX (whole network trained again, oracle): ResNet-8 20.7 %, DS-CNN
37.7 %, MobileNetV1 36.3 % of FLOPs; its published models, measured again on the data here: 21.9, 37.3 and 43.3 % of
MACs. Sponner et al. (frozen, heads below 0.5 % of the backbone): CIFAR-10 7.75 % at 0.32 points, 11.3 % at 1.18;
KWS 59.67 % with 84.45 % left of 99.33 %."""
ORACLE_NODES = 20_000  # of the threshold graph


def oracle(
    bundle: Path, manifest: dict[str, Any], x: np.ndarray, y: np.ndarray, budget: float, threads: int
) -> float:
    """Share of the MACs that the bundle's exits save on these samples, at the best thresholds for them."""
    from eeaug.data.preprocessing import Preprocessing
    from eeaug.runtime import Cascade
    from eeaug.search.thresholds import Objective, graph, quantile_grid, solve

    if len(manifest["stages"]) == 1:
        return 0.0
    ready = Preprocessing.from_dict(manifest["preprocessing"])
    cascade = Cascade.load(bundle, manifest, threads)
    outcomes = cascade.outcomes((ready(x[i : i + 64]) for i in range(0, len(x), 64)), y)
    costs = np.array([stage["macs"] for stage in manifest["stages"]], float)
    report = json.loads((bundle / "report.json").read_bytes())
    base = float(report["baseline"]["measured"]["mean_macs"])
    count = min(400, int(ORACLE_NODES ** (1 / (len(costs) - 1))))
    grid = [quantile_grid(row, count) for row in outcomes.confidence[:-1]]
    objective = Objective(float(outcomes.alone.accuracies[0]), base, budget)
    solved = solve(graph(outcomes, grid, costs, objective, independent=False, classes=None))
    return 0.0 if solved is None else max(0.0, 1 - solved[0] / base)


def split(
    name: str, seed: int, directory: Path, hardware: str, tried: list[tuple[str, float]], more: list[str]
) -> list[tuple[float, ...]]:
    """Saved, drop, oracle and whether nothing leaves early, for every promise and budget that is ``tried``."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="eeaug-benchmark-") as scratch:
        work = Path(scratch)
        model, spec, _ = prepare(name, directory, work, seed)
        parts = np.load(work / json.loads(spec.read_text())["source"])
        for promise, budget in tried:
            out = work / "out"
            command = [
                sys.executable, "-m", "eeaug", "augment", str(model), "--hw", hardware, "--data", str(spec),
                "--max-accuracy-drop", f"{100 * budget:.6g}pp",
                "--promise", promise, "--seed", str(seed), "--cache-dir", str(work / "cache"),
                "-o", str(out), "--force", "-q", *more,
            ]  # fmt: skip
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            report, manifest = (json.loads((out / f"{kind}.json").read_bytes()) for kind in ("report", "manifest"))
            base, result = report["baseline"]["measured"], report["design"]["measured"]
            best = oracle(out, manifest, parts["x_test"], parts["y_test"].ravel(), budget, 2)
            saved, drop = 1 - result["mean_macs"] / base["mean_macs"], base["accuracy"] - result["accuracy"]
            rows.append((saved, drop, best, float(saved <= 0)))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--only", nargs="*", choices=MODELS, default=list(MODELS))
    parser.add_argument("--splits", type=int, help="default: 3 of CIFAR-10, 10 of KWS, 20 of VWW")
    parser.add_argument("--budgets", nargs="*", type=float, default=list(BUDGETS))
    parser.add_argument("--promises", nargs="*", choices=(*PROMISES, "none"), default=list(PROMISES))
    parser.add_argument("--hw", default="psoc6")
    known, more = parser.parse_known_args()
    if "--max-exits" not in more:
        more += ["--max-exits", "3"]
    print(f"| {' | '.join(HEADER)} |\n|{'---|' * len(HEADER)}", flush=True)
    tried = [(promise, budget) for promise in known.promises for budget in known.budgets]
    for name in known.only:
        count = known.splits or SPLITS[name]
        at = known.data_dir.resolve()
        rows = np.array([split(name, seed, at, known.hw, tried, more) for seed in range(count)])
        for k, (promise, budget) in enumerate(tried):
            saved, drop, best, nothing = rows[:, k].T
            over = int((drop > budget + 1e-9).sum())
            cells = (
                name, count, promise, f"{100 * budget:.1f}", f"**{saved.mean():.1%}** ± {saved.std():.1%}",
                f"{100 * drop.mean():.2f} ± {100 * drop.std():.2f}", over, int(nothing.sum()),
                f"{best.mean():.1%} ± {best.std():.1%}",
            )  # fmt: skip
            print(f"| {' | '.join(map(str, cells))} |", flush=True)
    print(PAPERS)


if __name__ == "__main__":
    main()
