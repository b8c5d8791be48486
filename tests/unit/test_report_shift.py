"""The comparison of parts as report.json has it: which parts, which names, and what reuse makes of screen."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from eeaug.cascade.combining import combined
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import Decision
from eeaug.design.reuse import Reuse
from eeaug.heads.candidates import Candidates
from eeaug.report.content import shift

DECISION = Decision("softmax", 3)
PARTS = {"fit": {"of": "x_train"}, "choose": {"of": "x_val"}}
ON_TRAIN = {"fit": {"of": "x_train"}, "choose": {"of": "x_train"}}


def probabilities(rng: np.random.Generator, samples: int) -> np.ndarray:
    p = rng.dirichlet(np.full(3, 0.4), samples)
    return np.asarray(p, np.float32)


def outcomes(answers: list[np.ndarray], labels: np.ndarray) -> Outcomes:
    confidence, predicted = (np.array(each) for each in zip(*(DECISION.answers(p) for p in answers), strict=True))
    return Outcomes(confidence, predicted, labels)


@pytest.fixture
def world() -> dict[str, Any]:
    """Three candidates, of which the design has the first and the last, on screen, choose and test."""
    rng = np.random.default_rng(0)
    answers = {part: [probabilities(rng, 200) for _ in range(4)] for part in ("screen", "choose", "test")}
    labels = {part: rng.integers(0, 3, 200) for part in answers}
    rows = {part: outcomes(answers[part], labels[part]) for part in answers}
    candidates = Candidates((), rows["screen"], rows["choose"], 3, lambda i: answers["screen"][i])
    chosen = SimpleNamespace(
        design=SimpleNamespace(exits=(0, 2)), thresholds=(0.8, 0.9), decision=DECISION, classes=("a", "b", "c"),
        reuse=None,
    )  # fmt: skip
    return {
        "chosen": chosen, "locations": ["first", "second"], "candidates": candidates,
        "choose": rows["choose"].rows((0, 2)), "test": rows["test"].rows((0, 2)), "parts": PARTS, "labelled": True,
    }  # fmt: skip


def test_choose_with_test_and_screen_by_name(world: dict[str, Any]) -> None:
    facts = shift.figures(**world)
    assert facts is not None and facts["tests"] == sum(
        8 + 3 if c["part"] == "test" else 9 for c in facts["comparisons"]
    )
    assert [(c["reference"], c["part"], c["learnt"]) for c in facts["comparisons"]] == [
        ("choose", "test", False), ("screen", "choose", True),
    ]  # fmt: skip
    named = [(s["statistic"], s["of"]) for s in facts["comparisons"][0]["statistics"]]
    assert named[0] == ("accuracy", None) and ("leave_rate", "second") in named
    assert ("reached_confidence", "output") in named and {of for n, of in named if n == "class_share"} <= {
        "a",
        "b",
        "c",
    }


def test_without_a_test_part_nothing_is_compared(world: dict[str, Any]) -> None:
    assert shift.figures(**{**world, "test": None}) is None


def test_choose_of_training_samples_is_learnt_like_screen(world: dict[str, Any]) -> None:
    facts = shift.figures(**{**world, "parts": ON_TRAIN})
    assert facts is not None and [c["learnt"] for c in facts["comparisons"]] == [True, False]


def test_exits_that_hear_each_other_do_so_on_screen(world: dict[str, Any]) -> None:
    candidates: Candidates = world["candidates"]
    world["chosen"].reuse = Reuse(((1.0,), (0.3, 1.0), (0.3, 0.3, 1.0)))
    rows = shift._screen(candidates, world["chosen"])
    assert rows is not None
    answers = [candidates.screen_answers(i) for i in (0, 2, -1)]
    for k, weights in enumerate(world["chosen"].reuse.weights):
        confidence, predicted = DECISION.answers(combined(answers[: k + 1], weights, DECISION))  # type: ignore[arg-type]
        assert (rows.confidence[k] == confidence).all() and (rows.predicted[k] == predicted).all()
    assert (rows.baseline == candidates.screen.predicted[-1]).all()
    assert (rows.labels == candidates.screen.labels).all()
    unknown = replace(candidates, screen_answers=lambda _: None)
    assert shift._screen(unknown, world["chosen"]) is None
