"""SOFTMAX, int8, in gemmlowp's fixed-point arithmetic.

Qi.f below is an int32 with i integer and f fraction bits. The exponential is Q0.31, the sum Q12.19,
and the reciprocal comes from three Newton steps. Constants and steps are those of gemmlowp's
`fixedpoint.h` (`exp_on_negative_values`, `one_over_one_plus_x_for_x_in_0_1`).
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.checks import as_operand, check_array
from kernels.quantization import INT8_MAX, INT8_MIN, SOFTMAX_INTEGER_BITS, SoftmaxParameters
from kernels.requantize import Integer

INT32_MAX = (1 << 31) - 1
FRACTION_BITS = 31 - SOFTMAX_INTEGER_BITS
SUM_INTEGER_BITS = 12
# the sum of so many exponentials still fits Q13.19, unsigned
MAX_ROW = (1 << 13) - 1
# exp(-1/8), 1/3 in Q0.31
EXP_MINUS_EIGHTH, ONE_THIRD = 1895147668, 715827883
# exp(-2**e) in Q0.31 for e = -2 to 4
EXP_OF_POWERS = np.array(
    [1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242], np.int64
)
# 48/17 and -32/17 in Q2.29, the line that starts the Newton steps
NEWTON_OFFSET, NEWTON_SLOPE = 1515870810, -1010580540


def softmax(ifm: NDArray[np.int8], *, parameters: SoftmaxParameters) -> NDArray[np.int8]:
    """SOFTMAX over the last dimension of `ifm`, to scale 1/256 and zero point -128.

    `parameters` come from `kernels.quantization.softmax_parameters`. Bit-exact with TFLM's
    `reference_ops::Softmax`; where that stops the program (a row whose exponentials add up to 512
    or more), this goes on in the same arithmetic.
    Raises ValueError for a wrong dtype, an empty IFM, or rows longer than MAX_ROW.
    """
    check_array("ifm", ifm, np.int8)
    length = ifm.shape[-1] if ifm.ndim else 1
    if length > MAX_ROW:
        raise ValueError(f"ifm has rows of {length} values; allowed is at most {MAX_ROW}")
    rows = as_operand(ifm.reshape(-1, length))
    ofm = np.empty(rows.shape, np.int8)
    p = parameters
    _softmax(rows, _exponential_table(p.multiplier, p.shift, p.diff_min), p.diff_min, ofm)
    return ofm.reshape(ifm.shape)


@njit(cache=True, nogil=True)
def _softmax(
    rows: NDArray[np.int8], table: NDArray[np.int64], diff_min: int, ofm: NDArray[np.int8]
) -> None:
    for r in range(rows.shape[0]):
        largest = np.int64(rows[r].max())
        total = np.int64(0)
        for c in range(rows.shape[1]):
            difference = np.int64(rows[r, c]) - largest
            if difference >= diff_min:
                total += _round_shift(table[-difference], SUM_INTEGER_BITS)
        headroom = 0
        while (total << headroom) < 1 << 31:
            headroom += 1
        scale = _one_over_one_plus((total << headroom) - (1 << 31))
        exponent = SUM_INTEGER_BITS - headroom + 31 - 8
        for c in range(rows.shape[1]):
            difference = np.int64(rows[r, c]) - largest
            value = np.int64(INT8_MIN)
            if difference >= diff_min:
                value += _round_shift(_high_product(scale, table[-difference]), exponent)
            ofm[r, c] = min(max(value, np.int64(INT8_MIN)), np.int64(INT8_MAX))


@njit(cache=True, nogil=True)
def _exponential_table(multiplier: int, shift: int, diff_min: int) -> NDArray[np.int64]:
    """exp in Q0.31 of every difference of two int8 (index: its negative) down to `diff_min`."""
    table = np.zeros(256, np.int64)
    for index in range(min(255, -diff_min) + 1):
        scaled = np.int64(np.int32(np.int64(-index) << shift))
        table[index] = _exp_on_negative(_high_product(scaled, multiplier))
    return table


@njit(cache=True, nogil=True)
def _high_product(a: Integer, b: Integer) -> np.int64:
    """Saturating rounding doubling high multiply of two int32."""
    if a == b and a == -(1 << 31):
        return np.int64(INT32_MAX)
    return (np.int64(a) * np.int64(b) + np.int64(1 << 30)) >> np.int64(31)


@njit(cache=True, nogil=True)
def _round_shift(x: Integer, exponent: int) -> np.int64:
    """Division by `2**exponent`, rounding half away from zero."""
    mask = (np.int64(1) << exponent) - 1
    threshold = (mask >> 1) + np.int64(x < 0)
    return (np.int64(x) >> exponent) + np.int64((np.int64(x) & mask) > threshold)


@njit(cache=True, nogil=True)
def _saturate(x: Integer) -> np.int64:
    return min(max(np.int64(x), np.int64(-(1 << 31))), np.int64(INT32_MAX))


@njit(cache=True, nogil=True)
def _exp_on_negative(a: Integer) -> np.int64:
    """exp of `a` <= 0 in Q5.26, as Q0.31."""
    if a == 0:
        return np.int64(INT32_MAX)
    quarter = np.int64(1) << (FRACTION_BITS - 2)
    within = (np.int64(a) & (quarter - 1)) - quarter
    # a Taylor polynomial of degree 4 around -1/8, in Q0.31
    x = _saturate(within << SOFTMAX_INTEGER_BITS) + (1 << 28)
    x2 = _high_product(x, x)
    x3 = _high_product(x2, x)
    x4 = _high_product(x2, x2)
    tail = _high_product(_round_shift(x4, 2) + x3, ONE_THIRD) + x2
    result = EXP_MINUS_EIGHTH + _high_product(EXP_MINUS_EIGHTH, x + _round_shift(tail, 1))
    remainder = within - np.int64(a)
    for i in range(EXP_OF_POWERS.size):
        if remainder & (np.int64(1) << (FRACTION_BITS - 2 + i)):
            result = _high_product(result, EXP_OF_POWERS[i])
    return result


@njit(cache=True, nogil=True)
def _one_over_one_plus(x: Integer) -> np.int64:
    """1 / (1 + x) for `x` in Q0.31 from 0 to 1, as Q0.31."""
    half = (np.int64(x) + INT32_MAX + 1) >> 1
    y = NEWTON_OFFSET + _high_product(half, NEWTON_SLOPE)
    for _ in range(3):
        error = (1 << 29) - _high_product(half, y)
        y = y + _saturate(_high_product(y, error) << 2)
    return _saturate(y << 1)
