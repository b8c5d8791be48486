"""The two renderings of one report."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from reports import SAMPLE_FILE, line_with, text

from eeaug.report.render import markdown
from eeaug.report.words import details, facts


@pytest.fixture
def sample() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(SAMPLE_FILE.read_text())
    return loaded


@pytest.fixture
def two_exits(sample: dict[str, Any]) -> dict[str, Any]:
    """cm0p holds two stages; nothing measured; names that rich and Markdown would take as markup."""
    edited = copy.deepcopy(sample)
    design = edited["design"]
    first, last = design["segments"]
    second = {**first, "stage": "1-cm0p", "from": "activation_2", "to": "add[1]|b*", "head": "separable"}
    design["segments"] = [
        {**first, "handover_bytes": 0},
        second,
        {**last, "stage": "2-cm4f", "from": "add[1]|b*"},
    ]
    design["exits"].append(
        {**design["exits"][0], "location": "add[1]|b*", "head": "separable", "threshold": 0.99999994}
    )
    for metrics in design["predicted"].values():
        metrics["leave_rates"] = [0.25, 0.35, 0.4]
    design["measured"] = edited["baseline"]["measured"] = None
    for point in edited["operating_points"]:
        point["thresholds"].append(None)
        point["measured"] = None
    edited["accuracy_drop_bound_95"] = None
    edited["accuracy_drop_bound_95_missing"] = "there are no test samples, which no choice has seen"
    edited["warnings"] = ["first [bold]thing[/bold]", "second thing"]
    return edited


RENDERINGS: list[Callable[[dict[str, Any]], str]] = [text, markdown.render]
both = pytest.mark.parametrize("render", RENDERINGS, ids=["terminal", "markdown"])


# --- renderings ---------------------------------------------------------------------------------------------


@both
def test_shows_test_metrics_against_baseline(render: Callable[..., str], sample: dict[str, Any]) -> None:
    page = render(sample)
    assert "On 5,000 test samples" in page
    line_with(page, "recall (macro)", "87.18 %", "86.36 %", "−0.82 pp")
    line_with(page, "mean latency, estimated", "0.167 s", "0.634 s", "+280.5 %")
    line_with(page, "worst class: cat", "74.00 %", "71.60 %", "−2.4 pp")


@both
def test_says_what_independence_would_have_claimed(render: Callable[..., str], sample: dict[str, Any]) -> None:
    page = render(sample)
    predicted = line_with(page, "| against" if render is markdown.render else "against", "pp")
    assert "+1.76 pp" in predicted and "−0.92 pp" in predicted and "−0.82 pp" in predicted
    assert "overstates accuracy by 2.68 pp" in page
    sample["design"]["predicted"]["independent"]["accuracy"] = 0.8534
    assert "understates accuracy by 1.0 pp" in render(sample)


@both
def test_shows_everything_else(render: Callable[..., str], sample: dict[str, Any]) -> None:
    page = " ".join(render(sample).split())
    for words in (
        "half of x_test serves as choose",
        "confidence ≥ 0.8302",
        "at most 1.18 pp",
        "activation_2 ← chosen",
        "12 heads trained, 7 kept",
        "1,521 threshold",
        "ruled out: 3 by latency",
        "onnx agrees (1 within 1e-4 of a threshold)",
        "the design is slower than the baseline",
    ):
        assert words in page


@both
def test_falls_back_to_choose_and_keeps_odd_names(render: Callable[..., str], two_exits: dict[str, Any]) -> None:
    page = render(two_exits)
    assert "On 5,000 calibration samples" in page and "not measured" in page
    assert "0.99999994" in page and "35.00 %" in page and "40.00 %" in page
    assert "[bold]" in page.replace("\\", "")
    assert "add[1]|b*" in page.replace("\\", "")


@both
def test_unknown_is_never_zero(render: Callable[..., str], sample: dict[str, Any]) -> None:
    for metrics in (sample["design"]["measured"], sample["baseline"]["measured"]):
        for key in ("mean_latency_s", "p95_latency_s", "worst_latency_s", "mean_energy_j", "worst_class"):
            metrics[key] = None
    for segment in sample["design"]["segments"]:
        segment["latency_s"] = None
    page = render(sample)
    for quantity in ("mean latency, est", "p95 latency", "worst latency,", "mean energy, est", "worst class"):
        assert line_with(page, quantity).count("unknown") == 3


@both
def test_design_without_exits(render: Callable[..., str], sample: dict[str, Any]) -> None:
    design = sample["design"]
    only = {**design["segments"][1], "stage": "0-cm4f", "from": None, "macs": 12_501_632}
    design.update(segments=[only], exits=[], summary="no early exit pays off: all cost accuracy")
    sample.update(operating_points=[], accuracy_drop_bound_95=0.0)
    for name in ("independent", "exact"):
        design["predicted"][name] = sample["baseline"]["choose"]
    design["measured"] = sample["baseline"]["measured"]
    page = render(sample)
    assert "no early exit pays off" in page
    assert "±0.0 pp" in line_with(page, "recall (macro)")
    assert "Where samples leave" not in page and "independent exits" not in page and "95 %" not in page


@both
def test_disagreement_is_told(render: Callable[..., str], sample: dict[str, Any]) -> None:
    sample["verification"]["formats"]["onnx"]["disagreements"] = 2
    page = " ".join(render(sample).split())
    assert "onnx 2 decisions differ" in page and "not verified" in page.lower()
    assert details.verified(sample)[1] is False
    sample["verification"]["formats"] = {}
    assert details.verified(sample) == ("agreement of the exported files: unknown", False)


def test_picture_has_one_box_per_run_of_a_processor(two_exits: dict[str, Any]) -> None:
    page = text(two_exits)
    boxes = [line for line in page.splitlines() if line.startswith("╭─")]
    assert [line.split()[1] for line in boxes] == ["cm0p", "cm4f"]
    assert "75.00 % go on, still on cm0p" in page
    assert "▼ 16.4 kB for each of the 40.00 % that go on" in page
    assert "┏━ 2 WARNINGS" in page


def test_what_is_better_depends_on_the_quantity(sample: dict[str, Any]) -> None:
    better = {row.quantity: row.better for row in facts.comparison(sample)}
    assert better["accuracy"] is False and better["mean MACs"] is True
    assert better["storage"] is False and better["peak activations"] is None
    sample["design"]["measured"]["accuracy"] = 0.9
    assert facts.comparison(sample)[0].better is True


def test_bars_are_as_long_as_the_shares(sample: dict[str, Any]) -> None:
    bar = line_with(text(sample), "activation_2 (cm0p)", "5.761 M")
    assert (bar.count("█"), bar.count("░")) == (8, 12)  # 40.6 % of 20
    assert "13.10 M" in line_with(text(sample), "output (cm4f)")  # the head of the exit is paid on the way


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_fits_width_and_encoding(two_exits: dict[str, Any], width: int, encoding: str) -> None:
    two_exits["model"]["name"] = "größe_µ"
    two_exits["design"]["exits"][0]["location"] = "stage_3/inverted_residual_block/expand_relu_activation"
    page = text(two_exits, width, encoding)
    assert max(map(len, page.splitlines())) <= width


def test_markdown_tables_keep_their_columns(two_exits: dict[str, Any]) -> None:
    header = 0
    for line in markdown.render(two_exits).splitlines():
        cells = line.replace("\\|", "").count("|")
        header = 0 if not cells else header or cells
        assert cells == header, line
    assert "\n> [!WARNING]\n> - first \\[bold]thing" in markdown.render(two_exits)


# --- the promise --------------------------------------------------------------------------------------------

STATEMENT = "Proven: with probability 0.95 over the draw of the 3,333 calibration samples, it is at most 1.0 pp."


@both
@pytest.mark.parametrize("proven", [True, False])
def test_what_is_proven_stands_right_under_the_answer(
    render: Callable[..., str], sample: dict[str, Any], proven: bool
) -> None:
    sample["promise"] |= {"promise": "proven", "statement": STATEMENT, "kept": proven}
    page = " ".join(render(sample).replace("**", "").split())
    summary = sample["design"]["summary"]
    assert page.partition(summary)[2].strip().startswith(STATEMENT)
    assert facts.promise(sample) == (STATEMENT, proven)


@both
def test_a_budget_that_nothing_proves_is_told_under_the_answer(
    render: Callable[..., str], sample: dict[str, Any]
) -> None:
    page = " ".join(render(sample).replace("**", "").split())
    assert page.partition(sample["design"]["summary"])[2].strip().startswith(
        "Nothing is promised. The budget of 1.0 percentage points is kept on the calibration samples only; on new "
        "data the accuracy drop may be up to 1.18 pp (95 % bound)."
    )  # fmt: skip


@pytest.mark.parametrize(
    "edit",
    [
        {"accuracy_drop_bound_95": 0.01},  # within the budget
        {"accuracy_drop_bound_95": None},
        {"settings": {"max_accuracy_drop": None, "efficiency_weight": 0.9}},
    ],
)
def test_no_bound_without_reason(sample: dict[str, Any], edit: dict[str, Any]) -> None:
    assert "95 % bound" in facts.promise(sample)[0]
    sample["settings"].update(edit.pop("settings", {}))
    sample.update(edit)
    assert facts.promise(sample) == (sample["promise"]["statement"], False)


@both
@pytest.mark.parametrize(("proven", "note"), [(1, False), (2, True)])
def test_what_several_proofs_are_worth_at_once(
    render: Callable[..., str], sample: dict[str, Any], proven: int, note: bool
) -> None:
    for point in sample["operating_points"][:proven]:
        point["promise"] |= {"promise": "proven", "kept": True, "risk": 0.05}
    sample["proven_together"] = 0.9
    page = " ".join(render(sample).split())
    words = "Each proof holds by itself with probability 0.95; all 2 of them at once with 0.9 at least."
    assert (words in page) == note


def test_a_missed_budget_is_not_said_to_have_held(sample: dict[str, Any]) -> None:
    sample["settings"].update(correction=0.5, calibrate_on="train")
    sample["design"]["predicted"]["exact"]["accuracy"] = 0.8476  # 2.5 points below
    sentence, proven = facts.promise(sample)
    assert sentence.startswith(
        "Nothing is promised. The budget of 1.0 percentage points is exceeded on the calibration samples already, "
        "by 1.5"
    )
    assert not proven


@both
def test_the_bound_or_why_there_is_none(render: Callable[..., str], sample: dict[str, Any]) -> None:
    assert "With 95 % confidence, from the test set alone, the accuracy drop is at most 1.18 pp." in " ".join(
        render(sample).split()
    )
    sample["settings"]["labels"] = "none"
    assert "the disagreement is at most 1.18 pp" in " ".join(render(sample).split())
    sample.update(accuracy_drop_bound_95=None, accuracy_drop_bound_95_missing="nothing was measured")
    assert "No 95 % bound of the disagreement: nothing was measured." in render(sample)


# --- operating points, settings, benefits -------------------------------------------------------------------


def cells(page: str, *words: str) -> list[str]:
    """The last three cells of a line, whatever stands between them."""
    return re.split(r"\s{2,}|\s*\|\s*", line_with(page, *words).rstrip(" |"))[-3:]


def points_of(page: str) -> str:
    return page.partition("Operating points")[2].partition("What each")[0]


@both
def test_operating_points(render: Callable[..., str], sample: dict[str, Any]) -> None:
    sample["operating_points"][0]["promise"] |= {"promise": "proven", "kept": True, "risk": 0.05}
    sample["operating_points"][2]["promise"] |= {"promise": "expected"}
    page = points_of(render(sample))
    assert {words: cells(page, words) for words in (
        "careful", "budget", "threshold at activation_2", "predicted drop", "predicted mean MACs", "measured drop",
        "measured mean MACs", "MACs against given model", "mean latency", "mean energy", "promise",
    )} == {
        "careful": ["careful", "default ←", "frugal"],
        "budget": ["0.5 pp", "1.0 pp", "2.0 pp"],
        "threshold at activation_2": ["0.912", "0.8302", "0.7135"],
        "predicted drop": ["0.34 pp", "0.92 pp", "1.98 pp"],
        "predicted mean MACs": ["10.94 M", "10.09 M", "9.274 M"],
        "measured drop": ["0.38 pp", "0.82 pp", "2.02 pp"],
        "measured mean MACs": ["10.97 M", "10.12 M", "9.302 M"],
        "MACs against given model": ["−12.2 %", "−19.0 %", "−25.6 %"],
        "mean latency": ["0.646 s", "0.634 s", "0.623 s"],
        "mean energy": ["13.2 mJ", "12.9 mJ", "12.5 mJ"],
        "promise": ["proven", "none", "not expected"],
    }  # fmt: skip


@both
def test_operating_points_that_nobody_measured(render: Callable[..., str], two_exits: dict[str, Any]) -> None:
    two_exits["operating_points"][1]["max_accuracy_drop"] = None
    page = points_of(render(two_exits).replace("\\", ""))
    assert cells(page, "budget") == ["0.5 pp", "none", "2.0 pp"]
    assert cells(page, "threshold at add[1]|b*") == ["never"] * 3
    assert cells(page, "MACs against given model") == ["−12.5 %", "−19.3 %", "−25.8 %"]
    assert "predicted drop" in page and "measured" not in page


@both
def test_one_operating_point_is_the_design(render: Callable[..., str], sample: dict[str, Any]) -> None:
    del sample["operating_points"][::2]
    assert "perating point" in render(sample).partition("asked for")[2]
    assert "Operating points" not in render(sample)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"risk": 0.05}, "risk of a proof 0.05"),
        ({"confidence": "margin"}, "confidence by margin"),
        ({"calibrate_on": "train"}, "thresholds found on training data"),
        ({"correction": 2 / 3}, "multiplied by 0.666667"),
        ({"max_class_drop": 0.03}, "drop of every class ≤ 3.0 pp"),
        ({"points": 5}, "5 operating points"),
        ({"priors": "cat=0.5"}, "shares of classes cat=0.5"),
        ({"labels": "none"}, "disagreement ≤ 1.0 pp"),
    ],
)
def test_asked_for_names_what_was(sample: dict[str, Any], setting: dict[str, Any], words: str) -> None:
    assert words not in dict(details.details(sample))["asked for"]
    sample["settings"].update(setting)
    assert words in dict(details.details(sample))["asked for"]


@both
def test_benefits_off_a_front_stand_in_brackets(render: Callable[..., str], sample: dict[str, Any]) -> None:
    page = render(sample)
    line_with(page, "9.054 M", "(0.62 s)", "(12.4 mJ)")
    line_with(page, " 0.167 s", " 5.33 mJ", "none")
    assert "In brackets" in page
    for entry in sample["benefit_curve"]:
        entry["fronts"] = ["mean_macs", "mean_latency_s", "mean_energy_j"]
    sample["benefit_curve"][-1]["mean_energy_j"] = None
    page = render(sample)
    line_with(page, "9.054 M", " 0.62 s", " unknown")
    assert "In brackets" not in page


def test_files_that_were_not_run_are_not_verified(sample: dict[str, Any]) -> None:
    sample["c"] = {"samples": 0, "compiler": None, "warnings": ["not run"], "processors": []}
    sample["verification"]["formats"]["c"] = {"disagreements": None, "near_threshold": None}
    said, agrees = details.verified(sample)
    assert "c was not run" in said and not agrees
    sample["c"]["samples"] = 8
    sample["verification"]["formats"]["c"] = {"disagreements": 0, "near_threshold": 0}
    said, agrees = details.verified(sample)
    assert "c agrees on 8 of them" in said and agrees
