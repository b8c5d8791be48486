"""Which commands a report names next."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from eeaug.report.words import next_steps

PLACE = Path("my nets") / "net-eeaug"
GIVEN = ("augment", "net.h5", "--hw", "psoc6", "--force", "-o", str(PLACE))


@pytest.fixture
def report() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((Path(__file__).parents[1] / "data" / "report.json").read_text("utf-8"))
    return loaded


def words(report: dict[str, Any], given: tuple[str, ...] = ()) -> list[list[str]]:
    return [shlex.split(command) for command, _ in next_steps.steps(report, PLACE, given)]


def test_a_bundle_without_device_files_names_the_command_that_was_given(report: dict[str, Any]) -> None:
    report["settings"]["formats"] = ["keras", "onnx"]
    commands = words(report, GIVEN)
    again = ["eeaug", *(word for word in GIVEN if word != "--force"), "--format", "c-int8", "--force"]
    assert again in commands and len(commands) <= next_steps.MOST
    assert words(report, ("retarget", "net-eeaug")) == words(report)  # it cannot do int8


def test_c_files_are_run_where_they_are(report: dict[str, Any]) -> None:
    report["settings"]["formats"] = ["keras", "onnx", "c-int8"]
    assert ["make", "-C", str(PLACE / "c-int8"), "test"] in words(report, GIVEN)


def test_where_nothing_could_be_promised_a_looser_budget_comes_first(report: dict[str, Any]) -> None:
    report["design"]["exits"] = []
    report["promise"] |= {"promise": "proven", "steps_tested": 1, "smallest_provable_drop": 0.02}
    first = words(report, GIVEN)[0]
    assert first[:3] == ["eeaug", "retarget", str(PLACE)] and first[3:5] == ["--max-accuracy-drop", "2.1pp"]
    report["promise"]["smallest_provable_drop"] = None
    assert words(report, GIVEN)[0][3:5] == ["--promise", "none"]
    report["promise"]["steps_tested"] = 0  # not for want of samples
    assert all("retarget" not in command for command in words(report, GIVEN))


def test_what_is_expected_can_be_certified(report: dict[str, Any]) -> None:
    report["promise"]["promise"] = "expected"
    assert words(report, GIVEN)[0][:3] == ["eeaug", "certify", str(PLACE)]


def test_a_bundle_for_streams_is_evaluated(report: dict[str, Any]) -> None:
    """No certify, which refuses it, and no other command line."""
    report["promise"]["promise"] = "expected"
    report["settings"] |= {"stream": True, "refresh": 8}
    report["stream"] = {}
    assert words(report, GIVEN)[0] == ["eeaug", "evaluate", str(PLACE), "--data", "NEW.npz"]
