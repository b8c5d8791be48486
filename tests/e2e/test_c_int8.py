"""--format c-int8: the real command, its files under compilers and in QEMU, decisions as those of LiteRT."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from alarm_parts import (
    carried,
    check_quiet_then_alarmed,
    check_stream,
    on_board,
    samples_program,
    stream_program,
)
from conftest import AUGMENT, Run, hashes
from int8_parts import BOARDS
from tools import needs_arm, needs_cmake, needs_host, needs_make, needs_qemu

from eeaug import hardware
from eeaug.bundle.directory import read_manifest
from eeaug.bundle.entries import Manifest
from eeaug.cascade.output import STEP
from eeaug.errors import ConversionError
from eeaug.export import c_int8
from eeaug.export.c import toolchain
from eeaug.export.formats import Work
from eeaug.export.int8 import int8_cascade
from eeaug.export.verify import Reference

pytestmark = pytest.mark.e2e

STRICT = "CFLAGS=-O2 -Werror"
WITH_C = (*AUGMENT, "--mapping", "one-each", "--format", "c-int8", "--c-prefix", "net", "--json")


@dataclass(frozen=True)
class Made:
    """A bundle with int8 C files; ``folder`` is a copy of these, to be built in."""

    path: Path
    report: Mapping[str, Any]
    folder: Path


@pytest.fixture(scope="module")
def made(work: Path, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Made:
    done = run(*WITH_C, "-o", "with-int8-c", cwd=work)
    assert done.code == 0, done.stderr
    folder = shutil.copytree(work / "with-int8-c" / "c-int8", tmp_path_factory.mktemp("c") / "c-int8")
    return Made(work / "with-int8-c", json.loads(done.stdout), Path(folder))


def make(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["make", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stderr
    return done.stdout


def test_what_is_written(made: Made) -> None:
    manifest = read_manifest(made.path)  # looks at every hash
    assert [stage["files"]["c-int8"] for stage in manifest["stages"]] == [
        "c-int8/net_stage_0.c", "c-int8/net_stage_1.c",
    ]  # fmt: skip
    assert [p["function"] for p in manifest["c_int8"]["processors"]] == ["net_cm0p", "net_cm4f"]
    assert manifest["int8"]["kernels"] == "reference"
    for processor in manifest["c_int8"]["processors"]:
        assert processor["arena_bytes"] <= 1.05 * processor["arena_lower_bound_bytes"]
    carried = made.path / "c-int8" / "third_party"
    assert "Apache License" in (carried / "cmsis_nn" / "LICENSE.txt").read_text(encoding="utf-8")
    assert "Git revision" in (carried / "cmsis_nn" / "PROVENANCE.md").read_text(encoding="utf-8")
    assert not list(made.path.glob("c-int8/**/cmsis_nn.c")), "no core of the target has vectors"


def test_equal_runs_write_equal_bytes(made: Made, work: Path, run: Run) -> None:
    done = run(*WITH_C, "-o", "with-int8-c-again", cwd=work, env={"PYTHONHASHSEED": "7"})
    assert done.code == 0, done.stderr
    assert hashes(work / "with-int8-c-again" / "c-int8") == hashes(made.path / "c-int8")


@needs_make
def test_recorded_samples_decide_as_in_litert(made: Made) -> None:
    said = make(made.folder, "test", STRICT)
    lines = re.findall(r"(\w+): (\d+) of (\d+) samples decided as in LiteRT", said)
    assert [name for name, *_ in lines] == [p["name"] for p in read_manifest(made.path)["operating_points"]]
    assert all(agreed == count and int(count) > 50 for _, agreed, count in lines)
    check = made.report["int8"]["checks"]["c-int8"]
    assert (check["samples"], check["disagreements"]) == (128, 0)


@needs_arm
@needs_make
@pytest.mark.parametrize("board", BOARDS, ids=lambda board: str(board.cpu))
def test_every_core_decides_as_litert(made: Made, board: Any) -> None:
    board.skip_if_missing()
    said = make(made.folder, "qemu", f"CPU={board.cpu}", STRICT, "QEMU_SAMPLES=10")
    assert re.findall(r"(\d+) of (\d+) samples decided as in LiteRT", said) == [("10", "10")] * 3
    used = re.search(r"stack used: (\d+) bytes", said)
    assert used is not None and int(used[1]) < 2048


@needs_cmake
def test_cmake_builds_and_tests_it(made: Made, tmp_path: Path) -> None:
    for line in (["cmake", "-S", made.folder, "-B", "."], ["cmake", "--build", "."], ["ctest"]):
        done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "100% tests passed" in done.stdout


@needs_arm
def test_sizes_stand_in_the_report(made: Made, run: Run) -> None:
    for entry in made.report["int8"]["c"]["processors"]:
        measured = entry["measured"]
        assert entry["weights_bytes"] < measured["flash_bytes"] < entry["weights_bytes"] + 12_000
        assert measured["stack_bytes"] < 1024
        assert measured["ram_bytes"] > entry["arena_bytes"]
    said = " ".join(run("report", made.path, cwd=made.path.parent).stdout.split())
    assert "Memory of the C files in int8" in said
    assert "the int8 C files gave the same decisions on 128 samples" in said


def written(made: Made, place: Path, processors: tuple[str, str], reuse: tuple[Any, Any]) -> tuple[Work, Reference]:
    """The bundle's int8 stages once more, on other processors, with or without reuse."""
    manifest = Manifest.from_dict(read_manifest(made.path))
    shutil.copytree(made.path / "stages", place / "stages")
    stages = tuple(
        replace(stage, processor=p, reuse=r) for stage, p, r in zip(manifest.stages, processors, reuse, strict=True)
    )
    manifest = replace(manifest, stages=stages)
    x = np.load(made.path / "search" / "samples.npz")["x"]
    work = Work(place, manifest, None, (), hardware.read("psoc6"), x, 1)  # type: ignore[arg-type]
    cascade = int8_cascade.cascade(place, manifest, 1)
    return work, Reference.of(cascade.decision, cascade.stages, cascade.answers(x), STEP)


