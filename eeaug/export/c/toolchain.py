"""Compilers on this machine: the C files run here, and measured as they would be linked for an Arm Cortex-M."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from eeaug.errors import ConversionError
from eeaug.support import leftovers

__all__ = [
    "ARM", "FLOATS", "Size", "arm", "compiled", "decisions", "decisions_of", "has_vectors", "host", "host_cpp",
    "measured", "output", "run", "sources", "target", "version",
]  # fmt: skip

HOSTS = ("cc", "gcc", "clang")
HOSTS_CPP = ("c++", "g++", "clang++")
ARM = "arm-none-eabi-gcc"
OPTIONS = ("-O2", "-std=c99")
LINK = ("-nostartfiles", "-Wl,--gc-sections", "-Wl,-e,main", "--specs=nosys.specs")  # a program without a start
FLOATS = "-mfloat-abi=hard"
WITH_VECTORS = ("cortex-m52", "cortex-m55", "cortex-m85")
WITHOUT_FPU = ("cortex-m0", "cortex-m0plus", "cortex-m1", "cortex-m23", "cortex-m3")


@dataclass(frozen=True)
class Size:
    """Bytes of a linked program with one processor's part of the cascade.

    ``data`` are initialised variables, which lie in flash and are copied; ``bss`` the others, arena, input and
    hand-over included; ``stack`` the deepest chain of its functions, those of the C library not included.
    """

    text: int
    data: int
    bss: int
    stack: int

    @property
    def flash(self) -> int:
        return self.text + self.data

    @property
    def ram(self) -> int:
        return self.data + self.bss + self.stack


def host() -> str | None:
    """A C compiler for this machine, if it has one with its library."""
    return _first_that_links(HOSTS, ("-lm",), "c")


def host_cpp() -> str | None:
    """The same for C++17."""
    return _first_that_links(HOSTS_CPP, ("-std=c++17", "-lm"), "c++")


def _first_that_links(names: Sequence[str], flags: tuple[str, ...], language: str) -> str | None:
    here = filter(None, map(shutil.which, names))
    return next((compiler for compiler in here if _links(compiler, flags, language)), None)


def arm() -> str | None:
    """The compiler for Arm Cortex-M, if it is here with its C library."""
    compiler = shutil.which(ARM)
    return compiler if compiler and _links(compiler, ("-mcpu=cortex-m0plus", "-mthumb", *LINK, "-lm")) else None


def version(compiler: str) -> str:
    """The first line that ``--version`` prints."""
    return _printed([compiler, "--version"]).splitlines()[0]


def decisions(
    compiler: str, folder: Path, program: str, x: NDArray[np.float32], work: Path
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where every sample (n, ...) leaves and its predicted class, (n,) each, by the C files of ``folder``.

    ``program`` is a main function that reads samples; it is built in ``work``.
    """
    given = np.ascontiguousarray(x, dtype="<f4").tobytes()
    return decisions_of(output(compiler, folder, program, given, work), len(x))


