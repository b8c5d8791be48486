"""A program for a Cortex-M that runs kernels by themselves and prints how long each takes; for kernel_table.py."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from eeaug.hardware.loops import KernelRun, loops

__all__ = ["NUMBERS", "program"]

NUMBERS = 40_000  # of a tensor; of weights four times as many
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
static int32_t multipliers[4096];
static @{shift} shifts[4096];
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
        shifts[i] = (@{shift})(-7 - (int32_t)(noise() & 1u));
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
    "c-int8": {"number": "int8_t", "wide": "int32_t", "one": "(int8_t)(bits & 0xFFu)", "positive": "one()",
        "shift": "net_op_shift",
    },
    "c": {
        "number": "float", "wide": "float", "one": "(float)(int32_t)(bits & 0xFFFFu) / 32768.0f - 1.0f",
        "positive": "noise() & 1u ? fabsf(one()) : 0.0f", "shift": "int32_t",
    },
}  # fmt: skip


# variants of convolutions on cores with vectors → the kernel that calls CMSIS-NN for them
BY_VECTORS = {
    "pointwise": "convolve_points", "pointwise_strided": "convolve_apart", "signal": "convolve_row",
    "columns": "convolve_window",
}  # fmt: skip


def program(format: str, core: str, calls: Sequence[KernelRun]) -> str:
    """C that prints, for every call, ticks of SysTick and how many times it ran in them.

    ``core``: as ``loops`` takes it.
    """
    case = partial(_int8_case, core) if format == "c-int8" else _float_case
    known = {
        **NUMBER[format], "numbers": str(NUMBERS), "names": ", ".join(f"case{i}" for i in range(len(calls))),
        "cases": "".join(case(i, call) for i, call in enumerate(calls)),
    }  # fmt: skip
    text = PROGRAM
    for word, value in known.items():
        text = text.replace(f"@{{{word}}}", value)
    return text


def _int8_case(core: str, i: int, call: KernelRun) -> str:
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
        counts = loops("c-int8", core, call)
        name = BY_VECTORS[counts[0]] if core == "vectors" and counts is not None else "convolve"
        return _case(i, "convolution", how, f"{name}(&of, scratch, x, y)")
    if kernel == "depthwise":
        sizes = dims % f"{{1, {kh}, {kw}, {oc}}}"
        how = f"{{5, 3, {oc // c}, {pairs}, {{-128, 127}}}}, {sizes}, {scaled}, 4 * {NUMBERS}"
        name = "depthwise_single" if core == "vectors" and c == oc and call.dilation == (1, 1) else "depthwise"
        return _case(i, "depthwise_convolution", how, f"{name}(&of, scratch, x, y)")
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
        axes = [(1, 0, 0)] * 3 + (
            [(h, w * c, ow * c), (w * c, 1, 1)] if call.stretches > 1 else [(1, 0, 0), (h * w * c, 1, 1)]
        )
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


def _float_case(i: int, call: KernelRun) -> str:
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
        residual = (
            ", weights, bias, " + ("other" if call.summed else "NULL") if kernel in ("conv", "depthwise") else ""
        )
        values = f"{', '.join(map(str, numbers))}, 0.0f, INFINITY"
        return _case(i, "window", values, f"{kernel}(&of, x{residual}, y)")
    if kernel == "copy":
        return f"static void case{i}(void) {{ memcpy(y, x, {4 * size}); }}\n"
    if kernel == "turn":
        places, c = read[0] * read[1], read[2]
        loops = f"for (int i = 0; i < {places}; ++i) for (int k = 0; k < {c}; ++k)"
        return f"static void case{i}(void) {{ {loops} y[k * {places} + i] = x[i * {c} + k]; }}\n"
    code = {
        "add": f"add({size}, 0.0f, INFINITY, x, other, y)",
        "clip": f"clip({size}, 0.0f, INFINITY, other, y)",
        "scale": f"scale({size}, {written[2]}, 0.0f, INFINITY, x, bias, also, y)",
        "sigmoid": f"sigmoid({size}, other, y)",
        "softmax": f"softmax({size}, other, y)",
    }[kernel]
    return f"static void case{i}(void) {{ net_op_{code}; }}\n"
