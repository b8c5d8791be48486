"""What the C files of a bundle take on the processors that they are for: bytes when linked, instructions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from eeaug.bundle.entries import CProcessor
from eeaug.errors import ConversionError
from eeaug.export.c import counted, toolchain
from eeaug.export.c.counted import CFiles, Counted
from eeaug.export.formats import Work

__all__ = ["figures"]


def figures(
    work: Work, planned: Sequence[CProcessor], folder: Path, place: Path, given: Sequence[NDArray[Any]],
    number: str = "float",
) -> dict[str, Any]:  # fmt: skip
    """What every processor's part of the cascade takes, and the given model where it runs for comparison.

    Measured and counted where compiler and emulator are here.

    Parameters
    ----------
    given : per stage what it is given of one sample, as it lies in C
    number : the type of its elements in C
    """
    files = CFiles(folder, work.manifest, planned, number, given)
    entries = []
    for i, processor in enumerate(planned):
        entry: dict[str, Any] = {
            "processor": processor.name,
            "arena_bytes": processor.arena_bytes,
            "weights_bytes": processor.weights_bytes,
            "handover_bytes": files.handed_bytes(i),
            "cpu": work.hardware.processor(processor.name).cpu,
            "not_measured": None,
            "measured": None,
            "not_counted": None,
            "counted": None,
        }
        try:
            cpu, compiler = _core(work, processor.name)
            known = counted.of_processor(files, i, compiler, cpu, _for_core(place, cpu), work.counts)
            entry |= _measured(known, processor, compiler)
        except ConversionError as error:
            entry |= {"not_measured": str(error), "not_counted": str(error)}
        entries.append(entry)
    return {"processors": entries, "baseline": _baseline(work, files, place)}


def _core(work: Work, name: str) -> tuple[str, str]:
    """A processor's core and the compiler for it. ConversionError: one of them is not known."""
    compiler, cpu = toolchain.arm(), work.hardware.processor(name).cpu
    if cpu is None:
        raise ConversionError(f"the hardware description names no cpu for {name}")
    if compiler is None:
        raise ConversionError(f"{toolchain.ARM} with its C library is not on this machine")
    return cpu, compiler


def _for_core(place: Path, cpu: str) -> Path:
    """Where objects for a core are."""
    folder = place / cpu
    folder.mkdir(exist_ok=True)
    return folder


def _measured(known: Counted, processor: CProcessor, compiler: str) -> dict[str, Any]:
    size = known.size
    measured = {
        "compiler": toolchain.version(compiler), "text_bytes": size.text, "data_bytes": size.data,
        "bss_bytes": size.bss, "stack_bytes": size.stack, "flash_bytes": size.flash, "ram_bytes": size.ram,
    }  # fmt: skip
    stages = [
        {
            "stage": k,
            "instructions": network,
            "head_instructions": head,
            "decision_instructions": decision,
        }
        for k, (network, head, decision) in zip(processor.stages, known.instructions, strict=False)
    ]
    return {"measured": measured, "counted": stages or None, "not_counted": known.refused}


def _baseline(work: Work, files: CFiles, place: Path) -> dict[str, Any] | None:
    """Instructions of the given model on the processor that it runs on for comparison; None: not asked for."""
    if work.baseline is None:
        return None
    instructions, why = None, None
    try:
        cpu, compiler = _core(work, work.baseline)
        written_for = [work.hardware.processor(stage.processor).cpu for stage in work.manifest.stages]
        scalar = any(core is not None and not toolchain.has_vectors(core) for core in written_for)
        if files.number == "int8_t" and scalar and toolchain.has_vectors(cpu):
            raise ConversionError(f"stages were written for cores without the vector unit of {cpu}")
        instructions = counted.whole(files, compiler, cpu, _for_core(place, cpu), work.counts)
    except ConversionError as error:
        why = str(error)
    return {"processor": work.baseline, "instructions": instructions, "not_counted": why}