def decisions_of(
    printed: bytes, samples: int, files: str = "C files"
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What a program has printed of so many samples, a line for each: where it left, and the predicted class."""
    lines = printed.decode("utf-8", "replace").splitlines()
    rows = np.array([line.split()[:2] for line in lines], dtype=np.int64).reshape(-1, 2)
    if len(rows) != samples:
        raise ConversionError(f"the {files} decided on {len(rows)} of {samples} samples; nothing was written")
    return rows[:, 0], rows[:, 1]


def output(compiler: str, folder: Path, program: str, given: bytes, work: Path) -> bytes:
    """What a main function with the C files of ``folder`` writes to stdout; it is built in ``work``."""
    main, binary = work / "run_samples.c", work / "run_samples"
    main.write_text(program, encoding="utf-8")
    files = [*sources(folder), main]
    run([compiler, *OPTIONS, *_includes(folder), "-o", str(binary), *map(str, files), "-lm"])
    return run([str(binary)], given)


def measured(
    compiler: str, folder: Path, function: str, program: str, cpu: str, work: Path,
    objects: Sequence[Path] | None = None,
) -> Size:  # fmt: skip
    """The size of a program for ``cpu`` that calls one processor's ``function`` from its main function.

    ``objects``: of the sources of ``folder`` for this core; None: they are made in ``work``.
    """
    main = work / "main.c"
    main.write_text(program, encoding="utf-8")
    if objects is None:
        objects = compiled(compiler, sources(folder), folder, cpu, work)
    objects = [*objects, *compiled(compiler, [main], folder, cpu, work)]
    binary = work / "program.elf"
    run([compiler, *target(cpu), *LINK, "-o", str(binary), *map(str, objects), "-lm"])
    text, data, bss = _sections(_printed([compiler.replace("gcc", "size"), str(binary)]))
    return Size(text, data, bss, _deepest([built.with_suffix(".ci") for built in objects], function))


def compiled(
    compiler: str, files: Sequence[Path], folder: Path, cpu: str, work: Path, flags: Sequence[str] = ()
) -> list[Path]:
    """Objects for ``cpu`` in ``work``, of sources that see the headers of ``folder``."""
    sections = ("-ffunction-sections", "-fdata-sections", "-fcallgraph-info=su")
    objects = []
    for source in files:
        built = work / f"{source.stem}.o"
        line = [compiler, *OPTIONS, *target(cpu), *sections, *flags, *_includes(folder), "-c", "-o", str(built)]
        run([*line, str(source)])
        objects.append(built)
    return objects


def target(cpu: str) -> tuple[str, ...]:
    """The compiler's options for a core."""
    floats = () if cpu.endswith("+nofp") or cpu in WITHOUT_FPU else (FLOATS,)
    return (f"-mcpu={cpu}", "-mthumb", *floats)


def sources(folder: Path) -> list[Path]:
    """Those of the cascade; its tests lie in folders of their own."""
    return sorted(folder.glob("*.c"))


def has_vectors(cpu: str) -> bool:
    """Whether a core may have vector extensions (MVE)."""
    return cpu.split("+")[0] in WITH_VECTORS


def _includes(folder: Path) -> list[str]:
    """Where headers are: beside the sources, and below what is carried along of others."""
    return [f"-I{place}" for place in (folder, *sorted(folder.glob("third_party/*/Include")))]


def _sections(printed: str) -> tuple[int, int, int]:
    """text, data and bss, of what ``size`` prints."""
    text, data, bss = (int(number) for number in printed.splitlines()[1].split()[:3])
    return text, data, bss


def _deepest(graphs: Sequence[Path], function: str) -> int:
    """Bytes of stack along the deepest chain of calls from ``function``, by the compiler's own account."""
    calls = nx.DiGraph()
    frames: dict[str, int] = {}
    for path in graphs:
        text = path.read_text(encoding="utf-8")
        for name, frame in re.findall(r'^node: \{ title: "([^"]+)".*?\\n(\d+) bytes', text, re.M):
            frames[name] = int(frame)
        calls.add_edges_from(re.findall(r'^edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"', text, re.M))
    calls.add_node(function)
    reached = calls.subgraph({function} | nx.descendants(calls, function))
    deep: dict[str, int] = {}
    for name in reversed(list(nx.topological_sort(reached))):
        deep[name] = frames.get(name, 0) + max((deep[after] for after in reached.successors(name)), default=0)
    return deep[function]


@cache
def _links(compiler: str, flags: tuple[str, ...], language: str = "c") -> bool:
    """Whether the compiler can link a program: its library may be missing, a package of its own on Debian."""
    source = b'#include <math.h>\n#include <string.h>\nint main(void) { return (int)expf((float)strlen("")); }\n'
    with leftovers.scratch() as folder:
        line = [compiler, "-x", language, "-", "-o", str(folder / "program"), *flags]
        return subprocess.run(line, input=source, capture_output=True, check=False).returncode == 0


def run(command: Sequence[str], given: bytes | None = None) -> bytes:
    """What a command writes to stdout; ConversionError: it failed."""
    done = subprocess.run(command, input=given, capture_output=True, check=False)
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        wrong = [line for line in lines if "error" in line] or lines or [f"exit code {done.returncode}"]
        raise ConversionError(f"{Path(command[0]).name} failed on the C files: {wrong[0][:300]}")
    return done.stdout


def _printed(command: Sequence[str]) -> str:
    return run(command).decode("utf-8", "replace")
