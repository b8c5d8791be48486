"""``eeaug check``: limits as rows, exit codes, JUnit; the examples for CI use it with options that exist."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from junit import junit_valid
from reports import SAMPLE_FILE, write_bundle

from eeaug.cli.check import check as command
from eeaug.errors import ConversionError, InfeasibleError, InputError
from eeaug.report import gate

REPORT = json.loads(SAMPLE_FILE.read_text())


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def changed(tmp_path: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    report = json.loads(SAMPLE_FILE.read_text())
    change(report)
    return write_bundle(tmp_path / "out", json.dumps(report).encode())


def proven(report: dict[str, Any]) -> None:
    report["promise"] |= {"promise": "proven", "kept": True, "risk": 0.05}


@pytest.mark.parametrize(
    ("promise", "ok"),
    [
        ({"promise": "proven", "kept": True}, True),
        ({"promise": "proven", "kept": True, "max_accuracy_drop": 0.02}, False),
        ({"promise": "proven", "kept": False}, False),
        ({"promise": "expected", "kept": True}, False),
        ({}, False),
    ],
)
def test_what_is_proven_can_be_asked_for(tmp_path: Path, promise: dict[str, Any], ok: bool) -> None:
    bundle = changed(tmp_path, lambda report: report["promise"].update(promise))
    done = run(bundle, "--max-proven-drop", "1%", "--json")
    assert ok if done.exception is None else isinstance(done.exception, InfeasibleError) and not ok
    (row,) = json.loads(done.stdout)["limits"]
    is_proven = promise.get("promise") == "proven" and promise["kept"]
    assert (row["basis"], row["ok"]) == ("proven" if is_proven else "nothing proven", ok)
    assert is_proven or row["found"] == 1


def test_every_limit_reads_its_own_figure_of_the_test_part(tmp_path: Path) -> None:
    measured, baseline = REPORT["design"]["measured"], REPORT["baseline"]["measured"]
    found = {
        "max-accuracy-drop": baseline["accuracy"] - measured["accuracy"],
        "max-class-drop": 0.024,
        "max-proven-drop": 0.01,
        "min-macs-saved": 1 - measured["mean_macs"] / baseline["mean_macs"],
        "max-latency": 0.674013,
        "max-p95-latency": 0.674013,
        "max-mean-latency": 0.634258,
        "max-energy": 0.01288457,
        "max-flash": 103418,
        "max-ram": 32768,
    }
    assert set(found) == set(gate.LIMITS)
    limits = [f"--{name}={value}" for name, value in found.items()]
    done = run(changed(tmp_path, proven), *limits, "--json")
    assert done.exit_code == 0, "what is exactly at its limit keeps it"
    facts = json.loads(done.stdout)
    assert (facts["ok"], facts["part"], facts["samples"], facts["point"]) == (True, "test", 5000, "default")
    assert {row["limit"]: row["found"] for row in facts["limits"]} == pytest.approx(found)
    bases = {"measured": 3, "estimated": 4, "computed": 2, "proven": 1}
    assert {b: [row["basis"] for row in facts["limits"]].count(b) for b in bases} == bases


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(list(gate.LIMITS)), st.floats(1e-6, 0.2))
def test_a_limit_is_kept_or_not_on_its_own_side(name: str, off: float) -> None:
    part = gate.part(REPORT, "test", "default")
    found = gate.LIMITS[name].read(part)
    assert found is not None
    for sign in (1, -1):
        (row,) = gate.check(part, {name: found * (1 + sign * off)})
        assert row.ok == (sign == (-1 if gate.LIMITS[name].least else 1))
        assert row.ok == (row.margin > 0)
        text, given, _ = row.words
        assert row.ok or text != given, "a failure shows by how much"


def test_a_failure_is_a_row_a_line_and_exit_code_3(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "out")
    done = run(bundle, "--max-accuracy-drop", "0.008", "--min-macs-saved", "0.1", "--max-latency", "0.5")
    assert isinstance(done.exception, InfeasibleError) and done.exception.exit_code == 3
    message = str(done.exception)
    assert message == (
        "2 of 3 limits are not kept: --max-accuracy-drop: accuracy drop 0.82 percentage points (measured), at most "
        "0.8 percentage points asked for; --max-latency: worst latency 0.674 s (estimated), at most 0.5 s asked for"
    )
    rows = [line for line in done.stdout.splitlines() if "ok" in line or "failed" in line]
    assert [("failed" in row) for row in rows] == [True, False, True]
    assert "−0.02 pp" in rows[0] and "9.04 %" in rows[1] and "−0.174 s" in rows[2]


def test_operating_points_and_the_choose_part(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "out")

    def drop(*options: str) -> dict[str, Any]:
        facts = json.loads(run(bundle, "--max-accuracy-drop", "100%", "--json", *options).stdout)
        return {**facts, **facts["limits"][0]}

    points = {point["name"]: point for point in REPORT["operating_points"]}
    base = REPORT["baseline"]
    frugal = drop("--point", "frugal")
    assert frugal["found"] == base["measured"]["accuracy"] - points["frugal"]["measured"]["accuracy"]
    assert frugal["point"] == "frugal" and frugal["found"] > drop()["found"]
    choose = drop("--on", "choose")
    exact = REPORT["design"]["predicted"]["exact"]
    assert choose["found"] == base["choose"]["accuracy"] - exact["accuracy"]
    assert (choose["part"], choose["basis"]) == ("choose", "counted")
    both = drop("--on", "choose", "--point", "careful")
    assert both["found"] == base["choose"]["accuracy"] - points["careful"]["predicted"]["accuracy"]
    done = run(bundle, "--max-ram", "1e6", "--point", "lavish")
    assert isinstance(done.exception, InputError) and "it has default, careful, frugal" in str(done.exception)


def unmeasured(report: dict[str, Any]) -> None:
    report["design"]["measured"] = report["baseline"]["measured"] = None


def without_rates(report: dict[str, Any]) -> None:
    report["design"]["measured"]["worst_latency_s"] = None


def test_what_cannot_be_checked_is_an_input_error(tmp_path: Path) -> None:
    for k, (change, option, words) in enumerate(
        [
            (unmeasured, "--max-accuracy-drop=0.1", "nothing was measured on test samples"),
            (unmeasured, "--max-accuracy-drop=0.1", "--on choose"),
            (
                without_rates,
                "--max-latency=1",
                "--max-latency: the report has no worst latency: it needs",
            ),
        ]
    ):
        out = tmp_path / str(k)
        out.mkdir()
        done = run(changed(out, change), option, "--junit", out / "check.xml")
        assert isinstance(done.exception, InputError) and words in str(done.exception)
        assert done.stdout == "" and not (out / "check.xml").exists()
    assert run(changed(tmp_path, unmeasured), "--max-accuracy-drop=0.1", "--on", "choose").exit_code == 0


def test_wrong_uses(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "out")
    for arguments, words in (
        ([], "no limit is given; name one or more of --max-accuracy-drop"),
        (["--max-accuracy-drop", "1.5"], "1.5 is 150 percentage points; did you mean 1.5%?"),
        (["--max-latency", "nan"], "not a finite number"),
        (["--max-flash", "0"], "not in the range"),
        (["--max-flash", "1", "--junit", tmp_path], "is a directory"),
    ):
        done = run(bundle, *arguments)
        assert done.exit_code == 2 and words in " ".join(done.stderr.split()), words
    done = run(bundle, "--max-flash", "1", "--junit", tmp_path / "no" / "check.xml")
    assert isinstance(done.exception, InputError) and "does not exist" in str(done.exception)
    (bundle / "report.json").write_bytes(SAMPLE_FILE.read_bytes().replace(b"0.8636", b"0.9636"))
    assert isinstance(run(bundle, "--max-flash", "1").exception, ConversionError)


def test_junit_is_what_pages_read(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "a <b> & c")
    file = tmp_path / "check.xml"
    run(bundle, "--max-accuracy-drop", "0.008", "--min-macs-saved", "0.1", "--junit", file)
    assert [p.name for p in tmp_path.iterdir() if "check" in p.name] == ["check.xml"]
    top = ElementTree.parse(file).getroot()
    assert file.read_bytes().startswith(b"<?xml version='1.0' encoding='utf-8'?>")
    assert junit_valid(top)
    (suite,) = top
    cases = {(case.get("classname"), case.get("name")): case for case in suite}
    what = "eeaug check a <b> & c"
    assert set(cases) == {(what, "max-accuracy-drop"), (what, "min-macs-saved")}
    (failure,) = cases[what, "max-accuracy-drop"]
    assert (failure.tag, failure.text) == ("failure", failure.get("message"))
    assert failure.text == (
        "accuracy drop 0.82 percentage points (measured), at most 0.8 percentage points asked for"
    )
    (output,) = cases[what, "min-macs-saved"]
    assert output.tag == "system-out" and "19.04 %" in str(output.text)
    before = set(cases)
    run(bundle, "--max-accuracy-drop", "50%", "--min-macs-saved", "0.1", "--junit", file)
    again = {(case.get("classname"), case.get("name")) for case in ElementTree.parse(file).getroot()[0]}
    assert again == before, "names stay, so that pages compare runs"
