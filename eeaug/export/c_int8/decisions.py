"""What int8 classifiers say as decisions, in C and in integers: output.Quantised and combining.combined once more.

Shares of 1 are counted in 2^-24, logarithms to base 2 in the same unit: as exact as float32 is near 1. A confidence
is an int8 number like a probability, rounded to the nearest of 256 steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from math import log2

from eeaug.cascade.output import Decision, Quantised
from eeaug.export.c import decisions
from eeaug.export.c.arithmetic import Arithmetic
from eeaug.export.c.cascade_source import CMSIS_NN
from eeaug.export.c.text import literal
from eeaug.export.c_int8.constants import numbers
from eeaug.frameworks.tflite_session import Quantisation
from eeaug.support.sample_layout import SampleLayout

__all__ = ["FOLDERS", "PER_ANSWER", "int8"]

NEVER = 128  # a threshold that no confidence reaches
PER_ANSWER = 4  # bytes of a share
ONE = 1 << 24
FOLDERS = (f"{CMSIS_NN}/Include", "third_party/cmsis_core/Include")

_SHARES = """\
/* Probabilities as shares of 1, in 2^-24. */
#define ONE 16777216

static void shares(const int8_t *q, int32_t *p)
{
    for (int i = 0; i < OUTPUTS; ++i) {
        p[i] = (q[i] + 128) * 65536;
    }
}"""
_LOGARITHM = """\
/* The logarithm to base 2 of a share above 0, in 2^-24: a bit at a time. */
static int32_t logarithm(int32_t share)
{
    uint32_t x = (uint32_t)share;
    int32_t whole = 7;
    int32_t fraction = 0;
    while (!(x >> 31)) {
        x <<= 1;
        --whole;
    }
    for (int32_t bit = ONE / 2; bit; bit /= 2) {
        const uint64_t square = (uint64_t)x * x >> 31;
        fraction += square >> 32 ? bit : 0;
        x = (uint32_t)(square >> 32 ? square >> 1 : square);
    }
    return whole * ONE + fraction;
}"""
_ENTROPY = """\
/* 1 - H / ln n, H the entropy of n shares; 0 ln 0 is 0. */
static int32_t sure(const int32_t *p, int n)
{
    int64_t sum = 0;
    int32_t result;
    for (int i = 0; i < n; ++i) {
        sum += p[i] > 0 ? (int64_t)p[i] * logarithm(p[i]) : 0;
    }
    result = ONE + (int32_t)(sum / ONE * @per_logarithm / ONE); /* over log2 n */
    return result < 0 ? 0 : result > ONE ? ONE : result;
}"""
_CONFIDENCE = """\
static int8_t confidence(const int32_t *p)
{
@least
    const int32_t steps = (least + 32768) / 65536;
    return (int8_t)((steps > 255 ? 255 : steps) - 128);
}"""
_OF_ALL = "    const int32_t least = sure(p, OUTPUTS);"
_OF_PAIRS = """\
    int32_t least = ONE; /* that of the least sure output p, read as [1 - p, p] */
    for (int i = 0; i < OUTPUTS; ++i) {
        const int32_t pair[2] = {ONE - p[i], p[i]};
        const int32_t one = sure(pair, 2);
        least = one < least ? one : least;
    }"""
_POWER = """\
/* 2^-d of d >= 0 in 2^-24: in 2^-30. Products of 2^-(2^-24), 2^-(2^-23) and so on, in 2^-32. */
static int32_t power(int64_t d)
{
    static const uint32_t powers[24] = {
@powers
    };
    uint32_t x = (uint32_t)1 << 30;
    if (d >= (int64_t)31 * ONE) {
        return 0;
    }
    for (int bit = 0; bit < 24; ++bit) {
        x = d >> bit & 1 ? (uint32_t)(((uint64_t)x * powers[bit] + 2147483648u) >> 32) : x;
    }
    return (int32_t)(x >> (d / ONE));
}

