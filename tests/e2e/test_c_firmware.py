"""What a firmware engineer does with c/: README's program, two cascades in one, strict compilers, sanitisers."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from alarm_parts import check_quiet_then_alarmed, check_stream, on_board, samples_program, stream_program
from conftest import Bundle
from tools import needs_arm, needs_clang, needs_host, needs_qemu, needs_sanitisers

from eeaug import hardware
from eeaug.bundle.directory import read_manifest
from eeaug.bundle.entries import Manifest
from eeaug.export import c
from eeaug.export.c import toolchain
from eeaug.export.formats import Work

pytestmark = pytest.mark.e2e
pytest.importorskip("emx_onnx_cgen")

STRICT = ("-O2", "-Wall", "-Wextra", "-pedantic", "-Wconversion", "-Werror")
HOST = toolchain.host() or "cc"


def written(bundle: Bundle, place: Path, prefix: str, processors: tuple[str, str] = ("cm0p", "cm4f")) -> Path:
    """The C files of the bundle's stages, on these processors, under this prefix."""
    manifest = Manifest.from_dict(read_manifest(bundle.path))
    stages = tuple(replace(s, processor=p) for s, p in zip(manifest.stages, processors, strict=True))
    manifest = replace(manifest, stages=stages, settings={**manifest.settings, "c_prefix": prefix})
    shutil.copytree(bundle.path / "stages", place / "stages")
    x = np.load(bundle.path / "search" / "samples.npz")["x"]
    work = Work(place, manifest, None, (), hardware.read("psoc6"), x, 1)  # type: ignore[arg-type]
    c.complete(work.adding("c", c.write(work)))
    return place / "c"


