"""Programs for Cortex-M cores on boards that QEMU emulates, where instructions are counted exactly.

With ``-icount shift=0`` an instruction is a nanosecond of virtual time, and the core's SysTick counts the board's
clock in it: a tick is 1000 / MHz instructions.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from eeaug.errors import ConversionError
from eeaug.export.c import toolchain
from eeaug.export.c.text import filled

__all__ = ["BOARDS", "QEMU", "Board", "board", "instructions", "make", "run", "version"]

QEMU = "qemu-system-arm"
LIMIT_S = 900.0  # a program that runs longer hangs


@dataclass(frozen=True)
class Board:
    """A board of QEMU, the linker's script for it, and the clock of its SysTick in MHz.

    ``flash``, ``ram``: bytes that programs may take of it.
    """

    machine: str
    script: str
    mhz: int
    flash: int = 4 << 20
    ram: int = 4 << 20


_M3 = Board("mps2-an385", "mps2", 25)
_M33 = Board("mps2-an505", "mps2-an505", 20)
# by core, without what +nofp leaves out; one that is on no board of QEMU runs where all its instructions are known
BOARDS: Mapping[str, Board] = {
    "cortex-m0": _M3,
    "cortex-m0plus": _M3,
    "cortex-m1": _M3,
    "cortex-m3": _M3,
    "cortex-m4": Board("mps2-an386", "mps2", 25),
    "cortex-m7": Board("mps2-an500", "mps2-an500", 25),
    "cortex-m23": _M33,
    "cortex-m33": _M33,
    "cortex-m55": Board("mps3-an547", "mps3-an547", 32),
}


def board(cpu: str) -> Board:
    """The board for a core, named as ``arm-none-eabi-gcc -mcpu`` does.

    Raises
    ------
    ConversionError : QEMU is not on this machine, or is one without such a board
    """
    if shutil.which(QEMU) is None:
        raise ConversionError(f"{QEMU} is not on this machine")
    wanted = BOARDS[cpu.split("+")[0]]
    if wanted.machine not in _machines():
        raise ConversionError(f"{QEMU} on this machine has no {wanted.machine}, the board for {cpu}")
    return wanted


def make(folder: str) -> str:
    """Lines of a Makefile: MACHINE and LAYOUT, the linker's script in ``folder``, of $(CPU)."""
    usual = BOARDS["cortex-m4"]
    others = {cpu: each.machine for cpu, each in BOARDS.items() if each != usual}
    laid_out = " ".join(sorted({each.script for each in BOARDS.values() if each.script == each.machine}))
    return "\n".join(
        [
            *(f"MACHINE_{cpu} = {machine}" for cpu, machine in others.items()),
            f"MACHINE = $(or $(MACHINE_$(firstword $(subst +, ,$(CPU)))),{usual.machine})",
            f"LAYOUT = {folder}/$(if $(filter {laid_out},$(MACHINE)),$(MACHINE),{usual.script}).ld",
        ]
    )


@cache
def version() -> str:
    """The first line that QEMU prints of itself."""
    return toolchain.version(QEMU)


def run(compiler: str, cpu: str, objects: Sequence[Path], place: Path) -> str:
    """What a program of ``objects``, compiled for ``cpu``, prints; it is linked in ``place``.

    Raises
    ------
    ConversionError : it does not fit onto the board, or does not end
    """
    on = board(cpu)
    for name in ("startup.c", f"{on.script}.ld"):
        (place / name).write_text(filled(f"mps2/{name}"), encoding="utf-8")
    target = toolchain.target(cpu)
    link = ("--specs=rdimon.specs", "-nostartfiles", "-Wl,--gc-sections", "-T", str(place / f"{on.script}.ld"))
    binary = place / "counted.elf"
    files = [str(place / "startup.c"), *map(str, objects)]
    toolchain.run([compiler, "-O2", "-std=c99", "-w", *target, *link, "-o", str(binary), *files, "-lm"])
    line = [QEMU, "-M", on.machine, "-nographic", "-semihosting", "-icount", "shift=0", "-kernel", str(binary)]
    try:
        done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    except subprocess.TimeoutExpired as error:
        raise ConversionError(f"{QEMU} did not end in {LIMIT_S:.0f} s") from error
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
        raise ConversionError(f"{QEMU} failed: {lines[-1][:300]}")
    return done.stdout


def instructions(printed: str, cpu: str, count: int) -> list[int]:
    """Of lines ``slot <n> <ticks>``, for ``count`` slots from 0."""
    ticks = {int(slot): int(number) for slot, number in re.findall(r"^slot (\d+) (\d+)", printed, re.M)}
    if len(ticks) != count:
        raise ConversionError(f"{QEMU} printed {len(ticks)} of {count} counts")
    return [round(ticks[slot] * 1000 / BOARDS[cpu.split("+")[0]].mhz) for slot in range(count)]


@cache
def _machines() -> frozenset[str]:
    done = subprocess.run([QEMU, "-M", "help"], capture_output=True, text=True, check=False)
    return frozenset(line.split()[0] for line in done.stdout.splitlines() if line.strip())
