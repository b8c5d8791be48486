"""--format c: the real command, its files under compilers and in QEMU, what it says where something is missing."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import AUGMENT, Bundle, Run, environment, hashes
from tools import needs_arm, needs_cmake, needs_make, needs_qemu, needs_stack_usage

from eeaug import hardware
from eeaug.bundle.directory import read_manifest
from eeaug.bundle.entries import Manifest
from eeaug.errors import ConversionError
from eeaug.export import c
from eeaug.export.c import toolchain
from eeaug.export.formats import Work
from eeaug.export.verify import Reference
from eeaug.runtime import Cascade

pytestmark = pytest.mark.e2e
pytest.importorskip("emx_onnx_cgen")

STRICT = "CFLAGS=-O2 -Werror"
ALLOWED = {"expf", "fmaxf", "logf", "memcpy", "memset"}  # of the C library
STACK = 512  # bytes, of every function

WITH_C = (*AUGMENT, "--mapping", "one-each", "--format", "c", "--json")


@dataclass(frozen=True)
class Made:
    """A bundle with C files; ``folder`` is a copy of these, to be built in."""

    path: Path
    report: Mapping[str, Any]
    folder: Path

    @property
    def details(self) -> dict[str, Any]:
        found: dict[str, Any] = self.report["c"]
        return found


@pytest.fixture(scope="module")
def made(bundle: Bundle, work: Path, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Made:
    done = run(*WITH_C, "-o", "with-c", cwd=work)
    assert done.code == 0, done.stderr
    folder = shutil.copytree(work / "with-c" / "c", tmp_path_factory.mktemp("c") / "c")
    return Made(work / "with-c", json.loads(done.stdout), Path(folder))


def make(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["make", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stderr
    return done.stdout


# --- what is written


def test_the_files_are_in_the_manifest(made: Made) -> None:
    manifest = read_manifest(made.path)  # looks at every hash
    assert [stage["files"]["c"] for stage in manifest["stages"]] == ["c/model_stage_0.c", "c/model_stage_1.c"]
    assert {p.name for p in (made.path / "c").iterdir()} == {
        "README.md", "model.h", "model.c", "model_kernels.h", "model_kernels.c", "model_stage_0.h",
        "model_stage_0.c", "model_stage_1.h", "model_stage_1.c", "model_watch.h", "model_watch.c",
        "Makefile", "CMakeLists.txt", "eeaug.model.pdsc", "mps2", "test", "zephyr",
    }  # fmt: skip
    assert [p["function"] for p in manifest["c"]["processors"]] == ["model_cm0p", "model_cm4f"]
    assert "emx-onnx-cgen" in manifest["versions"]
    watch = (made.path / "c" / "model_watch.h").read_text(encoding="utf-8")
    assert f"The reference is {manifest['reference']['samples']} samples of the test set." in watch
    header = (made.path / "c" / "model.h").read_text(encoding="utf-8")
    for point in manifest["operating_points"]:
        assert f"MODEL_{point['name'].upper()} = " in header


def test_equal_runs_write_equal_bytes(made: Made, work: Path, run: Run) -> None:
    done = run(*WITH_C, "-o", "with-c-again", cwd=work, env={"PYTHONHASHSEED": "7"})
    assert done.code == 0, done.stderr
    assert hashes(work / "with-c-again") == hashes(made.path)


def test_the_arena_has_no_gaps_worth_speaking_of(made: Made) -> None:
    for processor in read_manifest(made.path)["c"]["processors"]:
        assert processor["arena_lower_bound_bytes"] <= processor["arena_bytes"]
        assert processor["arena_bytes"] <= 1.05 * processor["arena_lower_bound_bytes"]


# --- on this machine


@needs_make
def test_it_was_run_and_agrees(made: Made) -> None:
    assert made.report["verification"]["formats"]["c"]["disagreements"] == 0
    assert made.details["samples"] == made.report["verification"]["samples"] == 128
    assert made.details["warnings"] == []


@needs_make
def test_the_recorded_samples_decide_as_in_onnx_runtime(made: Made) -> None:
    said = make(made.folder, "test", STRICT)
    lines = re.findall(r"(\w+): (\d+) of (\d+) samples decided as in ONNX Runtime; left at exits (\d+) (\d+)", said)
    assert [name for name, *_ in lines] == [p["name"] for p in read_manifest(made.path)["operating_points"]]
    for _, agreed, count, early, late in lines:
        assert agreed == count == "100"
        assert int(early) + int(late) == 100
    assert len({early for *_, early, _ in lines}) > 1, "points leave different samples"


@needs_make
def test_a_wrong_expectation_fails(made: Made, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made.folder, tmp_path / "c", ignore=shutil.ignore_patterns("build")))
    code = (folder / "model.c").read_text(encoding="utf-8")
    (folder / "model.c").write_text(code.replace("p[i] > p[best]", "p[i] < p[best]"), encoding="utf-8")
    done = subprocess.run(["make", "-C", str(folder), "test"], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "0 of 100 samples decided as in ONNX Runtime" in done.stdout


@needs_cmake
def test_cmake_builds_and_tests_it(made: Made, tmp_path: Path) -> None:
    flags = "-DCMAKE_C_FLAGS=-Wall -Wextra -Wpedantic -Wconversion -Werror"
    for line in (["cmake", "-S", made.folder, "-B", ".", flags], ["cmake", "--build", "."], ["ctest"]):
        done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "100% tests passed" in done.stdout


def stack_and_symbols(folder: Path, compiler: str, tools: str, *options: str) -> None:
    """Compile every file strictly; no frame is large, and nothing of the system is called."""
    sources = [p.name for p in folder.glob("*.c")]
    strict = [
        "-std=c99",
        "-pedantic",
        "-Wall",
        "-Wextra",
        "-Wconversion",
        "-Werror",
        "-O2",
        "-fstack-usage",
        *options,
    ]
    done = subprocess.run(
        [compiler, *strict, "-c", *sources], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    frames = [line.split("\t") for p in folder.glob("*.su") for line in p.read_text().splitlines()]
    assert frames
    assert {kind for _, _, kind in frames} == {"static"}
    assert max(int(size) for _, size, _ in frames) <= STACK
    objects = [p.name for p in folder.glob("*.o")]
    table = subprocess.run([f"{tools}nm", *objects], cwd=folder, capture_output=True, text=True, check=True).stdout
    undefined = set(re.findall(r"^ +U (\w+)", table, re.M))
    own = set(re.findall(r" T (\w+)", table))
    library = {
        name for name in undefined - own if not name.startswith("__aeabi_") and name != "_GLOBAL_OFFSET_TABLE_"
    }
    assert library <= ALLOWED


@needs_stack_usage
def test_no_heap_no_files_no_large_stack_here(made: Made, tmp_path: Path) -> None:
    stack_and_symbols(Path(shutil.copytree(made.path / "c", tmp_path / "c")), "gcc", "")


@needs_arm
@pytest.mark.parametrize("cpu", ["cortex-m0plus", "cortex-m4"])
def test_no_heap_no_files_no_large_stack_on_arm(made: Made, tmp_path: Path, cpu: str) -> None:
    folder = Path(shutil.copytree(made.path / "c", tmp_path / "c"))
    stack_and_symbols(folder, toolchain.ARM, "arm-none-eabi-", f"-mcpu={cpu}", "-mthumb")


# --- measured for the target


@needs_arm
def test_flash_and_ram_are_those_of_a_linked_program(made: Made) -> None:
    manifest = read_manifest(made.path)
    for entry, facts in zip(made.details["processors"], manifest["c"]["processors"], strict=True):
        found = entry["measured"]
        assert found["compiler"].startswith("arm-none-eabi-gcc")
        assert facts["weights_bytes"] < found["flash_bytes"] < facts["weights_bytes"] + 20_000
        assert found["ram_bytes"] == found["data_bytes"] + found["bss_bytes"] + found["stack_bytes"]
        assert found["bss_bytes"] > entry["arena_bytes"] == facts["arena_bytes"]
        assert 0 < found["stack_bytes"] < 2 * STACK
    assert [entry["cpu"] for entry in made.details["processors"]] == ["cortex-m0plus", "cortex-m4"]


@needs_arm
def test_the_report_shows_it_beside_the_estimates(made: Made, run: Run) -> None:
    for kind in ("text", "markdown"):
        said = run("report", made.path, "--format", kind, cwd=made.path.parent).stdout
        assert "Memory of the C files" in said
        assert "linked for cortex-m0plus, cortex-m4 by arm-none-eabi-gcc" in " ".join(said.split())


@needs_arm
@needs_qemu
def test_qemu_decides_as_onnx_runtime(made: Made) -> None:
    said = make(made.folder, "qemu", STRICT, "QEMU_SAMPLES=10")
    assert re.findall(r"(\d+) of (\d+) samples decided", said) == [("10", "10")] * 3
    used = re.search(r"stack used: (\d+) bytes", said)
    assert used is not None
    assert int(used[1]) < 2048


COUNTED = """
#include <stdint.h>
#include <stdio.h>
#include "model.h"
#define TIMER ((volatile uint32_t *)0x40000000u) /* of the board, 25 MHz: 40 instructions a tick */
static float sample[MODEL_INPUT];
static model_to_cm4f to_cm4f;
int main(void)
{
    model_result result;
    for (int i = 0; i < MODEL_INPUT; ++i) {
        sample[i] = (float)(i * 7 % 256);
    }
    TIMER[1] = 0xFFFFFFFFu;
    TIMER[0] = 1;
    const uint32_t begin = TIMER[1];
    (void)model_cm0p(sample, MODEL_DEFAULT, &result, &to_cm4f);
    const uint32_t middle = TIMER[1];
    to_cm4f.build = MODEL_BUILD;
    (void)model_cm4f(&to_cm4f, MODEL_DEFAULT, &result);
    printf("%lu %lu\\n", 40ul * (begin - middle), 40ul * (middle - TIMER[1]));
    return 0;
}
"""


@needs_arm
@needs_qemu
def test_loops_are_what_the_processor_can_do(made: Made, tmp_path: Path) -> None:
    """Instructions of a Cortex-M4 with its floating-point unit at -O2, counted by QEMU, which does so exactly."""
    (tmp_path / "main.c").write_text(COUNTED, encoding="utf-8")
    folder = made.path / "c"
    target = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "--specs=rdimon.specs", "-nostartfiles"]
    sources = [str(p) for p in (folder / "mps2" / "startup.c", tmp_path / "main.c", *sorted(folder.glob("*.c")))]
    line = [toolchain.ARM, "-O2", "-std=c99", *target, "-T", str(folder / "mps2" / "mps2.ld"), "-I", str(folder)]
    subprocess.run([*line, "-o", str(tmp_path / "count.elf"), *sources, "-lm"], check=True, capture_output=True)
    board = ["qemu-system-arm", "-M", "mps2-an386", "-nographic", "-semihosting", "-icount", "shift=0"]
    done = subprocess.run(
        [*board, "-kernel", str(tmp_path / "count.elf")], capture_output=True, text=True, check=True
    )
    macs = [stage["macs"] for stage in read_manifest(made.path)["stages"]]
    first, second = (int(count) / of for count, of in zip(done.stdout.split(), macs, strict=True))
    assert second < 3 < 10 > first  # 2.3; the first stage is small: its pooling and its sums count, too


# --- other shapes of cascades, on the same stages


def written(made: Made, place: Path, **changes: Any) -> tuple[Work, Reference]:
    """The bundle's stages once more, with other entries in its manifest."""
    manifest = Manifest.from_dict(read_manifest(made.path))
    shutil.copytree(made.path / "stages", place / "stages")
    processors, reuse = changes.get("processors", ("cm0p", "cm4f")), changes.get("reuse", (None, None))
    stages = tuple(
        replace(stage, processor=p, reuse=r) for stage, p, r in zip(manifest.stages, processors, reuse, strict=True)
    )
    manifest = replace(manifest, stages=stages)
    x = np.load(made.path / "search" / "samples.npz")["x"]
    work = Work(place, manifest, None, (), hardware.read("psoc6"), x, 1)  # type: ignore[arg-type]
    said = Cascade.load(place, manifest, 1).answers(x)
    return work, Reference.of(manifest.decision, stages, said)


