"""QUANTIZE (int8 to int8, float32 to int8) and DEQUANTIZE (int8 to float32)."""

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
from kernels.quantization import INT8_MAX, INT8_MIN, scale_float32
from kernels.requantize import Rounding, requantize_to_int8


def requantize(
    ifm: NDArray[np.int8],
    *,
    ifm_zero_point: int,
    ofm_zero_point: int,
    multiplier: int,
    shift: int,
    rounding: Rounding = Rounding.DOUBLE,
) -> NDArray[np.int8]:
    """QUANTIZE of int8 `ifm` (any shape) to another scale and zero point.

    `multiplier` and `shift` come from `kernels.quantization.rescale_multiplier`. Bit-exact with
    TFLM's `reference_ops::Requantize`. Raises ValueError for a wrong dtype or value.
    """
    check_array("ifm", ifm, np.int8)
    ifm_zero_point = check_zero_point("ifm_zero_point", ifm_zero_point)
    ofm_zero_point = check_zero_point("ofm_zero_point", ofm_zero_point)
    rescale = *check_multiplier(multiplier, shift), check_rounding(rounding)
    ofm = np.empty(ifm.shape, np.int8)
    flat = as_operand(ifm.reshape(-1))
    _requantize(flat, ifm_zero_point, ofm_zero_point, *rescale, ofm.reshape(-1))
    return ofm


def quantize_float(ifm: NDArray[np.float32], *, scale: float, zero_point: int) -> NDArray[np.int8]:
    """QUANTIZE of float32 `ifm` (any shape): division in float32, rounding half away from zero.

    Bit-exact with TFLM's `reference_ops::AffineQuantize`. Where TFLM's result is undefined (a
    quotient that is no int32, or not a number), ValueError is raised, as for a wrong dtype or
    value.
    """
    check_array("ifm", ifm, np.float32)
    check_zero_point("zero_point", zero_point)
    divisor = np.float32(scale_float32(scale))
    with np.errstate(over="ignore"):
        quotient = (ifm / divisor).astype(np.float64)
    if not np.all(np.abs(quotient) < 2.0**31):
        raise ValueError(f"ifm divided by scale {scale} has a value that is no int32, or NaN")
    rounded = np.copysign(np.floor(np.abs(quotient) + 0.5), quotient)
    clamped: NDArray[np.float64] = np.clip(rounded + zero_point, INT8_MIN, INT8_MAX)
    return clamped.astype(np.int8)


def dequantize(ifm: NDArray[np.int8], *, scale: float, zero_point: int) -> NDArray[np.float32]:
    """DEQUANTIZE of int8 `ifm` (any shape) to float32: `scale * (ifm - zero_point)` in float32.

    Bit-exact with TFLM's `reference_ops::Dequantize`. Raises ValueError for a wrong dtype or value.
    """
    check_array("ifm", ifm, np.int8)
    check_zero_point("zero_point", zero_point)
    return np.float32(scale_float32(scale)) * (ifm.astype(np.float32) - np.float32(zero_point))


@njit(cache=True, nogil=True)
def _requantize(
    ifm: NDArray[np.int8],
    ifm_zero_point: int,
    ofm_zero_point: int,
    multiplier: int,
    shift: int,
    rounding: int,
    ofm: NDArray[np.int8],
) -> None:
    for i in range(ifm.size):
        ofm[i] = requantize_to_int8(
            np.int64(ifm[i]) - ifm_zero_point,
            multiplier,
            shift,
            ofm_zero_point,
            INT8_MIN,
            INT8_MAX,
            rounding,
        )
