#!/usr/bin/env python3
"""What the loops of the C kernels take on Cortex-M cores: counted in QEMU, written as the table that eeaug ships.

    python benchmarks/kernel_table.py [--core CPU ...] [--format c-int8 ...] [-o eeaug/hardware/kernel_table.json]

Every kernel of ``--format c`` and ``--format c-int8`` runs by itself on many shapes, compiled by
``arm-none-eabi-gcc -O2`` from the very sources that bundles have; ``-icount shift=0`` makes SysTick count
instructions. eeaug/hardware/loops.py says how often each of its loops runs for a shape; instructions of a run of
it are fitted (none below zero, relative errors least squares), so a formula is a short sum. Three quarters of the
shapes are fitted, the others give the error that is printed and kept. Numbers are noise; half of the floats are
zero, as after a ReLU. Soft floats (M0+, M3, +nofp) take what their values ask for, so errors are larger there.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from c_code import CORES
from kernel_cases import NUMBERS, program
from scipy.optimize import nnls

import eeaug
from eeaug.errors import ConversionError, EeaugError
from eeaug.export.c import emulated, stage_code, toolchain
from eeaug.export.c.text import filled
from eeaug.export.c_int8 import kernels, third_party
from eeaug.hardware import loops
from eeaug.hardware.kernels import instruction_set
from eeaug.hardware.loops import KernelRun

COUNTED = (*CORES, "cortex-m3", "cortex-m23", "cortex-m4+nofp", "cortex-m7+nofp", "cortex-m33+nofp")
TABLE = Path(eeaug.__file__).parent / "hardware" / "kernel_table.json"
SHAPES = 48  # of every variant of a kernel
MACS = 250_000  # of a shape, at most
SEED = 20


def shapes(kernel: str, rng: random.Random) -> Iterator[KernelRun]:
    """Endlessly many, of all kinds that networks have."""
    while True:
        high = rng.choice([1, rng.randint(2, 7), rng.randint(5, 16), rng.randint(8, 40)])
        wide = rng.randint(16, 200) if high == 1 else rng.choice([high, rng.randint(2, 24)])
        c = rng.choice([1, 2, 3, rng.randint(4, 24), 4 * rng.randint(1, 8), 8 * rng.randint(1, 8), 64, 128])
        read = (high, wide, c)
        filters = rng.choice([rng.randint(2, 12), 4 * rng.randint(1, 8), 8 * rng.randint(1, 8), 128])
        if kernel in ("conv", "depthwise", "pointwise", "strided", "signal"):
            yield _windowed(kernel, rng, read, filters)
        elif kernel in ("average_pool", "max_pool"):
            size = tuple(rng.choice([n for n in (1, 2, 3, 4, 6, 8, 16, 40) if n <= s]) for s in read[:2])
            step = size if rng.random() < 0.7 else tuple(min(2, s) for s in size)
            out = tuple((s - w) // t + 1 for s, w, t in zip(read, size, step, strict=False))
            yield KernelRun(kernel, read, (*out, c), size, step)
        elif kernel in ("mean", "largest"):
            yield KernelRun(kernel, read, (1, 1, c))
        elif kernel in ("dense", "softmax"):
            rows = 1 if rng.random() < 0.8 else rng.randint(2, 12)
            n = rng.choice([rng.randint(4, 64), 16 * rng.randint(1, 40), 64])
            units = rng.choice([rng.randint(2, 12), 10, 2, 35, 128, 1000 if kernel == "softmax" else 64])
            rows = 1 if kernel == "softmax" else rows
            yield KernelRun(kernel, (1, rows, n), (1, rows, units))
        elif kernel == "pad":
            more = rng.choice([(1, 1), (2, 2), (0, 2), (2, 4)])
            out = (high + more[0], wide + more[1], c)
            yield KernelRun(kernel, read, out, stretches=1 if not more[1] or high == 1 else high)
        else:
            yield KernelRun(kernel, read, read)


def _windowed(kernel: str, rng: random.Random, read: tuple[int, int, int], filters: int) -> KernelRun:
    high, wide, c = read
    if kernel in ("pointwise", "strided"):
        window, stride = (1, 1), (1, 1) if kernel == "pointwise" else (2, 2)
    elif kernel == "signal" or high == 1:
        read = high, wide, c = 1, 4 * -(-wide // 4) if rng.random() < 0.8 else wide, c
        window, stride = (1, rng.choice([3, 5, 7, 9])), (1, rng.choice([1, 1, 2]))
    else:
        window = rng.choice([(3, 3), (3, 3), (5, 5), (1, 5), (10, 4), (2, 2)])
        stride = rng.choice([(1, 1), (1, 1), (2, 2)])
    dilation = (1, 1) if rng.random() < 0.93 or kernel != "conv" else (1 if high == 1 else 2, 2)
    reach = [d * (w - 1) + 1 for w, d in zip(window, dilation, strict=True)]
    same = rng.random() < 0.75 or reach[0] > high or reach[1] > wide
    out, before = [], []
    for size, step, span in zip(read[:2], stride, reach, strict=True):
        given = -(-size // step) if same else (size - span) // step + 1
        out.append(given)
        before.append(max(0, (given - 1) * step + span - size) // 2 if same else 0)
    if kernel == "depthwise":
        filters = c if c > 1 and rng.random() < 0.9 else c * rng.randint(2, 4)
    name = "depthwise" if kernel == "depthwise" else "conv"
    groups = c if kernel == "depthwise" else 1
    return KernelRun(
        name, read, (out[0], out[1], filters), window, stride, dilation, (before[0], before[1]), groups
    )


def fits(call: KernelRun) -> bool:
    """Into the program's tensors, and into the time that there is."""
    weights = call.taps * call.read[2] // call.groups * call.written[2]
    macs = call.places * weights if call.kernel in ("conv", "depthwise", "dense") else 0
    return (
        max(prod(call.read), call.outputs) <= NUMBERS
        and macs <= MACS
        and weights <= 4 * NUMBERS
        and 8 * call.taps * call.read[2] <= NUMBERS
    )


