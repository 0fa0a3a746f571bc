"""DIV of int8, with broadcasting."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.broadcasting import broadcast_together
from kernels.checks import (
    as_operand,
    check_activation,
    check_array,
    check_multiplier,
    check_rounding,
    check_zero_point,
)
from kernels.fixed_point import high_product, one_over_one_plus
from kernels.quantization import scale_float32
from kernels.requantize import (
    DOUBLE,
    Integer,
    Rounding,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
)

# what three Newton steps that wrap at 32 bits make of 1 / 0
RECIPROCAL_OF_ZERO = -1515870788


def div_multiplier(scale_a: float, scale_b: float, ofm_scale: float) -> tuple[int, int]:
    """(multiplier, shift) of DIV. Source: `CalculateOpDataDiv`, in float32.

    Raises ValueError for a bad scale, or scales that make a multiplier of 2**30 and above.
    """
    a, b, ofm = (
        np.float32(scale_float32(scale, name))
        for scale, name in (
            (scale_a, "scale of input 0"),
            (scale_b, "scale of input 1"),
            (ofm_scale, "OFM scale"),
        )
    )
    with np.errstate(over="ignore", under="ignore", divide="ignore"):
        real = a / (b * ofm)
    return quantize_multiplier(float(real))


def div(
    a: NDArray[np.int8],
    b: NDArray[np.int8],
    *,
    a_zero_point: int,
    b_zero_point: int,
    ofm_zero_point: int,
    multiplier: int,
    shift: int,
    activation_min: int,
    activation_max: int,
    rounding: Rounding = Rounding.DOUBLE,
) -> NDArray[np.int8]:
    """DIV: `a / b`, int8 of shapes that broadcast together, to the broadcast shape.

    `multiplier` and `shift` come from `div_multiplier`. Bit-exact with TFLM's `DivElementwise`,
    where it is right and where it is not: quotients so small that it shifts by 32 and more bits
    come out as x86 shifts, by that number modulo 32, and those by 0 as its arithmetic wraps.
    Raises ValueError for a wrong dtype, shapes that do not broadcast, or a value out of range.
    """
    check_array("a", a, np.int8)
    check_array("b", b, np.int8)
    a_zero_point = check_zero_point("a_zero_point", a_zero_point)
    b_zero_point = check_zero_point("b_zero_point", b_zero_point)
    flat_a, flat_b = broadcast_together(a, b)
    ofm = np.empty(flat_a.shape, np.int8)
    _div(
        as_operand(flat_a.reshape(-1)),
        as_operand(flat_b.reshape(-1)),
        a_zero_point,
        b_zero_point,
        *check_multiplier(multiplier, shift),
        check_rounding(rounding),
        check_zero_point("ofm_zero_point", ofm_zero_point),
        *check_activation(activation_min, activation_max),
        ofm.reshape(-1),
    )
    return ofm


@njit(cache=True, nogil=True)
def _div(
    a: NDArray[Any],
    b: NDArray[Any],
    a_zero_point: int,
    b_zero_point: int,
    multiplier: int,
    shift: int,
    rounding: int,
    ofm_zero_point: int,
    low: int,
    high: int,
    ofm: NDArray[Any],
) -> None:
    for i in range(ofm.size):
        dividend, divisor = np.int64(a[i]) - a_zero_point, np.int64(b[i]) - b_zero_point
        if divisor < 0:
            dividend, divisor = -dividend, -divisor
        reciprocal, digits = _reciprocal(divisor)
        headroom = 31 - _bits(dividend if dividend >= 0 else -dividend - 1)
        quotient = multiply_by_quantized_multiplier(dividend, reciprocal, headroom, rounding)
        exponent = shift - digits - headroom
        if rounding == DOUBLE:
            scaled = _divide_by_power(high_product(quotient, multiplier), -exponent)
        else:
            scaled = multiply_by_quantized_multiplier(quotient, multiplier, exponent, rounding)
        ofm[i] = min(max(np.int64(np.int32(scaled + ofm_zero_point)), low), high)


@njit(cache=True, nogil=True)
def _bits(x: Integer) -> int:
    """The number of bits of `x`, which is not negative."""
    count = 0
    while x > 0:
        x >>= 1
        count += 1
    return count


@njit(cache=True, nogil=True)
def _reciprocal(x: Integer) -> tuple[np.int64, int]:
    """`1 / x` of an int32 from 0 as Q0.31, to be divided by 2 to the power of the second."""
    bits = _bits(x)
    if bits == 0:
        return np.int64(RECIPROCAL_OF_ZERO), -1
    shifted = (np.int64(x) << (32 - bits)) - (np.int64(1) << 31)
    return one_over_one_plus(shifted), bits - 1


@njit(cache=True, nogil=True)
def _divide_by_power(x: Integer, exponent: int) -> np.int64:
    """`RoundingDivideByPOT` of an int32, as x86 executes it for exponents that have no meaning."""
    mask = np.int64(np.int32((np.int64(1) << (exponent & 63)) - 1))
    threshold = (mask >> 1) + np.int64(x < 0)
    remainder = np.int64(x) & mask
    return (np.int64(x) >> (exponent & 31)) + np.int64(remainder > threshold)
