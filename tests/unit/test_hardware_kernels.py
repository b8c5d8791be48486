"""Instructions of kernels: loops against a walk through them, and the table that the package has."""

from __future__ import annotations

import random
from math import prod

import pytest

from eeaug.hardware import kernels
from eeaug.hardware.fields import CPUS
from eeaug.hardware.loops import KERNELS, KernelRun, loops

CORES = {"cortex-m0plus": "plain", "cortex-m4": "dsp", "cortex-m55": "vectors"}


def convolution(
    read: tuple[int, int, int], filters: int, window: tuple[int, int] = (3, 3), kernel: str = "conv",
    stride: tuple[int, int] = (1, 1), dilation: tuple[int, int] = (1, 1),
) -> KernelRun:  # fmt: skip
    """With padding "same"."""
    out = [-(-size // step) for size, step in zip(read[:2], stride, strict=True)]
    total = [
        (n - 1) * s + (k - 1) * d + 1 - size
        for n, s, k, d, size in zip(out, stride, window, dilation, read[:2], strict=True)
    ]
    before = (max(0, total[0]) // 2, max(0, total[1]) // 2)
    return KernelRun(kernel, read, (out[0], out[1], filters), window, stride, dilation, before)


def examples(count: int) -> list[KernelRun]:
    rng = random.Random(3)
    return [
        convolution(
            (rng.randint(1, 9), rng.randint(1, 9), rng.randint(1, 9)), rng.randint(1, 9),
            (rng.randint(1, 4), rng.randint(1, 4)), "conv", (rng.randint(1, 3), rng.randint(1, 3)),
            (rng.randint(1, 2), rng.randint(1, 2)),
        )
        for _ in range(count)
    ]  # fmt: skip


def taps(call: KernelRun, y: int, x: int) -> list[tuple[int, int, bool]]:
    """Places of the window at an output, and whether they lie in the input."""
    top, left = y * call.stride[0] - call.before[0], x * call.stride[1] - call.before[1]
    at = [
        (top + i * call.dilation[0], left + j * call.dilation[1])
        for i in range(call.window[0])
        for j in range(call.window[1])
    ]
    return [(v, u, 0 <= v < call.read[0] and 0 <= u < call.read[1]) for v, u in at]


def places(call: KernelRun) -> list[tuple[int, int]]:
    return [(y, x) for y in range(call.written[0]) for x in range(call.written[1])]


@pytest.mark.parametrize("call", examples(60), ids=str)
def test_loops_of_convolutions_run_as_often_as_a_walk_through_them(call: KernelRun) -> None:
    inside = sum(ok for y, x in places(call) for _, _, ok in taps(call, y, x))
    c, filters, n = call.read[2], call.written[2], call.taps * call.read[2]
    # ours with DSP instructions: runs of columns that go on alike, pairs of outputs by pairs of channels
    # at once; where the number of places is odd the last one makes two columns
    runs = 0
    columns = [taps(call, y, x) for y, x in places(call)]
    columns += columns[-1:] if call.places % 2 else []
    filled = sum(ok for column in columns for *_, ok in column)
    for row in columns:
        for i in range(call.window[0]):
            part = row[i * call.window[1] : (i + 1) * call.window[1]]
            if not 0 <= part[0][0] < call.read[0]:
                runs += 1
            elif call.dilation[1] > 1:
                runs += len(part)
            else:
                runs += sum(not ok for *_, ok in part) + any(ok for *_, ok in part)
    variant, counts = loops("c-int8", "dsp", call) or ("", {})
    pairs = -(-call.places // 2) * -(-filters // 2)
    assert counts["run"] == runs and counts["pair"] == pairs
    assert counts["inside"] * (4 if variant == "fours" else 1) == filled * c
    assert counts["outside"] == (len(columns) * call.taps - filled) * c
    assert 8 * counts["eights"] + 4 * counts["four"] + counts["rest"] == pairs * n
    # without: the same columns, two outputs by two channels
    _, counts = loops("c-int8", "plain", call) or ("", {})
    assert (counts["pair"], counts["mac"]) == (pairs, pairs * n)
    assert (counts["inside"], counts["inside"] + counts["outside"]) == (filled * c, len(columns) * n)
    # with vectors: four columns at a time, all inside or not
    variant, counts = loops("c-int8", "vectors", call) or ("", {})
    if variant == "columns":
        whole = [all(ok for *_, ok in taps(call, y, x)) for y, x in places(call)]
        fours = [all(whole[i : i + 4]) for i in range(0, len(whole) - len(whole) % 4, 4)]
        assert counts["four"] == filters * sum(fours)
        assert counts["padded"] == filters * (len(fours) - sum(fours))
        assert counts["one"] == filters * (len(whole) % 4)
    # float: multiplications of the four channels and the single ones, at one place and at two
    _, counts = loops("c", "plain", call) or ("", {})
    macs = 8 * counts["double_element"] + 4 * counts["single_element"] + counts["one_element"]
    assert macs == inside * c * filters


@pytest.mark.parametrize("call", examples(30), ids=str)
def test_loops_of_depthwise_convolutions_run_as_often_as_a_walk_through_them(call: KernelRun) -> None:
    c = call.read[2]
    each = KernelRun("depthwise", call.read, (*call.written[:2], c), call.window, call.stride, call.dilation,
                     call.before, c)  # fmt: skip
    inside = sum(ok for y, x in places(each) for _, _, ok in taps(each, y, x))
    _, counts = loops("c-int8", "dsp", each) or ("", {})
    threes = 3 * (4 * counts["four_threes"] + counts["threes_row"])
    assert threes + 4 * counts["four_tap"] + counts["other_tap"] == inside * c
    _, counts = loops("c", "dsp", each) or ("", {})
    if c > 1:
        assert 4 * counts["four_tap"] + counts["one_tap"] == inside * c


def test_the_table_has_every_kernel_of_every_core_with_its_error() -> None:
    made_by = kernels.table()["made_by"]
    assert made_by["script"] == "benchmarks/kernel_table.py" and "arm-none-eabi-gcc" in made_by["compiler"]
    assert set(kernels.table()["formats"]) == set(KERNELS)
    for format, of_kernels in KERNELS.items():
        for cpu in kernels.cores(format):
            known = kernels.table()["formats"][format][cpu]
            assert set(known) == set(of_kernels), (format, cpu)
            for kernel, variants in known.items():
                for variant in variants.values():
                    assert all(number > 0 for number in variant["per_run"].values())
                    weighs = kernel in ("conv", "depthwise", "dense")
                    assert variant["mean_error"] < (0.04 if weighs else 0.5), (format, cpu, kernel)


def test_cores_without_counts_of_their_own_have_those_of_one_with_the_same_instructions() -> None:
    assert {cpu: kernels.counted_as("c-int8", cpu) for cpu in CPUS} == {
        "cortex-m0": "cortex-m0plus", "cortex-m0plus": "cortex-m0plus", "cortex-m1": "cortex-m0plus",
        "cortex-m3": "cortex-m3", "cortex-m4": "cortex-m4", "cortex-m4+nofp": "cortex-m4",
        "cortex-m7": "cortex-m7", "cortex-m7+nofp.dp": "cortex-m7", "cortex-m7+nofp": "cortex-m7",
        "cortex-m23": "cortex-m23", "cortex-m33": "cortex-m33", "cortex-m33+nofp": "cortex-m33",
        "cortex-m33+nodsp": "cortex-m3", "cortex-m33+nodsp+nofp": "cortex-m3", "cortex-m55": "cortex-m55",
    }  # fmt: skip
    # soft floats are other instructions
    assert kernels.counted_as("c", "cortex-m4+nofp") == "cortex-m4+nofp"
    assert kernels.counted_as("c", "cortex-a53") is None
    assert kernels.instructions("c", "cortex-a53", convolution((4, 4, 4), 4)) is None


def test_instructions_are_what_cores_with_and_without_dsp_take() -> None:
    call = convolution((16, 16, 16), 16)
    macs = 16 * 16 * 9 * 16 * 16
    per_mac = {cpu: (kernels.instructions("c-int8", cpu, call) or 0) / macs for cpu in CORES}
    assert 5 < per_mac["cortex-m0plus"] < 6 and 1.7 < per_mac["cortex-m4"] < 2.3 and per_mac["cortex-m55"] < 1.2
    floats = {cpu: (kernels.instructions("c", cpu, call) or 0) / macs for cpu in CORES}
    assert floats["cortex-m0plus"] > 100 and 2 < floats["cortex-m4"] < 3


@pytest.mark.parametrize("format", KERNELS)
@pytest.mark.parametrize("cpu", CORES)
def test_more_work_never_takes_fewer_instructions(format: str, cpu: str) -> None:
    for kernel in sorted(KERNELS[format]):
        small, large = (4, 8, 8), (16, 16, 16)
        numbers = []
        for read in (small, large):
            call = KernelRun(kernel, read, read, groups=read[2] if kernel == "depthwise" else 1)
            number = kernels.instructions(format, cpu, call)
            assert number is not None and number > 0, kernel
            numbers.append(number)
        assert numbers[0] < numbers[1], kernel
        assert prod(large) > prod(small)


def test_what_no_kernel_does_has_no_instructions() -> None:
    grouped = KernelRun("conv", (8, 8, 8), (8, 8, 8), (3, 3), groups=2)
    assert kernels.instructions("c-int8", "cortex-m4", grouped) is None
    assert kernels.instructions("c", "cortex-m4", grouped) is not None
    assert kernels.instructions("c", "cortex-m4", KernelRun("table", (1, 1, 8), (1, 1, 8))) is None
