"""Real factors as int32 multipliers and shifts, and what LiteRT's reference kernels compute with them.

Fixed-point arithmetic of gemmlowp, as LiteRT's reference kernels use it (Jacob et al. 2018, section 2.2): products
are rounded to nearest, halves up, shifts to the right to nearest, halves away from zero.
"""

from __future__ import annotations

from math import frexp

import numpy as np
from numpy.typing import NDArray

__all__ = ["Factor", "activation_range", "divided", "exponentials", "factor", "multiplied"]

Factor = tuple[int, int]  # q, shift: q · 2^(shift − 31)
SCALED_BITS, SUM_BITS = 5, 12  # integer bits of scaled differences, and of sums of exponentials
LIMIT = 2**31 - 1


def factor(real: float) -> Factor:
    """A real factor ≥ 0 as q · 2^(shift − 31) with q in [2^30, 2^31), or 0."""
    mantissa, shift = frexp(real)
    q = int(mantissa * 2**31 + 0.5)
    if q == 2**31:
        q, shift = q // 2, shift + 1
    return (q, shift) if shift >= -31 else (0, 0)


def divided(x: int, exponent: int) -> int:
    """x / 2^exponent, rounded to nearest, halves away from zero."""
    half = (1 << exponent) >> 1
    return (x + half) >> exponent if x >= 0 else -((-x + half) >> exponent)


def multiplied(x: int, q: int) -> int:
    """x · q / 2^31, rounded to nearest, halves up; saturates at int32."""
    return min((x * q + (1 << 30)) >> 31, LIMIT)


def scaled(x: int, by: Factor) -> int:
    """x times the factor."""
    q, shift = by
    return divided(multiplied(x << max(shift, 0), q), max(-shift, 0))


def activation_range(activation: str, scale: float, zero_point: int) -> tuple[int, int] | None:
    """The least and largest int8 output of an operator with this fused activation; None: it is not known."""
    real = {"NONE": (None, None), "RELU": (0.0, None), "RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0)}
    if activation not in real:
        return None
    low, high = real[activation]

    def quantised(x: float) -> int:
        steps = np.float32(x) / np.float32(scale)
        return zero_point + int(np.floor(abs(steps) + np.float32(0.5)) * np.sign(steps))

    least = -128 if low is None else max(-128, quantised(low))
    return least, 127 if high is None else min(127, quantised(high))


def exponentials(scale: float, beta: float) -> NDArray[np.int32]:
    """exp(−scale · beta · d) for d = 0, 1, ... as softmax has it: Q0.31, and no more of them than it looks at.

    exp_on_negative_values of gemmlowp on differences in Q5.26.
    """
    real = min(float(beta) * float(np.float32(scale)) * 2 ** (31 - SCALED_BITS), float(LIMIT))
    by = factor(real)
    least = int(1.0 * ((1 << SCALED_BITS) - 1) * 2 ** (31 - SCALED_BITS) / 2 ** by[1])
    return np.array([_exp(multiplied(-d << by[1], by[0])) for d in range(min(least, 255) + 1)], np.int32)


def _exp(a: int) -> int:
    """exp(a) in Q0.31 of a ≤ 0 in Q5.26."""
    if a == 0:
        return LIMIT
    fraction_bits = 31 - SCALED_BITS
    quarter = 1 << (fraction_bits - 2)
    a_mod = (a & (quarter - 1)) - quarter
    result = _exp_between(a_mod << SCALED_BITS)
    remainder = a_mod - a
    for exponent, q in zip(
        range(-2, 5), (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242), strict=True
    ):
        if remainder & (1 << (fraction_bits + exponent)):
            result = multiplied(result, q)
    return result


def _exp_between(a: int) -> int:
    """exp(a) in Q0.31 of a in [−1/4, 0) in Q0.31: a Taylor series around −1/8."""
    x = a + (1 << 28)
    x2 = multiplied(x, x)
    x3 = multiplied(x2, x)
    x4 = multiplied(x2, x2)
    x4_over_4 = divided(x4, 2)
    rest = divided(multiplied(x4_over_4 + x3, 715827883) + x2, 1)
    return min(1895147668 + multiplied(1895147668, x + rest), LIMIT)
