"""BATCH_MATMUL of two int16 activations.

Zero points are 0. The accumulator is int64 and meets a multiplier of 16 bits.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.checks import RANGES, check_array, check_multiplier, check_wide_shift
from kernels.requantize import multiply_by_reduced_multiplier

INT16_MIN, INT16_MAX = RANGES[np.dtype(np.int16)]


def batch_matmul_int16(
    a: NDArray[np.int16],
    b: NDArray[np.int16],
    *,
    adj_a: bool = False,
    adj_b: bool = False,
    multiplier: int,
    shift: int,
) -> NDArray[np.int16]:
    """BATCH_MATMUL of int16, otherwise as `kernels.batch_matmul.batch_matmul`.

    Raises ValueError for a wrong dtype, shapes that do not fit, or a value out of range.
    """
    for name, array in (("a", a), ("b", b)):
        check_array(name, array, np.int16)
    rescale = check_multiplier(multiplier, shift)
    check_wide_shift(shift)
    rows = a.swapaxes(-1, -2) if adj_a else a
    columns = b.swapaxes(-1, -2) if adj_b else b
    # numpy's own product of integers: exact in int64, and it wraps as the C code does
    acc = np.matmul(rows.astype(np.int64), columns.astype(np.int64))
    ofm = np.empty(acc.shape, np.int16)
    _rescale(acc.reshape(-1), *rescale, ofm.reshape(-1))
    return ofm


@njit(cache=True, nogil=True)
def _rescale(acc: NDArray[np.int64], multiplier: int, shift: int, ofm: NDArray[np.int16]) -> None:
    for i in range(acc.size):
        value = multiply_by_reduced_multiplier(acc[i], multiplier, shift)
        ofm[i] = min(max(value, np.int64(INT16_MIN)), np.int64(INT16_MAX))
