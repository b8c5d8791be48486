"""What a report says of streams: counted as the walk decides, shown in every rendering."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import VALIDATOR
from report_kinds import rendered
from reports import SAMPLE, text
from stream_parts import course

from eeaug.cascade.output import Decision
from eeaug.design.promise import nothing
from eeaug.design.streamed import Streamed
from eeaug.network.segments import Segments
from eeaug.report.content import streams
from eeaug.report.render import markdown
from eeaug.report.words import streams as words
from eeaug.report.words.battery import Use
from eeaug.streams.confidence import Confidence
from eeaug.streams.difference import DifferenceDetection
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
        from dataclasses import replace

        test = replace(some.rows, first=some.p)
    decided: Any = SimpleNamespace(streamed=streamed)
    block = streams.block(settings, decided, chosen, {"test": some.sequences}, test, (0,))  # type: ignore[arg-type]
    assert block is not None
    walked = walk([streamed.alone, streamed.memory], some)
    for i, name in enumerate(("alone", "memory")):
        figures, passage = block["figures"][name], walked.passage(some.rows, i)
        assert figures["metrics"]["accuracy"] == passage.accuracy
        assert figures["metrics"]["mean_macs"] == pytest.approx(passage.mean(np.array([100.0, 200.0])))
        assert figures["worst_macs"] == 300
    by = block["decided_by"]
    assert sum(by["sure"]) + sum(by["remembered"]) == pytest.approx(1)
    assert (sum(by["remembered"]) > 0) == remembers
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
    assert streams.sentence(block).startswith(said) and streams.sentence(None) == ""


def test_without_streams_nothing_is_said() -> None:
    decided: Any = SimpleNamespace(streamed=None)
    assert streams.block(None, decided, None, {}, None, ()) is None  # type: ignore[arg-type]
    assert "On streams" not in text(SAMPLE)
