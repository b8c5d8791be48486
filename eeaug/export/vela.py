"""``--format vela``: the int8 stages of processors with an Ethos-U, compiled for it by Arm's Vela.

What the NPU can do becomes one operator that only its driver understands, so nothing here can run these files.
What is verified are its ends, which must be those of the int8 file. Cycles and bytes are Vela's own estimates, for
a memory system of its configuration file at the processor's clock.
"""

from __future__ import annotations

import csv
import subprocess
import sys
from configparser import ConfigParser
from importlib import metadata, resources
from pathlib import Path

from eeaug.bundle.device_entries import VelaStage
from eeaug.bundle.entries import Added, StageEntry
from eeaug.errors import ConversionError
from eeaug.export.formats import Checked, Work
from eeaug.export.int8 import int8_cascade
from eeaug.export.verify import Reference
from eeaug.frameworks import tflite_graph
from eeaug.hardware import Hardware, Processor, mode_of
from eeaug.settings import Contradiction
from eeaug.support import leftovers

__all__ = ["NPU", "PACKAGE", "check", "compiled", "ends", "on_cpu", "refuse", "write"]

PACKAGE = "ethos-u-vela"
FILE = "model.vela.tflite"
NPU = "CUSTOM"  # the operator that stands for all that runs on the NPU
# Of Vela's configuration file: what an NPU of this kind reads and writes, beside its clock.
SYSTEMS = {
    "ethos-u55": "Ethos_U55_High_End_Embedded",
    "ethos-u65": "Ethos_U65_Embedded",
    "ethos-u85": "Ethos_U85_SYS_Flash_High",
}
SHARED, ALONE = "Shared_Sram", "Sram_Only"  # weights in flash, or in the SRAM with all else
KIBIBYTE = 1024


def refuse(target: Hardware) -> None:
    """Raises Contradiction where no processor of the target has such an NPU."""
    if all(p.accelerator is None for p in target.processors):
        raise Contradiction(
            "{formats}: no processor of {0} has an `accelerator`, such as ethos-u55-128", target.name,
            formats="vela",
        )  # fmt: skip


def write(work: Work) -> Added:
    """Write the compiled stages; what Vela says of them is ``vela`` of the manifest's stages.

    Raises
    ------
    ConversionError : Vela refuses a stage
    """
    files: list[str | None] = []
    entries: list[dict[str, VelaStage]] = []
    for entry in work.manifest.stages:
        processor = mode_of(work.hardware, entry.processor, entry.choices).processor
        if processor.accelerator is None:
            files.append(None)
            entries.append({})
            continue
        content, facts = compiled(work.hardware, processor, _int8(work, entry), entry.name)
        path = f"stages/{entry.name}/{FILE}"
        (work.directory / path).write_bytes(content)
        files.append(path)
        entries.append({"vela": facts})
    return Added(files, entries, versions={PACKAGE: metadata.version(PACKAGE)})


def check(work: Work, reference: Reference) -> Checked:
    """Compare the ends of the written files with those of the int8 files; nothing here can run them.

    Raises
    ------
    ConversionError : a file takes or gives another tensor
    """
    for entry in work.manifest.stages:
        if entry.vela is None:
            continue
        content = (work.directory / entry.files["vela"]).read_bytes()
        written, given = ends(content), ends(_int8(work, entry))
        if written != given:
            raise ConversionError(
                f"stage {entry.name}: Vela's file takes and gives {written}, the int8 file {given}; nothing was "
                "written"
            )
    return Checked(None, None, samples=0)


def compiled(
    hardware: Hardware, processor: Processor, content: bytes, stage: str
) -> tuple[bytes, VelaStage]:  # fmt: skip
    """An int8 file as Vela compiles it for the NPU of a processor, and what it says of it.

    Raises
    ------
    ConversionError : Vela ends with an error
    """
    assert processor.accelerator is not None
    system, mode = _system(processor), ALONE if processor.ram == processor.flash else SHARED
    with leftovers.scratch() as folder:
        given = folder / "stage.tflite"
        given.write_bytes(content)
        (folder / "system.ini").write_text(_configuration(system, mode, processor.clock_hz), encoding="utf-8")
        line = [
            sys.executable, "-m", "ethosu.vela", str(given), "--output-dir", str(folder),
            "--accelerator-config", processor.accelerator, "--config", str(folder / "system.ini"),
            "--system-config", system, "--memory-mode", mode,
            "--arena-cache-size", str(hardware.memory(processor.ram).bytes),
        ]  # fmt: skip
        done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            said = [*done.stderr.strip().splitlines(), *done.stdout.strip().splitlines()]
            raise ConversionError(f"stage {stage}: Vela refused it: {(said or ['no reason'])[-1][:300]}")
        made = (folder / "stage_vela.tflite").read_bytes()
        facts = _facts(folder / f"stage_summary_{system}.csv", processor.accelerator, on_cpu(made))
    return made, facts


def on_cpu(content: bytes) -> tuple[str, ...]:
    """Kinds of the operators that Vela left to the processor, sorted."""
    return tuple(sorted({operator.kind for operator in tflite_graph.read(content).operators} - {NPU}))


def ends(content: bytes) -> dict[str, tuple[tuple[int, ...], str, tuple[float, ...], tuple[int, ...]]]:
    """Shape, type, scales and zero points of all that a file takes and gives, by the names in its signature."""
    graph = tflite_graph.read(content)
    named = {
        f"{way} {name}": i for way, of in (("in", graph.inputs), ("out", graph.outputs)) for name, i in of.items()
    }
    tensors = {name: graph.tensors[i] for name, i in named.items()}
    return {name: (t.shape, t.type, t.scales, t.zero_points) for name, t in tensors.items()}


def _int8(work: Work, entry: StageEntry) -> bytes:
    return (work.directory / entry.files[int8_cascade.FORMAT]).read_bytes()


def _system(processor: Processor) -> str:
    return SYSTEMS[str(processor.accelerator).rpartition("-")[0]]


def _configuration(system: str, mode: str, clock_hz: float | None) -> str:
    """The two sections of Vela's own configuration file, with this clock where one is known."""
    shipped = ConfigParser()
    shipped.optionxform = str  # type: ignore[assignment, method-assign]  # names in upper and lower case
    shipped.read_string(
        (resources.files("ethosu") / "config_files" / "Arm" / "vela.ini").read_text(encoding="utf-8")
    )
    clock = {} if clock_hz is None else {"core_clock": repr(clock_hz)}
    sections: dict[str, dict[str, str]] = {f"System_Config.{system}": clock, f"Memory_Mode.{mode}": {}}
    return "\n".join(
        line
        for name, changed in sections.items()
        for line in (f"[{name}]", *(f"{key}={value}" for key, value in {**shipped[name], **changed}.items()), "")
    )


def _facts(summary: Path, accelerator: str, left: tuple[str, ...]) -> VelaStage:
    with summary.open(encoding="utf-8", newline="") as lines:
        (row,) = csv.DictReader(lines)
    storage = sum(float(row[f"{place}_memory_used"]) for place in ("on_chip_flash", "off_chip_flash", "dram"))
    return VelaStage(
        accelerator=accelerator,
        system=row["system_config"],
        memory_mode=row["memory_mode"],
        clock_hz=float(row["core_clock"]),
        cycles=round(float(row["cycles_total"])),
        sram_bytes=round(float(row["sram_memory_used"]) * KIBIBYTE),
        storage_bytes=round(storage * KIBIBYTE),
        on_cpu=left,
    )
