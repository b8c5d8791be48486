#!/usr/bin/env python3
"""The main job on public models: what is saved, what it costs in accuracy, how long it takes.

    python benchmarks/main_job.py --data-dir DIR [--only resnet8 ...] [--effort normal]

DIR: see public_models.py. Figures are printed as a Markdown table.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from public_models import MODELS, prepare


def run(name: str, directory: Path, work: Path, hardware: str, more: list[str]) -> str:
    """Run the command once; a row of the table."""
    model, spec, options = prepare(name, directory, work)
    out = work / name
    command = [sys.executable, "-m", "eeaug", "augment", str(model), "--hw", hardware,
               "--data", str(spec), "-o", str(out), "--force", *options, *more]  # fmt: skip
    done = subprocess.run(command, cwd=work)
    if done.returncode:
        return f"| {name} | exit {done.returncode} | | | | | | |"
    report = json.loads((out / "report.json").read_text())
    times = json.loads((out / "timing.json").read_text())
    base, result = report["baseline"]["measured"], report["design"]["measured"]
    exits = ", ".join(
        f"{e['location']} ({e['head']}, {e['processor']}, ≥ {e['threshold']:.3f})"
        for e in report["design"]["exits"]
    )
    spent = ", ".join(f"{k} {v:.0f}" for k, v in times.items() if v >= 1)
    return (
        f"| {name} | {base['mean_macs']:,.0f} | {base['accuracy']:.2%} | {exits or 'none'} | "
        f"{1 - result['leave_rates'][-1]:.1%} | **{1 - result['mean_macs'] / base['mean_macs']:.1%}** | "
        f"{100 * (base['accuracy'] - result['accuracy']):.2f} | {spent} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--work-dir", type=Path, help="where bundles and data go; default: a temporary one")
    parser.add_argument("--only", nargs="*", choices=MODELS, default=list(MODELS))
    parser.add_argument("--hw", default="psoc6")
    known, more = parser.parse_known_args()
    work = (known.work_dir or Path(tempfile.mkdtemp(prefix="eeaug-benchmark-"))).resolve()
    work.mkdir(parents=True, exist_ok=True)
    rows = [run(name, known.data_dir.resolve(), work, known.hw, more) for name in known.only]
    print(
        "| model | MACs | accuracy on test | exits | leave early | MACs saved | drop on test (points) | seconds |"
    )
    print("|---|---|---|---|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
