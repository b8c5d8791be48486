"""What a report says of streams: counted as the walk decides, shown in every rendering."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import VALIDATOR
from report_kinds import rendered
from reports import SAMPLE, text
from stream_parts import course

from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import Decision
from eeaug.cascade.passage import Passage
from eeaug.design.promise import nothing
from eeaug.design.streamed import Streamed
from eeaug.errors import InputError
from eeaug.network.segments import Segments
from eeaug.report import gate, units
from eeaug.report.content import drops, streams
from eeaug.report.content.streams_again import again
from eeaug.report.render import markdown
from eeaug.report.words import cautions, compare, facts
from eeaug.report.words import streams as words
from eeaug.report.words.battery import Use
from eeaug.streams.confidence import Confidence
from eeaug.streams.debounce import Debounce
from eeaug.streams.difference import DifferenceDetection
from eeaug.streams.kinds import rule_of
from eeaug.streams.walk import walk

NAMES = ("quiet", "cat", "dog", "owl")


def segments(count: int) -> Segments:
    def row(*values: float) -> Any:
        return np.array([values], dtype=np.float64)

    each = row(*(100.0 * (k + 1) for k in range(count)))
    return Segments(each, each / 1000, each / 2000, each, each, each * 0, tuple(range(count)))


def made(*, remembers: bool = True, on_test: bool = True, period_s: float | None = 0.5) -> dict[str, Any]:
    some = course(4, 90, exits=1)
    step = (float(np.quantile(some.rows.confidence[0], 0.7)),)
    streamed = Streamed(
        Confidence(step),
        nothing(0.01),
        DifferenceDetection(step, 0.2, 8),
        nothing(0.01),
        remembers,
        some,
        (0.2, 0.5),
        0.3,
    )
    chosen = SimpleNamespace(
        segments=segments(2), baseline_segments=segments(1), decision=Decision("softmax", 4), classes=NAMES,
        basis="profile",
    )  # fmt: skip
    settings = SimpleNamespace(
        input=SimpleNamespace(labels="given"), goal=SimpleNamespace(memory=8, period_s=period_s, debounce=None),
        running=SimpleNamespace(seed=0), promise_asked=False,
    )  # fmt: skip
    test = None
    if on_test:
        test = replace(some.rows, first=some.p)
    decided: Any = SimpleNamespace(streamed=streamed)
    block, used = streams.block(settings, decided, chosen, {"test": some.sequences}, test, (0,))  # type: ignore[arg-type]
    assert block is not None and used is not None
    walked = walk([streamed.alone, streamed.memory], some)
    for i, name in enumerate(("alone", "memory")):
        figures, passage = block["figures"][name], walked.passage(some.rows, i)
        assert figures["metrics"]["accuracy"] == passage.accuracy
        assert figures["metrics"]["mean_macs"] == pytest.approx(passage.mean(np.array([100.0, 200.0])))
        assert figures["worst_macs"] == 300
    by = block["decided_by"]
    assert sum(by["sure"]) + sum(by["remembered"]) == pytest.approx(1)
    assert (sum(by["remembered"]) > 0) == remembers
    np.testing.assert_array_equal(used.at, walked.at[int(remembers)])
    return block


def reported(block: dict[str, Any]) -> dict[str, Any]:
    report = copy.deepcopy(SAMPLE)
    block["strip"]["labels"] = [c % 2 for c in block["strip"]["labels"]]
    report["stream"] = block
    report["settings"] |= {"stream": True, "refresh": 8}
    mistakes = [error.json_path + error.message for error in VALIDATOR.iter_errors(report)]
    assert not mistakes, mistakes
    return report


@pytest.mark.parametrize("remembers", [True, False])
@pytest.mark.parametrize("on_test", [True, False])
def test_every_rendering_shows_it(remembers: bool, on_test: bool) -> None:
    report = reported(made(remembers=remembers, on_test=on_test))
    shown = [" ".join(each.split()) for each in (text(report, 120), markdown.render(report), rendered(report))]
    table = words.rows(report)
    assert table[0][2 + remembers].endswith("←")
    for rendering in shown:
        for _, *cells in table[1:4]:
            assert all(cell in rendering for cell in cells)
    assert ("Memory brings too little here" in words.sentence(report)) == (not remembers)
    assert ("not measured" in words.title(report)) == (not on_test)
    assert 'class="strip"' in rendered(report)
    tiles = re.findall(r"<b>([^<]*)</b>", rendered(report).partition('class="tiles"')[2].partition("</ul>")[0])
    assert (
        tiles[0]
        == units.share(facts.decided(report)[1]["accuracy"])
        != units.share(facts.shown(report)[1]["accuracy"])
    )
    assert facts.promise(report)[0].startswith("On streams: ")


def test_by_the_hour_where_a_period_is_known() -> None:
    known, unknown = (reported(made(period_s=period)) for period in (0.5, None))
    names = [{row[0] for row in words.rows(each)} for each in (known, unknown)]
    assert names[0] - names[1] == {"false alarms an hour", "energy an hour"}
    figures = known["stream"]["figures"]["alone"]
    assert figures["false_alarms_per_hour"] == pytest.approx(figures["events"]["false_alarms"] / (90 * 0.5 / 3600))
    assert figures["energy_per_hour_j"] == pytest.approx(figures["metrics"]["mean_energy_j"] * 7200)
    assert "battery life" in {row[0] for row in words.rows(known, Use(10, 2430))}


def test_the_first_sentence_is_of_streams() -> None:
    block = made()
    block["figures"]["given"]["metrics"] |= {"accuracy": 0.9, "mean_macs": 200.0}
    block["figures"]["memory"]["metrics"] |= {"accuracy": 0.895, "mean_macs": 50.0}
    said = (
        "On streams, decided with memory: 75.0% of the mean MACs saved, 0.5 pp less accuracy than the given model"
    )
    thresholds = block["rule_alone"]["thresholds"]
    assert streams.sentence(block, thresholds).startswith(said)
    assert streams.sentence(None, ()) == ""
    alone = {**block, "remembers": False, "rule": block["rule_alone"]}
    by_itself = "so each sample is decided by itself: "
    assert streams.sentence(alone, thresholds) == f"Memory brings too little on these streams, {by_itself}"
    assert (
        streams.sentence({**alone, "rule_memory": alone["rule"]}, thresholds)
        == f"No memory is allowed, {by_itself}"
    )
    assert streams.sentence(alone, [0.5]).startswith("On streams, decided by confidence alone")


def test_without_streams_nothing_is_said() -> None:
    decided: Any = SimpleNamespace(streamed=None)
    assert streams.block(None, decided, None, {}, None, ()) == (None, None)  # type: ignore[arg-type]
    assert "On streams" not in text(SAMPLE)


@pytest.mark.parametrize("remembers", [True, False])
@pytest.mark.parametrize("labelled", [True, False])
def test_other_streams_are_decided_as_the_bundle_does(remembers: bool, labelled: bool) -> None:
    """Counted here from the walk alone; the same samples come to what the report says of them."""
    some, block = course(4, 90, exits=1), made(remembers=remembers)
    report = {"stream": block, "model": {"classes": list(NAMES), "macs": 100.0}}
    outcomes = replace(some.rows, first=some.p, labels=some.rows.labels if labelled else some.rows.baseline)
    passage, stream = again(report, outcomes, some.sequences, [100.0, 200.0], labelled=labelled)
    walked = walk([rule_of(block["rule"])], some)
    np.testing.assert_array_equal(passage.at, walked.at[0])
    np.testing.assert_array_equal(passage.predicted, walked.answer[0])
    used = stream["figures"]["memory" if remembers else "alone"]
    assert stream["figures"]["given"]["metrics"]["mean_macs"] == 100
    assert used["metrics"]["mean_macs"] == pytest.approx(passage.mean(np.array([100.0, 200.0])))
    assert sum(stream["decided_by"]["remembered"]) == pytest.approx(walked.remembered.mean())
    given = some.rows.baseline
    if labelled:
        for name in ("given", "alone", "memory"):
            told = block["figures"][name]
            assert stream["figures"][name]["events"] == told["events"]
            assert stream["figures"][name]["metrics"]["accuracy"] == told["metrics"]["accuracy"]
            assert stream["figures"][name]["false_alarms_per_hour"] == told["false_alarms_per_hour"]
        assert used["metrics"]["drop"] == pytest.approx(np.mean(given == some.rows.labels) - passage.accuracy)
    else:
        assert used["events"] is None and used["metrics"]["accuracy"] is None
        assert used["metrics"]["drop"] == pytest.approx(np.mean(passage.predicted != given))
    table = {row[0]: row[1:] for row in words.rows({"stream": stream})}
    assert ("missed" in table) == ("accuracy" in table) == labelled and "mean latency" not in table
    decided, reported_line = words.again(stream)
    assert ("which was not taken" in decided) == (not remembers)
    assert f"{block['sequences']} test sequences" in reported_line


def test_without_labels_stable_answers_are_judged_by_the_given_model_s_made_as_stable() -> None:
    some, block = course(4, 90, exits=1), made()
    stable = {"kind": "debounce", "wanted": 2, "window": 3}
    for name in ("rule", "rule_alone", "rule_memory"):
        block[name] = {**stable, "of": block[name]}
    outcomes = replace(some.rows, first=some.p, labels=some.rows.baseline)
    report = {"stream": block, "model": {"classes": list(NAMES), "macs": 100.0}}
    passage, stream = again(report, outcomes, some.sequences, [100.0, 200.0], labelled=False)
    given = walk([Debounce(Confidence(()), 2, 3)], replace(some, rows=some.rows.alone)).answer[0]
    assert stream["figures"]["memory"]["metrics"]["drop"] == pytest.approx(np.mean(passage.predicted != given))
    assert (given != some.rows.baseline).any()


@pytest.mark.parametrize(
    ("kind", "kept", "drop", "labelled", "said"),
    [
        ("none", True, 0.5, True, "Nothing is promised"),
        ("proven", False, 0.0, True, "Nothing is promised"),
        ("proven", True, 0.01, True, "within the 1.0 pp that are proven"),
        ("expected", True, 0.02, True, "more than the 1.0 pp that are expected"),
        ("expected", True, 0.002, False, "lose at most 0.2 pp here"),
        ("expected", True, 0.02, False, "needs labels to tell"),
    ],
)
def test_whether_a_promise_held(kind: str, kept: bool, drop: float, labelled: bool, said: str) -> None:
    promise = {"promise": kind, "max_accuracy_drop": None if kind == "none" else 0.01, "kept": kept}
    assert said in words.kept(promise, drop, labelled=labelled)


@pytest.mark.parametrize("remembers", [True, False])
def test_limits_and_comparisons_are_of_streams(remembers: bool) -> None:
    report = reported(made(remembers=remembers))
    used = report["stream"]["figures"]["memory" if remembers else "alone"]["metrics"]
    part = gate.part(report, "test", "default")
    assert part.design == used and part.promise == report["stream"]["promise"]
    assert facts.decided(report) == (report["stream"]["figures"]["given"]["metrics"], used)
    alone = compare.Named("by itself", SAMPLE)
    table = {line.key: line for line in compare.lines([compare.Named("streams", report), alone])}
    assert table["accuracy"].values == (used["accuracy"], facts.shown(SAMPLE)[1]["accuracy"])
    assert table["accuracy_drop_bound_95"].values[0] == report["stream"]["drop_bound_95"]
    assert not table["accuracy"].best, "of other samples"
    for order in ([report, SAMPLE], [SAMPLE, report]):  # one of them alone has --refresh
        named = [compare.Named(str(i), each) for i, each in enumerate(order)]
        assert ("--refresh", ("8", "none")[:: 1 if order[0] is report else -1]) in compare.differences(named)
    for samples, point in (("choose", "default"), ("test", "frugal")):
        with pytest.raises(InputError, match="streams"):
            gate.part(report, samples, point)


def warnings(report: dict[str, Any]) -> str:
    return " ".join([*cautions.unequal(report), *cautions.sentences(report)])


def test_warnings_are_of_streams_not_of_samples_by_themselves() -> None:
    report = reported(made())
    stream = report["stream"]
    given, used = (stream["figures"][name]["metrics"] for name in ("given", "memory"))
    report["settings"]["max_accuracy_drop"], used["accuracy"] = 0.01, given["accuracy"]
    used["mean_macs"], whole = 0.1, report["baseline"]["measured"]
    report["design"]["measured"] |= {"accuracy": whole["accuracy"] - 0.2, "mean_macs": whole["mean_macs"]}
    assert "drop on the test set" not in warnings(report) and "save nothing" not in warnings(report)
    used["accuracy"] -= 0.05
    assert "on streams: the drop on the test set is 5.00 percentage points" in warnings(report)
    stream["saved_on_choose"]["memory"] = 0.0
    assert "the exits save nothing on the calibration samples" in warnings(report)
    stream["split"] = "choose"
    assert "drop on the test set" not in warnings(report)


def test_classes_lose_as_streams_are_decided() -> None:
    """By themselves no sample leaves; memory answers all samples of one class wrongly."""
    n = 400
    labels = np.repeat([0, 1], n // 2)
    rows = Outcomes(np.full((2, n), 0.6, np.float32), np.stack([labels, labels]), labels)
    wrong = Passage(rows, (), (np.zeros(n, np.intp), np.zeros(n, np.int64)))
    chosen: Any = SimpleNamespace(thresholds=(0.9,), decision=Decision("softmax", 2), classes=("A", "B"))
    settings: Any = SimpleNamespace(
        running=SimpleNamespace(seed=0),
        goal=SimpleNamespace(max_accuracy_drop=0.01, max_class_drop=None, target_class=()),
    )
    alone, together = (drops.figures(chosen, rows, rows, settings, streamed=each) for each in (None, wrong))
    assert alone["classes_that_lose"] == []
    assert [row["name"] for row in together["classes_that_lose"]] == ["B"]
