"""What classifiers say as decisions, in C: output.Decision and combining.combined once more, in float."""

from __future__ import annotations

from math import log

from eeaug.cascade.output import Decision

__all__ = ["confidence", "hear", "predicted", "sure"]

_LARGEST = """\
/* The largest of n @shares. */
static @number sure(const @number *p, int n)
{
    @number largest = p[0];
    for (int i = 1; i < n; ++i) {
        largest = p[i] > largest ? p[i] : largest;
    }
    return largest;
}"""
_MARGIN = """\
/* How far the largest of n @shares is from the second. */
static @number sure(const @number *p, int n)
{
    @number largest = p[0] > p[1] ? p[0] : p[1];
    @number second = p[0] > p[1] ? p[1] : p[0];
    for (int i = 2; i < n; ++i) {
        if (p[i] > largest) {
            second = largest;
            largest = p[i];
        } else if (p[i] > second) {
            second = p[i];
        }
    }
    return largest - second;
}"""
_ENTROPY = """\
/* 1 - H / ln n, H the entropy of n probabilities; 0 ln 0 is 0. */
static float sure(const float *p, int n)
{
    double sum = 0.0;
    for (int i = 0; i < n; ++i) {
        sum += (double)(p[i] * logf(p[i] > FLT_MIN ? p[i] : FLT_MIN));
    }
    sum = 1.0 + sum / @logarithm;
    return (float)(sum < 0.0 ? 0.0 : sum > 1.0 ? 1.0 : sum);
}"""
_OF_ALL = """\
static float confidence(const float *p)
{
    return sure(p, OUTPUTS);
}"""
_LEAST = """\
/* That of the least sure output p, read as [1 - p, p]. */
static float confidence(const float *p)
{
    float least = 1.0f;
    for (int i = 0; i < OUTPUTS; ++i) {
        const float pair[2] = {1.0f - p[i], p[i]};
        const float one = sure(pair, 2);
        least = one < least ? one : least;
    }
    return least;
}"""
_CLASS = """\
static int32_t predicted(const @number *p)
{
    int32_t best = 0;
    for (int32_t i = 1; i < OUTPUTS; ++i) {
        best = p[i] > p[best] ? i : best;
    }
    return best;
}"""
_BINARY = """\
static int32_t predicted(const @number *p)
{
    return p[0] >= @half;
}"""
_LABELS = """\
static uint64_t predicted(const @number *p)
{
    uint64_t labels = 0;
    for (int i = 0; i < OUTPUTS; ++i) {
        labels |= (uint64_t)(p[i] >= @half) << i;
    }
    return labels;
}"""
_HEAR = """\
/* q = softmax of the sum of weights[j] * ln said[j]: what the last of count classifiers says that hears others. */
static void hear(const float *const *said, const float *weights, int count, float *q)
{
    float largest = -FLT_MAX;
    float sum = 0.0f;
    for (int i = 0; i < OUTPUTS; ++i) {
        q[i] = 0.0f;
        for (int j = 0; j < count; ++j) {
            q[i] += weights[j] * logf(said[j][i] > @floor ? said[j][i] : @floor);
        }
        largest = q[i] > largest ? q[i] : largest;
    }
    for (int i = 0; i < OUTPUTS; ++i) {
        q[i] = expf(q[i] - largest);
        sum += q[i];
    }
    for (int i = 0; i < OUTPUTS; ++i) {
        q[i] /= sum;
    }
}"""
_HEAR_PAIRS = """\
/* The same for every output by itself, read as [1 - p, p]: q of softmax of the sums of weights[j] * ln said[j]. */
static void hear(const float *const *said, const float *weights, int count, float *q)
{
    for (int i = 0; i < OUTPUTS; ++i) {
        float no = 0.0f;
        float yes = 0.0f;
        for (int j = 0; j < count; ++j) {
            const float p = said[j][i];
            no += weights[j] * logf(1.0f - p > @floor ? 1.0f - p : @floor);
            yes += weights[j] * logf(p > @floor ? p : @floor);
        }
        q[i] = no > yes ? expf(yes - no) / (expf(yes - no) + 1.0f) : 1.0f / (1.0f + expf(no - yes));
    }
}"""


def sure(decision: Decision, number: str = "float", shares: str = "probabilities", entropy: str = _ENTROPY) -> str:
    """C for the confidence of one distribution, of ``shares`` that are of the type ``number``."""
    options = decision.classes if decision.kind == "softmax" else 2
    code = {"max-softmax": _LARGEST, "margin": _MARGIN, "entropy": entropy}[decision.measure]
    for name, text in (("number", number), ("shares", shares), ("logarithm", repr(log(options)))):
        code = code.replace(f"@{name}", text)
    return code


def confidence(decision: Decision) -> str:
    """C for the confidence of all outputs."""
    return _OF_ALL if decision.kind == "softmax" else _LEAST


def predicted(decision: Decision, number: str = "float", half: str = "0.5f") -> str:
    """C for the class, or the labels as bits; ``half`` is one half in the type ``number``."""
    code = {"softmax": _CLASS, "binary": _BINARY, "multilabel": _LABELS}[decision.kind]
    return code.replace("@number", number).replace("@half", half)


def hear(decision: Decision) -> str:
    """C for the answer of a classifier that uses earlier ones."""
    code = _HEAR if decision.kind == "softmax" else _HEAR_PAIRS
    return code.replace("@floor", f"{decision.floor:.9g}f")
