"""Numbers as text by hand cases, the two renderings of one report, and the command that shows them."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from eeaug.cli.report import report as command
from eeaug.errors import ConversionError, InputError
from eeaug.report import facts, markdown, terminal, units

SAMPLE = Path(__file__).parent / "data" / "report.json"


@pytest.fixture
def sample() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(SAMPLE.read_text())
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
    edited["warnings"] = ["first [bold]thing[/bold]", "second thing"]
    return edited


def text(report: dict[str, Any], width: int = 80, encoding: str = "utf-8") -> str:
    output = io.TextIOWrapper(io.BytesIO(), encoding, newline="\n")  # strict: refuses what it cannot encode
    Console(file=output, width=width).print(terminal.render(report, width))
    output.seek(0)
    return output.read()


def line_with(page: str, *words: str) -> str:
    found = [line for line in page.splitlines() if all(word in line for word in words)]
    assert len(found) == 1, f"{words}: {found}"
    return found[0]


RENDERINGS: list[Callable[[dict[str, Any]], str]] = [text, markdown.render]
both = pytest.mark.parametrize("render", RENDERINGS, ids=["terminal", "markdown"])


# --- numbers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (12_501_632, "12.50 M"),
        (600_000, "600.0 k"),
        (999_949, "999.9 k"),
        (999_960, "1.000 M"),
        (999, "999"),
        (0, "0"),
        (5.35e12, "5.35 T"),
        (None, "unknown"),
    ],
)
def test_macs(value: float | None, expected: str) -> None:
    assert units.macs(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.51, "0.51 s"),
        (0.0123, "12.3 ms"),
        (45e-6, "45 µs"),
        (2.5, "2.5 s"),
        (0.1, "0.1 s"),
        (0.09949, "99.5 ms"),
        (0.00099960, "1 ms"),
        (3.2e-9, "3.2 ns"),
        (1234.4, "1,234 s"),
        (0.0, "0 s"),
        (None, "unknown"),
    ],
)
def test_seconds(value: float | None, expected: str) -> None:
    assert units.seconds(value) == expected


def test_joules() -> None:
    assert [units.joules(value) for value in (0.25, 0.00533, 2.2e-9, None)] == [
        "0.25 J",
        "5.33 mJ",
        "2.2 nJ",
        "unknown",
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (16_384, "16.4 kB"),
        (999, "999 B"),
        (999_600, "1 MB"),
        (1_048_576, "1.05 MB"),
        (52e9, "52 GB"),
        (0, "0 B"),
        (None, "unknown"),
    ],
)
def test_size(value: float | None, expected: str) -> None:
    assert units.size(value) == expected


def test_share() -> None:
    assert [units.share(value) for value in (0.8719, 1.0, 0.0, None)] == [
        "87.19 %",
        "100.00 %",
        "0.00 %",
        "unknown",
    ]


@pytest.mark.parametrize(
    ("value", "signed", "expected"),
    [
        (-0.008, True, "−0.8 pp"),
        (-0.0104, True, "−1.04 pp"),  # more than a budget of one point: must not read −1.0
        (0.0268, True, "+2.68 pp"),
        (-0.00001, True, "±0.0 pp"),
        (0.01, False, "1.0 pp"),
        (-0.002, False, "−0.2 pp"),  # a drop below zero is a gain
        (0.0, False, "0.0 pp"),
        (None, True, "unknown"),
    ],
)
def test_points(value: float | None, signed: bool, expected: str) -> None:
    assert units.points(value, signed=signed) == expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (200, 150, "−25.0 %"),
        (200, 250, "+25.0 %"),
        (200, 200.01, "±0.0 %"),
        (0, 5, "n/a"),
        (None, 5, "unknown"),
    ],
)
def test_relative(before: float | None, after: float, expected: str) -> None:
    assert units.relative(before, after) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.8302000164985657, "0.8302"), (0.5, "0.5"), (0.99999994, "0.99999994"), (1.0, "1"), (None, "never")],
)
def test_threshold(value: float | None, expected: str) -> None:
    assert units.threshold(value) == expected


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
    predicted = line_with(page, "against baseline")
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
        "rejected: 3 by latency",
        "onnx agrees (1 within 1e-4 of a threshold)",
        "the design is slower than the baseline",
    ):
        assert words in page


@both
def test_falls_back_to_choose_and_keeps_odd_names(render: Callable[..., str], two_exits: dict[str, Any]) -> None:
    page = render(two_exits)
    assert "On 5,000 choose samples" in page and "not measured" in page
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
    sample["accuracy_drop_bound_95"] = None
    page = render(sample)
    for quantity in ("mean latency, est", "p95 latency", "worst latency,", "mean energy, est", "worst class"):
        assert line_with(page, quantity).count("unknown") == 3
    assert "No bound of the accuracy drop" in page


@both
def test_design_without_exits(render: Callable[..., str], sample: dict[str, Any]) -> None:
    design = sample["design"]
    only = {**design["segments"][1], "stage": "0-cm4f", "from": None, "macs": 12_501_632}
    design.update(segments=[only], exits=[], summary="no early exit pays off: all cost accuracy")
    for name in ("independent", "exact"):
        design["predicted"][name] = sample["baseline"]["choose"]
    design["measured"] = sample["baseline"]["measured"]
    page = render(sample)
    assert "no early exit pays off" in page
    assert "±0.0 pp" in line_with(page, "recall (macro)")
    assert "Where samples leave" not in page and "independent exits" not in page


@both
def test_disagreement_is_told(render: Callable[..., str], sample: dict[str, Any]) -> None:
    sample["verification"]["formats"]["onnx"]["disagreements"] = 2
    page = " ".join(render(sample).split())
    assert "onnx 2 decisions differ" in page and "not verified" in page.lower()
    assert facts.verified(sample)[1] is False
    sample["verification"]["formats"] = {}
    assert facts.verified(sample) == ("agreement of the exported files: unknown", False)


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


# --- the command --------------------------------------------------------------------------------------------


def write_bundle(directory: Path, report: bytes = SAMPLE.read_bytes(), version: int = 1) -> Path:
    directory.mkdir(parents=True)
    (directory / "report.json").write_bytes(report)
    manifest = {"schema_version": version, "files": {"report.json": hashlib.sha256(report).hexdigest()}}
    (directory / "manifest.json").write_text(json.dumps(manifest))
    return directory


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def fails_with(result: Result, kind: type[Exception], *words: str) -> None:
    assert type(result.exception) is kind
    message = str(result.exception)
    assert "\n" not in message and all(word in message for word in words), message
    assert result.stdout == ""


def test_formats(tmp_path: Path, sample: dict[str, Any]) -> None:
    bundle = write_bundle(tmp_path / "out")
    assert sample["design"]["summary"][:40] in run(bundle).stdout
    assert run(bundle, "--format", "json").stdout_bytes == SAMPLE.read_bytes()
    assert run(bundle, "--format", "markdown").stdout == markdown.render(sample)


def test_default_is_the_only_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "no-bundle").mkdir()
    fails_with(run(), InputError, "no bundle", "eeaug augment")
    write_bundle(tmp_path / ".b.partial")
    bundle = write_bundle(tmp_path / "b")
    assert run().exit_code == 0
    write_bundle(tmp_path / "a")
    fails_with(run(), InputError, "2 bundles", "a, b")
    monkeypatch.chdir(bundle)
    assert run().exit_code == 0


def test_changed_report_is_refused(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "out")
    (bundle / "report.json").write_bytes(SAMPLE.read_bytes().replace(b"0.8636", b"0.9636"))
    fails_with(run(bundle), ConversionError, "report.json", "changed")


def test_wrong_directories(tmp_path: Path) -> None:
    fails_with(run(tmp_path / "nowhere"), InputError, "no directory", "nowhere")
    fails_with(run(tmp_path), InputError, "no bundle", "manifest.json")
    bundle = write_bundle(tmp_path / "out")
    fails_with(run(bundle / "report.json"), InputError, "is a file")
    (bundle / "report.json").unlink()
    fails_with(run(bundle), ConversionError, "report.json is missing")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"schema_version": 1,\n', "broken JSON at line 2"),
        (b"\xff\xfe\xfa", "broken JSON"),
        (b'{"schema_version": 2}', "schema_version 2"),
        (b"[]", "schema_version None"),
    ],
)
def test_wrong_reports(tmp_path: Path, content: bytes, words: str) -> None:
    fails_with(run(write_bundle(tmp_path / "out", content)), InputError, "report.json", words)


def test_wrong_manifests(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "out", version=7)
    fails_with(run(bundle), InputError, "manifest.json", "schema_version 7", "reads 1")
    (bundle / "manifest.json").write_text('{"schema_version": 1, "files": {}}')
    fails_with(run(bundle), InputError, "lists no sha256 of report.json")


def test_starts_without_heavy_imports(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "out")
    code = (
        "import sys; from eeaug.cli.report import report; report([sys.argv[1]], standalone_mode=False); "
        "print({'tensorflow', 'keras', 'onnx', 'networkx', 'numpy'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(bundle)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stderr == "set()\n"
    assert "Where samples leave" in done.stdout
