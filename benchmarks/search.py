#!/usr/bin/env python3
"""What a search costs, against its floor: one pass of the unmodified model over the same images.

    python benchmarks/search.py --data-dir DIR [--only resnet110 ...] [--effort quick normal]

DIR: see public_models.py. Every run has a process and an empty cache of its own; after the search it passes the
same prepared images through the unmodified model in ONNX Runtime, with the same threads, and takes the best of
three. The ratio is (features + heads + search) / floor. ``again`` is a second run from the same cache with another
budget, objective and target: all of its seconds but the import; ``again, other x_val`` one with the first run's
settings and another calibration set, its samples in reverse order. Memory is the peak of anonymous memory (RssAnon,
sampled) of the first run. Drops are those of the test samples.

resnet152 is Keras' for 32×32 images, with fresh weights, on 5,000 images (on rk3588-cloud, others on psoc6): it is
about time, not about accuracy.
dscnn×16 repeats the 3,174 KWS windows sixteen times: what a data set of the usual size would take.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from public_models import DATA, prepare

NAMES = ("resnet8", "resnet32", "resnet110", "resnet152", "dscnn", "dscnn×16")
STEPS = ("convert", "features", "heads", "search")
HEADER = (
    "| model | effort | locations | images | floor | "
    + " | ".join(STEPS)
    + " | **ratio** | import | export + verify | again | again, other x_val | memory (GB) | cache (GB) | MACs saved"
    + " | drop (points) |"
)


class Memory(threading.Thread):
    """Samples the anonymous memory of this process until it is told to stop; keeps the peak, in bytes."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak, self.ended = 0, threading.Event()
        self.start()

    def run(self) -> None:
        while not self.ended.wait(0.05):
            for line in Path("/proc/self/status").read_text().splitlines():
                if line.startswith("RssAnon"):
                    self.peak = max(self.peak, 1024 * int(line.split()[1]))


def given(name: str, directory: Path, work: Path, images: int) -> tuple[Path, Path, list[str]]:
    """Model, data and options of one row; ``images`` repeats or cuts the training images, 0 leaves them."""
    if name == "resnet152":
        return resnet152(directory, work)
    model, spec, options = prepare(name.removesuffix("×16"), directory, work)
    times = 16 if name.endswith("×16") else 1
    if times > 1 or images:
        parts = dict(np.load(work / json.loads(spec.read_text())["source"]))
        for key in [k for k in parts if k.endswith(("_train", "_val"))]:
            many = images if images and key.endswith("_train") else times * len(parts[key])
            parts[key] = np.resize(parts[key], (many, *parts[key].shape[1:]))
        np.savez(work / "other.npz", **parts)
        spec.write_text(json.dumps({**json.loads(spec.read_text()), "source": "other.npz"}))
    return model, spec, options


def resnet152(directory: Path, work: Path) -> tuple[Path, Path, list[str]]:
    import keras

    keras.utils.set_random_seed(0)
    keras.applications.ResNet152(weights=None, input_shape=(32, 32, 3), classes=10).save(work / "resnet152.keras")
    parts = DATA["cifar10"](directory)
    sizes = {"train": 4500, "val": 500, "test": 500}
    few = {f"{k}_{part}": parts[f"{k}_{part}"][:n] for part, n in sizes.items() for k in ("x", "y")}
    np.savez(work / "few.npz", **few)  # type: ignore[arg-type]
    spec = work / "resnet152.data.yaml"
    spec.write_text(json.dumps({"source": "few.npz", "preprocessing": {"scale": 1 / 255}}))
    return work / "resnet152.keras", spec, ["--allow-chance"]


def one(name: str, effort: str, directory: Path, images: int, threads: int, passes: int) -> dict[str, Any]:
    """All figures of one row; runs in a process of its own."""
    from eeaug.flow import prepare as preparation

    start = time.perf_counter()
    preparation.start_frameworks(threads, 0)
    importing = time.perf_counter() - start
    with tempfile.TemporaryDirectory(prefix="eeaug-benchmark-") as scratch:
        return measured(name, effort, directory, Path(scratch), images, threads, passes, importing)


