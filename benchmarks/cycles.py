#!/usr/bin/env python3
"""Instructions of MLPerf Tiny's networks as int8 C, and the cycles that Arm's tables give for them.

    python benchmarks/cycles.py --data-dir DIR --into benchmarks/cycles.json

DIR holds `models/`. Every network is written whole by `--format c-int8` and counted in QEMU for every core, see
c_code.py; for cores with DSP instructions once more with the kernels of CMSIS-NN 4.0.0 for convolutions and
depthwise layers in place of eeaug's own: some published results were made with these (of depthwise ones of 3 × 3 by
the function that CMSIS-NN chooses for cores without vectors). Commits of eeaug that do not carry all of these
kernels keep what stands in the file, which says at which commit it was counted. latency_model.py reads what this
script writes.

For Cortex-M0+, M3 and M4 Arm publishes how many cycles an instruction takes (arm_tables.py): with a count of every
instruction (instruction_mix.c, a plugin of QEMU) this gives cycles per instruction without wait states of the
memory.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import arm_tables
import c_code

from eeaug.backbone import keras_files
from eeaug.export import c_int8
from eeaug.export.c import emulated, toolchain
from eeaug.export.formats import Work

NETWORKS = {"ic": "ResNet-8", "kws": "DS-CNN", "vww": "MobileNetV1"}
WITH_DSP = ("cortex-m4", "cortex-m7", "cortex-m33")
WITH_VECTORS = "cortex-m55"  # its files keep the memory that CMSIS-NN's depthwise layers need
CORES = ("cortex-m3", *c_code.CORES)
CARRIED = Path(c_int8.__file__).parent / "third_party" / "cmsis_nn"
VECTORS = "#if defined(ARM_MATH_MVEI)\n"
THEIRS = f"{VECTORS}    const cmsis_nn_context"  # before what calls CMSIS-NN
DEPTHWISE = ("arm_depthwise_conv_s8_opt", "arm_depthwise_conv_3x3_s8")  # with vectors, and without


def program(work: Work, place: Path, cpu: str) -> float:
    """Millions of instructions of ``c-int8/``; leaves the program at place/count.elf."""
    text, includes = c_code.counting(work, "c-int8", work.directory / "c-int8")
    return c_code.counted(sorted((work.directory / "c-int8").glob("*.c")), includes, text, cpu, place)


def with_cmsis_nn(work: Work, place: Path, cpu: str) -> float | None:
    """The same with kernels of CMSIS-NN for convolutions and depthwise layers; None: they are not all carried."""
    folder = place / "c-int8"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(work.directory / "c-int8", folder)
    (kernels,) = folder.glob("*_kernels.c")
    text = kernels.read_text(encoding="utf-8")
    if THEIRS not in text:
        return None
    unit = folder / "cmsis_nn.c"
    included = unit.read_text(encoding="utf-8").replace(VECTORS, "#if 1\n")
    text = text.replace(THEIRS, THEIRS.replace(VECTORS, "#if 1\n"))
    kernels.write_text(text.replace(*DEPTHWISE), encoding="utf-8")
    unit.write_text(included.replace(*DEPTHWISE), encoding="utf-8")
    for path in CARRIED.glob(f"Source/*/{DEPTHWISE[1]}.c"):
        shutil.copy(path, folder / "third_party" / "cmsis_nn" / "Source" / path.parent.name)
    text, includes = c_code.counting(work, "c-int8", folder)
    return c_code.counted(sorted(folder.glob("*.c")), includes, text, cpu, place)


def by_tables(place: Path, cpu: str, plugin: Path) -> float:
    """Cycles per instruction of place/count.elf."""
    written = place / "mix.tsv"
    line = [emulated.QEMU, "-M", emulated.board(cpu).machine, "-nographic", "-semihosting", "-icount", "shift=0"]
    environment = {**os.environ, "INSTRUCTION_MIX": str(written)}
    line += ["-plugin", str(plugin), "-kernel", str(place / "count.elf")]
    subprocess.run(line, env=environment, check=True, capture_output=True)
    instructions = arm_tables.mix(written)
    return arm_tables.cycles(instructions, cpu) / sum(i.times for i in instructions)


def measured(data: Path) -> dict[str, Any]:
    """Everything that cycles.json says."""
    ours: dict[str, dict[str, int]] = {}
    theirs: dict[str, dict[str, int]] = {}
    tables: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        plugin = Path(scratch) / "instruction_mix.so"
        source = Path(__file__).with_name("instruction_mix.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", str(plugin), str(source)], check=True)
        for task, name in NETWORKS.items():
            with tempfile.TemporaryDirectory() as bundle, tempfile.TemporaryDirectory() as temporary:
                place = Path(temporary)
                work = c_code.whole(
                    Path(bundle), data / "models" / c_code.MODELS[name][0], ["tflite", "tflite-int8"]
                )
                for cpu in CORES:
                    work = c_code.on_core(work, cpu)
                    count = program(work, place, cpu)
                    ours.setdefault(task, {})[cpu] = round(1e6 * count)
                    if cpu in ("cortex-m0plus", "cortex-m3", "cortex-m4"):
                        ratio = by_tables(place, cpu, plugin)
                        tables.setdefault(task, {})[cpu] = round(ratio, 3)
                    print(f"{name} {cpu}: {count:.2f} M", flush=True)
                work = c_code.on_core(work, WITH_VECTORS)
                for cpu in WITH_DSP:
                    counted = with_cmsis_nn(work, place, cpu)
                    if counted is not None:
                        theirs.setdefault(task, {})[cpu] = round(1e6 * counted)
                        print(f"{name} {cpu}, CMSIS-NN: {counted:.2f} M", flush=True)
    compiler = toolchain.arm()
    assert compiler is not None
    return {
        "compiler": toolchain.version(compiler),
        "c-int8": ours,
        **({"cmsis-nn": theirs, "cmsis-nn_counted_at": commit()} if theirs else {}),
        "cycles_per_instruction_by_tables": tables,
    }


def commit() -> str:
    line = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    return subprocess.run(line, capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--into", type=Path, required=True)
    given = parser.parse_args()
    keras_files.import_keras()
    before = json.loads(given.into.read_text(encoding="utf-8")) if given.into.exists() else {}
    given.into.write_text(json.dumps({**before, **measured(given.data_dir)}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
