"""Requantization: an int32 accumulator times a real scale, in the integer arithmetic of TFLM.

A real multiplier is a Q31 mantissa `multiplier` in [2**30, 2**31) and an exponent `shift`:
`real = multiplier * 2**(shift - 31)`. Source: `MultiplyByQuantizedMultiplier` and
`QuantizeMultiplier` of TensorFlow Lite Micro, built with double rounding (its default).
"""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

# what a compiled function takes as a scalar
Integer = int | np.signedinteger[Any]

MIN_SHIFT = -31
# from 31 on, C's `1 << shift` leaves int32
MAX_SHIFT = 30


def quantize_multiplier(real: float) -> tuple[int, int]:
    """Split `real` into (Q31 multiplier, shift), as TFLM's `QuantizeMultiplier` in double.

    Zero, and anything that rounds below 2**-32, gives (0, 0).
    Raises ValueError when `real` is negative, not finite, or 2**30 and above.
    """
    if not 0 <= real < math.inf:
        raise ValueError(f"multiplier is {real}; allowed is a finite value of 0 or more")
    multiplier, shift = split_multiplier(real)
    if multiplier == 0 or shift < MIN_SHIFT:
        return 0, 0
    if shift > MAX_SHIFT:
        raise ValueError(f"multiplier is {real}; allowed is less than 2**{MAX_SHIFT}")
    return multiplier, shift


def split_multiplier(real: float) -> tuple[int, int]:
    """(Q31 multiplier, shift) of a positive `real`, whatever the shift."""
    mantissa, shift = math.frexp(real)
    multiplier = math.floor(mantissa * 2.0**31 + 0.5)
    if multiplier == 1 << 31:
        return 1 << 30, shift + 1
    return multiplier, shift


@njit(cache=True, nogil=True)
def multiply_by_quantized_multiplier(acc: Integer, multiplier: Integer, shift: Integer) -> np.int64:
    """`acc * multiplier * 2**(shift - 31)`, rounded twice; int32 in, int32 range out (as int64).

    A positive `shift` moves the accumulator left first and wraps at 32 bits as the C code does.
    The first rounding (to Q0 of the doubled high product) is half up, the second (division by
    `2**-shift`) is half away from zero. For use inside other kernels; see `requantize_array`.
    """
    left = np.int64(max(shift, 0))
    right = np.int64(max(-shift, 0))
    shifted = np.int64(np.int32(np.int64(acc) << left))
    high = (shifted * np.int64(multiplier) + np.int64(1 << 30)) >> np.int64(31)
    half = (np.int64(1) << right) >> np.int64(1)
    # half is 0 exactly when there is no second rounding, and then no sign correction either
    correction = (high >> np.int64(63)) & -np.int64(half > 0)
    return (high + half + correction) >> right


@njit(cache=True, nogil=True)
def requantize_to_int8(
    acc: Integer,
    multiplier: Integer,
    shift: Integer,
    zero_point: Integer,
    low: Integer,
    high: Integer,
) -> np.int64:
    """The int8 output of an accumulator: multiply, add `zero_point`, clamp to [low, high].

    The addition wraps at 32 bits, as in the C code; only a left shift gets anywhere near.
    """
    value = multiply_by_quantized_multiplier(acc, multiplier, shift) + np.int64(zero_point)
    return min(max(np.int64(np.int32(value)), np.int64(low)), np.int64(high))


@njit(cache=True, nogil=True)
def requantize_tile(
    acc: NDArray[np.int32],
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    zero_point: int,
    low: int,
    high: int,
    ofm: NDArray[np.int8],
) -> None:
    """`requantize_to_int8` of as much of `acc` (pixels, channels) as `ofm` has room for."""
    for p in range(ofm.shape[0]):
        for c in range(ofm.shape[1]):
            ofm[p, c] = requantize_to_int8(
                acc[p, c], multiplier[c], shift[c], zero_point, low, high
            )


@njit(cache=True, nogil=True)
def _multiply_array(
    acc: NDArray[np.int32],
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    out: NDArray[np.int32],
) -> None:
    for i in range(acc.size):
        out[i] = multiply_by_quantized_multiplier(acc[i], multiplier[i], shift[i])


def requantize_array(
    acc: NDArray[np.int32], multiplier: NDArray[np.int32], shift: NDArray[np.int32]
) -> NDArray[np.int32]:
    """`multiply_by_quantized_multiplier` over arrays that broadcast together, int32 each.

    Raises ValueError for another dtype, or a shift outside [-31, 30].
    """
    arrays = {"acc": acc, "multiplier": multiplier, "shift": shift}
    for name, array in arrays.items():
        if array.dtype != np.int32:
            raise ValueError(f"{name} is {array.dtype}; allowed is int32")
    if shift.size and not (shift.min() >= MIN_SHIFT and shift.max() <= MAX_SHIFT):
        raise ValueError(
            f"shift spans {shift.min()} to {shift.max()}; allowed is {MIN_SHIFT} to {MAX_SHIFT}"
        )
    full = np.broadcast_arrays(acc, multiplier, shift)
    a, m, s = (np.ascontiguousarray(array).reshape(-1) for array in full)
    out = np.empty(a.shape, np.int32)
    _multiply_array(a, m, s, out)
    return out.reshape(full[0].shape)
