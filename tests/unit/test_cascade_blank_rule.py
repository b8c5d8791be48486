"""The expressions of --blank-when: what they mean, and that nothing else is read."""

from __future__ import annotations

import numpy as np
import pytest

from eeaug.cascade.blank_rule import LONGEST, BlankRule
from eeaug.errors import InputError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 6, 5, 2)).astype(np.float32)
SCORES = RNG.random((40, 7)).astype(np.float32)
MASK = RNG.random((40, 6, 5, 2)).astype(np.float32)
OUTPUTS, INPUTS = {"scores": SCORES, "mask": MASK}, {"input": X}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max(scores) < 0.8", SCORES.max(1) < 0.8),
        ("min(scores) <= .1 or sum(scores) > 4", (SCORES.min(1) <= 0.1) | (SCORES.sum(1, dtype=float) > 4)),
        ("not max(scores) < 0.8", ~(SCORES.max(1) < 0.8)),
        ("mean(mask > 0.5) < 0.5", (MASK > 0.5).reshape(40, -1).mean(1) < 0.5),
        ("max(mask[..., 1:]) < 0.97", MASK[..., 1:].reshape(40, -1).max(1) < 0.97),
        ("scores[2] < 0.5 and scores[-1] < 0.5", (SCORES[:, 2] < 0.5) & (SCORES[:, -1] < 0.5)),
        ("mean(abs(mask - input)) < 0.9", np.abs(MASK - X).reshape(40, -1).mean(1, dtype=float) < 0.9),
        ("0.2 < mean(scores) < 0.5", (SCORES.mean(1) > 0.2) & (SCORES.mean(1) < 0.5)),
        ("max(scores > 0.9)", (SCORES > 0.9).any(1)),
        ("sum(scores > .5) - sum(scores > .75) == 1", (SCORES > 0.5).sum(1) - (SCORES > 0.75).sum(1) == 1),
        ("-max(scores) * 2 > -1.8", -SCORES.max(1) * 2 > -1.8),
        ("1 < 2", np.ones(40, bool)),
    ],
)
def test_an_expression_says_what_numpy_says(text: str, expected: np.ndarray) -> None:
    blank = BlankRule(text).of(OUTPUTS, INPUTS)
    assert blank.dtype == bool and blank.shape == (40,)
    np.testing.assert_array_equal(blank, expected)


def test_what_is_compared_is_told() -> None:
    values = BlankRule("max(scores) < 0.8 and 0.1 < mean(mask > 0.5) or scores[0] > 1").compared(OUTPUTS, INPUTS)
    assert {*values} == {"max(scores)", "mean(mask > 0.5)", "scores[0]"}
    np.testing.assert_array_equal(values["max(scores)"], SCORES.max(1))


def test_the_only_output_has_two_names() -> None:
    for name in ("output", "odd_name"):
        np.testing.assert_array_equal(
            BlankRule(f"max({name}) < 0.8").of({"odd_name": SCORES}, INPUTS), SCORES.max(1) < 0.8
        )


def test_what_is_not_a_number_is_something() -> None:
    assert not BlankRule("max(output) < 0.5").of({"a": np.full((3, 2), np.nan, np.float32)}, {"input": X[:3]}).any()


@pytest.mark.parametrize(
    "text",
    [
        "", "max(", "max(scores)", "scores", "0.3", "__import__('os').system('true') < 1", "scores.max() < 1",
        "(lambda: 1)() < 2", "max(scores, 0) < 1", "max(*scores) < 1", "max(scores, axis=0) < 1", "open(a) < 1",
        "scores ** 2 < 1", "scores @ scores < 1", "[s for s in scores] < 1", "'a' < 'b'", "max('a') < 1", "True",
        "None < 1", "max(scores) if 1 < 2 else 0 < 1", "scores[scores > 1] < 1", "(scores + 1)[0] < 1", "a := 1",
        "max(scores) in (1, 2)", "max(scores) is 1", "~scores < 1", "1 < 2; 3", "max(scores) < 0.3 and max(scores)",
        "not scores", "f'{a}' < 1", "max(scores) < 1j", "scores[0.5] < 1", "scores[True] < 1", "max < max()",
        "x" * (LONGEST + 1), "-" * 400 + "1", f"max(scores) < 1{'0' * 400}", f"-1{'0' * 400} + scores < 1",
    ],
)  # fmt: skip
def test_all_else_is_refused_in_one_line_that_says_what_is_allowed(text: str) -> None:
    with pytest.raises(InputError, match="allowed are names of outputs") as refused:
        BlankRule(text).of(OUTPUTS, INPUTS)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 400


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("max(score) < 1", "no output is called 'score'; did you mean 'scores'"),
        ("max(nothing_like_it) < 1", "there are input, scores, mask"),
        ("scores < 0.5", "7 answers"),
        ("mean(scores - mask) < 1", "do not fit each other"),
        ("scores[9] < 1", "scores has the shape 7"),
    ],
)
def test_what_the_outputs_do_not_fit_is_told(text: str, why: str) -> None:
    rule = BlankRule(text)
    with pytest.raises(InputError, match=why):
        rule.of(OUTPUTS, INPUTS)
