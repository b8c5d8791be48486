#!/usr/bin/env python3
"""What the loops of the C kernels take on Cortex-M cores: counted in QEMU, written as the table that eeaug ships.

    python benchmarks/kernel_table.py [--core CPU ...] [--format c-int8 ...] [-o eeaug/hardware/kernel_table.json]

Every kernel of ``--format c`` and ``--format c-int8`` runs by itself on many shapes, compiled by
``arm-none-eabi-gcc -O2`` from the very sources that bundles have; ``-icount shift=0`` makes SysTick count
instructions. eeaug/hardware/loops.py says how often each of its loops runs for a shape; instructions of a run of it
are fitted (none below zero, relative errors least squares), so a formula is a short sum. Three quarters of the shapes
are fitted, the others give the error that is printed and kept. Numbers are noise; half of those of floats are zero, as
after a ReLU. Soft floats (M0+, M3, +nofp) take what their values ask for, so errors are larger there.
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
from c_code import CORES, Core
from scipy.optimize import nnls

import eeaug
from eeaug.errors import ConversionError, EeaugError
from eeaug.export.c import stage_code, toolchain
from eeaug.export.c.text import filled
from eeaug.export.c_int8 import kernels, third_party
from eeaug.hardware import loops
from eeaug.hardware.kernels import instruction_set
from eeaug.hardware.loops import KernelCall

COUNTED = {
    **CORES,
    "cortex-m3": Core("mps2-an385", "mps2", 25, floats=False),
    "cortex-m23": Core("mps2-an505", "mps2-an505", 20, floats=False),
    "cortex-m4+nofp": Core("mps2-an386", "mps2", 25, floats=False),
    "cortex-m7+nofp": Core("mps2-an500", "mps2-an500", 25, floats=False),
    "cortex-m33+nofp": Core("mps2-an505", "mps2-an505", 20, floats=False),
}
TABLE = Path(eeaug.__file__).parent / "hardware" / "kernel_table.json"
SHAPES = 48  # of every variant of a kernel
MACS = 250_000  # of a shape, at most
NUMBERS = 40_000  # of a tensor; of weights four times as many
SEED = 20
PROGRAM = """
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <math.h>
#include "net_kernels.h"
#define CONTROL (*(volatile uint32_t *)0xE000E010)
#define RELOAD (*(volatile uint32_t *)0xE000E014)
#define CURRENT (*(volatile uint32_t *)0xE000E018)
typedef @{number} number;
static number x[@{numbers}], other[@{numbers}], y[@{numbers}], weights[4 * @{numbers}];
static int32_t scratch[@{numbers}];
static @{wide} bias[4096], also[4096];
static int32_t multipliers[4096], shifts[4096];
@{cases}
static void (*const cases[])(void) = {@{names}};
static uint32_t state = 1;
static uint32_t noise(void)
{
    state = state * 1664525u + 1013904223u;
    return state >> 16;
}
static number one(void)
{
    const uint32_t bits = noise();
    return @{one};
}
int main(void)
{
    for (int32_t i = 0; i < @{numbers}; ++i) {
        x[i] = @{positive};
        other[i] = one();
    }
    for (int32_t i = 0; i < 4 * @{numbers}; ++i) {
        weights[i] = one();
    }
    for (int32_t i = 0; i < 4096; ++i) {
        bias[i] = (@{wide})one();
        also[i] = (@{wide})one();
        multipliers[i] = 1073741824 + (int32_t)noise() * 16384;
        shifts[i] = -7 - (int32_t)(noise() & 1u);
    }
    RELOAD = 0xFFFFFF;
    CURRENT = 0;
    CONTROL = 5;
    for (uint32_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        uint32_t times = 1, ticks = 0;
        for (;;) {
            const uint32_t before = CURRENT;
            for (uint32_t k = 0; k < times; ++k) {
                cases[i]();
            }
            ticks = (before - CURRENT) & 0xFFFFFFu;
            if (ticks > 2000) {
                break;
            }
            times *= 1 + 4000 / (ticks + 1);
        }
        printf("%lu %lu\\n", (unsigned long)ticks, (unsigned long)times);
    }
    return 0;
}
"""
NUMBER = {
    "c-int8": {"number": "int8_t", "wide": "int32_t", "one": "(int8_t)(bits & 0xFFu)", "positive": "one()"},
    "c": {
        "number": "float", "wide": "float", "one": "(float)(int32_t)(bits & 0xFFFFu) / 32768.0f - 1.0f",
        "positive": "noise() & 1u ? fabsf(one()) : 0.0f",
    },
}  # fmt: skip


def shapes(kernel: str, rng: random.Random) -> Iterator[KernelCall]:
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
            yield KernelCall(kernel, read, (*out, c), size, step)
        elif kernel in ("mean", "largest"):
            yield KernelCall(kernel, read, (1, 1, c))
        elif kernel in ("dense", "softmax"):
            rows = 1 if rng.random() < 0.8 else rng.randint(2, 12)
            n = rng.choice([rng.randint(4, 64), 16 * rng.randint(1, 40), 64])
            units = rng.choice([rng.randint(2, 12), 10, 2, 35, 128, 1000 if kernel == "softmax" else 64])
            rows = 1 if kernel == "softmax" else rows
            yield KernelCall(kernel, (1, rows, n), (1, rows, units))
        elif kernel == "pad":
            more = rng.choice([(1, 1), (2, 2), (0, 2), (2, 4)])
            out = (high + more[0], wide + more[1], c)
            yield KernelCall(kernel, read, out, runs=1 if not more[1] or high == 1 else high)
        else:
            yield KernelCall(kernel, read, read)


def _windowed(kernel: str, rng: random.Random, read: tuple[int, int, int], filters: int) -> KernelCall:
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
    return KernelCall(
        name, read, (out[0], out[1], filters), window, stride, dilation, (before[0], before[1]), groups
    )


def fits(call: KernelCall) -> bool:
    """Into the program's tensors, and into the time that there is."""
    weights = call.taps * call.read[2] // call.groups * call.written[2]
    macs = call.places * weights if call.kernel in ("conv", "depthwise", "dense") else 0
    return (
        max(prod(call.read), call.outputs) <= NUMBERS
        and macs <= MACS
        and weights <= 4 * NUMBERS
        and 8 * call.taps * call.read[2] <= NUMBERS
    )


