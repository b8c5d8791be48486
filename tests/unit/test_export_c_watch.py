"""The table of <prefix>_watch.c: that of the counts of the reference, whichever cascade they are of."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from eeaug.bundle.entries import Handover, StageEntry
from eeaug.cascade import alarm, shift
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import Decision, Quantised
from eeaug.cascade.passage import Passage
from eeaug.export.c import watch
from eeaug.export.c.cascade_source import Facts

DECISION = Decision("softmax", 2)
POINTS = {"careful": (0.75,), "default": (0.5,), "frugal": (0.25,)}


def facts(points: dict[str, tuple[float, ...]], decision: Decision = DECISION) -> Facts:
    handovers = (Handover("a", (4,), 4), None)
    stages = tuple(
        StageEntry(f"{k}-cpu", "cpu", "x", (4,), "p", handover, None, None, decision.metric, 9, {})
        for k, handover in enumerate(handovers)
    )
    return Facts("two stages", "x", decision, ("a", "b"), stages, points, False, "net", "0.1.0")


def outcomes(samples: int = 400) -> Outcomes:
    """Confidences in steps of 1/256, some of them just at a threshold."""
    rng = np.random.default_rng(0)
    confidence = (rng.integers(0, 256, (2, samples)) / 256).astype(np.float32)
    confidence[0, :20] = 0.5
    return Outcomes(confidence, np.zeros((2, samples), np.int64), np.zeros(samples, np.int64))


def table(texts: dict[str, str]) -> tuple[np.ndarray, int]:
    """What is compiled in: (points, exits, BETS, 2) and the limit."""
    code = texts["net_watch.c"]
    (block,) = re.findall(r"steps\[NET_POINTS\].*? = \{(.*?)\};", code, re.S)
    (limit,) = re.findall(r"#define LIMIT (\d+)", code)
    return np.array(re.findall(r"-?\d+", block), int).reshape(-1, 1, alarm.BETS, 2), int(limit)


@pytest.mark.parametrize("names", [[*POINTS], ["default", "frugal"], ["default"]])
def test_the_table_is_that_of_the_counts(names: list[str]) -> None:
    """Also where int8 files keep the budget at fewer points."""
    points, rows = {name: POINTS[name] for name in names}, outcomes()
    texts = watch.files(facts(points), [("cpu", range(2))], shift.recorded(rows, points, "test"))
    steps, limit = table(texts)
    assert len(steps) == len(points)
    error = alarm.LEVEL / 2 / (2 * len(points))
    for found, thresholds in zip(steps, points.values(), strict=True):
        left = int((Passage(rows, thresholds).at == 0).sum())
        assert left == int((rows.confidence[0] >= thresholds[0]).sum())
        low, high = alarm._interval(left, rows.samples, error)
        assert low < left / rows.samples < high
        expected = [alarm._steps(high, odds) for odds in alarm.ODDS]
        assert found[0].tolist() == [[*s] for s in expected + [alarm._steps(low, 1 / odds) for odds in alarm.ODDS]]
    assert limit == alarm.of_reference(shift.recorded(rows, points, "test"), names, 1).limit
    advised = "NET_CAREFUL" if "careful" in names else f"NET_{names[0].upper()}"
    assert f"? {advised} : wanted" in " ".join(texts["net_watch.c"].split())


def test_without_a_reference_no_bet_wins() -> None:
    steps, limit = table(watch.files(facts(POINTS), [("cpu", range(2))], None))
    assert not steps.any() and limit > 2**29


def test_other_counts_are_another_table() -> None:
    """So that the float cascade's counts in the int8 files would be seen."""
    rows, decision = outcomes(), Quantised(**DECISION.as_dict())
    other = replace(rows, confidence=rows.confidence / 2)

    def of(given: Outcomes, known: Decision) -> Any:
        return watch.files(facts(POINTS, known), [("cpu", range(2))], shift.recorded(given, POINTS, "test"))

    assert of(rows, DECISION) == of(rows, decision)
    assert table(of(rows, decision))[0].tolist() != table(of(other, decision))[0].tolist()


def test_a_part_that_shaped_thresholds_is_named() -> None:
    texts = watch.files(facts(POINTS), [("cpu", range(2))], shift.recorded(outcomes(), POINTS, "choose"))
    assert "400 samples of the calibration set" in texts["net_watch.h"]
    assert "Thresholds were found on them" in texts["net_watch.h"]
