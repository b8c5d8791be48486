#!/usr/bin/env python3
"""Stages on a server: throughput and latency, what the near side adds, a bad connection, memory.

    python benchmarks/remote.py BUNDLE --data FILE.npz [--samples 2000] [--faults 100000] [--flat 1000000]

BUNDLE was written with --format triton; x_test of FILE.npz are its samples. NVIDIA's Triton is on the loopback
(tests/triton_server.py), on the same cores as the near side: what is shown is what the software costs, not what a
faster server saves. *Every input*: the same stages, all of them there. Each client is a thread that sends one
sample after the other. *Near side*: CPU time of the thread that calls predict over that of its sessions alone, at
batches of 32; what the thread with the requests takes is shown beside. Faults: tests/remote_parts.py, one answer in
five is changed.
"""

from __future__ import annotations

import argparse
import random
import resource
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import remote_parts
import triton_server

from eeaug.bundle.manifest import read
from eeaug.export import triton
from eeaug.hardware import profiles
from eeaug.runtime import Cascade

CLIENTS = (1, 8, 64)
KINDS = ("delay", "drop", "truncate", "cut", "busy", "garble", "reorder")
DEADLINE_S = 5.0


@dataclass(frozen=True)
class _Repository:
    """What export.triton.write needs of a Work."""

    directory: Path
    manifest: Any
    hardware: Any


def on_server(bundle: Path, place: Path) -> Any:
    """A manifest whose stages are all on one server, with its model repository in ``place``."""
    entries = read(bundle).entries
    shutil.copytree(bundle / "stages", place / "stages")
    hardware = profiles.read(str(bundle / "hardware.yaml"))
    server = next(p.name for p in hardware.processors if p.remote)
    plain = [
        replace(s, processor=server, triton=None, files={k: v for k, v in s.files.items() if k != "triton"})
        for s in entries.stages
    ]
    manifest = replace(entries, stages=tuple(plain))
    return manifest.adding("triton", triton.write(_Repository(place, manifest, hardware)))  # type: ignore[arg-type]


def clients(cascade: Cascade, x: NDArray[Any], count: int) -> tuple[float, NDArray[np.float64]]:
    """Samples per second of so many clients together, and the seconds of each sample."""
    waits: list[list[float]] = [[] for _ in range(count)]

    def work(number: int) -> None:
        for i in range(number, len(x), count):
            begin = time.perf_counter()
            cascade.predict(x[i : i + 1])
            waits[number].append(time.perf_counter() - begin)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(count)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(x) / (time.perf_counter() - begin), np.concatenate(waits)


class Timed:
    """A session whose CPU time is added up."""

    def __init__(self, session: Any, spent: list[float]) -> None:
        self.session, self.spent = session, spent

    def run(self, outputs: Sequence[str], inputs: Any) -> Any:
        begin = time.thread_time()
        answer = self.session.run(outputs, inputs)
        self.spent.append(time.thread_time() - begin)
        return answer


def near_side(cascade: Cascade, x: NDArray[Any]) -> tuple[float, float]:
    """CPU time that predict adds in its own thread, and in that of the requests, over that of the near stages."""
    spent: list[float] = []
    timed = replace(cascade, sessions=tuple(Timed(s, spent) for s in cascade.sessions))
    timed.predict(x)
    ratios = []
    for _ in range(5):
        spent.clear()
        begin, process = time.thread_time(), time.process_time()
        timed.predict(x)
        own, whole = time.thread_time() - begin, time.process_time() - process
        ratios.append(((own - sum(spent)) / sum(spent), (whole - own) / sum(spent)))
    here, requests = np.median(np.array(ratios), axis=0)
    return float(here), float(requests)


def faults(cascade: Callable[[str], Cascade], url: str, x: NDArray[Any], many: int) -> dict[str, Any]:
    """So many samples over a connection that changes one answer in five."""
    rng, lost, wrong, fallback = random.Random(0), 0, 0, 0
    with cascade(url) as direct:
        expected = direct.predict(x)
    choose = lambda: rng.choice(KINDS) if rng.random() < 0.2 else None  # noqa: E731
    with remote_parts.through(url, choose) as (bad, proxy), cascade(bad) as there:
        for begin in range(0, many, len(x)):
            piece = x[: min(len(x), many - begin)]
            answers = there.predict(piece)
            lost += len(piece) - len(answers)
            fallback += int(answers.fallback.sum())
            kept = ~answers.fallback
            wrong += int((answers.classes != expected.classes[: len(piece)])[kept].sum())
            wrong += int((answers.exits != expected.exits[: len(piece)])[kept].sum())
    return {"samples": many, "faults": proxy.counts, "lost": lost, "wrong": wrong, "fallback": fallback}


def flat(many: int) -> list[tuple[int, float]]:
    """MiB of the process after so many samples of a small cascade with a server of its own."""
    parts = remote_parts.Parts(("near", "cloud"))
    x = np.random.default_rng(0).normal(0, 1, (2_000, remote_parts.WIDTH)).astype(np.float32)
    shown = []
    with remote_parts.serving(parts.models()) as server, parts.cascade(server.url) as cascade:
        for done in range(0, many, len(x)):
            cascade.predict(x)
            server.rows.clear()
            server.headers.clear()
            if (done + len(x)) * 10 % many < 10 * len(x):
                shown.append((done + len(x), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
    return shown


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=2_000)
    parser.add_argument("--faults", type=int, default=100_000)
    parser.add_argument("--flat", type=int, default=1_000_000)
    given = parser.parse_args()
    x = np.load(given.data)["x_test"][: given.samples]
    server = next(s.processor for s in read(given.bundle).entries.stages if s.triton is not None)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        manifest = on_server(given.bundle, place)
        shutil.copytree(given.bundle / "triton", place / "triton", dirs_exist_ok=True)
        (place / "server").mkdir()
        with triton_server.serving(place / "triton", place / "server") as url:
            remote: dict[str, Any] = {"remote": {server: url}, "deadline_s": DEADLINE_S, "threads": 1}
            ways = {
                "all stages here": Cascade.load(given.bundle, threads=1),
                "exits here, the rest on the server": Cascade.load(given.bundle, **remote),
                "every input to the server": Cascade.load(place, manifest, **remote),
            }
            print("| | clients | samples/s | p50 | p95 | p99 |\n|---|---|---|---|---|---|")
            for way, cascade in ways.items():
                clients(cascade, x[:100], 1)
                for count in CLIENTS:
                    speed, waits = clients(cascade, x, count)
                    times = " | ".join(f"{1e3 * t:.2f} ms" for t in np.quantile(waits, (0.5, 0.95, 0.99)))
                    print(f"| {way} | {count} | {speed:,.0f} | {times} |", flush=True)
            here, requests = near_side(ways["exits here, the rest on the server"], x)
            print(f"\nnear side, batches of 32: {here:.1%} more than its stages, requests {requests:.1%} besides")
            found = faults(
                lambda at: Cascade.load(given.bundle, **{**remote, "remote": {server: at}}), url, x, given.faults
            )
            print("\n" + ", ".join(f"{key} {value}" for key, value in found.items()), flush=True)
    for done, mib in flat(given.flat):
        print(f"{done:,} samples: {mib:.1f} MiB", flush=True)


if __name__ == "__main__":
    main()
