"""EQUAL, NOT_EQUAL, GREATER, GREATER_EQUAL, LESS and LESS_EQUAL, with broadcasting."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.broadcasting import broadcast_together, check_same_dtype
from kernels.checks import check_quantized, check_zero_point
from kernels.quantization import scale_float32
from kernels.requantize import Rounding, quantize_multiplier, requantize_array

COMPARISONS: dict[str, "np.ufunc"] = {
    "EQUAL": np.equal,
    "NOT_EQUAL": np.not_equal,
    "GREATER": np.greater,
    "GREATER_EQUAL": np.greater_equal,
    "LESS": np.less,
    "LESS_EQUAL": np.less_equal,
}
# quantized values get this many fractional bits before they meet
LEFT_SHIFT = 8


def compare(kind: str, a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
    """`a` against `b`, of one type and shapes that broadcast together, to the broadcast shape.

    Raises ValueError for a kind that is not among `COMPARISONS`, two types, or shapes that do not
    broadcast.
    """
    if kind not in COMPARISONS:
        raise ValueError(f"kind is {kind!r}; allowed are {', '.join(COMPARISONS)}")
    check_same_dtype(a, b)
    full_a, full_b = broadcast_together(a, b)
    return np.ascontiguousarray(COMPARISONS[kind](full_a, full_b)).reshape(full_a.shape)


def compare_quantized(
    kind: str,
    a: NDArray[Any],
    b: NDArray[Any],
    *,
    a_scale: float,
    a_zero_point: int,
    b_scale: float,
    b_zero_point: int,
    rounding: Rounding = Rounding.DOUBLE,
) -> NDArray[np.bool_]:
    """`compare` of int8 or int16, each with its quantization.

    Both are multiplied by their scales in fixed point, with 8 fractional bits: small differences
    are none. Bit-exact with TFLM's `ComparisonWithScaling`.
    Raises ValueError as `compare`, for a wrong dtype or zero point, and for scales of 1 and above,
    on which TFLM aborts.
    """
    return compare(
        kind,
        _real(a, a_scale, a_zero_point, rounding),
        _real(b, b_scale, b_zero_point, rounding),
    )


def _real(x: NDArray[Any], scale: float, zero_point: int, rounding: Rounding) -> NDArray[np.int32]:
    dtype = check_quantized("input", x)
    if scale_float32(scale) >= 1:
        raise ValueError(f"scale is {scale}; allowed is less than 1")
    offset = x.astype(np.int32) - np.int32(check_zero_point("zero point", zero_point, dtype))
    multiplier, shift = (
        np.array(value, np.int32) for value in quantize_multiplier(scale_float32(scale))
    )
    return requantize_array(offset << LEFT_SHIFT, multiplier, shift, rounding=rounding)
