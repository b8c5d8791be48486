"""Streams that are pushed sample by sample decide as a walk along what was recorded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_runtime import CLASSES, Session, manifest, samples  # type: ignore[import-not-found]

from eeaug.bundle.entries import Manifest
from eeaug.cascade.output import Decision
from eeaug.errors import InputError
from eeaug.frameworks import onnx_session
from eeaug.runtime import Cascade
from eeaug.streams.confidence import Confidence
from eeaug.streams.debounce import Debounce
from eeaug.streams.difference import DifferenceDetection
from eeaug.streams.kinds import described
from eeaug.streams.patience import Patience
from eeaug.streams.rules import Rule
from eeaug.streams.sequences import Sequences
from eeaug.streams.walk import Course, walk

THRESHOLDS = (0.7, 0.75)
RULES: list[Rule] = [
    Confidence(THRESHOLDS),
    DifferenceDetection(THRESHOLDS, 0.2, 6),
    Patience(THRESHOLDS, (0.4, 0.5), 2, 6),
    Debounce(DifferenceDetection((None, 0.6), 0.25, 4), 2, 3),
    Debounce(Patience(THRESHOLDS, (0.3, 0.3), 3, 9), 3, 5),
]


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(onnx_session, "session", lambda path, threads: Session(path.name == "2.onnx"))

    def load(rule: Rule | None, reuse: Sequence[float] | None = None) -> Cascade:
        document = manifest()
        if rule is not None:
            document["stream"] = {"rule": described(rule), "state_bytes": 0}
        if reuse is not None:
            document["stages"][1]["reuse"] = list(reuse)
        return Cascade.load(Path("nowhere"), Manifest.from_dict(document), 1)

    return load


def lasting(n: int) -> np.ndarray:
    """Samples that stay about the same for a while."""
    return np.repeat(samples(-(-n // 5)), 5, axis=0)[:n] + samples(n) * np.float32(0.1)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.kind)
@pytest.mark.parametrize("reuse", [None, (0.3, 1.0)])
def test_ten_thousand_samples(loaded: Any, rule: Rule, reuse: Sequence[float] | None) -> None:
    """Of 300 streams side by side, more than are in memory at once, and of one after the other."""
    cascade, streams, steps = loaded(rule, reuse), 300, 34
    x = lasting(streams * steps)
    outcomes = cascade.outcomes([cascade.preprocessing(x)], np.zeros(len(x), np.int64))
    assert outcomes.first is not None
    walked = walk([rule], Course(outcomes, outcomes.first, Sequences(np.repeat(np.arange(streams), steps))))
    stream = cascade.stream(streams)
    for t in range(steps):
        rows = np.arange(streams) * steps + t
        pushed = stream.push(x[rows])
        np.testing.assert_array_equal(pushed.exits, walked.at[0, rows])
        np.testing.assert_array_equal(pushed.classes, walked.answer[0, rows])
        np.testing.assert_array_equal(pushed.remembered, walked.remembered[0, rows])
        assert pushed.names[0] == "abcd"[pushed.classes[0]] and len(pushed) == streams
    assert walked.remembered.any() or rule.kind == "confidence"


def test_ten_thousand_streams(loaded: Any) -> None:
    """What is kept of a stream is its state alone, in arrays as C has it in a struct."""
    stream, x = loaded(DifferenceDetection((0.6, 0.6), 0.2, 9)).stream(10_000), samples(10_000)
    for _ in range(3):
        said = stream.push(x)
    assert said.remembered.mean() > 0.3
    kept = sum(values.nbytes for values in stream._state.values())
    assert kept == 10_000 * stream.state_bytes == 10_000 * (CLASSES * 4 + 4)


def test_some_streams_and_a_gap(loaded: Any) -> None:
    """Streams that are not pushed keep their state; after a reset one is as new."""
    rule = DifferenceDetection((None, None), 1.0, 100)  # everything is near
    stream, x = loaded(rule).stream(3), samples(3)
    assert not stream.push(x).remembered.any()
    assert stream.push(x[:2], np.array([2, 0])).remembered.all()
    stream.reset(np.array([0]))
    assert stream.push(x).remembered.tolist() == [False, True, True]
    stream.reset()
    assert not stream.push(x).remembered.any()
    assert stream.state_bytes == CLASSES * 4 + 4


def test_what_is_refused_changes_no_state(loaded: Any) -> None:
    stream, x = loaded(RULES[1]).stream(2), samples(2)
    stream.push(x)
    before = {name: values.copy() for name, values in stream._state.items()}
    broken = x * np.float32(np.nan)
    some = [(x[:1], None), (x, [0, 0]), (x, [0, 2]), (broken, None), (x[:, 1:], None), (x[:1], [-1])]
    for wrong, which in some:
        with pytest.raises(InputError):
            stream.push(wrong, None if which is None else np.array(which))
    assert all(np.array_equal(values, stream._state[name]) for name, values in before.items())
    with pytest.raises(InputError, match="1 or more"):
        loaded(RULES[1]).stream(0)
    with pytest.raises(InputError, match="not made for streams"):
        loaded(None).stream()


def test_old_bundles_have_none(loaded: Any) -> None:
    cascade = loaded(None)
    assert cascade.manifest.stream is None and "stream" not in cascade.manifest.as_dict()
    assert cascade.outcomes([cascade.preprocessing(samples(4))], np.zeros(4, np.int64)).first is None
    assert Decision(**cascade.decision.as_dict()) == cascade.decision
