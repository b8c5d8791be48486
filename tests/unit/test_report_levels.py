"""Performance levels of processors, and the period of inferences, in what reports say."""

from __future__ import annotations

import copy
from typing import Any

import jsonschema
import numpy as np
import pytest
from reports import SAMPLE, line_with, text

from eeaug.cascade.output import Decision
from eeaug.design.design import Chosen
from eeaug.hardware import KINDS, Hardware, Level, Link, Memory, Processor
from eeaug.network.costs import Costs, ExitCosts
from eeaug.network.graph import Block
from eeaug.report.content import counted, target_facts
from eeaug.report.render import markdown
from eeaug.report.words import battery, details, facts
from eeaug.report.words.battery import Use
from eeaug.schema.report import schema
from eeaug.search.space import Design
from eeaug.stages.partition import Stage
from eeaug.support.sample_layout import SampleLayout


@pytest.fixture
def levelled() -> dict[str, Any]:
    """The sample report where the last stage and the given model run at a level of their own."""
    report = copy.deepcopy(SAMPLE)
    report["design"]["segments"][-1]["level"] = "ulp"
    report["baseline"]["level"] = "lp"
    report["hardware"]["levels"] = {
        report["design"]["segments"][-1]["processor"]: [
            {"name": "lp", "clock_hz": 1.5e8, "voltage_v": 1.1, "active_power_w": 0.03},
            {"name": "ulp", "clock_hz": 5e7, "voltage_v": None, "active_power_w": None},
        ]
    }
    return report


def test_the_schema_knows_levels_and_needs_none(levelled: dict[str, Any]) -> None:
    for report in (SAMPLE, levelled):
        jsonschema.validate(report, schema())
    levelled["design"]["segments"][0]["levle"] = "x"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(levelled, schema())


def test_stages_and_the_given_model_are_named_with_their_level(levelled: dict[str, Any]) -> None:
    last, base = levelled["design"]["segments"][-1]["processor"], levelled["baseline"]["processor"]
    page = text(levelled, width=100)
    assert f"─ {last} at ulp ─" in page
    line_with(page, f"given model ({base} at lp)")
    assert f"output ({last} at ulp)" in page
    for words in (f"{last} at ulp", f"given model ({base} at lp)"):
        assert words in markdown.render(levelled)
        assert words not in markdown.render(SAMPLE)
    assert facts.runs_on({"processor": "m4"}) == "m4"


def test_energies_of_a_period_are_not_counted_twice_where_a_battery_lasts() -> None:
    """The same inference, reported alone or with the sleep of a period of 10 s (0.8 mW, the sample's)."""
    report = copy.deepcopy(SAMPLE)
    use = Use(5, 2430)
    metrics = report["design"]["measured"]
    alone = battery.life_s(report, metrics, use)
    report["settings"]["period_s"] = 10.0
    metrics["mean_energy_j"] += 0.0008 * (10 - metrics["mean_latency_s"])
    assert battery.life_s(report, metrics, use) == pytest.approx(alone)
    assert "one inference every 10 s, energies with sleep until the next" in str(details.details(report))


def board() -> Hardware:
    """A core with two levels and two memories of either kind, before one with one of each."""
    rates = {"default": 1e6, **dict.fromkeys(KINDS)}
    levels = (Level("fast", 1e8, 1.2), Level("slow", 2.5e7, 1.2, switch_s=0.5))
    one = Processor(
        "one", rates, "int8", "tcm", "near", 0.1, cpu="cortex-m4", clock_hz=1e8, operating_points=levels,
        more_ram=("sram",), more_flash=("outside",),
    )  # fmt: skip
    two = Processor("two", rates, "int8", "sram", "outside", 0.2, cpu="cortex-m4", clock_hz=1e8)
    memories = tuple(Memory(name, 10**6) for name in ("tcm", "sram", "near", "outside"))
    return Hardware("board", None, "one", True, "one", (one, two), memories, (Link("one", "two", 1e9),))


BLOCKS = tuple(Block(f"b{i}", (f"b{i}",), (10,), {"conv": 1000}, 10, 20) for i in range(2))
COSTS = Costs(board(), BLOCKS, (ExitCosts("b0", 1, "h", {"dense": 10}, 5, 10),), 10)
CHOICES = [mode.choices for mode in COSTS.modes]


def chosen(*choices: dict[str, str]) -> Chosen:
    """A design of two stages on the first core, the given model on it as the first stage."""
    modes = tuple(map(CHOICES.index, choices))
    whole = COSTS.segments(np.zeros((1, 0), np.intp), modes[:1])
    segments = COSTS.segments(np.array([[0]]), modes)
    return Chosen(
        Design((0,), modes, (0.5,)), (0.5,), segments, "one", whole, ("a", "b"), Decision("softmax", 2),
        baseline_choices=choices[0],
    )  # fmt: skip


FAST = {"level": "fast", "weights_in": "near", "tensors_in": "tcm"}
SLOW = {"level": "slow", "weights_in": "outside", "tensors_in": "tcm"}


def test_counted_instructions_become_seconds_by_the_clock_of_the_level() -> None:
    def figures(*numbers: int) -> dict[str, Any]:
        rows = [
            {"stage": k, "instructions": n, "head_instructions": 0, "decision_instructions": 0}
            for k, n in enumerate(numbers)
        ]
        return {
            "processors": [{"processor": "one", "handover_bytes": 0, "counted": rows}],
            "baseline": {"instructions": 1_000_000},
        }

    same, slower = (
        counted.timed(chosen(FAST, then), COSTS, figures(1_000_000, 1_000_000)) for then in (FAST, SLOW)
    )
    assert same is not None and slower is not None
    (first, second), (before, after) = same.chosen.segments.time_s[0], slower.chosen.segments.time_s[0]
    assert first == second == before
    assert after == pytest.approx(4 * first + 0.5)  # a quarter of the clock, and the change to it
    assert slower.received_s == (0.0, 0.5)
    assert slower.chosen.segments.energy_j[0, 1] == pytest.approx(after * 0.1 / 4)  # power goes with the clock
    assert slower.chosen.baseline_segments.time_s[0, 0] == pytest.approx(first)


def test_the_target_in_the_report_says_where_things_lie_and_what_is_not_counted() -> None:
    row = SampleLayout(("input",), ((10,),))

    def stage(k: int, choices: dict[str, str]) -> Stage:
        return Stage(f"{k}-one", "one", None, None, None, None, row, ("input",), None, 1, 1, choices=choices)

    def block(*choices: dict[str, str]) -> dict[str, Any]:
        return target_facts.block(chosen(*choices), [stage(k, each) for k, each in enumerate(choices)], COSTS)

    lies = {row["memory"]: (row["ram_of"], row["flash_of"]) for row in block(FAST, SLOW)["memories"]}
    assert lies == {
        "tcm": (["one"], []),
        "sram": (["two"], []),
        "near": ([], ["one"]),
        "outside": ([], ["one", "two"]),
    }
    assert [level["active_power_w"] for level in block(FAST, FAST)["levels"]["one"]] == [0.1, pytest.approx(0.025)]
    assert "change of level (to fast of one)" in block(FAST, SLOW)["not_counted"]
    assert not any("change of level" in words for words in block(SLOW, SLOW)["not_counted"])
