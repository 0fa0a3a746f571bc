"""LOGISTIC and TANH as Q0.15, for use inside other kernels: of int16, and the gates of an LSTM.

Both interpolate in one table of the logistic function at multiples of 1/24. Formulas and table are
TFLM's.
"""

from functools import cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.requantize import Integer

INT16_MAX = (1 << 15) - 1
SIGMOID_ENTRIES, SIGMOID_STEP = 256, 1 / 24


@cache
def sigmoid_table() -> NDArray[np.int64]:
    """65536 / (1 + exp(-i / 24)) of every i, rounded to the line that TFLM's table interpolates.

    The function is concave: each entry is raised by half of what a chord misses in the middle of
    the interval that follows. The last entry is where the function counts as 1.
    """
    halves = 65536 / (1 + np.exp(-np.arange(2 * SIGMOID_ENTRIES + 1) * (SIGMOID_STEP / 2)))
    left, middle, right = halves[:-1:2], halves[1::2], halves[2::2]
    table: NDArray[np.int64] = np.rint(left + (middle - (left + right) / 2) / 2).astype(np.int64)
    table[-1] = 0xFFFF
    return table


@njit(cache=True, nogil=True)
def sigmoid_argument(value: Integer, multiplier: int, shift: int) -> np.int64:
    """`value` in units of 1 / 12288, for `logistic_value` and `tanh_value`."""
    return (np.int64(value) * multiplier + ((np.int64(1) << shift) >> 1)) >> shift


@njit(cache=True, nogil=True)
def logistic_value(argument: np.int64, table: NDArray[np.int64]) -> np.int64:
    """LOGISTIC as Q0.15, with `table` from `sigmoid_table`."""
    magnitude = abs(argument)
    index = magnitude >> 9
    result = np.int64(INT16_MAX) << 10
    if index < SIGMOID_ENTRIES - 1:
        slope = table[index + 1] - table[index]
        result = (table[index] << 9) + (magnitude & 511) * slope
    if argument < 0:
        result = (np.int64(1) << 25) - result - 1
    return (result + (1 << 9)) >> 10


@njit(cache=True, nogil=True)
def tanh_value(argument: np.int64, table: NDArray[np.int64]) -> np.int64:
    """TANH as Q0.15, with `table` from `sigmoid_table`."""
    magnitude = abs(argument)
    index = magnitude >> 8
    result = np.int64(0xFFFF) << 8
    if index < SIGMOID_ENTRIES - 1:
        slope = table[index + 1] - table[index]
        result = (table[index] << 8) + (magnitude & 255) * slope
    result -= 1 << 23
    if argument < 0:
        result = -result - 1
    return (result + (1 << 7)) >> 8
