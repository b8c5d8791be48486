"""Performance levels of processors, and the period of inferences, in what reports say."""

from __future__ import annotations

import copy
from typing import Any

import jsonschema
import pytest
from reports import SAMPLE, line_with, text

from eeaug.report.render import markdown
from eeaug.report.words import battery, details, facts
from eeaug.report.words.battery import Use
from eeaug.schema.report import schema


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
    line_with(page, f"baseline ({base} at lp)")
    assert f"output ({last} at ulp)" in page
    for words in (f"{last} at ulp", f"baseline ({base} at lp)"):
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
