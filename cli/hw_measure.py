"""``eeaug hw measure``: what times a bundle on its board, and what the board's output means."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eeaug import hardware
from eeaug.cli import out, shared, show
from eeaug.errors import ConversionError, InputError
from eeaug.support import leftovers, outputs
from eeaug.support.outputs import Output
from eeaug.support.progress import Progress, parts

if TYPE_CHECKING:
    from eeaug.bundle.manifest import Bundle
    from eeaug.export.measure.rates import TimedWork
    from eeaug.hardware import Hardware

__all__ = ["measure"]

FORMATS = ("c-int8", "c", "onnx", "tflite", "tflite-int8")
RUNTIMES = {"onnx": "ONNX Runtime", "tflite": "LiteRT, float", "tflite-int8": "LiteRT, int8"}


@click.command()
@click.argument("directory", metavar="DIR", type=shared.Place())
@click.option(
    "-o", "output", type=shared.Place(), required=True, metavar="PATH",
    help="The folder that the project goes to; with --read, the file of the description.",
)  # fmt: skip
@click.option(
    "--format", "kind", type=click.Choice(FORMATS),
    help="The files of DIR to time. Default: c-int8 if DIR has it, else c, else onnx.",
)  # fmt: skip
@click.option(
    "--read", "readings", multiple=True, type=shared.Place(dir_okay=False), metavar="FILE.csv",
    help="What a board has printed; may be given once for each processor.",
)  # fmt: skip
@click.option(
    "--hw", "base", metavar="NAME|FILE", help="With --read: the description to put it into; default: DIR's."
)
@click.option("--name", metavar="NAME", help="With --read: what reports call it; default: the old name and -timed.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
@shared.option("--manifest-sha256")
@click.option("--json", "as_json", is_flag=True, help="Print what was written, with --read the rates, as JSON.")
@shared.option("--quiet")
def measure(
    directory: Path, output: Path, kind: str | None, readings: tuple[Path, ...], base: str | None, name: str | None,
    force: bool, manifest_sha256: str | None, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Time the bundle in DIR on its board: write a project that does it, or read what the board has printed.

    Without --read a project goes to -o. For c-int8 and c it is C for the board's firmware: the files of the bundle
    with a call behind every layer, the cycle counter of the core, and a line of CSV for each layer and stage,
    printed by a UART or by semihosting; its README says how. For onnx, tflite and tflite-int8 it is a Python file
    that needs NumPy and the runtime alone, for Linux.

    With --read a hardware description goes to -o: rates and overheads are what the layers took, and cycles per
    instruction where compiler and emulator are here to count these. Processors that were not timed stay as they
    were.

    \b
    Examples:
      eeaug hw measure model-eeaug -o firmware
      eeaug hw measure model-eeaug --read cm0p.csv --read cm4f.csv -o board.yaml
      eeaug hw measure model-eeaug --format onnx -o timing
    """
    if not readings and (base is not None or name is not None):
        raise click.UsageError(
            f"{'--hw' if base is not None else '--name'} says where readings go: give --read, too"
        )
    from eeaug.bundle import manifest

    bundle = manifest.read(directory, manifest_sha256)
    kind = kind or next(k for k in FORMATS if _has(bundle, k))
    if readings:
        with show.observer(quiet=quiet, verbose=False, brief=True) as observer:
            new, old, timed = _read(bundle, kind, readings, base, name, output, force, Progress(observer))
        _show(old, new, timed, output, as_json=as_json)
    else:
        files, then = _write(bundle, kind, output, force)
        if as_json:
            out.json({"format": kind, "output": str(output), "files": files})
        else:
            out.say(f"{len(files)} files that time the {kind} files of {bundle.directory} are in {output}: {then}")


def _has(bundle: Bundle, kind: str) -> bool:
    return all(kind in stage.files for stage in bundle.entries.stages)


def _description(bundle: Bundle) -> Hardware:
    return hardware.read(str(bundle.file("hardware.yaml")))


def _write(bundle: Bundle, kind: str, output: Path, force: bool) -> tuple[list[str], str]:
    """The files that were written, and what to do with them."""
    from eeaug.export.measure import firmware, python_file

    if kind in python_file.FORMATS:
        files = python_file.project(bundle, kind)
        then = "run measure.py on the target"
    else:
        texts = firmware.project(bundle, kind, _description(bundle))
        files = {path: text.encode() for path, text in texts.items()}
        then = "README.md says how to build it for the board"
    _check_folder(output, bundle, force)
    if output.is_dir() and any(output.iterdir()):
        _fill(output, files)
    else:  # whole, or not at all
        place = output.resolve()
        partial = leftovers.hidden(place, "partial")
        try:
            partial.mkdir()
            with leftovers.hold(partial):
                _fill(partial, files)
                partial.replace(place)
        finally:
            leftovers.remove(partial)
    return list(files), then


def _fill(folder: Path, files: Mapping[str, bytes]) -> None:
    for path, content in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        Output(place, force=True).write(content)


