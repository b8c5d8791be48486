"""`eeaug hw measure`: the project that it writes, QEMU as the board that runs it, and what is read of that."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import AUGMENT, Done, Run, environment

from eeaug import hardware
from eeaug.export.c import emulated, toolchain
from eeaug.export.measure.firmware import COLUMNS

pytestmark = pytest.mark.e2e

FORMATS = "c,c-int8,tflite,tflite-int8"
MHZ = 25  # of QEMU's boards for Cortex-M0+ and M4: a tick of their counter is 40 instructions
BUILT = ("CFLAGS=-O2 -Wall -Wextra -Werror -Wno-unused-parameter", f"DEFINES=-DMEASURE_CLOCK_HZ={MHZ}000000")


@pytest.fixture(scope="module")
def timed(work: Path, run: Run) -> Path:
    asked = ("--mapping", "one-each", "--format", FORMATS, "--c-prefix", "net")
    done = run(*AUGMENT, *asked, "-o", "timed", "--json", cwd=work)
    assert done.code == 0, done.stderr
    return work / "timed"


@pytest.fixture(scope="module")
def printed(timed: Path, tmp_path_factory: pytest.TempPathFactory, run: Run) -> dict[str, Path]:
    """The firmware's output by processor, of QEMU as the board."""
    if toolchain.arm() is None or shutil.which(emulated.QEMU) is None or shutil.which("make") is None:
        pytest.skip("no compiler for Arm, no QEMU or no make on this machine")
    place = tmp_path_factory.mktemp("measure")
    done = run("hw", "measure", timed, "-o", "firmware", cwd=place)
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    files = {}
    for name in ("cm0p", "cm4f"):
        line = ["make", "-s", "-C", str(place / "firmware"), "qemu", f"PROCESSOR={name}", *BUILT]
        made = subprocess.run(line, capture_output=True, text=True, check=False)
        assert (made.returncode, made.stderr) == (0, "")
        files[name] = place / f"{name}.csv"
        files[name].write_text(f"booting\r\n{made.stdout}", encoding="utf-8")
    return files


def read(run: Run, bundle: Path, cwd: Path, *files: Path, more: tuple[str, ...] = ()) -> Done:
    given = [argument for file in files for argument in ("--read", file)]
    return run("hw", "measure", bundle, *given, "-o", "board.yaml", "--force", *more, cwd=cwd)


def test_a_board_tells_itself(timed: Path, printed: dict[str, Path], run: Run, tmp_path: Path) -> None:
    done = read(run, timed, tmp_path, *printed.values(), more=("--name", "mine"))
    assert done.code == 0, done.stderr
    assert run("hw", "check", "board.yaml", cwd=tmp_path).stdout.startswith("mine: ok: 2 processors")
    board = hardware.read(str(tmp_path / "board.yaml"))
    report = json.loads((timed / "report.json").read_text(encoding="utf-8"))
    manifest = json.loads((timed / "manifest.json").read_text(encoding="utf-8"))
    rows = {entry["processor"]: entry["counted"] for entry in report["int8"]["c"]["processors"]}
    for name, csv in printed.items():
        processor = board.processor(name)
        assert (processor.basis, processor.clock_hz, processor.runtime) == ("timed", MHZ * 1e6, "eeaug's c-int8")
        assert "timed by eeaug hw measure: c-int8 files of timed" in (processor.source or "")
        # an emulated board takes a nanosecond for an instruction
        assert processor.cycles_per_instruction == pytest.approx(MHZ / 1000, rel=0.01)
        lines = csv.read_text(encoding="utf-8").splitlines()
        ticks = sum(int(line.split(",")[5]) for line in lines if ",all," in line)
        counted = sum(row["instructions"] + row["head_instructions"] for row in rows[name])
        assert 1000 * ticks / MHZ == pytest.approx(counted, rel=0.01)
        macs = sum(stage["macs"] for stage in manifest["stages"] if stage["processor"] == name)
        rate = processor.rates_macs_per_s["default"]
        assert rate is not None
        assert 0.8 < macs / rate / (ticks / MHZ / 1e6) < 1  # the rest is overhead


def test_one_processor_alone_leaves_the_other(
    timed: Path, printed: dict[str, Path], run: Run, tmp_path: Path
) -> None:
    done = read(run, timed, tmp_path, printed["cm4f"])
    assert done.code == 0
    assert done.stderr == (
        "warning: cm4f ran at 25 MHz, the description said 150 MHz: its power there is not known and operating "
        "points are left out\n"
        "warning: cm0p was not timed: it stays as it was\n"
    )  # fmt: skip
    board, before = hardware.read(str(tmp_path / "board.yaml")), hardware.read(str(timed / "hardware.yaml"))
    assert board.processor("cm0p") == before.processor("cm0p")
    assert board.name == f"{before.name}-timed"
    assert (board.processor("cm4f").active_power_w, board.processor("cm4f").operating_points) == (None, ())