@needs_make
@pytest.mark.parametrize(
    ("processors", "reuse"),
    [
        (("cm0p", "cm4f"), (None, None)),
        (("cm4f", "cm4f"), (None, (0.4, 1.0))),
        (("cm4f", "cm4f"), (None, None)),
    ],
    ids=["two", "one-reuse", "one"],
)
def test_one_processor_or_two_with_or_without_reuse(
    made: Made, tmp_path: Path, processors: tuple[str, str], reuse: tuple[Any, Any]
) -> None:
    work, reference = written(made, tmp_path, processors, reuse)
    work = work.adding("c-int8", c_int8.write(work))
    checked = c_int8.check(work, reference)
    assert checked.disagreements == checked.near_threshold
    if reuse[1] is None:
        assert checked.disagreements == 0
    code = (tmp_path / "c-int8" / "net.c").read_text(encoding="utf-8")
    assert ("hear(said" in code) == (reuse[1] is not None)
    make(tmp_path / "c-int8", "test", STRICT)


@needs_arm
@needs_make
def test_cmsis_nn_serves_cores_with_vectors_and_may_lie_elsewhere(made: Made, tmp_path: Path) -> None:
    work, _ = written(made, tmp_path, ("cm4f", "cm4f"), (None, None))
    target = work.hardware
    cores = tuple(replace(p, cpu="cortex-m55") if p.name == "cm4f" else p for p in target.processors)
    work = replace(work, hardware=replace(target, processors=cores))
    work.adding("c-int8", c_int8.write(work))
    folder = tmp_path / "c-int8"
    included = re.findall(r'"\.\./(\S+)"', (folder / "cmsis_nn.c").read_text(encoding="utf-8"))
    assert any("arm_convolve" in path for path in included)
    elsewhere = Path(shutil.move(folder / "third_party" / "cmsis_nn", tmp_path / "elsewhere"))
    assert all((elsewhere / path).exists() for path in included)
    BOARDS[-1].skip_if_missing()
    said = make(folder, "qemu", f"CPU={BOARDS[-1].cpu}", STRICT, "QEMU_SAMPLES=10", f"CMSIS_NN={elsewhere}")
    assert re.findall(r"(\d+) of (\d+) samples decided as in LiteRT", said) == [("10", "10")] * 3
    make(folder, "arm", f"CPU={BOARDS[-1].cpu}", f"CMSIS_NN={elsewhere}")


@needs_host
def test_a_wrong_number_is_refused(made: Made, tmp_path: Path) -> None:
    work, reference = written(made, tmp_path, ("cm0p", "cm4f"), (None, None))
    work = work.adding("c-int8", c_int8.write(work))
    path = tmp_path / "c-int8" / "net_stage_1.c"
    text = path.read_text(encoding="utf-8")
    number = re.search(r"convolve_bias_\d+\[\d+\] = \{\s+(-?\d+),", text)
    assert number is not None
    path.write_text(text[: number.start(1)] + "123456" + text[number.end(1) :], encoding="utf-8")
    with pytest.raises(ConversionError, match=r"stage 1-cm4f gives other numbers in int8 C than in LiteRT"):
        c_int8.check(work, reference)