def _check_folder(output: Path, bundle: Bundle, force: bool) -> None:
    """Refuse a place where nothing may be written, before anything is."""
    given = f"-o {output}"
    if outputs.is_bundle(output) or outputs.bundle_around(output / "file") is not None:
        raise InputError(f"{given} lies in the bundle {bundle.directory}: name another place")
    if output.exists() and not output.is_dir():
        raise InputError(f"{given} exists and is not a directory; name another place")
    if not output.parent.is_dir():
        raise InputError(f"{given}: the directory {output.parent} does not exist")
    if output.is_dir() and any(output.iterdir()) and not force:
        raise InputError(
            f"{given} holds files; --force replaces those of the same names, -o DIR names another place"
        )


def _read(
    bundle: Bundle,
    kind: str,
    readings: Sequence[Path],
    base: str | None,
    name: str | None,
    output: Path,
    force: bool,
    progress: Progress,
) -> tuple[Hardware, Hardware, list[str]]:
    """The new description and the old one, and the processors that were timed."""
    from eeaug.export.measure import firmware, rates
    from eeaug.export.measure import readings as lines

    read_files: dict[str, Path | str | None] = {f"a reading ({path.name})": path for path in readings}
    to = Output(output, force, {**read_files, "the hardware description": base})
    to.check()
    old = _description(bundle) if base is None else hardware.read(base)
    works, wanted = _works(bundle, kind)
    timed = lines.read(readings, firmware.identity(bundle, kind), wanted)
    by_core = kind in firmware.FORMATS
    if by_core:
        with progress.step("count"):
            works = _counted(bundle, kind, old, works, [reading.processor for reading in timed])
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in readings)).hexdigest()[:12]
    source = (
        f"timed by eeaug hw measure: {kind} files of {bundle.directory.absolute().name} (CSV: sha256 {digest}…)"
    )
    new = rates.described(
        old, timed, works, name=name or f"{old.name}-timed", source=source, by_core=by_core,
        runtime=RUNTIMES.get(kind, f"eeaug's {kind}"),
    )  # fmt: skip
    to.write(hardware.dump(new).encode())
    return new, old, [reading.processor for reading in timed]


def _works(bundle: Bundle, kind: str) -> tuple[dict[str, TimedWork], dict[str, list[Any]]]:
    """What every processor runs, and the lines that it prints."""
    from eeaug.export.measure import firmware, python_file
    from eeaug.export.measure.rates import TimedWork

    stages = bundle.entries.stages
    if kind in python_file.FORMATS:
        numbers = python_file.stages(bundle, kind)
        works = {p: TimedWork({k: stages[k].macs for k in mine}, {}) for p, mine in numbers.items()}
        return works, {p: [(k, -1, "stage") for k in mine] for p, mine in numbers.items()}
    timed = {part.processor.name: part for part in firmware.timed(bundle, kind)}
    works = {p: TimedWork({k: stages[k].macs for k in part.stages}, part.layers) for p, part in timed.items()}
    return works, {p: part.lines for p, part in timed.items()}


def _counted(
    bundle: Bundle, kind: str, old: Hardware, works: Mapping[str, TimedWork], names: Sequence[str]
) -> dict[str, TimedWork]:
    """With instructions of the processors that were timed; says of which there are none, and why."""
    from eeaug.export.measure import emulation, firmware

    texts = firmware.project(bundle, kind, old)
    counted = dict(works)
    for part in parts([part for part in firmware.timed(bundle, kind) if part.processor.name in names]):
        name = part.processor.name
        try:
            cpu = old.processor(name).cpu
            if cpu is None:
                raise ConversionError(f"the hardware description names no cpu for {name}")
            with leftovers.scratch() as place:
                counted[name] = replace(works[name], instructions=emulation.instructions(texts, part, cpu, place))
        except ConversionError as error:
            out.say(f"warning: no cycles per instruction of {name}: {error}", err=True)
    return counted


def _show(old: Hardware, new: Hardware, names: Sequence[str], output: Path, *, as_json: bool) -> None:
    timed: dict[str, Any] = {}
    for name in names:
        before, after = old.processor(name), new.processor(name)
        kinds = [(kind, after.rates_macs_per_s[kind]) for kind in ("default", *hardware.KINDS)]
        told = ", ".join(f"{kind} {rate / 1e6:.4g}" for kind, rate in kinds if rate is not None)
        cycles = after.cycles_per_instruction
        more = "" if cycles is None else f"; {cycles:.3g} cycles per instruction"
        timed[name] = {
            "rates_macs_per_s": {kind: rate for kind, rate in kinds if rate is not None},
            "cycles_per_instruction": cycles,
            "clock_hz": after.clock_hz,
        }
        if not as_json:
            out.say(f"{name}: millions of MACs per second: {told}{more}")
        if before.clock_hz is not None and after.clock_hz is not None and before.clock_hz != after.clock_hz:
            clocks = (
                f"{name} ran at {after.clock_hz / 1e6:g} MHz, the description said {before.clock_hz / 1e6:g} MHz"
            )
            lost = [] if after.active_power_w or not before.active_power_w else ["its power there is not known"]
            lost += ["operating points are left out"] if before.operating_points != after.operating_points else []
            out.say(f"warning: {': '.join([clocks, *[' and '.join(lost)] * bool(lost)])}", err=True)
    for processor in new.processors:
        if processor.name not in names:
            out.say(f"warning: {processor.name} was not timed: it stays as it was", err=True)
    if as_json:
        out.json({"name": new.name, "output": str(output), "processors": timed})
    else:
        out.say(f"{new.name} is in {output}")
