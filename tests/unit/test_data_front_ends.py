"""Front ends for sound: parameters, shapes, and what a .data.yaml may say of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eeaug.data.front_ends import KINDS, FrontEnd
from eeaug.data.preprocessing import Preprocessing, read_sidecar
from eeaug.errors import InputError


def sidecar(tmp_path: Path, text: str) -> Preprocessing:
    path = tmp_path / "m.data.yaml"
    path.write_text(f"source: wavs\npreprocessing: {text}\n")
    steps = read_sidecar(path).preprocessing
    assert steps is not None
    return steps


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_means_its_reference(tmp_path: Path, kind: str) -> None:
    for text in (kind, f"{{front_end: {kind}}}", f"{{front_end: {{kind: {kind}}}}}"):
        steps = sidecar(tmp_path, text)
        assert steps.front_end is not None and dict(steps.front_end.parameters) == dict(KINDS[kind])
        again = Preprocessing.from_dict(steps.as_dict()).front_end
        assert again is not None and again.as_dict() == steps.front_end.as_dict()


def test_parameters_may_differ(tmp_path: Path) -> None:
    steps = sidecar(tmp_path, "{front_end: {kind: mfcc, coefficients: 13, step_ms: 10}, mean: 2.0}")
    assert steps.front_end is not None
    assert (steps.front_end.shape, steps.front_end.samples, steps.mean) == ((98, 13), 16000, 2.0)


def test_without_a_front_end_nothing_is_said_of_one() -> None:
    assert "front_end" not in Preprocessing().as_dict()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("mffc", "must be one of mfcc, micro_speech, given 'mffc'; did you mean 'mfcc'?"),
        ("{front_end: {kind: mfcc, coeficients: 3}}", "mfcc has no 'coeficients'; it has sample_rate_hz"),
        ("{front_end: {kind: mfcc, coefficients: 2.5}}", "coefficients must be a whole number above 0"),
        ("{front_end: {kind: mfcc, coefficients: 41}}", "coefficients must be as many as bands at most"),
        ("{front_end: {kind: mfcc, window_ms: -1}}", "window_ms must be a number above 0"),
        ("{front_end: {kind: mfcc, upper_hz: 9000}}", "lower_hz must be below upper_hz"),
        ("{front_end: {kind: micro_speech, window_ms: 2000}}", "window_ms must be within length_ms"),
        ("{front_end: 3}", "must be one of mfcc"),
    ],
)
def test_what_cannot_be(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        sidecar(tmp_path, text)
    assert reason in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "fitted"),
    [
        ((49, 10, 1), (49, 10, 1)),
        ((49, 10), (49, 10)),
        ((490,), (490,)),
        ((1, 490), (1, 490)),
        ((None, None, 1), (49, 10, 1)),
        ((None, 10), (49, 10)),
        (None, (49, 10)),
        ((10, 49, 1), None),
        ((98, 10, 1), None),
    ],
)
def test_the_model_takes_what_it_gives(shape: Any, fitted: Any) -> None:
    front_end = FrontEnd.of("mfcc")
    if fitted is None:
        with pytest.raises(InputError, match=r"gives 49×10 numbers, the model takes"):
            front_end.fitted(shape)
    else:
        assert front_end.fitted(shape) == fitted