@pytest.fixture(scope="module")
def kws(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(bundle, tmp_path_factory.mktemp("kws"), "kws")


def built(folder: Path, main: str, *options: str, compiler: str = HOST, standard: str = "c99") -> Path:
    """A program of the cascade's files and ``main``, which lies elsewhere."""
    place = folder.parent
    (place / "main.c").write_text(main, encoding="utf-8")
    sources = [str(p) for p in sorted(folder.glob("*.c"))]
    line = [compiler, f"-std={standard}", *STRICT, "-I", str(folder), *options, str(place / "main.c"), *sources]
    done = subprocess.run([*line, "-lm", "-o", str(place / "program")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return place / "program"


def said(program: Path) -> str:
    return subprocess.run([program], capture_output=True, text=True, check=True).stdout


def program_of(readme: Path) -> str:
    """The block of C in the README."""
    (code,) = re.findall(r"^```c\n(.*?)^```$", readme.read_text(encoding="utf-8"), re.M | re.S)
    return str(code)


@needs_host
@pytest.mark.parametrize("standard", ["c99", "c11"])
def test_the_program_of_the_readme_runs(kws: Path, standard: str) -> None:
    answer = said(built(kws, program_of(kws / "README.md"), standard=standard))
    assert re.fullmatch(r".+: left at exit [01], confidence 0\.\d{3}\n", answer)


@needs_host
def test_the_program_of_one_processor_runs_too(bundle: Bundle, tmp_path: Path) -> None:
    folder = written(bundle, tmp_path, "one", ("cm4f", "cm4f"))
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert "Two cores" not in readme and "hand_over" not in readme
    assert ": left at exit" in said(built(folder, program_of(folder / "README.md")))


CHECKS = """
#include <stdio.h>
#include <string.h>
#include "kws.h"
static float x[KWS_INPUT];
static kws_to_cm4f to;
static kws_cm0p_context mine;
static kws_cm0p_context other;
int main(void)
{
    kws_result a, b;
    memset(&a, 7, sizeof a);
    b = a;
    printf("%d ", kws_cm0p_in(&mine, x, (kws_point)KWS_POINTS, &a, &to));
    printf("%d ", kws_cm0p_in(&mine, x, (kws_point)-1, &a, &to));
    printf("%d ", kws_cm0p_in(&mine, NULL, KWS_DEFAULT, &a, &to));
    printf("%d ", kws_cm0p_in(NULL, x, KWS_DEFAULT, &a, &to));
    printf("%d ", kws_cm4f_in((kws_cm4f_context *)0, &to, KWS_DEFAULT, &a));
    printf("%d ", memcmp(&a, &b, sizeof a));
    memset(&mine, 0xFF, sizeof mine);
    kws_outcome one = kws_cm0p_in(&mine, x, KWS_DEFAULT, &a, &to);
    printf("%d ", one == kws_cm0p_in(&other, x, KWS_DEFAULT, &b, &to));
    printf("%d ", a.predicted == b.predicted && a.confidence == b.confidence && memcmp(&mine, &other, 8) == 0);
    return 0;
}
"""
BUILDS = """
#include <stdio.h>
#include "kws.h"
static kws_to_cm4f to;
int main(void)
{
    kws_result result;
    printf("%d ", kws_cm4f(&to, KWS_DEFAULT, &result));
    to.build = KWS_BUILD;
    printf("%d ", kws_cm4f(&to, KWS_FRUGAL, &result));
    to.build ^= 1u;
    printf("%d", kws_cm4f(&to, KWS_DEFAULT, &result));
    return 0;
}
"""


@needs_host
def test_wrong_arguments_are_errors_and_contexts_are_apart(kws: Path) -> None:
    program = built(kws, CHECKS, "-DKWS_NO_STATIC_CONTEXT", "-DKWS_NO_CLASS_NAMES")
    assert said(program).split() == ["-2", "-2", "-1", "-1", "-1", "0", "1", "1"]
    table = subprocess.run(["nm", program], capture_output=True, text=True, check=False).stdout
    assert "kws_classes" not in table and "context_of" not in table


@needs_host
def test_what_another_build_hands_over_is_refused(kws: Path) -> None:
    assert said(built(kws, BUILDS)).split() == ["-3", "1", "-3"]


@needs_host
def test_sections_are_where_they_were_asked_for(kws: Path) -> None:
    options = [f'-DKWS_{name}_SECTION=__attribute__((section(".{name.lower()}")))' for name in ("CM0P", "WEIGHTS")]
    program = built(kws, program_of(kws / "README.md"), *options)
    sections = subprocess.run(["objdump", "-h", program], capture_output=True, text=True, check=False).stdout
    if not sections:
        pytest.skip("not on this machine: objdump")
    sizes = {name: int(size, 16) for name, size in re.findall(r" (\.\w+) +([0-9a-f]{8}) ", sections)}
    header = (kws / "kws.h").read_text(encoding="utf-8")
    arena = re.search(r"KWS_CM0P_ARENA_BYTES (\d+)", header)
    assert arena is not None
    assert int(arena[1]) <= sizes[".cm0p"] < int(arena[1]) + 64
    assert sizes[".weights"] > 200_000


@needs_host
def test_two_cascades_link_into_one_program(kws: Path, bundle: Bundle, tmp_path: Path) -> None:
    """Whose symbols and macros are apart, in one file that includes both headers."""
    other = written(bundle, tmp_path, "vision", ("cm4f", "cm4f"))
    main = """
#include <stdio.h>
#include "kws.h"
#include "vision.h"
static float x[KWS_INPUT];
static kws_to_cm4f to;
int main(void)
{
    kws_result a;
    vision_result b;
    if (kws_cm0p(x, KWS_DEFAULT, &a, &to) == KWS_GOES_ON) {
        (void)kws_cm4f(&to, KWS_DEFAULT, &a);
    }
    (void)vision_cm4f(x, VISION_DEFAULT, &b);
    printf("%d %d", a.predicted == b.predicted && a.exit == b.exit, KWS_BUILD != VISION_BUILD);
    return 0;
}
"""
    sources = map(str, sorted(other.glob("*.c")))
    assert said(built(kws, main, "-I", str(other), *sources)).split() == ["1", "1"]


def symbols(folder: Path, compiler: str, nm: str, *options: str) -> set[str]:
    """What others can see of all files, compiled strictly."""
    for source in sorted(folder.glob("*.c")):
        line = [compiler, "-std=c99", *STRICT, *options, "-c", str(source), "-o", str(folder / f"{source.stem}.o")]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and not done.stderr, done.stderr
    objects = [str(p) for p in folder.glob("*.o")]
    table = subprocess.run(
        [nm, "-g", "--defined-only", *objects], capture_output=True, text=True, check=True
    ).stdout
    return set(re.findall(r"^[0-9a-f]+ [A-Z] (\w+)$", table, re.M))


@needs_host
def test_gcc_is_silent_and_every_symbol_has_the_prefix(kws: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(kws, tmp_path / "c"))
    for names in (symbols(folder, HOST, "nm"), symbols(folder, HOST, "nm", "-O0", "-Wsign-conversion")):
        assert {"kws_cm0p", "kws_cm4f_in", "kws_classes"} <= names
        assert all(name.startswith("kws_") for name in names)


@needs_clang
def test_clang_is_silent(kws: Path, tmp_path: Path) -> None:
    symbols(Path(shutil.copytree(kws, tmp_path / "c")), "clang", "nm")


@needs_arm
@pytest.mark.parametrize("cpu", ["cortex-m0plus", "cortex-m4"])
def test_the_arm_compiler_is_silent(kws: Path, tmp_path: Path, cpu: str) -> None:
    folder = Path(shutil.copytree(kws, tmp_path / "c"))
    symbols(folder, toolchain.ARM, "arm-none-eabi-nm", f"-mcpu={cpu}", "-mthumb")


@needs_sanitisers
def test_sanitisers_find_nothing(kws: Path) -> None:
    """Over the recorded samples, at every operating point."""
    main = (kws / "test" / "test_cascade.c").read_text(encoding="utf-8")
    flags = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-I", str(kws / "test")]
    program = built(kws, main, *flags, str(kws / "test" / "samples.c"))
    assert said(program).count("samples decided as in ONNX Runtime") == 3


def test_zephyr_and_cmsis_pack_list_every_source(kws: Path) -> None:
    sources = {p.name for p in kws.glob("*.c")}
    module: dict[str, Any] = yaml.safe_load((kws / "zephyr" / "module.yml").read_text(encoding="utf-8"))
    assert module == {"name": "kws", "build": {"cmake": "zephyr", "kconfig": "zephyr/Kconfig"}}
    listed = (kws / "zephyr" / "CMakeLists.txt").read_text(encoding="utf-8")
    assert set(re.findall(r"\.\./([\w.]+\.c)", listed)) == sources
    assert set(re.findall(r"CONFIG_(\w+)", listed)) == set(
        re.findall(r"config (\w+)", (kws / "zephyr" / "Kconfig").read_text(encoding="utf-8"))
    )
    pack = ElementTree.parse(kws / "eeaug.kws.pdsc").getroot()
    files = {(f.attrib["category"], f.attrib["name"]) for f in pack.iter("file")}
    assert {name for category, name in files if category == "source"} == sources
    assert {name for _, name in files} <= {p.name for p in kws.iterdir()}


# --- the alarm


@needs_host
def test_the_watch_counts_and_bets_as_python_does(bundle: Bundle, kws: Path) -> None:
    points = [p["name"] for p in bundle.manifest["operating_points"]]
    check_stream(built(kws, stream_program("kws")), bundle.manifest["reference"], points)


@needs_arm
@needs_qemu
@pytest.mark.parametrize(("cpu", "machine"), [("cortex-m0plus", "mps2-an385"), ("cortex-m4", "mps2-an386")])
def test_the_alarm_on_the_board(kws: Path, tmp_path: Path, cpu: str, machine: str) -> None:
    """Of a lens that is covered."""
    program = samples_program("kws", "float", ["x[k] * 0.001f"])
    check_quiet_then_alarmed(on_board(kws, tmp_path, program, cpu, machine, floats=cpu == "cortex-m4"), 500)
