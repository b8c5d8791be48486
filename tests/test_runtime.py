"""Stages as a cascade, with sessions that are numpy: who leaves where, at which operating point."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eeaug import conversion, operating, runtime
from eeaug.cascade import decide
from eeaug.decision import Decision
from eeaug.errors import InputError
from eeaug.runtime import Cascade, Decisions, thresholds_by_point

CLASSES = 4
POINTS = {"careful": [0.7, 0.75], "default": [0.5, 0.6], "frugal": [0.4, None]}


class Session:
    """Softmax of the first columns; the rest goes on. Counts the samples that it was given."""

    def __init__(self, last: bool) -> None:
        self.last, self.samples = last, 0

    def run(self, outputs: Sequence[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        (x,) = inputs.values()
        self.samples += len(x)
        assert len(outputs) == (1 if self.last else 2)
        p = np.exp(x[:, :CLASSES])
        return [(p / p.sum(1, keepdims=True)).astype(np.float32), *([] if self.last else [x[:, CLASSES:]])]


def manifest() -> dict[str, Any]:
    def stage(k: int) -> dict[str, Any]:
        handover = [] if k == 2 else [{"name": f"h{k}"}]
        return {
            "name": f"{k}-cpu", "inputs": [f"h{k - 1}"], "files": {"onnx": f"{k}.onnx"},
            "outputs": {"probabilities": "p", "handover": handover},
            "threshold": None if k == 2 else POINTS["default"][k],
        }  # fmt: skip

    return {
        "stages": [stage(k) for k in range(3)],
        "decision": Decision("softmax", CLASSES).as_dict(),
        "operating_points": [{"name": name, "thresholds": values} for name, values in POINTS.items()],
    }


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(conversion, "session", lambda path, threads: Session(path.name == "2.onnx"))

    def load(point: str = "default", **changes: Any) -> Cascade:
        return Cascade.load(Path("nowhere"), {**manifest(), **changes}, 1, point)

    return load


def samples(n: int = 60) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1.2, (n, 3 * CLASSES)).astype(np.float32)


@pytest.mark.parametrize("point", list(POINTS))
def test_a_run_decides_as_a_replay_of_all_outcomes(loaded: Any, point: str) -> None:
    cascade, x = loaded(point), samples()
    outcomes = cascade.outcomes([x[:40], x[40:]], np.zeros(60, np.int64))
    made, replayed = cascade.run(x), Decisions.of(outcomes, POINTS[point])
    at = decide(outcomes, POINTS[point])
    assert len(set(at.tolist())) == (2 if point == "frugal" else 3), "or the test tests little"
    assert (made.exits == at).all()
    for name in ("exits", "predicted", "confidence"):
        assert (getattr(made, name) == getattr(replayed, name)).all(), name
    for k in range(3):
        assert (made.reached[k] == outcomes.confidence[k][at >= k]).all()
        assert (made.reached[k] == replayed.reached[k]).all()


def test_what_has_left_is_not_computed_any_further(loaded: Any) -> None:
    cascade = loaded()
    made = cascade.run(samples())
    assert [s.samples for s in cascade.sessions] == [int((made.exits >= k).sum()) for k in range(3)]


def test_points_are_switched_without_loading_again(loaded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cascade = loaded()
    monkeypatch.setattr(conversion, "session", None)
    careful = cascade.at("careful")
    assert careful.sessions is cascade.sessions
    assert (cascade.point, careful.point) == ("default", "careful")
    x = samples()
    assert (careful.run(x).exits == loaded_at(careful, "careful").run(x).exits).all()
    assert careful.run(x).exits.sum() > cascade.run(x).exits.sum(), "the careful one goes on for longer"
    assert (careful.at("default").run(x).exits == cascade.run(x).exits).all()


def loaded_at(cascade: Cascade, point: str) -> Cascade:
    return Cascade(cascade.decision, cascade.stages, cascade.sessions, cascade.points, point)


def test_unknown_points_are_refused_with_those_that_exist(loaded: Any) -> None:
    for refused in (lambda: loaded("lavish"), lambda: loaded().at("lavish")):
        with pytest.raises(InputError, match=r"no operating point 'lavish'; it has careful, default, frugal"):
            refused()


def test_the_default_is_what_the_stages_say(loaded: Any) -> None:
    assert runtime.DEFAULT == operating.DEFAULT
    stages = manifest()["stages"]
    stages[0]["threshold"] = 0.25  # corrected after the points were found
    assert loaded(stages=stages).thresholds == (0.25, 0.6)
    assert loaded("careful", stages=stages).thresholds == (0.7, 0.75)


@pytest.mark.parametrize("listed", [{}, {"operating_points": []}])
def test_bundles_without_points_have_the_default(listed: dict[str, Any], loaded: Any) -> None:
    old = {k: v for k, v in manifest().items() if k != "operating_points"}
    assert thresholds_by_point({**old, **listed}) == {"default": (0.5, 0.6)}
    with pytest.raises(InputError, match=r"it has default$"):
        loaded("careful", operating_points=[])


def test_batches_joined_are_the_whole(loaded: Any) -> None:
    cascade, x = loaded(), samples()
    whole, joined = cascade.run(x), Decisions.joined([cascade.run(x[i : i + 7]) for i in range(0, 60, 7)])
    for name in ("exits", "predicted", "confidence"):
        assert (getattr(whole, name) == getattr(joined, name)).all()
    assert all((a == b).all() for a, b in zip(whole.reached, joined.reached, strict=True))
