"""How long a battery lasts: capacities as they are printed on batteries, and the formula by hand."""

from __future__ import annotations

import copy

import pytest
from reports import SAMPLE, line_with, text

from eeaug.errors import InputError
from eeaug.report.render import markdown
from eeaug.report.words import battery
from eeaug.report.words.battery import Use
from eeaug.report.words.facts import shown


@pytest.mark.parametrize(
    ("given", "joules"),
    [
        ("2430J", 2430),
        ("0.675Wh", 2430),
        ("675 mWh", 2430),
        ("225mAh@3V", 2430),
        ("2 Ah @ 3.7 V", 26_640),
        ("1kJ", 1e3),
    ],
)
def test_capacities(given: str, joules: float) -> None:
    assert battery.capacity_j(given) == pytest.approx(joules)


@pytest.mark.parametrize("given", ["225mAh", "2430", "J", "0J", "-1J", "1e9J", "3V@225mAh", "nanJ", ""])
def test_what_is_no_capacity(given: str) -> None:
    with pytest.raises(InputError, match="225mAh@3V"):
        battery.capacity_j(given)


def test_life_by_hand() -> None:
    """cm0p's sleep power is unknown and counted as 0, cm4f's is 0.8 mW."""
    metrics = SAMPLE["design"]["measured"]
    energy, latency = metrics["mean_energy_j"], metrics["mean_latency_s"]
    joules_per_period = energy + 0.0008 * (10 - latency)
    assert battery.life_s(SAMPLE, metrics, Use(10, 2430)) == pytest.approx(2430 / joules_per_period * 10)
    assert battery.life_s(SAMPLE, metrics, Use(0.9 * latency, 2430)) == 0
    assert battery.life_s(SAMPLE, metrics | {"mean_energy_j": None}, Use(10, 2430)) is None


def test_it_stands_in_the_comparison_with_what_it_rests_on() -> None:
    use = Use(10, 2430)
    for page in (text(SAMPLE, use=use), markdown.render(SAMPLE, use)):
        line_with(page, "battery life, estimated", "days", "−")
        page = " ".join(page.split())
        assert "Sleep power of cm0p is unknown" in page and "2,430 J, one inference every 10 s" in page
    assert "battery" not in text(SAMPLE).lower()


def test_what_takes_longer_than_the_period() -> None:
    use = Use(0.65, 2430)  # of the result, the mean is shorter, the longest path is not
    assert "The longest path takes 0.674 s, more than the period." in battery.note(SAMPLE, use)
    row = battery.row(SAMPLE, Use(0.4, 2430))
    assert (row.result, row.change, row.better) == ("cannot keep up", "unknown", None)
    assert "longest path" not in battery.note(SAMPLE, Use(0.7, 2430))


def test_unknown_stays_unknown() -> None:
    report = copy.deepcopy(SAMPLE)
    for metrics in shown(report):
        metrics["mean_energy_j"] = None  # type: ignore[index]
    row = battery.row(report, Use(1, 1))
    assert (row.baseline, row.result, row.change) == ("unknown",) * 3