/* weight * the logarithm of a share; one of 0 may be anything below half a step. */
static int64_t weighed(int32_t weight, int32_t share)
{
    return (int64_t)weight * logarithm(share > 0 ? share : ONE / 512) / ONE;
}"""
_HEAR = """\
static int64_t heard(const int8_t *const *said, const int32_t *weights, int count, int i)
{
    int64_t sum = 0;
    for (int j = 0; j < count; ++j) {
        sum += weighed(weights[j], (said[j][i] + 128) * 65536);
    }
    return sum;
}

/* p = softmax of the sum of weights[j] * ln said[j]: what the last of count classifiers says that hears others. */
static void hear(const int8_t *const *said, const int32_t *weights, int count, int32_t *p)
{
    int64_t largest = heard(said, weights, count, 0);
    uint64_t sum = 0;
    for (int i = 1; i < OUTPUTS; ++i) {
        const int64_t one = heard(said, weights, count, i);
        largest = one > largest ? one : largest;
    }
    for (int i = 0; i < OUTPUTS; ++i) {
        p[i] = power(largest - heard(said, weights, count, i));
        sum += (uint32_t)p[i];
    }
    for (int i = 0; i < OUTPUTS; ++i) {
        p[i] = (int32_t)(((uint64_t)(uint32_t)p[i] * ONE + sum / 2) / sum);
    }
}"""
_HEAR_PAIRS = """\
/* The same for every output by itself, read as [1 - p, p]: p of softmax of the sums of weights[j] * ln said[j]. */
static void hear(const int8_t *const *said, const int32_t *weights, int count, int32_t *p)
{
    for (int i = 0; i < OUTPUTS; ++i) {
        int64_t no = 0;
        int64_t yes = 0;
        uint32_t other;
        for (int j = 0; j < count; ++j) {
            const int32_t share = (said[j][i] + 128) * 65536;
            no += weighed(weights[j], ONE - share);
            yes += weighed(weights[j], share);
        }
        other = (uint32_t)power(no > yes ? no - yes : yes - no);
        p[i] = (int32_t)(((uint64_t)(no > yes ? other : 1073741824u) * ONE) / (1073741824u + other));
    }
}"""
_QUANTISE = """\
void @{prefix}_quantise(const float *sample, int8_t *input)
{
    for (int32_t i = 0; i < @{PREFIX}_INPUT; ++i) {
        const float steps = rintf(sample[i] / @{PREFIX}_INPUT_SCALE) + (float)@{PREFIX}_INPUT_ZERO_POINT;
        input[i] = (int8_t)(steps < -128.0f ? -128.0f : steps > 127.0f ? 127.0f : steps);
    }
}
"""
_CARRIED = """
## CMSIS-NN

Arm's CMSIS-NN 4.0.0 lies in `third_party/` with its licence (Apache-2.0) and where it comes from. All kernels use
its headers; its functions are called on cores with vectors (M55), where a processor of the cascade may be one: then
there is `cmsis_nn.c`, which includes what is needed. Link that once, however many int8 cascades there are.

A copy of just this version that your firmware has already may take its place: `make CMSIS_NN=DIR`,
`cmake -DCMSIS_NN=DIR`, or `-IDIR/Include` in a build of your own (DIR has `Include/` and `Source/`).
"""
_QUANTISE_DECLARED = """\
/* What an int8 number q of the input stands for: scale * (q - zero point). */
#define @{PREFIX}_INPUT_SCALE @{scale}
#define @{PREFIX}_INPUT_ZERO_POINT (@{zero_point})

/* A prepared sample as the first function takes it: in floats; a sensor's own numbers may allow less. */
void @{prefix}_quantise(const float *sample, int8_t *input);

"""


_QUANTISE_SEVERAL = """\
void @{prefix}_quantise(const float *sample, int8_t *input)
{
    static const int32_t ends[] = {@{ends}};
    static const float scales[] = @{PREFIX}_INPUT_SCALES;
    static const int8_t zero_points[] = @{PREFIX}_INPUT_ZERO_POINTS;
    int32_t i = 0;
    for (int k = 0; k < @{inputs}; ++k) {
        for (; i < ends[k]; ++i) {
            const float steps = rintf(sample[i] / scales[k]) + (float)zero_points[k];
            input[i] = (int8_t)(steps < -128.0f ? -128.0f : steps > 127.0f ? 127.0f : steps);
        }
    }
}
"""
_QUANTISE_SEVERAL_DECLARED = """\
/* What an int8 number q of @{names} stands for: scale * (q - zero point). */
#define @{PREFIX}_INPUT_SCALES {@{scales}}
#define @{PREFIX}_INPUT_ZERO_POINTS {@{zero_points}}

