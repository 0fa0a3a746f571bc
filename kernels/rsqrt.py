"""RSQRT of int8 or int16: the inverse square root of each value."""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.checks import (
    RANGES,
    as_operand,
    check_multiplier,
    check_quantized,
    check_rounding,
    check_zero_point,
)
from kernels.inverse_sqrt import inverse_sqrt
from kernels.quantization import scale_float32
from kernels.requantize import (
    Rounding,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    requantize_and_clamp,
)

FRACTION_BITS = 20


def rsqrt_multiplier(ifm_scale: float, ofm_scale: float) -> tuple[int, int]:
    """(multiplier, shift) from the root of integers with FRACTION_BITS to the OFM.

    Source: `SetRsqrtOutputMultiplier`. Raises ValueError for a bad scale, or scales that make a
    multiplier of 2**30 and above, or one that TFLM's shifts do not reach.
    """
    ifm, ofm = scale_float32(ifm_scale, "IFM scale"), scale_float32(ofm_scale, "OFM scale")
    multiplier, shift = quantize_multiplier(1.0 / (math.sqrt(ifm) * ofm))
    return check_multiplier(multiplier, shift - FRACTION_BITS)


def rsqrt(
    ifm: NDArray[Any],
    *,
    ifm_zero_point: int,
    ofm_zero_point: int,
    multiplier: int,
    shift: int,
    rounding: Rounding = Rounding.DOUBLE,
) -> NDArray[Any]:
    """`1 / sqrt(ifm)` of int8 or int16 of any shape; the root of 0 is the greatest output.

    `multiplier` and `shift` come from `rsqrt_multiplier`. Bit-exact with TFLM's
    `RsqrtEvalQuantized`.
    Raises ValueError for a wrong dtype or value, and for an input below its zero point.
    """
    dtype = check_quantized("ifm", ifm)
    ifm_zero_point = check_zero_point("ifm_zero_point", ifm_zero_point, dtype)
    if ifm.min() < ifm_zero_point:
        raise ValueError(
            f"ifm has the value {ifm.min()}; allowed is its zero point {ifm_zero_point} or more, "
            "because a negative number has no root"
        )
    ofm = np.empty(ifm.shape, dtype)
    _rsqrt(
        as_operand(ifm.reshape(-1)),
        ifm_zero_point,
        *check_multiplier(multiplier, shift),
        check_rounding(rounding),
        check_zero_point("ofm_zero_point", ofm_zero_point, dtype),
        *RANGES[dtype],
        ofm.reshape(-1),
    )
    return ofm


@njit(cache=True, nogil=True)
def _rsqrt(
    ifm: NDArray[Any],
    ifm_zero_point: int,
    multiplier: int,
    shift: int,
    rounding: int,
    ofm_zero_point: int,
    low: int,
    high: int,
    ofm: NDArray[Any],
) -> None:
    for i in range(ifm.size):
        value = np.int64(ifm[i]) - ifm_zero_point
        if value == 0:
            ofm[i] = high
            continue
        root, exponent = inverse_sqrt(value)
        fraction = multiply_by_quantized_multiplier(1, root, exponent + FRACTION_BITS, rounding)
        ofm[i] = requantize_and_clamp(
            fraction, multiplier, shift, ofm_zero_point, low, high, rounding
        )