def measured(
    name: str, effort: str, directory: Path, work: Path, images: int, threads: int, passes: int, importing: float
) -> dict[str, Any]:
    from eeaug.cli import show
    from eeaug.features import shards
    from eeaug.flow import augment
    from eeaug.flow import prepare as preparation
    from eeaug.settings import Settings
    from eeaug.support.progress import Progress

    model, spec, options = given(name, directory, work, images)
    common: dict[str, Any] = {
        "model": model, "data": str(spec), "output": work / "out", "effort": effort, "threads": threads,
        "cache": work / "cache", "allow_chance": "--allow-chance" in options, "force": True,
    }  # fmt: skip
    # ResNet-152 needs 58 million bytes for its parameters even at eight bits
    target, another = ("rk3588-cloud",) * 2 if name == "resnet152" else ("psoc6", "stm32l4r5")
    memory = Memory()
    with show.observer(quiet=False, verbose=False) as observer:
        progress = Progress(observer)
        settings = Settings.of(hardware=target, **common)
        report = augment.augment(settings, progress)
        peak = memory.peak
        memory.ended.set()
        other = Progress(observer)
        changed: dict[str, Any] = {"max_accuracy_drop": None, "efficiency_weight": 0.9}
        if another != target:  # whose latencies are known
            changed["objective"] = "latency"
        augment.augment(Settings.of(hardware=another, **common, **changed), other)
        again = other.total_s
        cached = sum(f.stat().st_size for f in (work / "cache" / "networks").rglob("*") if f.is_file())
        third = Progress(observer)
        augment.augment(Settings.of(hardware=target, **{**common, "data": other_x_val(spec, work)}), third)
    ready = preparation.prepare(settings, Progress(observer))
    extraction, splits = ready.source.extraction, ready.source.splits
    views = [splits.choose, splits.screen, splits.fit]
    network = extraction.convert(extraction._all([]))

    def floor() -> float:
        start = time.perf_counter()
        for view in views:
            for i in range(0, len(view), shards.SHARD):
                rows = view.indices[i : i + shards.SHARD]
                for _ in shards.run(
                    network, threads, [0], view.part.x[rows], rows, view.part.name, extraction.preprocessing
                ):
                    pass
        return time.perf_counter() - start

    base, result = report["baseline"]["measured"], report["design"]["measured"]
    return {
        "locations": report["search"]["locations"],
        "images": sum(map(len, views)),
        "floor": min((floor() for _ in range(passes)), default=None),
        "seconds": {**progress.seconds, "import": importing},
        "again": again,
        "other": third.total_s,
        "memory": peak,
        "cache": cached,
        "saved": 1 - result["mean_macs"] / base["mean_macs"],
        "drop": base["accuracy"] - result["accuracy"],
    }


def other_x_val(spec: Path, work: Path) -> str:
    """The same data with its calibration set in reverse order: as many samples, and other files of a cache."""
    facts = json.loads(spec.read_text())
    with np.load(work / facts["source"]) as stored:
        parts = {key: array[::-1] if key.endswith("_val") else array for key, array in stored.items()}
    assert "x_val" in parts
    np.savez(work / "another.npz", **parts)
    (work / "another.data.yaml").write_text(json.dumps({**facts, "source": "another.npz"}))
    return str(work / "another.data.yaml")


def short(seconds: float) -> str:
    return f"{seconds:.1f}" if seconds >= 1 else f"{seconds:.2f}"


def row(name: str, effort: str, made: dict[str, Any]) -> str:
    seconds = {**dict.fromkeys((*STEPS, "import", "export", "verify"), 0.0), **made["seconds"]}
    floor, ratio = "–", "–"
    if made["floor"] is not None:
        floor = short(made["floor"])
        ratio = f"{(seconds['features'] + seconds['heads'] + seconds['search']) / made['floor']:.2f}"
    return (
        f"| {name} | {effort} | {made['locations']} | {made['images']:,} | {floor} | "
        + " | ".join(short(seconds[step]) for step in STEPS)
        + f" | **{ratio}** | {seconds['import']:.1f} | {seconds['export'] + seconds['verify']:.1f} | "
        f"{made['again']:.1f} | {made['other']:.1f} | {made['memory'] / 1e9:.2f} | {made['cache'] / 1e9:.2f} | "
        f"{made['saved']:.1%} | "
        f"{100 * made['drop']:.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--only", nargs="*", choices=NAMES, default=list(NAMES))
    parser.add_argument("--effort", nargs="*", choices=("quick", "normal", "thorough"), default=["quick", "normal"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--images", type=int, default=0, help="training images: repeated or cut to so many")
    parser.add_argument("--passes", type=int, default=3, help="of the unmodified model; 0: memory only, no ratio")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    known = parser.parse_args()
    directory = known.data_dir.resolve()
    if known.one:
        print(json.dumps(one(*known.one, directory, known.images, known.threads, known.passes)))
        return
    print(HEADER + "\n" + "|---" * (HEADER.count("|") - 1) + "|", flush=True)
    for name in known.only:
        for effort in known.effort:
            command = [sys.executable, __file__, *sys.argv[1:], "--one", name, effort]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
            if done.returncode:
                print(f"| {name} | {effort} | exit {done.returncode} |", flush=True)
            else:
                print(row(name, effort, json.loads(done.stdout.splitlines()[-1])), flush=True)


if __name__ == "__main__":
    main()