@needs_make
@pytest.mark.parametrize(
    ("processors", "reuse"),
    [
        (("cm0p", "cm4f"), (None, (0.4, 1.0))),
        (("cm4f", "cm4f"), (None, (0.4, 1.0))),
        (("cm4f", "cm4f"), (None, None)),
    ],
    ids=["two-reuse", "one-reuse", "one"],
)
def test_one_processor_or_two_with_or_without_reuse(
    made: Made, tmp_path: Path, processors: tuple[str, str], reuse: tuple[Any, Any]
) -> None:
    work, reference = written(made, tmp_path, processors=processors, reuse=reuse)
    work = work.adding("c", c.write(work))
    found = c.check(work, reference)
    assert found.disagreements == found.near_threshold
    assert len((found.figures or {})["processors"]) == len(set(processors))
    code = (tmp_path / "c" / "model.c").read_text(encoding="utf-8")
    assert ("hear(said" in code) == (reuse[1] is not None)
    make(tmp_path / "c", "test", STRICT)


@needs_make
def test_files_that_disagree_are_refused(made: Made, tmp_path: Path) -> None:
    work, reference = written(made, tmp_path)
    work = work.adding("c", c.write(work))
    path = tmp_path / "c" / "model.c"
    path.write_text(path.read_text(encoding="utf-8").replace(">= thresholds", "< thresholds"), encoding="utf-8")
    with pytest.raises(ConversionError, match=r"the c stages disagree with the model on .* nothing was written"):
        c.check(work, reference)


