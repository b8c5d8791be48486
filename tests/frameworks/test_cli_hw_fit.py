"""``eeaug hw fit``: a CSV file of latencies becomes a description that gives them back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from conftest import EXAMPLES, Run

from eeaug import hardware
from eeaug.backbone import model
from eeaug.cli.hw import hw
from eeaug.errors import InputError
from eeaug.hardware import fit
from eeaug.network import graph, measurements

BOARD = """\
schema_version: 1
name: board
processors:
  - {name: little, rates_macs_per_s: {default: 1.0e6}, arithmetic: int8, ram: sram, flash: flash, source: a guess}
  - {name: big, rates_macs_per_s: {default: 4.0e7}, arithmetic: int8, ram: sram, flash: flash}
memories: [{name: sram, bytes: 262144}, {name: flash, bytes: 1048576}]
links: [{from: little, to: big, bandwidth_bytes_per_s: 4.0e8}]
"""
RUNS = """\
name,processor,model,layer,conv,dense,layers,elements,latency_s
whole,little,model.h5,,,,,,1.25
,little,model.h5,classifier,,,,,0.0002
by hand,little,,,1e6,2e4,3,1000,0.11
"""


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("board.yaml").write_text(BOARD)
    Path("runs.csv").write_text(RUNS)
    Path("model.h5").symlink_to(EXAMPLES / "fashion_resnet.h5")
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(hw, ["fit", "board.yaml", "--measured", "runs.csv", *map(str, arguments)])


def test_the_description_says_what_was_fitted(board: Path) -> None:
    done = run()
    assert done.exit_code == 0, done.exception
    (board / "fitted.yaml").write_text(done.stdout)
    old, new = hardware.read("board.yaml"), hardware.read("fitted.yaml")
    assert new.name == "board-fitted" and new.processors[1:] == old.processors[1:]
    little = new.processor("little")
    assert "runs.csv (sha256 " in str(little.source) and str(little.source).endswith("all else: a guess")
    assert little.overhead_s_per_layer and little.overhead_s_per_element
    assert "warning: nothing was measured on big" in done.stderr
    read = measurements.read(Path("runs.csv"), old)
    assert [m.name for m in read] == ["whole", "model: classifier", "by hand"]
    for m in read:
        assert fit.estimated(little, m) == pytest.approx(m.latency_s, rel=0.15)


def test_a_model_s_work_is_that_of_its_blocks(board: Path) -> None:
    whole, dense, by_hand = measurements.read(Path("runs.csv"), hardware.read("board.yaml"))
    blocks = graph.blocks(model.load(EXAMPLES / "fashion_resnet.h5"))
    assert sum(whole.macs.values()) == 9_345_920 == sum(b.total_macs for b in blocks)
    assert whole.operations == sum(b.operations for b in blocks) == 10
    assert whole.results == sum(b.results for b in blocks)
    assert (dict(dense.macs), dense.operations, dense.results) == ({"dense": 640}, 1, 10)
    assert (dict(by_hand.macs), by_hand.operations, by_hand.results) == ({"conv": 1e6, "dense": 2e4}, 3, 1000)


def test_json_and_files(board: Path) -> None:
    assert run("--json").exit_code == 2
    done = run("-o", "new.yaml", "--json", "--name", "other", "--runtime", "TFLM")
    facts = json.loads(done.stdout)
    new = hardware.read("new.yaml")
    assert (new.name, new.processor("little").runtime, facts["name"]) == ("other", "TFLM", "other")
    assert list(facts["processors"]) == ["little"]
    first = facts["measurements"][0]
    assert (first["name"], first["macs"], first["latency_s"]) == ("whole", 9_345_920, 1.25)
    assert first["before_s"] == pytest.approx(9.34592), "at a million MACs a second"
    assert first["fitted_s"] == pytest.approx(1.25, rel=0.15) and first["left_out_s"] > 0
    done = run("-o", "new.yaml")
    assert isinstance(done.exception, InputError) and "--force replaces it" in str(done.exception)
    before = Path("new.yaml").read_bytes()
    assert run("-o", "new.yaml", "--force").exit_code == 0 and Path("new.yaml").read_bytes() != before
    done = run("-o", "no/new.yaml")
    assert isinstance(done.exception, InputError) and "does not exist" in str(done.exception)
    assert sorted(p.name for p in board.iterdir()) == ["board.yaml", "model.h5", "new.yaml", "runs.csv"]


def test_every_mistake_at_once_with_its_line(board: Path) -> None:
    Path("runs.csv").write_text(
        "processor,model,layer,conv,layers,elements,latency_s\n"
        "litle,,,1e6,,,1\n"
        ",,,1e6,,,1\n"
        "little,,,1e6,,,-1\n"
        "little,,,,,,1\n"
        "little,model.h5,,1e6,,,1\n"
        "little,,,1e6,3,,1\n"
        "little,,x,1e6,,,1\n"
        "little,model.h5,clasifier,,,,1\n"
        "little,,,many,,,1\n"
        "little,model.h5,stem_relu,,,,1\n"
        "little,,,1\n"
        "little,none.h5,,,,,1\n"
    )
    error = run().exception
    assert isinstance(error, InputError)
    lines = str(error).splitlines()
    wanted = [
        "runs.csv: 12 mistakes",
        "line 2: 'litle' is no processor of board; did you mean 'little'? (processors: little, big)",
        "line 3: names no processor (processors: little, big)",
        "line 4: latency_s must be a number greater than 0, given '-1'",
        "line 5: neither a model nor MACs (conv, pointwise, depthwise, dense) are given",
        "line 6: a model is given, which has its own MACs: leave out conv",
        "line 7: layers and elements must be given together",
        "line 8: the layer 'x' needs its model",
        "line 9: model.h5 has no layer 'clasifier'; did you mean 'classifier'?",
        "line 10: conv must be a number of at least 0, given 'many'",
        "line 11: no MACs, so it gives no rate",
        "line 12: has more or fewer fields than the header",
        "line 13: ",
    ]
    for line, want in zip(lines, wanted, strict=True):
        assert line.strip().startswith(want), line


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("procesor,latency_s\n", "line 1: unknown column 'procesor'; did you mean 'processor'?"),
        ("processor,conv\nlittle,1\n", "has no column latency_s"),
        ("", "has no column latency_s"),
        ("processor,conv,latency_s\n", "there is no measurement"),
        (b"\xff\xfe\xfa", "no CSV text in UTF-8"),
    ],
)
def test_files_that_are_none(board: Path, content: str | bytes, words: str) -> None:
    Path("runs.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    error = run().exception
    assert isinstance(error, InputError) and words in str(error)
    Path("runs.csv").unlink()
    assert "cannot be read" in str(run().exception)


def test_the_fitted_description_serves_a_command(board: Path, run: Run) -> None:
    done = run("hw", "fit", "board.yaml", "--measured", "runs.csv", "-o", "new.yaml", cwd=board)
    assert done.code == 0 and "median error of what was left out" in done.stdout
    assert run("hw", "check", "new.yaml", cwd=board).stdout.startswith("board-fitted: ok")
    shown = run("hw", "show", "new.yaml", cwd=board).stdout
    assert "and per layer" in shown and "and per element" in shown
