"""What a report says of the parts of its data: alike, shifted, learnt, by groups."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from reports import SAMPLE, text

from eeaug.report.render import markdown
from eeaug.report.words import parts
from eeaug.support.progress import DOUBT


@pytest.fixture
def sample() -> dict[str, Any]:
    return copy.deepcopy(SAMPLE)


def outside(sample: dict[str, Any], pair: int, *names: str) -> dict[str, Any]:
    """The pair with these statistics outside, and so first."""
    changed: dict[str, Any] = sample["shift"]["comparisons"][pair]
    for one in changed["statistics"]:
        if one["statistic"] in names:
            one |= {"outside": True, "p_value": 1e-5, "observed": one["interval"][1] + 0.01}
    changed["statistics"].sort(key=lambda one: not one["outside"])
    changed["outside"] = len(names)
    return changed


def test_parts_of_one_kind_are_no_doubt(sample: dict[str, Any]) -> None:
    assert list(parts.doubts(sample)) == []
    said = parts.compared(sample)
    assert said is not None
    assert said.startswith(
        "the test set (5,000 samples) with the calibration set (5,000): no difference; the calibration set (5,000 "
        "samples) with the validation set (5,000), "
    )
    assert "right on 96.54 % there, 87.26 % here; leave by activation_2 43.12 % there, 40.96 % here" in said
    assert said.endswith("30 tests, at most 1.00 % of runs show a difference by chance")


def test_what_is_outside_is_named_once_and_counted(sample: dict[str, Any]) -> None:
    outside(sample, 0, "accuracy", "leave_rate")
    (said,) = parts.doubts(sample)
    assert said.startswith(
        f"{DOUBT}the test set is not like the calibration set: the given model is right on 90.38 % of its samples "
        "(85.02 to"
    )
    assert (
        ", and 1 more like that: one of the two is prepared in another way" in said and "shares of classes" in said
    )
    told = parts.compared(sample)
    assert told is not None and "45.36 % of its samples leave at activation_2 (37.62 to 44.36 % expected)" in told


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("class_share", "13.06 % of its samples are cat"),
        (
            "left_confidence",
            "the mean confidence of its samples that leave at activation_2 is 0.9858 (0.9661 to 0.9758 expected)",
        ),
        ("reached_confidence", "the mean confidence of its samples that get to "),
    ],
)
def test_every_statistic_has_its_words(sample: dict[str, Any], name: str, words: str) -> None:
    outside(sample, 0, name)
    (said,) = parts.doubts(sample)
    assert words in said and len(said) <= 340


@pytest.mark.parametrize(
    ("name", "words", "why"),
    [
        ("accuracy", "right on 98.46 % of its samples (97.46 % at most expected)", "is no better on samples"),
        (
            "left_by",
            "47.34 % of its samples leave at activation_2 or before (46.34 % at most",
            "is no better on samples",
        ),
        ("confidence", "the mean confidence of all its samples at ", "is no better on samples"),
        ("class_share", "13.06 % of its samples are cat (8.14 to 12.06 % expected)", "--priors"),
    ],
)
def test_against_what_was_learnt_only_better_is_strange(
    sample: dict[str, Any], name: str, words: str, why: str
) -> None:
    outside(sample, 1, name)
    (said,) = parts.doubts(sample)
    assert (
        said.startswith(f"{DOUBT}the calibration set is not like the validation set: ")
        and words in said
        and why in said
        and len(said) <= 330
    )


def test_groups_are_the_unit(sample: dict[str, Any]) -> None:
    outside(sample, 0, "accuracy").update(unit="group", units=[12, 31])
    (said,) = parts.doubts(sample)
    assert "expected, counted by groups)" in said
    assert str(parts.compared(sample)).startswith("the test set (31 groups) with the calibration set (12): ")


@pytest.mark.parametrize("render", [text, markdown.render], ids=["terminal", "markdown"])
def test_every_rendering_says_it(render: Callable[..., str], sample: dict[str, Any]) -> None:
    assert "a difference by chance" in " ".join(render(sample).split())
    sample["shift"] = None
    assert parts.compared(sample) is None and list(parts.doubts(sample)) == []
    assert "a difference by chance" not in " ".join(render(sample).split())