def test_without_a_compiler_nothing_is_claimed(made: Made, work: Path, run: Run, tmp_path: Path) -> None:
    done = run(*WITH_C, "-o", "int8-c-unrun", cwd=work, env={"PATH": str(tmp_path)})
    assert done.code == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["int8"]["checks"]["c-int8"] == {"samples": 0, "disagreements": None, "near_threshold": None}
    assert any(text.startswith("the int8 C files were written and not run") for text in report["warnings"])
    assert hashes(work / "int8-c-unrun" / "c-int8") == hashes(made.path / "c-int8")


@needs_make
def test_the_program_of_the_readme_is_whole(made: Made, tmp_path: Path) -> None:
    text = (made.path / "c-int8" / "README.md").read_text(encoding="utf-8")
    folder = shutil.copytree(made.path / "c-int8", tmp_path / "c-int8")
    (tmp_path / "main.c").write_text(text.split("```c\n")[1].split("```")[0], encoding="utf-8")
    line = text.split("```sh\n")[1].split("#")[0]
    done = subprocess.run(["sh", "-c", line], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = subprocess.run([tmp_path / "example"], capture_output=True, text=True, check=True).stdout
    assert re.search(r"left at exit [01], confidence [01]\.\d+", said)


# --- the alarm

SHIFTED = (
    "(int8_t)(NET_INPUT_ZERO_POINT + (x[k] - NET_INPUT_ZERO_POINT) / 1000)",  # a lens that is covered
    "(int8_t)(NET_INPUT_ZERO_POINT + (x[k] - NET_INPUT_ZERO_POINT) / 8)",  # dusk
)


def on_host(folder: Path, place: Path, program: str) -> Path:
    """A program of the cascade's files, compiled as strictly as they are."""
    (place / "main.c").write_text(program, encoding="utf-8")
    flags = ["-O2", "-std=c99", "-Wall", "-Wextra", "-pedantic", "-Wconversion", "-Werror", *carried(folder)]
    files = [place / "main.c", folder / "test" / "samples.c", *sorted(folder.glob("*.c"))]
    line = [
        toolchain.host() or "cc",
        *flags,
        "-I",
        str(folder),
        "-I",
        str(folder / "test"),
        *map(str, files),
        "-lm",
    ]
    done = subprocess.run([*line, "-o", str(place / "program")], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return place / "program"


def test_the_reference_is_that_of_the_int8_cascade(made: Made) -> None:
    manifest, int8 = read_manifest(made.path), made.report["int8"]
    reference = manifest["int8"]["reference"]
    assert (reference["part"], reference["samples"]) == ("test", manifest["reference"]["samples"])
    assert made.report["manifest"]["int8"]["reference"] == reference
    rates = {p["name"]: [at["leave_rate"] for at in p["exits"]] for p in reference["points"]}
    for point in int8["operating_points"]:
        assert rates[point["name"]] == pytest.approx(point["measured"]["leave_rates"], abs=1e-9)
    assert rates["default"] == pytest.approx(int8["measured"]["leave_rates"], abs=1e-9)
    header = (made.path / "c-int8" / "net_watch.h").read_text(encoding="utf-8")
    assert f"The reference is {reference['samples']} samples of the test set." in header
    readme = (made.path / "c-int8" / "README.md").read_text(encoding="utf-8")
    assert "net_watch_cm0p(&watch, point, outcome, &result);" in readme


@needs_host
def test_the_watch_counts_and_bets_as_python_does(made: Made, tmp_path: Path) -> None:
    reference = read_manifest(made.path)["int8"]["reference"]
    points = [p["name"] for p in made.report["int8"]["operating_points"]]
    check_stream(on_host(made.folder, tmp_path, stream_program("net")), reference, points)


@needs_host
def test_the_alarm_on_this_machine(made: Made, tmp_path: Path) -> None:
    program = on_host(made.folder, tmp_path, samples_program("net", "int8_t", SHIFTED))
    check_quiet_then_alarmed(subprocess.run([program], capture_output=True, text=True, check=True).stdout, 2000)


@needs_arm
@needs_qemu
@pytest.mark.parametrize("board", BOARDS[:2], ids=lambda board: str(board.cpu))
def test_the_alarm_on_the_board(made: Made, tmp_path: Path, board: Any) -> None:
    board.skip_if_missing()
    program = samples_program("net", "int8_t", SHIFTED)
    said = on_board(made.folder, tmp_path, program, board.cpu, board.machine, floats=board.floats)
    check_quiet_then_alarmed(said, 2000)
