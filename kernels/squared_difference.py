"""SQUARED_DIFFERENCE of int8 or int16, with broadcasting."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels.broadcasting import broadcast_together, check_same_dtype
from kernels.checks import RANGES, check_quantized, check_zero_point
from kernels.quantization import scale_float32
from kernels.requantize import Rounding, quantize_multiplier, requantize_array

# the inputs get this many fractional bits; squares of their differences then fit int32
LEFT_SHIFTS = {8: 7, 16: 0}
Scaling = tuple[int, int]


class SquaredDifferenceParameters(NamedTuple):
    """Multipliers (Q31) and shifts: each input to a common scale, the square to the OFM's."""

    a: Scaling
    b: Scaling
    square: Scaling
    left_shift: int


def squared_difference_parameters(
    scale_a: float, scale_b: float, ofm_scale: float, *, bits: int = 8
) -> SquaredDifferenceParameters:
    """Rescaling of SQUARED_DIFFERENCE of values of `bits`. Source: `PrepareQuantized`.

    Raises ValueError for a bad scale, or scales that make a multiplier of 2**30 and above.
    """
    a, b = scale_float32(scale_a, "scale of input 0"), scale_float32(scale_b, "scale of input 1")
    twice_max = 2.0 * max(a, b)
    left_shift = LEFT_SHIFTS[bits]
    square = twice_max * twice_max / ((1 << 2 * left_shift) * scale_float32(ofm_scale, "OFM scale"))
    return SquaredDifferenceParameters(
        quantize_multiplier(a / twice_max),
        quantize_multiplier(b / twice_max),
        quantize_multiplier(square),
        left_shift,
    )


def squared_difference(
    a: NDArray[Any],
    b: NDArray[Any],
    *,
    a_zero_point: int,
    b_zero_point: int,
    ofm_zero_point: int,
    parameters: SquaredDifferenceParameters,
    rounding: Rounding = Rounding.DOUBLE,
) -> NDArray[Any]:
    """`(a - b) ** 2` of int8 or int16 of shapes that broadcast together, to the broadcast shape.

    Bit-exact with TFLM's `SquaredDifference`.
    Raises ValueError for a wrong dtype, shapes that do not broadcast, or a value out of range.
    """
    dtype = check_quantized("a", a)
    check_same_dtype(a, b)
    wide_a, wide_b = broadcast_together(
        _on_common_scale(a, a_zero_point, parameters.a, parameters.left_shift, rounding),
        _on_common_scale(b, b_zero_point, parameters.b, parameters.left_shift, rounding),
    )
    difference = wide_a - wide_b
    square = _rescaled(difference * difference, parameters.square, rounding)
    low, high = RANGES[dtype]
    zero_point = check_zero_point("ofm_zero_point", ofm_zero_point, dtype)
    clamped: NDArray[Any] = np.clip(square + np.int32(zero_point), low, high).astype(dtype)
    return clamped


def _on_common_scale(
    x: NDArray[Any], zero_point: int, scaling: Scaling, left_shift: int, rounding: Rounding
) -> NDArray[np.int32]:
    offset = x.astype(np.int32) - np.int32(check_zero_point("zero point", zero_point, x.dtype))
    return _rescaled(offset << left_shift, scaling, rounding)


def _rescaled(x: NDArray[np.int32], scaling: Scaling, rounding: Rounding) -> NDArray[np.int32]:
    multiplier, shift = (np.array(value, np.int32) for value in scaling)
    return requantize_array(x, multiplier, shift, rounding=rounding)