def chosen(format: str, core: str) -> dict[tuple[str, str], list[KernelCall]]:
    """SHAPES of every variant of every kernel of a format, as far as the core has it."""
    by_variant: dict[tuple[str, str], list[KernelCall]] = defaultdict(list)
    for kernel in (*loops.KERNELS[format], "pointwise", "strided", "signal"):
        rng = random.Random(f"{SEED} {kernel}")
        source = shapes(kernel, rng)
        for _ in range(40 * SHAPES):
            call = next(source)
            if format == "c" and call.kernel == "conv" and rng.random() < 0.1 and call.read[2] % 2 == 0:
                call = KernelCall(**{**vars(call), "groups": 2, "written": (*call.written[:2], 8)})
            if format == "c" and call.kernel in ("conv", "depthwise") and rng.random() < 0.3:
                call = KernelCall(**{**vars(call), "summed": True})
            counts = loops.loops(format, core, call)
            if counts is not None and fits(call):
                calls = by_variant[call.kernel, counts[0]]
                if len(calls) < SHAPES * (3 if call.kernel in ("conv", "depthwise") else 1):
                    calls.append(call)
    return by_variant


def int8_case(i: int, call: KernelCall) -> str:
    """A function that runs the kernel once."""
    (h, w, c), (oh, ow, oc), (kh, kw) = call.read, call.written, call.window
    top, left = call.before
    pairs = f"{{{call.stride[1]}, {call.stride[0]}}}, {{{left}, {top}}}, {{{call.dilation[1]}, {call.dilation[0]}}}"
    dims = f"{{1, {h}, {w}, {c}}}, %s, {{1, {oh}, {ow}, {oc}}}"
    scaled = "weights, bias, multipliers, shifts"
    factor = "{1200000000, -7}"
    size = call.outputs
    kernel = call.kernel
    if kernel == "conv":
        how = f"{{5, 3, {pairs}, {{-128, 127}}}}, {dims % f'{{{oc}, {kh}, {kw}, {c}}}'}, {scaled}, 4 * {NUMBERS}"
        return _case(i, "convolution", how, "convolve(&of, scratch, x, y)")
    if kernel == "depthwise":
        how = f"{{5, 3, {oc // c}, {pairs}, {{-128, 127}}}}, {dims % f'{{1, {kh}, {kw}, {oc}}}'}, {scaled}, 4 * {NUMBERS}"
        return _case(i, "depthwise_convolution", how, "depthwise(&of, scratch, x, y)")
    if kernel == "dense":
        return _case(i, "dense", f"{h * w}, {c}, {oc}, 3, -128, 127, {scaled}", "connect(&of, x, y)")
    if kernel in ("add", "multiply", "add_row", "multiply_row"):
        name, whole = kernel.removesuffix("_row"), not kernel.endswith("_row")
        sizes = f"{{1, 1, 1, {size}}}, {{0, 0, 0, 1}}, {{0, 0, 0, 1}}"
        if not whole:
            sizes = f"{{1, 1, {oh * ow}, {oc}}}, {{0, 0, {oc}, 1}}, {{0, 0, 0, 1}}"
        how = f"5, 7, 3, {factor}, {factor}, {factor}, 0, -128, 127"
        extra = f"static const net_op_pairs sizes{i} = {{{sizes}}};\n"
        return extra + _case(i, "binary", how, f"{name}(&of, &sizes{i}, x, other, y)")
    if kernel in ("average_pool", "max_pool"):
        values = f"{c}, {{{w}, {h}}}, {{{ow}, {oh}}}, {{{kw}, {kh}}}, {{{call.stride[1]}, {call.stride[0]}}}"
        return _case(i, "window", f"{values}, {{{left}, {top}}}, -128, 127", f"{kernel}(&of, x, y)")
    if kernel in ("mean", "largest"):
        return _case(i, "reduction", f"1, {h * w}, {c}, {-5 * h * w}, 3, {factor}", f"{kernel}(&of, x, y)")
    if kernel == "softmax":
        return _case(i, "soft", f"{oh * ow}, {oc}, 64, multipliers", "softmax(&of, x, y)")
    if kernel == "pad":
        axes = [(1, 0, 0)] * 3 + ([(h, w * c, ow * c), (w * c, 1, 1)] if call.runs > 1 else [(1, 0, 0), (h * w * c, 1, 1)])
        values = ", ".join("{" + ", ".join(map(str, column)) + "}" for column in zip(*axes, strict=True))
        return _case(i, "axes", values, "move(&of, x, y)", f"    memset(y, 3, {size});\n")
    if kernel == "table":
        return f"static void case{i}(void) {{ net_op_look_up(weights, x, y, {size}); }}\n"
    return f"static void case{i}(void) {{ memcpy(y, x, {size}); }}\n"


