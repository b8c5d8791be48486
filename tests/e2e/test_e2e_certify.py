"""A budget proven on data of the field: the sheet, the proof, the new bundle, and what is refused."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import EXAMPLES, SIZES, Bundle, Run, left_over, patched, valid

import eeaug
from eeaug.cascade.passage import Passage

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # TensorFlow on NumPy 2
]

EXPECTED = ("--hw", "psoc6", "--effort", "quick", "--promise", "expected", "--cache-dir", "cache")
BUDGET = ("--max-accuracy-drop", "0.02")


@pytest.fixture(scope="module")
def field(work: Path) -> dict[str, np.ndarray]:
    """Images that the bundle has not seen; ``field.npz`` without labels, ``labelled.npz`` with them."""
    with np.load(EXAMPLES / "fashion_resnet.npz") as data:
        arrays = {f"{kind}_test": data[f"{kind}_test"][SIZES["test"] :] for kind in "xy"}
        names = data["class_names"]
    np.savez(work / "field.npz", x_test=arrays["x_test"])
    np.savez(work / "labelled.npz", **arrays)  # type: ignore[arg-type]
    return {**arrays, "names": names}


@pytest.fixture(scope="module")
def opened(work: Path, run: Run, field: dict[str, np.ndarray]) -> Path:
    """A bundle with a path of thresholds, and label-these.csv for the field."""
    done = run("augment", "model.h5", *EXPECTED, *BUDGET, "-o", "opened", "-q", cwd=work)
    assert done.code == 0, done.stderr
    done = run("certify", "opened", "--data", "field.npz", "--cache-dir", "cache", "--json", cwd=work)
    assert done.code == 0, done.stderr
    (work / "unlabelled.json").write_text(done.stdout)
    return work / "opened"


def sheet(work: Path) -> tuple[str, list[list[str]]]:
    first, *rest = (work / "label-these.csv").read_text().splitlines()
    return first, list(csv.reader(rest))


def fill(work: Path, field: dict[str, np.ndarray], name: str, count: int) -> Path:
    """The sheet with the labels of its first ``count`` samples, from truth."""
    first, (header, *rows) = sheet(work)
    with (work / name).open("w", newline="") as file:
        file.write(f"{first}\n")
        lines = csv.writer(file)
        lines.writerow(header)
        for k, row in enumerate(rows):
            label = str(field["names"][field["y_test"][int(row[0])]])
            lines.writerow([*row[:-1], label if k < count else ""])
    return work / name


def certified(work: Path, run: Run, data: str, labels: str, *more: str, name: str = "opened") -> dict[str, Any]:
    options = ("--data", data, "--labels", labels, "--cache-dir", "cache", "--force", "--json", *more)
    done = run("certify", name, *options, cwd=work)
    assert done.code == 0, done.stderr
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def test_the_sheet_lists_where_the_two_differ(opened: Path, work: Path, field: dict[str, np.ndarray]) -> None:
    """By the bundle's own cascade in Python, step by step."""
    facts = json.loads((work / "unlabelled.json").read_text())
    steps = json.loads((opened / "search" / "path.json").read_text())
    cascade = eeaug.open(opened).cascade()
    outcomes = cascade.outcomes([field["x_test"].astype(np.float32)], field["y_test"])
    model, first = outcomes.baseline, {}
    for k, step in enumerate(steps, start=1):
        answers, left = model.copy(), np.zeros(len(model), bool)
        for i, threshold in enumerate(step):
            leaves = ~left & (outcomes.confidence[i] >= np.float32(np.inf if threshold is None else threshold))
            answers[leaves], left = outcomes.predicted[i][leaves], left | leaves
        if outcomes.given is not None:
            answers[~left] = outcomes.predicted[-1][~left]
        for i in np.flatnonzero(answers != model):
            first.setdefault(int(i), (k, str(field["names"][answers[i]]), str(field["names"][model[i]])))
        assert facts["steps"][k - 1]["leave"] == pytest.approx(left.mean())
        assert facts["steps"][k - 1]["labels"] == len(first)
    _, (header, *rows) = sheet(work)
    assert header == ["index", "step", "leave", "cascade", "model", "label"]
    listed = [(int(row[0]), (int(row[1]), row[3], row[4])) for row in rows]
    assert dict(listed) == first and len(listed) == len(first) == facts["to_label"] > 5
    assert listed == sorted(listed, key=lambda one: (one[1][0], one[0]))
    assert {row[5] for row in rows} == {""} and facts["sheet"] == "label-these.csv" and facts["bundle"] is None


