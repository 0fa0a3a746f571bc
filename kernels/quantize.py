"""QUANTIZE (int8, int16 or float32 to int8 or int16) and DEQUANTIZE (int8, int16 to float32)."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import DTypeLike, NDArray

from kernels.checks import (
    RANGES,
    as_operand,
    check_array,
    check_multiplier,
    check_quantized,
    check_rounding,
    check_zero_point,
)
from kernels.quantization import scale_float32
from kernels.requantize import Rounding, requantize_and_clamp


def requantize(
    ifm: NDArray[Any],
    *,
    ifm_zero_point: int,
    ofm_zero_point: int,
    multiplier: int,
    shift: int,
    dtype: DTypeLike = np.int8,
    rounding: Rounding = Rounding.DOUBLE,
) -> NDArray[Any]:
    """QUANTIZE of int8 or int16 `ifm` (any shape) to `dtype` and another scale and zero point.

    `multiplier` and `shift` come from `kernels.quantization.rescale_multiplier`. Bit-exact with
    TFLM's `reference_ops::Requantize`. Raises ValueError for a wrong dtype or value.
    """
    ifm_dtype, (low, high) = check_quantized("ifm", ifm), _range(dtype)
    ifm_zero_point = check_zero_point("ifm_zero_point", ifm_zero_point, ifm_dtype)
    ofm_zero_point = check_zero_point("ofm_zero_point", ofm_zero_point, dtype)
    rescale = *check_multiplier(multiplier, shift), check_rounding(rounding)
    ofm = np.empty(ifm.shape, dtype)
    flat = as_operand(ifm.reshape(-1))
    _requantize(flat, ifm_zero_point, ofm_zero_point, *rescale, low, high, ofm.reshape(-1))
    return ofm


def quantize_float(
    ifm: NDArray[np.float32], *, scale: float, zero_point: int, dtype: DTypeLike = np.int8
) -> NDArray[Any]:
    """QUANTIZE of float32 `ifm` (any shape) to `dtype`, int8 or int16.

    Division in float32, rounding half away from zero. Bit-exact with TFLM's
    `reference_ops::AffineQuantize`. Where TFLM's result is undefined (a quotient that is no int32,
    or not a number), ValueError is raised, as for a wrong dtype or value.
    """
    check_array("ifm", ifm, np.float32)
    low, high = _range(dtype)
    check_zero_point("zero_point", zero_point, dtype)
    divisor = np.float32(scale_float32(scale))
    with np.errstate(over="ignore"):
        quotient = (ifm / divisor).astype(np.float64)
    if not np.all(np.abs(quotient) < 2.0**31):
        raise ValueError(f"ifm divided by scale {scale} has a value that is no int32, or NaN")
    rounded = np.copysign(np.floor(np.abs(quotient) + 0.5), quotient)
    clamped: NDArray[np.float64] = np.clip(rounded + zero_point, low, high)
    return clamped.astype(dtype)


def dequantize(ifm: NDArray[Any], *, scale: float, zero_point: int) -> NDArray[np.float32]:
    """DEQUANTIZE of int8 or int16 `ifm` to float32: `scale * (ifm - zero_point)` in float32.

    Bit-exact with TFLM's `reference_ops::Dequantize`. Raises ValueError for a wrong dtype or value.
    """
    check_zero_point("zero_point", zero_point, check_quantized("ifm", ifm))
    return np.float32(scale_float32(scale)) * (ifm.astype(np.float32) - np.float32(zero_point))


def _range(dtype: DTypeLike) -> tuple[int, int]:
    found = RANGES.get(np.dtype(dtype))
    if found is None:
        raise ValueError(f"dtype is {np.dtype(dtype)}; allowed are int8, int16")
    return found


@njit(cache=True, nogil=True)
def _requantize(
    ifm: NDArray[Any],
    ifm_zero_point: int,
    ofm_zero_point: int,
    multiplier: int,
    shift: int,
    rounding: int,
    low: int,
    high: int,
    ofm: NDArray[Any],
) -> None:
    for i in range(ifm.size):
        ofm[i] = requantize_and_clamp(
            np.int64(ifm[i]) - ifm_zero_point,
            multiplier,
            shift,
            ofm_zero_point,
            low,
            high,
            rounding,
        )
