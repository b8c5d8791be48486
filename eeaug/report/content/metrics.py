"""The figures of a design on one part of the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import Decision
from eeaug.cascade.passage import Passage
from eeaug.network.segments import Segments
from eeaug.schema.design import BINS
from eeaug.schema.figures import FIGURES
from eeaug.settings import COSTS

__all__ = ["by_class", "classes", "confidences", "counted", "independent", "percentile_latency_s", "worst"]


def counted(
    passage: Passage, segments: Segments, *, split: str, decision: Decision, classes: Sequence[str],
    basis: str = "profile",
) -> dict[str, Any]:  # fmt: skip
    """Metrics of a cascade, counted on samples (weighted, if the outcomes are).

    Parameters
    ----------
    passage : of n samples through it
    segments : its costs (one architecture, m + 1 segments)
    basis : of its times and energies

    Precision and recall are means over
    the classes that occur in the labels; a class that is never predicted has precision 0.
    """
    outcomes = passage.outcomes
    labels, marks = decision.marks(outcomes.labels), decision.marks(passage.predicted)
    present = np.flatnonzero(labels.T @ outcomes.counts > 0)
    hits, answered, labelled = (m.T @ outcomes.counts for m in (labels & marks, marks, labels))
    precision = [float(hits[c] / answered[c]) if answered[c] else 0.0 for c in present]
    recall = [float(hits[c] / labelled[c]) for c in present]
    given, mine = by_class(passage, decision)
    lost = worst(passage, decision)
    return _metrics(
        segments, passage.leave_rates, basis,
        split=split,
        samples=outcomes.samples,
        accuracy=passage.accuracy,
        precision=float(np.mean(precision)) if precision else None,
        recall=float(np.mean(recall)) if recall else None,
        worst_class={
            "name": classes[lost],
            "accuracy": float(mine[lost]),
            "drop": float(given[lost] - mine[lost]),
        },
    )  # fmt: skip


def worst(passage: Passage, decision: Decision) -> int:
    """The number of the class that loses most against the given model, of equals that of the least accurate one."""
    given, mine = by_class(passage, decision)
    occurs = np.flatnonzero(decision.marks(passage.outcomes.labels).T @ passage.outcomes.counts > 0)
    return int(max(occurs, key=lambda c: (round(float(given[c] - mine[c]), 12), -float(mine[c]))))


def by_class(passage: Passage, decision: Decision) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How often the given model and the cascade are right, (classes,) each; 0 for a class that does not occur.

    A class counts its own samples; a label, of several at once, all of them.
    """
    outcomes = passage.outcomes
    labels = decision.marks(outcomes.labels)
    counts = labels.T @ outcomes.counts

    def right(predicted: NDArray[np.integer]) -> NDArray[np.float64]:
        marks = decision.marks(predicted)
        if decision.kind == "multilabel":
            return outcomes.share((labels == marks).T)
        return np.asarray((labels & marks).T @ outcomes.counts / np.where(counts > 0, counts, 1.0))

    return right(outcomes.baseline), right(passage.predicted)


def confidences(passage: Passage, *, split: str) -> dict[str, Any]:
    """How sure each classifier is of the samples that reach it, by whether it is right; shares of all samples.

    A confidence of 1 is in the last bin.
    """
    outcomes, at = passage.outcomes, passage.at
    bins = np.minimum((outcomes.confidence * BINS).astype(np.intp), BINS - 1)
    return {
        "split": split,
        "samples": outcomes.samples,
        "bins": BINS,
        "exits": [
            {
                name: [float(v) for v in outcomes.share((at >= k) & alike & (bins[k] == np.arange(BINS)[:, None]))]
                for name, alike in (("right", right), ("wrong", ~right))
            }
            for k, right in enumerate(outcomes.correct)
        ],
    }  # fmt: skip


