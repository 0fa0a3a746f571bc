"""QUANTIZE (integers or float32 to integers) and DEQUANTIZE (integers to float32)."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import DTypeLike, NDArray

from kernels.checks import RANGES, as_operand, check_array, check_multiplier, check_rounding
from kernels.quantization import scale_float32
from kernels.requantize import Rounding, requantize_and_clamp

INT32_MIN, INT32_MAX = -(1 << 31), (1 << 31) - 1
WIDE_RANGES = {
    **RANGES,
    np.dtype(np.uint8): (0, 255),
    np.dtype(np.int32): (INT32_MIN, INT32_MAX),
}
"""The least and greatest value of each type that QUANTIZE reads or writes."""


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
    """QUANTIZE of integers (any shape) to `dtype` and another scale and zero point.

    Both types are among `WIDE_RANGES`. `multiplier` and `shift` come from
    `kernels.quantization.rescale_multiplier`. Bit-exact with TFLM's `reference_ops::Requantize`,
    which wraps at 32 bits. Raises ValueError for a wrong dtype or value.
    """
    if not isinstance(ifm, np.ndarray) or ifm.dtype not in WIDE_RANGES:
        given = getattr(ifm, "dtype", type(ifm).__name__)
        raise ValueError(f"ifm is {given}; allowed are {_allowed(WIDE_RANGES)}")
    low, high = _range(dtype, WIDE_RANGES)
    ifm_zero_point = _zero_point("ifm_zero_point", ifm_zero_point, ifm.dtype)
    ofm_zero_point = _zero_point("ofm_zero_point", ofm_zero_point, dtype)
    rescale = *check_multiplier(multiplier, shift), check_rounding(rounding)
    ofm = np.empty(ifm.shape, dtype)
    flat = as_operand(ifm.reshape(-1))
    _requantize(flat, ifm_zero_point, ofm_zero_point, *rescale, low, high, ofm.reshape(-1))
    return ofm


def quantize_float(
    ifm: NDArray[np.float32],
    *,
    scale: float,
    zero_point: int,
    dtype: DTypeLike = np.int8,
    strict: bool = True,
) -> NDArray[Any]:
    """QUANTIZE of float32 `ifm` (any shape) to `dtype`, int8 or int16.

    Division in float32, rounding half away from zero. Bit-exact with TFLM's
    `reference_ops::AffineQuantize`. Where a quotient is no int32, or not a number, C has no defined
    result: ValueError is raised if `strict`, otherwise it counts as the least int32, as on x86, and
    adding the zero point may wrap. Raises ValueError for a wrong dtype or value.
    """
    check_array("ifm", ifm, np.float32)
    low, high = _range(dtype, RANGES)
    _zero_point("zero_point", zero_point, dtype)
    divisor = np.float32(scale_float32(scale))
    with np.errstate(over="ignore"):
        quotient = (ifm / divisor).astype(np.float64)
    fits = np.abs(quotient) < 2.0**31
    if strict and not np.all(fits):
        raise ValueError(f"ifm divided by scale {scale} has a value that is no int32, or NaN")
    whole = np.where(fits, quotient, INT32_MIN)
    rounded = np.copysign(np.floor(np.abs(whole) + 0.5), whole).astype(np.int64)
    shifted = (rounded + zero_point).astype(np.int32)
    return np.clip(shifted, low, high).astype(dtype)


def dequantize(ifm: NDArray[Any], *, scale: float, zero_point: int) -> NDArray[np.float32]:
    """DEQUANTIZE of int8, uint8 or int16 to float32: `scale * (ifm - zero_point)` in float32.

    Bit-exact with TFLM's `reference_ops::Dequantize`. Raises ValueError for a wrong dtype or value.
    """
    narrow = {dtype: bounds for dtype, bounds in WIDE_RANGES.items() if dtype != np.int32}
    if ifm.dtype not in narrow:
        raise ValueError(f"ifm is {ifm.dtype}; allowed are {_allowed(narrow)}")
    _zero_point("zero_point", zero_point, ifm.dtype)
    return np.float32(scale_float32(scale)) * (ifm.astype(np.float32) - np.float32(zero_point))


def _allowed(ranges: dict[Any, tuple[int, int]]) -> str:
    return ", ".join(dtype.name for dtype in ranges)


def _range(dtype: DTypeLike, ranges: dict[Any, tuple[int, int]]) -> tuple[int, int]:
    found = ranges.get(np.dtype(dtype))
    if found is None:
        raise ValueError(f"dtype is {np.dtype(dtype)}; allowed are {_allowed(ranges)}")
    return found


def _zero_point(name: str, value: int, dtype: DTypeLike) -> int:
    least, greatest = WIDE_RANGES[np.dtype(dtype)]
    if not least <= value <= greatest:
        raise ValueError(f"{name} is {value}; allowed is {least} to {greatest}")
    return int(value)


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
            np.int64(np.int32(np.int64(ifm[i]) - ifm_zero_point)),
            multiplier,
            shift,
            ofm_zero_point,
            low,
            high,
            rounding,
        )
