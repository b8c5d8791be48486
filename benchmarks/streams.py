#!/usr/bin/env python3
"""What memory saves on streams: scenes, keywords in silence, exercises, heart beats in order; means over seeds.

    python benchmarks/streams.py --data-dir DIR [--only scenes keywords activity ecg] [--seeds N] [--threads N]

DIR: see public_models.py. For every seed the streams are made anew (stream_data.py; activity_model.py, which trains
the given model, too; heart beats are in order of time already), and the command runs with memory, without
(--refresh 1), and with other limits. Figures are those of the test sequences. *MACs* are a sample's mean against
the given model's, *drop* is in percentage points, *delay* in samples, *state* the bytes of one stream.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import activity_model
import numpy as np
from stream_data import made

BUDGET = 0.01
# model below DIR/models, or made, what a sample needs, options of every run, and the runs beside that with memory
CASES: dict[str, tuple[str, str, tuple[str, ...], dict[str, tuple[str, ...]]]] = {
    "scenes": (
        "mobilenetv1_vww.h5", "{scale: 0.00392156862745098}", ("--period", "0.5s"),
        {
            "without memory": ("--refresh", "1"), "with memory": (),
            "with memory, --refresh 4": ("--refresh", "4"),
        },
    ),
    "keywords": (
        "dscnn_kws.h5", "{}",
        ("--period", "0.2s", "--background", "_silence_,_unknown_", "--max-missed", "1%"),
        {
            "without memory": ("--refresh", "1"), "with memory": (),
            "debounced": ("--debounce", "2/3"),
        },
    ),
    "activity": (
        "activity.keras", "{}", ("--period", "0.5s"),
        {
            "without memory": ("--refresh", "1"), "with memory": (),
            "with memory, --refresh 8": ("--refresh", "8"),
        },
    ),
    "ecg": ("ecg_kachuee_fcn.h5", "{}", (), {"without memory": ("--refresh", "1"), "with memory": ()}),
}  # fmt: skip
HEADER = ("streams", "decided", "MACs", "drop", "missed", "late", "p95 delay", "false alarms", "by", "state")


def report(folder: Path, case: str, run: str, asked: argparse.Namespace, seed: int) -> dict[str, Any]:
    """The report of one run."""
    model, _, options, runs = CASES[case]
    place = folder / model if (folder / model).exists() else asked.data_dir / "models" / model
    command = [
        sys.executable, "-m", "eeaug", "augment", str(place), "--hw", "stm32l4r5",
        "--data", str(folder / f"{case}.data.yaml"), "--stream", "--max-accuracy-drop", str(BUDGET),
        "--promise", "expected", "--effort", "quick", "--seed", str(seed), "--threads", str(asked.threads),
        "--cache-dir", str(folder / "cache"), "-o", str(folder / "bundle"), "--force", "--slim", "--json",
        *options, *runs[run],
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{case}, {run}, seed {seed}: {done.stderr.strip().splitlines()[-1]}")
    return dict(json.loads(done.stdout))


def figures(report: dict[str, Any]) -> dict[str, float | str] | None:
    """What is told of a run; None: nothing can be promised, so that nothing leaves early."""
    stream = report.get("stream")
    if stream is None:
        return None
    given, used = stream["figures"]["given"], stream["figures"]["memory" if stream["remembers"] else "alone"]
    rule = stream["rule"].get("of", stream["rule"])
    events = used["events"]
    return {
        "MACs": used["metrics"]["mean_macs"] / given["metrics"]["mean_macs"],
        "drop": 100 * (given["metrics"]["accuracy"] - used["metrics"]["accuracy"]),
        "missed": events["missed"] / max(1, events["events"]) * 100,
        "late": events["late"] / max(1, events["events"]) * 100,
        "p95 delay": events["delay_p95"] or 0,
        "false alarms": events["false_alarms"],
        "by": rule["kind"],
        "state": stream["state_bytes"],
    }


def row(case: str, run: str, results: list[dict[str, float | str] | None]) -> tuple[str, ...]:
    """Means and spreads over seeds."""
    known = [each for each in results if each is not None]
    if not known:
        return (case, run, "100 %", "0", *[""] * 6)
    cells = []
    for key, scale, text in (
        ("MACs", 100, "{:.1f} ± {:.1f} %"), ("drop", 1, "{:.2f} ± {:.2f}"), ("missed", 1, "{:.1f} ± {:.1f} %"),
        ("late", 1, "{:.1f} ± {:.1f} %"), ("p95 delay", 1, "{:.1f} ± {:.1f}"),
        ("false alarms", 1, "{:.0f} ± {:.0f}"),
    ):  # fmt: skip
        values = np.array([each[key] for each in known], float) * scale
        cells.append(text.format(values.mean(), values.std(ddof=1) if len(values) > 1 else 0.0))
    by = ", ".join(sorted({str(each["by"]) for each in known}))
    nothing = len(results) - len(known)
    states = sorted({int(each["state"]) for each in known})
    return (case, run, *cells, by + (f" ({nothing} × nothing)" if nothing else ""), " to ".join(map(str, states)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--activity", type=Path, help="watch_dataset.npy of seglearn, where that is not installed")
    asked = parser.parse_args()
    exercises = activity_model.recorded(asked.activity) if "activity" in asked.only else None
    print(f"| {' | '.join(HEADER)} |\n|---|---|{'--:|' * (len(HEADER) - 4)}---|--:|", flush=True)
    for case in asked.only:
        _, preparation, _, runs = CASES[case]
        results: dict[str, list[dict[str, float | str] | None]] = {run: [] for run in runs}
        for seed in range(1 if case == "ecg" else asked.seeds):
            with tempfile.TemporaryDirectory() as place:
                folder = Path(place)
                source = (asked.data_dir / "ecg_kachuee.npz").resolve()
                if case == "activity" and exercises is not None:
                    arrays = activity_model.streams(exercises, seed)
                    activity_model.train(arrays, folder / "activity.keras", seed)
                elif case != "ecg":
                    arrays = made(case, asked.data_dir, seed)
                if case != "ecg":
                    source = folder / f"{case}.npz"
                    np.savez(source, **arrays)
                text = f"source: {source}\npreprocessing: {preparation}\n"
                (folder / f"{case}.data.yaml").write_text(text, encoding="utf-8")
                for run in runs:
                    results[run].append(figures(report(folder, case, run, asked, seed)))
        for run, each in results.items():
            print(f"| {' | '.join(row(case, run, each))} |", flush=True)


if __name__ == "__main__":
    main()