def classes(passage: Passage, *, split: str, decision: Decision, names: Sequence[str]) -> dict[str, Any]:
    """Accuracy of every class that occurs: of the given model, of the cascade, and of what leaves where.

    A class counts its own samples; of several labels at once, each counts all samples, right where that label is.
    """
    outcomes, at = passage.outcomes, passage.at
    labels = decision.marks(outcomes.labels)
    of_class = np.ones_like(labels) if decision.kind == "multilabel" else labels
    weighted = of_class * outcomes.counts[:, None]  # (n, classes)
    answers = decision.marks(passage.predicted)
    given = decision.marks(outcomes.baseline)

    def share(chosen: NDArray[np.bool_], among: NDArray[np.bool_], c: int) -> float | None:
        total = weighted[among, c].sum()
        return float(weighted[chosen & among, c].sum() / total) if total else None

    everyone = np.ones(outcomes.samples, bool)
    rows = []
    for c in np.flatnonzero(labels.any(axis=0)).tolist():
        right = answers[:, c] == labels[:, c]
        leaves = [at == k for k in range(len(outcomes.confidence))]
        rows.append({
            "name": names[c],
            "samples": int(labels[:, c].sum()),
            "baseline_accuracy": share(given[:, c] == labels[:, c], everyone, c),
            "accuracy": share(right, everyone, c),
            "leave_rates": [share(leave, everyone, c) for leave in leaves],
            "accuracies": [share(right, leave, c) for leave in leaves],
        })  # fmt: skip
    return {"split": split, "samples": outcomes.samples, "rows": rows}


def independent(
    outcomes: Outcomes, thresholds: Sequence[float | None], segments: Segments, *, split: str,
    basis: str = "profile",
) -> dict[str, Any]:  # fmt: skip
    """The same as Sponner et al. predict it: exits independent of each other (see cascade)."""
    reach, accuracy = 1.0, 0.0
    leave = []
    limits = (*thresholds, -np.inf)  # everybody leaves at the final classifier
    for confidence, correct, threshold in zip(outcomes.confidence, outcomes.correct, limits, strict=True):
        leaves = np.zeros(confidence.shape, bool) if threshold is None else confidence >= np.float32(threshold)
        accuracy += reach * float(outcomes.share(leaves & correct))
        leave.append(reach * float(outcomes.share(leaves)))
        reach *= 1 - float(outcomes.share(leaves))
    return _metrics(
        segments, np.array(leave), basis,
        split=split, samples=outcomes.samples, accuracy=float(outcomes.accuracy_of(np.asarray(accuracy))),
        precision=None, recall=None, worst_class=None,
    )  # fmt: skip


def percentile_latency_s(path_s: NDArray[np.float64], leave: NDArray[np.float64], share: float) -> float:
    """The smallest path latency that a sample meets with probability ≥ ``share``; no interpolation.

    path_s (m + 1,): latency of leaving at each classifier; leave (m + 1,): how often.
    """
    order = np.argsort(path_s, kind="stable")
    reached = np.cumsum(leave[order]) >= share - 1e-12
    return float(path_s[order][int(reached.argmax())]) if reached.any() else float(path_s.max())


def _metrics(segments: Segments, leave: NDArray[np.float64], basis: str, **facts: Any) -> dict[str, Any]:
    slow_s = np.cumsum(segments.slow_s[0])
    known = not np.isnan(slow_s).any()
    means = {cost.metric: float(leave @ np.cumsum(segments.of(name)[0])) for name, cost in COSTS.items()}
    figures = {
        **{metric: None if np.isnan(mean) else mean for metric, mean in means.items()},
        "p95_latency_s": percentile_latency_s(slow_s, leave, 0.95) if known else None,
        "worst_latency_s": float(slow_s[-1]) if known else None,
        "storage_bytes": int(segments.parameters_bytes.sum()),
        "peak_activation_bytes": int(segments.activation_bytes.max()),
    }
    return {
        **facts,
        **{key: figures[key] for key in FIGURES},
        "leave_rates": [float(rate) for rate in leave],
        "basis": basis,
    }
