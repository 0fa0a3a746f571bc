"""BATCH_MATMUL of two int8 activations."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.checks import (
    as_operand,
    check_array,
    check_multiplier,
    check_rounding,
    check_zero_point,
)
from kernels.quantization import INT8_MAX, INT8_MIN
from kernels.requantize import Rounding, requantize_and_clamp


def batch_matmul(
    a: NDArray[np.int8],
    b: NDArray[np.int8],
    *,
    adj_a: bool = False,
    adj_b: bool = False,
    a_zero_point: int,
    b_zero_point: int,
    ofm_zero_point: int,
    multiplier: int,
    shift: int,
    rounding: Rounding = Rounding.DOUBLE,
) -> NDArray[np.int8]:
    """BATCH_MATMUL: `a` (..., rows, depth) times `b` (..., depth, columns), (..., rows, columns).

    `adj_a` and `adj_b` say that an operand has its last two dimensions swapped. The other
    dimensions broadcast. `multiplier` and `shift` come from
    `kernels.quantization.mul_multiplier`. Bit-exact with TFLM's
    `reference_ops::BatchMatMul`.
    Raises ValueError for a wrong dtype, shapes that do not fit, or a value out of range.
    """
    for name, array in (("a", a), ("b", b)):
        check_array(name, array, np.int8)
        if array.ndim < 2:
            raise ValueError(f"{name} has shape {array.shape}; allowed are 2 dimensions or more")
    a_zero_point = check_zero_point("a_zero_point", a_zero_point)
    b_zero_point = check_zero_point("b_zero_point", b_zero_point)
    ofm_zero_point = check_zero_point("ofm_zero_point", ofm_zero_point)
    rescale = *check_multiplier(multiplier, shift), check_rounding(rounding)
    rows = a.swapaxes(-1, -2) if adj_a else a
    columns = b if adj_b else b.swapaxes(-1, -2)
    try:
        batches = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        batches = None
    if batches is None or rows.shape[-1] != columns.shape[-1]:
        raise ValueError(
            f"inputs have shapes {a.shape} and {b.shape} (swapped: {adj_a}, {adj_b}); allowed are "
            "batches that broadcast, and as many columns in the first as rows in the second"
        )
    left, right = (
        as_operand(np.broadcast_to(x, batches + x.shape[-2:]).reshape(-1, *x.shape[-2:]))
        for x in (rows, columns)
    )
    ofm = np.empty((left.shape[0], rows.shape[-2], columns.shape[-2]), np.int8)
    _multiply(left, right, a_zero_point, b_zero_point, ofm_zero_point, *rescale, ofm)
    return ofm.reshape(*batches, *ofm.shape[1:])


@njit(cache=True, nogil=True)
def _multiply(
    left: NDArray[np.int8],
    right: NDArray[np.int8],
    a_zero_point: int,
    b_zero_point: int,
    ofm_zero_point: int,
    multiplier: int,
    shift: int,
    rounding: int,
    ofm: NDArray[np.int8],
) -> None:
    batches, rows, columns = ofm.shape
    depth = left.shape[2]
    # int16 operands let the compiler use paired multiply-adds
    x, y = np.empty((rows, depth), np.int16), np.empty((columns, depth), np.int16)
    for n in range(batches):
        for r in range(rows):
            for i in range(depth):
                x[r, i] = np.int16(np.int64(left[n, r, i]) - a_zero_point)
        for c in range(columns):
            for i in range(depth):
                y[c, i] = np.int16(np.int64(right[n, c, i]) - b_zero_point)
        for r in range(rows):
            for c in range(columns):
                acc = np.int32(0)
                for i in range(depth):
                    acc = np.int32(acc + np.int32(x[r, i]) * np.int32(y[c, i]))
                ofm[n, r, c] = requantize_and_clamp(
                    acc, multiplier, shift, ofm_zero_point, INT8_MIN, INT8_MAX, rounding
                )
