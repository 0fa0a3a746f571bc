"""SOFTMAX, int8 to int8 or int16, in the arithmetic of `kernels.fixed_point`.

The exponentials are Q0.31, their sum Q12.19.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.checks import as_operand, check_array
from kernels.fixed_point import exp_on_negative, high_product, one_over_one_plus, round_shift
from kernels.quantization import SOFTMAX_INTEGER_BITS, SoftmaxParameters

SUM_INTEGER_BITS = np.int64(12)
# the sum of so many exponentials still fits Q13.19, unsigned
MAX_ROW = (1 << 13) - 1


def softmax(ifm: NDArray[np.int8], *, parameters: SoftmaxParameters) -> NDArray[np.int8]:
    """SOFTMAX over the last dimension of `ifm`, to scale 1/256 and zero point -128.

    `parameters` come from `kernels.quantization.softmax_parameters`. Bit-exact with TFLM's
    `reference_ops::Softmax`; where that stops the program (a row whose exponentials add up to 512
    or more), this goes on in the same arithmetic.
    Raises ValueError for a wrong dtype, an empty IFM, or rows longer than MAX_ROW.
    """
    ofm = np.empty(ifm.shape, np.int8)
    _run(ifm, parameters, ofm, 8)
    return ofm


def softmax_int16(ifm: NDArray[np.int8], *, parameters: SoftmaxParameters) -> NDArray[np.int16]:
    """SOFTMAX over the last dimension of `ifm`, to scale 2**-16 and zero point -32768.

    Otherwise as `softmax`.
    """
    ofm = np.empty(ifm.shape, np.int16)
    _run(ifm, parameters, ofm, 16)
    return ofm


def _run(
    ifm: NDArray[np.int8],
    parameters: SoftmaxParameters,
    ofm: NDArray[np.int8] | NDArray[np.int16],
    bits: int,
) -> None:
    check_array("ifm", ifm, np.int8)
    length = ifm.shape[-1] if ifm.ndim else 1
    if length > MAX_ROW:
        raise ValueError(f"ifm has rows of {length} values; allowed is at most {MAX_ROW}")
    p = parameters
    table = exponential_table(p.multiplier, p.shift, p.diff_min)
    softmax_rows(as_operand(ifm.reshape(-1)), length, table, p.diff_min, bits, ofm.reshape(-1))


@njit(cache=True, nogil=True)
def softmax_rows(
    ifm: NDArray[np.int8],
    length: int,
    table: NDArray[Any],
    diff_min: int,
    bits: int,
    ofm: NDArray[np.int8] | NDArray[np.int16],
) -> None:
    """Rows of `length` values one after the other; `table` as from `exponential_table`."""
    low = -(np.int64(1) << (bits - 1))
    for begin in range(0, ifm.size, length):
        largest = np.int64(ifm[begin])
        for c in range(begin + 1, begin + length):
            largest = max(largest, np.int64(ifm[c]))
        total = np.int64(0)
        for c in range(begin, begin + length):
            difference = np.int64(ifm[c]) - largest
            if difference >= diff_min:
                total += round_shift(np.int64(table[-difference]), SUM_INTEGER_BITS)
        headroom = 0
        while (total << headroom) < 1 << 31:
            headroom += 1
        scale = one_over_one_plus((total << headroom) - (1 << 31))
        exponent = SUM_INTEGER_BITS - headroom + 31 - bits
        for c in range(begin, begin + length):
            difference = np.int64(ifm[c]) - largest
            value = low
            if difference >= diff_min:
                value += round_shift(high_product(scale, np.int64(table[-difference])), exponent)
            ofm[c] = min(max(value, low), -low - 1)


def exponential_table(multiplier: int, shift: int, diff_min: int) -> NDArray[np.int64]:
    """exp in Q0.31 of every difference of two int8 (index: its negative) down to `diff_min`."""
    table = np.zeros(256, np.int64)
    _fill_table(multiplier, shift, table[: 1 - max(diff_min, -255)])
    return table


@njit(cache=True, nogil=True)
def _fill_table(multiplier: int, shift: int, table: NDArray[np.int64]) -> None:
    for index in range(table.size):
        scaled = np.int64(np.int32(np.int64(-index) << shift))
        table[index] = exp_on_negative(
            high_product(scaled, multiplier), np.int64(SOFTMAX_INTEGER_BITS)
        )