def _case(i: int, record: str, values: str, code: str, before: str = "") -> str:
    return (
        f"static const net_op_{record} of{i} = {{{values}}};\nstatic void case{i}(void)\n{{\n{before}"
        f"    net_op_{code.replace('&of', f'&of{i}')};\n}}\n"
    )


def float_case(i: int, call: KernelCall) -> str:
    kernel, size = call.kernel, call.outputs
    read, written, window, stride = call.read, call.written, call.window, call.stride
    if kernel == "dense":
        kernel, read, written = "conv", (1, read[0] * read[1], read[2]), (1, read[0] * read[1], written[2])
    if kernel in ("mean", "largest"):
        kernel = "average_pool" if kernel == "mean" else "max_pool"
        window = stride = read[:2]
    if kernel in ("conv", "depthwise", "average_pool", "max_pool"):
        if kernel == "depthwise" and read[2] != written[2]:
            kernel = "conv"
        numbers = (*read, *written, *window, *stride, *call.dilation, *call.before, call.groups)
        residual = ", weights, bias, " + ("other" if call.summed else "NULL") if kernel in ("conv", "depthwise") else ""
        values = f"{', '.join(map(str, numbers))}, 0.0f, INFINITY"
        return _case(i, "window", values, f"{kernel}(&of, x{residual}, y)")
    if kernel == "copy":
        return f"static void case{i}(void) {{ memcpy(y, x, {4 * size}); }}\n"
    code = {
        "add": f"add({size}, 0.0f, INFINITY, x, other, y)",
        "clip": f"clip({size}, 0.0f, INFINITY, other, y)",
        "scale": f"scale({size}, {written[2]}, 0.0f, INFINITY, x, bias, also, y)",
        "sigmoid": f"sigmoid({size}, other, y)",
        "softmax": f"softmax({size}, other, y)",
    }[kernel]
    return f"static void case{i}(void) {{ net_op_{code}; }}\n"