def chosen(format: str, core: str) -> dict[tuple[str, str], list[KernelRun]]:
    """SHAPES of every variant of every kernel of a format, as far as the core has it."""
    by_variant: dict[tuple[str, str], list[KernelRun]] = defaultdict(list)
    for kernel in (*loops.KERNELS[format], "pointwise", "strided", "signal"):
        rng = random.Random(f"{SEED} {kernel}")
        source = shapes(kernel, rng)
        for _ in range(40 * SHAPES):
            call = next(source)
            if format == "c" and call.kernel == "conv" and rng.random() < 0.1 and call.read[2] % 2 == 0:
                call = KernelRun(**{**vars(call), "groups": 2, "written": (*call.written[:2], 8)})
            if format == "c" and call.kernel in ("conv", "depthwise") and rng.random() < 0.3:
                call = KernelRun(**{**vars(call), "summed": True})
            counts = loops.loops(format, core, call)
            if counts is not None and fits(call):
                calls = by_variant[call.kernel, counts[0]]
                if len(calls) < SHAPES * (3 if call.kernel in ("conv", "depthwise") else 1):
                    calls.append(call)
    return by_variant


def count(format: str, cpu: str, calls: Sequence[KernelRun], place: Path) -> list[float]:
    """Instructions of every call."""
    board = emulated.board(cpu)
    if format == "c-int8":
        used = set(kernels.KERNELS) - (set() if instruction_set(cpu) == "vectors" else third_party.ROOTS.keys())
        texts = third_party.files(used) | {
            "net_kernels.h": kernels.header("net", used), "net_kernels.c": kernels.implementation("net", used),
            "cmsis_nn.c": third_party.unit("net", used),
        }  # fmt: skip
    else:
        texts = stage_code.kernel_files("net", list(stage_code.KERNELS))
    texts |= {name: filled(f"mps2/{name}") for name in ("startup.c", f"{board.script}.ld")} | {
        "count.c": program(format, instruction_set(cpu), calls)
    }
    for name, text in texts.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    sources = [name for name in texts if name.endswith(".c") and "/" not in name]
    target = toolchain.target(cpu)
    link = ["--specs=rdimon.specs", "-nostartfiles", "-Wl,--gc-sections", "-T", f"{board.script}.ld"]
    includes = [f"-I{path}" for path in (place, *sorted(place.glob("third_party/*/Include")))]
    line = [toolchain.ARM, "-O2", "-std=c99", "-w", "-ffunction-sections", "-fdata-sections", *target, *includes]
    subprocess.run([*line, *link, "-o", "count.elf", *sources, "-lm"], cwd=place, check=True)
    line = [emulated.QEMU, "-M", board.machine, "-nographic", "-semihosting", "-icount", "shift=0"]
    done = subprocess.run([*line, "-kernel", "count.elf"], cwd=place, check=True, capture_output=True, text=True)
    rows = [tuple(map(int, row.split())) for row in done.stdout.splitlines()]
    if len(rows) != len(calls):
        raise ConversionError(f"{cpu}, {format}: {len(rows)} of {len(calls)} cases were counted")
    return [ticks * 1000 / board.mhz / times for ticks, times in rows]