def test_few_labels_prove_what_all_prove(opened: Path, work: Path, run: Run, field: dict[str, np.ndarray]) -> None:
    """Bit for bit; and the bundle that is written is as open as that."""
    whole = certified(work, run, "labelled.npz", "data", "-o", "whole")
    needed = whole["steps"][whole["promise"]["steps_tested"] - 1]["labels"]
    assert 0 < needed < whole["to_label"] < len(field["y_test"]) / 2
    few = certified(work, run, "field.npz", fill(work, field, "few.csv", needed).name)
    assert few["labelled"] == needed and few["bundle"] == "opened-certified"
    told = ("labelled", "statement")
    assert {k: v for k, v in few["promise"].items() if k not in told} == {
        k: v for k, v in whole["promise"].items() if k not in told
    }
    assert (few["step"], few["leave"], few["steps"]) == (whole["step"], whole["leave"], whole["steps"])
    assert few["promise"]["kept"] and "at most 2.0 percentage points" in few["promise"]["statement"]
    reports = [valid(work / name) for name in ("whole", "opened-certified")]
    for report, facts in zip(reports, (whole, few), strict=True):
        assert report["promise"] == facts["promise"]
        thresholds = facts["steps"][facts["step"] - 1]["thresholds"]
        assert [exit_["threshold"] for exit_ in report["design"]["exits"]] == thresholds
        assert [stage.get("threshold") for stage in report["manifest"]["stages"]][:-1] == thresholds
        assert any("field.npz" in note or "labelled.npz" in note for note in report["data"]["notes"])
    assert reports[0]["design"] == reports[1]["design"]
    options = ("--data", "field.npz", "--labels", "none", "--cache-dir", "cache", "--json")
    done = run("evaluate", "opened-certified", *options, cwd=work)
    assert 1 - json.loads(done.stdout)["leave_rates"][-1] == pytest.approx(few["leave"])
    assert not left_over(work)


def test_it_may_stop_anywhere(opened: Path, work: Path, run: Run, field: dict[str, np.ndarray]) -> None:
    unlabelled = json.loads((work / "unlabelled.json").read_text())
    steps = [unlabelled["step"] or 0]
    for count in (1, unlabelled["to_label"]):
        facts = certified(work, run, "field.npz", fill(work, field, "some.csv", count).name, "-o", "some")
        assert facts["labelled"] == count
        steps.append(facts["step"] or 0)
    assert steps == sorted(steps)
    assert "; missing: " in unlabelled["next"] or steps[0] == steps[-1]


def test_without_a_label_disagreement_is_bounded(work: Path, opened: Path) -> None:
    promise = json.loads((work / "unlabelled.json").read_text())["promise"]
    assert promise["labelled"] == 0 and "0 of these samples have a label" in promise["statement"]
    if promise["kept"]:
        assert 0 <= promise["drop"] <= promise["max_accuracy_drop"]


def test_a_certified_bundle_can_be_certified_again(opened: Path, work: Path, run: Run) -> None:
    certified(work, run, "labelled.npz", "data", "-o", "once")
    options = ("--data", "labelled.npz", "--labels", "data", "--cache-dir", "cache", "-q")
    done = run("certify", "once", *options, "--max-accuracy-drop", "0.05", cwd=work)
    assert done.code == 0 and done.stdout.splitlines()[-1] == "bundle: once-certified", done.stderr
    once, twice = (valid(work / name) for name in ("once", "once-certified"))
    assert (work / "once/search/path.json").read_bytes() == (work / "once-certified/search/path.json").read_bytes()
    assert twice["promise"]["max_accuracy_drop"] == 0.05
    assert twice["design"]["exits"][0]["threshold"] <= once["design"]["exits"][0]["threshold"]


def test_exits_that_hear_each_other_are_proven_as_they_are(
    work: Path, run: Run, field: dict[str, np.ndarray]
) -> None:
    forced = "from eeaug.design import reuse; reuse.WORTH = -1"  # used whatever it saves
    patched(forced, "augment", "model.h5", *EXPECTED, *BUDGET, "-o", "hears", "-q", cwd=work)
    facts = certified(work, run, "labelled.npz", "data", "-o", "heard", name="hears")
    before, after = (valid(work / name) for name in ("hears", "heard"))
    assert before["design"]["reuse"] == after["design"]["reuse"] is not None
    cascade = eeaug.open(work / "heard").cascade()
    outcomes = cascade.outcomes([field["x_test"].astype(np.float32)], field["y_test"])
    losses = Passage(outcomes, cascade.thresholds).losses
    assert facts["promise"]["drop"] == pytest.approx(losses.mean())
    differ = Passage(outcomes, (None,) * len(cascade.thresholds)).predicted != outcomes.given
    assert facts["to_label"] >= differ.sum()