def count(format: str, cpu: str, calls: Sequence[KernelCall], place: Path) -> list[float]:
    """Instructions of every call."""
    core = COUNTED[cpu]
    case = int8_case if format == "c-int8" else float_case
    program = PROGRAM
    known = {
        **NUMBER[format], "numbers": str(NUMBERS), "names": ", ".join(f"case{i}" for i in range(len(calls))),
        "cases": "".join(case(i, call) for i, call in enumerate(calls)),
    }  # fmt: skip
    for word, value in known.items():
        program = program.replace(f"@{{{word}}}", value)
    if format == "c-int8":
        used = set(kernels.KERNELS)
        texts = third_party.files(used) | {
            "net_kernels.h": kernels.header("net", used), "net_kernels.c": kernels.implementation("net", used),
            "cmsis_nn.c": third_party.unit("net", used),
        }  # fmt: skip
    else:
        texts = stage_code.kernel_files("net", list(stage_code.KERNELS))
    texts |= {name: filled(f"mps2/{name}") for name in ("startup.c", f"{core.script}.ld")} | {"count.c": program}
    for name, text in texts.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    sources = [name for name in texts if name.endswith(".c") and "/" not in name]
    target = [f"-mcpu={cpu}", "-mthumb", *(["-mfloat-abi=hard"] if core.floats else [])]
    link = ["--specs=rdimon.specs", "-nostartfiles", "-Wl,--gc-sections", "-T", f"{core.script}.ld"]
    includes = [f"-I{path}" for path in (place, *sorted(place.glob("third_party/*/Include")))]
    line = [toolchain.ARM, "-O2", "-std=c99", "-w", "-ffunction-sections", "-fdata-sections", *target, *includes]
    subprocess.run([*line, *link, "-o", "count.elf", *sources, "-lm"], cwd=place, check=True)
    line = ["qemu-system-arm", "-M", core.machine, "-nographic", "-semihosting", "-icount", "shift=0"]
    done = subprocess.run([*line, "-kernel", "count.elf"], cwd=place, check=True, capture_output=True, text=True)
    rows = [tuple(map(int, row.split())) for row in done.stdout.splitlines()]
    if len(rows) != len(calls):
        raise ConversionError(f"{cpu}, {format}: {len(rows)} of {len(calls)} cases were counted")
    return [ticks * 1000 / core.mhz / times for ticks, times in rows]


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
    qemu = subprocess.run(["qemu-system-arm", "--version"], check=True, capture_output=True, text=True).stdout
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
    parser.add_argument("-o", "--output", type=Path, help=f"usually {TABLE.name} of eeaug/hardware; not given: none")
    given = parser.parse_args()
    if toolchain.arm() is None:
        raise ConversionError(f"{toolchain.ARM} with its C library is not on this machine")
    table: dict[str, Any] = {"made_by": made_by(), "formats": {}}
    for format in given.format or loops.KERNELS:
        for cpu in given.core or COUNTED:
            if format == "c-int8" and "+" in cpu:
                continue  # the same instructions as with a unit for floats
            with tempfile.TemporaryDirectory() as place:
                for kernel, variant, per_run, errors in measured(format, cpu, Path(place)):
                    here = table["formats"].setdefault(format, {}).setdefault(cpu, {}).setdefault(kernel, {})
                    here[variant] = {"per_run": per_run, **errors}
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