def fitted(counts: Sequence[dict[str, float]], instructions: Sequence[float]) -> dict[str, float]:
    """What a run of every loop takes; loops that take nothing are left out."""
    names = list(counts[0])
    table = np.array([[row[name] for name in names] for row in counts])
    weight = 1 / np.array(instructions)
    per_run, _ = nnls(table * weight[:, None], np.ones(len(table)))
    return {name: float(f"{value:.4g}") for name, value in zip(names, per_run, strict=True) if value > 0}


def measured(format: str, cpu: str, place: Path) -> Iterator[tuple[str, str, dict[str, float], dict[str, float]]]:
    """Kernel, variant, what a run of its loops takes, and errors on shapes that were not fitted."""
    core = instruction_set(cpu)
    by_variant = chosen(format, core)
    calls = [call for some in by_variant.values() for call in some]
    counted = iter(count(format, cpu, calls, place))
    for (kernel, variant), some in by_variant.items():
        pairs = [(loops.loops(format, core, call), next(counted)) for call in some]
        rows = [(counts[1], number) for counts, number in pairs if counts is not None]
        kept, held = [row for i, row in enumerate(rows) if i % 4], rows[::4]
        per_run = fitted([r for r, _ in kept], [n for _, n in kept])
        errors = [sum(per_run.get(k, 0) * v for k, v in r.items()) / n - 1 for r, n in held]
        sizes = np.abs(errors)
        yield kernel, variant, per_run, {
            "shapes": len(kept), "held_out": len(held), "mean_error": float(f"{sizes.mean():.4f}"),
            "worst_error": float(f"{sizes.max():.4f}"),
        }  # fmt: skip


def made_by() -> dict[str, str]:
    commit = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    qemu = subprocess.run([emulated.QEMU, "--version"], check=True, capture_output=True, text=True).stdout
    return {
        "script": "benchmarks/kernel_table.py",
        "commit": subprocess.run(commit, check=True, capture_output=True, text=True).stdout.strip(),
        "compiler": toolchain.version(toolchain.ARM),
        "options": "-O2",
        "emulator": qemu.splitlines()[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core", action="append", choices=list(COUNTED), default=None)
    parser.add_argument("--format", action="append", choices=list(loops.KERNELS), default=None)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        help=f"usually {TABLE.name} of eeaug/hardware; cores that are not counted stay in it",
    )
    given = parser.parse_args()
    if toolchain.arm() is None:
        raise ConversionError(f"{toolchain.ARM} with its C library is not on this machine")
    table: dict[str, Any] = {"made_by": made_by(), "formats": {}}
    if given.output is not None and given.output.exists() and (given.core or given.format):
        table["formats"] = json.loads(given.output.read_text(encoding="utf-8"))["formats"]
    for format in given.format or loops.KERNELS:
        for cpu in given.core or COUNTED:
            if format == "c-int8" and "+" in cpu:
                continue  # the same instructions as with a unit for floats
            with tempfile.TemporaryDirectory() as place:
                by_kernel = table["formats"].setdefault(format, {})[cpu] = {}
                for kernel, variant, per_run, errors in measured(format, cpu, Path(place)):
                    by_kernel.setdefault(kernel, {})[variant] = {"per_run": per_run, **errors}
                    print(
                        f"{format:7} {cpu:16} {kernel:13} {variant:18} {errors['held_out']:3} held out: "
                        f"{100 * errors['mean_error']:5.2f} % mean, {100 * errors['worst_error']:5.1f} % worst",
                        flush=True,
                    )  # fmt: skip
    if given.output is not None:
        given.output.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except EeaugError as error:
        sys.exit(f"error: {error}")