@needs_make
def test_files_that_do_not_compile_are_refused(made: Made, tmp_path: Path) -> None:
    work, reference = written(made, tmp_path)
    work = work.adding("c", c.write(work))
    (tmp_path / "c" / "model_stage_0.h").write_text("#error broken\n", encoding="utf-8")
    with pytest.raises(ConversionError, match=r"failed on the C files: .*broken"):
        c.check(work, reference)


# --- where something is missing


def test_without_the_generator_it_is_refused_before_any_work(work: Path) -> None:
    code = "import sys; sys.modules['emx_onnx_cgen'] = None; from eeaug.cli.main import main; main()"
    line = [sys.executable, "-c", code, *WITH_C, "-o", "never"]
    done = subprocess.run(line, cwd=work, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "error: --format c needs a package that is not installed: pip install 'eeaug[c]'\n"
    assert not (work / "never").exists()


def test_without_compilers_nothing_is_claimed(made: Made, work: Path, run: Run, tmp_path: Path) -> None:
    done = run(*WITH_C, "-o", "with-c-unrun", cwd=work, env={"PATH": str(tmp_path)})
    assert done.code == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["verification"]["formats"]["c"] == {"disagreements": None, "near_threshold": None}
    assert [entry["measured"] for entry in report["c"]["processors"]] == [None, None]
    sentence = (
        "the C files were written and not run: this machine has no compiler (cc, gcc, clang); run make -C c test "
        "where there is one"
    )
    assert sentence in report["warnings"]
    assert sentence in done.stderr
    said = " ".join(run("report", "with-c-unrun", cwd=work).stdout.split())
    assert "NOT VERIFIED" in said
    assert "c was not run" in said
    assert f"Not linked: {toolchain.ARM} with its C library is not on this machine" in said
    assert hashes(work / "with-c-unrun" / "c") == hashes(made.path / "c")
