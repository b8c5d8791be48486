#!/usr/bin/env python3
"""What workers cost: heads trained by two workers of one thread, and by one process with two threads, in turns.

    python benchmarks/workers.py [--turns N] [--samples N]

Random maps of six places of the shapes of ResNet-8's, dense and convolutional heads of all of them. TensorFlow has
been started in both before the first turn. Processor seconds are those of all processes, scheduler and workers
included: on a machine that others use they say more than the clock does. What workers give must be, byte by byte,
what a process with one thread gives.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
from distributed import LocalCluster

from eeaug.cascade.output import Decision
from eeaug.features import Features, cluster
from eeaug.flow.prepare import start_frameworks
from eeaug.heads import families, together, training
from eeaug.heads.judge import Judge
from eeaug.heads.supervision import Lesson
from eeaug.heads.together import Common, Group, Outcome
from eeaug.heads.training import Plan
from eeaug.network.locations import Location
from eeaug.support import checksums

DECISION = Decision("softmax", 10)
SHAPES = ((32, 32, 16), (32, 32, 16), (16, 16, 32), (16, 16, 32), (8, 8, 64), (8, 8, 64))
PLACES = [Location(f"place_{i}", i + 1, shape, 10**7) for i, shape in enumerate(SHAPES)]
DENSE = [
    Group(families.dense_heads(at, (), DECISION, 10**8), Plan(3, 350, 512, 2e-2, 0, 2), maps=False)
    for at in PLACES
]  # fmt: skip
MAPS = [
    Group(families.map_heads(at, ["separable"], DECISION, 1e6), Plan(2, 200, 64, 16e-3, 0), maps=True)
    for at in PLACES
]  # fmt: skip


def written(folder: Path, samples: int) -> None:
    """Files as in a cache."""
    rng = np.random.default_rng(0)
    for part, n in {"fit": samples, "screen": samples // 4, "choose": samples // 4}.items():
        labels = np.arange(n) % 10
        arrays = {"given": 0.9 * np.eye(10, dtype=np.float32)[labels] + np.float32(0.01)}
        for i, want in enumerate(_read()):
            x = rng.normal(size=(n, *want.shape)).astype(np.float16 if part == "fit" else np.float32)
            x[..., 0] += 0.3 * labels.reshape((n,) + (1,) * (x.ndim - 2))
            arrays[str(i)] = x
        for name, array in arrays.items():
            file = folder / f"{part}-{name}.npy"
            np.save(file, array)
            checksums.append(file, file)


def opened(folder: Path) -> tuple[Common, dict[str, Features]]:
    parts = {}
    for part in ("fit", "screen", "choose"):
        given = np.load(folder / f"{part}-given.npy", mmap_mode="r")
        tensors = {
            want.key: np.load(folder / f"{part}-{i}.npy", mmap_mode="r") for i, want in enumerate(_read())
        }  # fmt: skip
        parts[part] = Features(tensors, given, np.arange(len(given)) % 10)
    source: Any = SimpleNamespace(
        decision=DECISION, specific=None, blank=False, codes=lambda of: of.labels, labels=lambda of: of.labels,
        given_answers=lambda of: np.asarray(of.probabilities), weights=lambda _: None,
    )  # fmt: skip
    return Common(Lesson(DECISION, True, None), Judge(source, parts["screen"], ()), parts["fit"].labels), parts


def _read() -> list[Any]:
    heads = [head for group in (*DENSE, *MAPS) for head in group.heads]
    return list(dict.fromkeys(want for head in heads for want in training.sources(head)))


def here(folder: Path, threads: int) -> list[bytes]:
    """All heads by this process."""
    common, features = opened(folder)
    outcomes: dict[str, bytes] = {}
    list(together.in_threads(common, DENSE, features, threads, partial(_put, outcomes)))
    for group in MAPS:
        _put(outcomes, group, together.trained(common, group, features))
    return [outcomes[name] for name in sorted(outcomes)]


def there(folder: Path, workers: Any) -> list[bytes]:
    common, features = opened(folder)
    outcomes: dict[str, bytes] = {}
    for groups in (DENSE, MAPS):
        list(together.on_workers(common, groups, features, workers, partial(_put, outcomes)))
    return [outcomes[name] for name in sorted(outcomes)]


def _put(outcomes: dict[str, bytes], group: Group, outcome: Outcome) -> None:
    arrays = [w for one in outcome.trained for w in one.weights] + [*(outcome.screen or ()), *outcome.choose]
    outcomes[f"{group.heads[0].location.name} {group.maps}"] = b"".join(array.tobytes() for array in arrays)


def _used(processes: Sequence[psutil.Process]) -> float:
    times = [process.cpu_times() for process in processes]
    return float(sum(of.user + of.system for of in times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--samples", type=int, default=2048)
    asked = parser.parse_args()
    for name in [name for name in os.environ if name.startswith(("TF_NUM", "OMP_"))]:
        del os.environ[name]
    context = get_context("spawn")
    seconds: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        written(folder, asked.samples)
        begin = partial(start_frameworks, 1, 0)
        with (
            ProcessPoolExecutor(1, context, start_frameworks, (2, 0)) as process,
            LocalCluster(n_workers=2, threads_per_worker=1, memory_limit=0, dashboard_address=None) as local,
            cluster.workers(local.scheduler_address, begin, print) as workers,
        ):
            assert workers is not None
            process.submit(int).result()
            workers._check_begun()
            every = [psutil.Process(), *psutil.Process().children(recursive=True)]
            ways = {
                "one process, 2 threads": lambda: process.submit(here, folder, 2).result(),
                "two workers, 1 thread each": lambda: there(folder, workers),
            }
            for _ in range(asked.turns):
                for name, way in ways.items():
                    before, start = _used(every), time.perf_counter()
                    result = way()
                    seconds.setdefault(name, []).append((time.perf_counter() - start, _used(every) - before))
                    print(name, *(f"{one:.1f}" for one in seconds[name][-1]), flush=True)
        with ProcessPoolExecutor(1, context, start_frameworks, (1, 0)) as process:
            if process.submit(here, folder, 1).result() != result:
                raise SystemExit("other bytes on workers")
    medians = {name: [median(one) for one in zip(*of, strict=True)] for name, of in seconds.items()}
    base = next(iter(medians.values()))
    print("| trained by | seconds | processor seconds |", "|---|---|---|", sep="\n")
    for name, of in medians.items():
        cells = (f"{one:.1f} ({one / first - 1:+.0%})" for one, first in zip(of, base, strict=True))
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
