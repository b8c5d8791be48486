#!/usr/bin/env python3
"""The main job on public models: what is saved, what it costs in accuracy, how long it takes.

    python benchmarks/main_job.py --data-dir DIR [--only resnet8 ...] [--effort normal]

DIR holds models/<name>.h5 of the five models below and the data that no package carries:
kws_mfcc_train.npz (x_train, y_train, groups_train: 49×10 MFCC windows of Speech Commands v2) and
vww_eembc_1000.npz (x_test, y_test: EEMBC's 1,000 visual-wake-words images). CIFAR-10 is read from
DIR/cifar10.npz if it is there, else through keras.datasets.

The test images of CIFAR-10 are halved: the first 5,000 choose, the last 5,000 measure. KWS is split by
speaker and VWW at random, 60 : 20 : 20 and 50 : 25 : 25. Figures are printed as a Markdown table.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

MODELS = {
    # name: (file, data, preprocessing, options)
    "resnet8": ("resnet8_cifar10.h5", "cifar10", {}, ["--max-latency", "2.5"]),
    "resnet32": (
        "resnet32_cifar10.h5",
        "cifar10",
        {"mean": [125.307, 122.95, 113.865], "std": [62.9932, 62.0887, 66.7048]},
        ["--max-latency", "2.5"],
    ),
    "resnet110": (
        "resnet110_cifar10.h5",
        "cifar10",
        {"scale": 1 / 255, "mean": "resnet110_cifar10.mean.npy"},
        ["--max-latency", "5"],
    ),
    "dscnn": ("dscnn_kws.h5", "kws", {}, ["--max-latency", "2.5"]),
    "mobilenetv1": ("mobilenetv1_vww.h5", "vww", {"scale": 1 / 255}, ["--max-latency", "2.5"]),
}


def cifar10(directory: Path) -> dict[str, np.ndarray]:
    if (directory / "cifar10.npz").is_file():
        stored = dict(np.load(directory / "cifar10.npz"))
        if "x_val" in stored:
            return stored
        train, test = ((stored[f"x_{p}"], stored[f"y_{p}"]) for p in ("train", "test"))
    else:
        import keras

        train, test = keras.datasets.cifar10.load_data()
    return {
        "x_train": train[0], "y_train": train[1].ravel(),
        "x_val": test[0][:5000], "y_val": test[1].ravel()[:5000],
        "x_test": test[0][5000:], "y_test": test[1].ravel()[5000:],
    }  # fmt: skip


def kws(directory: Path) -> dict[str, np.ndarray]:
    stored = np.load(directory / "kws_mfcc_train.npz")
    speakers = np.random.default_rng(0).permutation(np.unique(stored["groups_train"]))
    shares = np.split(speakers, [int(0.6 * len(speakers)), int(0.8 * len(speakers))])
    out = {}
    for part, names in zip(("train", "val", "test"), shares, strict=True):
        rows = np.isin(stored["groups_train"], names)
        out |= {f"{k}_{part}": stored[f"{k}_train"][rows] for k in ("x", "y", "groups")}
    return out


def vww(directory: Path) -> dict[str, np.ndarray]:
    stored = np.load(directory / "vww_eembc_1000.npz")
    order = np.random.default_rng(0).permutation(len(stored["y_test"]))
    shares = np.split(order, [500, 750])
    return {
        f"{k}_{part}": stored[f"{k}_test"][rows]
        for part, rows in zip(("train", "val", "test"), shares, strict=True)
        for k in ("x", "y")
    }


DATA = {"cifar10": cifar10, "kws": kws, "vww": vww}


def run(name: str, directory: Path, work: Path, hardware: str, more: list[str]) -> str:
    """Run the command once; a row of the table."""
    file, source, preprocessing, options = MODELS[name]
    data = work / f"{source}.npz"
    if not data.exists():
        np.savez(data, **DATA[source](directory))
    sidecar = {"source": data.name, "preprocessing": dict(preprocessing)}
    if isinstance(preprocessing.get("mean"), str):
        sidecar["preprocessing"]["mean"] = str((directory / "models" / preprocessing["mean"]).resolve())
    spec = work / f"{name}.data.yaml"
    spec.write_text(json.dumps(sidecar))  # JSON is YAML
    model, out = directory / "models" / file, work / name
    command = [sys.executable, "-m", "eeaug", "augment", str(model.resolve()), "--hw", hardware,
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
