"""Stages as a cascade, with sessions that are numpy: who leaves where, at which operating point."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eeaug import runtime
from eeaug.bundle.entries import Manifest
from eeaug.cascade.output import Decision
from eeaug.cascade.passage import Passage
from eeaug.cascade.waiting import Waiting
from eeaug.data.preprocessing import Preprocessing
from eeaug.design import operating_points
from eeaug.errors import InputError
from eeaug.frameworks import onnx_session
from eeaug.runtime import Cascade, Decisions
from eeaug.runtime.journey import Journey
from eeaug.runtime.one_by_one import Lanes, OneByOne

CLASSES = 4
POINTS = {"careful": [0.7, 0.75], "default": [0.5, 0.6], "frugal": [0.4, None]}


class Session:
    """Softmax of the first columns; the rest goes on. Notes how many samples each run was given."""

    def __init__(self, last: bool) -> None:
        self.last = last
        self.runs: list[int] = []

    def run(self, outputs: Sequence[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        (x,) = inputs.values()
        self.runs.append(len(x))
        assert len(outputs) == (1 if self.last else 2)
        p = np.exp(x[:, :CLASSES])
        return [(p / p.sum(1, keepdims=True)).astype(np.float32), *([] if self.last else [x[:, CLASSES:]])]


def manifest() -> dict[str, Any]:
    def stage(k: int) -> dict[str, Any]:
        handover = [] if k == 2 else [{"name": f"h{k}", "shape": [2 * CLASSES - CLASSES * k], "bytes": 1}]
        return {
            "name": f"{k}-cpu", "processor": "cpu", "metric": "max-softmax", "macs": 1,
            "inputs": [f"h{k - 1}"], "files": {"onnx": f"{k}.onnx"}, "reuse": None,
            "input_shape": [3 * CLASSES - CLASSES * k],
            "outputs": {"probabilities": "p", "handover": handover},
            "threshold": None if k == 2 else POINTS["default"][k],
        }  # fmt: skip

    return {
        "stages": [stage(k) for k in range(3)],
        "decision": Decision("softmax", CLASSES).as_dict(),
        "classes": list("abcd"),
        "preprocessing": Preprocessing(scale=0.5, mean=(1.0,)).as_dict(),
        "operating_points": [{"name": name, "thresholds": values} for name, values in POINTS.items()],
    }


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(onnx_session, "session", lambda path, threads: Session(path.name == "2.onnx"))

    def load(point: str = "default", **changes: Any) -> Cascade:
        return Cascade.load(Path("nowhere"), {**manifest(), **changes}, 1, point)

    return load


def samples(n: int = 60) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1.2, (n, 3 * CLASSES)).astype(np.float32)


@pytest.mark.parametrize("point", list(POINTS))
def test_a_run_decides_as_a_replay_of_all_outcomes(loaded: Any, point: str) -> None:
    cascade, x = loaded(point), samples()
    outcomes = cascade.outcomes([x[:40], x[40:]], np.zeros(60, np.int64))
    made, replayed = cascade.run([x], batch=16), Decisions.of(outcomes, POINTS[point])
    at = Passage(outcomes, POINTS[point]).at
    assert len(set(at.tolist())) == (2 if point == "frugal" else 3), "or the test tests little"
    assert (made.exits == at).all()
    for name in ("exits", "predicted", "confidence"):
        assert (getattr(made, name) == getattr(replayed, name)).all(), name
    for k in range(3):
        assert (made.reached[k] == outcomes.confidence[k][at >= k]).all()
        assert (made.reached[k] == replayed.reached[k]).all()


@pytest.mark.parametrize("reuse", [None, [0.5, 0.25, 1.0]])
def test_answers_are_of_each_classifier_by_itself(loaded: Any, reuse: list[float] | None) -> None:
    stages = manifest()["stages"]
    stages[2]["reuse"] = reuse
    cascade, x = loaded(stages=stages), samples()
    said, tensor = cascade.answers(x), x
    for own in said:
        p = np.exp(tensor[:, :CLASSES])
        np.testing.assert_allclose(own, p / p.sum(1, keepdims=True), rtol=1e-6)
        tensor = tensor[:, CLASSES:]
    outcomes = cascade.outcomes([x[:7], x[7:]], np.zeros(60, np.int64))
    decides = runtime.heard(cascade.decision, cascade.stages, said)
    for k, p in enumerate(decides):
        assert (outcomes.confidence[k] == p.max(1)).all() and (outcomes.predicted[k] == p.argmax(1)).all()
    assert (decides[2] is said[2]) == (reuse is None)
    if reuse is None:
        assert outcomes.given is None
    else:
        assert (outcomes.given == said[2].argmax(1)).all() and (outcomes.given != outcomes.predicted[2]).any()


def test_what_has_left_is_not_computed_any_further(loaded: Any) -> None:
    cascade = loaded()
    made = cascade.run([samples()])
    assert [sum(s.runs) for s in cascade.sessions] == [int((made.exits >= k).sum()) for k in range(3)]


@pytest.mark.parametrize("pieces", [1, 7, 16, 40, 200])
def test_all_runs_but_the_last_are_of_whole_batches(loaded: Any, pieces: int) -> None:
    cascade, x = loaded(), samples(200)
    made = cascade.run([x[i : i + pieces] for i in range(0, 200, pieces)], batch=16)
    for session in cascade.sessions:
        *full, rest = session.runs
        assert set(full) <= {16} and 0 < rest <= 16
    once = loaded().run([x], batch=200)
    for name in ("exits", "predicted", "confidence"):
        assert (getattr(made, name) == getattr(once, name)).all(), name
    assert all((a == b).all() for a, b in zip(made.reached, once.reached, strict=True))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_rows_wait_in_order_until_a_batch_is_full(data: st.DataObject) -> None:
    batch = data.draw(st.integers(1, 6))
    waiting, sent, got = Waiting(batch), [], []
    first = 0
    for n in data.draw(st.lists(st.integers(0, 15), max_size=8)):
        rows = np.arange(first, first + n)
        first += n
        chosen = data.draw(st.none() | st.lists(st.booleans(), min_size=n, max_size=n))
        on = None if chosen is None else np.flatnonzero(chosen)
        sent += (rows if on is None else rows[on]).tolist()
        for full, beside in waiting.add(on, (rows, rows[:, None] * [1.0, 2.0])):
            assert len(full) == batch and (beside == full[:, None] * [1.0, 2.0]).all()
            got += full.tolist()
        assert waiting.count == len(sent) - len(got) < batch
    assert got + (waiting.take()[0].tolist() if waiting.count else []) == sent


def test_points_are_switched_without_loading_again(loaded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cascade = loaded()
    monkeypatch.setattr(onnx_session, "session", None)
    careful = cascade.at("careful")
    assert careful.sessions is cascade.sessions
    assert (cascade.point, careful.point) == ("default", "careful")
    x = samples()
    assert (careful.run([x]).exits == loaded_at(careful, "careful").run([x]).exits).all()
    assert careful.run([x]).exits.sum() > cascade.run([x]).exits.sum(), "the careful one goes on for longer"
    assert (careful.at("default").run([x]).exits == cascade.run([x]).exits).all()


def loaded_at(cascade: Cascade, point: str) -> Cascade:
    return Cascade(cascade.decision, cascade.stages, cascade.sessions, cascade.points, point)


def test_unknown_points_are_refused_with_those_that_exist(loaded: Any) -> None:
    for refused in (lambda: loaded("lavish"), lambda: loaded().at("lavish")):
        with pytest.raises(InputError, match=r"no operating point 'lavish'; it has careful, default, frugal"):
            refused()


def test_the_default_is_what_the_stages_say(loaded: Any) -> None:
    assert runtime.DEFAULT == operating_points.DEFAULT
    stages = manifest()["stages"]
    stages[0]["threshold"] = 0.25  # corrected after the points were found
    assert loaded(stages=stages).thresholds == (0.25, 0.6)
    assert loaded("careful", stages=stages).thresholds == (0.7, 0.75)


@pytest.mark.parametrize("listed", [{}, {"operating_points": []}])
def test_bundles_without_points_have_the_default(listed: dict[str, Any], loaded: Any) -> None:
    old = {k: v for k, v in manifest().items() if k != "operating_points"}
    assert Manifest.from_dict({**old, **listed}).points == {"default": (0.5, 0.6)}
    with pytest.raises(InputError, match=r"it has default$"):
        loaded("careful", operating_points=[])


def test_predict_names_what_was_decided(loaded: Any) -> None:
    cascade, x = loaded(), samples()
    made, prepared = cascade.run([0.5 * x - 1]), cascade.predict(0.5 * x - 1, prepared=True)
    found = cascade.predict(x.astype(np.float64), batch=16)
    assert len(found) == 60 and len(set(found.exits.tolist())) == 3
    for said in (found, prepared):
        assert (said.classes == made.predicted).all() and (said.exits == made.exits).all()
        assert said.names == tuple("abcd"[c] for c in made.predicted)
        np.testing.assert_allclose(said.confidences, made.confidence, rtol=1e-6)
        assert (said.probabilities.argmax(1) == said.classes).all()
        assert (said.probabilities.max(1) == said.confidences).all()
    assert found.probabilities.shape == (60, CLASSES)
    assert len(cascade.predict(x[:0])) == 0


@pytest.mark.parametrize("kind", ["binary", "multilabel"])
def test_predictions_of_sigmoids(loaded: Any, kind: str) -> None:
    outputs, classes = (1, ["no", "yes"]) if kind == "binary" else (CLASSES, list("abcd"))
    cascade = loaded("careful", decision=Decision(kind, len(classes)).as_dict(), classes=classes)
    x = samples()
    for session in cascade.sessions:
        run = session.run
        session.run = lambda o, i, run=run: [run(o, i)[0][:, :outputs], *run(o, i)[1:]]
    found = cascade.predict(x)
    first = found.exits == 0
    p = np.exp(0.5 * x[:, :CLASSES] - 1)
    p = (p / p.sum(1, keepdims=True))[:, :outputs]
    assert first.any() and not first.all()
    if kind == "binary":
        assert found.probabilities.shape == (60, 2)
        np.testing.assert_allclose(found.probabilities[first, 1:], p[first], rtol=1e-5)
        assert found.names == tuple(classes[int(q >= 0.5)] for q in found.probabilities[:, 1])
    else:
        assert (found.classes == (found.probabilities >= 0.5)).all()
        assert found.names == tuple(tuple(np.array(classes)[row]) for row in found.classes)


@pytest.mark.parametrize("later", [None, [0.5, 1.0]])
def test_later_decisions_hear_earlier_exits_of_the_same_samples(loaded: Any, later: list[float] | None) -> None:
    stages = manifest()["stages"]
    stages[1]["reuse"], stages[2]["reuse"] = later, [0.1, 0.6, 1.0]
    cascade, x = loaded(stages=stages), samples()
    found = cascade.predict(x, batch=7, prepared=True)
    outcomes = cascade.outcomes([x], np.zeros(60, np.int64))
    at = Passage(outcomes, POINTS["default"]).at
    assert (found.exits == at).all()
    assert (found.classes == outcomes.predicted[at, np.arange(60)]).all()
    np.testing.assert_allclose(found.confidences, outcomes.confidence[at, np.arange(60)], rtol=1e-6)


@pytest.mark.parametrize("measure", ["max-softmax", "margin", "entropy"])
@pytest.mark.parametrize("kind", ["softmax", "binary", "multilabel"])
@pytest.mark.parametrize("point", list(POINTS))
def test_one_by_one_is_the_same_bit_for_bit(loaded: Any, kind: str, measure: str, point: str) -> None:
    stages = manifest()["stages"]
    stages[2]["reuse"] = [0.1, 0.6, 1.0]
    outputs = 1 if kind == "binary" else CLASSES
    decision = Decision(kind, 2 if kind == "binary" else CLASSES, measure)
    cascade = loaded(point, stages=stages, decision=decision.as_dict(), classes=list("abcd")[: decision.classes])
    for session in cascade.sessions:
        run = session.run
        session.run = lambda o, i, run=run: [run(o, i)[0][:, :outputs], *run(o, i)[1:]]
    x = samples()
    alone, together = OneByOne(cascade, cascade.sessions, Lanes()), Journey(cascade, 7)
    for journey in (alone, together):
        journey.start(np.arange(40), x[:40])
        journey.start(np.arange(40, 60), x[40:])
        assert journey.advance() is None
    (one, p), (all_, q) = alone.finished(), together.finished()
    assert (p == q).all()
    for name in ("exits", "predicted", "confidence"):
        assert (getattr(one, name) == getattr(all_, name)).all(), name


@pytest.mark.parametrize(
    ("x", "options", "words"),
    [
        (np.zeros((2, 5)), {}, r"shape \(n, 12\), given \(2, 5\)$"),
        (np.zeros(12), {}, r"given \(12,\); x\[None\] makes a batch"),
        (np.float32(1), {}, r"given \(\)"),
        (np.full((2, 12), np.nan), {}, "finite; some of 0 to 1"),
        (np.array([["a"] * 12]), {}, "real numbers, given <U1"),
        (np.zeros((1, 12)), {"batch": 0}, "batch: must be 1 or more, given 0"),
    ],
)
def test_samples_that_cannot_be_run_are_refused(loaded: Any, x: Any, options: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        loaded().predict(x, **options)


def test_what_a_bundle_does_not_have_is_refused(loaded: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no runtime 'onxx'; one of onnx, keras, tflite, tflite-int8"):
        Cascade.load(tmp_path, manifest(), runtime="onxx")
    with pytest.raises(InputError, match=r"no stages for the runtime 'keras'; it has onnx$"):
        Cascade.load(tmp_path, manifest(), runtime="keras")
    both = manifest()
    for stage in both["stages"]:
        stage["files"]["keras"] = "none.keras"
    with pytest.raises(InputError, match=r"threads: .* leave them out"):
        Cascade.load(tmp_path, both, 2, runtime="keras")
    with pytest.raises(InputError, match=r"is no bundle"):
        Cascade.load(str(tmp_path))
