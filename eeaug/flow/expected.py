"""How long a run will take: its own steps on a few samples, timed and scaled; what the cache has costs nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.passage import Passage
from eeaug.data import View
from eeaug.export import formats
from eeaug.export.int8 import int8_cascade
from eeaug.flow import augment
from eeaug.flow.finetune import WEIGHTS
from eeaug.flow.prepare import Ready
from eeaug.heads import ahead
from eeaug.heads.ahead import Ahead, Few
from eeaug.heads.planning import dense_plan, map_plan
from eeaug.heads.train_all import sources
from eeaug.settings import EFFORTS, Settings
from eeaug.support.progress import Progress

__all__ = ["expected", "passage_s"]

Clock = Callable[[], float]
BEFORE = ("import", "load", "graph")  # steps that the dry run has just done as the run will
# Threshold vectors that a search sends samples through: 12,000 to 37,000 in four runs with 500 to 20,000 samples.
PASSAGES = 18_000
# Of the time that writing the extractor took: writing a bundle's stages, in ONNX and Keras, and reading them back.
WRITTEN, READ_BACK = 2.5, 2.0
# Of the time that the rehearsal of the formats took: writing them of the chosen stages, and their checks.
FORMATS_WRITTEN = 1.6
# Of the time that a sample takes through the frozen model: through it and its exits forward and back.
TRAINED = 5.0


class Expected:
    """The seconds of a run's steps; ``clock`` measures, ``scratch`` takes what is measured on."""

    def __init__(self, settings: Settings, ready: Ready, progress: Progress, scratch: Path, clock: Clock) -> None:
        self.settings, self.ready, self.progress = settings, ready, progress
        self.scratch, self.clock = scratch, clock
        self.effort = EFFORTS[settings.training.effort]
        self.likely = ready.maps.chosen()

    @cached_property
    def few(self) -> Few:
        """A pass over a few samples for all that is likely to be kept."""
        heads = [*self.ready.dense.values(), *self.likely.values()]
        return ahead.few(self.ready.source, sources(heads), self.scratch, self.clock)

    @cached_property
    def lacking(self) -> Ahead:
        ready = self.ready
        return ahead.ahead(
            ready.source, ready.dense, ready.maps, self.effort, lambda: self.few,
            seed=self.settings.running.seed, pinned=ready.network.rules.pinned, progress=self.progress,
        )  # fmt: skip

    def size(self, part: str) -> int:
        view: View | None = getattr(self.ready.source.splits, part)
        return 0 if view is None else len(view)

    def features_s(self) -> float:
        return self.few.fixed_s + self.lacking.passed * self.few.sample_s if self.lacking.passed else 0.0

    def heads_s(self) -> float:
        fit, screen, choose = (self.size(name) for name in ("fit", "screen", "choose"))
        sizes, lacking = (fit, screen, choose), self.lacking
        seconds = 0.0
        if lacking.dense:
            plan = dense_plan(self.effort, 0)
            threads = self.settings.running.threads
            seconds += ahead.dense_s(lacking.dense, self.few.fit, sizes, plan, threads, self.clock)
        if lacking.maps:
            seconds += ahead.maps_s(lacking.maps, sizes, map_plan(self.effort, 0), self.clock)
        training = self.settings.training
        weights = len(WEIGHTS) if training.recipe == "trecx" and training.exit_weight is None else 1
        if training.finetune:
            seconds += weights * training.finetune * fit * TRAINED * self.few.sample_s
        return seconds

    def search_s(self) -> float:
        samples = max(self.size("choose"), self.size("screen"))
        return PASSAGES * passage_s(samples, self.ready.network.rules.max_exits, self.clock)

    def bundle_s(self) -> float:
        """Writing, reading back, and measuring on the test part."""
        few = self.few
        seconds = (WRITTEN + READ_BACK) * few.fixed_s + self.size("test") * few.sample_s
        asked = self.settings.running.formats
        if formats.named(asked):
            start = self.clock()
            int8_s = augment.rehearse(self.settings.running, self.ready, self.progress)
            rehearsed = self.clock() - start
            seconds += (1 + FORMATS_WRITTEN) * rehearsed  # the run rehearses, too
            if int8_cascade.FORMAT in asked:
                seconds += sum(map(self.size, ("screen", "choose", "test"))) * (int8_s or 0.0)
        return seconds


def passage_s(samples: int, exits: int, clock: Clock) -> float:
    """Seconds that so many samples take through a cascade of that many exits at one threshold vector."""
    rng, spent, count = np.random.default_rng(0), [], exits + 1
    answers = rng.random((count, samples), np.float32), rng.integers(0, 2, (count, samples))
    outcomes = Outcomes(*answers, rng.integers(0, 2, samples))
    for _ in range(9):
        start = clock()
        passage = Passage(outcomes, (0.9,) * exits)
        passage.losses.mean()
        passage.mean(np.ones(count))
        spent.append(clock() - start)
    return float(np.median(spent))


def expected(
    settings: Settings, ready: Ready, progress: Progress, scratch: Path, begun_s: float,
    clock: Clock = time.perf_counter,
) -> dict[str, Any]:  # fmt: skip
    """Seconds of the steps of a run, and what it will find in the cache.

    ``begun_s`` : of this process before the first step
    """
    of = Expected(settings, ready, progress, scratch, clock)
    seconds = {
        # to end, and to show the report, takes Python about half as long as to begin
        "start_s": 1.5 * begun_s + sum(progress.seconds.get(name, 0.0) for name in BEFORE),
        "features_s": of.features_s(),
        "heads_s": of.heads_s(),
        "search_s": of.search_s(),
        "bundle_s": of.bundle_s(),
    }
    return {
        **seconds,
        "total_s": sum(seconds.values()),
        "timed_samples": len(of.few.fit.probabilities) + len(of.few.screen.probabilities),
        "heads_kept": of.lacking.kept,
        "heads_to_train": of.lacking.heads,
        "samples_to_pass": of.lacking.passed,
    }