def test_from_python(
    opened: Path, work: Path, field: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(work)
    arrays = {key: field[key] for key in ("x_test", "y_test")}
    facts = eeaug.certify("opened", arrays, "data", cache_dir="cache", output="by-python")
    assert facts["promise"] == eeaug.open("by-python")["promise"] and facts["bundle"] == "by-python"
    with pytest.raises(eeaug.InfeasibleError, match="cannot be proven") as refused:
        eeaug.certify("opened", arrays, "data", cache_dir="cache", output="no", max_accuracy_drop=1e-4)
    assert refused.value.limit == "max_accuracy_drop" and not (work / "no").exists()


@pytest.mark.parametrize(
    ("change", "options", "code", "words"),
    [
        (("x_test 0", "x_test 0"), ("--part", "val"), 2, ("field.npz", "x_val")),
        (("bundle ", f"bundle {'0' * 64}, x_test "), (), 2, ("another bundle", "000000000000...")),
        ((",\n", ",Trowser\n"), (), 2, ("line 3", "'Trowser'", "did you mean 'Trouser'")),
        ((",\n", ",\n"), (), 2, ("no sample has a label",)),
        (("index", "number"), (), 2, ("line 2", "columns")),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_sheet_is_one_line(
    opened: Path, work: Path, run: Run, change: tuple[str, str], options: tuple[str, ...], code: int,
    words: tuple[str, ...],
) -> None:  # fmt: skip
    text = (work / "label-these.csv").read_text()
    (work / "wrong.csv").write_text(text.replace(change[0], change[1]))
    line = ("certify", "opened", "--data", "field.npz", "--labels", "wrong.csv", "--cache-dir", "cache", *options)
    done = run(*line, "-o", "never", "-q", cwd=work)
    assert (done.code, done.stdout) == (code, "") and done.stderr.count("\n") == 1, done.stderr
    assert all(word in done.last_line for word in words), done.last_line
    assert not (work / "never").exists()


def test_other_samples_and_bundles_are_noticed(
    opened: Path, bundle: Bundle, work: Path, run: Run, field: dict[str, np.ndarray]
) -> None:
    fill(work, field, "few.csv", 3)
    np.savez(work / "other.npz", x_test=field["x_test"][:-1])
    for name, data, words in (
        ("opened", "other.npz", "other samples"),
        ("opened", "model.npz", "other samples"),
        ("made", "field.npz", "not chosen along a path"),
    ):
        options = ("--data", data, "--labels", "few.csv", "-o", "never", "--cache-dir", "cache", "-q")
        done = run("certify", name, *options, cwd=work)
        assert done.code == 2 and words in done.last_line, done.stderr
    options = ("--data", "model.npz", "--part", "train", "--sheet", "t.csv", "--cache-dir", "cache", "-q")
    done = run("certify", "opened", *options, cwd=work)
    assert done.code == 2 and "trained on x_train" in done.last_line


def test_nothing_proven_is_exit_code_3(opened: Path, work: Path, run: Run) -> None:
    options = ("--data", "labelled.npz", "--labels", "data", "-o", "never", "--cache-dir", "cache", "-q", "--json")
    done = run("certify", "opened", *options, "--max-accuracy-drop", "0.0001", cwd=work)
    facts = json.loads(done.stdout)
    assert done.code == 3 and "cannot be proven" in done.last_line and facts["limit"] == "max_accuracy_drop"
    assert facts["best"] > facts["given"] == 0.0001 and not (work / "never").exists()


def test_samples_that_have_chosen_the_exits_prove_nothing(work: Path, run: Run, opened: Path) -> None:
    """With a fifth of choose for it, the others say what is promised, of int8 stages, too, and after retarget."""
    large = "from eeaug.design import compared; compared.LEAST = 200"
    options = (*EXPECTED, *BUDGET, "--format", "tflite-int8")
    patched(large, "augment", "model.h5", *options, "-o", "large", "-q", cwd=work)
    report = valid(work / "large")
    for promise in (report["promise"], report["int8"]["promise"]):
        assert (promise["samples"], promise["units"], promise["compared"]) == (240, 240, 60)
    assert (
        report["design"]["exits"] and ("Another 60 calibration samples were used") in report["promise"]["statement"]
    )
    patched(large, "retarget", "large", "-o", "same", "--format", "onnx", "-q", cwd=work)
    same = valid(work / "same")
    assert same["promise"] == report["promise"] and same["design"]["exits"] == report["design"]["exits"]
    assert valid(opened)["promise"]["compared"] == 0
    line = ("--data", "model.npz", "--part", "val", "--labels", "data", "--cache-dir", "cache")
    done = run("certify", "opened", *line, "-o", "by-val", "--json", cwd=work)
    assert done.code == 0, done.stderr
    with pytest.raises(AssertionError, match="a part of x_val was used to choose the exits of same"):
        patched(large, "certify", "same", *line, cwd=work)