def test_rounds_of_a_short_counter_are_counted(
    timed: Path, printed: dict[str, Path], run: Run, tmp_path: Path
) -> None:
    """SysTick with 12 bits in place of 24: it interrupts often, and counts the same."""
    run("hw", "measure", timed, "-o", "firmware", cwd=tmp_path)
    line = ["make", "-s", "-C", str(tmp_path / "firmware"), "qemu", "PROCESSOR=cm0p", "DEFINES=-DTICKS=0xFFFu"]
    short = subprocess.run(line, capture_output=True, text=True, check=True).stdout.splitlines()[1:-1]
    long = printed["cm0p"].read_text(encoding="utf-8").splitlines()[2:-1]
    counts = [[int(line.split(",")[5]) for line in lines] for lines in (short, long)]
    assert counts[0] == pytest.approx(counts[1], rel=1e-3, abs=2)


def test_floats_are_timed_too(timed: Path, printed: dict[str, Path], run: Run, tmp_path: Path) -> None:
    assert run("hw", "measure", timed, "--format", "c", "-o", "floats", cwd=tmp_path).code == 0
    line = ["make", "-s", "-C", str(tmp_path / "floats"), "qemu", "PROCESSOR=cm4f", *BUILT]
    made = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (made.returncode, made.stderr) == (0, "")
    (tmp_path / "out.csv").write_text(made.stdout, encoding="utf-8")
    assert read(run, timed, tmp_path, tmp_path / "out.csv", more=("--format", "c")).code == 0
    wrong = read(run, timed, tmp_path, tmp_path / "out.csv")
    assert (wrong.code, wrong.last_line.split(": ", 2)[2].split(" (")[0]) == (
        2,
        "line 2: was printed for other files",
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: "", "is empty: give what the board printed"),
        (lambda text: "hello\n", f"has no line '{COLUMNS}'"),
        (lambda text: text[: len(text) // 2], "cm4f: breaks off behind "),
        (
            lambda text: text.replace(",cm4f,", ",cm7,"),
            "the bundle has no processor 'cm7' (processors: cm0p, cm4f)",
        ),
        (lambda text: text.replace(",convolve,", ",add,"), "cm4f must go on with '1,0,convolve', given '1,0,add'"),
        (lambda text: text.replace(",all,stage,", ",all,stage,x"), "cycles must be a whole number of at least 0"),
    ],
)
def test_what_is_no_output_of_these_files_is_refused(
    timed: Path, printed: dict[str, Path], run: Run, tmp_path: Path, change: Any, says: str
) -> None:
    path = tmp_path / "out.csv"
    path.write_text(change(printed["cm4f"].read_text(encoding="utf-8")), encoding="utf-8")
    done = read(run, timed, tmp_path, path)
    assert done.code == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"error: {path}: ")
    assert says in done.stderr
    assert not (tmp_path / "board.yaml").exists()


@pytest.mark.parametrize("kind", ["onnx", "tflite", "tflite-int8"])
def test_linux_takes_one_python_file(timed: Path, run: Run, tmp_path: Path, kind: str) -> None:
    assert run("hw", "measure", timed, "--format", kind, "-o", "files", cwd=tmp_path).code == 0
    assert sorted(p.suffix for p in (tmp_path / "files").iterdir() if p.is_file()) == [".py"]
    line = [sys.executable, "files/measure.py"]
    done = subprocess.run(line, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment())
    assert done.returncode == 0, done.stderr
    (tmp_path / "out.csv").write_text(done.stdout, encoding="utf-8")
    result = read(run, timed, tmp_path, tmp_path / "out.csv", more=("--format", kind))
    assert result.code == 0, result.stderr
    assert run("hw", "check", "board.yaml", cwd=tmp_path).code == 0
    board, before = hardware.read(str(tmp_path / "board.yaml")), hardware.read(str(timed / "hardware.yaml"))
    for processor, old in zip(board.processors, before.processors, strict=True):
        assert (processor.basis, processor.clock_hz) == ("timed", old.clock_hz)
        assert processor.cycles_per_instruction is None
        assert (processor.rates_macs_per_s["conv"] is None) == (kind != "onnx")
    kernels = {line.split(",")[4].split(";")[0] for line in done.stdout.splitlines()}
    assert ("Conv" in kernels) == (kind == "onnx")


def test_where_it_may_not_write(timed: Path, run: Run, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "main.c").write_text("mine", encoding="utf-8")
    done = run("hw", "measure", timed, "-o", "full", cwd=tmp_path)
    assert (done.code, done.stderr.count("\n")) == (2, 1)
    assert "-o full holds files; --force replaces those of the same names" in done.stderr
    assert (tmp_path / "full" / "main.c").read_text(encoding="utf-8") == "mine"
    done = run("hw", "measure", timed, "-o", timed / "c" / "firmware", cwd=tmp_path)
    assert (done.code, "lies in the bundle" in done.stderr) == (2, True)
    done = run("hw", "measure", timed, "--hw", "psoc6", "-o", "new", cwd=tmp_path)
    assert (done.code, "--hw says where readings go: give --read, too" in done.stderr) == (2, True)
    assert not (tmp_path / "new").exists()