/* A prepared sample as the first function takes it: in floats; a sensor's own numbers may allow less. */
void @{prefix}_quantise(const float *sample, int8_t *input);

"""


def _sure(decision: Decision) -> str:
    options = decision.classes if decision.kind == "softmax" else 2
    code = decisions.sure(decision, "int32_t", "shares", _ENTROPY)
    return code.replace("@per_logarithm", str(round(ONE / log2(options))))


def _decisions(decision: Decision, hears: bool) -> str:
    softmax = decision.kind == "softmax"
    parts = [_SHARES]
    if hears or decision.measure == "entropy":
        parts.append(_LOGARITHM)
    parts += [_sure(decision), _CONFIDENCE.replace("@least", _OF_ALL if softmax else _OF_PAIRS)]
    parts.append(decisions.predicted(decision, "int32_t", "ONE / 2"))
    if hears:
        powers = numbers(f"{round(2.0**32 * 2.0 ** -(2.0 ** (bit - 24)))}u" for bit in range(24))
        parts += [_POWER.replace("@powers", powers), _HEAR if softmax else _HEAR_PAIRS]
    return "\n\n".join(parts)


def _threshold(value: float | None) -> str:
    constant = Quantised.constant(value)
    return str(NEVER if constant is None else constant)


_INT8 = Arithmetic(
    "int8_t", 1, "int32_t", True, "int32_t", lambda weight: str(round(weight * ONE)), "int16_t", _threshold,
    _decisions,
    {
        "number": "int8_t",
        "numbers": "int8 numbers",
        "arithmetic": "int8",
        "confidence_type": "int8_t",
        "confidence_unit": ": q stands for (q + 128) / 256",
        "confidence_printed": "(result.confidence + 128) / 256.0",
        "system": "#include <limits.h>\n#include <math.h>\n#include <stddef.h>\n#include <string.h>",
        "number_asserted": "ASSERTED(shifts_keep_the_sign, -1 >> 1 == -1);",
        "input_declared": _QUANTISE_DECLARED,
        "input_defined": _QUANTISE,
        "runtime": "LiteRT",
        "taken": "input",
        "quantised": "static int8_t input[@{PREFIX}_INPUT];\n",
        "carried": _CARRIED,
        "make_copies": f"CMSIS_NN ?= {CMSIS_NN}\n",
        "cmake_copies": f'set(CMSIS_NN ${{CMAKE_CURRENT_SOURCE_DIR}}/{CMSIS_NN} CACHE PATH "CMSIS-NN 4.0.0")\n\n',
        "quantise": "    @{prefix}_quantise(sample, input);\n",
    },
)  # fmt: skip


def int8(prefix: str, takes: Sequence[Quantisation], layout: SampleLayout) -> Arithmetic:
    """The numbers of a cascade of this prefix whose inputs are quantised so."""
    known = {
        "@{prefix}": prefix,
        "@{PREFIX}": prefix.upper(),
        "@{scale}": literal(takes[0].scale),
        "@{zero_point}": str(takes[0].zero_point),
        "@{names}": ", ".join(layout.names),
        "@{scales}": ", ".join(literal(one.scale) for one in takes),
        "@{zero_points}": ", ".join(str(one.zero_point) for one in takes),
        "@{ends}": ", ".join(map(str, accumulate(layout.sizes))),
        "@{inputs}": str(len(takes)),
    }
    words = dict(_INT8.words)
    if layout.several:
        words |= {"input_declared": _QUANTISE_SEVERAL_DECLARED, "input_defined": _QUANTISE_SEVERAL}
    for name in ("input_declared", "input_defined", "quantised", "quantise"):
        for word, value in known.items():
            words[name] = words[name].replace(word, value)
    return replace(_INT8, words=words)
