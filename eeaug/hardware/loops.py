"""How often the loops of a C kernel run, from shapes alone.

What a kernel executes is a sum over its loops: how often each one runs times what a run of it takes. The former is
counted here, as the kernels of ``--format c`` and ``--format c-int8`` (ours, and CMSIS-NN's on cores that these are
for) step through a tensor; the latter is the table's (kernels.py), by core.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod

__all__ = ["KERNELS", "KernelRun", "Loops", "loops"]

Pair = tuple[int, int]
Loops = tuple[str, dict[str, float]]  # the variant of a kernel, and how often each of its loops runs

BLOCK = 124  # channels that CMSIS-NN's depthwise convolution with vectors takes at once (CH_IN_BLOCK_MVE)


@dataclass(frozen=True)
class KernelRun:
    """One call of a kernel of a network on one sample; tensors are (height, width, channels).

    ``kernel``: one of KERNELS. "dense" and "softmax" have height × width rows; "scale" is a factor and a summand of
    every channel, "add_row" and "multiply_row" one of them; "clip" ReLU and ReLU6, "table" any function of one
    element; "mean" and "largest" are of all places, "turn" is a transposition. ``before``: rows and columns of
    padding before the first. ``stretches`` that a copy is made of. ``summed``: the kernel adds another tensor to
    what it writes.
    """

    kernel: str
    read: tuple[int, int, int]
    written: tuple[int, int, int]
    window: Pair = (1, 1)
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    before: Pair = (0, 0)
    groups: int = 1
    stretches: int = 1
    summed: bool = False

    @property
    def places(self) -> int:
        """Of the output."""
        return self.written[0] * self.written[1]

    @property
    def taps(self) -> int:
        """Places of the window."""
        return prod(self.window)

    @property
    def outputs(self) -> int:
        return prod(self.written)

    def inside(self, axis: int) -> list[int]:
        """Steps of the window within the input, for every row (axis 0) or column (1) of the output."""
        size, step, count = self.read[axis], self.dilation[axis], self.window[axis]
        starts = (i * self.stride[axis] - self.before[axis] for i in range(self.written[axis]))
        return [sum(0 <= start + k * step < size for k in range(count)) for start in starts]


def loops(format: str, core: str, call: KernelRun) -> Loops | None:
    """How often loops run in the kernel that a format has for a call on a core; None: it has none.

    ``core``: "plain" (neither DSP nor vector instructions), "dsp" or "vectors"; float kernels are the same on all.
    """
    kernel = KERNELS[format].get(call.kernel)
    return None if kernel is None else kernel(core, call)


def _int8_conv(core: str, call: KernelRun) -> Loops | None:
    if call.groups > 1:
        return None
    if core != "vectors":
        return _columns_of_pairs(call) if core == "dsp" else _pairs_of_columns(call)
    if call.taps == 1 and call.before == (0, 0):
        strided = call.stride != (1, 1)
        rows, times = (call.written[1], call.written[0]) if strided else (call.places, 1)
        return f"pointwise{'_strided' if strided else ''}", _product(rows, times, call)
    signal = call.read[0] == call.window[0] == 1 and call.written[1] % 4 == 0 and call.dilation[1] == 1
    return _signal_with_vectors(call) if signal else _columns_with_vectors(call)


def _columns_of_pairs(call: KernelRun) -> Loops:
    """Ours with DSP instructions: two columns of int16 times the weights of two channels."""
    c, n, channels = call.read[2], call.taps * call.read[2], call.written[2]
    pairs, halves = -(-call.places // 2), -(-channels // 2)
    whole = c % 4 == 0
    places, taps = 2 * pairs, 2 * pairs * call.taps
    inside = _filled(call)
    return "fours" if whole else "others", {
        "call": 1,
        "place": places,
        "run": _runs(call),
        "inside": inside * c / (4 if whole else 1),
        "outside": (taps - inside) * c,
        "spread": 0 if whole else places * n / 4,
        "pair": pairs * halves,
        "eights": pairs * halves * (n // 8),
        "four": pairs * halves * (n >> 2 & 1),
        "rest": pairs * halves * (n & 3),
        "output": 2 * pairs * channels,
    }


def _filled(call: KernelRun) -> int:
    """Steps within the input of the columns of all places; of an odd number of these the last has two columns."""
    rows, columns = call.inside(0), call.inside(1)
    return sum(rows) * sum(columns) + call.places % 2 * rows[-1] * columns[-1]


def _runs(call: KernelRun) -> int:
    """Stretches that the columns of all places are put together from; see fill_column in kernels.c."""
    rows, columns = call.inside(0), call.inside(1)
    across = [call.window[1] - k + bool(k) if call.dilation[1] == 1 else call.window[1] for k in columns]
    last = call.places % 2 * (rows[-1] * across[-1] + call.window[0] - rows[-1])
    return sum(rows) * sum(across) + (call.window[0] * call.written[0] - sum(rows)) * call.written[1] + last


def _pairs_of_columns(call: KernelRun) -> Loops:
    """Ours without extensions: columns of int16, two at a time side by side, times the weights of two channels."""
    c, n, channels = call.read[2], call.taps * call.read[2], call.written[2]
    pairs, halves = -(-call.places // 2), -(-channels // 2)
    inside, taps = _filled(call), 2 * pairs * call.taps
    return "columns", {
        "call": 1,
        "place": 2 * pairs,
        "tap": taps,
        "inside": inside * c,
        "outside": (taps - inside) * c,
        "pair": pairs * halves,
        "mac": pairs * halves * n,
        "output": 2 * pairs * channels,
    }


def _product(rows: int, times: int, call: KernelRun) -> dict[str, float]:
    """CMSIS-NN's arm_nn_mat_mult_nt_t_s8 with vectors, ``times`` with so many rows (arm_convolve_1x1_s8)."""
    n, channels = call.read[2], call.written[2]
    fours, rest, vectors = times * (rows // 4), times * (rows % 4), -(-n // 16)
    return {
        "call": 1, "row": times, "four_row": fours, "four": fours * channels,
        "four_vector": fours * channels * vectors, "one": rest * channels,
        "one_vector": rest * channels * vectors, "one_row": rest, "one_output": rest * (channels % 4),
    }  # fmt: skip


def _columns_with_vectors(call: KernelRun) -> Loops:
    """CMSIS-NN's arm_convolve_s8 with vectors: four columns at a time, apart those that reach out of the input."""
    c, n, channels = call.read[2], call.taps * call.read[2], call.written[2]
    rows, columns = call.inside(0), call.inside(1)
    whole = [y == call.window[0] and x == call.window[1] for y in rows for x in columns]
    groups = [all(whole[i : i + 4]) for i in range(0, len(whole) // 4 * 4, 4)]
    padded, rest, inside = groups.count(False), call.places % 4, sum(rows) * sum(columns)
    return "columns", {
        "call": 1,
        "place": call.places,
        "tap": call.places * call.taps,
        "copied": inside * -(-c // 16),
        "outside": (call.places * call.taps - inside) * -(-c // 16),
        "four": (len(groups) - padded) * channels,
        "four_vector": (len(groups) - padded) * channels * -(-n // 16),
        "padded": padded * channels,
        "padded_vector": padded * channels * -(-n // 8),
        "one": rest * channels,
        "one_vector": rest * channels * -(-n // 8),
    }


def _signal_with_vectors(call: KernelRun) -> Loops:
    """CMSIS-NN's arm_convolve_1_x_n_s8: four places at a time from where they are, single ones at both ends."""
    n, channels = call.taps * call.read[2], call.written[2]
    columns = call.inside(1)
    groups = [columns[i] == columns[i + 3] == call.window[1] for i in range(0, len(columns), 4)]
    ends = 4 * groups.count(False)
    return "signal", {
        "call": 1, "group": len(groups), "four": groups.count(True) * channels,
        "four_vector": groups.count(True) * channels * -(-n // 16), "one": ends * channels,
        "one_vector": ends * channels * -(-n // 16),
    }  # fmt: skip


def _int8_depthwise(core: str, call: KernelRun) -> Loops:
    c, n = call.read[2], call.written[2]
    if core == "vectors" and c == n and call.dilation == (1, 1):
        return _depthwise_with_vectors(call)
    rows, columns = call.inside(0), call.inside(1)
    fours = n // 4 if core == "dsp" and c == n else 0
    rest = n - 4 * fours
    threes = columns.count(3) if call.dilation[1] == 1 and c == n else 0
    single = 0 if core == "dsp" else threes  # channels by themselves have no loop of three there
    others, across = call.written[1] - single, sum(columns) - 3 * single
    down = sum(rows)
    return "each" if c == n else "multiplied", {
        "call": 1,
        "row": call.written[0],
        "place": call.places,
        "four": call.places * fours,
        "four_row": down * call.written[1] * fours,
        "four_threes": down * threes * fours,
        "four_tap": down * (sum(columns) - 3 * threes) * fours,
        "threes": call.written[0] * single * rest,
        "threes_row": down * single * rest,
        "other": call.written[0] * others * rest,
        "other_row": down * others * rest,
        "other_tap": down * across * rest,
    }


def _depthwise_with_vectors(call: KernelRun) -> Loops:
    """CMSIS-NN's arm_depthwise_conv_s8_opt: four places at a time, block by block of channels."""
    c = call.read[2]
    blocks = [min(BLOCK, c - start) for start in range(0, c, BLOCK)]
    fours, vectors = sum(-(-size // 4) for size in blocks), sum(-(-size // 16) for size in blocks)
    groups, rest = divmod(call.places, 4)
    return "each", {
        "call": 1,
        "block": len(blocks),
        "place": call.places * len(blocks),
        "tap": call.places * call.taps * len(blocks),
        "copied": call.places * call.taps * vectors,
        "group": groups * len(blocks),
        "four": groups * fours,
        "four_tap": groups * fours * call.taps,
        "one": rest * fours,
        "one_tap": rest * fours * call.taps,
    }


def _int8_dense(core: str, call: KernelRun) -> Loops:
    rows, n, channels = call.read[0] * call.read[1], call.read[2], call.written[2]
    pairs = rows * -(-channels // 2)
    at_once = {"plain": 1, "dsp": 4, "vectors": 16}[core]
    return "rows", {
        "call": 1,
        "row": rows,
        "pair": pairs,
        "step": pairs * (-(-n // at_once) if core == "vectors" else n // at_once),
        "rest": pairs * (n % at_once if core == "dsp" else 0),
        "output": rows * channels,
    }


def _elements(core: str, call: KernelRun) -> Loops:
    return "all", {"call": 1, "element": call.outputs}


def _channels(core: str, call: KernelRun) -> Loops:
    """Pairs of a tensor and what it has for every channel."""
    return "rows", {"call": 1, "row": call.places, "element": call.outputs}


def _pool(core: str, call: KernelRun) -> Loops:
    down, across, c = sum(call.inside(0)), sum(call.inside(1)), call.written[2]
    return "all", {
        "call": 1, "place": call.places, "output": call.outputs, "row": down * call.written[1] * c,
        "tap": down * across * c,
    }  # fmt: skip


def _reduced(core: str, call: KernelRun) -> Loops:
    return "all", {"call": 1, "output": call.written[2], "element": prod(call.read)}


def _rows(core: str, call: KernelRun) -> Loops:
    return "rows", {"call": 1, "row": call.places, "element": call.outputs}


def _moved(core: str, call: KernelRun) -> Loops:
    length = prod(call.read) // call.stretches
    variant = "words" if length % 4 == 0 and call.outputs % 4 == 0 else "bytes"  # memcpy asks how they are aligned
    return variant, {"call": 1, "run": call.stretches, "byte": call.stretches * length, "filled": call.outputs}


def _float_conv(core: str, call: KernelRun) -> Loops:
    """Ours: four channels at two places where both windows are inside, at one elsewhere; then single channels."""
    depth, filters = call.read[2] // call.groups, call.written[2] // call.groups
    fours, ones = call.groups * (filters // 4), call.groups * (filters % 4)
    rows, columns = call.inside(0), call.inside(1)
    span, x, doubles, singles = (call.window[1] - 1) * call.dilation[1], 0, 0, []
    while x < call.written[1]:
        left = x * call.stride[1] - call.before[1]
        if left >= 0 and x + 1 < call.written[1] and left + call.stride[1] + span < call.read[1]:
            doubles, x = doubles + 1, x + 2
        else:
            singles.append(columns[x])
            x += 1
    joined = call.groups == 1 and call.dilation[1] == 1
    down, high, across = sum(rows), call.written[0], sum(singles)
    return "any", {
        "call": 1,
        "line": high * (fours + ones),
        "double": high * doubles * fours,
        "double_run": down * doubles * fours * (1 if joined else call.window[1]),
        "double_element": down * doubles * fours * call.window[1] * depth,
        "single": high * len(singles) * fours,
        "single_run": down * fours * (len(singles) if joined else across),
        "single_element": down * fours * across * depth,
        "one": call.places * ones,
        "one_run": down * sum(columns) * ones,
        "one_element": down * sum(columns) * ones * depth,
        "summed": call.outputs * call.summed,
    }


def _float_dense(core: str, call: KernelRun) -> Loops:
    rows = call.read[0] * call.read[1]
    return _float_conv(
        core, KernelRun("conv", (1, rows, call.read[2]), (1, rows, call.written[2]), summed=call.summed)
    )


def _float_depthwise(core: str, call: KernelRun) -> Loops:
    down, across, c = sum(call.inside(0)), sum(call.inside(1)), call.written[2]
    if call.read[2] != c:
        return _float_conv(core, call)
    fours, ones, wide = c // 4, c % 4, call.written[1]
    return "each", {
        "call": 1,
        "place": call.places,
        "four": call.places * fours,
        "four_row": down * wide * fours,
        "four_tap": down * across * fours,
        "one": call.places * ones,
        "one_row": down * wide * ones,
        "one_tap": down * across * ones,
        "summed": call.outputs * call.summed,
    }


def _float_pool(core: str, call: KernelRun) -> Loops:
    down, across = sum(call.inside(0)), sum(call.inside(1))
    return "all", {
        "call": 1, "place": call.places, "output": call.outputs, "row": down * call.written[1],
        "tap": down * across, "element": down * across * call.written[2],
    }  # fmt: skip


def _float_mean(core: str, call: KernelRun) -> Loops:
    whole = (call.read[0], call.read[1])
    return _float_pool(core, KernelRun("average_pool", call.read, (1, 1, call.read[2]), whole, whole))


KERNELS: Mapping[str, Mapping[str, Callable[[str, KernelRun], Loops | None]]] = {
    "c-int8": {
        "conv": _int8_conv, "depthwise": _int8_depthwise, "dense": _int8_dense, "add": _elements,
        "multiply": _elements, "add_row": _channels, "multiply_row": _channels, "table": _elements,
        "average_pool": _pool, "max_pool": _pool, "mean": _reduced, "largest": _reduced, "softmax": _rows,
        "pad": _moved, "copy": _elements,
    },
    "c": {
        "conv": _float_conv, "depthwise": _float_depthwise, "dense": _float_dense, "add": _elements,
        "clip": _elements, "scale": _channels, "sigmoid": _elements, "softmax": _elements,
        "average_pool": _float_pool, "max_pool": _float_pool, "mean": _float_mean, "largest": _float_mean,
        "copy": _elements, "turn": _channels,
    },
}  # fmt: skip
