"""Warnings say what can be done."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from reports import SAMPLE

from eeaug.report.words import cautions

Report = dict[str, Any]


def few(report: Report) -> None:
    report["baseline"]["choose"]["samples"] = 40


def corrected(report: Report) -> None:
    report["settings"]["correction"] = 0.9


def asked_for(report: Report) -> None:
    report["settings"]["exit_at"] = ["activation_2"]
    limited(report)


def limited(report: Report) -> None:
    report["design"]["predicted"]["exact"]["mean_macs"] = report["baseline"]["choose"]["mean_macs"]


def saves_nothing_on_test(report: Report) -> None:
    report["design"]["measured"]["mean_macs"] = report["baseline"]["measured"]["mean_macs"]


def over(promise: str) -> Callable[[Report], None]:
    def edit(report: Report) -> None:
        report["design"]["measured"]["accuracy"] = report["baseline"]["measured"]["accuracy"] - 0.05
        report["promise"] |= {"promise": promise, "risk": 0.05}

    return edit


def class_over(report: Report) -> None:
    report["settings"]["max_class_drop"], report["classes_that_lose"] = 0.02, []


def misses(promise: str, missed: int = 9) -> Callable[[Report], None]:
    def edit(report: Report) -> None:
        events = {"given": 3, "alone": 4, "memory": missed}
        report["settings"]["max_missed"] = "0.05"
        report["stream"] = {
            "split": "test", "remembers": True, "promise": {"promise": promise, "max_missed": 0.05},
            "saved_on_choose": {"alone": 0.1, "memory": 0.5, "best_alone": 0.1},
            "figures": {
                way: {"events": {"events": 100, "missed": count}, "metrics": {"mean_macs": 1.0, "accuracy": 0.9}}
                for way, count in events.items()
            },
        }  # fmt: skip

    return edit


REMEDIES: dict[Callable[[Report], None], str] = {
    few: "; give more in x_val",
    corrected: "; leave it out to keep the budget",
    asked_for: "; without it the search decides",
    limited: "; with larger ones, such as --max-latency, none are needed",
    saves_nothing_on_test: "; if that set is like the field, use the given model",
    over("proven"): "; a smaller budget leaves room",
    over("expected"): "(--promise proven proves the budget)",
    over("none"): "(--promise proven proves the budget)",
    class_over: "(--promise proven proves the budget)",
    misses("expected"): "; --promise proven proves the limit",
    misses("proven"): "; a smaller --max-missed leaves room",
}


@pytest.mark.parametrize("edit", REMEDIES)
def test_every_warning_names_a_remedy(edit: Callable[[Report], None]) -> None:
    report = copy.deepcopy(SAMPLE)
    edit(report)
    (sentence,) = cautions.sentences(report)
    assert sentence.endswith(REMEDIES[edit])
    assert len(sentence) <= 300


def test_as_many_missed_events_as_were_allowed_are_no_warning() -> None:
    report = copy.deepcopy(SAMPLE)
    misses("expected", 8)(report)
    assert not any("--max-missed" in sentence for sentence in cautions.sentences(report))
