"""Requantization: an int32 accumulator times a real scale, in the integer arithmetic of TFLM.

A real multiplier is a Q31 mantissa `multiplier` in [2**30, 2**31) and an exponent `shift`:
`real = multiplier * 2**(shift - 31)`. Source: `MultiplyByQuantizedMultiplier` and
`QuantizeMultiplier` of TensorFlow Lite Micro. How the product is rounded is a choice: `Rounding`.
"""

import math
from enum import IntEnum
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

# what a compiled function takes as a scalar
Integer = int | np.signedinteger[Any]


class Rounding(IntEnum):
    """How a requantizer rounds the product of accumulator and multiplier.

    DOUBLE : TFLM's default. To Q0 of the doubled high product half up, then, in the division by
        `2**-shift`, half away from zero.
    SINGLE : once, half up (TFLM built with `TFLITE_SINGLE_ROUNDING`).
    HALF_UP : twice as DOUBLE, but half up in the division as well.
    """

    DOUBLE = 0
    SINGLE = 1
    HALF_UP = 2

    @classmethod
    def named(cls, name: str) -> "Rounding":
        """The mode that a configuration calls `name`: double, single or half_up.

        Raises ValueError for another name.
        """
        for mode in cls:
            if mode.name.lower() == name:
                return mode
        allowed = ", ".join(mode.name.lower() for mode in cls)
        raise ValueError(f"rounding is {name!r}; allowed are {allowed}")


# compiled functions take a mode as a plain integer: an enum would be a type of its own to Numba
DOUBLE, SINGLE = int(Rounding.DOUBLE), int(Rounding.SINGLE)

MIN_SHIFT = -31
# from 31 on, C's `1 << shift` leaves int32
MAX_SHIFT = 30
# an int64 accumulator is rescaled by shifts of at most this
MAX_WIDE_SHIFT = 7


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
def multiply_by_quantized_multiplier(
    acc: Integer, multiplier: Integer, shift: Integer, rounding: int = DOUBLE
) -> np.int64:
    """`acc * multiplier * 2**(shift - 31)`, rounded as the `Rounding` says; int32 in and out.

    A positive `shift` moves the accumulator left first and wraps at 32 bits as the C code does.
    The result, within int32, is int64. For use inside other kernels; see `requantize_array`.
    """
    left = np.int64(max(shift, 0))
    right = np.int64(max(-shift, 0))
    shifted = np.int64(np.int32(np.int64(acc) << left))
    product = shifted * np.int64(multiplier)
    if rounding == SINGLE:
        return (product + (np.int64(1 << 30) << right)) >> (np.int64(31) + right)
    high = (product + np.int64(1 << 30)) >> np.int64(31)
    half = (np.int64(1) << right) >> np.int64(1)
    if rounding == DOUBLE:
        # half is 0 exactly when there is no second rounding, and then no sign correction either
        half += (high >> np.int64(63)) & -np.int64(half > 0)
    return (high + half) >> right


@njit(cache=True, nogil=True)
def multiply_by_reduced_multiplier(acc: Integer, multiplier: Integer, shift: Integer) -> np.int64:
    """`acc * multiplier * 2**(shift - 31)` of an int64, with 15 bits of the multiplier.

    Rounds halves upwards, once. Source: `MultiplyByQuantizedMultiplier` for int64.
    """
    reduced = np.int64(0x7FFF)
    if multiplier < 0x7FFF0000:
        reduced = (np.int64(multiplier) + (1 << 15)) >> 16
    total = np.int64(15) - np.int64(shift)
    return (np.int64(acc) * reduced + (np.int64(1) << (total - 1))) >> total


@njit(cache=True, nogil=True)
def requantize_and_clamp(
    acc: Integer,
    multiplier: Integer,
    shift: Integer,
    zero_point: Integer,
    low: Integer,
    high: Integer,
    rounding: int = DOUBLE,
) -> np.int64:
    """The output of an accumulator: multiply, add `zero_point`, clamp to [low, high].

    The addition wraps at 32 bits, as in the C code; only a left shift gets anywhere near.
    """
    value = multiply_by_quantized_multiplier(acc, multiplier, shift, rounding)
    shifted = np.int64(np.int32(value + np.int64(zero_point)))
    return min(max(shifted, np.int64(low)), np.int64(high))


@njit(cache=True, nogil=True)
def _multiply_array(
    acc: NDArray[np.int32],
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    rounding: int,
    out: NDArray[np.int32],
) -> None:
    for i in range(acc.size):
        out[i] = multiply_by_quantized_multiplier(acc[i], multiplier[i], shift[i], rounding)


def requantize_array(
    acc: NDArray[np.int32],
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    *,
    rounding: Rounding = Rounding.DOUBLE,
) -> NDArray[np.int32]:
    """`multiply_by_quantized_multiplier` over arrays that broadcast together, int32 each.

    Raises ValueError for another dtype, a shift outside [-31, 30], or another rounding.
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
    _multiply_array(a, m, s, int(Rounding(rounding)), out)
    return out.reshape(full[0].shape)
