"""What labels prove of a path: all of it as with every label, less of it in part, by groups; and what it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import Decision
from eeaug.errors import ConversionError, InputError
from eeaug.flow import certify
from eeaug.flow.certify import Proof, Request, prove
from eeaug.settings import Settings

DECISION = Decision("softmax", 5)
COSTS, WHOLE = np.array([1.0, 9.0]), 9.5
STEPS = tuple((float(np.float32(t)),) for t in np.linspace(0.995, 0.3, 40))


def settings(**changes: Any) -> Settings:
    options = {"max_accuracy_drop": 0.02, "promise": "proven", "risk": 0.05, **changes}
    return Settings.of(model=Path("m"), hardware="h", cache=Path(), **options)


def field(seed: int, samples: int = 1500, groups: int = 0) -> Outcomes:
    """One exit, and a given model that mostly says the same, the surer the exit is."""
    rng = np.random.default_rng(seed)
    labels, hard = rng.integers(0, 5, samples), rng.random(samples)
    confidence = np.array([1 - 0.8 * hard, np.ones(samples)], np.float32)
    luck, own = rng.random(samples), rng.random(samples)
    right = np.array([luck > 0.3 * hard**1.5, (luck > 0.2 * hard**2) & (own > 0.02 * hard)])
    wrong = (labels + rng.integers(1, 5, (2, samples))) % 5
    of = np.sort(rng.integers(0, groups, samples)) if groups else None
    return Outcomes(confidence, np.where(right, labels, wrong), labels, groups=of)


def proof(rows: Outcomes, known: np.ndarray, **changes: Any) -> Proof:
    blind = replace(rows, labels=np.zeros(rows.samples, np.int64))  # they are not looked at
    return prove(blind, STEPS, known, rows.labels, COSTS, WHOLE, DECISION, settings(**changes), "x_test")


def first(whole: Proof, count: int) -> np.ndarray:
    mask = np.zeros(len(whole.known), bool)
    mask[whole.order.samples[:count]] = True
    return mask


@pytest.mark.parametrize("groups", [0, 150])
@pytest.mark.parametrize("seed", range(4))
def test_labels_up_to_the_step_that_fails_prove_all_that_there_is(seed: int, groups: int) -> None:
    rows = field(seed, groups=groups)
    whole = proof(rows, np.ones(rows.samples, bool))
    assert whole.promise.labelled is None and whole.promise.part == "x_test"
    needed = whole.order.up_to(whole.promise.tested - 1)
    few = proof(rows, first(whole, needed))
    assert few.index == whole.index
    assert replace(few.promise, labelled=None) == whole.promise
    assert few.promise.labelled == needed < rows.samples / 4
    assert whole.promise.grouped == bool(groups) and (groups or whole.index is not None)


def test_each_label_proves_as_much_or_more() -> None:
    for seed in range(3):
        rows = field(seed)
        whole = proof(rows, np.ones(rows.samples, bool))
        reached = [proof(rows, first(whole, n)).index for n in range(0, len(whole.order.samples), 5)]
        steps = [-1 if index is None else index for index in reached]
        assert steps == sorted(steps) and whole.index is not None and steps[-1] <= whole.index


def test_of_groups_a_step_counts_when_it_has_all_its_labels() -> None:
    rows = field(1, 3000, groups=600)
    whole = proof(rows, np.ones(rows.samples, bool), max_accuracy_drop=0.1)
    assert whole.index is not None and whole.index > 3
    missing = whole.order.up_to(whole.index - 2) - 1
    part = proof(rows, first(whole, missing), max_accuracy_drop=0.1)
    unlabelled = whole.order.first[whole.order.samples[missing]]
    assert part.index == unlabelled - 1 < whole.index
    assert len(part.opening.steps) == unlabelled
    none = proof(rows, first(whole, 0), max_accuracy_drop=0.1)
    assert len(none.opening.steps) == len(STEPS)  # all losses are assumed: disagreement


def test_what_comes_next() -> None:
    rows = field(0)
    whole = proof(rows, np.ones(rows.samples, bool))
    assert whole.index is not None
    needs = [whole.order.up_to(k) for k in range(len(STEPS))]
    assert (
        certify._next(whole, needs)
        == f"Step {whole.index + 2} is not proven, although all its labels are there: only more samples can prove "
        "it."
    )
    blind = proof(rows, np.zeros(rows.samples, bool))
    step = 0 if blind.index is None else blind.index + 1
    assert certify._next(blind, needs) == (
        f"Next is step {step + 1}: it needs labels for the first {needs[step]} samples of the sheet; missing: "
        f"{needs[step]}."
    )
    easy = proof(replace(rows, predicted=np.array([rows.labels] * 2)), first(whole, 0))
    assert certify._next(easy, [0] * len(STEPS)) == "The path ends here: more labels change nothing."


def test_nothing_proven_says_what_is_missing() -> None:
    rows = field(0, 60)
    error = certify._nothing_proven(proof(rows, np.ones(60, bool)), settings(), "all.csv")
    assert "all.csv: a drop of 2.0 percentage points cannot be proven with probability 0.95" in str(error)
    assert "too few: about 149 samples without a loss" in str(error) and error.best is not None
    worst = replace(
        rows, predicted=np.array([(rows.labels + 1) % 5, rows.labels]), confidence=np.ones((2, 60), np.float32)
    )
    error = certify._nothing_proven(proof(worst, np.zeros(60, bool)), settings(), "few.csv")
    assert "60 samples of the first step have no label yet" in str(error)


# -- what is refused ----------------------------------------------------------------------------------


def bundle(**changes: Any) -> Any:
    """What of an earlier bundle is looked at before any work."""
    stored = {**settings().as_dict(1), **changes.pop("settings", {})}
    report = {"design": {"exits": [{"location": "a", "head": "b"}], "reuse": None}}
    facts: dict[str, Any] = {"finetuned": None, "early_view": None, "stages": [], "steps": STEPS, **changes}
    manifest = SimpleNamespace(
        settings=stored, finetuned=facts["finetuned"], early_view=facts["early_view"], stages=facts["stages"],
        inputs=[{"name": "m.h5", "sha256": "0" * 64}],
    )  # fmt: skip
    return SimpleNamespace(
        manifest=manifest, directory=Path("old"), report={**report, **facts.get("report", {})},
        earlier=SimpleNamespace(search=SimpleNamespace(path=facts["steps"])),
        hardware=SimpleNamespace(processors=()),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"finetuned": 3}, InputError, "fine-tuned"),
        ({"steps": ()}, InputError, "not chosen along a path"),
        ({"report": {"design": {"exits": [], "reuse": None}}}, InputError, "no exits"),
        ({"steps": ((0.5, 0.5),)}, ConversionError, "has 2 thresholds a step, report.json 1 exits"),
    ],
)  # fmt: skip
def test_a_bundle_without_a_path_or_given_model_is_refused(
    changes: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        certify._built(bundle(**changes))
    assert str(caught.value).startswith("old")
    assert certify._built(bundle()).steps == STEPS


@pytest.mark.parametrize(
    ("stored", "asked", "words"),
    [
        ({"labels": "none"}, {"labels": Path("l.csv")}, "made with --labels none"),
        ({"max_class_drop": 0.03}, {"labels": Path("l.csv")}, "all need labels"),
        ({"max_class_drop": 0.03}, {}, "all need labels"),
        ({"formats": ["onnx", "tflite-int8"]}, {"labels": "data", "output": Path("o")}, "tflite-int8 files"),
        ({"formats": ["keras", "onnx", "tflite-int8", "tflm"]}, {"output": Path("o")}, "--format onnx"),
    ],
)  # fmt: skip
def test_what_cannot_be_proven_so_is_told_before_any_work(
    stored: dict[str, Any], asked: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        certify._settings(bundle(settings=stored), Request("field.npz", **asked))


def test_settings_of_the_new_bundle_are_the_old_ones_with_what_is_asked() -> None:
    kept = certify._settings(
        bundle(settings={"points": 5}), Request("d", labels="data", output=Path("o"), threads=2)
    )
    assert (kept.goal.max_accuracy_drop, kept.risk, kept.goal.points, kept.running.threads) == (0.02, 0.05, 5, 2)
    new = certify._settings(
        bundle(settings={"formats": ["keras", "onnx", "tflite-int8"], "promise": "expected", "risk": None}),
        Request("d", output=Path("o"), max_accuracy_drop=0.1, risk=0.2, formats=("tflite",), force=True),
    )
    assert (new.goal.max_accuracy_drop, new.risk, new.promises, new.running.force) == (0.1, 0.2, ("proven",), True)
    assert new.running.formats == ("keras", "onnx", "tflite")
