#!/usr/bin/env python3
"""Instructions, flash and RAM of the C files on Cortex-M cores, counted without a board.

    python benchmarks/c_code.py --data-dir DIR [--model NAME ...] [--core CPU ...] [--rows FILE] [--into docs/c.md]

DIR holds `models/`, and `mlperf_tiny_results.json` (published latencies) if these are to be shown. Every model is
written whole, without exits, by `--format c-int8` and, on cores with a unit for floats, `--format c`, compiled by
`arm-none-eabi-gcc -O2` and run in QEMU: with `-icount shift=0` virtual time is instructions, so the core's
SysTick counts them, always the same (its clock is the board's; a tick is 1000 / MHz of them). Flash and RAM are
those of a program that only calls the cascade: text and data; data, bss (arena, input, context) and the stack of
its own functions. The shares are of weights, and of arena and input; weights are those with biases, factors and
tables, in int8 with multipliers and shifts of 32 bits, however they are packed. Ranges of the int8 models are from
noise: instructions depend on shapes. "By the table" is how far off eeaug's table of kernels is, which the search
goes by (kernel_table.py). Where the package `bakenn` is here (with `tflite` and `flatbuffers`), its C with kernels
of CMSIS-NN stands beside, for as much of a model as it takes: up to the last average.

FILE keeps rows, so that an interrupted run goes on; one of another version is refused.
Published results are cycles: milliseconds times the clock of the board. The fastest of each core is shown.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import instructions
import numpy as np

import eeaug
from eeaug import hardware
from eeaug.backbone import keras_files, model
from eeaug.bundle.entries import CProcessor, Manifest, OperatingPoint
from eeaug.data.preprocessing import Preprocessing
from eeaug.errors import ConversionError, EeaugError
from eeaug.export import formats, keras_onnx, names
from eeaug.export.c import cascade_source, common_files, emulated, toolchain
from eeaug.export.c.text import filled, point
from eeaug.export.formats import Work
from eeaug.frameworks import tflite_file
from eeaug.hardware import kernels as hardware_kernels
from eeaug.network import graph, times
from eeaug.stages import partition

MODELS = {
    "ResNet-8": ("resnet8_cifar10.h5", "ic"),
    "DS-CNN": ("dscnn_kws.h5", "kws"),
    "MobileNetV1": ("mobilenetv1_vww.h5", "vww"),
    "ECG": ("ecg_kachuee_fcn.h5", None),
}


CORES = ("cortex-m0plus", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55")
SAMPLES = 8  # of noise
UNPACKED = "cortex-m55"  # the files for it have shifts of 32 bits
BAKENN_ARENA = 200_000  # bytes: enough for all
COUNT = """
#include <stdint.h>
#include <stdio.h>
#include "@{prefix}.h"
#define CONTROL (*(volatile uint32_t *)0xE000E010)
#define RELOAD (*(volatile uint32_t *)0xE000E014)
#define CURRENT (*(volatile uint32_t *)0xE000E018)
static @{number} sample[@{PREFIX}_INPUT];
int main(void)
{
    @{prefix}_result result;
    for (int i = 0; i < @{PREFIX}_INPUT; ++i) {
        sample[i] = (@{number})(i % 199 - 99);
    }
    (void)@{function}(sample, @{default_point}, &result);
    RELOAD = 0xFFFFFF;
    CURRENT = 0;
    CONTROL = 5;
    const uint32_t before = CURRENT;
    (void)@{function}(sample, @{default_point}, &result);
    const uint32_t after = CURRENT;
    printf("ticks %lu\\n", (unsigned long)((before - after) & 0xFFFFFFu));
    return 0;
}
"""
BAKENN = """
#include <stdint.h>
#include <stdio.h>
#include "bknn_net.h"
#define CONTROL (*(volatile uint32_t *)0xE000E010)
#define RELOAD (*(volatile uint32_t *)0xE000E014)
#define CURRENT (*(volatile uint32_t *)0xE000E018)
static int8_t input[BKNN_NET_INPUT_BYTES], output[BKNN_NET_OUTPUT_BYTES];
static uint8_t arena[@{arena}] __attribute__((aligned(16)));
int main(void)
{
    RELOAD = 0xFFFFFF;
    CURRENT = 0;
    CONTROL = 5;
    const uint32_t before = CURRENT;
    (void)bknn_net_infer(arena, input, output);
    const uint32_t after = CURRENT;
    printf("ticks %lu\\n", (unsigned long)((before - after) & 0xFFFFFFu));
    return 0;
}
"""


@dataclass(frozen=True)
class Row:
    """What a model takes as a format on a core; bytes, instructions in millions."""

    format: str
    model: str
    core: str
    macs: int
    millions: float
    flash: int | None = None
    weights: int | None = None
    ram: int | None = None
    tensors: int | None = None  # arena and input
    by_table: float | None = None  # millions of instructions that the search takes it for


def whole(directory: Path, path: Path, kinds: Sequence[str]) -> Work:
    """The model as a bundle of one stage, without exits, for one processor."""
    classifier = model.load(path)
    target = hardware.read("psoc6")
    processor = replace(target.processors[0], name="core")
    target = replace(target, processors=(processor,), links=())
    macs = sum(block.total_macs for block in graph.blocks(classifier))
    stages = partition.stages(classifier, [], [], [(processor.name, 1)], [macs])
    decision = classifier.decision
    x = np.random.default_rng(0).random((SAMPLES, *classifier.input_shape), dtype=np.float32)
    manifest = Manifest(
        classes=tuple(str(k) for k in range(decision.classes)),
        decision=decision,
        preprocessing=Preprocessing(),
        stages=tuple(keras_onnx.entry(stage, decision.metric) for stage in stages),
        operating_points=(OperatingPoint("default", ()),),
        settings={"formats": [*kinds, "c-int8"], "c_prefix": "net"},
        inputs=({"name": path.name},),
    )
    work = Work(directory, manifest, classifier, stages, target, x, 1, x)
    for stage in stages:
        (directory / "stages" / stage.name).mkdir(parents=True)
        keras_onnx.write_onnx(stage, partition.stage_graph(classifier, stage), directory)
    for name, kind in formats.named(kinds).items():
        work = work.adding(name, kind.write(work))
    return work


def on_core(work: Work, cpu: str) -> Work:
    """The same with int8 C for this core, instead of that for another one."""
    (processor,) = work.hardware.processors
    work = replace(work, hardware=replace(work.hardware, processors=(replace(processor, cpu=cpu),)))
    shutil.rmtree(work.directory / "c-int8", ignore_errors=True)
    return work.adding("c-int8", formats.FORMATS["c-int8"].write(work))


def counted(sources: Sequence[Path], includes: Sequence[str], program: str, cpu: str, place: Path) -> float:
    """Millions of instructions, by a program that prints ticks of SysTick."""
    board = emulated.board(cpu)
    (place / "count.c").write_text(program, encoding="utf-8")
    for name in ("startup.c", f"{board.script}.ld"):
        (place / name).write_text(filled(f"mps2/{name}"), encoding="utf-8")
    target = toolchain.target(cpu)
    link = ["--specs=rdimon.specs", "-nostartfiles", "-Wl,--gc-sections", "-T", f"{board.script}.ld"]
    sections = ["-ffunction-sections", "-fdata-sections"]
    files = [str(path) for path in sources]
    line = [toolchain.ARM, "-O2", "-std=c99", "-w", *target, *sections, *includes, *link, "-o", "count.elf"]
    subprocess.run([*line, "count.c", "startup.c", *files, "-lm"], cwd=place, check=True)
    line = [emulated.QEMU, "-M", board.machine, "-nographic", "-semihosting", "-icount", "shift=0"]
    done = subprocess.run([*line, "-kernel", "count.elf"], cwd=place, check=True, capture_output=True, text=True)
    return int(done.stdout.split("ticks ")[1]) / board.mhz / 1000


def planned(work: Work, kind: str) -> CProcessor:
    """What the one processor runs."""
    (processor,) = (work.manifest.c if kind == "c" else work.manifest.c_int8) or ()
    return processor


def counting(work: Work, kind: str, folder: Path) -> tuple[str, list[str]]:
    """A program that counts the C files in ``folder``, and where headers are."""
    prefix = names.prefix(work.manifest)
    known = {
        "prefix": prefix, "PREFIX": prefix.upper(), "number": "float" if kind == "c" else "int8_t",
        "function": planned(work, kind).function, "default_point": point("default", prefix),
    }  # fmt: skip
    program = COUNT
    for word, value in known.items():
        program = program.replace(f"@{{{word}}}", value)
    return program, [f"-I{path}" for path in (folder, *sorted(folder.glob("third_party/*/Include")))]


def ours(work: Work, kind: str, name: str, cpu: str, weights: int | None, place: Path) -> Row:
    """``weights``: bytes of them; None: as the manifest has them."""
    folder, processor = work.directory / kind, planned(work, kind)
    number, width = ("float", 4) if kind == "c" else ("int8_t", 1)
    prefix = names.prefix(work.manifest)
    program, includes = counting(work, kind, folder)
    millions = counted(sorted(folder.glob("*.c")), includes, program, cpu, place)
    alone = cascade_source.alone(common_files.stems_of(work, [processor]), 0, prefix, number)
    size = toolchain.measured(toolchain.ARM, folder, processor.function, alone, cpu, place)
    (stage,) = work.manifest.stages
    inputs = width * int(np.prod(stage.input_shape))
    return Row(
        kind, name, cpu, stage.macs, millions, size.flash, weights or processor.weights_bytes, size.ram,
        processor.arena_bytes + inputs, by_table(work, kind, cpu),
    )  # fmt: skip


def by_table(work: Work, kind: str, cpu: str) -> float | None:
    """Millions of instructions by the table of kernels; None: it lacks a kernel."""
    parts = [block.kernels for block in graph.blocks(work.classifier)]
    (processor,) = work.hardware.processors
    if not times.basis(replace(processor, cpu=cpu), kind, parts).counted:
        return None
    return sum(hardware_kernels.instructions(kind, cpu, c) or 0 for part in parts for c in part[kind].calls) / 1e6


def bakenns(work: Work, name: str, cpu: str, place: Path) -> Row:
    """As much of the model as bakenn takes."""
    import bakenn  # type: ignore[import-not-found]

    (stage,) = work.manifest.stages
    content = (work.directory / stage.files["tflite-int8"]).read_bytes()
    (place / "body.tflite").write_bytes(tflite_file.up_to(content, {"FULLY_CONNECTED", "RESHAPE", "SOFTMAX"}))
    options = bakenn.CBackendOptions(
        kernel_policy=bakenn.KernelPolicy.STATIC_PRIORITY, enable_cmsis_nn=True, target=bakenn.CORTEX_M4
    )
    folder = place / "bakenn"
    bakenn.compile_tflite(str(place / "body.tflite"), str(folder), name="net", backend_options=options)
    program = BAKENN.replace("@{arena}", str(BAKENN_ARENA))
    sources = [*folder.glob("*.c"), *folder.glob("third_party/**/*.c")]
    includes = [f"-I{path}" for path in (folder, *folder.glob("third_party/*/Include"))]
    return Row("bakenn", name, cpu, stage.macs, counted(sources, includes, program, cpu, place))


def published(path: Path) -> dict[tuple[str, str], tuple[float, str]]:
    """(core, task) → the least millions of cycles, and whose they are."""
    best: dict[tuple[str, str], tuple[float, str]] = {}
    if not path.exists():
        return best
    for run in instructions.runs(json.loads(path.read_text())):
        for task in run.milliseconds:
            cycles = run.cycles(task) / 1e6
            if (run.core, task) not in best or cycles < best[run.core, task][0]:
                version, who, _ = run.kernels
                best[run.core, task] = (cycles, f"{who} {version}, {run.board}")
    return best


def version() -> str:
    """Of the code: two rows of one table have the same."""
    digest = sha256()
    for path in sorted(Path(eeaug.__file__).parent.rglob("*")):
        if path.suffix in (".py", ".c", ".h"):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


class Kept:
    """Rows that were counted before, in a file of one line each behind the version that they are of."""

    def __init__(self, path: Path | None) -> None:
        self.path, self.rows = path, {}  # type: Path | None, dict[tuple[str, str, str], Row]
        if path is not None and path.exists():
            head, *lines = path.read_text(encoding="utf-8").splitlines()
            if head != version():
                raise ConversionError(f"{path} has rows of other code ({head}); delete it to count them again")
            self.rows = {(row.model, row.core, row.format): row for row in (Row(**json.loads(x)) for x in lines)}
        elif path is not None:
            path.write_text(f"{version()}\n", encoding="utf-8")

    def keep(self, row: Row) -> Row:
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(row)) + "\n")
        return row


def rows(data: Path, models: Sequence[str], cores: Sequence[str], kept: Kept) -> Iterator[Row]:
    for name in models:
        wanted = [(cpu, kind) for cpu in cores for kind in kinds(cpu)]
        if all((name, *pair) in kept.rows for pair in wanted):
            yield from (kept.rows[name, *pair] for pair in wanted)
            continue
        with tempfile.TemporaryDirectory() as bundle, tempfile.TemporaryDirectory() as places:
            work = whole(Path(bundle), data / "models" / MODELS[name][0], ["tflite", "tflite-int8", "c"])
            (unpacked,) = on_core(work, UNPACKED).manifest.c_int8 or ()
            for cpu in cores:
                work = on_core(work, cpu)
                for kind in kinds(cpu):
                    if (name, cpu, kind) in kept.rows:
                        yield kept.rows[name, cpu, kind]
                        continue
                    place = Path(places) / f"{cpu}-{kind}"
                    place.mkdir()
                    try:
                        if kind == "bakenn":
                            yield kept.keep(bakenns(work, name, cpu, place))
                        else:
                            weights = unpacked.weights_bytes if kind == "c-int8" else None
                            yield kept.keep(ours(work, kind, name, cpu, weights, place))
                    except subprocess.CalledProcessError:
                        print(f"{name} as {kind} does not fit into the board of {cpu}", file=sys.stderr)
                    except Exception as error:  # bakenn's own errors have no common class
                        if kind != "bakenn":
                            raise
                        print(f"bakenn does not take {name}: {error}", file=sys.stderr)


def kinds(cpu: str) -> list[str]:
    """What is counted on a core."""
    bakenn = cpu == "cortex-m4" and importlib.util.find_spec("bakenn")
    return [
        "c-int8",
        *(["c"] if toolchain.FLOATS in toolchain.target(cpu) else []),
        *(["bakenn"] if bakenn else []),
    ]


def table(made: Sequence[Row]) -> Iterator[str]:
    sizes = "flash | of weights | RAM | of arena and input"
    yield f"| model | core | format | instructions | by the table | per MAC | {sizes} |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for row in made:
        bytes_ = ["", "", "", ""]
        if row.flash and row.weights and row.ram and row.tensors:
            shares = [f"{row.flash / row.weights:.2f}", f"{row.ram / row.tensors:.2f}"]
            bytes_ = [f"{row.flash:,}", shares[0], f"{row.ram:,}", shares[1]]
        off = "" if row.by_table is None else f"{100 * (row.by_table / row.millions - 1):+.1f} %"
        per_mac = f"{1e6 * row.millions / row.macs:.2f}"
        cells = [row.model, row.core, row.format, f"{row.millions:.4g} M", off, per_mac]
        yield f"| {' | '.join([*cells, *bytes_])} |"


def beside(made: Sequence[Row], best: Mapping[tuple[str, str], tuple[float, str]]) -> Iterator[str]:
    yield "| model | core | c-int8: instructions | published: cycles | by |"
    yield "|---|---|---|---|---|"
    for row in made:
        task = MODELS[row.model][1]
        if row.format == "c-int8" and task is not None and (row.core, task) in best:
            cycles, who = best[row.core, task]
            yield f"| {row.model} | {row.core} | {row.millions:.1f} M | {cycles:.1f} M | {who} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--model", action="append", choices=list(MODELS), default=None)
    parser.add_argument("--core", action="append", choices=list(CORES), default=None)
    parser.add_argument(
        "--into", type=Path, help="a page whose part between <!-- int8_code --> comments becomes this"
    )
    parser.add_argument("--rows", type=Path, help="a file that keeps the rows that are counted")
    given = parser.parse_args()
    if toolchain.arm() is None:
        raise ConversionError(f"{toolchain.ARM} with its C library is not on this machine")
    keras_files.import_keras()
    made = []
    for row in rows(given.data_dir, given.model or list(MODELS), given.core or list(CORES), Kept(given.rows)):
        made.append(row)
        print(f"{row.model} {row.core} {row.format}: {row.millions:.2f} M", file=sys.stderr, flush=True)
    best: Any = published(given.data_dir / "mlperf_tiny_results.json")
    lines = [*table(made), ""] + ([*beside(made, best), ""] if best else [])
    print("\n".join(lines))
    if given.into is not None:
        start, end = "<!-- int8_code -->\n", "<!-- /int8_code -->"
        text = given.into.read_text(encoding="utf-8")
        before, rest = text.split(start)
        given.into.write_text(before + start + "\n".join(lines) + end + rest.split(end)[1], encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except EeaugError as error:
        sys.exit(f"error: {error}")
