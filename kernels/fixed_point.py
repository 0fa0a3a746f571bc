"""Transcendental functions in gemmlowp's fixed-point arithmetic, for use inside other kernels.

Qi.f below is an int32 with i integer and f fraction bits. Constants and steps are those of
gemmlowp's `fixedpoint.h`; reciprocals come from three Newton steps.
"""

import numpy as np
from numba import njit

from kernels.jit import internal
from kernels.requantize import Integer

INT32_MAX = np.int64((1 << 31) - 1)
# exp(-1/8), 1/3 in Q0.31
EXP_MINUS_EIGHTH, ONE_THIRD = np.int64(1895147668), np.int64(715827883)
# exp(-2**e) in Q0.31 for e = -2 to 4
EXP_OF_POWERS = np.array(
    [1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242], np.int64
)
# 48/17 and -32/17 in Q2.29, the line that starts the Newton steps
NEWTON_OFFSET, NEWTON_SLOPE = np.int64(1515870810), np.int64(-1010580540)


@internal
def high_product(a: Integer, b: Integer) -> np.int64:
    """Saturating rounding doubling high multiply of two int32."""
    if a == b and a == -(1 << 31):
        return INT32_MAX
    return (np.int64(a) * np.int64(b) + np.int64(1 << 30)) >> np.int64(31)


@njit(cache=True, nogil=True)
def round_shift(x: Integer, exponent: Integer) -> np.int64:
    """Division by `2**exponent`, rounding half away from zero."""
    mask = (np.int64(1) << exponent) - 1
    threshold = (mask >> 1) + np.int64(x < 0)
    return (np.int64(x) >> exponent) + np.int64((np.int64(x) & mask) > threshold)


@internal
def saturate(x: Integer) -> np.int64:
    return min(max(np.int64(x), np.int64(-(1 << 31))), INT32_MAX)


@internal
def exp_on_negative(a: Integer, integer_bits: Integer) -> np.int64:
    """exp of `a` <= 0 with 4 or 5 `integer_bits` (Q4.27, Q5.26), as Q0.31."""
    if a == 0:
        return INT32_MAX
    fraction_bits = 31 - integer_bits
    quarter = np.int64(1) << (fraction_bits - 2)
    within = (np.int64(a) & (quarter - 1)) - quarter
    # a Taylor polynomial of degree 4 around -1/8, in Q0.31
    x = saturate(within << integer_bits) + (1 << 28)
    x2 = high_product(x, x)
    x3 = high_product(x2, x)
    x4 = high_product(x2, x2)
    tail = high_product(round_shift(x4, np.int64(2)) + x3, ONE_THIRD) + x2
    result = EXP_MINUS_EIGHTH + high_product(EXP_MINUS_EIGHTH, x + round_shift(tail, np.int64(1)))
    remainder = within - np.int64(a)
    for i in range(EXP_OF_POWERS.size):
        if remainder & (np.int64(1) << (fraction_bits - 2 + i)):
            result = high_product(result, EXP_OF_POWERS[i])
    return result


@internal
def one_over_one_plus(x: Integer) -> np.int64:
    """1 / (1 + x) for `x` in Q0.31 from 0 to 1, as Q0.31."""
    return saturate(_inverse_of_mean(x) << 1)


@internal
def one_minus_over_one_plus(x: Integer) -> np.int64:
    """(1 - x) / (1 + x) for `x` in Q0.31 from 0 to 1, as Q0.31."""
    return saturate((_inverse_of_mean(x) - (1 << 29)) << 2)


@internal
def _inverse_of_mean(x: Integer) -> np.int64:
    """2 / (1 + x) for `x` in Q0.31 from 0 to 1, as Q2.29."""
    half = (np.int64(x) + INT32_MAX + 1) >> 1
    y = NEWTON_OFFSET + high_product(half, NEWTON_SLOPE)
    for _ in range(3):
        error = (1 << 29) - high_product(half, y)
        y = y + saturate(high_product(y, error) << 2)
    return y


@njit(cache=True, nogil=True)
def logistic(x: Integer) -> np.int64:
    """1 / (1 + exp(-x)) of `x` in Q4.27, as Q0.31."""
    if x == 0:
        return np.int64(1 << 30)
    positive = one_over_one_plus(exp_on_negative(-abs(np.int64(x)), np.int64(4)))
    return positive if x > 0 else INT32_MAX - positive


@njit(cache=True, nogil=True)
def tanh(x: Integer) -> np.int64:
    """tanh of `x` in Q4.27, as Q0.31."""
    if x == 0:
        return np.int64(0)
    # twice the argument: the same bits, read with one more integer bit
    positive = one_minus_over_one_plus(exp_on_negative(-abs(np.int64(x)), np.int64(5)))
    return positive if x > 0 else -positive
