"""The firmware project in QEMU, which counts its instructions: what cycles are divided by."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from eeaug.errors import ConversionError
from eeaug.export.c import emulated, toolchain
from eeaug.export.measure.firmware import TimedPart

__all__ = ["instructions", "printed"]

MAIN = ("-DMEASURE_RUNS=1", "-w")


def printed(texts: Mapping[str, str], part: TimedPart, cpu: str, place: Path) -> str:
    """What the project prints on an emulated board with this core; built in ``place``.

    Raises
    ------
    ConversionError : compiler or emulator are not here, or the program does not fit onto the board
    """
    compiler = toolchain.arm()
    if compiler is None:
        raise ConversionError(f"{toolchain.ARM} with its C library is not on this machine")
    emulated.board(cpu)
    for name, text in texts.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    build = place / "build"
    build.mkdir(exist_ok=True)
    flags = (*MAIN, f"-DMEASURE_FUNCTION={part.function}")
    objects = toolchain.compiled(compiler, toolchain.sources(place), place, cpu, build, flags)
    return emulated.run(compiler, cpu, objects, build)


def instructions(texts: Mapping[str, str], part: TimedPart, cpu: str, place: Path) -> float:
    """Of all stages of a processor together. ConversionError: as :func:`printed`."""
    ticks = re.findall(r",all,stage,(\d+),", printed(texts, part, cpu, place))
    if len(ticks) != len(part.stages):
        raise ConversionError(f"{emulated.QEMU} printed {len(ticks)} of {len(part.stages)} stages")
    return sum(map(int, ticks)) * 1000 / emulated.board(cpu).mhz
