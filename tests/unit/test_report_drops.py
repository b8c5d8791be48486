"""What a report says of single classes: the bound of the worst one, and those that pay for the others."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import VALIDATOR
from report_kinds import rendered
from reports import SAMPLE, text

from eeaug.cascade import class_drop
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import Decision
from eeaug.cascade.paired_test import smallest_margin
from eeaug.cascade.passage import Passage
from eeaug.design.design import Chosen
from eeaug.network.segments import Segments
from eeaug.report.content import drops
from eeaug.report.render import markdown
from eeaug.report.words import cautions, facts, quantised
from eeaug.search.space import Design
from eeaug.settings import Settings
from eeaug.support.progress import UNEQUAL, Lines, Progress

NAMES = ("normal", "A", "V")
DECISION = Decision("softmax", 3)
NONE = Segments(*(np.zeros((1, 2)),) * 6, modes=(0, 0))


def settings(**options: Any) -> Settings:
    return Settings.of(model=Path("m.h5"), hardware="psoc6", cache=Path(), **options)


def chosen(*thresholds: float | None, decision: Decision = DECISION) -> Chosen:
    design = Design((0,), (0, 0), thresholds)
    return Chosen(design, thresholds, NONE, "p0", NONE, NAMES[: decision.classes], decision)


def ecg(lost: int, of: int = 85, **more: Any) -> Outcomes:
    """The exit loses so many samples of A, and two of 2,000 normal ones; the last classifier is right on 90 %."""
    labels = np.repeat([0, 1, 2], [2000, of, 100])
    given = labels.copy()
    given[::10] = (labels[::10] + 1) % 3
    said = given.copy()
    for first, number in ((0, 2), (2000, lost)):
        right = first + np.flatnonzero((given == labels)[first : first + 2000])[:number]
        said[right] = (labels[right] + 1) % 3
    return Outcomes(np.ones((2, len(labels)), np.float32), np.stack([said, given]), labels, **more)


def fields(test: Outcomes | None, *, choose: Outcomes | None = None, **options: Any) -> dict[str, Any]:
    return drops.figures(chosen(0.5), choose or ecg(0), test, settings(**options))


def test_the_worst_class_has_a_bound_of_its_own() -> None:
    found = fields(ecg(9))
    assert found["worst_class_drop_bound_95"] == smallest_margin(9, 0, 85, 0.05 / 3)
    assert found["accuracy_drop_bound_95"] < 0.02 < 0.15 < found["worst_class_drop_bound_95"]
    assert found["worst_class_drop_bound_95_missing"] is None and found["bounds_unit"] == "sample"


def test_no_test_part_no_bound() -> None:
    for retargeted, why in ((False, "there are no test samples"), (True, "it was made from an earlier bundle")):
        found = drops.figures(chosen(0.5), ecg(16), None, settings(), retargeted=retargeted)
        for key in ("worst_class_drop_bound_95", "accuracy_drop_bound_95"):
            assert found[key] is None and found[f"{key}_missing"].startswith(why)
        assert [row["split"] for row in found["classes_that_lose"]] == ["choose"]


def test_nothing_leaves_nothing_is_lost() -> None:
    for test in (None, ecg(16)):
        found = drops.figures(chosen(None), ecg(16), test, settings())
        assert found["worst_class_drop_bound_95"] == 0.0 and found["classes_that_lose"] == []
    # int8: the last classifier is another one than the given model
    other = ecg(16)
    other = replace(other, given=other.predicted[-1], predicted=other.predicted[[0, 0]])
    found = drops.figures(chosen(None), other, other, settings())
    assert found["worst_class_drop_bound_95"] > 0.2 and [r["name"] for r in found["classes_that_lose"]] == ["A"]


def test_groups_are_what_bounds_count() -> None:
    groups = np.concatenate([np.arange(2000) // 100, 20 + np.arange(185) // 10])
    test = ecg(9, groups=groups)
    found, alone = fields(test, choose=test), fields(ecg(9))
    assert found["bounds_unit"] == "group"
    for key in ("worst_class_drop_bound_95", "accuracy_drop_bound_95"):
        assert found[key] > alone[key] + 0.05
    assert found["worst_class_drop_bound_95"] == class_drop.bound(Passage(test, (0.5,)), DECISION, 1, error=0.05)


def test_a_label_is_bounded_over_all_samples() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 300)
    said = np.where(np.arange(300) < 30, labels ^ 2, labels)
    test = Outcomes(np.ones((2, 300), np.float32), np.stack([said, labels]), labels)
    found = drops.figures(chosen(0.5, decision=Decision("multilabel", 2)), test, test, settings())
    assert found["worst_class_drop_bound_95"] == smallest_margin(30, 0, 300, 0.05 / 2)
    (row,) = found["classes_that_lose"]
    assert row == {"name": "A", "split": "test", "samples": 300, "baseline_accuracy": 1.0, "accuracy": 0.9}


@pytest.mark.parametrize(
    ("lost", "of", "options", "told"),
    [
        (16, 85, {}, True),
        (2, 8, {}, False),  # 25 points, but of eight samples
        (20, 1000, {}, False),  # two points are more than the budget, but not three times
        (50, 1000, {}, True),
        (50, 1000, {"max_accuracy_drop": 0.02}, False),
        (50, 1000, {"max_class_drop": 0.06}, False),  # as was allowed
        (50, 1000, {"max_class_drop": 0.01}, True),
        (16, 85, {"target_class": ("A",)}, False),
        (16, 85, {"max_accuracy_drop": None, "efficiency_weight": 0.5}, False),
    ],
)
def test_who_pays_is_told_where_it_is_clear(lost: int, of: int, options: dict[str, Any], told: bool) -> None:
    rows = fields(ecg(lost, of), **options)["classes_that_lose"]
    assert [row["name"] for row in rows] == ["A"] * told
    if told:
        row = rows[0]
        assert row["samples"] == of and row["baseline_accuracy"] - row["accuracy"] == pytest.approx(lost / of)
        assert row["split"] == "test"


# -- in words -----------------------------------------------------------------------------------------


@pytest.fixture
def report() -> dict[str, Any]:
    edited = copy.deepcopy(SAMPLE)
    row = {"name": "A", "split": "test", "samples": 85, "baseline_accuracy": 0.906, "accuracy": 0.718}
    edited["classes_that_lose"] = [row, row | {"name": "B"}, row | {"name": "C"}, row | {"name": "D"}]
    assert not list(VALIDATOR.iter_errors(edited))
    return edited


def test_who_pays_in_words(report: dict[str, Any]) -> None:
    (several,) = cautions.unequal(report)
    assert several == (
        "Unequal: on the test set class A falls from 90.60 % to 71.80 % (85 samples), B from 90.60 % to 71.80 % "
        "(85 samples), C from 90.60 % to 71.80 % (85 samples), 1 more: more than three times the 1.0 percentage "
        "points that "
        "all may lose on average, and more than chance explains; --max-class-drop limits what every class may lose"
    )
    report["classes_that_lose"] = report["classes_that_lose"][:1]
    (one,) = cautions.unequal(report)
    assert "(85 samples): more than three times" in one and len(one) <= 300
    refused = {**report, "settings": {**report["settings"], "finetune": 3}}
    assert next(cautions.unequal(refused)).endswith("what every class may lose (without --finetune)")
    report["settings"]["max_class_drop"] = 0.03
    (limited,) = cautions.unequal(report)
    assert "more than the 3.0 percentage points of --max-class-drop" in limited and limited.endswith(
        "; --promise proven proves that limit, too"
    )
    report["promise"]["promise"] = "proven"
    assert "--promise" not in next(cautions.unequal(report))
    report["model"]["decision"] = "multilabel"
    assert "test set label A" in next(cautions.unequal(report))
    int8 = {"classes_that_lose": report["classes_that_lose"], "promise": report["promise"]}
    said = list(cautions.unequal({**report, "classes_that_lose": [], "int8": int8}))
    assert len(said) == 1 and said[0].startswith(f"{UNEQUAL}int8: on the test set label A")
    assert list(cautions.unequal(SAMPLE)) == []


def test_a_class_that_is_over_by_chance_is_told_with_the_others(report: dict[str, Any]) -> None:
    def told() -> list[str]:
        return [sentence for sentence in cautions.sentences(report) if "--max-class-drop" in sentence]

    report["classes_that_lose"] = []
    assert told() == []
    report["settings"]["max_class_drop"] = 0.03  # cat has lost 2.4
    assert told() == []
    report["settings"]["max_class_drop"] = 0.02
    (sentence,) = told()
    assert sentence.startswith(
        "class cat loses 2.40 percentage points on the test set, more than the 2.00 of --max-class-drop: "
    )
    report["classes_that_lose"] = [{}]
    assert told() == []


def test_who_pays_comes_first(report: dict[str, Any]) -> None:
    progress = Progress(Lines(lambda line: None))
    progress.warn("some other")
    for sentence in cautions.unequal(report):
        progress.warn_first(sentence)
    shown = text({**report, "warnings": progress.warnings})
    order = [
        shown.index(words) for words in ("Unequal: on the test", report["design"]["summary"][:30], "some other")
    ]
    assert order == sorted(order)


@pytest.mark.parametrize("render", [text, markdown.render, rendered], ids=["terminal", "markdown", "page"])
def test_the_worst_class_in_every_rendering(render: Callable[..., str]) -> None:
    words = (
        "Worst class: cat 74.00 % → 71.60 %; with 95 % confidence it loses at most 6.11 pp, from the test set "
        "alone, and for all"
    )
    assert words in " ".join(render(copy.deepcopy(SAMPLE)).split())


def test_the_worst_class_in_words(report: dict[str, Any]) -> None:
    report["bounds_unit"] = "group"
    for sentence in (facts.worst_class_bound(report), facts.bound(report)):
        assert "from the test set alone, every group weighted equally, " in str(sentence)
    report |= {"worst_class_drop_bound_95": None, "worst_class_drop_bound_95_missing": "nothing was measured"}
    assert str(facts.worst_class_bound(report)).endswith("; no 95 % bound of its drop: nothing was measured.")
    report["worst_class_drop_bound_95"] = 0.0
    assert str(facts.worst_class_bound(report)).endswith("; no class loses anything.")
    report["design"]["measured"]["worst_class"] = None
    assert facts.worst_class_bound(report) is None


def test_the_worst_class_of_the_int8_cascade() -> None:
    report = copy.deepcopy(SAMPLE)
    design = report["design"]
    exits = [{**exit_, "constant": 3, "threshold": 0.5, "accuracy": 0.5} for exit_ in design["exits"]]
    int8 = {
        "exits": exits,
        "predicted": {"basis": "profile"},
        "measured": design["measured"],
        "promise": report["promise"],
        "accuracy_drop_bound_95": 0.01,
        "worst_class_drop_bound_95": 0.0822,
    }
    rows = {row[0]: row[2:] for row in quantised.comparison({**report, "int8": int8})}
    assert rows["worst class's drop at most (95 %)"] == ("6.11 pp", "8.22 pp")
