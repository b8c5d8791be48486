"""What a bundle decides of streams that it has not seen, beside confidence alone and the given model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.passage import Passage
from eeaug.design.streamed import MemoryTerms
from eeaug.report.content.streams import along, decided_by
from eeaug.streams.debounce import Debounce
from eeaug.streams.kinds import rule_of
from eeaug.streams.sequences import Sequences
from eeaug.streams.walk import Course, walk

__all__ = ["WAYS", "again"]

Floats = NDArray[np.float64]
WAYS = ("given", "alone", "memory")


def again(
    report: Mapping[str, Any], outcomes: Outcomes, sequences: Sequences, costs: Sequence[float], *, labelled: bool
) -> tuple[Passage, dict[str, Any]]:  # fmt: skip
    """The samples on their way through the bundle, and what that comes to.

    Parameters
    ----------
    report : of the bundle, which has a block ``stream``
    outcomes : of its m + 1 classifiers on n samples, with the probabilities of the first; ``sequences``: of these
    costs : (m + 1,) MACs of the stages
    labelled : the outcomes' labels are true ones; else they are taken from the given model
    """
    stored = report["stream"]
    rules = [rule_of(stored[name]) for name in ("rule_alone", "rule_memory")]
    stable = (rules[0].wanted, rules[0].window) if isinstance(rules[0], Debounce) else None
    course = MemoryTerms(stored["refresh"], stable).judged(Course(outcomes, _first(outcomes), sequences))
    if not labelled:
        course = replace(course, rows=replace(course.rows, labels=course.rows.baseline))
    rows, background = course.rows, [report["model"]["classes"].index(name) for name in stored["background"]]
    walked = walk(rules, course)
    passages = (Passage(rows.alone, ()), walked.passage(rows, 0), walked.passage(rows, 1))
    used = 1 + int(stored["remembers"])
    passage, remembered = passages[used], walked.remembered[used - 1]
    each_cost = ([report["model"]["macs"]], costs, costs)
    return passage, {
        **{key: stored[key] for key in ("remembers", "rule", "rule_alone", "rule_memory", "state_bytes")},
        "sequences": len(sequences.lengths),
        "period_s": stored["period_s"],
        "figures": {
            name: _figures(each, np.asarray(macs, np.float64), sequences, background, stored["period_s"], labelled)
            for name, each, macs in zip(WAYS, passages, each_cost, strict=True)
        },
        "decided_by": decided_by(passage, remembered, rows),
        "promise": {key: stored["promise"][key] for key in ("promise", "max_accuracy_drop", "kept")},
        "reported": _reported(stored),
    }


def _first(outcomes: Outcomes) -> NDArray[np.float32]:
    assert outcomes.first is not None, "a cascade that decides streams says so"
    return outcomes.first


def _figures(
    passage: Passage, costs: Floats, sequences: Sequences, background: Sequence[int], period_s: float | None,
    labelled: bool,
) -> dict[str, Any]:  # fmt: skip
    """Of one way to decide; what labels tell is null without them."""
    counted = along(passage, costs, sequences, background, period_s)
    unknown = {} if labelled else dict.fromkeys(("events", "false_alarms_per_hour"))
    return {
        "metrics": {
            "accuracy": passage.accuracy if labelled else None,
            "drop": float(passage.losses.mean()),
            "mean_macs": passage.mean(costs),
        },
        **counted,
        **unknown,
    }


def _reported(stored: Mapping[str, Any]) -> dict[str, Any]:
    """What the report of the bundle says of its own sequences."""
    used, given = (stored["figures"][name] for name in ("memory" if stored["remembers"] else "alone", "given"))
    return {
        "split": stored["split"],
        "samples": stored["samples"],
        "sequences": stored["sequences"],
        "macs_saved": 1 - used["metrics"]["mean_macs"] / given["metrics"]["mean_macs"],
        "drop": given["metrics"]["accuracy"] - used["metrics"]["accuracy"],
        "events": used["events"],
    }
