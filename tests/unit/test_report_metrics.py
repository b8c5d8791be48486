"""Metrics of a cascade, against sums done by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import Decision
from eeaug.cascade.passage import Passage
from eeaug.network.segments import Segments
from eeaug.report.content import metrics

CLASSES = ("cat", "dog", "owl")
DECISION = Decision("softmax", 3)
# ten samples, one exit; the exit's confidence, what it says, what the final classifier says, the truth
EXIT = [0.95, 0.90, 0.85, 0.80, 0.70, 0.60, 0.50, 0.50, 0.45, 0.40]
SAYS = [0, 0, 1, 1, 0, 2, 2, 1, 0, 0]
FINAL = [0, 0, 1, 1, 1, 2, 2, 2, 1, 0]
TRUTH = [0, 0, 1, 0, 1, 2, 2, 2, 1, 1]


def outcomes() -> Outcomes:
    return Outcomes(np.array([EXIT, [0.9] * 10], np.float32), np.array([SAYS, FINAL]), np.array(TRUTH))


def segments(time: tuple[float, ...] = (1.0, 3.0), energy: tuple[float, ...] = (0.5, 2.0)) -> Segments:
    def row(*values: float) -> Any:
        return np.array([values], dtype=np.float64)

    return Segments(
        macs=row(100, 400),
        time_s=row(*time),
        energy_j=row(*energy),
        parameters_bytes=row(1000, 5000),
        activation_bytes=row(64, 32),
        handover_bytes=row(0, 16),
        modes=(0, 1),
    )


def counted(threshold: float | None, **changes: Any) -> dict[str, Any]:
    common: dict[str, Any] = {"split": "test", "decision": DECISION, "classes": CLASSES}
    return metrics.counted(Passage(outcomes(), [threshold]), segments(**changes), **common)


def test_counted_by_hand() -> None:
    # at 0.7 five samples leave: 0 0 1 1 0 where the truth is 0 0 1 0 1; five stay: 2 2 2 1 0 for 2 2 2 1 1
    found = counted(0.7)
    assert (found["split"], found["samples"]) == ("test", 10)
    assert found["accuracy"] == pytest.approx(0.7)
    assert found["leave_rates"] == [0.5, 0.5]
    # cat: 3 in truth, 2 found, said 4 times; dog: 4, 2, 3; owl: 3, 3, 3
    assert found["recall"] == pytest.approx((2 / 3 + 2 / 4 + 3 / 3) / 3)
    assert found["precision"] == pytest.approx((2 / 4 + 2 / 3 + 3 / 3) / 3)
    assert found["mean_macs"] == pytest.approx(0.5 * 100 + 0.5 * 500)
    assert found["mean_latency_s"] == pytest.approx(0.5 * 1 + 0.5 * 4)
    assert found["mean_energy_j"] == pytest.approx(0.5 * 0.5 + 0.5 * 2.5)
    assert (found["p95_latency_s"], found["worst_latency_s"]) == (4.0, 4.0)
    assert (found["storage_bytes"], found["peak_activation_bytes"]) == (6000, 64)
    # the given model finds 3 of 4 dogs, the cascade 2; cats and owls are as before
    assert found["worst_class"] == {"name": "dog", "accuracy": 0.5, "drop": pytest.approx(0.25)}


def test_a_confidence_equal_to_the_threshold_leaves() -> None:
    assert counted(0.5)["leave_rates"] == [0.8, 0.2]  # both samples with 0.50


def test_never_is_the_given_model() -> None:
    found = counted(None)
    assert found["leave_rates"] == [0.0, 1.0]
    assert found["accuracy"] == pytest.approx(np.mean(np.array(FINAL) == TRUTH))
    assert found["worst_class"]["drop"] == 0.0
    assert found["mean_macs"] == 500


def test_all_leave_at_once() -> None:
    found = counted(0.1)
    assert found["leave_rates"] == [1.0, 0.0]
    assert (found["mean_latency_s"], found["p95_latency_s"], found["worst_latency_s"]) == (1.0, 1.0, 4.0)


def test_a_class_that_is_never_said_has_precision_zero() -> None:
    silent = Outcomes(np.ones((1, 4), np.float32), np.array([[0, 0, 0, 0]]), np.array([0, 0, 1, 1]))
    alone = Segments(*(s[:, :1] for s in vars(segments()).values() if isinstance(s, np.ndarray)), modes=(0,))
    common: dict[str, Any] = {"split": "test", "decision": DECISION, "classes": CLASSES}
    found = metrics.counted(Passage(silent, ()), alone, **common)
    assert (found["precision"], found["recall"]) == (0.25, 0.5)  # owl does not occur: two classes


def test_unknown_stays_unknown() -> None:
    found = counted(0.7, time=(1.0, np.nan), energy=(0.5, np.nan))
    for key in ("mean_latency_s", "p95_latency_s", "worst_latency_s", "mean_energy_j"):
        assert found[key] is None
    assert found["mean_macs"] == 300


def test_independent_by_hand() -> None:
    # P(A) = 0.5, P(A, right) = 0.3; the final classifier is right on 8 of 10
    found = metrics.independent(outcomes(), [0.7], segments(), split="choose")
    assert found["accuracy"] == pytest.approx(0.3 + 0.5 * 0.8)
    assert found["leave_rates"] == [0.5, 0.5]
    assert (found["precision"], found["recall"], found["worst_class"]) == (None, None, None)


def test_independent_with_two_exits() -> None:
    three = Outcomes(np.array([EXIT, EXIT, [0.9] * 10], np.float32), np.array([SAYS, SAYS, FINAL]), np.array(TRUTH))
    wide = Segments(
        *(np.ones((1, 3)) * i for i in (10.0, 1.0, 1.0, 1.0, 1.0, 0.0)),
        modes=(0, 0, 0),
    )
    found = metrics.independent(three, [0.7, 0.5], wide, split="choose")
    assert found["leave_rates"] == pytest.approx([0.5, 0.5 * 0.8, 0.5 * 0.2])
    # right at 0.5 of all ten: samples 0, 1, 2, 5, 6
    assert found["accuracy"] == pytest.approx(0.3 + 0.5 * 0.5 + 0.5 * 0.2 * 0.8)
    assert found["mean_macs"] == pytest.approx(10 * (1 + 0.5 + 0.1))


@pytest.mark.parametrize(
    ("leave", "share", "expected"),
    [
        ([0.95, 0.05], 0.95, 1.0),
        ([0.949, 0.051], 0.95, 4.0),
        ([0.0, 1.0], 0.95, 4.0),
        ([1.0, 0.0], 0.95, 1.0),
        ([0.5, 0.5], 0.5, 1.0),
    ],
)
def test_percentile_without_interpolation(leave: list[float], share: float, expected: float) -> None:
    assert metrics.percentile_latency_s(np.array([1.0, 4.0]), np.array(leave), share) == expected


def test_percentile_of_sums_that_round() -> None:
    leave = np.array([0.1] * 10)  # ten tenths, which do not add up to one
    assert metrics.percentile_latency_s(np.arange(10.0), leave, 1.0) == 9.0


# -- confidences and classes --------------------------------------------------------------------------


def test_histograms_count_who_gets_there() -> None:
    found = metrics.confidences(Passage(outcomes(), [0.7]), split="test")
    assert (found["split"], found["samples"], found["bins"]) == ("test", 10, 20)
    first, last = found["exits"]
    # right at the exit are those with 0.95, 0.9, 0.85, 0.6 and 0.5; 0.95 is 19 bins of 0.05 and so in the last
    assert {b: v for b, v in enumerate(first["right"]) if v} == {10: 0.1, 12: 0.1, 17: 0.1, 18: 0.1, 19: 0.1}
    assert sum(first["wrong"]) == pytest.approx(0.5)
    # five go on, all with 0.9; the final classifier is right about four of them
    assert {b: v for b, v in enumerate(last["right"]) if v} == {18: 0.4} and sum(last["wrong"]) == 0.1


@pytest.mark.parametrize("weights", [None, np.arange(1.0, 11.0)])
@pytest.mark.parametrize("threshold", [None, 0.0, 0.65, 0.95])
def test_histograms_and_classes_add_up_to_the_metrics(weights: Any, threshold: float | None) -> None:
    rows = Outcomes(outcomes().confidence, outcomes().predicted, outcomes().labels, weights)
    common: dict[str, Any] = {"split": "test", "decision": DECISION}
    passage = Passage(rows, [threshold])
    whole = metrics.counted(passage, segments(), classes=CLASSES, **common)
    reach = np.cumsum([1, -whole["leave_rates"][0]])
    for share, exit_ in zip(reach, metrics.confidences(passage, split="test")["exits"], strict=True):
        assert sum(exit_["right"]) + sum(exit_["wrong"]) == pytest.approx(share)
    table = metrics.classes(passage, names=CLASSES, **common)["rows"]
    counts = np.ones(10) if weights is None else weights
    own = [counts[np.array(TRUTH) == c].sum() / counts.sum() for c in range(3)]
    assert sum(w * row["accuracy"] for w, row in zip(own, table, strict=True)) == pytest.approx(whole["accuracy"])
    leaving = [sum(w * row["leave_rates"][k] for w, row in zip(own, table, strict=True)) for k in (0, 1)]
    assert leaving == pytest.approx(whole["leave_rates"])
    for row in table:
        parts = [r * a for r, a in zip(row["leave_rates"], row["accuracies"], strict=True) if a is not None]
        assert sum(parts) == pytest.approx(row["accuracy"])
        assert all((a is None) == (r == 0) for r, a in zip(row["leave_rates"], row["accuracies"], strict=True))


def test_classes_by_hand() -> None:
    found = metrics.classes(Passage(outcomes(), [0.7]), split="test", decision=DECISION, names=CLASSES)["rows"]
    assert [row["name"] for row in found] == list(CLASSES) and [row["samples"] for row in found] == [3, 4, 3]
    dog = found[1]
    # of the dogs, two leave (one of them called a cat), two go on (one is called a cat there)
    assert dog["leave_rates"] == [0.5, 0.5] and dog["accuracies"] == [0.5, 0.5]
    assert (dog["baseline_accuracy"], dog["accuracy"]) == (0.75, 0.5)
    assert found[2]["accuracies"] == [None, 1.0]  # no owl leaves


def test_classes_that_do_not_occur_are_left_out() -> None:
    rows = Outcomes(outcomes().confidence, outcomes().predicted, np.zeros(10, int))
    table = metrics.classes(Passage(rows, [0.7]), split="test", decision=DECISION, names=CLASSES)["rows"]
    assert [row["name"] for row in table] == ["cat"]


def test_labels_count_all_samples() -> None:
    """Codes are bit masks: sample 1 has labels 0 and 1, and only label 1 is said of it."""
    rows = Outcomes(
        np.array([[0.9, 0.6, 0.2], [0.9] * 3], np.float32), np.array([[1, 2, 0], [1, 3, 2]]), np.array([1, 3, 0])
    )
    table = metrics.classes(
        Passage(rows, [0.5]), split="test", decision=Decision("multilabel", 2), names=("a", "b")
    )["rows"]
    a, b = table
    assert (a["samples"], b["samples"]) == (2, 1)
    assert a["accuracy"] == pytest.approx(2 / 3) and a["accuracies"] == [0.5, 1.0]
    assert b["accuracy"] == pytest.approx(2 / 3) and b["accuracies"] == [1.0, 0.0]
    assert a["leave_rates"] == b["leave_rates"] == pytest.approx([2 / 3, 1 / 3])
    assert a["baseline_accuracy"] == 1.0
