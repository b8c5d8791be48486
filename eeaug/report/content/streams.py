"""What a design comes to on streams: with memory, by confidence alone, and the given model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.learn_then_test import Claim, upper_bound
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.passage import Passage
from eeaug.design.design import Chosen, Decided
from eeaug.design.streamed import MemoryTerms, Streamed
from eeaug.network.segments import Segments
from eeaug.report import units
from eeaug.report.content import metrics, promise
from eeaug.settings import Settings
from eeaug.settings.contradictions import classes_named
from eeaug.streams import figures
from eeaug.streams.confidence import Confidence
from eeaug.streams.kinds import described
from eeaug.streams.rules import bytes_of
from eeaug.streams.sequences import Sequences
from eeaug.streams.walk import Course, walk

__all__ = ["along", "block", "decided_by", "of_int8", "sentence"]

ERROR = 0.05  # of the bound
STRIP = 240  # samples of a recording that are shown
HOUR_S = 3600.0


def block(
    settings: Settings, decided: Decided, chosen: Chosen, sequences: Mapping[str, Sequences], test: Outcomes | None,
    background: Sequence[int],
) -> tuple[dict[str, Any] | None, Passage | None]:  # fmt: skip
    """The report's block ``stream``, and the samples on their way; None where there is no decision of streams.

    Parameters
    ----------
    test : the m + 1 rows of the design as its stages gave them on test; None: figures are of choose
    background : numbers of the classes that are no event
    """
    streamed = decided.streamed
    if streamed is None:
        return None, None
    split, course = "choose" if test is None else "test", _course(settings, streamed, sequences, test)
    walked = walk([streamed.alone, streamed.memory], course)
    rows, labels = course.rows, settings.input.labels
    given = Passage(rows.alone, ())
    passages = {
        "given": (given, chosen.baseline_segments),
        "alone": (walked.passage(rows, 0), chosen.segments),
        "memory": (walked.passage(rows, 1), chosen.segments),
    }
    passage = passages["memory" if streamed.remembers else "alone"][0]
    claim, remembered = Claim.of(rows, passage.losses, -1.0), walked.remembered[int(streamed.remembers)]
    block = {
        "remembers": streamed.remembers,
        "rule": described(streamed.rule),
        "rule_alone": described(streamed.alone),
        "rule_memory": described(streamed.memory),
        "state_bytes": streamed.state_bytes,
        "memory_bytes": bytes_of(streamed.memory, course.exits, course.outputs),
        "refresh": settings.goal.memory,
        "saved_on_choose": {
            "alone": streamed.saved[0],
            "memory": streamed.saved[1],
            "best_alone": streamed.best_alone,
        },
        "background": [chosen.classes[c] for c in background],
        "split": split,
        "samples": rows.samples,
        "sequences": len(course.sequences.lengths),
        "period_s": settings.goal.period_s,
        "promise": promise.block(streamed.promise, labels, asked=settings.promise_asked),
        "promise_memory": promise.block(streamed.memory_promise, labels, asked=settings.promise_asked),
        "promise_alone": promise.block(streamed.alone_promise, labels, asked=settings.promise_asked),
        "drop_bound_95": None
        if test is None
        else upper_bound(claim, error=ERROR, seed=settings.running.seed, exact=False),
        "figures": {
            name: _figures(passage, segments, chosen, course.sequences, background, split, settings.goal.period_s)
            for name, (passage, segments) in passages.items()
        },
        "decided_by": decided_by(passage, remembered, rows),
        "strip": _strip(passage, remembered, course.sequences),
    }
    return block, passage


def _course(
    settings: Settings, streamed: Streamed, sequences: Mapping[str, Sequences], test: Outcomes | None
) -> Course:
    """The samples of figures, as they are judged: of test, or where there is none of choose."""
    if test is None:
        return streamed.course
    assert test.first is not None
    return MemoryTerms.of(settings.goal).judged(Course(test, test.first, sequences["test"]))


def of_int8(
    settings: Settings, chosen: Chosen, streamed: Streamed, sequences: Mapping[str, Sequences],
    test: Outcomes | None,
) -> dict[str, Any]:  # fmt: skip
    """The same of the int8 files, which decide by rules of their own; costs are MACs."""
    course = _course(settings, streamed, sequences, test)
    rows, split = course.rows, "choose" if test is None else "test"
    background = classes_named("background", settings.goal.background, chosen.classes)
    walked = walk([streamed.alone, streamed.memory], course)
    names = {"alone": 0, "memory": 1}
    return {
        "remembers": streamed.remembers,
        "rule": described(streamed.rule),
        "state_bytes": bytes_of(streamed.rule, course.exits, course.outputs, int8=True),
        "promise": promise.block(
            streamed.promise, settings.input.labels, asked=settings.promise_asked, given_last=False
        ),
        "figures": {
            name: {
                "accuracy": (passage := walked.passage(rows, i)).accuracy,
                "mean_macs": passage.mean(chosen.segments.macs[0]),
                "events": asdict(figures.events(passage.predicted, rows.labels, course.sequences, background)),
            }
            for name, i in names.items()
        },
        "split": split,
    }


def sentence(stream: Mapping[str, Any] | None, thresholds: Sequence[float | None]) -> str:
    """The first sentence of a report of streams; empty where there is no decision of any.

    ``thresholds``: of the design, where each sample is decided by itself.
    """
    if stream is None:
        return ""
    if stream["rule"] == described(Confidence(tuple(thresholds))):
        none_allowed = stream["rule_memory"] == stream["rule_alone"]
        why = "No memory is allowed" if none_allowed else "Memory brings too little on these streams"
        return f"{why}, so each sample is decided by itself: "
    used = stream["figures"]["memory" if stream["remembers"] else "alone"]["metrics"]
    given = stream["figures"]["given"]["metrics"]
    saved, lost = units.saved(1 - used["mean_macs"] / given["mean_macs"]), given["accuracy"] - used["accuracy"]
    way = "with memory" if stream["remembers"] else "by confidence alone, as memory brings too little"
    part = "test" if stream["split"] == "test" else "calibration (not measured)"
    worse = "less" if lost > 0 else "more"
    return (
        f"On streams, decided {way}: {saved} of the mean MACs saved, {units.points(abs(lost), signed=False)} "
        f"{worse} accuracy than the given model on the {part} sequences. Samples one by one: "
    )


def _figures(
    passage: Passage, segments: Segments, chosen: Chosen, sequences: Sequences, background: Sequence[int],
    split: str, period_s: float | None,
) -> dict[str, Any]:  # fmt: skip
    counted = metrics.counted(
        passage, segments, split=split, decision=chosen.decision, classes=chosen.classes, basis=chosen.basis
    )
    energy = counted["mean_energy_j"]
    return {
        "metrics": counted,
        **along(passage, segments.macs[0], sequences, background, period_s),
        "energy_per_hour_j": None if energy is None or period_s is None else energy * HOUR_S / period_s,
    }


def along(
    passage: Passage, costs: NDArray[np.float64], sequences: Sequences, background: Sequence[int],
    period_s: float | None,
) -> dict[str, Any]:  # fmt: skip
    """What samples in sequences cost and come to besides their means; ``costs`` (m + 1,): MACs of the segments."""
    spent = np.cumsum(costs)
    counts = figures.events(passage.predicted, passage.outcomes.labels, sequences, background)
    worst, lost = figures.worst_sequence(passage.losses, sequences)
    hours = None if period_s is None else passage.outcomes.samples * period_s / HOUR_S
    return {
        "p95_macs": metrics.percentile_latency_s(spent, passage.leave_rates, 0.95),
        "worst_macs": float(spent[passage.at.max()]),
        "events": asdict(counts),
        "false_alarms_per_hour": None if hours is None else counts.false_alarms / hours,
        "worst_sequence": {
            "name": sequences.names[worst] if sequences.names else str(worst),
            "samples": int(sequences.lengths[worst]),
            "drop": lost,
        },
    }


def decided_by(passage: Passage, remembered: NDArray[np.bool_], rows: Outcomes) -> dict[str, Any]:
    """Shares of all samples: by every classifier, and by memory at every early exit."""
    at = passage.at == np.arange(len(rows.confidence))[:, None]
    return {
        "sure": [float(rate) for rate in rows.share(at & ~remembered)],
        "remembered": [float(rate) for rate in rows.share(at & remembered)[:-1]],
    }


def _strip(passage: Passage, remembered: NDArray[np.bool_], sequences: Sequences) -> dict[str, Any]:
    """A part of one recording, sample by sample."""
    labels = passage.outcomes.labels
    shown = figures.strip(labels, sequences, STRIP)
    return {
        "sequence": sequences.names[int(sequences.of[shown[0]])] if sequences.names else "",
        "labels": [int(c) for c in labels[shown]],
        "answers": [int(c) for c in passage.predicted[shown]],
        "exits": [int(k) for k in passage.at[shown]],
        "remembered": [bool(one) for one in remembered[shown]],
    }
