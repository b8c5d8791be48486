"""``--dry-run``: what a search would look at, how long it takes, what it can save at best.

Nothing is trained and no threshold chosen: times are measured on a small batch and scaled, savings are what
an exit would bring if every sample left there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from eeaug import hardware
from eeaug.cascade.outcomes import Outcomes
from eeaug.data import View
from eeaug.design import problem
from eeaug.errors import InputError
from eeaug.export import formats
from eeaug.features import Extraction, Features, Wanted
from eeaug.flow import handover
from eeaug.flow.prepare import Ready, prepare
from eeaug.heads import dense, maps, training
from eeaug.heads.layers import Head
from eeaug.heads.planning import dense_plan, map_plan
from eeaug.heads.train_all import PARTS
from eeaug.heads.training import Plan
from eeaug.network.locations import Location
from eeaug.search.placing import count_architectures, placements
from eeaug.settings import EFFORTS, Effort, Settings
from eeaug.support import leftovers
from eeaug.support.cache import Cache, telling
from eeaug.support.progress import Progress

__all__ = ["forecast"]

Planned = Mapping[Location, Sequence[Head]]
SAMPLES = 256  # samples in the timed batch


def forecast(settings: Settings, progress: Progress) -> dict[str, Any]:
    """Facts about the search that these settings ask for; writes nothing outside a temporary directory.

    Raises
    ------
    InputError, InfeasibleError, ConversionError : as the search itself would before its first pass
    """
    if settings.running.dask is not None:
        raise InputError("--dry-run times this machine: leave --dask out")
    target = hardware.read(settings.input.hardware)
    formats.check_possible(settings.running.formats, target)
    handover.check_possible(settings, target)
    with telling(progress.caution):
        ready = prepare(settings, progress)
    likely = ready.maps.chosen()  # not known before dense heads are trained
    heads = [h for at in ready.network.rules.locations for h in (*ready.dense.get(at, ()), *likely.get(at, ()))]
    costs = ready.network.costs(settings.goal, [head.cost() for head in heads])
    dummy = np.zeros((len(heads) + 1, 1))
    nothing = Outcomes(dummy.astype(np.float32), dummy.astype(np.int64), np.zeros(1, np.int64))
    base, decision = problem.baseline(settings.goal, costs), ready.network.classifier.decision
    task = problem.problem(settings.goal, costs, nothing, ready.network.rules, base, decision)
    with progress.step("forecast"):
        estimate = _times(EFFORTS[settings.training.effort], settings.running.threads, ready, likely)
    counts = [count_architectures(task, m) for m in range(task.max_exits + 1)]
    sequences = [sum(1 for _ in placements(task, m)) for m in range(task.max_exits + 1)]
    return {
        "model": ready.network.classifier.file,
        "hardware": ready.network.hardware.name,
        "macs": ready.network.macs,
        "locations": [_location(ready, task, costs, heads, at.name) for at in ready.network.rules.locations],
        "search": {
            "locations_left_out": ready.network.left_out,
            "dense_heads": sum(map(len, ready.dense.values())),
            "convolutional_heads": sum(map(len, likely.values())),
            "architectures_at_most": sum(counts),
            "placements_at_most": sum(n * s for n, s in zip(counts, sequences, strict=True)),
        },
        "estimate": estimate,
        "disk_bytes": _disk(ready, likely),
        "cache": settings.running.cache.as_posix(),
        "formats_not_tried": [*formats.named(settings.running.formats)],
    }


def _location(ready: Ready, task: Any, costs: Any, heads: Sequence[Head], name: str) -> dict[str, Any]:
    """The best that any exit here could save, and which limits rule out how many of its placements."""
    mine = np.array([i for i, head in enumerate(heads) if head.location.name == name], dtype=np.intp)
    archs = mine.reshape(-1, 1)
    total = possible = 0
    missed: dict[str, int] = {}
    for sequence in placements(task, 1) if task.max_exits else ():
        segments = task.segments(archs, sequence)
        fits = np.ones(len(archs), dtype=bool)
        for limit, over in task.excess(segments).items():
            missed[limit] = missed.get(limit, 0) + int((fits & (over > 0)).sum())
            fits &= ~(over > 0)
        total += len(archs)
        possible += int(fits.sum())
    spent = costs.block_macs[costs.after[mine]] + costs.head_macs[mine]
    cheapest, dearest = heads[int(mine[spent.argmin()])], heads[int(mine[spent.argmax()])]
    return {
        "location": name,
        "shape": list(cheapest.location.shape),
        "heads": [heads[i].name for i in mine],
        "best_saving": {
            cheapest.name: 1 - float(spent.min()) / ready.network.macs,
            dearest.name: 1 - float(spent.max()) / ready.network.macs,
        },
        "placements": total,
        "possible": possible,
        "ruled_out_by": {limit: number for limit, number in missed.items() if number},
    }


def _wanted(ready: Ready, likely: Planned) -> list[Wanted]:
    """What the planned heads read."""
    heads = [h for planned in (ready.dense, likely) for heads in planned.values() for h in heads]
    return list(dict.fromkeys(wanted for head in heads for wanted in training.sources(head)))


def _disk(ready: Ready, likely: Planned) -> int:
    """Bytes of what the cache still lacks."""
    splits = ready.source.splits
    parts = {getattr(splits, name): p for name, p in PARTS.items()}
    return ready.source.extraction.need_bytes(parts, _wanted(ready, likely), looked_at=False)


def _times(effort: Effort, threads: int, ready: Ready, likely: Planned) -> dict[str, Any]:
    """Seconds for features and heads, scaled from a small batch of fit; as if nothing were there yet."""
    source = ready.source
    splits = source.splits
    total = sum(len(getattr(splits, name)) for name in PARTS)
    view = View(splits.fit.part, splits.fit.indices[:SAMPLES])
    seconds = {"features_s": 0.0, "heads_s": 0.0}
    with leftovers.scratch() as scratch:
        for kind in ("features", "heads"):
            (scratch / kind).mkdir()
        small = replace(source.extraction, cache=Cache(scratch), folder=scratch)
        features, per_sample, fixed = _extract(small, _wanted(ready, likely), view)
        seconds["features_s"] = fixed + per_sample * total
        for train, planned, plan, at_once in (
            (partial(dense.train, loss=lambda _: 0.0), ready.dense, dense_plan(effort, 0), threads),
            (maps.train, likely, map_plan(effort, 0), 1),
        ):
            passed = plan.for_samples(len(splits.fit)).epochs * len(splits.fit) / len(view)
            for heads in filter(None, planned.values()):
                seconds["heads_s"] += _epoch_s(train, heads, features, plan) * passed / at_once
    return {**seconds, "total_s": sum(seconds.values()), "timed_samples": len(view)}


def _extract(small: Extraction, wanted: Sequence[Wanted], view: View) -> tuple[Features, float, float]:
    """Features of the small batch, seconds per sample, and seconds for the conversion before it."""
    start = time.perf_counter()
    missing = small.missing({view: np.float32}, wanted)
    model = small.convert(missing)
    fixed = time.perf_counter() - start
    start = time.perf_counter()
    features = small.extract(view, wanted, (missing, model))
    return features, (time.perf_counter() - start) / len(view), fixed


def _epoch_s(train: Any, heads: Sequence[Head], features: Features, plan: Plan) -> float:
    """Seconds per epoch over the small batch: many less few, so that compilation cancels."""
    spent = []
    outputs = heads[0].dense[-1].units

    def targets(rows: Any) -> Any:
        return np.full((len(rows), outputs), 1 / outputs, np.float32)

    for epochs in (2, 6):
        start = time.perf_counter()
        fixed = _Fixed(epochs, 0, min(plan.batch, SAMPLES // 2, len(features.probabilities)), plan.rate, 0)
        train(heads, features, targets, features, fixed, lambda probabilities: set(probabilities))
        spent.append(time.perf_counter() - start)
    return max(0.0, (spent[1] - spent[0]) / 4)


class _Fixed(Plan):
    """A plan that stays as it is for few samples."""

    def for_samples(self, n: int) -> Plan:
        return self
